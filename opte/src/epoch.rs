//! Generations of what flows depend on.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sync::Apart;

/// A generation that flow decisions depend on, shared by whoever changes it and the ports that follow it.
///
/// A mapping table outside the layers (addresses to hosts, prefixes to boundary endpoints) holds one and calls
/// [`Epoch::bump`] after each change; each port built with [`PortBuilder::follows`](crate::port::PortBuilder::follows) then
/// walks a flow again before its next packet.
#[derive(Clone, Debug, Default)]
pub struct Epoch(Arc<Apart<AtomicU32>>);

impl Epoch {
    /// A generation of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that what the generation stands for has changed. To be called when the change can be seen by readers.
    pub fn bump(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Whether both are one generation.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The present generation. It wraps.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}
