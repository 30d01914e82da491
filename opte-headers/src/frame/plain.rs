//! The frames that nearly all are: TCP or UDP over IPv4 or IPv6 without options, extension headers, fragments or tags, in a
//! Geneve tunnel or in none. They are told by a few comparisons of whole words, and all that does not depend on
//! the frame is a constant. Anything else, and anything at fault, is left to the parser of the stack.

use super::HeaderKind;
use super::key::{FlowKey, KeyVni};
use super::offsets::{Offsets, Shape};
use super::parsed::{Fragment, Parsed, TunnelOptions};
use super::parsers::{Then, parse_any_geneve, parse_any_guest};
use crate::error::ParseError;
use crate::ethertype::Ethertype;
use crate::header::{Field, Header};
use crate::ip_protocol::IpProtocol;
use crate::options::GeneveKind;
use crate::protocol::{
    Ethernet, Geneve, Ipv4, Ipv6, Tcp, Udp, ethernet, geneve, ipv4, ipv6, tcp, udp,
};

/// Where a field begins whose first bit is the first of a byte.
const fn at<F: Field>() -> usize {
    F::BIT_OFFSET / 8
}

const L3: usize = Ethernet::MIN_LEN;
const L4_OF_V4: usize = L3 + Ipv4::MIN_LEN;
const L4_OF_V6: usize = L3 + Ipv6::MIN_LEN;

/// Where the fixed parts of the headers end.
const TCP_END_OF_V4: usize = L4_OF_V4 + Tcp::MIN_LEN;
const UDP_END_OF_V4: usize = L4_OF_V4 + Udp::MIN_LEN;
const TCP_END_OF_V6: usize = L4_OF_V6 + Tcp::MIN_LEN;
const UDP_END_OF_V6: usize = L4_OF_V6 + Udp::MIN_LEN;

/// Where the header of Geneve begins, and its options.
const GENEVE: usize = L4_OF_V6 + Udp::MIN_LEN;
const OPTIONS: usize = GENEVE + Geneve::MIN_LEN;

/// What is around the innermost frame.
pub(super) trait Around {
    /// How many bytes.
    const LEN: usize;
    /// The options of the tunnel.
    const OPTIONS: TunnelOptions = TunnelOptions(0);

    /// Whether it is as plain as the frame in it. The bytes of both are there.
    fn is_plain(around: &[u8]) -> bool;

    /// The innermost frame, with what pads it.
    fn inner(bytes: &[u8]) -> Option<&[u8]>;

    /// The network identifier.
    fn vni(bytes: &[u8]) -> KeyVni;

    /// Parses any frame.
    fn parse_any(bytes: &[u8]) -> Result<Parsed, ParseError>;
}

/// Nothing: frames as guests send them.
pub(super) enum Nothing {}

/// A tunnel of Geneve: frames of the underlay, from outside the overlay or not. What says that they are is the one option.
pub(super) enum Tunnel<const EXTERNAL: bool> {}

impl Around for Nothing {
    const LEN: usize = 0;

    #[inline(always)]
    fn is_plain(_: &[u8]) -> bool {
        true
    }

    #[inline(always)]
    fn inner(bytes: &[u8]) -> Option<&[u8]> {
        Some(bytes)
    }

    #[inline(always)]
    fn vni(_: &[u8]) -> KeyVni {
        KeyVni::of_wire([0; 4])
    }

    #[inline(always)]
    fn parse_any(bytes: &[u8]) -> Result<Parsed, ParseError> {
        parse_any_guest(bytes)
    }
}

impl<const EXTERNAL: bool> Around for Tunnel<EXTERNAL> {
    const LEN: usize = OPTIONS + if EXTERNAL { 4 } else { 0 };
    const OPTIONS: TunnelOptions = TunnelOptions(if EXTERNAL {
        TunnelOptions::EXTERNAL.0
    } else {
        0
    });

    #[inline(always)]
    fn is_plain(around: &[u8]) -> bool {
        let next = around.get(L3 + at::<ipv6::NextHeader>());
        Word::of(around, V6.at).is(V6)
            && next == Some(&IpProtocol::UDP.0)
            && half(around, L4_OF_V6 + at::<udp::Destination>()) == Geneve::PORT
            && Word::of(around, GENEVE).is(if EXTERNAL { ONE_OPTION } else { NO_OPTIONS })
            && (!EXTERNAL || Word::of(around, OPTIONS).is(OPTION))
    }

