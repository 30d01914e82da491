//! What is said of a port while it runs.

mod net;

use std::time::Duration;

use net::traffic::*;
use net::{Bench, FAR, GUEST, Shape, udp_frame};
use opte::Direction::Out;
use opte::DropReason;
use opte::api::OpteError;
use opte::port::Verdict;

fn set(bench: &Bench, text: &str) {
    bench.port.set_options(&text.parse().unwrap()).unwrap();
    assert_eq!(bench.port.options().to_string(), text);
}

fn passes(bench: &Bench, frame: &[u8]) -> bool {
    matches!(bench.send(Out, frame).verdict, Verdict::Forward { .. })
}

/// A timeout holds for every flow from its next packet on, and what is no longer said is as it was built.
#[test]
fn timeouts_change_while_flows_live() {
    let mut bench = Bench::new();
    bench.out(&udp_out(1));
    set(&bench, "timeout-udp=7s");
    bench.out(&udp_out(2));
    bench.wait(Duration::from_secs(6));
    let known = |bench: &Bench, port| bench.port.trace(Out, bench.now, &udp_out(port)).known;
    assert!(known(&bench, 1) && known(&bench, 2));
    bench.out(&udp_out(2));
    bench.wait(Duration::from_millis(6_999));
    assert!(known(&bench, 1) && known(&bench, 2));
    bench.wait(Duration::from_millis(1));
    assert!(known(&bench, 1) && !known(&bench, 2));
    set(&bench, "none");
    bench.out(&udp_out(3));
    bench.wait(Duration::from_millis(106_999));
    assert!(known(&bench, 1) && known(&bench, 3));
    bench.wait(Duration::from_millis(1));
    assert!(!known(&bench, 1) && known(&bench, 3));
}

/// Fewer flows than there are: those stay, and a new one takes the place of the least valuable.
#[test]
fn the_number_of_flows_changes_while_they_live() {
    let bench = Bench::of(Shape {
        flows: 10,
        ..Shape::default()
    });
    for port in 1..=10 {
        bench.out(&udp_out(port));
    }
    set(&bench, "max-flows=4");
    assert_eq!(bench.port.counters().flow_limit, 4);
    bench.out(&udp_out(11));
    let counters = bench.port.counters();
    assert_eq!((counters.flows, counters.table.displaced), (10, 1));
    set(&bench, "max-flows=10");
    let more: OpteError = bench
        .port
        .set_options(&"max-flows=11 timeout-udp=1s".parse().unwrap())
        .unwrap_err();
    assert!(
        more.to_string().contains("the port was built for 10"),
        "{more}"
    );
    // Nothing of it.
    assert_eq!(bench.port.options().to_string(), "max-flows=10");
}

#[test]
fn quotas_change_while_flows_live() {
    let bench = Bench::new();
    for port in 1..=3 {
        bench.out(&udp_out(port));
    }
    set(&bench, "flows-per-address=3");
    let refused = bench.send(Out, &udp_out(4)).verdict;
    assert_eq!(dropped(refused), DropReason::FlowQuota);
    assert!((1..=3).all(|port| passes(&bench, &udp_out(port))));
    set(&bench, "flows-per-address=4");
    assert!(passes(&bench, &udp_out(4)) && !passes(&bench, &udp_out(5)));
    set(&bench, "none");
    assert!(passes(&bench, &udp_out(5)));
}

/// Where the port's number is free the guest keeps it, if it is said.
#[test]
fn nat_changes_while_flows_live() {
    let bench = Bench::new();
    set(&bench, "snat-preserve-ports=true");
    let kept = bench
        .out(&udp_frame((GUEST, 5000), (FAR, 53), b"x"))
        .source_port;
    assert_eq!(kept, 5000);
    set(&bench, "snat-preserve-ports=false");
    let drawn: Vec<_> = (6000..6010)
        .map(|port| {
            bench
                .out(&udp_frame((GUEST, port), (FAR, 53), b"x"))
                .source_port
        })
        .collect();
    assert_ne!(drawn, (6000..6010).collect::<Vec<_>>());
}

/// Ports rest after use for as long as is said, those too that rest already when less is said; so a share that had none left has some
/// again.
#[test]
fn nat_ports_rest_as_long_as_is_said() {
    let mut bench = Bench::of(Shape {
        ports: 4096..=4103,
        ..Shape::default()
    });
    let usage = |bench: &Bench| bench.share.pools()[1].1.usage();
    let of_guest = |port| udp_frame((GUEST, port), (FAR, 53), b"x");
    set(&bench, "timeout-udp=1s snat-hold-down=30s");
    for port in 1..=8 {
        assert!(passes(&bench, &of_guest(port)));
    }
    let refused = bench.send(Out, &of_guest(9)).verdict;
    assert_eq!(dropped(refused), DropReason::ActionResourceExhausted);
    assert_eq!((usage(&bench).leased, usage(&bench).exhausted), (8, 1));
    bench.wait(Duration::from_millis(1_300));
    assert_eq!(bench.port.expire(bench.now, 100).flows, 8);
    assert_eq!((usage(&bench).leased, usage(&bench).resting), (0, 8));

    // They rest from when the next port is asked for; that one has to go out early.
    assert!(passes(&bench, &of_guest(1)));
    assert_eq!(usage(&bench).resting, 7);
    bench.wait(Duration::from_millis(29_900));
    assert!(passes(&bench, &of_guest(2)));
    assert_eq!(usage(&bench).resting, 6);
    bench.wait(Duration::from_millis(200));
    assert!(passes(&bench, &of_guest(3)));
    assert_eq!((usage(&bench).leased, usage(&bench).resting), (3, 0));

    bench.wait(Duration::from_millis(1_300));
    bench.port.expire(bench.now, 100);
    assert!(passes(&bench, &of_guest(4)));
    assert_eq!(usage(&bench).resting, 3);
    set(&bench, "timeout-udp=1s snat-hold-down=0s");
    assert!(passes(&bench, &of_guest(5)));
    assert_eq!((usage(&bench).leased, usage(&bench).resting), (2, 0));
}
