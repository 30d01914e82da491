//! Two hosts' drivers, joined in memory: what the demo shows with real links, without root.

mod memory;

use std::time::Duration;

use memory::frames::{Body, Frame, Outer, tcp, udp};
use memory::{Got, Guest, MTU, World, create_req, guest_cfg, underlay_mac};
use opte::DropReason;
use opte::api::{OpteError, Page};
use opte::packet::{Gso, GsoKind, Offload};
use opte_headers::checksum::Sum;
use opte_headers::program::Sums;
use opte_headers::{MacAddr, TcpFlags};
use oxide_vpc::api::{
    ClearXdeUnderlayReq, DeleteXdeReq, DumpVirt2PhysReq, ListPortsReq, SetXdeUnderlayReq,
};
use oxide_vpc::network::GATEWAY_MAC;
use proptest::prelude::*;
use xde::command::Control as _;

const VPC: u32 = 10;

/// Two guests of a VPC on the first host, one on the second.
fn three_guests() -> (World, [Guest; 3]) {
    let world = World::new();
    let guests = [(0, 5), (0, 6), (1, 7)].map(|(host, n)| world.guest(host, VPC, n));
    (world, guests)
}

/// The frame as the guest at the other end sees it: from the gateway, which is all the link layer it knows.
fn seen(frame: &Frame, by: &Guest) -> Frame {
    Frame {
        source_mac: GATEWAY_MAC,
        destination_mac: by.mac,
        ..frame.clone()
    }
}

/// Every pair of guests, with addresses of both families: on one host and across.
fn pairs(guests: &[Guest; 3]) -> Vec<(Guest, Guest, bool)> {
    let [a, b, c] = guests;
    let mut pairs = Vec::new();
    for (from, to) in [(a, b), (b, a), (a, c), (c, a)] {
        for v6 in [false, true] {
            pairs.push((from.clone(), to.clone(), v6));
        }
    }
    pairs
}

fn frame(from: &Guest, to: &Guest, v6: bool, body: Body) -> Frame {
    let ip = |guest: &Guest| if v6 { guest.v6 } else { guest.v4 };
    Frame::new((from.mac, ip(from)), (GATEWAY_MAC, ip(to)), body)
}

#[test]
fn ping_both_families_on_one_host_and_across() {
    let (mut world, guests) = three_guests();
    for (from, to, v6) in pairs(&guests) {
        let ip = |guest: &Guest| if v6 { guest.v6 } else { guest.v4 };
        let ping = Frame::ping((from.mac, ip(&from)), (GATEWAY_MAC, ip(&to)), 7, 1);
        let got = world.send(&from, &ping);
        let [got] = &to.got(&got)[..] else {
            panic!("{got:?}")
        };
        assert_eq!(*got, seen(&ping, &to));
        let pong = got.pong();
        let back = world.send(&to, &pong);
        assert_eq!(from.got(&back), [seen(&pong, &from)]);
    }
    assert_eq!(
        world.all_drops(0, |_| true) + world.all_drops(1, |_| true),
        0
    );
    // What stays on a host is never on the wire: the pairs that cross, both ways, both families.
    assert_eq!(world.wire.len(), 8);
}

#[test]
fn tcp_and_udp_both_ways() {
    let (mut world, guests) = three_guests();
    for (n, (from, to, v6)) in pairs(&guests).into_iter().enumerate() {
        let port = 1000 + n as u16;
        let question = frame(&from, &to, v6, udp(port, 53, b"who?"));
        let got = world.send(&from, &question);
        assert_eq!(to.got(&got), [seen(&question, &to)]);
        let answer = got[0].frame().answered(udp(53, port, b"me"));
        let got = world.send(&to, &answer);
        assert_eq!(from.got(&got), [seen(&answer, &from)]);

        let ends = [(&from, port, &to, 80), (&to, 80, &from, port)];
        let segments = [
            (0, TcpFlags::SYN, 100, 0, &b""[..]),
            (1, TcpFlags::SYN | TcpFlags::ACK, 900, 101, b""),
            (0, TcpFlags::ACK, 101, 901, b""),
            (0, TcpFlags::ACK | TcpFlags::PSH, 101, 901, b"GET /"),
            (1, TcpFlags::ACK | TcpFlags::PSH, 901, 106, b"200"),
        ];
        for (end, flags, sequence, acknowledgement, data) in segments {
            let (sender, source, receiver, destination) = ends[end];
            let body = tcp(source, destination, flags, sequence, acknowledgement, data);
            let segment = frame(sender, receiver, v6, body);
            let got = world.send(sender, &segment);
            assert_eq!(receiver.got(&got), [seen(&segment, receiver)], "{flags:?}");
        }
    }
}

