//! DHCPv6.

use std::net::Ipv6Addr;

use opte::services::dhcp6::{Config, FOREVER, Server};
use opte::services::{Answer, Gateway6, ServiceError};
use opte_headers::{Cause, ParseError};

use crate::captures::DHCP6_SOLICIT;
use crate::frames::{edited, with_checksums};
use crate::{GATEWAY_LINK_LOCAL, GATEWAY_MAC, GUEST_LINK_LOCAL, GUEST_MAC, hex, refusal, reply};

type Options = Vec<(u16, Vec<u8>)>;

const SOLICIT: u8 = 1;
const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION_REQUEST: u8 = 11;

const GUEST_IP: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5);
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 9, 9, 0, 0, 0, 5);
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// The client's DUID, as option.
const CLIENT: &str = "0001 000e 0001000132939dffa84025f00001";
/// The server's DUID, as option: type 3, of the gateway's link-layer address.
const SERVER: &str = "0002 000a 00030001a84025ff7777";
/// One address, fd00::5, for good.
const LEASED: &str = "0005 0018 fd000000000000000000000000000005 ffffffff ffffffff";
const FOR_GOOD: &str = "ffffffff ffffffff";

fn server() -> Server {
    let name = |text: &str| text.parse().unwrap();
    Server::new(&Config {
        dns_servers: vec!["2001:4860:4860::8888".parse().unwrap()],
        domain_search: vec![name("a.example.org"), name("example.org")],
        sntp_servers: vec!["fd00::123".parse().unwrap()],
        hostname: Some(name("guest")),
        domain: Some(name("example.org")),
        ..Config::new(GUEST_MAC, GUEST_IP, Gateway6::new(GATEWAY_MAC))
    })
}

/// A message with these options, in hexadecimal.
fn message(ty: u8, options: &str) -> Vec<u8> {
    let options = hex(options);
    let mut frame = [
        &hex("333300010002 a84025f00001 86dd 60000000")[..],
        &[0; 2],
        &[17, 1],
    ]
    .concat();
    frame.extend(GUEST_LINK_LOCAL.octets());
    frame.extend(GROUP.octets());
    frame.extend(hex("0222 0223 0000 0000"));
    frame.extend([ty, 0x37, 0x35, 0xcf]);
    frame.extend(options);
    let len = (frame.len() as u16 - 54).to_be_bytes();
    edited(&frame, &[(18, &len), (58, &len)])
}

fn ia_na(id: u32, inner: &str) -> String {
    format!(
        "0003 {:04x} {id:08x} 00000e10 00001518 {inner}",
        12 + hex(inner).len()
    )
}

fn address(address: Ipv6Addr) -> String {
    let octets: String = address
        .octets()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!("0005 0018 {octets} 00001c20 00001d4c")
}

/// The options of a reply.
fn options(reply: &[u8]) -> Options {
    let mut rest = &reply[66..];
    let mut options = Vec::new();
    while let [a, b, c, d, behind @ ..] = rest {
        let (body, behind) = behind.split_at(u16::from_be_bytes([*c, *d]).into());
        options.push((u16::from_be_bytes([*a, *b]), body.to_vec()));
        rest = behind;
    }
    assert!(rest.is_empty());
    options
}

fn codes(reply: &[u8]) -> Vec<u16> {
    options(reply).into_iter().map(|option| option.0).collect()
}

#[test]
fn dhclient_is_offered_the_address_and_what_it_lists() {
    let reply = reply(&server(), &hex(DHCP6_SOLICIT));
    assert_eq!(reply[..14], hex("a84025f00001 a84025ff7777 86dd"));
    assert_eq!(
        (&reply[22..38], &reply[38..54]),
        (
            &GATEWAY_LINK_LOCAL.octets()[..],
            &GUEST_LINK_LOCAL.octets()[..]
        )
    );
    assert_eq!(reply[54..58], hex("0223 0222"));
    let expected = format!(
        "02 3735cf {CLIENT} {SERVER} 0007 0001 ff
         0003 0028 25f00001 {FOR_GOOD} {LEASED}
         0017 0010 20014860486000000000000000008888
         0018 001c 0161076578616d706c65036f726700 076578616d706c65036f726700
         0027 0014 03 056775657374 076578616d706c65036f726700
         001f 0010 fd000000000000000000000000000123"
    );
    assert_eq!(reply[62..], hex(&expected));
}

