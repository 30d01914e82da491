//! The part of a flow table that packets use without a lock.

use opte_headers::frame::Parsed;
use opte_headers::program::{Bound, Translation};

use super::cell::{Cell, KeyWords};
use super::chunks::Chunks;
use super::flat::{Flat, Links};
use super::hash::HashSeed;
use super::index::Index;
use super::programs::Programs;
use super::record::{Class, Lifetimes, Proto};
use super::timeouts::Timeouts;
use crate::packet::Packet;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{OnLine, SpinLock};
use crate::tcp::{Connection, Outcome, Segment};
use crate::time::Moment;
use crate::{Direction, DropReason};

/// The flows of a port as packets find them.
///
/// A packet of a known flow takes no lock but that of its TCP connection, and writes nothing that packets of other flows read
/// or write. What it finds may be on its way out: so everything is checked under the record's sequence number, and whoever is in
/// doubt leaves the packet to [`FlowTable`](super::FlowTable), under the port's lock.
///
/// On cache lines of its own: every packet reads it, and who changes the table counts references to it.
#[repr(align(128))]
pub(crate) struct FlowStore {
    pub(super) cells: Flat<Cell>,
    pub(super) links: Flat<Links>,
    /// Number 0 is nobody's.
    pub(super) connections: Chunks<Place>,
    pub(super) index: Index,
    pub(super) programs: Programs,
    /// Records that have ever been in use.
    pub(super) used: AtomicU32,
    pub(super) lifetimes: Lifetimes,
    pub(super) seed: HashSeed,
}

/// What is known of a packet before its turn comes: the hash of its key, and what the index has under it, zero if nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead {
    pub(crate) hash: u32,
    pub(crate) value: u32,
}

/// The place of a connection, which packets of its flow share.
pub(super) type Place = OnLine<SpinLock<Tracked>>;

const _: () = assert!(cfg!(loom) || size_of::<Place>() == 64);

/// A connection, or the place of one.
pub(super) struct Tracked {
    pub(super) connection: Connection,
    /// Of a free place: the next one.
    pub(super) next_free: u32,
}

/// A record that was found for a packet, as it stood then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    cell: &'a Cell,
    pub(crate) id: u32,
    pub(crate) sequence: u32,
}

/// A packet as far as flows are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passer {
    pub(crate) dir: Direction,
    pub(crate) now: Moment,
    /// The generation of all that flows depend on.
    pub(crate) epoch: u32,
    /// Where its innermost IP header stands.
    pub(crate) l3: u8,
    pub(crate) len: usize,
}

/// What a flow says to a packet.
pub(crate) enum Passing<'a> {
    /// It is of the flow and was counted. With `unsettled` set [`FlowTable::settle`](super::FlowTable::settle) is to follow.
    Pass {
        program: &'a Bound,
        translation: Translation,
        unsettled: bool,
    },
    /// It is of the flow and is to be dropped.
    Drop(DropReason),
    /// It begins a new connection between the same ends.
    Restart,
    /// That cannot be told without the port's lock; with it, the frame is not of the shape of the flow's.
    Unclear,
}

impl FlowStore {
    /// An empty store for this many flows.
    pub(super) fn new(seed: HashSeed, limit: u32, timeouts: &Timeouts) -> Self {
        Self {
            cells: Flat::new(limit),
            links: Flat::new(limit),
            connections: Chunks::new(limit.saturating_add(1)),
            index: Index::new(limit as usize * 2),
            programs: Programs::new(),
            used: AtomicU32::new(0),
            lifetimes: Lifetimes::new(timeouts),
            seed,
        }
    }

    /// Bytes of an empty store.
    pub(super) fn own_bytes(&self) -> usize {
        self.connections.own_bytes() + self.index.own_bytes() + self.programs.own_bytes()
    }

    /// The hash under which flows of this key are found.
    #[inline(always)]
    pub(crate) fn hash(&self, key: KeyWords) -> u32 {
        self.seed.hash(key)
    }

