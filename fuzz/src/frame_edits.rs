//! Random sequences of edits: every checksum is right afterwards, also where the link completes the innermost one.

use crate::edits::{EDITS, complete, edit};
use crate::geneve_frame::tunnelled;
use crate::input::Input;
use opte_headers::FlowKey;
use opte_headers::frame::{Editor, Parsed, parse_geneve, parse_guest};

/// The first byte says whether there is a tunnel, the next how many edits, each of a number and eight bytes; the others are the
/// frame.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (mode, count) = (input.byte(), input.below(12));
    let edits: Vec<(u8, Vec<u8>)> = (0..count)
        .map(|_| (input.byte() % EDITS, input.bytes(8)))
        .collect();
    let frame = match mode & 1 {
        0 => input.0.to_vec(),
        _ => tunnelled(input.0, [0, 0, 1], mode & 2 != 0),
    };
    let parsed = match mode & 1 {
        0 => parse_guest(&frame),
        _ => parse_geneve(&frame),
    };
    let Ok(parsed) = parsed else { return };
    let mut frame = parsed.trim(&frame).to_vec();
    if mode & 5 == 5 {
        // The tunnel has a checksum too.
        frame[14 + 40 + 6] = 1;
    }
    complete(&mut frame, &parsed);
    for (which, value) in edits {
        let before = frame.clone();
        // Zeros and ones in front, where one's complement sums are odd.
        let mut wide = [if mode & 8 == 0 { 0 } else { 0xff }; 16];
        wide[8..].copy_from_slice(&value);
        let done = edit(
            &mut Editor::new(&mut frame, &parsed),
            which,
            u128::from_be_bytes(wide),
        );
        let mut expected = frame.clone();
        complete(&mut expected, &parsed);
        assert_eq!(frame, expected, "edit {which}");
        if done.is_err() {
            assert_eq!(frame, before);
        }
        still_parses(&frame, &parsed, mode);
    }
}

/// Edits change addresses and ports, never what follows what; but an IPv6 address may become one that parsers refuse.
fn still_parses(frame: &[u8], parsed: &Parsed, mode: u8) {
    let again = match mode & 1 {
        0 => parse_guest(frame),
        _ => parse_geneve(frame),
    };
    let Ok(again) = again else { return };
    if again.shape == parsed.shape {
        assert_eq!(again.offsets, parsed.offsets);
        let plain = |key: FlowKey| (key.protocol, key.kind);
        assert_eq!(plain(again.key).0, plain(parsed.key).0);
    }
}
