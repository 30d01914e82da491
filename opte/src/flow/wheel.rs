//! The timing wheel: which flows may have expired, without looking at the others.

use super::flat::{Flat, Links};
use super::list::List;
use crate::time::Moment;

/// The list number of the wheel's lists.
pub(super) const TIMER: usize = 0;

const SLOTS: usize = 1024;
/// 2^27 ns, about 134 ms: the wheel spans 137 s. A record that expires later is looked at once a turn.
const TICK_BITS: u32 = 27;

/// Ticks by which the clocks of those who look may differ: one second. By more than that a clock has jumped back.
const SKEW: u64 = 8;

/// Records by the time at which to look at them next. A hit moves nothing: it only raises the record's deadline, and the
/// wheel finds that out when its turn comes.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: alloc::boxed::Box<[List<TIMER>]>,
    /// The tick that is looked at next.
    cursor: u64,
    len: usize,
    /// Before this tick there may be records whose deadlines are of a time before the clock jumped back.
    settled: u64,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| List::EMPTY).collect(),
            cursor: 0,
            len: 0,
            settled: 0,
        }
    }

    /// Enters a record that is to be looked at once `deadline` has passed; says the slot it is in.
    pub(super) fn insert(
        &mut self,
        links: &Flat<Links>,
        id: u32,
        now: Moment,
        deadline: Moment,
    ) -> u16 {
        if self.len == 0 {
            self.cursor = tick(now);
        }
        // A deadline within a tick has passed for certain when the next one begins.
        let due = (tick(deadline) + 1).clamp(self.cursor + 1, self.cursor + SLOTS as u64 - 1);
        let slot = due % SLOTS as u64;
        if let Some(list) = self.slots.get_mut(slot as usize) {
            list.push_back(links, id);
            self.len += 1;
        }
        slot as u16
    }

    /// Takes out a record that is in `slot`.
    pub(super) fn remove(&mut self, links: &Flat<Links>, id: u32, slot: u16) {
        if let Some(list) = self.slots.get_mut(usize::from(slot)) {
            list.remove(links, id);
            self.len -= 1;
        }
    }

    /// The next record to look at, of those whose time has come, and the slot it is in.
    pub(super) fn due(&mut self, now: Moment) -> Option<(u32, u16)> {
        let now = tick(now);
        if now < self.cursor {
            if self.cursor - now > SKEW {
                self.settled = now + SLOTS as u64;
            }
            // What is in the slots is looked at within a turn.
            self.cursor = now;
        }
        if now.saturating_sub(self.cursor) > SLOTS as u64 {
            // Whoever was away for more than a turn has every slot to look at, but each only once.
            self.cursor = now - SLOTS as u64;
        }
        while self.cursor <= now {
            let slot = self.cursor % SLOTS as u64;
            let list = self.slots.get(slot as usize)?;
            if let Some(id) = list.head() {
                return Some((id, slot as u16));
            }
            if self.cursor == now {
                return None;
            }
            self.cursor += 1;
        }
        None
    }

    /// Whether the clock has jumped back within a turn: a record that is looked at may expire later than it should.
    pub(super) fn is_unsettled(&self) -> bool {
        self.cursor < self.settled
    }
}

fn tick(moment: Moment) -> u64 {
    moment.as_nanos() >> TICK_BITS
}
