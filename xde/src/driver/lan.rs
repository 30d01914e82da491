//! Frames of ports on LANs.

use alloc::sync::Arc;

use opte::port::Verdict;
use opte::time::Moment;
use opte::{Direction, DropReason};
use opte_headers::{Arp, ArpGet, Ethernet, EthernetGet, Ethertype, Header};

use super::{Driver, prepare, take_reply};
use crate::counters::Count;
use crate::frame::Frame;
use crate::outbox::{LanFrame, Outbox};
use crate::platform::{LanId, Platform};
use crate::segment::Layout;
use crate::switch::{Switch, SwitchPort};

impl<P: Platform> Driver<P> {
    /// Takes a burst of frames that came in over the link to a LAN. Those for stations that are no port are dropped.
    pub fn from_lan(
        &self,
        lan: LanId,
        frames: impl IntoIterator<Item = Frame>,
        outbox: &mut Outbox<P::Link>,
    ) {
        let now = self.platform.now();
        let switch = self.switch();
        for frame in frames {
            let len = frame.bytes().len();
            self.counters
                .frame(Count::FromLan, Count::FromLanBytes, len);
            match addressee(&switch, lan, frame.bytes()) {
                Ok(Some(port)) => self.lan_inbound(now, &switch, (lan, port), frame, outbox),
                Ok(None) => self.drop_frame(&self.counters, DropReason::NotForUs, frame, outbox),
                Err(reason) => self.drop_frame(&self.counters, reason, frame, outbox),
            }
        }
    }

    /// A frame from a guest that goes out on its LAN.
    pub(super) fn lan_outbound(
        &self,
        switch: &Switch<P::Link>,
        (lan, port): (LanId, &Arc<SwitchPort<P::Link>>),
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        let Some(link) = switch.lans().link(lan) else {
            return self.drop_frame(&port.counters, DropReason::NoRoute, frame, outbox);
        };
        match prepare(&mut frame, link.mtu as usize, Layout::of_guest) {
            Ok(cut) => {
                let len = frame.bytes().len();
                self.counters.frame(Count::ToLan, Count::ToLanBytes, len);
                self.counters
                    .add(Count::ToLanSuper, u64::from(cut.is_some()));
                outbox.to_lans.push(LanFrame { lan, frame, cut });
            }
            Err(reason) => self.drop_frame(&port.counters, reason, frame, outbox),
        }
    }

    /// A frame from a LAN to a guest.
    fn lan_inbound(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        (lan, port): (LanId, &Arc<SwitchPort<P::Link>>),
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        let Some(engine) = &port.engine else {
            return self.drop_frame(&port.counters, DropReason::NoSuchPort, frame, outbox);
        };
        let reply = outbox.reply.space();
        let verdict = frame.with_packet(|packet| engine.process(Direction::In, now, packet, reply));
        match verdict {
            Some(Verdict::Forward { .. }) => self.deliver(port, frame, outbox),
            Some(Verdict::ForwardWithHeld { .. }) => {
                self.deliver(port, frame, outbox);
                self.release(now, switch, port, engine.take_released(), outbox);
            }
            Some(Verdict::Hairpin(len)) => {
                let reply = take_reply(outbox, len as usize);
                outbox.pool.put(frame);
                self.lan_outbound(switch, (lan, port), reply, outbox);
            }
            // The engine has counted it, or has a copy.
            Some(Verdict::Drop(_) | Verdict::Held) | None => outbox.pool.put(frame),
        }
    }
}

/// Whom a frame is for: the station it is addressed to; if to all, whose address an ARP message asks for.
fn addressee<'a, L>(
    switch: &'a Switch<L>,
    lan: LanId,
    frame: &[u8],
) -> Result<Option<&'a Arc<SwitchPort<L>>>, DropReason> {
    if frame.is_empty() {
        return Err(DropReason::LinkError);
    }
    let (ethernet, rest) = Ethernet::parse(frame).map_err(|error| DropReason::from(&error))?;
    if !ethernet.destination().is_multicast() {
        return Ok(switch.lans().station(lan, ethernet.destination()));
    }
    if ethernet.ethertype() != Ethertype::ARP {
        return Ok(None);
    }
    let (message, _) = Arp::parse(rest).map_err(|error| DropReason::from(&error))?;
    Ok(switch.lans().owner(lan, message.target_ip()))
}
