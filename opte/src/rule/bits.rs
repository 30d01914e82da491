//! Sets of places in a rule table. Places are grouped in blocks of 64, one word each.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Places in a block.
pub(super) const BLOCK: u32 = u64::BITS;

/// The block of a place, and the place's bit in the word of that block.
pub(super) const fn split(place: u32) -> (u32, u64) {
    (place / BLOCK, 1 << (place % BLOCK))
}

/// The word of a list of them that are held for each of the first blocks.
pub(super) fn word_at(words: &[u64], block: u32) -> u64 {
    words.get(block as usize).copied().unwrap_or_default()
}

/// That word, which the list is made long enough for.
pub(super) fn word_mut(words: &mut Vec<u64>, block: u32) -> Option<&mut u64> {
    let at = block as usize;
    if words.len() <= at {
        words.resize(at + 1, 0);
    }
    words.get_mut(at)
}

/// A set of places in few blocks of many. It has at least one.
#[derive(Clone, Debug)]
pub(super) enum Sparse {
    One { block: u32, word: u64 },
    Many(Box<Many>),
}

/// Words by block, in ascending order of blocks.
#[derive(Clone, Debug)]
pub(super) struct Many {
    /// The blocks by bit.
    summary: Vec<u64>,
    blocks: Vec<u32>,
    words: Vec<u64>,
}

impl Sparse {
    /// The set of this place.
    pub(super) const fn of(place: u32) -> Self {
        let (block, word) = split(place);
        Self::One { block, word }
    }

    /// Adds a place.
    pub(super) fn insert(&mut self, place: u32) {
        let (block, bit) = split(place);
        match self {
            Self::One { block: only, word } if *only == block => *word |= bit,
            Self::One { block: only, word } => {
                let mut many = Many {
                    summary: Vec::new(),
                    blocks: Vec::new(),
                    words: Vec::new(),
                };
                many.insert(*only, *word);
                many.insert(block, bit);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => many.insert(block, bit),
        }
    }

    /// Takes a place out; whether it was the last.
    #[must_use]
    pub(super) fn remove(&mut self, place: u32) -> bool {
        let (block, bit) = split(place);
        match self {
            Self::One { block: only, word } => {
                if *only == block {
                    *word &= !bit;
                }
                *word == 0
            }
            Self::Many(many) => {
                many.remove(block, bit);
                many.blocks.is_empty()
            }
        }
    }

    /// Which of the 64 blocks from `64 * at` on the set has places in.
    #[inline]
    pub(super) fn summary(&self, at: usize) -> u64 {
        match self {
            Self::One { block, .. } => {
                let (here, bit) = split(*block);
                if here as usize == at { bit } else { 0 }
            }
            Self::Many(many) => many.summary.get(at).copied().unwrap_or_default(),
        }
    }

    /// The places in a block.
    #[inline]
    pub(super) fn word(&self, block: u32) -> u64 {
        match self {
            Self::One { block: only, word } => {
                if *only == block {
                    *word
                } else {
                    0
                }
            }
            Self::Many(many) => many.word(block),
        }
    }
}

impl Many {
    fn insert(&mut self, block: u32, bits: u64) {
        let (at, bit) = split(block);
        if let Some(word) = word_mut(&mut self.summary, at) {
            *word |= bit;
        }
        match self.blocks.binary_search(&block) {
            Ok(at) => {
                if let Some(word) = self.words.get_mut(at) {
                    *word |= bits;
                }
            }
            Err(at) => {
                self.blocks.insert(at, block);
                self.words.insert(at, bits);
            }
        }
    }

    fn remove(&mut self, block: u32, bits: u64) {
        let Ok(at) = self.blocks.binary_search(&block) else {
            return;
        };
        let Some(word) = self.words.get_mut(at) else {
            return;
        };
        *word &= !bits;
        if *word != 0 {
            return;
        }
        self.blocks.remove(at);
        self.words.remove(at);
        let (at, bit) = split(block);
        if let Some(word) = word_mut(&mut self.summary, at) {
            *word &= !bit;
        }
    }

    fn word(&self, block: u32) -> u64 {
        let (at, bit) = split(block);
        if word_at(&self.summary, at) & bit == 0 {
            return 0;
        }
        // A set with places in every block has each where it would be found first.
        let at = match self.blocks.get(block as usize) {
            Some(there) if *there == block => Ok(block as usize),
            _ => self.blocks.binary_search(&block),
        };
        at.map_or(0, |at| self.words.get(at).copied().unwrap_or_default())
    }
}
