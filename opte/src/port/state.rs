//! The life of a port.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Where a port is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum PortState {
    /// Made, and not yet started: rules may be changed, packets are dropped.
    Ready,
    /// Takes packets.
    Running,
    /// Keeps its flows, drops packets and refuses changes, so that it can be looked at or saved.
    Paused,
    /// Holds the flows that another port had saved, and is not yet started.
    Restored,
}

impl PortState {
    /// Of its number.
    #[inline(always)]
    pub(super) fn of(number: u8) -> Self {
        match number {
            1 => PortState::Running,
            2 => PortState::Paused,
            3 => PortState::Restored,
            _ => PortState::Ready,
        }
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortState::Ready => "ready",
            PortState::Running => "running",
            PortState::Paused => "paused",
            PortState::Restored => "restored",
        })
    }
}
