//! Flows of a port: made by the first packet, found by the second, judged again when something changes.

mod net;

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::traffic::*;
use net::{Bench, FAR, GUEST, PUBLIC, snat_rule, tcp_frame, tunnelled};
use opte::Direction::{In, Out};
use opte::DropReason;
use opte::action::Action;
use opte::api::Page;
use opte::port::{PortError, PortState, RuleChange};
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;
use opte_headers::IpProtocol;

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
fn rules_added_with_a_new_table_have_the_identifiers_that_are_told() {
    let bench = Bench::new();
    let add = |priority, action| RuleChange::Add {
        layer: "firewall".into(),
        dir: Out,
        rule: Rule::match_any(priority, action),
    };
    let set = |rules: u16| RuleChange::Set {
        layer: "firewall".into(),
        inbound: vec![],
        outbound: (0..rules)
            .map(|n| Rule::match_any(n, Action::Allow))
            .collect(),
    };
    let rules = || {
        let dump = bench.port.dump_layer("firewall", Page::FIRST).unwrap();
        let out = dump.rules.into_iter().filter(|rule| rule.dir == Out);
        out.map(|rule| (rule.id, rule.priority)).collect::<Vec<_>>()
    };
    let sequences = [
        vec![set(2), add(70, Action::Allow), add(60, Action::Deny)],
        vec![add(90, Action::Deny), set(1), add(70, Action::Allow)],
        vec![
            set(1),
            add(90, Action::Deny),
            set(2),
            add(70, Action::Allow),
        ],
        vec![set(0), set(3), add(70, Action::Allow)],
    ];
    let mut given = std::collections::BTreeSet::new();
    given.extend(rules().iter().map(|(id, _)| *id));
    for (number, changes) in sequences.into_iter().enumerate() {
        let ids = bench.port.change_rules(changes).unwrap();
        let there = rules();
        let (first, last) = (ids[0], ids[ids.len() - 1]);
        // A rule added before a table is set goes with the one that was there.
        let stays = |id, priority| there.contains(&(id, priority));
        match number {
            0 => assert!(stays(first, 70) && stays(last, 60), "{ids:?} {there:?}"),
            _ => assert!(stays(last, 70), "{number}: {ids:?} {there:?}"),
        }
        assert_eq!(there.len(), [4, 2, 3, 4][number]);
        assert!(there.iter().all(|(id, _)| given.insert(*id)), "{there:?}");
        assert!(!ids.is_empty() && ids.windows(2).all(|ids| ids[0] < ids[1]));
    }
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
