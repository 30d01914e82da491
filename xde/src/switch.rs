//! The virtual switch: which port a frame belongs to.

mod lans;
mod members;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv6Addr;

use opte::flow::Expired;
use opte::network::Network;
use opte::packet::LocalWay;
use opte::port::{Ahead, LOOK_AHEAD, LocalTunnel, Port, Released, Verdict, Worker};
use opte::switch::{NetworkId, PortMap, Station};
use opte::time::Moment;
use opte::{Direction, Packet};
use opte_headers::{MacAddr, Vni};

use crate::counters::Counters;
use crate::platform::{LanId, PortId, UnderlayLink};

pub use lans::Lans;
pub use members::{Group, Members, Subscriber};

/// Bytes that a tunnel puts around a guest's packet, from the outer IP header on: IPv6, UDP, Geneve with an option for the segment size,
/// and the guest's Ethernet header.
const TUNNEL: u32 = 40 + 8 + 8 + 8 + 14;

/// The engine of a port, whatever its network is.
pub trait Engine: Send + Sync {
    /// As [`Port::process`].
    fn process(
        &self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict;

    /// Has `work` done by one worker, for as many packets as it likes.
    fn work(&self, work: &mut dyn FnMut(&mut dyn EngineWorker));

    /// As [`Port::looks_ahead`].
    fn looks_ahead(&self) -> bool;

    /// As [`Port::look_ahead`].
    fn look_ahead(&self, dir: Direction, frames: &mut dyn Iterator<Item = &[u8]>);

    /// As [`Port::local_tunnel`].
    fn local_tunnel(&self, way: LocalWay, hash: u32) -> Option<LocalTunnel<'_>>;

    /// As [`Port::receive`].
    fn receive(
        &self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict;

    /// As [`Port::take_released`].
    fn take_released(&self) -> Vec<Released>;

    /// As [`Port::set_path_mtu`].
    fn set_path_mtu(&self, mtu: Option<u16>);

    /// The port was taken out of the switch for good. Frames that are on their way from it may keep it for a while.
    fn left(&self) {}

    /// As [`Port::expire`].
    fn expire(&self, now: Moment, slice: u32) -> Expired;
}

/// A worker of an engine.
pub trait EngineWorker {
    /// As [`Worker::process`].
    fn process(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict;

    /// As [`Worker::look_ahead`].
    fn look_ahead(
        &self,
        dir: Direction,
        frames: &mut dyn Iterator<Item = &[u8]>,
    ) -> Option<[Ahead; LOOK_AHEAD]>;

    /// As [`Worker::process_foreseen`].
    fn process_foreseen(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
        ahead: Ahead,
    ) -> Verdict;
}

impl<N: Network> EngineWorker for Worker<'_, N> {
    fn process(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        Worker::process(self, dir, now, packet, reply)
    }

    fn look_ahead(
        &self,
        dir: Direction,
        frames: &mut dyn Iterator<Item = &[u8]>,
    ) -> Option<[Ahead; LOOK_AHEAD]> {
        Worker::look_ahead(self, dir, frames)
    }

    fn process_foreseen(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
        ahead: Ahead,
    ) -> Verdict {
        Worker::process_foreseen(self, dir, now, packet, reply, ahead)
    }
}

impl<N: Network> Engine for Port<N> {
    fn process(
        &self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        Port::process(self, dir, now, packet, reply)
    }

    fn work(&self, work: &mut dyn FnMut(&mut dyn EngineWorker)) {
        work(&mut self.worker());
    }

    fn looks_ahead(&self) -> bool {
        Port::looks_ahead(self)
    }

    fn look_ahead(&self, dir: Direction, frames: &mut dyn Iterator<Item = &[u8]>) {
        Port::look_ahead(self, dir, frames);
    }

    fn local_tunnel(&self, way: LocalWay, hash: u32) -> Option<LocalTunnel<'_>> {
        Port::local_tunnel(self, way, hash)
    }

    fn receive(
        &self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        Port::receive(self, now, tunnel, packet, reply)
    }

    fn take_released(&self) -> Vec<Released> {
        Port::take_released(self)
    }

    fn set_path_mtu(&self, mtu: Option<u16>) {
        Port::set_path_mtu(self, mtu);
    }

    fn expire(&self, now: Moment, slice: u32) -> Expired {
        Port::expire(self, now, slice)
    }
}

/// A port in the switch.
pub struct SwitchPort<L> {
    /// Its name in the driver.
    pub id: PortId,
    /// Its name to its users.
    pub name: String,
    /// The guest's address.
    pub mac: MacAddr,
    /// The guest's network.
    pub vni: Vni,
    /// Bytes of the largest network-layer packet of the guest's link.
    pub mtu: u32,
    /// The address of this host on the underlay, as the port's configuration has it.
    pub underlay_address: Ipv6Addr,
    /// The LAN it is on; then it is on no overlay, and its network and its host's address mean nothing.
    pub lan: Option<LanId>,
    /// What processes its packets; `None` if they pass as they are.
    pub engine: Option<Arc<dyn Engine>>,
    /// Its link.
    pub link: Arc<L>,
    /// What the driver counts of it.
    pub counters: Counters,
}

impl<L> SwitchPort<L> {
    /// Tells its engine that it is in the switch no more.
    pub(crate) fn left(&self) {
        if let Some(engine) = &self.engine {
            engine.left();
        }
    }
}

impl<L> fmt::Debug for SwitchPort<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchPort")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The ports and links there are at one moment. Never changed: a change makes another.
pub struct Switch<L> {
    ports: PortMap<Arc<SwitchPort<L>>>,
    own_addresses: BTreeSet<Ipv6Addr>,
    passthrough: Vec<Arc<SwitchPort<L>>>,
    underlay: Vec<UnderlayLink>,
    members: Members<L>,
    lans: Lans<L>,
}

impl<L> Switch<L> {
    /// The switch of these ports and underlay links.
    pub fn new(
        ports: impl IntoIterator<Item = Arc<SwitchPort<L>>>,
        underlay: Vec<UnderlayLink>,
    ) -> Self {
        let ports: Vec<_> = ports.into_iter().collect();
        let (engines, passthrough) = ports
            .iter()
            .map(Arc::clone)
            .partition::<Vec<_>, _>(|port| port.engine.is_some());
        // Those of LANs are found by these.
        let tunnelled = |port: &Arc<SwitchPort<L>>| port.lan.is_none() && port.engine.is_some();
        let engines = engines.iter().filter(|port| tunnelled(port));
        let own_addresses = engines.map(|port| port.underlay_address);
        Self {
            own_addresses: own_addresses.collect(),
            ports: PortMap::new(ports.into_iter().map(|port| {
                let station = tunnelled(&port).then(|| station(port.vni, port.mac));
                (port.id.0, station, port)
            })),
            passthrough,
            underlay,
            members: Members::default(),
            lans: Lans::default(),
        }
    }

