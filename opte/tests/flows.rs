//! Flows of a port: made by the first packet, found by the second, judged again when something changes.

mod net;

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::{Bench, FAR, GUEST, PUBLIC, Shape, snat_rule, tcp_frame, tunnelled, udp_frame};
use opte::Direction::{In, Out};
use opte::DropReason;
use opte::action::Action;
use opte::api::Page;
use opte::port::{Fate, PortError, PortState, RuleChange, Verdict};
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;
use opte_headers::frame::parse_geneve;
use opte_headers::{IpProtocol, TcpFlags};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const SYN_ACK: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);
const FIN_ACK: TcpFlags = TcpFlags::FIN.union(TcpFlags::ACK);

fn udp_out(port: u16) -> Vec<u8> {
    udp_frame((GUEST, port), (FAR, 53), b"ask")
}

fn udp_back(external: u16) -> Vec<u8> {
    udp_frame((FAR, 53), (PUBLIC, external), b"tell")
}

/// Hits and misses, inbound and outbound.
fn uft(bench: &Bench) -> (u64, u64, u64, u64) {
    let traffic = bench.port.counters().traffic;
    (
        traffic.inbound.uft_hit,
        traffic.inbound.uft_miss,
        traffic.outbound.uft_hit,
        traffic.outbound.uft_miss,
    )
}

fn dropped(verdict: Verdict) -> DropReason {
    match verdict {
        Verdict::Drop(reason) => reason,
        other => panic!("not dropped: {other:?}"),
    }
}

/// Opens a connection from the far end to port 22 of the guest.
fn ssh(bench: &Bench, from: u16) -> impl Fn(TcpFlags, u32, u32) -> Vec<u8> {
    let far = move |flags, seq, ack| tcp_frame((FAR, from), (GUEST, 22), flags, seq, ack, &[]);
    bench.inward(&far(SYN, 100, 0));
    bench.out(&ssh_reply(from, SYN_ACK, 500, 101));
    bench.inward(&far(ACK, 101, 501));
    far
}

fn ssh_reply(to: u16, flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
    tcp_frame((GUEST, 22), (FAR, to), flags, seq, ack, &[])
}

fn tcp_states(bench: &Bench) -> Vec<String> {
    let mut states: Vec<_> = bench
        .port
        .dump_tcp_flows(Page::FIRST)
        .flows
        .into_iter()
        .map(|flow| flow.state)
        .collect();
    states.sort();
    states
}

#[test]
fn shortfall_1_12_the_first_packet_makes_both_directions() {
    let bench = Bench::new();
    let outside = bench.out(&udp_out(1000));
    assert_eq!(outside.source_ip(), IpAddr::V4(PUBLIC));
    let at_guest = bench.inward(&udp_back(outside.source_port));
    assert_eq!(
        (at_guest.destination_ip(), at_guest.destination_port),
        (IpAddr::V4(GUEST), 1000)
    );
    bench.out(&udp_out(1000));
    assert_eq!(
        uft(&bench),
        (1, 0, 1, 1),
        "the answer was a hit, and so was the second packet"
    );
    assert_eq!(bench.port.counters().flows, 1);
}

#[test]
fn shortfall_1_12_an_inbound_flow_makes_its_answer() {
    let bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let _ = ssh(&bench, 4000);
    assert_eq!(uft(&bench), (1, 1, 1, 0));
    assert_eq!(tcp_states(&bench), ["ESTABLISHED"]);
}

#[test]
fn what_no_rule_lets_in_stays_out() {
    let bench = Bench::new();
    let frame = tunnelled(&tcp_frame((FAR, 4000), (GUEST, 22), SYN, 1, 0, &[]));
    assert_eq!(
        dropped(bench.send(In, &frame).verdict),
        DropReason::LayerDefaultDeny
    );
    assert_eq!(bench.port.counters().flows, 0);
    assert_eq!(
        bench
            .port
            .counters()
            .traffic
            .inbound
            .drops
            .get(DropReason::LayerDefaultDeny),
        1
    );
}

#[test]
fn shortfall_1_1_a_removed_rule_stops_its_flow_before_the_next_packet() {
    let bench = Bench::new();
    let rule = bench.allow_in(IpProtocol::TCP, 22);
    let far = ssh(&bench, 4000);
    let outside = bench.out(&udp_out(1000)).source_port;
    bench.port.remove_rule("firewall", In, rule).unwrap();
    // Neither the far end's segments, nor a new SYN, nor the guest's own answers pass.
    assert_eq!(
        dropped(bench.send(In, &tunnelled(&far(ACK, 101, 501))).verdict),
        DropReason::FlowRevoked
    );
    assert_eq!(
        dropped(bench.send(Out, &ssh_reply(4000, ACK, 501, 101)).verdict),
        DropReason::FlowRevoked
    );
    assert_eq!(
        dropped(bench.send(In, &tunnelled(&far(SYN, 900, 0))).verdict),
        DropReason::LayerDefaultDeny
    );
    // A flow that the rule had nothing to do with keeps its port.
    assert_eq!(bench.out(&udp_out(1000)).source_port, outside);
    bench.inward(&udp_back(outside));
    assert_eq!(bench.port.counters().flows, 1);
}

