//! Longest-prefix match over addresses: a path-compressed binary trie.
//!
//! A lookup walks at most one node per distinct prefix length on the path to the address, whatever the number of prefixes;
//! insertion and removal touch at most two nodes beside the one concerned. Nodes live in one arena and are reused.

use alloc::vec::Vec;
use core::net::IpAddr;

/// A prefix of an address: its leading `len` bits, left-aligned in 128; the bits behind are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    bits: u128,
    len: u8,
}

impl Prefix {
    /// The first `len` bits of `bits` (left-aligned); `None` when `len` exceeds 128.
    pub const fn new(bits: u128, len: u8) -> Option<Self> {
        if len > 128 {
            None
        } else {
            Some(Self {
                bits: bits & mask(len),
                len,
            })
        }
    }

    /// The prefix of `len` bits that holds `addr`; `None` when `len` exceeds the width of the family.
    pub const fn of_ip(addr: IpAddr, len: u8) -> Option<Self> {
        match addr {
            IpAddr::V4(_) if len > 32 => None,
            _ => Self::new(left_aligned(addr), len),
        }
    }

    /// The bits, left-aligned.
    pub const fn bits(self) -> u128 {
        self.bits
    }

    /// The number of bits, 0 to 128.
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether this is the prefix of length 0, which holds every address.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Whether `bits` (left-aligned) begins with this prefix.
    pub const fn contains(self, bits: u128) -> bool {
        (bits ^ self.bits) & mask(self.len) == 0
    }

    /// The bit right behind the first `at` bits, as the index of a child.
    const fn bit(self, at: u8) -> bool {
        at < 128 && (self.bits >> (127 - at)) & 1 == 1
    }

    /// The longest prefix that holds both.
    const fn common(self, other: Self) -> Self {
        let agree = (self.bits ^ other.bits).leading_zeros() as u8;
        let shorter = if self.len < other.len {
            self.len
        } else {
            other.len
        };
        let len = if agree < shorter { agree } else { shorter };
        Self {
            bits: self.bits & mask(len),
            len,
        }
    }
}

/// An address as the high bits of 128, the form in which [`Lpm`] looks it up.
pub const fn left_aligned(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => (v4.to_bits() as u128) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A map from prefixes to values, asked for the longest prefix that holds an address.
#[derive(Clone, Debug)]
pub struct Lpm<V> {
    /// The node at 0 is the empty prefix and never goes away; so 0 as a child means "none".
    nodes: Vec<Node<V>>,
    /// Indices of nodes that are out of use.
    free: Vec<u32>,
    len: usize,
}

/// Aligned as cache lines are: a lookup in a large map meets few nodes that are in the cache.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Node<V> {
    prefix: Prefix,
    zero: u32,
    one: u32,
    value: Option<V>,
}

impl<V> Node<V> {
    const fn new(prefix: Prefix, value: Option<V>) -> Self {
        Self {
            prefix,
            zero: NONE,
            one: NONE,
            value,
        }
    }

    fn child(&self, one: bool) -> u32 {
        if one { self.one } else { self.zero }
    }

    fn child_mut(&mut self, one: bool) -> &mut u32 {
        if one { &mut self.one } else { &mut self.zero }
    }
}

