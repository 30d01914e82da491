//! Generations of what flows depend on.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Apart, KMutex};

/// A generation that flow decisions depend on, shared by whoever changes it and the ports that follow it.
///
/// A mapping table outside the layers (addresses to hosts, prefixes to boundary endpoints) holds one and calls
/// [`Epoch::bump`] after each change; each port built with [`PortBuilder::follows`](crate::port::PortBuilder::follows) then
/// walks a flow again before its next packet.
#[derive(Clone, Debug, Default)]
pub struct Epoch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    generation: Apart<AtomicU32>,
    /// The ports that follow.
    followers: KMutex<Vec<Weak<Gate>>>,
}

impl Epoch {
    /// A generation of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that what the generation stands for has changed. To be called when the change can be seen by readers.
    pub fn bump(&self) {
        self.0.generation.fetch_add(1, Ordering::Release);
        self.0.followers.lock().retain(|follower| {
            let follower = follower.upgrade();
            if let Some(gate) = &follower {
                gate.bump();
            }
            follower.is_some()
        });
    }

    /// Whether both are one generation.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The present generation. It wraps.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Has each later bump bump `gate` too.
    pub(crate) fn bump_too(&self, gate: &Arc<Gate>) {
        let mut followers = self.0.followers.lock();
        followers.retain(|follower| follower.strong_count() != 0);
        followers.push(Arc::downgrade(gate));
    }
}

/// What every packet of a known flow asks its port, in one word: the generation of all that the port's flows depend on, and whether
/// there is anything that keeps packets from going the short way.
///
/// | bits | |
/// |---|---|
/// | 0..32 | the generation; it wraps |
/// | 32 | the port does not run |
/// | 33 | somebody looks at packets |
/// | 34 | packets are shown to a meter |
#[derive(Debug)]
pub(crate) struct Gate(Apart<AtomicU64>);

impl Gate {
    pub(crate) const CLOSED: u64 = 1 << 32;
    pub(crate) const WATCHED: u64 = 1 << 33;
    pub(crate) const METERED: u64 = 1 << 34;

    /// Of a port that does not run.
    pub(crate) fn new() -> Self {
        Self(Apart(AtomicU64::new(Self::CLOSED)))
    }

    /// All of it: the generation, where nothing else is to be known.
    #[inline(always)]
    pub(crate) fn word(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// The generation.
    pub(crate) fn epoch(&self) -> u32 {
        self.word() as u32
    }

    pub(crate) fn bump(&self) {
        self.update(|word| word >> 32 << 32 | u64::from((word as u32).wrapping_add(1)));
    }

    pub(crate) fn set(&self, flag: u64, on: bool) {
        self.update(|word| if on { word | flag } else { word & !flag });
    }

    fn update(&self, new: impl Fn(u64) -> u64) {
        let mut word = self.0.load(Ordering::Relaxed);
        while let Err(other) =
            self.0
                .compare_exchange(word, new(word), Ordering::Release, Ordering::Relaxed)
        {
            word = other;
        }
    }
}
