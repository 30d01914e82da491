//! The packets whose fragments are on their way.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::pieces::{Piece, Pieces};
use super::{FragmentCounters, FragmentLimits};
use crate::DropReason;
use crate::packet::Packet;
use crate::tcp::InFragments;
use crate::time::Moment;

/// The packets of one direction of which some fragments have come.
#[derive(Debug)]
pub(crate) struct FragmentTable<K> {
    limits: FragmentLimits,
    packets: BTreeMap<PacketId, Fragmented<K>>,
    /// Packets whose first fragment has come, in the order of their age.
    known: VecDeque<(PacketId, u64)>,
    /// The others.
    waiting: VecDeque<(PacketId, u64)>,
    /// Tells the packets that had the same identifier one after the other apart.
    next_serial: u64,
    counters: FragmentCounters,
    /// Held fragments that were dropped and are not counted yet.
    abandoned: u32,
}

/// What all fragments of a packet have in common: the hash of what their headers say of its ends, and the identification.
pub(crate) type PacketId = (u32, u32);

#[derive(Debug)]
struct Fragmented<K> {
    /// Its key as that of a later fragment.
    key: K,
    serial: u64,
    deadline: Moment,
    pieces: Pieces,
    first: FirstFragment<K>,
    held: Vec<Held>,
}

/// What became of the first fragment of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstFragment<K> {
    /// It has not come.
    Awaited,
    /// It has passed as a packet of this flow.
    Passed(Leader<K>),
    /// It did not pass, or the packet is one that none must pass of.
    Refused,
}

/// What later fragments follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader<K> {
    /// The key of its flow.
    pub(crate) key: K,
    pub(crate) hash: u32,
    /// What it began, if it is of TCP.
    pub(crate) segment: Option<InFragments>,
}

/// A fragment that waits for the first one of its packet, with head-room.
#[derive(Debug)]
pub(crate) struct Held {
    /// What it brings of the packet.
    pub(crate) piece: Piece,
    pub(crate) buffer: Vec<u8>,
    pub(crate) start: usize,
}

/// Bytes before a held frame: what a program puts to the front at most.
const HEAD_ROOM: usize = opte_headers::program::Prefix::CAPACITY;

impl<K: Copy + Eq> FragmentTable<K> {
    pub(crate) fn new(limits: FragmentLimits) -> Self {
        Self {
            limits,
            packets: BTreeMap::new(),
            known: VecDeque::new(),
            waiting: VecDeque::new(),
            next_serial: 0,
            counters: FragmentCounters::default(),
            abandoned: 0,
        }
    }

    /// How many held fragments were dropped since this was asked last: their first one did not come, or did not pass.
    pub(crate) fn take_abandoned(&mut self) -> u32 {
        mem::take(&mut self.abandoned)
    }

    /// The counters, the gauges among them.
    pub(crate) fn counters(&self) -> FragmentCounters {
        FragmentCounters {
            packets: self.packets.len() as u32,
            ..self.counters
        }
    }

    /// Forgets all packets; what was counted stays.
    pub(crate) fn clear(&mut self) {
        let held = self.packets.values().map(|packet| packet.held.len() as u32);
        self.abandoned += held.sum::<u32>();
        self.packets.clear();
        self.known.clear();
        self.waiting.clear();
        self.counters.bytes = 0;
    }

    /// Notes a fragment that has come, the first of its packet or a later one, and says what became of the first.
    ///
    /// # Errors
    /// Why it must not pass.
    pub(crate) fn arrive(
        &mut self,
        now: Moment,
        id: PacketId,
        key: &K,
        piece: Piece,
    ) -> Result<FirstFragment<K>, DropReason> {
        if self
            .packets
            .get(&id)
            .is_some_and(|known| self.is_over(known, now))
        {
            self.forget(id);
        }
        if !self.packets.contains_key(&id) {
            self.enter(now, id, *key);
        }
        let packet = self.packets.get_mut(&id).ok_or(DropReason::FragmentLimit)?;
        if packet.key != *key {
            return Err(DropReason::FragmentLimit);
        }
        let limit = usize::from(self.limits.pieces);
        match packet.pieces.add(piece, limit) {
            Ok(()) => {}
            Err(DropReason::FragmentOverlap) => {
                // RFC 5722, section 4: the packet and all of its fragments go, those not yet here too.
                self.refuse(id);
                self.counters.incomplete += 1;
                return Err(DropReason::FragmentOverlap);
            }
            Err(reason) => return Err(reason),
        }
        Ok(packet.first)
    }

    /// What became of the first fragment of a packet.
    pub(crate) fn first_of(&self, now: Moment, id: PacketId, key: &K) -> FirstFragment<K> {
        match self.packets.get(&id) {
            Some(packet) if packet.key == *key && !self.is_over(packet, now) => packet.first,
            _ => FirstFragment::Awaited,
        }
    }

