//! Guests of two hosts, driven against each other in memory: what the demo shows on real links.

mod sim;

use opte::DropReason;
use opte_headers::{MacAddr, TcpFlags, Vni};
use oxide_vpc::api::GuestPhysAddr;
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC, MULTICAST_VNI};
use oxide_vpc::port::PortEdit;
use sim::{At, Frame, Outer, Sent, World, guest, ip, tcp, udp, via_gateway};

const VPC: u32 = 10;

/// Two guests of one VPC on two hosts; each lets the VPC in and routes its subnet.
fn two_hosts() -> (World, At, At) {
    let mut world = World::new(2);
    let a = world.port(0, guest(VPC, 5));
    let b = world.port(1, guest(VPC, 6));
    for at in [a, b] {
        open(&world, at);
    }
    (world, a, b)
}

fn open(world: &World, at: At) {
    world.rule(
        at,
        &format!("dir=in action=allow priority=65534 hosts=vni={VPC}"),
    );
    world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
    world.route(at, "fd00:1::/64", "sub6=fd00:1::/64");
}

/// The frame as the guest at the other end sees it: from the gateway, which is all the link layer it knows.
fn seen(frame: &Frame, by: MacAddr) -> Frame {
    Frame {
        source_mac: GATEWAY_MAC,
        destination_mac: by,
        ..frame.clone()
    }
}

#[test]
fn ping_across_and_back() {
    let (world, a, b) = two_hosts();
    for (from, to) in [(world.v4(a), world.v4(b)), (world.v6(a), world.v6(b))] {
        for sequence in 1..4 {
            let ping = Frame::ping(from, (GATEWAY_MAC, to.1), 77, sequence);
            let got = world.send(a, &ping).at(b);
            assert_eq!(got, seen(&ping, to.0));
            let pong = got.pong();
            assert_eq!(world.send(b, &pong).at(a), seen(&pong, from.0));
        }
    }
}

#[test]
fn between_guests_of_one_host() {
    let mut world = World::new(1);
    let (a, b) = (world.port(0, guest(VPC, 5)), world.port(0, guest(VPC, 6)));
    open(&world, a);
    open(&world, b);
    let ping = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 1, 1);
    let got = world.send(a, &ping).at(b);
    assert_eq!(
        world.send(b, &got.pong()).at(a),
        seen(&ping.pong(), world.mac(a))
    );
}

#[test]
fn udp_both_ways() {
    let (world, a, b) = two_hosts();
    for (from, to) in [(world.v4(a), world.v4(b)), (world.v6(a), world.v6(b))] {
        for len in [0, 1, 1400, 1472] {
            let sent = Frame::new(from, (GATEWAY_MAC, to.1), udp(4000, 53, &vec![7; len]));
            let got = world.send(a, &sent).at(b);
            assert_eq!(got, seen(&sent, to.0));
            assert_eq!(world.send(b, &got.echoed()).at(a).body, sent.echoed().body);
        }
    }
}

#[test]
fn a_connection_from_handshake_to_close() {
    let (world, a, b) = two_hosts();
    for (from, to) in [(world.v4(a), world.v4(b)), (world.v6(a), world.v6(b))] {
        let say = |here,
                   peer: std::net::IpAddr,
                   out: bool,
                   flags,
                   sequence,
                   acknowledgement,
                   data: &[u8]| {
            let ports = if out { (40_000, 80) } else { (80, 40_000) };
            let body = tcp(ports.0, ports.1, flags, sequence, acknowledgement, data);
            let (at, far) = if out { (a, b) } else { (b, a) };
            let frame = Frame::new(here, (GATEWAY_MAC, peer), body);
            assert_eq!(world.send(at, &frame).at(far).body, frame.body);
        };
        let client =
            |flags, sequence, ack, data: &[u8]| say(from, to.1, true, flags, sequence, ack, data);
        let server =
            |flags, sequence, ack, data: &[u8]| say(to, from.1, false, flags, sequence, ack, data);
        let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN);
        client(syn, 1000, 0, b"");
        server(syn | ack, 9000, 1001, b"");
        client(ack, 1001, 9001, b"");
        client(ack | TcpFlags::PSH, 1001, 9001, b"GET / HTTP/1.0\r\n\r\n");
        server(ack, 9001, 1019, &[b'x'; 1000]);
        server(ack, 10_001, 1019, &[b'y'; 1000]);
        client(ack, 1019, 11_001, b"");
        server(ack | fin, 11_001, 1019, b"bye");
        client(ack | fin, 1019, 11_005, b"");
        server(ack, 11_005, 1020, b"");
    }
}

