//! The record of a flow.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::intern::Interned;
use super::list::{Linked, Links};
use super::wheel::TIMER;
use crate::Direction;
use crate::action::Descriptor;
use crate::direction::PerDirection;
use crate::network::Network;
use crate::time::Moment;

/// The list number of the lists that flows are displaced from.
pub(super) const RANK: usize = 1;

/// All that is known of one flow: both directions, what each layer decided, and how long it lives.
pub(crate) struct Flow<N: Network> {
    pub(crate) sides: PerDirection<Side<N::Key>>,
    pub(crate) decisions: Decisions<N>,
    /// When it expires unless a packet comes.
    pub(crate) deadline: Moment,
    pub(super) timer_links: Links,
    pub(super) rank_links: Links,
    /// The generation that the decisions were made in.
    pub(crate) epoch: u32,
    /// The number of its TCP connection, if it has one.
    pub(crate) tcp: u32,
    pub(super) timer_slot: u16,
    pub(crate) class: Class,
    pub(crate) proto: Proto,
    /// Which way its first packet went.
    pub(crate) first: Direction,
    /// The rule that let it in is gone: nothing passes, unless it comes back.
    pub(crate) revoked: bool,
}

/// One direction of a flow.
pub(crate) struct Side<K> {
    pub(crate) key: K,
    /// Where the innermost IP header stands in frames of this direction.
    pub(crate) l3: u8,
    /// What is done to its packets; `None` if the first packet could not tell.
    pub(crate) program: Option<Interned>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// What a flow is, as far as its life time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proto {
    Tcp,
    Udp,
    Icmp,
    Other,
}

/// How long a flow lives without packets, and what it is worth when the table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Class {
    Revoked,
    TcpClosed,
    TcpHalfOpen,
    TcpClosing,
    TcpEstablished,
    UdpOneWay,
    UdpBothWays,
    Icmp,
    Other,
    OtherBothWays,
}

impl Class {
    pub(super) const COUNT: usize = 10;

    /// In which list the flow waits to be displaced, the first one first; `None` if it never is.
    pub(super) fn rank(self) -> Option<usize> {
        match self {
            Class::Revoked | Class::TcpClosed => Some(0),
            Class::TcpClosing => Some(1),
            Class::TcpHalfOpen | Class::UdpOneWay | Class::Icmp | Class::Other => Some(2),
            Class::TcpEstablished | Class::UdpBothWays | Class::OtherBothWays => None,
        }
    }
}

/// Ranks there are.
pub(super) const RANKS: usize = 3;

impl<N: Network> Linked<TIMER> for Flow<N> {
    fn links(&mut self) -> &mut Links {
        &mut self.timer_links
    }
}

impl<N: Network> Linked<RANK> for Flow<N> {
    fn links(&mut self) -> &mut Links {
        &mut self.rank_links
    }
}

/// What the layers decided for a flow, each for both directions.
pub(crate) struct Decisions<N: Network> {
    /// The layers, by bit, that let the flow pass whatever their rules for the other direction say.
    allowed: u16,
    held: Held<N>,
}

/// Descriptors by layer. Most flows have one at most.
enum Held<N: Network> {
    None,
    One(u8, Arc<dyn Descriptor<N>>),
    More(Box<[Entry<N>]>),
}

/// A layer's number and its descriptor.
type Entry<N> = (u8, Arc<dyn Descriptor<N>>);

/// What one layer decided for a flow.
pub(crate) enum Decision<'a, N: Network> {
    /// Nothing: its rules are asked in each direction.
    None,
    /// The flow passes.
    Allow,
    /// The flow is transformed.
    Descriptor(&'a Arc<dyn Descriptor<N>>),
}

impl<N: Network> Decisions<N> {
    pub(crate) const fn new() -> Self {
        Self {
            allowed: 0,
            held: Held::None,
        }
    }

    pub(crate) fn get(&self, layer: usize) -> Decision<'_, N> {
        if let Some(descriptor) = self.descriptor(layer) {
            Decision::Descriptor(descriptor)
        } else if self.allowed >> layer & 1 == 1 {
            Decision::Allow
        } else {
            Decision::None
        }
    }

    /// The layers, by bit, that have decided anything.
    pub(crate) fn layers(&self) -> u16 {
        let held = match &self.held {
            Held::None => 0,
            Held::One(at, _) => 1 << at,
            Held::More(all) => all.iter().fold(0, |layers, (at, _)| layers | 1 << at),
        };
        self.allowed | held
    }

    pub(crate) fn descriptor(&self, layer: usize) -> Option<&Arc<dyn Descriptor<N>>> {
        match &self.held {
            Held::One(at, descriptor) if usize::from(*at) == layer => Some(descriptor),
            Held::None | Held::One(..) => None,
            Held::More(all) => all
                .iter()
                .find(|(at, _)| usize::from(*at) == layer)
                .map(|(_, descriptor)| descriptor),
        }
    }

    pub(crate) fn allow(&mut self, layer: usize) {
        self.allowed |= 1 << layer;
    }

    pub(crate) fn hold(&mut self, layer: usize, descriptor: Arc<dyn Descriptor<N>>) {
        let entry = (layer as u8, descriptor);
        self.held = match core::mem::replace(&mut self.held, Held::None) {
            Held::None => Held::One(entry.0, entry.1),
            Held::One(at, one) => Held::More([(at, one), entry].into()),
            Held::More(all) => Held::More(all.into_iter().chain([entry]).collect()),
        };
    }
}
