//! Frames edited in place: after every edit each checksum is what it would be if it were computed anew.

use crate::build::*;
use crate::properties::frames;
use arbitrary_int::prelude::*;
use core::net::{Ipv4Addr, Ipv6Addr};
use opte_headers::checksum::Sum;
use opte_headers::frame::{EditError, Editor, Fragment, Parsed, parse_geneve, parse_guest};
use opte_headers::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Computes every checksum anew, innermost first. A UDP checksum of zero stays as it is; where ICMP's is zero, 0xffff is as right.
pub(crate) fn complete(frame: &mut [u8], parsed: &Parsed) {
    for index in (0..parsed.offsets.count()).rev() {
        let at = usize::from(parsed.offsets.at(index).unwrap());
        let (offset, to, pseudo) = match parsed.shape.at(index) {
            HeaderKind::Ipv4 => (10, at + 4 * usize::from(frame[at] & 0xf), false),
            HeaderKind::Tcp => (16, frame.len(), true),
            HeaderKind::Udp if frame[at + 6..at + 8] != [0, 0] => (6, frame.len(), true),
            HeaderKind::Icmpv4 => (2, frame.len(), false),
            HeaderKind::Icmpv6 => (2, frame.len(), true),
            _ => continue,
        };
        frame[at + offset..at + offset + 2].fill(0);
        let mut sum = Sum::of(&frame[at..to]);
        if pseudo {
            let ip = usize::from(parsed.offsets.at(index - 1).unwrap());
            let (addresses, protocol) = match parsed.shape.at(index - 1) {
                HeaderKind::Ipv4 => (ip + 12..ip + 20, frame[ip + 9]),
                _ => (
                    ip + 8..ip + 40,
                    match offset {
                        16 => 6,
                        6 => 17,
                        _ => 58,
                    },
                ),
            };
            sum = sum.with(&frame[addresses]);
            sum = sum.with_word(protocol.into()).with_word((to - at) as u16);
        }
        let sum = match sum.checksum() {
            0 if matches!(offset, 6) || parsed.shape.at(index) == HeaderKind::Icmpv4 => 0xffff,
            sum => sum,
        };
        frame[at + offset..at + offset + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Whole frames, plain and in a tunnel, with and without a checksum of the tunnel, every checksum right.
fn right() -> Vec<(Vec<u8>, Parsed)> {
    let mut all = vec![];
    for mut frame in frames() {
        let parsed = parse_guest(&frame).unwrap();
        if let Some(at) = parsed.l4().filter(|_| parsed.l4_kind() == HeaderKind::Udp) {
            frame[at + 6] = 1;
        }
        complete(&mut frame, &parsed);
        for summed in [0, 1] {
            let mut outer = geneve(&[1, 0x29, 0, 0], false, &frame);
            outer[14 + 40 + 6] = summed;
            if let Ok(parsed) = parse_geneve(&outer) {
                complete(&mut outer, &parsed);
                all.push((outer, parsed));
            }
        }
        assert_eq!(parsed.fragment, Fragment::No);
        all.push((frame, parsed));
    }
    all
}

/// One of the edits, if the frame has the header.
fn edit(editor: &mut Editor<'_>, which: u8, value: u128) -> Result<(), EditError> {
    let (short, v6) = (value as u16, Ipv6Addr::from_bits(value));
    let v4 = Ipv4Addr::from_bits(value as u32);
    match which {
        0 => editor.set::<ipv4::Source>(v4),
        1 => editor.set::<ipv4::Destination>(v4),
        2 => editor.set::<ipv4::Ttl>(value as u8),
        3 => editor.set::<ipv4::Dscp>(u6::new(value as u8 & 0x3f)),
        4 => editor.set::<ipv4::DontFragment>(value & 1 == 1),
        5 => editor.set::<ipv6::Source>(v6),
        6 => editor.set::<ipv6::Destination>(v6),
        7 => editor.set::<ipv6::FlowLabel>(u20::new(value as u32 & 0xf_ffff)),
        8 => editor.set::<tcp::Source>(short),
        9 => editor.set::<tcp::Sequence>(value as u32),
        10 => editor.set::<tcp::Flags>(TcpFlags::from_bits_retain(value as u8)),
        11 => editor.set::<udp::Source>(short),
        12 => editor.set::<udp::Destination>(short),
        13 => editor.set::<icmpv4::Identifier>(short),
        14 => editor.set::<icmpv4::Code>(value as u8),
        15 => editor.set::<icmpv6::Sequence>(short),
        16 => editor.set::<ethernet::Source>(MacAddr([which; 6])),
        17 => editor.set::<vlan::Vid>(u12::new(short & 0xfff)),
        18 => editor.set::<geneve::Vni>(Vni::new(value as u32 & 0xff_ffff).unwrap()),
        19 => editor.set_at::<ipv6::Source>(1, v6),
        20 => editor.set_at::<udp::Source>(2, short),
        _ => editor.set_at::<ethernet::Destination>(0, MacAddr([which; 6])),
    }
}

/// Values among which are those of zeros and ones, where one's complement sums are odd.
fn values() -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), Just(u128::MAX), any::<u128>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 2048 }))]

    #[test]
    fn every_checksum_is_right_afterwards((mut frame, parsed) in select(right()), edits in vec((0..22u8, values()), 1..12)) {
        for (which, value) in edits {
            let before = frame.clone();
            let done = edit(&mut Editor::new(&mut frame, &parsed), which, value);
            let mut expected = frame.clone();
            complete(&mut expected, &parsed);
            prop_assert_eq!(&frame, &expected, "edit {}", which);
            if done.is_err() {
                prop_assert_eq!(&frame, &before);
            }
        }
    }

    #[test]
    fn what_is_set_is_got((mut frame, parsed) in select(right()), address: u32, port: u16) {
        let mut editor = Editor::new(&mut frame, &parsed);
        let address = Ipv4Addr::from_bits(address);
        if editor.set::<ipv4::Source>(address).is_ok() {
            prop_assert_eq!(editor.get::<ipv4::Source>(), Some(address));
            prop_assert_eq!(editor.view::<Ipv4>().unwrap().source(), address);
        }
        if editor.set::<tcp::Destination>(port).is_ok() {
            prop_assert_eq!(editor.get::<tcp::Destination>(), Some(port));
        }
    }

    #[test]
    fn other_bytes_than_were_parsed((_, parsed) in select(right()), mut bytes in vec(any::<u8>(), 0..120), which in 0..22u8) {
        let before = bytes.clone();
        if edit(&mut Editor::new(&mut bytes, &parsed), which, 7).is_err() {
            prop_assert_eq!(bytes, before);
        }
    }
}

