//! The gateway layer: the guest's own addresses and no others, and the services of the VPC's router.

mod services;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::action::{Action, ActionError, AllowOrDeny, MetaAction, Shown, StaticAction};
use opte::layer::Layer;
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::{DefaultAction, Rule};
use opte::{Direction, DropReason};
use opte_headers::program::Program;
use opte_headers::transform::{Set, Transform};
use opte_headers::{Ethernet, Ethertype, FlowKey, IpProtocol, MacAddr, ethernet, stack};

use super::overlay::Reach;
use super::router::prefix;
use crate::api::{IpCidr, VpcCfg};
use crate::network::{Meta, VpcNetwork, flag};

/// The layer of a port with this configuration, on a link with an MTU of so many bytes.
pub(crate) fn layer(cfg: &VpcCfg, mtu: u16, reach: &Arc<Reach>) -> Layer<VpcNetwork> {
    let mut layer = Layer::new(super::GATEWAY, DefaultAction::Deny, DefaultAction::Deny);
    for rule in services::v4(cfg, mtu)
        .into_iter()
        .chain(services::v6(cfg, mtu))
    {
        layer.add_rule(Direction::Out, rule);
    }
    let v4 = cfg.ipv4().map(|v4| IpAddr::V4(v4.private_ip));
    let v6 = cfg.ipv6().map(|v6| IpAddr::V6(v6.private_ip));
    for address in v4.into_iter().chain(v6) {
        layer.add_rule(Direction::Out, no_spoofing(IpPrefix::exact(address), reach));
        layer.add_rule(
            Direction::In,
            to_guest(IpPrefix::exact(address), cfg.gateway_mac),
        );
        layer.add_rule(Direction::In, to_groups(address, cfg.gateway_mac));
    }
    layer.add_rule(Direction::Out, spoofed());
    if v6.is_some() {
        for dir in Direction::BOTH {
            layer.add_rule(dir, no_neighbour_discovery(dir));
        }
    }
    layer
}

/// The rule by which packets of a prefix that is not the guest's own pass.
pub(crate) fn hole(
    dir: Direction,
    cidr: &IpCidr,
    gateway: MacAddr,
    reach: &Arc<Reach>,
) -> Rule<VpcNetwork> {
    match dir {
        Direction::In => to_guest(prefix(cidr), gateway),
        Direction::Out => no_spoofing(prefix(cidr), reach),
    }
}

/// The guest may send from its own addresses.
fn no_spoofing(own: IpPrefix, reach: &Arc<Reach>) -> Rule<VpcNetwork> {
    Rule::new(
        ADMIT,
        [Predicate::Source(own), of_guest()],
        Action::Meta(Arc::new(FindPeer(Arc::clone(reach)))),
    )
}

/// What the guest sends from an address of anybody else is counted as such. What a host sends before it has an address, or
/// on its link alone, is not spoofed, only of no use here.
fn spoofed() -> Rule<VpcNetwork> {
    let ip = [Ethertype::IPV4, Ethertype::IPV6].map(Predicate::Ethertype);
    let unspecified: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let of_link = unspecified
        .map(IpPrefix::exact)
        .into_iter()
        .chain(link_local());
    Rule::new(
        DENY_SPOOFED,
        [
            Predicate::Any(ip.into()),
            Predicate::Not(Box::new(Predicate::Any(
                of_link.map(Predicate::Source).collect(),
            ))),
        ],
        Action::Static(Arc::new(Spoofed)),
    )
}

/// The guest gets what is for its own addresses.
fn to_guest(own: IpPrefix, gateway: MacAddr) -> Rule<VpcNetwork> {
    Rule::new(
        ADMIT,
        [Predicate::Destination(own), of_guest()],
        Action::Static(FromGateway::new(gateway)),
    )
}

