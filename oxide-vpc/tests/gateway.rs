//! The gateway as a table: what the guest asks of it, and what passes it.

mod sim;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::DropReason;
use opte_headers::{
    Arp, ArpGet, ArpOperation, Dhcp4, Dhcp4Flags, Dhcp4Get, Dhcp4MessageType, Dhcp4Op, Dhcp4Option,
    Dhcp6, Dhcp6Get, Dhcp6MessageType, Dhcp6Option, Ethernet, EthernetGet, Ethertype, Header,
    MacAddr,
};
use oxide_vpc::api::IpCfg;
use oxide_vpc::network::{GATEWAY_MAC, MULTICAST_VNI};
use sim::{At, Body, Frame, Outer, Sent, World, guest, ip, udp};

fn world() -> (World, At) {
    let mut world = World::new(1);
    let at = world.port(0, guest(10, 5));
    (world, at)
}

#[track_caller]
fn answer(sent: Sent) -> Frame {
    match sent {
        Sent::Answered(bytes) => Frame::read_any_hop_limit(&bytes),
        other => panic!("no answer: {other:?}"),
    }
}

fn arp(guest: MacAddr, target_ip: &str) -> Vec<u8> {
    let ethernet = Ethernet {
        destination: MacAddr::BROADCAST,
        source: guest,
        ethertype: Ethertype::ARP,
    };
    let arp = Arp {
        operation: ArpOperation::REQUEST,
        sender_mac: guest,
        sender_ip: Ipv4Addr::new(172, 30, 0, 5),
        target_mac: MacAddr::ZERO,
        target_ip: target_ip.parse().unwrap(),
        ..Arp::default()
    };
    let mut bytes = vec![0; 42];
    let at = ethernet.emit(&mut bytes).unwrap();
    arp.emit(&mut bytes[at..]).unwrap();
    bytes
}

#[test]
fn the_gateway_is_found_by_arp_and_nobody_else_is() {
    let (world, a) = world();
    let Sent::Answered(reply) = world.send_bytes(a, &arp(world.mac(a), "172.30.0.1")) else {
        panic!("no answer")
    };
    let (ethernet, rest) = Ethernet::parse(&reply).unwrap();
    assert_eq!(
        (ethernet.destination(), ethernet.source()),
        (world.mac(a), GATEWAY_MAC)
    );
    let (reply, _) = Arp::parse(rest).unwrap();
    assert_eq!(
        (reply.operation(), reply.sender_mac()),
        (ArpOperation::REPLY, GATEWAY_MAC)
    );
    assert_eq!(reply.sender_ip(), Ipv4Addr::new(172, 30, 0, 1));
    let stranger = MacAddr([2, 0, 0, 0, 0, 9]);
    for (asks, about, reason) in [
        (world.mac(a), "172.30.0.6", DropReason::LayerActionDeny),
        (stranger, "172.30.0.1", DropReason::LayerDefaultDeny),
    ] {
        let sent = world.send_bytes(a, &arp(asks, about));
        assert_eq!(sent, Sent::Refused(reason), "{asks} asks for {about}");
    }
}

#[test]
fn the_gateway_answers_pings() {
    let (world, a) = world();
    let link_local = world.mac(a).to_link_local();
    let gateway6 = GATEWAY_MAC.to_link_local();
    for (from, to) in [
        (world.v4(a).1, ip("172.30.0.1")),
        (world.v6(a).1, ip("fd00:1::1")),
        (world.v6(a).1, gateway6.into()),
        (link_local.into(), gateway6.into()),
    ] {
        let ping = Frame::ping((world.mac(a), from), (GATEWAY_MAC, to), 8, 1);
        assert_eq!(answer(world.send(a, &ping)), ping.pong());
        assert_eq!(answer(world.send(a, &ping)), ping.pong());
    }
    let other = Frame::ping(
        (world.mac(a), ip("172.30.0.9")),
        (GATEWAY_MAC, ip("172.30.0.1")),
        8,
        1,
    );
    assert_eq!(
        world.send(a, &other),
        Sent::Refused(DropReason::SpoofedSource)
    );
}

fn solicitation(ty: u8, source: Ipv6Addr, target: Option<Ipv6Addr>, guest: MacAddr) -> Frame {
    let group: Ipv6Addr = match target {
        None => "ff02::2".parse().unwrap(),
        Some(target) => {
            let [.., a, b, c] = target.octets();
            Ipv6Addr::new(
                0xff02,
                0,
                0,
                0,
                0,
                1,
                0xff00 | u16::from(a),
                u16::from_be_bytes([b, c]),
            )
        }
    };
    let mut data = target.map_or(vec![], |target| target.octets().to_vec());
    if !source.is_unspecified() {
        // Source link-layer address.
        data.extend([1, 1]);
        data.extend(guest.octets());
    }
    let body = Body::Icmp {
        ty,
        code: 0,
        identifier: 0,
        sequence: 0,
        data,
    };
    let group_mac = MacAddr::from_ipv6_multicast(group);
    Frame::new((guest, source.into()), (group_mac, group.into()), body)
}

