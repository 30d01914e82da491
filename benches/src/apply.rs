//! Applying a program to a frame: what a hit in the flow table comes to behind the lookup.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::hint::black_box;

use opte_headers::frame::Shape;
use opte_headers::program::{Applied, Program, Sums};
use opte_headers::transform::{Set, Transform};
use opte_headers::{
    Ethernet, FlowKey, Geneve, HeaderKind, IpProtocol, Ipv4, Ipv6, MacAddr, Offsets, Tcp, Udp,
    ethernet, ipv4, stack, tcp, udp,
};

use crate::{Meter, Row, Unit};

/// Rows of this module. Those of one program come twice: bound to a flow, as packets of known flows meet it; and as it is,
/// as it may meet any frame.
pub const ROWS: &[Row] = &[
    row("apply_encapsulation_with_nat", 90.0, |meter| {
        bound(meter, &encapsulation(), GUEST)
    }),
    row("apply_decapsulation", 60.0, |meter| {
        bound(meter, &decapsulation().compile(), TUNNEL)
    }),
    row("apply_decapsulation_with_nat", 90.0, |meter| {
        bound(meter, &decapsulation_with_nat(), TUNNEL)
    }),
    row("apply_nat", 60.0, |meter| {
        bound(meter, &translation().compile(), GUEST)
    }),
    row("apply_unbound_encapsulation_with_nat", 250.0, |meter| {
        unbound(meter, &encapsulation(), GUEST)
    }),
    row("apply_unbound_decapsulation", 60.0, |meter| {
        unbound(meter, &decapsulation().compile(), TUNNEL)
    }),
    row("apply_unbound_decapsulation_with_nat", 250.0, |meter| {
        unbound(meter, &decapsulation_with_nat(), TUNNEL)
    }),
    row("bind_encapsulation_with_nat", 500.0, |meter| {
        let (program, flow) = (encapsulation(), FLOW);
        meter.each(1000, |_| {
            let (template, _) = black_box(&program).bind(black_box(&flow), 1);
            assert!(black_box(&template).is_bound());
        });
    }),
    row("fuse_nat_and_encapsulation", 500.0, |meter| {
        let (nat, whole) = (translation().compile(), encapsulation());
        let push = opte_headers::Program {
            rewrite: Program::IDENTITY.rewrite,
            ..whole
        };
        meter.each(1000, |_| {
            assert!(black_box(&nat).fuse(black_box(&push)).is_ok())
        });
    }),
    row("fuse_decapsulation_and_nat", 500.0, |meter| {
        let pop = decapsulation().compile();
        let nat = Transform::on::<Guest>()
            .set::<ethernet::Source>(MacAddr([2; 6]))
            .set::<ipv4::Destination>(Ipv4Addr::LOCALHOST);
        let nat = nat.set::<tcp::Destination>(7).compile();
        meter.each(1000, |_| {
            assert!(black_box(&pop).fuse(black_box(&nat)).is_ok())
        });
    }),
    row("compile_encapsulation_with_nat", 500.0, |meter| {
        meter.each(1000, |_| assert!(!black_box(encapsulation()).is_identity()));
    }),
];

type Guest = stack![Ethernet, Ipv4, Tcp];
type Tunnel = stack![Ethernet, Ipv6, Udp, Geneve, Ethernet, Ipv4, Tcp];

/// Where the headers of the frames stand.
const GUEST: &[u16] = &[0, 14, 34];
const TUNNEL: &[u16] = &[0, 14, 54, 62, 70, 84, 104];

const fn row(name: &'static str, budget: f64, run: fn(&mut Meter)) -> Row {
    Row {
        name,
        unit: Unit::Instructions,
        budget,
        run,
    }
}

fn translation() -> Transform<Guest, Guest> {
    Transform::on::<Guest>()
        .set::<ipv4::Source>(Ipv4Addr::new(198, 51, 100, 7))
        .set::<tcp::Source>(1025)
}

