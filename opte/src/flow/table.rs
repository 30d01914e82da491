//! The flow table of a port.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use opte_headers::program::{Bound, Translation};

use super::cell::{Counts, Kind, Side, Tail};
use super::chunks::CHUNK;
use super::hash::HashSeed;
use super::key::Key;
use super::list::List;
use super::programs::Interner;
use super::quota::{Beginner, Quotas};
use super::record::{Class, Decisions, Proto, RANK, RANKS};
use super::room;
use super::store::{FlowStore, value_of};
use super::timeouts::Timeouts;
use super::trail::Trails;
use super::wheel::Wheel;
use crate::api::FlowId;
use crate::direction::PerDirection;
use crate::memory;
use crate::network::Network;
use crate::port::{Limits, MAX_LAYERS};
use crate::tcp::{Connection, Outcome, Segment};
use crate::time::Moment;
use crate::{Direction, DropReason};

/// The flows of a port, found by the key of either direction: the part that is changed under the port's lock.
///
/// Insertion, displacement and expiry take constant time; nothing ever looks at all flows.
pub(crate) struct FlowTable<N: Network> {
    pub(super) store: Arc<FlowStore>,
    /// The rest of the records, by number, in chunks as the cells are.
    pub(super) decisions: Vec<Box<[Decisions<N>]>>,
    /// The first free record; its timer links tell the next.
    pub(super) free: u32,
    pub(super) flows: u32,
    /// Records there are chunks for.
    pub(super) end: u32,
    /// The first free connection; each tells the next.
    pub(super) free_connection: u32,
    pub(super) connections: u32,
    pub(super) end_of_connections: u32,
    /// What the cells of long flows have counted before.
    pub(super) counted: BTreeMap<u32, PerDirection<Counts>>,
    pub(super) wheel: Wheel,
    pub(super) ranks: [List<RANK>; RANKS],
    pub(super) programs: Interner,
    pub(super) quotas: Quotas,
    /// Flows that one address may have begun, by the way their first packets went.
    pub(super) quota: PerDirection<u32>,
    /// The ways that flows went.
    pub(crate) trails: Trails,
    /// Flows there may be.
    pub(super) limit: u32,
    /// Flows there are places for.
    pub(super) capacity: u32,
    pub(super) revoked: u32,
    /// Flows that may have packets, by the direction of their first one.
    begun: PerDirection<u32>,
    /// Connections of revoked flows.
    pub(super) revoked_connections: u32,
    pub(super) decided_by: [u32; MAX_LAYERS],
    /// Bytes of records, connections and index.
    pub(super) bytes: usize,
    pub(super) max_bytes: usize,
    pub(super) counters: TableCounters,
    /// Flows that came and went, while anybody looks.
    passages: Option<Vec<Passage>>,
}

/// A flow that came or went.
pub(crate) struct Passage {
    pub(crate) dir: Direction,
    /// It came.
    pub(crate) made: bool,
    pub(crate) flow: FlowId,
}

/// What is kept for who looks, at most.
const MAX_PASSAGES: usize = 1024;

/// What became of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounters {
    /// Flows made.
    pub created: u64,
    /// Flows that expired.
    pub expired: u64,
    /// Flows displaced by new ones because the table was full.
    pub displaced: u64,
    /// New flows refused because the table was full of better ones, or because there was no memory for them.
    pub refused: u64,
    /// New flows refused because who began them has as many as one address may have.
    pub over_quota: u64,
    /// The most flows there ever were at once.
    pub high_water: u32,
    /// The most TCP connections there ever were at once.
    pub connections_high_water: u32,
}

/// A flow that is to be entered.
pub(crate) struct NewFlow<'a, N: Network> {
    pub(crate) first: Direction,
    pub(crate) proto: Proto,
    pub(crate) connection: Option<&'a Connection>,
    pub(crate) epoch: u32,
    /// They are taken by the flow.
    pub(crate) decisions: &'a mut Decisions<N>,
    /// In the direction of the first packet.
    pub(crate) forward: NewSide<'a, N::Key>,
    /// In the other direction, if it could be told.
    pub(crate) back: Option<NewSide<'a, N::Key>>,
}

/// One direction of a new flow.
pub(crate) struct NewSide<'a, K> {
    pub(crate) key: &'a K,
    /// Of the key, as the table's store has it.
    pub(crate) hash: u32,
    pub(crate) l3: u8,
    pub(crate) made: Made<'a, K>,
}

