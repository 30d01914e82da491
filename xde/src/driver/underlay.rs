//! Frames from the underlay.

use alloc::sync::Arc;

use opte::packet::{Gso, Offload};
use opte::port::LOOK_AHEAD;
use opte::time::Moment;
use opte::{Direction, DropReason};

use super::{Driver, ETHERNET, Origin, port_of};
use crate::counters::Count;
use crate::frame::Frame;
use crate::outbox::Outbox;
use crate::platform::Platform;
use crate::segment::Layout;
use crate::switch::{EngineWorker, Switch, SwitchPort};
use crate::tunnel::TunnelEnds;

/// A frame in a tunnel that ends here, and the port it is for; none if it is for a group.
type Arrival<'a, L> = (Frame, Option<&'a Arc<SwitchPort<L>>>);

impl<P: Platform> Driver<P> {
    /// Takes a burst of frames that came in over link `link` of the underlay.
    pub fn from_underlay(
        &self,
        link: usize,
        frames: impl IntoIterator<Item = Frame>,
        outbox: &mut Outbox<P::Link>,
    ) {
        let now = self.platform.now();
        let switch = self.switch();
        let mut frames = frames.into_iter().fuse();
        loop {
            let mut next = || frames.find_map(|frame| self.arrival(&switch, frame, outbox));
            let burst: [_; LOOK_AHEAD] = core::array::from_fn(|_| next());
            look_ahead(&burst);
            let is_last = burst.iter().any(Option::is_none);
            let mut burst = burst.into_iter().flatten().peekable();
            while let Some((frame, to)) = burst.next() {
                let Some(port) = to else {
                    self.group_in(now, &switch, link, frame, outbox);
                    continue;
                };
                let Some(engine) = &port.engine else {
                    self.drop_frame(&port.counters, DropReason::NoSuchPort, frame, outbox);
                    continue;
                };
                let mut frame = Some(frame);
                engine.work(&mut |worker| {
                    while let Some(one) = frame.take() {
                        self.tunnelled(now, &switch, (link, port), worker, one, outbox);
                        let next = burst.next_if(|next| is_to(next, port));
                        frame = next.map(|(frame, _)| frame);
                    }
                });
            }
            if is_last {
                return;
            }
        }
    }

    /// Finds out whom a frame is for. None if for no port with an engine: it is done with.
    fn arrival<'a>(
        &self,
        switch: &'a Switch<P::Link>,
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) -> Option<Arrival<'a, P::Link>> {
        let len = frame.bytes().len();
        self.counters
            .frame(Count::FromUnderlay, Count::FromUnderlayBytes, len);
        let ends = match TunnelEnds::of(frame.bytes()) {
            Ok(Some(ends)) if switch.is_own(ends.destination) => ends,
            Ok(Some(ends)) if switch.takes_group(ends.destination) => ends,
            _ if !switch.passthrough().is_empty() => {
                self.pass_to_guests(switch, frame, outbox);
                return None;
            }
            other => {
                let reason = other.map_or_else(|e| DropReason::from(&e), |_| DropReason::NotForUs);
                self.drop_frame(&self.counters, reason, frame, outbox);
                return None;
            }
        };
        if frame.offload.gso.is_some() {
            // A link joined several tunnelled packets into one, which it is told not to.
            self.drop_frame(&self.counters, DropReason::LinkError, frame, outbox);
            return None;
        }
        // What the link may have left open is the checksum of the outer UDP header, which goes.
        frame.offload = Offload::default();
        if ends.destination.is_multicast() {
            return Some((frame, None));
        }
        let port = port_of(switch, ends.vni, ends.mac);
        if port.is_none() {
            self.drop_frame(&self.counters, DropReason::NoSuchPort, frame, outbox);
            return None;
        }
        Some((frame, port))
    }

    /// A tunnelled frame to a guest, to be processed by a worker of its port.
    fn tunnelled(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        (link, port): (usize, &Arc<SwitchPort<P::Link>>),
        worker: &mut dyn EngineWorker,
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        restore_super_packet(port.mtu, &mut frame);
        let reply = outbox.reply.space();
        let verdict = frame.with_packet(|packet| worker.process(Direction::In, now, packet, reply));
        let to = (port, Origin::Underlay(link));
        self.received(now, switch, to, verdict, frame, outbox);
    }
}

/// Has the ports look ahead for their frames of a burst.
fn look_ahead<L>(burst: &[Option<Arrival<'_, L>>; LOOK_AHEAD]) {
    let all = || burst.iter().flatten();
    for (at, (_, to)) in all().enumerate() {
        let Some((port, engine)) = to.and_then(|port| Some((port, port.engine.as_ref()?))) else {
            continue;
        };
        // Each port once, at its first frame.
        if engine.looks_ahead() && !all().take(at).any(|one| is_to(one, port)) {
            let its = all().filter(|one| is_to(one, port));
            engine.look_ahead(Direction::In, &mut its.map(|(frame, _)| frame.bytes()));
        }
    }
}

fn is_to<L>((_, to): &Arrival<'_, L>, port: &Arc<SwitchPort<L>>) -> bool {
    to.is_some_and(|to| Arc::ptr_eq(to, port))
}

/// A segment that the sending host made larger than the guest's own segments becomes a super-packet of those again.
pub(super) fn restore_super_packet(mtu: u32, frame: &mut Frame) {
    // Most frames are not: no more than this is looked at for them.
    if frame.bytes().len() <= mtu as usize + ETHERNET || frame.offload.gso.is_some() {
        return;
    }
    let Some(layout) = Layout::of_tunnelled(frame.bytes()) else {
        return;
    };
    let (Some(size), Some(kind)) = (layout.told_segment_size(frame.bytes()), layout.tcp_kind())
    else {
        return;
    };
    if layout.payload_len() > usize::from(size) {
        frame.offload.gso = Some(Gso { kind, size });
    }
}
