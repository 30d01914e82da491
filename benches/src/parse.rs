//! Parsing a frame to its flow key and offsets.

use std::hint::black_box;
use std::net::SocketAddrV4;

use opte_headers::TcpFlags;
use opte_headers::frame::{parse_geneve, parse_guest};

use crate::frames::{self, GUEST, PEER};
use crate::{Meter, Row, Unit};

/// Rows of this module.
pub const ROWS: &[Row] = &[
    Row {
        name: "parse_out_ipv4_tcp",
        unit: Unit::Instructions,
        budget: 60.0,
        run: outbound,
    },
    Row {
        name: "parse_out_ipv4_tcp_time",
        unit: Unit::Nanoseconds,
        budget: 5.0,
        run: outbound,
    },
    Row {
        name: "parse_in_geneve_ipv4_tcp",
        unit: Unit::Instructions,
        budget: 110.0,
        run: inbound,
    },
    Row {
        name: "parse_in_geneve_ipv4_tcp_time",
        unit: Unit::Nanoseconds,
        budget: 10.0,
        run: inbound,
    },
];

const FRAMES: usize = 10_000;

fn outbound(meter: &mut Meter) {
    let frame = frames::tcp(frames::from_guest(), here(), there(), TcpFlags::ACK);
    meter.each(FRAMES, |_| {
        let parsed = parse_guest(black_box(&frame));
        black_box(&parsed);
    });
}

fn inbound(meter: &mut Meter) {
    let frame = frames::in_tunnel(&frames::tcp(
        frames::from_peer(),
        there(),
        here(),
        TcpFlags::ACK,
    ));
    meter.each(FRAMES, |_| {
        let parsed = parse_geneve(black_box(&frame));
        black_box(&parsed);
    });
}

fn here() -> SocketAddrV4 {
    SocketAddrV4::new(GUEST, 40_000)
}

fn there() -> SocketAddrV4 {
    SocketAddrV4::new(PEER, 80)
}
