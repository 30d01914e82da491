//! ICMP errors translated: what comes out is what an error about the translated packet would be, built from scratch.

use crate::build::*;
use crate::edits::complete;
use arbitrary_int::prelude::*;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use opte_headers::frame::{Fragment, KeyKind, TranslateError, parse_guest};
use opte_headers::*;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Who sends to whom.
#[derive(Clone, Copy, Debug)]
struct Ends {
    v4: (Ipv4Addr, Ipv4Addr),
    v6: (Ipv6Addr, Ipv6Addr),
    ports: (u16, u16),
}

fn ends() -> impl Strategy<Value = Ends> {
    let word = || prop_oneof![Just(0), Just(u32::MAX), any::<u32>()];
    let port = || prop_oneof![Just(0), Just(0xffff), any::<u16>()];
    // Not what IPv4 addresses are in a key.
    let v6 = || any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits | 0xfd << 120));
    (word(), word(), v6(), v6(), port(), port()).prop_map(|(a, b, c, d, e, f)| Ends {
        v4: (a.into(), b.into()),
        v6: (c, d),
        ports: (e, f),
    })
}

/// What may be at fault: transport, and what stands in front of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Tcp,
    Udp,
    /// Without a checksum.
    BareUdp,
    Echo,
    Reply,
    Sctp,
    /// UDP behind options or extension headers.
    Optioned,
    FirstFragment,
    LaterFragment,
}

const KINDS: [Kind; 9] = [
    Kind::Tcp,
    Kind::Udp,
    Kind::BareUdp,
    Kind::Echo,
    Kind::Reply,
    Kind::Sctp,
    Kind::Optioned,
    Kind::FirstFragment,
    Kind::LaterFragment,
];

fn transport(kind: Kind, v4: bool, ports: (u16, u16)) -> (IpProtocol, Vec<u8>) {
    let (source, destination) = ports;
    let udp = |checksum| Udp {
        source,
        destination,
        length: 8 + 9,
        checksum,
    };
    let (protocol, header) = match (kind, v4) {
        (Kind::Tcp, _) => (
            IpProtocol::TCP,
            bytes(&Tcp {
                source,
                destination,
                ..Tcp::default()
            }),
        ),
        (Kind::Sctp, _) => (IpProtocol::SCTP, vec![5; 12]),
        (Kind::BareUdp, _) => (IpProtocol::UDP, bytes(&udp(0))),
        (Kind::Echo | Kind::Reply, true) => {
            let ty = if kind == Kind::Echo {
                Icmpv4Type::ECHO_REQUEST
            } else {
                Icmpv4Type::ECHO_REPLY
            };
            let header = Icmpv4 {
                ty,
                identifier: source,
                ..Icmpv4::default()
            };
            (IpProtocol::ICMP, bytes(&header))
        }
        (Kind::Echo | Kind::Reply, false) => {
            let ty = if kind == Kind::Echo {
                Icmpv6Type::ECHO_REQUEST
            } else {
                Icmpv6Type::ECHO_REPLY
            };
            let header = Icmpv6 {
                ty,
                identifier: source,
                ..Icmpv6::default()
            };
            (IpProtocol::ICMPV6, bytes(&header))
        }
        _ => (IpProtocol::UDP, bytes(&udp(1))),
    };
    // Nothing but zeros behind a reply: its checksum is the one that differences cannot tell from none.
    let fill = if kind == Kind::Reply { 0 } else { 7 };
    (protocol, [header, vec![fill; 9]].concat())
}

