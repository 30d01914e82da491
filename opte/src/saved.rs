//! State of flows as it is saved.

use core::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The state of one flow in one layer, as a [`Descriptor`](crate::action::Descriptor) says it and a
/// [`StatefulAction`](crate::action::StatefulAction) makes another of it: some serialized value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Saved {
    /// The most bytes that a value may take.
    pub const MAX: usize = 47;

    /// The value, if it fits.
    pub fn of(value: &impl Serialize) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        let len = postcard::to_slice(value, &mut bytes).ok()?.len() as u8;
        Some(Self { len, bytes })
    }

    /// The value again; `None` if it is of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        match postcard::take_from_bytes(self.bytes()) {
            Ok((value, [])) => Some(value),
            _ => None,
        }
    }

    /// These bytes, if there is room.
    pub(crate) fn from_bytes(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        let len = from.len() as u8;
        Some(Self { len, bytes })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Saved").field(&self.bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv6Addr};
    use std::vec::Vec;

    #[test]
    fn values_come_back_as_what_they_were() {
        let value: (IpAddr, u16) = (Ipv6Addr::LOCALHOST.into(), 4096);
        let saved = Saved::of(&value).unwrap();
        assert_eq!(saved.read(), Some(value));
        assert_eq!(Saved::from_bytes(saved.bytes()), Some(saved));
        // A value of another type, one cut off, one too long.
        assert_eq!(saved.read::<u8>(), None);
        let (_, cut) = saved.bytes().split_last().unwrap();
        assert_eq!(
            Saved::from_bytes(cut).unwrap().read::<(IpAddr, u16)>(),
            None
        );
        assert_eq!(Saved::of(&Vec::from([7u8; 47])), None);
        assert_eq!(Saved::from_bytes(&[0; 48]), None);
    }
}
