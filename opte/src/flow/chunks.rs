//! Items by number, in chunks that never move: they are found without a lock, and growing copies nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use spin::Once;

/// Items of a chunk, as a power of two. The model checker keeps book of each of them.
const BITS: u32 = if cfg!(loom) { 0 } else { 8 };
pub(super) const CHUNK: u32 = 1 << BITS;

/// A store that only grows. Its items are written where they lie, so they are made of atomics or locks.
pub(super) struct Chunks<T> {
    chunks: Box<[Once<Box<[T; CHUNK as usize]>>]>,
}

impl<T> Chunks<T> {
    /// Bytes of a chunk.
    pub(super) const CHUNK_BYTES: usize = CHUNK as usize * size_of::<T>();

    /// An empty store for items of numbers below `capacity`.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            chunks: (0..capacity.div_ceil(CHUNK)).map(|_| Once::new()).collect(),
        }
    }

    /// The item `id`, if its chunk is there.
    #[inline(always)]
    pub(super) fn get(&self, id: u32) -> Option<&T> {
        let chunk = self.chunks.get((id >> BITS) as usize)?.get()?;
        chunk.get(id as usize % CHUNK as usize)
    }

    /// Adds the chunk that item `id` is in, its items made by `make`; says the numbers in it. `None` without memory for it, or
    /// beyond the capacity.
    pub(super) fn grow(&self, id: u32, make: impl FnMut() -> T) -> Option<Range<u32>> {
        let place = self.chunks.get((id >> BITS) as usize)?;
        let chunk = boxed(CHUNK as usize, make)?.try_into().ok()?;
        place.call_once(|| chunk);
        let first = id & !(CHUNK - 1);
        Some(first..first + CHUNK)
    }

    /// Bytes of a store without chunks.
    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.chunks)
    }
}

/// So many items on the heap; `None` without memory for them.
pub(super) fn boxed<T>(count: usize, make: impl FnMut() -> T) -> Option<Box<[T]>> {
    let mut items = Vec::new();
    items.try_reserve_exact(count).ok()?;
    items.resize_with(count, make);
    Some(items.into_boxed_slice())
}
