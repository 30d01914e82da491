//! How stack parsers go through the protocols: what each checks, and what it gives to the flow key.
//!
//! Lengths are checked against the packet around: a header that claims more than there is, is refused; what a link adds
//! behind the packet is cut off.

use super::key::{FlowKey, KeyKind};
use super::kind::HeaderKind;
use super::parsed::{Fragment, TunnelOptions};
use super::walk::{Entered, Stacked, Step, Walk};
use crate::error::{Cause, ParseError};
use crate::ethertype::Ethertype;
use crate::header::{Header, NoSelector};
use crate::ip_protocol::IpProtocol;
use crate::options::{GeneveKind, OptionList};
use crate::protocol::{
    Arp, ArpGet, Ethernet, EthernetGet, Geneve, GeneveGet, GeneveOption, GeneveView, Icmpv4,
    Icmpv4Get, Icmpv4Type, Icmpv6, Icmpv6Get, Icmpv6Type, Ipv4, Ipv4Get, Ipv4View, Ipv6,
    Ipv6Fragment, Ipv6FragmentGet, Ipv6Get, Sctp, SctpGet, Tcp, TcpGet, Udp, UdpGet, Vlan, VlanGet,
};

/// Extension headers that an IPv6 packet may have (RFC 8883 lets a node limit them).
const MAX_EXTENSIONS: usize = 8;

/// Whether this is IPv4 without options, whole.
#[inline(always)]
fn is_plain(bytes: &[u8]) -> bool {
    bytes
        .first_chunk::<{ Ipv4::MIN_LEN }>()
        .is_some_and(|[first, ..]| *first == 0x45)
}

impl Stacked for Ethernet {
    const KIND: HeaderKind = HeaderKind::Ethernet;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.start_frame(index);
        walk.parsed.ethertype = view.ethertype();
        Ok(Step::then(view.ethertype(), rest))
    }

    fn unknown(ethertype: Ethertype, _: &[u8], walk: &mut Walk<false>) -> Result<(), ParseError> {
        not_ip(ethertype, walk);
        Ok(())
    }
}

impl Stacked for Vlan {
    const KIND: HeaderKind = HeaderKind::Vlan;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.parsed.ethertype = view.ethertype();
        Ok(Step::then(view.ethertype(), rest))
    }

    fn unknown(ethertype: Ethertype, _: &[u8], walk: &mut Walk<false>) -> Result<(), ParseError> {
        not_ip(ethertype, walk);
        Ok(())
    }
}

fn not_ip<const QUICK: bool>(ethertype: Ethertype, walk: &mut Walk<QUICK>) {
    walk.parsed.key.kind = KeyKind::NOT_IP;
    walk.parsed.key.destination_port = ethertype.0;
}

impl Stacked for Arp {
    const KIND: HeaderKind = HeaderKind::Arp;

    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, _) = Self::parse(bytes)?;
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.set_l3(index);
        walk.end_in(0);
        not_ip(Ethertype::ARP, walk);
        walk.parsed.key.source = FlowKey::octets_of_v4(view.sender_ip());
        walk.parsed.key.destination = FlowKey::octets_of_v4(view.target_ip());
        Ok(Step::accept(NoSelector))
    }
}

impl Stacked for Ipv4 {
    const KIND: HeaderKind = HeaderKind::Ipv4;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        if !is_plain(bytes) {
            walk.seldom()?;
        }
        let (view, rest) = Self::parse(bytes)?;
        let len = bytes.len() - rest.len();
        let total = usize::from(view.total_len());
        // A length less than the header's own is a very great one here: one comparison finds both faults.
        let body_len = total.wrapping_sub(len);
        let Some(body) = walk.body(rest, body_len) else {
            return Err(ParseError::bad_length(
                Self::NAME,
                "total_len",
                total,
                bytes.len(),
            ));
        };
        let index = walk.push(Self::NAME, Self::KIND, len)?;
        walk.set_l3(index);
        walk.end_in(body_len);
        let key = &mut walk.parsed.key;
        key.source = FlowKey::octets_of_v4(view.source());
        key.destination = FlowKey::octets_of_v4(view.destination());
        key.protocol = view.protocol().0;
        if is_fragment(&view) {
            walk.seldom()?;
            let more = ipv4_fragment(&view, walk);
            return Ok(Step {
                selector: view.protocol(),
                bytes: body,
                more,
            });
        }
        Ok(Step::then(view.protocol(), body))
    }

    fn unknown(_: IpProtocol, bytes: &[u8], walk: &mut Walk<false>) -> Result<(), ParseError> {
        unknown_transport(bytes, walk)
    }
}

