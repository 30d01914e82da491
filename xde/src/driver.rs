//! The driver: bursts of frames in from guests and underlay, bursts out.

mod expiry;
mod lan;
mod multicast;
mod underlay;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::time::Duration;

use opte::port::{Ahead, LOOK_AHEAD, LocalTunnel, Released, Verdict};
use opte::switch::Published;
use opte::sync::KMutex;
use opte::time::Moment;
use opte::{Direction, DropReason};
use opte_headers::program::Sums;
use opte_headers::{Ethernet, EthernetGet, Header, MacAddr, Vni};
use oxide_vpc::network::BOUNDARY_VNI;

use crate::counters::{Count, Counters};
use crate::frame::Frame;
use crate::outbox::{Cut, GuestFrame, Outbox, UnderlayFrame};
use crate::platform::{NextHop, NoNextHop, Platform, PortId};
use crate::segment::{Layout, Segments};
use crate::switch::{Engine, EngineWorker, Switch, SwitchPort};
use crate::tunnel::{self, TunnelEnds};

/// The driver. Its data path takes no lock for longer than it takes to copy a pointer, beside those of the ports' engines.
pub struct Driver<P: Platform> {
    pub(crate) platform: P,
    pub(crate) counters: Counters,
    pub(crate) management: KMutex<crate::management::Management<P::Link>>,
    pub(crate) host: oxide_vpc::port::Host,
    switch: Published<Switch<P::Link>>,
    waiting: KMutex<VecDeque<Waiting<P::Link>>>,
    expiry: expiry::Round,
    /// Every port that is created from now on passes frames as they are.
    pub(crate) passthrough: bool,
}

/// A frame whose next hop's address is being found out.
struct Waiting<L> {
    frame: Frame,
    port: Arc<SwitchPort<L>>,
    destination: Ipv6Addr,
    hash: u32,
    since: Moment,
}

/// Frames that may wait. A neighbour is found within milliseconds; more than a few bursts need not be kept.
const MAX_WAITING: usize = 128;

/// How long a frame may wait: as long as a neighbour is asked for, three times with a second between (RFC 4861, section 10).
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Bytes of an Ethernet header with a VLAN tag, which a link takes beside the packets its MTU speaks of.
const ETHERNET: usize = 18;

impl<P: Platform> Driver<P> {
    /// A driver without ports and underlay. With `passthrough` every port that is created passes frames as they are.
    pub fn new(platform: P, passthrough: bool) -> Self {
        let host = oxide_vpc::port::Host {
            mappings: Default::default(),
            random: platform.random(),
            log: platform.log(),
            limits: Default::default(),
        };
        Self {
            platform,
            counters: Counters::default(),
            management: KMutex::default(),
            host,
            switch: Published::new(Switch::new([], Vec::new())),
            waiting: KMutex::default(),
            expiry: expiry::Round::default(),
            passthrough,
        }
    }

    /// The system it runs on.
    pub fn platform(&self) -> &P {
        &self.platform
    }

    /// What it counts of frames that belong to no port.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The ports and links at this moment. To be kept for a burst: who deletes a port waits for that.
    #[inline]
    pub fn switch(&self) -> Arc<Switch<P::Link>> {
        self.switch.read()
    }

    /// Makes this the switch. Afterwards no burst goes on with the one before: nothing reaches a port that is gone.
    pub(crate) fn replace_switch(&self, switch: Switch<P::Link>) {
        let path_mtu = switch.path_mtu();
        for port in switch.ports() {
            let Some(engine) = &port.engine else {
                continue;
            };
            let of_lan = |lan| switch.lans().link(lan).map(|link| link.mtu);
            let of_lan = |lan| Some(u16::try_from(of_lan(lan)?).unwrap_or(u16::MAX));
            engine.set_path_mtu(port.lan.map_or(path_mtu, of_lan));
        }
        self.switch.publish(switch).wait();
    }

