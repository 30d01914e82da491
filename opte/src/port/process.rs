//! What happens to packets.

use core::mem;

use opte_headers::frame::Parsed;

use super::walk::Setting;
use super::{Port, PortState, Verdict, Worker};
use crate::action::Context;
use crate::flow::{Key, Trails};
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

    pub(super) fn context(&self, now: Moment) -> Context<'_> {
        let (filtering, preserve_ports) = self.nat_options();
        Context {
            filtering,
            preserve_ports,
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

impl<N: Network> Worker<'_, N> {
    /// As [`Port::process`].
    pub fn process(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        if self.port.probes.is_on() {
            return self.process_observed(dir, now, packet, reply);
        }
        // Each direction has machine code of its own, which does not choose between the two at every step.
        match dir {
            Direction::In => self.process_one(Direction::In, now, packet, reply),
            Direction::Out => self.process_one(Direction::Out, now, packet, reply),
        }
    }

    /// As [`Port::process`], whoever looks.
    pub(super) fn process_unobserved(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        // Each direction has machine code of its own, which does not choose between the two at every step.
        match dir {
            Direction::In => self.process_one(Direction::In, now, packet, reply),
            Direction::Out => self.process_one(Direction::Out, now, packet, reply),
        }
    }

    #[inline(always)]
    fn process_one(
        &mut self,
        dir: Direction,
        now: Moment,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        let frame = packet.frame();
        let parsed = port.network.parse(dir, frame);
        let parsed = match &parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.dropped(dir, DropReason::from(error)),
        };
        let key = port.network.key(dir, parsed, frame);
        let words = key.words();
        let hash = port.flows.hash(words);
        let Some(found) = port.flows.find(dir, hash, &words) else {
            return self.long((dir, now, hash, false), parsed, packet, reply);
        };
        let Some(going) = self.going(found, (dir, now), parsed, frame, packet.offload) else {
            return self.long((dir, now, hash, true), parsed, packet, reply);
        };
        self.goes(going, (dir, hash), parsed, packet)
    }

    /// A packet that cannot go the short way; `known` says that a flow was found. Out of its function, and it begins anew: what
    /// is needed here is not for others to keep.
    #[inline(never)]
    fn long(
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
            && port.state() == PortState::Running
            && let Some(found) = found
            && let (frame, offload) = (packet.frame(), packet.offload)
            && let Some(going) = self.admitted(found, (dir, now), parsed, frame, offload)
        {
            return self.goes(going, (dir, hash), parsed, packet);
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
        if self.port.probes.is_on() {
            return self.observed_bursts(dir, now, packets, reply, verdicts);
        }
        match dir {
            Direction::In => self.bursts(Direction::In, now, packets, reply, verdicts),
            Direction::Out => self.bursts(Direction::Out, now, packets, reply, verdicts),
        }
    }

    /// One by one, with everything shown.
    #[cold]
    fn observed_bursts(
        &mut self,
        dir: Direction,
        now: Moment,
        packets: &mut [Packet<'_>],
        mut reply: &mut [u8],
        verdicts: &mut [Verdict],
    ) {
        for (packet, verdict) in packets.iter_mut().zip(verdicts) {
            *verdict = self.process_observed(dir, now, packet, reply);
            if let Verdict::Hairpin(len) = *verdict {
                reply = mem::take(&mut reply).get_mut(len..).unwrap_or_default();
            }
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
        const BURST: usize = 16;
        let port = self.port;
        for (packets, verdicts) in packets.chunks_mut(BURST).zip(verdicts.chunks_mut(BURST)) {
            // Step by step for all packets, so that the memory that one needs is fetched while others are looked at.
            let mut arrivals = [const { None }; BURST];
            for (arrival, packet) in arrivals.iter_mut().zip(packets.iter()) {
                let frame = packet.frame();
                *arrival = Some(port.network.parse(dir, frame).map(|parsed| {
                    let key = port.network.key(dir, &parsed, frame);
                    let hash = port.flows.hash(key.words());
                    (parsed, key, hash)
                }));
            }
            let mut first = [None; BURST];
            for (first, arrival) in first.iter_mut().zip(&arrivals) {
                if let Some(Ok((_, _, hash))) = arrival {
                    *first = port.flows.first(*hash);
                }
            }
            let mut found = [None; BURST];
            for ((found, first), arrival) in found.iter_mut().zip(first).zip(&arrivals) {
                if let Some(Ok((_, key, hash))) = arrival {
                    *found = port.flows.find_from(first, dir, *hash, &key.words());
                }
            }
            let each = arrivals.iter().zip(found).zip(packets).zip(verdicts);
            for (((arrival, found), packet), verdict) in each {
                *verdict = match arrival {
                    Some(Ok((parsed, _, hash))) => {
                        let (frame, offload) = (packet.frame(), packet.offload);
                        let going = found.and_then(|found| {
                            self.going(found, (dir, now), parsed, frame, offload)
                        });
                        match going {
                            Some(going) => self.goes(going, (dir, *hash), parsed, packet),
                            None => {
                                let packet_of = (dir, now, *hash, found.is_some());
                                self.long(packet_of, parsed, packet, reply)
                            }
                        }
                    }
                    Some(Err(error)) => self.dropped(dir, DropReason::from(error)),
                    None => continue,
                };
                if let Verdict::Hairpin(len) = *verdict {
                    reply = mem::take(&mut reply).get_mut(len..).unwrap_or_default();
                }
            }
        }
    }

    pub(super) fn dropped(&self, dir: Direction, reason: DropReason) -> Verdict {
        self.counts.dropped(dir, reason);
        Verdict::Drop(reason)
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