#[test]
fn another_vpc_is_out_of_reach() {
    let (mut world, [a, _, c]) = three_guests();
    // The same private addresses in another VPC, on both hosts.
    let others = [world.guest(0, 20, 7), world.guest(1, 20, 5)];
    for stranger in &others {
        let to = if stranger.host == 0 { &c } else { &a };
        assert_eq!(
            (stranger.v4 == to.v4, stranger.mac == to.mac),
            (true, false)
        );
    }
    // Each reaches its own peer and nobody else.
    let ping = Frame::ping((a.mac, a.v4), (GATEWAY_MAC, c.v4), 1, 1);
    let got = world.send(&a, &ping);
    assert_eq!(c.got(&got).len(), 1);
    let ping = Frame::ping(
        (others[1].mac, others[1].v4),
        (GATEWAY_MAC, others[0].v4),
        1,
        1,
    );
    let got = world.send(&others[1], &ping);
    assert_eq!(others[0].got(&got).len(), 1);
    // An address that only the other VPC has.
    let lone = world.guest(1, 20, 99);
    let ping = Frame::ping((a.mac, a.v4), (GATEWAY_MAC, lone.v4), 1, 1);
    assert_eq!(world.send(&a, &ping), []);
    assert_eq!(world.all_drops(0, |_| true), 1);
}

#[test]
fn a_spoofed_source_is_dropped_and_counted() {
    let (mut world, [a, b, c]) = three_guests();
    let gateway = (GATEWAY_MAC, c.v4);
    for (mac, ip) in [(a.mac, b.v4), (b.mac, a.v4), (b.mac, b.v4)] {
        assert_eq!(world.send(&a, &Frame::ping((mac, ip), gateway, 1, 1)), []);
    }
    assert_eq!(world.drops(0, DropReason::SpoofedSource), 3);
    assert!(world.wire.is_empty());
}

#[test]
fn an_unknown_peer_is_dropped_and_counted() {
    let (mut world, [a, ..]) = three_guests();
    let nobody = (GATEWAY_MAC, "172.30.0.200".parse().unwrap());
    assert_eq!(
        world.send(&a, &Frame::ping((a.mac, a.v4), nobody, 1, 1)),
        []
    );
    assert_eq!(world.all_drops(0, |_| true), 1);
    assert!(world.wire.is_empty());
}

#[test]
fn a_guest_that_is_gone_is_told_apart_from_one_elsewhere() {
    let (mut world, [a, b, c]) = three_guests();
    world.guest(1, VPC, 8);
    for gone in [&b, &c] {
        let name = gone.port.clone();
        world.hosts[gone.host]
            .delete_xde(DeleteXdeReq { name })
            .unwrap();
        // The first host still has the mapping of the guest on the second.
        let ping = Frame::ping((a.mac, a.v4), (GATEWAY_MAC, gone.v4), 1, 1);
        assert_eq!(world.send(&a, &ping), []);
    }
    assert_eq!(world.drops(1, DropReason::NoSuchPort), 1);
    assert_eq!(world.all_drops(0, |_| true), 1);
}

/// A super-packet of TCP, its checksum left to the link.
fn super_packet(from: &Guest, to: &Guest, v6: bool, data: &[u8], size: u16) -> (Vec<u8>, Offload) {
    let body = tcp(2000, 80, TcpFlags::ACK | TcpFlags::PSH, 101, 901, data);
    let bytes = frame(from, to, v6, body).bytes();
    let kind = if v6 { GsoKind::TcpV6 } else { GsoKind::TcpV4 };
    let gso = Some(Gso { kind, size });
    (
        partial(bytes, v6),
        Offload {
            sums: Sums::Partial,
            gso,
        },
    )
}

/// Puts the sum of the pseudo-header in the place of a TCP checksum.
fn partial(mut bytes: Vec<u8>, v6: bool) -> Vec<u8> {
    let l4 = if v6 { 54 } else { 34 };
    let sum = Sum::of(&bytes[l4..]).minus(Sum::of(&bytes[l4 + 16..l4 + 18]));
    // What the checksum is without header and payload: the complement of the pseudo-header's part.
    let whole = u16::from_be_bytes([bytes[l4 + 16], bytes[l4 + 17]]);
    let pseudo = Sum::ZERO.with_word(!whole).minus(sum);
    bytes[l4 + 16..l4 + 18].copy_from_slice(&pseudo.fold().to_be_bytes());
    bytes
}

