//! Replies of the services of a port, to what real clients send.

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};

use opte::services::{Gateway6, Service, arp, dhcp4, dhcp6, icmp4, icmp6, ndp};
use opte_headers::MacAddr;

use crate::{Meter, Row, Unit};

#[allow(dead_code)]
#[path = "../../opte/tests/services/captures.rs"]
mod captures;

const BUDGET: f64 = 1_500.0;

/// Rows of this module.
pub const ROWS: &[Row] = &[
    row("reply_arp", Unit::Instructions, BUDGET, of_arp),
    row("reply_icmp_echo", Unit::Instructions, BUDGET, of_echo),
    row("reply_icmpv6_echo", Unit::Instructions, BUDGET, of_echo6),
    row("reply_router", Unit::Instructions, BUDGET, of_router),
    row("reply_neighbour", Unit::Instructions, BUDGET, of_neighbour),
    row("reply_dhcp4", Unit::Instructions, BUDGET, of_dhcp4),
    row("reply_dhcp6", Unit::Instructions, BUDGET, of_dhcp6),
    row("reply_dhcp4_time", Unit::Nanoseconds, 200.0, of_dhcp4),
    row("reply_dhcp6_time", Unit::Nanoseconds, 200.0, of_dhcp6),
    row("reply_dhcp4_allocations", Unit::Allocations, 0.0, of_dhcp4),
    row("reply_dhcp6_allocations", Unit::Allocations, 0.0, of_dhcp6),
];

const fn row(name: &'static str, unit: Unit, budget: f64, run: fn(&mut Meter)) -> Row {
    Row {
        name,
        unit,
        budget,
        run,
    }
}

const REPLIES: usize = 10_000;
const GUEST_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01]);
const GATEWAY: Gateway6 = Gateway6::new(MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]));
const GUEST_IP: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 5);
const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

fn of_arp(meter: &mut Meter) {
    let config = arp::Config {
        guest_mac: GUEST_MAC,
        gateway_mac: GATEWAY.mac,
        gateway_ip: GATEWAY_IP,
    };
    replies(meter, arp::Responder::new(config), captures::ARP_REQUEST);
}

fn of_echo(meter: &mut Meter) {
    let config = icmp4::Config {
        gateway_mac: GATEWAY.mac,
        gateway_ip: GATEWAY_IP,
    };
    replies(
        meter,
        icmp4::EchoResponder::new(config),
        captures::ECHO_REQUEST,
    );
}

fn of_echo6(meter: &mut Meter) {
    replies(
        meter,
        icmp6::EchoResponder::new(GATEWAY),
        captures::ECHO_REQUEST6,
    );
}

fn of_router(meter: &mut Meter) {
    replies(
        meter,
        ndp::RouterResponder::new(GATEWAY, 1_500),
        captures::ROUTER_SOLICITATION,
    );
}

fn of_neighbour(meter: &mut Meter) {
    replies(
        meter,
        ndp::NeighbourResponder::new(GATEWAY),
        captures::NEIGHBOUR_SOLICITATION,
    );
}

fn of_dhcp4(meter: &mut Meter) {
    let server = dhcp4::Server::new(&dhcp4::Config {
        dns_servers: vec![Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(1, 1, 1, 1)],
        hostname: "guest".parse().ok(),
        domain: "example.org".parse().ok(),
        domain_search: ["a.example.org", "example.org"]
            .iter()
            .flat_map(|name| name.parse())
            .collect(),
        ..dhcp4::Config::new(GUEST_MAC, GUEST_IP, GATEWAY.mac, GATEWAY_IP)
    });
    replies(meter, server, captures::DHCP_DISCOVER);
}

fn of_dhcp6(meter: &mut Meter) {
    let server = dhcp6::Server::new(&dhcp6::Config {
        dns_servers: vec![Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST],
        hostname: "guest".parse().ok(),
        domain: "example.org".parse().ok(),
        domain_search: ["a.example.org", "example.org"]
            .iter()
            .flat_map(|name| name.parse())
            .collect(),
        ..dhcp6::Config::new(GUEST_MAC, Ipv6Addr::LOCALHOST, GATEWAY)
    });
    replies(meter, server, captures::DHCP6_SOLICIT);
}

fn replies(meter: &mut Meter, service: impl Service, request: &str) {
    let digits: Vec<u8> = request
        .chars()
        .flat_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    let request: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    let mut reply = [0; 1_514];
    meter.each(REPLIES, |_| {
        let _ = black_box(service.answer(black_box(&request), black_box(&mut reply)));
    });
}
