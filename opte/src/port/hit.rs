//! Packets of known flows, without the port's lock.

use opte_headers::frame::Fragment;

use super::process::{Arrival, entropy, segment_of};
use super::{PortState, Verdict, Worker};
use crate::DropReason;
use crate::flow::{Found, Passer, Passing};
use crate::network::Network;
use crate::packet::Packet;

impl<N: Network> Worker<'_, N> {
    /// A packet for which a flow was found, or none.
    #[inline(always)]
    pub(super) fn found(
        &mut self,
        found: Option<Found>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        let Some(found) = found.filter(|_| arrival.parsed.fragment == Fragment::No) else {
            return self.missed(arrival, packet, reply);
        };
        if port.state() != PortState::Running {
            return self.dropped(arrival.dir, DropReason::PortNotRunning);
        }
        let Arrival { dir, now, hash, .. } = arrival;
        let passer = arrival.passer(port.epoch(), packet);
        let program = |number| port.flows.program(number);
        let segment = || segment_of(arrival, packet);
        match port.flows.pass(found, passer, program, segment) {
            Passing::Pass {
                program,
                translation,
                unsettled,
            } => {
                let applied =
                    packet.apply_bound(program, &translation, arrival.parsed, entropy(hash));
                if unsettled {
                    port.settle(found, now);
                }
                if applied.is_err() {
                    self.counts.lost_hit(dir);
                    return self.dropped(dir, DropReason::ProgramApply);
                }
                self.counts.hit(dir, passer.len);
                Verdict::Forward { hash }
            }
            Passing::Drop(reason) => self.dropped(dir, reason),
            Passing::Restart | Passing::Unclear => self.missed(arrival, packet, reply),
        }
    }
}

impl<K> Arrival<'_, K> {
    #[inline(always)]
    pub(super) fn passer(&self, epoch: u32, packet: &Packet<'_>) -> Passer {
        Passer {
            dir: self.dir,
            now: self.now,
            epoch,
            l3: self.parsed.l3_index().unwrap_or_default(),
            len: packet.len(),
        }
    }
}

impl<N: Network> super::Port<N> {
    #[cold]
    #[inline(never)]
    fn settle(&self, found: Found, now: crate::time::Moment) {
        self.inner.lock().flows.settle(found, now);
    }
}
