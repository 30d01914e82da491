//! Packets embedded in ICMP errors: their start only, cut off anywhere behind the IP header.

use super::key::{FlowKey, KeyKind};
use super::kind::HeaderKind;
use super::offsets::{Offsets, Shape};
use super::parsed::Fragment;
use crate::error::ParseError;
use crate::header::Header;
use crate::ip_protocol::IpProtocol;
use crate::protocol::{
    Icmpv4, Icmpv6, Ipv4, Ipv4Get, Ipv6, Ipv6Fragment, Ipv6FragmentGet, Ipv6Get, Sctp, Tcp, Udp,
};

/// What the start of an embedded packet comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// The key of the embedded packet, in the direction in which it was sent: its sender gets the error.
    pub key: FlowKey,
    /// Where its headers start: IP at position 0, and transport at 1, if it is there.
    pub offsets: Offsets,
    /// Which headers they are.
    pub shape: Shape,
    /// Whether it is a fragment.
    pub fragment: Fragment,
    /// Bytes the whole packet had, as its header tells.
    pub packet_len: u32,
    /// Bytes of it that are here.
    pub available: u32,
}

impl Embedded {
    /// Byte at which the transport header starts; none in a later fragment.
    pub fn l4(&self) -> Option<usize> {
        self.offsets.at(1).map(usize::from)
    }

    /// Whether the packet goes on behind what is here.
    pub const fn is_truncated(&self) -> bool {
        self.available < self.packet_len
    }
}

/// Parses the start of an IPv4 packet, as an ICMP error embeds it (RFC 792: the header and at least eight bytes).
///
/// The IP header has to be whole. Of TCP, UDP and other protocols with ports these have to be there (four bytes), of ICMP
/// type and code, of ICMP echo the identifier; whatever follows may be cut off. Bytes behind the packet, such as the
/// extensions of RFC 4884, are not looked at. Checksums are not checked.
///
/// # Errors
/// The IP header is malformed, or what has to be there is not.
///
/// ```
/// use opte_headers::frame::parse_embedded_ipv4;
/// use opte_headers::{Header, Icmpv4Unreachable, Icmpv4UnreachableGet};
///
/// // Port unreachable, about a DNS query from 10.0.0.1 to 10.0.0.2.
/// let error = [
///     0x03, 0x03, 0x2a, 0x6e, 0, 0, 0, 0, 0x45, 0, 0, 0x39, 0, 0, 0, 0, 64, 17, 0x66, 0xb2, 10, 0, 0, 1, 10, 0, 0, 2,
///     0xc0, 0x00, 0x00, 0x35, 0x00, 0x25, 0x12, 0x34,
/// ];
/// let (view, _) = Icmpv4Unreachable::parse(&error).unwrap();
/// let embedded = parse_embedded_ipv4(view.packet()).unwrap();
/// assert_eq!(embedded.key.to_string(), "UDP 10.0.0.1:49152 -> 10.0.0.2:53");
/// assert!(embedded.is_truncated());
/// ```
pub fn parse_embedded_ipv4(bytes: &[u8]) -> Result<Embedded, ParseError> {
    let (view, rest) = Ipv4::parse(bytes)?;
    let len = bytes.len() - rest.len();
    let total = usize::from(view.total_len());
    let Some(body_len) = total.checked_sub(len) else {
        return Err(ParseError::bad_length("Ipv4", "total_len", total, len));
    };
    let body = rest.get(..body_len).unwrap_or(rest);
    let mut embedded = Embedded::new(HeaderKind::Ipv4, total, len + body.len());
    embedded.key.source = FlowKey::octets_of_v4(view.source());
    embedded.key.destination = FlowKey::octets_of_v4(view.destination());
    let first = view.fragment_offset().value() == 0;
    if view.more_fragments() || !first {
        embedded.set_fragment(first);
    }
    embedded.transport(view.protocol(), len, body)?;
    Ok(embedded)
}

/// Parses the start of an IPv6 packet, as an ICMPv6 error embeds it (RFC 4443, section 2.4: as much as fits).
///
/// As [`parse_embedded_ipv4`]; extension headers have to be whole, and are in any order.
///
/// # Errors
/// A header is malformed, what has to be there is not, there are more than eight extension headers, or an address would be
/// taken for one of IPv4 in the key.
pub fn parse_embedded_ipv6(bytes: &[u8]) -> Result<Embedded, ParseError> {
    let (view, rest) = Ipv6::parse(bytes)?;
    let claimed = usize::from(view.payload_len());
    let body = rest.get(..claimed).unwrap_or(rest);
    let total = Ipv6::MIN_LEN + claimed;
    let mut embedded = Embedded::new(HeaderKind::Ipv6, total, Ipv6::MIN_LEN + body.len());
    for (address, field) in [
        (view.source(), "source"),
        (view.destination(), "destination"),
    ] {
        if address.to_ipv4_mapped().is_some() {
            return Err(ParseError::illegal("Ipv6", field, 0xffff));
        }
    }
    embedded.key.source = view.source().octets();
    embedded.key.destination = view.destination().octets();
    let (protocol, rest) = embedded.extensions(view.next_header(), body)?;
    let at = Ipv6::MIN_LEN + (body.len() - rest.len());
    embedded.transport(protocol, at, rest)?;
    Ok(embedded)
}

