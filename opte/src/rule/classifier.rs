//! Which rules a packet may match: a bit vector for each value that rules ask for.
//!
//! In each dimension (a field, a bit of the discriminators, a value of the metadata) a trie has, for every set of values that
//! some rule asks for, the rules that do. A packet's candidates are in every dimension among the rules that do not ask for
//! anything there and those that ask for what it has, less those that refuse it. The intersection is taken on words of 64
//! rules, and before that on summaries of 64 words: so its cost is that of a look into each trie, and grows with the number
//! of rules by one step for 4,096 of them, plus one for each 64 that the summaries cannot tell from candidates.
//!
//! (T. V. Lakshman and D. Stiliadis, "High-speed policy-based packet forwarding using efficient multi-dimensional range
//! matching", SIGCOMM 1998; F. Baboescu and G. Varghese, "Scalable packet classification", SIGCOMM 2001.)

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::bits::{Sparse, split, word_at, word_mut};
use super::condition::{Condition, DIMENSIONS, Dimension, Piece, Space, Value};
use crate::lpm::Lpm;

/// The index of a table's rules.
#[derive(Debug, Default)]
pub(super) struct Classifier {
    /// The places in use, by block.
    used: Vec<u64>,
    /// The blocks in use.
    summary: Vec<u64>,
    dimensions: [Option<Box<Index>>; DIMENSIONS],
    /// Dimensions that there is an index of, by bit.
    active: u32,
}

/// What rules ask for in one dimension.
#[derive(Debug, Default)]
struct Index {
    /// Rules that ask for something, by block.
    asking: Vec<u64>,
    /// Blocks with a rule that asks for nothing.
    free: Vec<u64>,
    /// The rules that ask for values.
    wanted: Spaces,
    /// The rules that refuse values.
    unwanted: Spaces,
    rules: u32,
}

#[derive(Debug, Default)]
struct Spaces {
    first: Lpm<Sparse>,
    second: Lpm<Sparse>,
}

/// Whoever looks for a match among candidates.
pub(super) trait Visitor {
    /// Whether a block can have anything better than what was found.
    fn is_worth(&self, block: u32) -> bool;

    /// The candidates in a block.
    fn visit(&mut self, block: u32, candidates: u64);
}

/// Sets that a lookup takes together. Where there are more it asks for less than it could.
const PATHS: usize = 72;

/// One dimension of a lookup: its index, and where the sets of the packet's value stand among the paths.
#[derive(Clone, Copy)]
struct Part<'a> {
    index: &'a Index,
    wanted: (usize, usize),
    unwanted: (usize, usize),
}

