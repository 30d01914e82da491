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

/// How the [`Translation`] of a bound [`Template`] follows from what a flow's key is before and after the program: then nobody
/// needs the program itself, which is the same for all flows of the template but for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    form: Form,
    /// Which bits of the key are written under checksums: of the words of its addresses, as they stand in the header.
    addresses: [u64; 4],
    ports: u64,
    identifier: u64,
    /// The addresses are IPv4's.
    is_v4: bool,
    /// Both sums are made in one, as the straight form of programs has it.
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

/// Eight bytes of the innermost headers of which the key knows some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This word of the key's addresses.
    Address(usize),
    Ports,
    Identifier,
}

/// A sum of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    None,
    Addresses,
    /// Of what is behind the IP header.
    Behind,
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
        keyed.is_v4 = !self.stack.is_v6();
        if keyed.is_straight {
            keyed.sum_straight(rewrite, self.l3);
        } else {
            keyed.sum_any(rewrite, self.l3)?;
        }
        for (window, _) in rewrite.windows() {
            let header = window.header.checked_sub(l2)?;
            let part = Part::of_window(self.stack, header, window.offset, window.mask)?;
            if window.cover == 0 {
                continue;
            }
            let mask = match part? {
                Part::Address(word) => keyed.addresses.get_mut(word)?,
                Part::Ports => &mut keyed.ports,
                Part::Identifier => &mut keyed.identifier,
            };
            // Another window of the same bytes would be summed by itself.
            if *mask != 0 {
                return None;
            }
            *mask = byte_mask(window.mask);
        }
        keyed.form = Form::of(self.stack, Stores::of(self.written()?, self.stack)?);
        Some(keyed)
    }
}

impl Keyed {
    /// Of a program that translates nothing.
    pub const NOTHING: Self = Self {
        form: Form::Nothing,
        addresses: [0; 4],
        ports: 0,
        identifier: 0,
        is_v4: false,
        is_straight: true,
        of_addresses: Which::None,
        of_all: Which::None,
    };

    /// As the straight form sums: addresses, and then all behind them, in one. The first place changes by all, another by what
    /// addresses do.
    fn sum_straight(&mut self, rewrite: &Rewrite, l3: u8) {
        (self.of_addresses, self.of_all) = match rewrite.places() {
            [place] if place.header == l3 => (Which::All, Which::None),
            [first, _] if first.header == l3 => (Which::All, Which::Addresses),
            [] => (Which::None, Which::None),
            _ => (Which::Addresses, Which::All),
        };
    }

    /// As any form does, each place by itself: here addresses under the one, an identifier or ports under the other, and no
    /// pseudo-header. None where it is not so.
    fn sum_any(&mut self, rewrite: &Rewrite, l3: u8) -> Option<()> {
        let (mut network, mut transport) = (0, 0);
        for (index, place) in rewrite.places().iter().enumerate() {
            if place.header == l3 {
                (self.of_addresses, network) = (Which::Addresses, 1 << index);
            } else {
                (self.of_all, transport) = (Which::Behind, 1 << index);
            }
        }
        let each_by_one = rewrite.windows().all(|(window, _)| {
            let own = if window.header == l3 {
                network
            } else {
                transport
            };
            window.cover == 0 || window.cover == own
        });
        each_by_one.then_some(())
    }

