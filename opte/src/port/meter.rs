//! The meters of a port.

use opte_headers::frame::Parsed;

use super::Port;
use crate::direction::PerDirection;
use crate::epoch::Gate;
use crate::meter::{Charge, MeterLimits};
use crate::network::Network;
use crate::packet::Packet;
use crate::time::Moment;
use crate::{Direction, DropReason};

impl<N: Network> Port<N> {
    /// Sets how much may go one way through the port, from the next packet on. Flows there are stay.
    pub fn set_meter(&self, dir: Direction, limits: &MeterLimits) {
        let _one = self.commands.lock();
        let mut inner = self.inner.lock();
        *inner.metered.get_mut(dir) = *limits;
        self.meters.of(dir).set(limits);
        // Where nobody asks for packets, none is looked at.
        self.gate.set(Gate::METERED, self.meters.ask_packets());
    }

    /// How much may go through the port, as last set.
    pub fn meters(&self) -> PerDirection<MeterLimits> {
        self.inner.lock().metered
    }

    /// Whether packets are to be shown to [`Port::admit`].
    #[inline(always)]
    pub(super) fn is_metered(&self) -> bool {
        self.gate.word() & Gate::METERED != 0
    }

    /// Lets a packet in as far as the meter of its direction goes.
    #[cold]
    #[inline(never)]
    pub(super) fn admit(
        &self,
        dir: Direction,
        now: Moment,
        parsed: &Parsed,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let meter = self.meters.of(dir);
        meter.admit(now, charge(parsed, packet))
    }
}

/// What a packet counts for, as it is on the guest's link when it is cut.
fn charge(parsed: &Parsed, packet: &Packet<'_>) -> Charge {
    let frame = packet.len().min(parsed.frame_len as usize);
    let guest = frame.saturating_sub(parsed.l2());
    let headers = (parsed.payload as usize).saturating_sub(parsed.l2());
    let payload = guest.saturating_sub(headers);
    let size = packet.offload.gso.map(|gso| usize::from(gso.size));
    let packets = match size {
        Some(size) if size != 0 => payload.div_ceil(size).max(1),
        _ => 1,
    };
    let octets = guest + (packets - 1) * headers;
    Charge {
        packets: packets as u64,
        bits: octets as u64 * 8,
    }
}
