//! What of a rule's predicates the classifier can look up.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::flow::Fields;
use crate::lpm::{Prefix, left_aligned};
use crate::network::Network;
use crate::predicate::{IpPrefix, Predicate};

/// Something that rules ask for: a field, a discriminator bit, a value of the metadata.
pub(super) type Dimension = usize;

const ETHERTYPE: Dimension = 0;
const PROTOCOL: Dimension = 1;
const ICMP_TYPE: Dimension = 2;
const ICMP_CODE: Dimension = 3;
const SOURCE_PORT: Dimension = 4;
const DESTINATION_PORT: Dimension = 5;
const SOURCE: Dimension = 6;
const DESTINATION: Dimension = 7;
const FLAGS: Dimension = 8;
const META: Dimension = FLAGS + 8;

/// Values of the metadata that can be looked up.
const META_VALUES: usize = 4;

/// Dimensions there are.
pub(super) const DIMENSIONS: usize = META + META_VALUES;

/// Pieces that a condition may have. What has more is not looked up.
const MOST: usize = 1024;

/// The classifier cuts prefixes and ranges at whole numbers of so many bits: no value lies in more pieces that nest than it
/// has such digits, whatever the rules.
const DIGIT: u8 = 4;

/// A set of values of a dimension that packets must have one of, or must not.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) dimension: Dimension,
    pub(super) wanted: bool,
    pub(super) pieces: Vec<Piece>,
}

/// Values with common leading bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) space: Space,
    pub(super) prefix: Prefix,
}

/// Address families do not share their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// IPv4, and all that is no address.
    First,
    /// IPv6.
    Second,
}

/// A packet's value in a dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) space: Space,
    /// Left-aligned.
    pub(super) bits: u128,
}

/// The conditions that a packet must meet, at most one of each kind a dimension, to be one the predicates match. They may
/// leave out some of what the predicates ask, and never ask for more.
pub(super) fn conditions<N: Network>(predicates: &[Predicate<N>]) -> Vec<Condition> {
    let mut all = Vec::new();
    for predicate in predicates {
        collect(predicate, true, &mut all);
    }
    all
}

fn collect<N: Network>(predicate: &Predicate<N>, wanted: bool, all: &mut Vec<Condition>) {
    match predicate {
        Predicate::Not(predicate) => collect(predicate, !wanted, all),
        Predicate::All(predicates) if wanted => {
            for predicate in predicates {
                collect(predicate, wanted, all);
            }
        }
        Predicate::Any(predicates) if !wanted => {
            for predicate in predicates {
                collect(predicate, wanted, all);
            }
        }
        Predicate::Any(alternatives) | Predicate::All(alternatives) => {
            if let Some((dimension, pieces)) = union(alternatives, wanted) {
                add(dimension, wanted, pieces, all);
            }
        }
        Predicate::Flags { mask, value, .. } => flags(*mask, *value, wanted, all),
        simple => {
            if let Some((dimension, pieces)) = pieces(simple) {
                add(dimension, wanted, pieces, all);
            }
        }
    }
}

fn add(dimension: Dimension, wanted: bool, pieces: Vec<Piece>, all: &mut Vec<Condition>) {
    if pieces.len() > MOST {
        return;
    }
    let before = all
        .iter_mut()
        .find(|condition| (condition.dimension, condition.wanted) == (dimension, wanted));
    match before {
        None => all.push(Condition {
            dimension,
            wanted,
            pieces,
        }),
        // Both must hold: the narrower one will do.
        Some(before) if wanted => {
            if pieces.len() < before.pieces.len() {
                before.pieces = pieces;
            }
        }
        Some(before) => {
            for piece in pieces {
                if before.pieces.len() < MOST && !before.pieces.contains(&piece) {
                    before.pieces.push(piece);
                }
            }
        }
    }
}

/// What alternatives ask for together, if it is of one dimension: the values of any of them; of all, negated, likewise, which
/// only a single one is.
fn union<N: Network>(
    alternatives: &[Predicate<N>],
    wanted: bool,
) -> Option<(Dimension, Vec<Piece>)> {
    if !wanted && alternatives.len() != 1 {
        return None;
    }
    let mut all: Option<(Dimension, Vec<Piece>)> = None;
    for alternative in alternatives {
        let (dimension, more) = match alternative {
            Predicate::Any(nested) => union(nested, true)?,
            simple => pieces(simple)?,
        };
        match &mut all {
            None => all = Some((dimension, more)),
            Some((of, _)) if *of != dimension => return None,
            Some((_, pieces)) => {
                for piece in more {
                    if !pieces.contains(&piece) {
                        pieces.push(piece);
                    }
                }
            }
        }
        if all.as_ref().is_some_and(|(_, pieces)| pieces.len() > MOST) {
            return None;
        }
    }
    // Of no alternatives none holds.
    Some(all.unwrap_or((ETHERTYPE, Vec::new())))
}

