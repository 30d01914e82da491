//! The life of a port.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Where a port is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortState {
    /// Made, and not yet started: rules may be changed, packets are dropped.
    Ready,
    /// Takes packets.
    Running,
    /// Keeps its flows, drops packets and refuses changes, so that it can be looked at or saved.
    Paused,
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortState::Ready => "ready",
            PortState::Running => "running",
            PortState::Paused => "paused",
        })
    }
}
