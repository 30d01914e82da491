//! What the engine does to a packet at once is what its layers do one after the other.

mod net;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use net::{Bench, FAR, GUEST, Meta, PUBLIC, Tunnel, tcp_frame, tunnelled, udp_frame, vni};
use opte::Direction::{self, In, Out};
use opte::Packet;
use opte::action::{AllowOrDeny, StaticAction};
use opte::nat::{End, Transport, set_destination, set_source};
use opte::port::Verdict;
use opte_headers::frame::{Parsed, parse_geneve, parse_guest};
use opte_headers::{FlowKey, Program, TcpFlags};
use proptest::prelude::*;

/// The frame after each program in turn, parsed anew between two.
fn one_by_one(frame: &[u8], parse: fn(&[u8]) -> Parsed, programs: &[Program]) -> Vec<u8> {
    programs.iter().fold(frame.to_vec(), |frame, program| {
        let parsed = parse_guest(&frame).ok().filter(|parsed| parsed.key.is_v4());
        let parsed = parsed.unwrap_or_else(|| parse(&frame));
        let mut buf = [&[0; net::HEAD_ROOM][..], &frame].concat();
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, net::HEAD_ROOM, end).unwrap();
        packet.apply(program, &parsed, 0).unwrap();
        packet.frame().to_vec()
    })
}

fn geneve(frame: &[u8]) -> Parsed {
    parse_geneve(frame).unwrap()
}

fn tunnel(dir: Direction) -> Program {
    let tunnel = Tunnel {
        vni: vni(),
        far_end: Arc::new(AtomicU32::new(2)),
    };
    match tunnel.transform(dir, &FlowKey::ZERO, &mut Meta::default()) {
        Ok(AllowOrDeny::Allow(program)) => program,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fused_is_layer_by_layer(
        tcp in any::<bool>(),
        here in 1u16..,
        there in 1u16..,
        far in any::<[u8; 3]>(),
        payload in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let bench = Bench::new();
        let far = Ipv4Addr::new(FAR.octets()[0], far[0], far[1], far[2]);
        let frame = |from, to, flags| match tcp {
            true => tcp_frame(from, to, flags, 1000, 2000, &payload),
            false => udp_frame(from, to, &payload),
        };
        let asked = frame((GUEST, here), (far, there), TcpFlags::SYN);
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        // The first packet walks, the second is a hit: both come out the same.
        for _ in 0..2 {
            let sent = bench.send(Out, &asked);
            assert!(matches!(sent.verdict, Verdict::Forward { .. }));
            let external = parse_geneve(&sent.frame).unwrap().key.source_port;
            let nat = set_source(End::port(IpAddr::V4(PUBLIC), external), transport).unwrap();
            prop_assert_eq!(&sent.frame, &one_by_one(&asked, geneve, &[nat, tunnel(Out)]));

            let answer = tunnelled(&frame((far, there), (PUBLIC, external), TcpFlags::SYN.union(TcpFlags::ACK)));
            let got = bench.send(In, &answer);
            assert!(matches!(got.verdict, Verdict::Forward { .. }));
            let nat = set_destination(End::port(IpAddr::V4(GUEST), here), transport).unwrap();
            prop_assert_eq!(&got.frame, &one_by_one(&answer, geneve, &[tunnel(In), nat]));
            // Out and back is the identity: the guest sees the answer as if nobody had been between.
            prop_assert_eq!(&got.frame, &frame((far, there), (GUEST, here), TcpFlags::SYN.union(TcpFlags::ACK)));
        }
    }
}