#[test]
fn shortfall_1_1_a_deny_of_higher_priority_stops_a_flow() {
    let bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let far = ssh(&bench, 4000);
    let all = Rule::new(1, [Predicate::Source(IpPrefix::exact(FAR))], Action::Deny);
    let deny = bench.port.add_rule("firewall", In, all).unwrap();
    assert_eq!(
        dropped(bench.send(Out, &ssh_reply(4000, ACK, 501, 101)).verdict),
        DropReason::FlowRevoked
    );
    // Neither the flow nor its connection is counted.
    let gauges = || {
        let counters = bench.port.counters();
        (counters.flows, counters.tcp_connections)
    };
    assert_eq!(gauges(), (0, 0));
    // The rule gone again, the connection is what it was.
    bench.port.remove_rule("firewall", In, deny).unwrap();
    bench.inward(&far(ACK, 101, 501));
    assert_eq!(tcp_states(&bench), ["ESTABLISHED"]);
    assert_eq!(gauges(), (1, 1));
}

#[test]
fn equal_priorities_deny_first() {
    let bench = Bench::new();
    let any = |action| Rule::match_any(10, action);
    bench
        .port
        .add_rule("firewall", Out, any(Action::Deny))
        .unwrap();
    bench
        .port
        .add_rule("firewall", Out, any(Action::Allow))
        .unwrap();
    assert_eq!(
        dropped(bench.send(Out, &udp_out(1)).verdict),
        DropReason::LayerRuleDeny
    );
    let layer = bench.port.dump_layer("firewall", Page::FIRST).unwrap();
    let rules: Vec<_> = layer
        .rules
        .iter()
        .map(|rule| (rule.id, rule.hits, rule.action.as_str()))
        .collect();
    assert_eq!(rules, [(0, 1, "Deny"), (1, 0, "Allow")]);
}

#[test]
fn shortfall_1_3_new_rules_for_the_same_share_keep_the_port() {
    let bench = Bench::new();
    let before = bench.out(&udp_out(1000)).source_port;
    bench.out(&tcp_frame((GUEST, 2000), (FAR, 80), SYN, 1, 0, &[]));
    bench
        .port
        .set_rules("nat", vec![], vec![snat_rule(&bench.share)])
        .unwrap();
    assert_eq!(bench.out(&udp_out(1000)).source_port, before);
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [1, 1, 0]
    );
    assert_eq!(tcp_states(&bench), ["SYN_SENT"]);
    assert_eq!(bench.port.counters().traffic.outbound.revalidated, 1);
}

#[test]
fn shortfall_1_6_a_moved_mapping_moves_live_flows() {
    let bench = Bench::new();
    bench.out(&udp_out(1000));
    bench.far_end.store(9, Ordering::Relaxed);
    bench.mappings.bump();
    let sent = bench.send(Out, &udp_out(1000));
    let outer = &sent.frame[14 + 24..14 + 40];
    assert_eq!(outer, net::host(9).octets());
    // And a mapping that is gone stops them, until it is back.
    bench.far_end.store(0, Ordering::Relaxed);
    bench.mappings.bump();
    assert_eq!(
        dropped(bench.send(Out, &udp_out(1000)).verdict),
        DropReason::FlowRevoked
    );
    assert_eq!(
        dropped(bench.send(Out, &udp_out(1001)).verdict),
        DropReason::LayerActionDeny
    );
    bench.far_end.store(2, Ordering::Relaxed);
    bench.mappings.bump();
    bench.out(&udp_out(1000));
}

