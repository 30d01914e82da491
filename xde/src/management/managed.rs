//! A port as commands know it, whatever its network is.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use lan_nat::{LanNat, LanPort};
use opte::api::{
    DumpLayerResp, DumpTcpFlowsResp, DumpUftResp, FlowFilter, ListLayersResp, MeterLimits,
    OpteError, Page,
};
use opte::direction::PerDirection;
use opte::flow::Expired;
use opte::nat::NatPoolUsage;
use opte::network::Network;
use opte::packet::LocalWay;
use opte::port::{
    By, HeavyFlow, LocalTunnel, Port, PortCounters, PortError, PortState, Released, RestoreError,
    Restored, SavedPage, Trace, Verdict,
};
use opte::time::Moment;
use opte::{Direction, Packet};
use opte_headers::MacAddr;
use oxide_vpc::api::{CreateLanPortReq, CreateXdeReq, DEFAULT_MTU, GuestLink};
use oxide_vpc::network::VpcNetwork;
use oxide_vpc::port::VpcPort;

use crate::switch::{Engine, EngineWorker, SwitchPort};

/// A port.
pub(super) struct Managed<L> {
    pub(super) switch: Arc<SwitchPort<L>>,
    pub(super) kind: Kind,
}

/// What a port is, and what it was made of. Addresses that can change are those of then.
#[derive(Clone)]
pub(super) enum Kind {
    /// Its frames pass as they are.
    Passthrough(Box<CreateXdeReq>),
    /// One of a VPC.
    Vpc(Arc<VpcPort>, Box<CreateXdeReq>),
    /// One on a LAN.
    Lan(Arc<LanPort>, Box<CreateLanPortReq>),
}

impl<L> Managed<L> {
    /// The VPC's port; of another kind of port the error of a command that is for those of VPCs.
    pub(super) fn vpc(&self) -> Result<&Arc<VpcPort>, OpteError> {
        self.kind.vpc(&self.switch.name)
    }

    /// The LAN's port, in the same way.
    pub(super) fn lan(&self) -> Result<&Arc<LanPort>, OpteError> {
        self.kind.lan(&self.switch.name)
    }

    /// The engine; a port without is in no state to be asked.
    pub(super) fn engine(&self) -> Result<Arc<dyn EnginePort>, OpteError> {
        match &self.kind {
            Kind::Passthrough(_) => Err(passes_frames(&self.switch.name)),
            Kind::Vpc(port, _) => Ok(Arc::clone(port) as _),
            Kind::Lan(port, _) => Ok(Arc::clone(port) as _),
        }
    }
}

impl Kind {
    pub(super) fn vpc(&self, name: &str) -> Result<&Arc<VpcPort>, OpteError> {
        match self {
            Self::Vpc(port, _) => Ok(port),
            Self::Passthrough(_) => Err(passes_frames(name)),
            Self::Lan(..) => Err(OpteError::WrongNetwork {
                port: name.into(),
                network: LanNat::NAME.into(),
                expected: VpcNetwork::NAME.into(),
            }),
        }
    }

    pub(super) fn lan(&self, name: &str) -> Result<&Arc<LanPort>, OpteError> {
        match self {
            Self::Lan(port, _) => Ok(port),
            Self::Passthrough(_) | Self::Vpc(..) => Err(OpteError::WrongNetwork {
                port: name.into(),
                network: VpcNetwork::NAME.into(),
                expected: LanNat::NAME.into(),
            }),
        }
    }

    /// What it was made of, if it was made as the port of a VPC.
    pub(super) fn xde(&self) -> Option<&CreateXdeReq> {
        match self {
            Self::Passthrough(request) | Self::Vpc(_, request) => Some(request),
            Self::Lan(..) => None,
        }
    }

