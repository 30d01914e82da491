//! ICMP errors through a port: related to the flow that they are about, translated around and inside (RFC 5508, section 4).

mod sim;

use std::net::{IpAddr, Ipv6Addr};

use opte::Direction::{In, Out};
use opte::DropReason;
use opte::port::Fate;
use opte_headers::{MacAddr, TcpFlags};
use oxide_vpc::api::ExternalIpCfg;
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC};
use proptest::prelude::*;
use sim::outside::{FAR, FAR6, from_outside, share6, world};
use sim::{At, Body, Frame, Sent, World, floating, guest, ip, snat, tcp, udp, via_gateway};

/// What the packet at fault is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Udp,
    Tcp,
    Echo,
}

const KINDS: [Kind; 3] = [Kind::Udp, Kind::Tcp, Kind::Echo];

/// A guest with a share of an address, and one with addresses of its own.
fn worlds() -> [(World, At); 2] {
    let own = ExternalIpCfg {
        floating_ips: vec!["2001:db8:1::20".parse::<Ipv6Addr>().unwrap()],
        ..ExternalIpCfg::NONE
    };
    [
        world(
            snat("203.0.113.9", 1025, 4096),
            share6("2001:db8:1::9", 1025, 4096),
        ),
        world(floating(&["203.0.113.20"]), own),
    ]
}

fn question(world: &World, a: At, v6: bool, kind: Kind, len: usize) -> Frame {
    let (from, to) = if v6 {
        (world.v6(a), via_gateway(FAR6))
    } else {
        (world.v4(a), via_gateway(FAR))
    };
    let data = vec![0x5a; len];
    match kind {
        Kind::Udp => Frame::new(from, to, udp(5000, 53, &data)),
        Kind::Tcp => Frame::new(from, to, tcp(5000, 80, TcpFlags::SYN, 7, 0, &data)),
        Kind::Echo => Frame::ping(from, to, 77, 1),
    }
}

fn answer(frame: &Frame) -> Frame {
    match &frame.body {
        Body::Udp { .. } => frame.echoed(),
        Body::Icmp { .. } => frame.pong(),
        Body::Tcp {
            source,
            destination,
            sequence,
            data,
            ..
        } => {
            let flags = TcpFlags::SYN | TcpFlags::ACK;
            let acknowledgement = sequence + 1 + data.len() as u32;
            frame.answered(tcp(*destination, *source, flags, 500, acknowledgement, b""))
        }
        Body::Other { .. } => panic!("nothing answers"),
    }
}

/// The error of `router` about a packet, with the first `len` bytes of it.
fn error(router: IpAddr, about: &Frame, (ty, code): (u8, u8), len: usize) -> Frame {
    let packet = &about.bytes()[14..];
    let body = Body::Icmp {
        ty,
        code,
        identifier: 0,
        // Where Packet Too Big and Fragmentation Needed have the MTU.
        sequence: 1400,
        data: packet[..len.min(packet.len())].to_vec(),
    };
    Frame::new((MacAddr::ZERO, router), (MacAddr::ZERO, about.source), body)
}

/// Types and codes: RFC 792; RFC 4443, section 3.
fn errors(v6: bool) -> &'static [(u8, u8)] {
    if v6 {
        &[(1, 0), (1, 4), (2, 0), (3, 0), (4, 1)]
    } else {
        &[(3, 0), (3, 3), (3, 4), (11, 0), (11, 1), (12, 0)]
    }
}

fn router(v6: bool) -> IpAddr {
    ip(if v6 { "2001:db8:99::1" } else { "192.0.2.99" })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// RFC 5508, REQ-4 and REQ-5: whoever gets the error finds in it what it had sent, byte for byte.
    #[test]
    fn each_side_finds_its_own_packet_in_the_error(
        kind in prop::sample::select(&KINDS[..]),
        v6: bool,
        which in any::<prop::sample::Index>(),
        from_end: bool,
        len in 0usize..600,
        // Of a TCP checksum that is cut in two, the first half cannot be translated: whether it has a carry is lost.
        more in (0usize..600).prop_filter("a checksum cut in two", |more| *more != 9),
    ) {
        for (world, a) in worlds() {
            let sent = question(&world, a, v6, kind, len);
            let (_, outside) = world.send(a, &sent).left();
            let least = if v6 { 48 } else { 28 };
            let kind_of_error = errors(v6)[which.index(errors(v6).len())];
            let router = if from_end { sent.destination } else { router(v6) };
            let seen = error(router, &outside, kind_of_error, least + more);
            let got = from_outside(&world, a, &seen, BOUNDARY_VNI).at(a);
            let expected = error(router, &sent, kind_of_error, least + more);
            let expected = Frame {
                source_mac: GATEWAY_MAC,
                destination_mac: world.mac(a),
                ..expected
            };
            prop_assert_eq!(got, expected, "to the guest");

            let back = answer(&outside);
            let received = from_outside(&world, a, &back, BOUNDARY_VNI).at(a);
            let complaint = Frame {
                source_mac: world.mac(a),
                destination_mac: GATEWAY_MAC,
                ..error(sent.source, &received, kind_of_error, least + more)
            };
            let (_, left) = world.send(a, &complaint).left();
            let expected = error(outside.source, &back, kind_of_error, least + more);
            prop_assert_eq!((left.source, left.destination), (expected.source, expected.destination));
            prop_assert_eq!(left.body, expected.body, "to the outside");
        }
    }
}

