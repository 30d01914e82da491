//! Multicast in a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use opte::api::Request;
use opte_headers::Vni;
use oxide_vpc::api::{
    ClearMcast2PhysReq, ClearMcastForwardingReq, McastNextHop, McastSubscribeReq,
    McastUnsubscribeReq, Replication, SetMcast2PhysReq, SetMcastForwardingReq, SourceFilter,
};
use oxide_vpc::mapping::Groups;
use oxide_vpc::network::MULTICAST_VNI;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::file::Fault;
use super::locate::Step;
use super::plan::{Operation, Plan};
use super::{Config, Current, Text};

/// What a group is on the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct M2p {
    /// The VPC whose own group it is; one for all VPCs if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vni>,
    /// The group as guests know it.
    pub group: IpAddr,
    /// The underlay's group, of ff04::/16.
    pub underlay: Ipv6Addr,
}

/// Where packets of an underlay group are sent on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct McastForward {
    /// The underlay's group.
    pub underlay: Ipv6Addr,
    /// The underlay address whose route the packets take.
    pub next_hop: Ipv6Addr,
    /// What the next hop does: `external`, `underlay` or `both`.
    pub replication: Text<Replication>,
    /// The sources whose packets are sent there, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<BTreeSet<IpAddr>>,
    /// The sources whose packets are not sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<BTreeSet<IpAddr>>,
}

/// A port's subscription to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct McastSubscribe {
    /// The port.
    pub port: String,
    /// The group as guests know it.
    pub group: IpAddr,
    /// The sources whose packets are delivered, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<BTreeSet<IpAddr>>,
    /// The sources whose packets are not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<BTreeSet<IpAddr>>,
}

/// Multicast as a driver has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Multicast {
    pub(super) groups: Groups,
    pub(super) forwarding: BTreeMap<(Ipv6Addr, Ipv6Addr), McastNextHop>,
    pub(super) subscriptions: BTreeMap<(IpAddr, String), SourceFilter>,
}

impl Multicast {
    /// What a configuration wants.
    fn wanted(config: &Config) -> Self {
        let forwarding = config.mcast_forward.iter().map(|forward| {
            let hop = McastNextHop {
                addr: forward.next_hop,
                vni: MULTICAST_VNI,
                replication: forward.replication.0,
                filter: filter(&forward.include, &forward.exclude),
            };
            ((forward.underlay, forward.next_hop), hop)
        });
        let subscriptions = config.mcast_subscribe.iter().map(|one| {
            let filter = filter(&one.include, &one.exclude);
            ((one.group, one.port.clone()), filter)
        });
        Self {
            groups: config
                .m2p
                .iter()
                .map(|m2p| ((m2p.vni, m2p.group), m2p.underlay))
                .collect(),
            forwarding: forwarding.collect(),
            subscriptions: subscriptions.collect(),
        }
    }

    /// Puts it into a configuration.
    pub(super) fn write(&self, config: &mut Config) {
        let groups = self.groups.iter();
        config.m2p = groups
            .map(|(&(vni, group), &underlay)| M2p {
                vni,
                group,
                underlay,
            })
            .collect();
        let forwarding = self.forwarding.iter().map(|(&(underlay, next_hop), hop)| {
            let (include, exclude) = lists(&hop.filter);
            McastForward {
                underlay,
                next_hop,
                replication: Text(hop.replication),
                include,
                exclude,
            }
        });
        config.mcast_forward = forwarding.collect();
        let subscriptions = self.subscriptions.iter().map(|((group, port), filter)| {
            let (include, exclude) = lists(filter);
            McastSubscribe {
                port: port.clone(),
                group: *group,
                include,
                exclude,
            }
        });
        config.mcast_subscribe = subscriptions.collect();
    }
}

impl Config {
    pub(super) fn check_multicast(&self) -> Result<(), Fault> {
        let mut groups = BTreeSet::new();
        for (at, m2p) in self.m2p.iter().enumerate() {
            let path = [Step::Key("m2p"), Step::Index(at)];
            let (group, vni) = (m2p.group, m2p.vni);
            let request = SetMcast2PhysReq {
                vni,
                group,
                underlay: m2p.underlay,
            };
            let valid = request.validate();
            valid.map_err(|error| Fault::new(&path, error))?;
            if !groups.insert((vni, group)) {
                let message = format!("group {} is mapped twice", of_vpc(vni, group));
                return Err(Fault::new(&path, message));
            }
        }
        let mut hops = BTreeSet::new();
        for (at, forward) in self.mcast_forward.iter().enumerate() {
            let path = [Step::Key("mcast-forward"), Step::Index(at)];
            let (underlay, addr) = (forward.underlay, forward.next_hop);
            one_list(&forward.include, &forward.exclude, &path)?;
            let hop = McastNextHop {
                addr,
                vni: MULTICAST_VNI,
                replication: forward.replication.0,
                filter: filter(&forward.include, &forward.exclude),
            };
            let next_hops = vec![hop];
            let valid = SetMcastForwardingReq {
                underlay,
                next_hops,
            }
            .validate();
            valid.map_err(|error| Fault::new(&path, error))?;
            if !hops.insert((underlay, addr)) {
                let message = format!("group {underlay} has next hop {addr} twice");
                return Err(Fault::new(&path, message));
            }
        }
        let ports = self.ports.iter().map(|port| (&port.name, port.vni));
        let ports: BTreeMap<&String, Vni> = ports.collect();
        let is_mapped = |port: &String, group| {
            let own = ports.get(port).copied();
            groups.contains(&(own, group)) || groups.contains(&(None, group))
        };
        let mut subscribed = BTreeSet::new();
        for (at, one) in self.mcast_subscribe.iter().enumerate() {
            let path = [Step::Key("mcast-subscribe"), Step::Index(at)];
            one_list(&one.include, &one.exclude, &path)?;
            let request = McastSubscribeReq {
                port_name: one.port.clone(),
                group: one.group,
                filter: filter(&one.include, &one.exclude),
            };
            request
                .validate()
                .map_err(|error| Fault::new(&path, error))?;
            let message = if !ports.contains_key(&one.port) {
                format!("there is no port '{}'", one.port)
            } else if !is_mapped(&one.port, one.group) {
                format!("group {} has no m2p", one.group)
            } else if !subscribed.insert((one.group, &one.port)) {
                format!("port '{}' subscribes to {} twice", one.port, one.group)
            } else {
                continue;
            };
            return Err(Fault::new(&path, message));
        }
        Ok(())
    }
}

