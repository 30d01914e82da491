//! The overlay as a table: which tunnel packets leave by, with which network and options, and which tunnels they are let out of.

mod sim;

use std::collections::BTreeMap;

use opte::Direction::{In, Out};
use opte::DropReason;
use opte_headers::{MacAddr, TcpFlags, Vni};
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC, MULTICAST_VNI, TUNNEL_ENDPOINT_MAC};
use oxide_vpc::port::PortEdit;
use sim::outside::{ENDPOINT, FAR, FAR6, share6};
use sim::{At, Body, Frame, Outer, Sent, World, guest, ip, snat, tcp, udp, via_gateway};

const VPC: u32 = 10;
const PEER: u32 = 20;

/// Where the outer IPv6 header, the outer UDP header, the Geneve header and its options stand.
const L3: usize = 14;
const L4: usize = L3 + 40;
const GENEVE: usize = L4 + 8;
const OPTIONS: usize = GENEVE + 8;

/// A guest with everything there is: neighbours in its own VPC and in a peer, an outside, groups.
fn world() -> (World, At, At, At) {
    let mut world = World::new(2);
    let (own, peer) = (Vni::new(VPC).unwrap(), Vni::new(PEER).unwrap());
    let a = world.port_with_peers(0, guest(VPC, 5), &[peer]);
    let b = world.port(1, guest(VPC, 6));
    let c = world.port_with_peers(1, guest(PEER, 7), &[own]);
    let shared = snat("203.0.113.9", 1025, 4096);
    world
        .vpc(a)
        .set_external_ips(
            Some(shared),
            Some(share6("2001:db8:1::9", 1025, 4096)),
            None,
        )
        .unwrap();
    world.route(a, "0.0.0.0/0", "ig");
    world.route(a, "::/0", "ig");
    for at in [a, b, c] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.route(at, "fd00:1::/64", "sub6=fd00:1::/64");
        world.rule(at, "dir=in action=allow priority=1");
    }
    world.boundary(ENDPOINT);
    let m2p = &world.hosts[0].env.mappings.m2p;
    let own = Some(own);
    m2p.replace(BTreeMap::from([
        ((None, ip("239.1.2.3")), "ff04::1".parse().unwrap()),
        ((None, ip("ff0e::7")), "ff04::2".parse().unwrap()),
        ((own, ip("239.1.2.5")), "ff04::3".parse().unwrap()),
    ]));
    (world, a, b, c)
}

fn syn() -> Body {
    tcp(40_000, 80, TcpFlags::SYN, 1, 0, b"")
}

#[test]
fn what_leaves_has_the_network_and_the_options_of_its_destination() {
    let (world, a, b, c) = world();
    let query = || udp(40_000, 53, b"?");
    let mss: &[u8] = &[0x01, 0x29, 0x02, 0x01, 0, 0, 0, 0];
    let group: &[u8] = &[0x01, 0x29, 0x01, 0x01, 0, 0, 0, 0];
    let host = world.hosts[1].underlay;
    let (group4, group6) = ("239.1.2.3", "ff0e::7");
    // Destination, body, and the tunnel: where it ends, its network, the inner destination's MAC address, its options.
    let table = [
        (world.v4(b).1, syn(), host, VPC, world.mac(b), mss),
        (world.v4(b).1, query(), host, VPC, world.mac(b), &[]),
        (world.v6(b).1, syn(), host, VPC, world.mac(b), mss),
        (world.v6(b).1, query(), host, VPC, world.mac(b), &[]),
        // A packet to a peer is in the peer's network, not in the sender's.
        (world.v4(c).1, syn(), host, PEER, world.mac(c), mss),
        (world.v4(c).1, query(), host, PEER, world.mac(c), &[]),
        (world.v6(c).1, query(), host, PEER, world.mac(c), &[]),
        (ip(FAR), syn(), ENDPOINT, 99, TUNNEL_ENDPOINT_MAC, &[]),
        (ip(FAR6), query(), ENDPOINT, 99, TUNNEL_ENDPOINT_MAC, &[]),
        (
            ip(group4),
            query(),
            "ff04::1".parse().unwrap(),
            77,
            MacAddr([0x01, 0x00, 0x5e, 1, 2, 3]),
            group,
        ),
        // A group of the VPC alone is in the VPC's network.
        (
            ip("239.1.2.5"),
            query(),
            "ff04::3".parse().unwrap(),
            VPC,
            MacAddr([0x01, 0x00, 0x5e, 1, 2, 5]),
            group,
        ),
        (
            ip(group6),
            query(),
            "ff04::2".parse().unwrap(),
            77,
            MacAddr([0x33, 0x33, 0, 0, 0, 7]),
            group,
        ),
    ];
    for (destination, body, end, vni, mac, options) in table {
        let from = if destination.is_ipv4() {
            world.v4(a)
        } else {
            world.v6(a)
        };
        let frame = Frame::new(from, (GATEWAY_MAC, destination), body);
        // The first packet, and one of the flow that it made.
        for _ in 0..2 {
            let out = world.process(a, Out, &frame.bytes()).unwrap();
            let at = |range: std::ops::Range<usize>| &out[range];
            assert_eq!(at(L3 + 8..L3 + 24), world.hosts[0].underlay.octets());
            assert_eq!(at(L3 + 24..L3 + 40), end.octets(), "{destination}");
            let network =
                u32::from_be_bytes([0, out[GENEVE + 4], out[GENEVE + 5], out[GENEVE + 6]]);
            assert_eq!(network, vni, "{destination}");
            assert_eq!(usize::from(out[GENEVE] & 0x3f) * 4, options.len());
            assert_eq!(out[GENEVE + 1], 0, "nothing of it is critical");
            assert_eq!(at(OPTIONS..OPTIONS + options.len()), options);
            let inner = OPTIONS + options.len();
            assert_eq!(at(inner..inner + 6), mac.0, "{destination}");
        }
    }
}

