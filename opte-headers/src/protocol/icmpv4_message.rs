//! ICMP messages (RFC 792), each with its ICMP header; those that report an error embed the start of the packet at fault, for
//! [`parse_embedded_ipv4`](crate::frame::parse_embedded_ipv4).

use crate::protocol::Ipv4;
use crate::{Header, IpProtocol, TailBytes, field_value};
use core::net::Ipv4Addr;

/// Destination Unreachable (RFC 792, page 4), and with [`Icmpv4UnreachableCode::FRAGMENTATION_NEEDED`] the MTU of the link
/// ahead (RFC 1191, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4Unreachable {
    /// Always 3.
    #[header(const = 3)]
    pub ty: u8,
    /// What cannot be reached, or why.
    #[header(bits = 8)]
    pub code: Icmpv4UnreachableCode,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved: u8,
    /// Bytes of the embedded packet in units of four where extensions follow it; zero: none do (RFC 4884, section 4.1).
    pub length: u8,
    /// Bytes of the greatest packet the link ahead takes; zero of routers that do not say.
    pub next_hop_mtu: u16,
    /// The packet at fault, header and at least eight bytes.
    #[header(bytes(rest))]
    pub packet: Icmpv4Embedded,
}

/// Time Exceeded (RFC 792, page 6): code 0 in transit, 1 in reassembly.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4TimeExceeded {
    /// Always 11.
    #[header(const = 11)]
    pub ty: u8,
    /// 0 in transit, 1 in reassembly.
    pub code: u8,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u8,
    /// As in [`Icmpv4Unreachable`].
    pub length: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u16,
    /// The packet at fault, header and at least eight bytes.
    #[header(bytes(rest))]
    pub packet: Icmpv4Embedded,
}

/// Parameter Problem (RFC 792, page 8).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4ParameterProblem {
    /// Always 12.
    #[header(const = 12)]
    pub ty: u8,
    /// 0: the pointer says where; 1: an option is missing; 2: bad length.
    pub code: u8,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// The byte of the packet at fault.
    pub pointer: u8,
    /// As in [`Icmpv4Unreachable`].
    pub length: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved: u16,
    /// The packet at fault, header and at least eight bytes.
    #[header(bytes(rest))]
    pub packet: Icmpv4Embedded,
}

/// Redirect (RFC 792, page 12): there is a better router on the sender's own link.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4Redirect {
    /// Always 5.
    #[header(const = 5)]
    pub ty: u8,
    /// 0 for the network, 1 for the host.
    pub code: u8,
    /// Of the whole message.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// The better router.
    pub gateway: Ipv4Addr,
    /// The packet that took the way round, header and at least eight bytes.
    #[header(bytes(rest))]
    pub packet: Icmpv4Embedded,
}

/// Echo request (RFC 792, page 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4EchoRequest {
    /// Always 8.
    #[header(const = 8)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Of header and data.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// Who asks.
    #[header(key = identifier)]
    pub identifier: u16,
    /// How many times.
    pub sequence: u16,
}

/// Echo reply (RFC 792, page 14), with the data of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4EchoReply {
    /// Always 0.
    #[header(const = 0)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Of header and data.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// Who asked.
    #[header(key = identifier)]
    pub identifier: u16,
    /// How many times.
    pub sequence: u16,
}

/// The embedded packet: an error has 576 bytes at most (RFC 1812, section 4.3.2.3), less its own headers.
pub type Icmpv4Embedded = TailBytes<548>;

/// Code of [`Icmpv4Unreachable`] (IANA "ICMP Parameters", type 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Icmpv4UnreachableCode(pub u8);

impl Icmpv4UnreachableCode {
    /// The network.
    pub const NETWORK: Self = Self(0);
    /// The host.
    pub const HOST: Self = Self(1);
    /// The host does not know the protocol.
    pub const PROTOCOL: Self = Self(2);
    /// No one listens on the port.
    pub const PORT: Self = Self(3);
    /// The packet is too long for the link ahead and must not be fragmented.
    pub const FRAGMENTATION_NEEDED: Self = Self(4);
    /// The source route failed.
    pub const SOURCE_ROUTE_FAILED: Self = Self(5);
    /// A filter forbids it (RFC 1812, section 5.2.7.1).
    pub const PROHIBITED: Self = Self(13);
}

field_value!(Icmpv4UnreachableCode as u8: Icmpv4UnreachableCode, |code: &Icmpv4UnreachableCode| code.0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Sum;
    use crate::{Cause, ParseError};

    /// A router's answer to a TCP segment of 1,500 bytes, MTU 1,400.
    const FRAGMENTATION_NEEDED: [u8; 36] = [
        0x03, 0x04, 0x35, 0xc7, 0x00, 0x00, 0x05, 0x78, // the packet:
        0x45, 0x00, 0x05, 0xdc, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x2d, 0xf1, 0xc0, 0xa8, 0x00,
        0x02, 0xc6, 0x33, 0x64, 0x07, // its TCP ports and sequence number:
        0xc0, 0x00, 0x01, 0xbb, 0x00, 0x00, 0x00, 0x01,
    ];

    #[test]
    fn fragmentation_needed() {
        assert_eq!(Sum::of(&FRAGMENTATION_NEEDED).checksum(), 0);
        let (view, rest) = Icmpv4Unreachable::parse(&FRAGMENTATION_NEEDED).unwrap();
        assert!(rest.is_empty());
        assert_eq!(view.code(), Icmpv4UnreachableCode::FRAGMENTATION_NEEDED);
        assert_eq!((view.next_hop_mtu(), view.packet().len()), (1400, 28));
        let mut out = [0; 36];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(36));
        assert_eq!(out, FRAGMENTATION_NEEDED);
    }

    #[test]
    fn redirect_to_a_gateway() {
        let mut bytes = FRAGMENTATION_NEEDED;
        bytes[..8].copy_from_slice(&[5, 1, 0, 0, 192, 168, 0, 254]);
        let (view, _) = Icmpv4Redirect::parse(&bytes).unwrap();
        assert_eq!(view.gateway(), Ipv4Addr::new(192, 168, 0, 254));
        assert_eq!(view.packet(), &FRAGMENTATION_NEEDED[8..]);
    }

    #[test]
    fn the_other_errors() {
        let mut bytes = FRAGMENTATION_NEEDED;
        bytes[..8].copy_from_slice(&[11, 0, 0, 0, 0, 7, 0, 0]);
        let (view, _) = Icmpv4TimeExceeded::parse(&bytes).unwrap();
        assert_eq!(
            (view.code(), view.length(), view.packet().len()),
            (0, 7, 28)
        );
        bytes[..8].copy_from_slice(&[12, 0, 0, 0, 20, 0, 0, 0]);
        let (view, _) = Icmpv4ParameterProblem::parse(&bytes).unwrap();
        assert_eq!((view.pointer(), view.packet().len()), (20, 28));
        assert_eq!(
            Icmpv4TimeExceeded::parse(&bytes).unwrap_err(),
            ParseError::new("Icmpv4TimeExceeded", "ty", Cause::Illegal { value: 12 })
        );
    }

    #[test]
    fn echo() {
        let request = [0x08, 0x00, 0x4d, 0x56, 0x00, 0x01, 0x00, 0x05];
        let (view, _) = Icmpv4EchoRequest::parse(&request).unwrap();
        assert_eq!((view.identifier(), view.sequence()), (1, 5));
        assert!(Icmpv4EchoReply::parse(&request).is_err());
        assert!(Icmpv4EchoReply::parse(&[0, 0, 0x55, 0x56, 0, 1, 0, 5]).is_ok());
    }
}
