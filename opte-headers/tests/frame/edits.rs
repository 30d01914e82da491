//! Edits of a frame by their numbers, and what must hold afterwards: every checksum computed anew.

use arbitrary_int::prelude::*;
use core::net::{Ipv4Addr, Ipv6Addr};
use opte_headers::checksum::Sum;
use opte_headers::frame::{EditError, Editor, Parsed};
use opte_headers::*;

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

/// How many edits there are.
pub(crate) const EDITS: u8 = 22;

/// One of the edits, if the frame has the header.
pub(crate) fn edit(editor: &mut Editor<'_>, which: u8, value: u128) -> Result<(), EditError> {
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
