//! The part of a flow's record that packets read without a lock.

use opte_headers::program::Translation;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::record::{Class, Proto};
use crate::Direction;
use crate::prefetch::prefetch;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::time::Moment;

/// What packets ask of a flow: 192 bytes, three cache lines, of which a packet needs two. All zeros: no flow.
///
/// One thread at a time writes it, but for the counters and the deadline. A reader takes the sequence number first
/// ([`Cell::sequence`]), then reads, then asks whether what it read belonged together ([`Cell::is_still`]): the
/// number is odd while the writer is at work, and another one after it. The cell never goes away while its table lives, so a
/// reader that comes late reads a record of another flow, and finds that out.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C)]
pub(super) struct Cell {
    inbound: SideCell,
    sequence: AtomicU32,
    /// The generation that the decisions were made in.
    epoch: AtomicU32,
    /// When it expires unless a packet comes, in nanoseconds.
    deadline: AtomicU64,
    /// The number of its TCP connection, or zero.
    connection: AtomicU32,
    /// [`Kind`].
    kind: AtomicU32,
    /// The sums of both sides' [`Translation`]s, the inbound one first.
    sums: [AtomicU32; 2],
    outbound: SideCell,
}

const _: () = assert!(cfg!(loom) || size_of::<Cell>() == 192);

/// One direction of a flow.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[repr(C)]
struct SideCell {
    key: [AtomicU64; 5],
    /// [`Tail`].
    tail: AtomicU64,
    /// Packets in the upper bits, bytes in the lower ones.
    counts: AtomicU64,
    /// The bytes of its [`Translation`].
    data: [AtomicU64; 3],
}

/// The key of a flow in words: of the last one, the lower 16 bits.
pub(crate) type KeyWords = [u64; 6];

/// The lower half of the words that IPv4 addresses are in the upper half of, on little-endian machines: see
/// [`FlowKey`](opte_headers::frame::FlowKey).
pub(super) const V4: u64 = 0xffff_0000;
pub(super) const LOW: u64 = 0xffff_ffff;

/// Whether both addresses of a key are seen to be of IPv4: two of its words then say it all.
#[inline(always)]
pub(super) const fn is_v4([a, b, c, d, _, _]: &KeyWords) -> bool {
    cfg!(target_endian = "little") && *a | *c == 0 && *b & LOW == V4 && *d & LOW == V4
}

/// Both addresses of a key of IPv4, and back.
#[inline(always)]
const fn both_v4(b: u64, d: u64) -> u64 {
    b >> 32 | d & !LOW
}

const fn each_v4(both: u64) -> (u64, u64) {
    (both << 32 | V4, both & !LOW | V4)
}

/// What one direction of a flow does with its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) key: KeyWords,
    pub(super) tail: Tail,
    pub(super) translation: Translation,
}

impl Side {
    /// Of a direction whose packets are not known yet.
    pub(super) fn unknown(key: KeyWords) -> Self {
        Self {
            key,
            tail: Tail::new(0, 0),
            translation: Translation::default(),
        }
    }
}

/// A translation as a cell has it.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct TranslationWords {
    data: [[u8; 8]; 3],
    sums: [u8; 4],
}

/// The last word of a side: the rest of the key, and what is done with packets.
///
/// | bits | |
/// |---|---|
/// | 0..16 | the last 16 bits of the key |
/// | 16..20 | where the innermost IP header stands |
/// | 20 | the key is one of IPv4, and its second word both addresses |
/// | 32..64 | the number of the program; zero: packets of this direction are not known yet |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail(u64);

impl Tail {
    /// The rest of the key, and what is known of it.
    const OF_KEY: u64 = 0xffff | Self::SHORT;
    const SHORT: u64 = 1 << 20;
    const L3: u64 = 0xf << 16;

    #[inline(always)]
    fn of_key(key: &KeyWords) -> u64 {
        let [.., f] = key;
        f & 0xffff | if is_v4(key) { Self::SHORT } else { 0 }
    }

    pub(super) fn new(l3: u8, program: u32) -> Self {
        Self(u64::from(l3 & 0xf) << 16 | u64::from(program) << 32)
    }

    #[inline(always)]
    pub(super) fn l3(self) -> u8 {
        (self.0 >> 16) as u8 & 0xf
    }

    #[inline(always)]
    pub(super) fn program(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What a flow is: one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) class: Class,
    pub(super) proto: Proto,
    /// Which way its first packet went.
    pub(super) first: Direction,
    /// The slot of the wheel it is in.
    pub(super) timer_slot: u16,
}