    /// The translation of a flow that has the key `before` when it comes, and `after` when the program is done: the one that
    /// [`Program::bind`](super::Program::bind) gives.
    #[must_use]
    #[inline(always)]
    pub fn translation(&self, before: &FlowKey, after: &FlowKey) -> Translation {
        if self.form == Form::Nothing {
            return Translation::default();
        }
        let [source, source_end, destination, end, ..] = after.words();
        // The end of the destination, and the ports behind it.
        let last = end.rotate_left(32) & FRONT | ports(after).rotate_left(32);
        let data = match &self.form {
            Form::V4 => [source_end.rotate_left(32) & FRONT | end & !FRONT, last, 0],
            Form::V6Source => [source, source_end, last],
            Form::V6Destination => [destination, end, last],
            Form::Any { stack, stores } => {
                let mut any = Translation::default();
                any.fill(*stack, stores, after);
                any.data.map(u64::from_ne_bytes)
            }
            Form::Nothing => [0; 3],
        };
        let mut of_addresses = Sum::ZERO;
        let (new, old) = (words(after), words(before));
        if self.is_v4 {
            // Of each address the second word is one, and has it at its end.
            let ([_, a, _, b], [_, p, _, q], [_, keep_a, _, keep_b]) = (new, old, self.addresses);
            of_addresses = self.change(of_addresses, a & keep_a, p & keep_a);
            let (b, q) = (b.rotate_left(32), q.rotate_left(32));
            of_addresses = self.change(of_addresses, b & keep_b, q & keep_b);
        } else {
            for ((new, old), keep) in new.into_iter().zip(old).zip(self.addresses) {
                of_addresses = self.change(of_addresses, new & keep, old & keep);
            }
        }
        let mut behind = Sum::ZERO;
        let mut all = of_addresses;
        if self.ports != 0 {
            let (new, gone) = (ports(after) & self.ports, ports(before) & self.ports);
            all = self.change(all, new, gone);
            behind = self.change(behind, new, gone);
        }
        if self.identifier != 0 {
            let of = |key| identifier(key) & self.identifier;
            all = self.change(all, of(after), of(before));
            behind = self.change(behind, of(after), of(before));
        }
        let sum = |which| match which {
            Which::None => [0; 2],
            Which::Addresses => of_addresses.fold().to_be_bytes(),
            Which::Behind => behind.fold().to_be_bytes(),
            Which::All => all.fold().to_be_bytes(),
        };
        Translation {
            data: data.map(u64::to_ne_bytes),
            of_addresses: sum(self.of_addresses),
            of_all: sum(self.of_all),
        }
    }

    /// What a sum comes to when some bytes under it change: in the steps of the program, so that even the two representations of
    /// zero agree.
    #[inline(always)]
    fn change(&self, sum: Sum, new: u64, gone: u64) -> Sum {
        let (new, gone) = (Sum::of_word64(new), Sum::of_word64(gone));
        if self.is_straight {
            sum.plus(new).minus(gone)
        } else {
            sum.plus(new.minus(gone))
        }
    }
}

impl super::Program {
    /// The same with the addresses and ports of `key` in the place of those it writes to the innermost headers, of which the IP header
    /// stands at position `l3_index`. A key that says too little of its frames' headers changes nothing.
    #[must_use]
    pub fn with_ends(&self, key: &FlowKey, l3_index: u8) -> Self {
        let mut program = *self;
        if let (Some(stack), Some(l2)) = (Innermost::of(key), l3_index.checked_sub(1)) {
            program.rewrite.fill_from(l2, stack, &stack.headers(key));
        }
        program
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
    #[cold]
    #[inline(never)]
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
        let second = |from: usize| usize::from(usize::from(offset) != from);
        match (header, stack.is_v6()) {
            (0, _) => within(0, Ethernet::MIN_LEN).then_some(None),
            (1, false) if within(at::<ipv4::Source>(), 4) => Some(Some(Self::Address(1))),
            (1, false) if within(at::<ipv4::Destination>(), 4) => Some(Some(Self::Address(3))),
            (1, true) if within(at::<ipv6::Source>(), 16) => {
                Some(Some(Self::Address(second(at::<ipv6::Source>()))))
            }
            (1, true) if within(at::<ipv6::Destination>(), 16) => {
                Some(Some(Self::Address(2 + second(at::<ipv6::Destination>()))))
            }
            (2, _) if stack.has_ports() && within(0, 4) => Some(Some(Self::Ports)),
            (2, _) if stack.is_echo() && within(at::<icmpv4::Identifier>(), 2) => {
                Some(Some(Self::Identifier))
            }
            _ => None,
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

/// The identifier as it stands in the first eight bytes of an echo.
#[inline(always)]
fn identifier(key: &FlowKey) -> u64 {
    let [a, b] = key.source_port.to_be_bytes();
    u64::from_ne_bytes([0, 0, 0, 0, a, b, 0, 0])
}

/// The words of a key's addresses.
#[inline(always)]
fn words(key: &FlowKey) -> [u64; 4] {
    let [a, b, c, d, ..] = key.words();
    [a, b, c, d]
}

/// The first four bytes of eight in memory.
const FRONT: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