/// What a flow does with its packets.
pub(crate) enum Made<'a, K> {
    /// What the trails hold for packets that go beside them, of this direction.
    Alone(Direction),
    /// What leads to a place on the trails, by which their key becomes another one.
    Trail { to: u32, after: &'a K },
}

/// What an expiry came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Flows removed.
    pub flows: u32,
    /// Flows looked at, those among them.
    pub looked_at: u32,
    /// Whether the slice was used up: there may be more to expire already.
    pub more: bool,
}

/// The most flows that a table may be for.
const MAX_FLOWS: u32 = 1 << 24;

/// No record, no connection.
pub(super) const NONE: u32 = u32::MAX;

impl<N: Network> FlowTable<N> {
    pub(crate) fn new(seed: HashSeed, limits: Limits, timeouts: &Timeouts) -> Self {
        let limit = limits.flows.get().min(MAX_FLOWS);
        let store = FlowStore::new(seed, limit, timeouts);
        let limit = limit
            .min(store.cells.capacity())
            .min(store.links.capacity());
        let quotas = Quotas::new(limit);
        Self {
            bytes: store.own_bytes() + quotas.own_bytes(),
            store: Arc::new(store),
            decisions: Vec::new(),
            free: NONE,
            flows: 0,
            end: 0,
            free_connection: NONE,
            connections: 0,
            // The first of all is nobody's.
            end_of_connections: 1,
            counted: BTreeMap::new(),
            wheel: Wheel::new(),
            ranks: [List::EMPTY; RANKS],
            programs: Interner::default(),
            quotas,
            quota: limits.quotas(),
            trails: Trails::default(),
            limit,
            capacity: limit,
            revoked: 0,
            begun: PerDirection::default(),
            revoked_connections: 0,
            decided_by: [0; MAX_LAYERS],
            max_bytes: limits.memory,
            counters: TableCounters::default(),
            passages: None,
        }
    }

    /// What packets use without the port's lock.
    pub(crate) fn store(&self) -> &Arc<FlowStore> {
        &self.store
    }

    /// Flows that may have packets.
    pub(crate) fn len(&self) -> u32 {
        self.flows - self.revoked
    }

    /// Of them those whose first packet went `dir`.
    pub(crate) fn begun(&self, dir: Direction) -> u32 {
        *self.begun.get(dir)
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Sets how many flows there may be, at most those that the table was made for, and how many of one address. Flows there are
    /// stay.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        self.limit = limits.flows.get().min(self.capacity);
        self.quota = limits.quotas();
    }

    /// Sets how long flows live, of each from its next packet on.
    pub(crate) fn set_timeouts(&self, timeouts: &Timeouts) {
        self.store.lifetimes.set(timeouts);
    }