/// A whole packet, its checksums right.
fn packet(kind: Kind, v4: bool, ends: Ends) -> Vec<u8> {
    let (protocol, body) = transport(kind, v4, ends.ports);
    let frame = if v4 {
        let options = match kind {
            Kind::Optioned => Options::of(&[Ipv4Option::RouterAlert(0)]).unwrap(),
            _ => Options::default(),
        };
        let mut header = Ipv4 {
            protocol,
            options,
            source: ends.v4.0,
            destination: ends.v4.1,
            more_fragments: kind == Kind::FirstFragment,
            ..Ipv4::default()
        };
        if kind == Kind::LaterFragment {
            header.fragment_offset = u13::new(9);
        }
        header.total_len = (header.len() + body.len()) as u16;
        ethernet(Ethertype::IPV4, &[bytes(&header), body].concat())
    } else {
        let fragment = Ipv6Fragment {
            next_header: protocol,
            fragment_offset: u13::new(if kind == Kind::LaterFragment { 9 } else { 0 }),
            more_fragments: kind == Kind::FirstFragment,
            ..Ipv6Fragment::default()
        };
        let destination = Ipv6Destination {
            next_header: IpProtocol::FRAGMENT,
            ..Ipv6Destination::default()
        };
        let (next_header, front) = match kind {
            Kind::Optioned => (
                IpProtocol::DESTINATION_OPTIONS,
                [bytes(&destination), bytes(&fragment)].concat(),
            ),
            Kind::FirstFragment | Kind::LaterFragment => (IpProtocol::FRAGMENT, bytes(&fragment)),
            _ => (protocol, vec![]),
        };
        let header = Ipv6 {
            next_header,
            source: ends.v6.0,
            destination: ends.v6.1,
            payload_len: (front.len() + body.len()) as u16,
            ..Ipv6::default()
        };
        ethernet(Ethertype::IPV6, &[bytes(&header), front, body].concat())
    };
    right(frame)[14..].to_vec()
}

fn right(mut frame: Vec<u8>) -> Vec<u8> {
    let parsed = parse_guest(&frame).unwrap();
    complete(&mut frame, &parsed);
    frame
}

/// An error about the start of a packet, its own checksums right; with extensions, whose place a length tells.
fn error(v4: bool, start: &[u8], ty: u8, extended: bool) -> Vec<u8> {
    let mut message = vec![ty, 1, 0, 0, 0, 0, 0, 0];
    message.extend(start);
    if extended {
        let (at, unit) = if v4 { (5, 4) } else { (4, 8) };
        message.resize(8 + 128.max(start.len().next_multiple_of(unit)), 0);
        message[at] = ((message.len() - 8) / unit) as u8;
        message.extend([0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0x10, 1]);
    }
    let frame = if v4 {
        let header = Ipv4 {
            protocol: IpProtocol::ICMP,
            ..Ipv4::default()
        };
        ethernet(Ethertype::IPV4, &ipv4(header, &message))
    } else {
        ethernet(Ethertype::IPV6, &ipv6(IpProtocol::ICMPV6, &message))
    };
    // Padding of the link.
    [right(frame), vec![0xee; 3]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 4096 }))]

    #[test]
    fn as_built_from_scratch(
        kind in select(KINDS.to_vec()), v4: bool, before in ends(), after in ends(), cut in any::<Index>(), extended: bool, which: Index,
    ) {
        // An ICMP message has an identifier in place of ports; SCTP and later fragments show none.
        let after = match kind {
            Kind::Sctp | Kind::LaterFragment => Ends { ports: before.ports, ..after },
            _ => after,
        };
        let (from, to) = (packet(kind, v4, before), packet(kind, v4, after));
        let l4 = parse_guest(&ethernet(if v4 { Ethertype::IPV4 } else { Ethertype::IPV6 }, &from)).unwrap();
        let least = l4.l4().unwrap_or(l4.payload as usize) - 14 + 8;
        // Extensions follow whole packets only, or 128 bytes.
        let len = if extended { from.len() } else { least + cut.index(from.len() - least + 1) };
        // Half a checksum cannot follow.
        let len = if kind == Kind::Tcp && len == least - 8 + 17 { len - 1 } else { len };
        let types: &[u8] = if v4 { &[3, 11, 12] } else { &[1, 3] };
        let ty = types[which.index(types.len())];
        let mut frame = error(v4, &from[..len], ty, extended);
        let expected = error(v4, &to[..len], ty, extended);

        let parsed = parse_guest(&frame).unwrap();
        let found = parsed.icmp_error(&frame).unwrap().unwrap();
        prop_assert_eq!(found.verify(&frame, &parsed), Ok(()));
        prop_assert_eq!(frame[found.packet()], from[0]);
        let goal = parsed.icmp_error(&expected).unwrap().unwrap();
        prop_assert_eq!(found.translate(&mut frame, &goal.embedded.key), Ok(()));
        prop_assert_eq!(&frame, &expected);
        prop_assert_eq!(parsed.icmp_error(&frame), Ok(Some(goal)));
        prop_assert_eq!(goal.verify(&frame, &parsed), Ok(()));

        // And back again.
        prop_assert_eq!(goal.translate(&mut frame, &found.embedded.key), Ok(()));
        prop_assert_eq!(frame, error(v4, &from[..len], ty, extended));
    }

    #[test]
    fn any_message(v4: bool, ty in 0..20u8, mut message in prop::collection::vec(any::<u8>(), 0..90), to in ends()) {
        if let Some(first) = message.first_mut() {
            *first = if v4 { ty } else { ty & 7 };
        }
        if let (Some(version), true) = (message.get_mut(8), ty & 1 == 0) {
            *version = if v4 { 0x45 } else { 0x60 };
        }
        let mut frame = if v4 {
            let header = Ipv4 { protocol: IpProtocol::ICMP, ..Ipv4::default() };
            ethernet(Ethertype::IPV4, &ipv4(header, &message))
        } else {
            ethernet(Ethertype::IPV6, &ipv6(IpProtocol::ICMPV6, &message))
        };
        let Ok(parsed) = parse_guest(&frame) else { return Ok(()) };
        if let Ok(Some(error)) = parsed.icmp_error(&frame) {
            let before = frame.clone();
            let key = error.embedded.key.with_source_ip(if v4 { IpAddr::V4(to.v4.0) } else { IpAddr::V6(to.v6.0) });
            error.translate(&mut frame, &key).unwrap();
            prop_assert_eq!(parsed.icmp_error(&frame).unwrap().unwrap().embedded.key, key);
            error.translate(&mut frame[..before.len() - 1], &error.embedded.key).ok();
            let _ = error.verify(&frame, &parsed);
        }
    }
}

