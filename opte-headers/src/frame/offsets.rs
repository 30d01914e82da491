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
    // As one number: an array with an index that is not yet known to be a constant would have to be in memory, and with it
    // all of what a parser knows.
    #[inline(always)]
    #[must_use]
    pub const fn push(&mut self, offset: u16) -> bool {
        if self.count as usize >= MAX_HEADERS {
            return false;
        }
        self.at = zerocopy::transmute!(self.bits() | (offset as u128) << Self::shift(self.count));
        self.count += 1;
        true
    }

    /// All offsets.
    #[inline(always)]
    const fn bits(&self) -> u128 {
        zerocopy::transmute!(self.at)
    }

    #[inline(always)]
    const fn shift(index: u8) -> u32 {
        let place = if cfg!(target_endian = "big") {
            MAX_HEADERS as u32 - 1 - index as u32
        } else {
            index as u32
        };
        16 * place
    }

    /// [`Offsets::start_of`], where the index will turn out to be a constant.
    #[inline(always)]
    pub(crate) fn start_of_constant(&self, index: u8) -> u16 {
        (self.bits() >> Self::shift(index & (MAX_HEADERS as u8 - 1))) as u16
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
        let start = |index: u8| self.start_of_constant(index);
        let l2 = l3.wrapping_sub(1);
        let len = match shape.at_constant(l3) {
            HeaderKind::Ipv4 => Ipv4::MIN_LEN,
            HeaderKind::Ipv6 => Ipv6::MIN_LEN,
            _ => 0,
        };
        let plain = len != 0
            && l3 != 0
            && start(0) == 0
            && shape.at_constant(l2) == HeaderKind::Ethernet
            && l3 + 1 < self.count
            && usize::from(start(l3).wrapping_sub(start(l2))) == Ethernet::MIN_LEN
            && usize::from(start(l3 + 1).wrapping_sub(start(l3))) == len;
        (self.anchor, self.base) = if plain { (l3, start(l2)) } else { (u8::MAX, 0) };
    }

    /// Counts so many headers more, in front of the frame, for the anchor, if there is one.
    #[inline(always)]
    pub(crate) const fn add_to_anchor(&mut self, headers: u8) {
        if self.anchor != u8::MAX {
            self.anchor += headers;
        }
    }

    /// The anchor where it is known to be one.
    pub(super) const fn with_anchor(mut self, l3: u8) -> Self {
        self.anchor = l3;
        self.base = (self.bits() >> Self::shift(l3 - 1)) as u16;
        self
    }

    /// Where the innermost headers stand.
    #[inline(always)]
    pub const fn innermost(&self) -> Innermost {
        Innermost {
            anchor: self.anchor,
            base: self.base,
        }
    }

    /// The offsets, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.at.iter().copied().take(usize::from(self.count))
    }
}

/// Where the innermost headers of a frame stand that has an [anchor](Offsets::anchor). Without one this is of no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Innermost {
    anchor: u8,
    base: u16,
}

impl Innermost {
    /// Position of the innermost IP header; 255 if the headers do not stand as [`Offsets::anchor`] asks.
    #[inline(always)]
    pub const fn anchor(self) -> u8 {
        self.anchor
    }

    /// Where the Ethernet header in front of it begins.
    #[inline(always)]
    pub(crate) const fn base(self) -> usize {
        self.base as usize
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
    // As one number, as in `Offsets::push`.
    #[inline(always)]
    pub const fn set(&mut self, index: u8, kind: HeaderKind) {
        if index as usize >= MAX_HEADERS {
            return;
        }
        let shift = 8 * index as u32;
        let bits = self.bits() & !(0xff << shift) | (kind.0 as u64) << shift;
        let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
        self.0 = [
            HeaderKind(a),
            HeaderKind(b),
            HeaderKind(c),
            HeaderKind(d),
            HeaderKind(e),
            HeaderKind(f),
            HeaderKind(g),
            HeaderKind(h),
        ];
    }

    /// All kinds, the first in the lowest bits.
    #[inline(always)]
    const fn bits(&self) -> u64 {
        let [a, b, c, d, e, f, g, h] = self.0;
        u64::from_le_bytes([a.0, b.0, c.0, d.0, e.0, f.0, g.0, h.0])
    }

    /// [`Shape::at`], where the index will turn out to be a constant.
    #[inline(always)]
    fn at_constant(&self, index: u8) -> HeaderKind {
        if usize::from(index) >= MAX_HEADERS {
            return HeaderKind::None;
        }
        HeaderKind((self.bits() >> (8 * u32::from(index))) as u8)
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
