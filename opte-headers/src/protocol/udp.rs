//! User Datagram Protocol (RFC 768).

use crate::protocol::{Ipv4, Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop, Ipv6Routing};
use crate::{Header, IpProtocol};

/// UDP header (RFC 768).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv4 = IpProtocol::UDP,
        Ipv6 = IpProtocol::UDP,
        Ipv6HopByHop = IpProtocol::UDP,
        Ipv6Routing = IpProtocol::UDP,
        Ipv6Destination = IpProtocol::UDP,
        Ipv6Fragment = IpProtocol::UDP
    ),
    len = 8
)]
pub struct Udp {
    /// Source port.
    #[header(key = source_port)]
    pub source: u16,
    /// Destination port, which for tunnels tells what follows.
    #[header(key = destination_port, next(hint))]
    pub destination: u16,
    /// Bytes of header and data.
    #[header(length(of = packet))]
    pub length: u16,
    /// Of pseudo-header, header and data; zero if there is none.
    #[header(checksum(pseudo, zero_is_none))]
    pub checksum: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counted, Covers, Header};

    #[test]
    fn dns_query() {
        let (view, rest) =
            Udp::parse(&[0xd1, 0x13, 0x00, 0x35, 0x00, 0x2b, 0x2f, 0x6a, 7]).unwrap();
        let udp = Udp {
            source: 53_523,
            destination: 53,
            length: 43,
            checksum: 0x2f6a,
        };
        assert_eq!((view.to_owned(), rest), (udp, &[7][..]));
        assert_eq!(
            Udp::CHECKSUM.unwrap().covers,
            Covers::Pseudo { zero_is_none: true }
        );
        assert_eq!(Udp::LENGTH.unwrap().counts, Counted::Packet);
    }
}
