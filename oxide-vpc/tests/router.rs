//! The router as a table: routes, destinations, and where they lead.

mod sim;

use std::net::Ipv4Addr;

use opte::DropReason;
use opte::api::OpteError;
use oxide_vpc::api::RouterClass::{Custom, System};
use oxide_vpc::api::{IpCidr, RouterClass, RouterEntry};
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC};
use oxide_vpc::port::PortEdit;
use proptest::prelude::*;
use sim::{At, Frame, Sent, World, floating, guest, ip, route, udp, via_gateway};

/// A guest with an address outside, the boundary known, and no routes; and another guest.
fn world() -> (World, At, At) {
    let mut world = World::new(2);
    let a = world.port(0, guest(10, 5));
    let b = world.port(1, guest(10, 6));
    world.rule(b, "dir=in action=allow priority=1");
    world
        .vpc(a)
        .set_external_ips(Some(floating(&["203.0.113.20"])), None, None)
        .unwrap();
    world.boundary("fd00:99::1".parse().unwrap());
    (world, a, b)
}

/// Destination, target, class.
type Route = (&'static str, &'static str, RouterClass);

/// What a packet to `destination` meets.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// The tunnel to the other guest.
    Guest,
    /// The boundary.
    Outside,
    /// The router's own refusal, by a rule or for want of one.
    Dropped(DropReason),
}
use Way::{Dropped, Guest, Outside};

const RULE: Way = Dropped(DropReason::LayerRuleDeny);
const NO_ROUTE: Way = Dropped(DropReason::LayerDefaultDeny);
const NO_GUEST: Way = Dropped(DropReason::NoMapping);

