//! ICMPv6 messages (RFC 4443), each with its ICMPv6 header; those that report an error embed the start of the packet at fault,
//! for [`parse_embedded_ipv6`](crate::frame::parse_embedded_ipv6). Messages of neighbour discovery and of multicast listener discovery have files of their own.

use crate::protocol::Ipv6;
use crate::{Header, IpProtocol, TailBytes, field_value};
use arbitrary_int::u24;

/// Destination Unreachable (RFC 4443, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct Icmpv6Unreachable {
    /// Always 1.
    #[header(const = 1)]
    pub ty: u8,
    /// What cannot be reached, or why.
    #[header(bits = 8)]
    pub code: Icmpv6UnreachableCode,
    /// Of pseudo-header and message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Bytes of the embedded packet in units of eight where extensions follow it; zero: none do (RFC 4884, section 4.2).
    pub length: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved: u24,
    /// The packet at fault, as much of it as fits.
    #[header(bytes(rest))]
    pub packet: Icmpv6Embedded,
}

/// Packet Too Big (RFC 4443, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct Icmpv6PacketTooBig {
    /// Always 2.
    #[header(const = 2)]
    pub ty: u8,
    /// Zero as sent, not looked at by receivers.
    #[header(reserved)]
    pub code: u8,
    /// Of pseudo-header and message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Bytes of the greatest packet the link ahead takes.
    pub mtu: u32,
    /// The packet at fault, as much of it as fits.
    #[header(bytes(rest))]
    pub packet: Icmpv6Embedded,
}

/// Time Exceeded (RFC 4443, section 3.3): code 0 in transit, 1 in reassembly.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct Icmpv6TimeExceeded {
    /// Always 3.
    #[header(const = 3)]
    pub ty: u8,
    /// 0 in transit, 1 in reassembly.
    pub code: u8,
    /// Of pseudo-header and message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// As in [`Icmpv6Unreachable`].
    pub length: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved: u24,
    /// The packet at fault, as much of it as fits.
    #[header(bytes(rest))]
    pub packet: Icmpv6Embedded,
}

/// Parameter Problem (RFC 4443, section 3.4).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct Icmpv6ParameterProblem {
    /// Always 4.
    #[header(const = 4)]
    pub ty: u8,
    /// 0: a bad field; 1: an unknown next header; 2: an unknown option.
    pub code: u8,
    /// Of pseudo-header and message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// The byte of the packet at fault.
    pub pointer: u32,
    /// The packet at fault, as much of it as fits.
    #[header(bytes(rest))]
    pub packet: Icmpv6Embedded,
}

/// Echo request (RFC 4443, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct Icmpv6EchoRequest {
    /// Always 128.
    #[header(const = 128)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Of pseudo-header, header and data.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Who asks.
    #[header(key = identifier)]
    pub identifier: u16,
    /// How many times.
    pub sequence: u16,
}

/// Echo reply (RFC 4443, section 4.2), with the data of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct Icmpv6EchoReply {
    /// Always 129.
    #[header(const = 129)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Of pseudo-header, header and data.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Who asked.
    #[header(key = identifier)]
    pub identifier: u16,
    /// How many times.
    pub sequence: u16,
}

/// The embedded packet: an error has 1,280 bytes at most (RFC 4443, section 2.4), less its own headers.
pub type Icmpv6Embedded = TailBytes<1232>;

/// Code of [`Icmpv6Unreachable`] (RFC 4443, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Icmpv6UnreachableCode(pub u8);

impl Icmpv6UnreachableCode {
    /// There is no route.
    pub const NO_ROUTE: Self = Self(0);
    /// A filter forbids it.
    pub const PROHIBITED: Self = Self(1);
    /// The packet would leave the scope of its source.
    pub const BEYOND_SCOPE: Self = Self(2);
    /// The address does not answer.
    pub const ADDRESS: Self = Self(3);
    /// No one listens on the port.
    pub const PORT: Self = Self(4);
    /// A filter forbids the source.
    pub const SOURCE_PROHIBITED: Self = Self(5);
    /// The route is one that rejects.
    pub const REJECTED: Self = Self(6);
}

field_value!(Icmpv6UnreachableCode as u8: Icmpv6UnreachableCode, |code: &Icmpv6UnreachableCode| code.0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::pseudo_v6;
    use core::net::Ipv6Addr;

    /// From 2001:db8::1 to 2001:db8::2, about the start of a UDP datagram from there.
    const TOO_BIG: [u8; 56] = [
        0x02, 0x00, 0xdc, 0x41, 0x00, 0x00, 0x05, 0x00, // the packet:
        0x60, 0x00, 0x00, 0x00, 0x05, 0xb4, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0x02, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99,
        // its UDP header:
        0xd4, 0x31, 0x01, 0xbb, 0x05, 0xb4, 0x12, 0x34,
    ];

    #[test]
    fn packet_too_big() {
        let (from, to) = ("2001:db8::1", "2001:db8::2");
        let (from, to): (Ipv6Addr, Ipv6Addr) = (from.parse().unwrap(), to.parse().unwrap());
        assert_eq!(pseudo_v6(from, to, 58, 56).with(&TOO_BIG).checksum(), 0);
        let (view, rest) = Icmpv6PacketTooBig::parse(&TOO_BIG).unwrap();
        assert!(rest.is_empty());
        assert_eq!((view.mtu(), view.packet()), (1280, &TOO_BIG[8..]));
        let mut out = [0; 56];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(56));
        assert_eq!(out, TOO_BIG);
    }

    #[test]
    fn the_other_errors() {
        let mut bytes = TOO_BIG;
        bytes[..8].copy_from_slice(&[1, 4, 0, 0, 0, 0, 0, 0]);
        let (view, _) = Icmpv6Unreachable::parse(&bytes).unwrap();
        assert_eq!(
            (view.code(), view.packet().len()),
            (Icmpv6UnreachableCode::PORT, 48)
        );
        bytes[..8].copy_from_slice(&[3, 0, 0, 0, 6, 0, 0, 0]);
        let (view, _) = Icmpv6TimeExceeded::parse(&bytes).unwrap();
        assert_eq!((view.code(), view.length()), (0, 6));
        bytes[..8].copy_from_slice(&[4, 1, 0, 0, 0, 0, 0, 6]);
        let (view, _) = Icmpv6ParameterProblem::parse(&bytes).unwrap();
        assert_eq!((view.code(), view.pointer()), (1, 6));
        assert!(Icmpv6PacketTooBig::parse(&bytes).is_err());
    }

    #[test]
    fn echo() {
        let reply = [0x81, 0x00, 0x12, 0x34, 0xab, 0xcd, 0x00, 0x02];
        let (view, _) = Icmpv6EchoReply::parse(&reply).unwrap();
        assert_eq!((view.identifier(), view.sequence()), (0xabcd, 2));
        assert!(Icmpv6EchoRequest::parse(&reply).is_err());
    }
}
