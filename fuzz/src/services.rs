//! The services of a port: whatever is asked, the lengths and checksums of the answer are right.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::input::Input;
use crate::replies::{assert_right, with_checksums};
use opte::services::{Answer, Gateway6, Service, arp, dhcp4, dhcp6, icmp4, icmp6, ndp};
use opte_headers::MacAddr;

const GUEST_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01]);
const GATEWAY_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]);
const GUEST_IP: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 5);
const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);

/// Two bytes: whether checksums are made right, and the room for an answer; then a request.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (mode, room) = (input.byte(), input.byte());
    let room = if mode & 2 == 0 {
        1_600
    } else {
        2 * usize::from(room)
    };
    let mut request = input.0.to_vec();
    if mode & 1 == 0 && request.len() > 62 {
        request = with_checksums(request);
    }
    for service in services() {
        let mut out = vec![0xa5; room];
        if let Ok(Answer::Reply(len)) = service.answer(&request, &mut out) {
            assert_right(&out[..len]);
            assert!(out[len..].iter().all(|byte| *byte == 0xa5) || len <= room);
        }
    }
}

fn services() -> Vec<Box<dyn Service>> {
    let gateway = Gateway6::new(GATEWAY_MAC);
    let guest_mac = GUEST_MAC;
    let (gateway_mac, gateway_ip) = (GATEWAY_MAC, GATEWAY_IP);
    let arp = arp::Config {
        guest_mac,
        gateway_mac,
        gateway_ip,
    };
    let echo = icmp4::Config {
        gateway_mac,
        gateway_ip,
    };
    let dhcp4 = dhcp4::Config::new(GUEST_MAC, GUEST_IP, GATEWAY_MAC, GATEWAY_IP);
    let dhcp6 = dhcp6::Config::new(GUEST_MAC, Ipv6Addr::LOCALHOST, gateway);
    vec![
        Box::new(arp::Responder::new(arp)),
        Box::new(icmp4::EchoResponder::new(echo)),
        Box::new(icmp6::EchoResponder::new(gateway)),
        Box::new(ndp::RouterResponder::new(gateway, 1_500)),
        Box::new(ndp::NeighbourResponder::new(gateway)),
        Box::new(dhcp4::Server::new(&dhcp4)),
        Box::new(dhcp6::Server::new(&dhcp6)),
    ]
}
