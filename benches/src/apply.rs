//! Applying a program to a frame: what a hit in the flow table comes to behind the lookup.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::hint::black_box;

use opte_headers::program::{Program, Sums};
use opte_headers::transform::{Set, Transform};
use opte_headers::{
    Ethernet, Geneve, Ipv4, Ipv6, MacAddr, Offsets, Tcp, Udp, ethernet, ipv4, stack, tcp, udp,
};

use crate::{Meter, Row, Unit};

/// Rows of this module.
pub const ROWS: &[Row] = &[
    row("apply_encapsulation_with_nat", 90.0, |meter| {
        each(meter, &encapsulation(), GUEST)
    }),
    row("apply_decapsulation", 60.0, |meter| {
        each(meter, &decapsulation().compile(), TUNNEL)
    }),
    row("apply_decapsulation_with_nat", 90.0, |meter| {
        let translated = decapsulation()
            .set::<ethernet::Source>(MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]))
            .set::<ipv4::Destination>(Ipv4Addr::new(172, 30, 0, 5))
            .set::<tcp::Destination>(40_000);
        each(meter, &translated.compile(), TUNNEL);
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
    row("apply_nat", 60.0, |meter| {
        each(meter, &translation().compile(), GUEST)
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

/// A program on a frame of 1,400 bytes and on one of 64 bytes behind its last header's start.
fn each(meter: &mut Meter, program: &Program, headers: &[u16]) {
    const ROOM: usize = 128;
    let mut offsets = Offsets::EMPTY;
    for at in headers {
        assert!(offsets.push(*at));
    }
    let mut buffer = vec![0x5a; 2048];
    let len = usize::from(headers[headers.len() - 1]) + 64;
    meter.each(1000, |at| {
        let len = if at % 2 == 0 { len } else { 1400 };
        let head = &mut buffer[..ROOM + len];
        let applied =
            black_box(program).apply(head, ROOM, black_box(len), &offsets, Sums::Complete, 0x1234);
        assert!(black_box(applied).is_ok());
    });
}
