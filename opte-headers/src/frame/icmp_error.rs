//! ICMP errors in frames, and the translation of the packets they embed.

use super::embedded::{Embedded, parse_embedded_ipv4, parse_embedded_ipv6};
use super::key::{FlowKey, KeyKind};
use super::kind::HeaderKind;
use super::parsed::Parsed;
use crate::checksum::{Sum, Zero, follow};
use crate::error::{Cause, ParseError};
use crate::header::Header;
use crate::protocol::{Icmpv4, Icmpv6, Ipv4, Tcp, Udp};
use core::fmt;

/// An ICMP or ICMPv6 error in a frame, and what it embeds: [`Parsed::icmp_error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Byte of the frame at which the ICMP header starts.
    pub at: u32,
    /// The packet at fault; its offsets count from its own start, which is at [`IcmpError::packet`].
    pub embedded: Embedded,
}

impl Parsed {
    /// The ICMP error that the innermost packet is, if it is one: Destination Unreachable, Packet Too Big, Source Quench, Redirect,
    /// Time Exceeded, Parameter Problem. What RFC 4884 appends to the embedded packet is left out.
    ///
    /// # Errors
    /// What it embeds is not enough of a packet: see [`parse_embedded_ipv4`].
    pub fn icmp_error(&self, frame: &[u8]) -> Result<Option<IcmpError>, ParseError> {
        let kind = self.l4_kind();
        let (Some(at), HeaderKind::Icmpv4 | HeaderKind::Icmpv6) = (self.l4(), kind) else {
            return Ok(None);
        };
        let message = self.trim(frame).get(at..).unwrap_or_default();
        let Some(([ty, _, _, _, v6_len, v4_len, ..], rest)) =
            message.split_first_chunk::<{ IcmpError::HEADER_LEN }>()
        else {
            return Ok(None);
        };
        // RFC 4884, section 4: where extensions follow, a length tells the embedded packet's end, in units of 4 or 8 bytes.
        let embedded_len = match (kind, *ty) {
            (HeaderKind::Icmpv4, 3 | 11 | 12) => 4 * usize::from(*v4_len),
            (HeaderKind::Icmpv6, 1 | 3) => 8 * usize::from(*v6_len),
            (HeaderKind::Icmpv4, 4 | 5) | (HeaderKind::Icmpv6, 2 | 4) => 0,
            _ => return Ok(None),
        };
        let packet = match embedded_len {
            0 => rest,
            len => rest.get(..len).unwrap_or(rest),
        };
        let embedded = match kind {
            HeaderKind::Icmpv4 => parse_embedded_ipv4(packet)?,
            _ => parse_embedded_ipv6(packet)?,
        };
        let at = at as u32;
        Ok(Some(IcmpError { at, embedded }))
    }
}

impl IcmpError {
    /// Bytes in front of the embedded packet (RFC 792; RFC 4443, section 3).
    const HEADER_LEN: usize = 8;

    /// Byte of the frame at which the embedded packet starts.
    pub const fn packet(&self) -> usize {
        self.at as usize + Self::HEADER_LEN
    }

    /// That the checksums are right which a translator has to look at (RFC 5508, section 4.1): of the ICMP message, and of the
    /// embedded IPv4 header. That of the embedded transport header is not looked at, even where all it covers is there.
    ///
    /// # Errors
    /// `BadChecksum`. Also where the message is a fragment: the rest is not there.
    pub fn verify(&self, frame: &[u8], parsed: &Parsed) -> Result<(), ParseError> {
        let message = parsed.trim(frame).get(self.at as usize..);
        let message = message.unwrap_or_default();
        let packet = message.get(Self::HEADER_LEN..).unwrap_or_default();
        let (name, pseudo) = match parsed.l4_kind() {
            HeaderKind::Icmpv4 => {
                let len = Ipv4::parse(packet).map(|(_, rest)| packet.len() - rest.len())?;
                sums_to_zero(Sum::of(packet.get(..len).unwrap_or_default()), Ipv4::NAME)?;
                (Icmpv4::NAME, Sum::ZERO)
            }
            _ => {
                let ip = parsed.l3().and_then(|at| frame.get(at + 8..at + 40));
                let len = message.len() as u32;
                let pseudo = Sum::of(ip.unwrap_or_default()).with(&len.to_be_bytes());
                (Icmpv6::NAME, pseudo.with_word(58))
            }
        };
        sums_to_zero(pseudo.with(message), name)
    }

