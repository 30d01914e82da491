//! The engine on the reference VPC: hits, first packets, memory, a full table.

use std::hint::black_box;
use std::net::{Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use opte::Direction;
use opte_headers::TcpFlags;

use crate::reference::{Draw, FAR, Reference, Ring, buffer, udp};
use crate::{Meter, Row, Unit, allocation, frames};

macro_rules! rows {
    ($($name:literal $unit:ident $budget:expr => $run:path;)*) => {
        /// Rows of this module.
        pub const ROWS: &[Row] = &[$(Row { name: $name, unit: Unit::$unit, budget: $budget, run: $run },)*];
    };
}

rows! {
    "uft_hit_out_tcp" Instructions 300.0 => hit_out_tcp;
    "uft_hit_out_tcp_time" Nanoseconds 30.0 => hit_out_tcp;
    "uft_hit_in_tcp" Instructions 300.0 => hit_in_tcp;
    "uft_hit_in_tcp_time" Nanoseconds 30.0 => hit_in_tcp;
    "uft_hit_out_udp_8000_flows" Instructions 300.0 => hit_out_udp_8000;
    "uft_hit_out_udp_8000_flows_1400_bytes" Instructions 300.0 => hit_out_udp_8000_long;
    "uft_hit_out_udp_8000_flows_time" Nanoseconds 45.0 => hit_out_udp_8000;
    "uft_hit_out_udp_8000_flows_1400_bytes_time" Nanoseconds 45.0 => hit_out_udp_8000_long;
    "uft_hit_out_udp_1000000_flows" Instructions 300.0 => burst_1000000;
    "uft_hit_out_udp_1000000_flows_time" Nanoseconds 100.0 => burst_1000000;
    "uft_hit_alone_udp_1000000_flows_time" Nanoseconds NONE => hit_out_udp_1000000;
    "uft_hit_burst_udp_1000" Instructions 300.0 => burst_1000;
    "uft_hit_burst_udp_1000_time" Nanoseconds 30.0 => burst_1000;
    "uft_lookup_1000000_flows_against_1000" Times 3.0 => hits_against;
    "first_packet" Instructions 5000.0 => first_packet;
    "first_packet_time" Nanoseconds 800.0 => first_packet;
    "first_packet_tcp" Instructions 5000.0 => first_packet_tcp;
    "first_packet_ipv6" Instructions 5000.0 => first_packet_ipv6;
    "allocations_uft_hit_out" Allocations 0.0 => hit_out_tcp;
    "allocations_uft_hit_in" Allocations 0.0 => hit_in_tcp;
    "allocations_first_packet" Allocations 4.0 => first_packet;
    "bytes_per_udp_flow" Bytes 256.0 => memory;
    "new_flow_into_full_table" LongestMicroseconds 5.0 => full_table;
    "expiry_slice" LongestMicroseconds 50.0 => expiry;
    "first_packet_10000_rules_against_10" Times 3.0 => rules_against;
}

/// No budget is said.
const NONE: f64 = f64::INFINITY;

/// Rings of frames that are measured.
const ROUNDS: usize = 40;
const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 11);

fn hit_out_tcp(meter: &mut Meter) {
    let reference = Reference::new(1000);
    let (out, _) = reference.connection();
    hits(meter, &reference, Direction::Out, &out);
}

fn hit_in_tcp(meter: &mut Meter) {
    let reference = Reference::new(1000);
    let (_, back) = reference.connection();
    hits(meter, &reference, Direction::In, &back);
}

/// The same frame, time and again.
fn hits(meter: &mut Meter, reference: &Reference, dir: Direction, frame: &[u8]) {
    let mut ring = Ring::of(frame);
    let mut worker = reference.vpc.port().worker();
    for _ in 0..ROUNDS {
        ring.refill();
        let mut packets = ring.packets();
        meter.each(Ring::LEN, |at| {
            let packet = black_box(&mut packets[at]);
            black_box(worker.process(dir, reference.now, packet, &mut []));
        });
    }
    let traffic = reference.vpc.port().counters().traffic;
    let hits = (ROUNDS * Ring::LEN) as u64;
    assert!(traffic.get(dir).uft_hit >= hits, "not all were hits");
}

fn hit_out_udp_8000(meter: &mut Meter) {
    random_hits(meter, 8_000, 0);
}

fn hit_out_udp_8000_long(meter: &mut Meter) {
    random_hits(meter, 8_000, 1_400);
}

fn hit_out_udp_1000000(meter: &mut Meter) {
    random_hits(meter, 1_000_000, 0);
}

fn random_hits(meter: &mut Meter, flows: usize, body: usize) {
    let reference = Reference::new(flows as u32);
    reference.flows(flows);
    let mut worker = reference.vpc.port().worker();
    each_random(&reference, flows, body, |ring| {
        let mut packets = ring.packets();
        meter.each(Ring::LEN, |at| {
            let packet = black_box(&mut packets[at]);
            black_box(worker.process(Direction::Out, reference.now, packet, &mut []));
        });
    });
}

fn burst_1000(meter: &mut Meter) {
    bursts(meter, 1_000);
}

fn burst_1000000(meter: &mut Meter) {
    bursts(meter, 1_000_000);
}

/// As [`random_hits`], the packets given to the port in bursts.
fn bursts(meter: &mut Meter, flows: usize) {
    let reference = Reference::new(flows as u32);
    reference.flows(flows);
    each_random(&reference, flows, 0, |ring| {
        meter.burst(Ring::LEN, || {
            black_box(reference.bursts(Direction::Out, &mut ring.bufs));
        });
    });
}

