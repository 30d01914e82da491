//! Frames edited in place: after every edit each checksum is what it would be if it were computed anew.

use crate::build::*;
use crate::edits::{EDITS, complete, edit};
use crate::properties::frames;
use core::net::Ipv4Addr;
use opte_headers::checksum::Sum;
use opte_headers::frame::{EditError, Editor, Fragment, Parsed, parse_geneve, parse_guest};
use opte_headers::program::Sums;
use opte_headers::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

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

/// Where the innermost transport checksum stands, and what it covers but for the pseudo-header.
fn innermost(frame: &[u8], parsed: &Parsed) -> Option<(usize, core::ops::Range<usize>)> {
    let at = parsed.l4()?;
    let offset = match parsed.l4_kind() {
        HeaderKind::Tcp => 16,
        HeaderKind::Udp if frame[at + 6..at + 8] != [0, 0] => 6,
        HeaderKind::Icmpv6 => 2,
        _ => return None,
    };
    Some((at + offset, at..parsed.frame_len as usize))
}

/// Leaves the innermost transport checksum to the link: the sum of the pseudo-header stands in its place.
fn leave_to_link(frame: &mut [u8], parsed: &Parsed) -> bool {
    let Some((field, covered)) = innermost(frame, parsed) else {
        return false;
    };
    let checksum = u16::from_be_bytes([frame[field], frame[field + 1]]);
    frame[field..field + 2].fill(0);
    let sum = Sum::ZERO
        .with_word(!checksum)
        .minus(Sum::of(&frame[covered]));
    frame[field..field + 2].copy_from_slice(&sum.fold().to_be_bytes());
    true
}

/// What the link does.
fn complete_by_link(frame: &mut [u8], parsed: &Parsed) {
    let at = parsed.l4().unwrap();
    let field = at
        + match parsed.l4_kind() {
            HeaderKind::Tcp => 16,
            HeaderKind::Udp => 6,
            _ => 2,
        };
    let sum = match Sum::of(&frame[at..parsed.frame_len as usize]).checksum() {
        0 if parsed.l4_kind() == HeaderKind::Udp => 0xffff,
        sum => sum,
    };
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Values among which are those of zeros and ones, where one's complement sums are odd.
fn values() -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), Just(u128::MAX), any::<u128>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 2048 }))]

    #[test]
    fn every_checksum_is_right_afterwards((mut frame, parsed) in select(right()), edits in vec((0..EDITS, values()), 1..12)) {
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
    fn what_is_left_to_the_link_is_right_afterwards((mut frame, parsed) in select(right()), edits in vec((0..EDITS, values()), 1..12)) {
        if !leave_to_link(&mut frame, &parsed) {
            return Ok(());
        }
        for (which, value) in edits {
            let _ = edit(&mut Editor::new(&mut frame, &parsed).with_sums(Sums::Partial), which, value);
            let mut sent = frame.clone();
            complete_by_link(&mut sent, &parsed);
            let mut expected = sent.clone();
            complete(&mut expected, &parsed);
            prop_assert_eq!(&sent, &expected, "edit {}", which);
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
    fn other_bytes_than_were_parsed((_, parsed) in select(right()), mut bytes in vec(any::<u8>(), 0..120), which in 0..EDITS) {
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

stack_parser! {
    fn parse_gre -> InGre = Ethernet Ipv4 Gre inner: Ipv4 Udp;
}

/// GRE with and without its checksum, which covers all that is inside (RFC 2784, section 2.5).
#[test]
fn inside_gre() {
    let inner = ipv4(
        Ipv4 {
            protocol: IpProtocol::UDP,
            ..Ipv4::default()
        },
        &udp(53, b"abcde"),
    );
    for present in [true, false] {
        let gre = Gre {
            checksum_present: present,
            optional: Tail::from_bytes(if present { &[0; 4] } else { &[] }).unwrap(),
            protocol: Ethertype::IPV4,
            ..Gre::default()
        };
        let header = Ipv4 {
            protocol: IpProtocol::GRE,
            ..Ipv4::default()
        };
        let packet = ipv4(header, &[bytes(&gre), inner.clone()].concat());
        let mut frame = ethernet(Ethertype::IPV4, &packet);
        let parsed = parse_gre(&frame).unwrap();
        let at = parsed.offsets.at(3).unwrap() as usize;
        frame[at + 26] = 1;
        complete(&mut frame, &parsed);
        let sum = |frame: &[u8]| Sum::of(&frame[34..]).checksum();
        if present {
            let right = sum(&frame).to_be_bytes();
            frame[38..40].copy_from_slice(&right);
        }
        let mut editor = Editor::new(&mut frame, &parsed);
        editor.set::<ipv4::Source>(Ipv4Addr::LOCALHOST).unwrap();
        editor.set::<ipv4::Ttl>(3).unwrap();
        editor.set::<udp::Destination>(5353).unwrap();
        assert!(!present || sum(&frame) == 0);
        complete_is_same(&mut frame, &parsed);
    }
}

fn complete_is_same(frame: &mut [u8], parsed: &Parsed) {
    let before = frame.to_vec();
    complete(frame, parsed);
    assert_eq!(frame, before);
}
