//! Programs of a single step, out of which [`Program::fuse`] makes all others.

use super::prefix::{Entropy, Length, NONE};
use super::rewrite::{Bits, Rewrite, SumPlace, Window};
use super::{MAX_HEADERS, Prefix, Program, ProgramError};
use crate::checksum::Sum;
use crate::header::{ChecksumRole, Counted, Covers, Header, LengthRole};

/// Bytes of a header that a program reaches.
const REACH: usize = 248;

/// What a program has to know of a kind of header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderSpec {
    /// Name of the header.
    pub name: &'static str,
    /// Bytes of its fixed part.
    pub min_len: usize,
    /// Its checksum, if it has one.
    pub checksum: Option<ChecksumRole>,
    /// Its length field, if it has one that counts what follows.
    pub length: Option<LengthRole>,
    /// The bytes (from, to) of this header that the checksum of a transport header behind it covers as pseudo-header: the
    /// addresses.
    pub pseudo: Option<(u8, u8)>,
}

impl HeaderSpec {
    /// Whether its checksum covers what follows it.
    pub(crate) fn covers_payload(&self) -> bool {
        self.checksum
            .is_some_and(|sum| sum.covers != Covers::Header)
    }

    /// What programs have to know of `H`.
    #[must_use]
    pub const fn of<H: Header>() -> Self {
        let pseudo = match H::PSEUDO {
            Some((from, to)) => Some((from as u8, to as u8)),
            None => None,
        };
        Self {
            name: H::NAME,
            min_len: H::MIN_LEN,
            checksum: H::CHECKSUM,
            length: H::LENGTH,
            pseudo,
        }
    }

    /// A header without checksum and length.
    #[must_use]
    pub const fn plain(name: &'static str, min_len: usize) -> Self {
        Self {
            name,
            min_len,
            checksum: None,
            length: None,
            pseudo: None,
        }
    }
}

impl Program {
    /// Takes the outermost header of `stack` off.
    pub fn pop(stack: &[HeaderSpec]) -> Result<Self, ProgramError> {
        let mut program = Self::IDENTITY;
        let header = stack.first().ok_or(ProgramError::NoHeader { index: 0 })?;
        program.prefix.pop = 1;
        // A transport checksum that stays loses the addresses that go: they are written to zero and then dropped.
        let (Some((from, to)), Some((index, checksum))) = (header.pseudo, transport_of(stack, 0))
        else {
            return Ok(program);
        };
        let rewrite = &mut program.rewrite;
        rewrite.place(sum_place(stack, index, &checksum))?;
        for offset in (from & !7..to).step_by(8) {
            let bits = (0..8).filter(|bit| (from..to).contains(&(offset | bit)));
            let mask = bits.fold(0, |mask, bit| mask | 1 << bit);
            rewrite.write_window(
                Window {
                    header: 0,
                    offset,
                    mask,
                    cover: 0x10,
                },
                [0; 8],
            )?;
        }
        program.rewrite.settle();
        Ok(program)
    }

    /// Puts `header`, whose wire form is `bytes`, in front of `stack`. Its lengths and checksums are computed here and
    /// when a frame passes, whatever `bytes` says; a transport checksum that may be absent is.
    pub fn push(
        stack: &[HeaderSpec],
        header: &HeaderSpec,
        bytes: &[u8],
    ) -> Result<Self, ProgramError> {
        let mut program = Self::IDENTITY;
        program.prefix.add(header, bytes)?;
        if let (Some((from, to)), Some((index, checksum))) = (header.pseudo, first_transport(stack))
        {
            let pseudo = bytes
                .get(usize::from(from)..usize::from(to))
                .unwrap_or_default();
            let mut place = sum_place(stack, index, &checksum);
            place.add = Sum::of(pseudo).fold().to_be_bytes();
            program.rewrite.place(place)?;
            program.rewrite.settle();
        }
        Ok(program)
    }

    /// Appends what [`Program::push`] gives to this program, which leaves `stack`.
    pub(crate) fn then_push(
        &mut self,
        stack: &[HeaderSpec],
        header: &HeaderSpec,
        bytes: &[u8],
    ) -> Result<(), ProgramError> {
        let below = header.pseudo.and_then(|_| first_transport(stack));
        if below.is_some_and(|(index, _)| index >= self.prefix.pushed()) {
            return self.append(&Self::push(stack, header, bytes)?);
        }
        self.prefix.add(header, bytes)
    }

