//! What RFC 4787, RFC 5382 and RFC 5508 ask of a translator, and protocols that have no ports.

mod sim;

use opte::Direction::{In, Out};
use opte::DropReason;
use opte_headers::TcpFlags;
use oxide_vpc::network::BOUNDARY_VNI;
use sim::outside::{ENDPOINT, FAR, VPC, from_outside, ports, world4};
use sim::{Body, Frame, Sent, World, floating, guest, ip, snat, tcp, udp, via_gateway};

/// RFC 4787, REQ-8; RFC 5382, REQ-3: address-dependent filtering, and the firewall behind it.
#[test]
fn whom_the_guest_writes_to_may_write_from_another_port() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    let (_, out) = world.send(a, &query).left();
    let mut other_port = out.echoed();
    other_port.body = udp(5353, ports(&out.body).0, b"more");
    let rejected = |reason| Sent::Rejected(a, reason);
    assert_eq!(
        from_outside(&world, a, &other_port, BOUNDARY_VNI),
        rejected(DropReason::LayerDefaultDeny),
        "the firewall lets nobody in unasked"
    );
    world.rule(a, "dir=in action=allow priority=1 protocol=udp");
    let got = from_outside(&world, a, &other_port, BOUNDARY_VNI).at(a);
    assert_eq!(ports(&got.body), (5353, 5000));
    let (_, back) = world.send(a, &got.echoed()).left();
    assert_eq!(back.body, other_port.echoed().body, "by the same mapping");
    assert_eq!(back.source, ip("203.0.113.9"));
    let mut stranger = other_port.clone();
    stranger.source = ip("198.51.100.66");
    assert_eq!(
        from_outside(&world, a, &stranger, BOUNDARY_VNI),
        rejected(DropReason::NatFiltered)
    );
    let mut unmapped = other_port.clone();
    unmapped.body = udp(53, ports(&out.body).0 ^ 1, b"?");
    assert_eq!(
        from_outside(&world, a, &unmapped, BOUNDARY_VNI),
        rejected(DropReason::NatFiltered)
    );
    let ping = Frame {
        body: Frame::ping(via_gateway(FAR), world.v4(a), 9, 1).body,
        ..other_port
    };
    assert_eq!(
        from_outside(&world, a, &ping, BOUNDARY_VNI),
        rejected(DropReason::NatFiltered)
    );
}

/// A mapping that came in by another far end's flow is given back with the last flow of it, once.
#[test]
fn a_mapping_lives_as_long_as_any_of_its_flows() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    world.rule(a, "dir=in action=allow priority=1 protocol=udp");
    let leased = || world.vpc(a).nat_usage()[1].1.leased;
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    let (_, out) = world.send(a, &query).left();
    let mut other_port = out.echoed();
    other_port.body = udp(5353, ports(&out.body).0, b"more");
    for _ in 0..3 {
        world.pass(100);
        from_outside(&world, a, &other_port, BOUNDARY_VNI).at(a);
    }
    world.vpc(a).port().expire(world.now(), 100);
    assert_eq!((leased(), world.vpc(a).port().counters().flows), (1, 1));
    let again = Frame::new(world.v4(a), via_gateway("192.0.2.1"), udp(5000, 53, b"?"));
    let (_, again) = world.send(a, &again).left();
    assert_eq!(
        ports(&again.body).0,
        ports(&out.body).0,
        "the same port still"
    );
    world.pass(400);
    world.vpc(a).port().expire(world.now(), 100);
    assert_eq!((leased(), world.vpc(a).port().counters().flows), (0, 0));
    assert_eq!(world.vpc(a).nat_usage()[1].1.resting, 1);
}

/// RFC 4787, REQ-9: two guests behind one address reach one another through it; each sees the other's external endpoint.
#[test]
fn two_guests_behind_one_address_reach_one_another() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(VPC, 5)), world.port(1, guest(VPC, 6)));
    for (at, first, last) in [(a, 1024, 2047), (b, 2048, 4095)] {
        let share = snat("203.0.113.9", first, last);
        world
            .vpc(at)
            .set_external_ips(Some(share), None, None)
            .unwrap();
        world.route(at, "0.0.0.0/0", "ig");
    }
    world.boundary(ENDPOINT);
    // The boundary turns packets for its own addresses around to whoever has the port.
    let turned = |frame: &Frame| {
        let to = if ports(&frame.body).1 < 2048 { a } else { b };
        from_outside(&world, to, frame, BOUNDARY_VNI)
    };
    let outside = |at, to: &str, from, port| {
        let sent = Frame::new(world.v4(at), via_gateway(to), udp(from, port, b"hello"));
        world.send(at, &sent).left().1
    };
    let port_a = ports(&outside(a, FAR, 5000, 3478).body).0;
    let port_b = ports(&outside(b, FAR, 6000, 3478).body).0;
    let first = outside(b, "203.0.113.9", 6000, port_a);
    assert_eq!(
        (first.source, ports(&first.body)),
        (ip("203.0.113.9"), (port_b, port_a))
    );
    assert_eq!(turned(&first), Sent::Rejected(a, DropReason::NatFiltered));
    let punched = outside(a, "203.0.113.9", 5000, port_b);
    let got = turned(&punched).at(b);
    assert_eq!(
        (got.source, ports(&got.body)),
        (ip("203.0.113.9"), (port_a, 6000))
    );
    let answer = world.send(b, &got.echoed()).left().1;
    let got = turned(&answer).at(a);
    assert_eq!(
        (got.source, ports(&got.body)),
        (ip("203.0.113.9"), (port_b, 5000))
    );
    assert_eq!(got.destination, world.v4(a).1);
}

