//! Address Resolution Protocol (RFC 826).

use crate::protocol::{Ethernet, Vlan};
use crate::{Ethertype, Header, MacAddr, field_value};
use core::net::Ipv4Addr;

/// ARP for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ethernet = Ethertype::ARP, Vlan = Ethertype::ARP), len = 28)]
pub struct Arp {
    /// Kind of link: Ethernet.
    #[header(const = 1)]
    pub hardware_type: u16,
    /// Kind of address looked for: IPv4.
    #[header(const = Ethertype::IPV4)]
    pub protocol_type: Ethertype,
    /// Octets of a link-layer address.
    #[header(const = 6)]
    pub hardware_len: u8,
    /// Octets of a protocol address.
    #[header(const = 4)]
    pub protocol_len: u8,
    /// Request or reply.
    #[header(bits = 16)]
    pub operation: ArpOperation,
    /// Sender's link-layer address.
    pub sender_mac: MacAddr,
    /// Sender's address.
    pub sender_ip: Ipv4Addr,
    /// Link-layer address looked for.
    pub target_mac: MacAddr,
    /// Address it is looked for by.
    pub target_ip: Ipv4Addr,
}

/// What an ARP packet is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ArpOperation(pub u16);

impl ArpOperation {
    /// Who has the address?
    pub const REQUEST: Self = Self(1);
    /// I have it.
    pub const REPLY: Self = Self(2);
}

field_value!(ArpOperation as u16: ArpOperation, |operation: &ArpOperation| operation.0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, ParseError};

    const REQUEST: [u8; 28] = [
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x00, 0x50, 0x56, 0xc0, 0x00, 0x01, 0xc0,
        0xa8, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0xc0, 0xa8, 0x00, 0xc7,
    ];

    #[test]
    fn request() {
        let (view, _) = Arp::parse(&REQUEST).unwrap();
        assert_eq!(view.operation(), ArpOperation::REQUEST);
        assert_eq!(view.target_ip(), Ipv4Addr::new(192, 168, 0, 199));
        let mut out = [0; 28];
        view.to_owned().emit(&mut out).unwrap();
        assert_eq!(out, REQUEST);
    }

    #[test]
    fn other_links_are_refused() {
        let mut frame = REQUEST;
        frame[1] = 6;
        assert_eq!(
            Arp::parse(&frame).unwrap_err(),
            ParseError::new("Arp", "hardware_type", Cause::Illegal { value: 6 })
        );
    }
}
