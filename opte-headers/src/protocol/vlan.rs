//! VLAN tags (IEEE 802.1Q, clause 9).

use crate::protocol::Ethernet;
use crate::{Ethertype, Header};
use arbitrary_int::prelude::*;

/// VLAN tag, behind the Ethertype that announces it (IEEE 802.1Q, clause 9.6). A service tag (802.1ad) has the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(
    Ethernet = Ethertype::VLAN | Ethertype::QINQ | Ethertype::QINQ_OLD,
    Vlan = Ethertype::VLAN | Ethertype::QINQ | Ethertype::QINQ_OLD
))]
pub struct Vlan {
    /// Priority code point.
    pub priority: u3,
    /// Whether the frame is to be dropped first.
    pub drop_eligible: bool,
    /// VLAN identifier.
    pub vid: u12,
    /// What follows.
    #[header(next)]
    pub ethertype: Ethertype,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag() {
        let (view, _) = Vlan::parse(&[0xb0, 0x64, 0x86, 0xdd]).unwrap();
        assert_eq!(
            view.to_owned(),
            Vlan {
                priority: u3::new(5),
                drop_eligible: true,
                vid: u12::new(100),
                ethertype: Ethertype::IPV6
            }
        );
    }
}
