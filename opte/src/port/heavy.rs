//! The flows that carry most.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::Port;
use crate::api::FlowId;
use crate::flow::Key;
use crate::network::Network;

/// What flows are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum By {
    /// Bytes, as their packets came.
    Bytes,
    /// Packets.
    Packets,
}

/// A flow that carries much, both directions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct HeavyFlow {
    /// The flow, as its first packet came.
    pub flow: FlowId,
    /// Packets so far.
    pub packets: u64,
    /// Bytes so far.
    pub bytes: u64,
}

/// Flows that are looked at while packets that need the port's lock wait.
const SLICE: u32 = 128;

/// The most flows that are told.
const MOST: usize = 1024;

impl<N: Network> Port<N> {
    /// Of the flows there are the `count` that have carried most, the heaviest first; at most 1,024.
    ///
    /// Flows count exactly, so nothing is sampled and no packet pays for it: all flows are looked at, a few at a time, and as many
    /// as asked for are kept.
    pub fn heavy_hitters(&self, by: By, count: usize) -> Vec<HeavyFlow> {
        let count = count.min(MOST);
        let mut heap = BinaryHeap::with_capacity(count.saturating_add(1));
        let mut next = Some(0_u32);
        while let Some(from) = next {
            let inner = self.inner.lock();
            let end = inner.flows.end();
            let to = from.saturating_add(SLICE).min(end);
            for id in from..to {
                let Some(flow) = inner.flows.get(id).filter(|flow| !flow.is_revoked()) else {
                    continue;
                };
                let (packets, bytes) = flow.totals();
                let weight = match by {
                    By::Bytes => (bytes, packets),
                    By::Packets => (packets, bytes),
                };
                let is_lighter = |lightest: &Reverse<(_, u32)>| lightest.0 < (weight, id);
                if heap.len() < count || heap.peek().is_some_and(is_lighter) {
                    heap.push(Reverse((weight, id)));
                }
                if heap.len() > count {
                    heap.pop();
                }
            }
            next = (to < end).then_some(to);
        }
        let mut heaviest: Vec<_> = heap.into_iter().map(|Reverse(entry)| entry).collect();
        heaviest.sort_unstable_by(|a, b| b.cmp(a));
        let told = heaviest.into_iter().filter_map(|(weight, id)| {
            let inner = self.inner.lock();
            // Flows come and go meanwhile: what is told is what is there now.
            let flow = inner.flows.get(id)?;
            let (packets, bytes) = match by {
                By::Bytes => (weight.1, weight.0),
                By::Packets => weight,
            };
            let (now, _) = flow.totals();
            let key = flow.key(flow.first());
            drop(inner);
            (now >= packets).then(|| HeavyFlow {
                flow: key.id(),
                packets,
                bytes,
            })
        });
        told.collect()
    }
}