#[test]
fn every_message_and_its_answer() {
    let ours = ia_na(7, &address(GUEST_IP));
    let stale = ia_na(7, &address(ELSEWHERE));
    let zero = "0005 0018 fd000009000900090000000000000005 00000000 00000000";
    let bound = format!("0003 0028 00000007 {FOR_GOOD} {LEASED}");
    let list = "0006 0002 0017";
    let dns = "0017 0010 20014860486000000000000000008888";
    let refused =
        |id: u32, status: u16| format!("0003 0012 {id:08x} {FOR_GOOD} 000d 0002 {status:04x}");
    let preferred = "0007 0001 ff";
    let success = "000d 0002 0000";
    let cases: &[(&str, u8, String, u8, String)] = &[
        (
            "solicit",
            SOLICIT,
            format!("{CLIENT} {list} {}", ia_na(7, "")),
            ADVERTISE,
            format!("{preferred} {bound} {dns}"),
        ),
        (
            "rapid commit",
            SOLICIT,
            format!("{CLIENT} 000e 0000 {list} {}", ia_na(7, "")),
            REPLY,
            format!("000e 0000 {bound} {dns}"),
        ),
        (
            "solicit for two, temporary ones and a prefix",
            SOLICIT,
            format!(
                "{CLIENT} 0006 0000 {} {} 0004 0004 00000009 0019 000c 0000000a 00000000 00000000",
                ia_na(7, ""),
                ia_na(8, "")
            ),
            ADVERTISE,
            format!(
                "{preferred} {bound} {} 0004 000a 00000009 000d 0002 0002 0019 0012 0000000a {FOR_GOOD} 000d 0002 0006",
                refused(8, 2)
            ),
        ),
        (
            "request",
            REQUEST,
            format!("{CLIENT} {SERVER} {list} {ours}"),
            REPLY,
            format!("{bound} {dns}"),
        ),
        (
            "request with a hint",
            REQUEST,
            format!("{CLIENT} {SERVER} {list} {stale}"),
            REPLY,
            format!("{bound} {dns}"),
        ),
        (
            "renew",
            RENEW,
            format!("{CLIENT} {SERVER} {list} {ours}"),
            REPLY,
            format!("{bound} {dns}"),
        ),
        (
            "renew with one more address",
            RENEW,
            format!(
                "{CLIENT} {SERVER} {list} {}",
                ia_na(7, &(address(ELSEWHERE) + &address(GUEST_IP)))
            ),
            REPLY,
            format!("0003 0044 00000007 {FOR_GOOD} {LEASED} {zero} {dns}"),
        ),
        (
            "renew of two: the address belongs where it is named",
            RENEW,
            format!("{CLIENT} {SERVER} 0006 0000 {} {ours}", ia_na(8, "")),
            REPLY,
            format!("{} {bound}", refused(8, 3)),
        ),
        (
            "rebind",
            REBIND,
            format!("{CLIENT} {list} {ours}"),
            REPLY,
            format!("{bound} {dns}"),
        ),
        (
            "rebind elsewhere",
            REBIND,
            format!("{CLIENT} {list} {stale}"),
            REPLY,
            format!("0003 0044 00000007 {FOR_GOOD} {LEASED} {zero} {dns}"),
        ),
        (
            "confirm",
            CONFIRM,
            format!("{CLIENT} {ours}"),
            REPLY,
            success.into(),
        ),
        (
            "confirm elsewhere",
            CONFIRM,
            format!("{CLIENT} {ours} {stale}"),
            REPLY,
            "000d 0002 0004".into(),
        ),
        (
            "release",
            RELEASE,
            format!("{CLIENT} {SERVER} {ours}"),
            REPLY,
            success.into(),
        ),
        (
            "release of what is not held",
            RELEASE,
            format!("{CLIENT} {SERVER} {stale}"),
            REPLY,
            format!("{success} 0003 0012 00000007 00000000 00000000 000d 0002 0003"),
        ),
        (
            "decline",
            DECLINE,
            format!("{CLIENT} {SERVER} {ours}"),
            REPLY,
            success.into(),
        ),
        (
            "information",
            INFORMATION_REQUEST,
            format!("{CLIENT} {list}"),
            REPLY,
            dns.into(),
        ),
    ];
    for (name, ty, request, answer, expected) in cases {
        let reply = reply(&server(), &message(*ty, request));
        assert_eq!(
            reply[62..66],
            [*answer, 0x37, 0x35, 0xcf],
            "{name}: type, transaction"
        );
        assert_eq!(
            reply[66..],
            hex(&format!("{CLIENT} {SERVER} {expected}")),
            "{name}"
        );
    }
}

