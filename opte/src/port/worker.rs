//! Workers: who processes packets counts them in a place of its own.

use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;

use super::{Port, Traffic};
use crate::direction::PerDirection;
use crate::network::Network;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::thread_number;
use crate::{Direction, DropReason};

/// A port as one worker uses it. A thread that processes packets holds one for as long as it likes, at least for a burst.
///
/// Any number of workers may process packets of one port at once. Packets of known flows then share nothing that is written,
/// but what belongs to their flow.
pub struct Worker<'a, N: Network> {
    pub(super) port: &'a Port<N>,
    pub(super) counts: Claimed<'a>,
}

impl<N: Network> Port<N> {
    /// The port for one worker.
    #[inline]
    pub fn worker(&self) -> Worker<'_, N> {
        Worker {
            port: self,
            counts: self.places.claim(),
        }
    }
}

impl<N: Network> fmt::Debug for Worker<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("port", &self.port.name())
            .finish_non_exhaustive()
    }
}

/// Places to count in. Workers that find none free share one.
pub(super) struct Places {
    own: Box<[Place; OWN_PLACES]>,
    shared: Box<Place>,
}

/// Workers that count alone.
const OWN_PLACES: usize = 8;

/// Counters on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    taken: AtomicBool,
    traffic: PerDirection<TrafficCounters>,
}

struct TrafficCounters {
    /// Packets of known flows that went on: the only ones that are not counted under `forwarded`.
    passed: AtomicU64,
    forwarded: AtomicU64,
    bytes: AtomicU64,
    hairpins: AtomicU64,
    /// Packets of known flows that their programs did not fit.
    uft_hit: AtomicU64,
    uft_miss: AtomicU64,
    revalidated: AtomicU64,
    related: AtomicU64,
    drops: [AtomicU64; DropReason::ALL.len()],
}

/// A place taken, to be given back.
pub(super) struct Claimed<'a> {
    place: &'a Place,
    /// Nobody else counts here.
    alone: bool,
    /// The last packet walked the layers. Kept for who looks.
    pub(super) walked: Cell<bool>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            own: Box::default(),
            shared: Box::default(),
        }
    }

    #[inline(always)]
    fn claim(&self) -> Claimed<'_> {
        // Each thread begins at a place of its own, so that what others write is not read.
        let (place, alone) = match self.own.get(thread_number() % OWN_PLACES) {
            Some(place) if !place.taken.swap(true, Ordering::Acquire) => (place, true),
            _ => self.claim_any(),
        };
        Claimed {
            place,
            alone,
            walked: Cell::new(false),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_any(&self) -> (&Place, bool) {
        let free = |place: &&Place| !place.taken.swap(true, Ordering::Acquire);
        match self.own.iter().find(free) {
            Some(place) => (place, true),
            None => (&self.shared, false),
        }
    }

    /// What all have counted.
    pub(super) fn sum(&self) -> PerDirection<Traffic> {
        let mut sum = PerDirection::default();
        for place in self.own.iter().chain([&*self.shared]) {
            for dir in Direction::BOTH {
                place.traffic.get(dir).add_to(sum.get_mut(dir));
            }
        }
        sum
    }
}

impl Claimed<'_> {
    /// A packet of a known flow that goes on.
    #[inline(always)]
    pub(super) fn hit(&self, dir: Direction, len: usize) {
        let TrafficCounters { passed, bytes, .. } = self.place.traffic.get(dir);
        if self.alone {
            // One question for both.
            for (counter, count) in [(passed, 1), (bytes, len as u64)] {
                let sum = counter.load(Ordering::Relaxed).wrapping_add(count);
                counter.store(sum, Ordering::Relaxed);
            }
        } else {
            passed.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(len as u64, Ordering::Relaxed);
        }
    }

    /// A packet of a known flow that its program does not fit.
    pub(super) fn lost_hit(&self, dir: Direction) {
        self.add(&self.place.traffic.get(dir).uft_hit, 1);
    }

    #[inline(always)]
    pub(super) fn forwarded(&self, dir: Direction, len: usize) {
        let traffic = self.place.traffic.get(dir);
        self.add(&traffic.forwarded, 1);
        self.add(&traffic.bytes, len as u64);
    }

    pub(super) fn miss(&self, dir: Direction) {
        self.walked.set(true);
        self.add(&self.place.traffic.get(dir).uft_miss, 1);
    }

    pub(super) fn hairpin(&self, dir: Direction) {
        self.add(&self.place.traffic.get(dir).hairpins, 1);
    }

    pub(super) fn revalidated(&self, dir: Direction) {
        self.add(&self.place.traffic.get(dir).revalidated, 1);
    }

    /// An ICMP error that goes on.
    pub(super) fn related(&self, dir: Direction, len: usize) {
        self.add(&self.place.traffic.get(dir).related, 1);
        self.forwarded(dir, len);
    }

    pub(super) fn dropped(&self, dir: Direction, reason: DropReason) {
        if let Some(counter) = self.place.traffic.get(dir).drops.get(reason as usize) {
            self.add(counter, 1);
        }
    }

    #[inline(always)]
    fn add(&self, counter: &AtomicU64, count: u64) {
        if self.alone {
            let sum = counter.load(Ordering::Relaxed).wrapping_add(count);
            counter.store(sum, Ordering::Relaxed);
        } else {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl Drop for Claimed<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.alone {
            self.place.taken.store(false, Ordering::Release);
        }
    }
}

impl Default for TrafficCounters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            passed: zero(),
            forwarded: zero(),
            bytes: zero(),
            hairpins: zero(),
            uft_hit: zero(),
            uft_miss: zero(),
            revalidated: zero(),
            related: zero(),
            drops: core::array::from_fn(|_| zero()),
        }
    }
}

impl TrafficCounters {
    fn add_to(&self, sum: &mut Traffic) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let passed = get(&self.passed);
        sum.forwarded += get(&self.forwarded) + passed;
        sum.bytes += get(&self.bytes);
        sum.hairpins += get(&self.hairpins);
        sum.uft_hit += get(&self.uft_hit) + passed;
        sum.uft_miss += get(&self.uft_miss);
        sum.revalidated += get(&self.revalidated);
        sum.related += get(&self.related);
        for (reason, counter) in DropReason::ALL.iter().zip(&self.drops) {
            sum.drops.add_count(*reason, get(counter));
        }
    }
}
