//! Fragments through a port: by a shared address, by one of the guest's own, within the VPC, both ways and in any order.

mod sim;

use opte::Direction::{In, Out};
use opte::DropReason;
use opte_headers::{Ethernet, Header, Ipv4};
use oxide_vpc::api::ExternalIpCfg;
use oxide_vpc::network::{BOUNDARY_VNI, TUNNEL_ENDPOINT_MAC};
use proptest::prelude::*;
use sim::fragments::{cut, raw, whole};
use sim::outside::{ENDPOINT, FAR, FAR6, ports, share6, world, world4};
use sim::{At, Body, Frame, Outer, Sent, World, floating, guest, snat, udp, via_gateway};

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 % 251) as u8).collect()
}

/// A datagram of the guest to the outside.
fn datagram(world: &World, a: At, v6: bool, len: usize) -> Frame {
    let body = udp(5000, 53, &data(len));
    if v6 {
        Frame::new(world.v6(a), via_gateway(FAR6), body)
    } else {
        Frame::new(world.v4(a), via_gateway(FAR), body)
    }
}

/// What the boundary sends in for this frame.
fn external(world: &World, a: At, inner: &[u8]) -> Vec<u8> {
    let mut inner = inner.to_vec();
    inner[..6].copy_from_slice(&world.mac(a).octets());
    inner[6..12].copy_from_slice(&TUNNEL_ENDPOINT_MAC.octets());
    let outer = Outer {
        source: ENDPOINT,
        destination: world.hosts[a.0].underlay,
        vni: BOUNDARY_VNI,
        external: true,
    };
    outer.around(&inner)
}

/// The frame inside the tunnel.
fn inner(tunnelled: &[u8]) -> Vec<u8> {
    Outer::off(tunnelled).1.to_vec()
}

fn worlds() -> Vec<(World, At)> {
    let shared = world(
        snat("203.0.113.9", 1025, 4096),
        share6("2001:db8:1::9", 1025, 4096),
    );
    let own = world(
        floating(&["203.0.113.20"]),
        ExternalIpCfg {
            floating_ips: vec!["2001:db8:1::20".parse().unwrap()],
            ..ExternalIpCfg::NONE
        },
    );
    vec![shared, own]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// RFC 4787, REQ-14: fragments in either order are translated as the whole packet is; and so is the answer.
    #[test]
    fn a_packet_in_pieces_is_translated_as_it_is_whole(
        len in 24usize..4000,
        cuts in prop::collection::btree_set(1usize..500, 1..6),
        order in any::<prop::sample::Index>(),
        v6: bool,
        id: u32,
    ) {
        for (world, a) in worlds() {
            let frame = datagram(&world, a, v6, len);
            let (_, out) = world.send(a, &frame).left();
            let cuts: Vec<usize> = cuts.iter().map(|cut| cut * 8).filter(|cut| *cut < len + 8).collect();
            let turn = |mut pieces: Vec<Vec<u8>>| {
                let count = pieces.len();
                pieces.rotate_left(order.index(count));
                if order.index(2) == 1 {
                    pieces.reverse();
                }
                pieces
            };
            let sent = turn(cut(&frame.bytes(), &cuts, id));
            let (got, dropped) = world.burst(a, Out, &sent);
            prop_assert_eq!(dropped, vec![]);
            let got: Vec<_> = got.iter().map(|frame| inner(frame)).collect();
            prop_assert_eq!(Frame::read(&whole(&got)), out.clone());

            let answer = out.echoed();
            let frames = turn(cut(&answer.bytes(), &cuts, id));
            let frames: Vec<_> = frames.iter().map(|frame| external(&world, a, frame)).collect();
            let (got, dropped) = world.burst(a, In, &frames);
            prop_assert_eq!(dropped, vec![]);
            let got = Frame::read(&whole(&got));
            prop_assert_eq!(got.body, frame.echoed().body);
            prop_assert_eq!(got.destination, frame.source);
            let counters = world.vpc(a).port().counters();
            prop_assert_eq!((counters.fragments.inbound.packets, counters.fragments.inbound.bytes), (0, 0));
            prop_assert_eq!((counters.fragments.outbound.packets, counters.fragments.outbound.bytes), (0, 0));
        }
    }
}

/// Shortfall 1.8: later fragments were parsed as if their data were a transport header, and made flows of their own.
#[test]
fn shortfall_1_8_later_fragments_make_no_flow() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let frame = datagram(&world, a, false, 3000);
    let pieces = cut(&frame.bytes(), &[1480, 2960], 7);
    let (got, _) = world.burst(a, Out, &pieces);
    let counters = world.vpc(a).port().counters();
    assert_eq!((got.len(), counters.flows), (3, 1));
    assert_eq!(
        (
            counters.fragments.outbound.first,
            counters.fragments.outbound.followed
        ),
        (1, 2)
    );
    let outer = |frame: &Vec<u8>| frame[14..14 + 40 + 8].to_vec();
    let entropy = |frame: &Vec<u8>| (outer(frame)[1..4].to_vec(), outer(frame)[40..42].to_vec());
    assert!(
        got.iter().all(|frame| entropy(frame) == entropy(&got[0])),
        "flow label and source port are the flow's, so all take one way"
    );
}

