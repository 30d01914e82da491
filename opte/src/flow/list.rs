//! Doubly linked lists through the cells of flows: joining and leaving take constant time and no memory.

use super::cell::Cell;
use super::chunks::Chunks;
use crate::sync::atomic::Ordering;

/// No record.
pub(super) const NIL: u32 = u32::MAX;

/// A list of records by their links number `L`, known by its ends. One thread at a time uses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<const L: usize> {
    head: u32,
    tail: u32,
}

/// A record's place in one list.
#[derive(Clone, Copy)]
struct Links {
    prev: u32,
    next: u32,
}

impl<const L: usize> List<L> {
    pub(super) const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
    };

    pub(super) fn head(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// Adds a record that is in no list of this number.
    pub(super) fn push_back(&mut self, cells: &Chunks<Cell>, id: u32) {
        let links = Links {
            prev: self.tail,
            next: NIL,
        };
        Self::set(cells, id, |old| *old = links);
        if !Self::set(cells, self.tail, |tail| tail.next = id) {
            self.head = id;
        }
        self.tail = id;
    }

    /// Takes a record of this list out.
    pub(super) fn remove(&mut self, cells: &Chunks<Cell>, id: u32) {
        let mut links = Links {
            prev: NIL,
            next: NIL,
        };
        Self::set(cells, id, |old| core::mem::swap(old, &mut links));
        let Links { prev, next } = links;
        if !Self::set(cells, prev, |record| record.next = next) {
            self.head = next;
        }
        if !Self::set(cells, next, |record| record.prev = prev) {
            self.tail = prev;
        }
    }

    /// Changes the links of a record; says whether there is one.
    fn set(cells: &Chunks<Cell>, id: u32, change: impl FnOnce(&mut Links)) -> bool {
        let Some(word) = cells.get(id).and_then(|cell| cell.links.get(L)) else {
            return false;
        };
        let both = word.load(Ordering::Relaxed);
        let mut links = Links {
            prev: both as u32,
            next: (both >> 32) as u32,
        };
        change(&mut links);
        word.store(
            u64::from(links.prev) | u64::from(links.next) << 32,
            Ordering::Relaxed,
        );
        true
    }
}
