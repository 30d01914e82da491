//! Flows that were saved.

use super::cell::Counts;
use super::table::{FlowTable, NewFlow, NewSide};
use crate::Direction;
use crate::direction::PerDirection;
use crate::network::Network;
use crate::time::Moment;

/// What a flow that is entered again has behind it.
pub(crate) struct Past {
    pub(crate) packets: PerDirection<u64>,
    pub(crate) bytes: PerDirection<u64>,
    /// Nanoseconds that it has left; no more than its class has anyway.
    pub(crate) left: u64,
}

impl<N: Network> FlowTable<N> {
    /// Whether a flow finds a place for which no other has to go.
    pub(crate) fn has_free_place(&self) -> bool {
        self.has_place()
    }

    /// Enters a flow that was saved; says whether it could. There is a free place.
    pub(crate) fn restore(&mut self, now: Moment, mut new: NewFlow<'_, N>, past: &Past) -> bool {
        // A key that another flow has already is left to that flow.
        let is_taken =
            |dir, side: &NewSide<'_, N::Key>| self.find(dir, side.hash, side.key).is_some();
        if is_taken(new.first, &new.forward) {
            return false;
        }
        if new
            .back
            .as_ref()
            .is_some_and(|back| is_taken(new.first.opposite(), back))
        {
            new.back = None;
        }
        let Some(id) = self.insert(now, &mut new) else {
            return false;
        };
        // It was made before.
        self.counters.created -= 1;
        if let Some(cell) = self.store.cells.get(id) {
            for dir in Direction::BOTH {
                let counts = Counts {
                    packets: *past.packets.get(dir),
                    bytes: *past.bytes.get(dir),
                };
                let more = cell.restore_counts(dir, counts);
                if more != Counts::default() {
                    *self.counted.entry(id).or_default().get_mut(dir) = more;
                }
            }
        }
        let Some(flow) = self.get(id) else {
            return false;
        };
        let class = flow.class_now();
        self.set_class(id, class, now);
        self.shorten(id, now, now.plus_nanos(past.left));
        true
    }

    /// Lets a flow end at `deadline` at the latest.
    fn shorten(&mut self, id: u32, now: Moment, deadline: Moment) {
        let store = alloc::sync::Arc::clone(&self.store);
        if let Some(cell) = store.cells.get(id)
            && let Some(kind) = cell.kind()
            && deadline < cell.deadline()
        {
            cell.set_deadline(deadline);
            self.set_timer(id, kind.timer_slot, now, deadline);
        }
    }
}
