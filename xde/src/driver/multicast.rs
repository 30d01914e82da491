//! Multicast: one frame, several receivers. Guests of this host share it, as far as their ports make the same of it; of next hops the
//! last one gets the frame, the others copies of it.

use alloc::sync::Arc;

use opte::port::Verdict;
use opte::time::Moment;
use opte::{Direction, DropReason};
use oxide_vpc::api::{McastNextHop, Replication};
use oxide_vpc::network::MULTICAST_VNI;

use super::{Driver, Origin, fits};
use crate::counters::Count;
use crate::frame::{Frame, Headers};
use crate::outbox::{GuestFrame, Outbox};
use crate::platform::Platform;
use crate::switch::{Switch, SwitchPort};
use crate::tunnel::{GroupTunnel, set_replication};

impl<P: Platform> Driver<P> {
    /// A frame that a guest's port has put into the tunnel of a group: to the other ports of this host that have subscribed, and once to
    /// each next hop.
    pub(super) fn group_out(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        port: &Arc<SwitchPort<P::Link>>,
        (hash, frame): (u32, Frame),
        outbox: &mut Outbox<P::Link>,
    ) {
        let Some(tunnel) = GroupTunnel::of(frame.bytes()) else {
            return self.drop_frame(&port.counters, DropReason::NoRoute, frame, outbox);
        };
        if tunnel.hops == 0 {
            let reason = DropReason::HopLimitExceeded;
            return self.drop_frame(&port.counters, reason, frame, outbox);
        }
        let members = switch.members();
        let subscribers = members.subscribers(&tunnel.key()).iter();
        let mut local = subscribers
            .filter(|subscriber| subscriber.port.id != port.id)
            .filter(|subscriber| {
                let wanted = subscriber.filter.allows(tunnel.source);
                let filtered = Count::McastTxSourceFiltered;
                self.counters.add(filtered, u64::from(!wanted));
                wanted
            })
            .map(|subscriber| {
                self.counters.add(Count::McastTxLocal, 1);
                subscriber.port.counters.add(Count::Local, 1);
                &subscriber.port
            })
            .peekable();
        let next_hops = members.next_hops(tunnel.underlay);
        self.counters
            .add(Count::McastTxNoFwdEntry, u64::from(next_hops.is_empty()));
        let mut remote = next_hops
            .iter()
            // The members of this host have got theirs.
            .filter(|hop| !switch.is_own(hop.addr))
            .filter(|hop| {
                let wanted = hop.filter.allows(tunnel.source);
                let filtered = Count::McastTxFwdSourceFiltered;
                self.counters.add(filtered, u64::from(!wanted));
                wanted
            })
            .filter_map(|hop| Some((hop, within(hop.replication, tunnel.hops)?)))
            .peekable();
        let from = Origin::Port(port);
        match (local.peek(), remote.peek()) {
            (None, None) => {
                let reason = DropReason::NoReceiver;
                return self.drop_frame(&port.counters, reason, frame, outbox);
            }
            (Some(_), None) => {
                return self.group_to_guests(now, switch, from, local, (tunnel, frame), outbox);
            }
            (Some(_), Some(_)) => {
                let copy = copy_of(&frame, outbox);
                self.group_to_guests(now, switch, from, local, (tunnel, copy), outbox);
            }
            (None, Some(_)) => {}
        }
        each(frame, remote, outbox, |to, frame, outbox| {
            self.group_onward(now, port, (hash, frame), to, outbox);
        });
    }

    /// A frame in the tunnel of a group that came in over `link`: to the ports that have subscribed.
    pub(super) fn group_in(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        link: usize,
        frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        let Some(tunnel) = GroupTunnel::of(frame.bytes()) else {
            self.counters.add(Count::McastRxBadInnerDst, 1);
            let reason = DropReason::ParseIllegalValue;
            return self.drop_frame(&self.counters, reason, frame, outbox);
        };
        let subscribers = switch.members().subscribers(&tunnel.key());
        let is_foreign = tunnel.vni != MULTICAST_VNI && subscribers.is_empty();
        // What this host has sent comes back where the underlay floods it.
        if is_foreign || switch.is_own(tunnel.from) {
            let reason = DropReason::ForeignNetwork;
            return self.drop_frame(&self.counters, reason, frame, outbox);
        }
        self.counters.add(
            Count::McastRxNoSubscribers,
            u64::from(subscribers.is_empty()),
        );
        let wanting = subscribers.iter().filter(|subscriber| {
            let wanted = subscriber.filter.allows(tunnel.source);
            let filtered = Count::McastRxSourceFiltered;
            self.counters.add(filtered, u64::from(!wanted));
            wanted
        });
        let mut wanting = wanting
            .map(|subscriber| {
                self.counters.add(Count::McastRxLocal, 1);
                &subscriber.port
            })
            .peekable();
        if wanting.peek().is_none() {
            return self.drop_frame(&self.counters, DropReason::NoReceiver, frame, outbox);
        }
        let from = Origin::Underlay(link);
        self.group_to_guests(now, switch, from, wanting, (tunnel, frame), outbox);
    }

