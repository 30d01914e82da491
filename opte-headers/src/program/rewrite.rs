//! What a program does to the headers that stay.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ProgramError;

/// Masked writes to the headers that stay, and the checksums that follow from them.
///
/// | bytes | field |
/// |---|---|
/// | 0..56 | `data`: seven times 8 bytes, one for each window, zero where the window does not write |
/// | 56..84 | `windows`: seven [`Window`]s |
/// | 84..99 | `bits`: three [`Bits`] |
/// | 99..119 | `places`: four [`SumPlace`]s, innermost first |
/// | 119 | how many `windows` are in use, in the order of headers and offsets |
/// | 120 | how many `bits` are in use |
/// | 121 | how many `places` are in use |
/// | 122 | the form: 0 nothing to do, 1 straight, 2 any |
/// | 123 | the innermost header written to |
/// | 124 | how many bytes of that header are reached, at least 8 |
/// | 125..128 | reserved, zero |
///
/// In the straight form, which most programs have, there are no `bits` and at most two `places`: one of a transport header,
/// and after it one of the IPv4 header in front of that. First come the windows that no checksum covers, then those that the
/// pseudo-header and the IPv4 header cover, then those that the first place covers as its own (cover 1).
///
/// Writes happen before headers are taken off, so that a write may stand on a header that goes: it then writes zeros, and
/// takes the addresses of a popped IP header out of a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rewrite {
    pub(crate) data: [[u8; 8]; Self::WINDOWS],
    pub(crate) windows: [Window; Self::WINDOWS],
    pub(crate) bits: [Bits; Self::BITS],
    pub(crate) places: [SumPlace; Self::PLACES],
    pub(crate) window_count: u8,
    pub(crate) bits_count: u8,
    pub(crate) place_count: u8,
    pub(crate) form: u8,
    pub(crate) last: u8,
    pub(crate) reach: u8,
    pub(crate) reserved: [u8; 3],
}

/// A write of whole bytes within eight bytes of a header.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Window {
    /// Position of the header in the stack, counted from the outermost one.
    pub header: u8,
    /// First of the eight bytes, counted from the start of the header; a multiple of 8.
    pub offset: u8,
    /// Which of the eight bytes are written: bit 0 is the first.
    pub mask: u8,
    /// Which checksums cover the bytes: bits 0..4 the [`SumPlace`]s that cover them as header or payload, bits 4..8
    /// those that cover them by way of the pseudo-header.
    pub cover: u8,
}

/// A write of some bits of one byte.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Bits {
    /// Position of the header in the stack.
    pub header: u8,
    /// The byte, counted from the start of the header.
    pub offset: u8,
    /// Which bits are written.
    pub mask: u8,
    /// Their values; zero where the mask is.
    pub value: u8,
    /// Which checksums cover them, as in [`Window`].
    pub cover: u8,
}

/// A checksum that changes with the writes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SumPlace {
    /// Position of its header in the stack.
    pub header: u8,
    /// Where it stands, counted from the start of the header.
    pub offset: u8,
    /// [`SumPlace::OPTIONAL`], [`SumPlace::TRANSPORT`], [`SumPlace::NEVER_ZERO`], and in bits 4..8 the other places whose checksums cover this one.
    pub flags: u8,
    /// What is added for a pseudo-header that was pushed: 16 bits in network order.
    pub add: [u8; 2],
}

impl SumPlace {
    /// Zero means that the sender gave no checksum, which then stays so (UDP, RFC 768).
    pub const OPTIONAL: u8 = 1;
    /// The innermost transport checksum, which a link may be left to complete.
    pub const TRANSPORT: u8 = 2;
    /// 0xffff goes out in place of a computed zero: for UDP, where zero means something else; and for ICMPv4, whose
    /// message may be all zeros, which differences cannot tell from a sum of 0xffff. 0xffff is right for either.
    pub const NEVER_ZERO: u8 = 4;
}

impl Rewrite {
    /// Windows that can be written.
    pub const WINDOWS: usize = 7;
    /// Bytes of which some bits can be written.
    pub const BITS: usize = 3;
    /// Checksums that can change.
    pub const PLACES: usize = 4;

    /// No write.
    pub const EMPTY: Self = Self {
        data: [[0; 8]; Self::WINDOWS],
        windows: [Window {
            header: 0,
            offset: 0,
            mask: 0,
            cover: 0,
        }; Self::WINDOWS],
        bits: [Bits {
            header: 0,
            offset: 0,
            mask: 0,
            value: 0,
            cover: 0,
        }; Self::BITS],
        places: [SumPlace {
            header: 0,
            offset: 0,
            flags: 0,
            add: [0; 2],
        }; Self::PLACES],
        window_count: 0,
        bits_count: 0,
        place_count: 0,
        form: Self::NOTHING,
        last: 0,
        reach: 0,
        reserved: [0; 3],
    };

