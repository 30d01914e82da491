//! How long flows live: by protocol and state, by what a full table makes room for, by what TCP says.

mod net;

use std::time::Duration;

use net::traffic::*;
use net::{Bench, FAR, GUEST, PUBLIC, Shape, tcp_frame, tunnelled};
use opte::Direction::{In, Out};
use opte::DropReason;
use opte::port::Verdict;
use opte_headers::{IpProtocol, TcpFlags};

#[test]
fn idle_flows_expire_by_protocol_and_state() {
    let mut bench = Bench::new();
    bench.out(&udp_out(1));
    let both = bench.out(&udp_out(2)).source_port;
    bench.inward(&udp_back(both));
    bench.out(&tcp_frame((GUEST, 3), (FAR, 80), SYN, 1, 0, &[]));
    let syn = tcp_frame((GUEST, 4), (FAR, 80), SYN, 1, 0, &[]);
    let port = bench.out(&syn).source_port;
    bench.inward(&tcp_frame((FAR, 80), (PUBLIC, port), SYN_ACK, 1, 2, &[]));
    bench.out(&tcp_frame((GUEST, 4), (FAR, 80), ACK, 2, 2, &[]));
    let mut left = Vec::new();
    for seconds in [4, 2, 113, 2, 178, 2, 7138, 2] {
        bench.wait(Duration::from_secs(seconds));
        bench.port.expire(bench.now, 100);
        left.push(bench.port.counters().flows);
    }
    // Half-open at 5 s, UDP one way at 120 s, both ways at 300 s, established at 2 h 4 min.
    assert_eq!(left, [4, 3, 3, 2, 2, 1, 1, 0]);
    assert_eq!(bench.port.counters().table.expired, 4);
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [0, 0, 0]
    );
}

#[test]
fn an_expired_flow_is_over_even_if_nobody_has_removed_it() {
    let mut bench = Bench::new();
    let port = bench.out(&udp_out(1)).source_port;
    bench.wait(Duration::from_secs(121));
    let verdict = bench.send(In, &tunnelled(&udp_back(port))).verdict;
    assert_eq!(dropped(verdict), DropReason::LayerDefaultDeny);
    assert_eq!(bench.port.counters().flows, 0);
}

#[test]
fn traffic_keeps_a_flow() {
    let mut bench = Bench::new();
    let port = bench.out(&udp_out(1)).source_port;
    for _ in 0..20 {
        bench.wait(Duration::from_secs(100));
        bench.port.expire(bench.now, 100);
        assert_eq!(bench.out(&udp_out(1)).source_port, port);
    }
    assert_eq!(uft(&bench), (0, 0, 20, 1));
}

#[test]
fn expiry_comes_in_slices() {
    let mut bench = Bench::new();
    for port in 1..=100 {
        bench.out(&udp_out(port));
    }
    bench.wait(Duration::from_secs(200));
    let first = bench.port.expire(bench.now, 30);
    assert_eq!(
        (first.flows, first.more, bench.port.counters().flows),
        (30, true, 70)
    );
    while bench.port.expire(bench.now, 30).more {}
    assert_eq!(bench.port.counters().flows, 0);
}

#[test]
fn a_clock_that_jumps_harms_nobody() {
    let mut bench = Bench::new();
    bench.out(&udp_out(1));
    let late = bench.now;
    bench.now = opte::time::Moment::from_secs(1);
    bench.out(&udp_out(1));
    bench.out(&udp_out(2));
    bench.port.expire(bench.now, 100);
    assert_eq!(bench.port.counters().flows, 2);
    bench.now = late + Duration::from_secs(1_000_000_000);
    while bench.port.expire(bench.now, 100).more {}
    assert_eq!(bench.port.counters().flows, 0);
    bench.out(&udp_out(3));
}

/// A clock that jumps back by an hour: flows of before expire as if their last packets had come just then, those of after in
/// their time.
#[test]
fn a_clock_that_jumps_back_keeps_nothing_for_ever() {
    let mut bench = Bench::new();
    bench.now = opte::time::Moment::from_secs(4000);
    bench.out(&udp_out(1));
    bench.port.expire(bench.now, 100);
    bench.now = opte::time::Moment::from_secs(400);
    bench.out(&udp_out(2));
    let mut left = Vec::new();
    for _ in 0..30 {
        bench.wait(Duration::from_secs(10));
        while bench.port.expire(bench.now, 100).more {}
        left.push(bench.port.counters().flows);
    }
    assert_eq!(left[..11], [2; 11], "the one of after has 120 s");
    assert_eq!(left[28..], [0; 2], "{left:?}");
}