/// Two VPCs may use the same addresses, on the same hosts. The published engine looked for an address in every VPC it knew.
#[test]
fn equal_addresses_of_two_vpcs_never_meet() {
    let (mut world, a, b) = two_hosts();
    let c = world.port(0, guest(20, 5));
    let d = world.port(1, guest(20, 6));
    for at in [c, d] {
        world.rule(at, "dir=in action=allow priority=1");
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
    }
    for (from, to) in [(a, b), (c, d)] {
        let ping = Frame::ping(world.v4(from), (GATEWAY_MAC, world.v4(to).1), 5, 5);
        assert_eq!(world.send(from, &ping).at(to), seen(&ping, world.mac(to)));
    }
    // An address that only the other VPC has.
    let e = world.port(1, guest(20, 9));
    let stray = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(e).1), 5, 5);
    assert_eq!(world.send(a, &stray), Sent::Refused(DropReason::NoMapping));
}

#[test]
fn a_peer_vpc_is_reached_and_seen_as_what_it_is() {
    let mut world = World::new(2);
    let (own, peer) = (Vni::new(VPC).unwrap(), Vni::new(20).unwrap());
    let a = world.port_with_peers(0, guest(VPC, 5), &[peer]);
    let b = world.port_with_peers(1, guest(20, 6), &[own]);
    for (at, vni) in [(a, peer), (b, own)] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.rule(
            at,
            &format!("dir=in action=allow priority=10 hosts=vni={vni}"),
        );
    }
    let ping = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 5, 5);
    let got = world.send(a, &ping).at(b);
    assert_eq!(world.send(b, &got.pong()).at(a).body, ping.pong().body);
    // By its own initiative the other one, too.
    let ping = Frame::ping(world.v4(b), (GATEWAY_MAC, world.v4(a).1), 6, 6);
    assert_eq!(world.send(b, &ping).at(a), seen(&ping, world.mac(a)));
}

/// Peers come, move and go under live flows.
#[test]
fn peers_change_while_guests_talk() {
    let mut world = World::new(3);
    let (own, peer) = (Vni::new(VPC).unwrap(), Vni::new(20).unwrap());
    let a = world.port(0, guest(VPC, 5));
    let b = world.port(1, guest(20, 6));
    for at in [a, b] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.rule(at, "dir=in action=allow priority=10");
    }
    let set = |at, peers: &[Vni]| {
        let peers = PortEdit::SetPeers(peers.iter().copied().collect());
        world.vpc(at).edit(vec![peers]).map(|_| ())
    };
    let ping = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 5, 5);
    let nowhere = Sent::Refused(DropReason::NoMapping);
    assert_eq!(world.send(a, &ping), nowhere);
    set(a, &[peer]).unwrap();
    // It comes in the network of the one it is for, who knows no way back.
    let got = world.send(a, &ping).at(b);
    assert_eq!(world.send(b, &got.pong()), nowhere, "each needs the other");
    set(b, &[own]).unwrap();
    let got = world.send(a, &ping).at(b);
    assert_eq!(world.send(b, &got.pong()).at(a).body, ping.pong().body);
    assert_eq!(world.vpc(a).peers(), [peer]);
    // A guest of the peer moves: flows follow it.
    let moved = oxide_vpc::api::GuestPhysAddr {
        ether: world.mac(b),
        ip: world.hosts[2].underlay,
    };
    world.hosts[0]
        .env
        .mappings
        .v2p
        .set(peer, world.v4(b).1, moved);
    assert_eq!(world.send(a, &ping), Sent::Unclaimed);
    world.map(world.v4(b).1, world.vpc(b).cfg());
    world.send(a, &ping).at(b);
    // What cannot be a peer changes nothing.
    for (bad, message) in [
        (own, "invalid peers: 10 is the port's own VPC"),
        (BOUNDARY_VNI, "invalid peers: 99 is no VPC's"),
    ] {
        assert_eq!(set(a, &[bad]).unwrap_err().to_string(), message);
        world.send(a, &ping).at(b);
    }
    set(b, &[]).unwrap();
    assert!(matches!(world.send(b, &got.pong()), Sent::Refused(_)));
    set(a, &[]).unwrap();
    assert!(matches!(world.send(a, &ping), Sent::Refused(_)));
}

