//! ICMP and ICMPv6 echo.

use opte::services::{Answer, Gateway6, Service, ServiceError, icmp4, icmp6};
use opte_headers::{Cause, ParseError};

use crate::captures::{ECHO_REQUEST, ECHO_REQUEST6};
use crate::frames::{edited, u16_at, with_checksums};
use crate::{
    GATEWAY_IP, GATEWAY_LINK_LOCAL, GATEWAY_MAC, GUEST_IP, GUEST_LINK_LOCAL, GUEST_MAC, hex,
    refusal, reply,
};

fn v4() -> icmp4::EchoResponder {
    icmp4::EchoResponder::new(icmp4::Config {
        gateway_mac: GATEWAY_MAC,
        gateway_ip: GATEWAY_IP,
    })
}

fn v6() -> icmp6::EchoResponder {
    icmp6::EchoResponder::new(Gateway6::new(GATEWAY_MAC).with_address("fd00::1".parse().unwrap()))
}

#[test]
fn the_reply_is_the_request_sent_back() {
    let request = hex(ECHO_REQUEST);
    let reply = reply(&v4(), &request);
    assert_eq!(reply.len(), request.len());
    assert_eq!(
        (&reply[..6], &reply[6..12]),
        (&GUEST_MAC.0[..], &GATEWAY_MAC.0[..])
    );
    assert_eq!(
        (&reply[26..30], &reply[30..34]),
        (&GATEWAY_IP.octets()[..], &GUEST_IP.octets()[..])
    );
    assert_eq!(
        (reply[22], reply[34], reply[35]),
        (128, 0, 0),
        "hop limit, type, code"
    );
    assert_eq!(
        reply[38..],
        request[38..],
        "identifier, sequence number, data"
    );
}

#[test]
fn the_reply_is_the_request_sent_back_v6() {
    let to_address = edited(
        &hex(ECHO_REQUEST6),
        &[(
            38,
            &"fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets(),
        )],
    );
    for (request, gateway) in [
        (hex(ECHO_REQUEST6), GATEWAY_LINK_LOCAL),
        (to_address, "fd00::1".parse().unwrap()),
    ] {
        let reply = reply(&v6(), &request);
        assert_eq!(reply.len(), request.len());
        assert_eq!(
            (&reply[..6], &reply[6..12]),
            (&GUEST_MAC.0[..], &GATEWAY_MAC.0[..])
        );
        assert_eq!(
            (&reply[22..38], &reply[38..54]),
            (&gateway.octets()[..], &GUEST_LINK_LOCAL.octets()[..])
        );
        assert_eq!(
            (reply[21], reply[54], reply[55]),
            (128, 129, 0),
            "hop limit, type, code"
        );
        assert_eq!(
            reply[58..],
            request[58..],
            "identifier, sequence number, data"
        );
    }
}

#[test]
fn every_length_of_data() {
    for (capture, start, length_at, service) in [
        (ECHO_REQUEST, 42, 16, &v4() as &dyn Service),
        (ECHO_REQUEST6, 62, 18, &v6()),
    ] {
        for len in 0..1_500usize {
            let mut request = hex(capture);
            request.resize(start, 0);
            request.extend((0..len).map(|i| (i * 7) as u8));
            let counted = (request.len() - if length_at == 16 { 14 } else { 54 }) as u16;
            request[length_at..length_at + 2].copy_from_slice(&counted.to_be_bytes());
            let request = with_checksums(request);
            let mut out = vec![0; 2_000];
            assert_eq!(
                service.answer(&request, &mut out),
                Ok(Answer::Reply(request.len())),
                "{len} bytes"
            );
            crate::frames::assert_right(&out[..request.len()]);
            assert_eq!(out[start..request.len()], request[start..]);
            // The padding of a link is no part of the packet.
            let padded = [&request[..], &[0xee; 9]].concat();
            assert_eq!(
                service.answer(&padded, &mut out),
                Ok(Answer::Reply(request.len())),
                "{len} bytes, padded"
            );
        }
    }
}

#[test]
fn the_service_class_is_kept() {
    let request = edited(&hex(ECHO_REQUEST), &[(15, &[0xb8 | 0x01])]);
    assert_eq!(reply(&v4(), &request)[15], 0xb8);
    let request = edited(&hex(ECHO_REQUEST6), &[(14, &[0x6b, 0x90])]);
    assert_eq!(u16_at(&reply(&v6(), &request), 14), 0x6b80);
}

#[test]
fn what_is_not_answered() {
    let bad = |header| {
        Err(ServiceError::Request(ParseError::new(
            header,
            "checksum",
            Cause::BadChecksum,
        )))
    };
    let illegal = |header, field, value| {
        Err(ServiceError::Request(ParseError::illegal(
            header, field, value,
        )))
    };
    let request = hex(ECHO_REQUEST);
    let mut corrupt = request.clone();
    corrupt[60] ^= 1;
    let mut corrupt_header = request.clone();
    corrupt_header[22] ^= 1;
    let cases: &[(&str, Vec<u8>, Result<Answer, ServiceError>)] = &[
        (
            "to another address",
            edited(&request, &[(30, &[172, 30, 0, 9])]),
            Ok(Answer::NotForUs),
        ),
        (
            "to another station",
            edited(&request, &[(0, &[2; 6])]),
            Ok(Answer::NotForUs),
        ),
        (
            "a reply",
            edited(&request, &[(34, &[0])]),
            Ok(Answer::NotForUs),
        ),
        (
            "another protocol",
            edited(&request, &[(23, &[2])]),
            Ok(Answer::NotForUs),
        ),
        (
            "from nobody",
            edited(&request, &[(26, &[0; 4])]),
            illegal("Ipv4", "source", 0),
        ),
        (
            "from all",
            edited(&request, &[(26, &[255; 4])]),
            illegal("Ipv4", "source", 0xffff_ffff),
        ),
        ("corrupt data", corrupt, bad("Icmpv4")),
        ("corrupt header", corrupt_header, bad("Ipv4")),
        (
            "first fragment",
            edited(&request, &[(20, &[0x20, 0])]),
            Err(ServiceError::Request(ParseError::unsupported(
                "Ipv4",
                "fragment_offset",
                0,
            ))),
        ),
        (
            "longer than the frame",
            edited(&request, &[(16, &[0, 85])]),
            Err(ServiceError::Request(ParseError::bad_length(
                "Ipv4",
                "total_len",
                85,
                84,
            ))),
        ),
    ];
    for (name, request, expected) in cases {
        assert_eq!(refusal(&v4(), request), *expected, "{name}");
    }

    let request = hex(ECHO_REQUEST6);
    let mut corrupt = request.clone();
    corrupt[70] ^= 1;
    let cases: &[(&str, Vec<u8>, Result<Answer, ServiceError>)] = &[
        (
            "to another address",
            edited(&request, &[(53, &[1])]),
            Ok(Answer::NotForUs),
        ),
        (
            "a reply",
            edited(&request, &[(54, &[129])]),
            Ok(Answer::NotForUs),
        ),
        (
            "from nobody",
            edited(&request, &[(22, &[0; 16])]),
            illegal("Ipv6", "source", 0),
        ),
        ("corrupt data", corrupt, bad("Icmpv6")),
        (
            "longer than the frame",
            edited(&request, &[(18, &[0, 65])]),
            Err(ServiceError::Request(ParseError::bad_length(
                "Ipv6",
                "payload_len",
                65,
                64,
            ))),
        ),
    ];
    for (name, request, expected) in cases {
        assert_eq!(refusal(&v6(), request), *expected, "{name}");
    }
}