const ENDS: Ends = Ends {
    v4: (A, B),
    v6: (A6, B6),
    ports: (1000, 80),
};

#[test]
fn what_is_no_error() {
    for (v4, ty) in [(true, 8), (true, 0), (true, 13), (false, 128), (false, 135)] {
        let frame = error(v4, &packet(Kind::Tcp, v4, ENDS), ty, false);
        let parsed = parse_guest(&frame).unwrap();
        assert_eq!(parsed.icmp_error(&frame), Ok(None), "{ty}");
    }
    let frame = guest_tcp();
    assert_eq!(parse_guest(&frame).unwrap().icmp_error(&frame), Ok(None));
}

#[test]
fn checksums_that_are_wrong() {
    for v4 in [true, false] {
        let frame = error(v4, &packet(Kind::Tcp, v4, ENDS), 3, false);
        let parsed = parse_guest(&frame).unwrap();
        let found = parsed.icmp_error(&frame).unwrap().unwrap();
        // The transport checksum is not looked at, but the message's covers it.
        let mut other = frame.clone();
        other[found.packet() + if v4 { 36 } else { 56 }] ^= 1;
        let name = if v4 { "Icmpv4" } else { "Icmpv6" };
        let bad = |name| ParseError::new(name, "checksum", Cause::BadChecksum);
        assert_eq!(found.verify(&other, &parsed), Err(bad(name)));
        let end = parsed.frame_len as usize;
        complete(&mut other[..end], &parsed);
        assert_eq!(found.verify(&other, &parsed), Ok(()));
        if v4 {
            other[found.packet() + 8] ^= 1;
            complete(&mut other[..end], &parsed);
            assert_eq!(found.verify(&other, &parsed), Err(bad("Ipv4")));
        }
    }
}

#[test]
fn flows_of_another_kind() {
    let mut frame = error(true, &packet(Kind::Echo, true, ENDS), 11, false);
    let before = frame.clone();
    let parsed = parse_guest(&frame).unwrap();
    let found = parsed.icmp_error(&frame).unwrap().unwrap();
    let key = found.embedded.key;
    assert_eq!(
        (key.kind, found.embedded.fragment),
        (KeyKind::ECHO_REQUEST, Fragment::No)
    );
    for other in [
        FlowKey { protocol: 6, ..key },
        key.mirror(),
        key.with_source_ip(A6.into()),
        key.with_destination_ip(A6.into()),
    ] {
        let done = found.translate(&mut frame, &other);
        assert_eq!(done, Err(TranslateError::OtherKind));
    }
    let end = found.packet() + found.embedded.available as usize;
    let done = found.translate(&mut frame[..end - 1], &key);
    assert_eq!(done, Err(TranslateError::NotThere));
    assert_eq!(frame, before);
}
