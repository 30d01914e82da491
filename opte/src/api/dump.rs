//! The commands that every network definition has: layers, flow tables and counters of a port.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use opte_headers::FlowKey;
use opte_headers::frame::KeyKind;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{
    BASE_VERSION, FlowFilter, HeavyHittersReq, HeavyHittersResp, NoResp, PausePortReq,
    RestorePortReq, RestorePortResp, SavePortReq, SavePortResp, SetMeterReq, SetPortOptionsReq,
    StartPortReq, TracePacketReq, TracePacketResp,
};
use crate::{Direction, requests};

/// Which part of a listing is asked for.
///
/// The first page has cursor 0; each answer names the cursor of the next, until it names none. A listing is no
/// snapshot: what is added or removed between two pages may be in it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Page {
    /// Where to go on, as the last answer said.
    pub cursor: u64,
    /// The most entries to list; a driver may list fewer.
    pub limit: u32,
}

impl Page {
    /// The most entries of one page.
    pub const MAX_LIMIT: u32 = 1024;

    /// The first page, as long as it may be.
    pub const FIRST: Self = Self {
        cursor: 0,
        limit: Self::MAX_LIMIT,
    };

    /// How many entries to list: at least one, so that a listing ends, and at most [`Page::MAX_LIMIT`].
    pub fn limit(&self) -> usize {
        self.limit.clamp(1, Self::MAX_LIMIT) as usize
    }
}

/// Lists the layers of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ListLayersReq {
    /// The port.
    pub port_name: String,
}

/// The layers of a port, from the guest outwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ListLayersResp {
    /// The layers.
    pub layers: Vec<LayerDesc>,
}

/// A layer in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct LayerDesc {
    /// Its name.
    pub name: String,
    /// How many inbound rules it has.
    pub rules_in: u64,
    /// How many outbound rules it has.
    pub rules_out: u64,
    /// What it does inbound if no rule matches.
    pub default_in: String,
    /// What it does outbound if no rule matches.
    pub default_out: String,
    /// How many flows it keeps.
    pub flows: u64,
}

/// Lists the rules and flows of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpLayerReq {
    /// The port.
    pub port_name: String,
    /// The layer.
    pub name: String,
    /// Which part: rules and flows are counted in one sequence, all rules first.
    pub page: Page,
    /// Which flows; of rules the direction alone is asked.
    pub filter: FlowFilter,
    /// The rule with this number alone, and no flows.
    pub rule: Option<u64>,
}

/// Part of the rules and flows of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpLayerResp {
    /// The layer.
    pub name: String,
    /// What it does inbound if no rule matches; the same on every page.
    pub default_in: DefaultRule,
    /// What it does outbound if no rule matches; the same on every page.
    pub default_out: DefaultRule,
    /// Rules, in the order they are tried.
    pub rules: Vec<LayerRule>,
    /// Flows.
    pub flows: Vec<LayerFlow>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// What a layer does if no rule matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DefaultRule {
    /// The action.
    pub action: String,
    /// How often it was taken.
    pub hits: u64,
}

/// A rule of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct LayerRule {
    /// The direction it is for.
    pub dir: Direction,
    /// Its number, by which it is removed.
    pub id: u64,
    /// The lower is tried first.
    pub priority: u16,
    /// How often it decided.
    pub hits: u64,
    /// What a packet must be, all of it; empty if any will do.
    pub predicates: Vec<String>,
    /// What it does.
    pub action: String,
}

/// A flow that a layer keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct LayerFlow {
    /// The direction of `flow`.
    pub dir: Direction,
    /// The flow as the layer sees it.
    pub flow: FlowId,
    /// How many packets it had.
    pub hits: u64,
    /// What the layer does with them.
    pub action: String,
}

/// Lists the unified flow table of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpUftReq {
    /// The port.
    pub port_name: String,
    /// Which part.
    pub page: Page,
    /// Which flows.
    pub filter: FlowFilter,
}

/// Part of the unified flow table of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpUftResp {
    /// How many inbound entries there are in all.
    pub count_in: u64,
    /// How many inbound entries there can be.
    pub limit_in: u64,
    /// How many outbound entries there are in all.
    pub count_out: u64,
    /// How many outbound entries there can be.
    pub limit_out: u64,
    /// Entries.
    pub flows: Vec<UftFlow>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// An entry of the unified flow table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct UftFlow {
    /// The direction of `flow`.
    pub dir: Direction,
    /// The flow as its packets come in.
    pub flow: FlowId,
    /// How many packets it had.
    pub hits: u64,
    /// The program that is applied to them.
    pub program: String,
}

