//! From the hash of a key to the numbers of the records that may have it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::flat::{Numbers, zeroed};
use crate::prefetch::prefetch;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// An open-addressing table from 32-bit hashes to non-zero 32-bit values, in many small parts, so that growing one of them
/// takes a bounded time. Within a part it is linear probing; a removal moves the entries behind it back, so there are no
/// tombstones.
///
/// One thread at a time changes it, while any number look entries up without a lock. Who looks while entries move may miss
/// one that is there, and may be shown one that is just going: so a value found is to be checked against its record, and a
/// value not found is to be looked for again by whoever may change the table.
pub(super) struct Index {
    /// `hash << 32 | value`, or zero. The first line of each part, then the second of each and so on: so growing leaves slots in
    /// use where they are, and the memory of a table with few entries is at the beginning.
    slots: Box<[AtomicU64]>,
    /// Of each part, slots in use less one: a mask of hashes. Zero: none.
    masks: Numbers,
    /// Entries of each part.
    lens: Numbers,
}

/// A part that is grown or changed.
#[derive(Clone, Copy)]
struct Part<'a> {
    index: &'a Index,
    number: usize,
    mask: &'a AtomicU32,
    len: &'a AtomicU32,
}

/// Slots of a line of the cache.
const LINE: usize = 8;
const FIRST_SLOTS: usize = 16;
const DOUBLINGS: u32 = if cfg!(loom) { 0 } else { 8 };
const MAX_SLOTS: usize = FIRST_SLOTS << DOUBLINGS;

/// Entries that a part is meant to hold when the table is full: three quarters of its slots.
const PART_ENTRIES: usize = MAX_SLOTS / 4 * 3;

