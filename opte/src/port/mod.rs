//! Ports: the engine's face to a driver.

mod builder;
mod error;
mod state;
mod verdict;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use builder::{Limits, Midstream, PortBuilder, Position};
pub use error::PortError;
pub use state::PortState;
pub use verdict::Verdict;

use crate::layer::Layer;
use crate::network::Network;
use crate::provider::Random;
use crate::sync::KMutex;

/// Layers that a port can have.
pub const MAX_LAYERS: usize = 16;

/// One interface of a guest: layers of rules, and the flows they have let through.
#[allow(dead_code)]
pub struct Port<N: Network> {
    name: Arc<str>,
    network: N,
    random: Arc<dyn Random>,
    inner: KMutex<Inner<N>>,
}

/// What the port's lock protects.
#[allow(dead_code)]
struct Inner<N: Network> {
    state: PortState,
    layers: Vec<Layer<N>>,
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
}
