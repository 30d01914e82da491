//! Groups of one VPC: equal addresses and groups of others are not theirs.

use std::net::{IpAddr, Ipv6Addr};

use oxide_vpc::api::{
    AddFwRuleReq, ClearMcast2PhysReq, McastSubscribeReq, Replication, SetMcast2PhysReq,
    SourceFilter,
};
use xde::command::Control as _;

use crate::memory::World;
use crate::memory::frames::udp;
use crate::{forward, groups, receivers, seen, subscribe, subscriptions, to_group};

/// Maps a group for one VPC on both hosts, and sends it on to the other.
pub(crate) fn map_for(world: &World, vni: Option<u32>, group: IpAddr, underlay: Ipv6Addr) {
    let vni = vni.map(|vni| vni.try_into().unwrap());
    for (at, host) in world.hosts.iter().enumerate() {
        let req = SetMcast2PhysReq {
            vni,
            group,
            underlay,
        };
        host.set_m2p(req).unwrap();
        forward(world, at, underlay, Replication::Both, SourceFilter::ANY);
    }
}

/// Two VPCs with the same addresses and the same group, a guest of each on each host; whether they have it as one group, and by
/// which underlay groups, `mapped` says. Who gets what the first VPC's first guest sends.
fn heard(mapped: &[(Option<u32>, &str)], group: IpAddr) -> (Vec<String>, World) {
    let mut world = World::new();
    let guests = [
        (0, 10, 5),
        (0, 10, 6),
        (0, 20, 5),
        (0, 20, 6),
        (1, 10, 7),
        (1, 20, 7),
    ]
    .map(|(host, vni, n)| world.guest(host, vni, n));
    for &(vni, underlay) in mapped {
        map_for(&world, vni, group, underlay.parse().unwrap());
    }
    for guest in &guests {
        // The firewall keeps nobody out.
        for host in &world.hosts {
            let rule = "dir=in action=allow priority=1 hosts=any".parse().unwrap();
            let port_name = guest.port.clone();
            let _not_there = host.add_fw_rule(AddFwRuleReq { port_name, rule });
        }
        let is_of =
            |vni: &Option<u32>| vni.is_none_or(|vni| guest.port.starts_with(&format!("opte{vni}")));
        if mapped.iter().any(|(vni, _)| is_of(vni)) {
            subscribe(&world, guest, group, SourceFilter::ANY);
        }
    }
    let frame = to_group(&guests[0], group, udp(1, 2, b"x"));
    for _ in 0..3 {
        let got = world.send(&guests[0], &frame);
        assert!(got.iter().all(|got| got.frame() == seen(&frame)));
    }
    let got = world.send(&guests[0], &frame);
    (
        receivers(&got).into_iter().map(str::to_owned).collect(),
        world,
    )
}

#[test]
fn vpcs_with_equal_addresses_and_groups_do_not_hear_each_other() {
    let own = ["opte10n6", "opte10n7"];
    for (group, _) in groups() {
        // By one underlay group or by two.
        for underlays in [["ff04::1", "ff04::2"], ["ff04::1", "ff04::1"]] {
            let [a, b] = underlays;
            let (got, world) = heard(&[(Some(10), a), (Some(20), b)], group);
            assert_eq!(got, own);
            let drops = world.all_drops(0, |_| true) + world.all_drops(1, |_| true);
            assert_eq!(drops, 0, "the others' ports have never seen them");
            // In the network of the VPC.
            assert!(world.wire.iter().all(|wire| wire[66..69] == [0, 0, 10]));
        }
        // A VPC's own mapping goes before that for all.
        assert_eq!(
            heard(&[(Some(10), "ff04::1"), (None, "ff04::1")], group).0,
            own
        );
        // Declared to be one of all VPCs, the group is one; in the network that says so.
        let (got, world) = heard(&[(None, "ff04::1")], group);
        assert_eq!(
            got,
            ["opte10n6", "opte10n7", "opte20n5", "opte20n6", "opte20n7"]
        );
        assert!(world.wire.iter().all(|wire| wire[66..69] == [0, 0, 77]));
    }
}

/// The group of one VPC on the underlay, in the network of another VPC or of all: whatever sends that, nobody gets it.
#[test]
fn a_group_is_heard_in_its_own_network_only() {
    let (group, _) = groups()[0];
    let (_, mut world) = heard(&[(Some(10), "ff04::1")], group);
    let good = world.wire.pop().unwrap();
    assert_eq!(receivers(&world.underlay(1, 0, &good)), ["opte10n7"]);
    for vni in [20_u32, 77, 99, 5555] {
        let mut foreign = good.clone();
        foreign[66..69].copy_from_slice(&vni.to_be_bytes()[1..]);
        assert_eq!(world.underlay(1, 0, &foreign), [], "{vni}");
    }
    let port_of_20 = |world: &World| {
        let req = McastSubscribeReq {
            port_name: "opte20n5".into(),
            group,
            filter: SourceFilter::ANY,
        };
        world.hosts[0].mcast_subscribe(req)
    };
    assert!(
        port_of_20(&world).is_err(),
        "the group is not mapped for its VPC"
    );
}

/// A subscription is to whatever the group is for the guest's VPC, and ends when it is nothing.
#[test]
fn subscriptions_follow_the_mapping_they_are_for() {
    let (group, underlay) = groups()[0];
    let (_, world) = heard(&[(Some(10), "ff04::1"), (None, "ff04::2")], group);
    let places = |host| -> Vec<String> {
        let subscribed = subscriptions(&world, host).into_iter();
        subscribed
            .map(|(port, at)| format!("{port} {}", at.rsplit(' ').next().unwrap()))
            .collect()
    };
    assert_eq!(places(1), ["opte10n7 ff04::1", "opte20n7 ff04::2"]);
    let own = ClearMcast2PhysReq {
        vni: Some(10.try_into().unwrap()),
        group,
        underlay,
    };
    let of_all = ClearMcast2PhysReq {
        vni: None,
        group,
        underlay: "ff04::2".parse().unwrap(),
    };
    world.hosts[0].clear_m2p(of_all).unwrap();
    assert_eq!(places(0), ["opte10n5 ff04::1", "opte10n6 ff04::1"]);
    world.hosts[1].clear_m2p(own).unwrap();
    assert!(world.hosts[1].clear_m2p(own).is_err());
    assert_eq!(places(1), ["opte10n7 ff04::2", "opte20n7 ff04::2"]);
    world.hosts[1].clear_m2p(of_all).unwrap();
    assert_eq!(places(1), [""; 0]);
}
