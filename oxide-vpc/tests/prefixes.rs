//! Prefixes beside the guest's own addresses: what it forwards for others, and subnets that are attached to it.

mod sim;

use std::net::IpAddr;

use opte::api::OpteError;
use opte::{Direction, DropReason};
use opte_headers::MacAddr;
use oxide_vpc::api::{AttachedSubnet, ExternalIpCfg, IpCfg, TransitCidr};
use oxide_vpc::network::BOUNDARY_VNI;
use oxide_vpc::port::PortEdit;
use sim::outside::{FAR, VPC, from_outside, ports, world4};
use sim::{At, Frame, Sent, World, floating, guest, ip, snat, udp, via_gateway};

fn transit(text: &str) -> TransitCidr {
    text.parse().unwrap()
}

fn subnet(text: &str) -> AttachedSubnet {
    text.parse().unwrap()
}

#[track_caller]
fn edit(world: &World, at: At, edit: PortEdit) {
    world.vpc(at).edit(vec![edit]).unwrap();
}

/// A guest, and an appliance that forwards for others, of one VPC on two hosts.
fn world() -> (World, At, At) {
    let mut world = World::new(2);
    let a = world.port(0, guest(10, 5));
    let appliance = world.port(1, guest(10, 6));
    for at in [a, appliance] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.route(at, "fd00:1::/64", "sub6=fd00:1::/64");
        world.rule(at, "dir=in action=allow priority=10");
    }
    world.route(a, "10.5.0.0/16", "ip4=172.30.0.6");
    world.route(a, "fd05::/48", "ip6=fd00:1::6");
    (world, a, appliance)
}

fn to(ip: &str) -> (MacAddr, IpAddr) {
    via_gateway(ip)
}

#[test]
fn what_a_guest_forwards_passes_in_the_directions_allowed() {
    for (cidr, foreign, v4) in [
        ("10.5.0.0/16", "10.5.7.7", true),
        ("fd05::/48", "fd05::7", false),
    ] {
        let (world, a, appliance) = world();
        let own = |at| if v4 { world.v4(at) } else { world.v6(at) };
        let ask = |port| Frame::new(own(a), to(foreign), udp(port, 53, b"?"));
        let from = (world.mac(appliance), ip(foreign));
        let gateway = to(&own(a).1.to_string());
        let call = |port| Frame::new(from, gateway, udp(port, 53, b"!"));
        let spoofed = Sent::Refused(DropReason::SpoofedSource);
        let denied = Sent::Rejected(appliance, DropReason::LayerDefaultDeny);

        assert_eq!(world.send(a, &ask(1)), denied);
        assert_eq!(world.send(appliance, &call(1)), spoofed);
        edit(
            &world,
            appliance,
            PortEdit::AllowCidr(transit(&format!("{cidr} in"))),
        );
        let got = world.send(a, &ask(2)).at(appliance);
        assert_eq!(got.destination, ip(foreign));
        assert_eq!(world.send(appliance, &call(2)), spoofed);
        edit(
            &world,
            appliance,
            PortEdit::AllowCidr(transit(&format!("{cidr} out"))),
        );
        assert_eq!(world.send(appliance, &call(3)).at(a).source, ip(foreign));
        // Both directions are one entry; what goes takes live flows along.
        assert_eq!(world.vpc(appliance).transit_cidrs(), [transit(cidr)]);
        edit(
            &world,
            appliance,
            PortEdit::RemoveCidr(transit(&format!("{cidr} out"))),
        );
        let revoked = DropReason::FlowRevoked;
        assert_eq!(world.send(appliance, &call(3)), Sent::Refused(revoked));
        world.send(a, &ask(2)).at(appliance);
        edit(&world, appliance, PortEdit::RemoveCidr(transit(cidr)));
        let gone = Sent::Rejected(appliance, revoked);
        assert_eq!(world.send(a, &ask(2)), gone);
        assert!(world.vpc(appliance).transit_cidrs().is_empty());
        // The guest's own addresses pass as ever.
        let own_call = Frame::new(own(appliance), gateway, udp(9, 53, b"!"));
        world.send(appliance, &own_call).at(a);
    }
}

