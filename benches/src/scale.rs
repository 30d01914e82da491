//! The engine at scale: rates, a flood, two workers, commands beside packets, many routes and rules.

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opte::Direction;
use opte::api::Page;
use opte::lpm::{Lpm, Prefix, left_aligned};
use oxide_vpc::api::{RouterClass, RouterEntry, TunnelEndpoint};
use oxide_vpc::network::BOUNDARY_VNI;

use crate::reference::{BURST, Draw, ENDPOINT, Reference, Ring, rule};
use crate::{Meter, Row, Unit};

macro_rules! rows {
    ($($name:literal $unit:ident $budget:expr, $run:expr;)*) => {
        /// Rows of this module.
        pub const ROWS: &[Row] = &[$(Row { name: $name, unit: Unit::$unit, budget: $budget, run: $run },)*];
    };
}

/// No budget is said.
const NONE: f64 = f64::INFINITY;

rows! {
    "new_flows_1000_rules" PerSecond 500_000.0, new_flows;
    "uft_hits_1000_flows" PerSecond NONE, |meter| hits(meter, 1_000);
    "uft_hits_100000_flows" PerSecond NONE, |meter| hits(meter, 100_000);
    "uft_hits_1000000_flows" PerSecond NONE, |meter| hits(meter, 1_000_000);
    "flood_established_rate" PercentLost 20.0, |meter| { let (lost, _) = flood(); meter.found(lost) };
    "flood_established_lost" Packets 0.0, |meter| { let (_, lost) = flood(); meter.found(lost) };
    "two_workers_against_one" TimesFaster 1.8, two_workers;
    "two_ports_against_one" TimesFaster NONE, two_ports;
    "stop_by_add_and_rem_fw_rule" Microseconds 50.0, |meter| stop(meter, add_and_remove_rule);
    "stop_by_set_fw_rules" Microseconds 50.0, |meter| stop(meter, set_rules);
    "stop_by_router_entry" Microseconds 50.0, |meter| stop(meter, route);
    "stop_by_boundary" Microseconds 50.0, |meter| stop(meter, boundary);
    "stop_by_dump_uft" Microseconds 50.0, |meter| stop(meter, dump);
    "stop_by_expiry" Microseconds 50.0, |meter| stop(meter, expire);
    "first_packet_snat" Instructions NONE, crate::engine::first_packet_snat;
    "route_lookup_1000000_prefixes" Instructions NONE, |meter| route_lookup(meter, 1_000_000);
    "route_lookup_1000000_prefixes_time" Nanoseconds NONE, |meter| route_lookup(meter, 1_000_000);
    "rule_changes_10000" Microseconds 1_000_000.0, rule_changes;
}

/// First packets in bursts, past 1,000 rules, into a table that has met some before.
fn new_flows(meter: &mut Meter) {
    const FLOWS: usize = 200 * Ring::LEN;
    let reference = Reference::with_rules(1_000_000, 1_000);
    let (mut ring, mut numbers) = (Ring::new(0), 0..);
    while numbers.start < FLOWS {
        ring.refill_with(|| numbers.next().unwrap_or_default());
        let mut forwarded = 0;
        meter.burst(Ring::LEN, || {
            forwarded = reference.bursts(Direction::Out, &mut ring.bufs);
        });
        assert_eq!(forwarded, Ring::LEN);
    }
    assert_eq!(reference.vpc.port().counters().flows, FLOWS as u32);
}

/// Bursts of packets of so many flows, in random order.
fn hits(meter: &mut Meter, flows: usize) {
    let reference = Reference::new(flows as u32);
    reference.flows(flows);
    let (mut ring, mut draw) = (Ring::new(0), Draw(1));
    for _ in 0..400 {
        ring.refill_with(|| draw.below(flows));
        meter.burst(Ring::LEN, || {
            black_box(reference.bursts(Direction::Out, &mut ring.bufs));
        });
    }
    let traffic = reference.vpc.port().counters().traffic;
    assert!(
        traffic.get(Direction::Out).uft_hit >= (400 * Ring::LEN) as u64,
        "not all were hits"
    );
}

