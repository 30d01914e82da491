//! Measures a series of operations in the unit of its row.

use std::time::{Duration, Instant};

use crate::{Row, Unit, allocation};

/// What a row's `run` hands its work to.
#[derive(Debug)]
pub struct Meter {
    unit: Unit,
    total: f64,
    series: Series,
    second: Series,
    found: Option<f64>,
}

/// Runs for the best time of several.
const RUNS: usize = 7;

/// No further run is begun after this.
const PATIENCE: Duration = Duration::from_secs(12);

impl Meter {
    /// Measures a row in this process; for one operation, in the row's unit. Of instructions it gives the number of operations
    /// instead: callgrind, around this process, has the sum.
    ///
    /// Every run does the same, step by step: of each step the least time counts, so that what the system takes for itself in
    /// one run is not in the figure.
    pub fn measure(row: &Row) -> f64 {
        let runs = if row.unit.is_timed() { RUNS } else { 1 };
        let start = Instant::now();
        let one = |_| {
            let mut meter = Self {
                unit: row.unit,
                total: 0.0,
                series: Series::default(),
                second: Series::default(),
                found: None,
            };
            (row.run)(&mut meter);
            meter
        };
        (0..runs)
            .take_while(|run| *run == 0 || start.elapsed() < PATIENCE)
            .map(one)
            .reduce(Self::best)
            .map_or(f64::NAN, |meter| meter.result())
    }

    /// The measured part: `operation(0)` to `operation(count - 1)`. What an operation needs, such as a fresh frame, is prepared
    /// before; what it leaves is kept until after.
    pub fn each(&mut self, count: usize, mut operation: impl FnMut(usize)) {
        match self.unit {
            Unit::Instructions => {
                collected(0..count, &mut operation);
                self.series.operations += count as u64;
            }
            Unit::Allocations => {
                let before = allocation::calls();
                collected(0..count, &mut operation);
                self.series.operations += count as u64;
                self.total += (allocation::calls() - before) as f64;
            }
            Unit::LongestMicroseconds => self.series.time(count, 1, &mut operation),
            _ => self.series.time(count, STEP, &mut operation),
        }
    }

    /// The measured part, where one call does `count` operations.
    pub fn burst(&mut self, count: usize, mut operations: impl FnMut()) {
        self.each(1, |_| operations());
        self.series.operations += (count as u64).saturating_sub(1);
    }

    /// The second series of a row in [`Unit::Times`], measured as the first, whose time for one operation it is divided by.
    pub fn against(&mut self, count: usize, mut operation: impl FnMut(usize)) {
        self.second.time(count, STEP, &mut operation);
    }

    /// As [`Meter::against`], where one call does `count` operations.
    pub fn burst_against(&mut self, count: usize, mut operations: impl FnMut()) {
        self.against(1, |_| operations());
        self.second.operations += (count as u64).saturating_sub(1);
    }

    /// What a row has measured by itself, in its unit: several threads, or a whole of many different operations.
    pub fn found(&mut self, value: f64) {
        self.found = Some(value);
    }

    /// The better of two runs, step by step.
    fn best(self, other: Self) -> Self {
        let better = if self.unit.is_yield() {
            f64::max
        } else {
            f64::min
        };
        Self {
            series: self.series.least(other.series),
            second: self.second.least(other.second),
            found: self.found.zip(other.found).map(|(a, b)| better(a, b)),
            ..self
        }
    }

    fn result(&self) -> f64 {
        match (self.unit, self.found) {
            (_, Some(found)) => found,
            (Unit::Instructions, _) => self.series.operations as f64,
            (Unit::Allocations, _) => self.total / self.series.operations.max(1) as f64,
            (Unit::LongestMicroseconds, _) => self.series.longest() / 1000.0,
            (Unit::Times, _) => self.second.mean() / self.series.mean(),
            (Unit::PerSecond, _) => 1e9 / self.series.mean(),
            _ => self.series.mean(),
        }
    }
}

/// Operations that are timed together, so that the clock costs nothing to speak of.
const STEP: usize = 256;

/// Steps of a series, in nanoseconds each.
#[derive(Debug, Default)]
struct Series {
    operations: u64,
    steps: Vec<f64>,
}

impl Series {
    fn time(&mut self, count: usize, step: usize, operation: &mut impl FnMut(usize)) {
        let (mut from, count) = (0, count.max(1));
        while from < count {
            let to = count.min(from + step);
            let start = Instant::now();
            collected(from..to, operation);
            self.steps.push(start.elapsed().as_nanos() as f64);
            from = to;
        }
        self.operations += count as u64;
    }

    fn least(mut self, other: Self) -> Self {
        for (step, other) in self.steps.iter_mut().zip(other.steps) {
            *step = step.min(other);
        }
        self
    }

    fn mean(&self) -> f64 {
        self.steps.iter().sum::<f64>() / self.operations.max(1) as f64
    }

    fn longest(&self) -> f64 {
        self.steps.iter().copied().fold(0.0, f64::max)
    }
}

/// Callgrind collects inside this function only: its name is what a [`report`](crate::report) tells it.
#[inline(never)]
fn collected(range: std::ops::Range<usize>, operation: &mut impl FnMut(usize)) {
    for at in range {
        operation(at);
    }
}
