//! Internet Protocol version 6 (RFC 8200).

use crate::protocol::{Ecn, Ethernet, Geneve, Vlan};
use crate::{Ethertype, Header, IpProtocol};
use arbitrary_int::prelude::*;
use core::net::Ipv6Addr;

/// IPv6 header (RFC 8200, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ethernet = Ethertype::IPV6, Vlan = Ethertype::IPV6, Geneve = Ethertype::IPV6), len = 40)]
pub struct Ipv6 {
    /// Always 6.
    #[header(const = 6)]
    pub version: u4,
    /// Differentiated services code point (RFC 2474).
    pub dscp: u6,
    /// Explicit congestion notification (RFC 3168).
    #[header(bits = 2)]
    pub ecn: Ecn,
    /// Flow label (RFC 6437).
    pub flow_label: u20,
    /// Bytes behind this header.
    #[header(length(of = payload))]
    pub payload_len: u16,
    /// What follows.
    #[header(next, key = protocol)]
    pub next_header: IpProtocol,
    /// Hops the packet may still make.
    #[header(default = 64)]
    pub hop_limit: u8,
    /// Source address.
    #[header(key = source, pseudo)]
    pub source: Ipv6Addr,
    /// Destination address.
    #[header(key = destination, pseudo)]
    pub destination: Ipv6Addr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbour_solicitation() {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&[0x6b, 0x8a, 0xbc, 0xde, 0x00, 0x20, 0x3a, 0xff]);
        bytes[8..24].copy_from_slice(&"fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        bytes[24..].copy_from_slice(&"ff02::1:ff00:2".parse::<Ipv6Addr>().unwrap().octets());
        let (view, _) = Ipv6::parse(&bytes).unwrap();
        assert_eq!(
            (view.dscp(), view.ecn(), view.flow_label()),
            (u6::new(0x2e), Ecn::NotEct, u20::new(0xabcde))
        );
        assert_eq!(
            (view.payload_len(), view.next_header(), view.hop_limit()),
            (32, IpProtocol::ICMPV6, 255)
        );
        let mut out = [0; 40];
        view.to_owned().emit(&mut out).unwrap();
        assert_eq!(out, bytes);
    }

    #[test]
    fn congestion_in_the_middle_of_two_bytes() {
        let mut bytes = [0x60; 40];
        let (mut view, _) = Ipv6::parse_mut(&mut bytes).unwrap();
        view.set_ecn(Ecn::Ce);
        view.set_dscp(u6::new(0));
        assert_eq!(bytes[..2], [0x60, 0x30]);
    }
}
