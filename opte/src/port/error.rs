//! Why a port refused a command.

use alloc::string::String;
use core::fmt;

use super::PortState;
use crate::rule::RuleId;

/// Why a port refused a command. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortError {
    /// The command is not allowed in this state.
    BadState(PortState),
    /// The port has no layer of this name.
    LayerNotFound(String),
    /// The port has a layer of this name already.
    LayerExists(String),
    /// The layer has no rule with this identifier in this direction.
    RuleNotFound(RuleId),
    /// A port has at most [`MAX_LAYERS`](super::MAX_LAYERS) layers.
    TooManyLayers,
    /// The port has been started since the first page of its state was saved.
    Stale,
    /// A port needs a limit of at least one flow.
    NoFlows,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortError::BadState(state) => write!(f, "the port is {state}"),
            PortError::LayerNotFound(name) => write!(f, "no layer is named {name}"),
            PortError::LayerExists(name) => write!(f, "a layer is named {name} already"),
            PortError::RuleNotFound(id) => write!(f, "no rule has the identifier {id}"),
            PortError::TooManyLayers => {
                write!(f, "a port has at most {} layers", super::MAX_LAYERS)
            }
            PortError::Stale => f.write_str("the port has been started since"),
            PortError::NoFlows => f.write_str("the limit of flows must be at least one"),
        }
    }
}

impl core::error::Error for PortError {}