    /// The same with these members of groups.
    #[must_use]
    pub fn with_members(mut self, members: Members<L>) -> Self {
        self.members = members;
        self
    }

    /// The same with these LANs.
    #[must_use]
    pub fn with_lans(mut self, lans: Lans<L>) -> Self {
        self.lans = lans;
        self
    }

    /// The LANs that ports are on.
    #[inline]
    pub fn lans(&self) -> &Lans<L> {
        &self.lans
    }

    /// Who gets the packets of groups.
    #[inline]
    pub fn members(&self) -> &Members<L> {
        &self.members
    }

    /// The port that is `id` in the driver.
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&Arc<SwitchPort<L>>> {
        self.ports.port(id.0)
    }

    /// All ports.
    pub fn ports(&self) -> impl Iterator<Item = &Arc<SwitchPort<L>>> {
        self.ports.iter()
    }

    /// The port of the guest with address `mac` in network `vni`.
    #[inline]
    pub fn find(&self, vni: Vni, mac: MacAddr) -> Option<&Arc<SwitchPort<L>>> {
        self.ports.station(station(vni, mac))
    }

    /// The port of the guest with address `mac`, in whichever network, if there is but one: for frames of a network
    /// that all guests share.
    pub fn find_in_any(&self, mac: MacAddr) -> Option<&Arc<SwitchPort<L>>> {
        self.ports.sole(VPCS, mac)
    }

    /// Whether a tunnel that ends at `address` ends on this host.
    #[inline]
    pub fn is_own(&self, address: Ipv6Addr) -> bool {
        self.own_addresses.contains(&address)
    }

    /// Whether a tunnel that ends at the group `address` is looked into: ports whose frames pass as they are get those of groups
    /// that no other port has subscribed to.
    #[inline]
    pub fn takes_group(&self, address: Ipv6Addr) -> bool {
        address.is_multicast() && (self.passthrough.is_empty() || self.members.has_local(address))
    }

    /// The ports whose frames pass as they are.
    #[inline]
    pub fn passthrough(&self) -> &[Arc<SwitchPort<L>>] {
        &self.passthrough
    }

    /// Bytes of the greatest packet of a guest that fits all of the underlay's links in its tunnel; none without links.
    pub fn path_mtu(&self) -> Option<u16> {
        let least = self.underlay.iter().map(|link| link.mtu).min()?;
        Some(u16::try_from(least.saturating_sub(TUNNEL)).unwrap_or(u16::MAX))
    }

    /// The underlay's links.
    #[inline]
    pub fn underlay(&self) -> &[UnderlayLink] {
        &self.underlay
    }
}

/// The network of all VPCs.
const VPCS: NetworkId = NetworkId(0);

#[inline]
fn station(vni: Vni, mac: MacAddr) -> Station {
    Station {
        network: VPCS,
        vni,
        mac,
    }
}

impl<L> fmt::Debug for Switch<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ports()).finish()
    }
}