fn way(world: &World, a: At, destination: &str) -> Way {
    let frame = Frame::new(world.v4(a), via_gateway(destination), udp(1, 2, b""));
    match world.send(a, &frame) {
        Sent::Refused(reason) => Dropped(reason),
        Sent::Left(outer, _) if outer.vni == BOUNDARY_VNI => Outside,
        Sent::To(..) | Sent::Rejected(..) => Guest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_routes_lead() {
    let table: [(&[Route], &str, Way); 14] = [
        (&[], "172.30.0.6", NO_ROUTE),
        (
            &[("172.30.0.0/22", "sub4=172.30.0.0/22", System)],
            "172.30.0.6",
            Guest,
        ),
        (
            &[("172.30.0.0/22", "sub4=172.30.0.0/22", System)],
            "172.30.0.7",
            NO_GUEST,
        ),
        (
            &[("172.30.0.0/22", "sub4=172.30.0.0/22", System)],
            "198.51.100.1",
            NO_ROUTE,
        ),
        (&[("0.0.0.0/0", "ig", System)], "198.51.100.1", Outside),
        (&[("0.0.0.0/0", "ig", System)], "172.30.0.6", Outside),
        (
            &[("0.0.0.0/0", "ip4=172.30.0.6", System)],
            "198.51.100.1",
            Guest,
        ),
        (
            &[("0.0.0.0/0", "ip4=172.30.0.9", System)],
            "198.51.100.1",
            NO_GUEST,
        ),
        (&[("0.0.0.0/0", "drop", System)], "198.51.100.1", RULE),
        // The longest prefix decides, whichever was added first.
        (
            &[
                ("0.0.0.0/0", "ig", System),
                ("198.51.100.0/24", "drop", System),
            ],
            "198.51.100.1",
            RULE,
        ),
        (
            &[
                ("198.51.100.0/24", "drop", System),
                ("0.0.0.0/0", "ig", System),
            ],
            "198.51.100.1",
            RULE,
        ),
        (
            &[
                ("198.51.100.0/24", "drop", Custom),
                ("198.51.100.1/32", "ig", System),
            ],
            "198.51.100.1",
            Outside,
        ),
        // Of the same length the customer's.
        (
            &[("0.0.0.0/0", "ig", System), ("0.0.0.0/0", "drop", Custom)],
            "198.51.100.1",
            RULE,
        ),
        (
            &[("0.0.0.0/0", "ig", Custom), ("0.0.0.0/0", "drop", System)],
            "198.51.100.1",
            Outside,
        ),
    ];
    for (routes, destination, expected) in table {
        let (world, a, _) = world();
        for (dest, target, class) in routes {
            world
                .vpc(a)
                .add_router_entry(&route(dest, target, *class))
                .unwrap();
        }
        assert_eq!(
            way(&world, a, destination),
            expected,
            "{destination} with {routes:?}"
        );
    }
}

/// The published router removed the first route to the same prefix, whatever its target and class.
#[test]
fn a_route_is_removed_by_all_that_it_is() {
    let (world, a, _) = world();
    let gateway = route("0.0.0.0/0", "ig", System);
    let drop = route("0.0.0.0/0", "drop", Custom);
    for entry in [&gateway, &drop] {
        world.vpc(a).add_router_entry(entry).unwrap();
    }
    assert_eq!(way(&world, a, "198.51.100.1"), RULE);
    for missing in [
        route("0.0.0.0/0", "drop", System),
        route("0.0.0.0/0", "ig", Custom),
        route("0.0.0.0/1", "ig", System),
        route("::/0", "ig", System),
    ] {
        let refused = world.vpc(a).remove_router_entry(&missing);
        assert!(
            matches!(refused, Err(OpteError::RouterEntryNotFound { .. })),
            "{missing:?}: {refused:?}"
        );
    }
    world.vpc(a).remove_router_entry(&drop).unwrap();
    assert_eq!(
        way(&world, a, "198.51.100.1"),
        Outside,
        "the other one is there still"
    );
    assert_eq!(world.vpc(a).router_entries(), [gateway]);
    world.vpc(a).remove_router_entry(&gateway).unwrap();
    assert_eq!(
        way(&world, a, "198.51.100.1"),
        Dropped(DropReason::FlowRevoked),
        "the flow there was"
    );
    assert_eq!(way(&world, a, "198.51.100.2"), NO_ROUTE);
    assert!(world.vpc(a).remove_router_entry(&gateway).is_err());
}

/// Many routes at once, and each is found by its own prefix; then they go, all but a few.
#[test]
fn ten_thousand_routes_are_one_change() {
    let (world, a, b) = world();
    let entry = |number: u32, length: u8, target: &str| {
        let address = Ipv4Addr::from_bits(0x0b00_0000 | number << 8);
        route(&format!("{address}/{length}"), target, System)
    };
    let private = format!("ip4={}", world.v4(b).1);
    // Two of three lead to the other guest, the third nowhere; every hundredth has a longer one in it that leads outside.
    let mut routes: Vec<RouterEntry> = (0..10_000)
        .map(|number| match number % 3 {
            0 => entry(number, 24, "drop"),
            _ => entry(number, 24, &private),
        })
        .collect();
    routes.extend((0..100).map(|number| entry(number * 100, 25, "ig")));
    let add = |entry: &RouterEntry| PortEdit::AddRouterEntry(*entry);
    world.vpc(a).edit(routes.iter().map(add).collect()).unwrap();
    assert_eq!(world.vpc(a).router_entries().len(), routes.len());
    let ask = |number: u32, host: u32| {
        let address = Ipv4Addr::from_bits(0x0b00_0000 | number << 8 | host);
        way(&world, a, &address.to_string())
    };
    for number in (0..10_000).step_by(77) {
        let expected = if number % 3 == 0 { RULE } else { Guest };
        assert_eq!(ask(number, 200), expected, "{number}");
    }
    for number in (0..10_000).step_by(700) {
        assert_eq!(ask(number, 100), Outside, "{number}");
    }
    assert_eq!(ask(10_000, 1), NO_ROUTE);
    let twice = world.vpc(a).edit(vec![add(&routes[5_000])]);
    assert!(matches!(twice, Err(OpteError::RouterEntryExists { .. })));
    let gone = routes
        .iter()
        .skip(10)
        .map(|entry| PortEdit::DelRouterEntry(*entry));
    world.vpc(a).edit(gone.collect()).unwrap();
    assert_eq!(world.vpc(a).router_entries().len(), 10);
    assert_eq!((ask(4, 200), ask(11, 200)), (Guest, NO_ROUTE));
}

#[test]
fn a_prefix_has_one_target_in_each_class() {
    let (world, a, _) = world();
    world
        .vpc(a)
        .add_router_entry(&route("0.0.0.0/0", "ig", System))
        .unwrap();
    for again in ["ig", "drop"] {
        let refused = world
            .vpc(a)
            .add_router_entry(&route("0.0.0.0/0", again, System));
        let Err(OpteError::RouterEntryExists { target, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(target, "ig", "the one that is there");
    }
    assert_eq!(world.vpc(a).router_entries().len(), 1);
}

#[test]
fn what_cannot_be_routed_is_refused() {
    let (world, a, _) = world();
    for (dest, target) in [
        ("0.0.0.0/0", "ip6=fd00::1"),
        ("::/0", "sub4=10.0.0.0/8"),
        ("224.0.0.0/8", "ig"),
    ] {
        let refused = world.vpc(a).add_router_entry(&route(dest, target, System));
        assert!(
            matches!(refused, Err(OpteError::InvalidRouterEntry { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_route_that_changes_moves_live_flows() {
    let (world, a, _) = world();
    let default = route("0.0.0.0/0", "ig", System);
    world.vpc(a).add_router_entry(&default).unwrap();
    assert_eq!(way(&world, a, "172.30.0.6"), Outside);
    world.route(a, "172.30.0.0/22", "sub4=172.30.0.0/22");
    assert_eq!(way(&world, a, "172.30.0.6"), Guest);
    world
        .vpc(a)
        .remove_router_entry(&route("172.30.0.0/22", "sub4=172.30.0.0/22", System))
        .unwrap();
    assert_eq!(way(&world, a, "172.30.0.6"), Outside);
    world.vpc(a).remove_router_entry(&default).unwrap();
    let frame = Frame::new(world.v4(a), via_gateway("172.30.0.6"), udp(1, 2, b""));
    assert!(matches!(world.send(a, &frame), Sent::Refused(_)));
}

/// Multicast passes the router whatever the routes are: it fails for want of a mapping of the group, not of a route.
#[test]
fn multicast_needs_no_route() {
    let (world, a, _) = world();
    let group = Frame {
        destination: ip("224.1.2.3"),
        ..Frame::new(world.v4(a), (GATEWAY_MAC, ip("224.1.2.3")), udp(1, 2, b""))
    };
    assert_eq!(world.send(a, &group), Sent::Refused(DropReason::NoMapping));
    let default = route("0.0.0.0/0", "drop", Custom);
    world.vpc(a).add_router_entry(&default).unwrap();
    assert_eq!(world.send(a, &group), Sent::Refused(DropReason::NoMapping));
    world.vpc(a).remove_router_entry(&default).unwrap();
    assert_eq!(world.send(a, &group), Sent::Refused(DropReason::NoMapping));
}

fn any_route() -> impl Strategy<Value = RouterEntry> {
    (0u8..=8, any::<u8>(), any::<bool>(), 0usize..3).prop_map(|(len, bits, custom, target)| {
        let dest = IpCidr::new(std::net::Ipv4Addr::new(bits, 0, 0, 0).into(), len).unwrap();
        let class = if custom { Custom } else { System };
        let target = ["drop", "ig", "ip4=172.30.0.6"][target].parse().unwrap();
        RouterEntry {
            dest,
            target,
            class,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The rules of the layer against the definition: of the routes that hold the address the longest, then the custom one.
    #[test]
    fn agrees_with_its_definition(entries in prop::collection::vec(any_route(), 0..20), asked in 1u8..=223) {
        prop_assume!(asked != 127);
        let (world, a, _) = world();
        let mut held: Vec<RouterEntry> = Vec::new();
        for entry in entries {
            let exists = held.iter().any(|other| (other.dest, other.class) == (entry.dest, entry.class));
            let valid = entry.validate().is_ok();
            prop_assert_eq!(world.vpc(a).add_router_entry(&entry).is_ok(), valid && !exists);
            if valid && !exists {
                held.push(entry);
            }
        }
        let address = std::net::Ipv4Addr::new(asked, 1, 1, 1);
        let best = held
            .iter()
            .filter(|entry: &&RouterEntry| entry.dest.contains(address.into()))
            .max_by_key(|entry| (entry.dest.length(), entry.class == Custom));
        let expected = match best.map(|entry: &RouterEntry| entry.target.to_string()).as_deref() {
            None => NO_ROUTE,
            Some("drop") => RULE,
            Some("ig") => Outside,
            Some(_) => Guest,
        };
        prop_assert_eq!(way(&world, a, &address.to_string()), expected);
    }
}
