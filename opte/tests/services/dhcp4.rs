//! DHCPv4.

use std::net::Ipv4Addr;

use opte::api::DomainName;
use opte::services::dhcp4::{Config, Server};
use opte::services::{Answer, Hairpinned, ServiceError};
use opte_headers::{Cause, ParseError};

use crate::captures::DHCP_DISCOVER;
use crate::dhcp4_messages::{
    ACK, BROADCAST, DECLINE, DISCOVER, ELSEWHERE, INFORM, Message, NAK, NOBODY, OFFER, Options,
    RELEASE, REQUEST, address, option, options,
};
use crate::frames::edited;
use crate::{GATEWAY_IP, GATEWAY_MAC, GUEST_IP, GUEST_MAC, hex, refusal, reply};

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn config() -> Config {
    Config {
        dns_servers: vec![Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(1, 1, 1, 1)],
        hostname: Some(name("guest")),
        domain: Some(name("example.org")),
        domain_search: vec![name("a.example.org"), name("example.org")],
        ..Config::new(GUEST_MAC, GUEST_IP, GATEWAY_MAC, GATEWAY_IP)
    }
}

fn server() -> Server {
    Server::new(&config())
}

const IP_DESTINATION: usize = 30;
const CLIENT_IP: usize = 54;
const YOUR_IP: usize = 58;

#[test]
fn dhclient_gets_what_it_lists_in_its_order() {
    let reply = reply(&server(), &hex(DHCP_DISCOVER));
    assert_eq!(reply[..14], hex("a84025f00001 a84025ff7777 0800"));
    assert_eq!(reply[26..38], hex("ac1e0001 ac1e0005 0043 0044"));
    assert_eq!(
        reply[42..86],
        hex(
            "02010600 b5ca8803 0000 0000 00000000 ac1e0005 00000000 00000000 a84025f00001 00000000000000000000"
        )[..44]
    );
    assert!(reply[86..278].iter().all(|byte| *byte == 0), "names");
    let expected: Options = vec![
        (53, vec![OFFER]),
        (54, vec![172, 30, 0, 1]),
        (51, hex("00015180")),
        (1, vec![255; 4]),
        (15, b"example.org".to_vec()),
        (6, vec![8, 8, 8, 8, 1, 1, 1, 1]),
        (119, b"\x01a\x07example\x03org\0\xc0\x02".to_vec()),
        (12, b"guest".to_vec()),
        (26, vec![0x05, 0xdc]),
        // RFC 3442: routes, and so no router, though it is asked for.
        (121, hex("20 ac1e0001 00000000 00 ac1e0001")),
    ];
    assert_eq!(options(&reply), expected);
}

#[test]
fn without_a_list_all_there_is() {
    let codes = |request: &Message| -> Vec<u8> {
        options(&reply(&server(), &request.frame()))
            .into_iter()
            .map(|option| option.0)
            .collect()
    };
    let discover = Message::new(DISCOVER);
    assert_eq!(
        codes(&discover),
        [53, 54, 51, 1, 121, 3, 6, 12, 15, 26, 119]
    );
    assert_eq!(codes(&discover.clone().option(55, &[])), [53, 54, 51, 1]);
    assert_eq!(
        codes(&discover.clone().option(55, &[6, 3, 6, 200, 1])),
        [53, 54, 51, 1, 6, 3]
    );
    assert_eq!(
        codes(&discover.option(55, &[6]).option(55, &[26])),
        [53, 54, 51, 1, 6, 26],
        "split, RFC 3396"
    );
    let least = Server::new(&Config::new(GUEST_MAC, GUEST_IP, GATEWAY_MAC, GATEWAY_IP));
    let offer = reply(&least, &Message::new(DISCOVER).frame());
    assert_eq!(
        options(&offer)
            .iter()
            .map(|option| option.0)
            .collect::<Vec<_>>(),
        [53, 54, 51, 1, 121, 3, 26]
    );
    assert_eq!(offer.len(), 342, "as long as BOOTP");
}

