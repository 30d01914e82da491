//! The rows: `PROTOCOL_get_WHO` reads all fields, `_set_` writes those that may be written, `_parse_` checks the header and gives
//! what follows and how much; `flow_key_STACK_WHO`. `_checked` is a peer with the checks added that it leaves to its caller.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};

use benches::{Meter, Row, Unit, frames};
use opte_headers::TcpFlags;

use crate::{by_hand, deku, etherparse, fields, flow_key, ingot, opte, pnet, smoltcp};

const OPERATIONS: usize = 10_000;

/// Each row twice: in instructions, and in nanoseconds.
macro_rules! rows {
    ($($kind:ident $name:literal ($($what:tt)*);)*) => {
        /// All rows. Those that a budget is made of come before those it is for.
        pub const ROWS: &[Row] = &[$(
            Row { name: $name, unit: Unit::Instructions, budget: f64::INFINITY, run: $kind!($($what)*) },
            Row {
                name: concat!($name, "_time"),
                unit: Unit::Nanoseconds,
                budget: f64::INFINITY,
                run: $kind!($($what)*),
            },
        )*];
    };
}

macro_rules! get {
    ($who:ident $protocol:ident $Fields:ident) => {
        |meter: &mut Meter| {
            let frame = tunnelled();
            let view = $who::$protocol::view(&frame[at::$Fields..end::$Fields]);
            let mut out = fields::$Fields::default();
            meter.each(OPERATIONS, |_| {
                $who::$protocol::measured_get(black_box(&view), black_box(&mut out));
            });
        }
    };
}

macro_rules! set {
    ($who:ident $protocol:ident $Fields:ident) => {
        |meter: &mut Meter| {
            let mut frame = tunnelled();
            let mut view = $who::$protocol::view_mut(&mut frame[at::$Fields..end::$Fields]);
            let values = $who::$protocol::values();
            meter.each(OPERATIONS, |_| {
                $who::$protocol::measured_set(black_box(&mut view), black_box(&values));
            });
        }
    };
}

macro_rules! parse {
    ($function:path, $Fields:ident) => {
        |meter: &mut Meter| {
            let frame = tunnelled();
            let bytes = &frame[at::$Fields..end::$Fields];
            assert!($function(bytes).is_some());
            meter.each(OPERATIONS, |_| {
                let _ = black_box($function(black_box(bytes)));
            });
        }
    };
}

macro_rules! whole {
    ($function:path, $frame:ident) => {
        |meter: &mut Meter| {
            let frame = $frame();
            meter.each(OPERATIONS, |_| {
                let _ = black_box($function(black_box(&frame)));
            });
        }
    };
}

macro_rules! key {
    ($function:path, $frame:ident) => {
        |meter: &mut Meter| {
            let (frame, mut out) = ($frame(), Default::default());
            meter.each(OPERATIONS, |_| {
                let _ = black_box($function(black_box(&frame), black_box(&mut out)));
            });
        }
    };
}

