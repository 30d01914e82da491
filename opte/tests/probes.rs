//! What a port shows to who looks.

mod net;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::{Bench, Echo, FAR, GATEWAY, GUEST, PUBLIC, tunnelled, udp_frame};
use opte::Direction::{In, Out};
use opte::DropReason;
use opte::action::{Action, ActionError, AllowOrDeny, MetaAction};
use opte::predicate::{IpPrefix, Predicate};
use opte::probe::{Event, Point, Probe};
use opte::rule::Rule;
use opte_headers::FlowKey;

/// Keeps what it is shown.
#[derive(Default)]
struct Keeper(Mutex<Vec<Shown>>);

/// A point, the flow there, the frame there.
type Shown = (String, Option<String>, Vec<u8>);

impl Probe for Keeper {
    fn fire(&self, event: &Event<'_>) {
        assert_eq!(event.port, "p1");
        let flow = event.flow.as_ref().map(ToString::to_string);
        let shown = (event.point.to_string(), flow, event.frame.to_vec());
        self.0.lock().unwrap().push(shown);
    }
}

impl Keeper {
    /// The points that were met since.
    fn points(&self) -> Vec<String> {
        let points = self.0.lock().unwrap().split_off(0);
        points.into_iter().map(|(point, ..)| point).collect()
    }
}

fn watched() -> (Bench, Arc<Keeper>) {
    let bench = Bench::new();
    let keeper = Arc::new(Keeper::default());
    bench.port.observe(Some(keeper.clone()));
    (bench, keeper)
}

const WALK_OUT: [&str; 6] = [
    "before firewall",
    "after firewall: default",
    "before nat",
    "after nat: rule 0",
    "before overlay",
    "after overlay: rule 0",
];

#[test]
fn every_point_of_a_flow_s_life() {
    let (mut bench, keeper) = watched();
    let ask = udp_frame((GUEST, 6000), (FAR, 53), b"x");
    let sent = bench.send(Out, &ask);
    let shown = keeper.0.lock().unwrap().clone();
    let points: Vec<&str> = shown.iter().map(|(point, ..)| &**point).collect();
    let expected = [&["arrived"][..], &WALK_OUT, &["flow_made", "walked"]].concat();
    assert_eq!(points, expected);
    // The frame at each point: as it came, translated by the second layer, in the tunnel after the last.
    assert_eq!((&shown[0].2, &shown[1].2, &shown[2].2), (&ask, &ask, &ask));
    assert_ne!(shown[4].2, ask);
    assert_eq!(shown[4].2, shown[5].2);
    assert_eq!((&shown[6].2, &shown[8].2), (&sent.frame, &sent.frame));
    let (before, after) = (shown[3].1.clone().unwrap(), shown[4].1.clone().unwrap());
    assert!(
        before.contains("10.0.0.2") && after.contains("203.0.113.5"),
        "{before} {after}"
    );
    keeper.points();
    // The next packets are hits, each way.
    let external = bench.out(&ask).source_port;
    bench.inward(&udp_frame((FAR, 53), (PUBLIC, external), b"y"));
    assert_eq!(keeper.points(), ["arrived", "hit", "arrived", "hit"]);
    bench.wait(Duration::from_secs(400));
    bench.port.expire(bench.now, 100);
    assert_eq!(keeper.points(), ["flow_ended"]);
    // Who does not look is shown nothing.
    bench.port.observe(None);
    bench.out(&ask);
    assert!(keeper.points().is_empty());
}

#[test]
fn what_ends_at_the_port() {
    let (bench, keeper) = watched();
    let echo = [Predicate::Destination(IpPrefix::exact(GATEWAY))];
    let echo = Rule::new(1, echo, Action::Hairpin(Arc::new(Echo)));
    bench.port.add_rule("firewall", Out, echo).unwrap();
    bench.send(Out, &udp_frame((GUEST, 1), (GATEWAY, 9), &[2]));
    let after = "after firewall: rule 0";
    assert_eq!(
        keeper.points(),
        ["arrived", "before firewall", after, "hairpin"]
    );
    bench.send(In, &tunnelled(&udp_frame((FAR, 1), (GUEST, 1), b"")));
    let points = keeper.points();
    assert_eq!(points.first().unwrap(), "arrived");
    assert_eq!(points.last().unwrap(), "dropped: layer_default_deny");
    assert_eq!(points[points.len() - 2], "after firewall: default");
    bench.send(Out, &[0; 20]);
    assert_eq!(keeper.points().first().unwrap(), "arrived");
    assert_eq!(
        Point::Dropped(DropReason::NoMapping).to_string(),
        "dropped: no_mapping"
    );
}

#[test]
fn a_port_that_is_watched_does_as_one_that_is_not() {
    let (watched, _keeper) = watched();
    let plain = Bench::new();
    for port in 0..50u16 {
        for frame in [
            udp_frame((GUEST, 6000 + port % 7), (FAR, 53), &[port as u8]),
            udp_frame((FAR, 1), (FAR, 2), b"odd"),
        ] {
            let (a, b) = (watched.send(Out, &frame), plain.send(Out, &frame));
            assert_eq!((a.verdict, a.frame), (b.verdict, b.frame));
        }
    }
    assert_eq!(watched.port.counters(), plain.port.counters());
}

/// Does nothing, and counts how often its text is made.
struct Counted(Arc<AtomicUsize>);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fetch_add(1, Ordering::Relaxed);
        f.write_str("counted")
    }
}

impl MetaAction<net::Net> for Counted {
    fn modify(
        &self,
        _: opte::Direction,
        _: &FlowKey,
        _: &mut net::Meta,
    ) -> Result<AllowOrDeny<()>, ActionError> {
        Ok(AllowOrDeny::Allow(()))
    }
}

#[test]
fn shortfall_2_8_what_nobody_reads_is_not_formatted() {
    let texts = Arc::new(AtomicUsize::new(0));
    let bench = Bench::new();
    let rule = Rule::match_any(1, Action::Meta(Arc::new(Counted(texts.clone()))));
    bench.port.add_rule("nat", Out, rule).unwrap();
    let frame = |port| udp_frame((GUEST, port), (FAR, 53), b"x");
    for port in 0..20 {
        bench.send(Out, &frame(port));
    }
    assert_eq!(texts.load(Ordering::Relaxed), 0);
    bench.port.trace(Out, bench.now, &frame(99));
    assert_eq!(texts.load(Ordering::Relaxed), 1);
    bench.port.observe(Some(Arc::new(Keeper::default())));
    bench.send(Out, &frame(100));
    assert_eq!(texts.load(Ordering::Relaxed), 2);
}