/// A far end that calls two addresses of a guest from one port makes two flows; the guest sees two ports.
#[test]
fn two_calls_from_one_port_to_two_addresses_do_not_collide() {
    let (world, a) = world4(floating(&["203.0.113.20", "203.0.113.21"]));
    world.rule(a, "dir=in action=allow priority=1");
    let call = |to: &str, body: Body| {
        let frame = Frame::new(via_gateway(FAR), (world.mac(a), ip(to)), body);
        let got = from_outside(&world, a, &frame, BOUNDARY_VNI);
        (frame, got)
    };
    let bodies = [
        udp(7000, 80, b"hello"),
        tcp(7000, 80, TcpFlags::SYN, 1, 0, b""),
        Frame::ping(via_gateway(FAR), world.v4(a), 7, 1).body,
    ];
    for body in bodies {
        let calls = ["203.0.113.20", "203.0.113.21"].map(|to| call(to, body.clone()));
        let got = calls.each_ref().map(|(_, got)| got.clone().at(a));
        assert_eq!(got[0].body, body, "the first comes as it is");
        assert_ne!(ports(&got[0].body), ports(&got[1].body));
        for ((sent, _), got) in calls.iter().zip(&got) {
            let (answer, expected) = match &got.body {
                Body::Udp { .. } => (got.echoed(), sent.echoed()),
                Body::Icmp { .. } => (got.pong(), sent.pong()),
                Body::Tcp { source, .. } => {
                    let flags = TcpFlags::SYN | TcpFlags::ACK;
                    let of = |frame: &Frame, to| frame.answered(tcp(80, to, flags, 9, 2, b""));
                    (of(got, *source), of(sent, 7000))
                }
                Body::Other { .. } => continue,
            };
            let (_, left) = world.send(a, &answer).left();
            assert_eq!(
                (left.source, left.destination, left.body),
                (expected.source, expected.destination, expected.body),
                "each is answered from the address it has called"
            );
        }
    }
    assert_eq!(world.vpc(a).port().counters().flows, 6);
    let gre = Body::Other {
        protocol: 47,
        data: vec![0; 16],
    };
    call("203.0.113.20", gre.clone()).1.at(a);
    assert_eq!(
        call("203.0.113.21", gre).1,
        Sent::Rejected(a, DropReason::FlowCollision),
        "what has no port cannot be told apart"
    );
}

/// Any protocol is a flow on addresses, through an address of the guest's own and the firewall.
#[test]
fn protocols_without_ports() {
    // IP in IP, IPv6 in IPv4, GRE, ESP, AH, EtherIP, VRRP, PIM, L2TP, UDP-Lite, one for experiments.
    for protocol in [4, 41, 47, 50, 51, 97, 112, 103, 115, 136, 253] {
        let (world, a) = world4(floating(&["203.0.113.20"]));
        let body = |first: u8| Body::Other {
            protocol,
            data: (first..first + 24).collect(),
        };
        let sent = Frame::new(world.v4(a), via_gateway(FAR), body(0));
        let (_, out) = world.send(a, &sent).left();
        assert_eq!((out.source, &out.body), (ip("203.0.113.20"), &sent.body));
        let answer = from_outside(&world, a, &out.answered(body(100)), BOUNDARY_VNI).at(a);
        assert_eq!(
            (answer.destination, answer.body),
            (world.v4(a).1, body(100))
        );
        let more = Frame::new(world.v4(a), via_gateway(FAR), body(200));
        world.send(a, &more).left();
        assert_eq!(
            world.vpc(a).port().counters().flows,
            1,
            "protocol {protocol}"
        );

        let mut stranger = out.answered(body(7));
        stranger.source = ip("198.51.100.66");
        let rejected = from_outside(&world, a, &stranger, BOUNDARY_VNI);
        assert_eq!(rejected, Sent::Rejected(a, DropReason::LayerDefaultDeny));
        world.rule(
            a,
            &format!("dir=in action=allow priority=9 protocol={protocol}"),
        );
        from_outside(&world, a, &stranger, BOUNDARY_VNI).at(a);
    }
}

