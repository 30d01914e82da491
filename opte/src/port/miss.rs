//! Packets that need the port's lock: the first ones of flows, and those of flows that something has happened to.

use opte_headers::frame::{Fragment, HeaderKind, KeyKind, Parsed};

use super::icmp::Problem;
use super::process::{Arrival, entropy, segment_of};
use super::walk::{End, Frame, Walk};
use super::worker::Claimed;
use super::{Inner, Port, PortState, Verdict, Worker, is_since};
use crate::action::Context;
use crate::flow::{Decisions, Key, NewFlow, NewSide, Passer, Passing, Proto, Trails};
use crate::layer::Layer;
use crate::memory;
use crate::network::Network;
use crate::packet::Packet;
use crate::tcp::{Connection, Segment};
use crate::time::Moment;
use crate::{Direction, DropReason};

/// How often a first packet walks, until its answers are no other flow's.
pub(super) const ATTEMPTS: u8 = 8;

/// The other direction of a flow.
pub(super) struct Back<N: Network> {
    pub(super) hash: u32,
    /// The walk of the first of its packets.
    pub(super) walk: Walk<N>,
}

impl<N: Network> Back<N> {
    /// The key of its packets.
    pub(super) fn key(&self) -> &N::Key {
        &self.walk.stand.came.0
    }

    pub(super) fn side(&self) -> NewSide<'_, N::Key> {
        let (key, l3) = &self.walk.stand.came;
        NewSide {
            key,
            hash: self.hash,
            l3: *l3,
            made: self.walk.stand.made(),
        }
    }
}

impl<N: Network> Worker<'_, N> {
    /// A packet of which it is not certain that it is of a flow.
    #[cold]
    #[inline(never)]
    pub(super) fn missed(
        &mut self,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let mut inner = self.port.inner.lock();
        if self.port.state() != PortState::Running {
            return self.dropped(arrival.dir, DropReason::PortNotRunning);
        }
        match inner.process(self.port, &self.counts, arrival, packet, reply) {
            Ok(verdict) => verdict,
            Err(reason @ DropReason::LayerRuleReject) => {
                drop(inner);
                self.refuse(Some(Problem::Prohibited), reason, arrival, packet, reply)
            }
            Err(reason) => self.dropped(arrival.dir, reason),
        }
    }
}

impl<N: Network> Inner<N> {
    #[inline(always)]
    fn process(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        if arrival.parsed.fragment == Fragment::No {
            self.whole(port, counts, arrival, packet, reply)
        } else if !memory::is_at_hand() {
            Err(DropReason::OutOfMemory)
        } else {
            self.fragment(port, counts, arrival, packet, reply)
        }
    }

    /// A packet that has its transport header.
    #[inline(always)]
    pub(super) fn whole(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let epoch = port.epoch();
        if let Some(id) = self.flows.find(arrival.dir, arrival.hash, arrival.key)
            && let Some(done) = self.known(port, counts, id, epoch, arrival, packet)
        {
            return done.map(|()| Verdict::Forward { hash: arrival.hash });
        }
        self.unknown(port, counts, epoch, arrival, packet, reply)
    }

    /// A packet of a flow there is. `None` if the flow is over, and the packet is the first of another one.
    fn known(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        id: u32,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
    ) -> Option<Result<(), DropReason>> {
        let Arrival {
            dir,
            now,
            parsed,
            hash,
            ..
        } = arrival;
        let flow = self.flows.get(id)?;
        if flow.is_doubtful(epoch, now)
            && let Err(reason) = self.doubtful(port, counts, id, epoch, arrival, packet)?
        {
            return Some(Err(reason));
        }
        // Whatever was written to the record since it was found, it is the packet's.
        let found = port.flows.find(dir, hash, &arrival.key.words())?;
        let passer = Passer {
            dir,
            now,
            epoch,
            l3: parsed.l3_index().unwrap_or_default(),
            len: packet.len(),
        };
        let others = |number| self.flows.program(number);
        let passing = port.flows.pass(found, passer, parsed, packet, others);
        let (program, translation, unsettled) = match passing {
            Passing::Pass {
                program,
                translation,
                unsettled,
            } => (program, translation, unsettled),
            Passing::Drop(reason) => return Some(Err(reason)),
            Passing::Restart => {
                self.flows.remove(id);
                return None;
            }
            // A cached program counts headers: it is for frames of the same shape only.
            Passing::Unclear => return Some(Err(DropReason::ProgramApply)),
        };
        let applied = packet.apply_bound(program, &translation, arrival.parsed, entropy(hash));
        if unsettled {
            self.flows.settle((found.id, found.sequence), now);
        }
        Some(match applied {
            Ok(()) => {
                counts.hit(dir, passer.len);
                Ok(())
            }
            Err(_) => {
                counts.lost_hit(dir);
                Err(DropReason::ProgramApply)
            }
        })
    }

