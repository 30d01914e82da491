//! What a port tells about itself.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Inner, Port, PortCounters, PortError, is_since};
use crate::Direction;
use crate::api::{
    DefaultRule, DumpLayerResp, DumpTcpFlowsResp, DumpUftResp, FlowFilter, LayerDesc, LayerFlow,
    LayerRule, ListLayersResp, Page, TcpFlow, UftFlow,
};
use crate::direction::PerDirection;
use crate::flow::{Decision, Key, Tally};
use crate::layer::Layer;
use crate::network::Network;
use crate::rule::{Rule, RuleId, TableEntry};

/// Flows that one page looks at, at most.
const LOOKED_AT: u32 = 4096;
/// Flows and rules that are copied while packets that need the port's lock wait. They are put into words afterwards.
const AT_ONCE: usize = 8;
/// Places that are looked at while they wait.
const LOOKED_AT_ONCE: u32 = 64;
/// In the cursor of a layer's dump the flows begin here; before it the rules.
const FLOWS: u64 = 1 << 32;

impl<N: Network> Port<N> {
    /// The layers, in outbound order.
    pub fn list_layers(&self) -> ListLayersResp {
        let inner = self.inner.lock();
        let layers = inner
            .layers
            .iter()
            .enumerate()
            .map(|(at, layer)| LayerDesc {
                name: layer.name().to_string(),
                rules_in: layer.rules(Direction::In).len() as u64,
                rules_out: layer.rules(Direction::Out).len() as u64,
                default_in: layer.rules(Direction::In).default_action().to_string(),
                default_out: layer.rules(Direction::Out).default_action().to_string(),
                flows: u64::from(inner.flows.decided_by(at)),
            });
        ListLayersResp {
            layers: layers.collect(),
        }
    }

    /// Part of the rules of a layer and of the flows it has decided over.
    pub fn dump_layer(&self, name: &str, page: Page) -> Result<DumpLayerResp, PortError> {
        self.dump_layer_matching(name, page, &FlowFilter::ALL, None)
    }

    /// Part of those rules of a layer and of the flows it has decided over that `filter` has: of rules the direction alone is asked,
    /// or, if there is one, their number, and then no flow is listed.
    pub fn dump_layer_matching(
        &self,
        name: &str,
        page: Page,
        filter: &FlowFilter,
        rule: Option<RuleId>,
    ) -> Result<DumpLayerResp, PortError> {
        // Rules keep their places meanwhile.
        let _one = self.commands.lock();
        let inner = self.inner.lock();
        let at = inner.layer(name)?;
        let layer = inner
            .layers
            .get(at)
            .ok_or_else(|| PortError::LayerNotFound(String::from(name)))?;
        let mut response = DumpLayerResp {
            name: layer.name().to_string(),
            default_in: default_of(layer, Direction::In),
            default_out: default_of(layer, Direction::Out),
            rules: Vec::new(),
            flows: Vec::new(),
            next: None,
        };
        let since = inner.forgotten.get(at).copied().unwrap_or_default();
        drop(inner);
        let mut cursor = page.cursor;
        if cursor < FLOWS {
            let wanted = |dir, id| filter.has_dir(dir) && rule.is_none_or(|only| only == id);
            let from = cursor as usize;
            let next = self.layer_rules(at, from, page.limit(), wanted, &mut response.rules);
            if let Some(next) = next {
                response.next = Some(next as u64);
                return Ok(response);
            }
            cursor = FLOWS;
        }
        if rule.is_some() {
            return Ok(response);
        }
        let limit = page.limit().saturating_sub(response.rules.len());
        let next = self.page(
            (cursor - FLOWS) as u32,
            limit.div_ceil(2),
            |inner, id| {
                let flow = inner.decided_flow(at, since, id)?;
                flow.is_wanted(filter).then_some(flow)
            },
            |flow| response.flows.extend(flow.rows(filter)),
        );
        response.next = next.map(|id| FLOWS + u64::from(id));
        Ok(response)
    }

    /// Part of the unified flow table.
    pub fn dump_uft(&self, page: Page) -> DumpUftResp {
        self.dump_uft_matching(page, &FlowFilter::ALL)
    }