    /// Whether nothing is written and no checksum changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.window_count == 0 && self.bits_count == 0 && self.place_count == 0
    }

    /// The windows written, with their data.
    pub fn windows(&self) -> impl DoubleEndedIterator<Item = (&Window, &[u8; 8])> + Clone {
        let count = usize::from(self.window_count);
        let windows = self.windows.get(..count).unwrap_or(&self.windows);
        let data = self.data.get(..count).unwrap_or(&self.data);
        windows.iter().zip(data)
    }

    /// The bytes of which some bits are written.
    #[must_use]
    pub fn bits(&self) -> &[Bits] {
        self.bits
            .get(..usize::from(self.bits_count))
            .unwrap_or(&self.bits)
    }

    /// The checksums that change, innermost first.
    #[must_use]
    pub fn places(&self) -> &[SumPlace] {
        self.places
            .get(..usize::from(self.place_count))
            .unwrap_or(&self.places)
    }

    /// Adds or replaces bits of one byte. What is written later wins.
    pub(crate) fn write(&mut self, new: Bits) -> Result<(), ProgramError> {
        let mut new = new;
        let before = self
            .bits()
            .iter()
            .position(|b| (b.header, b.offset) == (new.header, new.offset));
        if let Some(at) = before {
            let old = self.take_bits(at);
            new.value |= old.value & !new.mask;
            new.mask |= old.mask;
        }
        let (start, bit) = (new.offset & !7, new.offset & 7);
        for (window, data) in self
            .windows
            .iter_mut()
            .zip(&mut self.data)
            .take(usize::from(self.window_count))
        {
            let same_byte = (window.header, window.offset) == (new.header, start)
                && window.mask >> bit & 1 == 1;
            if let (true, Some(byte)) = (same_byte, data.get_mut(usize::from(bit))) {
                *byte = *byte & !new.mask | new.value;
                return Ok(());
            }
        }
        if new.mask != 0xff {
            return self.insert_bits(new);
        }
        let mut data = [0; 8];
        if let Some(byte) = data.get_mut(usize::from(bit)) {
            *byte = new.value;
        }
        self.write_window(
            Window {
                header: new.header,
                offset: start,
                mask: 1 << bit,
                cover: new.cover,
            },
            data,
        )
    }

    /// Adds or replaces whole bytes. What is written later wins.
    pub(crate) fn write_window(&mut self, new: Window, data: [u8; 8]) -> Result<(), ProgramError> {
        while let Some(at) = self.bits().iter().position(|b| {
            (b.header, b.offset & !7) == (new.header, new.offset)
                && new.mask >> (b.offset & 7) & 1 == 1
        }) {
            self.take_bits(at);
        }
        self.put_window(new, data).map(|_| ())
    }

    /// As [`Rewrite::write_window`], of bytes of which no bits are written; says where the window now stands.
    pub(crate) fn put_window(&mut self, new: Window, data: [u8; 8]) -> Result<usize, ProgramError> {
        let place =
            |window: &Window| u32::from_be_bytes([0, window.header, window.offset, window.cover]);
        let (keep, own) = (byte_mask(new.mask), place(&new));
        let count = usize::from(self.window_count);
        let mut at = count;
        let windows = self.windows.iter_mut().zip(&mut self.data);
        for (i, (window, old)) in windows.take(count).enumerate() {
            let there = place(window);
            if there < own {
                continue;
            }
            if there > own {
                at = i;
                break;
            }
            window.mask |= new.mask;
            let data = u64::from_ne_bytes(*old) & !keep | u64::from_ne_bytes(data) & keep;
            *old = data.to_ne_bytes();
            return Ok(i);
        }
        if count >= Self::WINDOWS {
            return Err(ProgramError::RewriteFull);
        }
        // So few are moved one by one sooner than by a call.
        let (mut moved, mut moved_data) = (new, u64::from_ne_bytes(data));
        let places = self.windows.iter_mut().zip(&mut self.data);
        for (window, data) in places.take(count + 1).skip(at) {
            (*window, moved) = (moved, *window);
            (*data, moved_data) = (moved_data.to_ne_bytes(), u64::from_ne_bytes(*data));
        }
        self.window_count += 1;
        Ok(at)
    }

    /// Adds a checksum, or finds it, and gives its position in `places`. Those already there may move: see the map.
    pub(crate) fn place(&mut self, new: SumPlace) -> Result<(), ProgramError> {
        let same = |p: &&mut SumPlace| (p.header, p.offset) == (new.header, new.offset);
        let count = usize::from(self.place_count);
        if let Some(old) = self.places.iter_mut().take(count).find(same) {
            old.flags |= new.flags & 0x0f;
            old.add = add_words(old.add, new.add);
            return Ok(());
        }
        let slot = self
            .places
            .get_mut(count)
            .ok_or(ProgramError::ChecksumsFull)?;
        *slot = new;
        self.place_count += 1;
        Ok(())
    }

    /// Fills in what follows from the rest: the last bytes.
    pub(crate) fn settle(&mut self) {
        // Windows and bits are in order, so the last one reaches farthest.
        let window = self.windows().next_back();
        let window = window.map(|(w, _)| (w.header, w.offset.saturating_add(8)));
        let bits = self.bits().last();
        let bits = bits.map(|b| (b.header, b.offset.saturating_add(1)));
        let places = self.places().iter();
        let place = places.map(|p| (p.header, p.offset.saturating_add(2))).max();
        let reached = window.max(bits).max(place);
        let (last, reach) = reached.map_or((0, 0), |(last, reach)| (last, reach.max(8)));
        self.form = match self.is_straight() {
            _ if self.is_empty() => Self::NOTHING,
            true => Self::STRAIGHT,
            false => Self::ANY,
        };
        (self.last, self.reach) = (last, reach);
    }

    /// Forms.
    pub(crate) const NOTHING: u8 = 0;
    pub(crate) const STRAIGHT: u8 = 1;
    pub(crate) const ANY: u8 = 2;

    fn is_straight(&self) -> bool {
        let of_address = match self.places() {
            [] => 0,
            [_] => 0x10,
            [_, network] if network.flags == 0 => 0x12,
            _ => return false,
        };
        if self.bits_count != 0 || self.places().iter().any(|place| place.flags >> 4 != 0) {
            return false;
        }
        let rank = |cover| match cover {
            0 => Some(0),
            _ if cover == of_address => Some(1),
            0x01 if of_address != 0 => Some(2),
            _ => None,
        };
        let mut covers = self.windows().map(|(window, _)| window.cover);
        let in_order = |last, cover| rank(cover).filter(|rank| *rank >= last);
        covers.try_fold(0, in_order).is_some()
    }

    fn insert_bits(&mut self, new: Bits) -> Result<(), ProgramError> {
        let count = usize::from(self.bits_count);
        if count >= Self::BITS {
            return Err(ProgramError::RewriteFull);
        }
        let at = self
            .bits()
            .iter()
            .position(|b| (b.header, b.offset) > (new.header, new.offset))
            .unwrap_or(count);
        self.bits.copy_within(at..Self::BITS - 1, at + 1);
        if let Some(slot) = self.bits.get_mut(at) {
            *slot = new;
        }
        self.bits_count += 1;
        Ok(())
    }

    fn take_bits(&mut self, at: usize) -> Bits {
        let taken = self.bits.get(at).copied().unwrap_or_default();
        self.bits.copy_within((at + 1).min(Self::BITS).., at);
        if let Some(last) = self.bits.last_mut() {
            *last = Bits::default();
        }
        self.bits_count -= 1;
        taken
    }
}

impl Default for Rewrite {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// The sum of two 16-bit words in network order, zero where it is a multiple of 0xffff.
pub(crate) fn add_words(a: [u8; 2], b: [u8; 2]) -> [u8; 2] {
    let sum = crate::checksum::Sum::of(&a).with(&b).fold();
    if sum == 0xffff {
        [0; 2]
    } else {
        sum.to_be_bytes()
    }
}

/// The 64-bit mask, in the byte order of memory, of a mask of bytes.
#[inline]
pub(crate) fn byte_mask(bytes: u8) -> u64 {
    match MASKS.get(bytes as usize) {
        Some(mask) => *mask,
        None => 0,
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static MASKS: [u64; 256] = {
    let mut masks = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut bytes = [0; 8];
        let mut bit = 0;
        while bit < 8 {
            if i >> bit & 1 == 1 {
                bytes[bit] = 0xff;
            }
            bit += 1;
        }
        masks[i] = u64::from_ne_bytes(bytes);
        i += 1;
    }
    masks
};
