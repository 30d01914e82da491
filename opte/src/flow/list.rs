//! Doubly linked lists through the records of a slab: joining and leaving take constant time and no memory.

use super::slab::Slab;

/// No record.
pub(super) const NIL: u32 = u32::MAX;

/// A record's place in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(super) const NONE: Links = Links {
        prev: NIL,
        next: NIL,
    };
}

/// A record that may be in list number `L` of its kind.
pub(super) trait Linked<const L: usize> {
    fn links(&mut self) -> &mut Links;
}

/// A list of records, known by its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<const L: usize> {
    head: u32,
    tail: u32,
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
    pub(super) fn push_back<T: Linked<L>>(&mut self, slab: &mut Slab<T>, id: u32) {
        if let Some(record) = slab.get_mut(id) {
            *record.links() = Links {
                prev: self.tail,
                next: NIL,
            };
        }
        match slab.get_mut(self.tail) {
            Some(tail) => tail.links().next = id,
            None => self.head = id,
        }
        self.tail = id;
    }

    /// Takes a record of this list out.
    pub(super) fn remove<T: Linked<L>>(&mut self, slab: &mut Slab<T>, id: u32) {
        let Some(record) = slab.get_mut(id) else {
            return;
        };
        let Links { prev, next } = core::mem::replace(record.links(), Links::NONE);
        match slab.get_mut(prev) {
            Some(record) => record.links().next = next,
            None => self.head = next,
        }
        match slab.get_mut(next) {
            Some(record) => record.links().prev = prev,
            None => self.tail = prev,
        }
    }
}
