//! What would become of a packet, and why.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use opte_headers::frame::{Fragment, KeyKind};
use opte_headers::program::Program;

use super::process::Arrival;
use super::related::Related;
use super::walk::{End, Frame, Walk};
use super::{Inner, Port, PortState, is_since};
use crate::action::Context;
use crate::api::FlowId;
use crate::flow::{Key, Trails};
use crate::fragment::Leader;
use crate::network::Network;
use crate::packet::Packet;
use crate::rule::RuleId;
use crate::tcp::{Connection, Outcome};
use crate::time::Moment;
use crate::{Direction, DropReason};

/// What would become of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The flow of the packet, as it came; `None` for what is no flow's or was not understood.
    pub flow: Option<FlowId>,
    /// Whether the flow is known.
    pub known: bool,
    /// What each layer did, in the order of the walk. A flow that is known and up to date walks no layers.
    pub steps: Vec<Step>,
    /// All that would be done to the packet, as one program.
    pub program: String,
    /// The end of it.
    pub fate: Fate,
}

/// What one layer did with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The layer.
    pub layer: String,
    /// The rule that decided; `None` for the layer's default.
    pub rule: Option<RuleId>,
    /// What was done, as dumps of rules say it.
    pub action: String,
    /// The flow before.
    pub before: FlowId,
    /// The flow after.
    pub after: FlowId,
    /// What the layer did to the packet, a line each; `nothing` where nothing.
    pub transformation: String,
    /// All that was done to the packet so far.
    pub(super) so_far: Program,
}

/// The end of a traced packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, as this frame.
    Forward(Vec<u8>),
    /// It is answered by this frame.
    Hairpin(Vec<u8>),
    /// It is a fragment that would be held until the first one of its packet comes.
    Held,
    /// It is dropped.
    Drop(DropReason),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.layer)?;
        match self.rule {
            Some(id) => write!(f, "rule {id}: {}", self.action)?,
            None => write!(f, "default: {}", self.action)?,
        }
        if self.before != self.after {
            write!(f, ": {} becomes {}", self.before, self.after)?;
        }
        Ok(())
    }
}

/// Room for what a program puts before a frame, and for replies.
const HEAD_ROOM: usize = 128;
const REPLY: usize = 2048;