impl<V> Default for Lpm<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Lpm<V> {
    /// An empty map.
    pub const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }

    /// The number of prefixes held.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no prefix is held.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The longest prefix that holds the address (left-aligned, see [`left_aligned`]), and its value.
    pub fn lookup(&self, bits: u128) -> Option<(Prefix, &V)> {
        self.covering(bits).last()
    }

    /// Every prefix that holds the address (left-aligned), and its value, the shortest first.
    #[inline]
    pub fn covering(&self, bits: u128) -> Covering<'_, V> {
        Covering {
            lpm: self,
            bits,
            next: self.node(ROOT),
        }
    }

    /// The value of exactly this prefix.
    pub fn get(&self, prefix: Prefix) -> Option<&V> {
        self.node(self.find(prefix)?)?.value.as_ref()
    }

    /// The value of exactly this prefix, to be changed.
    pub fn get_mut(&mut self, prefix: Prefix) -> Option<&mut V> {
        let at = self.find(prefix)?;
        self.node_mut(at)?.value.as_mut()
    }

    /// Puts `value` at `prefix`; gives back the value it replaces.
    pub fn insert(&mut self, prefix: Prefix, value: V) -> Option<V> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(Prefix { bits: 0, len: 0 }, None));
        }
        let mut at = ROOT;
        loop {
            let node = self.node_mut(at)?;
            if node.prefix.len == prefix.len {
                let old = node.value.replace(value);
                self.len += usize::from(old.is_none());
                return old;
            }
            let side = prefix.bit(node.prefix.len);
            let below = node.child(side);
            let Some(next) = self.node(below).filter(|_| below != NONE) else {
                let leaf = self.alloc(Node::new(prefix, Some(value)));
                self.link(at, side, leaf);
                self.len += 1;
                return None;
            };
            let fork = next.prefix.common(prefix);
            if fork == next.prefix {
                at = below;
                continue;
            }
            let old_side = next.prefix.bit(fork.len);
            let middle = if fork == prefix {
                self.alloc(Node::new(prefix, Some(value)))
            } else {
                let leaf = self.alloc(Node::new(prefix, Some(value)));
                let middle = self.alloc(Node::new(fork, None));
                self.link(middle, !old_side, leaf);
                middle
            };
            self.link(middle, old_side, below);
            self.link(at, side, middle);
            self.len += 1;
            return None;
        }
    }

    /// Takes `prefix` out; gives back its value.
    pub fn remove(&mut self, prefix: Prefix) -> Option<V> {
        let mut above = [ROOT; 2];
        let mut at = ROOT;
        while self.node(at)?.prefix.len < prefix.len {
            let node = self.node(at)?;
            let below = node.child(prefix.bit(node.prefix.len));
            if below == NONE {
                return None;
            }
            above = [at, above[0]];
            at = below;
        }
        let [parent, grandparent] = above;
        let node = self.node_mut(at)?;
        if node.prefix != prefix {
            return None;
        }
        let value = node.value.take()?;
        self.len -= 1;
        self.prune(at, parent);
        // The parent may have been there only to fork.
        if parent != at {
            self.prune(parent, grandparent);
        }
        Some(value)
    }

    /// Takes all prefixes out.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.free.clear();
        self.len = 0;
    }

    /// Every prefix and its value, in ascending order (a prefix before those it holds).
    pub fn iter(&self) -> Iter<'_, V> {
        let mut stack = Vec::new();
        if !self.nodes.is_empty() {
            stack.push(ROOT);
        }
        Iter { lpm: self, stack }
    }

    fn node(&self, at: u32) -> Option<&Node<V>> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node<V>> {
        self.nodes.get_mut(at as usize)
    }

    fn link(&mut self, parent: u32, side: bool, child: u32) {
        if let Some(node) = self.node_mut(parent) {
            *node.child_mut(side) = child;
        }
    }

    fn alloc(&mut self, node: Node<V>) -> u32 {
        match self.free.pop() {
            Some(at) => {
                if let Some(slot) = self.node_mut(at) {
                    *slot = node;
                }
                at
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        }
    }

    fn find(&self, prefix: Prefix) -> Option<u32> {
        let mut at = ROOT;
        loop {
            let node = self.node(at)?;
            if node.prefix.len >= prefix.len {
                return (node.prefix == prefix).then_some(at);
            }
            at = node.child(prefix.bit(node.prefix.len));
            if at == NONE {
                return None;
            }
        }
    }

    /// Unlinks the node `at` when it holds no value and does not fork.
    fn prune(&mut self, at: u32, parent: u32) {
        if at == ROOT {
            return;
        }
        let Some(node) = self.node(at) else { return };
        let heir = match (node.value.is_some(), node.zero, node.one) {
            (false, NONE, heir) | (false, heir, NONE) => heir,
            _ => return,
        };
        let Some(side) = self.node(parent).map(|up| node.prefix.bit(up.prefix.len)) else {
            return;
        };
        self.link(parent, side, heir);
        self.free.push(at);
    }
}

/// The prefixes of an [`Lpm`] that hold an address.
#[derive(Debug)]
pub struct Covering<'a, V> {
    lpm: &'a Lpm<V>,
    bits: u128,
    next: Option<&'a Node<V>>,
}

impl<'a, V> Iterator for Covering<'a, V> {
    type Item = (Prefix, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.next.take()?;
            if !node.prefix.contains(self.bits) {
                return None;
            }
            if node.prefix.len < 128 {
                let below = node.child((self.bits >> (127 - node.prefix.len)) & 1 == 1);
                if below != NONE {
                    self.next = self.lpm.node(below);
                }
            }
            if let Some(value) = &node.value {
                return Some((node.prefix, value));
            }
        }
    }
}

/// The prefixes of an [`Lpm`] in ascending order.
#[derive(Debug)]
pub struct Iter<'a, V> {
    lpm: &'a Lpm<V>,
    stack: Vec<u32>,
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (Prefix, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(at) = self.stack.pop() {
            let node = self.lpm.node(at)?;
            self.stack.extend(
                [node.one, node.zero]
                    .into_iter()
                    .filter(|&child| child != NONE),
            );
            if let Some(value) = &node.value {
                return Some((node.prefix, value));
            }
        }
        None
    }
}

const ROOT: u32 = 0;
const NONE: u32 = 0;

const fn mask(len: u8) -> u128 {
    if len == 0 {
        0
    } else {
        u128::MAX << (128 - len as u32)
    }
}
