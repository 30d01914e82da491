//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624, equation 3).
//!
//! A [`Sum`] is the one's complement sum of 16-bit words, kept in 64 bits and in the byte order of memory: RFC 1071,
//! section 2 (B) shows that the byte order does not matter until the result is read. Folding and complementing are
//! left to the end.
//!
//! ```
//! use opte_headers::checksum::{self, Sum};
//!
//! // RFC 1071, section 3: the worked example.
//! let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
//! assert_eq!(sum.fold(), 0xddf2);
//! assert_eq!(sum.checksum(), 0x220d);
//!
//! // A word under the checksum changes from 0xf203 to 0x1234.
//! let changed = Sum::of(&[0x00, 0x01, 0x12, 0x34, 0xf4, 0xf5, 0xf6, 0xf7]);
//! assert_eq!(checksum::update(0x220d, 0xf203, 0x1234), changed.checksum());
//! ```

use crate::header::Covers;
use core::net::{Ipv4Addr, Ipv6Addr};

/// A one's complement sum in the making.
///
/// Two sums of the same data may differ in representation; compare what [`Sum::fold`] gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum of `bytes`, taken as 16-bit words in network order; an odd last byte is padded with zero.
    #[inline]
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::ZERO.with(bytes)
    }

    /// Adds `bytes`, which begin at an even distance from where the checksum begins.
    #[inline]
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        // In 64-bit words, each an addition with carry, four at a time as long as there are as many.
        let (blocks, rest) = bytes.as_chunks::<32>();
        let sum = blocks.iter().fold(self, |sum, block| {
            let (words, _) = block.as_chunks::<8>();
            sum.with_words(words)
        });
        let (words, mut tail) = rest.as_chunks::<8>();
        let mut sum = sum.with_words(words);
        if let Some((word, rest)) = tail.split_first_chunk::<4>() {
            sum = sum.plus(Self(u64::from(u32::from_ne_bytes(*word))));
            tail = rest;
        }
        let last = match *tail {
            [] => return sum,
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c, ..] => [a, b, c, 0],
        };
        sum.plus(Self(u64::from(u32::from_ne_bytes(last))))
    }

    #[inline]
    fn with_words(self, words: &[[u8; 8]]) -> Self {
        words
            .iter()
            .fold(self, |sum, word| sum.plus(Self(u64::from_ne_bytes(*word))))
    }

    /// Adds one 16-bit word, given as a number.
    #[inline]
    #[must_use]
    pub const fn with_word(self, word: u16) -> Self {
        self.plus(Self(word.to_be() as u64))
    }

    /// Adds another sum.
    #[inline]
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Self(sum + carry as u64)
    }

    /// Takes another sum away.
    #[inline]
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        // A borrow leaves at least 1, so that it can be taken from there.
        let (sum, borrow) = self.0.overflowing_sub(other.0);
        Self(sum.wrapping_sub(borrow as u64))
    }

    /// The sum of the same bytes moved by one byte (RFC 1071, section 2 (B)).
    #[inline]
    #[must_use]
    pub const fn byte_swapped(self) -> Self {
        Self(self.0.rotate_left(8))
    }

    /// The sum as 16 bits, not complemented: what a checksum field holds while a link is to complete it.
    #[inline]
    #[must_use]
    pub const fn fold(self) -> u16 {
        u16::from_be(self.fold_in_memory_order())
    }

    /// The checksum: the complement of the folded sum.
    #[inline]
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// What to add to a sum when words under it change from one sum to another: new words and the complements of old ones.
    /// Never a difference, which might be a zero that no sum of bytes is (RFC 1624, section 3).
    #[inline]
    pub(crate) const fn change(before: Self, after: Self) -> Self {
        after.with_word(!before.fold())
    }

    /// Eight bytes of memory as a summand.
    #[inline]
    pub(crate) const fn of_word64(in_memory_order: u64) -> Self {
        Self(in_memory_order)
    }

    /// The folded sum, to be stored with `to_ne_bytes`.
    #[inline]
    pub(crate) const fn fold_in_memory_order(self) -> u16 {
        // Adding a number to itself turned by half its width leaves, in the upper half, the sum of the halves with
        // the carry of the lower one already in it.
        let in_32 = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        (in_32.wrapping_add(in_32.rotate_left(16)) >> 16) as u16
    }
}

/// The checksum after a word under it changed from `old` to `new`: HC' = ~(~HC + ~m + m') (RFC 1624, equation 3).
#[inline]
#[must_use]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    // Of numbers as of memory: the order of bytes does not matter to the sum, as long as it is one (RFC 1071, section 2 (B)).
    !Sum(!checksum as u64 + !old as u64 + new as u64).fold_in_memory_order()
}

/// What a zero in a checksum field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    /// A checksum as any other.
    IsASum,
    /// No checksum; 0xffff goes out where one is zero (UDP, RFC 768).
    IsNone,
    /// Nothing that differences may lead to: a message of zeros has 0xffff, which they cannot tell from zero (ICMPv4).
    Never,
}