impl<N: Network> Port<N> {
    /// Whether a packet would go on; or else be answered by the network's services, or held.
    ///
    /// # Errors
    /// Why it would be dropped.
    pub(super) fn foresee(
        &self,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Result<bool, DropReason> {
        let mut trace = Trace {
            flow: None,
            known: false,
            steps: Vec::new(),
            program: String::new(),
            fate: Fate::Held,
        };
        let mut inner = self.inner.lock();
        if self.state() != PortState::Running {
            return Err(DropReason::PortNotRunning);
        }
        let passed = inner.trace(self, arrival, packet, reply, &mut trace)?;
        Ok(matches!(passed, Passed::By(..) | Passed::With(..)))
    }

    /// Tells what would become of a frame that goes `dir` and comes at `now`. It walks the same code as the frame would, and
    /// changes nothing: no flow, no counter, no port of a share.
    pub fn trace(&self, dir: Direction, now: Moment, frame: &[u8]) -> Trace {
        let dropped = |reason| Trace {
            flow: None,
            known: false,
            steps: Vec::new(),
            program: String::new(),
            fate: Fate::Drop(reason),
        };
        let parsed = match self.network.parse(dir, frame) {
            Ok(parsed) => parsed,
            Err(error) => return dropped(DropReason::from(&error)),
        };
        let key = self.network.key(dir, &parsed, frame);
        let hash = self.flows.hash(key.words());
        let mut buf = [&[0; HEAD_ROOM][..], frame].concat();
        let end = buf.len();
        let Some(mut packet) = Packet::new(&mut buf, HEAD_ROOM, end) else {
            return dropped(DropReason::ParseTruncated);
        };
        let arrival = Arrival {
            dir,
            now,
            parsed: &parsed,
            key: &key,
            hash,
        };
        let mut reply = vec![0; REPLY];
        let mut trace = Trace {
            flow: key.is_flow().then(|| key.id()),
            ..dropped(DropReason::PortNotRunning)
        };
        let mut inner = self.inner.lock();
        if self.state() != PortState::Running {
            return trace;
        }
        if let Err(reason) = self.meters.of(dir).would_admit(now) {
            return Trace {
                fate: Fate::Drop(reason),
                ..trace
            };
        }
        let outcome = inner.trace(self, arrival, &mut packet, &mut reply, &mut trace);
        drop(inner);
        trace.fate = match outcome {
            Err(reason) => Fate::Drop(reason),
            Ok(Passed::Reply(len)) => {
                reply.truncate(len);
                Fate::Hairpin(reply)
            }
            Ok(Passed::Held) => Fate::Held,
            Ok(Passed::With(related, program)) => {
                trace.program = related.key.text_of(&program);
                match related.translate(&program, &parsed, &mut packet) {
                    Ok(()) => Fate::Forward(packet.frame().to_vec()),
                    Err(reason) => Fate::Drop(reason),
                }
            }
            Ok(Passed::By(program, hash)) => {
                trace.program = key.text_of(&program);
                match packet.apply(&program, &parsed, super::process::entropy(hash)) {
                    Ok(()) => Fate::Forward(packet.frame().to_vec()),
                    Err(_) => Fate::Drop(DropReason::ProgramApply),
                }
            }
        };
        trace
    }
}

enum Passed<K> {
    Reply(usize),
    Held,
    By(Box<Program>, u32),
    /// An ICMP error, by the program of its flow.
    With(Related<K>, Box<Program>),
}

impl<N: Network> Inner<N> {
    fn trace(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
        trace: &mut Trace,
    ) -> Result<Passed<N::Key>, DropReason> {
        if arrival.parsed.fragment == Fragment::Later {
            return self.trace_fragment(port, arrival, packet, trace);
        }
        if arrival.parsed.key.kind == KeyKind::ICMP
            && let Some(related) = port.relate(arrival, packet)?
        {
            return self.trace_related(port, arrival, packet, related, trace);
        }
        let found = self.flows.find(arrival.dir, arrival.hash, arrival.key);
        let mut stays = false;
        if let Some(id) = found
            && self
                .flows
                .get(id)
                .is_some_and(|flow| flow.deadline() > arrival.now)
            && let Some(passed) = self.trace_known(port, id, arrival, packet, trace, &mut stays)
        {
            trace.known = true;
            return passed;
        }
        port.network
            .admits(arrival.parsed)
            .map_err(|error| DropReason::from(&error))?;
        if let Some(segment) = super::process::segment_of(arrival.parsed, packet) {
            Connection::may_open(&segment, *port.midstream.get(arrival.dir))?;
        }
        let refused = self.refusal(port, arrival);
        if let Some(reason) = refused
            && arrival.dir == Direction::In
        {
            return Err(reason);
        }
        let l3 = arrival.parsed.l3_index().unwrap_or_default();
        for attempt in 0..super::miss::ATTEMPTS {
            let mut none = Trails::default();
            let mut walk = Walk::observed(arrival.dir, *arrival.key, l3, &mut none);
            let frame = Frame {
                parsed: arrival.parsed,
                bytes: packet.frame(),
                reply: &mut *reply,
            };
            let context = Context {
                attempt,
                ..port.dry(arrival.now)
            };
            let layers = &mut self.layers;
            let setting = port.setting(context, &mut none);
            let end = walk.forward(setting, layers, |_| None, Some(frame));
            trace.steps = walk.take_steps();
            match end {
                End::Pass => {}
                End::Reply(len) => return Ok(Passed::Reply(len)),
                End::Drop(_) if attempt != 0 => break,
                End::Drop(reason) => return Err(reason),
            }
            let of_flow = walk.of_flow && arrival.key.is_flow();
            if let Some(reason) = refused.filter(|_| of_flow) {
                return Err(reason);
            }
            let mut back = None;
            if of_flow {
                port.back_of(&mut self.layers, &walk, &mut Trails::default(), &mut back);
            }
            let other = back.and_then(|back| {
                let dir = arrival.dir.opposite();
                self.occupant(dir, back.hash, back.key(), arrival.now)
            });
            // Of the flow that was found it is known what becomes of it; it may have been revoked until now.
            let leaves = |(id, over)| if Some(id) == found { !stays } else { over };
            if other.is_none_or(leaves) {
                let program = walk.program(&none)?;
                return Ok(Passed::By(Box::new(program), arrival.hash));
            }
        }
        Err(DropReason::FlowCollision)
    }

    /// Why a packet would find no room for its flow.
    fn refusal(&self, port: &Port<N>, arrival: Arrival<'_, N::Key>) -> Option<DropReason> {
        if !arrival.key.is_flow() {
            return None;
        }
        if self.flows.is_over_quota(arrival.dir, arrival.key) {
            return Some(DropReason::FlowQuota);
        }
        if !self.flows.may_enter() {
            return Some(DropReason::FlowTableFull);
        }
        let begun = self.flows.begun(arrival.dir);
        let meter = port.meters.of(arrival.dir);
        meter.may_begin(arrival.now, begun).err()
    }

