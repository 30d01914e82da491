//! A rate that may be exceeded for a while.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::time::Moment;

/// A schedule: each unit is due a fixed time after the one before, and may come so much earlier.
///
/// What has passed in any time is at most what the rate gives in it, the burst, and the rest of one packet that was greater than what
/// was left. Times are in ticks of 1/256 ns and wrap after two years.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Time that one unit takes, in 2^-32 ns. Zero: there is no limit.
    price: AtomicU64,
    /// How far before its time a unit may come, in ticks.
    depth: AtomicU64,
    /// When the next unit would be due, in ticks.
    due: AtomicU64,
}

/// Ticks that were paid for units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid(u64);

const SECOND: u64 = 1_000_000_000;

/// Binary places of a nanosecond in a tick, and in a price.
const TICK: u32 = 8;
const PRICE: u32 = 32;

/// Units that a packet has at most: the bits of the longest frame.
const MOST_UNITS: u64 = 8 << 16;

/// Clocks of workers differ by less than this; what is farther off is a clock that jumped back.
const SKEW: u64 = SECOND << TICK;

impl Bucket {
    /// Sets the rate, in units a second, and the burst in milliseconds of it. `None`: no limit.
    pub(super) fn set(&self, rate: Option<u64>, burst_ms: u32) {
        let price = match rate {
            Some(rate) => (SECOND << PRICE).div_ceil(rate.max(1)),
            None => 0,
        };
        // One unit at least passes, whatever the burst.
        let depth = (u64::from(burst_ms) * 1_000_000) << TICK;
        self.depth.store(depth.max(1), Ordering::Relaxed);
        self.price.store(price, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.price.load(Ordering::Relaxed) != 0
    }

    /// Takes units, all of them as long as any is left. `None` if none is.
    pub(super) fn take(&self, now: Moment, units: u64) -> Option<Paid> {
        let price = self.price.load(Ordering::Relaxed);
        if price == 0 {
            return Some(Paid(0));
        }
        let (now, cost) = (ticks(now), cost(price, units));
        let depth = self.depth.load(Ordering::Relaxed);
        let mut due = self.due.load(Ordering::Relaxed);
        loop {
            let (next, passes) = match Place::of(due, now, depth, price) {
                Place::Idle => (now.wrapping_add(cost), true),
                Place::Within => (due.wrapping_add(cost), true),
                Place::Beyond => return None,
                // The clock jumped back: as good as empty, so that nobody gains by it.
                Place::Elsewhere => (now.wrapping_add(depth), false),
            };
            let order = Ordering::Relaxed;
            match self.due.compare_exchange_weak(due, next, order, order) {
                Ok(_) => return passes.then_some(Paid(cost)),
                Err(seen) => due = seen,
            }
        }
    }

    /// Takes nothing, and says whether [`Bucket::take`] would have.
    pub(super) fn has_some(&self, now: Moment) -> bool {
        let price = self.price.load(Ordering::Relaxed);
        let depth = self.depth.load(Ordering::Relaxed);
        let due = self.due.load(Ordering::Relaxed);
        price == 0
            || matches!(
                Place::of(due, ticks(now), depth, price),
                Place::Idle | Place::Within
            )
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, Paid(cost): Paid) {
        self.due.fetch_sub(cost, Ordering::Relaxed);
    }
}

/// Where the next unit's time lies, seen from now.
enum Place {
    /// Behind.
    Idle,
    /// Ahead, by less than the burst.
    Within,
    /// Ahead, by the burst or more.
    Beyond,
    /// Farther ahead than it can have come.
    Elsewhere,
}

impl Place {
    fn of(due: u64, now: u64, depth: u64, price: u64) -> Self {
        let ahead = due.wrapping_sub(now);
        if ahead > 1 << 63 || ahead == 0 {
            Self::Idle
        } else if ahead < depth {
            Self::Within
        } else if ahead <= depth + cost(price, MOST_UNITS) + SKEW {
            Self::Beyond
        } else {
            Self::Elsewhere
        }
    }
}

fn ticks(now: Moment) -> u64 {
    now.as_nanos() << TICK
}

/// The time that units take, in ticks, rounded up.
fn cost(price: u64, units: u64) -> u64 {
    let exact = u128::from(price) * u128::from(units.min(MOST_UNITS));
    exact.div_ceil(1 << (PRICE - TICK)) as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicU64 as Count;
    use std::thread;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn bucket(rate: u64, burst_ms: u32) -> Bucket {
        let bucket = Bucket::default();
        bucket.set(Some(rate), burst_ms);
        bucket
    }

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let bucket = bucket(1_000, 10);
        let start = 5 * SECOND;
        let passed = |now| {
            (0..100)
                .filter(|_| bucket.take(at(now), 1).is_some())
                .count()
        };
        assert_eq!(passed(start), 10);
        // As soon as anything is left again, a unit passes.
        assert_eq!(passed(start + 1), 1);
        assert_eq!(passed(start + 999_999), 0);
        assert_eq!(passed(start + 1_000_001), 1);
        assert_eq!(passed(start + 4_000_001), 3);
        // However long the pause, no more than the burst.
        assert_eq!(passed(start + 3600 * SECOND), 10);
    }

    #[test]
    fn a_packet_greater_than_the_burst_passes_and_is_paid_for() {
        // 800 bits at once; a packet has 12,000.
        let bucket = bucket(8_000, 100);
        assert!(bucket.take(at(SECOND), 12_000).is_some());
        assert!(bucket.take(at(SECOND), 8).is_none());
        let paid = SECOND + 1_500_000_000;
        assert!(bucket.take(at(paid - 100_000_001), 8).is_none());
        assert!(bucket.take(at(paid - 99_000_000), 8).is_some());
    }

