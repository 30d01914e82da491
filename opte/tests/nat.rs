//! The pool of NAT ports.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use opte::action::{AllowOrDeny, Context};
use opte::nat::{Filtering, HOLD_DOWN, NatBehaviour, NatLease, NatPool, Share};
use opte::provider::SeededRandom;
use opte::time::Moment;
use proptest::prelude::*;

const GUEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(172, 30, 0, 5));

struct Sim {
    pool: Arc<NatPool>,
    random: SeededRandom,
    now: Moment,
}

impl Sim {
    fn new(ports: std::ops::RangeInclusive<u16>, seed: u64) -> Self {
        Self {
            pool: NatPool::new(ports, HOLD_DOWN).unwrap(),
            random: SeededRandom::new(seed),
            now: Moment::ZERO,
        }
    }

    fn lease(&self, private: u16) -> Option<Arc<NatLease>> {
        let context = Context::new(self.now, &self.random);
        self.pool.lease((GUEST, private), context)
    }
}

#[test]
fn an_empty_range_is_no_pool() {
    let (first, last) = (10, 9);
    assert!(NatPool::new(first..=last, HOLD_DOWN).is_none());
    assert!(NatPool::new(9..=9, HOLD_DOWN).is_some());
}

#[test]
fn every_port_goes_out_once_and_then_the_pool_is_exhausted() {
    for ports in [0..=65535, 1025..=4096, 7..=7, 63..=64, 1..=200] {
        let sim = Sim::new(ports.clone(), 1);
        let leases: Vec<_> = ports
            .clone()
            .map(|private| sim.lease(private).unwrap())
            .collect();
        let given: BTreeSet<u16> = leases.iter().map(|lease| lease.port()).collect();
        assert!(
            given.iter().copied().eq(ports.clone()),
            "each of {ports:?} once"
        );
        let usage = sim.pool.usage();
        assert_eq!(
            (usage.ports, usage.leased, usage.resting),
            (leases.len() as u32, leases.len() as u32, 0)
        );
        if ports != (0..=65535) {
            assert!(sim.lease(0).is_none());
            assert_eq!(sim.pool.usage().exhausted, 1);
        }
    }
}

#[test]
fn one_endpoint_has_one_port_while_any_of_its_flows_lives() {
    let sim = Sim::new(1025..=4096, 2);
    let first = sim.lease(5000).unwrap();
    let second = sim.lease(5000).unwrap();
    assert_eq!(first.port(), second.port());
    drop(first);
    assert_eq!(sim.lease(5000).unwrap().port(), second.port());
}

#[test]
fn parity_is_kept_while_ports_of_it_are_left() {
    for first in [1024, 1025] {
        let sim = Sim::new(first..=first + 99, 3);
        let even: Vec<_> = (0..50).map(|n| sim.lease(2000 + 2 * n).unwrap()).collect();
        assert!(even.iter().all(|lease| lease.port() % 2 == 0));
        assert_eq!(
            sim.lease(2100).unwrap().port() % 2,
            1,
            "rather the other parity than none"
        );
    }
}

/// The published pool hands the port that came back last out again at once.
#[test]
fn a_port_rests_before_another_endpoint_gets_it() {
    let mut sim = Sim::new(100..=149, 4);
    let first = sim.lease(1).unwrap().port();
    let others: BTreeSet<u16> = (2..51)
        .map(|private| sim.lease(private).unwrap().port())
        .collect();
    assert!(!others.contains(&first));
    assert_eq!(others.len(), 49);
    sim.now = Moment::ZERO + HOLD_DOWN;
    assert!(sim.lease(60).is_some());
    let usage = sim.pool.usage();
    assert_eq!(
        (usage.leased, usage.resting),
        (0, 2),
        "a return counts from when the time was told next"
    );
}

/// A new lease waits for a few of those that came back, not for all of them.
#[test]
fn ports_come_back_a_few_at_a_time() {
    let mut sim = Sim::new(1000..=2999, 9);
    let leases: Vec<_> = (0..1000).map(|n| sim.lease(n).unwrap()).collect();
    drop(leases);
    let resting = |sim: &Sim| sim.pool.usage().resting;
    // All are laid to rest within so many leases.
    let turns = 1000 / 64 + 1;
    let mut kept: Vec<_> = (0..turns).map(|n| sim.lease(2000 + n).unwrap()).collect();
    assert_eq!(resting(&sim), 1000);
    sim.now = sim.now + HOLD_DOWN;
    for turn in 1..=turns {
        kept.push(sim.lease(3000 + turn).unwrap());
        let left = 1000_u32.saturating_sub(64 * u32::from(turn));
        assert_eq!(resting(&sim), left);
    }
    drop(kept);
    let usage = sim.pool.usage();
    assert_eq!((usage.leased, usage.exhausted), (0, 0));
}

#[test]
fn a_resting_port_goes_out_early_rather_than_none() {
    let sim = Sim::new(100..=101, 5);
    let kept = sim.lease(1).unwrap();
    let rested = sim.lease(2).unwrap().port();
    let again = sim.lease(3).unwrap();
    assert_eq!(again.port(), rested);
    assert_eq!(sim.pool.usage().exhausted, 0);
    assert!(sim.lease(4).is_none());
    drop(kept);
    assert!(sim.lease(4).is_some());
}