    /// Whether there have been so many flows at once that a packet seldom finds its own in a cache of the processor.
    #[inline(always)]
    pub(crate) fn is_large(&self) -> bool {
        const LARGE: u32 = 1 << 14;
        self.used.load(Ordering::Relaxed) > LARGE
    }

    /// Asks for the part of the index that a packet with a key of this hash will look at.
    #[inline(always)]
    pub(crate) fn announce(&self, hash: u32) -> Ahead {
        // Without a part there is nothing to be found.
        let _ = self.index.prefetch(hash);
        Ahead { hash, value: 0 }
    }

    /// Finds the record that the packet will look at, which goes `dir`, and asks for it.
    #[inline(always)]
    pub(crate) fn foresee(&self, dir: Direction, ahead: &mut Ahead) {
        if let Some(value) = self.index.find(ahead.hash, |_| true)
            && let Some(cell) = self.cells.get(of_value(value).0)
        {
            cell.prefetch(dir);
            ahead.value = value;
        }
    }

    /// The flow whose packets that go `dir` have this key.
    pub(crate) fn find(&self, dir: Direction, hash: u32, key: &KeyWords) -> Option<Found<'_>> {
        let mut found = None;
        self.index.find(hash, |value| {
            found = self.is_of(value, dir, key, None);
            found.is_some()
        })?;
        found
    }

    /// The first thing under this hash, for [`FlowStore::is_of`] to say whether it is what is looked for: nearly always it is.
    #[inline(always)]
    pub(crate) fn candidate(&self, hash: u32) -> Option<u32> {
        self.index.candidate(hash)
    }

    /// A packet that [`FlowStore::find`] found a flow for. `others` gives the programs that are not found without the port's
    /// lock.
    #[inline(always)]
    pub(crate) fn pass<'a>(
        &'a self,
        found: Found<'_>,
        passer: Passer,
        parsed: &Parsed,
        packet: &Packet<'_>,
        others: impl FnOnce(u32) -> Option<&'a Bound>,
    ) -> Passing<'a> {
        let Passer {
            dir,
            now,
            epoch,
            l3,
            len,
        } = passer;
        let cell = found.cell;
        let decided = cell.epoch();
        let (tail, deadline) = (cell.tail(dir), cell.deadline());
        let kind = cell.kind_word();
        if decided != epoch || kind.passes_nothing() || deadline <= now || tail.l3() != l3 {
            return Passing::Unclear;
        }
        let program = match self.programs.get(tail.program()) {
            Some(program) => program,
            None => match others(tail.program()) {
                Some(program) => program,
                None => return Passing::Unclear,
            },
        };
        let translation = cell.translation(dir);
        let (settled, before);
        if kind.is_tcp() {
            let connection = cell.connection().and_then(|at| self.connections.get(at));
            let (Some(connection), Some(segment)) = (connection, Segment::of(parsed, packet))
            else {
                return Passing::Unclear;
            };
            let mut tracked = connection.lock();
            // The connection of a flow that goes is taken from it under this lock, after the record has changed.
            if !cell.is_still(found.sequence) {
                return Passing::Unclear;
            }
            match tracked.connection.segment(dir, &segment) {
                Outcome::Pass => {}
                Outcome::Drop(reason) => return Passing::Drop(reason),
                Outcome::Restart => return Passing::Restart,
            }
            before = cell.count(dir, len, true);
            settled = if tracked.connection.is_smooth() {
                kind.is(Class::TcpEstablished)
            } else {
                kind.is(Class::of_flow(Proto::Tcp, Some(&tracked.connection), false))
            };
        } else {
            if !cell.is_still(found.sequence) {
                return Passing::Unclear;
            }
            before = cell.count(dir, len, false);
            settled = !before.was_none();
        }
        if settled && kind.is_prolonged() {
            let lifetime = self.lifetimes.of_number(kind.class());
            cell.prolong(deadline, now, lifetime);
        }
        Passing::Pass {
            program,
            translation,
            unsettled: !settled || before.is_much(),
        }
    }

    /// A packet that [`FlowStore::find`] found a flow for, if nothing that is known of the flow changes but numbers: a datagram
    /// that is not the first, or a segment of an established connection that acknowledges and does no more. It is counted.
    /// None, and nothing counted, of any other: [`FlowStore::pass`] is for all. `packet` is its direction, its time and its length,
    /// `gate` the word of the port's gate, and `segment` where in the frame a header of TCP begins and how many bytes of payload
    /// there are; the flow was found by the frame's anchor. Gives the program, by its number too, and what the flow adds to it.
    #[inline(always)]
    pub(crate) fn go_on(
        &self,
        found: Found<'_>,
        packet: (Direction, Moment, usize),
        gate: u64,
        frame: &[u8],
        segment: (usize, u32),
    ) -> Option<(&Bound, Translation, u32)> {
        let (dir, now, len) = packet;
        let cell = found.cell;
        if u64::from(cell.epoch()) != gate {
            return None;
        }
        let (kind, deadline) = (cell.kind_word(), cell.deadline());
        if deadline <= now {
            return None;
        }
        let lifetime = self.lifetimes.of_number(kind.class());
        let is_due = cell.is_due(deadline, now, lifetime);
        let going = if kind.is(Class::TcpEstablished) {
            let mut tracked = self.connections.get(cell.connection_place())?.lock();
            // As in `pass`. The place that is nobody's is not smooth.
            if !cell.is_still(found.sequence) || !tracked.connection.is_smooth() {
                return None;
            }
            // Who goes the long way from here on tells the connection the same once more, which changes nothing.
            let (l4, payload) = segment;
            let segment = Segment::established(frame.get(l4..)?.first_chunk()?, payload)?;
            tracked.connection.go_on(dir, &segment);
            let going = self.going(cell, dir)?;
            if !cell.is_still(found.sequence) {
                return None;
            }
            cell.count_another(dir, len, true)?;
            going
        } else {
            let going = self.going(cell, dir)?;
            if kind.passes_nothing() || kind.is_tcp() || !cell.is_still(found.sequence) {
                return None;
            }
            cell.count_another(dir, len, false)?;
            going
        };
        if is_due {
            cell.move_deadline(deadline, now, lifetime);
        }
        Some(going)
    }

    /// What is done with packets of a flow that go `dir`.
    #[inline(always)]
    fn going(&self, cell: &Cell, dir: Direction) -> Option<(&Bound, Translation, u32)> {
        let number = cell.tail(dir).program();
        Some((self.programs.get(number)?, cell.translation(dir), number))
    }

    /// The program of this number, if packets find it without the port's lock.
    #[inline(always)]
    pub(crate) fn program(&self, number: u32) -> Option<&Bound> {
        self.programs.get(number)
    }

    /// The record of a value of the index, if packets that go `dir` have this key, and their innermost IP header stands at `l3`, if
    /// that is said.
    #[inline(always)]
    pub(crate) fn is_of(
        &self,
        value: u32,
        dir: Direction,
        key: &KeyWords,
        l3: Option<u8>,
    ) -> Option<Found<'_>> {
        let (id, of) = of_value(value);
        let cell = self.cells.get(id)?;
        let sequence = cell.sequence();
        (of == dir && cell.has_key(dir, key, l3)).then_some(Found { cell, id, sequence })
    }
}

/// Zero is no value: it marks a free slot of the index.
pub(super) fn value_of(id: u32, dir: Direction) -> u32 {
    (id + 1) << 1 | dir as u32
}

#[inline(always)]
pub(super) fn of_value(value: u32) -> (u32, Direction) {
    let dir = if value & 1 == Direction::Out as u32 {
        Direction::Out
    } else {
        Direction::In
    };
    ((value >> 1).wrapping_sub(1), dir)
}
