//! Where headers start, and which they are.

use super::kind::HeaderKind;
use core::fmt;

use crate::header::Header;
use crate::protocol::{Ethernet, Ipv4, Ipv6};

/// The headers a stack can hold.
pub const MAX_HEADERS: usize = 8;

/// Byte offsets of the headers of a frame, outermost first. The index is the position in the stack. IPv6 extension headers
/// belong to their IPv6 header and have no position of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offsets {
    at: [u16; MAX_HEADERS],
    count: u8,
    anchor: u8,
    base: u16,
}

impl Offsets {
    /// No headers.
    pub const EMPTY: Self = Self {
        at: [0; MAX_HEADERS],
        count: 0,
        anchor: u8::MAX,
        base: 0,
    };

    /// The byte at which the header at position `index` starts.
    #[inline]
    pub fn at(&self, index: u8) -> Option<u16> {
        if index < self.count {
            self.at.get(usize::from(index)).copied()
        } else {
            None
        }
    }

    /// The byte at which the header at position `index` starts, if there is one; else anything.
    #[inline(always)]
    pub(crate) fn start_of(&self, index: u8) -> usize {
        const MASK: usize = MAX_HEADERS - 1;
        const { assert!(MAX_HEADERS.is_power_of_two()) };
        self.at
            .get(usize::from(index) & MASK)
            .map_or(0, |at| usize::from(*at))
    }

    /// How many headers there are.
    #[inline]
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a header behind the others; false if there is no place for it.
    #[inline(always)]
    #[must_use]
    pub fn push(&mut self, offset: u16) -> bool {
        match self.at.get_mut(usize::from(self.count)) {
            Some(place) => {
                *place = offset;
                self.count += 1;
                true
            }
            None => false,
        }
    }

    /// Position of the innermost IP header, if all stands as it mostly does: that header right behind an Ethernet header, without
    /// options or extension headers, and right behind it another header. Then what is known of one of the three is known of all.
    /// 255 if not.
    #[inline(always)]
    pub const fn anchor(&self) -> u8 {
        self.anchor
    }

    /// Notes the position of the innermost IP header, if headers of this shape stand as [`Offsets::anchor`] asks.
    #[inline(always)]
    pub fn set_anchor(&mut self, shape: &Shape, l3: u8) {
        let len = match shape.at(l3) {
            HeaderKind::Ipv4 => Ipv4::MIN_LEN,
            HeaderKind::Ipv6 => Ipv6::MIN_LEN,
            _ => 0,
        };
        let distance =
            |from: u8, to: u8| (self.start_of(to) as u16).wrapping_sub(self.start_of(from) as u16);
        let plain = len != 0
            && l3 != 0
            && self.start_of(0) == 0
            && shape.at(l3 - 1) == HeaderKind::Ethernet
            && l3 + 1 < self.count
            && usize::from(distance(l3 - 1, l3)) == Ethernet::MIN_LEN
            && usize::from(distance(l3, l3 + 1)) == len;
        (self.anchor, self.base) = if plain {
            (l3, self.start_of(l3 - 1) as u16)
        } else {
            (u8::MAX, 0)
        };
    }

    /// Where the Ethernet header in front of the anchor begins; 0 without an anchor.
    #[inline(always)]
    pub(crate) const fn base(&self) -> usize {
        self.base as usize
    }

    /// The offsets, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.at.iter().copied().take(usize::from(self.count))
    }
}

impl Default for Offsets {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The kinds of the headers of a frame, outermost first.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shape([HeaderKind; MAX_HEADERS]);

impl Shape {
    /// No headers.
    pub const EMPTY: Self = Self([HeaderKind::None; MAX_HEADERS]);

    /// The kind at position `index`; `None` (the kind) behind the last.
    #[inline]
    pub fn at(&self, index: u8) -> HeaderKind {
        self.0.get(usize::from(index)).copied().unwrap_or_default()
    }

    /// Sets the kind at position `index`.
    #[inline(always)]
    pub fn set(&mut self, index: u8, kind: HeaderKind) {
        if let Some(place) = self.0.get_mut(usize::from(index)) {
            *place = kind;
        }
    }

    /// The kinds, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = HeaderKind> + '_ {
        self.0
            .iter()
            .copied()
            .take_while(|kind| *kind != HeaderKind::None)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_headers_and_no_more() {
        let mut offsets = Offsets::EMPTY;
        for n in 0..8 {
            assert!(offsets.push(n * 10));
        }
        assert!(!offsets.push(80));
        assert_eq!(
            (offsets.count(), offsets.at(7), offsets.at(8)),
            (8, Some(70), None)
        );
        assert!(offsets.iter().eq([0, 10, 20, 30, 40, 50, 60, 70]));
    }
}
