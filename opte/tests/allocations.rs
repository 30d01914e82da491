//! What packets ask of the allocator.
#![allow(unsafe_code)]

mod net;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use net::{Bench, Echo, FAR, GATEWAY, GUEST, HEAD_ROOM, Shape, tunnelled, udp_frame};
use opte::Direction::{self, In, Out};
use opte::DropReason;
use opte::Packet;
use opte::action::Action;
use opte::port::Verdict;
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;
use opte_headers::TcpFlags;
use std::time::Duration;

/// The system's allocator, which counts what each thread asks for.
struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// What is at least as long is not to be had.
    static DENIED: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Counting {
    fn count(&self) {
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    }

    fn denies(&self, size: usize) -> bool {
        DENIED.try_with(|from| size >= from.get()).unwrap_or(false)
    }
}

// SAFETY: every call goes to `System` with the caller's own arguments, whose contract is the same; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        if self.denies(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps `GlobalAlloc::alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        if self.denies(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps `GlobalAlloc::alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `GlobalAlloc::dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        if self.denies(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps `GlobalAlloc::realloc`'s contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a packet of this frame asks for, and what becomes of it.
fn asked(bench: &Bench, dir: Direction, frame: &[u8]) -> (u64, Verdict) {
    let mut buf = vec![0; HEAD_ROOM + frame.len()];
    buf[HEAD_ROOM..].copy_from_slice(frame);
    let end = buf.len();
    let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
    let mut reply = [0; 2048];
    let before = CALLS.get();
    let verdict = bench.port.process(dir, bench.now, &mut packet, &mut reply);
    (CALLS.get() - before, verdict)
}

#[test]
fn shortfall_3_7_allocations_of_packets() {
    let bench = Bench::of(Shape::default());
    let echo = Rule::new(
        1,
        [Predicate::Destination(IpPrefix::exact(GATEWAY))],
        Action::Hairpin(Arc::new(Echo)),
    );
    bench.port.add_rule("firewall", Out, echo).unwrap();
    let to = |port| udp_frame((GUEST, port), (FAR, 53), b"x");
    let mut first: Vec<u64> = (0..500)
        .map(|flow| asked(&bench, Out, &to(5000 + flow)).0)
        .collect();
    // Tables grow in steps: few flows pay for many.
    first.sort_unstable();
    assert!(first[250] <= 4, "{first:?}");
    let key = bench.out(&to(5000));
    let answer = tunnelled(&udp_frame((FAR, 53), (net::PUBLIC, key.source_port), b"y"));
    // The first answer may make the flow one of both ways.
    asked(&bench, In, &answer);
    for _ in 0..10 {
        for (dir, frame) in [(Out, to(5000)), (In, answer.clone())] {
            let (calls, verdict) = asked(&bench, dir, &frame);
            assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
            assert_eq!(calls, 0, "{dir:?}");
        }
    }
    // A reply of the port itself, and a packet that is dropped.
    let asking = udp_frame((GUEST, 1), (GATEWAY, 9), &[2]);
    let (calls, verdict) = asked(&bench, Out, &asking);
    assert!(matches!(verdict, Verdict::Hairpin(_)), "{verdict:?}");
    assert_eq!(calls, 0);
    let (calls, verdict) = asked(
        &bench,
        In,
        &tunnelled(&udp_frame((FAR, 1), (GUEST, 1), b"")),
    );
    assert!(matches!(verdict, Verdict::Drop(_)));
    assert_eq!(calls, 0);
}

/// Without any memory nothing ends but the packets that need some: they are dropped, counted, and leave nothing behind. Flows there
/// are go on, both ways, and the port answers what it can without.
#[test]
fn no_memory_at_all() {
    let mut bench = Bench::of(Shape::default());
    bench.allow_in(opte_headers::IpProtocol::TCP, 22);
    let to = |port, far| udp_frame((GUEST, port), (FAR, far), b"x");
    let first = to(5000, 1);
    let external = bench.out(&first).source_port;
    let answer = tunnelled(&udp_frame((FAR, 1), (net::PUBLIC, external), b"y"));
    asked(&bench, In, &answer);
    let syn = |port| net::tcp_frame((FAR, port), (GUEST, 22), TcpFlags::SYN, 1, 0, &[]);
    let pieces = |id| {
        let mut first = udp_frame((GUEST, 6000), (FAR, 9), &[7; 64]);
        first[18..20].copy_from_slice(&u16::to_be_bytes(id));
        let mut later = first.clone();
        first[20] = 0x20;
        later[21] = 9;
        [first, later]
    };
    let out_of_memory = |bench: &Bench| {
        let traffic = bench.port.counters().traffic;
        traffic.outbound.drops.get(DropReason::OutOfMemory)
    };
    let without = |bench: &Bench, dir, frame: &[u8]| {
        let mut buf = vec![0; HEAD_ROOM + frame.len()];
        buf[HEAD_ROOM..].copy_from_slice(frame);
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
        let mut reply = [0; 2048];
        DENIED.set(0);
        let verdict = bench.port.process(dir, bench.now, &mut packet, &mut reply);
        DENIED.set(usize::MAX);
        verdict
    };
    let denied = |verdict| matches!(verdict, Verdict::Drop(DropReason::OutOfMemory));
    for round in 1..=20 {
        assert!(denied(without(&bench, Out, &to(5000 + round, 2))));
        // A flow that nothing is held for may yet find a place.
        let _ = without(&bench, In, &tunnelled(&syn(round)));
        for piece in pieces(round) {
            assert!(denied(without(&bench, Out, &piece)));
        }
        for (dir, frame) in [(Out, &first), (In, &answer)] {
            let verdict = without(&bench, dir, frame);
            assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
        }
    }
    assert_eq!(out_of_memory(&bench), 60);
    let counters = bench.port.counters();
    assert_eq!(u64::from(counters.flows), counters.table.created);
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [0, 1, 0]
    );
    // A flow that something has happened to waits for memory, and is what it was.
    bench.port.clear_lft("firewall").unwrap();
    assert!(denied(without(&bench, Out, &first)));
    assert_eq!(bench.out(&first).source_port, external);
    // Flows end, and their ports go back, without memory to note that they are to rest.
    bench.wait(Duration::from_secs(301));
    DENIED.set(0);
    bench.port.expire(bench.now, 100);
    DENIED.set(usize::MAX);
    let usage = bench.share.pools().map(|(_, pool)| pool.usage());
    assert_eq!(bench.port.counters().flows, 0);
    assert_eq!(usage.map(|usage| usage.leased), [0, 0, 0]);
    for [first, later] in [pieces(1), pieces(2)] {
        assert!(matches!(asked(&bench, Out, &later).1, Verdict::Held));
        assert!(matches!(
            asked(&bench, Out, &first).1,
            Verdict::ForwardWithHeld { .. }
        ));
    }
}

