//! Fragments: the first one is a packet of its flow, the others follow it.

use alloc::vec::Vec;
use core::mem;

use opte_headers::FlowKey;
use opte_headers::frame::{Fragment, KeyKind, Parsed};

use super::process::{Arrival, entropy};
use super::worker::Claimed;
use super::{Inner, Port, Released, Verdict};
use crate::flow::Key;
use crate::fragment::{FirstFragment, Held, Leader, Piece};
use crate::network::Network;
use crate::packet::Packet;
use crate::tcp::InFragments;
use crate::time::Moment;
use crate::traffic_class;
use crate::{Direction, DropReason};

impl<N: Network> Port<N> {
    /// The fragments that go on since the first one of their packet has passed ([`Verdict::ForwardWithHeld`]), in the order in
    /// which they came, of either direction.
    pub fn take_released(&self) -> Vec<Released> {
        mem::take(&mut self.inner.lock().released)
    }

    /// The traffic class of a guest's packet.
    fn inner_class(&self, packet: &Packet<'_>) -> u8 {
        let parsed = self.network.parse(Direction::Out, packet.frame());
        parsed.map_or(0, |parsed| traffic_class::of_inner(&parsed, packet))
    }

    /// What a fragment has in common with the others of its packet, as the key of a later one.
    pub(super) fn fragment_key(&self, dir: Direction, parsed: &Parsed, frame: &[u8]) -> N::Key {
        let own = parsed.key;
        let mut common = *parsed;
        common.key = FlowKey {
            source_port: 0,
            destination_port: 0,
            // RFC 8200, section 4.5: what the later fragments of IPv6 say of the protocol does not count.
            protocol: if own.is_v4() { own.protocol } else { 0 },
            kind: KeyKind::FRAGMENT,
            ..own
        };
        self.network.key(dir, &common, frame)
    }
}

/// What a later fragment follows, and what it brings; `None` if it is held.
type Led<K> = Option<(Leader<K>, Piece)>;

impl<N: Network> Inner<N> {
    /// A fragment, the first one of its packet or a later one.
    #[cold]
    #[inline(never)]
    pub(super) fn fragment(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let dir = arrival.dir;
        self.fragments.get_mut(dir).expire(arrival.now, 2);
        let verdict = self.place_fragment(port, counts, arrival, packet, reply);
        self.count_abandoned(counts, dir);
        verdict
    }

    fn place_fragment(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let Arrival {
            dir, now, parsed, ..
        } = arrival;
        let piece = Piece::of(parsed, packet.frame()).map_err(|error| DropReason::from(&error))?;
        let key = port.fragment_key(dir, parsed, packet.frame());
        let id = (port.flows.hash(key.words()), parsed.fragment_id);
        let first = self.fragments.get_mut(dir).arrive(now, id, &key, piece)?;
        let segment = InFragments::of(parsed, packet, piece);
        let verdict = match (parsed.fragment, first) {
            (Fragment::Later, FirstFragment::Awaited) => {
                self.fragments.get_mut(dir).hold(id, piece, packet)?;
                return Ok(Verdict::Held);
            }
            (_, FirstFragment::Refused) => return Err(DropReason::FragmentOrphan),
            (Fragment::Later, FirstFragment::Passed(leader)) => {
                self.follow(port, counts, (dir, now), (&leader, piece), packet)?;
                Verdict::Forward { hash: leader.hash }
            }
            _ => match self.whole(port, counts, arrival, packet, reply) {
                Ok(Verdict::Forward { hash }) => {
                    let leader = Leader {
                        key: *arrival.key,
                        hash,
                        segment,
                    };
                    let held = self.fragments.get_mut(dir).passed(id, leader);
                    self.release(port, counts, (dir, now), &leader, held)
                }
                other => {
                    self.fragments.get_mut(dir).refuse(id);
                    self.fragments.get_mut(dir).finish(id);
                    return other;
                }
            },
        };
        self.fragments.get_mut(dir).finish(id);
        Ok(verdict)
    }