/// The guest gets what is for groups.
fn to_groups(address: IpAddr, gateway: MacAddr) -> Rule<VpcNetwork> {
    let group_mac = Predicate::Flags {
        mask: flag::GROUP_MAC,
        value: flag::GROUP_MAC,
        name: "group MAC",
    };
    Rule::new(
        ADMIT_GROUPS,
        [Predicate::Destination(groups(address)), group_mac],
        Action::Static(FromGateway::new(gateway)),
    )
}

/// Neighbour discovery (RFC 4861) is between the guest and the gateway alone.
fn no_neighbour_discovery(dir: Direction) -> Rule<VpcNetwork> {
    let priority = match dir {
        Direction::In => FIRST,
        Direction::Out => DENY_DISCOVERY,
    };
    Rule::new(
        priority,
        [
            Predicate::Protocol(IpProtocol::ICMPV6),
            Predicate::IcmpType(DISCOVERY),
        ],
        Action::Deny,
    )
}

/// All groups of the address's family.
pub(crate) fn groups(address: IpAddr) -> IpPrefix {
    let all = match address {
        IpAddr::V4(_) => IpPrefix::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
        IpAddr::V6(_) => IpPrefix::new(IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    };
    // Both lengths are of the family.
    all.unwrap_or(IpPrefix::exact(address))
}

/// fe80::/10 (RFC 4291, section 2.4).
fn link_local() -> Option<IpPrefix> {
    IpPrefix::new(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10)
}

/// The guest's side of the frame is the guest's own MAC address.
fn of_guest() -> Predicate<VpcNetwork> {
    Predicate::Flags {
        mask: flag::GUEST_MAC,
        value: flag::GUEST_MAC,
        name: "guest MAC",
    }
}

const FIRST: u16 = 1;
const DENY_DISCOVERY: u16 = 5;
const ADMIT: u16 = 1000;
const ADMIT_GROUPS: u16 = 1001;
const DENY_SPOOFED: u16 = u16::MAX;

/// Router solicitation to redirect (RFC 4861, section 4).
const DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

/// Notes which VPC the destination is in.
struct FindPeer(Arc<Reach>);

impl MetaAction<VpcNetwork> for FindPeer {
    fn modify(
        &self,
        _: Direction,
        key: &FlowKey,
        meta: &mut Meta,
    ) -> Result<AllowOrDeny<()>, ActionError> {
        meta.peer = self.0.guest(key.destination_ip()).map(|guest| guest.vni);
        Ok(AllowOrDeny::Allow(()))
    }
}

impl fmt::Display for FindPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("peer VNI")
    }
}

/// Drops what is spoofed.
struct Spoofed;

impl StaticAction<VpcNetwork> for Spoofed {
    fn transform(
        &self,
        _: Direction,
        _: &FlowKey,
        _: &mut Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        Err(ActionError::Refused(DropReason::SpoofedSource))
    }
}

impl fmt::Display for Spoofed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("drop as spoofed_source")
    }
}

/// Shows the guest the gateway as the one who sent the frame.
struct FromGateway {
    gateway: MacAddr,
    program: Arc<Program>,
}

impl FromGateway {
    fn new(gateway: MacAddr) -> Arc<Self> {
        let program = Transform::on::<stack![Ethernet]>()
            .set::<ethernet::Source>(gateway)
            .compile();
        Arc::new(Self {
            gateway,
            program: Arc::new(program),
        })
    }
}

impl StaticAction<VpcNetwork> for FromGateway {
    fn transform(
        &self,
        _: Direction,
        _: &FlowKey,
        _: &mut Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        Ok(AllowOrDeny::Allow(*self.program))
    }

    fn show(
        &self,
        _: Direction,
        _: &FlowKey,
        _: &mut Meta,
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<AllowOrDeny<()>, ActionError> {
        taker(Shown::Kept(&self.program));
        Ok(AllowOrDeny::Allow(()))
    }
}

impl fmt::Display for FromGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source MAC {}", self.gateway)
    }
}
