//! Who gets the packets of a group.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use oxide_vpc::api::{McastNextHop, SourceFilter};

use super::SwitchPort;

/// The members of groups: ports of this host, and next hops towards others.
pub struct Members<L> {
    local: BTreeMap<(Ipv6Addr, IpAddr), Vec<Subscriber<L>>>,
    remote: BTreeMap<Ipv6Addr, Vec<McastNextHop>>,
}

/// A port that has subscribed to a group.
pub struct Subscriber<L> {
    /// The port.
    pub port: Arc<SwitchPort<L>>,
    /// The sources it wants to hear.
    pub filter: SourceFilter,
}

impl<L> Members<L> {
    /// These ports, and no others, have subscribed to `group`, which is `underlay` on the underlay.
    pub fn subscribe(&mut self, underlay: Ipv6Addr, group: IpAddr, ports: Vec<Subscriber<L>>) {
        self.local.insert((underlay, group), ports);
    }

    /// Packets of an underlay group are sent to these next hops.
    pub fn forward(&mut self, underlay: Ipv6Addr, next_hops: Vec<McastNextHop>) {
        self.remote.insert(underlay, next_hops);
    }

    /// The ports that have subscribed to a group.
    #[inline]
    pub fn subscribers(&self, underlay: Ipv6Addr, group: IpAddr) -> &[Subscriber<L>] {
        self.local
            .get(&(underlay, group))
            .map_or(&[], |subscribers| subscribers)
    }

    /// Whether any port has subscribed to a group that is this one on the underlay.
    pub(super) fn has_local(&self, underlay: Ipv6Addr) -> bool {
        let least = (underlay, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let next = self.local.range(least..).next();
        next.is_some_and(|((found, _), _)| *found == underlay)
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