/// What a worker has done: packets, those that did not go out, and nanoseconds, the making of frames left out.
#[derive(Clone, Copy, Default)]
struct Done {
    packets: usize,
    lost: usize,
    nanoseconds: f64,
}

impl Done {
    fn rate(self) -> f64 {
        self.packets as f64 / self.nanoseconds
    }
}

/// Hundredths of their rate that established flows lose on their own core, and packets, while another core brings nothing but new
/// flows to the full table of the port.
fn flood() -> (f64, f64) {
    const FLOWS: usize = 65_536;
    const ESTABLISHED: usize = 1_000;
    const TIME: Duration = Duration::from_millis(200);
    let reference = Reference::new(FLOWS as u32);
    reference.answered_flows(ESTABLISHED);
    let mut others = Ring::new(0);
    for number in ESTABLISHED..FLOWS {
        reference.process(Direction::Out, others.one(number));
    }
    let progress = Progress::default();
    let alone = beside(&reference, ESTABLISHED, TIME, || true);
    let (flooding, ready) = (AtomicBool::new(true), Barrier::new(2));
    let flooded = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut ring, mut numbers) = (Ring::new(0), FLOWS..);
            ready.wait();
            while flooding.load(Ordering::Relaxed) {
                ring.refill_with(|| numbers.next().unwrap_or_default() % 4_000_000 + FLOWS);
                for bufs in ring.bufs.chunks_mut(BURST) {
                    reference.bursts(Direction::Out, bufs);
                    progress.0.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        ready.wait();
        let mut last = 0;
        let flooded = beside(&reference, ESTABLISHED, TIME, || {
            let now = progress.0.load(Ordering::Relaxed);
            core::mem::replace(&mut last, now) != now
        });
        flooding.store(false, Ordering::Relaxed);
        flooded
    });
    let lost = 100.0 * (1.0 - flooded.rate() / alone.rate());
    (lost, (alone.lost + flooded.lost) as f64)
}

/// What one core has got done and another one looks at, on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Progress(AtomicUsize);

/// A ring takes some 15 microseconds.
const TAKEN_AWAY: Duration = Duration::from_micros(500);

/// Packets of established flows, in random order. Those count of which `counts` says yes right behind them, where the other core is
/// to be at work meanwhile, and those that the system took the core away from do not: where others use the machine too,
/// both happen all the time, and neither is the flood's doing.
fn beside(
    reference: &Reference,
    flows: usize,
    time: Duration,
    mut counts: impl FnMut() -> bool,
) -> Done {
    let (mut ring, mut draw) = (Ring::new(0), Draw(1));
    let (mut done, start) = (Done::default(), Instant::now());
    while done.packets < 200 * Ring::LEN || start.elapsed() < time {
        ring.refill_with(|| draw.below(flows));
        counts();
        let start = Instant::now();
        let forwarded = reference.bursts(Direction::Out, &mut ring.bufs);
        let took = start.elapsed();
        done.lost += Ring::LEN - forwarded;
        if counts() && took < TAKEN_AWAY {
            done.nanoseconds += took.as_nanos() as f64;
            done.packets += Ring::LEN;
        }
    }
    done
}

/// Packets of established flows of one port on two workers, each with flows of its own.
fn two_workers(meter: &mut Meter) {
    let reference = Reference::new(2 * FLOWS_OF_WORKER as u32);
    reference.flows(2 * FLOWS_OF_WORKER);
    meter.found(two_against_one([
        (&reference, 0),
        (&reference, FLOWS_OF_WORKER),
    ]));
}

/// The same of two workers that have a port each: what the machine has to give.
fn two_ports(meter: &mut Meter) {
    let ports = [0; 2].map(|from| {
        let reference = Reference::new(2 * FLOWS_OF_WORKER as u32);
        reference.flows(2 * FLOWS_OF_WORKER);
        (reference, from)
    });
    meter.found(two_against_one(
        ports.each_ref().map(|(port, from)| (port, *from)),
    ));
}

