//! Several commands as one, against the driver over a system in memory that fails where it is told to.

mod memory;

use memory::{World, create_req, guest_cfg, underlay_address};
use opte::Direction;
use opte::api::{OpteError, Page};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, BatchStep,
    ClearVirt2BoundaryReq, ClearVirt2PhysReq, ClearXdeUnderlayReq, ConfigItem, CreateXdeReq,
    DelRouterEntryReq, DeleteXdeReq, DumpConfigReq, ExternalIpCfg, PhysNet, RemFwRuleReq,
    RemoveCidrReq, RouterEntry, SetExternalIpsReq, SetFwRulesReq, SetPeersReq, SetVirt2BoundaryReq,
    SetVirt2PhysReq, SetXdeUnderlayReq, TunnelEndpoint, Vni,
};
use proptest::prelude::*;
use xde::command::Control;

/// All that is configured on the first host, and its links.
fn config(world: &World) -> (Vec<ConfigItem>, Vec<String>) {
    let links = world.hosts[0].platform().links.lock().unwrap();
    (
        pages(world, Page::MAX_LIMIT),
        links.iter().cloned().collect(),
    )
}

fn pages(world: &World, limit: u32) -> Vec<ConfigItem> {
    let mut all = Vec::new();
    let mut page = Page { cursor: 0, limit };
    loop {
        let resp = world.hosts[0].dump_config(DumpConfigReq { page }).unwrap();
        all.extend(resp.items);
        match resp.next {
            Some(next) => page.cursor = next,
            None => return all,
        }
    }
}

fn create(vni: u32, n: u8) -> CreateXdeReq {
    create_req(&format!("opte{vni}n{n}"), guest_cfg(0, vni, n))
}

fn route(target: &str) -> RouterEntry {
    RouterEntry {
        dest: "0.0.0.0/0".parse().unwrap(),
        target: target.parse().unwrap(),
        class: "system".parse().unwrap(),
    }
}

fn add_rule(port: &str, rule: &str) -> BatchStep {
    let (port_name, rule) = (port.into(), rule.parse().unwrap());
    AddFwRuleReq { port_name, rule }.into()
}

fn phys(vni: u32, n: u8) -> PhysNet {
    PhysNet {
        ether: guest_cfg(1, vni, n).guest_mac,
        ip: underlay_address(1),
        vni: Vni::new(vni).unwrap(),
    }
}

fn v2p(n: u8) -> SetVirt2PhysReq {
    SetVirt2PhysReq {
        vip: [172, 30, 0, n].into(),
        phys: phys(10, n),
    }
}

fn v2b(endpoints: &[&str]) -> SetVirt2BoundaryReq {
    let endpoint = |ip: &&str| TunnelEndpoint {
        ip: ip.parse().unwrap(),
        vni: Vni::new(99).unwrap(),
    };
    SetVirt2BoundaryReq {
        vip: "0.0.0.0/0".parse().unwrap(),
        tep: endpoints.iter().map(endpoint).collect(),
    }
}

/// Two ports with all that a port can have, a guest elsewhere, a boundary.
fn world() -> World {
    let world = World::new();
    world.guest(0, 10, 5);
    world.guest(0, 10, 6);
    let host = &world.hosts[0];
    let port_name = String::from("opte10n5");
    host.set_external_ips(SetExternalIpsReq {
        port_name,
        external_ips_v4: Some(ExternalIpCfg {
            floating_ips: vec!["203.0.113.5".parse().unwrap()],
            ..ExternalIpCfg::NONE
        }),
        external_ips_v6: None,
        inet_gw_map: Some([("203.0.113.5".parse().unwrap(), [uuid(1)].into())].into()),
    })
    .unwrap();
    host.set_v2p(v2p(77)).unwrap();
    host.set_v2b(v2b(&["fd00:99::1", "fd00:99::2"])).unwrap();
    world
}

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

