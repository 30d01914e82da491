//! The face of a port: verdicts, answers, bursts, states, pages, traces.

mod net;

use std::net::IpAddr;

use net::traffic::*;
use net::{Bench, GUEST, PUBLIC, tunnelled, udp_frame};
use opte::Direction::{In, Out};
use opte::DropReason;
use opte::action::Action;
use opte::api::{FlowFilter, Page};
use opte::port::{Fate, PortError, PortState, Step, Verdict};
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;
use opte_headers::frame::parse_geneve;
use opte_headers::{IpProtocol, TcpFlags};

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
        (Verdict::Hairpin(ask(2).len() as u32), ask(2))
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
                let (frame, rest) = replies.split_at(*len as usize);
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
fn a_filter_finds_its_flows_on_whichever_page_they_are() {
    let bench = Bench::new();
    for port in 1..=500 {
        bench.out(&udp_out(port));
    }
    let found = |filter: FlowFilter| {
        let mut page = Page {
            cursor: 0,
            limit: 64,
        };
        let (mut uft, mut layer) = (0, 0);
        loop {
            let dump = bench.port.dump_uft_matching(page, &filter);
            let flows = dump.flows.iter();
            assert!(flows.clone().all(|flow| filter.has_flow(&flow.flow)));
            uft += flows.len();
            match dump.next {
                Some(next) => page.cursor = next,
                None => break,
            }
        }
        page.cursor = 0;
        loop {
            let dump = bench
                .port
                .dump_layer_matching("firewall", page, &filter, None)
                .unwrap();
            layer += dump.flows.len();
            match dump.next {
                Some(next) => page.cursor = next,
                None => break,
            }
        }
        (uft, layer)
    };
    let only = |l4_port| FlowFilter {
        l4_port,
        ..FlowFilter::ALL
    };
    assert_eq!(found(only(None)), (1000, 1000));
    let dir = Some(Out);
    assert_eq!(found(FlowFilter { dir, ..only(None) }), (500, 500));
    assert_eq!(
        found(FlowFilter {
            dir,
            ..only(Some(499))
        }),
        (1, 1)
    );
    let protocol = Some(6);
    assert_eq!(
        found(FlowFilter {
            protocol,
            ..only(None)
        }),
        (0, 0)
    );
    // Of rules the direction counts, or the number.
    let rules = |dir, rule| {
        let filter = FlowFilter { dir, ..only(None) };
        let dump = bench
            .port
            .dump_layer_matching("firewall", Page::FIRST, &filter, rule)
            .unwrap();
        assert!(rule.is_none() || dump.flows.is_empty());
        dump.rules
    };
    let all = rules(None, None);
    assert_eq!(
        rules(Some(In), None).len() + rules(Some(Out), None).len(),
        all.len()
    );
    for rule in &all {
        assert!(rules(Some(rule.dir), Some(rule.id)).contains(rule));
    }
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
    // Each step with the flow before and after, and what was done.
    let [firewall, nat, overlay] = &first.steps[..] else {
        panic!("{steps:?}")
    };
    let (guest, public) = (IpAddr::V4(GUEST), IpAddr::V4(PUBLIC));
    let sources = |step: &Step| (step.before.source, step.after.source);
    assert_eq!(sources(firewall), (guest, guest));
    assert_eq!(sources(nat), (guest, public));
    assert_eq!(sources(overlay), (public, public));
    let done = &nat.transformation;
    assert!(
        done.starts_with("set Ipv4 source to 203.0.113.5\nset Udp source to "),
        "{done}"
    );
    let done = &overlay.transformation;
    assert!(done.starts_with("push Geneve vni 77\n"), "{done}");
    assert_eq!(firewall.transformation, "nothing");
    for step in ["set Ipv4 source to 203.0.113.5", "push Geneve vni 77"] {
        assert!(first.program.contains(step), "{}", first.program);
    }
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
