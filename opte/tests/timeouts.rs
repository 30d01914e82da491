//! How long idle flows live: every state there is, to the nanosecond.

mod net;

use std::net::Ipv4Addr;
use std::time::Duration;

use net::traffic::{ACK, FIN_ACK, SYN, SYN_ACK};
use net::{Bench, FAR, GUEST, Shape, tcp_frame, tunnelled, udp_frame};
use opte::Direction::{self, In, Out};
use opte::action::Action;
use opte::api::Page;
use opte::flow::Timeouts;
use opte::port::Verdict;
use opte::predicate::Predicate;
use opte::rule::Rule;
use opte_headers::TcpFlags;
use opte_headers::checksum::Sum;

/// What passes, one after the other, and how long the flow lives after the last of it.
struct Case {
    state: &'static str,
    packets: Vec<(Direction, Vec<u8>)>,
    lives: fn(&Timeouts) -> Duration,
}

const HALF_OPEN: fn(&Timeouts) -> Duration = |timeouts| timeouts.tcp_half_open;
const CLOSING: fn(&Timeouts) -> Duration = |timeouts| timeouts.tcp_closing;
const ESTABLISHED: fn(&Timeouts) -> Duration = |timeouts| timeouts.tcp_established;

fn cases() -> Vec<Case> {
    let out = |flags, seq, ack| (Out, tcp_frame((GUEST, 40), (FAR, 80), flags, seq, ack, &[]));
    let back = |flags, seq, ack| (In, tcp_frame((FAR, 80), (GUEST, 40), flags, seq, ack, &[]));
    let open = [
        out(SYN, 100, 0),
        back(SYN_ACK, 500, 101),
        out(ACK, 101, 501),
    ];
    let behind = |more: &[(Direction, Vec<u8>)]| [&open[..], more].concat();
    let fin = out(FIN_ACK, 101, 501);
    let fin_back = back(FIN_ACK, 501, 101);
    let udp = [
        (Out, udp_frame((GUEST, 40), (FAR, 53), b"ask")),
        (In, udp_frame((FAR, 53), (GUEST, 40), b"tell")),
    ];
    let echo = [(Out, echo(GUEST, FAR, 8)), (In, echo(FAR, GUEST, 0))];
    let gre = [(Out, of(47, GUEST, FAR)), (In, of(47, FAR, GUEST))];
    let tcp = |state, packets, lives| Case {
        state,
        packets,
        lives,
    };
    vec![
        tcp("SYN_SENT", open[..1].to_vec(), HALF_OPEN),
        tcp("LISTEN", vec![back(SYN, 500, 0)], HALF_OPEN),
        tcp(
            "SYN_RCVD",
            vec![back(SYN, 500, 0), out(SYN_ACK, 100, 501)],
            HALF_OPEN,
        ),
        // For the guest it is; the far end has not heard of it.
        tcp("ESTABLISHED", open[..2].to_vec(), HALF_OPEN),
        // Taken up in its middle, and nothing heard of the other end.
        tcp("ESTABLISHED", vec![out(ACK, 101, 501)], HALF_OPEN),
        tcp("ESTABLISHED", behind(&[]), ESTABLISHED),
        tcp("FIN_WAIT_1", behind(std::slice::from_ref(&fin)), CLOSING),
        tcp(
            "FIN_WAIT_2",
            behind(&[fin.clone(), back(ACK, 501, 102)]),
            CLOSING,
        ),
        tcp("CLOSING", behind(&[fin.clone(), fin_back.clone()]), CLOSING),
        tcp(
            "TIME_WAIT",
            behind(&[
                fin,
                back(ACK, 501, 102),
                back(FIN_ACK, 501, 102),
                out(ACK, 102, 502),
            ]),
            CLOSING,
        ),
        tcp(
            "CLOSE_WAIT",
            behind(std::slice::from_ref(&fin_back)),
            CLOSING,
        ),
        tcp(
            "LAST_ACK",
            behind(&[fin_back.clone(), out(FIN_ACK, 101, 502)]),
            CLOSING,
        ),
        tcp(
            "CLOSED",
            behind(&[fin_back, out(FIN_ACK, 101, 502), back(ACK, 502, 102)]),
            HALF_OPEN,
        ),
        tcp("CLOSED", behind(&[out(TcpFlags::RST, 101, 0)]), HALF_OPEN),
        Case {
            state: "",
            packets: udp[..1].to_vec(),
            lives: |timeouts| timeouts.udp_one_way,
        },
        Case {
            state: "",
            packets: udp.to_vec(),
            lives: |timeouts| timeouts.udp_both_ways,
        },
        Case {
            state: "",
            packets: echo[..1].to_vec(),
            lives: |timeouts| timeouts.icmp,
        },
        Case {
            state: "",
            packets: echo.to_vec(),
            lives: |timeouts| timeouts.icmp,
        },
        Case {
            state: "",
            packets: gre[..1].to_vec(),
            lives: |timeouts| timeouts.other,
        },
        Case {
            state: "",
            packets: gre.to_vec(),
            lives: |timeouts| timeouts.other,
        },
    ]
}

