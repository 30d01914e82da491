//! One program for two.

use super::prefix::{Entropy, Length, NONE};
use super::rewrite::{Bits, Rewrite, SumPlace, Window, add_words};
use super::{MAX_HEADERS, Prefix, Program, ProgramError};
use crate::checksum::Sum;

impl Program {
    /// The one program that does what `self` does and then what `then` does.
    ///
    /// Writes to pushed headers fold into the template, a pop of a pushed header cancels, and of two writes to the same
    /// bits the later one stays; `then` counts headers as `self` leaves them.
    ///
    /// # Errors
    ///
    /// Only where the result exceeds what a program holds: the result is exact or there is none.
    pub fn fuse(&self, then: &Self) -> Result<Self, ProgramError> {
        let mut fused = *self;
        fused.append(then)?;
        Ok(fused)
    }

    /// [`Program::fuse`] in place.
    ///
    /// # Errors
    ///
    /// As [`Program::fuse`]; part of `then` may have been added already.
    pub fn append(&mut self, then: &Self) -> Result<(), ProgramError> {
        if then.is_identity() {
            return Ok(());
        }
        if self.is_identity() {
            *self = *then;
            return Ok(());
        }
        if let Some(done) = self.append_at_front(then) {
            return done;
        }
        *self = self.fuse_any(then)?;
        Ok(())
    }

    /// Fuses any two programs.
    fn fuse_any(&self, then: &Self) -> Result<Self, ProgramError> {
        let pushed = self.prefix.headers;
        let below = then.prefix.pop.saturating_sub(pushed);
        let pop = self.prefix.pop.saturating_add(below);
        let origin = Origin {
            pushed,
            popped: self.prefix.pop,
        };

        let mut rewrite = Rewrite::EMPTY;
        let first = |header| Some(header);
        let second = |header| origin.of(header).ok();
        rewrite.adopt_places(self.rewrite.places(), pop, first)?;
        rewrite.adopt_places(then.rewrite.places(), pop, second)?;
        rewrite.sort_places();
        let first_map = rewrite.map_of(self.rewrite.places(), first);
        let second_map = rewrite.map_of(then.rewrite.places(), second);
        rewrite.nest_as(self.rewrite.places(), first_map);
        rewrite.nest_as(then.rewrite.places(), second_map);

        rewrite.adopt_writes(&self.rewrite, pop, first_map, first)?;
        rewrite.adopt_writes(&then.rewrite, pop, second_map, second)?;

        let mut base = self.prefix;
        for write in then.rewrite.bytes() {
            let Err(header) = origin.of(write.header) else {
                continue;
            };
            let change = base.write(usize::from(header), write);
            rewrite.shift(remap(write.cover, second_map) >> 4, change);
        }
        base.drop_front(usize::from(then.prefix.pop.min(pushed)));
        base.pop = pop;
        base.put_in_front(&then.prefix)?;
        Ok(Self::new(base, rewrite.pruned()?))
    }

    /// The frequent cases in which the writes of one program stay as they are: `then` works on what `self` pushed or in front
    /// of it, or changes no checksum, or `self` only takes headers off.
    fn append_at_front(&mut self, then: &Self) -> Option<Result<(), ProgramError>> {
        let (pushed, popped) = (self.prefix.headers, self.prefix.pop);
        let only_in_front = then.rewrite.window_count == 0
            && then.rewrite.bits_count == 0
            && then
                .rewrite
                .places()
                .iter()
                .all(|place| place.header < pushed);
        let only_uncovered = then.rewrite.place_count == 0 && then.rewrite.is_behind(pushed);
        if (only_in_front || only_uncovered) && then.prefix.pop <= pushed {
            // A pop may take a pseudo-header away that a place has added: the long way looks after that.
            let adds = |place: &SumPlace| place.add != [0; 2];
            if then.prefix.pop != 0 && self.rewrite.places().iter().any(adds) {
                return None;
            }
            self.prefix.drop_front(usize::from(then.prefix.pop));
            if let Err(error) = self.prefix.put_in_front(&then.prefix) {
                return Some(Err(error));
            }
            if only_in_front {
                return Some(Ok(()));
            }
            return Some(self.rewrite.write_uncovered(&then.rewrite, pushed, popped));
        }
        if pushed == 0 && self.rewrite.form == Rewrite::NOTHING {
            self.prefix.pop = popped.saturating_add(then.prefix.pop);
            self.rewrite = then.rewrite;
            self.rewrite.shift_headers(0, popped);
            return Some(self.prefix.put_in_front(&then.prefix));
        }
        let only_writes = |program: &Self| program.prefix.pop == 0 && program.prefix.is_empty();
        if only_writes(self) && only_writes(then) {
            let rewrite = self.rewrite.with_writes(&then.rewrite)?;
            return Some(rewrite.map(|rewrite| self.rewrite = rewrite));
        }
        None
    }
}