/// The published pool hands ports out from the highest down.
#[test]
fn ports_are_not_foreseeable_from_those_before() {
    let draw = |seed| {
        let sim = Sim::new(1024..=65535, seed);
        let leases: Vec<_> = (0..64).map(|n| sim.lease(2 * n).unwrap()).collect();
        leases.iter().map(|lease| lease.port()).collect::<Vec<_>>()
    };
    assert_ne!(draw(6), draw(7));
    let one = draw(8);
    assert!(
        one.windows(2).filter(|pair| pair[1] > pair[0]).count() > 16,
        "{one:?}"
    );
    assert!(
        one.windows(2).filter(|pair| pair[1] < pair[0]).count() > 16,
        "{one:?}"
    );
    assert!(
        one.iter().max().unwrap() - one.iter().min().unwrap() > 32_000,
        "{one:?}"
    );
}

proptest! {
    #[test]
    fn no_two_endpoints_share_a_port(
        steps in prop::collection::vec((0u16..40, any::<bool>(), 0u64..40), 1..300),
        first in 0u16..200,
        count in 1u16..70,
        seed in any::<u64>(),
    ) {
        let ports = first..=first + count - 1;
        let mut sim = Sim::new(ports.clone(), seed);
        let mut held: std::collections::BTreeMap<u16, Arc<NatLease>> = Default::default();
        for (private, give_back, seconds) in steps {
            sim.now = sim.now + std::time::Duration::from_secs(seconds);
            if give_back {
                held.remove(&private);
            } else if let Some(lease) = sim.lease(private) {
                prop_assert!(ports.contains(&lease.port()));
                held.insert(private, lease);
            } else {
                prop_assert_eq!(held.len(), usize::from(count), "refused with ports left");
            }
            let given: BTreeSet<u16> = held.values().map(|lease| lease.port()).collect();
            prop_assert_eq!(given.len(), held.len());
            prop_assert_eq!(sim.pool.usage().leased as usize, held.len());
        }
    }
}

fn key(text: (&str, u16), to: (&str, u16), protocol: u8) -> opte_headers::FlowKey {
    opte_headers::FlowKey {
        source_port: text.1,
        destination_port: to.1,
        protocol,
        ..opte_headers::FlowKey::ZERO
    }
    .with_source_ip(text.0.parse().unwrap())
    .with_destination_ip(to.0.parse().unwrap())
}

/// RFC 4787, REQ-8; RFC 5382, REQ-3: each filtering behaviour, for packets from outside that begin a flow.
#[test]
fn whom_a_mapping_lets_in() {
    use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let public: IpAddr = "203.0.113.9".parse().unwrap();
    let random = SeededRandom::new(1);
    let cases = [
        (EndpointIndependent, true, true, true),
        (AddressDependent, true, true, false),
        (AddressAndPortDependent, false, false, false),
    ];
    // As the share was made, or as the port says instead.
    let said = [false, true].map(|said| cases.map(|case| (said, case)));
    for (said, (filtering, same, other_port, other_address)) in said.into_iter().flatten() {
        let context = Context {
            filtering: said.then_some(filtering),
            ..Context::new(Moment::ZERO, &random)
        };
        let behaviour = NatBehaviour {
            filtering: if said {
                NatBehaviour::default().filtering
            } else {
                filtering
            },
            ..NatBehaviour::default()
        };
        let range = opte::api::PortRange::new(1024, 2047).unwrap();
        let share = Share::with(public, range, behaviour).unwrap();
        for protocol in [6, 17] {
            let out = key(("172.30.0.5", 5000), ("198.51.100.7", 53), protocol);
            let AllowOrDeny::Allow(mapping) = share.lease(&out, context).unwrap() else {
                panic!("denied")
            };
            let accepts = |from, port| {
                let call = key(from, ("203.0.113.9", port), protocol);
                let accepted = share.accept(&call, context);
                accepted.is_ok_and(|accepted| accepted.private() == mapping.private())
            };
            assert_eq!(accepts(("198.51.100.7", 53), mapping.port()), same);
            assert_eq!(accepts(("198.51.100.7", 99), mapping.port()), other_port);
            assert_eq!(accepts(("198.51.100.8", 53), mapping.port()), other_address);
            assert!(!accepts(("198.51.100.7", 53), mapping.port() ^ 1));
            let port = mapping.port();
            drop(mapping);
            let call = key(("198.51.100.7", 53), ("203.0.113.9", port), protocol);
            assert!(share.accept(&call, context).is_err(), "the mapping is over");
        }
    }
}

/// RFC 4787, section 4.2.1: port preservation, where it is asked for and the port is free.
#[test]
fn ports_are_preserved_on_request() {
    let behaviour = NatBehaviour {
        preserve_ports: true,
        ..NatBehaviour::default()
    };
    let range = opte::api::PortRange::new(1024, 2047).unwrap();
    let share = Share::with("203.0.113.9".parse().unwrap(), range, behaviour).unwrap();
    let random = SeededRandom::new(1);
    let context = Context::new(Moment::ZERO, &random);
    let lease = |address, port| {
        let out = key((address, port), ("198.51.100.7", 53), 17);
        match share.lease(&out, context).unwrap() {
            AllowOrDeny::Allow(mapping) => mapping,
            AllowOrDeny::Deny => panic!("denied"),
        }
    };
    let first = lease("172.30.0.5", 1500);
    assert_eq!(first.port(), 1500);
    let second = lease("172.30.0.6", 1500);
    assert_ne!(second.port(), 1500);
    assert_eq!(second.port() % 2, 0, "REQ-4: of the same parity");
    assert!(range.contains(lease("172.30.0.5", 9999).port()));
}
