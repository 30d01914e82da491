//! The order in which rules are asked, kept in blocks.
//!
//! Each rule has a place: a block and a bit in it. The rules of one block follow one another in the order, at places in no
//! order; blocks stand in the order of their rules. So a new rule finds a place without others having to move, unless its
//! block is full: then a few of that block's rules go to the next.
//!
//! Rules may be kept in groups, each with blocks of its own.

use alloc::vec::Vec;

use super::bits::BLOCK;

/// Where a rule comes in the order: lower first.
pub(super) type Rank = u64;

/// A rank behind all rules.
pub(super) const LAST: Rank = Rank::MAX;

/// The order of a table's rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// By group: its blocks in order.
    groups: Vec<Vec<u32>>,
    /// By block: its group.
    group: Vec<u8>,
    /// By block: the ranks and bits of its rules in order.
    members: Vec<Vec<(Rank, u8)>>,
    /// By block: the first of its ranks; [`LAST`] if it is not in use.
    firsts: Vec<Rank>,
    /// By place; [`LAST`] if it is not in use.
    ranks: Vec<Rank>,
    /// Blocks that are not in use.
    free: Vec<u32>,
}

/// A rule that has another place now.
pub(super) struct Move {
    pub(super) from: u32,
    pub(super) to: u32,
}

const FULL: usize = BLOCK as usize;
/// Rules that go to the following block when one is full. There are never more moves for one change than this.
const PUSHED: usize = 8;
/// A block with as few rules as this goes into a neighbour that has at most [`ROOMY`].
const SPARSE: usize = PUSHED;
const ROOMY: usize = 32;

impl Order {
    /// The rank at a place.
    #[inline]
    pub(super) fn rank(&self, place: u32) -> Rank {
        self.ranks.get(place as usize).copied().unwrap_or(LAST)
    }

    /// The first rank of a block.
    #[inline]
    pub(super) fn first_of(&self, block: u32) -> Rank {
        self.firsts.get(block as usize).copied().unwrap_or(LAST)
    }

    /// Places there are, in use or not.
    pub(super) fn places(&self) -> usize {
        self.ranks.len()
    }

