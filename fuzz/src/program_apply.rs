//! Programs: any 256 bytes do no harm; one fused of many does what they do one after the other, checksums and all.

use crate::input::Input;
use crate::model::{Kind, Model, Step};
use opte_headers::frame::{Offsets, parse_geneve, parse_guest};
use opte_headers::program::{Program, ProgramError, Sums};
use zerocopy::FromBytes;

/// The first byte says which of the two.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    if input.byte().is_multiple_of(2) {
        any_program(input);
    } else {
        steps(input);
    }
}

fn any_program(mut input: Input<'_>) {
    let (mode, room) = (input.byte(), usize::from(input.byte()));
    let (entropy, missing) = (input.word(), usize::from(input.byte()));
    let program = input.bytes(256);
    let program = Program::read_from_bytes(&program).unwrap();
    let _ = (program.to_string(), program.is_identity());
    let _ = program.fuse(&program);

    let offsets = if mode & 1 == 0 {
        let parsed = parse_guest(input.0).or_else(|_| parse_geneve(input.0));
        parsed.ok().map(|parsed| parsed.offsets)
    } else {
        None
    };
    let of_this_frame = offsets.is_some();
    let offsets = offsets.unwrap_or_else(|| {
        let mut offsets = Offsets::EMPTY;
        for _ in 0..input.below(9) {
            assert!(offsets.push(input.word()));
        }
        offsets
    });
    let frame = input.0;
    let sums = if mode & 2 == 0 {
        Sums::Complete
    } else {
        Sums::Partial
    };
    let mut head = vec![0x5a; room];
    head.extend_from_slice(&frame[..frame.len() - missing.min(frame.len())]);
    let before = head.clone();
    let applied = program.apply(&mut head, room, frame.len(), &offsets, sums, entropy);
    assert_eq!(head.len(), before.len());
    match applied {
        Ok(applied) => {
            // What there was, less what went, plus what came.
            assert!(applied.start <= head.len());
            let growth = applied.frame_len as isize - frame.len() as isize;
            assert_eq!(growth, room as isize - applied.start as isize);
        }
        Err(error) => {
            let _ = error.to_string();
            assert!(!of_this_frame || head == before, "changed, and {error}");
        }
    }
}

fn steps(mut input: Input<'_>) {
    let before = model(&mut input);
    let mut after = before.clone();
    let (mut front, mut back) = (Program::IDENTITY, Program::IDENTITY);
    let (count, cut) = (1 + input.below(9), input.below(9));
    let mut middle = before.clone();
    for n in 0..count {
        let step = step(&after, &mut input);
        let to = if n < cut { &mut front } else { &mut back };
        match after.program(&step).and_then(|step| to.fuse(&step)) {
            Ok(fused) => *to = fused,
            Err(
                ProgramError::PrefixFull | ProgramError::RewriteFull | ProgramError::ChecksumsFull,
            ) => break,
            Err(other) => panic!("{other}"),
        }
        after.apply(&step);
        if n < cut {
            middle = after.clone();
        }
    }
    let _ = (front.to_string(), back.to_string());
    assert_eq!(
        before.run(&front, 128, false, Sums::Complete),
        middle.bytes()
    );
    assert_eq!(middle.run(&back, 128, true, Sums::Complete), after.bytes());
    let Ok(fused) = front.fuse(&back) else { return };
    assert_eq!(
        before.run(&fused, 128, false, Sums::Complete),
        after.bytes()
    );
    if let Ok(reverse) = fused.reverse(
        &before.specs(),
        &after.specs(),
        &before.bytes(),
        &before.offsets(),
    ) {
        assert_eq!(
            after.run(&reverse, 256, false, Sums::Complete),
            before.bytes()
        );
    }
    if before.asks_for_a_sum() && after.asks_for_a_sum() {
        let (mut open, mut open_after) = (before, after);
        open.leave_to_link();
        open_after.leave_to_link();
        assert_eq!(
            open.run(&fused, 128, false, Sums::Partial),
            open_after.bytes()
        );
    }
}

fn model(input: &mut Input<'_>) -> Model {
    use Kind::*;
    let guest: &[Kind] = input.pick(&[
        &[Ethernet, Ipv4, Tcp][..],
        &[Ethernet, Ipv4, Udp],
        &[Ethernet, Ipv4, Icmpv4],
        &[Ethernet, Ipv6, Tcp],
        &[Ethernet, Ipv6, Udp],
        &[Ethernet, Ipv6, Icmpv6],
        &[Ethernet, Vlan, Ipv4, Udp],
        &[Ethernet],
    ]);
    let tunnel: &[Kind] = input.pick(&[
        &[][..],
        &[Ethernet, Ipv6, Udp, Geneve],
        &[Ethernet, Ipv4, Udp, Geneve],
    ]);
    let header = |kind: &Kind| {
        let long = matches!(kind, Ipv4 | Tcp | Geneve);
        let more = if long { 4 * input.below(4) } else { 0 };
        (*kind, input.bytes(kind.spec().min_len + more))
    };
    let headers = tunnel.iter().chain(guest).map(header).collect();
    let len = input.below(64);
    let mut model = Model {
        headers,
        payload: input.bytes(len),
    };
    model.complete();
    model
}

/// A step that the stack allows.
fn step(model: &Model, input: &mut Input<'_>) -> Step {
    use Kind::*;
    match input.below(10) {
        0 | 1 if model.headers.len() > 1 => Step::Pop,
        2 | 3 if model.headers.len() < 8 => {
            let kind = input.pick(&[Ethernet, Vlan, Ipv4, Ipv6, Udp, Geneve]);
            Step::Push(kind, input.bytes(kind.spec().min_len))
        }
        _ => {
            let header = input.below(model.headers.len());
            let (first_bit, bits) = input.pick(model.headers[header].0.fields());
            Step::Set {
                header,
                first_bit,
                bits,
                value: input.bytes(bits.div_ceil(8)),
            }
        }
    }
}
