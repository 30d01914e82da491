//! Multicast: one frame, several receivers. The last one gets the frame, the others copies of it.

use alloc::sync::Arc;

use opte::DropReason;
use opte::time::Moment;
use oxide_vpc::api::{McastNextHop, Replication};
use oxide_vpc::network::MULTICAST_VNI;

use super::{Driver, Origin};
use crate::counters::Count;
use crate::frame::Frame;
use crate::outbox::Outbox;
use crate::platform::Platform;
use crate::switch::{Switch, SwitchPort};
use crate::tunnel::{GroupTunnel, set_replication};

/// Who gets a frame.
enum Receiver<'a, L> {
    Port(&'a Arc<SwitchPort<L>>),
    NextHop(&'a McastNextHop, Replication),
}

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
        let local = subscribers
            .filter(|subscriber| subscriber.port.id != port.id)
            .filter(|subscriber| {
                let wanted = subscriber.filter.allows(tunnel.source);
                let filtered = Count::McastTxSourceFiltered;
                self.counters.add(filtered, u64::from(!wanted));
                wanted
            })
            .map(|subscriber| Receiver::Port(&subscriber.port));
        let next_hops = members.next_hops(tunnel.underlay);
        self.counters
            .add(Count::McastTxNoFwdEntry, u64::from(next_hops.is_empty()));
        let remote = next_hops
            .iter()
            // The members of this host have got theirs.
            .filter(|hop| !switch.is_own(hop.addr))
            .filter(|hop| {
                let wanted = hop.filter.allows(tunnel.source);
                let filtered = Count::McastTxFwdSourceFiltered;
                self.counters.add(filtered, u64::from(!wanted));
                wanted
            })
            .filter_map(|hop| {
                let replication = within(hop.replication, tunnel.hops)?;
                Some(Receiver::NextHop(hop, replication))
            });
        let left = each(frame, local.chain(remote), outbox, |to, frame, outbox| {
            self.group_onward(now, switch, port, (hash, frame), to, outbox);
        });
        if let Some(frame) = left {
            self.drop_frame(&port.counters, DropReason::NoReceiver, frame, outbox);
        }
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
        let left = each(frame, wanting, outbox, |to, frame, outbox| {
            self.counters.add(Count::McastRxLocal, 1);
            self.inbound(now, switch, &to.port, Origin::Underlay(link), frame, outbox);
        });
        if let Some(frame) = left {
            self.drop_frame(&self.counters, DropReason::NoReceiver, frame, outbox);
        }
    }

    fn group_onward(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        from: &Arc<SwitchPort<P::Link>>,
        (hash, mut frame): (u32, Frame),
        to: Receiver<'_, P::Link>,
        outbox: &mut Outbox<P::Link>,
    ) {
        match to {
            Receiver::Port(to) => {
                self.counters.add(Count::McastTxLocal, 1);
                to.counters.add(Count::Local, 1);
                self.inbound(now, switch, to, Origin::Port(from), frame, outbox);
            }
            Receiver::NextHop(hop, replication) => {
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
    }
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

/// Gives each receiver a frame; gives it back if there is no receiver.
fn each<R, L>(
    frame: Frame,
    receivers: impl Iterator<Item = R>,
    outbox: &mut Outbox<L>,
    mut give: impl FnMut(R, Frame, &mut Outbox<L>),
) -> Option<Frame> {
    let mut receivers = receivers.peekable();
    while let Some(receiver) = receivers.next() {
        if receivers.peek().is_none() {
            give(receiver, frame, outbox);
            return None;
        }
        let mut copy = outbox.pool.take();
        copy.copy_from(&frame);
        give(receiver, copy, outbox);
    }
    Some(frame)
}
