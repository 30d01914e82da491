//! The flows that carry most.

mod net;

use net::{Bench, FAR, GUEST, PUBLIC, tcp_frame, udp_frame};
use opte::port::By;
use opte_headers::TcpFlags;

#[test]
fn the_heaviest_come_first() {
    let bench = Bench::new();
    // Flow n sends n packets; the bytes of even ones are many.
    for n in 1..=300u16 {
        let payload = vec![0; if n % 2 == 0 { 1000 } else { 1 }];
        for _ in 0..n % 40 + 1 {
            bench.out(&udp_frame((GUEST, 1000 + n), (FAR, 53), &payload));
        }
    }
    bench.out(&tcp_frame((GUEST, 7), (FAR, 80), TcpFlags::SYN, 1, 0, &[]));
    let all = bench.port.heavy_hitters(By::Packets, 2000);
    assert_eq!(all.len(), 301);
    for by in [By::Packets, By::Bytes] {
        let few = bench.port.heavy_hitters(by, 10);
        let weight = |flow: &opte::port::HeavyFlow| match by {
            By::Packets => (flow.packets, flow.bytes),
            By::Bytes => (flow.bytes, flow.packets),
        };
        // As a sorted list of all has it.
        let mut sorted: Vec<_> = all.iter().map(weight).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(few.iter().map(weight).collect::<Vec<_>>(), sorted[..10]);
    }
    assert!(bench.port.heavy_hitters(By::Bytes, 0).is_empty());
    // Both directions count, and a flow that is gone does not.
    let external = bench
        .out(&udp_frame((GUEST, 1001), (FAR, 53), b"x"))
        .source_port;
    for _ in 0..100 {
        bench.inward(&udp_frame((FAR, 53), (PUBLIC, external), &[0; 900]));
    }
    let heaviest = bench.port.heavy_hitters(By::Packets, 1);
    assert_eq!(heaviest[0].packets, 103);
    assert!(heaviest[0].flow.to_string().contains(":1001"));
    bench.port.reset();
    assert!(bench.port.heavy_hitters(By::Packets, 10).is_empty());
}

/// The most there ever was at once, of flows, connections and NAT ports.
#[test]
fn high_water_marks_stay() {
    let bench = Bench::new();
    for port in 1..=20 {
        bench.out(&tcp_frame(
            (GUEST, port),
            (FAR, 80),
            TcpFlags::SYN,
            1,
            0,
            &[],
        ));
    }
    bench.port.reset();
    bench.port.start();
    bench.out(&tcp_frame((GUEST, 7), (FAR, 80), TcpFlags::SYN, 1, 0, &[]));
    let table = bench.port.counters().table;
    assert_eq!((table.high_water, table.connections_high_water), (20, 20));
    let [(_, tcp), (_, udp), _] = bench.share.pools();
    assert_eq!((tcp.usage().leased, tcp.usage().high_water), (1, 20));
    assert_eq!(udp.usage().high_water, 0);
}