/// Opens the connection that [`super_packet`] is of.
fn connect(world: &mut World, from: &Guest, to: &Guest, v6: bool) {
    let syn = frame(from, to, v6, tcp(2000, 80, TcpFlags::SYN, 100, 0, b""));
    assert_eq!(world.send(from, &syn).len(), 1);
    let both = TcpFlags::SYN | TcpFlags::ACK;
    let answer = frame(to, from, v6, tcp(80, 2000, both, 900, 101, b""));
    assert_eq!(world.send(to, &answer).len(), 1);
}

/// The payload of a TCP frame without options whose checksums and lengths are right.
fn checked_data(bytes: &[u8], v6: bool) -> &[u8] {
    let l4 = if v6 { 54 } else { 34 };
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (length, addresses) = if v6 {
        (usize::from(word(18)), &bytes[22..54])
    } else {
        assert_eq!(Sum::of(&bytes[14..34]).fold(), 0xffff);
        (usize::from(word(16)) - 20, &bytes[26..34])
    };
    assert_eq!(bytes.len(), l4 + length);
    let sum = Sum::of(addresses)
        .with_word(6)
        .with_word(length as u16)
        .with(&bytes[l4..]);
    assert_eq!(sum.fold(), 0xffff);
    &bytes[l4 + 20..]
}

#[test]
fn a_super_packet_crosses_whole_and_in_large_segments() {
    let (mut world, [a, b, c]) = three_guests();
    let data: Vec<u8> = (0..40_000_u32).map(|n| (n * 7 / 3) as u8).collect();
    for v6 in [false, true] {
        for to in [&b, &c] {
            connect(&mut world, &a, to, v6);
            world.wire.clear();
            let (bytes, offload) = super_packet(&a, to, v6, &data, 1428);
            let got = world.send_bytes(&a, &bytes, offload);
            if to.host == a.host {
                // Nothing was cut, nothing summed up.
                assert_eq!(got.len(), 1);
                assert_eq!(got[0].offload, offload);
                assert_eq!(got[0].bytes.len(), bytes.len());
                assert!(got[0].bytes.ends_with(&data));
                continue;
            }
            // Six of the guest's segments fit a wire segment; the receiver makes super-packets of them again.
            assert_eq!(world.wire.len(), data.len().div_ceil(1428 * 6));
            let received: Vec<&[u8]> = got.iter().map(|f| checked_data(&f.bytes, v6)).collect();
            assert!(received.concat() == data);
            for got in &got {
                assert_eq!((got.host, &got.port), (to.host, &to.port));
                assert_eq!(got.offload.sums, Sums::Complete);
                assert_eq!(got.offload.gso.map(|gso| gso.size), Some(1428));
            }
        }
    }
    assert_eq!(
        world.all_drops(0, |_| true) + world.all_drops(1, |_| true),
        0
    );
}

#[test]
fn frames_wait_for_a_neighbour_but_not_for_ever() {
    let (mut world, [a, _, c]) = three_guests();
    let silence =
        |world: &World, silent| *world.hosts[0].platform().silent.lock().unwrap() = silent;
    let ping = |n| Frame::ping((a.mac, a.v4), (GATEWAY_MAC, c.v4), 1, n);
    silence(&world, true);
    assert_eq!(world.send(&a, &ping(1)), []);
    assert!(world.hosts[0].is_waiting());
    assert_eq!(world.retry(0), []);
    silence(&world, false);
    let got = world.retry(0);
    assert_eq!(c.got(&got), [seen(&ping(1), &c)]);
    assert!(!world.hosts[0].is_waiting());
    // In vain: counted, after three seconds, and beyond a bound at once.
    silence(&world, true);
    for n in 0..200 {
        assert_eq!(world.send(&a, &ping(n)), []);
    }
    let at_once = world.drops(0, DropReason::NoNeighbour);
    assert!(at_once > 0 && at_once < 200);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.retry(0), []);
    assert_eq!(world.drops(0, DropReason::NoNeighbour), 200);
    assert!(!world.hosts[0].is_waiting());
}

