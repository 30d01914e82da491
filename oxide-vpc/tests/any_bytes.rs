//! What nobody should send: any bytes from a guest or the underlay, and a great many flows.

mod sim;

use std::collections::BTreeSet;

use opte::Direction;
use opte_headers::MacAddr;
use oxide_vpc::network::GATEWAY_MAC;
use proptest::prelude::*;
use sim::{At, Frame, Outer, Sent, World, floating, guest, snat, udp, via_gateway};

fn world() -> (World, At, At) {
    let mut world = World::new(2);
    let a = world.port(0, guest(10, 5));
    let b = world.port(1, guest(10, 6));
    for at in [a, b] {
        world.rule(at, "dir=in action=allow priority=1");
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.route(at, "0.0.0.0/0", "ig");
    }
    world.boundary("fd00:99::1".parse().unwrap());
    world
        .vpc(a)
        .set_external_ips(Some(floating(&["203.0.113.20"])), None, None)
        .unwrap();
    (world, a, b)
}

/// The port works as before.
#[track_caller]
fn is_well(world: &World, a: At, b: At) {
    let ping = Frame::ping(world.v4(a), (GATEWAY_MAC, world.v4(b).1), 1, 1);
    assert_eq!(world.send(a, &ping).at(b).body, ping.body);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Bytes, and frames with some of their bytes changed: each is dropped by a counted reason, answered, sent on or held.
    #[test]
    fn any_bytes_leave_the_port_well(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((0usize..140, any::<u8>()), 0..6),
        cut in 0usize..160,
        kind in 0..4,
    ) {
        let (world, a, b) = world();
        let guest_frame = Frame::new(world.v4(a), via_gateway("198.51.100.7"), udp(5000, 53, b"query"));
        let (source, destination) = (world.hosts[1].underlay, world.hosts[0].underlay);
        let outer = Outer { source, destination, vni: world.vpc(a).cfg().vni, external: kind == 3 };
        let inner = Frame::new((MacAddr::ZERO, world.v4(b).1), world.v4(a), udp(53, 5000, b"answer"));
        let (dir, mut bytes) = match kind {
            0 => (Direction::Out, noise),
            1 => (Direction::Out, guest_frame.bytes()),
            _ => (Direction::In, outer.around(&inner.bytes())),
        };
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(cut.max(1));
        let before = *world.vpc(a).port().counters().traffic.get(dir);
        let processed = world.process(a, dir, &bytes);
        let after = *world.vpc(a).port().counters().traffic.get(dir);
        let change = |of: fn(&opte::port::Traffic) -> u64| of(&after) - of(&before);
        let fragments = world.vpc(a).port().counters().fragments;
        let held = fragments.inbound.held + fragments.outbound.held;
        let counted = held + change(|t| t.drops.total()) + change(|t| t.forwarded) + change(|t| t.hairpins);
        prop_assert_eq!(counted, 1, "{:?}", processed);
        is_well(&world, a, b);
    }
}

#[test]
fn ten_thousand_flows_at_once() {
    let (world, a, b) = world();
    for round in 0..2 {
        for n in 0..10_000 {
            let sent = Frame::new(
                world.v4(a),
                (GATEWAY_MAC, world.v4(b).1),
                udp(20_000 + n, 53, &[round]),
            );
            let got = world.send(a, &sent).at(b);
            assert_eq!(world.send(b, &got.echoed()).at(a).body, sent.echoed().body);
        }
    }
    assert_eq!(world.vpc(a).port().counters().flows, 10_000);
}

/// Each has a port of its own, none is given to two.
#[test]
fn a_whole_share_in_use() {
    let (world, a, _) = world();
    world
        .vpc(a)
        .set_external_ips(Some(snat("203.0.113.9", 1024, 11_023)), None, None)
        .unwrap();
    let mut seen = BTreeSet::new();
    for n in 0..10_000 {
        let sent = Frame::new(
            world.v4(a),
            via_gateway("198.51.100.7"),
            udp(20_000 + n, 53, b"?"),
        );
        let (_, inner) = world.send(a, &sent).left();
        let sim::Body::Udp { source, .. } = inner.body else {
            panic!("{inner:?}")
        };
        assert!(seen.insert(source));
    }
    assert!(seen.into_iter().eq(1024..=11_023));
    let more = Frame::new(
        world.v4(a),
        via_gateway("198.51.100.7"),
        udp(19_999, 53, b"?"),
    );
    assert!(matches!(world.send(a, &more), Sent::Refused(_)));
}
