//! Super-packets and the segments they are cut into: a table, and what must hold of any.

#[path = "../../oxide-vpc/tests/sim/frames.rs"]
#[allow(dead_code, unreachable_pub, reason = "a part is used")]
mod frames;

use std::net::IpAddr;

use frames::{Frame, Outer, tcp, udp};
use opte::packet::{Gso, GsoKind};
use opte_headers::checksum::Sum;
use opte_headers::{MacAddr, TcpFlags, Vni};
use proptest::prelude::*;
use xde::segment::{Layout, MAX_HEADERS, Segments};

const GUEST: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0, 1]);
const PEER: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0, 2]);
const SEQUENCE: u32 = u32::MAX - 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carried {
    Plain,
    Tunnelled,
}

fn ends(v6: bool) -> [(MacAddr, IpAddr); 2] {
    let (a, b) = if v6 {
        ("fd00::5", "fd00::6")
    } else {
        ("10.0.0.5", "10.0.0.6")
    };
    [(GUEST, a.parse().unwrap()), (PEER, b.parse().unwrap())]
}

fn super_packet(v6: bool, is_tcp: bool, carried: Carried, flags: TcpFlags, data: &[u8]) -> Vec<u8> {
    let [from, to] = ends(v6);
    let body = match is_tcp {
        true => tcp(2000, 80, flags, SEQUENCE, 7, data),
        false => udp(2000, 80, data),
    };
    let inner = Frame::new(from, to, body).bytes();
    match carried {
        Carried::Plain => inner,
        Carried::Tunnelled => Outer {
            source: "fd00:aa::1".parse().unwrap(),
            destination: "fd00:bb::1".parse().unwrap(),
            vni: Vni::new(10).unwrap(),
            external: false,
        }
        .around(&inner),
    }
}

fn cut(frame: &[u8], carried: Carried, gso: Gso) -> Vec<Vec<u8>> {
    let layout = match carried {
        Carried::Plain => Layout::of_guest(frame),
        Carried::Tunnelled => Layout::of_tunnelled(frame),
    };
    let size = usize::from(gso.size);
    let mut segments = Segments::new(frame, layout.unwrap(), gso, size).unwrap();
    let mut headers = [0; MAX_HEADERS];
    let mut all = Vec::new();
    while let Some(segment) = segments.next_into(&mut headers) {
        all.push([&headers[..segment.headers], &frame[segment.payload]].concat());
    }
    all
}

