//! Which flows a listing has.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{FlowDetail, FlowId, IpCidr};
use crate::Direction;

/// Which flows are listed: those that are all of what is said.
///
/// The driver asks it of each flow as it walks its table, so that a listing of few flows of a million carries few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct FlowFilter {
    /// The source or the destination is in this prefix.
    pub address: Option<IpCidr>,
    /// The source or the destination port of TCP or UDP is this one.
    pub l4_port: Option<u16>,
    /// The IP protocol's number.
    pub protocol: Option<u8>,
    /// The direction. A TCP connection has both, and is listed with either.
    pub dir: Option<Direction>,
}

impl FlowFilter {
    /// All flows.
    pub const ALL: Self = Self {
        address: None,
        l4_port: None,
        protocol: None,
        dir: None,
    };

    /// Whether the flow is one of those, of whichever direction.
    pub fn has_flow(&self, flow: &FlowId) -> bool {
        let address = self
            .address
            .is_none_or(|prefix| prefix.contains(flow.source) || prefix.contains(flow.destination));
        let protocol = self.protocol.is_none_or(|number| number == flow.protocol);
        let l4_port = self.l4_port.is_none_or(|port| match flow.detail {
            FlowDetail::Ports {
                source,
                destination,
            } => source == port || destination == port,
            FlowDetail::None | FlowDetail::Icmp { .. } => false,
        });
        address && protocol && l4_port
    }

    /// Whether the flow is one of those, in this direction. It is looked at only if that matters.
    pub fn has(&self, dir: Direction, flow: impl FnOnce() -> FlowId) -> bool {
        let of_any_flow =
            self.address.is_none() && self.l4_port.is_none() && self.protocol.is_none();
        self.has_dir(dir) && (of_any_flow || self.has_flow(&flow()))
    }

    /// Whether flows of this direction are among those.
    pub fn has_dir(&self, dir: Direction) -> bool {
        self.dir.is_none_or(|only| only == dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_all_that_is_said() {
        let flow = FlowId {
            protocol: 6,
            source: [10, 0, 0, 1].into(),
            destination: [192, 0, 2, 7].into(),
            detail: FlowDetail::Ports {
                source: 40_000,
                destination: 80,
            },
        };
        let filter = |address: &str, l4_port, protocol| FlowFilter {
            address: Some(address.parse().unwrap()),
            l4_port,
            protocol,
            dir: None,
        };
        assert!(FlowFilter::ALL.has_flow(&flow));
        for (of, has) in [
            (filter("10.0.0.0/24", None, None), true),
            (filter("192.0.2.7/32", Some(80), Some(6)), true),
            (filter("192.0.2.7/32", Some(40_000), None), true),
            (filter("192.0.2.8/32", Some(80), Some(6)), false),
            (filter("0.0.0.0/0", Some(81), Some(6)), false),
            (filter("0.0.0.0/0", Some(80), Some(17)), false),
            (filter("::/0", None, None), false),
        ] {
            assert_eq!(of.has_flow(&flow), has, "{of:?}");
        }
        let echo = FlowId {
            protocol: 1,
            detail: FlowDetail::Icmp {
                ty: 8,
                code: 0,
                id: Some(80),
            },
            ..flow
        };
        assert!(!filter("0.0.0.0/0", Some(80), None).has_flow(&echo));
    }
}
