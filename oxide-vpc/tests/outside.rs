//! To the outside and back: floating, ephemeral and shared addresses.

mod sim;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use opte::DropReason;
use opte_headers::{TcpFlags, Vni};
use oxide_vpc::api::{ExternalIpCfg, InternetGatewayMap};
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC, TUNNEL_ENDPOINT_MAC};
use proptest::prelude::*;
use sim::outside::{ENDPOINT, FAR, FAR6, VPC, from_outside, ports, share6, world, world4};
use sim::{Body, Frame, Outer, Sent, World, floating, guest, ip, snat, tcp, udp, via_gateway};

#[test]
fn the_tunnel_to_the_boundary() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    let (outer, inner) = world.send(a, &query).left();
    let source = world.hosts[0].underlay;
    assert_eq!(
        outer,
        Outer {
            source,
            destination: ENDPOINT,
            vni: BOUNDARY_VNI,
            external: false
        }
    );
    assert_eq!(
        (inner.source, inner.destination),
        (ip("203.0.113.9"), ip(FAR))
    );
    assert_eq!(
        (inner.source_mac, inner.destination_mac),
        (world.mac(a), TUNNEL_ENDPOINT_MAC)
    );
    assert!((1025..=4096).contains(&ports(&inner.body).0));
    assert_eq!(ports(&inner.body).1, 53);
}

#[test]
fn an_answer_may_come_in_the_network_of_the_boundary_or_of_the_guest() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    let (_, inner) = world.send(a, &query).left();
    for vni in [BOUNDARY_VNI, Vni::new(VPC).unwrap()] {
        let got = from_outside(&world, a, &inner.echoed(), vni).at(a);
        assert_eq!(
            got,
            Frame {
                destination_mac: world.mac(a),
                source_mac: GATEWAY_MAC,
                ..query.echoed()
            }
        );
    }
    let stranger = from_outside(&world, a, &inner.echoed(), Vni::new(20).unwrap());
    assert_eq!(stranger, Sent::Unclaimed);
}

#[test]
fn one_private_port_has_one_external_port_whomever_it_talks_to() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let mut seen = BTreeSet::new();
    for far in ["198.51.100.7", "198.51.100.8", "192.0.2.1"] {
        for port in [53, 123] {
            let query = Frame::new(world.v4(a), via_gateway(far), udp(5000, port, b"?"));
            let (_, inner) = world.send(a, &query).left();
            seen.insert(ports(&inner.body).0);
            assert_eq!(
                from_outside(&world, a, &inner.echoed(), BOUNDARY_VNI)
                    .at(a)
                    .body,
                query.echoed().body
            );
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn what_nobody_asked_for_does_not_come_in_by_a_shared_address() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    world.rule(a, "dir=in action=allow priority=1");
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    let (_, inner) = world.send(a, &query).left();
    let mut other = inner.echoed();
    other.source = ip("198.51.100.66");
    let stray = from_outside(&world, a, &other, BOUNDARY_VNI);
    assert_eq!(stray, Sent::Rejected(a, DropReason::NatFiltered));
}

#[test]
fn a_ping_by_a_shared_address() {
    let (world, a) = world(
        snat("203.0.113.9", 1025, 4096),
        share6("2001:db8:1::9", 1025, 4096),
    );
    for (from, far) in [(world.v4(a), FAR), (world.v6(a), FAR6)] {
        let ping = Frame::ping(from, via_gateway(far), 7, 1);
        let (_, inner) = world.send(a, &ping).left();
        assert!(
            (1025..=4096).contains(&ports(&inner.body).0),
            "the identifier is the share's"
        );
        let pong = from_outside(&world, a, &inner.pong(), BOUNDARY_VNI).at(a);
        assert_eq!(pong.body, ping.pong().body);
    }
}

#[test]
fn what_has_no_port_does_not_leave_by_a_shared_address() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let gre = Frame::new(
        world.v4(a),
        via_gateway(FAR),
        Body::Other {
            protocol: 47,
            data: vec![0; 16],
        },
    );
    assert_eq!(
        world.send(a, &gre),
        Sent::Refused(DropReason::LayerActionDeny)
    );
    let (world, a) = world4(floating(&["203.0.113.20"]));
    let (_, inner) = world.send(a, &gre).left();
    assert_eq!(
        (inner.source, inner.body),
        (ip("203.0.113.20"), gre.body),
        "by one of its own it does"
    );
}

#[test]
fn when_the_share_is_used_up_it_is_counted() {
    let (world, a) = world4(snat("203.0.113.9", 2000, 2003));
    let query = |port| Frame::new(world.v4(a), via_gateway(FAR), udp(port, 53, b"?"));
    let mut seen = BTreeSet::new();
    for port in 0..4 {
        seen.insert(ports(&world.send(a, &query(6000 + port)).left().1.body).0);
    }
    assert!(seen.into_iter().eq(2000..=2003));
    assert_eq!(
        world.send(a, &query(7000)),
        Sent::Refused(DropReason::ActionResourceExhausted)
    );
    let counters = world.vpc(a).port().counters();
    assert_eq!(
        counters
            .traffic
            .outbound
            .drops
            .get(DropReason::ActionResourceExhausted),
        1
    );
    // TCP has ports of its own.
    let syn = Frame::new(
        world.v4(a),
        via_gateway(FAR),
        tcp(7000, 80, TcpFlags::SYN, 1, 0, b""),
    );
    world.send(a, &syn).left();
}

