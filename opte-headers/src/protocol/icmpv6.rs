//! Internet Control Message Protocol for IPv6 (RFC 4443).

use crate::protocol::{Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop, Ipv6Routing};
use crate::{Header, IpProtocol, field_value};

/// ICMPv6 header (RFC 4443, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv6 = IpProtocol::ICMPV6,
        Ipv6HopByHop = IpProtocol::ICMPV6,
        Ipv6Routing = IpProtocol::ICMPV6,
        Ipv6Destination = IpProtocol::ICMPV6,
        Ipv6Fragment = IpProtocol::ICMPV6
    ),
    len = 8
)]
pub struct Icmpv6 {
    /// What the message is.
    #[header(bits = 8, key = icmp_type)]
    pub ty: Icmpv6Type,
    /// More of what it is.
    #[header(key = icmp_code)]
    pub code: u8,
    /// Of pseudo-header, header and body.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Echo: who asks. Other messages: the first half of what the type defines.
    #[header(key = identifier)]
    pub identifier: u16,
    /// Echo: how many times. Other messages: the second half of what the type defines.
    pub sequence: u16,
}

/// ICMPv6 type (IANA "ICMPv6 Parameters").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Icmpv6Type(pub u8);

impl Icmpv6Type {
    /// Destination unreachable.
    pub const DESTINATION_UNREACHABLE: Self = Self(1);
    /// Packet too big.
    pub const PACKET_TOO_BIG: Self = Self(2);
    /// Time exceeded.
    pub const TIME_EXCEEDED: Self = Self(3);
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: Self = Self(4);
    /// Echo request.
    pub const ECHO_REQUEST: Self = Self(128);
    /// Echo reply.
    pub const ECHO_REPLY: Self = Self(129);
    /// Router solicitation (RFC 4861).
    pub const ROUTER_SOLICITATION: Self = Self(133);
    /// Router advertisement (RFC 4861).
    pub const ROUTER_ADVERTISEMENT: Self = Self(134);
    /// Neighbour solicitation (RFC 4861).
    pub const NEIGHBOUR_SOLICITATION: Self = Self(135);
    /// Neighbour advertisement (RFC 4861).
    pub const NEIGHBOUR_ADVERTISEMENT: Self = Self(136);
    /// Redirect (RFC 4861).
    pub const REDIRECT: Self = Self(137);

    /// Whether the message reports an error and embeds the packet at fault.
    pub const fn is_error(self) -> bool {
        self.0 < 128
    }

    /// Whether the message belongs to neighbour discovery.
    pub const fn is_neighbour_discovery(self) -> bool {
        matches!(self.0, 133..=137)
    }
}

field_value!(Icmpv6Type as u8: Icmpv6Type, |ty: &Icmpv6Type| ty.0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Covers, Header};

    #[test]
    fn echo_reply() {
        let (view, _) = Icmpv6::parse(&[0x81, 0x00, 0x12, 0x34, 0xab, 0xcd, 0x00, 0x02]).unwrap();
        assert_eq!(
            (view.ty(), view.identifier(), view.sequence()),
            (Icmpv6Type::ECHO_REPLY, 0xabcd, 2)
        );
        assert_eq!(
            Icmpv6::CHECKSUM.unwrap().covers,
            Covers::Pseudo {
                zero_is_none: false
            }
        );
    }
}
