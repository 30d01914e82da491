//! From the hash of a key to the numbers of the records that may have it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use spin::Once;

use super::chunks::boxed;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// An open-addressing table from 32-bit hashes to non-zero 32-bit values, in many small parts, so that growing one of them
/// takes a bounded time. Within a part it is linear probing; a removal moves the entries behind it back, so there are no
/// tombstones.
///
/// One thread at a time changes it, while any number look entries up without a lock. Who looks while entries move may miss
/// one that is there, and may be shown one that is just going: so a value found is to be checked against its record, and a
/// value not found is to be looked for again by whoever may change the table.
pub(super) struct Index {
    parts: Box<[Part]>,
    /// Entries of each part: apart from what who looks reads, since they change with every entry.
    lens: Box<[AtomicU32]>,
}

/// Slots of a part, the first few and then as many again each time it grows: growing leaves those in use where they are.
struct Part {
    /// `hash << 32 | value`, or zero.
    segments: [Once<Box<[AtomicU64]>>; SEGMENTS],
    /// Slots in use less one: a mask of hashes. Zero: none.
    mask: AtomicU32,
}

const FIRST_SLOTS: usize = 16;
const SEGMENTS: usize = 9;
const MAX_SLOTS: usize = FIRST_SLOTS << (SEGMENTS - 1);

/// Entries that a part is meant to hold when the table is full: three quarters of its slots.
const PART_ENTRIES: usize = MAX_SLOTS / 4 * 3;

/// There is no memory, or no place, for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Index {
    /// A table that is to hold `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        let parts = capacity.div_ceil(PART_ENTRIES).max(1);
        Self {
            parts: (0..parts).map(|_| Part::new()).collect(),
            lens: (0..parts).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// The first value under `hash` of which `is_it` says yes.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let part = self.part(hash)?;
        let mask = part.mask.load(Ordering::Acquire) as usize;
        let home = hash as usize & mask;
        let mut at = home;
        loop {
            let slot = part.slot(at)?.load(Ordering::Acquire);
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == hash && is_it(slot as u32) {
                return Some(slot as u32);
            }
            at = (at + 1) & mask;
            if at == home {
                return None;
            }
        }
    }

    /// What stands first under `hash`, if it is under `hash`: most often what [`Index::find`] will give.
    #[inline(always)]
    pub(super) fn first(&self, hash: u32) -> Option<u32> {
        let part = self.part(hash)?;
        let mask = part.mask.load(Ordering::Acquire) as usize;
        let slot = part.slot(hash as usize & mask)?.load(Ordering::Acquire);
        ((slot >> 32) as u32 == hash).then_some(slot as u32)
    }

    /// Makes room for another entry under `hash`, and says how many bytes that took, which `may_grow` was asked for.
    pub(super) fn reserve(
        &self,
        hash: u32,
        may_grow: impl FnOnce(usize) -> bool,
    ) -> Result<usize, Full> {
        let (part, len) = self.part_and_len(hash).ok_or(Full)?;
        part.reserve(len.load(Ordering::Relaxed) as usize, may_grow)
    }

    /// Adds a value, for which there is room. Nothing may have it under this hash.
    pub(super) fn insert(&self, hash: u32, value: u32) {
        if let Some((part, len)) = self.part_and_len(hash) {
            part.put(entry_of(hash, value));
            len.store(len.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&self, hash: u32, value: u32) {
        if let Some((part, len)) = self.part_and_len(hash)
            && part.remove(entry_of(hash, value))
        {
            len.store(len.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
    }

    /// Bytes of an empty table.
    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.parts) + size_of_val(&*self.lens)
    }

    #[inline(always)]
    fn part(&self, hash: u32) -> Option<&Part> {
        self.parts.get(self.part_number(hash))
    }

    /// For the one who changes it.
    fn part_and_len(&self, hash: u32) -> Option<(&Part, &AtomicU32)> {
        let number = self.part_number(hash);
        self.parts.get(number).zip(self.lens.get(number))
    }

    /// The parts are told apart by the upper bits of a hash, the slots by the lower ones.
    #[inline(always)]
    fn part_number(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.parts.len() as u64) >> 32) as usize
    }
}

impl Part {
    fn new() -> Self {
        Self {
            segments: [const { Once::new() }; SEGMENTS],
            mask: AtomicU32::new(0),
        }
    }

    #[inline(always)]
    fn slot(&self, at: usize) -> Option<&AtomicU64> {
        // Segment 0 has slots 0..16, segment 1 16..32, segment 2 32..64 and so on.
        let log = (at | (FIRST_SLOTS / 2)).ilog2();
        let (segment, from) = if at < FIRST_SLOTS {
            (0, 0)
        } else {
            ((log - FIRST_SLOTS.ilog2() + 1) as usize, 1 << log)
        };
        self.segments.get(segment)?.get()?.get(at - from)
    }

    fn slots(&self) -> usize {
        match self.mask.load(Ordering::Relaxed) {
            0 => 0,
            mask => mask as usize + 1,
        }
    }

