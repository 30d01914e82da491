//! Programs bound to flows: what differs from flow to flow is taken out, once, when the flow is made.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::prefix::NONE;
use super::rewrite::{Rewrite, SumPlace, byte_mask};
use super::{Bound, Prefix, Program};
use crate::checksum::Sum;
use crate::ethertype::Ethertype;
use crate::frame::{FlowKey, KeyKind};
use crate::header::{Field, Header};
use crate::ip_protocol::IpProtocol;
use crate::protocol::{
    Ethernet, Icmpv4, Icmpv6, Ipv4, Ipv6, Tcp, Udp, ethernet, icmpv4, icmpv6, ipv4, ipv6, tcp, udp,
};

/// A program without what differs from flow to flow: the addresses and ports it writes are zero. Flows that go the same way
/// have the same one, also behind NAT, so that it is worth to be interned; [`Template::compile`] makes of it what is run.
///
/// | bytes | field |
/// |---|---|
/// | 0..256 | the [`Program`] |
/// | 256 | position of the innermost IP header in the frames it is for; 255 if it takes any frame and nothing was taken out |
/// | 257 | the innermost headers: bit 0 IPv6, bit 1 a header with ports behind it, bit 2 an ICMP echo |
/// | 258..264 | reserved, zero |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Template {
    pub(super) program: Program,
    pub(super) l3: u8,
    pub(super) stack: Innermost,
    pub(super) reserved: [u8; 6],
}

/// What a flow adds to its [`Template`]: the addresses and ports that are written, each with neighbours that the flow key
/// knows, and by how much the checksums change (RFC 1624). All zeros where no address or port is translated.
///
/// | bytes | field |
/// |---|---|
/// | 0..24 | three times eight bytes of the frame as it leaves |
/// | 24..26 | what the pseudo-header and the IPv4 header change by: 16 bits in network order, to be added to the complement |
/// | 26..28 | what all under the transport checksum changes by, likewise |
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Translation {
    pub(super) data: [[u8; 8]; Self::STORES],
    pub(super) of_addresses: [u8; 2],
    pub(super) of_all: [u8; 2],
}

impl Translation {
    /// Stores of eight bytes: enough for an address and a port of IPv6, or for all of IPv4.
    pub(super) const STORES: usize = 3;

    /// Whether nothing is translated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The innermost headers of a flow's frames, as its key tells them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub(super) struct Innermost(u8);

/// Where a field stands that is whole bytes.
pub(super) const fn at<F: Field>() -> usize {
    F::BIT_OFFSET / 8
}

/// Where the IP header begins; the innermost Ethernet header does at 0.
pub(super) const L3: usize = Ethernet::MIN_LEN;
pub(super) const L4_OF_V4: usize = L3 + Ipv4::MIN_LEN;
pub(super) const L4_OF_V6: usize = L3 + Ipv6::MIN_LEN;

/// Eight bytes each that hold addresses and ports: all of IPv4; of IPv6, one address and the ports.
pub(super) const STORES_V4: [usize; 2] = [L3 + at::<ipv4::Source>(), L4_OF_V4 - 4];
pub(super) const STORES_V6_SOURCE: [usize; 3] = [
    L3 + at::<ipv6::Source>(),
    L3 + at::<ipv6::Source>() + 8,
    L4_OF_V6 - 4,
];
pub(super) const STORES_V6_DESTINATION: [usize; 3] = [
    L3 + at::<ipv6::Destination>(),
    L3 + at::<ipv6::Destination>() + 8,
    L4_OF_V6 - 4,
];

/// Bytes of the innermost headers that a bound program may reach.
const REACH: usize = Ethernet::MIN_LEN + Ipv6::MIN_LEN + Tcp::MIN_LEN;

/// As many, for windows that begin before the end.
pub(super) type Headers = [u8; REACH + 8];

impl Innermost {
    const V6: u8 = 1;
    const PORTS: u8 = 2;
    const ECHO: u8 = 4;

