//! Multicast over two hosts' drivers: who gets what, and what the commands about it refuse.

#[path = "../memory/mod.rs"]
mod memory;
mod vpcs;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use memory::frames::{Body, Frame, tcp, udp};
use memory::{Got, Guest, World, guest_cfg, underlay_address};
use opte::DropReason;
use opte::api::{OpteError, Page};
use opte_headers::{MacAddr, TcpFlags, Vni};
use oxide_vpc::api::{
    AddFwRuleReq, BatchStep, ClearMcast2PhysReq, ClearMcastForwardingReq, ConfigItem, DeleteXdeReq,
    DumpConfigReq, DumpMcast2PhysReq, DumpMcastForwardingReq, DumpMcastSubscriptionsReq,
    McastNextHop, McastSubscribeReq, McastUnsubscribeAllReq, McastUnsubscribeReq, Replication,
    SetMcast2PhysReq, SetMcastForwardingReq, SourceFilter,
};
use oxide_vpc::network::{GATEWAY_MAC, MULTICAST_VNI};
use proptest::prelude::*;
use vpcs::map_for;
use xde::Outbox;
use xde::command::Control as _;

const VPC: u32 = 10;

fn groups() -> [(IpAddr, Ipv6Addr); 2] {
    [("239.1.2.3", "ff04::1"), ("ff0e::77", "ff04::2")]
        .map(|(group, underlay)| (group.parse().unwrap(), underlay.parse().unwrap()))
}

/// Two guests on each host; both groups known, and sent on to the other host.
fn four_guests() -> (World, [Guest; 4]) {
    let world = World::new();
    let guests = [(0, 5), (0, 6), (1, 7), (1, 8)].map(|(host, n)| world.guest(host, VPC, n));
    for (at, host) in world.hosts.iter().enumerate() {
        for (group, underlay) in groups() {
            host.set_m2p(SetMcast2PhysReq {
                vni: None,
                group,
                underlay,
            })
            .unwrap();
            forward(&world, at, underlay, Replication::Both, SourceFilter::ANY);
        }
    }
    (world, guests)
}

fn next_hop(host: u8, replication: Replication, filter: SourceFilter) -> McastNextHop {
    McastNextHop {
        addr: underlay_address(host),
        vni: MULTICAST_VNI,
        replication,
        filter,
    }
}

fn forward(world: &World, at: usize, underlay: Ipv6Addr, to: Replication, filter: SourceFilter) {
    let next_hops = [next_hop(1 - at as u8, to, filter)].into();
    let req = SetMcastForwardingReq {
        underlay,
        next_hops,
    };
    world.hosts[at].set_mcast_fwd(req).unwrap();
}

fn subscribe(world: &World, guest: &Guest, group: IpAddr, filter: SourceFilter) {
    let port_name = guest.port.clone();
    let req = McastSubscribeReq {
        port_name,
        group,
        filter,
    };
    world.hosts[guest.host].mcast_subscribe(req).unwrap();
}

fn ip_of(guest: &Guest, group: IpAddr) -> IpAddr {
    if group.is_ipv4() { guest.v4 } else { guest.v6 }
}

fn mac_of(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(v4) => MacAddr::from_ipv4_multicast(v4),
        IpAddr::V6(v6) => MacAddr::from_ipv6_multicast(v6),
    }
}

fn to_group(from: &Guest, group: IpAddr, body: Body) -> Frame {
    Frame::new((from.mac, ip_of(from, group)), (mac_of(group), group), body)
}

/// As the members see it: from the gateway, to the group.
fn seen(frame: &Frame) -> Frame {
    Frame {
        source_mac: GATEWAY_MAC,
        ..frame.clone()
    }
}

