//! A packet as rules are asked about it, and what of a rule can be told at a glance.

use core::net::IpAddr;

use crate::flow::Fields;
use crate::lpm::left_aligned;
use crate::network::Network;
use crate::predicate::Predicate;

/// What rules are asked about: the fields of a packet, and the same in the form in which most rules refuse it at a glance.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub(super) fields: Fields,
    glance: [u64; 2],
}

/// What the two words of a subject must be under a mask for a rule to match. A place for each field that rules compare
/// with one value: of addresses, which have more bits, a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gist {
    mask: [u64; 2],
    value: [u64; 2],
    /// Whether there is nothing more to the rule.
    pub(super) is_all: bool,
}

/// Where a field stands: in which word, from which bit on, under which mask.
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
/// What no packet has.
const NEVER: Place = Place(0, 63, 1);
const SOURCE_PORT: Place = Place(1, 0, 0xffff);
const DESTINATION_PORT: Place = Place(1, 16, 0xffff);
const SOURCE: Place = Place(1, 32, 0xffff);
const DESTINATION: Place = Place(1, 48, 0xffff);

impl Subject {
    /// The packet with these fields.
    #[inline]
    pub fn new(fields: Fields) -> Self {
        let bit = |place: Place, there: bool| u64::from(there) << place.1;
        let at = |place: Place, value: u64| value << place.1;
        let (ty, code) = fields.icmp.unwrap_or_default();
        let protocol = fields.protocol.map_or(0, |protocol| protocol.0);
        let first = at(ETHERTYPE, u64::from(fields.ethertype.0))
            | at(PROTOCOL, u64::from(protocol))
            | at(FLAGS, u64::from(fields.flags))
            | at(ICMP_TYPE, u64::from(ty))
            | at(ICMP_CODE, u64::from(code))
            | bit(HAS_PROTOCOL, fields.protocol.is_some())
            | bit(HAS_ICMP, fields.icmp.is_some())
            | bit(HAS_SOURCE, fields.source.is_some())
            | bit(HAS_DESTINATION, fields.destination.is_some())
            | bit(HAS_SOURCE_PORT, fields.source_port.is_some())
            | bit(HAS_DESTINATION_PORT, fields.destination_port.is_some());
        let second = at(SOURCE_PORT, u64::from(fields.source_port.unwrap_or(0)))
            | at(
                DESTINATION_PORT,
                u64::from(fields.destination_port.unwrap_or(0)),
            )
            | at(SOURCE, fields.source.map_or(0, sum))
            | at(DESTINATION, fields.destination.map_or(0, sum));
        Self {
            fields,
            glance: [first, second],
        }
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }
}

impl Gist {
    /// The gist of predicates that must all match.
    pub(super) fn of<N: Network>(predicates: &[Predicate<N>]) -> Self {
        let mut gist = Self {
            mask: [0; 2],
            value: [0; 2],
            is_all: true,
        };
        gist.all(predicates);
        gist
    }

    /// Whether a rule of this gist matches every packet.
    #[inline]
    pub(super) fn asks_nothing(&self) -> bool {
        self.is_all && self.mask == [0; 2]
    }

    /// Whether a rule of this gist may match; it does if that is all.
    #[inline]
    pub(super) fn admits(&self, subject: &Subject) -> bool {
        let [a, b] = subject.glance;
        (a & self.mask[0] ^ self.value[0]) | (b & self.mask[1] ^ self.value[1]) == 0
    }

    fn all<N: Network>(&mut self, predicates: &[Predicate<N>]) {
        for predicate in predicates {
            self.add(predicate);
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
                if prefix.is_exact() {
                    self.ask(SOURCE, sum(prefix.address()));
                }
                self.is_all = false;
            }
            Predicate::Destination(prefix) => {
                self.ask(HAS_DESTINATION, 1);
                if prefix.is_exact() {
                    self.ask(DESTINATION, sum(prefix.address()));
                }
                self.is_all = false;
            }
            Predicate::All(predicates) => self.all(predicates),
            Predicate::Meta(_) | Predicate::Not(_) | Predicate::Any(_) => self.is_all = false,
        }
    }

    fn one_of<T: Copy + PartialEq + Into<u64>>(&mut self, place: Place, first: T, last: T) {
        if first == last {
            self.ask(place, first.into());
        } else {
            self.is_all = false;
        }
    }

    fn ask(&mut self, Place(word, shift, mask): Place, value: u64) {
        let (Some(masks), Some(values)) = (self.mask.get_mut(word), self.value.get_mut(word))
        else {
            return;
        };
        let before = *masks >> shift & mask;
        if before != 0 && *values >> shift & mask != value {
            // Two values of one field: the other one holds no less.
            return self.ask(NEVER, 1);
        }
        *masks |= mask << shift;
        *values |= value << shift;
    }
}

/// An address in 16 bits.
#[inline]
fn sum(address: IpAddr) -> u64 {
    let bits = left_aligned(address);
    let sum = ((bits >> 64) as u64 ^ bits as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum >> 48
}