impl Kind {
    /// No flow.
    const FREE: u32 = 0;

    fn to_word(self) -> u32 {
        let first = matches!(self.first, Direction::Out);
        1 | u32::from(first) << 1
            | (self.proto as u32) << 2
            | (self.class as u32) << 4
            | u32::from(self.timer_slot) << 16
    }

    fn of_word(word: u32) -> Option<Self> {
        if word == Self::FREE {
            return None;
        }
        Some(Self {
            class: Class::of(word >> 4 & 0xf),
            proto: Proto::of(word >> 2 & 3),
            first: if word >> 1 & 1 == 1 {
                Direction::Out
            } else {
                Direction::In
            },
            timer_slot: (word >> 16) as u16,
        })
    }
}

/// [`Kind`], as packets look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KindWord(u32);

impl KindWord {
    const CLASS: u32 = 0xf0;

    /// There is no flow, or it is revoked.
    #[inline(always)]
    pub(super) fn passes_nothing(self) -> bool {
        const { assert!(Class::Revoked as u32 == 0) };
        self.0 & Self::CLASS == 0
    }

    #[inline(always)]
    pub(super) fn is_tcp(self) -> bool {
        self.0 >> 2 & 3 == Proto::Tcp as u32
    }

    #[inline(always)]
    pub(super) fn is(self, class: Class) -> bool {
        self.0 & Self::CLASS == (class as u32) << 4
    }

    /// The number of its class.
    #[inline(always)]
    pub(super) fn class(self) -> u32 {
        (self.0 & Self::CLASS) >> 4
    }

    /// Whether packets prolong the flow, of one that passes something.
    #[inline(always)]
    pub(super) fn is_prolonged(self) -> bool {
        !self.is(Class::TcpClosed)
    }
}

/// Packets and bytes of one direction, as a cell counts them: it holds 2^24 packets, and bytes enough for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

const PACKET: u64 = 1 << 40;
const BYTES: u64 = PACKET - 1;
/// The most that is counted of a packet.
const LONGEST: u64 = (1 << 17) - 1;
/// Half of what a cell holds: what is counted is to be taken out.
const HALF: u64 = 1 << 63;

impl Counts {
    /// Half of what a cell holds.
    pub(super) fn is_much(self) -> bool {
        self.packets >= HALF / PACKET
    }

    fn of_word(word: u64) -> Self {
        Self {
            packets: word >> 40,
            bytes: word & BYTES,
        }
    }
}

/// What a cell had counted before a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before(u64);

impl Before {
    /// The packet was the first of its direction.
    #[inline(always)]
    pub(super) fn was_none(self) -> bool {
        self.0 < PACKET
    }

    /// The cell is to be emptied soon.
    #[inline(always)]
    pub(super) fn is_much(self) -> bool {
        self.0 >= HALF
    }
}

impl Cell {
    #[inline(always)]
    fn sums(&self, dir: Direction) -> &AtomicU32 {
        let [inbound, outbound] = &self.sums;
        match dir {
            Direction::In => inbound,
            Direction::Out => outbound,
        }
    }

    #[inline(always)]
    fn side_cell(&self, dir: Direction) -> &SideCell {
        match dir {
            Direction::In => &self.inbound,
            Direction::Out => &self.outbound,
        }
    }

    /// The number under which the cell stands now; one under which it does not stand while it is being written.
    #[inline(always)]
    pub(super) fn sequence(&self) -> u32 {
        self.sequence.load(Ordering::Acquire) & !1
    }

    /// Whether all that was read since [`Cell::sequence`] gave `sequence` belonged together.
    #[inline(always)]
    pub(super) fn is_still(&self, sequence: u32) -> bool {
        fence(Ordering::Acquire);
        self.sequence.load(Ordering::Relaxed) == sequence
    }

