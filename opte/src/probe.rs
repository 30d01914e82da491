//! Probes: what a port shows to who looks, while it looks.
//!
//! A port without a probe asks once for each packet or burst whether there is one, and that is all it costs. What a probe is shown
//! is made for it then: frames are copied, layers named, keys written out.
//!
//! | point | when |
//! |---|---|
//! | [`Point::Arrived`] | before anything else |
//! | [`Point::BeforeLayer`], [`Point::AfterLayer`] | for a packet that walks the layers, in the order of its walk |
//! | [`Point::FlowMade`], [`Point::FlowEnded`] | a flow entered the table, or left it |
//! | [`Point::Hit`] | the packet was of a known flow, and goes on |
//! | [`Point::Walked`] | it walked the layers, and goes on |
//! | [`Point::Held`] | it waits for the first fragment of its packet |
//! | [`Point::Hairpin`] | the port answers it |
//! | [`Point::Dropped`] | it is dropped |

use core::fmt;

use crate::api::FlowId;
use crate::rule::RuleId;
use crate::time::Moment;
use crate::{Direction, DropReason};

/// Who looks. To be attached to a port ([`Port::observe`](crate::port::Port::observe)).
pub trait Probe: Send + Sync {
    /// Something happened. Packets of the port wait, so this should not take long; it must not call the port.
    fn fire(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The name of the port.
    pub port: &'a str,
    /// When the packet came, or flows were looked at.
    pub now: Moment,
    /// The way of the packet; of a flow that ended, that of its key.
    pub dir: Direction,
    /// What happened.
    pub point: Point<'a>,
    /// The flow that the packet is of, as it stands there, as far as that is known.
    pub flow: Option<FlowId>,
    /// The frame as it stands there; of [`Point::Hairpin`] the answer; of a flow that ended, none.
    pub frame: &'a [u8],
}

/// What happened, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point<'a> {
    /// The packet came.
    Arrived,
    /// It comes to a layer.
    BeforeLayer(&'a str),
    /// It comes from a layer.
    AfterLayer {
        /// The layer.
        layer: &'a str,
        /// The rule that decided; `None` for the layer's default.
        rule: Option<RuleId>,
    },
    /// It made a flow.
    FlowMade,
    /// A flow is no longer there.
    FlowEnded,
    /// It goes on, by what its flow says.
    Hit,
    /// It goes on, by what the layers said.
    Walked,
    /// It is held.
    Held,
    /// It is answered.
    Hairpin,
    /// It is dropped.
    Dropped(DropReason),
}

impl Point<'_> {
    /// Its name, in snake case.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::BeforeLayer(_) => "before_layer",
            Self::AfterLayer { .. } => "after_layer",
            Self::FlowMade => "flow_made",
            Self::FlowEnded => "flow_ended",
            Self::Hit => "hit",
            Self::Walked => "walked",
            Self::Held => "held",
            Self::Hairpin => "hairpin",
            Self::Dropped(_) => "dropped",
        }
    }
}

impl fmt::Display for Point<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeLayer(layer) => write!(f, "before {layer}"),
            Self::AfterLayer { layer, rule: None } => write!(f, "after {layer}: default"),
            Self::AfterLayer {
                layer,
                rule: Some(rule),
            } => write!(f, "after {layer}: rule {rule}"),
            Self::Dropped(reason) => write!(f, "dropped: {reason}"),
            other => f.write_str(other.name()),
        }
    }
}
