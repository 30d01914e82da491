//! Applying a program to a frame.

use core::fmt;

use super::prefix::NONE;
use super::rewrite::{SumPlace, byte_mask};
use super::{Prefix, Program, Rewrite};
use crate::checksum::Sum;
use crate::frame::Offsets;

/// What the transport checksum of a frame holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sums {
    /// The checksum, as on the wire.
    #[default]
    Complete,
    /// The sum of the pseudo-header, not complemented; the link completes it (Linux calls it `CHECKSUM_PARTIAL`). Changes of
    /// addresses go into it, changes of ports and payload leave it alone.
    Partial,
}

/// Where the frame stands after a program was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where the frame begins in the buffer.
    pub start: usize,
    /// Its length.
    pub frame_len: usize,
}

/// Why a program was not applied. Nothing was changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApplyError {
    /// There are fewer bytes in front of the frame than the program puts there.
    HeadRoom {
        /// Bytes the program puts there.
        needed: usize,
        /// Bytes there are, with those of the headers that go.
        available: usize,
    },
    /// The frame, or the part of it that lies in the buffer, ends before what the program needs.
    Truncated {
        /// Bytes from the start of the frame that the program reaches.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The frame has no header at this position.
    NoHeader {
        /// Position of the header, counted from the outermost one.
        index: usize,
    },
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadRoom { needed, available } => {
                write!(
                    f,
                    "{needed} bytes of head-room needed, {available} available"
                )
            }
            Self::Truncated { needed, available } => {
                write!(f, "frame of {available} bytes ends before byte {needed}")
            }
            Self::NoHeader { index } => write!(f, "the frame has no header at position {index}"),
        }
    }
}

impl core::error::Error for ApplyError {}

impl Program {
    /// Applies the program to the frame that begins at `start` of `head`.
    ///
    /// `head` holds head-room, then the frame up to at least the end of its headers, which stand at `offsets`; the rest of
    /// the payload may be elsewhere. `frame_len` counts the whole frame. `sums` says what the transport checksum
    /// holds. `entropy` goes to the places that vary by flow. What is left in the head-room in front of the new start
    /// is unspecified.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; the frame is then as it was, provided that `offsets` are those of this frame.
    #[inline(always)]
    pub fn apply(
        &self,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        offsets: &Offsets,
        sums: Sums,
        entropy: u16,
    ) -> Result<Applied, ApplyError> {
        let pushed = usize::from(self.prefix.len);
        let (mut front, mut body_len) = (start, frame_len);
        if self.prefix.pop != 0 {
            let dropped = offsets.start_of(self.prefix.pop);
            front += dropped;
            if self.prefix.pop >= offsets.count() || frame_len < dropped {
                return Err(self.prefix.unfit(head.len(), start, frame_len, offsets));
            }
            body_len -= dropped;
        }
        if front < pushed || front > head.len() {
            return Err(self.prefix.unfit(head.len(), start, frame_len, offsets));
        }
        if self.rewrite.form != Rewrite::NOTHING {
            self.rewrite.apply(head, start, offsets, sums)?;
        }
        if pushed != 0 {
            self.prefix.apply(head, front, body_len, entropy);
        }
        Ok(Applied {
            start: front - pushed,
            frame_len: body_len + pushed,
        })
    }
}

impl Prefix {
    /// Why the frame cannot take what happens at its front.
    #[cold]
    fn unfit(
        &self,
        in_buffer: usize,
        start: usize,
        frame_len: usize,
        offsets: &Offsets,
    ) -> ApplyError {
        let dropped = match position(offsets, self.pop) {
            Ok(dropped) => dropped,
            Err(_) if self.pop == 0 => 0,
            Err(error) => return error,
        };
        let (front, pushed) = (start + dropped, usize::from(self.len));
        if front < pushed {
            return ApplyError::HeadRoom {
                needed: pushed,
                available: front,
            };
        }
        let available = frame_len.min(in_buffer.saturating_sub(start));
        ApplyError::Truncated {
            needed: dropped,
            available,
        }
    }

