//! Packets from a guest to another one of the same host, without the headers of the tunnel between them.
//!
//! The sender's port leaves out the headers that its flow would put in front, and says which they would have been; the
//! receiver's port finds its flow by the frame and by what they would have said. So it goes for packets of known flows with nothing
//! special about them. For any other the headers are written after all, and the packet is one that came through the tunnel: both ports
//! then do and count the same, whichever way it went.

use opte_headers::frame::Fragment;
use opte_headers::program::{Bound, Translation, TunnelInfo};

use super::hit::{Going, Outline};
use super::process::entropy;
use super::{Port, Verdict, Worker};
use crate::flow::Key;
use crate::network::Network;
use crate::packet::{LocalWay, Packet};
use crate::time::Moment;
use crate::traffic_class::{self, DscpModel};
use crate::{Direction, DropReason};

/// The tunnel of a packet that has left its port without the headers.
#[derive(Clone, Copy, Debug)]
pub struct LocalTunnel<'a> {
    program: &'a Bound,
    info: &'a TunnelInfo,
    dscp: DscpModel,
    hash: u32,
}

impl LocalTunnel<'_> {
    /// What the headers would have said.
    #[inline]
    pub fn info(&self) -> &TunnelInfo {
        self.info
    }

    /// Puts the headers in front of the packet: it is then as if it had never stayed. False, and nothing done, without the
    /// room.
    #[must_use]
    pub fn push(&self, packet: &mut Packet<'_>) -> bool {
        let class = traffic_class::of_guest(packet);
        let pushed = packet.push(self.program, entropy(self.hash));
        if pushed {
            traffic_class::encapsulated(self.dscp, class, packet);
        }
        pushed
    }

    /// Whether the headers say nothing of the traffic class that the receiver does not see in the packet itself: ECN is the same in both
    /// (RFC 6040, section 4.1), and stays so where they are taken off.
    fn is_of_class(&self, receiver: DscpModel) -> bool {
        receiver == DscpModel::Pipe || self.dscp == DscpModel::Uniform
    }
}

impl<N: Network> Port<N> {
    /// The tunnel by which a packet of flow `hash` would have left, had it not [stayed](Packet::local_way).
    #[inline]
    pub fn local_tunnel(&self, way: LocalWay, hash: u32) -> Option<LocalTunnel<'_>> {
        let program = self.flows.program(way.0)?;
        Some(LocalTunnel {
            program,
            info: program.local_tunnel()?,
            dscp: self.dscp(),
            hash,
        })
    }

    /// As [`Port::process`] of an inbound packet that another port of the host has sent through `tunnel`, but without the
    /// tunnel's headers. A reply goes back through that tunnel, and is in it.
    pub fn receive(
        &self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        self.worker().receive(now, tunnel, packet, reply)
    }
}

impl<N: Network> Worker<'_, N> {
    /// As [`Port::receive`].
    pub fn receive(
        &mut self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        match self.received(now, tunnel, packet) {
            Some(verdict) => verdict,
            None => self.receive_in_tunnel(now, tunnel, packet, reply),
        }
    }

    /// A packet of a known flow, if nothing about it is to be looked after.
    #[inline(always)]
    fn received(
        &self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
    ) -> Option<Verdict> {
        let (dir, port) = (Direction::In, self.port);
        if !tunnel.is_of_class(port.dscp()) {
            return None;
        }
        let frame = packet.frame();
        // What is in a tunnel is what a guest sends.
        let mut parsed = port.network.parse(Direction::Out, frame);
        let parsed = parsed.as_mut().ok()?;
        if parsed.fragment != Fragment::No {
            return None;
        }
        parsed.enter_tunnel(tunnel.info);
        let words = port.network.key(dir, parsed, frame).words();
        let hash = port.flows.hash(words);
        let anchor = parsed.offsets.anchor();
        let candidate = port.flows.candidate(hash)?;
        let found = port.flows.is_of(candidate, dir, &words, Some(anchor))?;
        let len = frame.len() + tunnel.info.header_len();
        let (of, gate) = ((dir, now, len), port.gate.word());
        let segment = parsed.segment();
        let (program, translation, _) = port.flows.go_on(found, of, gate, frame, segment)?;
        let shape = (parsed.offsets.innermost(), parsed.frame_len as usize);
        if packet.apply_plain(program, &translation, shape, entropy(hash)) {
            self.counts.hit(dir, len);
            return Some(Verdict::Forward { hash });
        }
        Some(self.apply_in_tunnel(program, &translation, tunnel, hash, packet))
    }

    #[cold]
    #[inline(never)]
    fn receive_in_tunnel(
        &mut self,
        now: Moment,
        tunnel: &LocalTunnel<'_>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        if tunnel.push(packet) {
            self.process(Direction::In, now, packet, reply)
        } else {
            self.dropped(Direction::In, DropReason::ProgramApply)
        }
    }

    /// A packet that its flow knows already, but whose program is for frames in their tunnel.
    #[cold]
    #[inline(never)]
    fn apply_in_tunnel(
        &self,
        program: &Bound,
        translation: &Translation,
        tunnel: &LocalTunnel<'_>,
        hash: u32,
        packet: &mut Packet<'_>,
    ) -> Verdict {
        let dir = Direction::In;
        let pushed = tunnel.push(packet);
        let len = packet.len();
        let parsed = self.port.network.parse(dir, packet.frame());
        let applied = parsed.is_ok_and(|parsed| {
            let applied = packet.apply_bound(program, translation, &parsed, entropy(hash));
            pushed && applied.is_ok()
        });
        if !applied {
            return self.lost(dir);
        }
        self.counts.hit(dir, len);
        Verdict::Forward { hash }
    }

    /// A packet of a known flow whose tunnel ends on this host. None, and nothing done, if it is to go through it all the same.
    #[inline(never)]
    pub(super) fn stays(
        &self,
        going: &Going<'_>,
        outline: &Outline,
        packet: &mut Packet<'_>,
    ) -> Option<Verdict> {
        let shape = (outline.innermost, outline.frame_len);
        if !packet.apply_inside(going.program, &going.translation, shape, going.number) {
            return None;
        }
        self.counts.hit(Direction::Out, outline.len);
        Some(Verdict::Forward { hash: outline.hash })
    }
}