/// The sets of rules that a packet's values have to do with.
struct Paths<'a> {
    sets: [Option<&'a Sparse>; PATHS],
    len: usize,
    parts: [Option<Part<'a>>; DIMENSIONS],
    dimensions: usize,
}

impl Classifier {
    /// Enters a rule that asks for `conditions`.
    pub(super) fn insert(&mut self, place: u32, conditions: &[Condition]) {
        for condition in conditions {
            let Some(slot) = self.dimensions.get_mut(condition.dimension) else {
                continue;
            };
            let index = slot.get_or_insert_with(|| {
                Box::new(Index {
                    free: self.summary.clone(),
                    ..Index::default()
                })
            });
            self.active |= 1 << condition.dimension;
            index.insert(place, condition);
        }
        let (block, bit) = split(place);
        if let Some(used) = word_mut(&mut self.used, block) {
            *used |= bit;
        }
        self.refresh(block);
    }

    /// Takes a rule out, which was entered with the same `conditions`.
    pub(super) fn remove(&mut self, place: u32, conditions: &[Condition]) {
        for condition in conditions {
            let Some(slot) = self.dimensions.get_mut(condition.dimension) else {
                continue;
            };
            let Some(index) = slot else { continue };
            index.remove(place, condition);
            if index.rules == 0 {
                *slot = None;
                self.active &= !(1 << condition.dimension);
            }
        }
        let (block, bit) = split(place);
        if let Some(used) = word_mut(&mut self.used, block) {
            *used &= !bit;
        }
        self.refresh(block);
    }

    /// Sets the bits of a block in the summaries.
    fn refresh(&mut self, block: u32) {
        let used = word_at(&self.used, block);
        note(&mut self.summary, block, used != 0);
        for index in self.dimensions.iter_mut().flatten() {
            let free = used & !word_at(&index.asking, block);
            note(&mut index.free, block, free != 0);
        }
    }

    /// Shows `visitor` the rules that a packet with these values may match: all that it does, and some that it does not
    /// where their conditions leave something out.
    #[inline]
    pub(super) fn candidates(
        &self,
        value: impl Fn(Dimension) -> Option<Value>,
        visitor: &mut impl Visitor,
    ) {
        let mut paths = Paths {
            sets: [None; PATHS],
            len: 0,
            parts: [None; DIMENSIONS],
            dimensions: 0,
        };
        let mut active = self.active;
        while active != 0 {
            let dimension = active.trailing_zeros() as Dimension;
            active &= active - 1;
            if let Some(Some(index)) = self.dimensions.get(dimension)
                && !paths.take(index, value(dimension))
            {
                return;
            }
        }
        for (at, used) in self.summary.iter().enumerate() {
            let mut blocks = paths.blocks(at, *used);
            while blocks != 0 {
                let block = at as u32 * u64::BITS + blocks.trailing_zeros();
                blocks &= blocks - 1;
                if visitor.is_worth(block) {
                    let candidates = paths.places(block, word_at(&self.used, block));
                    if candidates != 0 {
                        visitor.visit(block, candidates);
                    }
                }
            }
        }
    }
}

impl<'a> Paths<'a> {
    /// Takes a dimension into account; whether there may be candidates still.
    fn take(&mut self, index: &'a Index, value: Option<Value>) -> bool {
        let start = self.len;
        let wanted = value.is_none_or(|value| self.extend(&index.wanted, value));
        if !wanted {
            // To ask for some of them would be to miss the others.
            self.len = start;
            return true;
        }
        let middle = self.len;
        if middle == start && index.free.iter().all(|blocks| *blocks == 0) {
            return false;
        }
        if let Some(value) = value {
            self.extend(&index.unwanted, value);
        }
        if let Some(part) = self.parts.get_mut(self.dimensions) {
            *part = Some(Part {
                index,
                wanted: (start, middle),
                unwanted: (middle, self.len),
            });
            self.dimensions += 1;
        }
        true
    }

    /// Notes the sets of a value; whether there was room for all.
    fn extend(&mut self, spaces: &'a Spaces, value: Value) -> bool {
        for (_, set) in spaces.of(value.space).covering(value.bits) {
            let Some(slot) = self.sets.get_mut(self.len) else {
                return false;
            };
            *slot = Some(set);
            self.len += 1;
        }
        true
    }

    fn parts(&self) -> impl Iterator<Item = &Part<'a>> {
        let parts = self.parts.get(..self.dimensions).unwrap_or_default();
        parts.iter().flatten()
    }

    fn sets(&self, (from, to): (usize, usize)) -> impl Iterator<Item = &'a Sparse> {
        let sets = self.sets.get(from..to).unwrap_or_default();
        sets.iter().flatten().copied()
    }

    /// Those of 64 blocks that may have candidates.
    #[inline]
    fn blocks(&self, at: usize, used: u64) -> u64 {
        let mut blocks = used;
        for part in self.parts() {
            let free = part.index.free.get(at).copied().unwrap_or_default();
            blocks &= self
                .sets(part.wanted)
                .fold(free, |all, set| all | set.summary(at));
            if blocks == 0 {
                break;
            }
        }
        blocks
    }

    /// Those places of a block that are candidates.
    #[inline]
    fn places(&self, block: u32, used: u64) -> u64 {
        let mut places = used;
        for part in self.parts() {
            let free = !word_at(&part.index.asking, block);
            places &= self
                .sets(part.wanted)
                .fold(free, |all, set| all | set.word(block));
            for set in self.sets(part.unwanted) {
                places &= !set.word(block);
            }
            if places == 0 {
                break;
            }
        }
        places
    }
}

impl Index {
    fn insert(&mut self, place: u32, condition: &Condition) {
        self.rules += 1;
        let spaces = if condition.wanted {
            let (block, bit) = split(place);
            if let Some(asking) = word_mut(&mut self.asking, block) {
                *asking |= bit;
            }
            &mut self.wanted
        } else {
            &mut self.unwanted
        };
        for piece in &condition.pieces {
            spaces.insert(*piece, place);
        }
    }

    fn remove(&mut self, place: u32, condition: &Condition) {
        self.rules -= 1;
        let spaces = if condition.wanted {
            let (block, bit) = split(place);
            if let Some(asking) = word_mut(&mut self.asking, block) {
                *asking &= !bit;
            }
            &mut self.wanted
        } else {
            &mut self.unwanted
        };
        for piece in &condition.pieces {
            spaces.remove(*piece, place);
        }
    }
}

impl Spaces {
    fn of(&self, space: Space) -> &Lpm<Sparse> {
        match space {
            Space::First => &self.first,
            Space::Second => &self.second,
        }
    }

    fn of_mut(&mut self, space: Space) -> &mut Lpm<Sparse> {
        match space {
            Space::First => &mut self.first,
            Space::Second => &mut self.second,
        }
    }

    fn insert(&mut self, piece: Piece, place: u32) {
        let trie = self.of_mut(piece.space);
        match trie.get_mut(piece.prefix) {
            Some(set) => set.insert(place),
            None => {
                trie.insert(piece.prefix, Sparse::of(place));
            }
        }
    }

    fn remove(&mut self, piece: Piece, place: u32) {
        let trie = self.of_mut(piece.space);
        if trie
            .get_mut(piece.prefix)
            .is_some_and(|set| set.remove(place))
        {
            trie.remove(piece.prefix);
        }
    }
}

fn note(summary: &mut Vec<u64>, block: u32, set: bool) {
    let (at, bit) = split(block);
    if let Some(word) = word_mut(summary, at) {
        if set {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }
}