/// Whether more fragments follow or this is not the first: both in one look, for every packet is asked.
#[inline(always)]
fn is_fragment(view: &Ipv4View<&[u8]>) -> bool {
    let [_, _, _, _, _, _, flags, offset, ..] = *view.fixed();
    u16::from_be_bytes([flags, offset]) & 0x3fff != 0
}

/// Records a fragment; whether it is the first, so that a transport header follows.
#[cold]
fn ipv4_fragment<const QUICK: bool>(view: &Ipv4View<&[u8]>, walk: &mut Walk<QUICK>) -> bool {
    walk.parsed.fragment_id = view.identification().into();
    record_fragment(view.fragment_offset().value() == 0, walk)
}

fn record_fragment<const QUICK: bool>(first: bool, walk: &mut Walk<QUICK>) -> bool {
    if first {
        walk.parsed.fragment = Fragment::First;
    } else {
        walk.parsed.fragment = Fragment::Later;
        walk.parsed.key.kind = KeyKind::FRAGMENT;
    }
    first
}

/// A transport protocol that no header type stands for: a flow on addresses and protocol.
/// Of SCTP the ports are in the key, where those of TCP and UDP are (RFC 9260, section 3.1).
fn unknown_transport(bytes: &[u8], walk: &mut Walk<false>) -> Result<(), ParseError> {
    if walk.parsed.key.protocol == IpProtocol::SCTP.0 {
        let (view, _) = Sctp::parse(bytes)?;
        let key = &mut walk.parsed.key;
        (key.source_port, key.destination_port) = (view.source(), view.destination());
    }
    let index = walk.push("transport", HeaderKind::Other, 0)?;
    walk.set_l4(index);
    Ok(())
}

impl Stacked for Ipv6 {
    const KIND: HeaderKind = HeaderKind::Ipv6;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        let len = usize::from(view.payload_len());
        let Some(body) = walk.body(rest, len) else {
            return Err(ParseError::bad_length(
                Self::NAME,
                "payload_len",
                len,
                rest.len(),
            ));
        };
        let (source, destination) = (view.source().octets(), view.destination().octets());
        if may_be_v4_mapped(&source) || may_be_v4_mapped(&destination) {
            walk.seldom()?;
        }
        if !QUICK && (is_v4_mapped(&source) || is_v4_mapped(&destination)) {
            return Err(v4_mapped(is_v4_mapped(&source)));
        }
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.set_l3(index);
        walk.end_in(len);
        let next = view.next_header();
        let key = &mut walk.parsed.key;
        (key.source, key.destination, key.protocol) = (source, destination, next.0);
        match next {
            IpProtocol::TCP | IpProtocol::UDP | IpProtocol::ICMPV6 => Ok(Step::then(next, body)),
            _ => {
                walk.seldom()?;
                extensions(next, body, walk)
            }
        }
    }

    fn unknown(_: IpProtocol, bytes: &[u8], walk: &mut Walk<false>) -> Result<(), ParseError> {
        unknown_transport(bytes, walk)
    }
}