#[test]
fn every_message_and_its_answer() {
    let ours = GUEST_IP.octets();
    let us = GATEWAY_IP.octets();
    let request = || Message::new(REQUEST);
    // Message, type of the answer, where it goes, and `ciaddr` and `yiaddr` in it.
    let cases: &[(&str, Message, u8, Ipv4Addr, Ipv4Addr, Ipv4Addr)] = &[
        (
            "discover",
            Message::new(DISCOVER),
            OFFER,
            GUEST_IP,
            NOBODY,
            GUEST_IP,
        ),
        (
            "discover, broadcast",
            Message::new(DISCOVER).flags(0x8000),
            OFFER,
            BROADCAST,
            NOBODY,
            GUEST_IP,
        ),
        (
            "selecting",
            request().option(54, &us).option(50, &ours),
            ACK,
            GUEST_IP,
            NOBODY,
            GUEST_IP,
        ),
        (
            "selecting, broadcast",
            request().flags(0x8000).option(54, &us).option(50, &ours),
            ACK,
            BROADCAST,
            NOBODY,
            GUEST_IP,
        ),
        (
            "selecting another address",
            request().option(54, &us).option(50, &[10, 9, 8, 7]),
            NAK,
            BROADCAST,
            NOBODY,
            NOBODY,
        ),
        (
            "init-reboot",
            request().option(50, &ours),
            ACK,
            GUEST_IP,
            NOBODY,
            GUEST_IP,
        ),
        (
            "init-reboot from elsewhere",
            request().option(50, &[10, 9, 8, 7]),
            NAK,
            BROADCAST,
            NOBODY,
            NOBODY,
        ),
        (
            "renewing",
            request().unicast(GUEST_IP),
            ACK,
            GUEST_IP,
            GUEST_IP,
            GUEST_IP,
        ),
        (
            "rebinding",
            request().client_ip(GUEST_IP),
            ACK,
            GUEST_IP,
            GUEST_IP,
            GUEST_IP,
        ),
        (
            "rebinding, broadcast",
            request().client_ip(GUEST_IP).flags(0x8000),
            ACK,
            GUEST_IP,
            GUEST_IP,
            GUEST_IP,
        ),
        (
            "renewing elsewhere",
            request().unicast(ELSEWHERE),
            NAK,
            BROADCAST,
            NOBODY,
            NOBODY,
        ),
        (
            "inform",
            Message::new(INFORM).client_ip(GUEST_IP),
            ACK,
            GUEST_IP,
            GUEST_IP,
            NOBODY,
        ),
        (
            "inform, unicast",
            Message::new(INFORM).unicast(GUEST_IP),
            ACK,
            GUEST_IP,
            GUEST_IP,
            NOBODY,
        ),
        (
            "inform of a fixed address",
            Message::new(INFORM).client_ip(ELSEWHERE),
            ACK,
            ELSEWHERE,
            ELSEWHERE,
            NOBODY,
        ),
    ];
    for (name, message, ty, destination, client_ip, your_ip) in cases {
        let reply = reply(&server(), &message.frame());
        assert_eq!(option(&reply, 53).unwrap(), [*ty], "{name}: type");
        assert_eq!(
            address(&reply, IP_DESTINATION),
            *destination,
            "{name}: destination"
        );
        assert_eq!(address(&reply, CLIENT_IP), *client_ip, "{name}: ciaddr");
        assert_eq!(address(&reply, YOUR_IP), *your_ip, "{name}: yiaddr");
        let mac = if *destination == BROADCAST {
            [0xff; 6]
        } else {
            GUEST_MAC.0
        };
        assert_eq!(reply[..6], mac, "{name}: station");
        assert_eq!(
            reply[46..54],
            edited(&message.frame(), &[(50, &[0, 0])])[46..54],
            "{name}: transaction, flags"
        );
        assert_eq!(option(&reply, 54).unwrap(), us, "{name}: server");
        let has_lease = *ty != NAK && !name.starts_with("inform");
        assert_eq!(
            option(&reply, 51),
            has_lease.then(|| hex("00015180")),
            "{name}: lease"
        );
        assert_eq!(
            option(&reply, 6).is_some(),
            *ty != NAK,
            "{name}: parameters"
        );
    }
}

#[test]
fn messages_without_an_answer() {
    let elsewhere = ELSEWHERE.octets();
    for message in [
        Message::new(RELEASE)
            .unicast(GUEST_IP)
            .option(54, &GATEWAY_IP.octets()),
        Message::new(DECLINE)
            .option(50, &GUEST_IP.octets())
            .option(54, &GATEWAY_IP.octets()),
        Message::new(REQUEST)
            .option(54, &elsewhere)
            .option(50, &elsewhere),
    ] {
        assert_eq!(refusal(&server(), &message.frame()), Ok(Answer::Accepted));
    }
    let discover = Message::new(DISCOVER).frame();
    for (name, frame) in [
        ("to another server", edited(&discover, &[(30, &elsewhere)])),
        ("to another station", edited(&discover, &[(0, &[2; 6])])),
        ("to another port", edited(&discover, &[(36, &[0, 69])])),
        ("from another port", edited(&discover, &[(34, &[0, 67])])),
        ("TCP", edited(&discover, &[(23, &[6])])),
        ("IPv6", edited(&discover, &[(12, &[0x86, 0xdd])])),
    ] {
        assert_eq!(refusal(&server(), &frame), Ok(Answer::NotForUs), "{name}");
    }
}