#[test]
fn an_address_of_its_own_works_both_ways_first() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    world.rule(a, "dir=in action=allow priority=10 protocol=tcp port=22");
    let syn = Frame::new(
        (TUNNEL_ENDPOINT_MAC, ip(FAR)),
        (world.mac(a), ip("203.0.113.20")),
        tcp(50_000, 22, TcpFlags::SYN, 100, 0, b""),
    );
    let got = from_outside(&world, a, &syn, BOUNDARY_VNI).at(a);
    assert_eq!((got.destination, got.source), (world.v4(a).1, ip(FAR)));
    let reply = got.answered(tcp(
        22,
        50_000,
        TcpFlags::SYN | TcpFlags::ACK,
        900,
        101,
        b"",
    ));
    let (outer, inner) = world.send(a, &reply).left();
    assert_eq!((outer.destination, outer.vni), (ENDPOINT, BOUNDARY_VNI));
    assert_eq!(
        (inner.source, inner.destination, inner.body),
        (ip("203.0.113.20"), ip(FAR), reply.body)
    );

    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    let (_, inner) = world.send(a, &query).left();
    assert_eq!(
        (inner.source, &inner.body),
        (ip("203.0.113.20"), &query.body),
        "the port stays"
    );
    let got = from_outside(&world, a, &inner.echoed(), BOUNDARY_VNI).at(a);
    assert_eq!(got.body, query.echoed().body);
}

#[test]
fn the_address_one_was_called_by_is_the_one_that_answers() {
    let addresses = [
        "203.0.113.20",
        "203.0.113.21",
        "203.0.113.22",
        "203.0.113.23",
    ];
    let cfg = ExternalIpCfg {
        ephemeral_ip: Some("203.0.113.30".parse().unwrap()),
        ..floating(&addresses)
    };
    let (world, a) = world4(cfg);
    world.rule(a, "dir=in action=allow priority=10 protocol=udp");
    for (n, called) in (0..).zip(addresses.iter().chain(&["203.0.113.30"])) {
        for port in 0..8 {
            // Calls to two addresses from one far port would be one flow to the guest.
            let body = udp(6000 + 10 * n + port, 53, b"?");
            let call = Frame::new(via_gateway(FAR), (world.mac(a), ip(called)), body);
            let got = from_outside(&world, a, &call, BOUNDARY_VNI).at(a);
            let (_, inner) = world.send(a, &got.echoed()).left();
            assert_eq!((inner.source, inner.body), (ip(called), call.echoed().body));
        }
    }
    let mut chosen = BTreeSet::new();
    for port in 0..64 {
        let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000 + port, 53, b"?"));
        chosen.insert(world.send(a, &query).left().1.source);
    }
    let all: BTreeSet<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
    assert_eq!(
        chosen, all,
        "floating ones before the ephemeral one, and all of them"
    );
}

#[test]
fn floating_before_ephemeral_before_shared() {
    let ephemeral = Some("203.0.113.30".parse().unwrap());
    let all = ExternalIpCfg {
        floating_ips: vec!["203.0.113.20".parse().unwrap()],
        ephemeral_ip: ephemeral,
        ..snat("203.0.113.9", 1025, 4096)
    };
    let (world, a) = world4(all.clone());
    let mut port = 5000;
    let mut source = || {
        port += 1;
        let query = Frame::new(world.v4(a), via_gateway(FAR), udp(port, 53, b"?"));
        world.send(a, &query).left().1.source
    };
    assert_eq!(source(), ip("203.0.113.20"));
    let without_floating = ExternalIpCfg {
        floating_ips: vec![],
        ..all
    };
    world
        .vpc(a)
        .set_external_ips(Some(without_floating.clone()), None, None)
        .unwrap();
    assert_eq!(source(), ip("203.0.113.30"));
    let shared = ExternalIpCfg {
        ephemeral_ip: None,
        ..without_floating
    };
    world
        .vpc(a)
        .set_external_ips(Some(shared), None, None)
        .unwrap();
    assert_eq!(source(), ip("203.0.113.9"));
}

#[test]
fn without_an_external_address_nothing_leaves() {
    let (world, a) = world4(ExternalIpCfg::NONE);
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    assert_eq!(
        world.send(a, &query),
        Sent::Refused(DropReason::LayerRuleDeny)
    );
    // Nor without a way outside.
    let mut world = World::new(1);
    let a = world.port(0, guest(VPC, 5));
    world
        .vpc(a)
        .set_external_ips(Some(snat("203.0.113.9", 1, 99)), None, None)
        .unwrap();
    world.route(a, "0.0.0.0/0", "ig");
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    assert_eq!(world.send(a, &query), Sent::Refused(DropReason::NoMapping));
}