#[test]
fn frames_for_others_are_counted() {
    let (mut world, [a, _, c]) = three_guests();
    let ping = Frame::ping((a.mac, a.v4), (GATEWAY_MAC, c.v4), 1, 1);
    world.send(&a, &ping);
    let tunnelled = world.wire[0].clone();
    // Not for this host.
    assert_eq!(world.underlay(0, 0, &tunnelled), []);
    assert_eq!(world.drops(0, DropReason::NotForUs), 1);
    // For a guest that is not here.
    let (outer, inner) = Outer::off(&tunnelled);
    let mut inner = inner.to_vec();
    inner[5] ^= 1;
    let mut other = outer.around(&inner);
    other[..6].copy_from_slice(&underlay_mac(1, 0).octets());
    assert_eq!(world.underlay(1, 0, &other), []);
    assert_eq!(world.drops(1, DropReason::NoSuchPort), 1);
    // No tunnel at all, one of another VLAN, and one cut short.
    let mut tagged = tunnelled.clone();
    tagged.splice(12..12, [0x81, 0, 0x60, 5]);
    assert_eq!(world.underlay(1, 0, &ping.bytes()), []);
    assert_eq!(world.underlay(1, 0, &tagged), []);
    assert_eq!(world.drops(1, DropReason::NotForUs), 2);
    assert_eq!(world.underlay(1, 0, &tunnelled[..60]), []);
    assert_eq!(world.all_drops(1, |name| name.starts_with("parse_")), 1);
}

#[test]
fn ports_without_engine_pass_frames_as_they_are() {
    let mut world = World::new();
    let mut ends = Vec::new();
    for (host, n) in [(0, 5), (1, 6)] {
        let cfg = guest_cfg(host, VPC, n);
        let mac = cfg.guest_mac;
        let mut req = create_req("plain", cfg);
        req.passthrough = true;
        world.hosts[usize::from(host)].create_xde(req).unwrap();
        assert!(
            *world.hosts[usize::from(host)]
                .platform()
                .all_frames
                .lock()
                .unwrap()
        );
        ends.push(mac);
    }
    let sender = Guest {
        host: 0,
        port: "plain".into(),
        mac: ends[0],
        v4: "10.9.9.1".parse().unwrap(),
        v6: "fe80::1".parse().unwrap(),
    };
    for (destination, heard) in [(ends[1], 1), (MacAddr::BROADCAST, 1), (ends[0], 0)] {
        world.wire.clear();
        let to = (destination, "10.9.9.2".parse().unwrap());
        let bytes = Frame::ping((sender.mac, sender.v4), to, 3, 4).bytes();
        assert_eq!(world.send_bytes(&sender, &bytes, Offload::default()), []);
        assert_eq!(world.wire, std::slice::from_ref(&bytes));
        let got = world.underlay(1, 0, &bytes);
        let heard_bytes: Vec<_> = got.iter().map(|got| got.bytes.clone()).collect();
        assert_eq!(heard_bytes, vec![bytes; heard]);
    }
    // With the last such port gone the underlay hears tunnelled frames only.
    let name = "plain".to_owned();
    world.hosts[0].delete_xde(DeleteXdeReq { name }).unwrap();
    assert!(!*world.hosts[0].platform().all_frames.lock().unwrap());
}

/// What a driver has to show of its ports: names, and the mappings that come with them.
fn inventory(world: &World) -> (Vec<String>, usize, usize) {
    let driver = &world.hosts[0];
    let page = Page::FIRST;
    let ports = driver.list_ports(ListPortsReq { page }).unwrap().ports;
    let mappings = driver.dump_v2p(DumpVirt2PhysReq { page }).unwrap();
    let links = driver.platform().links.lock().unwrap().len();
    let names = ports.into_iter().map(|port| port.name).collect();
    (names, mappings.mappings.len(), links)
}

