//! Items by number, side by side: found by an addition, without a lock.

use alloc::boxed::Box;
use core::ops::Range;

use super::chunks::CHUNK;
use crate::sync::atomic::{AtomicU32, AtomicU64};

/// A store of items that are all zeros to begin with. Room for all of them is asked for at once, as zeroed memory: a system with
/// virtual memory backs it with pages when they are first written, which is by chunk after chunk. Items are written where
/// they lie, so they are made of atomics.
pub(super) struct Flat<T>(Box<[T]>);

/// What may be made of zeros.
#[cfg(not(loom))]
pub(super) trait Zeroed: zerocopy::FromZeros {}
#[cfg(not(loom))]
impl<T: zerocopy::FromZeros> Zeroed for T {}

/// As many items; fewer, down to none, without memory for them.
#[cfg(not(loom))]
pub(super) fn zeroed<T: Zeroed>(mut count: usize) -> Box<[T]> {
    use zerocopy::FromZeros as _;
    loop {
        match <[T]>::new_box_zeroed_with_elems(count) {
            Ok(items) => return items,
            Err(_) if count == 0 => return Box::default(),
            Err(_) => count /= 2,
        }
    }
}

/// The atomics of the model checker are made one by one.
#[cfg(loom)]
pub(super) trait Zeroed: Default {}
#[cfg(loom)]
impl<T: Default> Zeroed for T {}
#[cfg(loom)]
pub(super) fn zeroed<T: Zeroed>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

impl<T: Zeroed> Flat<T> {
    /// Bytes of a chunk.
    pub(super) const CHUNK_BYTES: usize = CHUNK as usize * size_of::<T>();

    /// Room for items of numbers below `capacity`; for fewer without memory for so many.
    pub(super) fn new(capacity: u32) -> Self {
        Self(zeroed(capacity as usize))
    }

    /// The item `id`, if there is room for it.
    #[inline(always)]
    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.0.get(id as usize)
    }

    /// Numbers there is room for are below this one.
    pub(super) fn capacity(&self) -> u32 {
        self.0.len() as u32
    }

    /// The numbers of the chunk that item `id` is in.
    pub(super) fn chunk(&self, id: u32) -> Range<u32> {
        let first = id & !(CHUNK - 1);
        first..(first + CHUNK).min(self.capacity())
    }
}

/// Links of a record for the one who writes: its places in the wheel and in the rank lists. Those of a free record: the first one
/// tells the next free record.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C)]
pub(super) struct Links(pub(super) [AtomicU64; 2]);

/// Counters and masks of parts.
pub(super) type Numbers = Box<[AtomicU32]>;
