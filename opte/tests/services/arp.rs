//! ARP.

use opte::services::arp::{Config, Responder};
use opte::services::{Answer, ServiceError};
use opte_headers::ParseError;

use crate::captures::{ARP_PROBE, ARP_REQUEST};
use crate::frames::edited;
use crate::{GATEWAY_IP, GATEWAY_MAC, GUEST_MAC, hex, refusal, reply};

const OPERATION: usize = 20;
const SENDER_MAC: usize = 22;
const SENDER_IP: usize = 28;
const TARGET_IP: usize = 38;

fn responder() -> Responder {
    Responder::new(Config {
        guest_mac: GUEST_MAC,
        gateway_mac: GATEWAY_MAC,
        gateway_ip: GATEWAY_IP,
    })
}

#[test]
fn requests_for_the_gateway_are_answered() {
    let request = hex(ARP_REQUEST);
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("broadcast", request.clone(), "ac1e0005"),
        ("probe", hex(ARP_PROBE), "00000000"),
        (
            "to the gateway alone",
            edited(&request, &[(0, &GATEWAY_MAC.0)]),
            "ac1e0005",
        ),
        (
            "announcement of the gateway's address",
            edited(&request, &[(SENDER_IP, &GATEWAY_IP.octets())]),
            "ac1e0001",
        ),
    ];
    for (name, request, target_ip) in cases {
        let expected = format!(
            "a84025f00001 a84025ff7777 0806 0001 0800 06 04 0002 a84025ff7777 ac1e0001 a84025f00001 {target_ip}"
        );
        assert_eq!(reply(&responder(), request), hex(&expected), "{name}");
    }
}

#[test]
fn the_rest_is_not() {
    let request = hex(ARP_REQUEST);
    let illegal = |header, field, value| {
        Err(ServiceError::Request(ParseError::illegal(
            header, field, value,
        )))
    };
    let cases: &[(&str, Vec<u8>, Result<Answer, ServiceError>)] = &[
        (
            "another address",
            edited(&request, &[(TARGET_IP, &[172, 30, 0, 9])]),
            Ok(Answer::Accepted),
        ),
        (
            "probe for the guest's own",
            edited(&hex(ARP_PROBE), &[(TARGET_IP, &[172, 30, 0, 5])]),
            Ok(Answer::Accepted),
        ),
        (
            "announcement of it",
            edited(&request, &[(TARGET_IP, &[172, 30, 0, 5])]),
            Ok(Answer::Accepted),
        ),
        (
            "a reply",
            edited(&request, &[(OPERATION, &[0, 2])]),
            Ok(Answer::Accepted),
        ),
        (
            "another operation",
            edited(&request, &[(OPERATION, &[0, 9])]),
            Ok(Answer::Accepted),
        ),
        (
            "to another station",
            edited(&request, &[(0, &[2, 0, 0, 0, 0, 9])]),
            Ok(Answer::Accepted),
        ),
        (
            "not ARP",
            edited(&request, &[(12, &[0x88, 0xcc])]),
            Ok(Answer::NotForUs),
        ),
        (
            "of another station",
            edited(&request, &[(6, &[2; 6])]),
            illegal("Ethernet", "source", 0x0202_0202_0202),
        ),
        (
            "for another",
            edited(&request, &[(SENDER_MAC, &[2; 6])]),
            illegal("Arp", "sender_mac", 0x0202_0202_0202),
        ),
        (
            "of another link",
            edited(&request, &[(15, &[6])]),
            illegal("Arp", "hardware_type", 6),
        ),
        (
            "cut off",
            request[..41].to_vec(),
            Err(ServiceError::Request(ParseError::truncated(
                "Arp", "", 28, 27,
            ))),
        ),
    ];
    for (name, request, expected) in cases {
        assert_eq!(refusal(&responder(), request), *expected, "{name}");
    }
}

#[test]
fn a_buffer_too_short_is_told() {
    use opte::services::Service;
    let outcome = responder().answer(&hex(ARP_REQUEST), &mut [0; 41]);
    assert_eq!(
        outcome,
        Err(ServiceError::NoRoom {
            needed: 42,
            available: 41
        })
    );
}