/// Guests whose ports make the same of a frame share one buffer; one whose port makes something else of it gets its own, and one
/// whose firewall keeps it out gets nothing.
#[test]
fn guests_share_a_frame_as_far_as_it_is_the_same() {
    for (group, _) in groups() {
        let world = World::new();
        let [a, b, c, d] = [5, 6, 7, 8].map(|n| world.guest(0, VPC, n));
        // This one's gateway has another address, and this one lets nobody in.
        let mut cfg = guest_cfg(0, VPC, 9);
        cfg.gateway_mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
        world.create(0, "other", cfg).unwrap();
        world.create(0, "closed", guest_cfg(0, VPC, 10)).unwrap();
        let rule = format!("dir=in action=allow priority=1 hosts=vni={VPC}");
        let (port_name, rule) = ("other".into(), rule.parse().unwrap());
        world.hosts[0]
            .add_fw_rule(AddFwRuleReq { port_name, rule })
            .unwrap();
        map_for(&world, Some(VPC), group, "ff04::1".parse().unwrap());
        for name in [&b.port, &c.port, &d.port, "other", "closed"] {
            let (port_name, filter) = (name.to_owned(), SourceFilter::ANY);
            let req = McastSubscribeReq {
                port_name,
                group,
                filter,
            };
            world.hosts[0].mcast_subscribe(req).unwrap();
        }
        let host = &world.hosts[0];
        let from = host
            .switch()
            .ports()
            .find(|port| port.name == a.port)
            .unwrap()
            .id;
        let mut outbox = Outbox::new(8);
        for round in 0..3 {
            let sent = to_group(&a, group, udp(5000, 5001, &[round; 300]));
            let mut frame = outbox.pool.take();
            frame.fill(&sent.bytes());
            host.from_guest(from, [frame], &mut outbox);
            assert_eq!(outbox.to_guests.len(), 2, "frames, for four guests");
            let mut got: Vec<_> = outbox
                .deliveries()
                .map(|(port, frame)| (port.name.as_str(), Frame::read(frame.bytes())))
                .collect();
            got.sort_unstable_by_key(|(name, _)| *name);
            let mut other = seen(&sent);
            other.source_mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
            let all = [&b.port, &c.port, &d.port].map(|name| (name.as_str(), seen(&sent)));
            assert_eq!(got[..3], all);
            assert_eq!(got[3..], [("other", other)]);
            outbox.sent_to_guests();
        }
        assert_eq!(world.drops(0, DropReason::LayerDefaultDeny), 3);
    }
}

fn receivers(got: &[Got]) -> Vec<&str> {
    let mut ports: Vec<_> = got.iter().map(|got| got.port.as_str()).collect();
    ports.sort_unstable();
    ports
}

#[test]
fn every_member_gets_it_once_and_nobody_else() {
    for (group, underlay) in groups() {
        let (mut world, [a, b, c, d]) = four_guests();
        for member in [&a, &b, &c] {
            subscribe(&world, member, group, SourceFilter::ANY);
        }
        for round in 0..3u8 {
            let frame = to_group(&a, group, udp(5000, 5001, &[round; 20]));
            let got = world.send(&a, &frame);
            assert_eq!(
                receivers(&got),
                [&b.port, &c.port],
                "not {} or the sender",
                d.port
            );
            assert!(got.iter().all(|got| got.frame() == seen(&frame)), "{got:?}");
        }
        // A sender need not be a member.
        let frame = to_group(&d, group, udp(5000, 5001, b"from outside"));
        assert_eq!(
            receivers(&world.send(&d, &frame)),
            [&a.port, &b.port, &c.port]
        );
        // One frame for all members of the other host, to the group's address, in the network of multicast.
        assert_eq!(world.wire.len(), 4);
        for wire in &world.wire {
            assert_eq!(wire[..6], MacAddr::from_ipv6_multicast(underlay).octets());
            assert_eq!(wire[38..54], underlay.octets());
            assert_eq!(wire[66..69], [0, 0, 77]);
            assert_eq!(wire[70..78], [0x01, 0x29, 0x01, 0x01, 0x80, 0, 0, 0]);
        }
        assert_eq!(world.all_drops(0, |_| true), 0);
        assert_eq!(world.all_drops(1, |_| true), 0);
    }
}

#[test]
fn each_next_hop_is_told_whom_to_copy_to() {
    let (mut world, [a, ..]) = four_guests();
    let [(group, underlay), _] = groups();
    for (to, bits) in [
        (Replication::External, 0),
        (Replication::Underlay, 0x40),
        (Replication::Both, 0x80),
    ] {
        forward(&world, 0, underlay, to, SourceFilter::ANY);
        world.send(&a, &to_group(&a, group, udp(1, 2, b"x")));
        let wire = world.wire.pop().unwrap();
        assert_eq!(wire[74], bits);
        assert!(world.wire.is_empty(), "one next hop, one copy");
    }
}