impl Zero {
    /// In a checksum of this kind.
    pub(crate) const fn of(covers: Covers) -> Self {
        match covers {
            Covers::Pseudo { zero_is_none: true } => Self::IsNone,
            Covers::Payload => Self::Never,
            Covers::Header | Covers::Pseudo { .. } => Self::IsASum,
        }
    }
}

/// The checksum after a [`Sum::change`] under it; none if there was none.
pub(crate) const fn follow(checksum: u16, change: Sum, zero: Zero) -> Option<u16> {
    if checksum == 0 && matches!(zero, Zero::IsNone) {
        return None;
    }
    match change.with_word(!checksum).checksum() {
        0 if !matches!(zero, Zero::IsASum) => Some(0xffff),
        new => Some(new),
    }
}

/// The sum of an IPv4 pseudo-header (RFC 9293, section 3.1); `length` counts the transport header and its payload.
#[must_use]
pub fn pseudo_v4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: u16) -> Sum {
    Sum::of(&source.octets())
        .with(&destination.octets())
        .with_word(u16::from(protocol))
        .with_word(length)
}

/// The sum of an IPv6 pseudo-header (RFC 8200, section 8.1); `length` counts the upper-layer header and its payload.
#[must_use]
pub fn pseudo_v6(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, length: u32) -> Sum {
    Sum::of(&source.octets())
        .with(&destination.octets())
        .with(&length.to_be_bytes())
        .with_word(u16::from(next_header))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 word by word, the way the RFC's C code has it.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn bytes(seed: u64, len: usize) -> impl Iterator<Item = u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..len).map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
    }

    #[test]
    fn every_length_sums_as_word_by_word() {
        let mut buffer = [0u8; 257];
        for len in 0..=buffer.len() {
            for seed in 0..if cfg!(miri) { 1 } else { 8 } {
                buffer
                    .iter_mut()
                    .zip(bytes(seed, len))
                    .for_each(|(to, from)| *to = from);
                assert_eq!(
                    Sum::of(&buffer[..len]).fold(),
                    plain(&buffer[..len]),
                    "{len} bytes, seed {seed}"
                );
            }
        }
        assert_eq!(Sum::of(&[0xff; 64]).fold(), 0xffff);
        assert_eq!(Sum::of(&[0; 64]).fold(), 0);
    }

    #[test]
    fn an_update_gives_what_a_recomputation_gives() {
        let mut buffer = [0u8; 40];
        for seed in 0..if cfg!(miri) { 50 } else { 2000 } {
            buffer
                .iter_mut()
                .zip(bytes(seed, 40))
                .for_each(|(to, from)| *to = from);
            let before = Sum::of(&buffer).checksum();
            let at = (seed as usize % 20) * 2;
            let old = u16::from_be_bytes([buffer[at], buffer[at + 1]]);
            let new = if seed % 7 == 0 {
                !old
            } else {
                (seed as u16).wrapping_mul(0x9e37)
            };
            buffer[at..at + 2].copy_from_slice(&new.to_be_bytes());
            assert_eq!(
                update(before, old, new),
                Sum::of(&buffer).checksum(),
                "seed {seed}"
            );
        }
    }

    #[test]
    fn the_corner_case_of_rfc_1624_holds() {
        // RFC 1624, section 4: equation 2 of RFC 1141 gives 0xffff here, equation 3 gives 0x0000.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn sums_subtract_and_shift() {
        let (a, b) = ([1, 2, 3, 4, 5, 6], [9, 8, 7, 6]);
        assert_eq!(
            Sum::of(&a).plus(Sum::of(&b)).minus(Sum::of(&b)).fold(),
            Sum::of(&a).fold()
        );
        assert_eq!(
            Sum::of(&a).byte_swapped().fold(),
            Sum::of(&[0, 1, 2, 3, 4, 5, 6, 0]).fold()
        );
    }

    #[test]
    fn pseudo_headers_of_real_packets() {
        // A DNS query 10.1.1.1 -> 10.1.1.2, UDP checksum 0x9a1d over the bytes that follow.
        let udp = [
            0xc0, 0x00, 0x00, 0x35, 0x00, 0x0c, 0x00, 0x00, b'o', b'p', b't', b'e',
        ];
        let v4 = pseudo_v4(
            Ipv4Addr::new(10, 1, 1, 1),
            Ipv4Addr::new(10, 1, 1, 2),
            17,
            12,
        )
        .with(&udp);
        let by_hand = plain(&[&[10, 1, 1, 1, 10, 1, 1, 2, 0, 17, 0, 12][..], &udp].concat());
        assert_eq!(v4.fold(), by_hand);
        let (source, destination) = (
            Ipv6Addr::LOCALHOST,
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x99),
        );
        let v6 = pseudo_v6(source, destination, 17, 12).with(&udp);
        let header = [
            &source.octets()[..],
            &destination.octets(),
            &[0, 0, 0, 12, 0, 0, 0, 17],
            &udp,
        ]
        .concat();
        assert_eq!(v6.fold(), plain(&header));
    }
}
