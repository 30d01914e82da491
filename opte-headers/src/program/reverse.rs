//! The way back.

use super::rewrite::Rewrite;
use super::{HeaderSpec, Program, ProgramError};
use crate::frame::Offsets;

impl Program {
    /// The program that undoes this one for the flow of a frame: it takes the pushed headers off, gives written fields back
    /// what they held in `frame`, and puts the headers that went back in front.
    ///
    /// `before` and `after` are the stacks in front of and behind this program; `frame` is a frame of the flow before this
    /// program, with its headers at `offsets`. For another frame whose headers hold the same in what is written and popped
    /// (lengths and checksums apart), the reverse is exact as well.
    ///
    /// # Errors
    ///
    /// Where there is no exact way back: a header that goes has a checksum over its payload, or the program takes more room
    /// back than there.
    pub fn reverse(
        &self,
        before: &[HeaderSpec],
        after: &[HeaderSpec],
        frame: &[u8],
        offsets: &Offsets,
    ) -> Result<Self, ProgramError> {
        let mut back = Self::IDENTITY;
        for index in 0..self.prefix.pushed() {
            let stack = after.get(index..).unwrap_or_default();
            back = back.fuse(&Self::pop(stack)?)?;
        }
        let restore = self.rewrite.restored(self.prefix.pop, frame, offsets)?;
        back = back.fuse(&Self::new(super::Prefix::EMPTY, restore))?;
        for index in (0..self.prefix.popped()).rev() {
            let none = ProgramError::NoHeader { index };
            let (header, behind) = before
                .get(index..)
                .and_then(<[_]>::split_first)
                .ok_or(none)?;
            let bytes = header_bytes(frame, offsets, index as u8).ok_or(none)?;
            let sum = header.checksum.filter(|_| header.covers_payload());
            if sum.is_some_and(|sum| bytes.get(sum.offset..sum.offset + 2) != Some(&[0; 2])) {
                return Err(ProgramError::CoversPayload {
                    header: header.name,
                });
            }
            back = back.fuse(&Self::push(behind, header, bytes)?)?;
        }
        Ok(back)
    }
}

impl Rewrite {
    /// Writes to the headers that stay, with what `frame` holds there, the first of them being counted as header 0.
    fn restored(&self, pop: u8, frame: &[u8], offsets: &Offsets) -> Result<Self, ProgramError> {
        let mut restored = Self::EMPTY;
        for place in self.places() {
            let header = place.header.saturating_sub(pop);
            restored.place(super::SumPlace {
                header,
                add: [0; 2],
                ..*place
            })?;
        }
        for write in self.bytes() {
            let Some(header) = write.header.checked_sub(pop) else {
                continue;
            };
            let index = usize::from(write.header);
            let at = offsets
                .at(write.header)
                .ok_or(ProgramError::NoHeader { index })?;
            let at = usize::from(at) + usize::from(write.offset);
            let held = frame.get(at).ok_or(ProgramError::NoHeader { index })?;
            restored.write(super::Bits {
                header,
                value: held & write.mask,
                ..write
            })?;
        }
        restored.pruned()
    }
}

/// The bytes of the header at `index`, which another one follows.
fn header_bytes<'a>(frame: &'a [u8], offsets: &Offsets, index: u8) -> Option<&'a [u8]> {
    let (from, to) = (offsets.at(index)?, offsets.at(index.checked_add(1)?)?);
    frame.get(usize::from(from)..usize::from(to))
}