    /// Writes the pushed headers so that they end at `front`. The head-room is enough.
    #[inline(always)]
    fn apply(&self, head: &mut [u8], front: usize, body_len: usize, entropy: u16) {
        let Some(room) = head.get_mut(..front) else {
            return;
        };
        // The whole array at once, in steps of constant size, where there is room for it.
        if let Some(room) = room.last_chunk_mut::<{ Self::CAPACITY }>() {
            *room = self.data;
            self.fill(room, body_len, entropy);
        } else {
            self.apply_to_short_room(room, body_len, entropy);
        }
    }

    #[cold]
    #[inline(never)]
    fn apply_to_short_room(&self, room: &mut [u8], body_len: usize, entropy: u16) {
        let mut whole = self.data;
        self.fill(&mut whole, body_len, entropy);
        let pushed = whole.get(self.start()..).unwrap_or_default();
        let at = room.len().saturating_sub(pushed.len());
        if let Some(room) = room.get_mut(at..) {
            room.copy_from_slice(pushed);
        }
    }

    /// Fills in what differs from frame to frame.
    #[inline(always)]
    fn fill(&self, room: &mut [u8; Self::CAPACITY], body_len: usize, entropy: u16) {
        for length in self.lengths() {
            put(room, length.at, length.addend.wrapping_add(body_len as u16));
        }
        for place in self.entropy {
            put(room, place.at, entropy | u16::from(place.or) << 8);
        }
        let [first, _] = self.sums;
        if first != NONE {
            self.fill_sums(room, body_len);
        }
    }

    /// Brings the checksums of pushed headers up to the lengths in them, which the template has as zero.
    #[cold]
    #[inline(never)]
    fn fill_sums(&self, room: &mut [u8; Self::CAPACITY], body_len: usize) {
        for length in self.lengths().iter().filter(|length| length.sum != NONE) {
            let value = length.addend.wrapping_add(body_len as u16);
            let checksum = get(room, length.sum);
            put(
                room,
                length.sum,
                crate::checksum::update(checksum, 0, value),
            );
        }
    }
}

impl Rewrite {
    #[inline(always)]
    fn apply(
        &self,
        head: &mut [u8],
        start: usize,
        offsets: &Offsets,
        sums: Sums,
    ) -> Result<(), ApplyError> {
        // Headers lie one behind the other, and a window begins within its header: so all windows are within the buffer
        // where the innermost is.
        if self.form == Self::STRAIGHT && self.last < offsets.count() {
            let end = offsets.start_of(self.last) + usize::from(self.reach);
            if let Some(frame) = head.get_mut(start..)
                && end <= frame.len()
            {
                self.apply_straight(frame, offsets, sums);
                return Ok(());
            }
        }
        self.apply_any(head, start, offsets, sums)
    }

    /// Applies a program in the straight form.
    #[inline(always)]
    fn apply_straight(&self, frame: &mut [u8], offsets: &Offsets, sums: Sums) {
        let Some(windows) = self.windows.get(..usize::from(self.window_count)) else {
            return;
        };
        let (mut all, mut of_addresses) = (Sum::ZERO, Sum::ZERO);
        for (window, data) in windows.iter().zip(&self.data) {
            let at = offsets.start_of(window.header) + usize::from(window.offset);
            let Some(slot) = frame
                .get_mut(at..at + 8)
                .and_then(<[u8]>::first_chunk_mut::<8>)
            else {
                return;
            };
            let (old, new) = (u64::from_ne_bytes(*slot), u64::from_ne_bytes(*data));
            let gone = old & byte_mask(window.mask);
            *slot = (old ^ gone | new).to_ne_bytes();
            if window.cover != 0 {
                all = all.plus(Sum::of_word64(new)).minus(Sum::of_word64(gone));
                // The windows of addresses come first.
                if window.cover != 1 {
                    of_addresses = all;
                }
            }
        }
        let [transport, network, ..] = &self.places;
        if self.place_count != 0 {
            transport.update(frame, offsets, sums, of_addresses, all);
        }
        if self.place_count > 1 {
            network.update_header(frame, offsets, of_addresses);
        }
    }

