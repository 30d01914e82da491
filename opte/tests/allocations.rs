//! What packets ask of the allocator.
#![allow(unsafe_code)]

mod net;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use net::{Bench, Echo, FAR, GATEWAY, GUEST, HEAD_ROOM, Shape, tunnelled, udp_frame};
use opte::Direction::{self, In, Out};
use opte::Packet;
use opte::action::Action;
use opte::port::Verdict;
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;

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