#[test]
fn a_spoofed_source_goes_nowhere() {
    let (world, a, b) = two_hosts();
    let honest = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 1, 1);
    let other_mac = MacAddr([0xa8, 0x40, 0x25, 9, 9, 9]);
    for spoofed in [
        Frame {
            source: ip("172.30.0.7"),
            ..honest.clone()
        },
        Frame {
            source: ip("10.9.9.9"),
            ..honest.clone()
        },
        Frame {
            source_mac: other_mac,
            ..honest.clone()
        },
        Frame {
            source_mac: other_mac,
            source: ip("172.30.0.7"),
            ..honest.clone()
        },
    ] {
        assert_eq!(
            world.send(a, &spoofed),
            Sent::Refused(DropReason::SpoofedSource),
            "{spoofed:?}"
        );
    }
    world.send(a, &honest).at(b);
    let dropped = world
        .vpc(a)
        .port()
        .counters()
        .traffic
        .outbound
        .drops
        .get(DropReason::SpoofedSource);
    assert_eq!(dropped, 4);
    // The flow is known now; a frame of it from another station is still not the guest's.
    assert_eq!(
        world.send(
            a,
            &Frame {
                source_mac: other_mac,
                ..honest
            }
        ),
        Sent::Refused(DropReason::SpoofedSource)
    );
}

#[test]
fn without_a_mapping_a_packet_is_dropped_and_counted() {
    let (world, a, b) = two_hosts();
    let ping = Frame::ping(world.v4(a), via_gateway("172.30.0.99"), 1, 1);
    for _ in 0..3 {
        assert_eq!(world.send(a, &ping), Sent::Refused(DropReason::NoMapping));
    }
    assert_eq!(
        world
            .vpc(a)
            .port()
            .counters()
            .traffic
            .outbound
            .drops
            .get(DropReason::NoMapping),
        3
    );
    // One that is taken away stops a flow that was under way.
    let ping = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 1, 1);
    world.send(a, &ping).at(b);
    world.hosts[0]
        .env
        .mappings
        .v2p
        .clear(Vni::new(VPC).unwrap(), world.v4(b).1);
    assert!(matches!(world.send(a, &ping), Sent::Refused(_)));
}

/// The published engine kept sending to the old host until the flow had idled out.
#[test]
fn a_guest_that_moves_takes_its_flows_along() {
    let (mut world, a, b) = two_hosts();
    world.hosts.extend(World::new(3).hosts.drain(2..));
    let flow = Frame::new(
        world.v4(a),
        (GATEWAY_MAC, world.v4(b).1),
        udp(4000, 53, b"query"),
    );
    world.send(a, &flow).at(b);
    let answer = world.send(a, &flow).at(b).echoed();
    world.send(b, &answer).at(a);

    let mut cfg = world.vpc(b).cfg().clone();
    cfg.phys_ip = world.hosts[2].underlay;
    world.hosts[2].env.mappings.v2p.set(
        cfg.vni,
        world.v4(a).1,
        GuestPhysAddr {
            ether: world.mac(a),
            ip: world.hosts[0].underlay,
        },
    );
    let moved = world.port(2, cfg);
    open(&world, moved);
    assert_eq!(
        world.send(a, &flow).at(moved).body,
        flow.body,
        "the next packet of the flow already"
    );
    assert_eq!(
        world.send(moved, &answer).at(a).body,
        answer.body,
        "as the answers still come in"
    );
}

/// The published engine let flows live on that the rule now gone had let in.
#[test]
fn a_rule_that_goes_takes_its_flows_along_and_no_others() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(VPC, 5)), world.port(1, guest(VPC, 6)));
    for at in [a, b] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
    }
    let dns = world.rule(b, "dir=in action=allow priority=10 protocol=udp port=53");
    world.rule(b, "dir=in action=allow priority=10 protocol=udp port=123");
    let query = Frame::new(
        world.v4(a),
        (GATEWAY_MAC, world.v4(b).1),
        udp(4000, 53, b"query"),
    );
    let clock = Frame::new(
        world.v4(a),
        (GATEWAY_MAC, world.v4(b).1),
        udp(4000, 123, b"time?"),
    );
    for frame in [&query, &clock] {
        let got = world.send(a, frame).at(b);
        world.send(b, &got.echoed()).at(a);
    }
    world
        .vpc(b)
        .remove_firewall_rule(opte::Direction::In, dns)
        .unwrap();
    assert!(matches!(world.send(a, &query), Sent::Rejected(at, _) if at == b));
    assert_eq!(
        world.send(a, &clock).at(b).body,
        clock.body,
        "the unconcerned one does not notice"
    );
    let back = world.send(b, &seen(&query, world.mac(b)).echoed());
    assert!(
        !matches!(back, Sent::To(..)),
        "nor is it answered: {back:?}"
    );
    world.rule(b, "dir=in action=allow priority=10 protocol=udp port=53");
    assert_eq!(world.send(a, &query).at(b).body, query.body);
}

