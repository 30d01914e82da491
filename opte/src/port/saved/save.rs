//! Saving a port.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::aside::LONGEST;
use super::record::{LAYOUT, Record, longest};
use super::{Head, Kind, PAGE_HEADER, Tail, seal};
use crate::direction::PerDirection;
use crate::flow::{Decisions, Key};
use crate::network::Network;
use crate::port::{Inner, Port, PortError, PortState, is_since};
use crate::saved::Saved;
use crate::sync::atomic::Ordering;
use crate::time::Moment;

/// A page of saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPage {
    /// The page.
    pub bytes: Vec<u8>,
    /// Where the next one begins; `None` behind the last.
    pub next: Option<u64>,
}

/// Bytes of the longest page that is made, whatever is asked for.
const MAX_PAGE: usize = 1 << 19;

/// Flows that one page looks at, at most, so that nobody waits long for the port.
const LOOKED_AT: u32 = 4096;

/// What else is in one page, at most.
const AT_ONCE: usize = 4096;

/// A cursor: how often the port has been started, what is in the page and its number, and the number of what to go on with.
struct Cursor {
    starts: u16,
    part: Part,
    page: u32,
    from: u32,
}

/// What pages have in them, one after the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Flows,
    Resting,
    Hits,
    End,
}

/// Numbers of flows, and of pages, are below 2^24.
const BITS: u32 = 24;
const MASK: u32 = (1 << BITS) - 1;
/// How many of the starts are told apart.
const STARTS: u16 = (1 << 14) - 1;

impl Cursor {
    fn of(number: u64) -> Self {
        let field = |from: u32| (number >> from) as u32 & MASK;
        Self {
            starts: (number >> (2 * BITS)) as u16 & STARTS,
            part: match number >> 62 {
                0 => Part::Flows,
                1 => Part::Resting,
                2 => Part::Hits,
                _ => Part::End,
            },
            page: field(BITS),
            from: field(0),
        }
    }

    fn number(&self) -> u64 {
        (self.part as u64) << 62
            | u64::from(self.starts) << (2 * BITS)
            | u64::from(self.page & MASK) << BITS
            | u64::from(self.from & MASK)
    }

    /// Goes on at `next`, or with the next part.
    fn go_on(&mut self, next: Option<u32>) {
        self.page += 1;
        self.from = next.unwrap_or_default();
        if next.is_none() {
            self.part = match self.part {
                Part::Flows => Part::Resting,
                Part::Resting => Part::Hits,
                Part::Hits | Part::End => Part::End,
            };
        }
    }
}

impl<N: Network> Port<N> {
    /// A page of the state of a port that is paused: the first one for cursor zero, then that which the page before
    /// says. A page has at most `limit` bytes, and at least what a flow takes.
    ///
    /// # Errors
    /// `BadState` if the port is not paused; `Stale` if it has been started since the first page.
    pub fn save(&self, now: Moment, cursor: u64, limit: usize) -> Result<SavedPage, PortError> {
        let _one = self.commands.lock();
        self.must_be(&[PortState::Paused])?;
        let starts = self.starts.load(Ordering::Acquire) as u16 & STARTS;
        if cursor == 0 {
            return Ok(self.first_page(starts));
        }
        let mut cursor = Cursor::of(cursor);
        if cursor.starts != starts {
            return Err(PortError::Stale);
        }
        let number = cursor.page;
        let mut bytes = vec![0; PAGE_HEADER];
        let inner = self.inner.lock();
        let limit = limit.min(MAX_PAGE);
        let most = (limit.saturating_sub(PAGE_HEADER) / LONGEST).clamp(1, AT_ONCE);
        let from = cursor.from as usize;
        let behind = |count: usize| (count == most).then_some((from + count) as u32);
        let kind = match cursor.part {
            Part::Flows => {
                let next = inner.save(now, cursor.from, limit, &mut bytes);
                cursor.go_on(next);
                Kind::Flows
            }
            Part::Resting => {
                let resting = inner.resting(now, from, most);
                append(&mut bytes, &resting);
                cursor.go_on(behind(resting.len()));
                Kind::Resting
            }
            Part::Hits => {
                let hits = inner.hits(from, most);
                append(&mut bytes, &hits);
                cursor.go_on(behind(hits.len()));
                Kind::Hits
            }
            Part::End => {
                let flows = inner.saved_flows(now);
                append(&mut bytes, &Tail { flows });
                seal(&mut bytes, number, Kind::End);
                return Ok(SavedPage { bytes, next: None });
            }
        };
        drop(inner);
        seal(&mut bytes, number, kind);
        Ok(SavedPage {
            bytes,
            next: Some(cursor.number()),
        })
    }