    #[inline(always)]
    fn inner(bytes: &[u8]) -> Option<&[u8]> {
        let end = L4_OF_V6 + usize::from(half(bytes, L3 + at::<ipv6::PayloadLen>()));
        let inner_end = L4_OF_V6 + usize::from(half(bytes, L4_OF_V6 + at::<udp::Length>()));
        if end > bytes.len() || inner_end > end || has_v4_mapped(bytes) {
            return None;
        }
        bytes.get(Self::LEN..inner_end)
    }

    #[inline(always)]
    fn vni(bytes: &[u8]) -> KeyVni {
        KeyVni::of_wire(
            Word::of(bytes, GENEVE + at::<geneve::Vni>())
                .0
                .to_ne_bytes(),
        )
    }

    #[inline(always)]
    fn parse_any(bytes: &[u8]) -> Result<Parsed, ParseError> {
        parse_any_geneve(bytes)
    }
}

/// The stacks that are told.
#[derive(Clone, Copy)]
enum Told {
    TcpOverV4,
    UdpOverV4,
    TcpOverV6,
    UdpOverV6,
    Other,
}

impl Told {
    #[inline(always)]
    fn of<A: Around>(bytes: &[u8]) -> Self {
        if let Some((around, inner)) = bytes.split_at_checked(A::LEN)
            && let Some(frame) = inner.first_chunk::<UDP_END_OF_V4>()
            && A::is_plain(around)
        {
            let start = Word::of(frame, V4.at);
            if start.is(V4) {
                let transport = Word::of(frame, TCP_OVER_V4.at);
                if transport.is(TCP_OVER_V4) {
                    return Self::TcpOverV4;
                }
                if transport.is(UDP_OVER_V4) {
                    return Self::UdpOverV4;
                }
            } else if start.is(V6) {
                match frame.get(L3 + at::<ipv6::NextHeader>()) {
                    Some(&TCP) => return Self::TcpOverV6,
                    Some(&UDP) => return Self::UdpOverV6,
                    _ => {}
                }
            }
        }
        Self::Other
    }
}

/// Parses a frame: a plain one here, any other by the parser of its stack.
#[inline]
pub(super) fn parse<A: Around>(bytes: &[u8]) -> Result<Parsed, ParseError> {
    // Each stack has a function of its own, which writes its result, most of it constant, to where it is to be.
    match Told::of::<A>(bytes) {
        Told::TcpOverV4 => tcp_over_v4::<A>(bytes),
        Told::UdpOverV4 => udp_over_v4::<A>(bytes),
        Told::TcpOverV6 => tcp_over_v6::<A>(bytes),
        Told::UdpOverV6 => udp_over_v6::<A>(bytes),
        Told::Other => any::<A>(bytes),
    }
}

/// As [`parse`], with what is then done in the function of each stack.
#[inline(always)]
pub(super) fn parse_then<A: Around, T: Then>(then: T) -> T::Output {
    let bytes = then.frame();
    match Told::of::<A>(bytes) {
        Told::TcpOverV4 => {
            if let Some(frame) = V4Frame::<TCP_END_OF_V4>::measured::<A>(bytes, tcp_payload) {
                let parsed = frame.within::<A>(bytes, const { of_v4::<A>(TCP) });
                return then.parsed(parsed);
            }
        }
        Told::UdpOverV4 => {
            if let Some(frame) = V4Frame::<UDP_END_OF_V4>::measured::<A>(bytes, udp_payload) {
                let parsed = frame.within::<A>(bytes, const { of_v4::<A>(UDP) });
                return then.parsed(parsed);
            }
        }
        Told::TcpOverV6 => {
            if let Some(frame) = V6Frame::<TCP_END_OF_V6>::measured::<A>(bytes, tcp_payload) {
                let parsed = frame.within::<A>(bytes, const { of_v6::<A>(TCP) });
                return then.parsed(parsed);
            }
        }
        Told::UdpOverV6 => {
            if let Some(frame) = V6Frame::<UDP_END_OF_V6>::measured::<A>(bytes, udp_payload) {
                let parsed = frame.within::<A>(bytes, const { of_v6::<A>(UDP) });
                return then.parsed(parsed);
            }
        }
        Told::Other => {}
    }
    match any::<A>(bytes) {
        Ok(parsed) => then.parsed(parsed),
        Err(error) => then.malformed(error),
    }
}

/// Any frame. Out of the way: what it keeps on the stack is not for plain frames to make room for.
#[inline(never)]
fn any<A: Around>(bytes: &[u8]) -> Result<Parsed, ParseError> {
    A::parse_any(bytes)
}