    /// Takes a burst of frames that a guest has sent. An empty frame stands for one that came with a request that nobody can fulfil.
    pub fn from_guest(
        &self,
        id: PortId,
        frames: impl IntoIterator<Item = Frame>,
        outbox: &mut Outbox<P::Link>,
    ) {
        let now = self.platform.now();
        let switch = self.switch();
        let Some(port) = switch.port(id) else {
            for frame in frames {
                self.counters.dropped(DropReason::NoSuchPort);
                outbox.pool.put(frame);
            }
            return;
        };
        let mut frames = frames.into_iter().fuse();
        let Some(engine) = &port.engine else {
            return frames.for_each(|frame| match is_sent(port, &frame) {
                true => self.pass_to_underlay(&switch, port, frame, outbox),
                false => self.drop_frame(&port.counters, DropReason::LinkError, frame, outbox),
            });
        };
        engine.work(&mut |worker| {
            let sender = (&*switch, port, engine);
            if !engine.looks_ahead() {
                let mut each = |frame| self.outbound(now, sender, (worker, None), frame, outbox);
                return frames.by_ref().for_each(&mut each);
            }
            loop {
                let burst: [_; LOOK_AHEAD] = core::array::from_fn(|_| frames.next());
                let mut bytes = burst.iter().flatten().map(Frame::bytes);
                let ahead = worker.look_ahead(Direction::Out, &mut bytes);
                let is_last = burst.iter().any(Option::is_none);
                for (at, frame) in burst.into_iter().flatten().enumerate() {
                    let ahead = ahead.as_ref().and_then(|ahead| ahead.get(at)).copied();
                    self.outbound(now, sender, (worker, ahead), frame, outbox);
                }
                if is_last {
                    return;
                }
            }
        });
    }

    /// Takes up the frames that wait for a neighbour: those whose neighbour was found go, those that have waited too long are
    /// dropped. To be called when the platform has learnt something, and every second.
    pub fn retry_waiting(&self, outbox: &mut Outbox<P::Link>) {
        let now = self.platform.now();
        let waiting = core::mem::take(&mut *self.waiting.lock());
        for one in waiting {
            match self.platform.next_hop(one.destination, one.hash) {
                Ok(hop) => self.send(&one.port, hop, one.frame, outbox),
                Err(NoNextHop::Unresolved) if now.since(one.since) < MAX_WAIT => {
                    self.waiting.lock().push_back(one);
                }
                Err(_) => {
                    let reason = DropReason::NoNeighbour;
                    self.drop_frame(&one.port.counters, reason, one.frame, outbox);
                }
            }
        }
    }

    /// Drops the frames of a port that wait.
    pub(crate) fn forget_waiting(&self, id: PortId) {
        self.waiting.lock().retain(|one| one.port.id != id);
    }

    /// Frames wait for a neighbour.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// A frame from a guest whose port has this engine, to be processed by a worker of it.
    fn outbound(
        &self,
        now: Moment,
        (switch, port, engine): Sender<'_, P::Link>,
        (worker, ahead): (&mut dyn EngineWorker, Option<Ahead>),
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        if !is_sent(port, &frame) {
            return self.drop_frame(&port.counters, DropReason::LinkError, frame, outbox);
        }
        let reply = outbox.reply.space();
        let done = frame.with_packet(|packet| {
            packet.may_stay_on_host();
            let dir = Direction::Out;
            let verdict = match ahead {
                Some(ahead) => worker.process_foreseen(dir, now, packet, reply, ahead),
                None => worker.process(dir, now, packet, reply),
            };
            (verdict, packet.local_way())
        });
        let (verdict, way) = done.unzip();
        match verdict {
            Some(Verdict::Forward { hash }) => match way.flatten() {
                Some(way) => {
                    let tunnel = engine.local_tunnel(way, hash);
                    self.stay(now, switch, port, tunnel.as_ref(), frame, outbox);
                }
                None => self.onward(now, switch, port, (hash, frame), outbox),
            },
            Some(Verdict::ForwardWithHeld { hash }) => {
                self.onward(now, switch, port, (hash, frame), outbox);
                self.release(now, switch, port, engine.take_released(), outbox);
            }
            Some(Verdict::Hairpin(len)) => {
                let reply = take_reply(outbox, len as usize);
                outbox.pool.put(frame);
                port.counters.add(Count::Replies, 1);
                self.deliver(port, reply, outbox);
            }
            // The engine has counted it, or has a copy.
            Some(Verdict::Drop(_) | Verdict::Held) | None => outbox.pool.put(frame),
        }
    }