    /// Holds a later fragment until the first one comes.
    pub(crate) fn hold(
        &mut self,
        id: PacketId,
        piece: Piece,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let len = packet.len();
        let bytes = self.counters.bytes.saturating_add(len as u32);
        let Some(waiting) = self.packets.get_mut(&id) else {
            return Err(DropReason::FragmentLimit);
        };
        if bytes > self.limits.bytes {
            return Err(DropReason::FragmentLimit);
        }
        let mut buffer = Vec::new();
        if buffer.try_reserve_exact(HEAD_ROOM + len).is_err() {
            return Err(DropReason::FragmentLimit);
        }
        buffer.resize(HEAD_ROOM, 0);
        buffer.extend_from_slice(packet.frame());
        waiting.held.push(Held {
            piece,
            buffer,
            start: HEAD_ROOM,
        });
        self.counters.bytes = bytes;
        self.counters.held += 1;
        Ok(())
    }

    /// The first fragment has passed: gives those that waited for it.
    pub(crate) fn passed(&mut self, id: PacketId, leader: Leader<K>) -> Vec<Held> {
        self.counters.first += 1;
        let Some(packet) = self.packets.get_mut(&id) else {
            return Vec::new();
        };
        packet.first = FirstFragment::Passed(leader);
        self.known.push_back((id, packet.serial));
        let held = mem::take(&mut packet.held);
        self.let_go(&held);
        self.counters.released += held.len() as u64;
        self.displace(true);
        held
    }

    /// The first fragment has not passed: the others will not.
    pub(crate) fn refuse(&mut self, id: PacketId) {
        let Some(packet) = self.packets.get_mut(&id) else {
            return;
        };
        packet.first = FirstFragment::Refused;
        self.known.push_back((id, packet.serial));
        let held = mem::take(&mut packet.held);
        self.let_go(&held);
        self.abandoned += held.len() as u32;
        self.displace(true);
    }

    /// A later fragment has followed the first one.
    pub(crate) fn followed(&mut self) {
        self.counters.followed += 1;
    }

    /// Forgets the packet if all of it has come: its identification is free to be used again.
    pub(crate) fn finish(&mut self, id: PacketId) {
        let whole = |packet: &Fragmented<K>| {
            packet.pieces.is_complete() && packet.first != FirstFragment::Refused
        };
        if self.packets.get(&id).is_some_and(whole) {
            self.packets.remove(&id);
        }
    }

    /// Forgets packets whose time is over, `slice` of them at most.
    pub(crate) fn expire(&mut self, now: Moment, slice: u32) {
        for _ in 0..slice {
            let oldest = [self.known.front(), self.waiting.front()];
            let due = oldest.into_iter().flatten().find(|(id, serial)| {
                let packet = self
                    .packets
                    .get(id)
                    .filter(|packet| packet.serial == *serial);
                packet.is_none_or(|packet| self.is_over(packet, now))
            });
            let Some(&(id, serial)) = due else { break };
            for queue in [&mut self.known, &mut self.waiting] {
                if queue.front() == Some(&(id, serial)) {
                    queue.pop_front();
                }
            }
            let there = self.packets.get(&id);
            if there.is_some_and(|packet| packet.serial == serial && self.is_over(packet, now)) {
                self.forget(id);
            }
        }
    }

    /// Whether nothing more is waited for: its time is over, or is of a time before the clock jumped back.
    fn is_over(&self, packet: &Fragmented<K>, now: Moment) -> bool {
        /// By how much the clocks of workers may differ.
        const SKEW: Duration = Duration::from_secs(1);
        packet.deadline <= now || packet.deadline > now + self.limits.timeout + SKEW
    }

    fn enter(&mut self, now: Moment, id: PacketId, key: K) {
        let serial = self.next_serial;
        self.next_serial += 1;
        let packet = Fragmented {
            key,
            serial,
            deadline: now + self.limits.timeout,
            pieces: Pieces::default(),
            first: FirstFragment::Awaited,
            held: Vec::new(),
        };
        self.packets.insert(id, packet);
        self.waiting.push_back((id, serial));
        self.displace(false);
    }

    /// Makes room: the oldest packet goes where there are too many.
    fn displace(&mut self, known: bool) {
        let (queue, limit) = if known {
            (&mut self.known, self.limits.packets)
        } else {
            (&mut self.waiting, self.limits.waiting)
        };
        if queue.len() <= limit.max(1) as usize {
            return;
        }
        let Some((id, serial)) = queue.pop_front() else {
            return;
        };
        let of_this_queue = |packet: &Fragmented<K>| {
            packet.serial == serial && (packet.first != FirstFragment::Awaited) == known
        };
        if self.packets.get(&id).is_some_and(of_this_queue) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: PacketId) {
        let Some(packet) = self.packets.remove(&id) else {
            return;
        };
        if packet.first != FirstFragment::Refused {
            self.counters.incomplete += 1;
        }
        self.let_go(&packet.held);
        self.abandoned += packet.held.len() as u32;
    }

    fn let_go(&mut self, held: &[Held]) {
        let bytes = |one: &Held| (one.buffer.len() - one.start) as u32;
        self.counters.bytes -= held.iter().map(bytes).sum::<u32>();
    }
}
