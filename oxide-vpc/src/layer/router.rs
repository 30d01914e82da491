//! The router layer: whether a packet stays in the VPC, leaves it, or goes nowhere.

use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::action::{Action, ActionError, AllowOrDeny, MetaAction};
use opte::layer::Layer;
use opte::predicate::{IpPrefix, MetaPredicate, Predicate};
use opte::rule::{DefaultAction, Rule};
use opte_headers::FlowKey;

use super::gateway::groups;
use crate::api::{IpCidr, RouterClass, RouterEntry, RouterTarget};
use crate::network::{Meta, VpcNetwork};

/// The layer of a port without routes.
pub(crate) fn layer() -> Layer<VpcNetwork> {
    let mut layer = Layer::new(super::ROUTER, DefaultAction::Allow, DefaultAction::Deny);
    for family in [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ] {
        layer.add_rule(
            Direction::Out,
            Rule::new(
                MULTICAST,
                [Predicate::Destination(groups(family))],
                Action::Allow,
            ),
        );
    }
    layer
}

/// The rule for one route: the longest prefix first, of two to one prefix the customer's.
pub(crate) fn rule(entry: &RouterEntry) -> Rule<VpcNetwork> {
    let system = match entry.class {
        RouterClass::Custom => 0,
        RouterClass::System => 1,
    };
    let priority =
        (u16::from(entry.dest.max_length() - entry.dest.length()) << 1 | system) + FIRST_ROUTE;
    let action = match entry.target {
        RouterTarget::Drop => Action::Deny,
        target => Action::Meta(Arc::new(Route(target))),
    };
    Rule::new(
        priority,
        [Predicate::Destination(prefix(&entry.dest))],
        action,
    )
}

/// The engine's form of a prefix.
pub(crate) fn prefix(cidr: &IpCidr) -> IpPrefix {
    // A prefix is never longer than its family has bits; if it were, one address is the most cautious reading.
    IpPrefix::new(cidr.network(), cidr.length()).unwrap_or(IpPrefix::exact(cidr.network()))
}

/// Whether the router sends the packet to an internet gateway.
pub(crate) enum ToGateway {
    /// To this one.
    Exactly(RouterTarget),
    /// To any.
    Any,
}

impl MetaPredicate<VpcNetwork> for ToGateway {
    fn matches(&self, meta: &Meta) -> bool {
        match self {
            Self::Exactly(target) => meta.target == Some(*target),
            Self::Any => matches!(meta.target, Some(RouterTarget::InternetGateway(_))),
        }
    }
}

impl fmt::Display for ToGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(target) => write!(f, "router-target={target}"),
            Self::Any => f.write_str("router-target-class=ig"),
        }
    }
}

const MULTICAST: u16 = 0;
const FIRST_ROUTE: u16 = 10;

/// Notes where the packet goes.
struct Route(RouterTarget);

impl MetaAction<VpcNetwork> for Route {
    fn modify(
        &self,
        _: Direction,
        _: &FlowKey,
        meta: &mut Meta,
    ) -> Result<AllowOrDeny<()>, ActionError> {
        meta.target = Some(self.0);
        Ok(AllowOrDeny::Allow(()))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.0)
    }
}