    /// None for flows whose frames a key says too little of.
    pub(super) fn of(key: &FlowKey) -> Option<Self> {
        let version = if key.is_v4() { 0 } else { Self::V6 };
        let has_ports = matches!(key.ip_protocol(), IpProtocol::TCP | IpProtocol::UDP);
        match key.kind {
            KeyKind::PLAIN if has_ports => Some(Self(version | Self::PORTS)),
            KeyKind::PLAIN | KeyKind::ICMP => Some(Self(version)),
            KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY => Some(Self(version | Self::ECHO)),
            _ => None,
        }
    }

    /// Below 8.
    pub(super) const fn number(self) -> u8 {
        self.0
    }

    pub(super) const fn has_ports(self) -> bool {
        self.0 & Self::PORTS != 0
    }

    pub(super) const fn is_echo(self) -> bool {
        self.0 & Self::ECHO != 0
    }

    pub(super) const fn is_v6(self) -> bool {
        self.0 & Self::V6 != 0
    }

    pub(super) const fn ethertype(self) -> Ethertype {
        if self.is_v6() {
            Ethertype::IPV6
        } else {
            Ethertype::IPV4
        }
    }

    /// Where the header behind the IP header begins.
    pub(super) const fn l4(self) -> usize {
        if self.is_v6() { L4_OF_V6 } else { L4_OF_V4 }
    }

    /// Where the addresses stand, and how long one is.
    const fn addresses(self) -> (usize, usize) {
        if self.is_v6() {
            (L3 + at::<ipv6::Source>(), 16)
        } else {
            (L3 + at::<ipv4::Source>(), 4)
        }
    }

    /// The bytes that the flow key knows, by bit.
    pub(super) fn known(self) -> u128 {
        const KNOWN: [u128; 8] = [
            Innermost(0).known_bytes(),
            Innermost(1).known_bytes(),
            Innermost(2).known_bytes(),
            Innermost(3).known_bytes(),
            Innermost(4).known_bytes(),
            Innermost(5).known_bytes(),
            Innermost(6).known_bytes(),
            Innermost(7).known_bytes(),
        ];
        KNOWN.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    const fn known_bytes(self) -> u128 {
        let next = L3
            + if self.is_v6() {
                at::<ipv6::NextHeader>()
            } else {
                at::<ipv4::Protocol>()
            };
        let (addresses, len) = self.addresses();
        let mut known =
            run(at::<ethernet::Ethertype>(), 2) | run(next, 1) | run(addresses, 2 * len);
        if self.0 & Self::PORTS != 0 {
            known |= run(self.l4(), 4);
        }
        if self.0 & Self::ECHO != 0 {
            known |= run(self.l4() + at::<icmpv4::Identifier>(), 2);
        }
        known
    }

    /// What the flow key knows of the headers.
    pub(super) fn headers(self, key: &FlowKey) -> Headers {
        const V4_NEXT: usize = L3 + at::<ipv4::Protocol>();
        const V6_NEXT: usize = L3 + at::<ipv6::NextHeader>();
        let mut headers = [0; REACH + 8];
        if self.is_v6() {
            put(&mut headers, L4_OF_V6 - 32, key.source);
            put(&mut headers, L4_OF_V6 - 16, key.destination);
            put(&mut headers, V6_NEXT, [key.protocol]);
        } else {
            let [.., a, b, c, d] = key.source;
            put(&mut headers, L4_OF_V4 - 8, [a, b, c, d]);
            let [.., a, b, c, d] = key.destination;
            put(&mut headers, L4_OF_V4 - 4, [a, b, c, d]);
            put(&mut headers, V4_NEXT, [key.protocol]);
        }
        let ethertype = self.ethertype().0.to_be_bytes();
        put(&mut headers, at::<ethernet::Ethertype>(), ethertype);
        let port = key.source_port.to_be_bytes();
        if self.0 & Self::PORTS != 0 {
            put(&mut headers, self.l4(), port);
            put(
                &mut headers,
                self.l4() + 2,
                key.destination_port.to_be_bytes(),
            );
        }
        if self.0 & Self::ECHO != 0 {
            put(&mut headers, self.l4() + at::<icmpv4::Identifier>(), port);
        }
        headers
    }
}

#[inline(always)]
fn put<const LEN: usize>(headers: &mut Headers, at: usize, bytes: [u8; LEN]) {
    if let Some(place) = headers.get_mut(at..at + LEN) {
        place.copy_from_slice(&bytes);
    }
}

// Ports and identifiers stand at the same place in all headers that have them, and the addresses at the end of IP headers.
const _: () = assert!(
    at::<ipv4::Destination>() + 4 == Ipv4::MIN_LEN
        && at::<ipv4::Source>() + 8 == Ipv4::MIN_LEN
        && at::<ipv6::Destination>() + 16 == Ipv6::MIN_LEN
        && at::<ipv6::Source>() + 32 == Ipv6::MIN_LEN
);
const _: () = assert!(
    at::<tcp::Source>() == 0
        && at::<udp::Source>() == 0
        && at::<tcp::Destination>() == 2
        && at::<udp::Destination>() == 2
        && at::<icmpv4::Identifier>() == at::<icmpv6::Identifier>()
        && Icmpv4::MIN_LEN == Icmpv6::MIN_LEN
        && Udp::MIN_LEN <= Tcp::MIN_LEN
        && at::<ethernet::Destination>() == 0
        && at::<ethernet::Ethertype>() + 2 == Ethernet::MIN_LEN
        && REACH + 8 <= 128
);

/// Bits for `len` bytes from `first` on.
pub(super) const fn run(first: usize, len: usize) -> u128 {
    ((1 << len) - 1) << first
}

impl Program {
    /// Takes out of the program what differs from flow to flow, for the flow of this key whose frames have their innermost IP
    /// header at position `l3_index`. [`Bound`], made of the template, then does to every frame of the flow what this program
    /// does, in fewer steps.
    ///
    /// Programs of which that cannot be said, because they write what no key knows to under a checksum or reach other headers
    /// than the innermost three, are their own template.
    #[must_use]
    pub fn bind(&self, key: &FlowKey, l3_index: u8) -> (Template, Translation) {
        let mut template = Template {
            program: *self,
            l3: NONE,
            stack: Innermost::default(),
            reserved: [0; 6],
        };
        let translation = template.take_out(key, l3_index).unwrap_or_default();
        (template, translation)
    }