#[test]
fn a_rule_for_a_port_lets_all_fragments_in_or_none() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    world.rule(a, "dir=in action=allow priority=10 protocol=udp ports=9000");
    let to = |port, id| {
        let mut frame = datagram(&world, a, false, 2000).echoed();
        frame.destination = "203.0.113.20".parse().unwrap();
        frame.body = udp(53, port, &data(2000));
        let pieces = cut(&frame.bytes(), &[800, 1600], id);
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| external(&world, a, piece))
            .collect();
        world.burst(
            a,
            In,
            &[pieces[1].clone(), pieces[0].clone(), pieces[2].clone()],
        )
    };
    let (got, dropped) = to(9000, 1);
    assert_eq!((got.len(), dropped), (3, vec![]));
    let Body::Udp {
        data: whole_data, ..
    } = Frame::read(&whole(&got)).body
    else {
        panic!("no UDP")
    };
    assert_eq!(whole_data, data(2000));
    let (got, dropped) = to(9001, 2);
    assert_eq!(got.len(), 0);
    assert_eq!(
        dropped,
        [DropReason::LayerDefaultDeny, DropReason::FragmentOrphan],
        "and the one that was held, which is counted"
    );
    let drops = world.vpc(a).port().counters().traffic.inbound.drops;
    assert_eq!(drops.get(DropReason::FragmentOrphan), 2);
}

#[test]
fn from_guest_to_guest() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(10, 5)), world.port(1, guest(10, 6)));
    for (at, net) in [(a, "172.30.0.0/22"), (a, "fd00:1::/64")] {
        world.route(
            at,
            net,
            &format!("sub4={net}").replace("sub4=fd", "sub6=fd"),
        );
    }
    world.rule(b, "dir=in action=allow priority=10 protocol=icmp");
    let ping = Frame {
        body: Body::Icmp {
            ty: 8,
            code: 0,
            identifier: 3,
            sequence: 1,
            data: data(3000),
        },
        ..Frame::ping(world.v4(a), world.v4(b), 3, 1)
    };
    let (tunnelled, dropped) = world.burst(a, Out, &cut(&ping.bytes(), &[1480, 2960], 1));
    assert_eq!(dropped, []);
    let (got, dropped) = world.burst(b, In, &tunnelled);
    assert_eq!(dropped, []);
    assert_eq!(Frame::read(&whole(&got)).body, ping.body);
}

/// RFC 5722, section 4; RFC 1858, section 4.
#[test]
fn no_fragment_passes_after_one_that_overlaps() {
    for v6 in [false, true] {
        let (world, a) = worlds().swap_remove(0);
        let frame = datagram(&world, a, v6, 3000).bytes();
        let (head, payload) = frame.split_at(14 + if v6 { 40 } else { 20 });
        let first = raw(head, &payload[..1024], 0, true, 9);
        for (from, to, more) in [
            (8, 1032, true),
            (1016, 1040, true),
            (0, 1032, true),
            (512, 700, false),
        ] {
            let overlapping = raw(head, &payload[from..to], from, more, 9);
            let rest = raw(head, &payload[1024..], 1024, false, 9);
            let (got, dropped) = world.burst(a, Out, &[first.clone(), overlapping, rest]);
            assert_eq!(got.len(), 1);
            assert_eq!(
                dropped,
                [DropReason::FragmentOverlap, DropReason::FragmentOrphan],
                "from {from} to {to}"
            );
            world.pass(31);
        }
    }
}

#[test]
fn a_fragment_that_comes_twice_passes_once() {
    let (world, a) = worlds().swap_remove(0);
    let pieces = cut(&datagram(&world, a, false, 3000).bytes(), &[1480, 2960], 9);
    let frames = [0, 1, 1, 0, 2].map(|at: usize| pieces[at].clone());
    let (got, dropped) = world.burst(a, Out, &frames);
    assert_eq!(
        (got.len(), dropped),
        (3, vec![DropReason::FragmentDuplicate; 2])
    );
}

