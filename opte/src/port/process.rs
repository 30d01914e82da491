//! What happens to packets.

use core::iter::zip;

use opte_headers::ParseError;
use opte_headers::frame::{Parsed, Then};

use super::hit::Short;
use super::walk::Setting;
use super::{LOOK_AHEAD, Port, Verdict, Worker};
use crate::action::Context;
use crate::epoch::Gate;
use crate::flow::{Ahead, Key, Trails};
use crate::network::Network;
use crate::packet::Packet;
use crate::tcp::Segment;
use crate::time::Moment;
use crate::{Direction, DropReason};

/// A packet that has been parsed.
pub(super) struct Arrival<'a, K> {
    pub(super) dir: Direction,
    pub(super) now: Moment,
    pub(super) parsed: &'a Parsed,
    pub(super) key: &'a K,
    pub(super) hash: u32,
}

impl<K> Clone for Arrival<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Arrival<'_, K> {}

impl<N: Network> Port<N> {
    /// Processes a packet that goes `dir` and came at `now`: transforms it where it lies, or writes an answer at the
    /// beginning of `reply`, or drops it.
    pub fn process(
        &self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        self.worker().process(dir, now, packet, reply)
    }

    /// Processes a burst of packets as [`Port::process`] does each of them, with the work common to all done once. The
    /// answers stand in `reply` back to back, in the order of their verdicts. There are to be as many `verdicts` as
    /// `packets`; packets without one are left alone.
    pub fn process_burst(
        &self,
        dir: Direction,
        now: Moment,
        packets: &mut [Packet<'_>],
        reply: &mut [u8],
        verdicts: &mut [Verdict],
    ) {
        self.worker()
            .process_burst(dir, now, packets, reply, verdicts);
    }

    /// Whether [`Port::look_ahead`] would do anything: the port has so many flows that they are in no cache.
    #[inline]
    pub fn looks_ahead(&self) -> bool {
        self.flows.is_large()
    }

    /// Asks for the memory that packets with these frames will need, at most [`LOOK_AHEAD`] of them, so that
    /// they need not wait for it one after the other. They are to be processed next, one by one; nothing else comes of it. Where
    /// a port has but few flows it does nothing. [`Port::process_burst`] does it by itself.
    #[inline]
    pub fn look_ahead<'f>(&self, dir: Direction, frames: impl Iterator<Item = &'f [u8]>) {
        if self.looks_ahead() {
            match dir {
                Direction::In => self.fetch(Direction::In, frames),
                Direction::Out => self.fetch(Direction::Out, frames),
            };
        }
    }

    #[inline(always)]
    fn fetch<'f>(
        &self,
        dir: Direction,
        frames: impl Iterator<Item = &'f [u8]>,
    ) -> [Ahead; LOOK_AHEAD] {
        let mut burst = self.announce(dir, frames);
        self.approach(dir, &mut burst);
        burst.packets
    }

    /// Parses frames, and asks for the parts of the index that their packets will look at.
    #[inline(always)]
    fn announce<'f>(&self, dir: Direction, frames: impl Iterator<Item = &'f [u8]>) -> Burst {
        let mut burst = Burst::default();
        for (ahead, frame) in burst.packets.iter_mut().zip(frames) {
            let hashed = Hashed {
                port: self,
                dir,
                frame,
            };
            let hash = self.network.parse_then(dir, hashed);
            *ahead = self.flows.announce(hash);
            burst.count += 1;
        }
        burst
    }

    /// Finds the records that they will look at, and asks for those.
    #[inline(always)]
    fn approach(&self, dir: Direction, burst: &mut Burst) {
        for ahead in burst.packets.iter_mut().take(burst.count) {
            self.flows.foresee(dir, ahead);
        }
    }

    pub(super) fn context(&self, now: Moment) -> Context<'_> {
        let (filtering, preserve_ports, hold_down) = self.nat_options();
        Context {
            filtering,
            preserve_ports,
            hold_down,
            ..Context::new(now, &*self.random)
        }
    }

    pub(super) fn setting<'a>(
        &'a self,
        context: Context<'a>,
        trails: &'a mut Trails,
    ) -> Setting<'a, N> {
        Setting {
            network: &self.network,
            context,
            trails,
        }
    }

    /// For a walk that is to leave no trace.
    pub(super) fn dry(&self, now: Moment) -> Context<'_> {
        Context {
            dry_run: true,
            ..self.context(now)
        }
    }
}

/// Packets whose turn is to come.
#[derive(Default)]
struct Burst {
    packets: [Ahead; LOOK_AHEAD],
    count: usize,
}