const TCP: u8 = IpProtocol::TCP.0;
const UDP: u8 = IpProtocol::UDP.0;

#[inline(never)]
fn tcp_over_v4<A: Around>(bytes: &[u8]) -> Result<Parsed, ParseError> {
    match V4Frame::<TCP_END_OF_V4>::measured::<A>(bytes, tcp_payload) {
        Some(frame) => Ok(frame.within::<A>(bytes, const { of_v4::<A>(TCP) })),
        None => any::<A>(bytes),
    }
}

#[inline(never)]
fn udp_over_v4<A: Around>(bytes: &[u8]) -> Result<Parsed, ParseError> {
    match V4Frame::<UDP_END_OF_V4>::measured::<A>(bytes, udp_payload) {
        Some(frame) => Ok(frame.within::<A>(bytes, const { of_v4::<A>(UDP) })),
        None => any::<A>(bytes),
    }
}

#[inline(never)]
fn tcp_over_v6<A: Around>(bytes: &[u8]) -> Result<Parsed, ParseError> {
    match V6Frame::<TCP_END_OF_V6>::measured::<A>(bytes, tcp_payload) {
        Some(frame) => Ok(frame.within::<A>(bytes, const { of_v6::<A>(TCP) })),
        None => any::<A>(bytes),
    }
}

#[inline(never)]
fn udp_over_v6<A: Around>(bytes: &[u8]) -> Result<Parsed, ParseError> {
    match V6Frame::<UDP_END_OF_V6>::measured::<A>(bytes, udp_payload) {
        Some(frame) => Ok(frame.within::<A>(bytes, const { of_v6::<A>(UDP) })),
        None => any::<A>(bytes),
    }
}

/// The start of a frame of IPv4, of which the lengths are right: where the packet ends, and where the payload begins.
struct V4Frame<'a, const END: usize> {
    frame: &'a [u8; END],
    end: usize,
    payload: usize,
}

/// The same of IPv6.
struct V6Frame<'a, const END: usize> {
    frame: &'a [u8; END],
    end: usize,
    payload: usize,
}

impl<'a, const END: usize> V4Frame<'a, END> {
    #[inline(always)]
    fn measured<A: Around>(
        bytes: &'a [u8],
        payload: impl Fn(&[u8], usize, usize) -> Option<usize>,
    ) -> Option<Self> {
        let inner = A::inner(bytes)?;
        let frame = inner.first_chunk()?;
        let end = L3 + usize::from(half(frame, L3 + at::<ipv4::TotalLen>()));
        if end > inner.len() {
            return None;
        }
        let payload = payload(frame, L4_OF_V4, end)?;
        Some(Self {
            frame,
            end,
            payload,
        })
    }

    /// What is not written here is the same for all frames of the stack.
    #[inline(always)]
    fn within<A: Around>(&self, bytes: &[u8], of_stack: Parsed) -> Parsed {
        let (mut parsed, frame) = (of_stack, self.frame);
        copy::<4>(&mut parsed.key.source, frame, L3 + at::<ipv4::Source>());
        let destination = L3 + at::<ipv4::Destination>();
        copy::<4>(&mut parsed.key.destination, frame, destination);
        parsed.set::<A>(bytes, ports(frame, L4_OF_V4), self.end, self.payload);
        parsed
    }
}

impl<'a, const END: usize> V6Frame<'a, END> {
    #[inline(always)]
    fn measured<A: Around>(
        bytes: &'a [u8],
        payload: impl Fn(&[u8], usize, usize) -> Option<usize>,
    ) -> Option<Self> {
        let inner = A::inner(bytes)?;
        let frame = inner.first_chunk()?;
        let end = L4_OF_V6 + usize::from(half(frame, L3 + at::<ipv6::PayloadLen>()));
        if end > inner.len() || has_v4_mapped(frame) {
            return None;
        }
        let payload = payload(frame, L4_OF_V6, end)?;
        Some(Self {
            frame,
            end,
            payload,
        })
    }

    #[inline(always)]
    fn within<A: Around>(&self, bytes: &[u8], of_stack: Parsed) -> Parsed {
        let (mut parsed, frame) = (of_stack, self.frame);
        copy::<16>(&mut parsed.key.source, frame, L3 + at::<ipv6::Source>());
        let destination = L3 + at::<ipv6::Destination>();
        copy::<16>(&mut parsed.key.destination, frame, destination);
        parsed.set::<A>(bytes, ports(frame, L4_OF_V6), self.end, self.payload);
        parsed
    }
}

