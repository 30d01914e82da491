//! Building a port.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::edge::MssClamp;
use super::icmp::{Bucket, ErrorLimits};
use super::options::Built;
use super::worker::Places;
use super::{Inner, MAX_LAYERS, Port, PortError, PortState};
use crate::direction::PerDirection;
use crate::epoch::{Epoch, Gate};
use crate::flow::{FlowTable, HashSeed, Timeouts};
use crate::fragment::{FragmentLimits, FragmentTable};
use crate::layer::Layer;
use crate::network::Network;
use crate::options::PortOptions;
use crate::provider::{Log, NoLog, Random};
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use crate::sync::{Apart, KMutex};
use crate::traffic_class::DscpModel;

/// A port in the making: its layers in outbound order, its limits, and what it follows.
pub struct PortBuilder<N: Network> {
    pub(super) name: Arc<str>,
    pub(super) network: N,
    pub(super) random: Arc<dyn Random>,
    pub(super) log: Arc<dyn Log>,
    pub(super) layers: Vec<Layer<N>>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) midstream: Midstream,
    pub(super) followed: Vec<Epoch>,
    pub(super) fragments: FragmentLimits,
    pub(super) dscp: DscpModel,
    pub(super) mss_clamp: MssClamp,
    pub(super) errors: ErrorLimits,
}

/// How much a port may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows, each with both directions; at most 2^24 of them.
    pub flows: NonZeroU32,
    /// Bytes that the flow table may take. When a new flow would need more, the table is full.
    pub memory: usize,
    /// Flows that one address outside may have begun, of those that live; of IPv6 addresses the first 64 bits count. `None`: half
    /// of `flows`.
    pub flows_per_remote: Option<NonZeroU32>,
    /// Flows that one address of the guest may have begun. `None`: as many as there may be.
    pub flows_per_address: Option<NonZeroU32>,
}

impl Limits {
    /// Flows that one address may have begun, by the way their first packets went.
    pub(crate) fn quotas(&self) -> PerDirection<u32> {
        PerDirection {
            inbound: self
                .flows_per_remote
                .map_or(self.flows.get().div_ceil(2), NonZeroU32::get),
            outbound: self.flows_per_address.map_or(u32::MAX, NonZeroU32::get),
        }
    }
}

impl Default for Limits {
    /// 524,288 flows, and the memory that they need; half of them for what one address outside begins.
    fn default() -> Self {
        const FLOWS: NonZeroU32 = NonZeroU32::MIN.saturating_add(524_287);
        Self {
            flows: FLOWS,
            memory: usize::MAX,
            flows_per_remote: None,
            flows_per_address: None,
        }
    }
}

/// Whether a TCP segment other than a SYN may start a flow, for connections older than the port's memory.
pub type Midstream = PerDirection<bool>;

impl Midstream {
    /// The guest's segments may, those from the network may not.
    pub const OUTBOUND_ONLY: Midstream = PerDirection {
        inbound: false,
        outbound: true,
    };
}

