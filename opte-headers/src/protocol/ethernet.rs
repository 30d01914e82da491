//! Ethernet II frames (IEEE 802.3, clause 3).

use crate::{Ethertype, Header, MacAddr};

/// Ethernet header (IEEE 802.3, clause 3; RFC 894).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
pub struct Ethernet {
    /// Station or group the frame goes to.
    pub destination: MacAddr,
    /// Station the frame comes from.
    pub source: MacAddr,
    /// What follows.
    #[header(next)]
    pub ethertype: Ethertype,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arp_broadcast() {
        let frame = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xa8, 0x40, 0x25, 0xff, 0x77, 0x77, 0x08, 0x06,
            0x00, 0x01,
        ];
        let (view, rest) = Ethernet::parse(&frame).unwrap();
        assert_eq!(
            (view.destination(), view.ethertype(), rest),
            (MacAddr::BROADCAST, Ethertype::ARP, &[0, 1][..])
        );
        let owned = view.to_owned();
        assert_eq!(owned.source, "a8:40:25:ff:77:77".parse().unwrap());
        let mut out = [0; 14];
        owned.emit(&mut out).unwrap();
        assert_eq!(out, frame[..14]);
    }
}