#[test]
fn information_without_an_identifier() {
    let reply = reply(&server(), &message(INFORMATION_REQUEST, "0008 0002 0000"));
    assert_eq!(
        codes(&reply),
        [2, 23, 24, 31, 39],
        "without a list all there is"
    );
}

#[test]
fn a_lease_with_an_end() {
    let config = Config {
        lifetime: 3_600,
        ..Config::new(GUEST_MAC, GUEST_IP, Gateway6::new(GATEWAY_MAC))
    };
    assert_ne!(config.lifetime, FOREVER);
    let reply = reply(
        &Server::new(&config),
        &message(REQUEST, &format!("{CLIENT} {SERVER} {}", ia_na(7, ""))),
    );
    let expected = "0003 0028 00000007 00000708 00000b40
        0005 0018 fd000000000000000000000000000005 00000e10 00000e10";
    assert_eq!(reply[66..], hex(&format!("{CLIENT} {SERVER} {expected}")));
}

#[test]
fn messages_without_an_answer() {
    let other = "0002 000a 00030001a84025ff7778";
    let ours = ia_na(7, &address(GUEST_IP));
    for (name, ty, options, expected) in [
        (
            "request to another",
            REQUEST,
            format!("{CLIENT} {other} {ours}"),
            Answer::Accepted,
        ),
        (
            "release to another",
            RELEASE,
            format!("{CLIENT} {other} {ours}"),
            Answer::Accepted,
        ),
        (
            "confirm of nothing",
            CONFIRM,
            format!("{CLIENT} {}", ia_na(7, "")),
            Answer::Accepted,
        ),
    ] {
        assert_eq!(
            refusal(&server(), &message(ty, &options)),
            Ok(expected),
            "{name}"
        );
    }
    let solicit = message(SOLICIT, &format!("{CLIENT} {}", ia_na(7, "")));
    for (name, frame) in [
        (
            "to another host",
            edited(&solicit, &[(38, &ELSEWHERE.octets())]),
        ),
        ("to another port", edited(&solicit, &[(56, &[2, 0x24])])),
        ("TCP", edited(&solicit, &[(20, &[6])])),
    ] {
        assert_eq!(refusal(&server(), &frame), Ok(Answer::NotForUs), "{name}");
    }
}

#[test]
fn unicast_is_sent_back_to_the_group() {
    let renew = message(
        RENEW,
        &format!("{CLIENT} {SERVER} {}", ia_na(7, &address(GUEST_IP))),
    );
    let renew = edited(&renew, &[(38, &GATEWAY_LINK_LOCAL.octets())]);
    assert_eq!(
        reply(&server(), &renew)[62..],
        hex(&format!("07 3735cf {CLIENT} {SERVER} 000d 0002 0005"))
    );
    let solicit = edited(
        &message(SOLICIT, CLIENT),
        &[(38, &GATEWAY_LINK_LOCAL.octets())],
    );
    let expected = ParseError::illegal("Ipv6", "destination", 0xfe80_0000_0000_0000);
    assert_eq!(
        refusal(&server(), &solicit),
        Err(ServiceError::Request(expected))
    );
}