#[test]
fn a_full_table_displaces_the_oldest_of_the_least_value() {
    let mut bench = Bench::of(Shape {
        flows: 8,
        ..Shape::default()
    });
    let kept = bench.out(&udp_out(1)).source_port;
    bench.inward(&udp_back(kept));
    for port in 2..=8 {
        bench.out(&udp_out(port));
        bench.wait(Duration::from_secs(2));
    }
    bench.out(&udp_out(9));
    let counters = bench.port.counters();
    assert_eq!(
        (
            counters.flows,
            counters.table.displaced,
            counters.table.refused
        ),
        (8, 1, 0)
    );
    // The first of those with no answer is gone; the one with an answer stays through any flood.
    for port in 100..1000 {
        bench.out(&udp_out(port));
    }
    let before = uft(&bench);
    assert_eq!(bench.out(&udp_out(1)).source_port, kept);
    bench.inward(&udp_back(kept));
    let after = uft(&bench);
    assert_eq!((after.0 - before.0, after.2 - before.2), (1, 1));
}

#[test]
fn a_table_full_of_established_flows_refuses_and_counts() {
    let mut bench = Bench::of(Shape {
        flows: 4,
        ..Shape::default()
    });
    for port in 1..=4 {
        let external = bench.out(&udp_out(port)).source_port;
        bench.inward(&udp_back(external));
    }
    assert_eq!(
        dropped(bench.send(Out, &udp_out(5)).verdict),
        DropReason::FlowTableFull
    );
    assert_eq!(bench.port.counters().table.refused, 1);
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [0, 4, 0]
    );
    for port in 1..=4 {
        bench.out(&udp_out(port));
    }
    bench.wait(Duration::from_secs(301));
    bench.out(&udp_out(5));
}

#[test]
fn an_exhausted_share_is_counted_and_recovers() {
    let mut bench = Bench::of(Shape {
        ports: 4096..=4099,
        ..Shape::default()
    });
    for port in 1..=4 {
        bench.out(&udp_out(port));
    }
    assert_eq!(
        dropped(bench.send(Out, &udp_out(5)).verdict),
        DropReason::ActionResourceExhausted
    );
    bench.wait(Duration::from_secs(121));
    while bench.port.expire(bench.now, 100).more {}
    bench.out(&udp_out(5));
}

#[test]
fn midstream_is_for_the_guest_only_by_default() {
    let bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let stray = tunnelled(&tcp_frame((FAR, 4000), (GUEST, 22), ACK, 1, 1, &[]));
    assert_eq!(
        dropped(bench.send(In, &stray).verdict),
        DropReason::TcpNoConnection
    );
    bench.out(&tcp_frame((GUEST, 4000), (FAR, 80), ACK, 1, 1, b"going on"));
    let reset = tcp_frame((GUEST, 4001), (FAR, 80), TcpFlags::RST, 1, 0, &[]);
    assert_eq!(
        dropped(bench.send(Out, &reset).verdict),
        DropReason::TcpNoConnection
    );
    let open = Bench::of(Shape {
        builder: |builder| {
            builder.midstream(opte::direction::PerDirection {
                inbound: true,
                outbound: false,
            })
        },
        ..Shape::default()
    });
    open.allow_in(IpProtocol::TCP, 22);
    assert!(matches!(
        open.send(In, &stray).verdict,
        Verdict::Forward { .. }
    ));
}

#[test]
fn shortfall_1_4_a_scan_with_acks_leaves_nothing_that_lasts() {
    let mut bench = Bench::new();
    for port in 1..=100 {
        bench.out(&tcp_frame((GUEST, port), (FAR, 80), ACK, 1, 1, &[]));
    }
    bench.wait(Duration::from_secs(6));
    while bench.port.expire(bench.now, 1000).more {}
    assert_eq!(bench.port.counters().flows, 0);
}

#[test]
fn shortfall_1_4_a_blind_reset_removes_nothing() {
    let bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let far = ssh(&bench, 4000);
    let reset = tunnelled(&far(TcpFlags::RST, 4_000_000, 0));
    assert_eq!(
        dropped(bench.send(In, &reset).verdict),
        DropReason::TcpOutOfWindow
    );
    assert_eq!(tcp_states(&bench), ["ESTABLISHED"]);
    let before = uft(&bench);
    bench.inward(&far(ACK, 101, 501));
    assert_eq!(uft(&bench).0, before.0 + 1);
}

#[test]
fn a_connection_closed_in_good_order_and_opened_again() {
    let bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let far = ssh(&bench, 4000);
    bench.inward(&far(FIN_ACK, 101, 501));
    bench.out(&ssh_reply(4000, FIN_ACK, 501, 102));
    bench.inward(&far(ACK, 102, 502));
    assert_eq!(tcp_states(&bench), ["CLOSED"]);
    let _ = ssh(&bench, 4000);
    assert_eq!(tcp_states(&bench), ["ESTABLISHED"]);
    assert_eq!(bench.port.counters().flows, 1);
}
