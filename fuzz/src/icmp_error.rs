//! Packets in ICMP errors: what is made of their start is what is made of the whole, and they are translated there and back.

use crate::input::Input;
use opte_headers::frame::{
    Embedded, KeyKind, parse_embedded_ipv4, parse_embedded_ipv6, parse_guest,
};
use opte_headers::{FlowKey, HeaderKind};

/// The first byte says where to cut, the next ones where to translate to, the others are a frame.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (cut, ports) = (input.byte(), [input.word(), input.word()]);
    let addresses = [input.bytes(4), input.bytes(4)];
    let frame = input.0;
    start(frame, cut.into());
    let Ok(parsed) = parse_guest(frame) else {
        return;
    };
    let Ok(Some(error)) = parsed.icmp_error(frame) else {
        return;
    };
    lies_in(&error.embedded, &frame[error.packet()..]);
    let right = error.verify(frame, &parsed).is_ok();
    let from = error.embedded.key;
    let mut to = FlowKey {
        source_port: ports[0],
        destination_port: ports[1],
        ..from
    };
    let shown = error.embedded.shape.at(1);
    if from.icmp().is_some() && from.kind != KeyKind::ICMP {
        to.destination_port = to.source_port;
    } else if !matches!(shown, HeaderKind::Tcp | HeaderKind::Udp) {
        (to.source_port, to.destination_port) = (from.source_port, from.destination_port);
    }
    to.source[12..].copy_from_slice(&addresses[0]);
    to.destination[12..].copy_from_slice(&addresses[1]);
    let mut frame_to = frame.to_vec();
    error.translate(&mut frame_to, &to).unwrap();
    let after = parsed.icmp_error(&frame_to).unwrap().unwrap();
    assert_eq!(after.embedded.key, to);
    if right {
        assert_eq!(after.verify(&frame_to, &parsed), Ok(()));
        let mut back = frame_to.clone();
        after.translate(&mut back, &from).unwrap();
        assert_eq!(error.verify(&back, &parsed), Ok(()));
    }
    // Nothing else is touched.
    let (at, end) = (
        error.at as usize,
        error.packet() + error.embedded.available as usize,
    );
    assert_eq!(
        (&frame[..at], &frame[end..]),
        (&frame_to[..at], &frame_to[end..])
    );
}

/// As much of a packet as there is gives what the whole packet gives.
fn start(frame: &[u8], cut: usize) {
    let Ok(parsed) = parse_guest(frame) else {
        for parse in [parse_embedded_ipv4, parse_embedded_ipv6] {
            if let Ok(embedded) = parse(frame) {
                lies_in(&embedded, frame);
            }
        }
        return;
    };
    let (Some(l3), true) = (parsed.l3(), parsed.l3_kind().is_ip()) else {
        return;
    };
    let packet = &frame[l3..];
    let least = parsed.l4().unwrap_or(parsed.payload as usize) - l3 + 8;
    let len = (least + cut).min(parsed.frame_len as usize - l3);
    let found = match packet[0] >> 4 {
        4 => parse_embedded_ipv4(&packet[..len]),
        _ => parse_embedded_ipv6(&packet[..len]),
    };
    let found = found.unwrap();
    assert_eq!((found.key, found.fragment), (parsed.key, parsed.fragment));
    assert_eq!(found.l4(), parsed.l4().map(|at| at - l3));
    lies_in(&found, &packet[..len]);
}

fn lies_in(embedded: &Embedded, packet: &[u8]) {
    assert!(embedded.available as usize <= packet.len());
    assert!(embedded.available <= embedded.packet_len);
    assert!(
        embedded
            .l4()
            .is_none_or(|at| at <= embedded.available as usize)
    );
}