#[test]
fn shortfall_1_7_gauges_follow_the_flows() {
    let mut bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let _ = ssh(&bench, 4000);
    bench.out(&udp_out(1000));
    let flows = |bench: &Bench| {
        let layers = bench.port.list_layers().layers;
        layers
            .iter()
            .map(|layer| (layer.name.clone(), layer.flows))
            .collect::<Vec<_>>()
    };
    let named = |counts: [u64; 3]| {
        ["firewall", "nat", "overlay"]
            .map(String::from)
            .into_iter()
            .zip(counts)
            .collect::<Vec<_>>()
    };
    assert_eq!(flows(&bench), named([2, 1, 0]));
    bench.port.set_rules("firewall", vec![], vec![]).unwrap();
    bench.port.set_rules("nat", vec![], vec![]).unwrap();
    bench.out(&udp_out(1000));
    assert_eq!(flows(&bench), named([2, 0, 0]));
    bench.wait(Duration::from_secs(8000));
    while bench.port.expire(bench.now, 100).more {}
    assert_eq!(flows(&bench), named([0, 0, 0]));
    let counters = bench.port.counters();
    assert_eq!(
        (counters.flows, counters.tcp_connections, counters.programs),
        (0, 0, 0)
    );
}

#[test]
fn shortfall_1_16_changes_of_several_layers_are_made_together_or_not_at_all() {
    let bench = Bench::new();
    let add = |layer: &str, action| RuleChange::Add {
        layer: layer.into(),
        dir: Out,
        rule: Rule::match_any(1, action),
    };
    let changes = vec![add("firewall", Action::Deny), add("router", Action::Deny)];
    assert_eq!(
        bench.port.change_rules(changes),
        Err(PortError::LayerNotFound("router".into()))
    );
    bench.out(&udp_out(1000));
    let twice = |id| RuleChange::Remove {
        layer: "nat".into(),
        dir: Out,
        id,
    };
    assert_eq!(
        bench.port.change_rules(vec![twice(0), twice(0)]),
        Err(PortError::RuleNotFound(0))
    );
    assert_ne!(bench.out(&udp_out(1001)).source_ip(), IpAddr::V4(GUEST));
    bench.port.pause().unwrap();
    assert_eq!(
        bench.port.remove_rule("nat", Out, 0),
        Err(PortError::BadState(PortState::Paused))
    );
}

#[test]
fn clearing_the_unified_table_keeps_what_the_layers_hold() {
    let bench = Bench::new();
    let before = bench
        .out(&tcp_frame((GUEST, 2000), (FAR, 80), SYN, 1, 0, &[]))
        .source_port;
    assert_eq!(bench.port.dump_uft(Page::FIRST).flows.len(), 2);
    bench.port.clear_uft().unwrap();
    assert_eq!(bench.port.dump_uft(Page::FIRST).flows.len(), 0);
    assert_eq!(
        bench
            .port
            .dump_layer("nat", Page::FIRST)
            .unwrap()
            .flows
            .len(),
        2
    );
    let back = tcp_frame((FAR, 80), (PUBLIC, before), SYN_ACK, 7, 2, &[]);
    bench.inward(&back);
    assert_eq!(tcp_states(&bench), ["ESTABLISHED"]);
    assert_eq!(bench.port.dump_uft(Page::FIRST).flows.len(), 2);
}

#[test]
fn clearing_a_layer_lets_its_rules_decide_again() {
    let bench = Bench::new();
    let before = bench.out(&udp_out(1000)).source_port;
    bench.port.clear_lft("nat").unwrap();
    assert_eq!(
        bench
            .port
            .dump_layer("nat", Page::FIRST)
            .unwrap()
            .flows
            .len(),
        0
    );
    assert_eq!(
        bench
            .port
            .dump_layer("firewall", Page::FIRST)
            .unwrap()
            .flows
            .len(),
        2
    );
    assert_eq!(
        bench.port.clear_lft("nut"),
        Err(PortError::LayerNotFound("nut".into()))
    );
    // The port is the endpoint's, not the flow's (RFC 4787, REQ-1), and the flow still holds it when it asks again.
    assert_eq!(bench.out(&udp_out(1000)).source_port, before);
    assert_eq!(
        bench
            .port
            .dump_layer("nat", Page::FIRST)
            .unwrap()
            .flows
            .len(),
        2
    );
}

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

#[test]
fn hairpins_answer_pass_and_refuse() {
    let bench = Bench::new();
    let rule = |action| {
        Rule::new(
            1,
            [Predicate::Destination(IpPrefix::exact(net::GATEWAY))],
            action,
        )
    };
    bench
        .port
        .add_rule(
            "firewall",
            Out,
            rule(Action::Hairpin(std::sync::Arc::new(net::Echo))),
        )
        .unwrap();
    let ask = |last| udp_frame((GUEST, 1), (net::GATEWAY, 9), &[last]);
    let answered = bench.send(Out, &ask(2));
    assert_eq!(
        (answered.verdict, answered.frame),
        (Verdict::Hairpin(ask(2).len()), ask(2))
    );
    // What the action passes on walks by the following rules each time: no flow may hide the next one from it.
    bench.out(&ask(1));
    assert_eq!(bench.port.counters().flows, 0);
    assert_eq!(bench.port.counters().traffic.outbound.hairpins, 1);
    let mut frame = ask(2);
    let len = frame.len();
    let mut packet = opte::Packet::new(&mut frame, 0, len).unwrap();
    let verdict = bench
        .port
        .process(Out, bench.now, &mut packet, &mut [0; 10]);
    assert_eq!(dropped(verdict), DropReason::HairpinTooLong);
}