    /// Sets `bits` bits of the header at position `header` of `stack`, the first of which is `first_bit` (0 is the most
    /// significant bit of the header's first byte). `value` holds them as a number in network order, at least as many
    /// bytes as the bits need.
    pub fn set(
        stack: &[HeaderSpec],
        header: usize,
        first_bit: usize,
        bits: usize,
        value: &[u8],
    ) -> Result<Self, ProgramError> {
        let end = first_bit + bits;
        let bytes = (first_bit / 8..end.div_ceil(8)).map(|offset| {
            let (mut mask, mut byte) = (0, 0);
            for bit in (offset * 8).max(first_bit)..(offset * 8 + 8).min(end) {
                // Bits of the value are counted from its last one, which is the field's last one.
                let from_last = end - 1 - bit;
                let index = value.len().checked_sub(1 + from_last / 8);
                let of_value = index
                    .and_then(|index| value.get(index))
                    .copied()
                    .unwrap_or(0);
                mask |= 0x80 >> (bit % 8);
                byte |= (of_value >> (from_last % 8) & 1) << (7 - bit % 8);
            }
            (mask, byte)
        });
        Self::write(stack, header, first_bit / 8, bytes)
    }

    /// Sets bits of the header at position `header` of `stack`, given byte by byte from `offset` on as (mask, value).
    pub fn write(
        stack: &[HeaderSpec],
        header: usize,
        offset: usize,
        bytes: impl IntoIterator<Item = (u8, u8)>,
    ) -> Result<Self, ProgramError> {
        let mut rewrite = Rewrite::EMPTY;
        let pseudo = stack.get(header).and_then(|spec| spec.pseudo);
        let mut known: Option<(bool, u8)> = None;
        // Whole bytes of the same eight are one window.
        let (mut window, mut data) = (Window::default(), [0; 8]);
        for (index, (mask, value)) in bytes.into_iter().enumerate() {
            let end = offset + index + 1;
            if end > REACH {
                return Err(ProgramError::OutOfReach { end });
            }
            let offset = (end - 1) as u8;
            let in_pseudo = pseudo.is_some_and(|(from, to)| (from..to).contains(&offset));
            let cover = match known {
                Some((same, cover)) if same == in_pseudo => cover,
                _ => rewrite.cover(stack, header, offset)?,
            };
            known = Some((in_pseudo, cover));
            let (header, start, bit) = (header as u8, offset & !7, offset & 7);
            if mask != 0xff {
                if mask != 0 {
                    rewrite.write(Bits {
                        header,
                        offset,
                        mask,
                        value: value & mask,
                        cover,
                    })?;
                }
                continue;
            }
            if (window.offset, window.cover) != (start, cover) && window.mask != 0 {
                rewrite.write_window(window, data)?;
                (window.mask, data) = (0, [0; 8]);
            }
            window = Window {
                header,
                offset: start,
                mask: window.mask | 1 << bit,
                cover,
            };
            if let Some(byte) = data.get_mut(usize::from(bit)) {
                *byte = value;
            }
        }
        if window.mask != 0 {
            rewrite.write_window(window, data)?;
        }
        let mut program = Self {
            prefix: Prefix::EMPTY,
            rewrite,
        };
        program.rewrite.nest(stack);
        program.rewrite.settle();
        Ok(program)
    }

    /// Lets the flow's entropy fill 16 bits at `offset` of the header at position `header` among those that this program
    /// pushes, with the bits of `or` set in the first byte; see [`Entropy`].
    pub fn vary(mut self, header: usize, offset: u8, or: u8) -> Result<Self, ProgramError> {
        self.vary_in_place(header, offset, or)?;
        Ok(self)
    }

    pub(crate) fn vary_in_place(
        &mut self,
        header: usize,
        offset: u8,
        or: u8,
    ) -> Result<(), ProgramError> {
        let (from, to) = self
            .prefix
            .span(header)
            .ok_or(ProgramError::NoHeader { index: header })?;
        let at = from + usize::from(offset);
        if at + 2 > to {
            return Err(ProgramError::OutOfReach {
                end: usize::from(offset) + 2,
            });
        }
        self.prefix.push_entropy(Entropy { at: at as u8, or })
    }
}

impl Prefix {
    /// Puts a header in front of those pushed before, and notes what is the composer's own in it.
    fn add(&mut self, header: &HeaderSpec, bytes: &[u8]) -> Result<(), ProgramError> {
        let behind = u16::from(self.len);
        let start = self.push_front(bytes)? as u8;
        let mut sum = NONE;
        if let Some(checksum) = header.checksum {
            self.clear(start, checksum.offset)?;
            match checksum.covers {
                Covers::Header => {
                    sum = start + checksum.offset as u8;
                    self.push_sum(sum)?;
                }
                Covers::Pseudo { zero_is_none: true } => (),
                Covers::Pseudo {
                    zero_is_none: false,
                }
                | Covers::Payload => {
                    return Err(ProgramError::CoversPayload {
                        header: header.name,
                    });
                }
            }
        }
        if let Some(length) = header.length {
            self.clear(start, length.offset)?;
            let counted = match length.counts {
                Counted::Packet => bytes.len(),
                Counted::Payload => bytes.len().saturating_sub(header.min_len),
            };
            let counted = behind.wrapping_add(counted as u16);
            let addend = counted.wrapping_add_signed(length.addend);
            self.push_length(Length {
                at: start + length.offset as u8,
                sum,
                addend,
            })?;
        }
        if sum != NONE {
            self.finish();
        }
        Ok(())
    }