/// A batch that does something of each kind.
fn everything() -> Vec<BatchStep> {
    let name = |name: &str| String::from(name);
    vec![
        SetXdeUnderlayReq {
            u1: name("u7"),
            u2: None,
        }
        .into(),
        DeleteXdeReq {
            name: name("opte10n6"),
        }
        .into(),
        create(11, 6).into(),
        add_rule("opte11n6", "dir=in action=allow priority=9"),
        create(10, 8).into(),
        AddRouterEntryReq {
            port_name: name("opte10n5"),
            entry: route("ig"),
        }
        .into(),
        DelRouterEntryReq {
            port_name: name("opte10n5"),
            entry: route("ig"),
        }
        .into(),
        AddRouterEntryReq {
            port_name: name("opte10n5"),
            entry: route("drop"),
        }
        .into(),
        RemFwRuleReq {
            port_name: name("opte10n5"),
            dir: Direction::In,
            id: 0,
        }
        .into(),
        add_rule(
            "opte10n5",
            "dir=in action=allow priority=10 protocol=tcp port=22",
        ),
        SetFwRulesReq {
            port_name: name("opte10n8"),
            rules: vec!["dir=out action=deny priority=3".parse().unwrap()],
        }
        .into(),
        SetExternalIpsReq {
            port_name: name("opte10n5"),
            external_ips_v4: None,
            external_ips_v6: None,
            inet_gw_map: Some([].into()),
        }
        .into(),
        AllowCidrReq {
            port_name: name("opte10n5"),
            transit: "10.5.0.0/16".parse().unwrap(),
        }
        .into(),
        RemoveCidrReq {
            port_name: name("opte10n5"),
            transit: "10.5.0.0/16 out".parse().unwrap(),
        }
        .into(),
        AttachSubnetReq {
            port_name: name("opte10n5"),
            subnet: "10.6.0.0/16 external".parse().unwrap(),
        }
        .into(),
        SetPeersReq {
            port_name: name("opte10n5"),
            peers: [30, 20, 30].map(|vni| Vni::new(vni).unwrap()).into(),
        }
        .into(),
        v2p(78).into(),
        ClearVirt2PhysReq {
            vip: v2p(77).vip,
            phys: v2p(77).phys,
        }
        .into(),
        v2b(&["fd00:99::3"]).into(),
        ClearVirt2BoundaryReq {
            vip: v2b(&[]).vip,
            tep: v2b(&["fd00:99::1", "fd00:99::2"]).tep,
        }
        .into(),
    ]
}

#[test]
fn a_batch_does_all_its_steps() {
    let world = world();
    world.hosts[0].run_batch(everything()).unwrap();
    let (items, links) = config(&world);
    assert_eq!(links, ["opte10n5", "opte10n8", "opte11n6"]);
    let shown: Vec<String> = items.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "underlay u7",
            "port opte10n5 []",
            "peers opte10n5 [20, 30]",
            "rule opte10n5 dir=in action=allow priority=10 hosts=any protocol=tcp port=22",
            "route opte10n5 0.0.0.0/0 drop",
            "route opte10n5 172.30.0.0/22 sub4=172.30.0.0/22",
            "route opte10n5 fd00:1::/64 sub6=fd00:1::/64",
            "transit opte10n5 10.5.0.0/16 in",
            "subnet opte10n5 10.6.0.0/16 external",
            "port opte10n8 []",
            "rule opte10n8 dir=out action=deny priority=3 hosts=any protocol=any port=any",
            "port opte11n6 []",
            "rule opte11n6 dir=in action=allow priority=9 hosts=any protocol=any port=any",
            "v2p 10 172.30.0.78",
            "v2b 0.0.0.0/0 1",
        ]
    );
}

fn shown(item: &ConfigItem) -> String {
    match item {
        ConfigItem::Underlay { links } => format!("underlay {}", links.join(" ")),
        ConfigItem::Port(req) => {
            let external = &req.cfg.ipv4().unwrap().external_ips.floating_ips;
            format!("port {} {external:?}", req.name)
        }
        ConfigItem::LanPort(req) => format!("lan port {} {}", req.name, req.cfg.public_ip),
        ConfigItem::InternetGateways { port_name, map } => format!("gateways {port_name} {map:?}"),
        ConfigItem::FwRule {
            port_name, rule, ..
        } => format!("rule {port_name} {rule}"),
        ConfigItem::Route { port_name, entry } => {
            format!("route {port_name} {} {}", entry.dest, entry.target)
        }
        ConfigItem::Transit { port_name, transit } => format!("transit {port_name} {transit}"),
        ConfigItem::Subnet { port_name, subnet } => format!("subnet {port_name} {subnet}"),
        ConfigItem::Meter {
            port_name,
            dir,
            limits,
        } => format!("meter {port_name} {dir} {limits}"),
        ConfigItem::Options { port_name, options } => format!("options {port_name} {options}"),
        ConfigItem::Peers { port_name, peers } => format!("peers {port_name} {peers:?}"),
        ConfigItem::Virt2Phys(v2p) => format!("v2p {} {}", v2p.vni, v2p.vip),
        ConfigItem::Virt2Boundary(v2b) => format!("v2b {} {}", v2b.vip, v2b.tep.len()),
        ConfigItem::Mcast2Phys(m2p) => format!("m2p {} {}", m2p.group, m2p.underlay),
        ConfigItem::McastForwarding(to) => {
            format!("next hops {} {}", to.underlay, to.next_hops.len())
        }
        ConfigItem::McastSubscription(one) => {
            format!("subscription {} {}", one.port_name, one.group)
        }
    }
}

