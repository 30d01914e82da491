//! Two hosts' drivers, joined in memory, programmed while their guests talk: rules, peers, meters.

mod memory;

use std::time::Duration;

use memory::frames::{Frame, udp};
use memory::{Guest, World};
use opte::packet::{Gso, GsoKind, Offload};
use opte::{Direction, DropReason};
use opte_headers::Vni;
use oxide_vpc::api::{
    AddFwRuleReq, MeterLimits, RemFwRuleReq, SetFwRulesReq, SetMeterReq, SetPeersReq,
};
use oxide_vpc::network::GATEWAY_MAC;
use xde::command::Control as _;

const VPC: u32 = 10;
const PEER: u32 = 20;

/// A datagram between guests, and how many of them arrive of so many.
fn datagram(from: &Guest, to: &Guest, v6: bool, ports: (u16, u16)) -> Frame {
    let ip = |guest: &Guest| if v6 { guest.v6 } else { guest.v4 };
    let body = udp(ports.0, ports.1, b"a datagram");
    Frame::new((from.mac, ip(from)), (GATEWAY_MAC, ip(to)), body)
}

fn arrive(world: &mut World, from: &Guest, to: &Guest, frame: &Frame, times: usize) -> usize {
    (0..times)
        .map(|_| to.got(&world.send(from, frame)).len())
        .sum()
}

fn meter(world: &World, of: &Guest, dir: Direction, text: &str) {
    let limits: MeterLimits = text.parse().unwrap();
    let port_name = of.port.clone();
    let req = SetMeterReq {
        port_name,
        dir,
        limits,
    };
    world.hosts[of.host].set_meter(req).unwrap();
}

#[test]
fn rules_with_source_ports_and_several_hosts_come_and_go_by_number() {
    let mut world = World::new();
    let [a, b, c] = [(0, 5), (0, 6), (1, 7)].map(|(host, n)| world.guest(host, VPC, n));
    let port_name = || c.port.clone();
    let rules = Vec::new();
    let req = SetFwRulesReq {
        port_name: port_name(),
        rules,
    };
    world.hosts[1].set_fw_rules(req).unwrap();
    let add = |world: &World, text: &str| {
        let rule = text.parse().unwrap();
        let port_name = port_name();
        let req = AddFwRuleReq { port_name, rule };
        world.hosts[1].add_fw_rule(req).unwrap().id
    };
    // By what comes in when this rule stands alone: from either guest, by either family, from either port.
    for (text, expected) in [
        (
            "dir=in action=allow priority=1 source-port=1-1023",
            [true, false, true, false, true, false, true, false],
        ),
        (
            "dir=in action=allow priority=1 hosts=ip=172.30.0.5,ip=fd00:1::6",
            [true, true, false, false, false, false, true, true],
        ),
        (
            "dir=in action=allow priority=1 hosts=subnet=172.30.0.0/30,subnet=fd00:1::/64 source-port=53",
            [false, false, true, false, false, false, true, false],
        ),
        (
            "dir=in action=allow priority=1 hosts=vni=10,ip=192.0.2.1",
            [true; 8],
        ),
        (
            "dir=in action=reject priority=1 hosts=vni=10,ip=192.0.2.1",
            [false; 8],
        ),
    ] {
        let id = add(&world, text);
        let mut came = Vec::new();
        for from in [&a, &b] {
            for v6 in [false, true] {
                for source in [53, 40_000] {
                    let frame = datagram(from, &c, v6, (source, 7));
                    let got = world.send(from, &frame);
                    came.push(got.iter().any(|got| got.port == c.port));
                }
            }
        }
        assert_eq!(came, expected, "{text}");
        let (port_name, dir) = (port_name(), Direction::In);
        let req = RemFwRuleReq { port_name, dir, id };
        world.hosts[1].rem_fw_rule(req).unwrap();
        let frame = datagram(&a, &c, false, (53, 7));
        assert_eq!(world.send(&a, &frame), [], "nothing outlives its rule");
    }
}

