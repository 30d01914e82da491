//! IP security: Encapsulating Security Payload (RFC 4303) and Authentication Header (RFC 4302).

use crate::frame::Stacked;
use crate::protocol::{
    Icmpv4, Icmpv6, Ipv4, Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop, Ipv6Routing, Tcp, Udp,
};
use crate::{Header, IpProtocol, TailBytes};

/// Start of an ESP packet (RFC 4303, section 2). What follows is encrypted, and with it what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv4 = IpProtocol::ESP,
        Ipv6 = IpProtocol::ESP,
        Ipv6HopByHop = IpProtocol::ESP,
        Ipv6Routing = IpProtocol::ESP,
        Ipv6Destination = IpProtocol::ESP,
        Ipv6Fragment = IpProtocol::ESP,
        Ah = IpProtocol::ESP
    ),
    len = 8
)]
pub struct Esp {
    /// Security parameters index: the association.
    #[header(hex, read_only)]
    pub spi: u32,
    /// The packet's place in the association.
    #[header(read_only)]
    pub sequence: u32,
}

/// Authentication header (RFC 4302, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv4 = IpProtocol::AH,
        Ipv6 = IpProtocol::AH,
        Ipv6HopByHop = IpProtocol::AH,
        Ipv6Routing = IpProtocol::AH,
        Ipv6Destination = IpProtocol::AH,
        Ipv6Fragment = IpProtocol::AH
    ),
    carries(
        Tcp = IpProtocol::TCP,
        Udp = IpProtocol::UDP,
        Icmpv4 = IpProtocol::ICMP,
        Icmpv6 = IpProtocol::ICMPV6,
        Ipv4 = IpProtocol::IPV4,
        Ipv6 = IpProtocol::IPV6
    ),
    len = 12
)]
pub struct Ah {
    /// What follows.
    #[header(next)]
    pub next_header: IpProtocol,
    /// Length of the header in units of four bytes, less two.
    #[header(length(of = header, unit = 4, less = 8))]
    pub payload_len: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved: u16,
    /// Security parameters index: the association.
    #[header(hex, read_only)]
    pub spi: u32,
    /// The packet's place in the association.
    #[header(read_only)]
    pub sequence: u32,
    /// Integrity check value.
    #[header(bytes(len = payload_len * 4 - 4))]
    pub icv: TailBytes<1016>,
}

impl Stacked for Esp {}
impl Stacked for Ah {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Follows};

    #[test]
    fn encrypted() {
        let bytes = [0xc1, 0x0e, 0x58, 0x3b, 0x00, 0x00, 0x00, 0x2a, 0x9f];
        let (view, rest) = Esp::parse(&bytes).unwrap();
        assert_eq!(
            (view.spi(), view.sequence(), rest),
            (0xc10e_583b, 42, &[0x9f][..])
        );
        assert_eq!(<Esp as Follows<Ah>>::SELECTOR, Some(IpProtocol::ESP));
    }

    /// With HMAC-SHA1-96, as OSPF over IPv4 is sent with.
    #[test]
    fn authenticated() {
        let bytes = [
            0x06, 0x04, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x05, 0x93, 0xd1,
            0x1c, 0x20, 0x0e, 0xf0, 0x0b, 0x72, 0xac, 0x44, 0x5d, 0x7e,
        ];
        let (view, rest) = Ah::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            (view.next_header(), view.spi(), view.icv().len()),
            (IpProtocol::TCP, 0x100, 12)
        );
        let mut out = [0; 24];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(24));
        assert_eq!(out, bytes);
    }

    #[test]
    fn a_length_less_than_the_fixed_part() {
        let error = Ah::parse(&[6, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]).unwrap_err();
        assert_eq!(error.field, "icv");
        assert!(matches!(error.cause, Cause::BadLength { .. }));
    }
}
