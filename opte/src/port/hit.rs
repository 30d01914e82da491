//! Packets of known flows, without the port's lock.

use opte_headers::frame::{Fragment, Parsed};
use opte_headers::program::{Bound, Translation};

use super::process::{Arrival, entropy};
use super::{Port, PortState, Verdict, Worker};
use crate::flow::{Found, Passer, Passing};
use crate::network::Network;
use crate::packet::{Offload, Packet};
use crate::time::Moment;
use crate::traffic_class;
use crate::{Direction, DropReason};

/// What is done with a packet of a known flow.
pub(super) struct Going<'a> {
    pub(super) program: &'a Bound,
    /// The number of the program.
    pub(super) number: u32,
    pub(super) translation: Translation,
    /// The traffic class that a tunnel is to know of.
    class: u8,
}

impl<N: Network> Worker<'_, N> {
    /// What is done with a packet as nearly all of known flows are: nothing about it is to be looked after, and nothing that is
    /// known of its flow changes but numbers. None, and nothing done, of any other: [`Worker::arrived`] is for all. It is counted
    /// by its flow.
    #[inline(always)]
    pub(super) fn going(
        &self,
        found: Found<'_>,
        (dir, now): (Direction, Moment),
        parsed: &Parsed,
        frame: &[u8],
        offload: Offload,
    ) -> Option<Going<'_>> {
        if !self.port.is_open() {
            return None;
        }
        self.admitted(found, (dir, now), parsed, frame, offload)
    }

    /// As [`Worker::going`], of a packet that the port takes.
    #[inline(always)]
    pub(super) fn admitted(
        &self,
        found: Found<'_>,
        (dir, now): (Direction, Moment),
        parsed: &Parsed,
        frame: &[u8],
        offload: Offload,
    ) -> Option<Going<'_>> {
        let port = self.port;
        if parsed.fragment != Fragment::No {
            return None;
        }
        let class = port.class_of_usual(dir, parsed, frame, offload)?;
        let passer = Passer {
            dir,
            now,
            epoch: port.epoch(),
            l3: parsed.offsets.anchor(),
            len: frame.len(),
        };
        let (program, translation, number) = port.flows.go_on(found, passer, parsed, frame)?;
        Some(Going {
            program,
            number,
            translation,
            class,
        })
    }

    /// Does what [`Worker::going`] said.
    #[inline(always)]
    pub(super) fn goes(
        &self,
        going: Going<'_>,
        (dir, hash): (Direction, u32),
        parsed: &Parsed,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        if dir == Direction::Out
            && packet.may_stay()
            && going.program.local_tunnel().is_some()
            && let Some(verdict) = self.stays(&going, hash, parsed, packet)
        {
            return verdict;
        }
        let (start, len) = (packet.head_room(), packet.len());
        let applied = packet.apply_bound(going.program, &going.translation, parsed, entropy(hash));
        if applied.is_err() {
            return self.lost(dir);
        }
        if going.class != 0 && packet.head_room() < start {
            traffic_class::encapsulated(self.port.dscp(), going.class, packet);
        }
        self.counts.hit(dir, len);
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
