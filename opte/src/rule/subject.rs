//! A packet as rules are asked about it, and what of a rule can be told at a glance.

use core::net::IpAddr;

use crate::flow::Fields;
use crate::lpm::left_aligned;
use crate::network::Network;
use crate::predicate::{IpPrefix, Predicate};

/// What rules are asked about: the fields of a packet, and the same at a [`Glance`].
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub(super) fields: Fields,
    pub(super) glance: Glance,
}

/// The fields of a packet in six words, in which most rules are told to match or not: they ask for the values of some bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// All but addresses and ports, and which fields there are.
    first: u64,
    ports: u64,
    source: [u64; 2],
    destination: [u64; 2],
}

/// What the glance at a packet must be under a mask for a rule to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gist {
    mask: [u64; 6],
    value: [u64; 6],
    pub(super) rest: Rest,
}

/// The first words of a gist: most rules that do not match are told by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First {
    mask: u64,
    value: u64,
}

impl First {
    /// Whether a rule may match.
    #[inline(always)]
    pub(super) fn admits(&self, glance: &Glance) -> bool {
        glance.first & self.mask == self.value
    }
}

/// What a rule asks beside its gist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// Its predicates about metadata, which stand by themselves.
    Meta,
    /// All of its predicates are to be asked.
    Anything,
}

/// Where a field stands: in which word, from which bit on, under which mask.
#[derive(Clone, Copy)]
struct Place(usize, u32, u64);

const ETHERTYPE: Place = Place(0, 0, 0xffff);
const PROTOCOL: Place = Place(0, 16, 0xff);
const FLAGS: Place = Place(0, 24, 0xff);
const ICMP_TYPE: Place = Place(0, 32, 0xff);
const ICMP_CODE: Place = Place(0, 40, 0xff);
/// Each of these says that the packet has the field.
const HAS_PROTOCOL: Place = Place(0, 48, 1);
const HAS_ICMP: Place = Place(0, 49, 1);
const HAS_SOURCE: Place = Place(0, 50, 1);
const HAS_DESTINATION: Place = Place(0, 51, 1);
const HAS_SOURCE_PORT: Place = Place(0, 52, 1);
const HAS_DESTINATION_PORT: Place = Place(0, 53, 1);
/// Each of these says that the address is of IPv4.
const SOURCE_V4: Place = Place(0, 54, 1);
const DESTINATION_V4: Place = Place(0, 55, 1);
/// What no packet has.
const NEVER: Place = Place(0, 63, 1);
const SOURCE_PORT: Place = Place(1, 0, 0xffff);
const DESTINATION_PORT: Place = Place(1, 16, 0xffff);
/// The words of addresses, left-aligned.
const SOURCE: usize = 2;
const DESTINATION: usize = 4;