    /// A packet of a flow that may be over: expired, decided before something changed, or revoked.
    #[cold]
    pub(super) fn doubtful(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        id: u32,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
    ) -> Option<Result<(), DropReason>> {
        let flow = self.flows.get(id)?;
        if flow.deadline() <= arrival.now {
            self.flows.remove(id);
            return None;
        }
        if flow.epoch() != epoch {
            if !memory::is_at_hand() {
                return Some(Err(DropReason::OutOfMemory));
            }
            self.revalidate(port, id, epoch, arrival.now);
            counts.revalidated(arrival.dir);
        }
        let flow = self.flows.get(id)?;
        if !flow.is_revoked() {
            // The answer's key may have changed with a descriptor: then this packet is no longer of the flow.
            let side = flow.side(arrival.dir);
            return (side.key == *arrival.key && side.program.is_some()).then_some(Ok(()));
        }
        // A new connection between the same ends is judged by the rules of now.
        let opens = segment_of(arrival.parsed, packet).is_some_and(|segment| {
            segment.flags & (Segment::SYN | Segment::ACK | Segment::RST | Segment::FIN)
                == Segment::SYN
        });
        if opens {
            self.flows.remove(id);
            return None;
        }
        Some(Err(DropReason::FlowRevoked))
    }

    /// Walks a flow again, by what its first packet was. What the layers decide as before is kept.
    fn revalidate(&mut self, port: &Port<N>, id: u32, epoch: u32, now: Moment) {
        self.flows.trails.make_room();
        let before = self.flows.set_decisions(id, Decisions::new());
        let Some(flow) = self.flows.get(id) else {
            return;
        };
        let (first, decided) = (flow.first(), flow.epoch());
        let side = flow.side(first);
        let (key, l3) = (side.key, side.l3);
        let mut walk = Walk::uncounted(first, key, l3, &mut self.flows.trails);
        let forgotten = &self.forgotten;
        let held = |at: usize| {
            let forgotten = forgotten
                .get(at)
                .is_some_and(|since| !is_since(decided, *since));
            before.descriptor(at).filter(|_| !forgotten).cloned()
        };
        let setting = port.setting(port.context(now), &mut self.flows.trails);
        match walk.forward(setting, &mut self.layers, held, None) {
            End::Pass if walk.of_flow => {
                let mut back = None;
                self.back_of(port, &walk, &mut back);
                let forward = NewSide {
                    key: &key,
                    hash: port.flows.hash(key.words()),
                    l3,
                    made: walk.stand.made(),
                };
                let back = back.as_ref().map(Back::side);
                self.flows.set_side(id, first, Some(&forward));
                self.flows.set_side(id, first.opposite(), back.as_ref());
                self.flows.set_decisions(id, walk.decisions);
                self.flows.set_revoked(id, false, now);
            }
            // The rules now look at the packet itself: it is no flow of theirs.
            End::Pass | End::Reply(_) => {
                self.flows.remove(id);
                return;
            }
            End::Drop(_) => {
                self.flows.set_decisions(id, before);
                self.flows.set_revoked(id, true, now);
            }
        }
        self.flows.set_epoch(id, epoch);
    }

    /// The first packet of a flow, or one that is of no flow.
    #[cold]
    fn unknown(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let Arrival {
            dir,
            now,
            parsed,
            key,
            hash,
        } = arrival;
        counts.miss(dir);
        port.network
            .admits(parsed)
            .map_err(|error| DropReason::from(&error))?;
        if parsed.key.kind == KeyKind::ICMP
            && let Some(sent) = self.related(port, counts, epoch, arrival, packet)
        {
            return sent.map(|hash| Verdict::Forward { hash });
        }
        let segment = segment_of(arrival.parsed, packet);
        if let Some(segment) = &segment {
            Connection::may_open(segment, *port.midstream.get(dir))?;
        }
        let meter = port.meters.of(dir);
        if key.is_flow()
            && let Err(reason) = (self.flows.admits(now, dir, key))
                .and_then(|()| meter.may_begin(now, self.flows.begun(dir)))
        {
            return self.without_flow(port, counts, arrival, packet, reply, reason);
        }
        let l3 = parsed.l3_index().unwrap_or_default();
        self.flows.trails.make_room();
        let mut walk = Walk::new(dir, *key, l3, &mut self.flows.trails);
        let mut back = None;
        match self.decide(port, arrival, packet, reply, &mut walk, &mut back) {
            Ok(()) => {}
            Err(End::Reply(len)) => {
                counts.hairpin(dir);
                return Ok(Verdict::Hairpin(len as u32));
            }
            Err(End::Drop(reason)) => return Err(reason),
            Err(End::Pass) => return Err(DropReason::ActionFailed),
        };
        let len = packet.len();
        let mut entered = None;
        if walk.of_flow && key.is_flow() {
            let connection = segment.map(|segment| Connection::open(dir, &segment));
            let mut new = NewFlow {
                first: dir,
                proto: proto_of(parsed),
                connection: connection.as_ref(),
                epoch,
                decisions: &mut walk.decisions,
                forward: NewSide {
                    key,
                    hash,
                    l3,
                    made: walk.stand.made(),
                },
                back: back.as_ref().map(Back::side),
            };
            let id = self.flows.insert(now, &mut new);
            entered = Some(id.ok_or(DropReason::FlowTableFull)?);
            meter.began(now);
        }
        let applied = match entered.and_then(|id| self.flows.done_to(id, dir)) {
            Some((program, translation)) => {
                packet.apply_bound(program, &translation, parsed, entropy(hash))
            }
            None => packet.apply(&walk.program(&self.flows.trails)?, parsed, entropy(hash)),
        };
        if applied.is_err() {
            if let Some(id) = entered {
                self.flows.remove(id);
            }
            return Err(DropReason::ProgramApply);
        }
        counts.forwarded(dir, len);
        if let Some(id) = entered {
            self.flows.count_first(id, dir, len);
        }
        Ok(Verdict::Forward { hash })
    }