/// A packet that is parsed, and processed then.
struct Single<'a, 'w, 'p, N: Network> {
    worker: &'a mut Worker<'w, N>,
    dir: Direction,
    now: Moment,
    packet: &'a mut Packet<'p>,
    reply: &'a mut [u8],
    ahead: Option<Ahead>,
}

impl<N: Network> Then for Single<'_, '_, '_, N> {
    type Output = Verdict;

    #[inline(always)]
    fn frame(&self) -> &[u8] {
        self.packet.frame()
    }

    #[inline(always)]
    fn parsed(self, parsed: Parsed) -> Verdict {
        let (worker, dir, now) = (self.worker, self.dir, self.now);
        match worker.short((dir, now), 0, &parsed, self.packet, self.ahead) {
            Short::Done(verdict) => verdict,
            Short::Unknown(hash, known) => {
                // A copy: what is known of the frame until here need not be in memory.
                let copy = parsed;
                worker.long((dir, now, hash, known), &copy, self.packet, self.reply)
            }
            Short::Other => worker.anew((dir, now), self.packet, self.reply),
        }
    }

    #[inline(always)]
    fn malformed(self, error: ParseError) -> Verdict {
        let (worker, dir, now) = (self.worker, self.dir, self.now);
        worker.malformed((dir, now), &error, self.packet, self.reply)
    }
}

/// A frame that is parsed, and of which then the hash of its key is told; zero of one that is none.
struct Hashed<'a, N: Network> {
    port: &'a Port<N>,
    dir: Direction,
    frame: &'a [u8],
}

impl<N: Network> Then for Hashed<'_, N> {
    type Output = u32;

    #[inline(always)]
    fn frame(&self) -> &[u8] {
        self.frame
    }

    #[inline(always)]
    fn parsed(self, parsed: Parsed) -> u32 {
        let key = self.port.network.key(self.dir, &parsed, self.frame);
        self.port.flows.hash(key.words())
    }

    #[inline(always)]
    fn malformed(self, _: ParseError) -> u32 {
        0
    }
}

