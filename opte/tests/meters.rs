//! Meters: how much a guest may send or be sent, and how many flows.

mod net;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use net::traffic::{dropped, udp_back, udp_out};
use net::{Bench, FAR, GUEST, HEAD_ROOM, tcp_frame, tunnelled, udp_frame};
use opte::Direction::{In, Out};
use opte::meter::MeterLimits;
use opte::packet::{Gso, GsoKind, Offload};
use opte::port::{Fate, Verdict};
use opte::time::Moment;
use opte::{Direction, DropReason, Packet};
use opte_headers::TcpFlags;

fn limits(text: &str) -> MeterLimits {
    let limits: MeterLimits = text.parse().unwrap();
    limits.validate().unwrap();
    limits
}

/// A bench whose meter of `dir` is as `text` says, and a flow by way of port 1000.
fn metered(dir: Direction, text: &str) -> (Bench, u16) {
    let bench = Bench::new();
    let external = bench.out(&udp_out(1000)).source_port;
    bench.port.set_meter(dir, &limits(text));
    (bench, external)
}

/// How many of a hundred such frames pass, and why the others do not.
fn passed(bench: &Bench, dir: Direction, frame: &[u8]) -> (usize, Vec<DropReason>) {
    let mut reasons = Vec::new();
    let mut passed = 0;
    for _ in 0..100 {
        match bench.send(dir, frame).verdict {
            Verdict::Forward { .. } => passed += 1,
            other => reasons.push(dropped(other)),
        }
    }
    reasons.dedup();
    (passed, reasons)
}

#[test]
fn packets_of_known_flows_keep_to_the_rate() {
    let (mut bench, external) = metered(Out, "packets=10/s burst=1s");
    let ask = udp_out(1000);
    assert_eq!(
        passed(&bench, Out, &ask),
        (10, vec![DropReason::MeterPackets])
    );
    // The answers have a meter of their own, and none is set.
    let answer = tunnelled(&udp_back(external));
    assert_eq!(passed(&bench, In, &answer), (100, vec![]));
    bench.wait(Duration::from_millis(501));
    assert_eq!(passed(&bench, Out, &ask).0, 6);
    // What was dropped was counted once, and is no packet of the flow.
    let counters = bench.port.counters().traffic.outbound;
    assert_eq!(counters.drops.get(DropReason::MeterPackets), 90 + 94);
    assert_eq!(counters.uft_hit, 16);
    bench.port.set_meter(Out, &MeterLimits::NONE);
    assert_eq!(passed(&bench, Out, &ask), (100, vec![]));
}

#[test]
fn inbound_packets_keep_to_a_rate_of_their_own() {
    let (bench, external) = metered(In, "packets=10/s burst=1s");
    let answer = tunnelled(&udp_back(external));
    assert_eq!(
        passed(&bench, In, &answer),
        (10, vec![DropReason::MeterPackets])
    );
    assert_eq!(passed(&bench, Out, &udp_out(1000)), (100, vec![]));
}

#[test]
fn bits_are_those_of_the_guests_frame() {
    let frame = udp_frame((GUEST, 1000), (FAR, 53), &[0; 958]);
    assert_eq!(frame.len(), 1000);
    for dir in Direction::BOTH {
        let (bench, external) = metered(dir, "bits=80k/s burst=1s");
        let frame = match dir {
            Out => frame.clone(),
            // Nothing is paid for the tunnel's headers.
            In => tunnelled(&udp_frame((FAR, 53), (net::PUBLIC, external), &[0; 958])),
        };
        assert_eq!(
            passed(&bench, dir, &frame),
            (10, vec![DropReason::MeterBits])
        );
    }
}

#[test]
fn what_one_rate_refuses_costs_nothing_of_the_other() {
    let (mut bench, _) = metered(Out, "packets=100/s bits=8k/s burst=1s");
    // A frame of 1,000 octets is all the bits there are.
    let long = udp_frame((GUEST, 1000), (FAR, 53), &[0; 958]);
    assert_eq!(passed(&bench, Out, &long), (1, vec![DropReason::MeterBits]));
    bench.port.set_meter(Out, &limits("packets=100/s burst=1s"));
    assert_eq!(passed(&bench, Out, &udp_out(1000)).0, 99);
    bench.wait(Duration::from_secs(5));
    assert_eq!(passed(&bench, Out, &udp_out(1000)).0, 100);
}

#[test]
fn a_super_packet_counts_as_what_it_is_cut_into() {
    let (bench, _) = metered(Out, "packets=10/s bits=1G/s burst=1s");
    let frame = tcp_frame((GUEST, 2000), (FAR, 80), TcpFlags::ACK, 1, 1, &[0; 3_500]);
    let send = || {
        let mut buf = [&[0; HEAD_ROOM][..], &frame].concat();
        let end = buf.len();
        let gso = Some(Gso {
            kind: GsoKind::TcpV4,
            size: 1_000,
        });
        let offload = Offload {
            gso,
            ..Offload::default()
        };
        let packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
        let verdict =
            bench
                .port
                .process(Out, bench.now, &mut packet.with_offload(offload), &mut []);
        matches!(verdict, Verdict::Forward { .. })
    };
    // Four each: two are eight, and as long as any is left the whole packet goes.
    assert_eq!([send(), send(), send(), send()], [true, true, true, false]);
}

