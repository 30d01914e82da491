//! Single facts about programs, with the bytes written out.

use crate::model::{Kind, Model, Rng, Step};
use opte_headers::frame::{FlowKey, KeyKind};
use opte_headers::program::{HeaderSpec, Program, Sums};
use zerocopy::{FromBytes, IntoBytes};

fn guest() -> [HeaderSpec; 3] {
    [Kind::Ethernet.spec(), Kind::Ipv4.spec(), Kind::Tcp.spec()]
}

fn set(stack: &[HeaderSpec], header: usize, first_bit: usize, value: &[u8]) -> Program {
    Program::set(stack, header, first_bit, value.len() * 8, value).unwrap()
}

fn fuse(programs: &[Program]) -> Program {
    let all = programs
        .iter()
        .try_fold(Program::IDENTITY, |all, next| all.fuse(next));
    all.unwrap()
}

#[test]
fn the_later_write_to_the_same_bits_stays() {
    let first = set(&guest(), 1, 96, &[10, 0, 0, 1]);
    let second = set(&guest(), 1, 96, &[10, 0, 0, 2]);
    assert_eq!(first.fuse(&second).unwrap(), second);
    // Bits of a byte, then all of it, then bits of it again.
    let bits = Program::set(&guest(), 1, 8, 6, &[0b10_1010]).unwrap();
    let byte = set(&guest(), 1, 8, &[0xff]);
    assert_eq!(bits.fuse(&byte).unwrap(), byte);
    assert_eq!(fuse(&[byte, bits]), set(&guest(), 1, 8, &[0b1010_1011]));
    // All bits of a byte, in parts, are the byte.
    let rest = Program::set(&guest(), 1, 14, 2, &[1]).unwrap();
    assert_eq!(fuse(&[bits, rest]), set(&guest(), 1, 8, &[0b1010_1001]));
}

#[test]
fn the_order_of_writes_to_different_fields_leaves_no_trace() {
    let address = set(&guest(), 1, 96, &[10, 0, 0, 1]);
    let port = set(&guest(), 2, 0, &[0x1f, 0x90]);
    let hops = set(&guest(), 1, 64, &[63]);
    let one = fuse(&[address, port, hops]);
    assert_eq!(one, fuse(&[hops, port, address]));
    assert_eq!(one.as_bytes(), fuse(&[port, address, hops]).as_bytes());
}

#[test]
fn a_set_after_a_push_folds_into_what_is_pushed() {
    let outer = [
        0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2,
    ];
    let push = Program::push(&guest()[1..], &Kind::Ipv4.spec(), &outer).unwrap();
    let stack = [Kind::Ipv4.spec(), Kind::Ipv4.spec(), Kind::Tcp.spec()];
    let folded = push.fuse(&set(&stack, 0, 128, &[3, 3, 3, 3])).unwrap();
    let mut other = outer;
    other[16..].fill(3);
    assert_eq!(
        folded,
        Program::push(&guest()[1..], &Kind::Ipv4.spec(), &other).unwrap()
    );
    assert!(folded.rewrite.is_empty());
}

#[test]
fn entropy_fills_the_outer_source_port_and_the_flow_label() {
    let push = |stack: &[HeaderSpec], kind: Kind, bytes: &[u8]| {
        Program::push(stack, &kind.spec(), bytes).unwrap()
    };
    let udp = push(&guest(), Kind::Udp, &[0, 0, 0x17, 0xc1, 9, 9, 9, 9])
        .vary(0, 0, 0xc0)
        .unwrap();
    let stack = [&[Kind::Udp.spec()][..], &guest()].concat();
    let ipv6 = [&[0x60, 0x0a, 0, 0, 7, 7, 17, 64][..], &[1; 32]].concat();
    let ipv6 = push(&stack, Kind::Ipv6, &ipv6).vary(0, 2, 0).unwrap();
    let both = udp.fuse(&ipv6).unwrap();
    let mut head = [0; 128];
    let mut offsets = opte_headers::Offsets::EMPTY;
    for at in [0, 14, 34] {
        assert!(offsets.push(at));
    }
    for (entropy, label, port) in [
        (0x1234, 0x1234u16, 0xd234u16),
        (0xffff, 0xffff, 0xffff),
        (0, 0, 0xc000),
    ] {
        let applied = both
            .apply(&mut head, 64, 1000, &offsets, Sums::Complete, entropy)
            .unwrap();
        assert_eq!((applied.start, applied.frame_len), (64 - 48, 1048));
        assert_eq!(
            head[16..20],
            [0x60, 0x0a, label.to_be_bytes()[0], label.to_be_bytes()[1]]
        );
        assert_eq!(head[20..22], 1008u16.to_be_bytes(), "payload length");
        assert_eq!(head[56..58], port.to_be_bytes());
        assert_eq!(head[60..62], 1008u16.to_be_bytes(), "UDP length");
        assert_eq!(head[62..64], [0, 0], "a tunnel's UDP checksum is zero");
    }
    // A fixed value set later takes the place's role away.
    let stack = [&[Kind::Ipv6.spec()][..], &stack].concat();
    let fixed = both.fuse(&set(&stack, 1, 0, &[0xea, 0x60])).unwrap();
    fixed
        .apply(&mut head, 64, 1000, &offsets, Sums::Complete, 0x1234)
        .unwrap();
    assert_eq!(head[56..58], [0xea, 0x60]);
    assert_eq!(head[18..20], [0x12, 0x34]);
}

