//! Whatever the bytes: no panic, and a reply that is right.

use std::net::Ipv6Addr;

use proptest::prelude::*;

use opte::services::{Answer, Gateway6, Service, arp, dhcp4, dhcp6, icmp4, icmp6, ndp};

use crate::captures::{
    ARP_REQUEST, DHCP_DISCOVER, DHCP6_SOLICIT, ECHO_REQUEST, ECHO_REQUEST6, NEIGHBOUR_SOLICITATION,
    ROUTER_SOLICITATION,
};
use crate::frames::{assert_right, with_checksums};
use crate::{GATEWAY_IP, GATEWAY_MAC, GUEST_IP, GUEST_MAC, hex};

fn services() -> Vec<Box<dyn Service>> {
    let gateway = Gateway6::new(GATEWAY_MAC);
    vec![
        Box::new(arp::Responder::new(arp::Config {
            guest_mac: GUEST_MAC,
            gateway_mac: GATEWAY_MAC,
            gateway_ip: GATEWAY_IP,
        })),
        Box::new(icmp4::EchoResponder::new(icmp4::Config {
            gateway_mac: GATEWAY_MAC,
            gateway_ip: GATEWAY_IP,
        })),
        Box::new(icmp6::EchoResponder::new(gateway)),
        Box::new(ndp::RouterResponder::new(gateway, 1_500)),
        Box::new(ndp::NeighbourResponder::new(gateway)),
        Box::new(dhcp4::Server::new(&dhcp4::Config::new(
            GUEST_MAC,
            GUEST_IP,
            GATEWAY_MAC,
            GATEWAY_IP,
        ))),
        Box::new(dhcp6::Server::new(&dhcp6::Config::new(
            GUEST_MAC,
            Ipv6Addr::LOCALHOST,
            gateway,
        ))),
    ]
}

fn answer_all(request: &[u8], room: usize) {
    for service in services() {
        let mut out = vec![0; room];
        if let Ok(Answer::Reply(len)) = service.answer(request, &mut out) {
            assert_right(&out[..len]);
        }
    }
}

const CAPTURES: [&str; 7] = [
    ARP_REQUEST,
    ECHO_REQUEST,
    ECHO_REQUEST6,
    ROUTER_SOLICITATION,
    NEIGHBOUR_SOLICITATION,
    DHCP_DISCOVER,
    DHCP6_SOLICIT,
];

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), room in 0usize..1_600) {
        answer_all(&bytes, room);
    }

    #[test]
    fn real_requests_changed_and_cut(
        capture in 0..CAPTURES.len(),
        changes in proptest::collection::vec((12usize..400, any::<u8>()), 0..6),
        cut in 0usize..400,
        fix in any::<bool>(),
        room in prop_oneof![Just(1_600usize), 0usize..400],
    ) {
        let mut frame = hex(CAPTURES[capture]);
        for (place, value) in changes {
            if let Some(byte) = frame.get_mut(place) {
                *byte = value;
            }
        }
        frame.truncate(frame.len().saturating_sub(cut % 40).max(60.min(frame.len())));
        if fix && frame.len() > 62 {
            frame = with_checksums(frame);
        }
        answer_all(&frame, room);
    }
}