/// Has `measure` process rings of frames of flows in random order.
fn each_random(
    reference: &Reference,
    flows: usize,
    body: usize,
    mut measure: impl FnMut(&mut Ring),
) {
    let (mut ring, mut draw) = (Ring::new(body), Draw(1));
    let before = reference.vpc.port().counters().traffic;
    for _ in 0..ROUNDS {
        ring.refill_with(|| draw.below(flows));
        measure(&mut ring);
    }
    let after = reference.vpc.port().counters().traffic;
    let hits = after.get(Direction::Out).uft_hit - before.get(Direction::Out).uft_hit;
    assert_eq!(hits, (ROUNDS * Ring::LEN) as u64, "not all were hits");
}

fn hits_against(meter: &mut Meter) {
    let (few, many) = (Reference::new(1_000), Reference::new(1_000_000));
    few.flows(1_000);
    many.flows(1_000_000);
    each_random(&few, 1_000, 0, |ring| {
        meter.burst(Ring::LEN, || {
            black_box(few.bursts(Direction::Out, &mut ring.bufs));
        });
    });
    each_random(&many, 1_000_000, 0, |ring| {
        meter.burst_against(Ring::LEN, || {
            black_box(many.bursts(Direction::Out, &mut ring.bufs));
        });
    });
}

/// Each packet the first of its flow, into a table that has met some before.
fn first_packet(meter: &mut Meter) {
    const FLOWS: usize = 4_000;
    let reference = Reference::new(100_000);
    reference.flows(10_000);
    let mut bufs: Vec<_> = (0..FLOWS).map(|n| buffer(&udp(20_000 + n, 0))).collect();
    meter.each(FLOWS, |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
    assert_eq!(reference.vpc.port().counters().flows, 10_000 + FLOWS as u32);
}

/// First packets of TCP connections.
fn first_packet_tcp(meter: &mut Meter) {
    let frame = |number: usize| {
        let here = SocketAddrV4::new(frames::GUEST, 20_000 + number as u16);
        let there = SocketAddrV4::new(FAR, 80);
        frames::tcp(frames::from_guest(), here, there, TcpFlags::SYN)
    };
    firsts(meter, &Reference::new(100_000), frame);
}

/// First packets of datagrams over IPv6.
fn first_packet_ipv6(meter: &mut Meter) {
    let far = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
    let frame = |number: usize| {
        let here = SocketAddrV6::new(GUEST_V6, 20_000 + number as u16, 0, 0);
        frames::udp6(frames::from_guest(), here, SocketAddrV6::new(far, 53, 0, 0))
    };
    firsts(meter, &Reference::new(100_000), frame);
}

/// First packets that come to have a port of a shared address.
pub(crate) fn first_packet_snat(meter: &mut Meter) {
    let frame = |number: usize| udp(20_000 + number, 0);
    firsts(meter, &Reference::sharing(100_000), frame);
}

fn firsts(meter: &mut Meter, reference: &Reference, frame: impl Fn(usize) -> Vec<u8>) {
    const FLOWS: usize = 2_000;
    reference.flows(10_000);
    let mut bufs: Vec<_> = (0..FLOWS).map(|n| buffer(&frame(n))).collect();
    meter.each(FLOWS, |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
    assert_eq!(reference.vpc.port().counters().flows, 10_000 + FLOWS as u32);
}

/// First packets past so many rules of the firewall, none of which is theirs.
fn rules_against(meter: &mut Meter) {
    const FLOWS: usize = 2_000;
    let (few, many) = (
        Reference::with_rules(100_000, 10),
        Reference::with_rules(100_000, 10_000),
    );
    let bufs: Vec<_> = (0..FLOWS).map(|n| buffer(&udp(n, 0))).collect();
    let (mut of_few, mut of_many) = (bufs.clone(), bufs);
    meter.each(FLOWS, |at| {
        black_box(few.process(Direction::Out, black_box(&mut of_few[at])));
    });
    meter.against(FLOWS, |at| {
        black_box(many.process(Direction::Out, black_box(&mut of_many[at])));
    });
    assert_eq!(many.vpc.port().counters().flows, FLOWS as u32);
}

/// What a flow costs when there are many: all that the port holds, less what it holds without flows.
fn memory(meter: &mut Meter) {
    const FLOWS: usize = 100_000;
    let held = |limit: u32, flows: usize| {
        let before = allocation::live();
        let reference = Reference::new(limit);
        reference.flows(flows);
        let held = allocation::live() - before;
        drop(reference);
        held
    };
    let (empty, full) = (held(1, 0), held(FLOWS as u32, FLOWS));
    meter.found((full - empty) as f64 / FLOWS as f64);
}

fn full_table(meter: &mut Meter) {
    const FLOWS: usize = 524_288;
    let reference = Reference::new(FLOWS as u32);
    reference.flows(FLOWS);
    let mut bufs: Vec<_> = (0..2_000).map(|n| buffer(&udp(FLOWS + n, 0))).collect();
    meter.each(bufs.len(), |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
    assert!(reference.vpc.port().counters().table.displaced >= 2_000);
}

fn expiry(meter: &mut Meter) {
    /// What the driver asks for at a time.
    const SLICE: u32 = 64;
    const FLOWS: usize = 524_288;
    let reference = Reference::new(FLOWS as u32);
    reference.flows(FLOWS);
    let later = reference.now + Duration::from_secs(200);
    meter.each(2_000, |_| {
        black_box(reference.vpc.port().expire(later, SLICE));
    });
}
