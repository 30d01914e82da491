//! The trie against a plain ordered map that is searched from the longest prefix to the shortest.

use opte::lpm::{Lpm, Prefix, left_aligned};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn prefix(text: &str) -> Prefix {
    let (addr, len) = text.split_once('/').unwrap();
    Prefix::of_ip(addr.parse().unwrap(), len.parse().unwrap()).unwrap()
}

fn bits(text: &str) -> u128 {
    left_aligned(text.parse::<IpAddr>().unwrap())
}

#[test]
fn the_longest_prefix_wins_and_gives_way_when_it_goes() {
    let mut routes = Lpm::new();
    assert_eq!(routes.lookup(bits("10.0.0.1")), None);
    for (text, name) in [
        ("10.0.0.0/8", "a"),
        ("0.0.0.0/0", "default"),
        ("10.1.0.0/16", "b"),
        ("10.1.2.3/32", "host"),
    ] {
        assert_eq!(routes.insert(prefix(text), name), None);
    }
    let of =
        |routes: &Lpm<&'static str>, addr| routes.lookup(bits(addr)).map(|(p, v)| (p.len(), *v));
    assert_eq!(of(&routes, "10.1.2.3"), Some((32, "host")));
    assert_eq!(of(&routes, "10.1.2.4"), Some((16, "b")));
    assert_eq!(of(&routes, "10.2.0.1"), Some((8, "a")));
    assert_eq!(of(&routes, "192.0.2.1"), Some((0, "default")));
    assert_eq!(routes.remove(prefix("10.1.2.3/32")), Some("host"));
    assert_eq!(routes.remove(prefix("10.1.2.3/32")), None);
    assert_eq!(of(&routes, "10.1.2.3"), Some((16, "b")));
    assert_eq!(routes.remove(prefix("0.0.0.0/0")), Some("default"));
    assert_eq!(of(&routes, "192.0.2.1"), None);
    assert_eq!(routes.len(), 2);
}

#[test]
fn lengths_beyond_the_family_are_refused() {
    assert_eq!(Prefix::of_ip("10.0.0.0".parse().unwrap(), 33), None);
    assert_eq!(Prefix::of_ip("fd00::".parse().unwrap(), 129), None);
    assert!(Prefix::of_ip("fd00::".parse().unwrap(), 128).is_some());
}

/// Few distinct bits, so that prefixes nest and fork often.
fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any::<u8>(), 0u8..=8, prop::bool::ANY).prop_map(|(top, len, low)| {
        let bits = (u128::from(top) << 120) | u128::from(low);
        Prefix::new(bits, if low { 128 } else { len }).unwrap()
    })
}

proptest! {
    #[test]
    fn agrees_with_a_linear_search(
        steps in prop::collection::vec((any::<bool>(), any_prefix(), any::<u16>()), 1..200),
        asked in prop::collection::vec((any::<u8>(), any::<bool>()), 1..40),
    ) {
        let mut trie = Lpm::new();
        let mut oracle = BTreeMap::new();
        for (insert, prefix, value) in steps {
            if insert {
                prop_assert_eq!(trie.insert(prefix, value), oracle.insert(prefix, value));
            } else {
                prop_assert_eq!(trie.remove(prefix), oracle.remove(&prefix));
            }
            prop_assert_eq!(trie.len(), oracle.len());
            prop_assert_eq!(trie.get(prefix), oracle.get(&prefix));
        }
        for (top, low) in asked {
            let bits = (u128::from(top) << 120) | u128::from(low);
            let longest = oracle.iter().filter(|(p, _)| p.contains(bits)).max_by_key(|(p, _)| p.len());
            prop_assert_eq!(trie.lookup(bits), longest.map(|(p, v)| (*p, v)));
        }
        let listed: Vec<_> = trie.iter().map(|(p, v)| (p, *v)).collect();
        let expected: Vec<_> = oracle.into_iter().collect();
        prop_assert_eq!(listed, expected);
    }
}
