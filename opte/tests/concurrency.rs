//! One port from several threads at once: packets of known flows and of new ones, replies, connections, commands, expiry, dumps.
//!
//! Under the thread sanitizer: see the command in `opte/src/flow/mod.rs`. The order of what is written and read without locks
//! is explored exhaustively by the model tests of `opte/src/flow/model.rs`.

mod net;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use net::traffic::*;
use net::{Bench, FAR, GUEST, HEAD_ROOM, Net, PUBLIC, Shape, sums_are_right, tcp_frame, tunnelled};
use opte::Direction::{In, Out};
use opte::action::Action;
use opte::api::Page;
use opte::port::{PortState, Verdict, Worker};
use opte::predicate::Predicate;
use opte::rule::Rule;
use opte::time::Moment;
use opte::{Direction, Packet};
use opte_headers::FlowKey;
use opte_headers::frame::{parse_geneve, parse_guest};

/// What a thread has sent.
#[derive(Default)]
struct Sent([AtomicU64; 2]);

impl Sent {
    fn get(&self, dir: Direction) -> u64 {
        self.0[dir as usize].load(Ordering::Relaxed)
    }
}

/// A worker that checks what comes out.
struct Checked<'a> {
    worker: Worker<'a, Net>,
    sent: &'a Sent,
    clock: &'a AtomicU64,
}

impl Checked<'_> {
    fn send(&mut self, dir: Direction, frame: &[u8]) -> Option<FlowKey> {
        let frame = match dir {
            In => tunnelled(frame),
            Out => frame.to_vec(),
        };
        let mut buf = [&[0; HEAD_ROOM][..], &frame].concat();
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
        let now = Moment::from_nanos(self.clock.load(Ordering::Relaxed));
        let verdict = self.worker.process(dir, now, &mut packet, &mut []);
        self.sent.0[dir as usize].fetch_add(1, Ordering::Relaxed);
        match verdict {
            Verdict::Forward { .. } => {}
            Verdict::Drop(_) => return None,
            other => panic!("{other:?}"),
        }
        // Whatever it was that let the packet pass: it is whole, and it is a packet of this network.
        sums_are_right(packet.frame());
        let key = match dir {
            In => parse_guest(packet.frame()).unwrap().key,
            Out => parse_geneve(packet.frame()).unwrap().key,
        };
        let (near, far) = match dir {
            In => (key.destination_ip(), key.source_ip()),
            Out => (key.source_ip(), key.destination_ip()),
        };
        let expected = if dir == In { GUEST } else { PUBLIC };
        assert_eq!((near, far), (expected.into(), FAR.into()));
        Some(key)
    }

    /// A question and its answer.
    fn ask(&mut self, port: u16) {
        let Some(key) = self.send(Out, &udp_out(port)) else {
            return;
        };
        assert_eq!(key.destination_port, 53);
        if let Some(answer) = self.send(In, &udp_back(key.source_port)) {
            assert_eq!(answer.source_port, 53);
            assert!((1..=64).contains(&answer.destination_port));
        }
    }

    /// A connection from its beginning to its end.
    fn connect(&mut self, port: u16) {
        let out = |flags, seq, ack| tcp_frame((GUEST, port), (FAR, 80), flags, seq, ack, b"");
        let Some(key) = self.send(Out, &out(SYN, 1, 0)) else {
            return;
        };
        let public = key.source_port;
        let back = |flags, seq, ack| tcp_frame((FAR, 80), (PUBLIC, public), flags, seq, ack, b"");
        self.send(In, &back(SYN_ACK, 7, 2));
        for _ in 0..3 {
            self.send(Out, &out(ACK, 2, 8));
            self.send(In, &back(ACK, 8, 2));
        }
        self.send(Out, &out(FIN_ACK, 2, 8));
        self.send(In, &back(FIN_ACK, 8, 3));
        self.send(Out, &out(ACK, 3, 9));
    }
}