fn kind(v6: bool, is_tcp: bool) -> GsoKind {
    match (v6, is_tcp) {
        (false, true) => GsoKind::TcpV4,
        (true, true) => GsoKind::TcpV6,
        (_, false) => GsoKind::Udp,
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Takes a tunnel off, with its lengths checked, as far as these tests make them: no options.
fn inner(frame: &[u8], carried: Carried) -> &[u8] {
    if carried == Carried::Plain {
        return frame;
    }
    assert_eq!(
        usize::from(word(frame, 18)),
        frame.len() - 54,
        "outer IPv6 length"
    );
    assert_eq!(
        usize::from(word(frame, 58)),
        frame.len() - 54,
        "outer UDP length"
    );
    assert_eq!(word(frame, 60), 0, "outer UDP checksum");
    &frame[70..]
}

/// Checks lengths and checksums of a guest's frame byte by byte, apart from the code under test. Its transport header, and payload.
fn checked(frame: &[u8], v6: bool, is_tcp: bool) -> (&[u8], &[u8]) {
    let l4 = if v6 { 54 } else { 34 };
    let transport = &frame[l4..];
    let addresses = if v6 {
        assert_eq!(usize::from(word(frame, 18)), transport.len());
        &frame[22..54]
    } else {
        assert_eq!(usize::from(word(frame, 16)), transport.len() + 20);
        assert_eq!(
            Sum::of(&frame[14..34]).fold(),
            0xffff,
            "IPv4 header checksum"
        );
        &frame[26..34]
    };
    let protocol = if is_tcp { 6 } else { 17 };
    let pseudo = Sum::of(addresses)
        .with_word(protocol)
        .with_word(transport.len() as u16);
    assert_eq!(pseudo.with(transport).fold(), 0xffff, "transport checksum");
    if !is_tcp {
        assert_eq!(usize::from(word(transport, 4)), transport.len());
        assert_ne!(word(transport, 6), 0);
    }
    transport.split_at(if is_tcp { 20 } else { 8 })
}

#[test]
fn flags_stand_where_they_belong() {
    let all = TcpFlags::FIN | TcpFlags::PSH | TcpFlags::CWR | TcpFlags::ACK | TcpFlags::ECE;
    let always = TcpFlags::ACK | TcpFlags::ECE;
    let frame = super_packet(false, true, Carried::Tunnelled, all, &[1; 2500]);
    let gso = Gso {
        kind: GsoKind::TcpV4,
        size: 1000,
    };
    let found: Vec<(u32, u16, TcpFlags)> = cut(&frame, Carried::Tunnelled, gso)
        .iter()
        .map(|segment| {
            let guest = inner(segment, Carried::Tunnelled);
            let (header, _) = checked(guest, false, true);
            let sequence = u32::from_be_bytes(header[4..8].try_into().unwrap());
            (
                sequence,
                word(guest, 18),
                TcpFlags::from_bits_retain(header[13]),
            )
        })
        .collect();
    let id = word(inner(&frame, Carried::Tunnelled), 18);
    assert_eq!(
        found,
        [
            (SEQUENCE, id, always | TcpFlags::CWR),
            (SEQUENCE + 1000, id.wrapping_add(1), always),
            (
                999,
                id.wrapping_add(2),
                always | TcpFlags::FIN | TcpFlags::PSH
            ),
        ]
    );
}

#[test]
fn larger_segments_only_where_the_receiver_is_told() {
    let frame = super_packet(false, true, Carried::Tunnelled, TcpFlags::ACK, &[1; 9000]);
    let layout = Layout::of_tunnelled(&frame).unwrap();
    let gso = Gso {
        kind: GsoKind::TcpV4,
        size: 1428,
    };
    // No option that would tell.
    assert_eq!(layout.segment_size(gso, 9000), 1428);
    assert_eq!(layout.wire_len(1428), 40 + 8 + 8 + 14 + 20 + 20 + 1428);
    let guest = super_packet(false, true, Carried::Plain, TcpFlags::ACK, &[1; 9000]);
    let layout = Layout::of_guest(&guest).unwrap();
    assert_eq!(
        (layout.segment_size(gso, 9000), layout.wire_len(1428)),
        (1428, 1468)
    );
}

#[test]
fn what_is_no_super_packet_is_not_cut() {
    let udp = super_packet(false, false, Carried::Plain, TcpFlags::ACK, &[1; 3000]);
    let layout = Layout::of_guest(&udp).unwrap();
    for kind in [GsoKind::TcpV4, GsoKind::TcpV6] {
        assert!(Segments::new(&udp, layout, Gso { kind, size: 1000 }, 1000).is_none());
    }
    let gso = Gso {
        kind: GsoKind::Udp,
        size: 1000,
    };
    assert!(Segments::new(&udp, layout, gso, 0).is_none());
    // Frames whose lengths are not theirs have no layout.
    for cut in [13, 20, 33, 40, 100] {
        assert_eq!(Layout::of_guest(&udp[..cut]), None);
    }
}

proptest! {
    /// Segments put together are the payload, in order, each no larger than asked, each right in itself.
    #[test]
    fn segments_make_the_whole_again(
        data in proptest::collection::vec(any::<u8>(), 1..20_000),
        size in 1u16..3000, v6: bool, is_tcp: bool, tunnelled: bool, flags: u8,
    ) {
        // Segments of a byte would be tens of thousands.
        let size = size.max((data.len() / 200) as u16 + 1);
        let carried = if tunnelled { Carried::Tunnelled } else { Carried::Plain };
        let frame = super_packet(v6, is_tcp, carried, TcpFlags::from_bits_retain(flags), &data);
        let segments = cut(&frame, carried, Gso { kind: kind(v6, is_tcp), size });
        prop_assert_eq!(segments.len(), data.len().div_ceil(size.into()));
        let mut whole = Vec::new();
        for segment in &segments {
            let (header, payload) = checked(inner(segment, carried), v6, is_tcp);
            prop_assert!(payload.len() <= size.into());
            if is_tcp {
                let sequence = u32::from_be_bytes(header[4..8].try_into().unwrap());
                prop_assert_eq!(sequence, SEQUENCE.wrapping_add(whole.len() as u32));
            }
            whole.extend_from_slice(payload);
        }
        prop_assert!(whole == data);
    }

    /// A checksum left to the link comes out right, whatever stood in its place of the payload's.
    #[test]
    fn partial_checksums_are_completed(
        data in proptest::collection::vec(any::<u8>(), 0..2000), v6: bool, is_tcp: bool, tunnelled: bool,
    ) {
        let carried = if tunnelled { Carried::Tunnelled } else { Carried::Plain };
        let mut frame = super_packet(v6, is_tcp, carried, TcpFlags::ACK, &data);
        let start = if tunnelled { 70 } else { 0 };
        let l4 = start + if v6 { 54 } else { 34 };
        let place = l4 + if is_tcp { 16 } else { 6 };
        let addresses = if v6 { start + 22..start + 54 } else { start + 26..start + 34 };
        let pseudo = Sum::of(&frame[addresses])
            .with_word(if is_tcp { 6 } else { 17 })
            .with_word((frame.len() - l4) as u16);
        frame[place..place + 2].copy_from_slice(&pseudo.fold().to_be_bytes());
        let layout = if tunnelled { Layout::of_tunnelled(&frame) } else { Layout::of_guest(&frame) };
        layout.unwrap().complete_checksum(&mut frame).unwrap();
        checked(inner(&frame, carried), v6, is_tcp);
    }

    /// Any bytes have a layout or none.
    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..200, value: u8, cut in 0usize..400,
    ) {
        let mut frame = super_packet(true, true, Carried::Tunnelled, TcpFlags::ACK, &[5; 200]);
        frame[at] = value;
        frame.truncate(cut);
        for frame in [&bytes, &frame] {
            for layout in [Layout::of_guest(frame), Layout::of_tunnelled(frame)].into_iter().flatten() {
                prop_assert!(layout.wire_len(layout.payload_len()) <= frame.len());
                for kind in [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::Udp] {
                    let gso = Gso { kind, size: 100 };
                    let size = layout.segment_size(gso, 1500);
                    if let Some(mut segments) = Segments::new(frame, layout, gso, size) {
                        let mut count = 0;
                        while segments.next_into(&mut [0; MAX_HEADERS]).is_some() {
                            count += 1;
                            prop_assert!(count < 100);
                        }
                    }
                }
                layout.complete_checksum(&mut frame.clone());
            }
        }
    }
}