impl<N: Network> Worker<'_, N> {
    /// As [`Port::process`].
    pub fn process(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        // Each direction has machine code of its own, which does not choose between the two at every step.
        match dir {
            Direction::In => self.process_one(Direction::In, now, packet, reply, None),
            Direction::Out => self.process_one(Direction::Out, now, packet, reply, None),
        }
    }

    #[inline(always)]
    fn process_one(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
        ahead: Option<Ahead>,
    ) -> Verdict {
        let network = &self.port.network;
        let single = Single {
            worker: self,
            dir,
            now,
            packet,
            reply,
            ahead,
        };
        network.parse_then(dir, single)
    }

    /// As [`Port::look_ahead`]. What is known of each packet then is for [`Worker::process_foreseen`]; of a port with few flows that is
    /// nothing.
    pub fn look_ahead<'f>(
        &self,
        dir: Direction,
        frames: impl Iterator<Item = &'f [u8]>,
    ) -> Option<[Ahead; LOOK_AHEAD]> {
        let port = self.port;
        port.looks_ahead().then(|| match dir {
            Direction::In => port.fetch(Direction::In, frames),
            Direction::Out => port.fetch(Direction::Out, frames),
        })
    }

    /// As [`Worker::process`], of a packet that [`Worker::look_ahead`] was shown as it is.
    pub fn process_foreseen(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
        ahead: Ahead,
    ) -> Verdict {
        let ahead = Some(ahead);
        match dir {
            Direction::In => self.process_one(Direction::In, now, packet, reply, ahead),
            Direction::Out => self.process_one(Direction::Out, now, packet, reply, ahead),
        }
    }

    /// A packet without a flow, or so it seems: `known` says that there may be one.
    #[inline(never)]
    fn long(
        &mut self,
        (dir, now, hash, known): (Direction, Moment, u32, bool),
        parsed: &Parsed,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        if self.port.probes.is_on() {
            return self.process_observed(dir, now, packet, reply);
        }
        self.parsed((dir, now, hash, known), parsed, packet, reply)
    }

    /// A packet that cannot go the short way, from the beginning: what is known of it by then is not for others to keep in registers.
    #[cold]
    #[inline(never)]
    fn anew(
        &mut self,
        (dir, now): (Direction, Moment),
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        if self.port.probes.is_on() {
            return self.process_observed(dir, now, packet, reply);
        }
        self.general(dir, now, packet, reply)
    }

    #[cold]
    #[inline(never)]
    fn malformed(
        &mut self,
        (dir, now): (Direction, Moment),
        error: &ParseError,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        if self.port.probes.is_on() {
            return self.process_observed(dir, now, packet, reply);
        }
        self.dropped(dir, DropReason::from(error))
    }

    /// As [`Port::process`], the general way.
    pub(super) fn general(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        match port.network.parse(dir, packet.frame()) {
            Ok(parsed) => {
                let key = port.network.key(dir, &parsed, packet.frame());
                let hash = port.flows.hash(key.words());
                self.parsed((dir, now, hash, true), &parsed, packet, reply)
            }
            Err(error) => self.dropped(dir, DropReason::from(&error)),
        }
    }

    /// A packet that a meter has let in, if it can go the short way.
    #[inline(never)]
    fn admitted(
        &self,
        (dir, now): (Direction, Moment),
        parsed: &Parsed,
        packet: &mut Packet<'_>,
    ) -> Option<Verdict> {
        match self.short((dir, now), Gate::METERED, parsed, packet, None) {
            Short::Done(verdict) => Some(verdict),
            Short::Unknown(..) | Short::Other => None,
        }
    }

    #[inline(always)]
    fn parsed(
        &mut self,
        (dir, now, hash, known): (Direction, Moment, u32, bool),
        parsed: &Parsed,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        let metered = port.is_metered();
        if metered && let Err(reason) = port.admit(dir, now, parsed, packet) {
            return self.dropped(dir, reason);
        }
        let key = port.network.key(dir, parsed, packet.frame());
        let arrival = Arrival {
            dir,
            now,
            parsed,
            key: &key,
            hash,
        };
        let found = if known {
            port.flows.find(dir, hash, &key.words())
        } else {
            None
        };
        if metered
            && found.is_some()
            && let Some(verdict) = self.admitted((dir, now), parsed, packet)
        {
            return verdict;
        }
        self.arrived(found, arrival, packet, reply)
    }

    /// As [`Port::process_burst`].
    pub fn process_burst(
        &mut self,
        dir: Direction,
        now: Moment,
        packets: &mut [Packet<'_>],
        reply: &mut [u8],
        verdicts: &mut [Verdict],
    ) {
        match dir {
            Direction::In => self.bursts(Direction::In, now, packets, reply, verdicts),
            Direction::Out => self.bursts(Direction::Out, now, packets, reply, verdicts),
        }
    }

    #[inline(always)]
    fn bursts(
        &mut self,
        dir: Direction,
        now: Moment,
        packets: &mut [Packet<'_>],
        mut reply: &mut [u8],
        verdicts: &mut [Verdict],
    ) {
        if !self.port.looks_ahead() {
            for (packet, verdict) in packets.iter_mut().zip(verdicts) {
                *verdict = self.process_one(dir, now, packet, reply, None);
                reply = behind(reply, *verdict);
            }
            return;
        }
        // While some are processed, the memory of the next ones comes.
        let (packets, verdicts) = (
            packets.chunks_mut(LOOK_AHEAD),
            verdicts.chunks_mut(LOOK_AHEAD),
        );
        let (mut chunks, mut current) = (
            packets.zip(verdicts),
            None::<(&mut [Packet<'_>], &mut [Verdict], Burst)>,
        );
        loop {
            let next = chunks.next();
            let frames = next.iter().flat_map(|(packets, _)| packets.iter());
            let mut burst = self.port.announce(dir, frames.map(Packet::frame));
            if let Some((packets, verdicts, Burst { packets: all, .. })) = current {
                for ((packet, verdict), ahead) in zip(zip(packets, verdicts), all) {
                    *verdict = self.process_one(dir, now, packet, reply, Some(ahead));
                    reply = behind(reply, *verdict);
                }
            }
            self.port.approach(dir, &mut burst);
            let Some((packets, verdicts)) = next else {
                return;
            };
            current = Some((packets, verdicts, burst));
        }
    }

    pub(super) fn dropped(&self, dir: Direction, reason: DropReason) -> Verdict {
        self.counts.dropped(dir, reason);
        Verdict::Drop(reason)
    }
}

/// The room behind the answer that a packet got, if it got one.
#[inline(always)]
fn behind(reply: &mut [u8], verdict: Verdict) -> &mut [u8] {
    match verdict {
        Verdict::Hairpin(len) => reply.get_mut(len as usize..).unwrap_or_default(),
        _ => reply,
    }
}

/// The TCP segment of a packet, if it is one with its header.
#[inline(always)]
pub(super) fn segment_of(parsed: &Parsed, packet: &Packet<'_>) -> Option<Segment> {
    Segment::of(parsed, packet)
}

/// The upper half of a hash: the table takes the lower first, so the two are spread apart.
pub(super) fn entropy(hash: u32) -> u16 {
    (hash >> 16) as u16
}
