//! What a platform provides to the engine beside time: a log and randomness.

use core::fmt;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Something was refused or degraded.
    Warn,
    /// Something the engine promised did not happen.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Note => "note",
            Level::Warn => "warn",
            Level::Error => "error",
        })
    }
}

/// Where the engine's log lines go. Never called per packet of an established flow.
pub trait Log: Send + Sync {
    /// Takes one line. `text` is formatted only if the log wants it.
    fn log(&self, level: Level, text: fmt::Arguments<'_>);
}

/// A log that takes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLog;

impl Log for NoLog {
    fn log(&self, _: Level, _: fmt::Arguments<'_>) {}
}

/// A source of randomness that an attacker cannot foresee: seeds of hash tables, the choice of NAT ports.
pub trait Random: Send + Sync {
    /// 64 fresh bits.
    fn next_u64(&self) -> u64;
}

/// A random sequence fixed by its seed (SplitMix64): for tests and simulations, never for a driver, where it would make NAT
/// ports and table seeds foreseeable.
#[derive(Debug)]
pub struct SeededRandom(core::sync::atomic::AtomicU64);

impl SeededRandom {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(core::sync::atomic::AtomicU64::new(seed))
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self
            .0
            .fetch_add(STEP, core::sync::atomic::Ordering::Relaxed)
            .wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