    /// The engine, for the data path.
    pub(super) fn data_path(&self) -> Option<Arc<dyn Engine>> {
        match self {
            Self::Passthrough(_) => None,
            Self::Vpc(port, _) => Some(Arc::clone(port) as _),
            Self::Lan(port, _) => Some(Arc::clone(port) as _),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Passthrough(request) | Self::Vpc(_, request) => &request.name,
            Self::Lan(_, request) => &request.name,
        }
    }

    pub(super) fn guest_mac(&self) -> MacAddr {
        match self {
            Self::Passthrough(request) | Self::Vpc(_, request) => request.cfg.guest_mac,
            Self::Lan(_, request) => request.cfg.guest_mac,
        }
    }

    /// The MTU of the guest's link in octets.
    pub(super) fn mtu(&self) -> u16 {
        let asked = match self {
            Self::Passthrough(request) | Self::Vpc(_, request) => request.mtu,
            Self::Lan(_, request) => request.mtu,
        };
        asked.unwrap_or(DEFAULT_MTU)
    }

    pub(super) fn guest_link(&self) -> &GuestLink {
        match self {
            Self::Passthrough(request) | Self::Vpc(_, request) => &request.link,
            Self::Lan(_, request) => &request.link,
        }
    }

    /// The host's link to the LAN that the port is on.
    pub(super) fn lan_link(&self) -> Option<&str> {
        match self {
            Self::Lan(_, request) => Some(&request.lan),
            Self::Passthrough(_) | Self::Vpc(..) => None,
        }
    }

    /// The name of its network.
    pub(super) fn network(&self) -> &'static str {
        match self {
            Self::Passthrough(_) | Self::Vpc(..) => VpcNetwork::NAME,
            Self::Lan(..) => LanNat::NAME,
        }
    }

    pub(super) fn is_passthrough(&self) -> bool {
        matches!(self, Self::Passthrough(_))
    }
}

/// The state of a port without engine.
pub(super) const PASSTHROUGH: &str = "passthrough";

fn passes_frames(port: &str) -> OpteError {
    OpteError::BadState {
        port: port.into(),
        state: PASSTHROUGH.into(),
    }
}