#[test]
fn the_last_hop_is_the_vpc() {
    let (mut world, [a, _, c, _]) = four_guests();
    for (group, underlay) in groups() {
        subscribe(&world, &c, group, SourceFilter::ANY);
        let with_hops = |hops: u8| {
            let mut bytes = to_group(&a, group, udp(1, 2, b"x")).bytes();
            if group.is_ipv4() {
                let (word, sum) = (u16::from_be_bytes([bytes[22], bytes[23]]), &bytes[24..26]);
                let sum = u32::from(!u16::from_be_bytes([sum[0], sum[1]]));
                let new = u16::from_be_bytes([hops, bytes[23]]);
                let sum = sum + u32::from(!word) + u32::from(new);
                let sum = (sum & 0xffff) + (sum >> 16);
                let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
                bytes[22] = hops;
                bytes[24..26].copy_from_slice(&sum.to_be_bytes());
            } else {
                bytes[21] = hops;
            }
            bytes
        };
        for (to, hops, bits) in [
            (Replication::Both, 2, Some(0x80)),
            (Replication::Both, 1, Some(0x40)),
            (Replication::External, 1, None),
            (Replication::Underlay, 0, None),
        ] {
            forward(&world, 0, underlay, to, SourceFilter::ANY);
            world.wire.clear();
            let got = world.send_bytes(&a, &with_hops(hops), Default::default());
            assert_eq!(world.wire.first().map(|wire| wire[74]), bits, "{to} {hops}");
            assert_eq!(got.len(), usize::from(bits.is_some()));
        }
    }
    assert_eq!(world.drops(0, DropReason::NoReceiver), 2);
    assert_eq!(world.drops(0, DropReason::HopLimitExceeded), 2);
}

#[test]
fn what_nobody_wants_is_dropped_at_once_and_counted() {
    let (mut world, [a, _, c, _]) = four_guests();
    let [(group, underlay), _] = groups();
    // Nobody on the other host.
    assert_eq!(world.send(&a, &to_group(&a, group, udp(1, 2, b"x"))), []);
    assert_eq!(world.drops(1, DropReason::NoReceiver), 1);
    // No way there either.
    let req = ClearMcastForwardingReq {
        underlay,
        next_hops: Vec::new(),
    };
    world.hosts[0].clear_mcast_fwd(req).unwrap();
    assert_eq!(world.send(&a, &to_group(&a, group, udp(1, 2, b"x"))), []);
    assert_eq!(world.drops(0, DropReason::NoReceiver), 1);
    // A group that is nothing on the underlay, a protocol that is between two, and a scope of the link.
    subscribe(&world, &c, group, SourceFilter::ANY);
    let unknown = "239.9.9.9".parse().unwrap();
    let of_link = "224.0.0.251".parse().unwrap();
    for frame in [
        to_group(&a, unknown, udp(1, 2, b"x")),
        to_group(&a, of_link, udp(5353, 5353, b"x")),
        to_group(&a, group, tcp(1, 2, TcpFlags::SYN, 0, 0, b"")),
    ] {
        let wire = world.wire.len();
        assert_eq!(world.send(&a, &frame), [], "and no error about it");
        assert_eq!(world.wire.len(), wire);
    }
    assert_eq!(world.drops(0, DropReason::NoMapping), 3);
}

#[test]
fn other_networks_and_what_is_no_multicast_are_dropped() {
    let (mut world, [a, _, c, _]) = four_guests();
    let [(group, _), _] = groups();
    subscribe(&world, &c, group, SourceFilter::ANY);
    let got = world.send(&a, &to_group(&a, group, udp(1, 2, b"x")));
    assert_eq!(receivers(&got), [&c.port]);
    let good = world.wire.pop().unwrap();
    for vni in [VPC, 5555, 99] {
        let mut foreign = good.clone();
        foreign[66..69].copy_from_slice(&vni.to_be_bytes()[1..]);
        assert_eq!(world.underlay(1, 0, &foreign), [], "{vni}");
    }
    assert_eq!(world.drops(1, DropReason::ForeignNetwork), 3);
    // A frame of the host's own that the underlay brings back.
    assert_eq!(world.underlay(0, 0, &good), []);
    assert_eq!(world.drops(0, DropReason::ForeignNetwork), 1);
    // A guest's address in a group's tunnel, and another group's.
    let inner_ip = 78 + 14 + 16;
    for address in [c.v4, "239.1.2.4".parse().unwrap()] {
        let IpAddr::V4(address) = address else {
            unreachable!()
        };
        let mut odd = good.clone();
        odd[inner_ip..inner_ip + 4].copy_from_slice(&address.octets());
        assert_eq!(world.underlay(1, 0, &odd), []);
    }
    assert_eq!(world.drops(1, DropReason::ParseIllegalValue), 2);
    // What is of the group's own underlay address but another group with members elsewhere.
    assert_eq!(receivers(&world.underlay(1, 0, &good)), [&c.port]);
}