impl Plan {
    /// After the ports: those that go have taken their subscriptions along.
    pub(super) fn multicast(&mut self, current: &Current, config: &Config) {
        let (now, then) = (&current.multicast, Multicast::wanted(config));
        for (&(group, ref port), filter) in &now.subscriptions {
            let stays = config.ports.iter().any(|wanted| wanted.name == *port);
            if stays && !then.subscriptions.contains_key(&(group, port.clone())) {
                let port_name = port.clone();
                let req = McastUnsubscribeReq { port_name, group };
                let which = format!("{group} {filter}");
                self.add(Operation::Remove, Some(port), "subscription", which, req);
            }
        }
        for (&(vni, group), &underlay) in &then.groups {
            let before = now.groups.get(&(vni, group));
            if before != Some(&underlay) {
                let req = SetMcast2PhysReq {
                    vni,
                    group,
                    underlay,
                };
                let which = format!("{} -> {underlay}", of_vpc(vni, group));
                self.add(add_or_change(before.is_some()), None, "m2p", which, req);
            }
        }
        for (&(underlay, addr), hop) in &then.forwarding {
            let before = now.forwarding.get(&(underlay, addr));
            if before != Some(hop) {
                let next_hops = vec![hop.clone()];
                let req = SetMcastForwardingReq {
                    underlay,
                    next_hops,
                };
                let which = shown(underlay, hop);
                self.add(
                    add_or_change(before.is_some()),
                    None,
                    "next hop",
                    which,
                    req,
                );
            }
        }
        for ((group, port), filter) in &then.subscriptions {
            let before = now.subscriptions.get(&(*group, port.clone()));
            if before != Some(filter) {
                let req = McastSubscribeReq {
                    port_name: port.clone(),
                    group: *group,
                    filter: filter.clone(),
                };
                let (operation, which) =
                    (add_or_change(before.is_some()), format!("{group} {filter}"));
                self.add(operation, Some(port), "subscription", which, req);
            }
        }
        for (&(underlay, addr), hop) in &now.forwarding {
            if !then.forwarding.contains_key(&(underlay, addr)) {
                let next_hops = vec![addr];
                let req = ClearMcastForwardingReq {
                    underlay,
                    next_hops,
                };
                self.add(
                    Operation::Remove,
                    None,
                    "next hop",
                    shown(underlay, hop),
                    req,
                );
            }
        }
        for (&(vni, group), &underlay) in &now.groups {
            if !then.groups.contains_key(&(vni, group)) {
                let req = ClearMcast2PhysReq {
                    vni,
                    group,
                    underlay,
                };
                let which = format!("{} -> {underlay}", of_vpc(vni, group));
                self.add(Operation::Remove, None, "m2p", which, req);
            }
        }
    }
}

fn add_or_change(is_there: bool) -> Operation {
    if is_there {
        Operation::Change
    } else {
        Operation::Add
    }
}

/// A group as plans and complaints name it.
fn of_vpc(vni: Option<Vni>, group: IpAddr) -> String {
    match vni {
        Some(vni) => format!("{group} of VPC {vni}"),
        None => group.to_string(),
    }
}

fn shown(underlay: Ipv6Addr, hop: &McastNextHop) -> String {
    let McastNextHop {
        addr,
        replication,
        filter,
        ..
    } = hop;
    format!("{underlay} -> {addr} {replication} {filter}")
}

fn filter(include: &Sources, exclude: &Sources) -> SourceFilter {
    match include {
        Some(sources) => SourceFilter::Include(sources.clone()),
        None => SourceFilter::Exclude(exclude.clone().unwrap_or_default()),
    }
}

type Sources = Option<BTreeSet<IpAddr>>;

fn lists(filter: &SourceFilter) -> (Sources, Sources) {
    match filter.clone() {
        SourceFilter::Include(sources) => (Some(sources), None),
        SourceFilter::Exclude(sources) => (None, Some(sources).filter(|all| !all.is_empty())),
    }
}

fn one_list(include: &Sources, exclude: &Sources, path: &[Step]) -> Result<(), Fault> {
    if include.is_some() && exclude.is_some() {
        let message = "sources are included or excluded: either include or exclude";
        return Err(Fault::new(path, message));
    }
    Ok(())
}
