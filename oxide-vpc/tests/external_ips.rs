//! Changes of external addresses, and of other things, under live flows.

mod sim;

use std::net::Ipv6Addr;

use opte::api::OpteError;
use opte_headers::{TcpFlags, Vni};
use oxide_vpc::api::ExternalIpCfg;
use oxide_vpc::network::BOUNDARY_VNI;
use sim::outside::{ENDPOINT, FAR, VPC, from_outside, ports, share6, world4};
use sim::{Frame, Sent, World, floating, guest, ip, snat, tcp, udp, via_gateway};

/// The published engine made new pools at each change of addresses: live connections got other ports and broke.
#[test]
fn a_change_of_other_addresses_leaves_live_connections_their_ports() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    let (_, before) = world.send(a, &query).left();
    let more = ExternalIpCfg {
        ephemeral_ip: Some("203.0.113.30".parse().unwrap()),
        ..snat("203.0.113.9", 1025, 4096)
    };
    world
        .vpc(a)
        .set_external_ips(Some(more), None, None)
        .unwrap();
    let (_, after) = world.send(a, &query).left();
    assert_eq!(after, before, "the flow keeps what it has");
    assert_eq!(
        from_outside(&world, a, &after.echoed(), BOUNDARY_VNI)
            .at(a)
            .body,
        query.echoed().body
    );
    let other = Frame::new(world.v4(a), via_gateway(FAR), udp(5001, 53, b"?"));
    assert_eq!(
        world.send(a, &other).left().1.source,
        ip("203.0.113.30"),
        "a new one takes the better address"
    );

    world
        .vpc(a)
        .set_external_ips(Some(snat("203.0.113.9", 1025, 4096)), None, None)
        .unwrap();
    assert_eq!(world.send(a, &query).left().1, before);
    world
        .vpc(a)
        .set_external_ips(Some(snat("203.0.113.9", 8000, 8999)), None, None)
        .unwrap();
    let (_, moved) = world.send(a, &query).left();
    assert!(
        (8000..=8999).contains(&ports(&moved.body).0),
        "ports that are no longer the guest's are given up"
    );
    assert_eq!(
        from_outside(&world, a, &moved.echoed(), BOUNDARY_VNI)
            .at(a)
            .body,
        query.echoed().body
    );
}

/// Whatever else changes, a connection goes on: the same port outside, and its segments known as its own.
#[test]
fn a_live_connection_does_not_notice_what_does_not_concern_it() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let out = |flags, sequence, acknowledgement, data: &[u8]| {
        let body = tcp(40_000, 80, flags, sequence, acknowledgement, data);
        world
            .send(a, &Frame::new(world.v4(a), via_gateway(FAR), body))
            .left()
            .1
    };
    let port = ports(&out(syn, 1000, 0, b"").body).0;
    let into = |flags, sequence, acknowledgement, data: &[u8]| {
        let body = tcp(80, port, flags, sequence, acknowledgement, data);
        let frame = Frame::new(via_gateway(FAR), (world.mac(a), ip("203.0.113.9")), body);
        from_outside(&world, a, &frame, BOUNDARY_VNI).at(a)
    };
    into(syn | ack, 9000, 1001, b"");
    out(ack, 1001, 9001, b"");
    let mut sent = 0;
    let mut goes_on = |after: &str| {
        let inner = out(ack, 1001 + sent, 9001 + sent, b"data");
        assert_eq!(ports(&inner.body).0, port, "after {after}");
        into(ack, 9001 + sent, 1005 + sent, b"data");
        sent += 4;
    };
    goes_on("nothing");
    let rule = world.rule(a, "dir=in action=deny priority=1 protocol=udp");
    goes_on("a rule about others");
    world
        .vpc(a)
        .remove_firewall_rule(opte::Direction::In, rule)
        .unwrap();
    goes_on("its removal");
    world.route(a, "192.0.2.0/24", "drop");
    goes_on("a route of others");
    world.boundary(Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 2));
    goes_on("another way outside");
    let more = ExternalIpCfg {
        ephemeral_ip: Some("203.0.113.30".parse().unwrap()),
        ..snat("203.0.113.9", 1025, 4096)
    };
    world
        .vpc(a)
        .set_external_ips(Some(more), None, None)
        .unwrap();
    goes_on("a better address");
    world.vpc(a).port().clear_uft().unwrap();
    goes_on("an emptied table");
    let moved = oxide_vpc::api::GuestPhysAddr {
        ether: world.mac(a),
        ip: ENDPOINT,
    };
    world.hosts[0]
        .env
        .mappings
        .v2p
        .set(Vni::new(VPC).unwrap(), ip("172.30.0.77"), moved);
    goes_on("a mapping of another guest");
}

#[test]
fn an_address_that_is_taken_away_takes_its_flows_along() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    world.rule(a, "dir=in action=allow priority=10 protocol=udp");
    let call = Frame::new(
        via_gateway(FAR),
        (world.mac(a), ip("203.0.113.20")),
        udp(6000, 53, b"?"),
    );
    from_outside(&world, a, &call, BOUNDARY_VNI).at(a);
    world
        .vpc(a)
        .set_external_ips(Some(floating(&["203.0.113.21"])), None, None)
        .unwrap();
    let late = from_outside(&world, a, &call, BOUNDARY_VNI);
    assert!(matches!(late, Sent::Rejected(..)), "{late:?}");
}

#[test]
fn addresses_of_a_family_the_port_lacks_are_refused_and_nothing_changes() {
    let mut world = World::new(1);
    let mut cfg = guest(VPC, 5);
    cfg.ip_cfg = oxide_vpc::api::IpCfg::Ipv4(cfg.ipv4().unwrap().clone());
    let a = world.port(0, cfg);
    world
        .vpc(a)
        .set_external_ips(Some(floating(&["203.0.113.20"])), None, None)
        .unwrap();
    let refused = world
        .vpc(a)
        .set_external_ips(None, Some(share6("2001:db8:1::9", 1, 99)), None);
    assert!(
        matches!(refused, Err(OpteError::InvalidIpCfg { .. })),
        "{refused:?}"
    );
    assert_eq!(world.vpc(a).external_ips_v4(), floating(&["203.0.113.20"]));
    let twice = floating(&["203.0.113.20", "203.0.113.20"]);
    assert!(matches!(
        world.vpc(a).set_external_ips(Some(twice), None, None),
        Err(OpteError::InvalidIpCfg { .. })
    ));
}

#[test]
fn a_paused_port_refuses_and_nothing_changes() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    world.send(a, &query).left();
    world.vpc(a).port().pause().unwrap();
    let refused = world.vpc(a).set_external_ips(None, None, None);
    assert!(
        matches!(refused, Err(OpteError::BadState { .. })),
        "{refused:?}"
    );
    world.vpc(a).port().start();
    assert_eq!(world.vpc(a).external_ips_v4(), floating(&["203.0.113.20"]));
    assert_eq!(world.send(a, &query).left().1.source, ip("203.0.113.20"));
}