/// Lists the TCP flows of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpTcpFlowsReq {
    /// The port.
    pub port_name: String,
    /// Which part.
    pub page: Page,
    /// Which flows.
    pub filter: FlowFilter,
}

/// Part of the TCP flows of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpTcpFlowsResp {
    /// Flows.
    pub flows: Vec<TcpFlow>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// A TCP connection of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct TcpFlow {
    /// The flow as the guest sends it.
    pub flow: FlowId,
    /// The guest's state (RFC 9293 section 3.3.2), as in `ESTABLISHED`.
    pub state: String,
    /// How many segments it had.
    pub hits: u64,
    /// Segments to the guest.
    pub segs_in: u64,
    /// Segments from the guest.
    pub segs_out: u64,
    /// Octets to the guest, headers included.
    pub bytes_in: u64,
    /// Octets from the guest, headers included.
    pub bytes_out: u64,
}

/// Empties the unified flow table of a port: the next packet of each flow goes through the layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearUftReq {
    /// The port.
    pub port_name: String,
}

/// Empties the flow table of a layer: the next packet of each flow is decided by the layer's rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ClearLftReq {
    /// The port.
    pub port_name: String,
    /// The layer.
    pub layer_name: String,
}

/// Reads the counters of the driver and its ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpStatsReq {
    /// The port, or all.
    pub port_name: Option<String>,
    /// Which part of the ports.
    pub page: Page,
}

/// Counters of the driver and of part of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DumpStatsResp {
    /// Of the driver; the same on every page but for the time between.
    pub driver: Stats,
    /// Of ports, by name.
    pub ports: Vec<PortStats>,
    /// Where to go on.
    pub next: Option<u64>,
}

/// Counters by their stable names, in snake case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Stats {
    /// Packets dropped, by reason; each packet is counted once, by the driver or by a port.
    pub drops: BTreeMap<String, u64>,
    /// All else.
    pub counters: BTreeMap<String, u64>,
}

/// The counters of a port since it was created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct PortStats {
    /// The port.
    pub name: String,
    /// Packets dropped, by reason.
    pub drops: BTreeMap<String, u64>,
    /// All else.
    pub counters: BTreeMap<String, u64>,
}

/// A flow, for people to read.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct FlowId {
    /// The IP protocol's number.
    pub protocol: u8,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// What tells flows between the same hosts apart.
    pub detail: FlowDetail,
}

/// What tells flows of one protocol between the same hosts apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub enum FlowDetail {
    /// Nothing: the protocol has no ports, or the packets are fragments.
    None,
    /// TCP and UDP.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP and ICMPv6.
    Icmp {
        /// Message type.
        ty: u8,
        /// Message code.
        code: u8,
        /// The identifier of an echo request or reply.
        id: Option<u16>,
    },
}

impl From<&FlowKey> for FlowId {
    fn from(key: &FlowKey) -> Self {
        let detail = match key.kind {
            KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY => {
                let request = key.kind == KeyKind::ECHO_REQUEST;
                let ty = match (key.protocol == ICMPV6, request) {
                    (false, true) => 8,
                    (false, false) => 0,
                    (true, true) => 128,
                    (true, false) => 129,
                };
                FlowDetail::Icmp {
                    ty,
                    code: 0,
                    id: Some(key.source_port),
                }
            }
            KeyKind::ICMP => {
                let [ty, code] = key.source_port.to_be_bytes();
                FlowDetail::Icmp { ty, code, id: None }
            }
            KeyKind::PLAIN if matches!(key.protocol, TCP | UDP) => FlowDetail::Ports {
                source: key.source_port,
                destination: key.destination_port,
            },
            _ => FlowDetail::None,
        };
        Self {
            protocol: key.protocol,
            source: key.source_ip(),
            destination: key.destination_ip(),
            detail,
        }
    }
}

impl FlowId {
    /// The name of the protocol, or `None` if it is known by its number alone.
    pub fn protocol_name(&self) -> Option<&'static str> {
        Some(match self.protocol {
            1 => "ICMP",
            2 => "IGMP",
            TCP => "TCP",
            UDP => "UDP",
            47 => "GRE",
            50 => "ESP",
            51 => "AH",
            ICMPV6 => "ICMPv6",
            132 => "SCTP",
            _ => return None,
        })
    }
}