    /// What is the flow's own. None if that cannot be told.
    fn translation(&self, key: &FlowKey, l3: u8, stack: Innermost) -> Option<Translation> {
        let l2 = l3.checked_sub(1)?;
        let rewrite = &self.rewrite;
        if self.prefix.pop != l2 || rewrite.bits_count != 0 {
            return None;
        }
        let mut translation = Translation::default();
        if rewrite.form != Rewrite::NOTHING {
            let mut headers = stack.headers(key);
            let changes = if rewrite.form == Rewrite::STRAIGHT {
                rewrite.changes::<true>(l2, stack, &mut headers)?
            } else {
                rewrite.changes::<false>(l2, stack, &mut headers)?
            };
            (translation.of_addresses, translation.of_all) = changes.of_places(rewrite, l3)?;
            let stores = Stores::of(changes.written, stack)?;
            let own = translation.data.iter_mut().zip(stores.at);
            for (data, at) in own.take(stores.count) {
                *data = *headers.get(usize::from(at)..)?.first_chunk()?;
            }
        }
        Some(translation)
    }
}

impl Template {
    /// Takes out what is the flow's own. None, and nothing done, if that cannot be told.
    fn take_out(&mut self, key: &FlowKey, l3: u8) -> Option<Translation> {
        let stack = Innermost::of(key)?;
        let translation = self.program.translation(key, l3, stack)?;
        if self.program.rewrite.form != Rewrite::NOTHING {
            self.program.rewrite.clear(l3 - 1);
        }
        (self.l3, self.stack) = (l3, stack);
        Some(translation)
    }

    /// The translation that [`Program::bind`] gives for `program`, if the template it gives is this one; else none. A template
    /// that is bound already needs not be made again, nor looked for, to see that.
    #[must_use]
    pub fn translation(
        &self,
        program: &Program,
        key: &FlowKey,
        l3_index: u8,
    ) -> Option<Translation> {
        if self.l3 != l3_index || !self.is_bound() || !self.is_of(program) {
            return None;
        }
        let stack = Innermost::of(key).filter(|stack| *stack == self.stack)?;
        program.translation(key, l3_index, stack)
    }

