//! Flows whose time is over go in slices, so that no packet waits for all of them.

mod memory;

use std::time::Duration;

use memory::World;
use memory::frames::{Frame, udp};
use opte::api::{DumpStatsReq, Page};
use oxide_vpc::network::GATEWAY_MAC;
use xde::command::Control as _;

const VPC: u32 = 10;
/// Flows and ports that the driver may look at in one go.
const SLICE: u64 = 64;

fn flows(world: &World) -> u64 {
    let req = DumpStatsReq {
        port_name: None,
        page: Page::FIRST,
    };
    let stats = world.hosts[0].dump_stats(req).unwrap();
    let counters = stats.ports.iter().flat_map(|port| &port.counters);
    let gauges = counters.filter(|(name, _)| *name == "flows");
    gauges.map(|(_, count)| count).sum()
}

/// One slice is for all ports together, and each has its turn although the ports before it have much to remove.
#[test]
fn slices_are_of_all_ports_together() {
    let mut world = World::new();
    let [a, b, c] = [5, 6, 7].map(|n| world.guest(0, VPC, n));
    for (to, count) in [(&b, 300), (&c, 100)] {
        for port in 0..count {
            let frame = Frame::new(
                (a.mac, a.v4),
                (GATEWAY_MAC, to.v4),
                udp(2000 + port, 9, b"x"),
            );
            assert_eq!(world.send(&a, &frame).len(), 1);
        }
    }
    let mut left = flows(&world);
    assert_eq!(left, 2 * 400);
    assert!(!world.hosts[0].expire());
    assert_eq!(flows(&world), left);

    world.pass(Duration::from_secs(400));
    let mut slices = 0;
    loop {
        let more = world.hosts[0].expire();
        let now = flows(&world);
        assert!(left - now <= SLICE, "{} at once", left - now);
        (left, slices) = (now, slices + 1);
        if !more {
            break;
        }
        assert!(slices < 20, "it never ends");
    }
    assert_eq!(left, 0);
    // The next round begins with the first port again, and finds nothing.
    assert!(!world.hosts[0].expire());
}

/// More ports than one slice is for, and nothing to remove: each is looked at once, and there is no more to do.
#[test]
fn ports_without_flows_are_soon_done() {
    let world = World::new();
    let count: u64 = 200;
    for n in 0..count {
        let guest = memory::guest_cfg(0, VPC, 5 + n as u8);
        world.create(0, &format!("opte{n}"), guest).unwrap();
    }
    let rounds = (0..).take_while(|_| world.hosts[0].expire()).count() as u64;
    assert_eq!(rounds, count / SLICE);
}

/// What became of flows, and how many there were at most, is told when they are gone.
#[test]
fn what_became_of_flows_is_told() {
    let mut world = World::new();
    let [a, b] = [5, 6].map(|n| world.guest(0, VPC, n));
    for port in 0..7 {
        let body = udp(2000 + port, 9, b"x");
        let frame = Frame::new((a.mac, a.v4), (GATEWAY_MAC, b.v4), body);
        assert_eq!(world.send(&a, &frame).len(), 1);
    }
    world.pass(Duration::from_secs(400));
    while world.hosts[0].expire() {}
    let of_both = |name| world.count(0, name);
    assert_eq!(of_both("flows_created"), 14);
    assert_eq!(of_both("flows_expired"), 14);
    assert_eq!(of_both("flows_high_water"), 14);
    assert_eq!(
        (of_both("flows_displaced"), of_both("flows_refused")),
        (0, 0)
    );
    assert_eq!(flows(&world), 0);
}
