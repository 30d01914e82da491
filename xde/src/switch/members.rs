//! Who gets the packets of a group.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte_headers::Vni;
use oxide_vpc::api::{McastNextHop, SourceFilter};

use super::SwitchPort;

/// The members of groups: ports of this host, and next hops towards others.
pub struct Members<L> {
    local: BTreeMap<Group, Vec<Subscriber<L>>>,
    remote: BTreeMap<Ipv6Addr, Vec<McastNextHop>>,
}

/// A group: what it is on the underlay, the network it is sent in, and what guests know it as.
pub type Group = (Ipv6Addr, Vni, IpAddr);

/// A port that has subscribed to a group.
pub struct Subscriber<L> {
    /// The port.
    pub port: Arc<SwitchPort<L>>,
    /// The sources it wants to hear.
    pub filter: SourceFilter,
}

impl<L> Members<L> {
    /// Adds a port that has subscribed to a group.
    pub fn subscribe(&mut self, group: Group, subscriber: Subscriber<L>) {
        self.local.entry(group).or_default().push(subscriber);
    }

    /// Packets of an underlay group are sent to these next hops.
    pub fn forward(&mut self, underlay: Ipv6Addr, next_hops: Vec<McastNextHop>) {
        self.remote.insert(underlay, next_hops);
    }

    /// The ports that have subscribed to a group.
    #[inline]
    pub fn subscribers(&self, group: &Group) -> &[Subscriber<L>] {
        self.local.get(group).map_or(&[], |subscribers| subscribers)
    }

    /// Whether any port has subscribed to a group that is this one on the underlay.
    pub(super) fn has_local(&self, underlay: Ipv6Addr) -> bool {
        let least = (underlay, Vni::default(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let next = self.local.range(least..).next();
        next.is_some_and(|((found, ..), _)| *found == underlay)
    }

    /// The next hops of an underlay group.
    #[inline]
    pub fn next_hops(&self, underlay: Ipv6Addr) -> &[McastNextHop] {
        self.remote.get(&underlay).map_or(&[], |hops| hops)
    }
}

impl<L> Default for Members<L> {
    fn default() -> Self {
        Self {
            local: BTreeMap::new(),
            remote: BTreeMap::new(),
        }
    }
}