    /// Whether all that is written lies within the buffer.
    fn check(&self, head: &[u8], start: usize, offsets: &Offsets) -> Result<(), ApplyError> {
        let windows = self.windows().map(|(w, _)| {
            (
                w.header,
                usize::from(w.offset) + 8 - w.mask.leading_zeros() as usize,
            )
        });
        let bits = self
            .bits()
            .iter()
            .map(|b| (b.header, usize::from(b.offset) + 1));
        let places = self
            .places()
            .iter()
            .map(|p| (p.header, usize::from(p.offset) + 2));
        for (header, end) in windows.chain(bits).chain(places) {
            let at = position(offsets, header)?;
            if start + at + end > head.len() {
                return Err(ApplyError::Truncated {
                    needed: at + end,
                    available: head.len().saturating_sub(start),
                });
            }
        }
        Ok(())
    }

    /// Applies any program.
    #[cold]
    #[inline(never)]
    fn apply_any(
        &self,
        head: &mut [u8],
        start: usize,
        offsets: &Offsets,
        sums: Sums,
    ) -> Result<(), ApplyError> {
        self.check(head, start, offsets)?;
        let mut changes = [Change::default(); Self::PLACES];
        for (window, data) in self.windows() {
            let mask = byte_mask(window.mask);
            let at = start + position(offsets, window.header)? + usize::from(window.offset);
            let (old, new);
            if let Some(slot) = head
                .get_mut(at..)
                .and_then(|rest| rest.first_chunk_mut::<8>())
            {
                old = u64::from_ne_bytes(*slot) & mask;
                new = u64::from_ne_bytes(*data) & mask;
                *slot = (u64::from_ne_bytes(*slot) & !mask | new).to_ne_bytes();
            } else {
                let rest = head.get_mut(at..).unwrap_or_default();
                let mut slot = [0; 8];
                slot.iter_mut()
                    .zip(&*rest)
                    .for_each(|(to, from)| *to = *from);
                old = u64::from_ne_bytes(slot) & mask;
                new = u64::from_ne_bytes(*data) & mask;
                slot = (u64::from_ne_bytes(slot) & !mask | new).to_ne_bytes();
                rest.iter_mut().zip(slot).for_each(|(to, from)| *to = from);
            }
            note(
                &mut changes,
                window.cover,
                Sum::of_word64(new).minus(Sum::of_word64(old)),
            );
        }
        for bits in self.bits() {
            let at = start + position(offsets, bits.header)? + usize::from(bits.offset);
            let Some(slot) = head.get_mut(at) else {
                continue;
            };
            let (old, new) = (*slot & bits.mask, bits.value & bits.mask);
            *slot = *slot & !bits.mask | new;
            let shift = if bits.offset & 1 == 0 { 8 } else { 0 };
            let change = Sum::ZERO
                .with_word(u16::from(new) << shift)
                .minus(Sum::ZERO.with_word(u16::from(old) << shift));
            note(&mut changes, bits.cover, change);
        }
        for (index, place) in self.places().iter().enumerate() {
            let at = start + position(offsets, place.header)? + usize::from(place.offset);
            let Some(slot) = head
                .get_mut(at..)
                .and_then(|rest| rest.first_chunk_mut::<2>())
            else {
                continue;
            };
            let change = changes.get(index).copied().unwrap_or_default();
            let pseudo = change.pseudo.with(&place.add);
            if sums == Sums::Partial && place.flags & SumPlace::TRANSPORT != 0 {
                *slot = Sum::of(slot).plus(pseudo).fold().to_be_bytes();
            } else if place.flags & SumPlace::OPTIONAL != 0 && *slot == [0; 2] {
                continue;
            } else {
                let old = u16::from_be_bytes(*slot);
                let new = Sum::ZERO
                    .with_word(!old)
                    .plus(pseudo)
                    .plus(change.data)
                    .checksum();
                let new = if place.flags & SumPlace::NEVER_ZERO != 0 && new == 0 {
                    0xffff
                } else {
                    new
                };
                *slot = new.to_be_bytes();
            }
            // What a complete checksum sums up to with what it covers does not change but by its pseudo-header.
            note(
                &mut changes,
                place.flags >> 4,
                Sum::ZERO.minus(pseudo).minus(change.data),
            );
        }
        Ok(())
    }
}