#[test]
fn what_the_system_refuses_undoes_the_rest() {
    for fails in ["create", "start", "listen", "delete"] {
        let world = world();
        let before = config(&world);
        *world.hosts[0].platform().fails.lock().unwrap() = Some(fails);
        let error = world.hosts[0].run_batch(everything()).unwrap_err();
        assert!(
            matches!(&error, OpteError::BatchStep { reason, .. } if reason.contains("fails")),
            "{fails}: {error}"
        );
        assert_eq!(config(&world), before, "{fails}");
        // Nothing is in the way of doing it all the same.
        world.hosts[0].run_batch(everything()).unwrap();
    }
    let world = world();
    let before = config(&world);
    let mut steps = everything();
    let (u1, u2) = (String::from("eth9"), None);
    steps[0] = SetXdeUnderlayReq { u1, u2 }.into();
    let error = world.hosts[0].run_batch(steps).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing was done: step 1 of the batch, SetXdeUnderlay: link 'eth9' not found"
    );
    assert_eq!(config(&world), before);
}

#[test]
fn a_step_that_cannot_be_done_is_named() {
    let name = String::from;
    let of_nobody = || {
        let (port_name, id, dir) = (name("opte10n5"), 1 << 40, Direction::Out);
        BatchStep::from(RemFwRuleReq { port_name, dir, id })
    };
    let cases: [(BatchStep, &str); 9] = [
        (create(10, 5).into(), "port 'opte10n5' exists already"),
        (
            create_req("other", guest_cfg(0, 10, 5)).into(),
            "MAC address A8:40:25:F0:0A:05 is in use in VNI 10 by port 'opte10n5'",
        ),
        (
            DeleteXdeReq {
                name: name("opte10n8"),
            }
            .into(),
            "invalid batch: it creates port 'opte10n8' before",
        ),
        (
            create(10, 6).into(),
            "invalid batch: it deletes port 'opte10n6' before",
        ),
        (
            add_rule("opte10n6", "dir=in action=allow priority=1"),
            "port 'opte10n6' not found",
        ),
        (
            ClearXdeUnderlayReq {}.into(),
            "the underlay links are in use by 3 port(s)",
        ),
        (
            ClearVirt2PhysReq {
                vip: v2p(77).vip,
                phys: v2p(77).phys,
            }
            .into(),
            "no mapping for 172.30.0.77",
        ),
        (
            ClearVirt2BoundaryReq {
                vip: v2b(&[]).vip,
                tep: v2b(&["fd00:99::1"]).tep,
            }
            .into(),
            "no mapping for 0.0.0.0/0",
        ),
        (
            of_nobody(),
            "layer 'firewall' has no rule 1099511627776 in direction OUT",
        ),
    ];
    for (step, reason) in cases {
        let world = world();
        let before = config(&world);
        let mut steps = everything();
        let (at, command) = (steps.len() as u64, step.command());
        steps.push(step);
        // Steps after the one at fault do not hide it.
        steps.push(of_nobody());
        let error = world.hosts[0].run_batch(steps).unwrap_err();
        let OpteError::BatchStep {
            step,
            command: found,
            reason: why,
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((step, found, why.as_str()), (at, command, reason));
        assert_eq!(config(&world), before);
    }
}

#[test]
fn a_guest_can_move_from_one_port_to_another_in_one_batch() {
    let world = world();
    let cfg = guest_cfg(0, 10, 6);
    let steps = vec![
        DeleteXdeReq {
            name: "opte10n6".into(),
        }
        .into(),
        create_req("moved", cfg.clone()).into(),
    ];
    world.hosts[0].run_batch(steps).unwrap();
    let (_, links) = config(&world);
    assert_eq!(links, ["moved", "opte10n5"]);
    // The old port's end has not taken the new one's mapping with it.
    let page = Page::FIRST;
    let mappings = world.hosts[0]
        .dump_v2p(oxide_vpc::api::DumpVirt2PhysReq { page })
        .unwrap()
        .mappings;
    assert!(
        mappings
            .iter()
            .any(|mapping| mapping.phys.ether == cfg.guest_mac)
    );
}

proptest! {
    #[test]
    fn pages_are_the_whole(limit in 1_u32..20) {
        let world = world();
        prop_assert_eq!(pages(&world, limit), pages(&world, Page::MAX_LIMIT));
    }

    /// Whatever part of the batch is run, in whatever order: it is done whole, or nothing changes.
    #[test]
    fn all_or_nothing(order in Just((0..16_usize).collect::<Vec<_>>()).prop_shuffle(), count in 0..17_usize) {
        let world = world();
        let before = config(&world);
        let all = everything();
        let steps = order.iter().take(count).map(|at| all[*at].clone()).collect();
        if world.hosts[0].run_batch(steps).is_err() {
            prop_assert_eq!(config(&world), before);
        }
    }
}
