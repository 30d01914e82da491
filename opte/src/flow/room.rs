//! Room for flows: memory, and what a full table gives up.

use super::cell::Cell;
use super::chunks::{CHUNK, Chunks, boxed};
use super::flat::{Flat, Links};
use super::list::List;
use super::quota::Beginner;
use super::record::Decisions;
use super::store::{FlowStore, Place, Tracked};
use super::table::{FlowTable, NONE};
use crate::network::Network;
use crate::sync::atomic::Ordering;
use crate::sync::{OnLine, SpinLock};
use crate::tcp::Connection;
use crate::time::Moment;
use crate::{Direction, DropReason};

impl<N: Network> FlowTable<N> {
    /// Whether a new flow would find a place without anything having to expire.
    pub(crate) fn may_enter(&self) -> bool {
        self.has_place() || self.ranks.iter().any(|rank| rank.head().is_some())
    }

    /// Whether a new flow whose first packet goes `dir` with this key may enter, and would find a place.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn admits(
        &mut self,
        now: Moment,
        dir: Direction,
        key: &N::Key,
    ) -> Result<(), DropReason> {
        if self.is_over_quota(dir, key) {
            return Err(DropReason::FlowQuota);
        }
        if self.may_enter() {
            return Ok(());
        }
        self.expire(now, 4);
        match self.has_place() {
            true => Ok(()),
            false => Err(DropReason::FlowTableFull),
        }
    }

    /// Whether who sends this first packet has begun as many flows as one address may.
    pub(crate) fn is_over_quota(&self, dir: Direction, key: &N::Key) -> bool {
        let quota = *self.quota.get(dir);
        quota < self.limit
            && Beginner::of(dir, key)
                .is_some_and(|who| self.quotas.flows(&self.store.seed, &who) >= quota)
    }

    /// Counts a new flow that was refused.
    pub(crate) fn count_refused(&mut self, reason: DropReason) {
        match reason {
            DropReason::FlowQuota => self.counters.over_quota += 1,
            DropReason::MeterNewFlows | DropReason::MeterFlows => {}
            _ => self.counters.refused += 1,
        }
    }

    /// Counts a flow of who begins it; `None` without memory for that.
    pub(super) fn charge(&mut self, who: Option<Beginner>) -> Option<()> {
        let Some(who) = who else { return Some(()) };
        if self.quotas.begin_again(&who) {
            return Some(());
        }
        let (held, most) = (self.bytes(), self.max_bytes);
        let may_take = |bytes| held + bytes <= most;
        self.bytes += self.quotas.begin(&self.store.seed, &who, may_take)?;
        Some(())
    }

    /// A flow of who began it is over.
    pub(super) fn discharge(&mut self, who: Option<Beginner>) {
        if let Some(who) = who {
            self.quotas.end(&self.store.seed, &who);
        }
    }

    /// A free record, for which another flow may have to go.
    pub(super) fn make_room(&mut self, now: Moment) {
        if self.flows >= self.limit || self.free == NONE && !self.grow() {
            self.displace(now);
        }
    }

    /// Enters a connection and says its number.
    pub(super) fn take_connection(&mut self, connection: &Connection) -> Option<u32> {
        if self.free_connection == NONE {
            self.grow_connections()?;
        }
        let id = self.free_connection;
        let mut tracked = self.store.connections.get(id)?.lock();
        self.free_connection = tracked.next_free;
        tracked.connection = *connection;
        self.connections += 1;
        let most = &mut self.counters.connections_high_water;
        *most = self.connections.max(*most);
        Some(id)
    }

    /// Gives a connection back.
    pub(super) fn give_connection(&mut self, id: Option<u32>) {
        if let Some(id) = id
            && let Some(tracked) = self.store.connections.get(id)
        {
            tracked.lock().next_free = self.free_connection;
            self.free_connection = id;
            self.connections -= 1;
        }
    }

    /// Removes the least valuable flow that may be displaced: of the lowest rank that has any the one that has waited
    /// longest, flows in use getting a second chance a bounded number of times.
    fn displace(&mut self, now: Moment) {
        const CHANCES: u32 = 4;
        /// Nanoseconds since the last packet.
        const IN_USE: u64 = 1_000_000_000;
        let Some(rank) = self.ranks.iter().position(|rank| rank.head().is_some()) else {
            return;
        };
        for chance in 1..=CHANCES {
            let Some(id) = self.ranks.get(rank).and_then(List::head) else {
                return;
            };
            let Some(flow) = self.get(id) else {
                return;
            };
            let class = flow.kind.class;
            let lifetime = self.store.lifetimes.of(class);
            let in_use = flow.deadline() > now.plus_nanos(lifetime.saturating_sub(IN_USE));
            if in_use && chance < CHANCES {
                self.leave_rank(id, class);
                self.join_rank(id, class);
                continue;
            }
            self.remove(id);
            self.counters.displaced += 1;
            return;
        }
    }

    /// Whether there is a free record, or may be one.
    pub(super) fn has_place(&self) -> bool {
        let there =
            self.free != NONE || self.end < self.capacity && self.may_take(Self::CHUNK_BYTES);
        there && self.flows < self.limit
    }

    /// Bytes of a chunk of records.
    const CHUNK_BYTES: usize = Flat::<Cell>::CHUNK_BYTES
        + Flat::<Links>::CHUNK_BYTES
        + CHUNK as usize * size_of::<Decisions<N>>();

    fn may_take(&self, bytes: usize) -> bool {
        self.bytes() + bytes <= self.max_bytes
    }

    /// Makes free records; says whether it did.
    fn grow(&mut self) -> bool {
        let may = self.end < self.capacity && self.may_take(Self::CHUNK_BYTES);
        if !may || self.decisions.try_reserve(1).is_err() {
            return false;
        }
        let Some(decisions) = boxed(CHUNK as usize, Decisions::new) else {
            return false;
        };
        let ids = self.store.cells.chunk(self.end);
        self.decisions.push(decisions);
        self.bytes += Self::CHUNK_BYTES;
        self.end = ids.end.min(self.capacity);
        self.store.used.store(self.end, Ordering::Relaxed);
        for id in (ids.start..self.end).rev() {
            set_next_free(&self.store, id, self.free);
            self.free = id;
        }
        true
    }

    fn grow_connections(&mut self) -> Option<()> {
        const BYTES: usize = Chunks::<Place>::CHUNK_BYTES;
        if !self.may_take(BYTES) {
            return None;
        }
        let end = self.end_of_connections;
        let mut next = end & !(CHUNK - 1);
        let ids = self.store.connections.grow(end, || {
            next += 1;
            OnLine(SpinLock::new(Tracked {
                connection: Connection::NONE,
                next_free: next,
            }))
        })?;
        self.bytes += BYTES;
        self.free_connection = end;
        self.end_of_connections = ids.end;
        if let Some(last) = self.store.connections.get(ids.end - 1) {
            last.lock().next_free = NONE;
        }
        Some(())
    }
}

/// The number of the free record behind this one.
pub(super) fn next_free(store: &FlowStore, id: u32) -> u32 {
    let links = store.links.get(id);
    links.map_or(NONE, |Links([first, _])| {
        first.load(Ordering::Relaxed) as u32
    })
}

pub(super) fn set_next_free(store: &FlowStore, id: u32, next: u32) {
    if let Some(Links([first, _])) = store.links.get(id) {
        first.store(u64::from(next), Ordering::Relaxed);
    }
}
