//! Packets of known flows, without the port's lock.

use opte_headers::frame::{Fragment, Innermost, Parsed};
use opte_headers::program::{Bound, Translation};

use super::process::{Arrival, entropy};
use super::{Port, PortState, Verdict, Worker};
use crate::flow::{Ahead, Found, Key, Passer, Passing};
use crate::network::Network;
use crate::packet::Packet;
use crate::time::Moment;
use crate::traffic_class;
use crate::{Direction, DropReason};

/// What is done with a packet of a known flow.
pub(super) struct Going<'a> {
    pub(super) program: &'a Bound,
    /// The number of the program.
    pub(super) number: u32,
    pub(super) translation: Translation,
}

/// What the short way comes to.
pub(super) enum Short {
    Done(Verdict),
    /// Nothing was done: there is no flow under this hash, unless it is said that there may be one.
    Unknown(u32, bool),
    /// Nothing was done: there is something to be looked after.
    Other,
}

/// What a packet is, as far as it matters when its flow is known.
#[derive(Clone, Copy)]
pub(super) struct Outline {
    pub(super) innermost: Innermost,
    pub(super) frame_len: usize,
    /// What its tunnel is to know of its traffic class.
    pub(super) class: u8,
    pub(super) hash: u32,
    /// Bytes that are counted.
    pub(super) len: usize,
}

impl<N: Network> Worker<'_, N> {
    /// A packet as nearly all are: of a known flow, nothing about it is to be looked after, and nothing that is known of its
    /// flow changes but numbers. Nothing is done of any other: [`Worker::long`] is for those without a flow, [`Worker::anew`] for all.
    /// What the port's gate says of `seen_to` does not matter.
    #[inline(always)]
    pub(super) fn short(
        &self,
        (dir, now): (Direction, Moment),
        seen_to: u64,
        parsed: &Parsed,
        packet: &mut Packet<'_>,
        ahead: Option<Ahead>,
    ) -> Short {
        let port = self.port;
        let frame = packet.frame();
        let words = port.network.key(dir, parsed, frame).words();
        let hash = match ahead {
            Some(ahead) => ahead.hash,
            None => port.flows.hash(words),
        };
        let class = port.class_of_usual(dir, parsed, frame, packet.offload);
        let Some(class) = class.filter(|_| parsed.fragment == Fragment::No) else {
            return Short::Other;
        };
        let innermost = parsed.offsets.innermost();
        let candidate = match ahead {
            // A packet before this one may have made its flow since.
            Some(ahead) if ahead.value == 0 => return Short::Unknown(hash, true),
            Some(ahead) => ahead.value,
            None => match port.flows.candidate(hash) {
                Some(candidate) => candidate,
                None => return Short::Unknown(hash, false),
            },
        };
        let anchor = Some(innermost.anchor());
        let Some(found) = port.flows.is_of(candidate, dir, &words, anchor) else {
            return Short::Other;
        };
        let outline = Outline {
            innermost,
            frame_len: parsed.frame_len as usize,
            class,
            hash,
            len: frame.len(),
        };
        let gate = port.gate.word() & !seen_to;
        let of = (dir, now, outline.len);
        let gone = port.flows.go_on(found, of, gate, frame, parsed.segment());
        let Some((program, translation, number)) = gone else {
            return Short::Other;
        };
        if dir == Direction::Out && packet.may_stay() && program.local_tunnel().is_some() {
            // Copies: where the packet does not stay, what is known of it need not be in memory.
            let (outline, going) = (
                outline,
                Going {
                    program,
                    number,
                    translation,
                },
            );
            if let Some(verdict) = self.stays(&going, &outline, packet) {
                return Short::Done(verdict);
            }
        }
        let start = packet.head_room();
        let shape = (innermost, outline.frame_len);
        if !packet.apply_plain(program, &translation, shape, entropy(hash)) {
            let (outline, translation) = (outline, translation);
            let verdict = self.apply_any(dir, program, &translation, &outline, packet);
            return Short::Done(verdict);
        }
        if class != 0 && packet.head_room() < start {
            traffic_class::encapsulated(port.dscp(), class, packet);
        }
        self.counts.hit(dir, outline.len);
        Short::Done(Verdict::Forward { hash })
    }

    /// A packet that its flow has let pass, but that is not as those of the flow mostly are.
    #[cold]
    #[inline(never)]
    fn apply_any(
        &self,
        dir: Direction,
        program: &Bound,
        translation: &Translation,
        outline: &Outline,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let (start, hash) = (packet.head_room(), outline.hash);
        let parsed = self.port.network.parse(dir, packet.frame());
        let applied = parsed.is_ok_and(|parsed| {
            let applied = packet.apply_bound(program, translation, &parsed, entropy(hash));
            applied.is_ok()
        });
        if !applied {
            return self.lost(dir);
        }
        if outline.class != 0 && packet.head_room() < start {
            traffic_class::encapsulated(self.port.dscp(), outline.class, packet);
        }
        self.counts.hit(dir, outline.len);
        Verdict::Forward { hash }
    }

    /// A packet of a known flow that its program does not fit.
    #[cold]
    #[inline(never)]
    pub(super) fn lost(&self, dir: Direction) -> Verdict {
        self.counts.lost_hit(dir);
        self.dropped(dir, DropReason::ProgramApply)
    }

    /// A packet for which a flow was found, or none.
    #[inline(always)]
    pub(super) fn found(
        &mut self,
        found: Option<Found<'_>>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        let Arrival {
            dir,
            now,
            parsed,
            hash,
            ..
        } = arrival;
        let Some(found) = found.filter(|_| parsed.fragment == Fragment::No) else {
            return self.missed(arrival, packet, reply);
        };
        if port.state() != PortState::Running {
            return self.dropped(dir, DropReason::PortNotRunning);
        }
        let passer = Passer {
            dir,
            now,
            epoch: port.epoch(),
            l3: parsed.l3_index().unwrap_or_default(),
            len: packet.len(),
        };
        match port.flows.pass(found, passer, parsed, packet, |_| None) {
            Passing::Pass {
                program,
                translation,
                unsettled,
            } => {
                let applied = packet.apply_bound(program, &translation, parsed, entropy(hash));
                if unsettled {
                    port.settle((found.id, found.sequence), now);
                }
                if applied.is_err() {
                    return self.lost(dir);
                }
                self.counts.hit(dir, passer.len);
                Verdict::Forward { hash }
            }
            Passing::Drop(reason) => self.dropped(dir, reason),
            Passing::Restart | Passing::Unclear => self.missed(arrival, packet, reply),
        }
    }
}

impl<N: Network> Port<N> {
    #[cold]
    #[inline(never)]
    fn settle(&self, found: (u32, u32), now: Moment) {
        self.inner.lock().flows.settle(found, now);
    }
}
