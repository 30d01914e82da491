//! What happens to packets.

use core::mem;

use opte_headers::frame::{Fragment, HeaderKind, KeyKind, Parsed};

use super::walk::{End, Frame, Walk};
use super::{Inner, Port, PortState, Verdict, is_since};
use crate::action::Context;
use crate::flow::{Decisions, Key, NewFlow, NewSide, Proto};
use crate::network::Network;
use crate::packet::Packet;
use crate::tcp::{Connection, Outcome, Segment};
use crate::time::Moment;
use crate::{Direction, DropReason};

/// The walk of a flow's first packet, and the flow's other direction.
type Decided<N> = (Walk<N>, Option<NewSide<<N as Network>::Key>>);

/// A packet that has been parsed.
#[derive(Clone, Copy)]
pub(super) struct Arrival<'a, K> {
    pub(super) dir: Direction,
    pub(super) now: Moment,
    pub(super) parsed: &'a Parsed,
    pub(super) key: &'a K,
    pub(super) hash: u32,
}

impl<N: Network> Port<N> {
    /// Processes a packet that goes `dir` and came at `now`: transforms it where it lies, or writes an answer at the
    /// beginning of `reply`, or drops it.
    pub fn process(
        &self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        // Each direction has machine code of its own, which does not choose between the two at every step.
        match dir {
            Direction::In => self.process_one(Direction::In, now, packet, reply),
            Direction::Out => self.process_one(Direction::Out, now, packet, reply),
        }
    }

    #[inline(always)]
    fn process_one(
        &self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let parsed = self.network.parse(dir, packet.frame());
        let parsed = match &parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.inner.lock().dropped(dir, DropReason::from(error)),
        };
        let key = self.network.key(dir, parsed, packet.frame());
        let hash = key.hash(&self.seed);
        let arrival = Arrival {
            dir,
            now,
            parsed,
            key: &key,
            hash,
        };
        self.inner.lock().process(self, arrival, packet, reply)
    }

    /// Processes a burst of packets as [`Port::process`] does each of them, with the work common to all done once. The
    /// answers stand in `reply` back to back, in the order of their verdicts. There are to be as many `verdicts` as
    /// `packets`; packets without one are left alone.
    pub fn process_burst(
        &self,
        dir: Direction,
        now: Moment,
        packets: &mut [Packet<'_>],
        mut reply: &mut [u8],
        verdicts: &mut [Verdict],
    ) {
        const BURST: usize = 16;
        for (packets, verdicts) in packets.chunks_mut(BURST).zip(verdicts.chunks_mut(BURST)) {
            let mut arrivals = [const { None }; BURST];
            for (arrival, packet) in arrivals.iter_mut().zip(packets.iter()) {
                let frame = packet.frame();
                *arrival = Some(self.network.parse(dir, frame).map(|parsed| {
                    let key = self.network.key(dir, &parsed, frame);
                    (parsed, key, key.hash(&self.seed))
                }));
            }
            let mut inner = self.inner.lock();
            for ((arrival, packet), verdict) in arrivals.iter().zip(packets).zip(verdicts) {
                *verdict = match arrival {
                    Some(Ok((parsed, key, hash))) => {
                        let arrival = Arrival {
                            dir,
                            now,
                            parsed,
                            key,
                            hash: *hash,
                        };
                        inner.process(self, arrival, packet, reply)
                    }
                    Some(Err(error)) => inner.dropped(dir, DropReason::from(error)),
                    None => continue,
                };
                if let Verdict::Hairpin(len) = *verdict {
                    reply = mem::take(&mut reply).get_mut(len..).unwrap_or_default();
                }
            }
        }
    }

    fn context(&self, now: Moment) -> Context<'_> {
        Context {
            now,
            random: &*self.random,
            attempt: 0,
            dry_run: false,
        }
    }

    /// For a walk that is to leave no trace.
    pub(super) fn dry(&self, now: Moment) -> Context<'_> {
        Context {
            dry_run: true,
            ..self.context(now)
        }
    }
}

impl<N: Network> Inner<N> {
    #[inline(always)]
    fn process(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        if self.state != PortState::Running {
            return self.dropped(arrival.dir, DropReason::PortNotRunning);
        }
        if arrival.parsed.fragment != Fragment::No {
            return self.fragment(port, arrival, packet, reply);
        }
        self.whole(port, arrival, packet, reply)
    }

    /// A packet that has its transport header.
    #[inline(always)]
    pub(super) fn whole(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let epoch = port.epoch(self.epoch);
        if let Some(id) = self.flows.find(arrival.dir, arrival.hash, arrival.key)
            && let Some(done) = self.known(port, id, epoch, arrival, packet)
        {
            return match done {
                Ok(()) => Verdict::Forward { hash: arrival.hash },
                Err(reason) => self.dropped(arrival.dir, reason),
            };
        }
        match self.unknown(port, epoch, arrival, packet, reply) {
            Ok(verdict) => verdict,
            Err(reason) => self.dropped(arrival.dir, reason),
        }
    }