    fn clear(&mut self, start: u8, offset: usize) -> Result<(), ProgramError> {
        let at = usize::from(start) + offset;
        let field = self
            .data
            .get_mut(at..at + 2)
            .ok_or(ProgramError::OutOfReach { end: offset + 2 })?;
        field.fill(0);
        Ok(())
    }
}

impl Rewrite {
    /// Which places cover a byte of a header, the places being added, innermost first.
    fn cover(
        &mut self,
        stack: &[HeaderSpec],
        header: usize,
        offset: u8,
    ) -> Result<u8, ProgramError> {
        let spec = stack
            .get(header)
            .ok_or(ProgramError::NoHeader { index: header })?;
        if stack.len() > MAX_HEADERS {
            return Err(ProgramError::NoHeader { index: MAX_HEADERS });
        }
        let in_pseudo = spec
            .pseudo
            .is_some_and(|(from, to)| (from..to).contains(&offset));
        let pseudo = if in_pseudo {
            transport_of(stack, header)
        } else {
            None
        };
        let own = stack
            .iter()
            .enumerate()
            .take(header + 1)
            .rev()
            .filter_map(|(index, spec)| {
                let checksum = spec.checksum?;
                (index == header || checksum.covers != Covers::Header).then_some((index, checksum))
            });
        let mut cover = 0;
        for (shift, (index, checksum)) in pseudo
            .into_iter()
            .map(|at| (4, at))
            .chain(own.map(|at| (0, at)))
        {
            let place = sum_place(stack, index, &checksum);
            self.place(place)?;
            let at = self
                .places()
                .iter()
                .position(|p| (p.header, p.offset) == (place.header, place.offset));
            cover |= 1 << (at.unwrap_or(0) + shift);
        }
        Ok(cover)
    }

    /// Notes which places are covered by others.
    fn nest(&mut self, stack: &[HeaderSpec]) {
        let all = self.places;
        let count = usize::from(self.place_count);
        for place in self.places.iter_mut().take(count) {
            for (index, outer) in all.iter().enumerate().take(count) {
                let covers = stack
                    .get(usize::from(outer.header))
                    .and_then(|spec| spec.checksum)
                    .map(|sum| sum.covers);
                if outer.header < place.header
                    && covers.is_some_and(|covers| covers != Covers::Header)
                {
                    place.flags |= 0x10 << index;
                }
            }
        }
    }
}

/// The transport header whose checksum covers the addresses of the header at `index`.
fn transport_of(stack: &[HeaderSpec], index: usize) -> Option<(usize, ChecksumRole)> {
    let (at, checksum) = first_transport(stack.get(index + 1..)?)?;
    Some((index + 1 + at, checksum))
}

/// The first transport header of `stack`, if no other IP header is before it.
fn first_transport(stack: &[HeaderSpec]) -> Option<(usize, ChecksumRole)> {
    let at = stack.iter().position(|spec| {
        spec.pseudo.is_some()
            || spec
                .checksum
                .is_some_and(|sum| sum.covers != Covers::Header)
    })?;
    let checksum = stack.get(at)?.checksum?;
    matches!(checksum.covers, Covers::Pseudo { .. }).then_some((at, checksum))
}

fn sum_place(stack: &[HeaderSpec], header: usize, checksum: &ChecksumRole) -> SumPlace {
    let innermost = stack.iter().rposition(|spec| {
        spec.checksum
            .is_some_and(|sum| sum.covers != Covers::Header)
    });
    let mut flags = match checksum.covers {
        Covers::Pseudo { zero_is_none: true } => SumPlace::OPTIONAL | SumPlace::NEVER_ZERO,
        Covers::Payload => SumPlace::NEVER_ZERO,
        Covers::Pseudo { .. } | Covers::Header => 0,
    };
    if innermost == Some(header) {
        flags |= SumPlace::TRANSPORT;
    }
    SumPlace {
        header: header as u8,
        offset: checksum.offset as u8,
        flags,
        add: [0; 2],
    }
}
