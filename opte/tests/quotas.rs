//! What a table has room for, and for whom.

mod net;

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use net::traffic::*;
use net::{Bench, Echo, FAR, GATEWAY, GUEST, Shape, tunnelled, udp_frame};
use opte::Direction::{In, Out};
use opte::DropReason;
use opte::action::Action;
use opte::port::{Limits, Verdict};
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;
use opte_headers::IpProtocol;

/// One far host after the other begins flows that nobody answers: each has its share of the table, and no more.
#[test]
fn one_remote_host_cannot_take_all_places() {
    let mut bench = Bench::of(Shape {
        flows: 40,
        builder: |builder| {
            builder.limits(Limits {
                flows: NonZeroU32::new(40).unwrap(),
                flows_per_remote: NonZeroU32::new(10),
                ..Limits::default()
            })
        },
        ..Shape::default()
    });
    bench.allow_in(IpProtocol::UDP, 53);
    let host = |number: u8| Ipv4Addr::new(198, 51, 100, number);
    let ask = |bench: &Bench, from, port| {
        let frame = tunnelled(&udp_frame((from, port), (GUEST, 53), b"ask"));
        bench.send(In, &frame).verdict
    };
    let over = |bench: &Bench| {
        let counters = bench.port.counters();
        let drops = counters.traffic.inbound.drops.get(DropReason::FlowQuota);
        assert_eq!(drops, counters.table.over_quota);
        (counters.flows, drops)
    };
    for port in 1..=30 {
        let verdict = ask(&bench, host(1), port);
        assert_eq!(
            matches!(verdict, Verdict::Forward { .. }),
            port <= 10,
            "{port}"
        );
    }
    assert_eq!(over(&bench), (10, 20));
    // Others find room, and what the host has goes on.
    for port in 1..=10 {
        assert!(matches!(
            ask(&bench, host(2), port),
            Verdict::Forward { .. }
        ));
        assert!(matches!(
            ask(&bench, host(1), port),
            Verdict::Forward { .. }
        ));
    }
    // The guest's own flows to the host are not the host's.
    bench.out(&udp_frame((GUEST, 7), (host(1), 7), b"x"));
    assert_eq!(over(&bench), (21, 20));
    // As many as have ended may begin anew.
    bench.wait(Duration::from_secs(121));
    while bench.port.expire(bench.now, 100).more {}
    for port in 101..=112 {
        let verdict = ask(&bench, host(1), port);
        assert_eq!(
            matches!(verdict, Verdict::Forward { .. }),
            port <= 110,
            "{port}"
        );
    }
    assert_eq!(over(&bench), (10, 22));
    bench.port.reset();
    bench.port.start();
    assert!(matches!(ask(&bench, host(1), 1), Verdict::Forward { .. }));
}

#[test]
fn one_address_of_the_guest_cannot_take_all_places() {
    let bench = Bench::of(Shape {
        builder: |builder| {
            builder.limits(Limits {
                flows_per_address: NonZeroU32::new(3),
                ..Limits::default()
            })
        },
        ..Shape::default()
    });
    let second = Ipv4Addr::new(10, 0, 0, 77);
    for port in 1..=3 {
        bench.out(&udp_frame((GUEST, port), (FAR, 53), b"x"));
    }
    let verdict = bench
        .send(Out, &udp_frame((GUEST, 4), (FAR, 53), b"x"))
        .verdict;
    assert_eq!(dropped(verdict), DropReason::FlowQuota);
    bench.out(&udp_frame((second, 4), (FAR, 53), b"x"));
    // Refused before anything was taken for it.
    let leased = bench.share.pools().map(|(_, pool)| pool.usage().leased);
    assert_eq!(leased, [0, 4, 0]);
}

/// By default one remote host may have half of the table.
#[test]
fn the_flood_of_one_host_leaves_half_of_the_table() {
    let bench = Bench::of(Shape {
        flows: 40,
        ..Shape::default()
    });
    bench.allow_in(IpProtocol::UDP, 53);
    for port in 1..=1000 {
        let _ = bench.send(In, &tunnelled(&udp_frame((FAR, port), (GUEST, 53), b"ask")));
    }
    assert_eq!(bench.port.counters().flows, 20);
    for port in 1..=20 {
        bench.out(&udp_frame((GUEST, port), (FAR, 54), b"x"));
    }
    let table = bench.port.counters().table;
    assert_eq!((table.displaced, table.over_quota), (0, 980));
}

/// A full table keeps nobody from asking the port itself.
#[test]
fn the_port_answers_however_full_the_table_is() {
    let bench = Bench::of(Shape {
        flows: 4,
        ..Shape::default()
    });
    let echo = Rule::new(
        1,
        [Predicate::Destination(IpPrefix::exact(GATEWAY))],
        Action::Hairpin(Arc::new(Echo)),
    );
    bench.port.add_rule("firewall", Out, echo).unwrap();
    for port in 1..=4 {
        let external = bench.out(&udp_out(port)).source_port;
        bench.inward(&udp_back(external));
    }
    let refused = bench.send(Out, &udp_out(5)).verdict;
    assert_eq!(dropped(refused), DropReason::FlowTableFull);
    let asked = udp_frame((GUEST, 1), (GATEWAY, 9), &[2]);
    for _ in 0..3 {
        assert!(matches!(
            bench.send(Out, &asked).verdict,
            Verdict::Hairpin(_)
        ));
        let traced = bench.port.trace(Out, bench.now, &asked).fate;
        assert!(matches!(traced, opte::port::Fate::Hairpin(_)));
    }
    assert_eq!(bench.port.counters().table.refused, 1);
}