/// Where the headers come from that the second program sees.
struct Origin {
    pushed: u8,
    popped: u8,
}

impl Origin {
    /// The position in the original frame, or else among the headers that the first program pushed.
    fn of(&self, header: u8) -> Result<u8, u8> {
        match header.checked_sub(self.pushed) {
            Some(behind) => Ok(behind.saturating_add(self.popped)),
            None => Err(header),
        }
    }
}

/// Position of each place of one program among those of another, `NONE` where it is gone.
type PlaceMap = [u8; Rewrite::PLACES];

impl Rewrite {
    fn adopt_places(
        &mut self,
        places: &[SumPlace],
        pop: u8,
        origin: impl Fn(u8) -> Option<u8>,
    ) -> Result<(), ProgramError> {
        for place in places {
            if let Some(header) = origin(place.header).filter(|header| *header >= pop) {
                self.place(SumPlace {
                    header,
                    flags: place.flags & 0x0f,
                    ..*place
                })?;
            }
        }
        Ok(())
    }

    /// Whether nothing is written to the first `headers` headers.
    fn is_behind(&self, headers: u8) -> bool {
        self.windows().all(|(window, _)| window.header >= headers)
            && self.bits().iter().all(|bits| bits.header >= headers)
    }

    /// Makes it one for frames that have `more` headers in front in place of the first `fewer`, which it leaves alone.
    fn shift_headers(&mut self, fewer: u8, more: u8) {
        let moved = |header: &mut u8| *header = header.saturating_sub(fewer).saturating_add(more);
        let count = usize::from(self.window_count);
        self.windows
            .iter_mut()
            .take(count)
            .for_each(|window| moved(&mut window.header));
        let count = usize::from(self.bits_count);
        self.bits
            .iter_mut()
            .take(count)
            .for_each(|bits| moved(&mut bits.header));
        let count = usize::from(self.place_count);
        self.places
            .iter_mut()
            .take(count)
            .for_each(|place| moved(&mut place.header));
        if self.form != Self::NOTHING {
            moved(&mut self.last);
        }
    }

    /// Both, one after the other, where the places of one begin with those of the other, so that no cover changes.
    fn with_writes(&self, then: &Self) -> Option<Result<Self, ProgramError>> {
        let mut all = *self;
        let both = usize::from(self.place_count.min(then.place_count));
        for (place, other) in all.places.iter_mut().zip(&then.places).take(both) {
            if (place.header, place.offset) != (other.header, other.offset) {
                return None;
            }
            place.flags |= other.flags;
            place.add = add_words(place.add, other.add);
        }
        for (place, other) in all.places.iter_mut().zip(&then.places).skip(both) {
            if then.place_count > self.place_count {
                *place = *other;
            }
        }
        all.place_count = self.place_count.max(then.place_count);
        Some(all.write_all(then).map(|()| all))
    }

    /// What `other` writes, of which no checksum knows, to the headers behind the first `fewer` ones, in front of which there are
    /// `more` others.
    fn write_uncovered(&mut self, other: &Self, fewer: u8, more: u8) -> Result<(), ProgramError> {
        let bits = self.bits_count | other.bits_count;
        let covered = other.windows().any(|(window, _)| window.cover != 0);
        if self.form == Self::ANY || bits != 0 || covered {
            let mut moved = *other;
            moved.shift_headers(fewer, more);
            return self.write_all(&moved);
        }
        for (window, data) in other.windows() {
            let header = window.header.saturating_sub(fewer).saturating_add(more);
            let at = self.put_window(Window { header, ..*window }, *data)?;
            // As `settle` would have it: only what stands at the end reaches farther, and only what stands behind covered windows is
            // out of the straight order.
            let before = at.checked_sub(1).and_then(|at| self.windows.get(at));
            if before.is_some_and(|before| before.cover != 0) {
                self.form = Self::ANY;
            } else if self.form == Self::NOTHING {
                self.form = Self::STRAIGHT;
            }
            let reached = (header, window.offset.saturating_add(8));
            (self.last, self.reach) = reached.max((self.last, self.reach));
        }
        Ok(())
    }

