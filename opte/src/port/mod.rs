//! Ports: the engine's face to a driver.

mod builder;
mod control;
mod counters;
mod dump;
mod error;
mod fragment;
mod process;
mod related;
mod state;
mod trace;
mod verdict;
mod walk;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use builder::{Limits, Midstream, PortBuilder, Position};
pub use control::RuleChange;
pub use counters::{PortCounters, Traffic};
pub use error::PortError;
pub use state::PortState;
pub use trace::{Fate, Step, Trace};
pub use verdict::{Released, Verdict};

use crate::direction::PerDirection;
use crate::epoch::Epoch;
use crate::flow::{FlowTable, HashSeed};
use crate::fragment::FragmentTable;
use crate::layer::Layer;
use crate::network::Network;
use crate::provider::{Log, Random};
use crate::sync::KMutex;

/// Layers that a port can have.
pub const MAX_LAYERS: usize = 16;

/// One interface of a guest: layers of rules, and the flows they have let through.
pub struct Port<N: Network> {
    name: Arc<str>,
    network: N,
    random: Arc<dyn Random>,
    log: Arc<dyn Log>,
    midstream: Midstream,
    /// What flows depend on beside the port's own rules.
    followed: Vec<Epoch>,
    seed: HashSeed,
    inner: KMutex<Inner<N>>,
}

/// What the port's lock protects.
struct Inner<N: Network> {
    state: PortState,
    layers: Vec<Layer<N>>,
    flows: FlowTable<N>,
    /// Changes of the port's own rules.
    epoch: u32,
    /// Flows decided before this generation are not in the unified flow table.
    cleared: u32,
    /// For each layer: what it decided before this generation is forgotten.
    forgotten: [u32; MAX_LAYERS],
    traffic: PerDirection<Traffic>,
    fragments: PerDirection<FragmentTable<N::Key>>,
    /// Fragments that go on, until the driver takes them.
    released: Vec<Released>,
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
        self.inner.lock().state
    }

    /// The present generation of all that flows depend on.
    #[inline]
    fn epoch(&self, own: u32) -> u32 {
        match self.followed.as_slice() {
            // As many as ports of a VPC follow: every packet asks.
            [a, b] => own.wrapping_add(a.get()).wrapping_add(b.get()),
            all => all
                .iter()
                .fold(own, |sum, epoch| sum.wrapping_add(epoch.get())),
        }
    }
}

/// Whether generation `a` is `b` or later; generations wrap.
fn is_since(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}