/// Extension headers that an IPv6 packet may have (RFC 8883 lets a node limit them).
const MAX_EXTENSIONS: usize = 8;

impl Embedded {
    fn new(kind: HeaderKind, packet_len: usize, available: usize) -> Self {
        let mut this = Self {
            packet_len: packet_len as u32,
            available: available as u32,
            ..Self::default()
        };
        this.push(0, kind);
        this
    }

    fn push(&mut self, at: usize, kind: HeaderKind) {
        let index = self.offsets.count();
        if u16::try_from(at).is_ok_and(|at| self.offsets.push(at)) {
            self.shape.set(index, kind);
        }
    }

    const fn set_fragment(&mut self, first: bool) {
        if first {
            self.fragment = Fragment::First;
        } else {
            self.fragment = Fragment::Later;
            self.key.kind = KeyKind::FRAGMENT;
        }
    }

    /// Goes through extension headers, to the protocol behind them or the data of a later fragment.
    fn extensions<'a>(
        &mut self,
        mut next: IpProtocol,
        mut bytes: &'a [u8],
    ) -> Result<(IpProtocol, &'a [u8]), ParseError> {
        for _ in 0..=MAX_EXTENSIONS {
            if !next.is_ipv6_extension() || self.fragment == Fragment::Later {
                return Ok((next, bytes));
            }
            if next == IpProtocol::FRAGMENT {
                let (view, rest) = Ipv6Fragment::parse(bytes)?;
                let first = view.fragment_offset().value() == 0;
                // Offset zero and nothing more: a whole packet after all (RFC 6946).
                if !first || view.more_fragments() {
                    self.set_fragment(first);
                }
                (next, bytes) = (view.next_header(), rest);
                continue;
            }
            // RFC 6564: next header, then the length in units of eight bytes without the first eight.
            let [following, units, ..] = *bytes else {
                return Err(ParseError::truncated("Ipv6", "extension", 2, bytes.len()));
            };
            let len = 8 + 8 * usize::from(units);
            bytes = bytes.get(len..).ok_or(ParseError::truncated(
                "Ipv6",
                "extension",
                len,
                bytes.len(),
            ))?;
            next = IpProtocol(following);
        }
        Err(ParseError::unsupported("Ipv6", "extension", next.0.into()))
    }

    /// What the key takes from a transport header of which the start is here.
    fn transport(
        &mut self,
        protocol: IpProtocol,
        at: usize,
        bytes: &[u8],
    ) -> Result<(), ParseError> {
        self.key.protocol = protocol.0;
        if self.fragment == Fragment::Later {
            return Ok(());
        }
        let v4 = self.shape.at(0) == HeaderKind::Ipv4;
        match protocol {
            IpProtocol::TCP => self.ports(HeaderKind::Tcp, Tcp::NAME, at, bytes),
            IpProtocol::UDP => self.ports(HeaderKind::Udp, Udp::NAME, at, bytes),
            IpProtocol::ICMP if v4 => {
                self.icmp(HeaderKind::Icmpv4, Icmpv4::NAME, [8, 0], at, bytes)
            }
            IpProtocol::ICMPV6 if !v4 => {
                self.icmp(HeaderKind::Icmpv6, Icmpv6::NAME, [128, 129], at, bytes)
            }
            IpProtocol::SCTP => self.ports(HeaderKind::Other, Sctp::NAME, at, bytes),
            _ => {
                self.push(at, HeaderKind::Other);
                Ok(())
            }
        }
    }

    fn ports(
        &mut self,
        kind: HeaderKind,
        name: &'static str,
        at: usize,
        bytes: &[u8],
    ) -> Result<(), ParseError> {
        let [a, b, c, d, ..] = *bytes else {
            return Err(ParseError::truncated(name, "destination", 4, bytes.len()));
        };
        self.key.source_port = u16::from_be_bytes([a, b]);
        self.key.destination_port = u16::from_be_bytes([c, d]);
        self.push(at, kind);
        Ok(())
    }

    fn icmp(
        &mut self,
        kind: HeaderKind,
        name: &'static str,
        [request, reply]: [u8; 2],
        at: usize,
        bytes: &[u8],
    ) -> Result<(), ParseError> {
        let [ty, code, ref rest @ ..] = *bytes else {
            return Err(ParseError::truncated(name, "code", 2, bytes.len()));
        };
        let key = &mut self.key;
        if code == 0 && (ty == request || ty == reply) {
            let [_, _, a, b, ..] = *rest else {
                return Err(ParseError::truncated(name, "identifier", 6, bytes.len()));
            };
            let identifier = u16::from_be_bytes([a, b]);
            (key.source_port, key.destination_port) = (identifier, identifier);
            key.kind = if ty == request {
                KeyKind::ECHO_REQUEST
            } else {
                KeyKind::ECHO_REPLY
            };
        } else {
            key.source_port = u16::from_be_bytes([ty, code]);
            key.kind = KeyKind::ICMP;
        }
        self.push(at, kind);
        Ok(())
    }
}
