//! Ports: the engine's face to a driver.

mod builder;
mod control;
mod counters;
mod crowded;
mod cut;
mod dump;
mod edge;
mod error;
mod fragment;
mod heavy;
mod hit;
mod icmp;
mod local;
mod meter;
mod miss;
mod observe;
mod options;
mod process;
mod related;
pub mod saved;
mod state;
mod trace;
mod verdict;
mod walk;
mod worker;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use builder::{Limits, Midstream, PortBuilder, Position};
pub use control::RuleChange;
pub use counters::{PortCounters, Traffic};
pub use edge::MssClamp;
pub use error::PortError;
pub use heavy::{By, HeavyFlow};
pub use icmp::{ErrorLimits, Router};
pub use local::LocalTunnel;
pub use saved::{RestoreError, Restored, SavedPage};
pub use state::PortState;
pub use trace::{Fate, Step, Trace};
pub use verdict::{Released, Verdict};
pub use worker::Worker;

use crate::direction::PerDirection;
use crate::epoch::Gate;
use crate::flow::{FlowStore, FlowTable};
use crate::fragment::FragmentTable;
use crate::layer::Layer;
use crate::meter::{MeterLimits, Meters};
use crate::network::Network;
use crate::options::PortOptions;
use crate::provider::{Log, Random};
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Apart, KMutex};
use worker::Places;

pub use crate::flow::Ahead;

/// Frames that [`Port::look_ahead`] takes at once.
pub const LOOK_AHEAD: usize = 16;

/// Layers that a port can have.
pub const MAX_LAYERS: usize = 16;

/// One interface of a guest: layers of rules, and the flows they have let through.
pub struct Port<N: Network> {
    name: Arc<str>,
    network: N,
    random: Arc<dyn Random>,
    log: Arc<dyn Log>,
    midstream: Midstream,
    /// [`DscpModel`](crate::traffic_class::DscpModel).
    dscp: AtomicU8,
    /// [`MssClamp`], as a number.
    mss_clamp: AtomicU32,
    /// What options say of source NAT, as a number.
    nat: AtomicU64,
    /// As it was built.
    built: options::Built,
    /// Bytes of the greatest packet that fits the way, from its IP header on.
    path_mtu: AtomicU32,
    /// [`PortState`], changed under the lock.
    state: AtomicU8,
    /// The generation of all that flows depend on: the port's own rules, and what it follows.
    gate: Arc<Gate>,
    /// How often it was started, changed under the lock.
    starts: AtomicU32,
    /// The flows, for packets of known ones.
    flows: Arc<FlowStore>,
    places: Places,
    probes: observe::Probes,
    meters: Box<Meters>,
    /// One command at a time.
    commands: KMutex<()>,
    inner: Apart<KMutex<Inner<N>>>,
}

/// What the port's lock protects. Packets of known flows do not take it.
struct Inner<N: Network> {
    layers: Vec<Layer<N>>,
    flows: FlowTable<N>,
    /// Flows decided before this generation are not in the unified flow table.
    cleared: u32,
    /// For each layer: what it decided before this generation is forgotten.
    forgotten: [u32; MAX_LAYERS],
    /// A restoration that is under way.
    restoring: Option<saved::Restoring>,
    fragments: PerDirection<FragmentTable<N::Key>>,
    /// Fragments that go on, until the driver takes them.
    released: Vec<Released>,
    /// How many errors may be sent.
    errors: icmp::Bucket,
    /// What the meters were set to.
    metered: PerDirection<MeterLimits>,
    /// What the options were set to.
    options: PortOptions,
}

impl<N: Network> Port<N> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network it is a port of.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Where it is in its life.
    pub fn state(&self) -> PortState {
        PortState::of(self.state.load(Ordering::Acquire))
    }

    /// To be called with the port's lock held.
    fn set_state(&self, state: PortState) {
        self.state.store(state as u8, Ordering::Release);
        self.gate.set(Gate::CLOSED, state != PortState::Running);
    }

    /// Says that the port's own rules have changed. To be called with the port's lock held.
    fn changed(&self) -> u32 {
        self.gate.bump();
        self.epoch()
    }

    /// The present generation of all that flows depend on.
    fn epoch(&self) -> u32 {
        self.gate.epoch()
    }
}

/// Whether generation `a` is `b` or later; generations wrap.
fn is_since(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}