    #[test]
    fn without_a_limit_all_pass() {
        let bucket = Bucket::default();
        assert!((0..10_000).all(|_| bucket.take(at(0), 1 << 20).is_some()));
        assert!(bucket.has_some(at(0)));
    }

    #[test]
    fn a_clock_that_jumps_back_stops_nothing_for_long_and_gives_nothing() {
        let bucket = bucket(1_000, 10);
        let passed = |now| {
            (0..100)
                .filter(|_| bucket.take(at(now), 1).is_some())
                .count()
        };
        assert_eq!(passed(3600 * SECOND), 10);
        // An hour back: no burst anew, but the rate.
        assert_eq!(passed(SECOND), 0);
        assert_eq!(passed(SECOND + 1_000_000), 1);
        assert_eq!(passed(SECOND + 3_000_000), 2);
        // A little back, as between workers: what was taken stays taken, and at most a second is lost.
        assert_eq!(passed(SECOND), 0);
        assert_eq!(passed(SECOND + 4_000_000), 1);
        // Forward: one burst.
        assert_eq!(passed(7200 * SECOND), 10);
    }

    #[test]
    fn the_first_packet_passes_after_years() {
        for years in [1, 2, 3, 50] {
            let bucket = bucket(1_000, 10);
            let now = years * 366 * 86_400 * SECOND;
            let passed = |now| {
                (0..100)
                    .filter(|_| bucket.take(at(now), 1).is_some())
                    .count()
            };
            assert!(passed(now) + passed(now + 20_000_000) >= 10, "{years}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let bucket = bucket(1_000, 10);
        let now = at(SECOND);
        for _ in 0..1_000 {
            let paid = bucket.take(now, 1).unwrap();
            bucket.give_back(paid);
        }
        assert_eq!(
            (0..100).filter(|_| bucket.take(now, 1).is_some()).count(),
            10
        );
    }

    #[test]
    fn a_rate_is_changed_live() {
        let bucket = bucket(1_000, 10);
        let passed = |now| {
            (0..100)
                .filter(|_| bucket.take(at(now), 1).is_some())
                .count()
        };
        assert_eq!(passed(SECOND), 10);
        bucket.set(Some(2_000), 10);
        // What was used up before is not given anew.
        assert_eq!(passed(SECOND), 0);
        assert_eq!(passed(SECOND + 5_000_000), 10);
        bucket.set(None, 10);
        assert_eq!(passed(SECOND + 5_000_000), 100);
    }

    proptest! {
        /// In any stretch of time no more passes than what the rate gives, the burst, and the rest of one packet; and a sender
        /// that always has something to send gets the rate.
        #[test]
        fn the_rate_holds(
            rate in prop_oneof![1_u64..100, 100_u64..1_000_000, 8_000_u64..1_000_000_000_000],
            burst_ms in 1_u32..=10_000,
            packets in prop::collection::vec((0_u64..50_000_000, 1_u64..100_000), 1..40),
        ) {
            let bucket = bucket(rate, burst_ms);
            let mut now = SECOND;
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            for (gap, units) in packets {
                now += gap;
                if bucket.take(at(now), units).is_some() {
                    admitted.push((now, units));
                }
            }
            let burst = u128::from(rate) * u128::from(burst_ms) / 1_000 + 2;
            for (i, (start, _)) in admitted.iter().enumerate() {
                let mut sum = 0_u128;
                for (end, units) in &admitted[i..] {
                    // The last packet counts for the rest that was left.
                    let may = u128::from(rate) * u128::from(end - start) / u128::from(SECOND) + burst;
                    prop_assert!(sum <= may, "{sum} before {end}, {may} may");
                    sum += u128::from(*units);
                }
            }
        }

        #[test]
        fn a_busy_sender_gets_the_rate(rate in 100_u64..1_000_000, burst_ms in 10_u32..=1_000) {
            let bucket = bucket(rate, burst_ms);
            let gap = SECOND / rate / 2;
            let sent = 1_000_u64;
            let passed = (0..sent).filter(|n| bucket.take(at(SECOND + n * gap), 1).is_some()).count() as u64;
            let due = u128::from(sent * gap) * u128::from(rate) / u128::from(SECOND);
            prop_assert!(u128::from(passed) + 2 >= due.min(u128::from(sent)), "{passed} of {due}");
        }
    }

    #[test]
    fn workers_share_a_rate() {
        const RATE: u64 = 100_000;
        const WORKERS: u64 = 4;
        let bucket = bucket(RATE, 10);
        let (clock, passed) = (Count::new(SECOND), Count::new(0));
        let steps = 5_000;
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (bucket, clock, passed) = (&bucket, &clock, &passed);
                scope.spawn(move || {
                    for _ in 0..steps {
                        // Each has read the clock a little earlier than the one before.
                        let now = clock.fetch_add(1_000, std::sync::atomic::Ordering::Relaxed);
                        let now = at(now - worker * 500);
                        if bucket.take(now, 1).is_some() {
                            passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let time = clock.into_inner() - SECOND;
        let due = time * RATE / SECOND;
        let passed = passed.into_inner();
        let burst = RATE / 100;
        // What the clocks differ by counts as burst.
        let skew = WORKERS;
        assert!(passed <= due + burst + skew, "{passed} passed, {due} due");
        assert!(passed >= due, "{passed} passed, {due} due");
    }
}
