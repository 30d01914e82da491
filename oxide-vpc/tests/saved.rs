//! A guest that moves to another host with its flows.

mod sim;

use opte::DropReason;
use opte::port::{PortState, Restored};
use opte_headers::TcpFlags;
use oxide_vpc::api::ExternalIpCfg;
use oxide_vpc::network::{BOUNDARY_VNI, TUNNEL_ENDPOINT_MAC};
use sim::outside::{FAR, from_outside, ports, world4};
use sim::{At, Frame, Sent, World, floating, guest, ip, snat, tcp, udp, via_gateway};

/// Saves the port and restores it as the one of another world.
fn moved(from: (&World, At), to: (&World, At)) -> Restored {
    let (source, target) = (from.0.vpc(from.1).port(), to.0.vpc(to.1).port());
    source.pause().unwrap();
    target.reset();
    let (mut cursor, mut last) = (Some(0), Restored::default());
    while let Some(at) = cursor {
        let page = source.save(from.0.now(), at, 1 << 12).unwrap();
        last = target.restore(to.0.now(), &page.bytes).unwrap();
        cursor = page.next;
    }
    assert!(last.complete);
    assert_eq!(target.state(), PortState::Restored);
    last
}

fn shared_and_floating() -> (World, At) {
    let (world, a) = world4(ExternalIpCfg {
        floating_ips: floating(&["203.0.113.20"]).floating_ips,
        ..snat("203.0.113.9", 1025, 4096)
    });
    world.rule(a, "dir=in action=allow priority=10 protocol=tcp port=22");
    (world, a)
}

#[test]
fn a_shared_address_keeps_its_port() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    let (_, before) = world.send(a, &query).left();
    let ping = Frame::ping(world.v4(a), via_gateway(FAR), 7, 1);
    let (_, echo) = world.send(a, &ping).left();
    let (other, b) = world4(snat("203.0.113.9", 1025, 4096));
    let restored = moved((&world, a), (&other, b));
    assert_eq!((restored.flows, restored.refused), (2, 0));
    // A port that is not started passes nothing.
    let early = other.send(b, &query);
    assert_eq!(early, Sent::Refused(DropReason::PortNotRunning));
    other.vpc(b).port().start();
    // The answers come in, and what follows goes out, from the same external port.
    let answer = from_outside(&other, b, &before.echoed(), BOUNDARY_VNI).at(b);
    assert_eq!(answer.body, query.echoed().body);
    let (_, after) = other.send(b, &query).left();
    assert_eq!(ports(&after.body), ports(&before.body));
    let (_, after) = other.send(b, &ping).left();
    assert_eq!(ports(&after.body), ports(&echo.body));
    let traffic = other.vpc(b).port().counters().traffic;
    assert_eq!(
        (traffic.outbound.uft_hit, traffic.outbound.uft_miss),
        (2, 0)
    );
    assert_eq!((traffic.inbound.uft_hit, traffic.inbound.uft_miss), (1, 0));
}

#[test]
fn an_address_of_its_own_goes_on_being_called() {
    let (world, a) = shared_and_floating();
    let syn = Frame::new(
        (TUNNEL_ENDPOINT_MAC, ip(FAR)),
        (world.mac(a), ip("203.0.113.20")),
        tcp(50_000, 22, TcpFlags::SYN, 100, 0, b""),
    );
    let got = from_outside(&world, a, &syn, BOUNDARY_VNI).at(a);
    let both = TcpFlags::SYN | TcpFlags::ACK;
    let (other, b) = shared_and_floating();
    let restored = moved((&world, a), (&other, b));
    assert_eq!((restored.flows, restored.refused), (1, 0));
    other.vpc(b).port().start();
    let reply = got.answered(tcp(22, 50_000, both, 900, 101, b""));
    let (_, inner) = other.send(b, &reply).left();
    assert_eq!(inner.source, ip("203.0.113.20"));
    assert_eq!(other.vpc(b).port().counters().traffic.outbound.uft_hit, 1);
}

#[test]
fn flows_of_addresses_that_the_guest_no_longer_has_do_not_come_back() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    world.send(a, &query).left();
    for config in [
        snat("203.0.113.10", 1025, 4096),
        snat("203.0.113.9", 8193, 8193),
        floating(&["203.0.113.20"]),
    ] {
        let (other, b) = world4(config);
        let restored = moved((&world, a), (&other, b));
        assert_eq!((restored.flows, restored.refused), (0, 1));
        world.vpc(a).port().start();
    }
}

/// Whatever a paused port is asked in the middle of traffic: nothing passes, nothing changes, and everything goes on afterwards.
#[test]
fn a_port_paused_in_the_middle() {
    let (world, a) = world4(snat("203.0.113.9", 1025, 4096));
    let query = Frame::new(world.v4(a), via_gateway(FAR), udp(5000, 53, b"query"));
    let (_, before) = world.send(a, &query).left();
    world.vpc(a).port().pause().unwrap();
    let counters = world.vpc(a).port().counters();
    let stopped = DropReason::PortNotRunning;
    assert_eq!(world.send(a, &query), Sent::Refused(stopped));
    let answer = from_outside(&world, a, &before.echoed(), BOUNDARY_VNI);
    assert_eq!(answer, Sent::Rejected(a, stopped));
    let rule = "dir=out action=deny priority=1".parse().unwrap();
    assert!(world.vpc(a).add_firewall_rule(&rule).is_err());
    world.pass(10_000);
    assert_eq!(world.vpc(a).port().expire(world.now(), 100).flows, 0);
    assert_eq!(world.vpc(a).port().counters().flows, counters.flows);
    // Its flow is over when it goes on: time has not stopped.
    world.vpc(a).port().start();
    let (_, after) = world.send(a, &query).left();
    assert_eq!(after.destination, before.destination);
    assert_eq!(world.vpc(a).port().counters().traffic.outbound.uft_miss, 2);
}

/// Addresses mean other guests in another VPC: the state of one is none of a port of the other's.
#[test]
fn the_state_of_another_vpc_is_refused() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(7, 5)), world.port(1, guest(8, 5)));
    world.vpc(a).port().pause().unwrap();
    let page = world.vpc(a).port().save(world.now(), 0, 4096).unwrap();
    world.vpc(b).port().reset();
    let error = world.vpc(b).port().restore(world.now(), &page.bytes);
    assert_eq!(
        error.unwrap_err().to_string(),
        "the state is of a port of network oxide-vpc, VNI 7, this one is of oxide-vpc, VNI 8"
    );
}
