//! What the gateway answers to the guest in place of a router and its servers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::action::Action;
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::Rule;
use opte::services::{Gateway6, Hairpinned, Service, arp, dhcp4, dhcp6, icmp4, icmp6, ndp};
use opte_headers::{Ethertype, Icmpv4Type, Icmpv6Type, IpProtocol};

use super::of_guest;
use crate::api::VpcCfg;
use crate::network::VpcNetwork;

/// The services over IPv4.
pub(super) fn v4(cfg: &VpcCfg, mtu: u16) -> Vec<Rule<VpcNetwork>> {
    let Some(v4) = cfg.ipv4() else {
        return Vec::new();
    };
    let (guest_mac, gateway_mac, gateway_ip) = (cfg.guest_mac, cfg.gateway_mac, v4.gateway_ip);
    let arp = arp::Responder::new(arp::Config {
        guest_mac,
        gateway_mac,
        gateway_ip,
    });
    let echo = icmp4::EchoResponder::new(icmp4::Config {
        gateway_mac,
        gateway_ip,
    });
    let dhcp = dhcp4::Server::new(&dhcp4::Config {
        mtu,
        dns_servers: cfg.dhcp.dns4_servers.clone(),
        hostname: cfg.dhcp.hostname.clone(),
        domain: cfg.dhcp.host_domain.clone(),
        domain_search: cfg.dhcp.domain_search_list.clone(),
        ..dhcp4::Config::new(guest_mac, v4.private_ip, gateway_mac, gateway_ip)
    });
    let to_server = [IpAddr::V4(Ipv4Addr::BROADCAST), IpAddr::V4(gateway_ip)]
        .map(to)
        .into();
    Vec::from([
        service(1, arp, [Predicate::Ethertype(Ethertype::ARP)]),
        service(
            1,
            echo,
            [
                icmp(IpProtocol::ICMP, Icmpv4Type::ECHO_REQUEST.0),
                from(v4.private_ip),
                to(gateway_ip),
            ],
        ),
        service(1, dhcp, [ports(68, 67), Predicate::Any(to_server)]),
    ])
}

/// The services over IPv6.
pub(super) fn v6(cfg: &VpcCfg, mtu: u16) -> Vec<Rule<VpcNetwork>> {
    let Some(v6) = cfg.ipv6() else {
        return Vec::new();
    };
    let gateway = Gateway6::new(cfg.gateway_mac).with_address(v6.gateway_ip);
    let echo = icmp6::EchoResponder::new(gateway);
    let dhcp = dhcp6::Server::new(&dhcp6::Config {
        dns_servers: cfg.dhcp.dns6_servers.clone(),
        hostname: cfg.dhcp.hostname.clone(),
        domain: cfg.dhcp.host_domain.clone(),
        domain_search: cfg.dhcp.domain_search_list.clone(),
        ..dhcp6::Config::new(cfg.guest_mac, v6.private_ip, gateway)
    });
    let to_server = [ALL_DHCP_AGENTS, ALL_DHCP_SERVERS, gateway.link_local]
        .map(to)
        .into();
    let to_gateway = || Predicate::Any([gateway.link_local, v6.gateway_ip].map(to).into());
    let request = || icmp(IpProtocol::ICMPV6, Icmpv6Type::ECHO_REQUEST.0);
    Vec::from([
        service(1, echo, [request(), from(v6.private_ip), to_gateway()]),
        service(1, dhcp, [ports(546, 547), Predicate::Any(to_server)]),
        service(
            2,
            echo,
            [request(), from(cfg.guest_mac.to_link_local()), to_gateway()],
        ),
        service(
            3,
            ndp::RouterResponder::new(gateway, mtu),
            [icmp(IpProtocol::ICMPV6, Icmpv6Type::ROUTER_SOLICITATION.0)],
        ),
        service(
            4,
            ndp::NeighbourResponder::new(gateway),
            [icmp(
                IpProtocol::ICMPV6,
                Icmpv6Type::NEIGHBOUR_SOLICITATION.0,
            )],
        ),
    ])
}

/// A rule for what the guest itself asks of a service.
fn service<S: Service + 'static>(
    priority: u16,
    service: S,
    asked: impl IntoIterator<Item = Predicate<VpcNetwork>>,
) -> Rule<VpcNetwork> {
    let asked = asked.into_iter().chain([of_guest()]);
    Rule::new(
        priority,
        asked,
        Action::Hairpin(Arc::new(Hairpinned::new(service))),
    )
}

fn icmp(protocol: IpProtocol, ty: u8) -> Predicate<VpcNetwork> {
    Predicate::All(Vec::from([
        Predicate::Protocol(protocol),
        Predicate::IcmpType(ty..=ty),
    ]))
}

fn ports(source: u16, destination: u16) -> Predicate<VpcNetwork> {
    Predicate::All(Vec::from([
        Predicate::Protocol(IpProtocol::UDP),
        Predicate::SourcePort(source..=source),
        Predicate::DestinationPort(destination..=destination),
    ]))
}

fn from(address: impl Into<IpAddr>) -> Predicate<VpcNetwork> {
    Predicate::Source(IpPrefix::exact(address))
}

fn to(address: impl Into<IpAddr>) -> Predicate<VpcNetwork> {
    Predicate::Destination(IpPrefix::exact(address))
}

/// All_DHCP_Relay_Agents_and_Servers (RFC 8415, section 7.1).
const ALL_DHCP_AGENTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// All_DHCP_Servers (RFC 8415, section 7.1).
const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);