    /// A frame in the tunnel of a group, to guests of this host. Each one's port has it where it lies, and then the next one
    /// has it as it was; guests for whom it came to the same get the one frame.
    fn group_to_guests<'a>(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        from: Origin<'_, P::Link>,
        ports: impl Iterator<Item = &'a Arc<SwitchPort<P::Link>>>,
        (tunnel, mut frame): (GroupTunnel, Frame),
        outbox: &mut Outbox<P::Link>,
    ) {
        if !tunnel.is_datagram {
            // How far its headers reach is not known.
            let give = |port: &Arc<_>, frame, outbox: &mut _| {
                self.inbound(now, switch, port, from, frame, outbox);
            };
            each(frame, ports, outbox, give);
            return;
        }
        let arrived = frame.headers();
        let mut agreed: Option<(Headers, &Arc<SwitchPort<P::Link>>)> = None;
        let first_other = outbox.others.len();
        for port in ports {
            frame.set_headers(&arrived);
            let Some(engine) = &port.engine else {
                port.counters.dropped(DropReason::NoSuchPort);
                continue;
            };
            let reply = outbox.reply.space();
            let verdict =
                frame.with_packet(|packet| engine.process(Direction::In, now, packet, reply));
            match verdict {
                Some(Verdict::Forward { .. }) if fits(port, &frame) => {
                    let result = frame.headers();
                    match &agreed {
                        None => agreed = Some((result, port)),
                        Some((same, _)) if *same == result => outbox.others.push(Arc::clone(port)),
                        Some(_) => {
                            let own = copy_of(&frame, outbox);
                            self.deliver(port, own, outbox);
                        }
                    }
                }
                Some(Verdict::Drop(_) | Verdict::Held) | None => {}
                other => {
                    let own = copy_of(&frame, outbox);
                    self.received(now, switch, (port, from), other, own, outbox);
                }
            }
        }
        let Some((headers, port)) = agreed else {
            return outbox.pool.put(frame);
        };
        frame.set_headers(&headers);
        let (len, others) = (frame.bytes().len(), first_other..outbox.others.len());
        let all = outbox.others.get(others.clone()).unwrap_or_default();
        for port in core::iter::once(port).chain(all) {
            port.counters
                .frame(Count::ToGuest, Count::ToGuestBytes, len);
        }
        outbox.to_guests.push(GuestFrame {
            port: Arc::clone(port),
            frame,
            others,
        });
    }

    fn group_onward(
        &self,
        now: Moment,
        from: &Arc<SwitchPort<P::Link>>,
        (hash, mut frame): (u32, Frame),
        (hop, replication): (&McastNextHop, Replication),
        outbox: &mut Outbox<P::Link>,
    ) {
        let (external, underlay) = match replication {
            Replication::External => (1, 0),
            Replication::Underlay => (0, 1),
            Replication::Both => (1, 1),
        };
        self.counters.add(Count::McastTxExternal, external);
        self.counters.add(Count::McastTxUnderlay, underlay);
        if set_replication(frame.bytes_mut(), replication.into()).is_none() {
            let reason = DropReason::ProgramApply;
            return self.drop_frame(&from.counters, reason, frame, outbox);
        }
        self.route(now, from, hop.addr, hash, frame, outbox);
    }
}

/// A copy of a frame.
fn copy_of<L>(frame: &Frame, outbox: &mut Outbox<L>) -> Frame {
    let mut copy = outbox.pool.take();
    copy.copy_from(frame);
    copy
}

/// Who a next hop is to copy a packet to that may make so many hops: what is at its last stays in the VPC, outside of which is
/// another link.
fn within(replication: Replication, hops: u8) -> Option<Replication> {
    match replication {
        _ if hops > 1 => Some(replication),
        Replication::External => None,
        Replication::Underlay | Replication::Both => Some(Replication::Underlay),
    }
}

/// Gives each receiver a frame: the last one this one, the others copies.
fn each<R, L>(
    frame: Frame,
    receivers: impl Iterator<Item = R>,
    outbox: &mut Outbox<L>,
    mut give: impl FnMut(R, Frame, &mut Outbox<L>),
) {
    let mut receivers = receivers.peekable();
    while let Some(receiver) = receivers.next() {
        if receivers.peek().is_none() {
            return give(receiver, frame, outbox);
        }
        let copy = copy_of(&frame, outbox);
        give(receiver, copy, outbox);
    }
    outbox.pool.put(frame);
}