/// Copies `N` bytes of the frame to the end of an address.
#[inline(always)]
fn copy<const N: usize>(address: &mut [u8; 16], frame: &[u8], at: usize) {
    let octets = frame.get(at..).and_then(<[u8]>::first_chunk::<N>);
    if let (Some(to), Some(octets)) = (address.last_chunk_mut(), octets) {
        *to = *octets;
    }
}

/// Where the segment's data begin. The header and `end` are in the frame as far as they claim to.
#[inline(always)]
fn tcp_payload(frame: &[u8], l4: usize, end: usize) -> Option<usize> {
    const { assert!(tcp::DataOffset::BIT_OFFSET % 8 == 0 && tcp::DataOffset::BITS == 4) }
    let words = *frame.get(l4 + at::<tcp::DataOffset>())? >> 4;
    let len = 4 * usize::from(words);
    (len >= Tcp::MIN_LEN && l4 + len <= end).then_some(l4 + len)
}

/// Where the datagram's data begin.
#[inline(always)]
fn udp_payload(frame: &[u8], l4: usize, end: usize) -> Option<usize> {
    let length = usize::from(half(frame, l4 + at::<udp::Length>()));
    (length >= Udp::MIN_LEN && l4 + length <= end).then_some(l4 + Udp::MIN_LEN)
}

/// Both ports, turned as one number.
#[inline(always)]
fn ports(frame: &[u8], l4: usize) -> (u16, u16) {
    const {
        assert!(at::<tcp::Source>() == 0 && at::<tcp::Destination>() == 2);
        assert!(at::<udp::Source>() == 0 && at::<udp::Destination>() == 2);
    }
    let both = u32::from_be(Word::of(frame, l4).0).rotate_left(16);
    (both as u16, (both >> 16) as u16)
}

/// Whether an address of the frame of IPv6 is worth a closer look, as [`stacked`](super::stacked) asks.
#[inline(always)]
fn has_v4_mapped(frame: &[u8]) -> bool {
    const MAPPED: u32 = 0xffff_u32.to_be();
    Word::of(frame, L3 + at::<ipv6::Source>() + 8).0 == MAPPED
        || Word::of(frame, L3 + at::<ipv6::Destination>() + 8).0 == MAPPED
}

#[inline(always)]
fn half(frame: &[u8], at: usize) -> u16 {
    let bytes = frame.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// Four bytes, in the byte order of memory.
#[derive(Clone, Copy)]
struct Word(u32);

/// What some bits of four bytes are to be.
#[derive(Clone, Copy)]
struct Pattern {
    at: usize,
    mask: u32,
    value: u32,
}

impl Pattern {
    const fn new(at: usize, mask: [u8; 4], value: [u8; 4]) -> Self {
        Self {
            at,
            mask: u32::from_ne_bytes(mask),
            value: u32::from_ne_bytes(value),
        }
    }
}

impl Word {
    #[inline(always)]
    fn of(frame: &[u8], at: usize) -> Self {
        let bytes = frame.get(at..).and_then(<[u8]>::first_chunk);
        Self(bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes)))
    }

    #[inline(always)]
    const fn is(self, pattern: Pattern) -> bool {
        self.0 & pattern.mask == pattern.value
    }
}

/// The Ethertype, and behind it the version with the header length or part of the traffic class.
const V4: Pattern = {
    const { assert!(at::<ethernet::Ethertype>() + 2 == L3 && at::<ipv4::Version>() == 0) }
    let [a, b] = Ethertype::IPV4.0.to_be_bytes();
    let first = (4 << 4) | (Ipv4::MIN_LEN / 4) as u8;
    Pattern::new(L3 - 2, [0xff, 0xff, 0xff, 0], [a, b, first, 0])
};
const V6: Pattern = {
    let [a, b] = Ethertype::IPV6.0.to_be_bytes();
    Pattern::new(L3 - 2, [0xff, 0xff, 0xf0, 0], [a, b, 6 << 4, 0])
};

/// No fragment, and what follows.
const TCP_OVER_V4: Pattern = whole_with(IpProtocol::TCP);
const UDP_OVER_V4: Pattern = whole_with(IpProtocol::UDP);