#[test]
fn what_leads_nowhere_is_dropped() {
    let (world, a, b, _) = world();
    let table = [
        // No guest of the VPC or a peer has the address.
        (ip("172.30.0.99"), syn()),
        // A group without a mapping, and TCP to one that has it.
        (ip("239.1.2.4"), udp(1, 2, b"")),
        (ip("239.1.2.3"), syn()),
        (ip("ff0e::7"), syn()),
    ];
    for (destination, body) in table {
        let from = if destination.is_ipv4() {
            world.v4(a)
        } else {
            world.v6(a)
        };
        let frame = Frame::new(from, (GATEWAY_MAC, destination), body);
        let refused = Sent::Refused(DropReason::NoMapping);
        assert_eq!(world.send(a, &frame), refused, "{destination}");
    }
    // A VPC that is no peer: the other way round a peer must be one of both.
    let frame = Frame::new(world.v4(b), (GATEWAY_MAC, ip("172.30.0.7")), syn());
    assert_eq!(world.send(b, &frame), Sent::Refused(DropReason::NoMapping));
}

/// A frame from guest `b` to guest `a` in a tunnel with these options.
fn with_options(world: &World, a: At, b: At, options: &[u8], critical: bool) -> Vec<u8> {
    let inner = Frame::new(world.v4(b), world.v4(a), udp(40_000, 53, b"?"));
    let outer = Outer {
        source: world.hosts[1].underlay,
        destination: world.hosts[0].underlay,
        vni: Vni::new(VPC).unwrap(),
        external: false,
    };
    let mut frame = outer.around(&inner.bytes());
    frame.splice(OPTIONS..OPTIONS, options.iter().copied());
    frame[GENEVE] |= (options.len() / 4) as u8;
    frame[GENEVE + 1] |= u8::from(critical) << 6;
    let length = ((frame.len() - L4) as u16).to_be_bytes();
    frame[L3 + 4..L3 + 6].copy_from_slice(&length);
    frame[L4 + 4..L4 + 6].copy_from_slice(&length);
    frame
}

