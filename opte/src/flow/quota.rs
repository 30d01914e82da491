//! How many flows each address has begun.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use super::chunks::{CHUNK, boxed};
use super::hash::HashSeed;
use super::index::Index;
use super::key::Key;
use super::table::NONE;
use crate::Direction;

/// Who began a flow: an address of the guest's side, or one outside. Of IPv6 addresses outside the first 64 bits count, since one
/// host has all the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginner {
    address: IpAddr,
    /// Which way the flow's first packet went.
    first: Direction,
}

impl Beginner {
    /// Of the flow whose first packet goes `first` with this key.
    pub(super) fn of<K: Key>(first: Direction, key: &K) -> Option<Self> {
        let address = match (key.source()?, first) {
            (IpAddr::V6(v6), Direction::In) => {
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64))
            }
            (address, _) => address,
        };
        Some(Self { address, first })
    }

    fn hash(&self, seed: &HashSeed) -> u32 {
        let first = self.first as u64;
        match self.address {
            IpAddr::V4(v4) => seed.hash([v4.to_bits().into(), 0, 4, first, 0, 0]),
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                seed.hash([(bits >> 64) as u64, bits as u64, 6, first, 0, 0])
            }
        }
    }
}

/// Entries that are worth an index of their own, about as many as one part of it is for, and how many of those there are at most.
const INDEX_ENTRIES: u32 = 2_560;
const MAX_INDEXES: u32 = 256;

/// The flows of those who have begun any that live. Each step takes constant time, and there are no more of them than flows.
pub(super) struct Quotas {
    /// By hash, each made when it is first needed: most ports have flows of few.
    indexes: Vec<Option<Index>>,
    /// Entries that one of them may be asked to hold.
    share: u32,
    /// By number, in chunks.
    entries: Vec<Box<[Entry]>>,
    /// The first entry without flows; each tells the next.
    free: u32,
    /// The one asked for last: most flows are begun by few.
    recent: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    who: Beginner,
    /// Of an entry that is in use: its flows. Of one that is not, [`NONE`] or the next one.
    flows: u32,
}

impl Quotas {
    /// Bytes of a chunk of entries.
    const CHUNK_BYTES: usize = CHUNK as usize * size_of::<Entry>();

    /// For at most so many flows.
    pub(super) fn new(flows: u32) -> Self {
        let indexes = (flows / INDEX_ENTRIES).clamp(1, MAX_INDEXES);
        Self {
            indexes: (0..indexes).map(|_| None).collect(),
            share: flows.div_ceil(indexes),
            entries: Vec::new(),
            free: NONE,
            recent: NONE,
        }
    }

    /// Bytes before anybody has begun a flow.
    pub(super) fn own_bytes(&self) -> usize {
        let index = size_of::<Option<Index>>() + Index::own_bytes_for(self.share as usize);
        self.indexes.len() * index
    }

    /// How many flows that live were begun by `who`.
    pub(super) fn flows(&self, seed: &HashSeed, who: &Beginner) -> u32 {
        let number = self.number(seed, who);
        number
            .and_then(|number| self.entry(number))
            .map_or(0, |entry| entry.flows)
    }

    /// Counts a flow of who has begun the one before, too; whether it is so.
    #[inline(always)]
    pub(super) fn begin_again(&mut self, who: &Beginner) -> bool {
        match self.entry_mut(self.recent) {
            Some(entry) if entry.who == *who => {
                entry.flows += 1;
                true
            }
            _ => false,
        }
    }

    /// Counts a flow; says how many more bytes that took, which `may_take` was asked for. `None` without memory for it.
    pub(super) fn begin(
        &mut self,
        seed: &HashSeed,
        who: &Beginner,
        may_take: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if let Some(number) = self.number(seed, who) {
            self.recent = number;
            self.entry_mut(number)?.flows += 1;
            return Some(0);
        }
        let hash = who.hash(seed);
        let index = self.index_made(hash)?;
        let mut taken = index.reserve(hash, &may_take).ok()?;
        if self.free == NONE {
            taken += self.grow(who, |bytes| may_take(taken + bytes))?;
        }
        let number = self.free;
        let entry = self.entry_mut(number)?;
        let next = core::mem::replace(
            entry,
            Entry {
                who: *who,
                flows: 1,
            },
        )
        .flows;
        self.free = next;
        self.recent = number;
        // Zero is no value of an index.
        self.index(hash)?.insert(hash, number + 1);
        Some(taken)
    }