rows! {
    get "udp_get_by_hand" (by_hand udp Udp);
    get "udp_get_ingot" (ingot udp Udp);
    get "udp_get_etherparse" (etherparse udp Udp);
    get "udp_get_smoltcp" (smoltcp udp Udp);
    get "udp_get_pnet" (pnet udp Udp);
    get "udp_get_opte" (opte udp Udp);
    set "udp_set_by_hand" (by_hand udp Udp);
    set "udp_set_ingot" (ingot udp Udp);
    set "udp_set_smoltcp" (smoltcp udp Udp);
    set "udp_set_pnet" (pnet udp Udp);
    set "udp_set_opte" (opte udp Udp);
    parse "udp_parse_by_hand" (by_hand::udp::measured_parse, Udp);
    parse "udp_parse_ingot" (ingot::udp::measured_parse, Udp);
    parse "udp_parse_etherparse" (etherparse::udp::measured_parse, Udp);
    parse "udp_parse_smoltcp" (smoltcp::udp::measured_parse, Udp);
    parse "udp_parse_pnet" (pnet::udp::measured_parse, Udp);
    parse "udp_parse_deku" (deku::udp::measured_parse, Udp);
    parse "udp_parse_opte" (opte::udp::measured_parse, Udp);

    get "tcp_get_by_hand" (by_hand tcp Tcp);
    get "tcp_get_ingot" (ingot tcp Tcp);
    get "tcp_get_etherparse" (etherparse tcp Tcp);
    get "tcp_get_smoltcp" (smoltcp tcp Tcp);
    get "tcp_get_pnet" (pnet tcp Tcp);
    get "tcp_get_opte" (opte tcp Tcp);
    set "tcp_set_by_hand" (by_hand tcp Tcp);
    set "tcp_set_ingot" (ingot tcp Tcp);
    set "tcp_set_smoltcp" (smoltcp tcp Tcp);
    set "tcp_set_pnet" (pnet tcp Tcp);
    set "tcp_set_opte" (opte tcp Tcp);
    parse "tcp_parse_by_hand" (by_hand::tcp::measured_parse, Tcp);
    parse "tcp_parse_ingot" (ingot::tcp::measured_parse, Tcp);
    parse "tcp_parse_ingot_checked" (ingot::tcp::measured_parse_checked, Tcp);
    parse "tcp_parse_etherparse" (etherparse::tcp::measured_parse, Tcp);
    parse "tcp_parse_smoltcp" (smoltcp::tcp::measured_parse, Tcp);
    parse "tcp_parse_pnet" (pnet::tcp::measured_parse, Tcp);
    parse "tcp_parse_pnet_checked" (pnet::tcp::measured_parse_checked, Tcp);
    parse "tcp_parse_deku" (deku::tcp::measured_parse, Tcp);
    parse "tcp_parse_opte" (opte::tcp::measured_parse, Tcp);

    get "ipv4_get_by_hand" (by_hand ipv4 Ipv4);
    get "ipv4_get_ingot" (ingot ipv4 Ipv4);
    get "ipv4_get_etherparse" (etherparse ipv4 Ipv4);
    get "ipv4_get_smoltcp" (smoltcp ipv4 Ipv4);
    get "ipv4_get_pnet" (pnet ipv4 Ipv4);
    get "ipv4_get_opte" (opte ipv4 Ipv4);
    set "ipv4_set_by_hand" (by_hand ipv4 Ipv4);
    set "ipv4_set_ingot" (ingot ipv4 Ipv4);
    set "ipv4_set_smoltcp" (smoltcp ipv4 Ipv4);
    set "ipv4_set_pnet" (pnet ipv4 Ipv4);
    set "ipv4_set_opte" (opte ipv4 Ipv4);
    parse "ipv4_parse_by_hand" (by_hand::ipv4::measured_parse, Ipv4);
    parse "ipv4_parse_ingot" (ingot::ipv4::measured_parse, Ipv4);
    parse "ipv4_parse_ingot_checked" (ingot::ipv4::measured_parse_checked, Ipv4);
    parse "ipv4_parse_etherparse" (etherparse::ipv4::measured_parse, Ipv4);
    parse "ipv4_parse_smoltcp" (smoltcp::ipv4::measured_parse, Ipv4);
    parse "ipv4_parse_smoltcp_checked" (smoltcp::ipv4::measured_parse_checked, Ipv4);
    parse "ipv4_parse_pnet" (pnet::ipv4::measured_parse, Ipv4);
    parse "ipv4_parse_pnet_checked" (pnet::ipv4::measured_parse_checked, Ipv4);
    parse "ipv4_parse_deku" (deku::ipv4::measured_parse, Ipv4);
    parse "ipv4_parse_opte" (opte::ipv4::measured_parse, Ipv4);

    get "ipv6_get_by_hand" (by_hand ipv6 Ipv6);
    get "ipv6_get_ingot" (ingot ipv6 Ipv6);
    get "ipv6_get_etherparse" (etherparse ipv6 Ipv6);
    get "ipv6_get_smoltcp" (smoltcp ipv6 Ipv6);
    get "ipv6_get_pnet" (pnet ipv6 Ipv6);
    get "ipv6_get_opte" (opte ipv6 Ipv6);
    set "ipv6_set_by_hand" (by_hand ipv6 Ipv6);
    set "ipv6_set_ingot" (ingot ipv6 Ipv6);
    set "ipv6_set_smoltcp" (smoltcp ipv6 Ipv6);
    set "ipv6_set_pnet" (pnet ipv6 Ipv6);
    set "ipv6_set_opte" (opte ipv6 Ipv6);
    parse "ipv6_parse_by_hand" (by_hand::ipv6::measured_parse, Ipv6);
    parse "ipv6_parse_ingot" (ingot::ipv6::measured_parse, Ipv6);
    parse "ipv6_parse_ingot_checked" (ingot::ipv6::measured_parse_checked, Ipv6);
    parse "ipv6_parse_etherparse" (etherparse::ipv6::measured_parse, Ipv6);
    parse "ipv6_parse_smoltcp" (smoltcp::ipv6::measured_parse, Ipv6);
    parse "ipv6_parse_smoltcp_checked" (smoltcp::ipv6::measured_parse_checked, Ipv6);
    parse "ipv6_parse_pnet" (pnet::ipv6::measured_parse, Ipv6);
    parse "ipv6_parse_pnet_checked" (pnet::ipv6::measured_parse_checked, Ipv6);
    parse "ipv6_parse_deku" (deku::ipv6::measured_parse, Ipv6);
    parse "ipv6_parse_opte" (opte::ipv6::measured_parse, Ipv6);

    get "geneve_get_by_hand" (by_hand geneve Geneve);
    get "geneve_get_ingot" (ingot geneve Geneve);
    get "geneve_get_opte" (opte geneve Geneve);
    set "geneve_set_by_hand" (by_hand geneve Geneve);
    set "geneve_set_ingot" (ingot geneve Geneve);
    set "geneve_set_opte" (opte geneve Geneve);
    parse "geneve_parse_by_hand" (by_hand::geneve::measured_parse, Geneve);
    parse "geneve_parse_ingot" (ingot::geneve::measured_parse, Geneve);
    parse "geneve_parse_ingot_checked" (ingot::geneve::measured_parse_checked, Geneve);
    parse "geneve_parse_deku" (deku::geneve::measured_parse, Geneve);
    parse "geneve_parse_opte" (opte::geneve::measured_parse, Geneve);

    key "flow_key_out_by_hand" (flow_key::by_hand::measured_out, guest);
    key "flow_key_out_ingot" (flow_key::ingot::measured_out, guest);
    key "flow_key_out_ingot_checked" (flow_key::ingot::measured_out_checked, guest);
    key "flow_key_out_etherparse" (flow_key::etherparse::measured_out, guest);
    key "flow_key_out_etherparse_checked" (flow_key::etherparse::measured_out_checked, guest);
    key "flow_key_out_smoltcp" (flow_key::smoltcp::measured_out, guest);
    key "flow_key_out_smoltcp_checked" (flow_key::smoltcp::measured_out_checked, guest);
    key "flow_key_out_pnet" (flow_key::pnet::measured_out, guest);
    key "flow_key_out_pnet_checked" (flow_key::pnet::measured_out_checked, guest);
    whole "flow_key_out_opte" (flow_key::opte::measured_out, guest);
    key "flow_key_geneve_by_hand" (flow_key::by_hand::measured_geneve, tunnelled);
    key "flow_key_geneve_ingot" (flow_key::ingot::measured_geneve, tunnelled);
    key "flow_key_geneve_ingot_checked" (flow_key::ingot::measured_geneve_checked, tunnelled);
    key "flow_key_geneve_etherparse_checked" (flow_key::etherparse::measured_geneve_checked, tunnelled);
    key "flow_key_geneve_smoltcp_checked" (flow_key::smoltcp::measured_geneve_checked, tunnelled);
    key "flow_key_geneve_pnet_checked" (flow_key::pnet::measured_geneve_checked, tunnelled);
    whole "flow_key_geneve_opte" (flow_key::opte::measured_geneve, tunnelled);
}