/// SCTP by its ports (RFC 9260, section 3.1); its checksum knows nothing of addresses.
#[test]
fn sctp_is_a_flow_by_its_ports() {
    let (world, a) = world4(floating(&["203.0.113.20"]));
    let sctp = |from: u16, to: u16| Body::Other {
        protocol: 132,
        data: [&from.to_be_bytes()[..], &to.to_be_bytes(), &[7; 24]].concat(),
    };
    for from in [1000, 1001] {
        let sent = Frame::new(world.v4(a), via_gateway(FAR), sctp(from, 2905));
        let (_, out) = world.send(a, &sent).left();
        assert_eq!(
            (out.source, out.body.clone()),
            (ip("203.0.113.20"), sent.body)
        );
        let answer = out.answered(sctp(2905, from));
        let got = from_outside(&world, a, &answer, BOUNDARY_VNI).at(a);
        assert_eq!(got.body, answer.body);
    }
    assert_eq!(world.vpc(a).port().counters().flows, 2);
    world.rule(a, "dir=in action=allow priority=9 protocol=132 port=3868");
    let call = |to| {
        let source = via_gateway("198.51.100.66");
        let frame = Frame::new(source, (world.mac(a), ip("203.0.113.20")), sctp(5000, to));
        from_outside(&world, a, &frame, BOUNDARY_VNI)
    };
    call(3868).at(a);
    assert_eq!(call(3869), Sent::Rejected(a, DropReason::LayerDefaultDeny));
    // An error about it finds its flow.
    let sent = Frame::new(world.v4(a), via_gateway(FAR), sctp(1000, 2905));
    let (_, out) = world.send(a, &sent).left();
    let error = out.answered(Body::Icmp {
        ty: 3,
        code: 4,
        identifier: 0,
        sequence: 1400,
        data: out.bytes()[14..14 + 28].to_vec(),
    });
    let got = from_outside(&world, a, &error, BOUNDARY_VNI).at(a);
    let Body::Icmp { data, .. } = got.body else {
        panic!("no ICMP")
    };
    assert_eq!(data, sent.bytes()[14..14 + 28]);
}

/// RFC 4787, REQ-5: at least two minutes; RFC 5508, REQ-2: at least 60 s; RFC 5382, REQ-5: at least 2 h 4 min.
#[test]
fn mappings_live_as_long_as_the_standards_ask() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let leased = || {
        world.vpc(a).port().expire(world.now(), 1000);
        world.vpc(a).nat_usage().map(|(_, usage)| usage.leased)
    };
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"?"));
    let ping = Frame::ping(world.v4(a), via_gateway(FAR), 7, 1);
    let of = |frame: &Frame| world.send(a, frame).left().1;
    let segment = |flags, sequence, acknowledgement| {
        let body = tcp(5000, 80, flags, sequence, acknowledgement, b"");
        Frame::new(world.v4(a), via_gateway(FAR), body)
    };
    of(&query);
    of(&ping);
    let out = of(&segment(TcpFlags::SYN, 1, 0));
    let flags = TcpFlags::SYN | TcpFlags::ACK;
    let answer = out.answered(tcp(80, ports(&out.body).0, flags, 9, 2, b""));
    from_outside(&world, a, &answer, BOUNDARY_VNI).at(a);
    of(&segment(TcpFlags::ACK, 2, 10));
    assert_eq!(leased(), [1, 1, 1]);
    world.pass(59);
    assert_eq!(leased(), [1, 1, 1]);
    world.pass(60);
    assert_eq!(leased(), [1, 1, 0]);
    world.pass(2 * 3600 + 4 * 60 - 120);
    assert_eq!(leased(), [1, 0, 0]);
    world.pass(2);
    assert_eq!(leased(), [0, 0, 0]);
}

#[test]
fn a_share_that_is_used_up_is_told() {
    let (world, a) = world4(snat("203.0.113.9", 2000, 2003));
    for port in 5000..5006 {
        let query = Frame::new(world.v4(a), via_gateway(FAR), udp(port, 53, b"?"));
        let sent = world.process(a, Out, &query.bytes());
        assert_eq!(sent.is_ok(), port < 5004);
    }
    let (name, usage) = world.vpc(a).nat_usage()[1];
    assert_eq!(
        (name, usage.ports, usage.leased, usage.exhausted),
        ("udp", 4, 4, 2)
    );
    let drops = world.vpc(a).port().counters().traffic.get(Out).drops;
    assert_eq!(drops.get(DropReason::ActionResourceExhausted), 2);
    assert_eq!(
        world.vpc(a).port().counters().traffic.get(In).drops.total(),
        0
    );
}
