//! What a frame is, told a second time: byte by byte, in the plainest way, with nothing of the crate but the key.

use opte_headers::FlowKey;
use opte_headers::frame::KeyKind;

/// Key and offsets of network and transport header of a guest's frame; none if the frame is to be refused.
pub(crate) fn guest(frame: &[u8]) -> Option<(FlowKey, Option<usize>, Option<usize>)> {
    let mut at = 14;
    let mut ethertype = be16(frame, 12)?;
    for _ in 0..2 {
        if [0x8100, 0x88a8, 0x9100].contains(&ethertype) {
            ethertype = be16(frame, at + 2)?;
            at += 4;
        }
    }
    let mut key = FlowKey::ZERO;
    match ethertype {
        0x0800 => ipv4(frame, at, &mut key),
        0x86dd => ipv6(frame, at, &mut key),
        other => {
            key.kind = KeyKind::NOT_IP;
            key.destination_port = other;
            if other != 0x0806 {
                return Some((key, None, None));
            }
            if frame.get(at..at + 8)? != [0, 1, 8, 0, 6, 4, frame[at + 6], frame[at + 7]]
                || frame.len() < at + 28
            {
                return None;
            }
            mapped(&mut key.source, &frame[at + 14..at + 18]);
            mapped(&mut key.destination, &frame[at + 24..at + 28]);
            Some((key, Some(at), None))
        }
    }
}

fn ipv4(
    frame: &[u8],
    at: usize,
    key: &mut FlowKey,
) -> Option<(FlowKey, Option<usize>, Option<usize>)> {
    let (ihl, total) = (
        usize::from(*frame.get(at)? & 15) * 4,
        usize::from(be16(frame, at + 2)?),
    );
    if frame[at] >> 4 != 4 || ihl < 20 || total < ihl || at + total > frame.len() {
        return None;
    }
    mapped(&mut key.source, &frame[at + 12..at + 16]);
    mapped(&mut key.destination, &frame[at + 16..at + 20]);
    key.protocol = frame[at + 9];
    let fragment = be16(frame, at + 6)?;
    if fragment & 0x1fff != 0 {
        key.kind = KeyKind::FRAGMENT;
        return Some((*key, Some(at), None));
    }
    transport(
        &frame[..at + total],
        at + ihl,
        key.protocol != 58,
        fragment & 0x2000 != 0,
        key,
    )?;
    Some((*key, Some(at), Some(at + ihl)))
}

fn ipv6(
    frame: &[u8],
    at: usize,
    key: &mut FlowKey,
) -> Option<(FlowKey, Option<usize>, Option<usize>)> {
    if frame.len() < at + 40 || frame[at] >> 4 != 6 {
        return None;
    }
    let end = at + 40 + usize::from(be16(frame, at + 4)?);
    let frame = frame.get(..end)?;
    key.source.copy_from_slice(&frame[at + 8..at + 24]);
    key.destination.copy_from_slice(&frame[at + 24..at + 40]);
    if [key.source, key.destination]
        .iter()
        .any(|address| address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]))
    {
        return None;
    }
    let (mut next, mut here, mut first) = (frame[at + 6], at + 40, false);
    for count in 0.. {
        if ![0, 43, 44, 60, 135, 139, 140, 253, 254].contains(&next) {
            break;
        }
        if count == 8 || next == 0 && count > 0 {
            return None;
        }
        let header = frame.get(here..here + 8)?;
        here += if next == 44 {
            8
        } else {
            8 + 8 * usize::from(header[1])
        };
        if here > frame.len() {
            return None;
        }
        if next == 44 {
            let fragment = be16(header, 2)?;
            first |= fragment & 1 != 0;
            if fragment >> 3 != 0 {
                (key.protocol, key.kind) = (header[0], KeyKind::FRAGMENT);
                return Some((*key, Some(at), None));
            }
        }
        next = header[0];
    }
    key.protocol = next;
    transport(frame, here, next != 1, first, key)?;
    Some((*key, Some(at), Some(here)))
}

/// Ports of what starts at `at`; `known` tells whether ICMP is of the right family.
fn transport(frame: &[u8], at: usize, known: bool, first: bool, key: &mut FlowKey) -> Option<()> {
    let rest = frame.get(at..)?;
    match key.protocol {
        6 => {
            let offset = usize::from(*rest.get(12)? >> 4) * 4;
            if offset < 20 || offset > rest.len() || rest.len() < 20 {
                return None;
            }
        }
        17 => {
            let length = usize::from(be16(rest, 4)?);
            if rest.len() < 8 || length < 8 || length > rest.len() && !first {
                return None;
            }
        }
        132 => {
            rest.get(..12)?;
        }
        1 | 58 if known => {
            if rest.len() < 8 {
                return None;
            }
            let (request, reply) = if key.protocol == 1 {
                (8, 0)
            } else {
                (128, 129)
            };
            key.kind = match (rest[0], rest[1]) {
                (ty, 0) if ty == request => KeyKind::ECHO_REQUEST,
                (ty, 0) if ty == reply => KeyKind::ECHO_REPLY,
                _ => KeyKind::ICMP,
            };
            let echo = key.kind != KeyKind::ICMP;
            key.source_port = be16(rest, if echo { 4 } else { 0 })?;
            key.destination_port = if echo { key.source_port } else { 0 };
            return Some(());
        }
        _ => return Some(()),
    }
    (key.source_port, key.destination_port) = (be16(rest, 0)?, be16(rest, 2)?);
    Some(())
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn mapped(address: &mut [u8; 16], v4: &[u8]) {
    address[10..12].fill(255);
    address[12..].copy_from_slice(v4);
}