/// Where the headers start in [`tunnelled`], and where the packets end that they begin.
#[allow(non_upper_case_globals)]
mod at {
    pub const Ipv6: usize = 14;
    pub const Udp: usize = 54;
    pub const Geneve: usize = 62;
    pub const Ipv4: usize = 84;
    pub const Tcp: usize = 104;
}

#[allow(non_upper_case_globals)]
mod end {
    pub const Ipv6: usize = 124;
    pub const Udp: usize = 124;
    pub const Geneve: usize = 124;
    pub const Ipv4: usize = 124;
    pub const Tcp: usize = 124;
}

/// Ethernet, IPv4, TCP.
pub fn guest() -> Vec<u8> {
    frames::tcp(
        frames::from_guest(),
        SocketAddrV4::new(frames::GUEST, 40_000),
        SocketAddrV4::new(frames::PEER, 80),
        TcpFlags::ACK,
    )
}

/// Ethernet, IPv6, UDP, Geneve, Ethernet, IPv4, TCP.
pub fn tunnelled() -> Vec<u8> {
    let there = SocketAddrV4::new(Ipv4Addr::from(frames::PEER), 80);
    let here = SocketAddrV4::new(frames::GUEST, 40_000);
    frames::in_tunnel(&frames::tcp(
        frames::from_peer(),
        there,
        here,
        TcpFlags::ACK,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! agree {
        ($protocol:ident $Fields:ident: $($reads:ident)* ; $($writes:ident)*) => {{
            let frame = tunnelled();
            let bytes = &frame[at::$Fields..end::$Fields];
            let mut expected = fields::$Fields::default();
            by_hand::$protocol::measured_get(&by_hand::$protocol::view(bytes), &mut expected);
            assert_ne!(expected, fields::$Fields::default());
            $(
                let mut out = fields::$Fields::default();
                $reads::$protocol::measured_get(&$reads::$protocol::view(bytes), &mut out);
                assert_eq!(out, expected, stringify!($reads));
                assert_eq!(
                    $reads::$protocol::measured_parse(bytes),
                    by_hand::$protocol::measured_parse(bytes),
                    stringify!($reads)
                );
            )*
            let mut written = bytes.to_vec();
            by_hand::$protocol::measured_set(
                &mut by_hand::$protocol::view_mut(&mut written),
                &by_hand::$protocol::values(),
            );
            assert_ne!(written, bytes);
            $(
                let mut own = bytes.to_vec();
                let mut view = $writes::$protocol::view_mut(&mut own);
                $writes::$protocol::measured_set(&mut view, &$writes::$protocol::values());
                drop(view);
                assert_eq!(own, written, stringify!($writes));
            )*
            assert_eq!(
                deku::$protocol::measured_parse(bytes),
                by_hand::$protocol::measured_parse(bytes)
            );
        }};
    }

    #[test]
    #[allow(clippy::drop_non_drop)]
    fn all_read_and_write_the_same() {
        agree!(udp Udp: opte ingot etherparse smoltcp pnet; opte ingot smoltcp pnet);
        agree!(tcp Tcp: opte ingot etherparse smoltcp pnet; opte ingot smoltcp pnet);
        agree!(ipv4 Ipv4: opte ingot etherparse smoltcp pnet; opte ingot smoltcp pnet);
        agree!(ipv6 Ipv6: opte ingot etherparse smoltcp pnet; opte ingot smoltcp pnet);
        agree!(geneve Geneve: opte ingot; opte ingot);
    }
}