/// Commands, one after the other, until the workers have finished.
fn command(bench: &Bench, clock: &AtomicU64, commanded: &AtomicU64, done: &AtomicBool) {
    let deny = || {
        let port = Predicate::SourcePort(1..=8);
        Rule::new(1, [port], Action::Deny)
    };
    let mut round = 0u64;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        commanded.store(round, Ordering::Relaxed);
        // Mostly forward, at times a little back.
        let step = if round.is_multiple_of(7) { -5 } else { 40 };
        clock.fetch_add((step * 1_000_000_000i64) as u64, Ordering::Relaxed);
        let now = Moment::from_nanos(clock.load(Ordering::Relaxed));
        let id = bench.port.add_rule("firewall", Out, deny()).unwrap();
        while bench.port.expire(now, 8).more {}
        bench.port.dump_uft(Page::FIRST);
        bench.port.dump_tcp_flows(Page::FIRST);
        bench.port.dump_layer("nat", Page::FIRST).unwrap();
        bench.port.remove_rule("firewall", Out, id).unwrap();
        bench.mappings.bump();
        match round % 5 {
            0 => bench.port.clear_uft().unwrap(),
            1 => bench.port.clear_lft("nat").unwrap(),
            2 => {
                bench.port.pause().unwrap();
                assert_eq!(bench.port.state(), PortState::Paused);
                bench.port.start();
            }
            3 => {
                bench.port.reset();
                bench.port.start();
            }
            _ => {
                bench.port.trace(Out, now, &udp_out(9));
            }
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// Rounds of commands that there are at least.
const COMMANDS: u64 = 10;

fn hammer(workers: u16, rounds: u32) {
    // Fewer places than flows, so that the table is full again and again.
    let bench = Bench::of(Shape {
        flows: 40,
        ports: 1024..=60_000,
        ..Shape::default()
    });
    let sent = Sent::default();
    let clock = AtomicU64::new(bench.now.as_nanos());
    let (commanded, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|number| {
                let (bench, sent, clock, commanded) = (&bench, &sent, &clock, &commanded);
                scope.spawn(move || {
                    let mut checked = Checked {
                        worker: bench.port.worker(),
                        sent,
                        clock,
                    };
                    // A busy machine may leave the commands no turn for a while: they are waited for.
                    let missed = || commanded.load(Ordering::Relaxed) < COMMANDS;
                    for round in (0_u32..).take_while(|round| *round < rounds || missed()) {
                        let round = (round % 1000) as u16;
                        // Some flows are one worker's, some are everybody's.
                        checked.ask(1 + (round * 3 + number) % 16);
                        checked.ask(17 + (round + number * 12) % 48);
                        checked.connect(1 + (round + number * 5) % 64);
                    }
                })
            })
            .collect();
        scope.spawn(|| command(&bench, &clock, &commanded, &done));
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    for dir in Direction::BOTH {
        let traffic = *bench.port.counters().traffic.get(dir);
        let counted = traffic.forwarded + traffic.drops.total();
        assert_eq!(counted, sent.get(dir), "{dir}: {traffic:?}");
        assert!(traffic.uft_hit > 0, "{dir}: {traffic:?}");
    }
    let began = bench.port.counters().traffic.get(Out).uft_miss;
    assert!(began > 0);
    bench.port.reset();
    let counters = bench.port.counters();
    assert_eq!(
        (counters.flows, counters.tcp_connections, counters.programs),
        (0, 0, 0)
    );
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [0; 3]
    );
}

#[test]
fn two_workers_and_commands() {
    hammer(2, 300);
}

#[test]
fn four_workers_and_commands() {
    hammer(4, 150);
}

#[test]
#[ignore = "a minute or more; run with --ignored, in release"]
fn eight_workers_and_commands_for_long() {
    hammer(8, 60_000);
}

/// Packets of one flow in one direction from several threads: none is lost from the counts of the flow, or of the port.
#[test]
fn nothing_is_counted_twice_or_not_at_all() {
    const EACH: u64 = 3000;
    let bench = Bench::new();
    let udp = udp_out(5);
    let public = bench.out(&udp).source_port;
    bench.inward(&udp_back(public));
    let segment = |flags, seq, ack| tcp_frame((GUEST, 6), (FAR, 80), flags, seq, ack, b"");
    let public = bench.out(&segment(SYN, 1, 0)).source_port;
    bench.inward(&tcp_frame((FAR, 80), (PUBLIC, public), SYN_ACK, 7, 2, b""));
    let ack = segment(ACK, 2, 8);
    bench.out(&ack);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut worker = bench.port.worker();
                for _ in 0..EACH {
                    for frame in [&udp, &ack] {
                        let mut buf = [&[0; HEAD_ROOM][..], frame].concat();
                        let end = buf.len();
                        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
                        let verdict = worker.process(Out, bench.now, &mut packet, &mut []);
                        assert!(matches!(verdict, Verdict::Forward { .. }));
                    }
                }
            });
        }
    });
    let traffic = bench.port.counters().traffic.outbound;
    assert_eq!((traffic.uft_hit, traffic.uft_miss), (6 * EACH + 1, 2));
    let [udp_hits, tcp_hits] = ["UDP", "TCP"].map(|protocol| {
        let dump = bench.port.dump_uft(Page::FIRST);
        let flows = dump.flows.iter().filter(|flow| flow.dir == Out);
        let mut of_protocol = flows.filter(|flow| flow.flow.to_string().contains(protocol));
        of_protocol.next().unwrap().hits
    });
    assert_eq!((udp_hits, tcp_hits), (3 * EACH + 1, 3 * EACH + 2));
}