    /// Takes `walk`, which is new, through the layers, for a flow in both directions. Where its answers would be another flow's, as
    /// two calls from one far end to two addresses of the guest are, it is walked again for another translation.
    fn decide(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        reply: &mut [u8],
        walk: &mut Walk<N>,
        back: &mut Option<Back<N>>,
    ) -> Result<(), End> {
        let Arrival {
            dir,
            now,
            parsed,
            key,
            ..
        } = arrival;
        let l3 = parsed.l3_index().unwrap_or_default();
        for attempt in 0..ATTEMPTS {
            if attempt != 0 {
                *walk = Walk::uncounted(dir, *key, l3, &mut self.flows.trails);
            }
            let frame = Frame {
                parsed,
                bytes: packet.frame(),
                reply: &mut *reply,
            };
            let context = Context {
                attempt,
                ..port.context(now)
            };
            let layers = &mut self.layers;
            let shown = port.probes.is_on();
            if shown {
                walk.record(&mut self.flows.trails);
            }
            let setting = port.setting(context, &mut self.flows.trails);
            let end = walk.forward(setting, layers, |_| None, Some(frame));
            if shown {
                let arrived = (packet.frame(), parsed, arrival.hash);
                port.show_steps(dir, now, arrived, &walk.take_steps());
            }
            match end {
                End::Pass => {}
                // No other translation is to be had.
                End::Drop(_) if attempt != 0 => break,
                end => return Err(end),
            }
            if !walk.of_flow || !key.is_flow() {
                return Ok(());
            }
            self.back_of(port, walk, back);
            match back {
                Some(back) if self.is_taken(dir.opposite(), back.hash, back.key(), now) => {}
                _ => return Ok(()),
            }
        }
        Err(End::Drop(DropReason::FlowCollision))
    }

    /// Whether a flow there is has this key. One that is over leaves it.
    fn is_taken(&mut self, dir: Direction, hash: u32, key: &N::Key, now: Moment) -> bool {
        match self.occupant(dir, hash, key, now) {
            None => false,
            Some((_, false)) => true,
            Some((id, true)) => {
                self.flows.remove(id);
                false
            }
        }
    }

    /// The flow that has this key, and whether it is over.
    #[inline(always)]
    pub(super) fn occupant(
        &self,
        dir: Direction,
        hash: u32,
        key: &N::Key,
        now: Moment,
    ) -> Option<(u32, bool)> {
        let id = self.flows.find(dir, hash, key)?;
        let flow = self.flows.get(id);
        let over = flow.is_none_or(|flow| flow.is_revoked() || flow.deadline() <= now);
        Some((id, over))
    }

    /// Puts the other direction of the flow whose first packet has walked into `place`, or none.
    pub(super) fn back_of(&mut self, port: &Port<N>, walk: &Walk<N>, place: &mut Option<Back<N>>) {
        port.back_of(&mut self.layers, walk, &mut self.flows.trails, place);
    }
}

impl<N: Network> Port<N> {
    /// The same with these layers, on these trails.
    pub(super) fn back_of(
        &self,
        layers: &mut [Layer<N>],
        walk: &Walk<N>,
        trails: &mut Trails,
        place: &mut Option<Back<N>>,
    ) {
        *place = None;
        let key = self
            .network
            .return_key(walk.stand.dir, &walk.stand.key, &walk.meta);
        if !key.is_flow() {
            return;
        }
        let back = place.insert(Back {
            hash: self.flows.hash(key.words()),
            walk: Walk::new(walk.stand.dir.opposite(), key, walk.stand.l3, trails),
        });
        if back.walk.back(layers, &walk.decisions, trails).is_none() {
            *place = None;
        }
    }
}

fn proto_of(parsed: &Parsed) -> Proto {
    match parsed.l4_kind() {
        HeaderKind::Tcp => Proto::Tcp,
        HeaderKind::Udp => Proto::Udp,
        HeaderKind::Icmpv4 | HeaderKind::Icmpv6 => Proto::Icmp,
        _ => Proto::Other,
    }
}