/// Whether an address would be taken for one of IPv4 in the flow key; none such is seen on a wire (RFC 4291, section 2.5.5.2;
/// RFC 4942, section 2.2).
#[inline(always)]
fn is_v4_mapped(address: &[u8; 16]) -> bool {
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *address;
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) == 0 && u32::from_be_bytes([i, j, k, l]) == 0xffff
}

/// Whether an address is worth a closer look: part of what [`is_v4_mapped`] asks.
#[inline(always)]
const fn may_be_v4_mapped(address: &[u8; 16]) -> bool {
    let [_, _, _, _, _, _, _, _, i, j, k, l, ..] = *address;
    u32::from_be_bytes([i, j, k, l]) == 0xffff
}

#[cold]
const fn v4_mapped(source: bool) -> ParseError {
    ParseError::illegal(
        Ipv6::NAME,
        if source { "source" } else { "destination" },
        0xffff,
    )
}

/// Goes through the extension headers, which belong to the IPv6 header.
#[cold]
fn extensions<'a, const QUICK: bool>(
    mut next: IpProtocol,
    mut bytes: &'a [u8],
    walk: &mut Walk<QUICK>,
) -> Entered<'a, Ipv6> {
    for count in 0..=MAX_EXTENSIONS {
        walk.parsed.key.protocol = next.0;
        if !next.is_ipv6_extension() {
            return Ok(Step::then(next, bytes));
        }
        if count == MAX_EXTENSIONS {
            break;
        }
        // RFC 8200, section 4.1: hop-by-hop options are allowed right behind the IPv6 header only.
        if next == IpProtocol::HOP_BY_HOP && count > 0 {
            return Err(ParseError::illegal("Ipv6", "next_header", next.0.into()));
        }
        if next == IpProtocol::FRAGMENT {
            let (view, rest) = Ipv6Fragment::parse(bytes)?;
            walk.skip(Ipv6Fragment::MIN_LEN);
            (next, bytes) = (view.next_header(), rest);
            let first = view.fragment_offset().value() == 0;
            // Offset zero and nothing more: a whole packet after all (RFC 6946).
            if !first || view.more_fragments() {
                walk.parsed.fragment_id = view.identification();
                if !record_fragment(first, walk) {
                    walk.parsed.key.protocol = next.0;
                    return Ok(Step::accept(next));
                }
            }
            continue;
        }
        // RFC 6564: next header, then the length in units of eight bytes without the first eight.
        let [following, units, ..] = *bytes else {
            return Err(ParseError::truncated("Ipv6", "extension", 2, bytes.len()));
        };
        let len = 8 + 8 * usize::from(units);
        let Some(rest) = bytes.get(len..) else {
            return Err(ParseError::truncated("Ipv6", "extension", len, bytes.len()));
        };
        walk.skip(len);
        (next, bytes) = (IpProtocol(following), rest);
    }
    Err(ParseError::unsupported("Ipv6", "extension", next.0.into()))
}

impl Stacked for Tcp {
    const KIND: HeaderKind = HeaderKind::Tcp;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        let index = walk.push(Self::NAME, Self::KIND, bytes.len() - rest.len())?;
        walk.set_l4(index);
        (
            walk.parsed.key.source_port,
            walk.parsed.key.destination_port,
        ) = (view.source(), view.destination());
        Ok(Step::then(NoSelector, rest))
    }
}

impl Stacked for Udp {
    const KIND: HeaderKind = HeaderKind::Udp;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        let len = usize::from(view.length());
        // The length of a first fragment's datagram counts the other fragments too.
        let body = match walk.body(rest, len.wrapping_sub(Self::MIN_LEN)) {
            Some(body) => body,
            None => {
                walk.seldom()?;
                if len < Self::MIN_LEN || walk.parsed.fragment != Fragment::First {
                    return Err(ParseError::bad_length(
                        Self::NAME,
                        "length",
                        len,
                        bytes.len(),
                    ));
                }
                rest
            }
        };
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.set_l4(index);
        (
            walk.parsed.key.source_port,
            walk.parsed.key.destination_port,
        ) = (view.source(), view.destination());
        Ok(Step::then(view.destination(), body))
    }
}

