//! The services of a port, given what real clients send.
//!
//! The requests are captures: isc-dhcp-client 4.4.3, ndisc6 1.0.5, arping 2.23, ping of iputils, Linux 6.1.

mod any_bytes;
mod arp;
mod captures;
mod clients;
mod dhcp4;
mod dhcp4_messages;
mod dhcp6;
mod echo;
mod frames;
mod ndp;

use std::net::{Ipv4Addr, Ipv6Addr};

use opte::services::{Answer, Service, ServiceError};
use opte_headers::MacAddr;

pub(crate) const GUEST_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01]);
pub(crate) const GATEWAY_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]);
pub(crate) const GUEST_IP: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 5);
pub(crate) const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
pub(crate) const GUEST_LINK_LOCAL: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xaa40, 0x25ff, 0xfef0, 0x0001);
pub(crate) const GATEWAY_LINK_LOCAL: Ipv6Addr =
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xaa40, 0x25ff, 0xfeff, 0x7777);

/// The reply to `request`, with every length and checksum found right.
pub(crate) fn reply(service: &impl Service, request: &[u8]) -> Vec<u8> {
    let mut out = vec![0xa5; 2_000];
    match service.answer(request, &mut out) {
        Ok(Answer::Reply(len)) => {
            out.truncate(len);
            frames::assert_right(&out);
            out
        }
        other => panic!("no reply: {other:?}"),
    }
}

/// What the service says where it does not reply.
pub(crate) fn refusal(service: &impl Service, request: &[u8]) -> Result<Answer, ServiceError> {
    let outcome = service.answer(request, &mut [0; 2_000]);
    assert!(!matches!(outcome, Ok(Answer::Reply(_))), "{outcome:?}");
    outcome
}

/// The bytes of a text in hexadecimal.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
