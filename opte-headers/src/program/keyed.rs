//! Translations made of flow keys: what a program does to a flow shows in what the flow's key is before and after it.

use super::bind::{
    Innermost, L3, STORES_V4, STORES_V6_DESTINATION, STORES_V6_SOURCE, Stores, Template,
    Translation, at, run,
};
use super::rewrite::{Rewrite, byte_mask};
use crate::checksum::Sum;
use crate::frame::FlowKey;
use crate::header::Header;
use crate::protocol::{Ethernet, Ipv4, Ipv6, icmpv4, ipv4, ipv6};

use zerocopy::IntoBytes;

/// How the [`Translation`] of a bound [`Template`] follows from what a flow's key is before and after the program: then nobody
/// needs the program itself, which is the same for all flows of the template but for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    form: Form,
    /// What checksums cover: `count` windows, in the order in which the program writes them.
    windows: [Covered; Rewrite::WINDOWS],
    count: u8,
    is_straight: bool,
    of_addresses: Which,
    of_all: Which,
}

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Nothing,
    V4,
    V6Source,
    V6Destination,
    Any { stack: Innermost, stores: Stores },
}

/// A window that checksums cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Covered {
    /// Which of its bytes are written, as [`byte_mask`] has it.
    mask: u64,
    part: Part,
    /// What is written there counts to the sum of addresses, and to that of all.
    of_addresses: bool,
    of_all: bool,
}

/// Eight bytes of the innermost headers of which the key knows some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This word of the key.
    Word(u8),
    /// The same, its halves in each other's place.
    Turned(u8),
    Ports,
    Identifier,
}

/// A sum of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    None,
    Addresses,
    All,
}

impl Template {
    /// How its translations follow from flow keys. None if they do not: the template is not bound, or something is written
    /// that no key tells.
    #[must_use]
    pub fn keyed(&self) -> Option<Keyed> {
        let rewrite = &self.program.rewrite;
        let l2 = self.l3.checked_sub(1).filter(|_| self.is_bound())?;
        let mut keyed = Keyed::NOTHING;
        if rewrite.form == Rewrite::NOTHING {
            return Some(keyed);
        }
        keyed.is_straight = rewrite.form == Rewrite::STRAIGHT;
        // Covered by these: the checksum of the IP header, and that behind it.
        let covers = if keyed.is_straight {
            keyed.sum_straight(rewrite, self.l3)
        } else {
            keyed.sum_any(rewrite, self.l3)?
        };
        for (window, _) in rewrite.windows() {
            let header = window.header.checked_sub(l2)?;
            let part = Part::of_window(self.stack, header, window.offset, window.mask)?;
            if window.cover == 0 {
                continue;
            }
            *keyed.windows.get_mut(usize::from(keyed.count))? = Covered {
                part: part?,
                mask: byte_mask(window.mask),
                of_addresses: window.cover & covers.0 != 0,
                of_all: window.cover & covers.1 != 0,
            };
            keyed.count += 1;
        }
        keyed.form = Form::of(self.stack, Stores::of(self.written()?, self.stack)?);
        Some(keyed)
    }
}

impl Keyed {
    /// Of a program that translates nothing.
    pub const NOTHING: Self = Self {
        form: Form::Nothing,
        windows: [Covered {
            mask: 0,
            part: Part::Ports,
            of_addresses: false,
            of_all: false,
        }; Rewrite::WINDOWS],
        count: 0,
        is_straight: true,
        of_addresses: Which::None,
        of_all: Which::None,
    };

    /// As the straight form sums: the first place changes by all, another by what addresses do. Gives by which covers a window
    /// counts to either.
    fn sum_straight(&mut self, rewrite: &Rewrite, l3: u8) -> (u8, u8) {
        match rewrite.places() {
            [place] if place.header == l3 => self.of_addresses = Which::All,
            [_] => (self.of_addresses, self.of_all) = (Which::Addresses, Which::All),
            [first, _] if first.header == l3 => {
                (self.of_addresses, self.of_all) = (Which::All, Which::Addresses);
            }
            [_, _] => (self.of_addresses, self.of_all) = (Which::Addresses, Which::All),
            _ => {}
        }
        (!1, !0)
    }

    /// As any form does, where no pseudo-header is covered. None where one is.
    fn sum_any(&mut self, rewrite: &Rewrite, l3: u8) -> Option<(u8, u8)> {
        if rewrite.covers_by_pseudo() {
            return None;
        }
        let (mut network, mut transport) = (0, 0);
        for (index, place) in rewrite.places().iter().enumerate() {
            if place.header == l3 {
                (self.of_addresses, network) = (Which::Addresses, 1 << index);
            } else {
                (self.of_all, transport) = (Which::All, 1 << index);
            }
        }
        Some((network, transport))
    }
    /// The translation of a flow that has the key `before` when it comes, and `after` when the program is done: the one that
    /// [`Program::bind`](super::Program::bind) gives.
    #[must_use]
    #[inline]
    pub fn translation(&self, before: &FlowKey, after: &FlowKey) -> Translation {
        let mut translation = Translation::default();
        if self.form == Form::Nothing {
            return translation;
        }
        let [source, source_end, destination, end, ..] = after.words();
        // The end of the destination, and the ports behind it.
        let last = end.rotate_left(32) & FRONT | ports(after).rotate_left(32);
        let data = match &self.form {
            Form::V4 => [source_end.rotate_left(32) & FRONT | end & !FRONT, last, 0],
            Form::V6Source => [source, source_end, last],
            Form::V6Destination => [destination, end, last],
            Form::Any { stack, stores } => {
                translation.fill(*stack, stores, after);
                translation.data.map(u64::from_ne_bytes)
            }
            Form::Nothing => [0; 3],
        };
        translation.data = data.map(u64::to_ne_bytes);
        let (mut all, mut of_addresses) = (Sum::ZERO, Sum::ZERO);
        let windows = self.windows.get(..usize::from(self.count));
        for window in windows.unwrap_or_default() {
            let of = |key| Sum::of_word64(window.part.of(key) & window.mask);
            let (new, gone) = (of(after), of(before));
            // In the steps of the program, so that even the two representations of zero agree.
            let change = |sum: Sum| {
                if self.is_straight {
                    sum.plus(new).minus(gone)
                } else {
                    sum.plus(new.minus(gone))
                }
            };
            if window.of_addresses {
                of_addresses = change(of_addresses);
            }
            if window.of_all {
                all = change(all);
            }
        }
        let sum = |which| match which {
            Which::None => [0; 2],
            Which::Addresses => of_addresses.fold().to_be_bytes(),
            Which::All => all.fold().to_be_bytes(),
        };
        translation.of_addresses = sum(self.of_addresses);
        translation.of_all = sum(self.of_all);
        translation
    }
}