    /// Writes what readers must not see half of. For the one who writes.
    pub(super) fn write(&self, writer: impl FnOnce(&Self)) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        writer(self);
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Whether packets that go `dir` have this key, and their innermost IP header stands at `l3`, if that is said.
    #[inline(always)]
    pub(super) fn has_key(&self, dir: Direction, key: &KeyWords, l3: Option<u8>) -> bool {
        let side = self.side_cell(dir);
        let &[a, b, c, d, e, _] = key;
        let [ka, kb, kc, kd, ke] = &side.key;
        // One after the other, so that they need not all be in registers.
        let is = |word: &AtomicU64, of_key: u64| word.load(Ordering::Relaxed) == of_key;
        let short = is_v4(key);
        let (bits, is_at) = match l3 {
            Some(l3) => (Tail::OF_KEY | Tail::L3, Tail::new(l3, 0).0),
            None => (Tail::OF_KEY, 0),
        };
        is(ke, e)
            && is(kb, if short { both_v4(b, d) } else { b })
            && side.tail.load(Ordering::Relaxed) & bits == Tail::of_key(key) | is_at
            && (short || is(kd, d) && is(ka, a) && is(kc, c))
    }

    /// Asks for the two cache lines that a packet that goes `dir` needs.
    #[inline(always)]
    pub(super) fn prefetch(&self, dir: Direction) {
        let [first, ..] = &self.inbound.key;
        let [.., last] = &self.outbound.data;
        prefetch(match dir {
            Direction::In => first,
            Direction::Out => last,
        });
        prefetch(&self.deadline);
    }

    #[inline(always)]
    pub(super) fn tail(&self, dir: Direction) -> Tail {
        Tail(self.side_cell(dir).tail.load(Ordering::Relaxed))
    }

    pub(super) fn side(&self, dir: Direction) -> Side {
        let cell = self.side_cell(dir);
        let [a, b, c, d, e] = cell.key.each_ref().map(|word| word.load(Ordering::Relaxed));
        let Tail(tail) = self.tail(dir);
        let (b, d) = if tail & Tail::SHORT != 0 {
            each_v4(b)
        } else {
            (b, d)
        };
        Side {
            key: [a, b, c, d, e, tail & 0xffff],
            tail: Tail(tail & !Tail::OF_KEY),
            translation: self.translation(dir),
        }
    }

    #[inline(always)]
    pub(super) fn translation(&self, dir: Direction) -> Translation {
        let data = self.side_cell(dir).data.each_ref();
        let sums = self.sums(dir).load(Ordering::Relaxed);
        zerocopy::transmute!(TranslationWords {
            data: data.map(|word| word.load(Ordering::Relaxed).to_ne_bytes()),
            sums: sums.to_ne_bytes(),
        })
    }

    /// To be called within [`Cell::write`].
    pub(super) fn set_side(&self, dir: Direction, side: &Side) {
        self.set(dir, &side.key, side.tail, &side.translation);
    }

    /// As [`Cell::set_side`], of the parts of a side.
    #[inline(always)]
    pub(super) fn set(
        &self,
        dir: Direction,
        key: &KeyWords,
        Tail(tail): Tail,
        translation: &Translation,
    ) {
        let cell = self.side_cell(dir);
        let &[a, b, c, d, e, _] = key;
        let (b, d) = if is_v4(key) {
            (both_v4(b, d), 0)
        } else {
            (b, d)
        };
        for (word, new) in cell.key.iter().zip([a, b, c, d, e]) {
            word.store(new, Ordering::Relaxed);
        }
        let words: TranslationWords = zerocopy::transmute!(*translation);
        for (word, new) in cell.data.iter().zip(words.data) {
            word.store(u64::from_ne_bytes(new), Ordering::Relaxed);
        }
        let sums = u32::from_ne_bytes(words.sums);
        self.sums(dir).store(sums, Ordering::Relaxed);
        let tail = Tail::of_key(key) | tail & !Tail::OF_KEY;
        cell.tail.store(tail, Ordering::Relaxed);
    }

