use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use opte::epoch::Epoch;
use opte::sync::{KMutex, KRwLock};
use opte_headers::Vni;

use crate::api::GuestPhysAddr;

/// The guests of one VPC by their addresses in it.
#[derive(Debug, Default)]
pub struct VpcGuests {
    guests: KRwLock<BTreeMap<IpAddr, GuestPhysAddr>>,
    epoch: Epoch,
    /// Bumped with it: those of ports of other VPCs that look for guests here.
    watchers: KMutex<Vec<Epoch>>,
}

impl VpcGuests {
    /// Where the guest with this address is.
    pub fn get(&self, ip: IpAddr) -> Option<GuestPhysAddr> {
        self.guests.read().get(&ip).copied()
    }

    /// Bumped by each change.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Bumps `epoch` too with each change, until [`VpcGuests::unwatch`] as often.
    pub(crate) fn watch(&self, epoch: &Epoch) {
        self.watchers.lock().push(epoch.clone());
    }

    pub(crate) fn unwatch(&self, epoch: &Epoch) {
        let mut watchers = self.watchers.lock();
        if let Some(at) = watchers.iter().position(|watcher| watcher.is(epoch)) {
            watchers.swap_remove(at);
        }
    }

    fn changed(&self) {
        self.epoch.bump();
        self.watchers.lock().iter().for_each(Epoch::bump);
    }
}

/// The guests of every VPC that this host knows of.
#[derive(Debug, Default)]
pub struct Virt2Phys {
    vpcs: KRwLock<BTreeMap<Vni, Arc<VpcGuests>>>,
}

impl Virt2Phys {
    /// No mappings.
    pub const fn new() -> Self {
        Self {
            vpcs: KRwLock::new(BTreeMap::new()),
        }
    }

    /// The table of one VPC, for a port to keep; empty if nothing was mapped yet.
    pub fn vpc(&self, vni: Vni) -> Arc<VpcGuests> {
        if let Some(guests) = self.vpcs.read().get(&vni) {
            return Arc::clone(guests);
        }
        Arc::clone(self.vpcs.write().entry(vni).or_default())
    }

    /// Says where a guest is; gives back where it was before.
    pub fn set(&self, vni: Vni, ip: IpAddr, phys: GuestPhysAddr) -> Option<GuestPhysAddr> {
        let vpc = self.vpc(vni);
        let old = vpc.guests.write().insert(ip, phys);
        if old != Some(phys) {
            vpc.changed();
        }
        old
    }

    /// Forgets where a guest is; gives back where it was.
    pub fn clear(&self, vni: Vni, ip: IpAddr) -> Option<GuestPhysAddr> {
        let vpc = self.vpc(vni);
        let old = vpc.guests.write().remove(&ip);
        if old.is_some() {
            vpc.changed();
        }
        old
    }

    /// Forgets where a guest is if it is still there; whether it was. So a port that goes away does not take with it the mapping
    /// of its successor on another host.
    pub fn clear_exact(&self, vni: Vni, ip: IpAddr, phys: GuestPhysAddr) -> bool {
        let vpc = self.vpc(vni);
        let mut guests = vpc.guests.write();
        let held = guests.get(&ip) == Some(&phys);
        if held {
            guests.remove(&ip);
            drop(guests);
            vpc.changed();
        }
        held
    }

    /// Where the guest with this address is.
    pub fn get(&self, vni: Vni, ip: IpAddr) -> Option<GuestPhysAddr> {
        self.vpcs.read().get(&vni)?.get(ip)
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        let vpcs = self.vpcs.read();
        vpcs.values().map(|vpc| vpc.guests.read().len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `limit` mappings from the `skip`th on, by VPC and address in ascending order.
    pub fn page(&self, skip: usize, limit: usize) -> Vec<(Vni, IpAddr, GuestPhysAddr)> {
        let mut page = Vec::new();
        let mut skip = skip;
        for (&vni, vpc) in self.vpcs.read().iter() {
            let guests = vpc.guests.read();
            let room = limit.saturating_sub(page.len());
            page.extend(
                guests
                    .iter()
                    .skip(skip)
                    .take(room)
                    .map(|(&ip, &phys)| (vni, ip, phys)),
            );
            skip = skip.saturating_sub(guests.len());
        }
        page
    }
}