impl FlowKey {
    /// The kind of innermost headers that frames of its flow have, a number below 8: of frames of one kind keys know the same,
    /// so that what one program is bound to is the same for all of them. None where keys say too little.
    #[must_use]
    #[inline]
    pub fn stack(&self) -> Option<u8> {
        Innermost::of(self).map(Innermost::number)
    }
}

impl Translation {
    fn fill(&mut self, stack: Innermost, stores: &Stores, after: &FlowKey) {
        let headers = stack.headers(after);
        for (data, at) in self.data.iter_mut().zip(stores.at).take(stores.count) {
            if let Some(bytes) = headers
                .get(usize::from(at)..)
                .and_then(|rest| rest.first_chunk())
            {
                *data = *bytes;
            }
        }
    }
}

impl Form {
    fn of(stack: Innermost, stores: Stores) -> Self {
        let at = stores.at.map(usize::from);
        let is = |wanted: &[usize]| at.get(..stores.count) == Some(wanted);
        match stack.is_v6() {
            // What of a header without ports stands at their place is not in its key.
            _ if !stack.has_ports() => Self::Any { stack, stores },
            false if is(&STORES_V4) => Self::V4,
            true if is(&STORES_V6_SOURCE) => Self::V6Source,
            true if is(&STORES_V6_DESTINATION) => Self::V6Destination,
            _ => Self::Any { stack, stores },
        }
    }
}

impl Part {
    /// What of the key a window writes to, `header` being counted from the innermost Ethernet header: that has nothing of the
    /// key, so the inner `None`. The outer one if it writes to what is not in the key.
    fn of_window(stack: Innermost, header: u8, offset: u8, mask: u8) -> Option<Option<Self>> {
        let written = u128::from(mask) << offset;
        let within = |from: usize, len: usize| written & !run(from, len) == 0;
        let second = |from: usize| u8::from(usize::from(offset) != from);
        match (header, stack.is_v6()) {
            (0, _) => within(0, Ethernet::MIN_LEN).then_some(None),
            (1, false) if within(at::<ipv4::Source>(), 4) => Some(Some(Self::Word(1))),
            (1, false) if within(at::<ipv4::Destination>(), 4) => Some(Some(Self::Turned(3))),
            (1, true) if within(at::<ipv6::Source>(), 16) => {
                Some(Some(Self::Word(second(at::<ipv6::Source>()))))
            }
            (1, true) if within(at::<ipv6::Destination>(), 16) => {
                Some(Some(Self::Word(2 + second(at::<ipv6::Destination>()))))
            }
            (2, _) if stack.has_ports() && within(0, 4) => Some(Some(Self::Ports)),
            (2, _) if stack.is_echo() && within(at::<icmpv4::Identifier>(), 2) => {
                Some(Some(Self::Identifier))
            }
            _ => None,
        }
    }

    /// These bytes of a packet with this key, of those that it knows.
    #[inline(always)]
    fn of(self, key: &FlowKey) -> u64 {
        let word = |at: u8| {
            let (words, _) = key.as_bytes().as_chunks::<8>();
            let word = words.get(usize::from(at)).copied();
            u64::from_ne_bytes(word.unwrap_or_default())
        };
        match self {
            Self::Word(at) => word(at),
            Self::Turned(at) => word(at).rotate_left(32),
            Self::Ports => ports(key),
            Self::Identifier => {
                let [a, b] = key.source_port.to_be_bytes();
                u64::from_ne_bytes([0, 0, 0, 0, a, b, 0, 0])
            }
        }
    }
}

// The addresses of IPv4 each stand in eights of their own, which is how windows are cut; so do the halves of those of IPv6.
const _: () = assert!(
    at::<ipv4::Source>() == 12
        && at::<ipv4::Destination>() == 16
        && at::<ipv6::Source>() == 8
        && at::<ipv6::Destination>() == 24
        && Ipv4::MIN_LEN == 20
        && Ipv6::MIN_LEN == 40
        && L3 == Ethernet::MIN_LEN
);

/// The ports as they stand on the wire, and nothing behind them.
#[inline(always)]
fn ports(key: &FlowKey) -> u64 {
    let [a, b] = key.source_port.to_be_bytes();
    let [c, d] = key.destination_port.to_be_bytes();
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

/// The first four bytes of eight in memory.
const FRONT: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