impl Stacked for Icmpv4 {
    const KIND: HeaderKind = HeaderKind::Icmpv4;

    #[inline]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        walk.seldom()?;
        let (view, rest) = Self::parse(bytes)?;
        let kind = match view.ty() {
            Icmpv4Type::ECHO_REQUEST if view.code() == 0 => KeyKind::ECHO_REQUEST,
            Icmpv4Type::ECHO_REPLY if view.code() == 0 => KeyKind::ECHO_REPLY,
            _ => KeyKind::ICMP,
        };
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.set_l4(index);
        icmp_key(kind, view.ty().0, view.code(), view.identifier(), walk);
        Ok(Step::then(NoSelector, rest))
    }
}

impl Stacked for Icmpv6 {
    const KIND: HeaderKind = HeaderKind::Icmpv6;

    #[inline]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        walk.seldom()?;
        let (view, rest) = Self::parse(bytes)?;
        let kind = match view.ty() {
            Icmpv6Type::ECHO_REQUEST if view.code() == 0 => KeyKind::ECHO_REQUEST,
            Icmpv6Type::ECHO_REPLY if view.code() == 0 => KeyKind::ECHO_REPLY,
            _ => KeyKind::ICMP,
        };
        let index = walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.set_l4(index);
        icmp_key(kind, view.ty().0, view.code(), view.identifier(), walk);
        Ok(Step::then(NoSelector, rest))
    }
}

#[inline]
const fn icmp_key<const QUICK: bool>(
    kind: KeyKind,
    ty: u8,
    code: u8,
    identifier: u16,
    walk: &mut Walk<QUICK>,
) {
    let key = &mut walk.parsed.key;
    key.kind = kind;
    (key.source_port, key.destination_port) = match kind {
        KeyKind::ICMP => (u16::from_be_bytes([ty, code]), 0),
        _ => (identifier, identifier),
    };
}

impl Stacked for Geneve {
    const KIND: HeaderKind = HeaderKind::Geneve;

    #[inline(always)]
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        walk.push(Self::NAME, Self::KIND, bytes.len() - rest.len())?;
        // The bytes as they stand, for the key holds them so.
        let [_, _, _, _, a, b, c, _] = *view.fixed();
        walk.parsed.key.vni = [a, b, c];
        if !view.tail().is_empty() {
            walk.parsed.tunnel = tunnel_options(&view).map_err(|error| walk.blame(error))?;
        }
        Ok(Step::then(view.protocol(), rest))
    }
}

/// Which options are there; refuses malformed ones, and if the header says that there are critical options, those that are
/// critical and not known (RFC 8926, section 3.5).
fn tunnel_options(view: &GeneveView<&[u8]>) -> Result<TunnelOptions, ParseError> {
    let mut found = TunnelOptions::default();
    let options: OptionList<'_, GeneveOption<'static>> = view.options();
    for option in options.iter() {
        found = match option? {
            GeneveOption::External => found.with(TunnelOptions::EXTERNAL),
            GeneveOption::Multicast(_) => found.with(TunnelOptions::MULTICAST),
            GeneveOption::Mss(_) => found.with(TunnelOptions::MSS),
            GeneveOption::Unknown(raw) => {
                let known = matches!(
                    raw.kind,
                    GeneveKind::EXTERNAL | GeneveKind::MULTICAST | GeneveKind::MSS
                );
                if known {
                    return Err(ParseError::bad_length(
                        "GeneveOption",
                        "length",
                        raw.body.len(),
                        view.tail().len(),
                    ));
                }
                if view.critical() && raw.kind.is_critical() {
                    let cause = Cause::CriticalOption {
                        class: raw.kind.class,
                        ty: raw.kind.ty,
                    };
                    return Err(ParseError::new("GeneveOption", "ty", cause));
                }
                found
            }
        };
    }
    Ok(found)
}
