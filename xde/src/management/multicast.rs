//! Multicast as it was configured: groups on the underlay, next hops, subscriptions.
//!
//! A subscription is to a group as guests know it. Where the group is on the underlay is looked up when the switch is made,
//! so a mapping that changes takes its subscribers along.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use opte::api::OpteError;
use oxide_vpc::api::{
    ClearMcast2PhysReq, ClearMcastForwardingReq, ConfigItem, Mcast2PhysMapping, McastForwarding,
    McastNextHop, McastSubscribeReq, McastSubscription, McastUnsubscribeReq, SetMcast2PhysReq,
    SetMcastForwardingReq, SourceFilter,
};

use opte_headers::Vni;
use oxide_vpc::mapping::{Groups, group_of};

use super::Management;
use super::managed::Managed;
use crate::Driver;
use crate::platform::Platform;
use crate::switch::{Members, Subscriber};

/// The three tables. What cannot be done leaves them as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Multicast {
    groups: Groups,
    forwarding: BTreeMap<Ipv6Addr, BTreeMap<Ipv6Addr, McastNextHop>>,
    subscriptions: BTreeMap<IpAddr, BTreeMap<String, Subscription>>,
}

/// What a port wants to hear of a group, and whose port it is.
#[derive(Clone, Debug)]
struct Subscription {
    vni: Vni,
    filter: SourceFilter,
}

impl Multicast {
    pub(super) fn map(&mut self, req: SetMcast2PhysReq) {
        self.groups.insert((req.vni, req.group), req.underlay);
    }

    /// Removes a mapping, and the subscriptions that have nothing to be delivered any more.
    pub(super) fn unmap(&mut self, req: ClearMcast2PhysReq) -> Result<(), OpteError> {
        let scoped = (req.vni, req.group);
        if self.groups.get(&scoped) != Some(&req.underlay) {
            return Err(no_mapping(&req.group));
        }
        self.groups.remove(&scoped);
        if let Some(ports) = self.subscriptions.get_mut(&req.group) {
            let is_mapped = |vni| group_of(&self.groups, vni, req.group).is_some();
            ports.retain(|_, one| is_mapped(one.vni));
            if ports.is_empty() {
                self.subscriptions.remove(&req.group);
            }
        }
        Ok(())
    }

    pub(super) fn forward(&mut self, req: SetMcastForwardingReq) {
        let next_hops = self.forwarding.entry(req.underlay).or_default();
        next_hops.extend(req.next_hops.into_iter().map(|hop| (hop.addr, hop)));
    }

    pub(super) fn unforward(&mut self, req: &ClearMcastForwardingReq) -> Result<(), OpteError> {
        let Some(next_hops) = self.forwarding.get_mut(&req.underlay) else {
            return Err(no_mapping(&req.underlay));
        };
        let unknown = |addr: &&Ipv6Addr| !next_hops.contains_key(*addr);
        if let Some(addr) = req.next_hops.iter().find(unknown) {
            let what = alloc::format!("{} to next hop {addr}", req.underlay);
            return Err(OpteError::MappingNotFound { what });
        }
        next_hops.retain(|addr, _| !req.next_hops.is_empty() && !req.next_hops.contains(addr));
        if next_hops.is_empty() {
            self.forwarding.remove(&req.underlay);
        }
        Ok(())
    }

    /// Subscribes a port of this VPC that there is.
    pub(super) fn subscribe(&mut self, vni: Vni, req: McastSubscribeReq) -> Result<(), OpteError> {
        if group_of(&self.groups, vni, req.group).is_none() {
            return Err(no_mapping(&req.group));
        }
        let ports = self.subscriptions.entry(req.group).or_default();
        let filter = req.filter;
        ports.insert(req.port_name, Subscription { vni, filter });
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, req: &McastUnsubscribeReq) -> Result<(), OpteError> {
        let ports = self.subscriptions.get_mut(&req.group);
        let Some(ports) = ports.filter(|ports| ports.contains_key(&req.port_name)) else {
            let what = alloc::format!("{} to port {}", req.group, req.port_name);
            return Err(OpteError::MappingNotFound { what });
        };
        ports.remove(&req.port_name);
        if ports.is_empty() {
            self.subscriptions.remove(&req.group);
        }
        Ok(())
    }