#[test]
fn peers_reach_each_other_in_the_receivers_network() {
    let mut world = World::new();
    let a = world.guest(0, VPC, 5);
    // On the other host, and on the same one.
    let others = [world.guest(1, PEER, 7), world.guest(0, PEER, 8)];
    for guest in [&a, &others[0], &others[1]] {
        let (own, other) = if *guest.port == *a.port {
            (VPC, PEER)
        } else {
            (PEER, VPC)
        };
        let peers = vec![Vni::new(other).unwrap()];
        let port_name = guest.port.clone();
        let req = SetPeersReq { port_name, peers };
        world.hosts[guest.host].set_peers(req).unwrap();
        world.let_in(guest, other);
        assert_ne!(own, other);
    }
    for (other, on_wire) in others.iter().zip([PEER, 0]) {
        for v6 in [false, true] {
            world.wire.clear();
            let question = datagram(&a, other, v6, (1000, 53));
            let got = world.send(&a, &question);
            assert_eq!(other.got(&got).len(), 1);
            let answer = got[0].frame().answered(udp(53, 1000, b"me"));
            let back = world.send(other, &answer);
            assert_eq!(a.got(&back).len(), 1);
            // There in the peer's network, back in ours; on one host nothing is on the wire.
            let networks: Vec<u32> = world.wire.iter().map(|frame| vni_of(frame)).collect();
            match on_wire {
                0 => assert_eq!(networks, []),
                peer => assert_eq!(networks, [peer, VPC]),
            }
        }
    }
}

/// Of the Geneve header behind Ethernet, IPv6 and UDP.
fn vni_of(frame: &[u8]) -> u32 {
    u32::from_be_bytes([0, frame[66], frame[67], frame[68]])
}

#[test]
fn meters_hold_on_both_hosts_and_within_one() {
    let mut world = World::new();
    let [a, b, c] = [(0, 5), (0, 6), (1, 7)].map(|(host, n)| world.guest(host, VPC, n));
    for v6 in [false, true] {
        for to in [&b, &c] {
            let frame = datagram(&a, to, v6, (1000, 53));
            meter(&world, &a, Direction::Out, "packets=100/s burst=100ms");
            assert_eq!(arrive(&mut world, &a, to, &frame, 40), 10);
            meter(&world, &a, Direction::Out, "none");
            meter(&world, to, Direction::In, "packets=100/s burst=50ms");
            assert_eq!(arrive(&mut world, &a, to, &frame, 40), 5);
            world.pass(Duration::from_millis(21));
            assert_eq!(arrive(&mut world, &a, to, &frame, 40), 3);
            // Others do not notice.
            let other = datagram(to, &a, v6, (1000, 54));
            assert_eq!(arrive(&mut world, to, &a, &other, 40), 40);
            meter(&world, to, Direction::In, "none");
            assert_eq!(arrive(&mut world, &a, to, &frame, 40), 40);
            world.pass(Duration::from_secs(1));
        }
    }
    let dropped = |host| world.drops(host, DropReason::MeterPackets);
    // By the sender's port 30 each, by the receiver's 35 and 37.
    assert_eq!((dropped(0), dropped(1)), (4 * 30 + 2 * 72, 2 * 72));
}

#[test]
fn a_super_packet_pays_for_its_segments() {
    let mut world = World::new();
    let [a, c] = [(0, 5), (1, 7)].map(|(host, n)| world.guest(host, VPC, n));
    let ends = |data: &[u8]| {
        let body = udp(1000, 53, data);
        Frame::new((a.mac, a.v4), (GATEWAY_MAC, c.v4), body).bytes()
    };
    let gso = Some(Gso {
        kind: GsoKind::Udp,
        size: 1_000,
    });
    let offload = Offload {
        gso,
        ..Offload::default()
    };
    meter(&world, &a, Direction::Out, "packets=60/s burst=100ms");
    let mut came = 0;
    for _ in 0..4 {
        came += world.send_bytes(&a, &ends(&[7; 5_000]), offload).len();
    }
    assert!(came > 0);
    // Five each: the second one takes what is left, the others none.
    assert_eq!(world.drops(0, DropReason::MeterPackets), 2);
}

#[test]
fn flows_are_limited_by_who_begins_them() {
    let mut world = World::new();
    let [a, c] = [(0, 5), (1, 7)].map(|(host, n)| world.guest(host, VPC, n));
    meter(&world, &c, Direction::In, "flows=3");
    meter(&world, &a, Direction::Out, "new-flows=50/s burst=100ms");
    let mut came = 0;
    for port in 1000..1020 {
        came += world.send(&a, &datagram(&a, &c, false, (port, 53))).len();
    }
    assert_eq!(came, 3);
    assert_eq!(world.drops(0, DropReason::MeterNewFlows), 15);
    assert_eq!(world.drops(1, DropReason::MeterFlows), 2);
    // Flows there are go on, both ways, and the other may begin as many as it likes.
    for port in 1000..1003 {
        let frame = datagram(&a, &c, false, (port, 53));
        assert_eq!(arrive(&mut world, &a, &c, &frame, 5), 5);
    }
    for port in 2000..2020 {
        let frame = datagram(&c, &a, true, (port, 53));
        assert_eq!(arrive(&mut world, &c, &a, &frame, 1), 1);
    }
}
