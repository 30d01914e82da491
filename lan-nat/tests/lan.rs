//! A guest, its port, and a LAN in memory.

mod station;

use std::net::Ipv4Addr;

use lan_nat::IpConfig;
use opte::api::OpteError;
use opte::{Direction, DropReason};
use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Header, Icmpv4, Icmpv4Get, Icmpv4Type, Ipv4,
    Ipv4Get, MacAddr, Udp, UdpGet,
};

use station::*;

#[test]
fn out_and_back() {
    let port = running();
    let out = process(
        &port,
        Direction::Out,
        &udp(guest(), (GATEWAY, FAR), (5000, 53)),
    )
    .unwrap();
    let external = Udp::parse(&out[34..]).unwrap().0.source();
    assert!(config().ports.contains(external));
    assert_eq!(
        out,
        udp(public(), (GATEWAY, FAR), (external, 53)),
        "with right sums"
    );
    let back = process(
        &port,
        Direction::In,
        &udp((GATEWAY, FAR), public(), (53, external)),
    )
    .unwrap();
    assert_eq!(back, udp((GATEWAY, FAR), guest(), (53, 5000)));
    let again = process(
        &port,
        Direction::Out,
        &udp(guest(), (GATEWAY, FAR), (5000, 53)),
    )
    .unwrap();
    assert_eq!(again, out);
}

#[test]
fn a_ping_out_and_back() {
    let port = running();
    let request = ping(guest(), (GATEWAY, FAR), Icmpv4Type::ECHO_REQUEST, 77);
    let out = process(&port, Direction::Out, &request).unwrap();
    let (ip, _) = Ipv4::parse(&out[14..]).unwrap();
    assert_eq!(ip.source(), config().public_ip);
    let identifier = Icmpv4::parse(&out[34..]).unwrap().0.identifier();
    assert_eq!(
        out,
        ping(
            public(),
            (GATEWAY, FAR),
            Icmpv4Type::ECHO_REQUEST,
            identifier
        )
    );
    let reply = ping((GATEWAY, FAR), public(), Icmpv4Type::ECHO_REPLY, identifier);
    let back = process(&port, Direction::In, &reply).unwrap();
    assert_eq!(
        back,
        ping((GATEWAY, FAR), guest(), Icmpv4Type::ECHO_REPLY, 77)
    );
}

#[test]
fn nothing_comes_in_that_was_not_asked_for() {
    let port = running();
    process(
        &port,
        Direction::Out,
        &udp(guest(), (GATEWAY, FAR), (5000, 53)),
    )
    .unwrap();
    let far = (GATEWAY, FAR);
    let stray = |frame: Vec<u8>| process(&port, Direction::In, &frame);
    assert_eq!(
        stray(udp(far, public(), (53, 2000))),
        Err(DropReason::NatFiltered)
    );
    assert_eq!(
        stray(udp(far, (PUBLIC, config().private_ip), (53, 5000))),
        Err(DropReason::LayerDefaultDeny)
    );
    assert_eq!(
        stray(udp(far, (HOST, config().public_ip), (53, 5000))),
        Err(DropReason::LayerDefaultDeny)
    );
}

#[test]
fn the_guest_sends_as_itself_only() {
    let port = running();
    let send = |from| {
        process(
            &port,
            Direction::Out,
            &udp(from, (GATEWAY, FAR), (5000, 53)),
        )
    };
    assert_eq!(
        send((GUEST, "10.0.0.211".parse().unwrap())),
        Err(DropReason::LayerDefaultDeny)
    );
    assert_eq!(
        send((HOST, config().private_ip)),
        Err(DropReason::LayerDefaultDeny)
    );
    assert!(send(guest()).is_ok());
}

#[test]
fn the_lan_finds_the_public_address_and_no_other() {
    let port = running();
    let host = (HOST, "10.0.0.7".parse().unwrap());
    let reply = process(&port, Direction::In, &arp(host, config().public_ip)).unwrap();
    let (ethernet, rest) = Ethernet::parse(&reply).unwrap();
    assert_eq!((ethernet.source(), ethernet.destination()), (PUBLIC, HOST));
    let (answer, _) = Arp::parse(rest).unwrap();
    assert_eq!(
        (answer.operation(), answer.sender_mac()),
        (ArpOperation::REPLY, PUBLIC)
    );
    assert_eq!(
        (answer.sender_ip(), answer.target_ip()),
        (config().public_ip, host.1)
    );
    for other in [config().private_ip, "10.0.0.1".parse().unwrap()] {
        assert_eq!(
            process(&port, Direction::In, &arp(host, other)),
            Err(DropReason::HandlerDeny)
        );
    }
}

#[test]
fn the_guest_finds_the_gateway() {
    let port = running();
    let reply = process(&port, Direction::Out, &arp(guest(), config().gateway_ip)).unwrap();
    let (answer, _) = Arp::parse(&reply[14..]).unwrap();
    assert_eq!((answer.sender_mac(), answer.target_mac()), (GATEWAY, GUEST));
}

#[test]
fn what_is_to_all_stays_on_the_guests_link() {
    let port = running();
    for all in ["224.0.0.251", "255.255.255.255"] {
        let frame = udp(
            guest(),
            (MacAddr::BROADCAST, all.parse().unwrap()),
            (5353, 5353),
        );
        let dropped = process(&port, Direction::Out, &frame);
        assert_eq!(dropped, Err(DropReason::LayerRuleDeny), "{all}");
    }
}

#[test]
fn addresses_that_do_not_fit_are_refused() {
    type Edit = fn(&mut IpConfig);
    let edits: [Edit; 5] = [
        |cfg| cfg.public_ip = "10.0.1.99".parse().unwrap(),
        |cfg| cfg.gateway_ip = "192.168.0.1".parse().unwrap(),
        |cfg| cfg.private_ip = cfg.public_ip,
        |cfg| cfg.private_ip = Ipv4Addr::BROADCAST,
        |cfg| cfg.public_mac = MacAddr::BROADCAST,
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let mut cfg = config();
        edit(&mut cfg);
        let refused = made(&cfg).map(|_| ());
        assert!(
            matches!(refused, Err(OpteError::InvalidIpCfg { .. })),
            "{n}: {refused:?}"
        );
    }
}