    fn write_all(&mut self, other: &Self) -> Result<(), ProgramError> {
        for (window, data) in other.windows() {
            self.write_window(*window, *data)?;
        }
        for bits in other.bits() {
            self.write(*bits)?;
        }
        self.settle();
        Ok(())
    }

    fn sort_places(&mut self) {
        let count = usize::from(self.place_count);
        if let Some(places) = self.places.get_mut(..count) {
            places.sort_unstable_by_key(|place| (u8::MAX - place.header, place.offset));
        }
    }

    fn map_of(&self, places: &[SumPlace], origin: impl Fn(u8) -> Option<u8>) -> PlaceMap {
        let mut map = [NONE; Self::PLACES];
        for (to, place) in map.iter_mut().zip(places) {
            let Some(header) = origin(place.header) else {
                continue;
            };
            let found = self
                .places()
                .iter()
                .position(|p| (p.header, p.offset) == (header, place.offset));
            *to = found.map_or(NONE, |index| index as u8);
        }
        map
    }

    fn nest_as(&mut self, places: &[SumPlace], map: PlaceMap) {
        for (place, to) in places.iter().zip(map) {
            if let Some(own) = self.places.get_mut(usize::from(to)) {
                own.flags |= remap(place.flags >> 4, map) << 4;
            }
        }
    }

    fn adopt_writes(
        &mut self,
        other: &Self,
        pop: u8,
        map: PlaceMap,
        origin: impl Fn(u8) -> Option<u8>,
    ) -> Result<(), ProgramError> {
        for (window, data) in other.windows() {
            let Some(header) = origin(window.header) else {
                continue;
            };
            let cover = remap(window.cover, map);
            if header >= pop || cover != 0 {
                self.write_window(
                    Window {
                        header,
                        cover,
                        ..*window
                    },
                    *data,
                )?;
            }
        }
        for bits in other.bits() {
            let Some(header) = origin(bits.header) else {
                continue;
            };
            let cover = remap(bits.cover, map);
            if header >= pop || cover != 0 {
                self.write(Bits {
                    header,
                    cover,
                    ..*bits
                })?;
            }
        }
        Ok(())
    }

    /// All writes, byte by byte.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = Bits> + Clone {
        let whole = self.windows().flat_map(|(window, data)| {
            data.iter()
                .enumerate()
                .filter(|(i, _)| window.mask >> i & 1 == 1)
                .map(|(i, value)| Bits {
                    header: window.header,
                    offset: window.offset | i as u8,
                    mask: 0xff,
                    value: *value,
                    cover: window.cover,
                })
        });
        whole.chain(self.bits().iter().copied())
    }

    /// Adds to the places of `cover` what a pushed pseudo-header changed by.
    fn shift(&mut self, cover: u8, change: [u8; 2]) {
        for (index, place) in self.places.iter_mut().enumerate() {
            if cover >> index & 1 == 1 {
                place.add = add_words(place.add, change);
            }
        }
    }

    /// The same without places that do not change.
    pub(crate) fn pruned(self) -> Result<Self, ProgramError> {
        let used = self
            .windows()
            .map(|(w, _)| w.cover)
            .chain(self.bits().iter().map(|b| b.cover));
        let used = used.fold(0, |all, cover| all | cover | cover >> 4);
        let changes =
            |index: usize, place: &SumPlace| used >> index & 1 == 1 || place.add != [0; 2];
        if self
            .places()
            .iter()
            .enumerate()
            .all(|(index, place)| changes(index, place))
        {
            let mut settled = self;
            settled.settle();
            return Ok(settled);
        }
        let mut pruned = Self::EMPTY;
        for (index, place) in self.places().iter().enumerate() {
            if changes(index, place) {
                pruned.place(SumPlace {
                    flags: place.flags & 0x0f,
                    ..*place
                })?;
            }
        }
        let map = pruned.map_of(self.places(), Some);
        pruned.nest_as(self.places(), map);
        pruned.adopt_writes(&self, 0, map, Some)?;
        pruned.settle();
        Ok(pruned)
    }
}

