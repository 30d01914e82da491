use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv6Addr};

use opte::epoch::Epoch;
use opte::sync::KRwLock;

/// Which underlay group stands for which group of the guests.
#[derive(Debug, Default)]
pub struct Mcast2Phys {
    groups: KRwLock<BTreeMap<IpAddr, Ipv6Addr>>,
    epoch: Epoch,
}

impl Mcast2Phys {
    /// No mappings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The underlay's group.
    pub fn get(&self, group: IpAddr) -> Option<Ipv6Addr> {
        self.groups.read().get(&group).copied()
    }

    /// Says which underlay group stands for a group, or none; gives back which did before.
    pub fn set(&self, group: IpAddr, underlay: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
        let mut groups = self.groups.write();
        let old = match underlay {
            Some(underlay) => groups.insert(group, underlay),
            None => groups.remove(&group),
        };
        drop(groups);
        if old != underlay {
            self.epoch.bump();
        }
        old
    }

    /// Puts these mappings in the place of all there are.
    pub fn replace(&self, mappings: BTreeMap<IpAddr, Ipv6Addr>) {
        let mut groups = self.groups.write();
        if *groups != mappings {
            *groups = mappings;
            drop(groups);
            self.epoch.bump();
        }
    }

    /// Bumped by each change.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }
}
