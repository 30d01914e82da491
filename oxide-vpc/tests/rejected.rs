//! What a rule rejects: its sender is told, inside and through the tunnel.

mod sim;

use opte::Direction::Out;
use opte::DropReason;
use opte::port::Fate;
use opte_headers::TcpFlags;
use oxide_vpc::network::{BOUNDARY_VNI, TUNNEL_ENDPOINT_MAC};
use sim::outside::{ENDPOINT, FAR, FAR6, from_outside};
use sim::way::{L3, answered, error, gateway, own, shared, to_outside, transport_sum};
use sim::{Body, Frame, Outer, Sent, ip, tcp, udp, via_gateway};

#[test]
fn what_the_guest_may_not_send_is_rejected() {
    for v6 in [false, true] {
        let (world, a) = shared();
        world.rule(a, "dir=out action=reject priority=9");
        let sent = to_outside(&world, a, v6, udp(5000, 53, b"?"));
        let (from, kind, _, embedded) = error(&world, a, &answered(&world, a, &sent.bytes()));
        assert_eq!(from, gateway(v6));
        assert_eq!(kind, if v6 { (1, 1) } else { (3, 13) });
        assert_eq!(embedded, sent.bytes()[L3..]);

        // RFC 9293, section 3.10.7.1.
        let (syn, ack, rst) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::RST);
        for (body, flags, sequence, acknowledgement) in [
            (tcp(5000, 80, syn, 7, 0, b""), rst | ack, 0, 8),
            (tcp(5000, 80, ack, 7, 99, b"data"), rst, 99, 0),
        ] {
            let sent = to_outside(&world, a, v6, body);
            let reply = answered(&world, a, &sent.bytes());
            let reset = reset(&reply);
            assert_eq!(
                reset.body,
                tcp(80, 5000, flags, sequence, acknowledgement, b"")
            );
            assert_eq!(reset.source, sent.destination);
            assert_eq!(reset.destination_mac, world.mac(a));
        }
        assert_eq!(world.vpc(a).port().counters().flows, 0);
    }
}

/// A reset reads as other frames of tests, but for its window and that it may not be cut.
#[track_caller]
fn reset(frame: &[u8]) -> Frame {
    let mut frame = frame.to_vec();
    assert_eq!(transport_sum(&frame[L3..]), 0);
    let l4 = L3 + if frame[L3] >> 4 == 4 { 20 } else { 40 };
    let window = Frame::new(
        (opte_headers::MacAddr::ZERO, ip("10.0.0.1")),
        (opte_headers::MacAddr::ZERO, ip("10.0.0.2")),
        tcp(1, 2, TcpFlags::RST, 0, 0, b""),
    )
    .bytes()[L3 + 34..L3 + 36]
        .to_vec();
    frame[l4 + 14..l4 + 16].copy_from_slice(&window);
    frame[l4 + 16..l4 + 18].fill(0);
    let sum = transport_sum(&frame[L3..]);
    frame[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
    Frame::read_any_hop_limit(&frame)
}

#[test]
fn what_may_not_come_in_is_rejected_through_the_tunnel() {
    for v6 in [false, true] {
        let (world, a) = own();
        world.rule(a, "dir=in action=reject priority=9");
        let own = ip(if v6 { "2001:db8:1::20" } else { "203.0.113.20" });
        let from = via_gateway(if v6 { FAR6 } else { FAR });
        for body in [
            udp(53, 5000, b"unasked"),
            tcp(40_000, 22, TcpFlags::SYN, 7, 0, b""),
        ] {
            let call = Frame::new(from, (world.mac(a), own), body.clone());
            let Sent::Answered(reply) = from_outside(&world, a, &call, BOUNDARY_VNI) else {
                panic!("not answered")
            };
            let (outer, inner) = Outer::off(&reply);
            assert_eq!((outer.destination, outer.vni), (ENDPOINT, BOUNDARY_VNI));
            assert_eq!(outer.source, world.hosts[0].underlay);
            match body {
                Body::Tcp { .. } => {
                    let reset = reset(inner);
                    assert_eq!((reset.source, reset.destination), (own, from.1));
                    assert_eq!(reset.destination_mac, TUNNEL_ENDPOINT_MAC);
                }
                _ => {
                    let at = L3 + if v6 { 40 } else { 20 };
                    let kind = (inner[at], inner[at + 1]);
                    assert_eq!(kind, if v6 { (1, 1) } else { (3, 13) });
                    assert_eq!(inner[at + 8..], call.bytes()[L3..]);
                }
            }
        }
    }
}

#[test]
fn a_trace_of_a_rejected_packet_says_so() {
    let (world, a) = shared();
    world.rule(a, "dir=out action=reject priority=9");
    let sent = to_outside(&world, a, false, udp(5000, 53, b"?"));
    let trace = world.vpc(a).port().trace(Out, world.now(), &sent.bytes());
    assert_eq!(trace.fate, Fate::Drop(DropReason::LayerRuleReject));
    assert_eq!(world.send(a, &sent), world.send(a, &sent));
}