    /// Part of those entries of the unified flow table that `filter` has.
    pub fn dump_uft_matching(&self, page: Page, filter: &FlowFilter) -> DumpUftResp {
        let inner = self.inner.lock();
        let limit = u64::from(inner.flows.limit());
        let mut response = DumpUftResp {
            count_in: u64::from(inner.flows.len()),
            limit_in: limit,
            count_out: u64::from(inner.flows.len()),
            limit_out: limit,
            flows: Vec::new(),
            next: None,
        };
        drop(inner);
        let next = self.page(
            page.cursor as u32,
            page.limit().div_ceil(2),
            |inner, id| {
                let flow = inner.flows.get(id)?;
                let is_wanted = |dir| filter.has(dir, || flow.key(dir).id());
                let shown = !flow.is_revoked()
                    && is_since(flow.epoch(), inner.cleared)
                    && Direction::BOTH.into_iter().any(is_wanted);
                shown.then(|| Direction::BOTH.map(|dir| (dir, flow.side(dir))))
            },
            |sides| {
                for (dir, side) in sides {
                    let Some(program) = side.program else {
                        continue;
                    };
                    if !filter.has(dir, || side.key.id()) {
                        continue;
                    }
                    response.flows.push(UftFlow {
                        dir,
                        flow: side.key.id(),
                        hits: side.packets,
                        program: side.key.text_of(&program),
                    });
                }
            },
        );
        response.next = next.map(u64::from);
        response
    }

    /// Part of the TCP connections.
    pub fn dump_tcp_flows(&self, page: Page) -> DumpTcpFlowsResp {
        self.dump_tcp_flows_matching(page, &FlowFilter::ALL)
    }

    /// Part of those TCP connections that `filter` has, as the guest sees them or as the network does.
    pub fn dump_tcp_flows_matching(&self, page: Page, filter: &FlowFilter) -> DumpTcpFlowsResp {
        let mut flows = Vec::new();
        let next = self.page(
            page.cursor as u32,
            page.limit(),
            |inner, id| {
                let flow = inner.flows.get(id).filter(|flow| !flow.is_revoked())?;
                let state = flow.connection()?.state();
                let either = Direction::BOTH.into_iter();
                let any_way = FlowFilter {
                    dir: None,
                    ..*filter
                };
                let mut wanted = either.filter(|dir| any_way.has(*dir, || flow.key(*dir).id()));
                wanted.next()?;
                Some((state, Direction::BOTH.map(|dir| flow.tally(dir))))
            },
            |(state, [inbound, outbound])| {
                flows.push(TcpFlow {
                    flow: outbound.key.id(),
                    state: state.to_string(),
                    hits: inbound.packets + outbound.packets,
                    segs_in: inbound.packets,
                    segs_out: outbound.packets,
                    bytes_in: inbound.bytes,
                    bytes_out: outbound.bytes,
                });
            },
        );
        DumpTcpFlowsResp {
            flows,
            next: next.map(u64::from),
        }
    }

    /// Counters and gauges.
    pub fn counters(&self) -> PortCounters {
        let inner = self.inner.lock();
        PortCounters {
            traffic: self.places.sum(),
            fragments: PerDirection {
                inbound: inner.fragments.inbound.counters(),
                outbound: inner.fragments.outbound.counters(),
            },
            table: *inner.flows.counters(),
            flows: inner.flows.len(),
            flow_limit: inner.flows.limit(),
            memory: inner.flows.bytes(),
            tcp_connections: inner.flows.connections(),
            programs: inner.flows.programs(),
        }
    }
}

impl<N: Network> Port<N> {
    /// Copies by `take` what is to be told of flows from number `from` on, `limit` of them at most, a few at a time with the
    /// port's lock held, and tells it by `tell` without; says where to go on.
    fn page<T>(
        &self,
        from: u32,
        limit: usize,
        take: impl Fn(&Inner<N>, u32) -> Option<T>,
        mut tell: impl FnMut(T),
    ) -> Option<u32> {
        let last = from.saturating_add(LOOKED_AT);
        let (mut at, mut left) = (from, limit);
        let mut taken = Vec::with_capacity(AT_ONCE);
        loop {
            let inner = self.inner.lock();
            let end = inner.flows.end();
            let to = at.saturating_add(LOOKED_AT_ONCE).min(last).min(end);
            let most = left.min(AT_ONCE);
            while at < to && taken.len() < most {
                taken.extend(take(&inner, at));
                at += 1;
            }
            drop(inner);
            left -= taken.len();
            taken.drain(..).for_each(&mut tell);
            if at >= end {
                return None;
            }
            if at >= last || left == 0 {
                return Some(at);
            }
        }
    }