#[test]
fn another_mac_address_forwards_nothing() {
    let (world, _, appliance) = world();
    edit(
        &world,
        appliance,
        PortEdit::AllowCidr(transit("10.5.0.0/16")),
    );
    let stranger = (MacAddr([2, 0, 0, 0, 0, 9]), ip("10.5.7.7"));
    let call = Frame::new(stranger, to("172.30.0.5"), udp(1, 53, b"!"));
    assert_eq!(
        world.send(appliance, &call),
        Sent::Refused(DropReason::SpoofedSource)
    );
}

#[test]
fn an_attached_subnet_is_the_guest_s_in_the_vpc() {
    let (world, a, appliance) = world();
    edit(
        &world,
        appliance,
        PortEdit::AttachSubnet(subnet("10.5.0.0/16")),
    );
    let ask = Frame::new(world.v4(a), to("10.5.7.7"), udp(1, 53, b"?"));
    let got = world.send(a, &ask).at(appliance);
    let answer = Frame::new(
        (world.mac(appliance), got.destination),
        to("172.30.0.5"),
        udp(53, 1, b"!"),
    );
    assert_eq!(world.send(appliance, &answer).at(a).source, ip("10.5.7.7"));
    // A hole that two have reason for stays until neither has.
    edit(
        &world,
        appliance,
        PortEdit::AllowCidr(transit("10.5.0.0/16 in")),
    );
    edit(
        &world,
        appliance,
        PortEdit::DetachSubnet("10.5.0.0/16".parse().unwrap()),
    );
    world.send(a, &ask).at(appliance);
    assert_eq!(
        world.send(appliance, &answer),
        Sent::Refused(DropReason::SpoofedSource)
    );
}

/// The address of a guest behind the one that is attached.
const BEHIND: &str = "203.0.113.70";

#[test]
fn an_external_subnet_leaves_and_enters_as_it_is() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    world.rule(a, "dir=in action=allow priority=10 protocol=udp");
    let query = Frame::new((world.mac(a), ip(BEHIND)), to(FAR), udp(5000, 53, b"?"));
    edit(
        &world,
        a,
        PortEdit::AttachSubnet(subnet("203.0.113.64/28 external")),
    );
    let (outer, left) = world.send(a, &query).left();
    assert_eq!((left.source, ports(&left.body)), (ip(BEHIND), (5000, 53)));
    assert_eq!(outer.vni, BOUNDARY_VNI);
    let back = from_outside(&world, a, &left.echoed(), BOUNDARY_VNI).at(a);
    assert_eq!(back.destination, ip(BEHIND));
    // So does what others begin.
    let call = Frame::new(
        to(FAR),
        (world.mac(a), ip("203.0.113.71")),
        udp(6000, 53, b"?"),
    );
    let got = from_outside(&world, a, &call, BOUNDARY_VNI).at(a);
    assert_eq!(got.destination, ip("203.0.113.71"));
    // Inside the VPC such an address is nobody's.
    world.route(a, "172.30.0.0/22", "sub4=172.30.0.0/22");
    let inside = Frame::new((world.mac(a), ip(BEHIND)), to("172.30.0.9"), udp(1, 2, b""));
    assert_eq!(world.send(a, &inside), Sent::Refused(DropReason::NoMapping));
    // Told anew that it is not external, its source is translated like any that the guest forwards.
    edit(&world, a, PortEdit::AttachSubnet(subnet("203.0.113.64/28")));
    let (_, left) = world.send(a, &query).left();
    assert_eq!(left.source, ip("203.0.113.9"));
    let back = from_outside(&world, a, &left.echoed(), BOUNDARY_VNI).at(a);
    assert_eq!(back.destination, ip(BEHIND), "to whom it is due");
}