#[test]
fn neighbour_discovery_is_with_the_gateway_alone() {
    let (world, a) = world();
    let (mac, gateway) = (world.mac(a), GATEWAY_MAC.to_link_local());
    let own = mac.to_link_local();
    let ask = |frame: Frame| world.send_bytes(a, &frame.bytes_with_hop_limit(255));

    let advert = answer(ask(solicitation(133, own, None, mac)));
    assert_eq!(
        (advert.source, advert.destination),
        (gateway.into(), IpAddr::from(own))
    );
    assert!(
        matches!(advert.body, Body::Icmp { ty: 134, .. }),
        "{advert:?}"
    );

    let advert = answer(ask(solicitation(135, own, Some(gateway), mac)));
    assert!(
        matches!(advert.body, Body::Icmp { ty: 136, .. }),
        "{advert:?}"
    );

    let dropped = [DropReason::LayerRuleDeny, DropReason::LayerActionDeny];
    for frame in [
        solicitation(135, own, Some("fd00:1::6".parse().unwrap()), mac),
        solicitation(134, own, None, mac),
        solicitation(137, own, None, mac),
    ] {
        let sent = ask(frame.clone());
        assert!(
            matches!(sent, Sent::Refused(reason) if dropped.contains(&reason)),
            "{frame:?}: {sent:?}"
        );
    }
    // Nor does any come in.
    world.rule(a, "dir=in action=allow priority=1");
    let outer = Outer {
        source: world.hosts[0].underlay,
        destination: world.hosts[0].underlay,
        vni: world.vpc(a).cfg().vni,
        external: false,
    };
    let inbound = Frame::new(
        (GATEWAY_MAC, ip("fd00:1::6")),
        world.v6(a),
        Body::Icmp {
            ty: 136,
            code: 0,
            identifier: 0,
            sequence: 0,
            data: vec![0; 16],
        },
    );
    assert_eq!(
        world.force(a, &outer.around(&inbound.bytes())),
        Sent::Rejected(a, DropReason::LayerRuleDeny)
    );
}

#[test]
fn an_address_is_leased() {
    let (world, a) = world();
    let mac = world.mac(a);
    let discover = Dhcp4 {
        op: Dhcp4Op::REQUEST,
        transaction_id: 0x1234_5678,
        flags: Dhcp4Flags::default(),
        options: opte_headers::options::Options::of(&[Dhcp4Option::MessageType(
            Dhcp4MessageType::DISCOVER,
        )])
        .unwrap(),
        ..Dhcp4::default()
    };
    let mut data = vec![0; discover.len()];
    discover.emit(&mut data).unwrap();
    // Client hardware address: behind op, htype, hlen, hops, xid, secs, flags and four addresses.
    data[28..34].copy_from_slice(&mac.octets());
    let frame = Frame::new(
        (mac, ip("0.0.0.0")),
        (MacAddr::BROADCAST, ip("255.255.255.255")),
        udp(68, 67, &data),
    );
    let offer = answer(world.send(a, &frame));
    assert_eq!(
        (offer.source, offer.source_mac),
        (ip("172.30.0.1"), GATEWAY_MAC)
    );
    let Body::Udp {
        source: 67,
        destination: 68,
        data,
    } = &offer.body
    else {
        panic!("{offer:?}")
    };
    let (offer, _) = Dhcp4::parse(data).unwrap();
    assert_eq!(
        (offer.transaction_id(), offer.your_ip()),
        (0x1234_5678, Ipv4Addr::new(172, 30, 0, 5))
    );
}

#[test]
fn an_address_of_ipv6_is_leased() {
    let (world, a) = world();
    let mac = world.mac(a);
    let options = [
        Dhcp6Option::ClientIdentifier(&[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]),
        Dhcp6Option::RapidCommit,
        Dhcp6Option::IaNa {
            id: 7,
            renewal: 0,
            rebinding: 0,
            options: &[],
        },
    ];
    let solicit = Dhcp6 {
        message_type: Dhcp6MessageType::SOLICIT,
        options: opte_headers::options::Options::of(&options).unwrap(),
        ..Dhcp6::default()
    };
    let mut data = vec![0; solicit.len()];
    solicit.emit(&mut data).unwrap();
    let group: Ipv6Addr = "ff02::1:2".parse().unwrap();
    let frame = Frame::new(
        (mac, mac.to_link_local().into()),
        (MacAddr::from_ipv6_multicast(group), group.into()),
        udp(546, 547, &data),
    );
    let reply = answer(world.send(a, &frame));
    assert_eq!(
        (reply.source, reply.source_mac),
        (GATEWAY_MAC.to_link_local().into(), GATEWAY_MAC)
    );
    let Body::Udp {
        source: 547,
        destination: 546,
        data,
    } = &reply.body
    else {
        panic!("{reply:?}")
    };
    let (reply, _) = Dhcp6::parse(data).unwrap();
    assert_eq!(reply.message_type(), Dhcp6MessageType::REPLY);
    let IpAddr::V6(leased) = world.v6(a).1 else {
        panic!("a guest of both families")
    };
    let told = reply.options().iter().any(|option| {
        matches!(option, Ok(Dhcp6Option::IaNa { id: 7, options, .. }) if options.get(4..20) == Some(&leased.octets()[..]))
    });
    assert!(told, "{reply:?}");
}