    /// A frame that a guest's port has let out: into a tunnel, or on its LAN.
    fn onward(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        port: &Arc<SwitchPort<P::Link>>,
        (hash, frame): (u32, Frame),
        outbox: &mut Outbox<P::Link>,
    ) {
        if let Some(lan) = port.lan {
            return self.lan_outbound(switch, (lan, port), frame, outbox);
        }
        let Ok(Some(ends)) = TunnelEnds::of(frame.bytes()) else {
            return self.drop_frame(&port.counters, DropReason::NoRoute, frame, outbox);
        };
        if ends.destination.is_multicast() {
            return self.group_out(now, switch, port, (hash, frame), outbox);
        }
        if !switch.is_own(ends.destination) {
            return self.route(now, port, ends.destination, hash, frame, outbox);
        }
        match port_of(switch, ends.vni, ends.mac) {
            Some(to) => {
                to.counters.add(Count::Local, 1);
                self.inbound(now, switch, to, Origin::Port(port), frame, outbox);
            }
            None => self.drop_frame(&port.counters, DropReason::NoSuchPort, frame, outbox),
        }
    }

    /// A frame for another guest of this host that has left its port without its tunnel's headers.
    fn stay(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        from: &Arc<SwitchPort<P::Link>>,
        tunnel: Option<&LocalTunnel<'_>>,
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        let to = Ethernet::parse(frame.bytes()).ok().zip(tunnel);
        let to = to.and_then(|((ethernet, _), tunnel)| {
            let port = port_of(switch, tunnel.info().vni, ethernet.destination())?;
            Some((port, port.engine.as_ref()?, tunnel))
        });
        let Some((port, engine, tunnel)) = to else {
            return self.drop_frame(&from.counters, DropReason::NoSuchPort, frame, outbox);
        };
        port.counters.add(Count::Local, 1);
        let reply = outbox.reply.space();
        let verdict = frame.with_packet(|packet| engine.receive(now, tunnel, packet, reply));
        let to = (port, Origin::Port(from));
        self.received(now, switch, to, verdict, frame, outbox);
    }

    /// Fragments that a port had held and now lets go.
    fn release(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        port: &Arc<SwitchPort<P::Link>>,
        released: Vec<Released>,
        outbox: &mut Outbox<P::Link>,
    ) {
        for one in released {
            let mut frame = outbox.pool.take();
            frame.fill(one.frame());
            match one.dir {
                Direction::Out => self.onward(now, switch, port, (one.hash, frame), outbox),
                Direction::In => self.deliver(port, frame, outbox),
            }
        }
    }

    /// A tunnelled frame to a guest of this host.
    fn inbound(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        port: &Arc<SwitchPort<P::Link>>,
        origin: Origin<'_, P::Link>,
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        let Some(engine) = &port.engine else {
            return self.drop_frame(&port.counters, DropReason::NoSuchPort, frame, outbox);
        };
        if matches!(origin, Origin::Underlay(_)) {
            underlay::restore_super_packet(port.mtu, &mut frame);
        }
        let reply = outbox.reply.space();
        let verdict = frame.with_packet(|packet| engine.process(Direction::In, now, packet, reply));
        self.received(now, switch, (port, origin), verdict, frame, outbox);
    }

