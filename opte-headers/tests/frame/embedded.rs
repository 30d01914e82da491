//! Packets in ICMP errors: as much of them as there is gives what the whole packet gives.

use crate::build::*;
use crate::properties::{damaged, frames};
use opte_headers::frame::{
    Embedded, Fragment, parse_embedded_ipv4, parse_embedded_ipv6, parse_guest,
};
use opte_headers::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn embedded(packet: &[u8]) -> Result<Embedded, ParseError> {
    match packet.first() {
        Some(first) if first >> 4 == 4 => parse_embedded_ipv4(packet),
        _ => parse_embedded_ipv6(packet),
    }
}

#[test]
fn eight_bytes_of_tcp() {
    let header = Ipv4 {
        protocol: IpProtocol::TCP,
        ..Ipv4::default()
    };
    let packet = ipv4(header, &tcp());
    let start = parse_embedded_ipv4(&packet[..28]).unwrap();
    assert_eq!(start.key.to_string(), "TCP 172.30.0.5:1000 -> 1.1.1.1:80");
    assert_eq!(
        (start.l4(), start.packet_len, start.available),
        (Some(20), 40, 28)
    );
    assert!(start.is_truncated() && start.shape.at(1) == HeaderKind::Tcp);
    let error = ParseError::truncated("Tcp", "destination", 4, 3);
    assert_eq!(parse_embedded_ipv4(&packet[..23]).unwrap_err(), error);
    assert_eq!(
        parse_embedded_ipv4(&packet[..19]).unwrap_err().header,
        "Ipv4"
    );
}

#[test]
fn what_stands_behind_the_packet_is_not_looked_at() {
    let header = Ipv4 {
        protocol: IpProtocol::UDP,
        ..Ipv4::default()
    };
    let mut packet = ipv4(header, &udp(53, b""));
    packet.resize(128, 0xee);
    let start = parse_embedded_ipv4(&packet).unwrap();
    assert_eq!((start.packet_len, start.available), (28, 28));
    packet[3] = 22;
    let error = ParseError::truncated("Udp", "destination", 4, 2);
    assert_eq!(parse_embedded_ipv4(&packet).unwrap_err(), error);
    packet[3] = 19;
    let error = ParseError::bad_length("Ipv4", "total_len", 19, 20);
    assert_eq!(parse_embedded_ipv4(&packet).unwrap_err(), error);
}

#[test]
fn a_later_fragment_has_no_ports() {
    let header = Ipv4 {
        protocol: IpProtocol::UDP,
        fragment_offset: arbitrary_int::u13::new(185),
        ..Ipv4::default()
    };
    let start = parse_embedded_ipv4(&ipv4(header, &[0xff; 8])).unwrap();
    assert_eq!((start.fragment, start.l4()), (Fragment::Later, None));
    assert_eq!((start.key.source_port, start.key.protocol), (0, 17));
}

#[test]
fn an_echo_request_by_its_identifier() {
    let echo = bytes(&Icmpv6 {
        ty: Icmpv6Type::ECHO_REQUEST,
        identifier: 77,
        ..Icmpv6::default()
    });
    let packet = ipv6(IpProtocol::ICMPV6, &echo);
    let start = parse_embedded_ipv6(&packet[..46]).unwrap();
    assert_eq!(
        (start.key.source_port, start.key.icmp()),
        (77, Some((128, 0)))
    );
    let error = ParseError::truncated("Icmpv6", "identifier", 6, 5);
    assert_eq!(parse_embedded_ipv6(&packet[..45]).unwrap_err(), error);
}

#[test]
fn nine_extension_headers() {
    let mut body = vec![];
    for _ in 0..9 {
        body.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    }
    let error = parse_embedded_ipv6(&ipv6(IpProtocol::DESTINATION_OPTIONS, &body)).unwrap_err();
    assert_eq!((error.header, error.field), ("Ipv6", "extension"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 4096 }))]

    #[test]
    fn as_the_whole_packet(frame in damaged(frames()), cut in any::<Index>()) {
        let Ok(parsed) = parse_guest(&frame) else { return Ok(()) };
        let (Some(l3), true) = (parsed.l3(), parsed.l3_kind().is_ip()) else { return Ok(()) };
        let packet = &frame[l3..];
        let len = parsed.frame_len as usize - l3;
        // Eight bytes of transport, or all there is.
        let least = len.min(parsed.l4().unwrap_or(parsed.payload as usize) - l3 + 8);
        let start = embedded(&packet[..least + cut.index(packet.len() - least + 1)]).unwrap();
        prop_assert_eq!(start.key, parsed.key);
        prop_assert_eq!(start.l4(), parsed.l4().map(|l4| l4 - l3));
        prop_assert_eq!((start.shape.at(0), start.shape.at(1)), (parsed.l3_kind(), parsed.l4_kind()));
        prop_assert_eq!((start.fragment, start.packet_len as usize), (parsed.fragment, len));
    }

    #[test]
    fn any_bytes(version in prop_oneof![Just(0x45), Just(0x60), any::<u8>()], mut packet in vec(any::<u8>(), 1..120)) {
        packet[0] = version;
        for start in [parse_embedded_ipv4(&packet), parse_embedded_ipv6(&packet)].into_iter().flatten() {
            prop_assert!(start.available as usize <= packet.len());
            prop_assert!(start.l4().is_none_or(|at| at <= start.available as usize));
        }
    }
}