    /// Whether `program` is this template's but for what is taken out.
    fn is_of(&self, program: &Program) -> bool {
        const DATA: usize = 8 * Rewrite::WINDOWS;
        let (own, other) = (&self.program.rewrite, &program.rewrite);
        if own.as_bytes().get(DATA..) != other.as_bytes().get(DATA..)
            || IntoBytes::as_bytes(&self.program.prefix) != IntoBytes::as_bytes(&program.prefix)
        {
            return false;
        }
        let count = match other.form {
            Rewrite::NOTHING => 0,
            _ => usize::from(other.window_count),
        };
        let l2 = self.l3.wrapping_sub(1);
        let windows = other.windows.iter().zip(&other.data).enumerate();
        windows.zip(&own.data).all(|((at, (window, new)), own)| {
            let is_taken_out = at < count && window.header != l2;
            let new = if is_taken_out { [0; 8] } else { *new };
            u64::from_ne_bytes(*own) == u64::from_ne_bytes(new)
        })
    }
    /// What happens at the front of the frame.
    pub(super) const fn prefix(&self) -> &Prefix {
        &self.program.prefix
    }

    /// Whether what differs from flow to flow was taken out; else the template is the program.
    #[inline]
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.l3 != NONE
    }

    /// What is run.
    #[must_use]
    pub fn compile(&self) -> Bound {
        Bound::new(*self)
    }

    /// The program again, of the flow that this is the translation of.
    #[must_use]
    pub fn program(&self, translation: &Translation) -> Program {
        let mut program = self.program;
        let stores = match self.written() {
            Some(written) => Stores::of(written, self.stack),
            None => None,
        };
        let Some(stores) = stores else {
            return program;
        };
        let mut headers = [0; REACH + 8];
        for (data, at) in translation.data.iter().zip(stores.at).take(stores.count) {
            if let Some(place) = headers.get_mut(usize::from(at)..usize::from(at) + 8) {
                place.copy_from_slice(data);
            }
        }
        program.rewrite.fill_from(self.l3 - 1, self.stack, &headers);
        program
    }

    /// The innermost Ethernet header as it is written; addresses not written are zero.
    pub(super) fn ethernet(&self) -> Option<[u8; Ethernet::MIN_LEN]> {
        let mut header = [0; Ethernet::MIN_LEN];
        *header.last_chunk_mut()? = self.stack.ethertype().0.to_be_bytes();
        for (window, data) in self.program.rewrite.windows() {
            if window.header + 1 != self.l3 {
                continue;
            }
            let bytes = header.iter_mut().skip(usize::from(window.offset)).zip(data);
            for (bit, (to, from)) in bytes.enumerate() {
                if window.mask >> bit & 1 == 1 {
                    *to = *from;
                }
            }
        }
        Some(header)
    }