    fn first_page(&self, starts: u16) -> SavedPage {
        let inner = self.inner.lock();
        let head = Head {
            network: self.network.instance(),
            layers: inner.layer_names(),
            flows: inner.flows.len(),
            layout: LAYOUT.to_string(),
        };
        drop(inner);
        let mut bytes = vec![0; PAGE_HEADER];
        append(&mut bytes, &head);
        seal(&mut bytes, 0, Kind::Head);
        let next = Cursor {
            starts,
            part: Part::Flows,
            page: 1,
            from: 0,
        };
        SavedPage {
            bytes,
            next: Some(next.number()),
        }
    }
}

fn append(bytes: &mut Vec<u8>, value: &impl serde::Serialize) {
    // Nothing in a page is of a kind that could not be serialized, and memory is there or the process ends.
    if let Ok(value) = postcard::to_allocvec(value) {
        bytes.extend_from_slice(&value);
    }
}

impl<N: Network> Inner<N> {
    pub(super) fn layer_names(&self) -> Vec<alloc::string::String> {
        let names = self.layers.iter().map(|layer| layer.name().to_string());
        names.collect()
    }

    /// How many flows [`Inner::save`] writes, of all.
    fn saved_flows(&self, now: Moment) -> u32 {
        let flows = (0..self.flows.end()).filter(|id| self.record(*id, now).is_some());
        flows.count() as u32
    }

    /// Writes flows from number `from` on behind what is in `bytes`, up to `limit` bytes of all; says where to go on.
    fn save(&self, now: Moment, from: u32, limit: usize, bytes: &mut Vec<u8>) -> Option<u32> {
        let most = longest(self.layers.len());
        let limit = limit.max(PAGE_HEADER + most);
        for id in from..self.flows.end() {
            if bytes.len() + most > limit || id - from >= LOOKED_AT {
                return Some(id);
            }
            if let Some(record) = self.record(id, now) {
                record.write(bytes);
            }
        }
        None
    }

    /// The flow `id`, if packets may still use it and it can be made again.
    fn record(&self, id: u32, now: Moment) -> Option<Record> {
        let flow = self.flows.get(id)?;
        let left = flow.deadline().since(now).as_nanos() as u64;
        if flow.is_revoked() || left == 0 {
            return None;
        }
        let first = flow.first();
        let (side, back) = (flow.tally(first), flow.tally(first.opposite()));
        let counts = |count: fn(&crate::flow::Tally<N>) -> u64| {
            let mut counts = PerDirection::<u64>::default();
            *counts.get_mut(first) = count(&side);
            *counts.get_mut(first.opposite()) = count(&back);
            counts
        };
        let states = self.states(flow.decisions()?, flow.epoch())?;
        Some(Record {
            key: side.key.words(),
            left,
            packets: counts(|side| side.packets),
            bytes: counts(|side| side.bytes),
            first,
            proto: flow.proto(),
            l3: flow.l3(first),
            both: back.is_known,
            connection: flow.connection(),
            states,
        })
    }

    /// What the layers hold for a flow that was decided at `epoch`; `None` if one cannot say it.
    fn states(&self, decisions: &Decisions<N>, epoch: u32) -> Option<Vec<(u8, Saved)>> {
        let mut states = Vec::new();
        let each = self.forgotten.iter().take(self.layers.len()).enumerate();
        let said = each.into_iter().try_for_each(|(at, forgotten)| {
            match decisions.descriptor(at) {
                Some(descriptor) if is_since(epoch, *forgotten) => match descriptor.save() {
                    Some(state) => states.push((at as u8, state)),
                    None => return ControlFlow::Break(()),
                },
                _ => {}
            }
            ControlFlow::Continue(())
        });
        said.is_continue().then_some(states)
    }
}
