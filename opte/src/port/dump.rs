//! What a port tells about itself.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Inner, Port, PortCounters, PortError, is_since};
use crate::Direction;
use crate::api::{
    DefaultRule, DumpLayerResp, DumpTcpFlowsResp, DumpUftResp, LayerDesc, LayerFlow, LayerRule,
    ListLayersResp, Page, TcpFlow, UftFlow,
};
use crate::direction::PerDirection;
use crate::flow::{Decision, Key};
use crate::layer::Layer;
use crate::network::Network;
use crate::rule::TableEntry;

/// Flows that one page looks at, at most, so that packets do not wait for a long table with few flows.
const LOOKED_AT: u32 = 4096;
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
        let mut cursor = page.cursor;
        if cursor < FLOWS {
            let all = Direction::BOTH.map(|dir| layer.rules(dir).len());
            let all: usize = all.into_iter().sum();
            response.rules = entries_of(layer)
                .skip(cursor as usize)
                .take(page.limit())
                .map(|(dir, entry)| described(dir, entry))
                .collect();
            cursor += response.rules.len() as u64;
            if cursor < all as u64 {
                response.next = Some(cursor);
                return Ok(response);
            }
            cursor = FLOWS;
        }
        let limit = page.limit().saturating_sub(response.rules.len());
        let since = inner.forgotten.get(at).copied().unwrap_or_default();
        let next = inner.page((cursor - FLOWS) as u32, limit.div_ceil(2), |flow_id| {
            response.flows.extend(inner.layer_flows(at, since, flow_id));
        });
        response.next = next.map(|id| FLOWS + u64::from(id));
        Ok(response)
    }

    /// Part of the unified flow table.
    pub fn dump_uft(&self, page: Page) -> DumpUftResp {
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
        let next = inner.page(page.cursor as u32, page.limit().div_ceil(2), |id| {
            let Some(flow) = inner.flows.get(id) else {
                return;
            };
            if flow.is_revoked() || !is_since(flow.epoch(), inner.cleared) {
                return;
            }
            for dir in Direction::BOTH {
                let side = flow.side(dir);
                if let Some(program) = side.program {
                    let program = side.key.text_of(&program);
                    response.flows.push(UftFlow {
                        dir,
                        flow: side.key.id(),
                        hits: side.packets,
                        program,
                    });
                }
            }
        });
        response.next = next.map(u64::from);
        response
    }

    /// Part of the TCP connections.
    pub fn dump_tcp_flows(&self, page: Page) -> DumpTcpFlowsResp {
        let inner = self.inner.lock();
        let mut flows = Vec::new();
        let next = inner.page(page.cursor as u32, page.limit(), |id| {
            let Some(flow) = inner.flows.get(id).filter(|flow| !flow.is_revoked()) else {
                return;
            };
            let Some(connection) = flow.connection() else {
                return;
            };
            let (inbound, outbound) = (flow.side(Direction::In), flow.side(Direction::Out));
            flows.push(TcpFlow {
                flow: outbound.key.id(),
                state: connection.state().to_string(),
                hits: inbound.packets + outbound.packets,
                segs_in: inbound.packets,
                segs_out: outbound.packets,
                bytes_in: inbound.bytes,
                bytes_out: outbound.bytes,
            });
        });
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

impl<N: Network> Inner<N> {
    /// Shows `each` at most `limit` flows from number `from` on; says where to go on.
    fn page(&self, from: u32, limit: usize, mut each: impl FnMut(u32)) -> Option<u32> {
        let end = self.flows.end();
        let mut shown = 0;
        for id in from..end {
            if shown >= limit || id - from >= LOOKED_AT {
                return Some(id);
            }
            if self.flows.get(id).is_some() {
                each(id);
                shown += 1;
            }
        }
        None
    }

    fn layer_flows(&self, layer: usize, since: u32, id: u32) -> Vec<LayerFlow> {
        let Some(flow) = self.flows.get(id) else {
            return Vec::new();
        };
        if flow.is_revoked() || !is_since(flow.epoch(), since) {
            return Vec::new();
        }
        let action = match flow.decision(layer) {
            Decision::None => return Vec::new(),
            Decision::Allow => "no-op",
            Decision::Descriptor(descriptor) => descriptor.name(),
        };
        let sides = Direction::BOTH.into_iter().map(|dir| (dir, flow.side(dir)));
        let known = sides.filter(|(_, side)| side.program.is_some());
        let rows = known.map(|(dir, side)| LayerFlow {
            dir,
            flow: side.key.id(),
            hits: side.packets,
            action: String::from(action),
        });
        rows.collect()
    }
}

fn entries_of<N: Network>(
    layer: &Layer<N>,
) -> impl Iterator<Item = (Direction, &TableEntry<N>)> + '_ {
    let both = Direction::BOTH.into_iter();
    both.flat_map(move |dir| layer.rules(dir).entries().map(move |entry| (dir, entry)))
}

fn described<N: Network>(dir: Direction, entry: &TableEntry<N>) -> LayerRule {
    let predicates = entry.rule.predicates().iter();
    LayerRule {
        dir,
        id: entry.id,
        priority: entry.rule.priority(),
        hits: entry.hits,
        predicates: predicates.map(ToString::to_string).collect(),
        action: entry.rule.action().to_string(),
    }
}

fn default_of<N: Network>(layer: &Layer<N>, dir: Direction) -> DefaultRule {
    let rules = layer.rules(dir);
    DefaultRule {
        action: rules.default_action().to_string(),
        hits: rules.default_hits(),
    }
}
