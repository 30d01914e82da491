//! The firewall layer: who may talk to the guest, and to whom the guest may talk. Both by flow: what is let in may be answered.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use opte::Direction;
use opte::action::Action;
use opte::layer::Layer;
use opte::predicate::{IpPrefix, MetaPredicate, Predicate};
use opte::rule::{DefaultAction, Rule};
use opte_headers::{Ethertype, IpProtocol, Vni};

use super::router::prefix;
use crate::api::{FirewallAction, FirewallRule, Host, Hosts, IcmpFilter, Ports, ProtoFilter};
use crate::network::{Meta, VpcNetwork, meta_value};

/// The layer of a port without rules: nobody may begin to talk to the guest, the guest may begin to talk to anyone.
pub(crate) fn layer() -> Layer<VpcNetwork> {
    Layer::new(
        super::FIREWALL,
        DefaultAction::Deny,
        DefaultAction::StatefulAllow,
    )
}

/// The rule of the engine for a rule of the firewall.
pub(crate) fn rule(rule: &FirewallRule) -> Rule<VpcNetwork> {
    let mut predicates = Vec::new();
    predicates.extend(hosts(rule.direction, &rule.filters.hosts));
    protocol(&rule.filters.protocol, &mut predicates);
    predicates.extend(ports(&rule.filters.source_ports, Predicate::SourcePort));
    predicates.extend(ports(&rule.filters.ports, Predicate::DestinationPort));
    let action = match rule.action {
        FirewallAction::Allow => Action::StatefulAllow,
        FirewallAction::Deny => Action::Deny,
        FirewallAction::Reject => Action::Reject,
    };
    Rule::new(rule.priority, predicates, action)
}

/// The far end of a packet: its source inbound, its destination outbound.
fn hosts(dir: Direction, hosts: &Hosts) -> Option<Predicate<VpcNetwork>> {
    let Hosts::List(hosts) = hosts else {
        return None;
    };
    one_of(hosts.iter().map(|host| {
        let prefix = match host {
            Host::Vni(vni) => return Predicate::Meta(Arc::new(PeerIs(*vni))),
            Host::Ip(ip) => IpPrefix::exact(*ip),
            Host::Subnet(cidr) => prefix(cidr),
        };
        match dir {
            Direction::In => Predicate::Source(prefix),
            Direction::Out => Predicate::Destination(prefix),
        }
    }))
}

fn protocol(filter: &ProtoFilter, predicates: &mut Vec<Predicate<VpcNetwork>>) {
    let protocol = match filter {
        ProtoFilter::Any => return,
        ProtoFilter::Arp => return predicates.push(Predicate::Ethertype(Ethertype::ARP)),
        ProtoFilter::Icmp(_) => IpProtocol::ICMP,
        ProtoFilter::Icmp6(_) => IpProtocol::ICMPV6,
        ProtoFilter::Tcp => IpProtocol::TCP,
        ProtoFilter::Udp => IpProtocol::UDP,
        ProtoFilter::Other(number) => IpProtocol(*number),
    };
    predicates.push(Predicate::Protocol(protocol));
    if let ProtoFilter::Icmp(Some(IcmpFilter { ty, codes }))
    | ProtoFilter::Icmp6(Some(IcmpFilter { ty, codes })) = filter
    {
        predicates.push(Predicate::IcmpType(*ty..=*ty));
        predicates.extend(codes.map(|codes| Predicate::IcmpCode(codes.start()..=codes.end())));
    }
}

fn ports(
    ports: &Ports,
    asks: fn(RangeInclusive<u16>) -> Predicate<VpcNetwork>,
) -> Option<Predicate<VpcNetwork>> {
    let Ports::List(ranges) = ports else {
        return None;
    };
    one_of(ranges.iter().map(|range| asks((*range).into())))
}

fn one_of(
    predicates: impl Iterator<Item = Predicate<VpcNetwork>>,
) -> Option<Predicate<VpcNetwork>> {
    let mut predicates: Vec<_> = predicates.collect();
    if predicates.len() == 1 {
        predicates.pop()
    } else {
        Some(Predicate::Any(predicates))
    }
}

/// Whether the far end is a guest of this VPC.
struct PeerIs(Vni);

impl MetaPredicate<VpcNetwork> for PeerIs {
    fn matches(&self, meta: &Meta) -> bool {
        meta.peer == Some(self.0)
    }

    fn value(&self) -> Option<(usize, u64)> {
        Some((meta_value::PEER, u64::from(self.0.as_u32())))
    }
}

impl fmt::Display for PeerIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vni={}", self.0)
    }
}