    /// A frame to a guest of this host, with what its port has said of it.
    fn received(
        &self,
        now: Moment,
        switch: &Switch<P::Link>,
        (port, origin): (&Arc<SwitchPort<P::Link>>, Origin<'_, P::Link>),
        verdict: Option<Verdict>,
        frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        match verdict {
            Some(Verdict::Forward { .. }) => self.deliver(port, frame, outbox),
            Some(Verdict::ForwardWithHeld { .. }) => {
                self.deliver(port, frame, outbox);
                let held = port.engine.as_ref().map(|engine| engine.take_released());
                self.release(now, switch, port, held.unwrap_or_default(), outbox);
            }
            Some(Verdict::Hairpin(len)) => {
                let reply = take_reply(outbox, len as usize);
                outbox.pool.put(frame);
                match origin {
                    Origin::Underlay(link) => self.emit(link, reply, None, outbox),
                    // It is in a tunnel, as what it answers was.
                    Origin::Port(from) => {
                        self.inbound(now, switch, from, Origin::Port(port), reply, outbox);
                    }
                }
            }
            Some(Verdict::Drop(_) | Verdict::Held) | None => outbox.pool.put(frame),
        }
    }

    /// A tunnelled frame to another host.
    fn route(
        &self,
        now: Moment,
        port: &Arc<SwitchPort<P::Link>>,
        destination: Ipv6Addr,
        hash: u32,
        frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        match self.platform.next_hop(destination, hash) {
            Ok(hop) => self.send(port, hop, frame, outbox),
            Err(NoNextHop::NoUnderlay) => {
                self.drop_frame(&port.counters, DropReason::NoUnderlay, frame, outbox);
            }
            Err(NoNextHop::NoRoute) => {
                self.drop_frame(&port.counters, DropReason::NoRoute, frame, outbox);
            }
            Err(NoNextHop::Unresolved) => {
                let mut waiting = self.waiting.lock();
                if waiting.len() >= MAX_WAITING {
                    drop(waiting);
                    let reason = DropReason::NoNeighbour;
                    return self.drop_frame(&port.counters, reason, frame, outbox);
                }
                port.counters.add(Count::Waited, 1);
                waiting.push_back(Waiting {
                    frame,
                    port: Arc::clone(port),
                    destination,
                    hash,
                    since: now,
                });
            }
        }
    }

    /// A tunnelled frame on its way: completed or cut as the link needs it.
    fn send(
        &self,
        port: &Arc<SwitchPort<P::Link>>,
        hop: NextHop,
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        tunnel::address(frame.bytes_mut(), hop.source, hop.destination);
        let layout = Layout::of_tunnelled;
        match prepare(&mut frame, hop.mtu as usize, layout) {
            Ok(cut) => self.emit(hop.link, frame, cut, outbox),
            Err(reason) => self.drop_frame(&port.counters, reason, frame, outbox),
        }
    }

    fn emit(&self, link: usize, frame: Frame, cut: Option<Cut>, outbox: &mut Outbox<P::Link>) {
        let len = frame.bytes().len();
        self.counters
            .frame(Count::ToUnderlay, Count::ToUnderlayBytes, len);
        self.counters
            .add(Count::ToUnderlaySuper, u64::from(cut.is_some()));
        outbox.to_underlay.push(UnderlayFrame { link, frame, cut });
    }

    /// A frame, as the guest is to see it.
    fn deliver(&self, port: &Arc<SwitchPort<P::Link>>, frame: Frame, outbox: &mut Outbox<P::Link>) {
        let len = frame.bytes().len();
        if !fits(port, &frame) {
            return self.drop_frame(&port.counters, DropReason::TooBig, frame, outbox);
        }
        port.counters
            .frame(Count::ToGuest, Count::ToGuestBytes, len);
        outbox.to_guests.push(GuestFrame {
            port: Arc::clone(port),
            frame,
            others: 0..0,
        });
    }

    /// A frame of a port without engine: it leaves by the underlay link that its addresses choose, always the same.
    fn pass_to_underlay(
        &self,
        switch: &Switch<P::Link>,
        port: &Arc<SwitchPort<P::Link>>,
        mut frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        let Ok((ethernet, _)) = Ethernet::parse(frame.bytes()) else {
            return self.drop_frame(&port.counters, DropReason::ParseTruncated, frame, outbox);
        };
        let ends = [ethernet.source(), ethernet.destination()];
        let hash = ends
            .iter()
            .flat_map(|mac| mac.octets())
            .fold(0, |hash: usize, octet| {
                hash.wrapping_mul(31).wrapping_add(usize::from(octet))
            });
        let links = switch.underlay();
        let Some(link) = hash.checked_rem(links.len()) else {
            return self.drop_frame(&port.counters, DropReason::NoUnderlay, frame, outbox);
        };
        let mtu = links.get(link).map_or(0, |link| link.mtu as usize);
        match prepare(&mut frame, mtu, Layout::of_guest) {
            Ok(cut) => self.emit(link, frame, cut, outbox),
            Err(reason) => self.drop_frame(&port.counters, reason, frame, outbox),
        }
    }

    /// A frame from the underlay to ports without engine: to the one it is addressed to, or to all if to a group.
    fn pass_to_guests(&self, switch: &Switch<P::Link>, frame: Frame, outbox: &mut Outbox<P::Link>) {
        let destination = match Ethernet::parse(frame.bytes()) {
            Ok((ethernet, _)) => ethernet.destination(),
            Err(error) => {
                return self.drop_frame(&self.counters, DropReason::from(&error), frame, outbox);
            }
        };
        if destination.is_multicast() {
            for port in switch.passthrough() {
                let mut copy = outbox.pool.take();
                copy.copy_from(&frame);
                self.deliver(port, copy, outbox);
            }
            return outbox.pool.put(frame);
        }
        let port = switch.passthrough().iter().find(|p| p.mac == destination);
        match port {
            Some(port) => self.deliver(port, frame, outbox),
            None => self.drop_frame(&self.counters, DropReason::NotForUs, frame, outbox),
        }
    }

    fn drop_frame(
        &self,
        counters: &Counters,
        reason: DropReason,
        frame: Frame,
        outbox: &mut Outbox<P::Link>,
    ) {
        counters.dropped(reason);
        outbox.pool.put(frame);
    }
}

/// Where a frame of a guest comes from: the switch, its port there, and the engine of that.
type Sender<'a, L> = (&'a Switch<L>, &'a Arc<SwitchPort<L>>, &'a Arc<dyn Engine>);

