//! Frames looked at and made byte by byte, without the code under test.

/// Panics unless the frame's lengths and checksums are right.
pub(crate) fn assert_right(frame: &[u8]) {
    match u16_at(frame, 12) {
        0x0806 => assert_eq!(frame.len(), 42),
        0x0800 => {
            assert_eq!(frame[14], 0x45);
            assert_eq!(usize::from(u16_at(frame, 16)), frame.len() - 14);
            assert_eq!(sum(&frame[14..34]), 0xffff, "IPv4 header checksum");
            let payload = &frame[34..];
            match frame[23] {
                1 => assert_eq!(sum(payload), 0xffff, "ICMP checksum"),
                17 => {
                    assert_eq!(usize::from(u16_at(payload, 4)), payload.len());
                    assert_ne!(u16_at(payload, 6), 0);
                    let mut pseudo = frame[26..34].to_vec();
                    pseudo.extend([0, 17]);
                    pseudo.extend((payload.len() as u16).to_be_bytes());
                    pseudo.extend(payload);
                    assert_eq!(sum(&pseudo), 0xffff, "UDP checksum");
                }
                other => panic!("protocol {other}"),
            }
        }
        0x86dd => {
            let payload = &frame[54..];
            assert_eq!(usize::from(u16_at(frame, 18)), payload.len());
            if frame[20] == 17 {
                assert_eq!(usize::from(u16_at(payload, 4)), payload.len());
                assert_ne!(u16_at(payload, 6), 0);
            }
            assert_eq!(sum(&pseudo6(frame)), 0xffff, "checksum over IPv6");
        }
        other => panic!("ethertype {other:#06x}"),
    }
}

/// Makes the checksums of a frame right, after it was changed.
pub(crate) fn with_checksums(mut frame: Vec<u8>) -> Vec<u8> {
    let transport = match u16_at(&frame, 12) {
        0x0800 => {
            put(&mut frame, 24, 0);
            let header = !sum(&frame[14..34]);
            put(&mut frame, 24, header);
            34
        }
        0x86dd => 54,
        _ => return frame,
    };
    let (field, v4) = match frame[if transport == 34 { 23 } else { 20 }] {
        17 => (transport + 6, transport == 34),
        _ => (transport + 2, transport == 34),
    };
    put(&mut frame, field, 0);
    let checksum = match (v4, frame[23]) {
        (true, 1) => !sum(&frame[34..]),
        (true, _) => {
            let mut pseudo = frame[26..34].to_vec();
            pseudo.extend([0, 17]);
            pseudo.extend(&frame[38..40]);
            pseudo.extend(&frame[34..]);
            !sum(&pseudo)
        }
        _ => !sum(&pseudo6(&frame)),
    };
    put(&mut frame, field, checksum);
    frame
}

/// The big-endian number at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([bytes[offset], bytes[offset + 1]])
}

/// The frame with these bytes in other places, its checksums right again.
pub(crate) fn edited(frame: &[u8], edits: &[(usize, &[u8])]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for (offset, bytes) in edits {
        frame[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    with_checksums(frame)
}

fn put(frame: &mut [u8], offset: usize, value: u16) {
    frame[offset..offset + 2].copy_from_slice(&value.to_be_bytes());
}

fn pseudo6(frame: &[u8]) -> Vec<u8> {
    let payload = &frame[54..];
    let mut pseudo = frame[22..54].to_vec();
    pseudo.extend((payload.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, frame[20]]);
    pseudo.extend(payload);
    pseudo
}

/// RFC 1071, word by word.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