/// Shortfall 1.11: no ICMP error came through SNAT, so path MTU discovery did not work.
#[test]
fn shortfall_1_11_fragmentation_needed_reaches_the_guest() {
    for (world, a) in worlds() {
        for (v6, kind) in [(false, (3, 4)), (true, (2, 0))] {
            let sent = question(&world, a, v6, Kind::Udp, 1400);
            let (_, outside) = world.send(a, &sent).left();
            let seen = error(router(v6), &outside, kind, 548);
            let got = from_outside(&world, a, &seen, BOUNDARY_VNI).at(a);
            let Body::Icmp { sequence, .. } = got.body else {
                panic!("{got:?}")
            };
            assert_eq!(sequence, 1400, "the MTU");
        }
        assert_eq!(world.vpc(a).port().counters().traffic.inbound.related, 2);
    }
}

#[test]
fn an_error_about_nothing_that_was_sent_is_dropped_and_counted() {
    for (world, a) in worlds() {
        world.rule(a, "dir=in action=allow priority=1");
        let sent = question(&world, a, false, Kind::Udp, 10);
        let (_, outside) = world.send(a, &sent).left();
        let unrelated = Sent::Rejected(a, DropReason::IcmpUnrelated);
        let mut other = outside.clone();
        other.body = udp(9, 53, b"not sent");
        let stray = error(router(false), &other, (3, 4), 28);
        assert_eq!(from_outside(&world, a, &stray, BOUNDARY_VNI), unrelated);
        let mut elsewhere = error(router(false), &outside, (3, 4), 28);
        elsewhere.destination = ip("203.0.113.77");
        assert_eq!(
            from_outside(&world, a, &elsewhere, BOUNDARY_VNI),
            unrelated,
            "an error goes to whom the packet came from"
        );
        let redirect = error(router(false), &outside, (5, 1), 28);
        assert_eq!(
            from_outside(&world, a, &redirect, BOUNDARY_VNI),
            Sent::Rejected(a, DropReason::IcmpUnrelated),
            "a redirect is for its own link (RFC 1812, section 4.3.3.2)"
        );
        let drops = world.vpc(a).port().counters().traffic.inbound.drops;
        assert_eq!(drops.get(DropReason::IcmpUnrelated), 3);
        assert_eq!(
            world.vpc(a).port().counters().flows,
            1,
            "errors make no flows"
        );
    }
}

/// RFC 5508, REQ-3 (a): an error is believed only if its own checksum and the embedded header's are right.
#[test]
fn errors_with_wrong_checksums_are_dropped() {
    for (world, a) in worlds() {
        let sent = question(&world, a, false, Kind::Udp, 10);
        let (_, outside) = world.send(a, &sent).left();
        let good = error(router(false), &outside, (3, 4), 28);
        let mut embedded_sum = good.clone();
        if let Body::Icmp { data, .. } = &mut embedded_sum.body {
            data[10] ^= 1;
        }
        assert_eq!(
            from_outside(&world, a, &embedded_sum, BOUNDARY_VNI),
            Sent::Rejected(a, DropReason::ParseBadChecksum)
        );
        let inner = Frame {
            destination_mac: world.mac(a),
            ..good
        };
        let mut bytes = inner.bytes();
        bytes[14 + 20 + 2] ^= 1;
        let outer = sim::Outer {
            source: sim::outside::ENDPOINT,
            destination: world.hosts[0].underlay,
            vni: BOUNDARY_VNI,
            external: true,
        };
        assert_eq!(
            world.underlay(&outer.around(&bytes)),
            Sent::Rejected(a, DropReason::ParseBadChecksum)
        );
    }
}