#[test]
fn a_guest_of_another_vpc_is_kept_out_by_the_firewall() {
    let (mut world, [_, b, c, _]) = four_guests();
    let stranger = world.guest(0, 20, 99);
    let [(group, _), _] = groups();
    for member in [&b, &c] {
        subscribe(&world, member, group, SourceFilter::ANY);
    }
    let frame = to_group(&stranger, group, udp(1, 2, b"x"));
    assert_eq!(world.send(&stranger, &frame), []);
    assert_eq!(world.drops(0, DropReason::LayerDefaultDeny), 1);
    assert_eq!(world.drops(1, DropReason::LayerDefaultDeny), 1);
}

#[test]
fn sources_that_are_not_wanted_are_filtered() {
    let (mut world, [a, b, c, d]) = four_guests();
    let [(group, underlay), _] = groups();
    let only = |guest: &Guest| SourceFilter::Include([guest.v4].into());
    let not = |guest: &Guest| SourceFilter::Exclude([guest.v4].into());
    subscribe(&world, &b, group, not(&a));
    subscribe(&world, &c, group, only(&a));
    subscribe(&world, &d, group, only(&b));
    let from_a = to_group(&a, group, udp(1, 2, b"a"));
    let from_b = to_group(&b, group, udp(1, 2, b"b"));
    assert_eq!(receivers(&world.send(&a, &from_a)), [&c.port]);
    assert_eq!(receivers(&world.send(&b, &from_b)), [&d.port]);
    // A new filter takes the place of the old one.
    subscribe(&world, &b, group, SourceFilter::ANY);
    assert_eq!(receivers(&world.send(&a, &from_a)), [&b.port, &c.port]);
    // A next hop's filter saves the wire.
    forward(&world, 0, underlay, Replication::Underlay, not(&a));
    world.wire.clear();
    assert_eq!(receivers(&world.send(&a, &from_a)), [&b.port]);
    assert!(world.wire.is_empty());
    assert_eq!(receivers(&world.send(&b, &from_b)), [&d.port]);
}

#[test]
fn frames_wait_for_the_next_hop_and_keep_their_address() {
    let (mut world, [a, b, c, _]) = four_guests();
    let [(group, underlay), _] = groups();
    for member in [&b, &c] {
        subscribe(&world, member, group, SourceFilter::ANY);
    }
    *world.hosts[0].platform().silent.lock().unwrap() = true;
    let frame = to_group(&a, group, udp(1, 2, b"x"));
    assert_eq!(receivers(&world.send(&a, &frame)), [&b.port]);
    *world.hosts[0].platform().silent.lock().unwrap() = false;
    assert_eq!(receivers(&world.retry(0)), [&c.port]);
    assert_eq!(
        world.wire[0][..6],
        MacAddr::from_ipv6_multicast(underlay).octets()
    );
}

fn subscriptions(world: &World, host: usize) -> Vec<(String, String)> {
    let req = DumpMcastSubscriptionsReq { page: Page::FIRST };
    let found = world.hosts[host].dump_mcast_subs(req).unwrap().entries;
    let shown = found.iter();
    shown
        .map(|one| {
            (
                one.port_name.clone(),
                format!("{} {}", one.group, one.underlay),
            )
        })
        .collect()
}

