//! Router and neighbour solicitations.

use std::net::Ipv6Addr;

use opte::services::ndp::{NeighbourResponder, RouterResponder};
use opte::services::{Answer, Gateway6, Service, ServiceError};
use opte_headers::{Cause, ParseError};

use crate::captures::{
    DUPLICATE_ADDRESS_DETECTION, NEIGHBOUR_SOLICITATION, ROUTER_SOLICITATION,
    ROUTER_SOLICITATION_BARE,
};
use crate::frames::{assert_right, edited};
use crate::{GATEWAY_LINK_LOCAL, GATEWAY_MAC, hex, refusal, reply};

const SOURCE: usize = 22;
const DESTINATION: usize = 38;
const HOP_LIMIT: usize = 21;
const CODE: usize = 55;
const TARGET: usize = 62;

fn router() -> RouterResponder {
    RouterResponder::new(Gateway6::new(GATEWAY_MAC), 1_500)
}

fn neighbour() -> NeighbourResponder {
    NeighbourResponder::new(Gateway6::new(GATEWAY_MAC).with_address("fd00::1".parse().unwrap()))
}

/// Destination of the frame and of the packet.
const TO_GUEST: (&str, &str) = ("a84025f00001", "fe80000000000000aa4025fffef00001");
const TO_ALL: (&str, &str) = ("333300000001", "ff020000000000000000000000000001");

#[test]
fn router_advertisements() {
    let unspecified = edited(&hex(ROUTER_SOLICITATION_BARE), &[(SOURCE, &[0; 16])]);
    let to_gateway = edited(
        &hex(ROUTER_SOLICITATION),
        &[(DESTINATION, &GATEWAY_LINK_LOCAL.octets())],
    );
    for (request, (mac, ip)) in [
        (hex(ROUTER_SOLICITATION), TO_GUEST),
        (hex(ROUTER_SOLICITATION_BARE), TO_GUEST),
        (to_gateway, TO_GUEST),
        (unspecified, TO_ALL),
    ] {
        let mut reply = reply(&router(), &request);
        // The checksum is right, as has been looked at already.
        reply[56..58].fill(0);
        let expected = hex(&format!(
            "{mac} a84025ff7777 86dd 60000000 0020 3a ff fe80000000000000aa4025fffeff7777 {ip}
             86 00 0000 00 80 2328 00000000 00000000 0101a84025ff7777 0501 0000 000005dc"
        ));
        assert_eq!(reply, expected);
    }
}

/// What nobody asked for goes to all nodes, says that it was not asked for, and replaces what they know (RFC 4861, sections 6.2.4
/// and 7.2.6).
#[test]
fn unsolicited_advertisements() {
    let (mac, ip) = TO_ALL;
    let mut out = [0xa5; 200];
    let len = router().unsolicited(&mut out).unwrap();
    assert_right(&out[..len]);
    out[56..58].fill(0);
    let expected = format!(
        "{mac} a84025ff7777 86dd 60000000 0020 3a ff fe80000000000000aa4025fffeff7777 {ip}
         86 00 0000 00 80 2328 00000000 00000000 0101a84025ff7777 0501 0000 000005dc"
    );
    assert_eq!(out[..len], hex(&expected));

    let target = "fd00::1".parse().unwrap();
    let len = neighbour().unsolicited(target, &mut out).unwrap();
    assert_right(&out[..len]);
    out[56..58].fill(0);
    let expected = format!(
        "{mac} a84025ff7777 86dd 60000000 0020 3a ff fd000000000000000000000000000001 {ip}
         88 00 0000 a0000000 fd000000000000000000000000000001 0201a84025ff7777"
    );
    assert_eq!(out[..len], hex(&expected));
    for room in 0..len {
        assert!(neighbour().unsolicited(target, &mut out[..room]).is_err());
    }
}

#[test]
fn neighbour_advertisements() {
    let request = hex(NEIGHBOUR_SOLICITATION);
    let other: Ipv6Addr = "fd00::1".parse().unwrap();
    let group: Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
    let link_local = "fe80000000000000aa4025fffeff7777";
    // Duplicate address detection for the gateway's address, as the kernel does it for the guest's.
    let detection = edited(
        &hex(DUPLICATE_ADDRESS_DETECTION),
        &[
            (TARGET, &GATEWAY_LINK_LOCAL.octets()),
            (DESTINATION, &request[DESTINATION..DESTINATION + 16]),
        ],
    );
    for (name, request, (mac, ip), target, flags) in [
        ("ndisc6", request.clone(), TO_GUEST, link_local, "e0"),
        (
            "unreachability",
            edited(&request, &[(DESTINATION, &GATEWAY_LINK_LOCAL.octets())]),
            TO_GUEST,
            link_local,
            "e0",
        ),
        ("duplicate", detection, TO_ALL, link_local, "a0"),
        (
            "the other address",
            edited(
                &request,
                &[(DESTINATION, &group.octets()), (TARGET, &other.octets())],
            ),
            TO_GUEST,
            "fd000000000000000000000000000001",
            "e0",
        ),
    ] {
        let mut reply = reply(&neighbour(), &request);
        reply[56..58].fill(0);
        let expected = hex(&format!(
            "{mac} a84025ff7777 86dd 60000000 0020 3a ff {target} {ip}
             88 00 0000 {flags}000000 {target} 0201a84025ff7777"
        ));
        assert_eq!(reply, expected, "{name}");
    }
}