/// A one-to-one address stands for the guest's own alone: what came back to it could not be told from the guest's.
#[test]
fn what_is_forwarded_does_not_take_the_guest_s_floating_address() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    edit(&world, a, PortEdit::AllowCidr(transit("10.5.0.0/16")));
    let query = Frame::new((world.mac(a), ip("10.5.0.7")), to(FAR), udp(5000, 53, b"?"));
    assert!(matches!(world.send(a, &query), Sent::Refused(_)));
    let shared = ExternalIpCfg {
        floating_ips: floating(&["203.0.113.20"]).floating_ips,
        ..snat("203.0.113.9", 1025, 4096)
    };
    world
        .vpc(a)
        .set_external_ips(Some(shared), None, None)
        .unwrap();
    assert_eq!(world.send(a, &query).left().1.source, ip("203.0.113.9"));
}

/// The published engine made new pools when a subnet was attached: live connections got other ports and broke.
#[test]
fn live_connections_keep_their_ports_when_a_subnet_comes_and_goes() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), to(FAR), udp(5000, 53, b"?"));
    let (_, before) = world.send(a, &query).left();
    let steps = [
        PortEdit::AttachSubnet(subnet("203.0.113.64/28 external")),
        PortEdit::AllowCidr(transit("10.5.0.0/16")),
        PortEdit::AttachSubnet(subnet("203.0.113.64/28")),
        PortEdit::DetachSubnet("203.0.113.64/28".parse().unwrap()),
    ];
    for step in steps {
        edit(&world, a, step.clone());
        assert_eq!(world.send(a, &query).left().1, before, "{step:?}");
        assert_eq!(
            from_outside(&world, a, &before.echoed(), BOUNDARY_VNI)
                .at(a)
                .body,
            query.echoed().body,
            "{step:?}"
        );
    }
    assert_eq!(world.vpc(a).nat_usage()[1].1.leased, 1);
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let mut world = World::new(1);
    let mut cfg = guest(VPC, 5);
    cfg.ip_cfg = IpCfg::Ipv4(cfg.ipv4().unwrap().clone());
    let a = world.port(0, cfg);
    let port = world.vpc(a);
    edit(&world, a, PortEdit::AllowCidr(transit("10.5.0.0/16 in")));
    edit(&world, a, PortEdit::AttachSubnet(subnet("10.6.0.0/16")));
    let rules = || port.port().list_layers().layers;
    let before = rules();
    let refused = |last: PortEdit| {
        let first = [
            PortEdit::AllowCidr(transit("10.7.0.0/16")),
            PortEdit::DetachSubnet("10.6.0.0/16".parse().unwrap()),
        ];
        let error = port
            .edit(first.into_iter().chain([last]).collect())
            .unwrap_err();
        assert_eq!(port.transit_cidrs(), [transit("10.5.0.0/16 in")]);
        assert_eq!(port.attached_subnets(), [subnet("10.6.0.0/16")]);
        assert_eq!(rules(), before);
        error
    };
    assert_eq!(
        refused(PortEdit::RemoveCidr(transit("10.5.0.0/16 out"))),
        OpteError::TransitCidrNotFound {
            port: "opte0".into(),
            cidr: "10.5.0.0/16".parse().unwrap(),
            dir: Some(Direction::Out),
        }
    );
    assert!(matches!(
        refused(PortEdit::DetachSubnet("10.6.0.0/16".parse().unwrap())),
        OpteError::SubnetNotFound { .. }
    ));
    assert_eq!(
        refused(PortEdit::AllowCidr(transit("fd05::/48"))).to_string(),
        "invalid IP configuration: port 'opte0' has no IPv6 address"
    );
    assert_eq!(
        refused(PortEdit::AttachSubnet(subnet("ff05::/16"))).to_string(),
        "invalid prefix: ff05::/16 is multicast"
    );
    port.port().start();
    port.port().pause().unwrap();
    assert!(matches!(
        port.edit(vec![PortEdit::AllowCidr(transit("10.7.0.0/16"))]),
        Err(OpteError::BadState { .. })
    ));
    assert_eq!(port.transit_cidrs(), [transit("10.5.0.0/16 in")]);
}