#[test]
fn a_subscription_needs_a_mapping_and_a_port_and_follows_both() {
    let (mut world, [a, b, ..]) = four_guests();
    let [(group, underlay), _] = groups();
    let port_name = b.port.clone();
    let unmapped: IpAddr = "239.9.9.9".parse().unwrap();
    let filter = SourceFilter::ANY;
    let req = |port_name: &str, group| McastSubscribeReq {
        port_name: port_name.into(),
        group,
        filter: filter.clone(),
    };
    let what = unmapped.to_string();
    assert_eq!(
        world.hosts[0].mcast_subscribe(req(&port_name, unmapped)),
        Err(OpteError::MappingNotFound { what })
    );
    assert_eq!(
        world.hosts[0].mcast_subscribe(req("nobody", group)),
        Err(OpteError::PortNotFound {
            port: "nobody".into()
        })
    );
    subscribe(&world, &b, group, SourceFilter::ANY);
    // The group moves on the underlay; its members stay, and the flow that there is follows.
    let frame = to_group(&a, group, udp(1, 2, b"x"));
    assert_eq!(receivers(&world.send(&a, &frame)), [&b.port]);
    let moved: Ipv6Addr = "ff04::9".parse().unwrap();
    let map = SetMcast2PhysReq {
        vni: None,
        group,
        underlay: moved,
    };
    world.hosts[0].set_m2p(map).unwrap();
    assert_eq!(receivers(&world.send(&a, &frame)), [&b.port]);
    assert_eq!(
        subscriptions(&world, 0),
        [(b.port.clone(), format!("{group} {moved}"))]
    );
    // What is unsubscribed is what was subscribed.
    let leave = McastUnsubscribeReq {
        port_name: port_name.clone(),
        group,
    };
    world.hosts[0].mcast_unsubscribe(leave.clone()).unwrap();
    assert_eq!(world.send(&a, &frame), []);
    assert!(world.hosts[0].mcast_unsubscribe(leave).is_err());
    assert_eq!(subscriptions(&world, 0), []);
    // A mapping is cleared by both its sides, and takes the subscriptions with it.
    subscribe(&world, &b, group, SourceFilter::ANY);
    let clear = |underlay| ClearMcast2PhysReq {
        vni: None,
        group,
        underlay,
    };
    assert!(world.hosts[0].clear_m2p(clear(underlay)).is_err());
    assert_eq!(subscriptions(&world, 0).len(), 1);
    world.hosts[0].clear_m2p(clear(moved)).unwrap();
    assert_eq!(subscriptions(&world, 0), []);
    assert_eq!(world.send(&a, &frame), []);
    assert_eq!(world.drops(0, DropReason::FlowRevoked), 1);
    // So does a port that goes; one that comes in its place has none.
    world.hosts[0]
        .set_m2p(SetMcast2PhysReq {
            vni: None,
            group,
            underlay,
        })
        .unwrap();
    subscribe(&world, &b, group, SourceFilter::ANY);
    subscribe(&world, &a, group, SourceFilter::ANY);
    *world.hosts[0].platform().fails.lock().unwrap() = Some("delete");
    let delete = DeleteXdeReq { name: port_name };
    assert!(world.hosts[0].delete_xde(delete.clone()).is_err());
    assert_eq!(subscriptions(&world, 0).len(), 2);
    assert_eq!(receivers(&world.send(&a, &frame)), [&b.port]);
    world.hosts[0].delete_xde(delete).unwrap();
    assert_eq!(subscriptions(&world, 0).len(), 1);
    world.guest(0, VPC, 6);
    assert_eq!(world.send(&a, &frame), []);
    world.hosts[0]
        .mcast_unsubscribe_all(McastUnsubscribeAllReq { group })
        .unwrap();
    assert_eq!(subscriptions(&world, 0), []);
}

#[test]
fn one_next_hop_is_removed_and_the_others_stay() {
    let (world, _) = four_guests();
    let host = &world.hosts[0];
    let [_, (_, underlay)] = groups();
    let other = McastNextHop {
        addr: "fd00:aaaa::99".parse().unwrap(),
        ..next_hop(1, Replication::External, SourceFilter::ANY)
    };
    let next_hops = [other.clone()].into();
    host.set_mcast_fwd(SetMcastForwardingReq {
        underlay,
        next_hops,
    })
    .unwrap();
    let hops = || {
        let req = DumpMcastForwardingReq { page: Page::FIRST };
        let all = host.dump_mcast_fwd(req).unwrap().entries;
        let mine = all.into_iter().filter(|entry| entry.underlay == underlay);
        mine.flat_map(|entry| entry.next_hops)
            .map(|hop| hop.addr)
            .collect::<Vec<_>>()
    };
    assert_eq!(hops(), [underlay_address(1), other.addr]);
    let clear = |next_hops: &[Ipv6Addr]| {
        let next_hops = next_hops.to_vec();
        host.clear_mcast_fwd(ClearMcastForwardingReq {
            underlay,
            next_hops,
        })
    };
    let stranger = "fd00:aaaa::98".parse().unwrap();
    assert!(clear(&[other.addr, stranger]).is_err());
    assert_eq!(hops().len(), 2, "nothing was removed");
    clear(&[other.addr]).unwrap();
    assert_eq!(hops(), [underlay_address(1)]);
    clear(&[]).unwrap();
    assert_eq!(hops(), Vec::<Ipv6Addr>::new());
    assert!(clear(&[]).is_err());
}