/// There is no memory, or no place, for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Index {
    /// A table that is to hold `capacity` entries. Without memory for it, it holds none.
    pub(super) fn new(capacity: usize) -> Self {
        let mut parts = capacity.div_ceil(PART_ENTRIES).max(1);
        let slots = zeroed(parts * MAX_SLOTS);
        if slots.len() < parts * MAX_SLOTS {
            parts = 0;
        }
        Self {
            slots,
            masks: zeroed(parts),
            lens: zeroed(parts),
        }
    }

    /// The first value under `hash` of which `is_it` says yes.
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let part = self.part_of(hash);
        let mask = self.masks.get(part)?.load(Ordering::Acquire) as usize;
        let home = hash as usize & mask;
        let mut at = home;
        loop {
            let slot = self.slot(part, at)?.load(Ordering::Acquire);
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

    /// The first value under `hash`: nearly always the only one.
    #[inline(always)]
    pub(super) fn candidate(&self, hash: u32) -> Option<u32> {
        let part = self.part_of(hash);
        let mask = self.masks.get(part)?.load(Ordering::Acquire) as usize;
        let mut place = self.place(part, hash as usize & mask);
        loop {
            let slot = self.slots.get(place)?.load(Ordering::Acquire);
            if (slot >> 32) as u32 == hash {
                return Some(slot as u32);
            }
            if slot == 0 {
                return None;
            }
            place += 1;
            if place.is_multiple_of(LINE) {
                return self.candidate_beyond(hash);
            }
        }
    }

    /// As [`Index::candidate`], which has not found it in the first line: in the lines behind that.
    #[inline(never)]
    fn candidate_beyond(&self, hash: u32) -> Option<u32> {
        let part = self.part_of(hash);
        let mask = self.masks.get(part)?.load(Ordering::Acquire) as usize;
        let mut at = hash as usize & mask & !(LINE - 1);
        for _ in 0..=mask / LINE {
            at = (at + LINE) & mask;
            let place = self.place(part, at);
            for slot in self.slots.get(place..place + LINE)? {
                let slot = slot.load(Ordering::Acquire);
                if (slot >> 32) as u32 == hash {
                    return Some(slot as u32);
                }
                if slot == 0 {
                    return None;
                }
            }
        }
        None
    }

    /// Asks for the memory where [`Index::find`] begins to look.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u32) -> Option<()> {
        let part = self.part_of(hash);
        let mask = self.masks.get(part)?.load(Ordering::Acquire);
        prefetch(self.slot(part, (hash & mask) as usize)?);
        Some(())
    }

    /// Whether there is any value under `hash`. For whoever may change the table: who looks while entries move may be told so
    /// wrongly.
    #[inline(always)]
    pub(super) fn has(&self, hash: u32) -> bool {
        let part = self.part_of(hash);
        let Some(mask) = self.masks.get(part) else {
            return false;
        };
        let mask = mask.load(Ordering::Relaxed) as usize;
        let home = hash as usize & mask;
        let (mut at, mut place) = (home, self.place(part, home));
        while let Some(slot) = self.slots.get(place) {
            let slot = slot.load(Ordering::Relaxed);
            if slot == 0 {
                return false;
            }
            if (slot >> 32) as u32 == hash {
                return true;
            }
            at = (at + 1) & mask;
            place = match at % LINE {
                0 => self.place(part, at),
                _ => place + 1,
            };
            if at == home {
                return false;
            }
        }
        false
    }

    /// Whether there is room for another entry under `hash`.
    #[inline(always)]
    pub(super) fn has_room(&self, hash: u32) -> bool {
        self.part(hash)
            .is_some_and(|part| part.len() < part.slots() / 4 * 3)
    }

    /// Makes room for another entry under `hash`, and says how many bytes that took, which `may_grow` was asked for.
    pub(super) fn reserve(
        &self,
        hash: u32,
        may_grow: impl FnOnce(usize) -> bool,
    ) -> Result<usize, Full> {
        self.part(hash).ok_or(Full)?.reserve(may_grow)
    }

    /// Adds a value, for which there is room. Nothing may have it under this hash.
    #[inline(always)]
    pub(super) fn insert(&self, hash: u32, value: u32) {
        if let Some(part) = self.part(hash) {
            part.put(entry_of(hash, value));
            // One thread at a time changes it.
            part.len.store(part.len() as u32 + 1, Ordering::Relaxed);
        }
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&self, hash: u32, value: u32) {
        if let Some(part) = self.part(hash) {
            part.remove(entry_of(hash, value));
        }
    }

    /// Bytes of an empty table.
    pub(super) fn own_bytes(&self) -> usize {
        size_of_val(&*self.masks) + size_of_val(&*self.lens)
    }

    /// Bytes of an empty table that is to hold `capacity` entries.
    pub(super) fn own_bytes_for(capacity: usize) -> usize {
        capacity.div_ceil(PART_ENTRIES).max(1) * 2 * size_of::<AtomicU32>()
    }

    /// The parts are told apart by the upper bits of a hash, the slots by the lower ones.
    #[inline(always)]
    fn part_of(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.masks.len() as u64) >> 32) as usize
    }

    #[inline(always)]
    fn slot(&self, part: usize, at: usize) -> Option<&AtomicU64> {
        self.slots.get(self.place(part, at))
    }

    /// Where a slot of a part stands among all.
    #[inline(always)]
    fn place(&self, part: usize, at: usize) -> usize {
        let line = at / LINE * self.masks.len() + part;
        line * LINE + at % LINE
    }

    #[inline(always)]
    fn part(&self, hash: u32) -> Option<Part<'_>> {
        let number = self.part_of(hash);
        Some(Part {
            index: self,
            number,
            mask: self.masks.get(number)?,
            len: self.lens.get(number)?,
        })
    }
}