    pub(super) fn unsubscribe_all(&mut self, group: IpAddr) {
        self.subscriptions.remove(&group);
    }

    /// Ends the subscriptions of a port that is gone.
    pub(super) fn forget_port(&mut self, name: &str) {
        self.subscriptions.retain(|_, ports| {
            ports.remove(name);
            !ports.is_empty()
        });
    }

    pub(super) fn mappings(&self) -> impl Iterator<Item = Mcast2PhysMapping> {
        let groups = self.groups.iter();
        groups.map(|(&(vni, group), &underlay)| Mcast2PhysMapping {
            vni,
            group,
            underlay,
        })
    }

    pub(super) fn forwarding(&self) -> impl Iterator<Item = McastForwarding> {
        self.forwarding
            .iter()
            .map(|(&underlay, hops)| McastForwarding {
                underlay,
                next_hops: hops.values().cloned().collect(),
            })
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = McastSubscription> {
        self.subscriptions.iter().flat_map(move |(&group, ports)| {
            ports.iter().map(move |(port_name, one)| {
                let mapped = group_of(&self.groups, one.vni, group);
                McastSubscription {
                    underlay: mapped.map_or(Ipv6Addr::UNSPECIFIED, |(_, underlay)| underlay),
                    group,
                    port_name: port_name.clone(),
                    filter: one.filter.clone(),
                }
            })
        })
    }

    /// What a listing of the configuration has of it: mappings before the subscriptions that need them.
    pub(super) fn items(&self) -> Vec<ConfigItem> {
        let mappings = self.mappings().map(ConfigItem::Mcast2Phys);
        let forwarding = self.forwarding().map(ConfigItem::McastForwarding);
        let subscriptions = self.subscriptions().map(ConfigItem::McastSubscription);
        mappings.chain(forwarding).chain(subscriptions).collect()
    }

    /// How many items [`Self::items`] makes.
    pub(super) fn count(&self) -> usize {
        let subscribers: usize = self.subscriptions.values().map(BTreeMap::len).sum();
        self.groups.len() + self.forwarding.len() + subscribers
    }

    /// Who gets what, for the data path.
    pub(super) fn members<L>(&self, ports: &BTreeMap<String, Managed<L>>) -> Members<L> {
        let mut members = Members::default();
        for (group, subscribed) in &self.subscriptions {
            for (name, one) in subscribed {
                let mapped = group_of(&self.groups, one.vni, *group);
                if let (Some((vni, underlay)), Some(port)) = (mapped, ports.get(name)) {
                    let subscriber = Subscriber {
                        port: Arc::clone(&port.switch),
                        filter: one.filter.clone(),
                    };
                    members.subscribe((underlay, vni, *group), subscriber);
                }
            }
        }
        for (underlay, hops) in &self.forwarding {
            members.forward(*underlay, hops.values().cloned().collect());
        }
        members
    }
}

impl<P: Platform> Driver<P> {
    /// Changes the tables, for ports and the data path to see.
    pub(super) fn change_multicast(
        &self,
        change: impl FnOnce(&mut Multicast, &Management<P::Link>) -> Result<(), OpteError>,
    ) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        let mut multicast = core::mem::take(&mut management.multicast);
        let done = change(&mut multicast, &management);
        management.multicast = multicast;
        done?;
        self.show_multicast(&management);
        Ok(())
    }

    pub(super) fn show_multicast(&self, management: &Management<P::Link>) {
        self.show(management);
        let groups = management.multicast.groups.clone();
        self.host.mappings.m2p.replace(groups);
    }
}

fn no_mapping(group: &impl ToString) -> OpteError {
    OpteError::MappingNotFound {
        what: group.to_string(),
    }
}
