//! Records by number, in chunks that never move: growing copies nothing, so no packet waits for it.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Records of a chunk, as a power of two.
const CHUNK_BITS: u32 = 6;
const CHUNK: usize = 1 << CHUNK_BITS;

/// A store of records that are known by a 32-bit number. A number is given out again after its record is gone.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Box<[Slot<T>]>>,
    /// The first free number; each free slot tells the next.
    free: u32,
    len: u32,
}

#[derive(Debug)]
enum Slot<T> {
    Free(u32),
    Used(T),
}

const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The numbers that have ever been in use are below this one.
    pub(super) fn end(&self) -> u32 {
        self.chunks.len() as u32 * CHUNK as u32
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&T> {
        let chunk = self.chunks.get((id >> CHUNK_BITS) as usize)?;
        match chunk.get(id as usize % CHUNK) {
            Some(Slot::Used(value)) => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        match self.slot_mut(id) {
            Some(Slot::Used(value)) => Some(value),
            _ => None,
        }
    }

    /// Stores a record and says its number.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if self.free == NONE {
            self.grow();
        }
        let id = self.free;
        if let Some(slot) = self.slot_mut(id)
            && let Slot::Free(next) = core::mem::replace(slot, Slot::Used(value))
        {
            self.free = next;
            self.len += 1;
        }
        id
    }

    /// Takes the record out, if it is there.
    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(id)?;
        if !matches!(slot, Slot::Used(_)) {
            return None;
        }
        let Slot::Used(value) = core::mem::replace(slot, Slot::Free(free)) else {
            return None;
        };
        self.free = id;
        self.len -= 1;
        Some(value)
    }

    #[inline]
    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot<T>> {
        let chunk = self.chunks.get_mut((id >> CHUNK_BITS) as usize)?;
        chunk.get_mut(id as usize % CHUNK)
    }

    fn grow(&mut self) {
        let first = self.end();
        let next = |i: u32| {
            if i + 1 < CHUNK as u32 {
                first + i + 1
            } else {
                NONE
            }
        };
        self.chunks
            .push((0..CHUNK as u32).map(|i| Slot::Free(next(i))).collect());
        self.free = first;
    }
}