impl<'a> Part<'a> {
    #[inline(always)]
    fn slot(self, at: usize) -> Option<&'a AtomicU64> {
        self.index.slot(self.number, at)
    }

    /// A line of slots.
    fn line(self, number: usize) -> Option<&'a [AtomicU64; LINE]> {
        let line = number * self.index.masks.len() + self.number;
        self.index.slots.get(line * LINE..)?.first_chunk()
    }

    fn len(self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }

    fn slots(self) -> usize {
        match self.mask.load(Ordering::Relaxed) {
            0 => 0,
            mask => mask as usize + 1,
        }
    }

    /// Makes room for one more entry, so that an eighth of the slots stays free.
    fn reserve(self, may_grow: impl FnOnce(usize) -> bool) -> Result<usize, Full> {
        let (len, slots) = (self.len(), self.slots());
        let fits = |limit: usize| len < limit;
        if fits(slots / 4 * 3) {
            return Ok(0);
        }
        let added = slots.max(FIRST_SLOTS) * size_of::<AtomicU64>();
        let grown = may_grow(added).then(|| self.grow(slots)).flatten();
        match grown {
            Some(()) => Ok(added),
            // What is there may be filled further, as long as searches end.
            None if fits(slots / 8 * 7) => Ok(0),
            None => Err(Full),
        }
    }

    /// Doubles the slots. Meanwhile entries may be missed.
    fn grow(self, slots: usize) -> Option<()> {
        let added = slots.max(FIRST_SLOTS);
        if slots + added > MAX_SLOTS {
            return None;
        }
        let wrapped = self.wrapped(slots)?;
        self.mask
            .store((slots + added - 1) as u32, Ordering::Release);
        for line in 0..slots / LINE {
            self.split(line, slots);
        }
        wrapped.into_iter().for_each(|entry| self.put(entry));
        Some(())
    }

    /// The entries that stand at the beginning of so many slots because there was no room for them at the end. `None` without
    /// memory for them.
    fn wrapped(self, slots: usize) -> Option<Vec<u64>> {
        let mut wrapped = Vec::new();
        for at in 0..slots {
            let entry = self.get(at);
            if entry == 0 {
                break;
            }
            if home(entry) & (slots - 1) > at {
                wrapped.try_reserve(1).ok()?;
                wrapped.push(entry);
            }
        }
        Some(wrapped)
    }

    /// Has the entries of a line where they belong now that there are twice as many slots as these: where they are, or as many
    /// slots further on. Those of the lines before are there already, and no entry has gone beyond where it stood, in either
    /// half: so one that stands at its home finds that place free. Those that are [wrapped](Part::wrapped) are taken out.
    fn split(self, number: usize, slots: usize) {
        let further = number + slots / LINE;
        let (Some(line), Some(other)) = (self.line(number), self.line(further)) else {
            return;
        };
        for (at, (here, there)) in (number * LINE..).zip(line.iter().zip(other)) {
            let entry = here.load(Ordering::Relaxed);
            if entry == 0 {
                continue;
            }
            let home = home(entry);
            let before = home & (slots - 1);
            if before != at {
                here.store(0, Ordering::Relaxed);
                if before < at {
                    self.put(entry);
                }
            } else if home & slots != 0 {
                there.store(entry, Ordering::Release);
                here.store(0, Ordering::Relaxed);
            }
        }
    }

    /// There is a free slot.
    #[inline(always)]
    fn put(self, entry: u64) {
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

    fn remove(self, entry: u64) {
        let mask = self.mask.load(Ordering::Relaxed) as usize;
        let mut hole = home(entry) & mask;
        loop {
            match self.get(hole) {
                0 => return,
                there if there == entry => break,
                _ => hole = (hole + 1) & mask,
            }
        }
        self.len.fetch_sub(1, Ordering::Relaxed);
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
    }

    fn get(self, at: usize) -> u64 {
        self.slot(at).map_or(0, |slot| slot.load(Ordering::Relaxed))
    }

    fn set(self, at: usize, entry: u64) {
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
                    prop_assert_eq!(index.has(hash), !found.is_empty());
                    found.sort_unstable();
                    let wanted: Vec<u32> = set.range((hash, 0)..=(hash, u32::MAX)).map(|e| e.1).collect();
                    prop_assert_eq!(found, wanted);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn growing_loses_nothing(seed in any::<u32>(), few in any::<bool>(), count in 1usize..1500) {
            let index = Index::new(64);
            // Of few hashes the entries stand far from home.
            let mask = if few { 0x003f_003f } else { u32::MAX };
            let hash = |n: usize| (n as u32).wrapping_mul(0x9e37_79b1).wrapping_add(seed).rotate_left(7) & mask;
            for n in 0..count {
                index.reserve(hash(n), |_| true).unwrap();
                index.insert(hash(n), n as u32 + 1);
            }
            for n in 0..count {
                prop_assert!(index.find(hash(n), |value| value == n as u32 + 1).is_some());
            }
            (0..count).for_each(|n| index.remove(hash(n), n as u32 + 1));
            prop_assert!(index.slots.iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
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