/// `TCP:10.0.0.1:40000:10.0.0.2:80`, `ICMP:10.0.0.1:10.0.0.2:8:0:77` (type, code and identifier), `47:10.0.0.1:10.0.0.2`; IPv6 addresses
/// stand in brackets.
impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |f: &mut fmt::Formatter<'_>, ip: IpAddr| match ip {
            IpAddr::V4(ip) => write!(f, ":{ip}"),
            IpAddr::V6(ip) => write!(f, ":[{ip}]"),
        };
        match self.protocol_name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "{}", self.protocol)?,
        }
        address(f, self.source)?;
        if let FlowDetail::Ports { source, .. } = self.detail {
            write!(f, ":{source}")?;
        }
        address(f, self.destination)?;
        match self.detail {
            FlowDetail::Ports { destination, .. } => write!(f, ":{destination}"),
            FlowDetail::Icmp {
                ty,
                code,
                id: Some(id),
            } => write!(f, ":{ty}:{code}:{id}"),
            FlowDetail::Icmp { ty, code, id: None } => write!(f, ":{ty}:{code}"),
            FlowDetail::None => Ok(()),
        }
    }
}

requests! {
    /// The API version of the commands that every network definition has.
    GENERIC_VERSION on BASE_VERSION;
    /// The commands that every network definition has.
    GENERIC_COMMANDS;
    ListLayersReq = ListLayers -> ListLayersResp,
    DumpLayerReq = DumpLayer -> DumpLayerResp,
    DumpUftReq = DumpUft -> DumpUftResp,
    DumpTcpFlowsReq = DumpTcpFlows -> DumpTcpFlowsResp,
    DumpStatsReq = DumpStats -> DumpStatsResp,
    ClearUftReq = ClearUft -> NoResp,
    ClearLftReq = ClearLft -> NoResp,
    PausePortReq = PausePort -> NoResp,
    StartPortReq = StartPort -> NoResp,
    SavePortReq = SavePort -> SavePortResp,
    RestorePortReq = RestorePort -> RestorePortResp,
    HeavyHittersReq = HeavyHitters -> HeavyHittersResp,
    TracePacketReq = TracePacket -> TracePacketResp,
    SetMeterReq = SetMeter -> NoResp (check),
    SetPortOptionsReq = SetPortOptions -> NoResp (check),
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_for_people() {
        let detail = |protocol, kind, source_port, destination_port| {
            let mut key = FlowKey::ZERO;
            key.protocol = protocol;
            key.kind = kind;
            key.source_port = source_port;
            key.destination_port = destination_port;
            FlowId::from(&key).detail
        };
        let icmp = |ty, code, id| FlowDetail::Icmp { ty, code, id };
        assert_eq!(
            detail(UDP, KeyKind::PLAIN, 5000, 53),
            FlowDetail::Ports {
                source: 5000,
                destination: 53
            }
        );
        assert_eq!(detail(1, KeyKind::ECHO_REQUEST, 7, 7), icmp(8, 0, Some(7)));
        assert_eq!(
            detail(ICMPV6, KeyKind::ECHO_REPLY, 7, 7),
            icmp(129, 0, Some(7))
        );
        assert_eq!(detail(1, KeyKind::ICMP, 0x0304, 0), icmp(3, 4, None));
        assert_eq!(detail(UDP, KeyKind::FRAGMENT, 0, 0), FlowDetail::None);
        assert_eq!(detail(47, KeyKind::PLAIN, 0, 0), FlowDetail::None);
    }

    #[test]
    fn flows_as_text() {
        let flow = |protocol, source: &str, destination: &str, detail| FlowId {
            protocol,
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            detail,
        };
        for (flow, text) in [
            (
                flow(
                    TCP,
                    "10.0.0.1",
                    "10.0.0.2",
                    FlowDetail::Ports {
                        source: 40000,
                        destination: 80,
                    },
                ),
                "TCP:10.0.0.1:40000:10.0.0.2:80",
            ),
            (
                flow(
                    UDP,
                    "fd00::1",
                    "fd00::2",
                    FlowDetail::Ports {
                        source: 1,
                        destination: 2,
                    },
                ),
                "UDP:[fd00::1]:1:[fd00::2]:2",
            ),
            (
                flow(
                    1,
                    "10.0.0.1",
                    "10.0.0.2",
                    FlowDetail::Icmp {
                        ty: 8,
                        code: 0,
                        id: Some(77),
                    },
                ),
                "ICMP:10.0.0.1:10.0.0.2:8:0:77",
            ),
            (
                flow(253, "10.0.0.1", "10.0.0.2", FlowDetail::None),
                "253:10.0.0.1:10.0.0.2",
            ),
        ] {
            assert_eq!(alloc::format!("{flow}"), text);
        }
    }

    #[test]
    fn a_page_is_never_empty_and_never_boundless() {
        assert_eq!(
            Page {
                cursor: 0,
                limit: 0
            }
            .limit(),
            1
        );
        assert_eq!(
            Page {
                cursor: 0,
                limit: u32::MAX
            }
            .limit(),
            1024
        );
    }
}
