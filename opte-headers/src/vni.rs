//! Virtual network identifiers.

use arbitrary_int::prelude::*;
use core::fmt;
use core::str::FromStr;

/// A virtual network identifier, 24 bits (RFC 7348, RFC 8926).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u24);

impl Vni {
    /// The greatest identifier.
    pub const MAX: Self = Self(u24::MAX);

    /// The identifier of this number, if it fits 24 bits.
    pub const fn new(value: u32) -> Option<Self> {
        if value <= 0xff_ffff {
            Some(Self(u24::new(value)))
        } else {
            None
        }
    }

    /// The identifier of a 24-bit number.
    pub const fn from_u24(value: u24) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn as_u32(self) -> u32 {
        self.0.value()
    }

    /// The number, as 24 bits.
    pub const fn as_u24(self) -> u24 {
        self.0
    }

    /// The bytes on the wire.
    pub const fn to_be_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.value().to_be_bytes();
        [a, b, c]
    }

    /// The identifier that stands in these bytes on the wire.
    pub const fn from_be_bytes(bytes: [u8; 3]) -> Self {
        let [a, b, c] = bytes;
        Self(u24::new(u32::from_be_bytes([0, a, b, c])))
    }
}

impl TryFrom<u32> for Vni {
    type Error = VniError;

    fn try_from(value: u32) -> Result<Self, VniError> {
        Self::new(value).ok_or(VniError)
    }
}

impl From<Vni> for u32 {
    fn from(vni: Vni) -> Self {
        vni.as_u32()
    }
}

impl FromStr for Vni {
    type Err = VniError;

    fn from_str(text: &str) -> Result<Self, VniError> {
        text.parse::<u32>().ok().and_then(Self::new).ok_or(VniError)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_u32(), f)
    }
}

impl fmt::Debug for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number that is no 24-bit identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VniError;

impl fmt::Display for VniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a VNI is a number of at most 24 bits: 0 to 16777215")
    }
}

impl core::error::Error for VniError {}