#[test]
fn what_comes_in_is_for_the_guest() {
    let (world, a) = world();
    world.rule(a, "dir=in action=allow priority=1");
    let (source, destination) = (world.hosts[0].underlay, world.hosts[0].underlay);
    let own = Outer {
        source,
        destination,
        vni: world.vpc(a).cfg().vni,
        external: false,
    };
    let peer = (MacAddr([0xa8, 0x40, 0x25, 0xf0, 10, 6]), ip("172.30.0.6"));
    let fine = Frame::new(peer, world.v4(a), udp(1, 2, b"x"));
    let got = world.force(a, &own.around(&fine.bytes())).at(a);
    assert_eq!(
        got,
        Frame {
            source_mac: GATEWAY_MAC,
            ..fine.clone()
        },
        "whoever sent it, it comes from the gateway"
    );
    for wrong in [
        Frame {
            destination: ip("172.30.0.7"),
            ..fine.clone()
        },
        Frame {
            destination_mac: MacAddr([0xa8, 0x40, 0x25, 0xf0, 10, 7]),
            ..fine.clone()
        },
        Frame {
            destination_mac: MacAddr::BROADCAST,
            ..fine.clone()
        },
    ] {
        let sent = world.force(a, &own.around(&wrong.bytes()));
        assert_eq!(
            sent,
            Sent::Rejected(a, DropReason::LayerDefaultDeny),
            "{wrong:?}"
        );
    }
    let group_mac = MacAddr::from_ipv4_multicast(Ipv4Addr::new(224, 1, 2, 3));
    let group = Frame {
        destination: ip("224.1.2.3"),
        destination_mac: group_mac,
        ..fine
    };
    let multicast = Outer {
        vni: MULTICAST_VNI,
        ..own
    };
    world.force(a, &multicast.around(&group.bytes())).at(a);
}

#[test]
fn a_port_of_one_family_takes_nothing_of_the_other() {
    let mut world = World::new(2);
    let (mut four, mut six) = (guest(10, 5), guest(10, 6));
    four.ip_cfg = IpCfg::Ipv4(four.ipv4().unwrap().clone());
    six.ip_cfg = IpCfg::Ipv6(six.ipv6().unwrap().clone());
    let (four, six) = (world.port(0, four), world.port(1, six));
    for at in [four, six] {
        world.route(at, "0.0.0.0/0", "sub4=0.0.0.0/0");
        world.route(at, "::/0", "sub6=::/0");
    }
    let v6 = Frame::new(
        (world.mac(four), ip("fd00:1::5")),
        (GATEWAY_MAC, ip("fd00:1::6")),
        udp(1, 2, b""),
    );
    assert_eq!(
        world.send(four, &v6),
        Sent::Refused(DropReason::SpoofedSource)
    );
    let v4 = Frame::new(
        (world.mac(six), ip("172.30.0.6")),
        (GATEWAY_MAC, ip("172.30.0.5")),
        udp(1, 2, b""),
    );
    assert_eq!(
        world.send(six, &v4),
        Sent::Refused(DropReason::SpoofedSource)
    );
    assert_eq!(
        world.send_bytes(six, &arp(world.mac(six), "172.30.0.1")),
        Sent::Refused(DropReason::LayerDefaultDeny)
    );
}

#[test]
fn frames_with_a_vlan_tag_are_refused_and_leave_no_flow() {
    let (world, a) = world();
    let ping = Frame::ping(
        (world.mac(a), world.v4(a).1),
        (GATEWAY_MAC, ip("172.30.0.6")),
        8,
        1,
    );
    let mut tagged = ping.bytes();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
    assert_eq!(
        world.send_bytes(a, &tagged),
        Sent::Refused(DropReason::ParseUnsupported)
    );
    assert_eq!(
        world
            .vpc(a)
            .port()
            .dump_uft(opte::api::Page::FIRST)
            .count_out,
        0
    );
}