    /// A packet of a flow there is. `None` if the flow is over, and the packet is the first of another one.
    #[inline(always)]
    fn known(
        &mut self,
        port: &Port<N>,
        id: u32,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
    ) -> Option<Result<(), DropReason>> {
        let mut parts = self.flows.parts_mut(id)?;
        let flow = &parts.flow;
        if flow.epoch != epoch || flow.revoked || flow.deadline <= arrival.now {
            match self.doubtful(port, id, epoch, arrival, packet)? {
                Ok(()) => parts = self.flows.parts_mut(id)?,
                Err(reason) => return Some(Err(reason)),
            }
        }
        // A cached program counts headers: it is for frames of the same shape only.
        if parts.flow.sides.get(arrival.dir).l3 != arrival.parsed.l3_index().unwrap_or_default() {
            return Some(Err(DropReason::ProgramApply));
        }
        if let Some(connection) = &mut parts.connection
            && let Some(segment) = segment_of(arrival, packet)
        {
            match connection.segment(arrival.dir, &segment) {
                Outcome::Pass => {}
                Outcome::Drop(reason) => return Some(Err(reason)),
                Outcome::Restart => {
                    self.flows.remove(id);
                    return None;
                }
            }
        }
        let len = packet.len();
        let settled = parts.count(arrival.dir, len, arrival.now);
        let program = parts.flow.sides.get(arrival.dir).program.as_deref()?;
        let applied = packet.apply(program, arrival.parsed, entropy(arrival.hash));
        if !settled {
            self.flows.touch(id, arrival.now);
        }
        let traffic = self.traffic.get_mut(arrival.dir);
        traffic.uft_hit += 1;
        Some(match applied {
            Ok(()) => {
                traffic.forwarded += 1;
                traffic.bytes += len as u64;
                Ok(())
            }
            Err(_) => Err(DropReason::ProgramApply),
        })
    }

