//! Doubly linked lists through the links of records: joining and leaving take constant time and no memory.

use super::flat::{Flat, Links};
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
struct Neighbours {
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
    pub(super) fn push_back(&mut self, links: &Flat<Links>, id: u32) {
        let between = Neighbours {
            prev: self.tail,
            next: NIL,
        };
        Self::set(links, id, |old| *old = between);
        if !Self::set(links, self.tail, |tail| tail.next = id) {
            self.head = id;
        }
        self.tail = id;
    }

    /// Takes a record of this list out.
    pub(super) fn remove(&mut self, links: &Flat<Links>, id: u32) {
        let mut between = Neighbours {
            prev: NIL,
            next: NIL,
        };
        Self::set(links, id, |old| core::mem::swap(old, &mut between));
        let Neighbours { prev, next } = between;
        if !Self::set(links, prev, |record| record.next = next) {
            self.head = next;
        }
        if !Self::set(links, next, |record| record.prev = prev) {
            self.tail = prev;
        }
    }

    /// Changes the links of a record; says whether there is one.
    fn set(links: &Flat<Links>, id: u32, change: impl FnOnce(&mut Neighbours)) -> bool {
        let Some(word) = links.get(id).and_then(|Links(all)| all.get(L)) else {
            return false;
        };
        let both = word.load(Ordering::Relaxed);
        let mut between = Neighbours {
            prev: both as u32,
            next: (both >> 32) as u32,
        };
        change(&mut between);
        word.store(
            u64::from(between.prev) | u64::from(between.next) << 32,
            Ordering::Relaxed,
        );
        true
    }
}
