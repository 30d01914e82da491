//! Stream Control Transmission Protocol (RFC 9260): the common header, for its ports.

use crate::frame::{Entered, Stacked, Step, Walk};
use crate::protocol::{Ipv4, Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop, Ipv6Routing};
use crate::{Header, IpProtocol, NoSelector};

/// SCTP common header (RFC 9260, section 3.1). Chunks follow.
///
/// The checksum is a CRC32c of the whole packet, which does not follow an edit by the difference as an Internet checksum
/// does; so what it covers is read only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv4 = IpProtocol::SCTP,
        Ipv6 = IpProtocol::SCTP,
        Ipv6HopByHop = IpProtocol::SCTP,
        Ipv6Routing = IpProtocol::SCTP,
        Ipv6Destination = IpProtocol::SCTP,
        Ipv6Fragment = IpProtocol::SCTP
    ),
    len = 12
)]
pub struct Sctp {
    /// Source port.
    #[header(key = source_port, read_only)]
    pub source: u16,
    /// Destination port.
    #[header(key = destination_port, read_only)]
    pub destination: u16,
    /// By which the receiver knows the sender of an association.
    #[header(hex, read_only)]
    pub verification_tag: u32,
    /// CRC32c of the packet (RFC 9260, appendix A), least significant byte first.
    #[header(le, hex, read_only)]
    pub checksum: u32,
}

impl Stacked for Sctp {
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.set_l4(index);
        let key = &mut walk.parsed.key;
        (key.source_port, key.destination_port) = (view.source(), view.destination());
        Ok(Step::then(NoSelector, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Ethernet;
    use crate::{Ethertype, Field};

    /// A COOKIE-ACK behind its common header.
    const COOKIE_ACK: [u8; 16] = [
        0x00, 0x07, 0x80, 0x44, 0xd2, 0x4d, 0x9c, 0xf3, 0x69, 0x22, 0x6f, 0x1c, 0x0b, 0x00, 0x00,
        0x04,
    ];

    crate::stack_parser! {
        #[header(crate = crate)]
        fn parse_sctp = Ethernet Ipv4 Sctp;
    }

    #[test]
    fn cookie_ack() {
        let (view, rest) = Sctp::parse(&COOKIE_ACK).unwrap();
        let sctp = Sctp {
            source: 7,
            destination: 32_836,
            verification_tag: 0xd24d_9cf3,
            checksum: 0x1c6f_2269,
        };
        assert_eq!((view.to_owned(), rest.len()), (sctp, 4));
        assert_eq!(crate::sctp::Checksum::BIT_OFFSET, 64);
    }

    #[test]
    fn ports_in_the_key() {
        let mut frame = [0; 50];
        let ethernet = Ethernet {
            ethertype: Ethertype::IPV4,
            ..Ethernet::default()
        };
        ethernet.emit(&mut frame).unwrap();
        let ipv4 = Ipv4 {
            protocol: IpProtocol::SCTP,
            total_len: 36,
            ..Ipv4::default()
        };
        ipv4.emit(&mut frame[14..]).unwrap();
        frame[34..].copy_from_slice(&COOKIE_ACK);
        let parsed = parse_sctp(&frame).unwrap();
        assert_eq!(
            (parsed.key.source_port, parsed.key.destination_port),
            (7, 32_836)
        );
        assert_eq!(
            (parsed.key.ip_protocol(), parsed.l4()),
            (IpProtocol::SCTP, Some(34))
        );
    }
}