#[test]
fn udp_without_a_checksum_stays_without() {
    let mut rng = Rng::new(1);
    let kinds = [Kind::Ethernet, Kind::Ipv4, Kind::Udp];
    let mut none = Model {
        headers: kinds
            .iter()
            .map(|kind| (*kind, vec![1; kind.spec().min_len]))
            .collect(),
        payload: rng.bytes(20),
    };
    none.headers[2].1[6..].fill(0);
    none.complete();
    let step = Step::Set {
        header: 1,
        first_bit: 96,
        bits: 32,
        value: vec![9, 8, 7, 6],
    };
    let after = none.run(&none.program(&step).unwrap(), 0, false, Sums::Complete);
    assert_eq!(after[40..42], [0, 0]);
    assert_eq!(after[26..30], [9, 8, 7, 6]);
}

#[test]
fn a_computed_zero_goes_out_as_ones_for_udp_only() {
    // Find, for each of the two, the source port that makes the sum come out as zero.
    for (kind, at, expected) in [(Kind::Udp, 40, [0xff, 0xff]), (Kind::Tcp, 50, [0, 0])] {
        let mut model = Model {
            headers: vec![
                (Kind::Ethernet, vec![2; 14]),
                (Kind::Ipv4, vec![0x45; 20]),
                (kind, vec![1; kind.spec().min_len]),
            ],
            payload: vec![7; 11],
        };
        model.complete();
        let bytes = model.bytes();
        let sum = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let port = u16::from_be_bytes([bytes[34], bytes[35]]);
        // Adding the checksum to a word under it brings the checksum to zero.
        let zero = opte_headers::checksum::Sum::ZERO
            .with_word(port)
            .with_word(sum)
            .fold();
        let value = zero.to_be_bytes().to_vec();
        let step = Step::Set {
            header: 2,
            first_bit: 0,
            bits: 16,
            value,
        };
        let after = model.run(&model.program(&step).unwrap(), 0, false, Sums::Complete);
        assert_eq!(after[at..at + 2], expected, "{kind:?}");
    }
}

#[test]
fn what_a_pushed_header_cannot_be() {
    let refused = Program::push(&[], &Kind::Tcp.spec(), &[0; 20]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Tcp cannot be pushed: its checksum covers the payload, which a program does not read"
    );
    let big = [0; 97];
    let refused = Program::push(&[], &Kind::Geneve.spec(), &big).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the pushed headers exceed 96 bytes or 8 headers"
    );
    assert!(Program::set(&guest(), 3, 0, 8, &[0]).is_err());
    assert!(Program::set(&guest(), 0, 2048, 8, &[0]).is_err());
    assert!(Program::pop(&[]).is_err());
}