    /// A packet of a flow that may be over: expired, decided before something changed, or revoked.
    #[cold]
    pub(super) fn doubtful(
        &mut self,
        port: &Port<N>,
        id: u32,
        epoch: u32,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
    ) -> Option<Result<(), DropReason>> {
        let flow = self.flows.get(id)?;
        if flow.deadline <= arrival.now {
            self.flows.remove(id);
            return None;
        }
        if flow.epoch != epoch {
            self.revalidate(port, id, epoch, arrival.now);
            self.traffic.get_mut(arrival.dir).revalidated += 1;
        }
        let flow = self.flows.get(id)?;
        if !flow.revoked {
            // The answer's key may have changed with a descriptor: then this packet is no longer of the flow.
            let side = flow.sides.get(arrival.dir);
            return (side.key == *arrival.key && side.program.is_some()).then_some(Ok(()));
        }
        // A new connection between the same ends is judged by the rules of now.
        let opens = segment_of(arrival, packet).is_some_and(|segment| {
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
        let before = self.flows.set_decisions(id, Decisions::new());
        let Some(flow) = self.flows.get(id) else {
            return;
        };
        let (first, decided) = (flow.first, flow.epoch);
        let side = flow.sides.get(first);
        let mut walk = Walk::uncounted(first, side.key, side.l3);
        let forgotten = &self.forgotten;
        let held = |at: usize| {
            let forgotten = forgotten
                .get(at)
                .is_some_and(|since| !is_since(decided, *since));
            before.descriptor(at).filter(|_| !forgotten).cloned()
        };
        let l3 = side.l3;
        let key = side.key;
        match walk.forward(
            &port.network,
            &mut self.layers,
            held,
            None,
            port.context(now),
        ) {
            End::Pass if walk.of_flow => {
                let back = self.back_of(port, &walk);
                let forward = NewSide {
                    key,
                    l3,
                    program: walk.program,
                };
                self.flows.set_side(id, first, Some(forward));
                self.flows.set_side(id, first.opposite(), back);
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
        if let Some(flow) = self.flows.get_mut(id) {
            flow.epoch = epoch;
        }
    }

    /// The first packet of a flow, or one that is of no flow.
    #[cold]
    fn unknown(
        &mut self,
        port: &Port<N>,
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
        self.traffic.get_mut(dir).uft_miss += 1;
        port.network
            .admits(parsed)
            .map_err(|error| DropReason::from(&error))?;
        if parsed.key.kind == KeyKind::ICMP
            && let Some(sent) = self.related(port, epoch, arrival, packet)
        {
            return sent.map(|hash| Verdict::Forward { hash });
        }
        let segment = segment_of(arrival, packet);
        if let Some(segment) = &segment {
            Connection::may_open(segment, *port.midstream.get(dir))?;
        }
        if key.is_flow() && !self.flows.has_room(now) {
            return Err(DropReason::FlowTableFull);
        }
        let l3 = parsed.l3_index().unwrap_or_default();
        let (walk, back) = match self.decide(port, arrival, packet, reply) {
            Ok(decided) => decided,
            Err(End::Reply(len)) => {
                self.traffic.get_mut(dir).hairpins += 1;
                return Ok(Verdict::Hairpin(len));
            }
            Err(End::Drop(reason)) => return Err(reason),
            Err(End::Pass) => return Err(DropReason::ActionFailed),
        };
        let len = packet.len();
        packet
            .apply(&walk.program, parsed, entropy(hash))
            .map_err(|_| DropReason::ProgramApply)?;
        let traffic = self.traffic.get_mut(dir);
        traffic.forwarded += 1;
        traffic.bytes += len as u64;
        if walk.of_flow && key.is_flow() {
            let id = self.flows.insert(
                now,
                NewFlow {
                    first: dir,
                    proto: proto_of(parsed),
                    connection: segment.map(|segment| Connection::open(dir, &segment)),
                    epoch,
                    decisions: walk.decisions,
                    forward: NewSide {
                        key: *key,
                        l3,
                        program: walk.program,
                    },
                    back,
                },
            );
            if let Some(mut parts) = self.flows.parts_mut(id) {
                parts.count(dir, len, now);
            }
        }
        Ok(Verdict::Forward { hash })
    }

    /// Walks the layers, for a flow in both directions. Where its answers would be another flow's, as two calls from one far
    /// end to two addresses of the guest are, it is walked again for another translation.
    fn decide(
        &mut self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        reply: &mut [u8],
    ) -> Result<Decided<N>, End> {
        const ATTEMPTS: u8 = 8;
        let Arrival {
            dir,
            now,
            parsed,
            key,
            ..
        } = arrival;
        let l3 = parsed.l3_index().unwrap_or_default();
        for attempt in 0..ATTEMPTS {
            let mut walk = match attempt {
                0 => Walk::new(dir, *key, l3),
                _ => Walk::uncounted(dir, *key, l3),
            };
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
            match walk.forward(&port.network, layers, |_| None, Some(frame), context) {
                End::Pass => {}
                end => return Err(end),
            }
            if !walk.of_flow || !key.is_flow() {
                return Ok((walk, None));
            }
            let back = self.back_of(port, &walk);
            match &back {
                Some(side) if self.is_taken(dir.opposite(), &side.key, port, now) => {}
                _ => return Ok((walk, back)),
            }
        }
        Err(End::Drop(DropReason::FlowCollision))
    }

    /// Whether a flow there is has this key. One that is over leaves it.
    fn is_taken(&mut self, dir: Direction, key: &N::Key, port: &Port<N>, now: Moment) -> bool {
        let Some(id) = self.flows.find(dir, key.hash(&port.seed), key) else {
            return false;
        };
        let flow = self.flows.get(id);
        let over = flow.is_none_or(|flow| flow.revoked || flow.deadline <= now);
        if over {
            self.flows.remove(id);
        }
        !over
    }

    /// The other direction of the flow whose first packet has walked.
    pub(super) fn back_of(&self, port: &Port<N>, walk: &Walk<N>) -> Option<NewSide<N::Key>> {
        let key = port.network.return_key(walk.dir, &walk.key, &walk.meta);
        if !key.is_flow() {
            return None;
        }
        let mut back = Walk::new(walk.dir.opposite(), key, walk.l3);
        back.back(&self.layers, &walk.decisions)?;
        Some(NewSide {
            key,
            l3: walk.l3,
            program: back.program,
        })
    }

    pub(super) fn dropped(&mut self, dir: Direction, reason: DropReason) -> Verdict {
        self.traffic.get_mut(dir).drops.count(reason);
        Verdict::Drop(reason)
    }
}

/// The TCP segment of a packet, if it is one with its header.
#[inline]
pub(super) fn segment_of<K>(arrival: Arrival<'_, K>, packet: &Packet<'_>) -> Option<Segment> {
    if arrival.parsed.l4_kind() != HeaderKind::Tcp {
        return None;
    }
    let end = arrival.parsed.frame_len as usize;
    Segment::parse(packet.bytes(arrival.parsed.l4()?, end)?)
}

fn proto_of(parsed: &Parsed) -> Proto {
    match parsed.l4_kind() {
        HeaderKind::Tcp => Proto::Tcp,
        HeaderKind::Udp => Proto::Udp,
        HeaderKind::Icmpv4 | HeaderKind::Icmpv6 => Proto::Icmp,
        _ => Proto::Other,
    }
}

/// The upper half of a hash: the table takes the lower first, so the two are spread apart.
pub(super) fn entropy(hash: u32) -> u16 {
    (hash >> 16) as u16
}