    /// Bytes that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.programs.bytes() + self.trails.bytes()
    }

    /// Flows that the layer at this place has decided over.
    pub(crate) fn decided_by(&self, layer: usize) -> u32 {
        self.decided_by.get(layer).copied().unwrap_or_default()
    }

    /// Distinct programs in use.
    pub(crate) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// Connections of flows that may have packets.
    pub(crate) fn connections(&self) -> u32 {
        self.connections - self.revoked_connections
    }

    pub(crate) fn counters(&self) -> &TableCounters {
        &self.counters
    }

    /// Numbers of flows are below this one.
    pub(crate) fn end(&self) -> u32 {
        self.end
    }

    /// The flow whose packets that go `dir` have this key.
    #[inline(always)]
    pub(crate) fn find(&self, dir: Direction, hash: u32, key: &N::Key) -> Option<u32> {
        // Most often there is none with the hash.
        if self.store.index.has(hash) {
            self.find_among(dir, hash, key)
        } else {
            None
        }
    }

    #[inline(never)]
    fn find_among(&self, dir: Direction, hash: u32, key: &N::Key) -> Option<u32> {
        Some(self.store.find(dir, hash, &key.words())?.id)
    }

    /// The program of a number.
    pub(crate) fn program(&self, number: u32) -> Option<&Bound> {
        self.programs.get(&self.store.programs, number)
    }

    /// Enters a flow, and takes what was decided over it. There is room, and none has its keys. `None`, and the flow counted as
    /// refused, if there turns out to be no memory.
    pub(crate) fn insert(&mut self, now: Moment, new: &mut NewFlow<'_, N>) -> Option<u32> {
        let who = Beginner::of(new.first, new.forward.key);
        if self.charge(who).is_some() {
            self.make_room(now);
            if let Some(id) = self.enter(now, new) {
                return Some(id);
            }
            self.discharge(who);
        }
        self.counters.refused += 1;
        None
    }

    #[inline(always)]
    fn enter(&mut self, now: Moment, new: &mut NewFlow<'_, N>) -> Option<u32> {
        let id = self.free;
        let store = Arc::clone(&self.store);
        let cell = store.cells.get(id)?;
        let forward = &new.forward;
        self.reserve(&store, forward.hash)?;
        let mut there = Translation::default();
        let program = self.program_of(&store, forward, &mut there)?;
        let connection = match new.connection {
            Some(connection) => match self.take_connection(connection) {
                Some(number) => Some(number),
                None => {
                    self.programs.release(program);
                    return None;
                }
            },
            None => None,
        };
        // The direction is left out if there is no memory for it.
        let (mut back, mut back_again) = (None, Translation::default());
        if let Some(answer) = &new.back
            && self.reserve(&store, answer.hash).is_some()
            && let Some(program) = self.program_of(&store, answer, &mut back_again)
        {
            back = Some((answer, program));
        }
        self.free = room::next_free(&store, id);
        self.flows += 1;
        *self.begun.get_mut(new.first) += 1;
        let class = Class::of_flow(new.proto, new.connection, false);
        let deadline = now.plus_nanos(store.lifetimes.of(class));
        let timer_slot = self.wheel.insert(&store.links, id, now, deadline);
        let opposite = new.first.opposite();
        cell.write(|cell| {
            let tail = Tail::new(forward.l3, program);
            cell.set(new.first, &forward.key.words(), tail, &there);
            match &back {
                Some((answer, program)) => {
                    let tail = Tail::new(answer.l3, *program);
                    cell.set(opposite, &answer.key.words(), tail, &back_again);
                }
                None => {
                    let key = new.back.as_ref().map_or(forward.key, |back| back.key);
                    cell.set_side(opposite, &Side::unknown(key.words()));
                }
            }
            cell.clear_counts();
            cell.set_epoch(new.epoch);
            cell.set_connection(connection);
            cell.set_deadline(deadline);
            cell.set_kind(Some(Kind {
                class,
                proto: new.proto,
                first: new.first,
                timer_slot,
            }));
        });
        self.join_rank(id, class);
        self.begin_decisions(id, new.decisions);
        self.counters.high_water = self.counters.high_water.max(self.flows);
        // There is room: it was reserved.
        store.index.insert(forward.hash, value_of(id, new.first));
        if let Some((answer, _)) = back {
            store.index.insert(answer.hash, value_of(id, opposite));
        }
        self.counters.created += 1;
        if self.passages.is_some() {
            self.note_passage(id, true);
        }
        Some(id)
    }

    /// Sees to room in the index for a direction with this hash. `None` without memory for it.
    #[inline(always)]
    fn reserve(&mut self, store: &FlowStore, hash: u32) -> Option<()> {
        if store.index.has_room(hash) {
            return Some(());
        }
        self.grow_index(store, hash)
    }

    #[cold]
    #[inline(never)]
    fn grow_index(&mut self, store: &FlowStore, hash: u32) -> Option<()> {
        let may_grow = |more| self.bytes() + more <= self.max_bytes;
        let grown = store.index.reserve(hash, may_grow).ok()?;
        self.bytes += grown;
        Some(())
    }

    /// The number of the program of a direction, and what it leaves to the flow. `None` without memory for it.
    fn program_of(
        &mut self,
        store: &FlowStore,
        new: &NewSide<'_, N::Key>,
        translation: &mut Translation,
    ) -> Option<u32> {
        let (to, after) = match new.made {
            Made::Trail { to, after } => (to, after),
            Made::Alone(dir) => {
                let (programs, program) = (&store.programs, self.trails.alone(dir));
                let (number, of_flow) = self.programs.bind(programs, new.key, program, new.l3)?;
                *translation = of_flow;
                return Some(number);
            }
        };
        let place = self.trails.place_mut(to)?;
        *translation = new.key.translation_to(after, &place.keyed)?;
        if place.number != 0 {
            self.programs.take(place.number)?;
            return Some(place.number);
        }
        let number = self.programs.intern(&store.programs, &place.template)?;
        if Interner::is_kept(number) {
            place.number = number;
        }
        Some(number)
    }

    /// A direction as its cell is to have it. `None` without memory for its program.
    fn side_of(&mut self, store: &FlowStore, new: &NewSide<'_, N::Key>) -> Option<Side> {
        let mut translation = Translation::default();
        let program = self.program_of(store, new, &mut translation)?;
        Some(Side {
            key: new.key.words(),
            tail: Tail::new(new.l3, program),
            translation,
        })
    }

    /// What a flow does with its packets that go `dir`.
    pub(crate) fn done_to(&self, id: u32, dir: Direction) -> Option<(&Bound, Translation)> {
        let cell = self.store.cells.get(id)?;
        let program = self.program(cell.tail(dir).program())?;
        Some((program, cell.translation(dir)))
    }

    /// Counts the packet that a flow was made for.
    pub(crate) fn count_first(&mut self, id: u32, dir: Direction, len: usize) {
        if let Some(cell) = self.store.cells.get(id) {
            cell.count(dir, len, false);
        }
    }

    /// Counts a later fragment, which brings this `part` of a segment of the flow's connection, and prolongs the flow.
    ///
    /// # Errors
    /// What the connection has against it.
    pub(crate) fn count_part(
        &mut self,
        id: u32,
        (dir, now): (Direction, Moment),
        len: usize,
        part: Option<&Segment>,
    ) -> Result<(), DropReason> {
        let Some(flow) = self.get(id) else {
            return Ok(());
        };
        let connection = flow.cell.connection();
        let connection = connection.and_then(|at| self.store.connections.get(at));
        let mut locked = connection.map(|place| place.lock());
        if let (Some(tracked), Some(part)) = (&mut locked, part)
            && let Outcome::Drop(reason) = tracked.connection.part(dir, part)
        {
            return Err(reason);
        }
        flow.cell.count(dir, len, false);
        drop(locked);
        let class = flow.class_now();
        self.set_class(id, class, now);
        Ok(())
    }

    /// Gives a direction of a flow its key and program, in the place of those it had. A key that another flow has
    /// already is left to that flow; so is the direction if there is no memory for it.
    pub(crate) fn set_side(&mut self, id: u32, dir: Direction, new: Option<&NewSide<'_, N::Key>>) {
        let store = Arc::clone(&self.store);
        let Some(cell) = store.cells.get(id) else {
            return;
        };
        let old = cell.side(dir);
        let is_in = old.tail.program() != 0;
        let words = new.map(|new| new.key.words());
        if is_in && words != Some(old.key) {
            store.index.remove(store.hash(old.key), value_of(id, dir));
        }
        let entered = new.zip(words).and_then(|(new, words)| {
            if !is_in || words != old.key {
                let other = store.find(dir, new.hash, &words);
                if other.is_some_and(|other| other.id != id) {
                    return None;
                }
                self.reserve(&store, new.hash)?;
            }
            self.side_of(&store, new)
        });
        let side = entered.unwrap_or(Side::unknown(words.unwrap_or(old.key)));
        if side != old {
            cell.write(|cell| cell.set_side(dir, &side));
        }
        let enters = entered.is_some() && (!is_in || side.key != old.key);
        if enters {
            // There is room: it was reserved.
            store.index.insert(store.hash(side.key), value_of(id, dir));
        } else if entered.is_none() && is_in && words == Some(old.key) {
            store.index.remove(store.hash(old.key), value_of(id, dir));
        }
        if is_in {
            self.programs.release(old.tail.program());
        }
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, id: u32) {
        let _ = self.take_out(id);
    }

    /// Takes out flows from number `from` on, looking at so many; says where to go on.
    pub(crate) fn clear(&mut self, from: u32, slice: u32) -> Option<u32> {
        let to = from.saturating_add(slice).min(self.end);
        (from..to).for_each(|id| self.remove(id));
        (to < self.end).then_some(to)
    }

    /// Keeps what flows come and go, or no longer.
    pub(crate) fn watch(&mut self, on: bool) {
        self.passages = on.then(Vec::new);
    }

    /// The flows that came and went since they were asked for.
    pub(crate) fn take_passages(&mut self) -> Vec<Passage> {
        self.passages
            .as_mut()
            .map(core::mem::take)
            .unwrap_or_default()
    }

    fn note_passage(&mut self, id: u32, made: bool) {
        let Some(flow) = self.passages.as_ref().and_then(|_| self.get(id)) else {
            return;
        };
        let dir = flow.first();
        let flow = flow.side(dir).key.id();
        if let Some(passages) = &mut self.passages
            && passages.len() < MAX_PASSAGES
        {
            passages.push(Passage { dir, made, flow });
        }
    }

    fn take_out(&mut self, id: u32) -> Option<()> {
        let store = Arc::clone(&self.store);
        let cell = store.cells.get(id)?;
        let kind = cell.kind()?;
        if self.passages.is_some() {
            self.note_passage(id, false);
        }
        let forward = N::Key::from_words(cell.side(kind.first).key);
        self.discharge(Beginner::of(kind.first, &forward));
        self.wheel.remove(&store.links, id, kind.timer_slot);
        self.leave_rank(id, kind.class);
        self.set_decisions(id, Decisions::new());
        for dir in Direction::BOTH {
            let side = cell.side(dir);
            if side.tail.program() != 0 {
                store.index.remove(store.hash(side.key), value_of(id, dir));
                self.programs.release(side.tail.program());
            }
        }
        let connection = cell.connection();
        cell.write(|cell| {
            for dir in Direction::BOTH {
                cell.set_side(dir, &Side::unknown(cell.side(dir).key));
            }
            cell.set_connection(None);
            cell.set_kind(None);
        });
        let revoked = kind.class == Class::Revoked;
        self.revoked -= u32::from(revoked);
        *self.begun.get_mut(kind.first) -= u32::from(!revoked);
        self.revoked_connections -= u32::from(revoked && connection.is_some());
        self.give_connection(connection);
        self.counted.remove(&id);
        room::set_next_free(&store, id, self.free);
        self.free = id;
        self.flows -= 1;
        Some(())
    }

    /// Notes what the layers decided over a flow; gives what they had decided before.
    pub(crate) fn set_decisions(&mut self, id: u32, decisions: Decisions<N>) -> Decisions<N> {
        let Some(place) = self.decisions_mut(id) else {
            return decisions;
        };
        let old = core::mem::replace(place, decisions);
        let (after, before) = (place.layers(), old.layers());
        let mut gone = before & !after;
        while gone != 0 {
            if let Some(count) = self.decided_by.get_mut(gone.trailing_zeros() as usize) {
                *count -= 1;
            }
            gone &= gone - 1;
        }
        self.count_deciding(after & !before);
        old
    }

    /// Takes what the layers decided over a flow that is new: nothing was before.
    #[inline(always)]
    fn begin_decisions(&mut self, id: u32, decisions: &mut Decisions<N>) {
        self.count_deciding(decisions.layers());
        if let Some(place) = self.decisions_mut(id) {
            core::mem::swap(place, decisions);
        }
    }

    /// Counts another flow for each of these layers.
    #[inline(always)]
    fn count_deciding(&mut self, mut layers: u16) {
        while layers != 0 {
            if let Some(count) = self.decided_by.get_mut(layers.trailing_zeros() as usize) {
                *count += 1;
            }
            layers &= layers - 1;
        }
    }

    #[inline(always)]
    fn decisions_mut(&mut self, id: u32) -> Option<&mut Decisions<N>> {
        let chunk = self.decisions.get_mut((id / CHUNK) as usize)?;
        chunk.get_mut((id % CHUNK) as usize)
    }

    /// What the layers decided over a flow.
    pub(super) fn decisions_of(&self, id: u32) -> Option<&Decisions<N>> {
        let chunk = self.decisions.get((id / CHUNK) as usize)?;
        chunk.get((id % CHUNK) as usize)
    }

    /// Notes the generation that a flow's decisions were made in.
    pub(crate) fn set_epoch(&mut self, id: u32, epoch: u32) {
        if let Some(cell) = self.store.cells.get(id) {
            cell.set_epoch(epoch);
        }
    }

    /// Tells a flow's fate after a revalidation: revoked, it passes nothing and is the first to be displaced.
    pub(crate) fn set_revoked(&mut self, id: u32, revoked: bool, now: Moment) {
        let Some(flow) = self.get(id) else {
            return;
        };
        if flow.is_revoked() == revoked {
            return;
        }
        let first = flow.first();
        let connections = u32::from(flow.cell.connection().is_some());
        let class = flow.class_now();
        if revoked {
            self.revoked += 1;
            *self.begun.get_mut(first) -= 1;
            self.revoked_connections += connections;
            self.set_class(id, Class::Revoked, now);
        } else {
            self.revoked -= 1;
            *self.begun.get_mut(first) += 1;
            self.revoked_connections -= connections;
            self.set_class(id, class, now);
        }
    }

    /// Sets the flow's class and deadline by what it is now, and takes over what its cell has counted if that is much.
    pub(crate) fn settle(&mut self, (id, sequence): (u32, u32), now: Moment) {
        let store = Arc::clone(&self.store);
        let (Some(cell), Some(flow)) = (store.cells.get(id), self.get(id)) else {
            return;
        };
        if !cell.is_still(sequence) || flow.is_revoked() {
            return;
        }
        let class = flow.class_now();
        // Whoever counts a packet of a connection holds its lock.
        let connection = cell.connection().and_then(|at| store.connections.get(at));
        let locked = connection.map(|place| place.lock());
        for dir in Direction::BOTH {
            // Without memory for it the cell goes on counting: it holds as much again.
            let much = cell.counts(dir).is_much();
            if much && (self.counted.contains_key(&id) || memory::is_at_hand()) {
                let taken = cell.take_counts(dir);
                let all = self.counted.entry(id).or_default().get_mut(dir);
                all.packets += taken.packets;
                all.bytes += taken.bytes;
            }
        }
        drop(locked);
        self.set_class(id, class, now);
    }

    /// The deadline of a flow, which is moved to what a packet would make it now if it is of a time before the clock jumped back.
    fn bounded(&self, id: u32, now: Moment, deadline: Moment) -> Moment {
        let cell = self.store.cells.get(id);
        let (Some(cell), true) = (cell, self.wheel.is_unsettled()) else {
            return deadline;
        };
        let lifetime = self.store.lifetimes.of_number(cell.kind_word().class());
        let longest = now.plus_nanos(lifetime);
        if deadline > longest {
            cell.set_deadline(longest);
        }
        deadline.min(longest)
    }

    /// Removes flows whose time is over; looks at `slice` flows at most.
    pub(crate) fn expire(&mut self, now: Moment, slice: u32) -> Expired {
        let mut expired = Expired::default();
        for _ in 0..slice {
            let Some((id, slot)) = self.wheel.due(now) else {
                return expired;
            };
            let Some(deadline) = self.get(id).map(|flow| flow.deadline()) else {
                return expired;
            };
            expired.looked_at += 1;
            if deadline <= now {
                self.remove(id);
                self.counters.expired += 1;
                expired.flows += 1;
            } else {
                let deadline = self.bounded(id, now, deadline);
                self.set_timer(id, slot, now, deadline);
            }
        }
        expired.more = true;
        expired
    }

    pub(super) fn set_timer(&mut self, id: u32, slot: u16, now: Moment, deadline: Moment) {
        let store = &self.store;
        self.wheel.remove(&store.links, id, slot);
        let timer_slot = self.wheel.insert(&store.links, id, now, deadline);
        if let Some(cell) = store.cells.get(id)
            && let Some(kind) = cell.kind()
        {
            cell.set_kind(Some(Kind { timer_slot, ..kind }));
        }
    }

    pub(super) fn set_class(&mut self, id: u32, class: Class, now: Moment) {
        let store = Arc::clone(&self.store);
        let Some(cell) = store.cells.get(id) else {
            return;
        };
        let Some(kind) = cell.kind() else {
            return;
        };
        if kind.class == class && !class.is_prolonged() {
            // What comes after the end prolongs nothing.
            return;
        }
        let (deadline, old_deadline) = (now.plus_nanos(store.lifetimes.of(class)), cell.deadline());
        cell.set_deadline(deadline);
        if kind.class == class {
            return;
        }
        cell.set_kind(Some(Kind { class, ..kind }));
        self.leave_rank(id, kind.class);
        self.join_rank(id, class);
        if deadline < old_deadline {
            // The wheel would look at it too late.
            self.set_timer(id, kind.timer_slot, now, deadline);
        }
    }

    pub(super) fn join_rank(&mut self, id: u32, class: Class) {
        if let Some(rank) = class.rank().and_then(|rank| self.ranks.get_mut(rank)) {
            rank.push_back(&self.store.links, id);
        }
    }

    pub(super) fn leave_rank(&mut self, id: u32, class: Class) {
        if let Some(rank) = class.rank().and_then(|rank| self.ranks.get_mut(rank)) {
            rank.remove(&self.store.links, id);
        }
    }
}
