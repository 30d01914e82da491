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