/// The table takes no more than the port may: new flows displace others, what does not fit is refused, and flows in use go on.
#[test]
fn the_ceiling_of_memory_holds() {
    const CEILING: usize = 600_000;
    let bench = Bench::of(Shape {
        flows: 1,
        ports: 1024..=65535,
        builder: |builder| {
            builder.limits(opte::port::Limits {
                flows: std::num::NonZeroU32::new(100_000).unwrap(),
                memory: CEILING,
                ..Default::default()
            })
        },
    });
    bench.allow_in(opte_headers::IpProtocol::UDP, 53);
    let established = udp_frame((GUEST, 5000), (FAR, 1), b"x");
    let external = bench.out(&established).source_port;
    bench.inward(&udp_frame((FAR, 1), (net::PUBLIC, external), b"y"));
    let mut most = 0;
    for number in 0..6_000_u32 {
        // Hosts, addresses and connections of all kinds.
        let host = std::net::Ipv4Addr::from_bits(0xc633_0000 + number);
        let port = 1 + (number % 60_000) as u16;
        let _ = match number % 3 {
            0 => asked(&bench, Out, &udp_frame((GUEST, port), (host, 9), b"x")),
            1 => asked(
                &bench,
                In,
                &tunnelled(&udp_frame((host, port), (GUEST, 53), b"x")),
            ),
            _ => {
                let syn = net::tcp_frame((GUEST, port), (host, 80), TcpFlags::SYN, 1, 0, &[]);
                asked(&bench, Out, &syn)
            }
        };
        most = most.max(bench.port.counters().memory);
    }
    let counters = bench.port.counters();
    assert!((CEILING / 2..=CEILING).contains(&most), "{most}");
    assert!(counters.flows > 500, "{}", counters.flows);
    let table = counters.table;
    assert_eq!(
        table.created - table.displaced - table.expired,
        u64::from(counters.flows)
    );
    assert!(table.displaced + table.refused > 2_000, "{table:?}");
    let hits = counters.traffic.outbound.uft_hit;
    asked(&bench, Out, &established);
    assert_eq!(bench.port.counters().traffic.outbound.uft_hit, hits + 1);
}

/// Without memory for more flows the table is full: new flows displace those that may be displaced, those that are established
/// go on, and with memory again so does everything.
#[test]
fn memory_that_is_not_to_be_had() {
    let bench = Bench::of(Shape {
        flows: 100_000,
        ports: 1024..=65535,
        ..Shape::default()
    });
    let to = |port, far| udp_frame((GUEST, port), (FAR, far), b"x");
    let established = to(5000, 1);
    let external = bench.out(&established).source_port;
    bench.inward(&udp_frame((FAR, 1), (net::PUBLIC, external), b"y"));
    for far in 2..5_000 {
        let frame = to(5000, far);
        DENIED.set(4096);
        let (_, verdict) = asked(&bench, Out, &frame);
        DENIED.set(usize::MAX);
        assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
    }
    let counters = bench.port.counters();
    assert_eq!(
        u64::from(counters.flows),
        4_999 - counters.table.displaced,
        "each new flow in the place of another"
    );
    assert!(counters.flows < 1_000);
    let hits = counters.traffic.outbound.uft_hit;
    asked(&bench, Out, &established);
    assert_eq!(bench.port.counters().traffic.outbound.uft_hit, hits + 1);
    // With memory again the table grows.
    for far in 5_000..7_000 {
        asked(&bench, Out, &to(5000, far));
    }
    assert!(bench.port.counters().flows > 2_000);
}