fn pieces<N: Network>(predicate: &Predicate<N>) -> Option<(Dimension, Vec<Piece>)> {
    Some(match predicate {
        Predicate::Ethertype(ethertype) => (ETHERTYPE, exactly(u64::from(ethertype.0), 16)),
        Predicate::Protocol(protocol) => (PROTOCOL, exactly(u64::from(protocol.0), 8)),
        Predicate::Source(prefix) => (SOURCE, addresses(prefix)),
        Predicate::Destination(prefix) => (DESTINATION, addresses(prefix)),
        Predicate::SourcePort(range) => (SOURCE_PORT, of_range(range, 16)),
        Predicate::DestinationPort(range) => (DESTINATION_PORT, of_range(range, 16)),
        Predicate::IcmpType(range) => (ICMP_TYPE, of_range(range, 8)),
        Predicate::IcmpCode(range) => (ICMP_CODE, of_range(range, 8)),
        Predicate::Meta(predicate) => {
            let (number, value) = predicate.value()?;
            let dimension = META + number;
            (
                Some(dimension).filter(|_| number < META_VALUES)?,
                exactly(value, 64),
            )
        }
        Predicate::Flags { .. } | Predicate::Not(_) | Predicate::Any(_) | Predicate::All(_) => {
            return None;
        }
    })
}

/// Each bit is a dimension of its own.
fn flags(mask: u8, value: u8, wanted: bool, all: &mut Vec<Condition>) {
    if value & !mask != 0 {
        // No flags are such.
        if wanted {
            add(ETHERTYPE, true, Vec::new(), all);
        }
        return;
    }
    if !wanted && mask.count_ones() != 1 {
        return;
    }
    for bit in 0..8 {
        if mask >> bit & 1 == 1 {
            let pieces = exactly(u64::from(value >> bit & 1), 1);
            add(FLAGS + bit, wanted, pieces, all);
        }
    }
}

/// The value of a packet in a dimension; `None` if it has none.
#[inline]
pub(super) fn value_of<N: Network>(
    dimension: Dimension,
    fields: &Fields,
    meta: &N::Meta,
) -> Option<Value> {
    let number = |value: u64, width: u32| Value {
        space: Space::First,
        bits: u128::from(value << (64 - width)) << 64,
    };
    let address = |ip: IpAddr| Value {
        space: space_of(ip.is_ipv4()),
        bits: left_aligned(ip),
    };
    match dimension {
        ETHERTYPE => Some(number(u64::from(fields.ethertype.0), 16)),
        PROTOCOL => fields
            .protocol
            .map(|protocol| number(u64::from(protocol.0), 8)),
        ICMP_TYPE => fields.icmp.map(|(ty, _)| number(u64::from(ty), 8)),
        ICMP_CODE => fields.icmp.map(|(_, code)| number(u64::from(code), 8)),
        SOURCE_PORT => fields.source_port.map(|port| number(u64::from(port), 16)),
        DESTINATION_PORT => fields
            .destination_port
            .map(|port| number(u64::from(port), 16)),
        SOURCE => fields.source.map(address),
        DESTINATION => fields.destination.map(address),
        FLAGS..META => Some(number(
            u64::from(fields.flags >> (dimension - FLAGS) & 1),
            1,
        )),
        _ => N::meta_value(meta, dimension - META).map(|value| number(value, 64)),
    }
}

fn space_of(v4: bool) -> Space {
    if v4 { Space::First } else { Space::Second }
}

fn exactly(value: u64, width: u32) -> Vec<Piece> {
    piece(value, width, width as u8).into_iter().collect()
}

/// The values of `width` bits that begin with the first `len` of `value`.
fn piece(value: u64, width: u32, len: u8) -> Option<Piece> {
    let bits = u128::from(value << (64 - width)) << 64;
    Some(Piece {
        space: Space::First,
        prefix: Prefix::new(bits, len)?,
    })
}

fn of_range<T: Copy + Into<u64>>(range: &RangeInclusive<T>, width: u32) -> Vec<Piece> {
    let (mut low, high): (u64, u64) = ((*range.start()).into(), (*range.end()).into());
    let mut pieces = Vec::new();
    while low <= high {
        // The largest piece that begins here and does not go beyond the end.
        let mut free = 0;
        while free < width {
            let next = free + u32::from(DIGIT);
            let reach = (1 << next) - 1;
            if low & reach != 0 || low + reach > high {
                break;
            }
            free = next;
        }
        pieces.extend(piece(low, width, (width - free) as u8));
        low += 1 << free;
    }
    pieces
}

fn addresses(prefix: &IpPrefix) -> Vec<Piece> {
    let (bits, len) = (left_aligned(prefix.address()), prefix.prefix_len());
    let whole = len.next_multiple_of(DIGIT);
    let space = space_of(prefix.is_ipv4());
    (0..1_u128 << (whole - len))
        .filter_map(|low| {
            let low = low.checked_shl(128 - u32::from(whole)).unwrap_or(0);
            Some(Piece {
                space,
                prefix: Prefix::new(bits | low, whole)?,
            })
        })
        .collect()
}