    /// What a later fragment would follow.
    pub(super) fn fragment_flow(
        &self,
        port: &Port<N>,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
    ) -> Result<Led<N::Key>, DropReason> {
        let Arrival { dir, parsed, .. } = arrival;
        let piece = Piece::of(parsed, packet.frame()).map_err(|error| DropReason::from(&error))?;
        let key = port.fragment_key(dir, parsed, packet.frame());
        let id = (port.flows.hash(key.words()), parsed.fragment_id);
        match self.fragments.get(dir).first_of(arrival.now, id, &key) {
            FirstFragment::Awaited => Ok(None),
            FirstFragment::Passed(leader) => Ok(Some((leader, piece))),
            FirstFragment::Refused => Err(DropReason::FragmentOrphan),
        }
    }

    /// Lets fragments go whose first one has just passed.
    fn release(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        (dir, now): (Direction, Moment),
        leader: &Leader<N::Key>,
        held: Vec<Held>,
    ) -> Verdict {
        let hash = leader.hash;
        if held.is_empty() {
            return Verdict::Forward { hash };
        }
        for Held {
            piece,
            mut buffer,
            start,
        } in held
        {
            let end = buffer.len();
            let Some(mut packet) = Packet::new(&mut buffer, start, end) else {
                continue;
            };
            let class = match dir {
                Direction::Out => port.inner_class(&packet),
                Direction::In => 0,
            };
            let followed = self.follow(port, counts, (dir, now), (leader, piece), &mut packet);
            if packet.head_room() < start {
                traffic_class::encapsulated(port.dscp(), class, &mut packet);
            }
            let range = packet.range();
            if let Err(reason) = followed {
                counts.dropped(dir, reason);
                continue;
            }
            buffer.truncate(range.end);
            self.released.push(Released {
                dir,
                hash,
                buffer,
                start: range.start,
            });
        }
        Verdict::ForwardWithHeld { hash }
    }

    /// Does to a later fragment what the flow of its first one says, as far as it has the headers for it.
    fn follow(
        &mut self,
        port: &Port<N>,
        counts: &Claimed<'_>,
        (dir, now): (Direction, Moment),
        (leader, piece): (&Leader<N::Key>, Piece),
        packet: &mut Packet<'_>,
    ) -> Result<(), DropReason> {
        let Leader { key, hash, segment } = leader;
        let parsed = port.network.parse(dir, packet.frame());
        let parsed = &parsed.map_err(|error| DropReason::from(&error))?;
        let arrival = Arrival {
            dir,
            now,
            parsed,
            key,
            hash: *hash,
        };
        let found = self.flows.find(dir, *hash, key);
        let id = found.ok_or(DropReason::FragmentOrphan)?;
        let epoch = port.epoch();
        let flow = self.flows.get(id).ok_or(DropReason::FragmentOrphan)?;
        if flow.is_doubtful(epoch, now) {
            self.doubtful(port, counts, id, epoch, arrival, packet)
                .ok_or(DropReason::FragmentOrphan)??;
        }
        let l3 = parsed.l3_index().unwrap_or_default();
        let len = packet.len();
        let flow = self.flows.get(id).ok_or(DropReason::FragmentOrphan)?;
        let side = flow.side(dir);
        if side.l3 != l3 {
            return Err(DropReason::ProgramApply);
        }
        let program = side.program.ok_or(DropReason::FragmentOrphan)?;
        let program = program.before_header(l3 + 1);
        let part = segment.and_then(|segment| segment.part(piece));
        self.flows.count_part(id, (dir, now), len, part.as_ref())?;
        packet
            .apply(&program, parsed, entropy(*hash))
            .map_err(|_| DropReason::ProgramApply)?;
        counts.hit(dir, len);
        self.fragments.get_mut(dir).followed();
        Ok(())
    }

    /// Forgets the fragmented packets whose time is over.
    pub(super) fn expire_fragments(&mut self, counts: &Claimed<'_>, now: Moment, slice: u32) {
        for dir in Direction::BOTH {
            self.fragments.get_mut(dir).expire(now, slice);
            self.count_abandoned(counts, dir);
        }
    }

    /// Forgets all fragmented packets.
    pub(super) fn forget_fragments(&mut self, counts: &Claimed<'_>) {
        for dir in Direction::BOTH {
            self.fragments.get_mut(dir).clear();
            self.count_abandoned(counts, dir);
        }
        self.released = Vec::new();
    }

    fn count_abandoned(&mut self, counts: &Claimed<'_>, dir: Direction) {
        for _ in 0..self.fragments.get_mut(dir).take_abandoned() {
            counts.dropped(dir, DropReason::FragmentOrphan);
        }
    }
}