/// The published engine asked a new rule about new flows only.
#[test]
fn a_rule_that_denies_stops_flows_under_way() {
    let (world, a, b) = two_hosts();
    let flow = Frame::new(
        world.v4(a),
        (GATEWAY_MAC, world.v4(b).1),
        udp(4000, 53, b"query"),
    );
    world.send(a, &flow).at(b);
    let deny = world.rule(b, "dir=in action=deny priority=1 protocol=udp port=50-60");
    assert!(matches!(world.send(a, &flow), Sent::Rejected(..)));
    world
        .vpc(b)
        .remove_firewall_rule(opte::Direction::In, deny)
        .unwrap();
    world.send(a, &flow).at(b);
    let deny = "dir=out action=deny priority=1 protocol=udp port=53"
        .parse()
        .unwrap();
    world.vpc(a).set_firewall_rules(&[deny]).unwrap();
    assert!(matches!(world.send(a, &flow), Sent::Refused(_)));
    world.vpc(a).set_firewall_rules(&[]).unwrap();
    world.send(a, &flow).at(b);
}

#[test]
fn without_a_rule_nobody_may_begin_but_may_answer() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(VPC, 5)), world.port(1, guest(VPC, 6)));
    for at in [a, b] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
    }
    let from_b = Frame::ping(world.v4(b), (GATEWAY_MAC, world.v4(a).1), 3, 3);
    assert_eq!(
        world.send(b, &from_b),
        Sent::Rejected(a, DropReason::LayerDefaultDeny)
    );
    world.rule(b, "dir=in action=allow priority=9 protocol=icmp:8");
    let ping = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 1, 1);
    let got = world.send(a, &ping).at(b);
    assert_eq!(world.send(b, &got.pong()).at(a).body, ping.pong().body);
    assert_eq!(
        world.send(b, &from_b),
        Sent::Rejected(a, DropReason::LayerDefaultDeny),
        "an answer lets in nothing else"
    );
}

/// In the published overlay a rule that matched everything stood before the one that looked at the network of multicast.
#[test]
fn packets_of_other_networks_are_counted_as_such() {
    let (world, a, b) = two_hosts();
    let inner = Frame::ping((world.mac(b), world.v4(b).1), world.v4(a), 1, 1);
    let (source, destination) = (world.hosts[1].underlay, world.hosts[0].underlay);
    let from = |vni, external| Outer {
        source,
        destination,
        vni,
        external,
    };
    let own = Vni::new(VPC).unwrap();
    let stranger = Vni::new(4711).unwrap();
    let refused = Sent::Rejected(a, DropReason::ForeignNetwork);
    assert_eq!(
        world.force(a, &from(stranger, false).around(&inner.bytes())),
        refused
    );
    assert_eq!(
        world.force(a, &from(stranger, true).around(&inner.bytes())),
        refused
    );
    assert_eq!(
        world.force(a, &from(BOUNDARY_VNI, false).around(&inner.bytes())),
        refused,
        "not said to be external"
    );
    assert_eq!(
        world.force(a, &from(MULTICAST_VNI, false).around(&inner.bytes())),
        refused,
        "no group's packet"
    );
    let group = Frame {
        destination: ip("224.1.2.3"),
        destination_mac: MacAddr::from_ipv4_multicast("224.1.2.3".parse().unwrap()),
        ..inner.clone()
    };
    world.rule(a, "dir=in action=allow priority=1");
    assert_eq!(
        world.force(a, &from(stranger, false).around(&group.bytes())),
        refused
    );
    assert_ne!(
        world.force(a, &from(own, false).around(&group.bytes())),
        refused,
        "groups of one VPC come in its own network"
    );
    assert_eq!(
        world
            .force(a, &from(MULTICAST_VNI, false).around(&group.bytes()))
            .at(a),
        Frame {
            source_mac: GATEWAY_MAC,
            ..group
        }
    );
    world
        .force(a, &from(own, false).around(&inner.bytes()))
        .at(a);
    let counters = world.vpc(a).port().counters();
    assert_eq!(
        counters
            .traffic
            .inbound
            .drops
            .get(DropReason::ForeignNetwork),
        5
    );
}

#[test]
fn a_port_takes_its_own_mapping_along_when_it_goes() {
    let mut world = World::new(1);
    let a = world.port(0, guest(VPC, 5));
    let own = Vni::new(VPC).unwrap();
    let v2p = world.hosts[0].env.mappings.v2p.clone();
    assert_eq!(
        v2p.vpc(own).get(world.v4(a).1).unwrap().ip,
        world.hosts[0].underlay
    );
    world.hosts[0].ports.clear();
    assert_eq!(v2p.vpc(own).get(ip("172.30.0.5")), None);
}
