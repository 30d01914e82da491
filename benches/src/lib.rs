//! Instructions, allocations, bytes and time per packet, against the budgets of the design.
//!
//! A [`Row`] is one figure: what is measured, in which unit, how much is allowed. Its `run` prepares everything, then hands the
//! work itself to [`Meter::each`], which alone is measured. A [`report`] runs each row in a process of its own, those that count
//! instructions under callgrind.

#![deny(unsafe_code)]

pub mod allocation;
pub mod apply;
pub mod engine;
pub mod frames;
pub mod meter;
pub mod parse;
mod reference;
pub mod report;
pub mod saved;
pub mod scale;
pub mod services;
pub mod switch;

pub use meter::Meter;

use std::fmt;

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, in snake case: the first column of `./figures`.
    pub name: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// How much is allowed, in `unit`; of units that count what is got done, how much is asked for.
    pub budget: f64,
    /// Prepares, and has the meter measure.
    pub run: fn(&mut Meter),
}

/// What a row counts, for one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Instructions, by callgrind.
    Instructions,
    /// Calls of the allocator.
    Allocations,
    /// Bytes that stay allocated.
    Bytes,
    /// Nanoseconds, the mean, of each step the least time of several runs.
    Nanoseconds,
    /// Microseconds, the longest single operation, of each the least time of several runs.
    LongestMicroseconds,
    /// Microseconds for all of it, the least of several runs: see [`Meter::found`].
    Microseconds,
    /// How many times as long a second series of operations takes as the first: see [`Meter::against`].
    Times,
    /// Operations in a second, of each step the least time of several runs. The budget is the least.
    PerSecond,
    /// How many times as much is got done. The budget is the least.
    TimesFaster,
    /// Packets, the fewest of several runs: see [`Meter::found`].
    Packets,
    /// Hundredths that are lost, the least of several runs.
    PercentLost,
}

impl Unit {
    /// Whether more is better, and the budget what is asked for.
    pub const fn is_yield(self) -> bool {
        matches!(self, Self::PerSecond | Self::TimesFaster)
    }

    /// Whether it is read off a clock, so that the best of several runs is taken.
    pub const fn is_timed(self) -> bool {
        !matches!(self, Self::Instructions | Self::Allocations | Self::Bytes)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::Bytes => "bytes",
            Self::Nanoseconds => "ns",
            Self::LongestMicroseconds | Self::Microseconds => "us",
            Self::Times => "times",
            Self::PerSecond => "per_second",
            Self::TimesFaster => "times_faster",
            Self::Packets => "packets",
            Self::PercentLost => "percent_lost",
        })
    }
}

/// Every row there is, in the order of the design's table of budgets.
pub fn rows() -> Vec<Row> {
    [
        parse::ROWS,
        apply::ROWS,
        engine::ROWS,
        services::ROWS,
        scale::ROWS,
        saved::ROWS,
        switch::ROWS,
    ]
    .concat()
}