const FLOWS_OF_WORKER: usize = 10_000;

/// How many times as much two workers get done together as one of them alone: each with flows of a port from a number on. Each is
/// held against itself: flows that came later stand a little further off in the table.
fn two_against_one(workers: [(&Reference, usize); 2]) -> f64 {
    let workers = workers.map(|of| Paired {
        of,
        rings: Progress::default(),
        enough: AtomicBool::new(false),
    });
    let alone = || workers.each_ref().map(|worker| worker.ring_time(None));
    let before = alone();
    let [first, second] = &workers;
    let together = std::thread::scope(|scope| {
        let other = scope.spawn(|| second.ring_time(Some(first)));
        let time = first.ring_time(Some(second));
        [time, other.join().expect("a worker")]
    });
    let alone = std::iter::zip(before, alone()).map(|(before, after)| before.min(after));
    std::iter::zip(alone, together)
        .map(|(alone, together)| alone / together)
        .sum()
}

/// One of two workers.
struct Paired<'a> {
    of: (&'a Reference, usize),
    /// Begun, and ended.
    rings: Progress,
    enough: AtomicBool,
}

impl Paired<'_> {
    /// The median of the times that a ring of packets takes, the making of frames left out; none if that cannot be told. With another
    /// worker beside it those count during which that one began or ended a ring, so that both were at work: where others use the machine
    /// too, the system has them take turns all the time.
    fn ring_time(&self, beside: Option<&Self>) -> f64 {
        const RINGS: usize = 4_000;
        const PATIENCE: Duration = Duration::from_secs(3);
        let (reference, from) = self.of;
        let (mut ring, mut draw) = (Ring::new(0), Draw(from as u64));
        let (mut times, start) = (Vec::with_capacity(RINGS), Instant::now());
        self.enough.store(false, Ordering::Relaxed);
        let others = || beside.map(|other| other.rings.0.load(Ordering::Relaxed));
        let both_have_enough = || {
            let other = beside.is_none_or(|other| other.enough.load(Ordering::Relaxed));
            self.enough.load(Ordering::Relaxed) && other
        };
        while !both_have_enough() && start.elapsed() < PATIENCE {
            ring.refill_with(|| from + draw.below(FLOWS_OF_WORKER));
            self.rings.0.fetch_add(1, Ordering::Relaxed);
            let (before, start) = (others(), Instant::now());
            let forwarded = reference.bursts(Direction::Out, &mut ring.bufs);
            let took = start.elapsed();
            assert_eq!(forwarded, Ring::LEN);
            self.rings.0.fetch_add(1, Ordering::Relaxed);
            if (before.is_none() || others() != before) && took < TAKEN_AWAY {
                times.push(took);
            }
            self.enough.store(times.len() >= RINGS, Ordering::Relaxed);
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).filter(|_| times.len() > 100);
        median.map_or(f64::NAN, |time| time.as_nanos() as f64)
    }
}

/// The longest time between two packets while a command runs, the least of many tries: what the system takes for itself is not in
/// every one of them. The port has 100,000 flows and 1,000 rules.
fn stop(meter: &mut Meter, command: fn(&Reference, usize)) {
    const FLOWS: usize = 100_000;
    const TRIES: usize = 20;
    let reference = Reference::with_rules(FLOWS as u32, 1_000);
    reference.flows(FLOWS);
    // The number of the try, from 1; zero between them.
    let at = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let longest = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut longest = [Duration::ZERO; TRIES + 1];
            let (mut ring, mut draw) = (Ring::new(0), Draw(1));
            let mut last = Instant::now();
            while !done.load(Ordering::Relaxed) {
                let buf = ring.one(draw.below(FLOWS));
                black_box(reference.process(Direction::Out, buf));
                let now = Instant::now();
                if let Some(longest) = longest.get_mut(at.load(Ordering::Acquire)) {
                    *longest = (*longest).max(now - last);
                }
                last = now;
            }
            longest
        });
        std::thread::sleep(Duration::from_millis(20));
        for number in 1..=TRIES {
            at.store(number, Ordering::Release);
            command(&reference, number);
            // The packets behind the command are stopped by what it left to them.
            std::thread::sleep(Duration::from_millis(1));
            at.store(0, Ordering::Release);
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::Relaxed);
        worker.join().expect("a worker")
    });
    let [_, tries @ ..] = longest;
    let least = tries.iter().filter(|longest| !longest.is_zero()).min();
    meter.found(least.map_or(f64::NAN, |least| least.as_nanos() as f64 / 1000.0));
}