/// RFC 4787, REQ-12; RFC 5382, REQ-9; RFC 5508, REQ-6: errors neither end a mapping nor prolong it.
#[test]
fn an_error_changes_nothing_about_its_flow() {
    for (world, a) in worlds() {
        for kind in KINDS {
            let sent = question(&world, a, false, kind, 10);
            let (_, outside) = world.send(a, &sent).left();
            let seen = error(sent.destination, &outside, (3, 3), 28);
            let flows = world.vpc(a).port().counters().flows;
            from_outside(&world, a, &seen, BOUNDARY_VNI).at(a);
            assert_eq!(world.vpc(a).port().counters().flows, flows);
            let back = from_outside(&world, a, &answer(&outside), BOUNDARY_VNI);
            assert_eq!(back.at(a).body, answer(&sent).body, "the flow goes on");
        }
        let sent = question(&world, a, false, Kind::Udp, 10);
        let (_, outside) = world.send(a, &sent).left();
        for _ in 0..5 {
            world.pass(100);
            let seen = error(sent.destination, &outside, (3, 3), 28);
            let _ = from_outside(&world, a, &seen, BOUNDARY_VNI);
        }
        let late = error(sent.destination, &outside, (3, 3), 28);
        assert_eq!(
            from_outside(&world, a, &late, BOUNDARY_VNI),
            Sent::Rejected(a, DropReason::IcmpUnrelated),
            "500 s after its last packet the flow is over"
        );
    }
}

#[test]
fn an_error_stops_with_its_flow() {
    let [_, (world, a)] = worlds();
    let rule = world.rule(a, "dir=in action=allow priority=10 protocol=udp");
    let mut call = question(&world, a, false, Kind::Udp, 10).echoed();
    call.destination = ip("203.0.113.20");
    let got = from_outside(&world, a, &call, BOUNDARY_VNI).at(a);
    let complaint = Frame {
        source_mac: world.mac(a),
        destination_mac: GATEWAY_MAC,
        ..error(world.v4(a).1, &got, (3, 3), 28)
    };
    assert_eq!(
        world.send(a, &complaint).left().1.source,
        ip("203.0.113.20")
    );
    world.vpc(a).remove_firewall_rule(In, rule).unwrap();
    assert_eq!(
        world.send(a, &complaint),
        Sent::Refused(DropReason::FlowRevoked)
    );
}

#[test]
fn a_guest_sends_errors_from_its_own_address_only() {
    let [(world, a), _] = worlds();
    let sent = question(&world, a, false, Kind::Udp, 10);
    let (_, outside) = world.send(a, &sent).left();
    let got = from_outside(&world, a, &answer(&outside), BOUNDARY_VNI).at(a);
    let complaint = Frame {
        source_mac: world.mac(a),
        destination_mac: GATEWAY_MAC,
        ..error(ip("172.30.0.66"), &got, (3, 3), 28)
    };
    assert_eq!(
        world.send(a, &complaint),
        Sent::Refused(DropReason::SpoofedSource)
    );
}

#[test]
fn between_guests_of_a_vpc() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(10, 5)), world.port(1, guest(10, 6)));
    for (at, _) in [(a, b), (b, a)] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
    }
    world.rule(b, "dir=in action=allow priority=10 protocol=udp");
    let call = Frame::new(world.v4(a), world.v4(b), udp(5000, 9, b"anybody?"));
    let got = world.send(a, &call).at(b);
    let complaint = Frame {
        source_mac: world.mac(b),
        destination_mac: GATEWAY_MAC,
        ..error(world.v4(b).1, &got, (3, 3), 28)
    };
    let told = world.send(b, &complaint).at(a);
    assert_eq!(told.body, error(world.v4(b).1, &call, (3, 3), 28).body);
}

#[test]
fn a_trace_tells_the_flow_that_an_error_is_related_to() {
    let [(world, a), _] = worlds();
    let sent = question(&world, a, false, Kind::Udp, 10);
    let (_, outside) = world.send(a, &sent).left();
    let received = from_outside(&world, a, &answer(&outside), BOUNDARY_VNI).at(a);
    let complaint = Frame {
        source_mac: world.mac(a),
        destination_mac: GATEWAY_MAC,
        ..error(sent.source, &received, (3, 3), 28)
    };
    let port = world.vpc(a).port();
    let before = port.counters();
    let trace = port.trace(Out, world.now(), &complaint.bytes());
    assert_eq!(port.counters(), before);
    assert!(trace.known);
    let Fate::Forward(foreseen) = trace.fate else {
        panic!("{trace:?}")
    };
    let got = world.process(a, Out, &complaint.bytes()).unwrap();
    assert!(foreseen == got);
}