impl Subject {
    /// The packet with these fields.
    pub fn new(fields: Fields) -> Self {
        Self {
            fields,
            glance: Glance::of(&fields),
        }
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// Addresses and ports of an IP packet, for [`Glance::of_ip`].
pub(crate) struct Ip {
    pub(crate) v4: bool,
    pub(crate) protocol: u8,
    /// In halves, left-aligned.
    pub(crate) source: [u64; 2],
    pub(crate) destination: [u64; 2],
    /// Source and destination port.
    pub(crate) ports: Option<(u16, u16)>,
    /// Type and code.
    pub(crate) icmp: Option<(u8, u8)>,
    pub(crate) flags: u8,
}

impl Glance {
    /// The packet with these fields.
    pub fn of(fields: &Fields) -> Self {
        let v4 = |address: Option<IpAddr>| address.is_some_and(|address| address.is_ipv4());
        let (ty, code) = fields.icmp.unwrap_or_default();
        let protocol = fields.protocol.map_or(0, |protocol| protocol.0);
        let first = ETHERTYPE.of(fields.ethertype.0.into())
            | PROTOCOL.of(protocol.into())
            | FLAGS.of(fields.flags.into())
            | ICMP_TYPE.of(ty.into())
            | ICMP_CODE.of(code.into())
            | HAS_PROTOCOL.of(fields.protocol.is_some().into())
            | HAS_ICMP.of(fields.icmp.is_some().into())
            | HAS_SOURCE.of(fields.source.is_some().into())
            | HAS_DESTINATION.of(fields.destination.is_some().into())
            | HAS_SOURCE_PORT.of(fields.source_port.is_some().into())
            | HAS_DESTINATION_PORT.of(fields.destination_port.is_some().into())
            | SOURCE_V4.of(v4(fields.source).into())
            | DESTINATION_V4.of(v4(fields.destination).into());
        let ports = SOURCE_PORT.of(fields.source_port.unwrap_or(0).into())
            | DESTINATION_PORT.of(fields.destination_port.unwrap_or(0).into());
        Self {
            first,
            ports,
            source: halves(fields.source.map_or(0, left_aligned)),
            destination: halves(fields.destination.map_or(0, left_aligned)),
        }
    }

    #[inline(always)]
    pub(super) fn words(&self) -> [u64; 6] {
        let ([source, source_end], [destination, end]) = (self.source, self.destination);
        [self.first, self.ports, source, source_end, destination, end]
    }

    /// The same of an IP packet, in fewer steps.
    #[inline(always)]
    pub(crate) fn of_ip(ip: &Ip) -> Self {
        const PRESENT: u64 = HAS_PROTOCOL.of(1) | HAS_SOURCE.of(1) | HAS_DESTINATION.of(1);
        const V4: u64 = PRESENT | ETHERTYPE.of(0x0800) | SOURCE_V4.of(1) | DESTINATION_V4.of(1);
        const V6: u64 = PRESENT | ETHERTYPE.of(0x86dd);
        const PORTS: u64 = HAS_SOURCE_PORT.of(1) | HAS_DESTINATION_PORT.of(1);
        let mut first = PROTOCOL.of(ip.protocol.into())
            | FLAGS.of(ip.flags.into())
            | if ip.v4 { V4 } else { V6 };
        let mut of_ports = 0;
        if let Some((source, destination)) = ip.ports {
            first |= PORTS;
            of_ports = SOURCE_PORT.of(source.into()) | DESTINATION_PORT.of(destination.into());
        }
        if let Some((ty, code)) = ip.icmp {
            first |= HAS_ICMP.of(1) | ICMP_TYPE.of(ty.into()) | ICMP_CODE.of(code.into());
        }
        Self {
            first,
            ports: of_ports,
            source: ip.source,
            destination: ip.destination,
        }
    }
}

impl Place {
    /// The field with this value.
    #[inline(always)]
    const fn of(self, value: u64) -> u64 {
        value << self.1
    }
}

impl Gist {
    /// The gist of predicates that must all match.
    pub(super) fn of<N: Network>(predicates: &[Predicate<N>]) -> Self {
        let mut gist = Self {
            mask: [0; 6],
            value: [0; 6],
            rest: Rest::Nothing,
        };
        for predicate in predicates {
            match predicate {
                Predicate::Meta(_) => gist.leave(Rest::Meta),
                predicate => gist.add(predicate),
            }
        }
        gist
    }

    /// Whether a rule of this gist matches every packet.
    pub(super) fn asks_nothing(&self) -> bool {
        self.rest == Rest::Nothing && self.mask == [0; 6]
    }

    /// Its first words.
    pub(super) fn first(&self) -> First {
        let ([mask, ..], [value, ..]) = (self.mask, self.value);
        First { mask, value }
    }

    /// Whether a rule of this gist, whose first words admit the packet, may match; it does if there is no rest.
    #[inline(never)]
    pub(super) fn admits(&self, glance: &Glance) -> bool {
        let ([_, b, c, d, e, f], [_, q, r, s, t, u]) = (&self.mask, &self.value);
        let ([g, h], [i, j]) = (&glance.source, &glance.destination);
        g & c == *r && i & e == *t && h & d == *s && j & f == *u && glance.ports & b == *q
    }

    /// Adds to a mask of words a bit by which a rule of this gist does not match these words, unless there is one in it.
    /// Addresses are asked before ports, of which there are more, and their upper bits before the lower ones.
    pub(super) fn refuse(&self, words: &[u64; 6], mask: &mut [u64; 6]) {
        const ORDER: [usize; 6] = [0, 4, 5, 2, 3, 1];
        let mut differs = [0; 6];
        let pairs = self.mask.iter().zip(&self.value).zip(words);
        for (differs, ((mask, value), word)) in differs.iter_mut().zip(pairs) {
            *differs = word & mask ^ value;
        }
        if differs
            .iter()
            .zip(&*mask)
            .any(|(bits, mask)| bits & mask != 0)
        {
            return;
        }
        for at in ORDER {
            if let (Some(bits @ 1..), Some(mask)) = (differs.get(at), mask.get_mut(at)) {
                *mask |= 1 << bits.ilog2();
                return;
            }
        }
    }

    /// Adds to a mask of words what a rule of this gist asks.
    pub(super) fn asks(&self, mask: &mut [u64; 6]) {
        for (mask, asked) in mask.iter_mut().zip(self.mask) {
            *mask |= asked;
        }
    }

    fn add<N: Network>(&mut self, predicate: &Predicate<N>) {
        match predicate {
            Predicate::Ethertype(ethertype) => self.ask(ETHERTYPE, u64::from(ethertype.0)),
            Predicate::Protocol(protocol) => {
                self.ask(HAS_PROTOCOL, 1);
                self.ask(PROTOCOL, u64::from(protocol.0));
            }
            Predicate::SourcePort(range) => {
                self.ask(HAS_SOURCE_PORT, 1);
                self.one_of(SOURCE_PORT, *range.start(), *range.end());
            }
            Predicate::DestinationPort(range) => {
                self.ask(HAS_DESTINATION_PORT, 1);
                self.one_of(DESTINATION_PORT, *range.start(), *range.end());
            }
            Predicate::IcmpType(range) => {
                self.ask(HAS_ICMP, 1);
                self.one_of(ICMP_TYPE, *range.start(), *range.end());
            }
            Predicate::IcmpCode(range) => {
                self.ask(HAS_ICMP, 1);
                self.one_of(ICMP_CODE, *range.start(), *range.end());
            }
            Predicate::Flags { mask, value, .. } => {
                if value & !mask != 0 {
                    self.ask(NEVER, 1);
                }
                for bit in (0..8).filter(|bit| mask >> bit & 1 == 1) {
                    self.ask(
                        Place(FLAGS.0, FLAGS.1 + bit, 1),
                        u64::from(value >> bit & 1),
                    );
                }
            }
            Predicate::Source(prefix) => {
                self.ask(HAS_SOURCE, 1);
                self.ask(SOURCE_V4, prefix.is_ipv4().into());
                self.begin_with(SOURCE, prefix);
            }
            Predicate::Destination(prefix) => {
                self.ask(HAS_DESTINATION, 1);
                self.ask(DESTINATION_V4, prefix.is_ipv4().into());
                self.begin_with(DESTINATION, prefix);
            }
            Predicate::All(predicates) => {
                for predicate in predicates {
                    self.add(predicate);
                }
            }
            Predicate::Meta(_) | Predicate::Not(_) | Predicate::Any(_) => {
                self.leave(Rest::Anything)
            }
        }
    }

    fn leave(&mut self, rest: Rest) {
        self.rest = self.rest.max(rest);
    }

    fn one_of<T: Copy + PartialEq + Into<u64>>(&mut self, place: Place, first: T, last: T) {
        if first == last {
            self.ask(place, first.into());
        } else {
            self.leave(Rest::Anything);
        }
    }

    fn begin_with(&mut self, word: usize, prefix: &IpPrefix) {
        let len = u32::from(prefix.prefix_len());
        let masks = halves(u128::MAX.checked_shl(128 - len).unwrap_or(0));
        let values = halves(left_aligned(prefix.address()));
        for (at, (mask, value)) in masks.into_iter().zip(values).enumerate() {
            self.ask_bits(word + at, mask, value & mask);
        }
    }

    fn ask(&mut self, Place(word, shift, mask): Place, value: u64) {
        self.ask_bits(word, mask << shift, value << shift);
    }

    fn ask_bits(&mut self, word: usize, mask: u64, value: u64) {
        let (Some(masks), Some(values)) = (self.mask.get_mut(word), self.value.get_mut(word))
        else {
            return;
        };
        let contradicts = (*values ^ value) & *masks & mask != 0;
        *masks |= mask;
        *values |= value;
        if contradicts {
            // Two values of one field: no packet has both.
            let Place(word, shift, mask) = NEVER;
            if let (Some(masks), Some(values)) = (self.mask.get_mut(word), self.value.get_mut(word))
            {
                *masks |= mask << shift;
                *values |= mask << shift;
            }
        }
    }
}

#[inline(always)]
const fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use super::*;

    pub(in crate::rule) fn gist(mask: [u64; 6], value: [u64; 6]) -> Gist {
        let mut gist = Gist {
            mask,
            value,
            rest: Rest::Nothing,
        };
        for (value, mask) in gist.value.iter_mut().zip(mask) {
            *value &= mask;
        }
        gist
    }

    impl Glance {
        pub(in crate::rule) fn of_words([first, ports, a, b, c, d]: [u64; 6]) -> Self {
            Self {
                first,
                ports,
                source: [a, b],
                destination: [c, d],
            }
        }
    }
}