const fn whole_with(protocol: IpProtocol) -> Pattern {
    const {
        assert!(at::<ipv4::Protocol>() == at::<ipv4::FragmentOffset>() + 3);
        assert!(ipv4::MoreFragments::BIT_OFFSET + 1 == ipv4::FragmentOffset::BIT_OFFSET);
        assert!(ipv4::FragmentOffset::BIT_OFFSET % 8 == 3);
    }
    let mask = [0x3f, 0xff, 0, 0xff];
    let value = [0, 0, 0, protocol.0];
    Pattern::new(L3 + at::<ipv4::FragmentOffset>(), mask, value)
}

/// Geneve of version 0 without options or with four bytes of them, and Ethernet in it.
const NO_OPTIONS: Pattern = with_options(0);
const ONE_OPTION: Pattern = with_options(1);

const fn with_options(words: u8) -> Pattern {
    const { assert!(at::<geneve::Version>() == 0 && at::<geneve::Protocol>() == 2) }
    let [a, b] = Ethertype::ETHERNET.0.to_be_bytes();
    Pattern::new(GENEVE, [0xff, 0, 0xff, 0xff], [words, 0, a, b])
}

/// The option of frames from outside, which has no body: class, type, and a length of five bits.
const OPTION: Pattern = {
    let [a, b] = GeneveKind::EXTERNAL.class.to_be_bytes();
    let value = [a, b, GeneveKind::EXTERNAL.ty, 0];
    Pattern::new(OPTIONS, [0xff, 0xff, 0xff, 0x1f], value)
};

/// Whether the header of Geneve, if it is one, has options.
#[inline(always)]
pub(super) fn has_options(bytes: &[u8]) -> bool {
    bytes.get(GENEVE).is_some_and(|first| *first != 0)
}

const fn of_v4<A: Around>(protocol: u8) -> Parsed {
    let key = FlowKey {
        source: FlowKey::octets_of_v4(core::net::Ipv4Addr::UNSPECIFIED),
        destination: FlowKey::octets_of_v4(core::net::Ipv4Addr::UNSPECIFIED),
        protocol,
        ..FlowKey::ZERO
    };
    plain::<A>(HeaderKind::Ipv4, Ethertype::IPV4, L4_OF_V4, key)
}

const fn of_v6<A: Around>(protocol: u8) -> Parsed {
    let key = FlowKey {
        protocol,
        ..FlowKey::ZERO
    };
    plain::<A>(HeaderKind::Ipv6, Ethertype::IPV6, L4_OF_V6, key)
}

/// What is the same for all frames of a stack.
const fn plain<A: Around>(
    network: HeaderKind,
    ethertype: Ethertype,
    l4: usize,
    key: FlowKey,
) -> Parsed {
    let transport = if key.protocol == IpProtocol::TCP.0 {
        HeaderKind::Tcp
    } else {
        HeaderKind::Udp
    };
    let l4 = (A::LEN + l4) as u16;
    let mut headers = (Offsets::EMPTY, Shape::EMPTY);
    if A::LEN != 0 {
        headers = with(headers, (0, HeaderKind::Ethernet));
        headers = with(headers, (L3 as u16, HeaderKind::Ipv6));
        headers = with(headers, (L4_OF_V6 as u16, HeaderKind::Udp));
        headers = with(headers, (GENEVE as u16, HeaderKind::Geneve));
    }
    let (inner, around) = (headers.0.count(), A::LEN as u16);
    let headers = with(headers, (around, HeaderKind::Ethernet));
    let headers = with(headers, (around + L3 as u16, network));
    let (offsets, shape) = with(headers, (l4, transport));
    let offsets = offsets.with_anchor(inner + 1);
    Parsed {
        key,
        offsets,
        shape,
        inner,
        l3: inner + 1,
        l4: inner + 2,
        fragment: Fragment::No,
        fragment_id: 0,
        ethertype,
        frame_len: 0,
        payload: 0,
        tunnel: A::OPTIONS,
    }
}

const fn with(
    (mut offsets, mut shape): (Offsets, Shape),
    (at, kind): (u16, HeaderKind),
) -> (Offsets, Shape) {
    shape.set(offsets.count(), kind);
    let _ = offsets.push(at);
    (offsets, shape)
}

impl Parsed {
    #[inline(always)]
    fn set<A: Around>(&mut self, bytes: &[u8], ports: (u16, u16), end: usize, payload: usize) {
        (self.key.source_port, self.key.destination_port) = ports;
        if A::LEN != 0 {
            self.key = self.key.with_key_vni(A::vni(bytes));
        }
        self.frame_len = (A::LEN + end) as u32;
        self.payload = (A::LEN + payload) as u32;
    }
}