    /// A flow that was counted is over.
    pub(super) fn end(&mut self, seed: &HashSeed, who: &Beginner) {
        let Some(number) = self.number(seed, who) else {
            return;
        };
        let free = self.free;
        let Some(entry) = self.entry_mut(number) else {
            return;
        };
        entry.flows -= 1;
        if entry.flows != 0 {
            return;
        }
        entry.flows = free;
        self.free = number;
        self.recent = NONE;
        let hash = who.hash(seed);
        if let Some(index) = self.index(hash) {
            index.remove(hash, number + 1);
        }
    }

    fn number(&self, seed: &HashSeed, who: &Beginner) -> Option<u32> {
        let is_it = |number: u32| self.entry(number).is_some_and(|entry| entry.who == *who);
        if is_it(self.recent) {
            return Some(self.recent);
        }
        let hash = who.hash(seed);
        let found = self.index(hash)?.find(hash, |value| is_it(value - 1))?;
        Some(found - 1)
    }

    fn index(&self, hash: u32) -> Option<&Index> {
        self.indexes.get(self.place(hash))?.as_ref()
    }

    /// The index that `hash` belongs to, made if it is not there; `None` without memory for it.
    fn index_made(&mut self, hash: u32) -> Option<&Index> {
        let (place, share) = (self.place(hash), self.share as usize);
        let index = self.indexes.get_mut(place)?;
        if index.is_none() {
            *index = Some(Index::new(share)).filter(|made| made.own_bytes() != 0);
        }
        index.as_ref()
    }

    /// Which index a hash belongs to: by a product, so that the bits that an index looks at are still any.
    fn place(&self, hash: u32) -> usize {
        let spread = u64::from(hash.wrapping_mul(0x9e37_79b1));
        ((spread * self.indexes.len() as u64) >> 32) as usize
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        let chunk = self.entries.get((number / CHUNK) as usize)?;
        chunk.get((number % CHUNK) as usize)
    }

    fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        let chunk = self.entries.get_mut((number / CHUNK) as usize)?;
        chunk.get_mut((number % CHUNK) as usize)
    }

    /// Makes free entries; says how many bytes they take.
    fn grow(&mut self, who: &Beginner, may_take: impl FnOnce(usize) -> bool) -> Option<usize> {
        if !may_take(Self::CHUNK_BYTES) {
            return None;
        }
        self.entries.try_reserve(1).ok()?;
        let first = self.entries.len() as u32 * CHUNK;
        let mut next = first;
        let chunk = boxed(CHUNK as usize, || {
            next += 1;
            Entry {
                who: *who,
                flows: next,
            }
        })?;
        self.entries.push(chunk);
        if let Some(last) = self.entry_mut(first + CHUNK - 1) {
            last.flows = NONE;
        }
        self.free = first;
        Some(Self::CHUNK_BYTES)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::provider::SeededRandom;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec((any::<bool>(), 0u32..600), 1..600)) {
            let seed = HashSeed::draw(&SeededRandom::new(1));
            let (mut quotas, mut map) = (Quotas::new(70_000), BTreeMap::new());
            let who = |number: u32| Beginner {
                address: Ipv4Addr::from_bits(number / 2).into(),
                first: if number & 1 == 0 { Direction::In } else { Direction::Out },
            };
            for (begins, number) in ops {
                let flows: &mut u32 = map.entry(number).or_default();
                if begins {
                    prop_assert!(quotas.begin(&seed, &who(number), |_| true).is_some());
                    *flows += 1;
                } else if *flows != 0 {
                    quotas.end(&seed, &who(number));
                    *flows -= 1;
                }
                prop_assert_eq!(quotas.flows(&seed, &who(number)), *flows);
            }
            for (number, flows) in map {
                prop_assert_eq!(quotas.flows(&seed, &who(number)), flows);
                (0..flows).for_each(|_| quotas.end(&seed, &who(number)));
            }
            // All entries are free again, each once.
            let mut free = 0;
            let mut next = quotas.free;
            while let Some(entry) = quotas.entry(next) {
                next = entry.flows;
                free += 1;
            }
            prop_assert_eq!(free, quotas.entries.len() * CHUNK as usize);
        }
    }
}