#[test]
fn the_key_follows_the_program() {
    let mut key = FlowKey::ZERO
        .with_source_ip("10.0.0.5".parse().unwrap())
        .with_destination_ip("93.184.216.34".parse().unwrap());
    (key.source_port, key.destination_port, key.protocol) = (40000, 443, 6);
    let snat = fuse(&[
        set(&guest(), 1, 96, &[198, 51, 100, 1]),
        set(&guest(), 2, 0, &[0x10, 0x01]),
    ]);
    let after = key.rewritten(&snat, 1);
    assert_eq!(
        after.to_string(),
        "TCP 198.51.100.1:4097 -> 93.184.216.34:443"
    );
    assert_eq!(key.rewritten(&Program::IDENTITY, 1), key);
    assert_eq!(key.rewritten(&snat, 5), key, "another header's fields");

    let v6 = key
        .with_source_ip("fd00::5".parse().unwrap())
        .with_destination_ip("2001:db8::1".parse().unwrap());
    let stack = [Kind::Ethernet.spec(), Kind::Ipv6.spec(), Kind::Tcp.spec()];
    let to: std::net::Ipv6Addr = "fd00::99".parse().unwrap();
    let dnat = fuse(&[
        set(&stack, 1, 192, &to.octets()),
        set(&stack, 2, 16, &[0, 22]),
    ]);
    assert_eq!(
        v6.rewritten(&dnat, 1).to_string(),
        "TCP fd00::5:40000 -> fd00::99:22"
    );

    let mut echo = key;
    (echo.kind, echo.protocol) = (KeyKind::ECHO_REQUEST, 1);
    (echo.source_port, echo.destination_port) = (7, 7);
    let stack = [
        Kind::Ethernet.spec(),
        Kind::Ipv4.spec(),
        Kind::Icmpv4.spec(),
    ];
    let after = echo.rewritten(&set(&stack, 2, 32, &[0x30, 0x39]), 1);
    assert_eq!((after.source_port, after.destination_port), (12345, 12345));
}

#[test]
fn text_is_one_line_a_step() {
    let stack = guest();
    let program = fuse(&[
        set(&stack, 1, 96, &[198, 51, 100, 1]),
        set(&stack, 2, 0, &[0x10, 0x01]),
        Program::set(&stack, 1, 14, 2, &[3]).unwrap(),
        Program::pop(&stack).unwrap(),
        Program::push(
            &stack[1..],
            &Kind::Ethernet.spec(),
            &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0],
        )
        .unwrap(),
    ]);
    assert_eq!(
        program.to_string(),
        "set header 1 byte 1 bits 00000011 to 3\n\
         set header 1 byte 12 to c6336401\n\
         set header 2 byte 0 to 1001\n\
         sum header 2 byte 16\n\
         sum header 1 byte 10\n\
         pop 1\n\
         push Ethernet source 02:00:00:00:00:02 destination 02:00:00:00:00:01"
    );
    let mut key = FlowKey::ZERO.with_source_ip("10.0.0.5".parse().unwrap());
    key = key.with_destination_ip("10.0.0.6".parse().unwrap());
    key.protocol = 6;
    let named = program.of_flow(&key).to_string();
    assert!(
        named.starts_with(
            "set Ipv4 source to 198.51.100.1\n\
             set Ipv4 byte 1 bits 00000011 to 3\n\
             set Tcp source to 4097\n\
             sum Tcp\nsum Ipv4\npop 1\n"
        ),
        "{named}"
    );
    assert_eq!(Program::IDENTITY.to_string(), "nothing");
    let udp = Program::push(&stack, &Kind::Udp.spec(), &[0; 8]).unwrap();
    let udp = udp.vary(0, 0, 0xc0).unwrap();
    assert_eq!(
        udp.to_string(),
        "push 8 bytes 0000000000000000, length, entropy at byte 0"
    );
}

#[test]
fn any_bytes_are_a_program_that_does_no_harm() {
    let mut rng = Rng::new(42);
    let mut bytes = [0; 256];
    for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
        let model = Model::random(&mut rng);
        bytes.iter_mut().for_each(|byte| *byte = rng.next() as u8);
        // Counts small enough to be in use, now and then.
        for at in [122, 123, 124, 125, 247, 248, 249, 250, 251] {
            if rng.chance(70) {
                bytes[at] %= 8;
            }
        }
        let program = Program::read_from_bytes(&bytes).unwrap();
        let mut head = model.bytes();
        let len = head.len();
        let start = rng.below(len);
        let sums = rng.pick(&[Sums::Complete, Sums::Partial]);
        let _ = program.apply(&mut head, start, len - start, &model.offsets(), sums, 1);
        let _ = program.fuse(&program);
        let _ = program.to_string();
        let _ = program.reverse(&model.specs(), &model.specs(), &head, &model.offsets());
        let _ = FlowKey::ZERO.rewritten(&program, 1);
    }
}