/// Where a layer goes among those there are, in outbound order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// Nearest to the guest.
    First,
    /// Nearest to the network.
    Last,
    /// Just before the named layer.
    Before(&'a str),
    /// Just after the named layer.
    After(&'a str),
}

impl<N: Network> PortBuilder<N> {
    /// A port without layers.
    pub fn new(name: impl Into<Arc<str>>, network: N, random: Arc<dyn Random>) -> Self {
        Self {
            name: name.into(),
            network,
            random,
            log: Arc::new(NoLog),
            layers: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            midstream: Midstream::OUTBOUND_ONLY,
            followed: Vec::new(),
            fragments: FragmentLimits::default(),
            dscp: DscpModel::default(),
            mss_clamp: MssClamp::default(),
            errors: ErrorLimits::default(),
        }
    }

    /// Puts a layer where `position` says.
    pub fn layer(mut self, layer: Layer<N>, position: Position<'_>) -> Result<Self, PortError> {
        if self.layers.len() >= MAX_LAYERS {
            return Err(PortError::TooManyLayers);
        }
        if self.place_of(layer.name()).is_ok() {
            return Err(PortError::LayerExists(layer.name().to_string()));
        }
        let place = match position {
            Position::First => 0,
            Position::Last => self.layers.len(),
            Position::Before(name) => self.place_of(name)?,
            Position::After(name) => self.place_of(name)? + 1,
        };
        self.layers.insert(place, layer);
        Ok(self)
    }

    /// How much the port may hold.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long idle flows live.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// What its tunnels do with the DSCP.
    #[must_use]
    pub fn dscp(mut self, model: DscpModel) -> Self {
        self.dscp = model;
        self
    }

    /// What is done to the segment sizes that connections begin with.
    #[must_use]
    pub fn mss_clamp(mut self, clamp: MssClamp) -> Self {
        self.mss_clamp = clamp;
        self
    }

    /// How many ICMP errors and resets it sends.
    #[must_use]
    pub fn errors(mut self, limits: ErrorLimits) -> Self {
        self.errors = limits;
        self
    }

    /// How much is remembered of fragmented packets.
    #[must_use]
    pub fn fragments(mut self, limits: FragmentLimits) -> Self {
        self.fragments = limits;
        self
    }

    /// Whether connections older than the port's memory are taken up.
    #[must_use]
    pub fn midstream(mut self, midstream: Midstream) -> Self {
        self.midstream = midstream;
        self
    }

    /// Flows are walked again after a change of `epoch`, each before its next packet.
    #[must_use]
    pub fn follows(mut self, epoch: &Epoch) -> Self {
        self.followed.push(epoch.clone());
        self
    }

    /// Where the port's log lines go.
    #[must_use]
    pub fn log(mut self, log: Arc<dyn Log>) -> Self {
        self.log = log;
        self
    }

    /// The port, in state [`PortState::Ready`].
    pub fn build(self) -> Port<N> {
        let seed = HashSeed::draw(&*self.random);
        let flows = FlowTable::new(seed, self.limits, &self.timeouts);
        let gate = Arc::new(Gate::new());
        for epoch in &self.followed {
            epoch.bump_too(&gate);
        }
        let port = Port {
            name: self.name,
            network: self.network,
            random: self.random,
            log: self.log,
            midstream: self.midstream,
            dscp: AtomicU8::new(self.dscp as u8),
            mss_clamp: AtomicU32::new(self.mss_clamp.to_number()),
            nat: AtomicU64::new(0),
            built: Built {
                limits: self.limits,
                timeouts: self.timeouts,
                dscp: self.dscp,
                mss_clamp: self.mss_clamp,
                errors: self.errors,
            },
            path_mtu: AtomicU32::new(u32::MAX),
            state: AtomicU8::new(PortState::Ready as u8),
            gate,
            starts: AtomicU32::new(0),
            flows: Arc::clone(flows.store()),
            places: Places::new(),
            probes: Default::default(),
            meters: Default::default(),
            commands: KMutex::new(()),
            inner: Apart(KMutex::new(Inner {
                layers: self.layers,
                flows,
                cleared: 0,
                forgotten: [0; MAX_LAYERS],
                restoring: None,
                fragments: PerDirection {
                    inbound: FragmentTable::new(self.fragments),
                    outbound: FragmentTable::new(self.fragments),
                },
                released: Vec::new(),
                errors: Bucket::new(self.errors),
                metered: Default::default(),
                options: PortOptions::default(),
            })),
        };
        let present = port.epoch();
        let mut inner = port.inner.lock();
        inner.cleared = present;
        inner.forgotten = [present; MAX_LAYERS];
        drop(inner);
        port
    }

    fn place_of(&self, name: &str) -> Result<usize, PortError> {
        let place = self.layers.iter().position(|layer| &**layer.name() == name);
        place.ok_or_else(|| PortError::LayerNotFound(String::from(name)))
    }
}
