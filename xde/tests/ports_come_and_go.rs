//! Ports are created and deleted by command while frames are forwarded.

mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use memory::frames::{Frame, udp};
use memory::{World, guest_cfg};
use opte::api::Stats;
use oxide_vpc::api::{DeleteXdeReq, PhysNet, SetVirt2PhysReq};
use oxide_vpc::network::GATEWAY_MAC;
use xde::Outbox;
use xde::command::Control as _;

const VPC: u32 = 10;
const BURST: usize = 8;

fn to_guest(stats: &Stats) -> u64 {
    let mut counters = stats.counters.iter();
    counters
        .find(|(name, _)| *name == "to_guest_frames")
        .map_or(0, |(_, count)| *count)
}

/// Guest 5 sends to guest 6, which stays, and to guest 7, which comes and goes. What is for 6 is never lost; once a command to
/// delete 7 is answered, no frame reaches its port.
#[test]
fn under_traffic() {
    const CHANGES: usize = 40;
    let world = World::new();
    let [a, b, c] = [5, 6, 7].map(|n| world.guest(0, VPC, n));
    let driver = &world.hosts[0];
    let id = driver
        .switch()
        .ports()
        .find(|port| port.name == a.port)
        .unwrap()
        .id;
    let frames =
        [&b, &c].map(|to| Frame::new((a.mac, a.v4), (GATEWAY_MAC, to.v4), udp(9, 9, b"x")).bytes());
    let (over, bursts) = (AtomicBool::new(false), AtomicU64::new(0));
    let phys = PhysNet {
        ether: c.mac,
        ip: memory::underlay_address(0),
        vni: guest_cfg(0, VPC, 7).vni,
    };
    let mut reached = 0;
    let [to_b, to_c] = thread::scope(|scope| {
        let forward = || {
            let (mut outbox, mut got) = (Outbox::new(64), [0_u64; 2]);
            while !over.load(Ordering::Relaxed) {
                let burst: Vec<_> = (0..BURST)
                    .map(|at| {
                        let mut frame = outbox.pool.take();
                        frame.fill(&frames[at % 2]);
                        frame
                    })
                    .collect();
                driver.from_guest(id, burst, &mut outbox);
                for sent in outbox.to_guests.drain(..) {
                    got[usize::from(sent.port.name == c.port)] += 1;
                    outbox.pool.put(sent.frame);
                }
                assert!(outbox.is_empty(), "nothing is for another host");
                bursts.fetch_add(1, Ordering::Relaxed);
            }
            got
        };
        let forwarder = scope.spawn(forward);
        let pass = || {
            let so_far = bursts.load(Ordering::Relaxed);
            while bursts.load(Ordering::Relaxed) < so_far + 3 {
                thread::yield_now();
            }
        };
        for _ in 0..CHANGES {
            let port = driver
                .switch()
                .ports()
                .find(|port| port.name == c.port)
                .map(Arc::clone);
            let port = port.unwrap();
            pass();
            driver
                .delete_xde(DeleteXdeReq {
                    name: c.port.clone(),
                })
                .unwrap();
            let delivered = to_guest(&port.counters.stats());
            pass();
            assert_eq!(
                to_guest(&port.counters.stats()),
                delivered,
                "deleted, and reached"
            );
            reached += u64::from(delivered > 0);
            world.create(0, &c.port, guest_cfg(0, VPC, 7)).unwrap();
            world.let_in(&c, VPC);
            driver.set_v2p(SetVirt2PhysReq { vip: c.v4, phys }).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        forwarder.join().unwrap()
    });
    assert_eq!(
        reached, CHANGES as u64,
        "every port got frames while it was there"
    );
    let bursts = bursts.load(Ordering::Relaxed);
    let each = bursts * BURST as u64 / 2;
    assert_eq!(to_b, each, "all for the port that stays");
    assert!(to_c < each, "there were times without a port");
}