#[test]
fn a_rule_that_looks_at_packets_ends_the_flows_it_matches() {
    let bench = Bench::new();
    let frame = udp_frame((GUEST, 1), (net::GATEWAY, 9), &[2]);
    bench.out(&frame);
    assert_eq!(bench.port.counters().flows, 1);
    let rule = Rule::new(
        1,
        [Predicate::Destination(IpPrefix::exact(net::GATEWAY))],
        Action::Hairpin(std::sync::Arc::new(net::Echo)),
    );
    bench.port.add_rule("firewall", Out, rule).unwrap();
    assert!(matches!(
        bench.send(Out, &frame).verdict,
        Verdict::Hairpin(_)
    ));
    assert_eq!(bench.port.counters().flows, 0);
}

#[test]
fn a_burst_is_what_its_packets_are_one_by_one() {
    let (burst, single) = (Bench::new(), Bench::new());
    let rule = || {
        let to = Predicate::Destination(IpPrefix::exact(net::GATEWAY));
        Rule::new(1, [to], Action::Hairpin(std::sync::Arc::new(net::Echo)))
    };
    burst.port.add_rule("firewall", Out, rule()).unwrap();
    single.port.add_rule("firewall", Out, rule()).unwrap();
    let mut frames: Vec<Vec<u8>> = (0..40).map(|n| udp_out(1 + n % 7)).collect();
    frames.insert(3, vec![1, 2, 3]);
    frames.insert(5, udp_frame((GUEST, 1), (net::GATEWAY, 9), &[2]));
    frames.insert(20, udp_frame((GUEST, 1), (net::GATEWAY, 9), &[4, 4]));
    let wanted: Vec<_> = frames.iter().map(|frame| single.send(Out, frame)).collect();
    let mut bufs: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| [&[0; net::HEAD_ROOM][..], &frame[..]].concat())
        .collect();
    let mut packets: Vec<_> = bufs
        .iter_mut()
        .map(|buf| {
            let end = buf.len();
            opte::Packet::new(buf, net::HEAD_ROOM, end).unwrap()
        })
        .collect();
    let mut verdicts = vec![Verdict::Drop(DropReason::NotForUs); packets.len()];
    let mut reply = [0; 4096];
    burst
        .port
        .process_burst(Out, burst.now, &mut packets, &mut reply, &mut verdicts);
    let mut replies = &reply[..];
    for ((packet, verdict), wanted) in packets.iter().zip(&verdicts).zip(&wanted) {
        assert_eq!(*verdict, wanted.verdict);
        let frame = match verdict {
            Verdict::Hairpin(len) => {
                let (frame, rest) = replies.split_at(*len);
                replies = rest;
                frame
            }
            _ => packet.frame(),
        };
        assert_eq!(frame, wanted.frame);
    }
}

#[test]
fn life_of_a_port() {
    let bench = Bench::new();
    bench.out(&udp_out(1));
    bench.port.pause().unwrap();
    assert_eq!(bench.port.state(), PortState::Paused);
    assert_eq!(
        bench.port.pause(),
        Err(PortError::BadState(PortState::Paused))
    );
    assert_eq!(
        dropped(bench.send(Out, &udp_out(1)).verdict),
        DropReason::PortNotRunning
    );
    assert_eq!(
        bench.port.dump_uft(Page::FIRST).flows.len(),
        2,
        "a paused port keeps its flows"
    );
    bench.port.start();
    bench.out(&udp_out(1));
    assert_eq!(uft(&bench).2, 1);
    bench.port.reset();
    assert_eq!(bench.port.counters().flows, 0);
    assert_eq!(
        bench.port.clear_uft(),
        Err(PortError::BadState(PortState::Ready))
    );
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [0, 0, 0]
    );
}

#[test]
fn pages_show_every_flow_once() {
    let bench = Bench::new();
    for port in 1..=500 {
        bench.out(&udp_out(port));
    }
    let mut page = Page {
        cursor: 0,
        limit: 64,
    };
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let dump = bench.port.dump_uft(page);
        assert!(dump.flows.len() <= 64);
        assert_eq!((dump.count_in, dump.count_out), (500, 500));
        for flow in dump.flows {
            assert!(seen.insert((flow.dir, flow.flow)), "{flow:?} twice");
        }
        match dump.next {
            Some(next) => page.cursor = next,
            None => break,
        }
    }
    assert_eq!(seen.len(), 1000);
}

