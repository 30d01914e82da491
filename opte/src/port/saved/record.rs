//! One flow as it is saved.

use alloc::vec::Vec;

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Direction;
use crate::direction::PerDirection;
use crate::flow::Proto;
use crate::saved::Saved;
use crate::tcp::Connection;

/// How a flow is laid out, for whoever reads it.
pub(super) const LAYOUT: &str = if cfg!(target_endian = "little") {
    "key 6*u64 le, left u64, packets in out 2*u64, bytes in out 2*u64, first u8, proto u8, l3 u8, flags u8, \
     states u8, connection 39 u8 if flags & 2, states of layer u8, len u8, bytes"
} else {
    "key 6*u64 be, left u64, packets in out 2*u64, bytes in out 2*u64, first u8, proto u8, l3 u8, flags u8, \
     states u8, connection 39 u8 if flags & 2, states of layer u8, len u8, bytes"
};

/// A flow.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    /// Of its first packet.
    pub(super) key: [u64; 6],
    /// Nanoseconds until it would have expired.
    pub(super) left: u64,
    pub(super) packets: PerDirection<u64>,
    pub(super) bytes: PerDirection<u64>,
    pub(super) first: Direction,
    pub(super) proto: Proto,
    pub(super) l3: u8,
    /// Whether it was known what is done to its answers.
    pub(super) both: bool,
    pub(super) connection: Option<Connection>,
    /// What layers hold for it, by their numbers.
    pub(super) states: Vec<(u8, Saved)>,
}

/// The part of a fixed length.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Fixed {
    key: [U64; 6],
    left: U64,
    packets: [U64; 2],
    bytes: [U64; 2],
    first: u8,
    proto: u8,
    l3: u8,
    flags: u8,
    states: u8,
}

const BOTH: u8 = 1;
const CONNECTED: u8 = 2;

/// The most bytes of a record with so many layers.
pub(super) const fn longest(layers: usize) -> usize {
    size_of::<Fixed>() + Connection::SAVED + layers * (2 + Saved::MAX)
}

impl Record {
    /// Writes the record behind what is there.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let pair = |pair: &PerDirection<u64>| [pair.inbound.into(), pair.outbound.into()];
        let connected = self.connection.as_ref().map_or(0, |_| CONNECTED);
        let fixed = Fixed {
            key: self.key.map(U64::from),
            left: self.left.into(),
            packets: pair(&self.packets),
            bytes: pair(&self.bytes),
            first: self.first as u8,
            proto: self.proto as u8,
            l3: self.l3,
            flags: (u8::from(self.both) * BOTH) | connected,
            // There are fewer layers than that.
            states: self.states.len() as u8,
        };
        out.extend_from_slice(fixed.as_bytes());
        if let Some(connection) = &self.connection {
            out.extend_from_slice(&connection.save());
        }
        for (layer, state) in &self.states {
            let bytes = state.bytes();
            out.extend_from_slice(&[*layer, bytes.len() as u8]);
            out.extend_from_slice(bytes);
        }
    }

    /// The record that `bytes` begin with, and what is behind it; `None` if they are none.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (fixed, mut rest) = Fixed::read_from_prefix(bytes).ok()?;
        let pair = |[inbound, outbound]: [U64; 2]| PerDirection {
            inbound: inbound.get(),
            outbound: outbound.get(),
        };
        let first = match fixed.first {
            number if number == Direction::In as u8 => Direction::In,
            number if number == Direction::Out as u8 => Direction::Out,
            _ => return None,
        };
        let proto = match fixed.proto {
            number @ 0..=3 => Proto::of(number.into()),
            _ => return None,
        };
        if fixed.flags & !(BOTH | CONNECTED) != 0 {
            return None;
        }
        let connection = if fixed.flags & CONNECTED != 0 {
            let (connection, behind) = rest.split_first_chunk()?;
            rest = behind;
            Some(Connection::restore(connection)?)
        } else {
            None
        };
        if connection.is_some() != (proto == Proto::Tcp) {
            return None;
        }
        let mut states = Vec::with_capacity(fixed.states.into());
        for _ in 0..fixed.states {
            let ([layer, len], behind) = rest.split_first_chunk()?;
            let (state, behind) = behind.split_at_checked(usize::from(*len))?;
            states.push((*layer, Saved::from_bytes(state)?));
            rest = behind;
        }
        let record = Self {
            key: fixed.key.map(U64::get),
            left: fixed.left.get(),
            packets: pair(fixed.packets),
            bytes: pair(fixed.bytes),
            first,
            proto,
            l3: fixed.l3,
            both: fixed.flags & BOTH != 0,
            connection,
            states,
        };
        Some((record, rest))
    }
}
