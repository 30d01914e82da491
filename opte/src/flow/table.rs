//! The flow table of a port.

use opte_headers::program::Program;

use super::hash::HashSeed;
use super::index::Index;
use super::intern::Interner;
use super::key::Key;
use super::list::{Links, List};
use super::record::{Class, Decisions, Flow, Proto, RANK, RANKS, Side};
use super::slab::Slab;
use super::timeouts::Timeouts;
use super::wheel::Wheel;
use crate::Direction;
use crate::direction::PerDirection;
use crate::network::Network;
use crate::port::MAX_LAYERS;
use crate::tcp::{Connection, TcpState};
use crate::time::Moment;

/// The flows of a port, found by the key of either direction.
///
/// Insertion, displacement and expiry take constant time; nothing ever looks at all flows.
pub(crate) struct FlowTable<N: Network> {
    flows: Slab<Flow<N>>,
    connections: Slab<Connection>,
    index: Index,
    wheel: Wheel,
    ranks: [List<RANK>; RANKS],
    programs: Interner,
    seed: HashSeed,
    limit: u32,
    lifetimes: Lifetimes,
    revoked: u32,
    /// Connections of revoked flows.
    revoked_connections: u32,
    decided_by: [u32; MAX_LAYERS],
    counters: TableCounters,
}

/// What became of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounters {
    /// Flows made.
    pub created: u64,
    /// Flows that expired.
    pub expired: u64,
    /// Flows displaced by new ones because the table was full.
    pub displaced: u64,
    /// New flows refused because the table was full of better ones.
    pub refused: u64,
    /// The most flows there ever were at once.
    pub high_water: u32,
}

/// A flow that is to be entered.
pub(crate) struct NewFlow<N: Network> {
    pub(crate) first: Direction,
    pub(crate) proto: Proto,
    pub(crate) connection: Option<Connection>,
    pub(crate) epoch: u32,
    pub(crate) decisions: Decisions<N>,
    /// In the direction of the first packet.
    pub(crate) forward: NewSide<N::Key>,
    /// In the other direction, if it could be told.
    pub(crate) back: Option<NewSide<N::Key>>,
}

/// One direction of a new flow.
pub(crate) struct NewSide<K> {
    pub(crate) key: K,
    pub(crate) l3: u8,
    pub(crate) program: Program,
}

/// What an expiry came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Flows removed.
    pub flows: u32,
    /// Whether the slice was used up: there may be more to expire already.
    pub more: bool,
}

/// What a packet of a known flow changes.
pub(crate) struct Parts<'a, N: Network> {
    pub(crate) flow: &'a mut Flow<N>,
    /// Its TCP connection, if it has one.
    pub(crate) connection: Option<&'a mut Connection>,
    lifetimes: &'a Lifetimes,
}

impl<N: Network> Parts<'_, N> {
    /// Counts a packet of `len` bytes and prolongs the flow. Says whether the flow is of its class still: if not,
    /// [`FlowTable::touch`] is to follow.
    #[inline]
    pub(crate) fn count(&mut self, dir: Direction, len: usize, now: Moment) -> bool {
        let side = self.flow.sides.get_mut(dir);
        side.packets += 1;
        side.bytes += len as u64;
        let settled = match &self.connection {
            Some(connection) => {
                self.flow.class == Class::TcpEstablished
                    && connection.state() == TcpState::Established
            }
            None => side.packets > 1,
        };
        if settled {
            let lifetime = self
                .lifetimes
                .get(self.flow.class as usize)
                .copied()
                .unwrap_or_default();
            self.flow.deadline = now.plus_nanos(lifetime);
        }
        settled
    }
}

/// Nanoseconds, by class.
type Lifetimes = [u64; Class::COUNT];

/// No connection.
const NO_CONNECTION: u32 = u32::MAX;

impl<N: Network> FlowTable<N> {
    pub(crate) fn new(seed: HashSeed, limit: u32, timeouts: &Timeouts) -> Self {
        let limit = limit.min(u32::MAX >> 2);
        Self {
            flows: Slab::new(),
            connections: Slab::new(),
            index: Index::new(limit as usize * 2),
            wheel: Wheel::new(),
            ranks: [List::EMPTY; RANKS],
            programs: Interner::default(),
            seed,
            limit,
            lifetimes: lifetimes(timeouts),
            revoked: 0,
            revoked_connections: 0,
            decided_by: [0; MAX_LAYERS],
            counters: TableCounters::default(),
        }
    }