#[test]
fn new_flows_keep_to_a_rate_and_known_ones_go_on() {
    let (mut bench, _) = metered(Out, "new-flows=10/s burst=1s");
    let begin = |bench: &Bench, ports: std::ops::Range<u16>| {
        ports
            .filter(|port| {
                matches!(
                    bench.send(Out, &udp_out(*port)).verdict,
                    Verdict::Forward { .. }
                )
            })
            .count()
    };
    assert_eq!(begin(&bench, 2000..2100), 10);
    assert_eq!(
        dropped(bench.send(Out, &udp_out(3000)).verdict),
        DropReason::MeterNewFlows
    );
    assert_eq!(passed(&bench, Out, &udp_out(1000)), (100, vec![]));
    bench.wait(Duration::from_millis(301));
    assert_eq!(begin(&bench, 4000..4100), 4);
    // No port of the share was taken for the others.
    assert_eq!(bench.port.counters().flows, 1 + 14);
    let udp = bench
        .share
        .pools()
        .into_iter()
        .find(|(name, _)| *name == "udp");
    assert_eq!(udp.unwrap().1.usage().leased, 15);
}

#[test]
fn flows_that_end_make_room_for_others() {
    let (mut bench, external) = metered(Out, "flows=3");
    let begin = |port| bench.send(Out, &udp_out(port)).verdict;
    assert!(matches!(begin(2000), Verdict::Forward { .. }));
    assert!(matches!(begin(2001), Verdict::Forward { .. }));
    assert_eq!(dropped(begin(2002)), DropReason::MeterFlows);
    // Those begun from outside are not counted here.
    bench.allow_in(opte_headers::IpProtocol::UDP, 53);
    bench.inward(&udp_frame((FAR, 7), (GUEST, 53), b"ask"));
    bench.inward(&udp_back(external));
    // UDP flows of one packet live for 120 s.
    bench.wait(Duration::from_secs(121));
    bench.port.expire(bench.now, 100);
    let begin = |port| bench.send(Out, &udp_out(port)).verdict;
    assert!(matches!(begin(2002), Verdict::Forward { .. }));
    assert!(matches!(begin(2003), Verdict::Forward { .. }));
    assert_eq!(dropped(begin(2004)), DropReason::MeterFlows);
}

#[test]
fn bursts_are_metered_packet_by_packet() {
    let (bench, _) = metered(Out, "packets=10/s burst=1s");
    let frame = udp_out(1000);
    let mut buffers = vec![[&[0; HEAD_ROOM][..], &frame].concat(); 40];
    let mut packets: Vec<_> = buffers
        .iter_mut()
        .map(|buf| {
            let end = buf.len();
            Packet::new(buf, HEAD_ROOM, end).unwrap()
        })
        .collect();
    let mut verdicts = vec![Verdict::Held; 40];
    bench
        .port
        .process_burst(Out, bench.now, &mut packets, &mut [], &mut verdicts);
    let passed = |verdicts: &[Verdict]| {
        let forwarded = |verdict: &&Verdict| matches!(verdict, Verdict::Forward { .. });
        verdicts.iter().filter(forwarded).count()
    };
    assert_eq!(passed(&verdicts[..10]), 10);
    assert_eq!(passed(&verdicts[10..]), 0);
}

#[test]
fn a_trace_foresees_the_meter_and_takes_nothing_of_it() {
    let (bench, _) = metered(Out, "packets=2/s new-flows=1/s burst=1s");
    let trace = |bench: &Bench, port| bench.port.trace(Out, bench.now, &udp_out(port)).fate;
    for _ in 0..10 {
        assert!(matches!(trace(&bench, 2000), Fate::Forward(_)));
    }
    bench.out(&udp_out(2000));
    assert_eq!(trace(&bench, 3000), Fate::Drop(DropReason::MeterNewFlows));
    assert!(matches!(trace(&bench, 2000), Fate::Forward(_)));
    bench.out(&udp_out(1000));
    assert_eq!(trace(&bench, 1000), Fate::Drop(DropReason::MeterPackets));
}

#[test]
fn a_meter_outlives_a_pause() {
    let (bench, _) = metered(Out, "packets=10/s burst=1s");
    bench.port.pause().unwrap();
    assert_eq!(
        dropped(bench.send(Out, &udp_out(1000)).verdict),
        DropReason::PortNotRunning
    );
    bench.port.start();
    assert_eq!(
        bench.port.meters().outbound,
        limits("packets=10/s burst=1s")
    );
    assert_eq!(
        passed(&bench, Out, &udp_out(1000)).1,
        [DropReason::MeterPackets]
    );
}

#[test]
fn workers_share_a_meter() {
    const PACKETS: u64 = 4_000;
    let (bench, _) = metered(Out, "packets=100k/s burst=1ms");
    let (clock, passed) = (AtomicU64::new(bench.now.as_nanos()), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut worker = bench.port.worker();
                for _ in 0..PACKETS {
                    let mut buf = [&[0; HEAD_ROOM][..], &udp_out(1000)].concat();
                    let end = buf.len();
                    let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
                    let now = Moment::from_nanos(clock.fetch_add(1_000, Ordering::Relaxed));
                    match worker.process(Out, now, &mut packet, &mut []) {
                        Verdict::Forward { .. } => _ = passed.fetch_add(1, Ordering::Relaxed),
                        other => assert_eq!(dropped(other), DropReason::MeterPackets),
                    }
                }
            });
        }
    });
    // 8 ms of the rate, and the burst; a worker may come late with the time it has read.
    let due = 2 * PACKETS / 10;
    let passed = passed.into_inner();
    assert!(passed + 2 >= due && passed <= due + 100 + 2, "{passed}");
}