/// RFC 1858, section 3; RFC 7112, section 5: the first fragment has all headers.
#[test]
fn a_first_fragment_without_its_transport_header_is_dropped() {
    for v6 in [false, true] {
        let (world, a) = worlds().swap_remove(0);
        let from = if v6 { world.v6(a) } else { world.v4(a) };
        let to = via_gateway(if v6 { FAR6 } else { FAR });
        let flags = opte_headers::TcpFlags::SYN;
        let syn = Frame::new(from, to, sim::tcp(5000, 80, flags, 1, 0, &data(64)));
        for bytes in [8, 16] {
            let pieces = cut(&syn.bytes(), &[bytes], bytes as u32);
            let (got, dropped) = world.burst(a, Out, &pieces);
            assert_eq!((got.len(), dropped), (0, vec![DropReason::ParseTruncated]));
        }
        let (got, dropped) = world.burst(a, Out, &cut(&syn.bytes(), &[24], 24));
        assert_eq!((got.len(), dropped), (2, vec![]));
    }
}

/// RFC 6946: a fragment header on a whole packet changes nothing.
#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let (world, a) = worlds().swap_remove(0);
    let frame = datagram(&world, a, true, 100).bytes();
    let (head, payload) = frame.split_at(14 + 40);
    for id in [5, 5] {
        let (got, dropped) = world.burst(a, Out, &[raw(head, payload, 0, false, id)]);
        assert_eq!((got.len(), dropped), (1, vec![]));
    }
    let counters = world.vpc(a).port().counters();
    assert_eq!((counters.fragments.outbound.first, counters.flows), (0, 1));
}

#[test]
fn a_fragment_waits_for_the_first_so_long_and_no_longer() {
    let (world, a) = worlds().swap_remove(0);
    let pieces = cut(&datagram(&world, a, false, 3000).bytes(), &[1480, 2960], 9);
    let port = world.vpc(a).port();
    world.burst(a, Out, &pieces[1..]);
    world.pass(29);
    assert!(port.expire(world.now(), 100).flows == 0);
    assert_eq!(port.counters().fragments.outbound.packets, 1);
    world.pass(2);
    port.expire(world.now(), 100);
    let counters = port.counters();
    assert_eq!(
        (
            counters.fragments.outbound.packets,
            counters.fragments.outbound.bytes
        ),
        (0, 0)
    );
    assert_eq!(
        counters
            .traffic
            .outbound
            .drops
            .get(DropReason::FragmentOrphan),
        2
    );
    assert_eq!(counters.fragments.outbound.incomplete, 1);
    assert_eq!(world.burst(a, Out, &pieces[..1]).0.len(), 1);
}

/// Whoever sends fragments without a first one uses up a bounded memory, and others' fragments pass all the while.
#[test]
fn a_flood_of_later_fragments_holds_no_more_than_the_limit() {
    let (world, a) = worlds().swap_remove(0);
    let port = world.vpc(a).port();
    for id in 0..4000_u32 {
        let frame = datagram(&world, a, false, 1400);
        let stray = cut(&frame.bytes(), &[8], id).swap_remove(1);
        let _ = world.burst(a, Out, &[stray]);
    }
    let counters = port.counters();
    assert!(counters.fragments.outbound.packets <= 256);
    assert!(counters.fragments.outbound.bytes <= 512 * 1024);
    assert_eq!(counters.flows, 0);
    let pieces = cut(
        &datagram(&world, a, false, 3000).bytes(),
        &[1480, 2960],
        9999,
    );
    let (got, dropped) = world.burst(a, Out, &pieces);
    assert_eq!((got.len(), dropped), (3, vec![]));
    port.reset();
    let counters = port.counters();
    assert_eq!(
        (
            counters.fragments.outbound.packets,
            counters.fragments.outbound.bytes
        ),
        (0, 0)
    );
}

#[test]
fn fragments_stop_with_the_rule_that_let_the_first_one_in() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    let rule = world.rule(a, "dir=in action=allow priority=10 protocol=udp");
    let mut frame = datagram(&world, a, false, 3000).echoed();
    frame.destination = "203.0.113.20".parse().unwrap();
    let pieces = cut(&frame.bytes(), &[1480, 2960], 1);
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| external(&world, a, piece))
        .collect();
    assert_eq!(world.burst(a, In, &pieces[..2]).0.len(), 2);
    world.vpc(a).remove_firewall_rule(In, rule).unwrap();
    assert_eq!(
        world.burst(a, In, &pieces[2..]).1,
        [DropReason::FlowRevoked]
    );
}

#[test]
fn a_trace_tells_where_a_later_fragment_would_go() {
    use opte::port::Fate;
    let (world, a) = worlds().swap_remove(0);
    let pieces = cut(&datagram(&world, a, false, 3000).bytes(), &[1480, 2960], 9);
    let port = world.vpc(a).port();
    let trace = |piece: &Vec<u8>| port.trace(Out, world.now(), piece).fate;
    assert_eq!(trace(&pieces[1]), Fate::Held);
    let first = world.burst(a, Out, &pieces[..1]).0;
    let Fate::Forward(foreseen) = trace(&pieces[1]) else {
        panic!("not forwarded")
    };
    let got = world.burst(a, Out, &pieces[1..2]).0;
    assert!(foreseen == got[0]);
    assert_eq!(
        first[0].len(),
        Ethernet::MIN_LEN + 40 + 8 + 8 + 14 + Ipv4::MIN_LEN + 1480
    );
}