#[test]
fn a_batch_changes_all_of_it_or_nothing_and_it_is_listed() {
    let (world, [a, b, ..]) = four_guests();
    let host = &world.hosts[0];
    let (group, underlay) = ("239.7.7.7".parse().unwrap(), "ff04::7".parse().unwrap());
    let port_name = a.port.clone();
    let filter = SourceFilter::Include([b.v4].into());
    let steps: Vec<BatchStep> = vec![
        SetMcast2PhysReq {
            vni: None,
            group,
            underlay,
        }
        .into(),
        McastSubscribeReq {
            port_name: port_name.clone(),
            group,
            filter,
        }
        .into(),
        SetMcastForwardingReq {
            underlay,
            next_hops: [next_hop(1, Replication::Both, SourceFilter::ANY)].into(),
        }
        .into(),
        McastUnsubscribeReq {
            port_name: b.port.clone(),
            group,
        }
        .into(),
    ];
    let items = || {
        let all = host
            .dump_config(DumpConfigReq { page: Page::FIRST })
            .unwrap();
        let is_multicast = |item: &ConfigItem| {
            use ConfigItem::{Mcast2Phys, McastForwarding, McastSubscription};
            matches!(
                item,
                Mcast2Phys(_) | McastForwarding(_) | McastSubscription(_)
            )
        };
        all.items
            .into_iter()
            .filter(is_multicast)
            .collect::<Vec<_>>()
    };
    let before = items();
    assert_eq!(before.len(), 4);
    let error = host.run_batch(steps.clone()).unwrap_err().to_string();
    assert!(
        error.contains("no mapping for 239.7.7.7 to port opte10n6"),
        "{error}"
    );
    assert_eq!(items(), before);
    host.run_batch(steps[..3].to_vec()).unwrap();
    assert_eq!(items().len(), 7);
    // A port that a batch deletes has no subscriptions after it.
    let delete = BatchStep::from(DeleteXdeReq { name: port_name });
    host.run_batch(vec![delete]).unwrap();
    assert_eq!(items().len(), 6);
    assert_eq!(subscriptions(&world, 0), []);
    let mapped = host
        .dump_m2p(DumpMcast2PhysReq { page: Page::FIRST })
        .unwrap();
    assert_eq!(mapped.mappings.len(), 3);
}

#[test]
fn next_hops_in_a_vpcs_network_are_refused() {
    use opte::api::Request as _;
    let [(_, underlay), _] = groups();
    let vni = Vni::new(VPC).unwrap();
    let hop = next_hop(1, Replication::Both, SourceFilter::ANY);
    let next_hops = [McastNextHop { vni, ..hop }].into();
    assert!(
        SetMcastForwardingReq {
            underlay,
            next_hops
        }
        .validate()
        .is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever has subscribed, with whatever filter: each gets each packet it wants once and in order, and nobody else any.
    #[test]
    fn members_get_all_they_want_in_order(
        members in proptest::collection::vec((any::<bool>(), 0u8..16, any::<bool>()), 4),
        sent in proptest::collection::vec((0usize..4, any::<bool>()), 1..12),
    ) {
        let (mut world, guests) = four_guests();
        let [(v4, _), (v6, _)] = groups();
        let named = |named: u8, group: IpAddr| -> BTreeSet<IpAddr> {
            let of = guests.iter().enumerate().filter(|(n, _)| named >> n & 1 == 1);
            of.map(|(_, guest)| ip_of(guest, group)).collect()
        };
        let filter = |bits, include, group| match include {
            true => SourceFilter::Include(named(bits, group)),
            false => SourceFilter::Exclude(named(bits, group)),
        };
        for (guest, &(member, bits, include)) in guests.iter().zip(&members) {
            if member {
                for group in [v4, v6] {
                    subscribe(&world, guest, group, filter(bits, include, group));
                }
            }
        }
        let mut got: Vec<Got> = Vec::new();
        let mut wanted: Vec<Vec<Frame>> = vec![Vec::new(); 4];
        for (number, &(from, is_v6)) in sent.iter().enumerate() {
            let group = if is_v6 { v6 } else { v4 };
            let frame = to_group(&guests[from], group, udp(7, 8, &[number as u8; 9]));
            got.extend(world.send(&guests[from], &frame));
            for (to, &(member, bits, include)) in members.iter().enumerate() {
                let wants = (bits >> from & 1 == 1) == include;
                if member && wants && to != from {
                    wanted[to].push(seen(&frame));
                }
            }
        }
        for (guest, wanted) in guests.iter().zip(wanted) {
            let mine = got.iter().filter(|got| got.port == guest.port);
            prop_assert_eq!(mine.map(Got::frame).collect::<Vec<_>>(), wanted);
        }
    }
}