    /// The places in use of the first group, in order, but for the first `skipped`: those are left out by whole blocks.
    pub(super) fn iter_from(&self, skipped: usize) -> impl Iterator<Item = u32> + '_ {
        let mut before = skipped;
        self.blocks_of(0).iter().flat_map(move |&block| {
            let members = self.members.get(block as usize).map(Vec::as_slice);
            let members = members.unwrap_or_default();
            let (skipped, shown) = members.split_at(before.min(members.len()));
            before -= skipped.len();
            shown.iter().map(move |&(_, bit)| place(block, bit))
        })
    }

    /// The place of the rule of this rank in the first group, if there is one.
    pub(super) fn place_of(&self, rank: Rank) -> Option<u32> {
        let blocks = self.blocks_of(0);
        let behind = blocks.partition_point(|&block| self.first_of(block) <= rank);
        let block = *blocks.get(behind.checked_sub(1)?)?;
        let members = self.members.get(block as usize)?;
        let at = members
            .binary_search_by_key(&rank, |&(rank, _)| rank)
            .ok()?;
        let (_, bit) = members.get(at)?;
        Some(place(block, *bit))
    }

    /// Finds a place in a group for a rule of this rank, which no other of that has. The moves are to be made before it is
    /// taken.
    pub(super) fn insert(&mut self, rank: Rank, group: u8) -> (u32, Vec<Move>) {
        let blocks = self.blocks_of(group);
        let behind = blocks.partition_point(|&block| self.first_of(block) <= rank);
        let at = behind.saturating_sub(1);
        let next = blocks.get(behind).copied();
        let Some(&block) = blocks.get(at) else {
            let block = self.open(group, 0);
            return (self.enter(block, rank), Vec::new());
        };
        if self.len_of(block) < FULL {
            return (self.enter(block, rank), Vec::new());
        }
        if behind == 0 {
            let block = self.open(group, 0);
            return (self.enter(block, rank), Vec::new());
        }
        let members = self.members.get(block as usize).map(Vec::as_slice);
        let last = members.unwrap_or_default().last();
        if last.is_some_and(|&(last, _)| last < rank) {
            let next = next.filter(|&next| self.len_of(next) < FULL);
            let next = next.unwrap_or_else(|| self.open(group, behind));
            return (self.enter(next, rank), Vec::new());
        }
        let next = next.filter(|&next| self.len_of(next) < FULL - PUSHED);
        let next = next.unwrap_or_else(|| self.open(group, behind));
        let pushed = self
            .members
            .get_mut(block as usize)
            .map(|members| members.split_off(FULL - PUSHED))
            .unwrap_or_default();
        let moves = self.resettle(block, next, pushed);
        let block = if self.first_of(next) <= rank {
            next
        } else {
            block
        };
        (self.enter(block, rank), moves)
    }

    /// Gives a place free. The moves are to be made afterwards.
    pub(super) fn remove(&mut self, at: u32) -> Vec<Move> {
        let block = at / BLOCK;
        let rank = self.rank(at);
        if let Some(held) = self.ranks.get_mut(at as usize) {
            *held = LAST;
        }
        if let Some(members) = self.members.get_mut(block as usize) {
            members.retain(|&(of, _)| of != rank);
        }
        self.note_first(block);
        self.thin_out(block)
    }

    /// Gives a block up that has few rules or none.
    fn thin_out(&mut self, block: u32) -> Vec<Move> {
        let len = self.len_of(block);
        if len > SPARSE {
            return Vec::new();
        }
        let group = self.group.get(block as usize).copied().unwrap_or_default();
        let blocks = self.blocks_of(group);
        let Some(at) = blocks.iter().position(|&other| other == block) else {
            return Vec::new();
        };
        let neighbours = [at.checked_sub(1), at.checked_add(1)];
        let heir = neighbours
            .into_iter()
            .flatten()
            .filter_map(|at| blocks.get(at).copied())
            .find(|&other| self.len_of(other) <= ROOMY);
        let moves = match heir {
            _ if len == 0 => Vec::new(),
            None => return Vec::new(),
            Some(heir) => {
                let members = self.members.get_mut(block as usize);
                let moved = members.map(core::mem::take).unwrap_or_default();
                self.resettle(block, heir, moved)
            }
        };
        if let Some(blocks) = self.groups.get_mut(usize::from(group)) {
            blocks.remove(at);
        }
        self.note_first(block);
        self.free.push(block);
        moves
    }

    /// Gives rules of a block places in another.
    fn resettle(&mut self, from: u32, to: u32, moved: Vec<(Rank, u8)>) -> Vec<Move> {
        let moves = moved
            .into_iter()
            .map(|(rank, bit)| {
                let from = place(from, bit);
                if let Some(held) = self.ranks.get_mut(from as usize) {
                    *held = LAST;
                }
                let to = self.enter(to, rank);
                Move { from, to }
            })
            .collect();
        self.note_first(from);
        moves
    }

    /// Takes a place in a block that has one left.
    fn enter(&mut self, block: u32, rank: Rank) -> u32 {
        let Some(members) = self.members.get_mut(block as usize) else {
            return 0;
        };
        let used = members
            .iter()
            .fold(0_u64, |used, &(_, bit)| used | 1 << bit);
        let bit = used.trailing_ones() as u8;
        let at = members.partition_point(|&(other, _)| other < rank);
        members.insert(at, (rank, bit));
        let place = place(block, bit);
        if let Some(held) = self.ranks.get_mut(place as usize) {
            *held = rank;
        }
        self.note_first(block);
        place
    }

    /// Puts an empty block into the order of a group, before the one that stands at `at`.
    fn open(&mut self, group: u8, at: usize) -> u32 {
        let block = self.free.pop().unwrap_or_else(|| {
            let block = self.members.len() as u32;
            self.members.push(Vec::new());
            self.firsts.push(LAST);
            self.group.push(group);
            self.ranks.resize(self.ranks.len() + FULL, LAST);
            block
        });
        if let Some(of) = self.group.get_mut(block as usize) {
            *of = group;
        }
        let group = usize::from(group);
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, Vec::new);
        }
        if let Some(blocks) = self.groups.get_mut(group) {
            blocks.insert(at, block);
        }
        block
    }

    fn blocks_of(&self, group: u8) -> &[u32] {
        let blocks = self.groups.get(usize::from(group));
        blocks.map(Vec::as_slice).unwrap_or_default()
    }

    fn len_of(&self, block: u32) -> usize {
        self.members.get(block as usize).map_or(0, Vec::len)
    }

    fn note_first(&mut self, block: u32) {
        let members = self.members.get(block as usize);
        let first = members.and_then(|members| members.first());
        let first = first.map_or(LAST, |&(rank, _)| rank);
        if let Some(held) = self.firsts.get_mut(block as usize) {
            *held = first;
        }
    }
}

fn place(block: u32, bit: u8) -> u32 {
    block * BLOCK + u32::from(bit)
}