impl SumPlace {
    #[inline(always)]
    fn slot<'a>(&self, frame: &'a mut [u8], offsets: &Offsets) -> Option<&'a mut [u8; 2]> {
        let at = offsets.start_of(self.header) + usize::from(self.offset);
        frame.get_mut(at..at + 2)?.first_chunk_mut()
    }

    /// Updates the checksum of a header alone, which always has one and never lets it to the link.
    #[inline(always)]
    fn update_header(&self, frame: &mut [u8], offsets: &Offsets, all: Sum) {
        if let Some(slot) = self.slot(frame, offsets) {
            let old = Sum::of_word64(u64::from(!u16::from_ne_bytes(*slot)));
            *slot = (!all.plus(old).fold_in_memory_order()).to_ne_bytes();
        }
    }

    /// Updates a transport checksum: what a pseudo-header changes by, and what all under it does.
    #[inline(always)]
    fn update(&self, frame: &mut [u8], offsets: &Offsets, sums: Sums, pseudo: Sum, all: Sum) {
        let Some(slot) = self.slot(frame, offsets) else {
            return;
        };
        let (old, add) = (
            u16::from_ne_bytes(*slot),
            u64::from(u16::from_ne_bytes(self.add)),
        );
        if sums == Sums::Partial && self.flags & Self::TRANSPORT != 0 {
            let sum = pseudo.plus(Sum::of_word64(add + u64::from(old)));
            *slot = sum.fold_in_memory_order().to_ne_bytes();
            return;
        }
        if self.flags & Self::OPTIONAL != 0 && old == 0 {
            return;
        }
        let checksum = !all
            .plus(Sum::of_word64(add + u64::from(!old)))
            .fold_in_memory_order();
        let never_zero = self.flags & (Self::OPTIONAL | Self::NEVER_ZERO) != 0;
        *slot = if never_zero && checksum == 0 {
            [0xff; 2]
        } else {
            checksum.to_ne_bytes()
        };
    }
}

/// How the sum under a checksum changes: by its header and payload, and by its pseudo-header.
#[derive(Clone, Copy, Default)]
struct Change {
    data: Sum,
    pseudo: Sum,
}

fn note(changes: &mut [Change; Rewrite::PLACES], cover: u8, change: Sum) {
    for (index, of) in changes.iter_mut().enumerate() {
        if cover >> index & 1 == 1 {
            of.data = of.data.plus(change);
        }
        if cover >> index & 0x10 != 0 {
            of.pseudo = of.pseudo.plus(change);
        }
    }
}

fn position(offsets: &Offsets, header: u8) -> Result<usize, ApplyError> {
    offsets
        .at(header)
        .map(usize::from)
        .ok_or(ApplyError::NoHeader {
            index: usize::from(header),
        })
}

#[inline(always)]
fn get(room: &[u8; Prefix::CAPACITY], at: u8) -> u16 {
    let at = usize::from(at);
    let bytes = room.get(at..at + 2).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

#[inline(always)]
fn put(room: &mut [u8; Prefix::CAPACITY], at: u8, value: u16) {
    let at = usize::from(at);
    if let Some(slot) = room.get_mut(at..at + 2).and_then(<[u8]>::first_chunk_mut) {
        *slot = value.to_be_bytes();
    }
}
