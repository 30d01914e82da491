//! The commands that look closer at a port.

use alloc::string::String;
use alloc::vec::Vec;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::FlowId;
use crate::Direction;
use crate::port::{By, Fate, HeavyFlow, Step, Trace};

/// Lists the flows of a port that have carried most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct HeavyHittersReq {
    /// The port.
    pub port_name: String,
    /// What flows are compared by.
    pub by: By,
    /// How many flows to list; a driver lists at most 1,024.
    pub count: u32,
}

/// The flows of a port that have carried most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct HeavyHittersResp {
    /// The heaviest first.
    pub flows: Vec<HeavyFlow>,
}

/// Tells what would become of a packet, and why. Nothing is changed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct TracePacketReq {
    /// The port.
    pub port_name: String,
    /// Which way the packet goes.
    pub dir: Direction,
    /// The frame as it comes to the port: from the guest, or from the underlay with the tunnel's headers.
    pub frame: Vec<u8>,
}

/// What would become of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct TracePacketResp {
    /// The flow of the packet, as it comes; `None` for what is no flow's or was not understood.
    pub flow: Option<FlowId>,
    /// Whether the flow is known. One that is known and up to date walks no layers.
    pub known: bool,
    /// What each layer does, in the order of the walk.
    pub steps: Vec<TraceStep>,
    /// All that is done to the packet, as one program.
    pub program: String,
    /// The end of it.
    pub fate: TraceFate,
}

/// What one layer does with a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct TraceStep {
    /// The layer.
    pub layer: String,
    /// The rule that decides; `None` for the layer's default.
    pub rule: Option<u64>,
    /// What it does, as dumps of rules say it.
    pub action: String,
    /// The flow before.
    pub before: FlowId,
    /// The flow after.
    pub after: FlowId,
    /// What the layer does to the packet, a line each; `nothing` where nothing.
    pub transformation: String,
}

/// The end of a traced packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum TraceFate {
    /// It goes on, as this frame.
    Forward(Vec<u8>),
    /// It is answered by this frame.
    Hairpin(Vec<u8>),
    /// It is a fragment that would be held until the first one of its packet comes.
    Held,
    /// It is dropped for this reason.
    Drop(String),
}

impl From<Trace> for TracePacketResp {
    fn from(trace: Trace) -> Self {
        Self {
            flow: trace.flow,
            known: trace.known,
            steps: trace.steps.into_iter().map(TraceStep::from).collect(),
            program: trace.program,
            fate: match trace.fate {
                Fate::Forward(frame) => TraceFate::Forward(frame),
                Fate::Hairpin(frame) => TraceFate::Hairpin(frame),
                Fate::Held => TraceFate::Held,
                Fate::Drop(reason) => TraceFate::Drop(reason.name().into()),
            },
        }
    }
}

impl From<Step> for TraceStep {
    fn from(step: Step) -> Self {
        Self {
            layer: step.layer,
            rule: step.rule,
            action: step.action,
            before: step.before,
            after: step.after,
            transformation: step.transformation,
        }
    }
}