    /// Makes the embedded packet one of the flow `to`: its addresses and ports, the identifier of an echo, the checksum of its
    /// IPv4 header, that of its transport header where it is there whole, and the checksum of the ICMP message around it, each by the
    /// difference (RFC 1624, equation 3; RFC 5508, section 4.2). A checksum that was wrong stays wrong by as much.
    ///
    /// The IP header around the message is another matter: [`Editor`](super::Editor), or a [`Program`](crate::Program).
    /// Where the embedded packet shows no ports (a later fragment, a protocol without, ICMP but echo), those of `to` are not looked
    /// at; nor where they cannot change (SCTP, whose CRC covers them).
    ///
    /// # Errors
    /// `to` is a flow of another kind, or the bytes are not those of the error. Nothing is changed then.
    ///
    /// ```
    /// use opte_headers::frame::parse_guest;
    /// # use opte_headers::{Ethernet, Ethertype, Header, IpProtocol, Ipv4};
    /// # let mut frame = [0; 70];
    /// # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
    /// # let ip = Ipv4 { total_len: 56, protocol: IpProtocol::ICMP, ..Ipv4::default() };
    /// # ip.emit(&mut frame[14..]).unwrap();
    /// # frame[34..].copy_from_slice(&[
    /// #   0x03, 0x03, 0x2a, 0x6e, 0, 0, 0, 0, 0x45, 0, 0, 0x39, 0, 0, 0, 0, 64, 17, 0x66, 0xb2, 10, 0, 0, 1, 10, 0, 0, 2,
    /// #   0xc0, 0x00, 0x00, 0x35, 0x00, 0x25, 0x12, 0x34,
    /// # ]);
    /// let parsed = parse_guest(&frame)?;
    /// let error = parsed.icmp_error(&frame)?.expect("a port is unreachable");
    /// assert_eq!(error.embedded.key.to_string(), "UDP 10.0.0.1:49152 -> 10.0.0.2:53");
    ///
    /// let mut inside = error.embedded.key.with_source_ip("172.30.0.5".parse()?);
    /// inside.source_port = 1025;
    /// error.translate(&mut frame, &inside)?;
    /// assert_eq!(parsed.icmp_error(&frame)?.unwrap().embedded.key, inside);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn translate(&self, frame: &mut [u8], to: &FlowKey) -> Result<(), TranslateError> {
        let from = &self.embedded.key;
        let families = |key: &FlowKey| {
            let (source, destination) = (key.source_ip(), key.destination_ip());
            (source.is_ipv4(), destination.is_ipv4())
        };
        if (from.protocol, from.kind, families(from)) != (to.protocol, to.kind, families(to)) {
            return Err(TranslateError::OtherKind);
        }
        let end = self.packet() + self.embedded.available as usize;
        let message = frame
            .get_mut(self.at as usize..end)
            .ok_or(TranslateError::NotThere)?;
        let mut words = Words {
            message,
            all: Sum::ZERO,
        };
        let v4 = self.embedded.shape.at(0) == HeaderKind::Ipv4;
        words.translate(&self.embedded, v4, to);
        let all = words.all;
        words.patch(2, all, if v4 { Zero::Never } else { Zero::IsASum });
        Ok(())
    }
}

fn sums_to_zero(sum: Sum, header: &'static str) -> Result<(), ParseError> {
    match sum.checksum() {
        0 => Ok(()),
        _ => Err(ParseError::new(header, "checksum", Cause::BadChecksum)),
    }
}

/// An ICMP message that is written to.
struct Words<'a> {
    message: &'a mut [u8],
    /// What its sum changes by.
    all: Sum,
}

impl Words<'_> {
    fn translate(&mut self, embedded: &Embedded, v4: bool, to: &FlowKey) {
        let ip = IcmpError::HEADER_LEN;
        let [.., a, b, c, d] = to.source;
        let [.., e, f, g, h] = to.destination;
        let addresses = if v4 {
            let change = self.write(ip + 12, &[a, b, c, d, e, f, g, h]);
            self.patch(ip + 10, change, Zero::IsASum);
            change
        } else {
            let source = self.write(ip + 8, &to.source);
            source.plus(self.write(ip + 24, &to.destination))
        };
        let Some(l4) = embedded.l4().map(|l4| ip + l4) else {
            return;
        };
        let (checksum, change, zero) = match embedded.shape.at(1) {
            HeaderKind::Tcp => (
                Tcp::CHECKSUM,
                addresses.plus(self.ports(l4, to)),
                Zero::IsASum,
            ),
            HeaderKind::Udp => (
                Udp::CHECKSUM,
                addresses.plus(self.ports(l4, to)),
                Zero::IsNone,
            ),
            HeaderKind::Icmpv4 => (Icmpv4::CHECKSUM, self.identifier(l4, to), Zero::Never),
            HeaderKind::Icmpv6 => {
                let change = addresses.plus(self.identifier(l4, to));
                (Icmpv6::CHECKSUM, change, Zero::IsASum)
            }
            _ => return,
        };
        if let Some(role) = checksum {
            self.patch(l4 + role.offset, change, zero);
        }
    }

    fn ports(&mut self, l4: usize, to: &FlowKey) -> Sum {
        let ([a, b], [c, d]) = (
            to.source_port.to_be_bytes(),
            to.destination_port.to_be_bytes(),
        );
        self.write(l4, &[a, b, c, d])
    }

    fn identifier(&mut self, l4: usize, to: &FlowKey) -> Sum {
        match to.kind {
            KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY => {
                self.write(l4 + 4, &to.source_port.to_be_bytes())
            }
            _ => Sum::ZERO,
        }
    }

    /// Writes words; what the sum of those that are there changes by.
    fn write(&mut self, at: usize, words: &[u8]) -> Sum {
        let Some(place) = self.message.get_mut(at..at + words.len()) else {
            return Sum::ZERO;
        };
        let change = Sum::change(Sum::of(place), Sum::of(words));
        place.copy_from_slice(words);
        self.all = self.all.plus(change);
        change
    }

    /// Adds a change to a checksum, if it is there.
    fn patch(&mut self, at: usize, change: Sum, zero: Zero) {
        let field = self.message.get(at..at + 2).and_then(<[u8]>::first_chunk);
        let old = field.map(|field| u16::from_be_bytes(*field));
        if let Some(new) = old.and_then(|old| follow(old, change, zero)) {
            self.write(at, &new.to_be_bytes());
        }
    }
}

/// Why an embedded packet was not translated. Nothing was changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranslateError {
    /// The flow it was to belong to is of another protocol or family, or of another kind: an echo request is no reply.
    OtherKind,
    /// The frame ends before the embedded packet does.
    NotThere,
}

impl fmt::Display for TranslateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherKind => "the embedded packet is of another protocol, family or kind",
            Self::NotThere => "the frame ends before the embedded packet does",
        })
    }
}

impl core::error::Error for TranslateError {}