    /// To be read before what it vouches for.
    #[inline(always)]
    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What was written before is seen by whoever sees this.
    pub(super) fn set_epoch(&self, epoch: u32) {
        self.epoch.store(epoch, Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn connection(&self) -> Option<u32> {
        Some(self.connection_place()).filter(|number| *number != 0)
    }

    /// The number of its TCP connection; of a flow without, zero, which is none's.
    #[inline(always)]
    pub(super) fn connection_place(&self) -> u32 {
        self.connection.load(Ordering::Relaxed)
    }

    pub(super) fn set_connection(&self, connection: Option<u32>) {
        self.connection
            .store(connection.unwrap_or(0), Ordering::Relaxed);
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::of_word(self.kind.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(super) fn kind_word(&self) -> KindWord {
        KindWord(self.kind.load(Ordering::Relaxed))
    }

    pub(super) fn set_kind(&self, kind: Option<Kind>) {
        self.kind
            .store(kind.map_or(Kind::FREE, Kind::to_word), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn deadline(&self) -> Moment {
        Moment::from_nanos(self.deadline.load(Ordering::Relaxed))
    }

    pub(super) fn set_deadline(&self, deadline: Moment) {
        self.deadline.store(deadline.as_nanos(), Ordering::Relaxed);
    }

    /// Moves the deadline from where a packet has found it, which is later than `now`, to a `lifetime` from now, if
    /// [`Cell::is_due`] says so.
    #[inline(always)]
    pub(super) fn prolong(&self, found: Moment, now: Moment, lifetime: u64) {
        if self.is_due(found, now, lifetime) {
            self.move_deadline(found, now, lifetime);
        }
    }

    /// Whether the deadline would move by enough to be worth a write to a line that the other direction reads.
    #[inline(always)]
    pub(super) fn is_due(&self, found: Moment, now: Moment, lifetime: u64) -> bool {
        /// Nanoseconds: about one millisecond.
        const WORTH: u64 = 1 << 20;
        let left = found.as_nanos().wrapping_sub(now.as_nanos());
        lifetime.wrapping_sub(left).wrapping_add(WORTH) > 2 * WORTH
    }

    /// Moves the deadline, unless it has moved since.
    #[cold]
    #[inline(never)]
    pub(super) fn move_deadline(&self, found: Moment, now: Moment, lifetime: u64) {
        // The flow may have become another one, whose deadline is another too.
        let _ = self.deadline.compare_exchange(
            found.as_nanos(),
            now.plus_nanos(lifetime).as_nanos(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Counts a packet; with `alone` set nobody else counts packets of this flow meanwhile.
    #[inline(always)]
    pub(super) fn count(&self, dir: Direction, len: usize, alone: bool) -> Before {
        let counts = &self.side_cell(dir).counts;
        let packet = PACKET + LONGEST.min(len as u64);
        Before(if alone {
            let before = counts.load(Ordering::Relaxed);
            counts.store(before.wrapping_add(packet), Ordering::Relaxed);
            before
        } else {
            counts.fetch_add(packet, Ordering::Relaxed)
        })
    }

    /// As [`Cell::count`]; none, and nothing counted, if the packet is the first of its direction or the cell is to be emptied
    /// soon.
    #[inline(always)]
    pub(super) fn count_another(&self, dir: Direction, len: usize, alone: bool) -> Option<()> {
        let counts = &self.side_cell(dir).counts;
        let before = counts.load(Ordering::Relaxed);
        // Both at once.
        if before.wrapping_sub(PACKET) >= HALF - PACKET {
            return None;
        }
        let packet = PACKET + LONGEST.min(len as u64);
        if alone {
            counts.store(before.wrapping_add(packet), Ordering::Relaxed);
        } else {
            counts.fetch_add(packet, Ordering::Relaxed);
        }
        Some(())
    }

    pub(super) fn counts(&self, dir: Direction) -> Counts {
        Counts::of_word(self.side_cell(dir).counts.load(Ordering::Relaxed))
    }

    /// Takes out what was counted, all but a packet.
    pub(super) fn take_counts(&self, dir: Direction) -> Counts {
        let counts = &self.side_cell(dir).counts;
        let taken = counts.load(Ordering::Relaxed);
        if taken < PACKET {
            return Counts::default();
        }
        let taken = taken - PACKET;
        counts.fetch_sub(taken, Ordering::Relaxed);
        Counts::of_word(taken)
    }

    /// Counts so much at once, as far as the cell holds it well; says what is left.
    pub(super) fn restore_counts(&self, dir: Direction, counts: Counts) -> Counts {
        let fits = counts.packets < HALF / PACKET && counts.bytes < BYTES / 2;
        let held = match fits {
            true => counts,
            // One packet stays with the cell, so that the flow is known to have had one.
            false => Counts {
                packets: 1,
                bytes: 0,
            },
        };
        let word = held.packets << 40 | held.bytes;
        self.side_cell(dir).counts.store(word, Ordering::Relaxed);
        Counts {
            packets: counts.packets.saturating_sub(held.packets),
            bytes: counts.bytes.saturating_sub(held.bytes),
        }
    }

    pub(super) fn clear_counts(&self) {
        for side in [&self.inbound, &self.outbound] {
            side.counts.store(0, Ordering::Relaxed);
        }
    }
}
