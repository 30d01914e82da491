//! What a program does at the front of a frame.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{MAX_HEADERS, ProgramError};

/// Marks a position that is not used.
pub(crate) const NONE: u8 = 0xff;

/// Headers off the front of a frame, then bytes to its front.
///
/// | bytes | field |
/// |---|---|
/// | 0..96 | `data`: template of the pushed headers; it *ends* at byte 96, so that the whole array can be copied to the head-room |
/// | 96..104 | `at`: where each pushed header begins in `data`, outermost first |
/// | 104..116 | `lengths`: three [`Length`]s |
/// | 116..120 | `entropy`: two [`Entropy`]s |
/// | 120..122 | `sums`: where in `data` header checksums stand (255: none), each for the pushed header around it |
/// | 122 | `len`: bytes pushed, the last ones of `data` |
/// | 123 | `pop`: headers off the front |
/// | 124 | `headers`: headers pushed |
/// | 125 | `length_count`: how many of `lengths` are in use |
/// | 126..128 | reserved, zero |
#[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Prefix {
    pub(crate) data: [u8; Self::CAPACITY],
    pub(crate) at: [u8; MAX_HEADERS],
    pub(crate) lengths: [Length; Self::LENGTHS],
    pub(crate) entropy: [Entropy; 2],
    pub(crate) sums: [u8; 2],
    pub(crate) len: u8,
    pub(crate) pop: u8,
    pub(crate) headers: u8,
    pub(crate) length_count: u8,
    pub(crate) reserved: [u8; 2],
}

/// A place that takes a length: bytes of the frame behind the pushed headers, plus `addend`, as 16 bits in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Length {
    /// Where in the prefix's data.
    pub at: u8,
    /// Where in the prefix's data the header checksum stands that covers the place; 255 if none does.
    pub sum: u8,
    /// Wrapping addend, in the byte order of the machine.
    pub addend: u16,
}

/// A place that takes 16 bits of the flow's entropy in network order, with the bits of `or` set in the first byte.
///
/// For a UDP source port `or` is 0xc0, which keeps the port within the dynamic range 49152..=65535 (RFC 7348, section 5
/// and RFC 8926, section 3.3 ask for an ephemeral one). For an IPv6 flow label (RFC 6438) it is 0 at the lower 16 of the
/// label's 20 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Entropy {
    /// Where in the prefix's data; 255 if not used.
    pub at: u8,
    /// Bits set in the first byte.
    pub or: u8,
}

impl Prefix {
    /// Bytes that can be pushed.
    pub const CAPACITY: usize = 96;
    /// Length fields that pushed headers can have.
    pub const LENGTHS: usize = 3;

    /// Nothing off, nothing on.
    pub const EMPTY: Self = Self {
        data: [0; Self::CAPACITY],
        at: [0; MAX_HEADERS],
        lengths: [Length {
            at: 0,
            sum: NONE,
            addend: 0,
        }; Self::LENGTHS],
        entropy: [Entropy { at: NONE, or: 0 }; 2],
        sums: [NONE; 2],
        len: 0,
        pop: 0,
        headers: 0,
        length_count: 0,
        reserved: [0; 2],
    };

    /// Headers taken off the front.
    #[must_use]
    pub const fn popped(&self) -> usize {
        self.pop as usize
    }

    /// Headers put to the front.
    #[must_use]
    pub const fn pushed(&self) -> usize {
        self.headers as usize
    }

    /// Whether nothing is pushed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The template of the pushed headers; lengths and checksums in it are not final.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.data.get(self.start()..).unwrap_or_default()
    }

    /// The places that take a length.
    #[must_use]
    pub fn lengths(&self) -> &[Length] {
        self.lengths
            .get(..usize::from(self.length_count))
            .unwrap_or(&self.lengths)
    }

    /// Where in `data` the pushed bytes begin.
    pub(crate) const fn start(&self) -> usize {
        Self::CAPACITY.saturating_sub(self.len as usize)
    }

    /// Where in `data` the pushed header at `index` begins and ends.
    pub(crate) fn span(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.pushed() {
            return None;
        }
        let from = usize::from(*self.at.get(index)?);
        let to = if index + 1 < self.pushed() {
            usize::from(*self.at.get(index + 1)?)
        } else {
            Self::CAPACITY
        };
        (from <= to && to <= Self::CAPACITY).then_some((from, to))
    }

    /// Puts a whole header in front. Its places are given relative to its own start.
    pub(crate) fn push_front(&mut self, header: &[u8]) -> Result<usize, ProgramError> {
        let start = self
            .start()
            .checked_sub(header.len())
            .ok_or(ProgramError::PrefixFull)?;
        if self.pushed() >= MAX_HEADERS {
            return Err(ProgramError::PrefixFull);
        }
        let room = self
            .data
            .get_mut(start..start + header.len())
            .ok_or(ProgramError::PrefixFull)?;
        room.copy_from_slice(header);
        self.at.copy_within(..MAX_HEADERS - 1, 1);
        if let Some(first) = self.at.first_mut() {
            *first = start as u8;
        }
        self.headers += 1;
        self.len += header.len() as u8;
        Ok(start)
    }

    pub(crate) fn push_length(&mut self, length: Length) -> Result<(), ProgramError> {
        let used = usize::from(self.length_count);
        if used >= Self::LENGTHS {
            return Err(ProgramError::PrefixFull);
        }
        self.lengths.copy_within(..Self::LENGTHS - 1, 1);
        if let Some(first) = self.lengths.first_mut() {
            *first = length;
        }
        self.length_count += 1;
        Ok(())
    }

    pub(crate) fn push_entropy(&mut self, entropy: Entropy) -> Result<(), ProgramError> {
        let free = self
            .entropy
            .iter_mut()
            .find(|place| place.at == NONE || place.at == entropy.at);
        *free.ok_or(ProgramError::EntropyFull)? = entropy;
        self.entropy.sort_unstable_by_key(|place| place.at);
        Ok(())
    }

    pub(crate) fn push_sum(&mut self, at: u8) -> Result<(), ProgramError> {
        let free = self
            .sums
            .iter_mut()
            .find(|sum| **sum == NONE)
            .ok_or(ProgramError::ChecksumsFull)?;
        *free = at;
        self.sums.sort_unstable();
        Ok(())
    }

    /// Computes the header checksums of the template, in which lengths are zero.
    pub(crate) fn finish(&mut self) {
        for sum in self.sums.into_iter().filter(|sum| *sum != NONE) {
            let at = usize::from(sum);
            let around = (0..self.pushed())
                .filter_map(|i| self.span(i))
                .find(|(from, to)| (*from..*to).contains(&at));
            let Some((from, to)) = around else { continue };
            self.put(at, [0; 2]);
            let checksum =
                crate::checksum::Sum::of(self.data.get(from..to).unwrap_or_default()).checksum();
            self.put(at, checksum.to_be_bytes());
        }
    }

    fn put(&mut self, at: usize, bytes: [u8; 2]) {
        if let Some(slot) = self.data.get_mut(at..at + 2) {
            slot.copy_from_slice(&bytes);
        }
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefix")
            .field("pop", &self.pop)
            .field("push", &self.as_bytes())
            .field("lengths", &self.lengths())
            .field("entropy", &self.entropy)
            .finish_non_exhaustive()
    }
}
