//! Bursts: what comes of their packets is what comes of them one by one, also where the port looks ahead.

mod net;

use net::traffic::*;
use net::{Bench, FAR, GATEWAY, GUEST, HEAD_ROOM, PUBLIC, Sent, Shape, tcp_frame, udp_frame};
use opte::Direction::{In, Out};
use opte::action::Action;
use opte::packet::Packet;
use opte::port::Verdict;
use opte::predicate::{IpPrefix, Predicate};
use opte::provider::{Random, SeededRandom};
use opte::rule::Rule;
use opte::{Direction, DropReason};
use opte_headers::IpProtocol;
use std::sync::Arc;
use std::time::Duration;

/// Flows from which on a port looks ahead, and some more.
const FLOWS: u16 = 16_500;

fn bench() -> Bench {
    let bench = Bench::of(Shape {
        flows: 20_000,
        ports: 4096..=60_000,
        ..Shape::default()
    });
    let to = Predicate::Destination(IpPrefix::exact(GATEWAY));
    let rule = Rule::new(1, [to], Action::Hairpin(Arc::new(net::Echo)));
    bench.port.add_rule("firewall", Out, rule).unwrap();
    bench.allow_in(IpProtocol::TCP, 22);
    bench
}

/// Has a port process these as one burst.
fn burst(bench: &Bench, dir: Direction, frames: &[Vec<u8>]) -> Vec<Sent> {
    let mut bufs: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| [&[0; HEAD_ROOM][..], frame].concat())
        .collect();
    let mut packets: Vec<_> = bufs
        .iter_mut()
        .map(|buf| {
            let end = buf.len();
            Packet::new(buf, HEAD_ROOM, end).unwrap()
        })
        .collect();
    let mut verdicts = vec![Verdict::Drop(DropReason::NotForUs); packets.len()];
    let mut reply = vec![0; 16_384];
    bench
        .port
        .process_burst(dir, bench.now, &mut packets, &mut reply, &mut verdicts);
    let mut replies = &reply[..];
    let sent = |(packet, verdict): (&Packet<'_>, &Verdict)| {
        let frame = match verdict {
            Verdict::Hairpin(len) => {
                let (frame, rest) = replies.split_at(*len as usize);
                replies = rest;
                frame
            }
            _ => packet.frame(),
        };
        Sent {
            verdict: *verdict,
            frame: frame.to_vec(),
        }
    };
    packets.iter().zip(&verdicts).map(sent).collect()
}

/// Both ports get the same frames, one of them in a burst.
fn the_same(together: &Bench, alone: &Bench, dir: Direction, frames: &[Vec<u8>]) {
    let wanted = frames.iter().map(|frame| alone.send(dir, frame));
    let wanted: Vec<_> = wanted.collect();
    for (at, (sent, wanted)) in burst(together, dir, frames).iter().zip(&wanted).enumerate() {
        assert_eq!(sent.verdict, wanted.verdict, "frame {at}");
        assert_eq!(sent.frame, wanted.frame, "frame {at}");
    }
    let counters = |bench: &Bench| format!("{:?}", bench.port.counters());
    assert_eq!(counters(together), counters(alone));
}

/// Frames as they come, from a number drawn. Flow `n + 1` of the guest has the port `outside[n]`.
fn frame(outside: &[u16], dir: Direction, drawn: u64) -> Vec<u8> {
    let flow = 1 + (drawn >> 8) as u16 % FLOWS;
    let flags = [SYN, ACK, FIN_ACK, SYN_ACK][(drawn >> 32) as usize % 4];
    let inner = match (drawn % 16, dir) {
        (0, _) => return vec![drawn as u8; 3],
        (1, Out) => udp_frame((GUEST, flow), (GATEWAY, 9), &[flow as u8; 3]),
        // New flows, a few of which come more than once in a burst.
        (2..=4, Out) => udp_frame((GUEST, 20_000 + flow % 8), (FAR, 54), b"new"),
        (5, Out) => tcp_frame((GUEST, 22), (FAR, flow % 4), flags, 500, 101, &[]),
        (5, In) => tcp_frame((FAR, flow % 4), (GUEST, 22), flags, 100, 501, &[]),
        (6, Out) => {
            // A fragment that is not the first.
            let mut frame = udp_out(flow);
            frame[20..22].copy_from_slice(&[0, 9]);
            frame
        }
        (_, Out) => udp_out(flow),
        (_, In) => udp_frame((FAR, 53), (PUBLIC, outside[usize::from(flow) - 1]), b"tell"),
    };
    match dir {
        Out => inner,
        In => net::tunnelled(&inner),
    }
}

#[test]
fn bursts_of_all_lengths_and_kinds() {
    let (mut together, mut alone) = (bench(), bench());
    let outside: Vec<_> = (1..=FLOWS)
        .map(|port| {
            alone.send(Out, &udp_out(port));
            together.out(&udp_out(port)).source_port
        })
        .collect();
    assert!(together.port.looks_ahead());
    let random = SeededRandom::new(3);
    for round in 0..60 {
        let dir = if random.next_u64() & 1 == 0 { In } else { Out };
        let len = random.next_u64() as usize % 70;
        let frames: Vec<_> = (0..len)
            .map(|_| frame(&outside, dir, random.next_u64() >> 8))
            .collect();
        the_same(&together, &alone, dir, &frames);
        for bench in [&mut together, &mut alone] {
            bench.wait(Duration::from_millis(random_wait(round)));
            if round % 20 == 10 {
                bench.mappings.bump();
            }
        }
    }
    let traffic = together.port.counters().traffic;
    for dir in [&traffic.inbound, &traffic.outbound] {
        assert!(dir.uft_hit > 300 && dir.drops.total() > 10, "{dir:?}");
    }
    assert!(traffic.outbound.hairpins > 10 && traffic.outbound.revalidated > 10);
}

/// Milliseconds between two bursts; once, flows expire meanwhile.
fn random_wait(round: u64) -> u64 {
    match round {
        40 => 70_000,
        _ => round,
    }
}

/// What was foreseen of a packet may have become untrue when its turn comes: its flow was made by one before it, or had to go for
/// that one.
#[test]
fn a_burst_that_displaces_flows_of_its_own() {
    let (together, alone) = (bench(), bench());
    for port in 1..=20_000 {
        together.send(Out, &udp_out(port));
        alone.send(Out, &udp_out(port));
    }
    // The table is full. The flows that go for new ones are those that had no packet for longest, which come last here.
    let new = (20_001..20_030_u16).map(udp_out);
    let oldest = (1..=30_u16).map(udp_out);
    let frames: Vec<_> = new
        .zip(oldest)
        .flat_map(|(a, b)| [a.clone(), b, a])
        .collect();
    the_same(&together, &alone, Out, &frames);
    assert!(together.port.counters().table.displaced >= 29);
}
