//! IPv6 extension headers (RFC 8200, section 4).

use crate::options::{Options, RawOption, TypeLength};
use crate::protocol::Ipv6;
use crate::{Header, IpProtocol, OptionSet, TailBytes};
use arbitrary_int::prelude::*;

/// Options for every router on the way (RFC 8200, section 4.3). Stands right behind the IPv6 header only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::HOP_BY_HOP))]
pub struct Ipv6HopByHop {
    /// What follows.
    #[header(next)]
    pub next_header: IpProtocol,
    /// Bytes behind the first eight, in units of eight.
    #[header(length(of = header, unit = 8, less = 8))]
    pub len_units: u8,
    /// The options.
    #[header(options(len = len_units * 8 + 6))]
    pub options: Options<Ipv6Option<'static>, 2046>,
}

/// Options for the destination (RFC 8200, section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(
    Ipv6 = IpProtocol::DESTINATION_OPTIONS,
    Ipv6HopByHop = IpProtocol::DESTINATION_OPTIONS,
    Ipv6Routing = IpProtocol::DESTINATION_OPTIONS,
    Ipv6Fragment = IpProtocol::DESTINATION_OPTIONS
))]
pub struct Ipv6Destination {
    /// What follows.
    #[header(next)]
    pub next_header: IpProtocol,
    /// Bytes behind the first eight, in units of eight.
    #[header(length(of = header, unit = 8, less = 8))]
    pub len_units: u8,
    /// The options.
    #[header(options(len = len_units * 8 + 6))]
    pub options: Options<Ipv6Option<'static>, 2046>,
}

/// Nodes to be visited (RFC 8200, section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(
    Ipv6 = IpProtocol::ROUTING,
    Ipv6HopByHop = IpProtocol::ROUTING,
    Ipv6Destination = IpProtocol::ROUTING
))]
pub struct Ipv6Routing {
    /// What follows.
    #[header(next)]
    pub next_header: IpProtocol,
    /// Bytes behind the first eight, in units of eight.
    #[header(length(of = header, unit = 8, less = 8))]
    pub len_units: u8,
    /// Which kind of routing header.
    pub routing_type: u8,
    /// Nodes still to be visited.
    pub segments_left: u8,
    /// What the type defines.
    #[header(bytes(len = len_units * 8 + 4))]
    pub data: TailBytes<2044>,
}

/// A part of a packet that was too long for a link (RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv6 = IpProtocol::FRAGMENT,
        Ipv6HopByHop = IpProtocol::FRAGMENT,
        Ipv6Routing = IpProtocol::FRAGMENT,
        Ipv6Destination = IpProtocol::FRAGMENT
    ),
    len = 8
)]
pub struct Ipv6Fragment {
    /// What follows.
    #[header(next)]
    pub next_header: IpProtocol,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u8,
    /// Where the fragment belongs, in units of eight bytes.
    pub fragment_offset: u13,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u2,
    /// This is not the last fragment.
    pub more_fragments: bool,
    /// Tells fragments of different packets apart.
    #[header(hex)]
    pub identification: u32,
}

/// Hop-by-hop or destination option (IANA "Destination Options and Hop-by-Hop Options").
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = TypeLength)]
pub enum Ipv6Option<'a> {
    /// Every router must look at the packet (RFC 2711).
    #[option(0x05)]
    RouterAlert(u16),
    /// Length of a packet beyond 65,535 bytes (RFC 2675).
    #[option(0xc2)]
    JumboPayload(u32),
    /// Limit of nested tunnels (RFC 2473).
    #[option(0x04)]
    TunnelEncapsulationLimit(u8),
    /// Another option.
    #[option(unknown)]
    Unknown(RawOption<'a, u8>),
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn multicast_listener_report_alert() {
        let bytes = [0x3a, 0x00, 0x05, 0x02, 0x00, 0x00, 0x01, 0x00];
        let (view, rest) = Ipv6HopByHop::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(view.next_header(), IpProtocol::ICMPV6);
        assert_eq!(
            view.options().iter().collect::<Vec<_>>(),
            [Ok(Ipv6Option::RouterAlert(0))]
        );
        let mut out = [0; 8];
        view.to_owned().unwrap().emit(&mut out).unwrap();
        assert_eq!(out, bytes);
    }

    #[test]
    fn filled_up_to_eight_bytes() {
        let options = Options::of(&[
            Ipv6Option::JumboPayload(70_000),
            Ipv6Option::TunnelEncapsulationLimit(4),
        ])
        .unwrap();
        let header = Ipv6Destination {
            options,
            ..Ipv6Destination::default()
        };
        let mut out = [0xff; 24];
        assert_eq!(header.emit(&mut out), Ok(16));
        assert_eq!(
            out[..16],
            [0, 1, 0xc2, 4, 0, 1, 0x11, 0x70, 4, 1, 4, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn second_fragment() {
        let bytes = [0x11, 0x00, 0x05, 0xa9, 0xde, 0xad, 0xbe, 0xef];
        let (view, _) = Ipv6Fragment::parse(&bytes).unwrap();
        assert_eq!(
            (view.fragment_offset(), view.more_fragments()),
            (u13::new(181), true)
        );
        assert_eq!(view.identification(), 0xdead_beef);
    }

    #[test]
    fn routing_of_impossible_length() {
        assert!(Ipv6Routing::parse(&[6, 1, 0, 0, 0, 0, 0, 0]).is_err());
        assert_eq!(
            Ipv6Routing::parse(&[6, 0, 2, 1, 0, 0, 0, 0])
                .unwrap()
                .0
                .data(),
            [0; 4]
        );
    }
}