fn encapsulation() -> Program {
    let underlay = |last| Ipv6Addr::new(0xfd00, 0x1122, 0x3344, 0x101, 0, 0, 0, last);
    let (source, destination) = (underlay(1), underlay(2));
    let (mac, next_hop) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
    translation()
        .push(Geneve::default())
        .push_varying::<udp::Source>(Udp {
            source: 0xc000,
            ..Udp::default()
        })
        .push(Ipv6 {
            source,
            destination,
            ..Ipv6::default()
        })
        .push(Ethernet {
            source: mac,
            destination: next_hop,
            ..Ethernet::default()
        })
        .compile()
}

fn decapsulation() -> Transform<Tunnel, Guest> {
    Transform::on::<Tunnel>()
        .pop::<Ethernet>()
        .pop::<Ipv6>()
        .pop::<Udp>()
        .pop::<Geneve>()
}

fn decapsulation_with_nat() -> Program {
    decapsulation()
        .set::<ethernet::Source>(MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]))
        .set::<ipv4::Destination>(Ipv4Addr::new(172, 30, 0, 5))
        .set::<tcp::Destination>(40_000)
        .compile()
}

/// The flow of the frames.
const FLOW: FlowKey = FlowKey {
    source: FlowKey::octets_of_v4(Ipv4Addr::new(10, 0, 0, 11)),
    destination: FlowKey::octets_of_v4(Ipv4Addr::new(10, 0, 0, 13)),
    source_port: 40_000,
    destination_port: 80,
    protocol: IpProtocol::TCP.0,
    ..FlowKey::ZERO
};

/// A frame with room in front of it.
struct Lab {
    buffer: Vec<u8>,
    offsets: Offsets,
    sums: Sums,
    entropy: u16,
    applied: Applied,
}

const ROOM: usize = 128;

impl Lab {
    /// A frame of 1,400 bytes with its innermost three headers, Ethernet, IPv4 and TCP, the last ones of these.
    fn new(headers: &[u16]) -> Self {
        let (mut offsets, mut shape) = (Offsets::EMPTY, Shape::EMPTY);
        let l3 = (headers.len() - 2) as u8;
        assert!(headers.iter().all(|at| offsets.push(*at)));
        shape.set(l3 - 1, HeaderKind::Ethernet);
        shape.set(l3, HeaderKind::Ipv4);
        offsets.set_anchor(&shape, l3);
        black_box(Self {
            buffer: vec![0x5a; ROOM + 1400],
            offsets,
            sums: Sums::Complete,
            entropy: 0x1234,
            applied: Applied {
                start: 0,
                frame_len: 0,
            },
        })
    }
}

fn bound(meter: &mut Meter, program: &Program, headers: &[u16]) {
    let mut lab = Lab::new(headers);
    let (template, translation) = program.bind(&FLOW, lab.offsets.anchor());
    let (bound, translation) = black_box((template.compile(), translation));
    assert!(template.is_bound());
    meter.each(1000, |_| {
        let lab = black_box(&mut lab);
        let (sums, entropy, len) = (lab.sums, lab.entropy, lab.buffer.len() - ROOM);
        let (head, offsets) = (&mut lab.buffer, &lab.offsets);
        lab.applied = bound
            .apply(&translation, head, ROOM, len, offsets, sums, entropy)
            .expect("the frame is one of the flow");
    });
}

fn unbound(meter: &mut Meter, program: &Program, headers: &[u16]) {
    let mut lab = Lab::new(headers);
    let program = black_box(*program);
    meter.each(1000, |_| {
        let lab = black_box(&mut lab);
        let (sums, entropy, len) = (lab.sums, lab.entropy, lab.buffer.len() - ROOM);
        let (head, offsets) = (&mut lab.buffer, &lab.offsets);
        lab.applied = program
            .apply(head, ROOM, len, offsets, sums, entropy)
            .expect("the frame has the headers");
    });
}