/// A packet of a protocol without ports, whose header is all zeros.
fn of(protocol: u8, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let mut frame = udp_frame((from, 0), (to, 0), b"");
    frame[14 + 9] = protocol;
    frame[14 + 10..14 + 12].fill(0);
    let sum = Sum::of(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..].fill(0);
    frame
}

fn echo(from: Ipv4Addr, to: Ipv4Addr, ty: u8) -> Vec<u8> {
    let mut frame = of(1, from, to);
    frame[34..].copy_from_slice(&[ty, 0, 0, 0, 0, 7, 0, 1]);
    let sum = Sum::of(&frame[34..]).checksum();
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// No two alike, and none as long as the default.
const OTHERS: Timeouts = Timeouts {
    tcp_half_open: Duration::from_millis(1_500),
    tcp_closing: Duration::from_secs(7),
    tcp_established: Duration::from_secs(500),
    udp_one_way: Duration::from_millis(11),
    udp_both_ways: Duration::from_secs(31),
    icmp: Duration::from_nanos(2_000_000_001),
    other: Duration::from_secs(13),
};

fn bench(timeouts: &Timeouts) -> Bench {
    let builder: fn(_) -> _ = match *timeouts == OTHERS {
        true => |builder: opte::port::PortBuilder<_>| builder.timeouts(OTHERS),
        false => |builder| builder,
    };
    let bench = Bench::of(Shape {
        builder,
        ..Shape::default()
    });
    // No address is translated, and everybody may call.
    bench.port.set_rules("nat", vec![], vec![]).unwrap();
    let all = Rule::new(10, [] as [Predicate<_>; 0], Action::StatefulAllow);
    bench.port.add_rule("firewall", In, all).unwrap();
    bench
}

#[test]
fn every_state_lives_as_long_as_is_said() {
    const NANOSECOND: Duration = Duration::from_nanos(1);
    /// Of the wheel, and one more: who removes flows may come so much later.
    const TICKS: Duration = Duration::from_nanos(2 << 27);
    for timeouts in [Timeouts::default(), OTHERS] {
        for case in cases() {
            let mut bench = bench(&timeouts);
            let shown = |bench: &Bench| {
                let flows = bench.port.dump_tcp_flows(Page::FIRST).flows;
                flows
                    .first()
                    .map_or(String::new(), |flow| flow.state.clone())
            };
            let mut last = (Out, Vec::new());
            for (dir, frame) in &case.packets {
                // Time passes: not enough for anything to end, enough to be worth noting.
                bench.wait(Duration::from_millis(3));
                let frame = match dir {
                    Out => frame.clone(),
                    In => tunnelled(frame),
                };
                let verdict = bench.send(*dir, &frame).verdict;
                assert!(
                    matches!(verdict, Verdict::Forward { .. }),
                    "{}: {verdict:?}",
                    case.state
                );
                last = (*dir, frame);
            }
            let (dir, frame) = last;
            let lives = (case.lives)(&timeouts);
            let name = format!("{} {}, {lives:?}", case.state, case.packets.len());
            assert_eq!(shown(&bench), case.state, "{name}");
            let is_known = |bench: &Bench| bench.port.trace(dir, bench.now, &frame).known;

            bench.wait(lives - NANOSECOND);
            while bench.port.expire(bench.now, 100).more {}
            assert!(is_known(&bench), "{name}: not yet");
            assert_eq!(bench.port.counters().flows, 1, "{name}: not yet");

            bench.wait(NANOSECOND);
            assert!(!is_known(&bench), "{name}: over");
            bench.wait(TICKS);
            while bench.port.expire(bench.now, 100).more {}
            assert_eq!(bench.port.counters().flows, 0, "{name}: removed");
        }
    }
}

/// The numbers themselves.
#[test]
fn the_defaults() {
    let seconds = |duration: Duration| (duration.as_secs(), duration.subsec_nanos());
    let Timeouts {
        tcp_half_open,
        tcp_closing,
        tcp_established,
        udp_one_way,
        udp_both_ways,
        icmp,
        other,
    } = Timeouts::default();
    let all = [
        tcp_half_open,
        tcp_closing,
        tcp_established,
        udp_one_way,
        udp_both_ways,
        icmp,
        other,
    ];
    assert_eq!(
        all.map(seconds),
        [5, 120, 7440, 120, 300, 60, 600].map(|seconds| (seconds, 0))
    );
}
