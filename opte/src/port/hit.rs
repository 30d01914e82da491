//! Packets of known flows, without the port's lock.

use opte_headers::frame::Fragment;

use super::process::{Arrival, entropy};
use super::{Port, PortState, Verdict, Worker};
use crate::DropReason;
use crate::flow::{Found, Passer, Passing};
use crate::network::Network;
use crate::packet::Packet;
use crate::time::Moment;

impl<N: Network> Worker<'_, N> {
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

impl<N: Network> Port<N> {
    #[cold]
    #[inline(never)]
    fn settle(&self, found: (u32, u32), now: Moment) {
        self.inner.lock().flows.settle(found, now);
    }
}
