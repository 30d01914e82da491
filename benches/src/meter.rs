//! Measures a series of operations in the unit of its row.

use std::time::{Duration, Instant};

use crate::{Row, Unit, allocation};

/// What a row's `run` hands its work to.
#[derive(Debug)]
pub struct Meter {
    unit: Unit,
    operations: u64,
    total: f64,
    longest: Duration,
    second: Option<(f64, u64)>,
    found: Option<f64>,
}

/// Runs for the best time of several.
const RUNS: usize = 7;

/// No further run is begun after this.
const PATIENCE: Duration = Duration::from_secs(12);

impl Meter {
    /// Measures a row in this process; for one operation, in the row's unit. Of instructions it gives the number of operations
    /// instead: callgrind, around this process, has the sum.
    pub fn measure(row: &Row) -> f64 {
        let runs = if row.unit.is_timed() { RUNS } else { 1 };
        let better = if row.unit.is_yield() {
            f64::max
        } else {
            f64::min
        };
        let start = Instant::now();
        let one = |_| {
            let mut meter = Self {
                unit: row.unit,
                operations: 0,
                total: 0.0,
                longest: Duration::ZERO,
                second: None,
                found: None,
            };
            (row.run)(&mut meter);
            meter.result()
        };
        (0..runs)
            .take_while(|run| *run == 0 || start.elapsed() < PATIENCE)
            .map(one)
            .reduce(better)
            .unwrap_or(f64::NAN)
    }

    /// The measured part: `operation(0)` to `operation(count - 1)`. What an operation needs, such as a fresh frame, is prepared
    /// before; what it leaves is kept until after.
    pub fn each(&mut self, count: usize, mut operation: impl FnMut(usize)) {
        self.operations += count as u64;
        match self.unit {
            Unit::Instructions => collected(count, &mut operation),
            Unit::Allocations => {
                let before = allocation::calls();
                collected(count, &mut operation);
                self.total += (allocation::calls() - before) as f64;
            }
            Unit::Bytes => {
                let before = allocation::live();
                collected(count, &mut operation);
                self.total += (allocation::live() - before) as f64;
            }
            Unit::Nanoseconds | Unit::Times | Unit::PerSecond => {
                let start = Instant::now();
                collected(count, &mut operation);
                self.total += start.elapsed().as_nanos() as f64;
            }
            Unit::LongestMicroseconds => {
                for at in 0..count {
                    let start = Instant::now();
                    operation(at);
                    self.longest = self.longest.max(start.elapsed());
                }
            }
            Unit::Microseconds | Unit::TimesFaster | Unit::Packets | Unit::PercentLost => {
                collected(count, &mut operation);
            }
        }
    }

    /// The measured part, where one call does `count` operations.
    pub fn burst(&mut self, count: usize, mut operations: impl FnMut()) {
        self.each(1, |_| operations());
        self.operations += (count as u64).saturating_sub(1);
    }

    /// The second series of a row in [`Unit::Times`], measured as the first, whose time for one operation it is divided by.
    pub fn against(&mut self, count: usize, mut operation: impl FnMut(usize)) {
        let start = Instant::now();
        collected(count, &mut operation);
        let (total, operations) = self.second.unwrap_or_default();
        let total = total + start.elapsed().as_nanos() as f64;
        self.second = Some((total, operations + count as u64));
    }

    /// What a row has measured by itself, in its unit: several threads, or a whole of many different operations.
    pub fn found(&mut self, value: f64) {
        self.found = Some(value);
    }

    fn result(&self) -> f64 {
        let mean = self.total / self.operations.max(1) as f64;
        match (self.unit, self.second, self.found) {
            (_, _, Some(found)) => found,
            (Unit::Instructions, ..) => self.operations as f64,
            (Unit::LongestMicroseconds, ..) => self.longest.as_nanos() as f64 / 1000.0,
            (Unit::Times, Some((total, operations)), _) => total / operations.max(1) as f64 / mean,
            (Unit::PerSecond, ..) => 1e9 / mean,
            _ => mean,
        }
    }
}

/// Callgrind collects inside this function only: its name is what a [`report`](crate::report) tells it.
#[inline(never)]
fn collected(count: usize, operation: &mut impl FnMut(usize)) {
    for at in 0..count {
        operation(at);
    }
}