fn add_and_remove_rule(reference: &Reference, number: usize) {
    let rule = rule(20_000 + number);
    let id = reference.vpc.add_firewall_rule(&rule).expect("a rule");
    let removed = reference.vpc.remove_firewall_rule(rule.direction, id);
    removed.expect("the rule");
}

fn set_rules(reference: &Reference, number: usize) {
    let rules: Vec<_> = (number..number + 1_000).map(rule).collect();
    reference.vpc.set_firewall_rules(&rules).expect("rules");
}

fn route(reference: &Reference, number: usize) {
    let entry = RouterEntry {
        dest: format!("192.168.{number}.0/24").parse().expect("a prefix"),
        target: "ig".parse().expect("a target"),
        class: RouterClass::Custom,
    };
    reference.vpc.add_router_entry(&entry).expect("a route");
    reference
        .vpc
        .remove_router_entry(&entry)
        .expect("the route");
}

/// All flows go to another endpoint.
fn boundary(reference: &Reference, number: usize) {
    let [a, b, c, d, e, f, g, _] = ENDPOINT.segments();
    let endpoint = TunnelEndpoint {
        ip: [a, b, c, d, e, f, g, number as u16].into(),
        vni: BOUNDARY_VNI,
    };
    let all = "0.0.0.0/0".parse().expect("a prefix");
    reference.mappings.v2b.set(all, &[endpoint]);
}

fn dump(reference: &Reference, _: usize) {
    black_box(reference.vpc.port().dump_uft(Page {
        cursor: 0,
        limit: Page::MAX_LIMIT,
    }));
}

/// What the driver asks for at a time, when nothing has expired.
fn expire(reference: &Reference, number: usize) {
    let later = reference.now + Duration::from_millis(number as u64);
    black_box(reference.vpc.port().expire(later, 64));
}

/// The route to random addresses among so many random prefixes of IPv4, 8 to 28 bits long.
fn route_lookup(meter: &mut Meter, prefixes: usize) {
    const LOOKUPS: usize = 20_000;
    let (mut routes, mut draw) = (Lpm::default(), Draw(1));
    let mut address = || Ipv4Addr::from_bits((draw.below(1 << 31) as u32) << 1);
    let mut lens = Draw(2);
    let mut count = 0;
    while count < prefixes {
        let prefix = Prefix::of_ip(address().into(), 8 + lens.below(21) as u8);
        let new = routes.insert(prefix.expect("a prefix"), count).is_none();
        count += usize::from(new);
    }
    let addresses: Vec<_> = (0..LOOKUPS)
        .map(|_| left_aligned(address().into()))
        .collect();
    meter.each(LOOKUPS, |at| {
        black_box(routes.lookup(black_box(addresses[at])));
    });
}

/// 10,000 commands that add or remove one rule each, among 10,000 others.
fn rule_changes(meter: &mut Meter) {
    let reference = Reference::with_rules(1_000, 10_000);
    let start = Instant::now();
    let added: Vec<_> = (10_000..15_000)
        .map(|number| reference.vpc.add_firewall_rule(&rule(number)))
        .collect();
    for id in added {
        let removed = id.and_then(|id| reference.vpc.remove_firewall_rule(Direction::Out, id));
        removed.expect("the rule");
    }
    meter.found(start.elapsed().as_nanos() as f64 / 1000.0);
}
