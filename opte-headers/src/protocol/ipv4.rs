//! Internet Protocol version 4 (RFC 791).

use crate::options::{Each, KindLength, Options, RawOption};
use crate::protocol::{Ethernet, Geneve, Vlan};
use crate::{Ethertype, Header, IpProtocol, OptionSet, field_value};
use arbitrary_int::prelude::*;
use core::net::Ipv4Addr;

/// IPv4 header (RFC 791, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ethernet = Ethertype::IPV4, Vlan = Ethertype::IPV4, Geneve = Ethertype::IPV4), len = 20)]
pub struct Ipv4 {
    /// Always 4.
    #[header(const = 4)]
    pub version: u4,
    /// Length of the header in units of four bytes.
    #[header(length(of = header, unit = 4))]
    pub ihl: u4,
    /// Differentiated services code point (RFC 2474).
    pub dscp: u6,
    /// Explicit congestion notification (RFC 3168).
    #[header(bits = 2)]
    pub ecn: Ecn,
    /// Bytes of the packet, header included.
    #[header(length(of = packet))]
    pub total_len: u16,
    /// Tells fragments of different packets apart (RFC 6864).
    pub identification: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved: u1,
    /// Routers must not fragment the packet.
    pub dont_fragment: bool,
    /// This is not the last fragment.
    pub more_fragments: bool,
    /// Where the fragment belongs, in units of eight bytes.
    pub fragment_offset: u13,
    /// Hops the packet may still make.
    #[header(default = 64)]
    pub ttl: u8,
    /// What follows.
    #[header(next, key = protocol)]
    pub protocol: IpProtocol,
    /// Of the header.
    #[header(checksum(header))]
    pub checksum: u16,
    /// Source address.
    #[header(key = source, pseudo)]
    pub source: Ipv4Addr,
    /// Destination address.
    #[header(key = destination, pseudo)]
    pub destination: Ipv4Addr,
    /// Options (RFC 791, section 3.1).
    #[header(options(len = ihl * 4 - 20))]
    pub options: Options<Ipv4Option<'static>, 40>,
}

/// Explicit congestion notification, two bits (RFC 3168, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0b00,
    /// ECN-capable transport, codepoint 1.
    Ect1 = 0b01,
    /// ECN-capable transport, codepoint 0.
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl Ecn {
    /// The codepoint of these two bits.
    #[inline]
    pub const fn from_bits(bits: u2) -> Self {
        match bits.value() {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits.
    #[inline]
    pub const fn to_bits(self) -> u2 {
        u2::new(self as u8)
    }
}

field_value!(Ecn as u2: Ecn::from_bits, |ecn: &Ecn| ecn.to_bits());

/// IPv4 option (IANA "IP Option Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = KindLength)]
pub enum Ipv4Option<'a> {
    /// The route taken so far: a pointer and addresses.
    #[option(7)]
    RecordRoute {
        /// Where the next address goes, counted from 1 at the option's type.
        pointer: u8,
        /// The addresses.
        route: Each<'a, Ipv4Addr>,
    },
    /// Every router must look at the packet (RFC 2113).
    #[option(148)]
    RouterAlert(u16),
    /// Loose source route.
    #[option(131)]
    LooseSourceRoute {
        /// Where the next address stands, counted from 1 at the option's type.
        pointer: u8,
        /// The addresses.
        route: Each<'a, Ipv4Addr>,
    },
    /// Strict source route.
    #[option(137)]
    StrictSourceRoute {
        /// Where the next address stands, counted from 1 at the option's type.
        pointer: u8,
        /// The addresses.
        route: Each<'a, Ipv4Addr>,
    },
    /// Another option.
    #[option(unknown)]
    Unknown(RawOption<'a, u8>),
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Cause, ParseError};
    use std::vec::Vec;

    const UDP: [u8; 20] = [
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 192, 168, 0, 1,
        192, 168, 0, 199,
    ];

    #[test]
    fn plain() {
        let (view, rest) = Ipv4::parse(&UDP).unwrap();
        assert!(rest.is_empty() && view.dont_fragment() && !view.more_fragments());
        assert_eq!(
            (view.total_len(), view.protocol(), view.checksum()),
            (0x73, IpProtocol::UDP, 0xb861)
        );
        assert_eq!(
            (view.source(), view.ttl()),
            (Ipv4Addr::new(192, 168, 0, 1), 64)
        );
        let mut out = [0; 20];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(20));
        assert_eq!(out, UDP);
    }

    #[test]
    fn router_alert() {
        let options = Options::of(&[Ipv4Option::RouterAlert(0)]).unwrap();
        let mut out = [0; 24];
        Ipv4 {
            options,
            ..Ipv4::default()
        }
        .emit(&mut out)
        .unwrap();
        assert_eq!((out[0], &out[20..]), (0x46, &[148, 4, 0, 0][..]));
        let (view, _) = Ipv4::parse(&out).unwrap();
        assert_eq!(
            view.options().iter().collect::<Vec<_>>(),
            [Ok(Ipv4Option::RouterAlert(0))]
        );
    }

    #[test]
    fn header_length_too_small_or_too_great() {
        let mut bytes = UDP;
        for (first, cause) in [
            (
                0x44,
                Cause::BadLength {
                    claimed: 0,
                    available: 0,
                },
            ),
            (
                0x46,
                Cause::Truncated {
                    needed: 24,
                    available: 20,
                },
            ),
        ] {
            bytes[0] = first;
            assert_eq!(
                Ipv4::parse(&bytes).unwrap_err(),
                ParseError::new("Ipv4", "options", cause)
            );
        }
    }

    #[test]
    fn congestion_experienced_is_kept() {
        for (bits, ecn) in [
            (0, Ecn::NotEct),
            (1, Ecn::Ect1),
            (2, Ecn::Ect0),
            (3, Ecn::Ce),
        ] {
            assert_eq!(
                (Ecn::from_bits(u2::new(bits)), ecn.to_bits().value()),
                (ecn, bits)
            );
        }
    }
}
