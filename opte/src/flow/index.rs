//! From the hash of a key to the numbers of the records that may have it.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// An open-addressing table from 32-bit hashes to non-zero 32-bit values, in many small parts, so that growing one of them
/// takes a bounded time. Within a part it is linear probing; a removal moves the entries behind it back, so there are no
/// tombstones.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[Part]>,
    /// How far a hash is shifted right to give its part.
    shift: u32,
}

#[derive(Debug, Default)]
struct Part {
    /// `hash << 32 | value`, or zero.
    slots: Vec<u64>,
    len: usize,
}

/// Entries that a part is meant to hold when the table is full.
const PART_ENTRIES: usize = 1024;
const FIRST_SLOTS: usize = 8;

impl Index {
    /// A table that is to hold `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        let parts = (capacity / PART_ENTRIES).next_power_of_two().clamp(1, 4096);
        Self {
            parts: (0..parts).map(|_| Part::default()).collect(),
            shift: 32 - parts.trailing_zeros(),
        }
    }

    /// The first value under `hash` of which `is_it` says yes.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let part = self.parts.get(self.part_of(hash))?;
        let mask = part.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            let slot = *part.slots.get(at)?;
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 == hash && is_it(slot as u32) {
                return Some(slot as u32);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a value. Nothing may have it under this hash.
    pub(super) fn insert(&mut self, hash: u32, value: u32) {
        let at = self.part_of(hash);
        if let Some(part) = self.parts.get_mut(at) {
            part.reserve();
            part.put(u64::from(hash) << 32 | u64::from(value));
            part.len += 1;
        }
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&mut self, hash: u32, value: u32) {
        let at = self.part_of(hash);
        if let Some(part) = self.parts.get_mut(at) {
            part.remove(u64::from(hash) << 32 | u64::from(value));
        }
    }

    #[inline]
    fn part_of(&self, hash: u32) -> usize {
        (u64::from(hash) >> self.shift) as usize
    }
}

impl Part {
    /// Makes room for one more entry, so that at least a quarter of the slots stays free.
    fn reserve(&mut self) {
        if (self.len + 1) * 4 <= self.slots.len() * 3 {
            return;
        }
        let doubled = (self.slots.len() * 2).max(FIRST_SLOTS);
        let old = core::mem::replace(&mut self.slots, alloc::vec![0; doubled]);
        for slot in old {
            if slot != 0 {
                self.put(slot);
            }
        }
    }

    /// There is a free slot.
    fn put(&mut self, entry: u64) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = home(entry) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = entry;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn remove(&mut self, entry: u64) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut hole = home(entry) & mask;
        loop {
            match self.slots.get(hole) {
                Some(slot) if *slot == entry => break,
                None | Some(0) => return,
                Some(_) => hole = (hole + 1) & mask,
            }
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots.get(at).copied().unwrap_or(0);
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

    fn set(&mut self, at: usize, entry: u64) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = entry;
        }
    }
}

#[inline]
fn home(entry: u64) -> usize {
    (entry >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn agrees_with_a_set(ops in prop::collection::vec((any::<bool>(), 0u32..64, 1u32..64), 1..400)) {
            let mut index = Index::new(64);
            let mut set = BTreeSet::new();
            for (insert, hash, value) in ops {
                // Few hashes, spread over the word, so that probe sequences run into one another and wrap.
                let hash = hash.wrapping_mul(0x0400_0001);
                if insert && set.insert((hash, value)) {
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
}
