//! Typed transformations on real headers.

use core::net::{Ipv4Addr, Ipv6Addr};

use opte_headers::checksum::{self, Sum};
use opte_headers::program::{ApplyError, HeaderSpec, Program, ProgramError, Sums};
use opte_headers::transform::{Restore, Set, Stack, Transform};
use opte_headers::{
    Ethernet, Ethertype, Geneve, Header, IpProtocol, Ipv4, Ipv6, MacAddr, Offsets, Tcp, Udp, Vlan,
    Vni, ethernet, ipv4, ipv6, stack, tcp, udp, vlan,
};

type Guest = stack![Ethernet, Ipv4, Tcp];
type Tunnel = stack![Ethernet, Ipv6, Udp, Geneve, Ethernet, Ipv4, Tcp];

const PRIVATE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 5);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const REMOTE: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);
const SLED: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x1122, 0x3344, 0x101, 0, 0, 0, 1);
const PEER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x1122, 0x3344, 0x102, 0, 0, 0, 1);

fn write(frame: &mut Vec<u8>, header: &impl Header) {
    let at = frame.len();
    frame.resize(at + header.len(), 0);
    header.emit(&mut frame[at..]).unwrap();
}

/// A TCP segment of a guest, and where its headers stand.
fn guest_frame(payload: &[u8]) -> (Vec<u8>, Offsets) {
    let mut frame = vec![];
    let mac = |last| MacAddr([0xa8, 0x40, 0x25, 0xff, 0, last]);
    write(
        &mut frame,
        &Ethernet {
            destination: mac(1),
            source: mac(2),
            ethertype: Ethertype::IPV4,
        },
    );
    let total_len = (40 + payload.len()) as u16;
    let protocol = IpProtocol::TCP;
    write(
        &mut frame,
        &Ipv4 {
            total_len,
            protocol,
            source: PRIVATE,
            destination: REMOTE,
            ..Ipv4::default()
        },
    );
    write(
        &mut frame,
        &Tcp {
            source: 40_000,
            destination: 443,
            sequence: 7,
            ..Tcp::default()
        },
    );
    frame.extend_from_slice(payload);
    let sum = Sum::of(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    let pseudo = checksum::pseudo_v4(PRIVATE, REMOTE, 6, total_len - 20);
    let sum = pseudo.with(&frame[34..]).checksum();
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
    (frame, offsets(&[0, 14, 34]))
}

fn offsets(at: &[u16]) -> Offsets {
    let mut offsets = Offsets::EMPTY;
    assert!(at.iter().all(|at| offsets.push(*at)));
    offsets
}

fn run(program: &Program, frame: &[u8], offsets: &Offsets) -> Vec<u8> {
    let mut head = vec![0xee; 128];
    head.extend_from_slice(frame);
    let applied = program
        .apply(&mut head, 128, frame.len(), offsets, Sums::Complete, 0x2bad)
        .unwrap();
    assert_eq!(head.len() - applied.start, applied.frame_len);
    head[applied.start..].to_vec()
}

fn sums_are_right(guest: &[u8]) -> bool {
    let ip = &guest[14..];
    let addresses = Sum::of(&ip[12..20])
        .with_word(6)
        .with_word(guest.len() as u16 - 34);
    Sum::of(&ip[..20]).checksum() == 0 && addresses.with(&guest[34..]).checksum() == 0
}

fn encapsulation() -> Transform<Guest, Tunnel> {
    let vni = Vni::new(0x12_3456).unwrap();
    let (mac, next_hop, entropy) = (MacAddr([2; 6]), MacAddr([4; 6]), 0xc123);
    Transform::on::<Guest>()
        .set::<ipv4::Source>(PUBLIC)
        .set::<tcp::Source>(1025)
        .push(Geneve {
            vni,
            ..Geneve::default()
        })
        .push(Udp {
            source: entropy,
            ..Udp::default()
        })
        .push(Ipv6 {
            source: SLED,
            destination: PEER,
            ..Ipv6::default()
        })
        .push(Ethernet {
            source: mac,
            destination: next_hop,
            ..Ethernet::default()
        })
}

#[test]
fn the_transformation_of_the_design() {
    let program: Program = encapsulation().compile();
    assert_eq!(program.head_room(), 70);
    let (frame, offsets) = guest_frame(b"GET / HTTP/1.1\r\n");
    let out = run(&program, &frame, &offsets);

    let (outer, rest) = Ethernet::parse(&out).unwrap();
    assert_eq!(outer.to_owned().ethertype, Ethertype::IPV6);
    let (ip, rest) = Ipv6::parse(rest).unwrap();
    let ip = ip.to_owned();
    assert_eq!(
        (ip.source, ip.destination, ip.next_header),
        (SLED, PEER, IpProtocol::UDP)
    );
    assert_eq!(usize::from(ip.payload_len), rest.len());
    let (udp, rest) = Udp::parse(rest).unwrap();
    let expected = Udp {
        source: 0xc123,
        destination: 6081,
        length: ip.payload_len,
        checksum: 0,
    };
    assert_eq!(udp.to_owned(), expected);
    let (geneve, inner) = Geneve::parse(rest).unwrap();
    assert_eq!(
        geneve.to_owned().unwrap().vni.to_string(),
        Vni::new(0x12_3456).unwrap().to_string()
    );
    assert_eq!(geneve.to_owned().unwrap().protocol, Ethertype::ETHERNET);

    assert!(sums_are_right(&frame) && sums_are_right(inner));
    assert_eq!(inner[26..30], PUBLIC.octets());
    assert_eq!(inner[34..36], 1025u16.to_be_bytes());
    assert_eq!(inner[54..], frame[54..]);
}

#[test]
fn the_way_back_needs_what_was_overwritten() {
    let (frame, at) = guest_frame(b"hello");
    let out = encapsulation();
    let there = run(&out.compile(), &frame, &at);
    let tunnel = offsets(&[0, 14, 54, 62, 70, 84, 104]);

    let named = out
        .reverse()
        .restore::<ipv4::Source>(PRIVATE)
        .restore::<tcp::Source>(40_000);
    let back: Transform<Tunnel, Guest> = named.finish().unwrap();
    assert_eq!(run(&back.compile(), &there, &tunnel), frame);
    let from_frame = out.reverse().restore_from(&frame, &at).unwrap();
    assert_eq!(from_frame.compile(), back.compile());
    assert_eq!(out.then(back).compile().prefix, Program::IDENTITY.prefix);

    let forgotten = out
        .reverse()
        .restore::<ipv4::Source>(PRIVATE)
        .compile()
        .unwrap_err();
    assert_eq!(forgotten, ProgramError::Forgotten { header: 2, byte: 0 });
    assert_eq!(
        forgotten.to_string(),
        "what byte 0 of header 2 held before was not restored"
    );
}

#[test]
fn what_only_pushes_is_undone_without_help() {
    let tag = Vlan {
        vid: arbitrary_int::u12::new(7),
        ..Vlan::default()
    };
    let push = Transform::on::<stack![Ipv4, Tcp]>()
        .push(tag)
        .push(Ethernet::default());
    assert_eq!(
        push.then(push.reverse().finish().unwrap()).compile(),
        Program::IDENTITY
    );
}

#[test]
fn a_pop_then_a_push_replaces() {
    let (frame, at) = guest_frame(b"");
    let (source, destination) = (MacAddr([6; 6]), MacAddr([8; 6]));
    let next_hop = Transform::on::<Guest>()
        .pop::<Ethernet>()
        .push(Ethernet {
            source,
            destination,
            ..Ethernet::default()
        })
        .compile();
    let same = Transform::on::<Guest>()
        .set::<ethernet::Source>(source)
        .set::<ethernet::Destination>(destination)
        .compile();
    assert_eq!(run(&next_hop, &frame, &at), run(&same, &frame, &at));
}

#[test]
fn a_set_after_a_push_is_a_push_of_something_else() {
    let late = Transform::on::<stack![Ethernet, Ipv4, Tcp]>()
        .push(Geneve::default())
        .push(Udp::default())
        .set::<udp::Source>(0xc001)
        .push(Ipv6::default())
        .set::<ipv6::FlowLabel>(arbitrary_int::u20::new(0xabcde))
        .set::<ipv6::Dscp>(arbitrary_int::u6::new(46));
    let early = Transform::on::<stack![Ethernet, Ipv4, Tcp]>()
        .push(Geneve::default())
        .push(Udp {
            source: 0xc001,
            ..Udp::default()
        })
        .push(Ipv6 {
            flow_label: arbitrary_int::u20::new(0xabcde),
            dscp: arbitrary_int::u6::new(46),
            ..Ipv6::default()
        });
    assert_eq!(late.compile(), early.compile());
}

#[test]
fn of_two_headers_of_a_kind_the_outer_one_is_set_as_such() {
    let mac = MacAddr([1, 2, 3, 4, 5, 6]);
    let out = encapsulation()
        .set_outermost::<ethernet::Destination>(mac)
        .compile();
    let (frame, at) = guest_frame(b"x");
    let there = run(&out, &frame, &at);
    assert_eq!(there[..6], mac.octets());
    assert_eq!(there[70..76], frame[..6]);
}

#[test]
fn entropy_varies_the_outer_port_and_the_flow_label() {
    let program = Transform::on::<Guest>()
        .push(Geneve::default())
        .push_varying::<udp::Source>(Udp {
            source: 0xc000,
            ..Udp::default()
        })
        .push_varying::<ipv6::FlowLabel>(Ipv6::default())
        .push(Ethernet::default())
        .compile();
    let (frame, at) = guest_frame(b"x");
    let there = run(&program, &frame, &at);
    assert_eq!(there[54..56], (0x2bad | 0xc000u16).to_be_bytes());
    assert_eq!(there[14..18], [0x60, 0x00, 0x2b, 0xad]);
}

#[test]
fn decapsulation_with_translation() {
    let (frame, at) = guest_frame(b"payload");
    let there = run(&encapsulation().compile(), &frame, &at);
    let back = Transform::on::<Tunnel>()
        .pop()
        .pop::<Ipv6>()
        .pop::<Udp>()
        .pop::<Geneve>()
        .set::<ipv4::Source>(PRIVATE)
        .set::<tcp::Source>(40_000)
        .compile();
    assert_eq!(
        run(&back, &there, &offsets(&[0, 14, 54, 62, 70, 84, 104])),
        frame
    );
}

#[test]
fn a_tag_is_put_between_by_pops_and_pushes() {
    let (frame, at) = guest_frame(b"tagged");
    let ethernet = Ethernet::parse(&frame).unwrap().0.to_owned();
    let id = arbitrary_int::u12::new(99);
    let program = Transform::on::<Guest>()
        .pop::<Ethernet>()
        .push(Vlan::default())
        .set::<vlan::Vid>(id)
        .push(ethernet)
        .compile();
    let tagged = run(&program, &frame, &at);
    assert_eq!(tagged[12..18], [0x81, 0x00, 0x00, 99, 0x08, 0x00]);
    assert_eq!(tagged[18..], frame[14..]);
}

#[test]
fn what_exceeds_a_program_refuses_every_frame() {
    let big = Transform::on::<Guest>()
        .pop::<Ethernet>()
        .pop::<Ipv4>()
        .push(Ipv6::default())
        .push(Ethernet::default())
        .push(Geneve::default())
        .push(Udp::default())
        .push(Ipv6::default())
        .push(Ethernet::default());
    assert_eq!(
        big.try_compile(),
        Err(ProgramError::PrefixFull),
        "124 bytes"
    );
    let program = big.compile();
    let (mut frame, at) = guest_frame(b"");
    let (before, len) = (frame.clone(), frame.len());
    let refused = program
        .apply(&mut frame, 0, len, &at, Sums::Complete, 0)
        .unwrap_err();
    assert_eq!(refused, ApplyError::NoHeader { index: 255 });
    assert_eq!(frame, before);
}

#[test]
fn specs_come_from_the_derive() {
    let ipv4 = HeaderSpec::of::<Ipv4>();
    assert_eq!(
        (ipv4.name, ipv4.min_len, ipv4.pseudo),
        ("Ipv4", 20, Some((12, 20)))
    );
    assert_eq!(HeaderSpec::of::<Ipv6>().pseudo, Some((8, 40)));
    assert_eq!(HeaderSpec::of::<Tcp>().pseudo, None);
    let names: Vec<&str> = <Guest as Stack>::specs()
        .iter()
        .map(|spec| spec.name)
        .collect();
    assert_eq!(names, ["Ethernet", "Ipv4", "Tcp"]);
}

#[test]
fn text_names_headers_and_fields() {
    let (frame, _) = guest_frame(b"");
    let key = opte_headers::frame::parse_guest(&frame).unwrap().key;
    assert_eq!(
        encapsulation().compile().of_flow(&key).to_string(),
        "set Ipv4 source to 198.51.100.7\n\
         set Tcp source to 1025\n\
         sum Tcp\n\
         sum Ipv4\n\
         push Geneve vni 1193046\n\
         push Udp source 49443 destination 6081, length\n\
         push Ipv6 source fd00:1122:3344:101::1 destination fd00:1122:3344:102::1, length\n\
         push Ethernet source 02:02:02:02:02:02 destination 04:04:04:04:04:04"
    );
    let decapsulation = Transform::on::<Tunnel>()
        .pop()
        .pop()
        .pop()
        .pop()
        .set::<ipv4::Destination>(PRIVATE);
    assert_eq!(
        decapsulation.compile().of_flow(&key).to_string(),
        "set Ipv4 destination to 172.30.0.5\nsum Tcp\nsum Ipv4\npop 4"
    );
}