#[test]
fn malformed_messages() {
    let illegal = ParseError::illegal;
    let discover = Message::new(DISCOVER);
    let plain = discover.frame();
    let options = |bytes: &[u8]| {
        Message {
            options: bytes.to_vec(),
            ..discover.clone()
        }
        .frame()
    };
    let mut bad_sum = plain.clone();
    bad_sum[60] ^= 1;
    let cases: &[(&str, Vec<u8>, ParseError)] = &[
        (
            "a reply",
            edited(&plain, &[(42, &[2])]),
            illegal("Dhcp4", "op", 2),
        ),
        (
            "token ring",
            edited(&plain, &[(43, &[6])]),
            illegal("Dhcp4", "hardware_type", 6),
        ),
        (
            "of another",
            edited(&plain, &[(70, &[2])]),
            illegal("Dhcp4", "client_hardware", 0x0240_25f0_0001_0000),
        ),
        (
            "relayed",
            edited(&plain, &[(66, &[10, 0, 0, 1])]),
            illegal("Dhcp4", "relay_ip", 0x0a00_0001),
        ),
        (
            "without cookie",
            edited(&plain, &[(278, &[0])]),
            illegal("Dhcp4", "cookie", 0x0082_5363),
        ),
        (
            "BOOTP",
            options(&[]),
            illegal("Dhcp4Option", "message_type", 0),
        ),
        (
            "an offer",
            Message::new(OFFER).frame(),
            illegal("Dhcp4Option", "message_type", 2),
        ),
        (
            "of no type",
            Message::new(99).frame(),
            illegal("Dhcp4Option", "message_type", 99),
        ),
        (
            "two types",
            options(&[53, 1, 1, 53, 1, 3]),
            illegal("Dhcp4Option", "message_type", 3),
        ),
        (
            "long type",
            options(&[53, 2, 1, 1]),
            ParseError::bad_length("Dhcp4Option", "length", 2, 2),
        ),
        (
            "short address",
            options(&[53, 1, 3, 50, 3, 1, 1, 1]),
            ParseError::bad_length("Dhcp4Option", "length", 3, 3),
        ),
        (
            "past the end",
            options(&[53, 1, 1, 61, 9, 1, 1]),
            ParseError::bad_length("Dhcp4Option", "length", 9, 3),
        ),
        (
            "overload",
            options(&[53, 1, 1, 52, 1, 4]),
            illegal("Dhcp4Option", "overload", 4),
        ),
        (
            "short identifier",
            options(&[53, 1, 1, 61, 1, 1]),
            ParseError::bad_length("Dhcp4Option", "client_identifier", 2, 1),
        ),
        (
            "requests nothing",
            Message::new(REQUEST).frame(),
            illegal("Dhcp4", "client_ip", 0),
        ),
        (
            "checksum",
            bad_sum,
            ParseError::new("Udp", "checksum", Cause::BadChecksum),
        ),
        (
            "cut off",
            {
                let mut frame = plain.clone();
                frame.truncate(270);
                edited(&frame, &[(16, &[1, 0]), (38, &[0, 236])])
            },
            ParseError::truncated("Dhcp4", "", 240, 228),
        ),
    ];
    for (name, frame, expected) in cases {
        assert_eq!(
            refusal(&server(), frame),
            Err(ServiceError::Request(*expected)),
            "{name}"
        );
    }
    // A datagram longer than the packet.
    let frame = edited(&plain, &[(38, &[9, 9])]);
    let expected = ParseError::bad_length("Udp", "length", 0x0909, plain.len() - 34);
    assert_eq!(
        refusal(&server(), &frame),
        Err(ServiceError::Request(expected))
    );
}

#[test]
fn options_in_the_fields_for_names() {
    let mut message = Message::new(REQUEST).option(52, &[3]);
    message.boot_file[..7].copy_from_slice(&[50, 4, 172, 30, 0, 5, 255]);
    message.server_name[..5].copy_from_slice(&[0, 55, 1, 26, 255]);
    let ack = reply(&server(), &message.frame());
    assert_eq!(
        options(&ack)
            .iter()
            .map(|option| option.0)
            .collect::<Vec<_>>(),
        [53, 54, 51, 1, 26]
    );
    assert_eq!(option(&ack, 53).unwrap(), [ACK]);
    // Without the overload they are names.
    message.options[5] = 1;
    assert!(option(&reply(&server(), &message.frame()), 6).is_some());
    // A name that claims more fields is nonsense.
    message.boot_file[..4].copy_from_slice(&[52, 1, 2, 255]);
    let expected = ParseError::illegal("Dhcp4Option", "overload", 1);
    assert_eq!(
        refusal(&server(), &message.frame()),
        Err(ServiceError::Request(expected))
    );
}