/// Options, whether the header says that one of them is critical, and why the packet is dropped, if it is.
type Case<'a> = (&'a [&'a [u8]], bool, Option<DropReason>);

#[test]
fn options_of_a_tunnel_that_comes_in() {
    const OF_OTHERS: [u8; 8] = [0x01, 0x08, 0x03, 0x01, 1, 2, 3, 4];
    const OF_OTHERS_CRITICAL: [u8; 8] = [0x01, 0x08, 0x83, 0x01, 1, 2, 3, 4];
    const OURS_UNKNOWN: [u8; 4] = [0x01, 0x29, 0x05, 0x00];
    const OURS_CRITICAL: [u8; 4] = [0x01, 0x29, 0x85, 0x00];
    const MSS: [u8; 8] = [0x01, 0x29, 0x02, 0x01, 0, 0, 0x05, 0x78];
    const EXTERNAL: [u8; 4] = [0x01, 0x29, 0x00, 0x00];
    const GROUP: [u8; 8] = [0x01, 0x29, 0x01, 0x01, 0x80, 0, 0, 0];
    let critical = Some(DropReason::ParseCriticalOption);
    let misshapen = Some(DropReason::ParseBadLength);
    let table: [Case<'_>; 16] = [
        (&[], false, None),
        (&[&MSS], false, None),
        (&[&OF_OTHERS], false, None),
        (&[&OURS_UNKNOWN], false, None),
        (&[&OF_OTHERS, &MSS, &OURS_UNKNOWN], false, None),
        // Whoever sets no flag has nothing critical (RFC 8926, section 3.4).
        (&[&OF_OTHERS_CRITICAL], false, None),
        (&[&OF_OTHERS_CRITICAL], true, critical),
        (&[&OURS_CRITICAL], true, critical),
        (&[&MSS, &OURS_CRITICAL], true, critical),
        (
            &[&OF_OTHERS, &OURS_UNKNOWN, &OF_OTHERS_CRITICAL],
            true,
            critical,
        ),
        // Nothing of what is there is unknown and critical.
        (&[&MSS, &OF_OTHERS], true, None),
        // The boundary may send in the guest's own network.
        (&[&EXTERNAL], false, None),
        (&[&MSS, &EXTERNAL], false, None),
        // Multicast, but to one guest: the option says nothing of where it goes.
        (&[&GROUP], false, None),
        // Longer than the header says options are.
        (&[&[0x01, 0x29, 0x02, 0x02, 0, 0, 0, 0]], false, misshapen),
        (&[&[0x01, 0x08, 0x03, 0x1f]], true, misshapen),
    ];
    for (options, flag, dropped) in table {
        let (world, a, b, _) = world();
        let options = options.concat();
        let frame = with_options(&world, a, b, &options, flag);
        let came = world.process(a, In, &frame);
        match dropped {
            None => assert!(came.is_ok(), "{options:02x?}: {came:?}"),
            Some(reason) => assert_eq!(
                came.err().as_deref(),
                Some(&Sent::Refused(reason)),
                "{options:02x?}"
            ),
        }
    }
}

#[test]
fn a_tunnel_of_another_network_is_refused_whatever_is_in_it() {
    let (world, a, b, c) = world();
    let from = |at: At, vni: Vni| Outer {
        source: world.hosts[1].underlay,
        destination: world.hosts[0].underlay,
        vni,
        external: at.0 > 1,
    };
    let vni = |number| Vni::new(number).unwrap();
    // Who sends, in which network, and whether it comes in: a port's own and its peers' only.
    for (sender, network, passes) in [
        (b, vni(VPC), true),
        (c, vni(VPC), true),
        (c, vni(PEER), true),
        (b, vni(30), false),
        (c, vni(30), false),
        (b, BOUNDARY_VNI, false),
        (b, MULTICAST_VNI, false),
        (b, vni(0), false),
    ] {
        for v6 in [false, true] {
            let (source, own) = match v6 {
                false => (world.v4(sender), world.v4(a)),
                true => (world.v6(sender), world.v6(a)),
            };
            let inner = Frame::new(source, own, udp(network.as_u32() as u16 + 1, 53, b"?"));
            let came = world.force(a, &from(sender, network).around(&inner.bytes()));
            assert_eq!(matches!(came, Sent::To(..)), passes, "{network} {came:?}");
            if !passes {
                assert_eq!(came, Sent::Rejected(a, DropReason::ForeignNetwork));
            }
        }
    }
}

/// Rules about a VPC see a sender of a peer as of the peer's VPC, in multicast as well, though that has one network for all.
#[test]
fn rules_see_the_senders_own_network() {
    let (world, a, b, c) = world();
    world.vpc(a).set_firewall_rules(&[]).unwrap();
    world.rule(
        a,
        &format!("dir=in action=allow priority=1 hosts=vni={PEER}"),
    );
    let outer = |vni| Outer {
        source: world.hosts[1].underlay,
        destination: world.hosts[0].underlay,
        vni,
        external: false,
    };
    let own = Vni::new(VPC).unwrap();
    for (sender, passes) in [(b, false), (c, true)] {
        let inner = Frame::new(world.v4(sender), world.v4(a), udp(7, 53, b"?"));
        let came = world.force(a, &outer(own).around(&inner.bytes()));
        assert_eq!(matches!(came, Sent::To(..)), passes, "{came:?}");
        let mac = MacAddr([0x01, 0x00, 0x5e, 1, 2, 3]);
        let inner = Frame::new(world.v4(sender), (mac, ip("239.1.2.3")), udp(7, 53, b"?"));
        let came = world.force(a, &outer(MULTICAST_VNI).around(&inner.bytes()));
        assert_eq!(matches!(came, Sent::To(..)), passes, "group: {came:?}");
    }
    // Outbound the destination's.
    world.rule(
        a,
        &format!("dir=out action=deny priority=1 hosts=vni={PEER}"),
    );
    for (receiver, passes) in [(b, true), (c, false)] {
        let frame = Frame::new(world.v4(a), (GATEWAY_MAC, world.v4(receiver).1), syn());
        assert_eq!(world.process(a, Out, &frame.bytes()).is_ok(), passes);
    }
    // A peer no more, its guests are strangers.
    let none = PortEdit::SetPeers(Default::default());
    world.vpc(a).edit(vec![none]).unwrap();
    let inner = Frame::new(world.v4(c), world.v4(a), udp(7, 53, b"?"));
    let came = world.force(a, &outer(own).around(&inner.bytes()));
    assert!(matches!(came, Sent::Rejected(..)), "{came:?}");
}

/// Endpoints come and go under flows: only those move that have to, before their next packet.
#[test]
fn flows_follow_the_endpoints_of_their_prefix() {
    let (world, a, _, _) = world();
    let v2b = &world.hosts[0].env.mappings.v2b;
    let endpoint = |number: u16| {
        let [a, b, c, d, e, f, g, _] = ENDPOINT.segments();
        oxide_vpc::api::TunnelEndpoint {
            ip: [a, b, c, d, e, f, g, number].into(),
            vni: BOUNDARY_VNI,
        }
    };
    let all = "0.0.0.0/0".parse().unwrap();
    v2b.set(all, &[endpoint(1), endpoint(2), endpoint(3)]);
    let ends = |world: &World| -> Vec<u16> {
        let ports = 40_000..40_060;
        let end = |port| {
            let frame = Frame::new(world.v4(a), via_gateway(FAR), udp(port, 53, b"?"));
            let (outer, _) = world.send(a, &frame).left();
            outer.destination.segments()[7]
        };
        ports.map(end).collect()
    };
    let before = ends(&world);
    for number in [1, 2, 3] {
        assert!(before.iter().filter(|end| **end == number).count() > 5);
    }
    assert_eq!(ends(&world), before);
    assert!(v2b.clear(all, &[endpoint(2)]));
    let after = ends(&world);
    for (before, after) in before.iter().zip(&after) {
        assert!(*after != 2 && (*before == 2 || before == after));
    }
    // It comes back, and its flows with it.
    v2b.set(all, &[endpoint(2)]);
    assert_eq!(ends(&world), before);
    // A longer prefix takes the flows to it, and gives them back.
    v2b.set("198.51.100.0/24".parse().unwrap(), &[endpoint(9)]);
    assert_eq!(ends(&world), [9; 60]);
    assert!(v2b.clear("198.51.100.0/24".parse().unwrap(), &[endpoint(9)]));
    assert_eq!(ends(&world), before);
    // Without any there is no way out, and flows are not forgotten for it.
    assert!(v2b.clear(all, &[endpoint(1), endpoint(2), endpoint(3)]));
    let frame = Frame::new(world.v4(a), via_gateway(FAR), udp(40_000, 53, b"?"));
    assert!(matches!(world.send(a, &frame), Sent::Refused(_)));
    v2b.set(all, &[endpoint(1), endpoint(2), endpoint(3)]);
    assert_eq!(ends(&world), before);
}
