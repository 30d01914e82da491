//! Packets of known flows, without the port's lock.

use opte_headers::frame::{Fragment, Parsed};
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

impl<N: Network> Worker<'_, N> {
    /// A packet as nearly all are: of a known flow, nothing about it is to be looked after, and nothing that is known of its
    /// flow changes but numbers. None, and nothing done, of any other, with the hash of its key and whether its flow was found:
    /// [`Worker::long`] is for all. What the port's gate says of `seen_to` does not matter.
    #[inline(always)]
    pub(super) fn short(
        &self,
        (dir, now): (Direction, Moment),
        seen_to: u64,
        parsed: &Parsed,
        packet: &mut Packet<'_>,
        ahead: Option<Ahead>,
    ) -> Result<Verdict, (u32, bool)> {
        let port = self.port;
        let frame = packet.frame();
        let words = port.network.key(dir, parsed, frame).words();
        let anchor = Some(parsed.offsets.anchor());
        let (hash, found) = match ahead {
            // A packet before this one may have made its flow since.
            Some(ahead) => match port.flows.find_foreseen(dir, ahead, &words, anchor) {
                Some(found) => (ahead.hash, found),
                None => return Err((port.flows.hash(words), true)),
            },
            None => {
                let hash = port.flows.hash(words);
                match port.flows.find_at(dir, hash, &words, anchor) {
                    Some(found) => (hash, found),
                    None => return Err((hash, false)),
                }
            }
        };
        let class = port.class_of_usual(dir, parsed, frame, packet.offload);
        let Some(class) = class.filter(|_| parsed.fragment == Fragment::No) else {
            return Err((hash, true));
        };
        let (start, len) = (packet.head_room(), frame.len());
        let gate = port.gate.word() & !seen_to;
        let gone = port
            .flows
            .go_on(found, (dir, now, len), gate, parsed, frame);
        let Some((program, translation, number)) = gone else {
            return Err((hash, true));
        };
        if dir == Direction::Out && packet.may_stay() && program.local_tunnel().is_some() {
            // A copy: where the packet does not stay, what is known of it need not be in memory.
            let (copy, going) = (
                *parsed,
                Going {
                    program,
                    number,
                    translation,
                },
            );
            if let Some(verdict) = self.stays(&going, hash, &copy, packet) {
                return Ok(verdict);
            }
        }
        let applied = packet.apply_bound(program, &translation, parsed, entropy(hash));
        if applied.is_err() {
            return Ok(self.lost(dir));
        }
        if class != 0 && packet.head_room() < start {
            traffic_class::encapsulated(port.dscp(), class, packet);
        }
        self.counts.hit(dir, len);
        Ok(Verdict::Forward { hash })
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
