//! Packets for whose flows there is no room.

use super::process::{Arrival, entropy};
use super::walk::{End, Frame, Walk};
use super::worker::Claimed;
use super::{Inner, Port, Verdict};
use crate::network::Network;
use crate::packet::Packet;
use crate::{Direction, DropReason};

impl<N: Network> Inner<N> {
    /// A packet that would begin a flow, which was refused for `reason`. What the guest asks of the port itself is answered all the
    /// same, and what makes no flow passes: a guest finds its gateway, and renews its lease, however full the table is.
    #[cold]
    pub(super) fn without_flow(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
        reason: DropReason,
    ) -> Result<Verdict, DropReason> {
        let Arrival {
            dir,
            now,
            parsed,
            key,
            hash,
        } = arrival;
        if dir == Direction::In {
            // Nothing outside is answered by the port: a flood costs no walk.
            self.flows.count_refused(reason);
            return Err(reason);
        }
        let trails = &mut self.flows.trails;
        trails.make_room();
        let l3 = parsed.l3_index().unwrap_or_default();
        let mut walk = Walk::new(dir, *key, l3, trails);
        let frame = Frame {
            parsed,
            bytes: packet.frame(),
            reply,
        };
        let layers = &mut self.layers;
        // Nothing is taken from any pool.
        let setting = port.setting(port.dry(now), trails);
        match walk.forward(setting, layers, |_| None, Some(frame)) {
            End::Reply(len) => {
                counts.hairpin(dir);
                Ok(Verdict::Hairpin(len as u32))
            }
            End::Pass if !walk.of_flow => {
                let len = packet.len();
                packet
                    .apply(&walk.program(&self.flows.trails)?, parsed, entropy(hash))
                    .map_err(|_| DropReason::ProgramApply)?;
                counts.forwarded(dir, len);
                Ok(Verdict::Forward { hash })
            }
            End::Pass => {
                self.flows.count_refused(reason);
                Err(reason)
            }
            End::Drop(reason) => Err(reason),
        }
    }
}