/// A frame from a guest is counted; empty, it is none.
#[inline(always)]
fn is_sent<L>(port: &SwitchPort<L>, frame: &Frame) -> bool {
    let len = frame.bytes().len();
    port.counters
        .frame(Count::FromGuest, Count::FromGuestBytes, len);
    len != 0
}

/// Whether a guest's link takes a frame.
fn fits<L>(port: &SwitchPort<L>, frame: &Frame) -> bool {
    frame.offload.gso.is_some() || frame.bytes().len() <= port.mtu as usize + ETHERNET
}

/// Where a frame to a guest of this host comes from.
enum Origin<'a, L> {
    Underlay(usize),
    Port(&'a Arc<SwitchPort<L>>),
}

impl<L> Clone for Origin<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Origin<'_, L> {}

/// The port a tunnelled frame is for. What comes from outside the overlay may come in the network of the boundary,
/// which all guests share.
fn port_of<L>(switch: &Switch<L>, vni: Vni, mac: MacAddr) -> Option<&Arc<SwitchPort<L>>> {
    if vni == BOUNDARY_VNI {
        return switch.find_in_any(mac);
    }
    switch.find(vni, mac)
}

/// Makes a frame what a wire of `mtu` takes: its checksum complete, or known how to be cut.
fn prepare(
    frame: &mut Frame,
    mtu: usize,
    layout: impl Fn(&[u8]) -> Option<Layout>,
) -> Result<Option<Cut>, DropReason> {
    let offload = frame.offload;
    if let Some(gso) = offload.gso {
        let layout = layout(frame.bytes()).ok_or(DropReason::ProgramApply)?;
        let size = layout.segment_size(gso, mtu);
        if layout.wire_len(size.min(layout.payload_len())) > mtu {
            return Err(DropReason::TooBig);
        }
        let cut = Cut { layout, gso, size };
        let segments = Segments::new(frame.bytes(), layout, gso, size);
        return segments.map(|_| Some(cut)).ok_or(DropReason::LinkError);
    }
    if frame.bytes().len() > mtu + ETHERNET {
        return Err(DropReason::TooBig);
    }
    if offload.sums == Sums::Partial {
        let layout = layout(frame.bytes()).ok_or(DropReason::ProgramApply)?;
        layout
            .complete_checksum(frame.bytes_mut())
            .ok_or(DropReason::ProgramApply)?;
    }
    frame.offload = Default::default();
    Ok(None)
}

/// The reply that a port has written becomes a frame.
fn take_reply<L>(outbox: &mut Outbox<L>, len: usize) -> Frame {
    let fresh = outbox.pool.take();
    let mut reply = core::mem::replace(&mut outbox.reply, fresh);
    reply.received(len, Default::default());
    reply
}
