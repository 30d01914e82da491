//! Packets of the test network that many cases send, and what they look at.

use opte::DropReason;
use opte::api::Page;
use opte::port::Verdict;
use opte_headers::TcpFlags;

use super::{Bench, FAR, GUEST, PUBLIC, tcp_frame, udp_frame};

pub const SYN: TcpFlags = TcpFlags::SYN;
pub const ACK: TcpFlags = TcpFlags::ACK;
pub const SYN_ACK: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);
pub const FIN_ACK: TcpFlags = TcpFlags::FIN.union(TcpFlags::ACK);

pub fn udp_out(port: u16) -> Vec<u8> {
    udp_frame((GUEST, port), (FAR, 53), b"ask")
}

pub fn udp_back(external: u16) -> Vec<u8> {
    udp_frame((FAR, 53), (PUBLIC, external), b"tell")
}

/// Hits and misses, inbound and outbound.
pub fn uft(bench: &Bench) -> (u64, u64, u64, u64) {
    let traffic = bench.port.counters().traffic;
    (
        traffic.inbound.uft_hit,
        traffic.inbound.uft_miss,
        traffic.outbound.uft_hit,
        traffic.outbound.uft_miss,
    )
}

pub fn dropped(verdict: Verdict) -> DropReason {
    match verdict {
        Verdict::Drop(reason) => reason,
        other => panic!("not dropped: {other:?}"),
    }
}

/// Opens a connection from the far end to port 22 of the guest.
pub fn ssh(bench: &Bench, from: u16) -> impl Fn(TcpFlags, u32, u32) -> Vec<u8> {
    let far = move |flags, seq, ack| tcp_frame((FAR, from), (GUEST, 22), flags, seq, ack, &[]);
    bench.inward(&far(SYN, 100, 0));
    bench.out(&ssh_reply(from, SYN_ACK, 500, 101));
    bench.inward(&far(ACK, 101, 501));
    far
}

pub fn ssh_reply(to: u16, flags: TcpFlags, seq: u32, ack: u32) -> Vec<u8> {
    tcp_frame((GUEST, 22), (FAR, to), flags, seq, ack, &[])
}

pub fn tcp_states(bench: &Bench) -> Vec<String> {
    let mut states: Vec<_> = bench
        .port
        .dump_tcp_flows(Page::FIRST)
        .flows
        .into_iter()
        .map(|flow| flow.state)
        .collect();
    states.sort();
    states
}
