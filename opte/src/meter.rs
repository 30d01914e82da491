//! Meters: how much a guest may send or be sent.
//!
//! A port has one for each direction. Packets beyond it are dropped where they come in, before anything is done with them; flows beyond it
//! are not begun. Each of the three rates is a virtual schedule (the generic cell rate algorithm, ITU-T I.371): a number that packets
//! of all workers move on, each in one step and without a lock.

mod bucket;
mod text;

use core::num::NonZeroU32;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::DropReason;
use crate::api::OpteError;
use crate::direction::PerDirection;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::time::Moment;
use bucket::Bucket;

pub use text::{MeterTextError, parse_burst, parse_rate};

/// How much may go one way through a port. Written `packets=10k/s bits=1Gbit/s new-flows=1k/s flows=100000 burst=100ms`, each part
/// at most once, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct MeterLimits {
    /// Packets in a second; a super-packet is as many as it will be cut into.
    pub packets: Option<u64>,
    /// Bits in a second, of the guest's frames from their Ethernet header to the end of their IP packet.
    pub bits: Option<u64>,
    /// Flows begun in a second.
    pub new_flows: Option<u64>,
    /// Flows there may be at once that were begun this way.
    pub flows: Option<u32>,
    /// How many milliseconds of the rates may pass at once, after as long a pause.
    pub burst_ms: u32,
}

impl MeterLimits {
    /// No limits.
    pub const NONE: Self = Self {
        packets: None,
        bits: None,
        new_flows: None,
        flows: None,
        burst_ms: Self::DEFAULT_BURST_MS,
    };

    /// What passes at once if nothing is said, in milliseconds of the rates.
    pub const DEFAULT_BURST_MS: u32 = 100;

    /// The longest burst, in milliseconds.
    pub const MAX_BURST_MS: u32 = 10_000;

    /// The highest rate of packets and of new flows.
    pub const MAX_PACKETS: u64 = 1_000_000_000;

    /// The lowest rate of bits: a frame of 64 KiB takes a minute.
    pub const MIN_BITS: u64 = 8_000;

    /// The highest rate of bits.
    pub const MAX_BITS: u64 = 1_000_000_000_000;

    /// Whether nothing is limited.
    pub const fn is_none(&self) -> bool {
        self.packets.is_none()
            && self.bits.is_none()
            && self.new_flows.is_none()
            && self.flows.is_none()
    }

    /// Checks that limits can be kept.
    pub fn validate(&self) -> Result<(), OpteError> {
        let ranges = [
            ("packets", self.packets, 1, Self::MAX_PACKETS),
            ("bits", self.bits, Self::MIN_BITS, Self::MAX_BITS),
            ("new flows", self.new_flows, 1, Self::MAX_PACKETS),
        ];
        for (name, rate, least, most) in ranges {
            if let Some(rate) = rate.filter(|rate| !(least..=most).contains(rate)) {
                return Err(invalid(
                    name,
                    format_args!("{rate}/s is not from {least}/s to {most}/s"),
                ));
            }
        }
        if self.flows == Some(0) {
            return Err(invalid("flows", format_args!("0 would be none at all")));
        }
        let most = Self::MAX_BURST_MS;
        if !(1..=most).contains(&self.burst_ms) {
            let burst = self.burst_ms;
            return Err(invalid(
                "burst",
                format_args!("{burst} ms is not from 1 ms to {most} ms"),
            ));
        }
        Ok(())
    }
}

impl Default for MeterLimits {
    fn default() -> Self {
        Self::NONE
    }
}

fn invalid(name: &str, reason: core::fmt::Arguments<'_>) -> OpteError {
    OpteError::InvalidArgument {
        name: name.into(),
        reason: alloc::format!("{reason}"),
    }
}

/// The meters of a port. What packets write here stands apart from what they only read.
#[derive(Debug, Default)]
pub(crate) struct Meters(PerDirection<Meter>);

#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Meter {
    packets: Bucket,
    bits: Bucket,
    new_flows: Bucket,
    /// Zero: as many as there is room for.
    flows: AtomicU32,
}

/// How much a packet counts for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    pub(crate) packets: u64,
    pub(crate) bits: u64,
}

impl Meters {
    pub(crate) fn of(&self, dir: crate::Direction) -> &Meter {
        self.0.get(dir)
    }

    /// Whether any packet has to be shown to [`Meter::admit`].
    pub(crate) fn ask_packets(&self) -> bool {
        crate::Direction::BOTH.iter().any(|dir| {
            let meter = self.of(*dir);
            meter.packets.is_set() || meter.bits.is_set()
        })
    }
}

impl Meter {
    /// Sets the limits; what has passed before still counts. Packets that pass meanwhile may see some limits of before and some of now.
    pub(crate) fn set(&self, limits: &MeterLimits) {
        self.packets.set(limits.packets, limits.burst_ms);
        self.bits.set(limits.bits, limits.burst_ms);
        self.new_flows.set(limits.new_flows, limits.burst_ms);
        let flows = limits.flows.unwrap_or_default();
        self.flows.store(flows, Ordering::Relaxed);
    }

    /// Lets a packet pass, and counts it; or not, and nothing is counted.
    pub(crate) fn admit(&self, now: Moment, charge: Charge) -> Result<(), DropReason> {
        let Some(paid) = self.packets.take(now, charge.packets) else {
            return Err(DropReason::MeterPackets);
        };
        if self.bits.take(now, charge.bits).is_none() {
            self.packets.give_back(paid);
            return Err(DropReason::MeterBits);
        }
        Ok(())
    }

    /// Whether [`Meter::admit`] would let a packet pass.
    pub(crate) fn would_admit(&self, now: Moment) -> Result<(), DropReason> {
        if !self.packets.has_some(now) {
            return Err(DropReason::MeterPackets);
        }
        if !self.bits.has_some(now) {
            return Err(DropReason::MeterBits);
        }
        Ok(())
    }

    /// Whether a flow may begin, where there are `flows` already.
    pub(crate) fn may_begin(&self, now: Moment, flows: u32) -> Result<(), DropReason> {
        let most = NonZeroU32::new(self.flows.load(Ordering::Relaxed));
        if most.is_some_and(|most| flows >= most.get()) {
            return Err(DropReason::MeterFlows);
        }
        if !self.new_flows.has_some(now) {
            return Err(DropReason::MeterNewFlows);
        }
        Ok(())
    }

    /// Counts a flow that has begun.
    pub(crate) fn began(&self, now: Moment) {
        self.new_flows.take(now, 1);
    }
}
