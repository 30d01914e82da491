//! Counters of a service.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{Answer, ServiceError};

/// How often a service did what, counted by whoever runs it.
#[derive(Debug, Default)]
pub struct Counters {
    replied: AtomicU64,
    accepted: AtomicU64,
    passed: AtomicU64,
    refused: AtomicU64,
    no_room: AtomicU64,
}

/// The values of [`Counters`] at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests answered.
    pub replied: u64,
    /// Frames that were for the service and ask for no answer.
    pub accepted: u64,
    /// Frames that were not for the service.
    pub passed: u64,
    /// Requests that were malformed.
    pub refused: u64,
    /// Requests whose reply did not fit.
    pub no_room: u64,
}

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            replied: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            no_room: AtomicU64::new(0),
        }
    }

    /// Counts one frame.
    pub fn count(&self, outcome: &Result<Answer, ServiceError>) {
        let counter = match outcome {
            Ok(Answer::Reply(_)) => &self.replied,
            Ok(Answer::Accepted) => &self.accepted,
            Ok(Answer::NotForUs) => &self.passed,
            Err(ServiceError::Request(_)) => &self.refused,
            Err(ServiceError::NoRoom { .. }) => &self.no_room,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The values now.
    pub fn read(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            replied: of(&self.replied),
            accepted: of(&self.accepted),
            passed: of(&self.passed),
            refused: of(&self.refused),
            no_room: of(&self.no_room),
        }
    }
}
