//! What a port counts.

use crate::direction::PerDirection;
use crate::drops::DropCounters;
use crate::flow::TableCounters;
use crate::fragment::FragmentCounters;

/// What happened to the packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets sent on.
    pub forwarded: u64,
    /// Bytes of the packets sent on, as they came.
    pub bytes: u64,
    /// ICMP errors among them, related to the flow of the packet they are about.
    pub related: u64,
    /// Packets answered by the port.
    pub hairpins: u64,
    /// Packets of a known flow.
    pub uft_hit: u64,
    /// Packets that walked the layers.
    pub uft_miss: u64,
    /// Flows walked again because something they depend on had changed.
    pub revalidated: u64,
    /// Packets dropped, by reason.
    pub drops: DropCounters,
}

/// The counters and gauges of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Packets, by direction.
    pub traffic: PerDirection<Traffic>,
    /// Fragments, by direction.
    pub fragments: PerDirection<FragmentCounters>,
    /// Flows that came and went.
    pub table: TableCounters,
    /// Flows there are.
    pub flows: u32,
    /// Flows there may be.
    pub flow_limit: u32,
    /// Bytes that the flow table takes.
    pub memory: usize,
    /// TCP connections there are.
    pub tcp_connections: u32,
    /// Distinct programs in use.
    pub programs: usize,
}