#[test]
fn an_external_source_never_reaches_a_guest_as_such() {
    let (mut world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let b = world.port(0, guest(VPC, 6));
    // A route that sends the VPC's own subnet outside: the boundary gets it, no guest.
    world.route(a, "172.30.0.0/22", "ig");
    let query = Frame::new(
        world.v4(a),
        (GATEWAY_MAC, world.v4(b).1),
        udp(5000, 53, b"?"),
    );
    assert_eq!(world.send(a, &query).left().0.destination, ENDPOINT);
}

#[test]
fn gateways_have_their_own_addresses() {
    let [one, two] = [
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    ];
    let (world, a) = world4(ExternalIpCfg::NONE);
    let map: InternetGatewayMap = [("203.0.113.20", one), ("203.0.113.21", two)]
        .into_iter()
        .map(|(address, id)| (ip(address), [id.parse().unwrap()].into()))
        .collect();
    let addresses = floating(&["203.0.113.20", "203.0.113.21", "203.0.113.22"]);
    world
        .vpc(a)
        .set_external_ips(Some(addresses.clone()), None, Some(map))
        .unwrap();
    world.route(a, "192.0.2.0/25", &format!("ig={one}"));
    world.route(a, "192.0.2.128/25", &format!("ig={two}"));
    let check = || {
        for (far, source) in [
            ("192.0.2.1", "203.0.113.20"),
            ("192.0.2.129", "203.0.113.21"),
            (FAR, "203.0.113.22"),
        ] {
            let query = Frame::new(world.v4(a), via_gateway(far), udp(5000, 53, b"?"));
            assert_eq!(
                world.send(a, &query).left().1.source,
                ip(source),
                "to {far}"
            );
        }
    };
    check();
    world
        .vpc(a)
        .set_external_ips(Some(addresses), None, None)
        .unwrap();
    check();
}

#[test]
fn flows_to_the_boundary_spread_over_its_endpoints() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let other = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 2);
    world.boundary(other);
    let mut counts = [0; 2];
    for port in 0..200 {
        let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000 + port, 53, b"?"));
        let chosen = world.send(a, &query).left().0.destination;
        counts[usize::from(chosen == other)] += 1;
        assert_eq!(
            world.send(a, &query).left().0.destination,
            chosen,
            "a flow keeps to one"
        );
    }
    assert!(counts.iter().all(|&count| count > 60), "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Out and back is the identity, whatever the flow; each frame on the way has right sums, or reading it fails.
    #[test]
    fn out_and_back_is_the_identity(
        kind in 0..3,
        v6 in any::<bool>(),
        source in 1u16..,
        destination in 1u16..,
        far in any::<u32>(),
        data in prop::collection::vec(any::<u8>(), 0..64),
        own_address in any::<bool>(),
    ) {
        let (v4_cfg, v6_cfg) = if own_address {
            let v6_address = ExternalIpCfg { floating_ips: vec!["2001:db8:1::20".parse().unwrap()], ..ExternalIpCfg::NONE };
            (floating(&["203.0.113.20"]), v6_address)
        } else {
            (snat("203.0.113.9", 1025, 4096), share6("2001:db8:1::9", 1025, 4096))
        };
        let (world, a) = world(v4_cfg, v6_cfg);
        let (from, far) = if v6 {
            (world.v6(a), IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, (far >> 16) as u16, far as u16)))
        } else {
            (world.v4(a), IpAddr::from([198, 18 + (far as u8 & 1), (far >> 8) as u8, (far >> 16) as u8]))
        };
        let body = |source, destination, reply: bool| match kind {
            0 => udp(source, destination, &data),
            1 => {
                let flags = if reply { TcpFlags::SYN | TcpFlags::ACK } else { TcpFlags::SYN };
                tcp(source, destination, flags, 1000 + u32::from(reply), if reply { 1001 } else { 0 }, &[])
            }
            _ => {
                let ty = match (v6, reply) { (false, false) => 8, (false, true) => 0, (true, false) => 128, (true, true) => 129 };
                Body::Icmp { ty, code: 0, identifier: source, sequence: 9, data: data.clone() }
            }
        };
        let out = Frame::new(from, (GATEWAY_MAC, far), body(source, destination, false));
        let (_, inner) = world.send(a, &out).left();
        prop_assert_ne!(inner.source, from.1);
        let external = ports(&inner.body).0;
        if !own_address {
            prop_assert!((1025..=4096).contains(&external));
        }
        let (answer, expected) = if kind == 2 {
            (body(external, external, true), body(source, source, true))
        } else {
            (body(destination, external, true), body(destination, source, true))
        };
        let got = from_outside(&world, a, &inner.answered(answer), BOUNDARY_VNI).at(a);
        prop_assert_eq!(got, Frame::new((GATEWAY_MAC, far), from, expected));
    }
}