    /// Makes room for one more entry than the `len` there are, so that an eighth of the slots stays free.
    fn reserve(&self, len: usize, may_grow: impl FnOnce(usize) -> bool) -> Result<usize, Full> {
        let slots = self.slots();
        let fits = |limit: usize| len < limit;
        if fits(slots / 4 * 3) {
            return Ok(0);
        }
        let added = slots.max(FIRST_SLOTS) * size_of::<AtomicU64>();
        let grown = may_grow(added).then(|| self.grow(len, slots)).flatten();
        match grown {
            Some(()) => Ok(added),
            // What is there may be filled further, as long as searches end.
            None if fits(slots / 8 * 7) => Ok(0),
            None => Err(Full),
        }
    }

    /// Doubles the slots. Meanwhile entries may be missed.
    fn grow(&self, len: usize, slots: usize) -> Option<()> {
        let segment = match slots {
            0 => 0,
            _ => (slots.ilog2() - FIRST_SLOTS.ilog2() + 1) as usize,
        };
        let place = self.segments.get(segment)?;
        let added = slots.max(FIRST_SLOTS);
        let mut entries = Vec::new();
        entries.try_reserve_exact(len).ok()?;
        let fresh = boxed(added, || AtomicU64::new(0))?;
        place.call_once(|| fresh);
        let in_use = self.segments.iter().take(segment).filter_map(Once::get);
        for slot in in_use.flat_map(|slots| slots.iter()) {
            let entry = slot.load(Ordering::Relaxed);
            if entry != 0 {
                entries.push(entry);
                slot.store(0, Ordering::Relaxed);
            }
        }
        self.mask
            .store((slots + added - 1) as u32, Ordering::Release);
        // Half of them have their home in what was added, and most find it free there.
        let added = place.get()?;
        for entry in entries {
            let at = (home(entry) & (slots + added.len() - 1)).checked_sub(slots);
            match at.and_then(|at| added.get(at)) {
                Some(slot) if slot.load(Ordering::Relaxed) == 0 => {
                    slot.store(entry, Ordering::Release);
                }
                _ => self.put(entry),
            }
        }
        Some(())
    }

    /// There is a free slot.
    fn put(&self, entry: u64) {
        let mask = self.mask.load(Ordering::Relaxed) as usize;
        let mut at = home(entry) & mask;
        while let Some(slot) = self.slot(at) {
            if slot.load(Ordering::Relaxed) == 0 {
                // Whoever finds the entry sees the record that it is for.
                slot.store(entry, Ordering::Release);
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Says whether it was there.
    fn remove(&self, entry: u64) -> bool {
        let mask = self.mask.load(Ordering::Relaxed) as usize;
        let mut hole = home(entry) & mask;
        loop {
            match self.get(hole) {
                0 => return false,
                there if there == entry => break,
                _ => hole = (hole + 1) & mask,
            }
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.get(at);
            if slot == 0 {
                break;
            }
            // An entry may move back to the hole unless that is before its home.
            let from_home = at.wrapping_sub(home(slot)) & mask;
            let from_hole = at.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                self.set(hole, slot);
                hole = at;
            }
        }
        self.set(hole, 0);
        true
    }

    fn get(&self, at: usize) -> u64 {
        self.slot(at).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    fn set(&self, at: usize, entry: u64) {
        if let Some(slot) = self.slot(at) {
            slot.store(entry, Ordering::Release);
        }
    }
}

fn entry_of(hash: u32, value: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(value)
}

#[inline]
fn home(entry: u64) -> usize {
    (entry >> 32) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn agrees_with_a_set(ops in prop::collection::vec((any::<bool>(), 0u32..64, 1u32..64), 1..400)) {
            let index = Index::new(64);
            let mut set = BTreeSet::new();
            for (insert, hash, value) in ops {
                // Few hashes, spread over the word, so that probe sequences run into one another and wrap.
                let hash = hash.wrapping_mul(0x0400_0001);
                if insert && set.insert((hash, value)) {
                    index.reserve(hash, |_| true).unwrap();
                    index.insert(hash, value);
                } else {
                    set.remove(&(hash, value));
                    index.remove(hash, value);
                }
                for h in 0..64u32 {
                    let hash = h.wrapping_mul(0x0400_0001);
                    let mut found = Vec::new();
                    index.find(hash, |value| { found.push(value); false });
                    found.sort_unstable();
                    let wanted: Vec<u32> = set.range((hash, 0)..=(hash, u32::MAX)).map(|e| e.1).collect();
                    prop_assert_eq!(found, wanted);
                }
            }
        }
    }

    #[test]
    fn a_part_that_is_full_says_so() {
        let index = Index::new(1);
        let fits = (0..)
            .take_while(|n| index.reserve(*n, |_| true).is_ok())
            .inspect(|n| index.insert(*n, n + 1))
            .count();
        assert!((PART_ENTRIES..MAX_SLOTS).contains(&fits), "{fits}");
        assert!((0..fits as u32).all(|n| index.find(n, |value| value == n + 1).is_some()));
        assert_eq!(index.find(fits as u32, |_| true), None);
    }
}
