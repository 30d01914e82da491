//! The virtual switch: ports by number and station, which come and go while others look them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use opte::switch::{NetworkId, PortMap, Published, Station};
use opte_headers::{MacAddr, Vni};
use proptest::prelude::*;

fn station(network: u32, vni: u32, mac: u8) -> Station {
    Station {
        network: NetworkId(network),
        vni: Vni::new(vni).unwrap(),
        mac: MacAddr::new([2, 0, 0, 0, 0, mac]),
    }
}

#[test]
fn equal_addresses_in_other_networks_are_other_stations() {
    let stations = [
        station(0, 10, 1),
        station(0, 20, 1),
        station(1, 10, 1),
        station(0, 10, 2),
    ];
    let ports = stations.iter().zip(1_u64..);
    let map = PortMap::new(ports.map(|(station, number)| (number, Some(*station), number)));
    for (station, number) in stations.iter().zip(1_u64..) {
        assert_eq!(map.station(*station), Some(&number));
        assert_eq!(map.port(number), Some(&number));
    }
    assert_eq!(map.station(station(1, 20, 1)), None);
    let mac = |station: Station| station.mac;
    assert_eq!(
        map.sole(NetworkId(0), mac(stations[0])),
        None,
        "there are two"
    );
    assert_eq!(map.sole(NetworkId(1), mac(stations[0])), Some(&3));
    assert_eq!(map.sole(NetworkId(0), mac(stations[3])), Some(&4));
}

proptest! {
    /// Beside a list that is searched from its beginning.
    #[test]
    fn as_a_list_would_find_them(
        given in prop::collection::vec(
            (0..40_u64, prop::option::of((0..3_u32, 0..3_u32, 0..4_u8))),
            0..60,
        ),
    ) {
        let of = |(network, vni, mac)| station(network, vni, mac);
        let ports: Vec<_> = given
            .iter()
            .enumerate()
            .map(|(at, (number, at_station))| (*number, at_station.map(of), at))
            .collect();
        let map = PortMap::new(ports.iter().copied());
        prop_assert!(map.iter().copied().eq(0..ports.len()));
        for number in 0..41 {
            let found = ports.iter().find(|port| port.0 == number);
            prop_assert_eq!(map.port(number), found.map(|port| &port.2));
        }
        for (network, vni, mac) in (0..3).flat_map(|n| (0..3).flat_map(move |v| (0..4).map(move |m| (n, v, m)))) {
            let wanted = of((network, vni, mac));
            let found = ports.iter().find(|port| port.1 == Some(wanted));
            prop_assert_eq!(map.station(wanted), found.map(|port| &port.2));
            let with_mac = |port: &&(u64, Option<Station>, usize)| {
                port.1.is_some_and(|s| s.network == wanted.network && s.mac == wanted.mac)
            };
            let mut found: Vec<_> = ports.iter().filter(with_mac).collect();
            found.dedup_by_key(|port| port.1);
            let sole = (found.len() == 1).then(|| &found[0].2);
            if ports.iter().filter(with_mac).count() == found.len() {
                prop_assert_eq!(map.sole(wanted.network, wanted.mac), sole);
            }
        }
    }
}

#[derive(Default)]
struct Port {
    gone: AtomicBool,
    frames: AtomicU64,
}

/// Two threads forward bursts while another takes a port away and puts another in its place: what is for the port that stays is
/// never lost, and nothing reaches a port that is gone.
#[test]
fn ports_come_and_go_under_traffic() {
    const CHANGES: u64 = 50;
    const BURST: usize = 16;
    let (stays, goes) = (station(0, 10, 1), station(0, 10, 2));
    let kept = Arc::new(Port::default());
    let map = |other: Option<Arc<Port>>| {
        let kept = (1, Some(stays), Arc::clone(&kept));
        PortMap::new(
            [kept]
                .into_iter()
                .chain(other.map(|port| (2, Some(goes), port))),
        )
    };
    let switch = Published::new(map(None));
    let (begun, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let sent = thread::scope(|scope| {
        let forward = || {
            let mut sent = 0;
            while !over.load(Ordering::Relaxed) {
                let map = switch.read();
                for at in 0..BURST {
                    let to = if at % 2 == 0 { stays } else { goes };
                    let Some(port) = map.station(to) else {
                        assert_eq!(to, goes, "the port that stays was not found");
                        continue;
                    };
                    assert!(
                        !port.gone.load(Ordering::Relaxed),
                        "a port that is gone got a frame"
                    );
                    port.frames.fetch_add(1, Ordering::Relaxed);
                    sent += u64::from(to == stays);
                }
                begun.fetch_add(1, Ordering::Relaxed);
            }
            sent
        };
        let forwarders = [scope.spawn(forward), scope.spawn(forward)];
        let mut reached = 0;
        for _ in 0..CHANGES {
            let port = Arc::new(Port::default());
            switch.publish(map(Some(Arc::clone(&port)))).wait();
            let so_far = begun.load(Ordering::Relaxed);
            while begun.load(Ordering::Relaxed) < so_far + 2 {
                thread::yield_now();
            }
            switch.publish(map(None)).wait();
            port.gone.store(true, Ordering::Relaxed);
            let frames = port.frames.load(Ordering::Relaxed);
            reached += u64::from(frames > 0);
            assert_eq!(Arc::strong_count(&port), 1, "nobody has it any more");
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(reached, CHANGES, "every port got frames while it was there");
        forwarders
            .map(|thread| thread.join().unwrap())
            .iter()
            .sum::<u64>()
    });
    assert_eq!(kept.frames.load(Ordering::Relaxed), sent);
}