    /// A table with no flows in the place of this one, which is returned to be freed at leisure.
    pub(crate) fn take(&mut self) -> Self {
        let fresh = Self {
            flows: Slab::new(),
            connections: Slab::new(),
            index: Index::new(self.limit as usize * 2),
            wheel: Wheel::new(),
            ranks: [List::EMPTY; RANKS],
            programs: Interner::default(),
            seed: self.seed.clone(),
            counters: self.counters,
            revoked: 0,
            revoked_connections: 0,
            decided_by: [0; MAX_LAYERS],
            ..*self
        };
        core::mem::replace(self, fresh)
    }

    /// Flows that may have packets.
    pub(crate) fn len(&self) -> u32 {
        self.flows.len() - self.revoked
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Flows that the layer at this place has decided over.
    pub(crate) fn decided_by(&self, layer: usize) -> u32 {
        self.decided_by.get(layer).copied().unwrap_or_default()
    }

    pub(crate) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// Connections of flows that may have packets.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.len() - self.revoked_connections
    }

    pub(crate) fn counters(&self) -> &TableCounters {
        &self.counters
    }

    /// Numbers of flows are below this one.
    pub(crate) fn end(&self) -> u32 {
        self.flows.end()
    }

    /// The flow whose packets that go `dir` have this key.
    #[inline(always)]
    pub(crate) fn find(&self, dir: Direction, hash: u32, key: &N::Key) -> Option<u32> {
        let value = self.index.find(hash, |value| {
            let (id, side) = of_value(value);
            side == dir
                && self
                    .flows
                    .get(id)
                    .is_some_and(|flow| flow.sides.get(dir).key == *key)
        })?;
        Some(of_value(value).0)
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&Flow<N>> {
        self.flows.get(id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Flow<N>> {
        self.flows.get_mut(id)
    }

    pub(crate) fn connection(&self, flow: &Flow<N>) -> Option<&Connection> {
        self.connections.get(flow.tcp)
    }

    /// The flow and its connection, to be changed.
    #[inline]
    pub(crate) fn parts_mut(&mut self, id: u32) -> Option<Parts<'_, N>> {
        let flow = self.flows.get_mut(id)?;
        let connection = if flow.proto == Proto::Tcp {
            self.connections.get_mut(flow.tcp)
        } else {
            None
        };
        Some(Parts {
            flow,
            connection,
            lifetimes: &self.lifetimes,
        })
    }

    /// Whether a new flow would find a place without anything having to expire.
    pub(crate) fn may_enter(&self) -> bool {
        self.flows.len() < self.limit || self.ranks.iter().any(|rank| rank.head().is_some())
    }

    /// Whether a new flow would find a place.
    pub(crate) fn has_room(&mut self, now: Moment) -> bool {
        if self.may_enter() {
            return true;
        }
        self.expire(now, 4);
        if self.flows.len() < self.limit {
            return true;
        }
        self.counters.refused += 1;
        false
    }

    /// Enters a flow. There is room, and none has its key in the direction of the first packet.
    pub(crate) fn insert(&mut self, now: Moment, new: NewFlow<N>) -> u32 {
        if self.flows.len() >= self.limit {
            self.displace(now);
        }
        let class = class_of(new.proto, new.connection.as_ref(), false);
        let nowhere = |key| Side {
            key,
            l3: 0,
            program: None,
            packets: 0,
            bytes: 0,
        };
        let back_key = new.back.as_ref().map_or(new.forward.key, |back| back.key);
        let (inbound, outbound) = match new.first {
            Direction::In => (new.forward.key, back_key),
            Direction::Out => (back_key, new.forward.key),
        };
        let id = self.flows.insert(Flow {
            sides: PerDirection {
                inbound: nowhere(inbound),
                outbound: nowhere(outbound),
            },
            decisions: Decisions::new(),
            deadline: now,
            timer_links: Links::NONE,
            rank_links: Links::NONE,
            epoch: new.epoch,
            tcp: new.connection.map_or(NO_CONNECTION, |connection| {
                self.connections.insert(connection)
            }),
            timer_slot: 0,
            class,
            proto: new.proto,
            first: new.first,
            revoked: false,
        });
        self.set_decisions(id, new.decisions);
        self.set_side(id, new.first, Some(new.forward));
        self.set_side(id, new.first.opposite(), new.back);
        let deadline = now.plus_nanos(self.lifetime(class));
        let slot = self.wheel.insert(&mut self.flows, id, now, deadline);
        if let Some(flow) = self.flows.get_mut(id) {
            flow.deadline = deadline;
            flow.timer_slot = slot;
        }
        self.join_rank(id, class);
        self.counters.created += 1;
        self.counters.high_water = self.counters.high_water.max(self.flows.len());
        id
    }

    /// Gives a direction of a flow its key and program, in the place of those it had. A key that another flow has
    /// already is left to that flow.
    pub(crate) fn set_side(&mut self, id: u32, dir: Direction, new: Option<NewSide<N::Key>>) {
        let Some(side) = self.flows.get_mut(id).map(|flow| flow.sides.get_mut(dir)) else {
            return;
        };
        let (old_key, old) = (side.key, side.program.take());
        let same_key = new.as_ref().is_some_and(|new| new.key == old_key);
        if let Some(old) = old {
            self.programs.release(old);
            if !same_key {
                self.index
                    .remove(old_key.hash(&self.seed), value_of(id, dir));
            } else if let (Some(new), Some(flow)) = (&new, self.flows.get_mut(id)) {
                let side = flow.sides.get_mut(dir);
                side.l3 = new.l3;
                side.program = Some(self.programs.intern(&new.program));
                return;
            }
        }
        let Some(new) = new else { return };
        let hash = new.key.hash(&self.seed);
        if self
            .find(dir, hash, &new.key)
            .is_some_and(|other| other != id)
        {
            return;
        }
        self.index.insert(hash, value_of(id, dir));
        if let Some(flow) = self.flows.get_mut(id) {
            let side = flow.sides.get_mut(dir);
            side.key = new.key;
            side.l3 = new.l3;
            side.program = Some(self.programs.intern(&new.program));
        }
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, id: u32) {
        let _ = self.take_out(id);
    }

    fn take_out(&mut self, id: u32) -> Option<()> {
        let flow = self.flows.get(id)?;
        let (slot, class) = (flow.timer_slot, flow.class);
        self.wheel.remove(&mut self.flows, id, slot);
        self.leave_rank(id, class);
        self.set_decisions(id, Decisions::new());
        let mut flow = self.flows.remove(id)?;
        let connection = self.connections.remove(flow.tcp);
        self.revoked -= u32::from(flow.revoked);
        self.revoked_connections -= u32::from(flow.revoked && connection.is_some());
        for dir in Direction::BOTH {
            let side = flow.sides.get_mut(dir);
            if let Some(program) = side.program.take() {
                self.programs.release(program);
                self.index
                    .remove(side.key.hash(&self.seed), value_of(id, dir));
            }
        }
        Some(())
    }

    /// Notes what the layers decided over a flow; gives what they had decided before.
    pub(crate) fn set_decisions(&mut self, id: u32, decisions: Decisions<N>) -> Decisions<N> {
        let Some(flow) = self.flows.get_mut(id) else {
            return decisions;
        };
        let old = core::mem::replace(&mut flow.decisions, decisions);
        let (after, before) = (flow.decisions.layers(), old.layers());
        for (layer, count) in self.decided_by.iter_mut().enumerate() {
            *count += u32::from(after >> layer & 1);
            *count -= u32::from(before >> layer & 1);
        }
        old
    }

    /// Tells a flow's fate after a revalidation: revoked, it passes nothing and is the first to be displaced.
    pub(crate) fn set_revoked(&mut self, id: u32, revoked: bool, now: Moment) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        if flow.revoked == revoked {
            return;
        }
        flow.revoked = revoked;
        let connections = u32::from(flow.tcp != NO_CONNECTION);
        if revoked {
            self.revoked += 1;
            self.revoked_connections += connections;
            self.set_class(id, Class::Revoked, now);
        } else {
            self.revoked -= 1;
            self.revoked_connections -= connections;
            self.touch(id, now);
        }
    }

    /// Sets the flow's class and deadline by what it is now.
    pub(crate) fn touch(&mut self, id: u32, now: Moment) {
        let Some(flow) = self.flows.get(id) else {
            return;
        };
        let both_ways = flow.sides.inbound.packets != 0 && flow.sides.outbound.packets != 0;
        let class = class_of(flow.proto, self.connections.get(flow.tcp), both_ways);
        self.set_class(id, class, now);
    }

    /// Removes flows whose time is over; looks at `slice` flows at most.
    pub(crate) fn expire(&mut self, now: Moment, slice: u32) -> Expired {
        let mut expired = Expired::default();
        for _ in 0..slice {
            let Some((id, slot)) = self.wheel.due(now) else {
                return expired;
            };
            let Some(deadline) = self.flows.get(id).map(|flow| flow.deadline) else {
                return expired;
            };
            if deadline <= now {
                self.remove(id);
                self.counters.expired += 1;
                expired.flows += 1;
            } else {
                self.wheel.remove(&mut self.flows, id, slot);
                let slot = self.wheel.insert(&mut self.flows, id, now, deadline);
                if let Some(flow) = self.flows.get_mut(id) {
                    flow.timer_slot = slot;
                }
            }
        }
        expired.more = true;
        expired
    }

    fn lifetime(&self, class: Class) -> u64 {
        self.lifetimes
            .get(class as usize)
            .copied()
            .unwrap_or_default()
    }

    fn set_class(&mut self, id: u32, class: Class, now: Moment) {
        let deadline = now.plus_nanos(self.lifetime(class));
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        let (old, old_deadline, slot) = (flow.class, flow.deadline, flow.timer_slot);
        let closed = matches!(class, Class::Revoked | Class::TcpClosed);
        if old == class && closed {
            // What comes after the end prolongs nothing.
            return;
        }
        flow.deadline = deadline;
        flow.class = class;
        if old == class {
            return;
        }
        self.leave_rank(id, old);
        self.join_rank(id, class);
        if deadline < old_deadline {
            // The wheel would look at it too late.
            self.wheel.remove(&mut self.flows, id, slot);
            let slot = self.wheel.insert(&mut self.flows, id, now, deadline);
            if let Some(flow) = self.flows.get_mut(id) {
                flow.timer_slot = slot;
            }
        }
    }

    fn join_rank(&mut self, id: u32, class: Class) {
        if let Some(rank) = class.rank().and_then(|rank| self.ranks.get_mut(rank)) {
            rank.push_back(&mut self.flows, id);
        }
    }

    fn leave_rank(&mut self, id: u32, class: Class) {
        if let Some(rank) = class.rank().and_then(|rank| self.ranks.get_mut(rank)) {
            rank.remove(&mut self.flows, id);
        }
    }

    /// Removes the least valuable flow that may be displaced: of the lowest rank that has any the one that has waited
    /// longest, flows in use getting a second chance a bounded number of times.
    fn displace(&mut self, now: Moment) {
        const CHANCES: u32 = 4;
        /// Nanoseconds since the last packet.
        const IN_USE: u64 = 1_000_000_000;
        let Some(rank) = self.ranks.iter().position(|rank| rank.head().is_some()) else {
            return;
        };
        for chance in 1..=CHANCES {
            let Some(id) = self.ranks.get(rank).and_then(List::head) else {
                return;
            };
            let Some(flow) = self.flows.get(id) else {
                return;
            };
            let class = flow.class;
            let in_use =
                flow.deadline > now.plus_nanos(self.lifetime(class).saturating_sub(IN_USE));
            if in_use && chance < CHANCES {
                self.leave_rank(id, class);
                self.join_rank(id, class);
                continue;
            }
            self.remove(id);
            self.counters.displaced += 1;
            return;
        }
    }
}

fn class_of(proto: Proto, connection: Option<&Connection>, both_ways: bool) -> Class {
    match (proto, connection) {
        (Proto::Tcp, Some(connection)) => match connection.state() {
            TcpState::Closed => Class::TcpClosed,
            TcpState::Established if connection.is_confirmed() => Class::TcpEstablished,
            TcpState::Listen | TcpState::SynSent | TcpState::SynRcvd | TcpState::Established => {
                Class::TcpHalfOpen
            }
            _ => Class::TcpClosing,
        },
        (Proto::Udp, _) if both_ways => Class::UdpBothWays,
        (Proto::Udp, _) => Class::UdpOneWay,
        (Proto::Icmp, _) => Class::Icmp,
        _ if both_ways => Class::OtherBothWays,
        _ => Class::Other,
    }
}

fn lifetimes(timeouts: &Timeouts) -> Lifetimes {
    let mut lifetimes = [0; Class::COUNT];
    for (class, lifetime) in [
        (Class::Revoked, timeouts.tcp_closing),
        (Class::TcpClosed, timeouts.tcp_half_open),
        (Class::TcpHalfOpen, timeouts.tcp_half_open),
        (Class::TcpClosing, timeouts.tcp_closing),
        (Class::TcpEstablished, timeouts.tcp_established),
        (Class::UdpOneWay, timeouts.udp_one_way),
        (Class::UdpBothWays, timeouts.udp_both_ways),
        (Class::Icmp, timeouts.icmp),
        (Class::Other, timeouts.other),
        (Class::OtherBothWays, timeouts.other),
    ] {
        if let Some(place) = lifetimes.get_mut(class as usize) {
            *place = u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX);
        }
    }
    lifetimes
}

/// Zero is no value: it marks a free slot of the index.
fn value_of(id: u32, dir: Direction) -> u32 {
    (id + 1) << 1 | dir as u32
}

#[inline]
fn of_value(value: u32) -> (u32, Direction) {
    let dir = if value & 1 == Direction::Out as u32 {
        Direction::Out
    } else {
        Direction::In
    };
    ((value >> 1).wrapping_sub(1), dir)
}