impl Prefix {
    /// Writes to a pushed header; gives the change of the 16-bit word written to.
    fn write(&mut self, header: usize, write: Bits) -> [u8; 2] {
        let Some((from, _)) = self.span(header) else {
            return [0; 2];
        };
        let at = from + usize::from(write.offset);
        let Some(byte) = self.data.get_mut(at) else {
            return [0; 2];
        };
        let (old, new) = (*byte, *byte & !write.mask | write.value);
        *byte = new;
        for place in &mut self.entropy {
            if place.at != NONE && (usize::from(place.at)..usize::from(place.at) + 2).contains(&at)
            {
                *place = Entropy { at: NONE, or: 0 };
            }
        }
        let word = |byte| {
            if write.offset & 1 == 0 {
                [byte, 0]
            } else {
                [0, byte]
            }
        };
        Sum::of(&word(new))
            .minus(Sum::of(&word(old)))
            .fold()
            .to_be_bytes()
    }

    /// Takes the first `headers` pushed headers away.
    fn drop_front(&mut self, headers: usize) {
        if headers == 0 {
            return;
        }
        let start = self.span(headers).map_or(Self::CAPACITY, |(from, _)| from);
        self.data.iter_mut().take(start).for_each(|byte| *byte = 0);
        self.at.copy_within(headers.min(MAX_HEADERS).., 0);
        self.headers = self.headers.saturating_sub(headers as u8);
        self.at
            .iter_mut()
            .skip(usize::from(self.headers))
            .for_each(|at| *at = 0);
        self.len = (Self::CAPACITY - start) as u8;

        let old = *self;
        self.lengths = Self::EMPTY.lengths;
        self.length_count = 0;
        for (to, length) in self
            .lengths
            .iter_mut()
            .zip(old.lengths().iter().filter(|l| usize::from(l.at) >= start))
        {
            *to = *length;
            self.length_count += 1;
        }
        for place in &mut self.entropy {
            if usize::from(place.at) < start {
                *place = Entropy { at: NONE, or: 0 };
            }
        }
        self.entropy.sort_unstable_by_key(|place| place.at);
        for sum in &mut self.sums {
            if usize::from(*sum) < start {
                *sum = NONE;
            }
        }
        self.sums.sort_unstable();
    }

    /// Pushes what `front` pushes, too; how many headers go off stays.
    fn put_in_front(&mut self, front: &Self) -> Result<(), ProgramError> {
        if front.is_empty() {
            self.finish();
            return Ok(());
        }
        if self.is_empty() {
            *self = Self {
                pop: self.pop,
                ..*front
            };
            return Ok(());
        }
        let (bytes, len, behind) = (front.as_bytes(), self.len, self.start());
        let start = behind
            .checked_sub(bytes.len())
            .ok_or(ProgramError::PrefixFull)?;
        if front.pushed() + self.pushed() > MAX_HEADERS {
            return Err(ProgramError::PrefixFull);
        }
        let room = self
            .data
            .get_mut(start..behind)
            .ok_or(ProgramError::PrefixFull)?;
        room.copy_from_slice(bytes);
        let moved = |at: u8| at.saturating_sub(len);
        self.at
            .copy_within(..MAX_HEADERS - front.pushed(), front.pushed());
        for (to, at) in self.at.iter_mut().zip(front.at).take(front.pushed()) {
            *to = moved(at);
        }
        (self.len, self.headers) = (len + front.len, self.headers + front.headers);
        for length in front.lengths().iter().rev() {
            let sum = match length.sum {
                NONE => NONE,
                sum => moved(sum),
            };
            self.push_length(Length {
                at: moved(length.at),
                sum,
                addend: length.addend.wrapping_add(u16::from(len)),
            })?;
        }
        for place in front.entropy.iter().filter(|place| place.at != NONE) {
            self.push_entropy(Entropy {
                at: moved(place.at),
                or: place.or,
            })?;
        }
        for sum in front.sums.iter().filter(|sum| **sum != NONE) {
            self.push_sum(moved(*sum))?;
        }
        self.finish();
        Ok(())
    }
}

fn remap(cover: u8, map: PlaceMap) -> u8 {
    map.iter()
        .enumerate()
        .filter(|(_, to)| **to != NONE)
        .fold(0, |all, (index, to)| {
            let bits = cover >> index & 0x11;
            all | bits << to
        })
}