#[test]
fn a_port_comes_whole_or_not_at_all() {
    let world = World::new();
    let nothing = inventory(&world);
    for step in ["create", "start", "listen"] {
        *world.hosts[0].platform().fails.lock().unwrap() = Some(step);
        let error = world.create(0, "opte0", guest_cfg(0, VPC, 5)).unwrap_err();
        assert!(
            matches!(&error, OpteError::PortCreate { reason, .. } if reason.contains(step)),
            "{error:?}"
        );
        assert_eq!(inventory(&world), nothing, "{step}");
        assert_eq!(world.hosts[0].switch().ports().count(), 0);
    }
    world.create(0, "opte0", guest_cfg(0, VPC, 5)).unwrap();
    let one = inventory(&world);
    assert_eq!(one, (vec!["opte0".to_owned()], 2, 1));
    let again = world.create(0, "opte0", guest_cfg(0, VPC, 6));
    assert!(matches!(again, Err(OpteError::PortExists { .. })));
    let twin = world.create(0, "opte1", guest_cfg(0, VPC, 5));
    assert!(matches!(twin, Err(OpteError::MacExists { .. })));
    assert_eq!(inventory(&world), one);
    let delete = |name: &str| world.hosts[0].delete_xde(DeleteXdeReq { name: name.into() });
    *world.hosts[0].platform().fails.lock().unwrap() = Some("delete");
    assert!(matches!(
        delete("opte0"),
        Err(OpteError::System { errno: 5, .. })
    ));
    assert_eq!(inventory(&world), one);
    assert_eq!(world.hosts[0].switch().ports().count(), 1);
    delete("opte0").unwrap();
    assert_eq!(inventory(&world), nothing);
    assert!(matches!(
        delete("opte0"),
        Err(OpteError::PortNotFound { .. })
    ));
}

#[test]
fn the_underlay_is_set_once_and_not_taken_from_ports() {
    let world = World::new();
    let driver = &world.hosts[0];
    let set = |u1: &str, u2: &str| {
        let (u1, u2) = (u1.to_owned(), Some(u2.to_owned()));
        driver.set_xde_underlay(SetXdeUnderlayReq { u1, u2 })
    };
    let clear = || driver.clear_xde_underlay(ClearXdeUnderlayReq {});
    assert!(matches!(
        set("u0", "u1"),
        Err(OpteError::UnderlayExists { .. })
    ));
    world.create(0, "opte0", guest_cfg(0, VPC, 5)).unwrap();
    assert!(matches!(
        clear(),
        Err(OpteError::UnderlayInUse { ports: 1 })
    ));
    let name = "opte0".to_owned();
    driver.delete_xde(DeleteXdeReq { name }).unwrap();
    clear().unwrap();
    assert!(matches!(clear(), Err(OpteError::UnderlayNotSet)));
    assert!(matches!(set("u0", "x9"), Err(OpteError::LinkNotFound { link }) if link == "x9"));
    assert!(matches!(
        set("u0", "u0"),
        Err(OpteError::InvalidArgument { .. })
    ));
    set("u0", "u1").unwrap();
}

/// Everything that a burst came to is accounted for.
fn accounted(world: &World, got: &[Got], wire: usize) -> u64 {
    let drops = world.all_drops(0, |_| true) + world.all_drops(1, |_| true);
    // A fragment whose first one is waited for is neither.
    let held = world.count(0, "_fragments_held") + world.count(1, "_fragments_held");
    drops + held + got.len() as u64 + wire as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any bytes, from a guest and from the underlay: the drivers go on, and each frame is delivered or counted.
    #[test]
    fn any_bytes_are_survived_and_counted(
        bytes in proptest::collection::vec(any::<u8>(), 1..400),
        at in 0usize..200, bit in 0u8..8, cut in 1usize..200, sums in any::<bool>(), size in 1u16..2000,
    ) {
        let (mut world, [a, _, c]) = three_guests();
        let ping = Frame::ping((a.mac, a.v4), (GATEWAY_MAC, c.v4), 1, 1);
        world.send(&a, &ping);
        let tunnelled = world.wire.remove(0);
        let offload = Offload {
            sums: if sums { Sums::Partial } else { Sums::Complete },
            gso: sums.then_some(Gso { kind: GsoKind::TcpV4, size }),
        };
        let mut damaged = [ping.bytes(), tunnelled];
        for frame in &mut damaged {
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1 << bit;
            }
            frame.truncate(cut);
        }
        let mut before = 0;
        for frame in [&bytes, &damaged[0]] {
            world.wire.clear();
            let got = world.send_bytes(&a, frame, offload);
            let after = accounted(&world, &got, world.wire.len());
            prop_assert!(after > before, "{frame:02x?}");
            before = after - got.len() as u64 - world.wire.len() as u64;
        }
        for frame in [&bytes, &damaged[1]] {
            world.wire.clear();
            let got = world.underlay(1, 0, frame);
            let after = accounted(&world, &got, 0);
            prop_assert!(after > before, "{frame:02x?}");
            before = after - got.len() as u64;
        }
        // And it still works.
        let got = world.send(&a, &ping);
        prop_assert_eq!(c.got(&got), [seen(&ping, &c)]);
        prop_assert_eq!(MTU, 9000);
    }
}
