//! The part of a flow's record that only whoever holds the port's lock sees.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::timeouts::Timeouts;
use crate::action::Descriptor;
use crate::network::Network;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::tcp::{Connection, TcpState};

/// The list number of the lists that flows are displaced from.
pub(super) const RANK: usize = 1;

/// What a flow is, as far as its life time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Proto {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Proto {
    /// Of its number.
    #[inline(always)]
    pub(crate) fn of(number: u32) -> Self {
        match number & 3 {
            0 => Self::Tcp,
            1 => Self::Udp,
            2 => Self::Icmp,
            _ => Self::Other,
        }
    }
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
    /// Of its number.
    #[inline(always)]
    pub(super) fn of(number: u32) -> Self {
        match number {
            0 => Self::Revoked,
            1 => Self::TcpClosed,
            2 => Self::TcpHalfOpen,
            3 => Self::TcpClosing,
            4 => Self::TcpEstablished,
            5 => Self::UdpOneWay,
            6 => Self::UdpBothWays,
            7 => Self::Icmp,
            9 => Self::OtherBothWays,
            _ => Self::Other,
        }
    }

    /// The class of a flow that is not revoked.
    #[inline(always)]
    pub(super) fn of_flow(proto: Proto, connection: Option<&Connection>, both_ways: bool) -> Self {
        match (proto, connection) {
            (Proto::Tcp, Some(connection)) => match connection.state() {
                TcpState::Closed => Class::TcpClosed,
                TcpState::Established if connection.is_confirmed() => Class::TcpEstablished,
                TcpState::Listen
                | TcpState::SynSent
                | TcpState::SynRcvd
                | TcpState::Established => Class::TcpHalfOpen,
                _ => Class::TcpClosing,
            },
            (Proto::Udp, _) if both_ways => Class::UdpBothWays,
            (Proto::Udp, _) => Class::UdpOneWay,
            (Proto::Icmp, _) => Class::Icmp,
            _ if both_ways => Class::OtherBothWays,
            _ => Class::Other,
        }
    }

    /// Whether packets prolong the flow. What comes after its end does not.
    #[inline(always)]
    pub(super) fn is_prolonged(self) -> bool {
        !matches!(self, Class::Revoked | Class::TcpClosed)
    }

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

/// Nanoseconds that flows live without packets, by class.
#[derive(Debug)]
pub(super) struct Lifetimes([AtomicU64; 16]);

impl Lifetimes {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        let lifetimes = Self([const { 0 }; 16].map(AtomicU64::new));
        lifetimes.set(timeouts);
        lifetimes
    }

    /// They are so from now on: of a flow from its next packet.
    pub(super) fn set(&self, timeouts: &Timeouts) {
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
            if let Some(place) = self.0.get(class as usize) {
                let nanos = u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX);
                place.store(nanos, Ordering::Relaxed);
            }
        }
    }

    #[inline(always)]
    pub(super) fn of(&self, class: Class) -> u64 {
        self.of_number(class as u32)
    }

    #[inline(always)]
    pub(super) fn of_number(&self, class: u32) -> u64 {
        let Self(lifetimes) = self;
        let lifetime = lifetimes.get(class as usize % 16);
        lifetime.map_or(0, |lifetime| lifetime.load(Ordering::Relaxed))
    }
}

/// What the layers decided for a flow, each for both directions. Of the layers by bit, those in `allowed` let the flow pass
/// whatever their rules for the other direction say.
pub(crate) enum Decisions<N: Network> {
    /// No layer has a descriptor. Most flows have one at most.
    None {
        allowed: u16,
    },
    One {
        allowed: u16,
        at: u8,
        descriptor: Arc<dyn Descriptor<N>>,
    },
    More {
        allowed: u16,
        all: Box<[Entry<N>]>,
    },
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
        Self::None { allowed: 0 }
    }

    pub(crate) fn get(&self, layer: usize) -> Decision<'_, N> {
        if let Some(descriptor) = self.descriptor(layer) {
            Decision::Descriptor(descriptor)
        } else if self.allowed() >> layer & 1 == 1 {
            Decision::Allow
        } else {
            Decision::None
        }
    }

    /// The layers, by bit, that have decided anything.
    pub(crate) fn layers(&self) -> u16 {
        let held = match self {
            Self::None { .. } => 0,
            Self::One { at, .. } => 1 << at,
            Self::More { all, .. } => all.iter().fold(0, |layers, (at, _)| layers | 1 << at),
        };
        self.allowed() | held
    }

    pub(crate) fn descriptor(&self, layer: usize) -> Option<&Arc<dyn Descriptor<N>>> {
        match self {
            Self::One { at, descriptor, .. } if usize::from(*at) == layer => Some(descriptor),
            Self::None { .. } | Self::One { .. } => None,
            Self::More { all, .. } => all
                .iter()
                .find(|(at, _)| usize::from(*at) == layer)
                .map(|(_, descriptor)| descriptor),
        }
    }

    pub(crate) fn allow(&mut self, layer: usize) {
        let (Self::None { allowed } | Self::One { allowed, .. } | Self::More { allowed, .. }) =
            self;
        *allowed |= 1 << layer;
    }

    pub(crate) fn hold(&mut self, layer: usize, descriptor: Arc<dyn Descriptor<N>>) {
        let entry = (layer as u8, descriptor);
        *self = match core::mem::replace(self, Self::new()) {
            Self::None { allowed } => Self::One {
                allowed,
                at: entry.0,
                descriptor: entry.1,
            },
            Self::One {
                allowed,
                at,
                descriptor,
            } => Self::More {
                allowed,
                all: [(at, descriptor), entry].into(),
            },
            Self::More { allowed, all } => Self::More {
                allowed,
                all: all.into_iter().chain([entry]).collect(),
            },
        };
    }

    fn allowed(&self) -> u16 {
        let (Self::None { allowed } | Self::One { allowed, .. } | Self::More { allowed, .. }) =
            self;
        *allowed
    }
}