#[test]
fn the_client_identifier_comes_back() {
    for ty in [DISCOVER, INFORM] {
        let message = Message::new(ty)
            .client_ip(GUEST_IP)
            .option(61, b"\xff\x00\x00\x00\x01duid");
        assert_eq!(
            option(&reply(&server(), &message.frame()), 61).unwrap(),
            b"\xff\x00\x00\x00\x01duid"
        );
    }
    let refused = Message::new(REQUEST)
        .option(50, &[10, 9, 8, 7])
        .option(61, &[1, 2, 3]);
    assert_eq!(
        option(&reply(&server(), &refused.frame()), 61).unwrap(),
        [1, 2, 3],
        "RFC 6842: in a NAK too"
    );
}

#[test]
fn lists_of_any_length() {
    let dns_servers: Vec<_> = (0..100u8).map(|i| Ipv4Addr::new(10, 0, 0, i)).collect();
    let domain_search: Vec<_> = (0..40)
        .map(|i| name(&format!("department-{i}.example.org")))
        .collect();
    let server = Server::new(&Config {
        dns_servers: dns_servers.clone(),
        domain_search,
        mtu: 9_000,
        ..config()
    });
    let discover = Message::new(DISCOVER)
        .option(57, &3_000u16.to_be_bytes())
        .option(55, &[6, 119, 26]);
    let offer = reply(&server, &discover.frame());
    assert_eq!(
        option(&offer, 6).unwrap(),
        dns_servers
            .iter()
            .flat_map(Ipv4Addr::octets)
            .collect::<Vec<_>>()
    );
    assert!(option(&offer, 119).unwrap().len() > 400);
    assert!(
        options(&offer)
            .iter()
            .filter(|option| option.0 == 6)
            .count()
            == 2
    );
    assert_eq!(option(&offer, 26).unwrap(), 9_000u16.to_be_bytes());

    // What the client cannot take is left out: what it wants less, first.
    let discover = Message::new(DISCOVER).option(55, &[119, 26, 6]);
    let offer = reply(&server, &discover.frame());
    assert!(offer.len() <= 14 + 576);
    assert_eq!(
        options(&offer)
            .iter()
            .map(|option| option.0)
            .collect::<Vec<_>>(),
        [53, 54, 51, 1, 26]
    );
}

#[test]
fn a_checksum_left_to_the_link() {
    // A kernel's UDP socket over a virtual link: the field holds the sum of the pseudo-header.
    let mut frame = Message::new(REQUEST).unicast(GUEST_IP).frame();
    let pseudo = [&frame[26..34], &[0, 17], &frame[38..40]].concat();
    let sum: u32 = pseudo
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[40..42].copy_from_slice(&(sum as u16).to_be_bytes());
    assert_eq!(option(&reply(&server(), &frame), 53).unwrap(), [ACK]);
    frame[40..42].fill(0);
    assert_eq!(
        option(&reply(&server(), &frame), 53).unwrap(),
        [ACK],
        "none at all"
    );
}

#[test]
fn what_the_action_counts() {
    use opte::Direction;
    use opte::action::{Hairpin, HairpinAction};
    use opte_headers::frame::parse_guest;
    let action = Hairpinned::new(server());
    assert_eq!(
        action.to_string(),
        "DHCPv4 Server 172.30.0.1: 172.30.0.5 for A8:40:25:F0:00:01"
    );
    let release = Message::new(RELEASE).unicast(GUEST_IP);
    let other = edited(&Message::new(DISCOVER).frame(), &[(36, &[0, 69])]);
    for (dir, frame, room, expected) in [
        (
            Direction::Out,
            Message::new(DISCOVER).frame(),
            2_000,
            Hairpin::Reply(342),
        ),
        (
            Direction::Out,
            Message::new(DISCOVER).frame(),
            300,
            Hairpin::TooLong,
        ),
        (Direction::Out, release.frame(), 2_000, Hairpin::Deny),
        (
            Direction::Out,
            Message::new(NAK).frame(),
            2_000,
            Hairpin::Deny,
        ),
        (Direction::Out, other, 2_000, Hairpin::Pass),
        (
            Direction::In,
            Message::new(DISCOVER).frame(),
            2_000,
            Hairpin::Pass,
        ),
    ] {
        let parsed = parse_guest(&frame).unwrap();
        let outcome = action.reply(dir, &parsed, &frame, &mut vec![0; room]);
        match (outcome, expected) {
            (Hairpin::Reply(_), Hairpin::Reply(_)) => {}
            _ => assert_eq!(outcome, expected),
        }
    }
    let counts = action.counts();
    assert_eq!(
        (
            counts.replied,
            counts.accepted,
            counts.refused,
            counts.passed,
            counts.no_room
        ),
        (1, 1, 1, 1, 1)
    );
}