    /// The bytes of the innermost headers that are written, by bit.
    pub(super) fn written(&self) -> Option<u128> {
        let l2 = self.l3.checked_sub(1).filter(|_| self.l3 != NONE)?;
        let windows = self.program.rewrite.windows();
        let mut written = 0;
        for (window, _) in windows {
            let at = place_of(l2, self.stack, window.header, window.offset)?;
            written |= u128::from(window.mask) << at;
        }
        Some(written)
    }
}

/// Where a byte of one of the innermost headers stands, counted from the Ethernet header.
fn place_of(l2: u8, stack: Innermost, header: u8, offset: u8) -> Option<usize> {
    let starts = if stack.is_v6() {
        &[0, L3, L4_OF_V6]
    } else {
        &[0, L3, L4_OF_V4]
    };
    let start = starts.get(usize::from(header.wrapping_sub(l2)))?;
    Some(start + usize::from(offset)).filter(|at| *at < REACH)
}

/// What writes come to.
struct Changes {
    /// The bytes written, by bit.
    written: u128,
    /// As the straight form sums: what all changes by, and what addresses do.
    all: Sum,
    of_addresses: Sum,
    /// As any form does, for each place: by what it covers itself, and by the pseudo-header.
    places: [(Sum, Sum); Rewrite::PLACES],
}

impl Rewrite {
    /// Writes to the innermost headers, of which nothing else is known than what the flow key knows. The sums are made in the
    /// same steps as when the program is applied, so that even their two representations of zero agree.
    #[inline(always)]
    fn changes<const STRAIGHT: bool>(
        &self,
        l2: u8,
        stack: Innermost,
        headers: &mut Headers,
    ) -> Option<Changes> {
        let known = stack.known();
        let mut changes = Changes {
            written: 0,
            all: Sum::ZERO,
            of_addresses: Sum::ZERO,
            places: [(Sum::ZERO, Sum::ZERO); Self::PLACES],
        };
        for (window, data) in self.windows() {
            let at = place_of(l2, stack, window.header, window.offset)?;
            let bytes = u128::from(window.mask) << at;
            if window.cover != 0 && known & bytes != bytes {
                return None;
            }
            changes.written |= bytes;
            let slot = headers.get_mut(at..)?.first_chunk_mut::<8>()?;
            let (old, new) = (u64::from_ne_bytes(*slot), u64::from_ne_bytes(*data));
            let gone = old & byte_mask(window.mask);
            *slot = (old ^ gone | new).to_ne_bytes();
            if window.cover == 0 {
                continue;
            }
            let (new, gone) = (Sum::of_word64(new), Sum::of_word64(gone));
            if STRAIGHT {
                changes.all = changes.all.plus(new).minus(gone);
                if window.cover != 1 {
                    changes.of_addresses = changes.all;
                }
                continue;
            }
            for (index, (data, pseudo)) in changes.places.iter_mut().enumerate() {
                if window.cover >> index & 1 == 1 {
                    *data = data.plus(new.minus(gone));
                }
                if window.cover >> index & 0x10 != 0 {
                    *pseudo = pseudo.plus(new.minus(gone));
                }
            }
        }
        Some(changes)
    }

    /// Forgets what is written to the IP header and behind it.
    fn clear(&mut self, l2: u8) {
        let count = usize::from(self.window_count);
        let windows = self.windows.iter().zip(&mut self.data).take(count);
        for (_, data) in windows.filter(|(window, _)| window.header != l2) {
            *data = [0; 8];
        }
    }