#[test]
fn bytes_that_are_no_frame_are_counted_by_what_is_wrong() {
    let bench = Bench::new();
    let good = tunnelled(&udp_back(4096));
    for len in 0..good.len() - 1 {
        assert!(
            matches!(bench.send(In, &good[..len]).verdict, Verdict::Drop(_)),
            "{len}"
        );
    }
    let drops = bench.port.counters().traffic.inbound.drops;
    assert!(drops.get(DropReason::ParseTruncated) > 0);
    assert_eq!(drops.total(), good.len() as u64 - 1);
}

#[test]
fn a_frame_without_head_room_is_dropped_whole() {
    let bench = Bench::new();
    let before = udp_out(1);
    let mut frame = before.clone();
    let len = frame.len();
    let mut packet = opte::Packet::new(&mut frame, 0, len).unwrap();
    let verdict = bench.port.process(Out, bench.now, &mut packet, &mut []);
    assert_eq!(dropped(verdict), DropReason::ProgramApply);
    assert_eq!(frame, before);
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage().leased),
        [0, 0, 0]
    );
}

#[test]
fn padding_of_the_link_does_not_go_through_the_tunnel() {
    let bench = Bench::new();
    let frame = udp_out(1);
    let padded = [&frame[..], &[0; 20]].concat();
    let sent = bench.send(Out, &padded);
    assert_eq!(sent.frame.len(), frame.len() + 14 + 40 + 8 + 8);
    parse_geneve(&sent.frame).unwrap();
}

#[test]
fn a_trace_tells_what_would_happen_and_changes_nothing() {
    let bench = Bench::new();
    bench.allow_in(IpProtocol::TCP, 22);
    let before = bench.port.counters();
    let first = bench.port.trace(Out, bench.now, &udp_out(1000));
    assert!(!first.known);
    let steps: Vec<_> = first.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps.len(), 3);
    assert_eq!(steps[0], "firewall: default: stateful allow");
    assert!(
        steps[1].starts_with("nat: rule 0: Stateful: 203.0.113.5:4096-8191: "),
        "{}",
        steps[1]
    );
    assert_eq!(steps[2], "overlay: rule 0: Static: tunnel");
    let Fate::Forward(frame) = first.fate else {
        panic!("{:?}", first.fate)
    };
    assert_eq!(
        parse_geneve(&frame).unwrap().key.source_ip(),
        IpAddr::V4(PUBLIC)
    );
    let stray = tunnelled(&udp_back(5000));
    let refused = bench.port.trace(In, bench.now, &stray);
    assert_eq!(refused.fate, Fate::Drop(DropReason::LayerDefaultDeny));
    assert_eq!(
        refused.steps.last().unwrap().to_string(),
        "firewall: default: deny"
    );
    assert_eq!(bench.port.counters(), before);
    assert_eq!(
        bench.share.pools().map(|(_, pool)| pool.usage()),
        net::Bench::new()
            .share
            .pools()
            .map(|(_, pool)| pool.usage())
    );
    let layer = bench.port.dump_layer("nat", Page::FIRST).unwrap();
    assert!(layer.rules.iter().all(|rule| rule.hits == 0));
}

#[test]
fn a_trace_of_a_known_flow_is_what_its_next_packet_gets() {
    let bench = Bench::new();
    let rule = bench.allow_in(IpProtocol::TCP, 22);
    let far = ssh(&bench, 4000);
    let segment = tunnelled(&far(ACK, 101, 501));
    let known = bench.port.trace(In, bench.now, &segment);
    assert!(known.known && known.steps.is_empty());
    assert_eq!(known.fate, Fate::Forward(bench.send(In, &segment).frame));
    let reset = tunnelled(&far(TcpFlags::RST, 4_000_000, 0));
    assert_eq!(
        bench.port.trace(In, bench.now, &reset).fate,
        Fate::Drop(DropReason::TcpOutOfWindow)
    );
    bench.port.remove_rule("firewall", In, rule).unwrap();
    let answer = bench
        .port
        .trace(Out, bench.now, &ssh_reply(4000, ACK, 501, 101));
    assert_eq!(answer.fate, Fate::Drop(DropReason::FlowRevoked));
    assert_eq!(
        answer.steps.last().unwrap().to_string(),
        "firewall: default: deny"
    );
    assert_eq!(bench.port.counters().flows, 1, "it is not revoked yet");
}
