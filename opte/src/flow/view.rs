//! A flow as whoever holds the port's lock sees it.

use opte_headers::program::Program;

use super::cell::{Cell, Counts, Kind};
use super::key::Key;
use super::record::{Class, Decision, Decisions, Proto};
use super::table::FlowTable;
use crate::Direction;
use crate::network::Network;
use crate::tcp::Connection;
use crate::time::Moment;

/// A flow of a table.
pub(crate) struct Flow<'a, N: Network> {
    table: &'a FlowTable<N>,
    pub(super) cell: &'a Cell,
    pub(super) kind: Kind,
    id: u32,
}

/// One direction of a flow.
pub(crate) struct FlowSide<N: Network> {
    /// The key of its packets.
    pub(crate) key: N::Key,
    /// Where the innermost IP header stands in them.
    pub(crate) l3: u8,
    /// What is done to them; `None` if the first packet could not tell.
    pub(crate) program: Option<Program>,
    pub(crate) packets: u64,
}

/// What passed in one direction of a flow.
pub(crate) struct Tally<N: Network> {
    /// The key of its packets.
    pub(crate) key: N::Key,
    /// Whether it is known what is done to them.
    pub(crate) is_known: bool,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl<N: Network> FlowTable<N> {
    /// The flow `id`, if it is there.
    pub(crate) fn get(&self, id: u32) -> Option<Flow<'_, N>> {
        let cell = self.store.cells.get(id)?;
        Some(Flow {
            table: self,
            cell,
            kind: cell.kind()?,
            id,
        })
    }
}

impl<'a, N: Network> Flow<'a, N> {
    /// One direction.
    pub(crate) fn side(&self, dir: Direction) -> FlowSide<N> {
        let side = self.cell.side(dir);
        let bound = self.table.program(side.tail.program());
        FlowSide {
            key: N::Key::from_words(side.key),
            l3: side.tail.l3(),
            program: bound.map(|bound| bound.program(&side.translation)),
            packets: self.counts(dir).packets,
        }
    }

    /// One direction, without what is done to its packets.
    pub(crate) fn tally(&self, dir: Direction) -> Tally<N> {
        let side = self.cell.side(dir);
        let counts = self.counts(dir);
        Tally {
            key: N::Key::from_words(side.key),
            is_known: side.tail.program() != 0,
            packets: counts.packets,
            bytes: counts.bytes,
        }
    }

    /// Where the innermost IP header stands in packets of one direction.
    pub(crate) fn l3(&self, dir: Direction) -> u8 {
        self.cell.side(dir).tail.l3()
    }

    /// What has passed in one direction.
    fn counts(&self, dir: Direction) -> Counts {
        let now = self.cell.counts(dir);
        let before = self.table.counted.get(&self.id);
        let before = before.map_or(Counts::default(), |counts| *counts.get(dir));
        Counts {
            packets: before.packets + now.packets,
            bytes: before.bytes + now.bytes,
        }
    }

    /// The key of one direction.
    pub(crate) fn key(&self, dir: Direction) -> N::Key {
        N::Key::from_words(self.cell.side(dir).key)
    }

    /// Packets and bytes of both directions.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let [a, b] = Direction::BOTH.map(|dir| self.counts(dir));
        (a.packets + b.packets, a.bytes + b.bytes)
    }

    /// What the layers decided.
    pub(crate) fn decisions(&self) -> Option<&'a Decisions<N>> {
        self.table.decisions_of(self.id)
    }

    /// What the layer at this place decided.
    pub(crate) fn decision(&self, layer: usize) -> Decision<'a, N> {
        self.decisions()
            .map_or(Decision::None, |decisions| decisions.get(layer))
    }

    /// Its TCP connection, if it has one, as it stands now.
    pub(crate) fn connection(&self) -> Option<Connection> {
        let at = self.cell.connection()?;
        let tracked = self.table.store.connections.get(at)?.lock();
        Some(tracked.connection)
    }

    /// The generation that the decisions were made in.
    pub(crate) fn epoch(&self) -> u32 {
        self.cell.epoch()
    }

    /// When it expires unless a packet comes.
    pub(crate) fn deadline(&self) -> Moment {
        self.cell.deadline()
    }

    pub(crate) fn proto(&self) -> Proto {
        self.kind.proto
    }

    /// Which way its first packet went.
    pub(crate) fn first(&self) -> Direction {
        self.kind.first
    }

    /// The rule that let it in is gone: nothing passes, unless it comes back.
    pub(crate) fn is_revoked(&self) -> bool {
        self.kind.class == Class::Revoked
    }

    /// Something has happened to it since the last packet: it is to be looked at before the next one passes.
    pub(crate) fn is_doubtful(&self, epoch: u32, now: Moment) -> bool {
        self.epoch() != epoch || self.is_revoked() || self.deadline() <= now
    }

    /// What it would be if it were not revoked.
    pub(super) fn class_now(&self) -> Class {
        let both_ways = Direction::BOTH
            .into_iter()
            .all(|dir| self.cell.counts(dir).packets != 0);
        Class::of_flow(self.kind.proto, self.connection().as_ref(), both_ways)
    }
}