#[test]
fn solicitations_that_rfc_4861_has_discarded() {
    let illegal = |header, field, value| ParseError::illegal(header, field, value);
    let mut corrupt = hex(NEIGHBOUR_SOLICITATION);
    corrupt[80] ^= 1;
    let bad_checksum = ParseError::new("Icmpv6", "checksum", Cause::BadChecksum);
    let no_length = ParseError::bad_length("NdpOption", "length", 0, 8);
    let group: Ipv6Addr = "ff02::1".parse().unwrap();
    let of_router = hex(ROUTER_SOLICITATION);
    let of_neighbour = hex(NEIGHBOUR_SOLICITATION);
    let cases: &[(&str, &dyn Service, Vec<u8>, ParseError)] = &[
        (
            "hop limit",
            &router(),
            edited(&of_router, &[(HOP_LIMIT, &[254])]),
            illegal("Ipv6", "hop_limit", 254),
        ),
        (
            "hop limit",
            &neighbour(),
            edited(&of_neighbour, &[(HOP_LIMIT, &[64])]),
            illegal("Ipv6", "hop_limit", 64),
        ),
        (
            "code",
            &router(),
            edited(&of_router, &[(CODE, &[1])]),
            illegal("RouterSolicitation", "code", 1),
        ),
        (
            "code",
            &neighbour(),
            edited(&of_neighbour, &[(CODE, &[1])]),
            illegal("NeighbourSolicitation", "code", 1),
        ),
        ("checksum", &neighbour(), corrupt, bad_checksum),
        (
            "option of length 0",
            &router(),
            edited(&of_router, &[(63, &[0])]),
            no_length,
        ),
        (
            "option of length 0",
            &neighbour(),
            edited(&of_neighbour, &[(79, &[0])]),
            no_length,
        ),
        (
            "link-layer address of nobody",
            &router(),
            edited(&of_router, &[(SOURCE, &[0; 16])]),
            illegal("NdpOption", "source_link_layer", 0xa840_25f0_0001),
        ),
        (
            "link-layer address of nobody",
            &neighbour(),
            edited(&of_neighbour, &[(SOURCE, &[0; 16])]),
            illegal("NdpOption", "source_link_layer", 0xa840_25f0_0001),
        ),
        (
            "multicast target",
            &neighbour(),
            edited(&of_neighbour, &[(TARGET, &group.octets())]),
            illegal("NeighbourSolicitation", "target", 0xff02_0000_0000_0000),
        ),
        (
            "detection not to the group",
            &neighbour(),
            edited(
                &hex(DUPLICATE_ADDRESS_DETECTION),
                &[(DESTINATION, &group.octets())],
            ),
            illegal("Ipv6", "destination", 0xff02_0000_0000_0000),
        ),
    ];
    for (name, service, request, expected) in cases {
        let outcome = service.answer(request, &mut [0; 200]);
        assert_eq!(
            outcome,
            Err(ServiceError::Request(*expected)),
            "{service}: {name}"
        );
    }
    // Too short for the message: 20 of its 24 bytes.
    let mut short = hex(NEIGHBOUR_SOLICITATION);
    short.truncate(74);
    let short = edited(&short, &[(18, &[0, 20])]);
    let expected = ParseError::truncated("NeighbourSolicitation", "", 24, 20);
    assert_eq!(
        refusal(&neighbour(), &short),
        Err(ServiceError::Request(expected))
    );
}

#[test]
fn what_is_for_others() {
    let of_neighbour = hex(NEIGHBOUR_SOLICITATION);
    let other: Ipv6Addr = "fe80::aa40:25ff:feff:7776".parse().unwrap();
    let group: Ipv6Addr = "ff02::1:ffff:7776".parse().unwrap();
    let cases: &[(&str, &dyn Service, Vec<u8>)] = &[
        (
            "detection of the guest's own address",
            &neighbour(),
            hex(DUPLICATE_ADDRESS_DETECTION),
        ),
        (
            "another target",
            &neighbour(),
            edited(
                &of_neighbour,
                &[(TARGET, &other.octets()), (DESTINATION, &group.octets())],
            ),
        ),
        (
            "router solicitation",
            &neighbour(),
            hex(ROUTER_SOLICITATION),
        ),
        ("neighbour solicitation", &router(), of_neighbour.clone()),
        (
            "to other routers",
            &router(),
            edited(&hex(ROUTER_SOLICITATION), &[(DESTINATION, &other.octets())]),
        ),
        (
            "advertisement",
            &neighbour(),
            edited(&of_neighbour, &[(54, &[136])]),
        ),
    ];
    for (name, service, request) in cases {
        assert_eq!(
            service.answer(request, &mut [0; 200]),
            Ok(Answer::NotForUs),
            "{service}: {name}"
        );
    }
}