#[test]
fn the_ports_of_the_whole_are_those_of_the_share() {
    let (world, a) = worlds().swap_remove(0);
    let frame = datagram(&world, a, false, 3000);
    let mut pieces = cut(&frame.bytes(), &[1480, 2960], 9);
    pieces.reverse();
    let (got, _) = world.burst(a, Out, &pieces);
    let got: Vec<_> = got.iter().map(|frame| inner(frame)).collect();
    let (source, destination) = ports(&Frame::read(&whole(&got)).body);
    assert!((1025..=4096).contains(&source));
    assert_eq!(destination, 53);
    let Sent::Left(..) = world.send(a, &frame) else {
        panic!("the flow goes on")
    };
}

/// A TCP segment that comes in fragments counts as whole: later fragments move its connection on, and its FIN stands behind its
/// last byte, wherever the fragment with the header ends.
#[test]
fn tcp_is_tracked_through_fragments() {
    use opte_headers::TcpFlags;
    const LEN: usize = 3000;
    let (ack, syn) = (TcpFlags::ACK, TcpFlags::SYN);
    for (v6, reversed) in [(false, false), (false, true), (true, false), (true, true)] {
        let (world, a) = worlds().swap_remove(0);
        let (from, to) = match v6 {
            false => (world.v4(a), via_gateway(FAR)),
            true => (world.v6(a), via_gateway(FAR6)),
        };
        let state = || {
            let dump = world.vpc(a).port().dump_tcp_flows(opte::api::Page::FIRST);
            dump.flows[0].state.clone()
        };
        let out = |flags, seq, ack, len| {
            let frame = Frame::new(from, to, sim::tcp(5000, 80, flags, seq, ack, &data(len)));
            let mut pieces = match len {
                0 => vec![frame.bytes()],
                _ => cut(&frame.bytes(), &[1480, 2960], seq),
            };
            if reversed {
                pieces.reverse();
            }
            let (got, dropped) = world.burst(a, Out, &pieces);
            assert_eq!((got.len(), dropped), (pieces.len(), vec![]));
            got
        };
        let syn_frame = Frame::read(&inner(&out(syn, 100, 0, 0)[0]));
        let (port, _) = ports(&syn_frame.body);
        let back = |flags, seq, ack| {
            let frame = Frame {
                source: syn_frame.destination,
                destination: syn_frame.source,
                body: sim::tcp(80, port, flags, seq, ack, &[]),
                ..syn_frame.clone()
            };
            let (got, dropped) = world.burst(a, In, &[external(&world, a, &frame.bytes())]);
            (got.len(), dropped)
        };
        assert_eq!(back(syn | ack, 500, 101), (1, vec![]));
        assert_eq!(state(), "ESTABLISHED");
        let _ = out(ack, 101, 501, 0);
        // Much more than a window.
        let mut seq = 101;
        for _ in 0..100 {
            let _ = out(ack, seq, 501, LEN);
            seq += LEN as u32;
            assert_eq!(back(ack, 501, seq), (1, vec![]));
        }
        // A reset at the edge of what was acknowledged ends it, one of long ago does not.
        assert_eq!(
            back(TcpFlags::RST | ack, 501 + (1 << 20), seq),
            (0, vec![DropReason::TcpOutOfWindow])
        );
        let _ = out(ack | TcpFlags::FIN, seq, 501, LEN);
        assert_eq!(state(), "FIN_WAIT_1");
        assert_eq!(back(ack, 501, seq + LEN as u32), (1, vec![]));
        assert_eq!(state(), "FIN_WAIT_1", "all but the FIN");
        assert_eq!(back(ack, 501, seq + LEN as u32 + 1), (1, vec![]));
        assert_eq!(state(), "FIN_WAIT_2");
        assert_eq!(
            back(ack | TcpFlags::FIN, 501, seq + LEN as u32 + 1),
            (1, vec![])
        );
        assert_eq!(state(), "TIME_WAIT");
    }
}

/// Identifications come again: what is left of the time before the clock jumped back is in nobody's way.
#[test]
fn a_clock_that_jumps_back_leaves_no_fragments_behind() {
    let (world, a) = worlds().swap_remove(0);
    let pieces = cut(&datagram(&world, a, false, 3000).bytes(), &[1480, 2960], 9);
    world.pass(4000);
    world.burst(a, Out, &pieces[1..2]);
    world.turn_back(3600);
    let (got, dropped) = world.burst(a, Out, &pieces);
    assert_eq!((got.len(), dropped), (3, vec![]));
}