#[test]
fn what_is_not_there() {
    let mut frame = guest_tcp();
    let parsed = parse_guest(&frame).unwrap();
    let mut editor = Editor::new(&mut frame, &parsed);
    let absent = |header| EditError::NotThere { header };
    assert_eq!(editor.set::<udp::Source>(1), Err(absent("Udp")));
    assert_eq!(editor.set_at::<tcp::Source>(1, 1), Err(absent("Tcp")));
    assert_eq!(editor.set_at::<tcp::Source>(9, 1), Err(absent("Tcp")));
    assert_eq!(editor.get::<ipv6::HopLimit>(), None);
    assert_eq!(
        absent("Udp").to_string(),
        "Udp: the frame has no such header there"
    );
    frame[14] = 0x65;
    let error = Editor::new(&mut frame, &parsed).set::<ipv4::Ttl>(1);
    assert_eq!(
        error,
        Err(EditError::Malformed(ParseError::illegal(
            "Ipv4", "version", 6
        )))
    );
}

/// RFC 1624, section 4: where equation 2 of RFC 1141 would give all ones.
#[test]
fn a_sum_of_zero() {
    let header = Ipv4 {
        protocol: IpProtocol::TCP,
        ..Ipv4::default()
    };
    let mut frame = ethernet(Ethertype::IPV4, &ipv4(header, &tcp()));
    let parsed = parse_guest(&frame).unwrap();
    complete(&mut frame, &parsed);
    // The identification that brings the checksum to zero.
    let checksum = u16::from_be_bytes([frame[24], frame[25]]);
    let mut editor = Editor::new(&mut frame, &parsed);
    editor.set::<ipv4::Identification>(checksum).unwrap();
    assert_eq!(frame[24..26], [0, 0]);
    let port = u16::from_be_bytes([frame[50], frame[51]]);
    let mut editor = Editor::new(&mut frame, &parsed);
    editor.set::<tcp::Window>(port).unwrap();
    complete_is_same(&mut frame, &parsed);
}

/// An echo reply of zeros: a checksum of zero would not be right, and 0xffff is.
#[test]
fn a_message_of_zeros() {
    let header = Ipv4 {
        protocol: IpProtocol::ICMP,
        ..Ipv4::default()
    };
    let reply = Icmpv4 {
        ty: Icmpv4Type::ECHO_REPLY,
        identifier: 5,
        ..Icmpv4::default()
    };
    let mut frame = ethernet(Ethertype::IPV4, &ipv4(header, &bytes(&reply)));
    let parsed = parse_guest(&frame).unwrap();
    complete(&mut frame, &parsed);
    let mut editor = Editor::new(&mut frame, &parsed);
    editor.set::<icmpv4::Identifier>(0).unwrap();
    assert_eq!(Sum::of(&frame[34..]).checksum(), 0);
    assert_eq!(frame[36..38], [0xff; 2]);
}

fn complete_is_same(frame: &mut [u8], parsed: &Parsed) {
    let before = frame.to_vec();
    complete(frame, parsed);
    assert_eq!(frame, before);
}