    /// Sets the data of what is written to the IP header and behind it.
    pub(super) fn fill_from(&mut self, l2: u8, stack: Innermost, headers: &Headers) {
        let count = usize::from(self.window_count);
        for (window, data) in self.windows.iter().zip(&mut self.data).take(count) {
            let place = place_of(l2, stack, window.header, window.offset);
            if let Some(at) = place.filter(|at| *at >= L3)
                && let Some(bytes) = headers.get(at..).and_then(|rest| rest.first_chunk::<8>())
            {
                let bytes = u64::from_ne_bytes(*bytes) & byte_mask(window.mask);
                *data = bytes.to_ne_bytes();
            }
        }
    }
}

impl Changes {
    /// What is added to the complements of checksums: for addresses, and for all. None if there are other checksums than those
    /// of the innermost IP header and of the one behind it.
    fn of_places(&self, rewrite: &Rewrite, l3: u8) -> Option<([u8; 2], [u8; 2])> {
        let (mut network, mut transport) = (None, None);
        let with_pseudo = rewrite.covers_by_pseudo();
        for (index, place) in rewrite.places().iter().enumerate() {
            if place.flags >> 4 != 0 || place.add != [0; 2] {
                return None;
            }
            let (all, pseudo) = if rewrite.form != Rewrite::STRAIGHT {
                let (data, pseudo) = *self.places.get(index)?;
                (pseudo.plus(data), pseudo)
            } else if index == 0 {
                (self.all, self.of_addresses)
            } else {
                (self.of_addresses, Sum::ZERO)
            };
            let sums = (all.fold(), pseudo.fold());
            let slot = if place.header == l3 {
                &mut network
            } else if place.header == l3 + 1 {
                &mut transport
            } else {
                return None;
            };
            if slot.replace(sums).is_some() {
                return None;
            }
        }
        let of_addresses = match (network, transport) {
            (Some((all, _)), Some((_, pseudo))) if with_pseudo && pseudo != all => return None,
            (Some((all, _)), _) => all,
            (None, Some((_, pseudo))) => pseudo,
            (None, None) => 0,
        };
        let of_all = transport.map_or(0, |(all, _)| all);
        Some((of_addresses.to_be_bytes(), of_all.to_be_bytes()))
    }
}

/// Stores of whole bytes, and which bytes these are.
struct Whole {
    stores: Stores,
    bytes: u128,
}

const ALL_OF_V4: Whole = whole(2, [STORES_V4[0], STORES_V4[1], STORES_V4[1]]);
const SOURCE_OF_V6: Whole = whole(3, STORES_V6_SOURCE);
const DESTINATION_OF_V6: Whole = whole(3, STORES_V6_DESTINATION);

const fn whole(count: usize, [a, b, c]: [usize; 3]) -> Whole {
    let stores = Stores {
        count,
        at: [a as u8, b as u8, c as u8],
        masks: [0xff; 3],
    };
    let bytes = run(a, 8) | run(b, 8) | run(c, 8);
    Whole { stores, bytes }
}

/// Eight bytes each that together hold all that is written to the IP header and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stores {
    pub(super) count: usize,
    pub(super) at: [u8; Translation::STORES],
    /// Which bytes of each: all of them, where the others are known.
    pub(super) masks: [u8; Translation::STORES],
}

impl Stores {
    pub(super) fn of(written: u128, stack: Innermost) -> Option<Self> {
        let left = written >> L3 << L3;
        let known = stack.known() | written;
        // The same for whatever is translated, so that there are few forms of it.
        if left != 0 && !stack.is_v6() {
            if left & !ALL_OF_V4.bytes == 0 && ALL_OF_V4.bytes & !known == 0 {
                return Some(ALL_OF_V4.stores);
            }
        } else if left != 0 {
            for whole in [&SOURCE_OF_V6, &DESTINATION_OF_V6] {
                if left & !whole.bytes == 0 && whole.bytes & !known == 0 {
                    return Some(whole.stores);
                }
            }
        }
        Self::around(left, known)
    }

    /// Wherever they have to be.
    fn around(mut left: u128, known: u128) -> Option<Self> {
        let mut stores = Self {
            count: 0,
            at: [0; Translation::STORES],
            masks: [0xff; Translation::STORES],
        };
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let whole = |at: &usize| known >> at & 0xff == 0xff;
            let (at, mask) = match (first - 7..=first).rev().find(whole) {
                Some(at) => (at, 0xff),
                None => {
                    // It ends with what is written: the frame may end there too.
                    let last = 127 - (left & 0xff << first).leading_zeros() as usize;
                    (last - 7, (left >> (last - 7)) as u8)
                }
            };
            *stores.at.get_mut(stores.count)? = at as u8;
            *stores.masks.get_mut(stores.count)? = mask;
            stores.count += 1;
            left &= !(0xff << at);
        }
        Some(stores)
    }
}

impl Rewrite {
    /// Whether anything is written to a pseudo-header.
    pub(super) fn covers_by_pseudo(&self) -> bool {
        self.windows().any(|(window, _)| window.cover >> 4 != 0)
    }
}

impl Template {
    /// Where the checksum of the IPv4 header stands that changes, and that of the header behind, counted from the Ethernet
    /// header.
    pub(super) fn places(&self) -> (Option<usize>, Option<(usize, SumPlace)>) {
        let (mut network, mut transport) = (None, None);
        for place in self.program.rewrite.places() {
            let l2 = self.l3.wrapping_sub(1);
            let at = place_of(l2, self.stack, place.header, place.offset);
            if place.header == self.l3 {
                network = at;
            } else {
                transport = at.map(|at| (at, *place));
            }
        }
        (network, transport)
    }
}