    /// An ICMP error.
    fn trace_related(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        related: Related<N::Key>,
        trace: &mut Trace,
    ) -> Result<Passed<N::Key>, DropReason> {
        let of_flow = Arrival {
            key: &related.key,
            hash: related.hash,
            ..arrival
        };
        let found = self.flows.find(arrival.dir, related.hash, &related.key);
        let id = found;
        let flow = id.and_then(|id| self.flows.get(id));
        let live = flow.is_some_and(|flow| flow.deadline() > arrival.now);
        let passed = id.filter(|_| live);
        let passed =
            passed.and_then(|id| self.trace_known(port, id, of_flow, packet, trace, &mut false));
        match passed.ok_or(DropReason::IcmpUnrelated)?? {
            Passed::By(program, _) => {
                trace.flow = Some(related.key.id());
                trace.known = true;
                Ok(Passed::With(related, program))
            }
            other => Ok(other),
        }
    }

    /// A later fragment.
    fn trace_fragment(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        trace: &mut Trace,
    ) -> Result<Passed<N::Key>, DropReason> {
        let Some((leader, piece)) = self.fragment_flow(port, arrival, packet)? else {
            return Ok(Passed::Held);
        };
        let Leader { key, hash, segment } = leader;
        let arrival = Arrival {
            key: &key,
            hash,
            ..arrival
        };
        let found = self.flows.find(arrival.dir, hash, &key);
        let passed =
            found.and_then(|id| self.trace_known(port, id, arrival, packet, trace, &mut false));
        let connection = found.and_then(|id| self.flows.get(id)?.connection());
        if let (Some(mut connection), Some(segment)) = (connection, segment)
            && let Some(part) = segment.part(piece)
            && let Outcome::Drop(reason) = connection.part(arrival.dir, &part)
        {
            return Err(reason);
        }
        trace.flow = Some(key.id());
        trace.known = true;
        match passed.ok_or(DropReason::FragmentOrphan)?? {
            Passed::By(program, hash) => {
                let behind = arrival.parsed.l3_index().unwrap_or_default() + 1;
                let part = program.before_header(behind);
                Ok(Passed::By(Box::new(part), hash))
            }
            other => Ok(other),
        }
    }

    /// A packet of a flow there is; `None` if it would begin another one, and then `stays` if that flow is not over.
    fn trace_known(
        &mut self,
        port: &Port<N>,
        id: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        trace: &mut Trace,
        stays: &mut bool,
    ) -> Option<Result<Passed<N::Key>, DropReason>> {
        let flow = self.flows.get(id)?;
        let mut program = flow.side(arrival.dir).program?;
        if flow.epoch() != port.epoch() {
            let (forgotten, decided, first) = (&self.forgotten, flow.epoch(), flow.first());
            let held = |at: usize| {
                let forgotten = forgotten
                    .get(at)
                    .is_some_and(|since| !is_since(decided, *since));
                flow.decisions()?
                    .descriptor(at)
                    .filter(|_| !forgotten)
                    .cloned()
            };
            let side = flow.side(first);
            let (context, mut none) = (port.dry(arrival.now), Trails::default());
            let mut walk = Walk::observed(first, side.key, side.l3, &mut none);
            let setting = port.setting(context, &mut none);
            let end = walk.forward(setting, &mut self.layers, held, None);
            trace.steps = walk.take_steps();
            match end {
                End::Pass if walk.of_flow && arrival.dir == first => {
                    program = walk.program(&none).ok()?;
                }
                End::Pass if walk.of_flow => {
                    *stays = true;
                    let mut back = None;
                    port.back_of(&mut self.layers, &walk, &mut none, &mut back);
                    let back = back.filter(|back| back.key() == arrival.key)?;
                    program = back.walk.program(&none).ok()?;
                }
                End::Drop(_) => return Some(Err(DropReason::FlowRevoked)),
                End::Pass | End::Reply(_) => return None,
            }
        } else if flow.is_revoked() {
            return Some(Err(DropReason::FlowRevoked));
        }
        let flow = self.flows.get(id)?;
        if let (Some(mut connection), Some(segment)) = (
            flow.connection(),
            super::process::segment_of(arrival.parsed, packet),
        ) {
            match connection.segment(arrival.dir, &segment) {
                Outcome::Pass => {}
                Outcome::Drop(reason) => return Some(Err(reason)),
                Outcome::Restart => return None,
            }
        }
        Some(Ok(Passed::By(Box::new(program), arrival.hash)))
    }
}