    /// Tells of the rules of a layer from the one at `from` on, `limit` of them at most, the wanted ones; says where to go on.
    fn layer_rules(
        &self,
        layer: usize,
        from: usize,
        limit: usize,
        wanted: impl Fn(Direction, RuleId) -> bool,
        rules: &mut Vec<LayerRule>,
    ) -> Option<usize> {
        let mut taken = Vec::with_capacity(AT_ONCE);
        let (mut at, end) = (from, from.saturating_add(limit));
        loop {
            let inner = self.inner.lock();
            let mut entries = entries_of(inner.layers.get(layer)?, at);
            for (dir, entry) in entries.by_ref().take((end - at).min(AT_ONCE)) {
                at += 1;
                if wanted(dir, entry.id) {
                    taken.push((dir, entry.id, entry.hits, entry.rule.clone()));
                }
            }
            let more = entries.next().is_some();
            drop(entries);
            drop(inner);
            for (dir, id, hits, rule) in taken.drain(..) {
                rules.push(described(dir, id, hits, &rule));
            }
            if !more || at >= end {
                return more.then_some(at);
            }
        }
    }
}

impl<N: Network> Inner<N> {
    fn decided_flow(&self, layer: usize, since: u32, id: u32) -> Option<DecidedFlow<N>> {
        let flow = self.flows.get(id)?;
        if flow.is_revoked() || !is_since(flow.epoch(), since) {
            return None;
        }
        let action = match flow.decision(layer) {
            Decision::None => return None,
            Decision::Allow => "no-op",
            Decision::Descriptor(descriptor) => descriptor.name(),
        };
        Some(DecidedFlow {
            action,
            sides: Direction::BOTH.map(|dir| (dir, flow.tally(dir))),
        })
    }
}

/// A flow that a layer has decided over.
struct DecidedFlow<N: Network> {
    action: &'static str,
    sides: [(Direction, Tally<N>); 2],
}

impl<N: Network> DecidedFlow<N> {
    fn is_wanted(&self, filter: &FlowFilter) -> bool {
        let mut sides = self.sides.iter();
        sides.any(|(dir, side)| side.is_known && filter.has(*dir, || side.key.id()))
    }

    fn rows(self, filter: &FlowFilter) -> impl Iterator<Item = LayerFlow> {
        let action = self.action;
        let known = self
            .sides
            .into_iter()
            .filter(|(dir, side)| side.is_known && filter.has(*dir, || side.key.id()));
        known.map(move |(dir, side)| LayerFlow {
            dir,
            flow: side.key.id(),
            hits: side.packets,
            action: String::from(action),
        })
    }
}

/// The rules of both directions, from the one at `from` on.
fn entries_of<N: Network>(
    layer: &Layer<N>,
    from: usize,
) -> impl Iterator<Item = (Direction, &TableEntry<N>)> + '_ {
    let mut before = from;
    Direction::BOTH.into_iter().flat_map(move |dir| {
        let rules = layer.rules(dir);
        let skipped = before.min(rules.len());
        before -= skipped;
        let entries = rules.entries_from(skipped);
        entries.map(move |entry| (dir, entry))
    })
}

fn described<N: Network>(dir: Direction, id: RuleId, hits: u64, rule: &Rule<N>) -> LayerRule {
    let predicates = rule.predicates().iter();
    LayerRule {
        dir,
        id,
        priority: rule.priority(),
        hits,
        predicates: predicates.map(ToString::to_string).collect(),
        action: rule.action().to_string(),
    }
}

fn default_of<N: Network>(layer: &Layer<N>, dir: Direction) -> DefaultRule {
    let rules = layer.rules(dir);
    DefaultRule {
        action: rules.default_action().to_string(),
        hits: rules.default_hits(),
    }
}