#[test]
fn malformed_messages() {
    let illegal = |field, value| ParseError::illegal("Dhcp6Option", field, value);
    let bad_length = |len| ParseError::bad_length("Dhcp6Option", "length", len, len);
    let long = format!("0001 0083 {}", "00".repeat(131));
    let cases: &[(&str, u8, &str, ParseError)] = &[
        (
            "an advertisement",
            ADVERTISE,
            CLIENT,
            ParseError::illegal("Dhcp6", "message_type", 2),
        ),
        (
            "relayed",
            12,
            CLIENT,
            ParseError::illegal("Dhcp6", "message_type", 12),
        ),
        ("of nobody", SOLICIT, "", illegal("client_identifier", 0)),
        (
            "solicit to a server",
            SOLICIT,
            &format!("{CLIENT} {SERVER}"),
            illegal("server_identifier", 10),
        ),
        (
            "request to nobody",
            REQUEST,
            CLIENT,
            illegal("server_identifier", 0),
        ),
        (
            "twice",
            SOLICIT,
            &format!("{CLIENT} {CLIENT}"),
            ParseError::bad_length("Dhcp6Option", "client_identifier", 14, 130),
        ),
        (
            "short DUID",
            SOLICIT,
            "0001 0002 0003",
            ParseError::bad_length("Dhcp6Option", "client_identifier", 2, 130),
        ),
        (
            "long DUID",
            SOLICIT,
            &long,
            ParseError::bad_length("Dhcp6Option", "client_identifier", 131, 130),
        ),
        (
            "information and address",
            INFORMATION_REQUEST,
            &ia_na(7, ""),
            illegal("identity_association", 7),
        ),
        (
            "short association",
            SOLICIT,
            &format!("{CLIENT} 0003 000b 0000000000000000000000"),
            bad_length(11),
        ),
        (
            "odd list",
            SOLICIT,
            &format!("{CLIENT} 0006 0003 001700"),
            bad_length(3),
        ),
        (
            "full commitment",
            SOLICIT,
            &format!("{CLIENT} 000e 0001 00"),
            bad_length(1),
        ),
        (
            "past the end",
            SOLICIT,
            &format!("{CLIENT} 0006 0004 0017"),
            ParseError::bad_length("Dhcp6Option", "length", 4, 2),
        ),
        (
            "half a head",
            SOLICIT,
            &format!("{CLIENT} 0006 00"),
            ParseError::truncated("Dhcp6Option", "length", 4, 3),
        ),
        (
            "past the end of its association",
            SOLICIT,
            &format!("{CLIENT} {}", ia_na(7, "0005 0018 0000")),
            ParseError::bad_length("Dhcp6Option", "length", 24, 2),
        ),
        (
            "short address",
            SOLICIT,
            &format!("{CLIENT} {}", ia_na(7, "0005 0002 0000")),
            bad_length(2),
        ),
        (
            "past the end of its address",
            SOLICIT,
            &format!(
                "{CLIENT} {}",
                ia_na(7, &format!("0005 001c {} 000d 0009", "00".repeat(24)))
            ),
            ParseError::bad_length("Dhcp6Option", "length", 9, 0),
        ),
    ];
    for (name, ty, options, expected) in cases {
        assert_eq!(
            refusal(&server(), &message(*ty, options)),
            Err(ServiceError::Request(*expected)),
            "{name}"
        );
    }

    let solicit = message(SOLICIT, CLIENT);
    let mut corrupt = solicit.clone();
    corrupt[70] ^= 1;
    let cases: &[(&str, Vec<u8>, ParseError)] = &[
        (
            "checksum",
            corrupt,
            ParseError::new("Udp", "checksum", Cause::BadChecksum),
        ),
        (
            "of another",
            edited(&solicit, &[(6, &[2; 6])]),
            ParseError::illegal("Ethernet", "source", 0x0202_0202_0202),
        ),
        (
            "from nowhere",
            edited(&solicit, &[(22, &[0; 16])]),
            ParseError::illegal("Ipv6", "source", 0),
        ),
    ];
    for (name, frame, expected) in cases {
        assert_eq!(
            refusal(&server(), frame),
            Err(ServiceError::Request(*expected)),
            "{name}"
        );
    }
}

#[test]
fn the_answer_fits_every_link() {
    let dns_servers = (0..100)
        .map(|i| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, i))
        .collect();
    let sntp_servers = vec![ELSEWHERE];
    let gateway = Gateway6::new(GATEWAY_MAC);
    let server = Server::new(&Config {
        dns_servers,
        sntp_servers,
        ..Config::new(GUEST_MAC, GUEST_IP, gateway)
    });
    let reply = reply(
        &server,
        &message(SOLICIT, &format!("{CLIENT} {}", ia_na(7, ""))),
    );
    assert!(reply.len() <= 1_294);
    assert_eq!(codes(&reply), [1, 2, 7, 3, 31]);
}

#[test]
fn a_checksum_left_to_the_link_or_done() {
    let capture = hex(DHCP6_SOLICIT);
    assert_eq!(
        reply(&server(), &capture),
        reply(&server(), &with_checksums(capture.clone()))
    );
}
