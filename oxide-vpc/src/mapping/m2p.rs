use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv6Addr};

use opte::epoch::Epoch;
use opte::sync::KRwLock;
use opte_headers::Vni;

use crate::network::MULTICAST_VNI;

/// Which underlay group stands for which group of the guests: of one VPC's, or of all VPCs'.
#[derive(Debug, Default)]
pub struct Mcast2Phys {
    groups: KRwLock<Groups>,
    epoch: Epoch,
}

/// Groups of one VPC, or of all, and what they are on the underlay.
pub type Groups = BTreeMap<(Option<Vni>, IpAddr), Ipv6Addr>;

/// The network in which a group's packets are sent, and the underlay's group, for guests of this VPC: by its own mapping, or by
/// that for all VPCs.
pub fn group_of(groups: &Groups, vni: Vni, group: IpAddr) -> Option<(Vni, Ipv6Addr)> {
    let of = |scope| groups.get(&(scope, group)).copied();
    of(Some(vni))
        .map(|underlay| (vni, underlay))
        .or_else(|| of(None).map(|underlay| (MULTICAST_VNI, underlay)))
}

impl Mcast2Phys {
    /// No mappings.
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`group_of`].
    pub fn get(&self, vni: Vni, group: IpAddr) -> Option<(Vni, Ipv6Addr)> {
        group_of(&self.groups.read(), vni, group)
    }

    /// Puts these mappings in the place of all there are.
    pub fn replace(&self, mappings: Groups) {
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