/// What commands ask of the engine of a port, whatever its network is. As the methods of [`Port`].
pub(super) trait EnginePort: Engine {
    fn state(&self) -> PortState;
    fn start(&self);
    fn pause(&self) -> Result<(), PortError>;
    fn reset(&self);
    fn save(&self, now: Moment, cursor: u64, limit: usize) -> Result<SavedPage, PortError>;
    fn restore(&self, now: Moment, page: &[u8]) -> Result<Restored, RestoreError>;
    fn counters(&self) -> PortCounters;
    fn nat_usage(&self) -> [(&'static str, NatPoolUsage); 3];
    fn meters(&self) -> PerDirection<MeterLimits>;
    fn list_layers(&self) -> ListLayersResp;
    fn dump_layer(
        &self,
        name: &str,
        page: Page,
        filter: &FlowFilter,
        rule: Option<u64>,
    ) -> Result<DumpLayerResp, PortError>;
    fn dump_uft(&self, page: Page, filter: &FlowFilter) -> DumpUftResp;
    fn dump_tcp_flows(&self, page: Page, filter: &FlowFilter) -> DumpTcpFlowsResp;
    fn clear_uft(&self) -> Result<(), PortError>;
    fn clear_lft(&self, layer: &str) -> Result<(), PortError>;
    fn trace(&self, dir: Direction, now: Moment, frame: &[u8]) -> Trace;
    fn heavy_hitters(&self, by: By, count: usize) -> Vec<HeavyFlow>;
}

/// A network's port around the engine's.
trait OfNetwork: Send + Sync {
    type Network: Network;

    fn engine(&self) -> &Port<Self::Network>;
    fn usage(&self) -> [(&'static str, NatPoolUsage); 3];

    /// As [`Engine::left`].
    fn leave(&self) {}
}

impl OfNetwork for VpcPort {
    type Network = VpcNetwork;

    fn engine(&self) -> &Port<VpcNetwork> {
        self.port()
    }

    fn usage(&self) -> [(&'static str, NatPoolUsage); 3] {
        self.nat_usage()
    }

    fn leave(&self) {
        self.unlocate();
    }
}

impl OfNetwork for LanPort {
    type Network = LanNat;

    fn engine(&self) -> &Port<LanNat> {
        self.port()
    }

    fn usage(&self) -> [(&'static str, NatPoolUsage); 3] {
        self.nat_usage()
    }
}

impl<T: OfNetwork> Engine for T {
    #[inline]
    fn process(
        &self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        self.engine().process(dir, now, packet, reply)
    }

    fn work(&self, work: &mut dyn FnMut(&mut dyn EngineWorker)) {
        work(&mut self.engine().worker());
    }

    fn looks_ahead(&self) -> bool {
        self.engine().looks_ahead()
    }

    fn look_ahead(&self, dir: Direction, frames: &mut dyn Iterator<Item = &[u8]>) {
        self.engine().look_ahead(dir, frames);
    }

    fn local_tunnel(&self, way: LocalWay, hash: u32) -> Option<LocalTunnel<'_>> {
        self.engine().local_tunnel(way, hash)
    }

    fn receive(
        &self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        self.engine().receive(now, tunnel, packet, reply)
    }

    fn take_released(&self) -> Vec<Released> {
        self.engine().take_released()
    }

    fn left(&self) {
        self.leave();
    }

    fn set_path_mtu(&self, mtu: Option<u16>) {
        self.engine().set_path_mtu(mtu);
    }

    fn expire(&self, now: Moment, slice: u32) -> Expired {
        self.engine().expire(now, slice)
    }
}

impl<T: OfNetwork> EnginePort for T {
    fn state(&self) -> PortState {
        self.engine().state()
    }

    fn start(&self) {
        self.engine().start();
    }

    fn pause(&self) -> Result<(), PortError> {
        self.engine().pause()
    }

    fn reset(&self) {
        self.engine().reset();
    }

    fn save(&self, now: Moment, cursor: u64, limit: usize) -> Result<SavedPage, PortError> {
        self.engine().save(now, cursor, limit)
    }

    fn restore(&self, now: Moment, page: &[u8]) -> Result<Restored, RestoreError> {
        self.engine().restore(now, page)
    }

    fn counters(&self) -> PortCounters {
        self.engine().counters()
    }

    fn nat_usage(&self) -> [(&'static str, NatPoolUsage); 3] {
        self.usage()
    }

    fn meters(&self) -> PerDirection<MeterLimits> {
        self.engine().meters()
    }

    fn list_layers(&self) -> ListLayersResp {
        self.engine().list_layers()
    }

    fn dump_layer(
        &self,
        name: &str,
        page: Page,
        filter: &FlowFilter,
        rule: Option<u64>,
    ) -> Result<DumpLayerResp, PortError> {
        self.engine().dump_layer_matching(name, page, filter, rule)
    }

    fn dump_uft(&self, page: Page, filter: &FlowFilter) -> DumpUftResp {
        self.engine().dump_uft_matching(page, filter)
    }

    fn dump_tcp_flows(&self, page: Page, filter: &FlowFilter) -> DumpTcpFlowsResp {
        self.engine().dump_tcp_flows_matching(page, filter)
    }

    fn clear_uft(&self) -> Result<(), PortError> {
        self.engine().clear_uft()
    }

    fn clear_lft(&self, layer: &str) -> Result<(), PortError> {
        self.engine().clear_lft(layer)
    }

    fn trace(&self, dir: Direction, now: Moment, frame: &[u8]) -> Trace {
        self.engine().trace(dir, now, frame)
    }

    fn heavy_hitters(&self, by: By, count: usize) -> Vec<HeavyFlow> {
        self.engine().heavy_hitters(by, count)
    }
}
