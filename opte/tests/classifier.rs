//! Compiled rule tables against asking one rule after another.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use opte::Direction;
use opte::action::Action;
use opte::flow::Fields;
use opte::network::{Handled, Network};
use opte::predicate::{IpPrefix, MetaPredicate, Predicate};
use opte::rule::{DefaultAction, Match, Rule, RuleId, RuleTable, Subject};
use opte_headers::frame::{Parsed, parse_guest};
use opte_headers::{Ethertype, FlowKey, IpProtocol, ParseError};
use proptest::prelude::*;

/// A network with two values in its metadata, one of which rules can look up.
struct Net;

#[derive(Clone, Debug, Default)]
struct Meta {
    peer: Option<u64>,
    colour: u64,
}

impl Network for Net {
    type Key = FlowKey;
    type Meta = Meta;

    fn parse(&self, _: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        parse_guest(frame)
    }

    fn key(&self, _: Direction, parsed: &Parsed, _: &[u8]) -> FlowKey {
        parsed.key
    }

    fn return_key(&self, _: Direction, after: &FlowKey, _: &Meta) -> FlowKey {
        after.mirror()
    }

    fn meta_value(meta: &Meta, number: usize) -> Option<u64> {
        meta.peer.filter(|_| number == 1)
    }

    fn handle_packet(&self, _: Direction, _: &Parsed, _: &[u8], _: &mut [u8]) -> Handled {
        Handled::Deny
    }
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Peer(u64),
    Colour(u64),
}

impl MetaPredicate<Net> for Asked {
    fn matches(&self, meta: &Meta) -> bool {
        match self {
            Asked::Peer(peer) => meta.peer == Some(*peer),
            Asked::Colour(colour) => meta.colour == *colour,
        }
    }

    fn value(&self) -> Option<(usize, u64)> {
        match self {
            Asked::Peer(peer) => Some((1, *peer)),
            Asked::Colour(_) => None,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Few bits differ, so that prefixes nest and rules overlap.
fn address() -> impl Strategy<Value = IpAddr> {
    (any::<bool>(), 0u8..4, 0u8..4, any::<u8>()).prop_map(|(v4, a, b, c)| {
        if v4 {
            IpAddr::from([10, a, b, c & 7])
        } else {
            IpAddr::from([0xfd, a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, c & 7])
        }
    })
}

fn prefix() -> impl Strategy<Value = IpPrefix> {
    (address(), any::<u8>()).prop_map(|(address, len)| {
        let width = if address.is_ipv4() { 32 } else { 128 };
        IpPrefix::new(address, len % (width + 1)).unwrap()
    })
}

fn ports() -> impl Strategy<Value = RangeInclusive<u16>> {
    prop_oneof![
        (0u16..40).prop_map(|port| port..=port),
        (0u16..40, 0u16..40).prop_map(|(low, high)| low..=high),
        (any::<u16>(), any::<u16>()).prop_map(|(low, high)| low..=high),
        Just(0..=u16::MAX),
    ]
}

fn small() -> impl Strategy<Value = RangeInclusive<u8>> {
    (0u8..20, 0u8..20).prop_map(|(low, high)| low..=high)
}

fn protocol() -> impl Strategy<Value = IpProtocol> {
    prop_oneof![
        Just(IpProtocol::TCP),
        Just(IpProtocol::UDP),
        Just(IpProtocol::ICMP),
        any::<u8>().prop_map(IpProtocol),
    ]
}

fn simple() -> impl Strategy<Value = Predicate<Net>> {
    prop_oneof![
        prop_oneof![Just(Ethertype::IPV4), Just(Ethertype::ARP)].prop_map(Predicate::Ethertype),
        prefix().prop_map(Predicate::Source),
        prefix().prop_map(Predicate::Destination),
        protocol().prop_map(Predicate::Protocol),
        ports().prop_map(Predicate::SourcePort),
        ports().prop_map(Predicate::DestinationPort),
        small().prop_map(Predicate::IcmpType),
        small().prop_map(Predicate::IcmpCode),
        (0u8..8, 0u8..8).prop_map(|(mask, value)| Predicate::Flags {
            mask,
            value,
            name: "flags"
        }),
        (0u64..4).prop_map(|peer| Predicate::Meta(Arc::new(Asked::Peer(peer)))),
        (0u64..4).prop_map(|colour| Predicate::Meta(Arc::new(Asked::Colour(colour)))),
    ]
}

fn predicate() -> impl Strategy<Value = Predicate<Net>> {
    simple().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|predicate| Predicate::Not(Box::new(predicate))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Predicate::Any),
            prop::collection::vec(inner, 0..3).prop_map(Predicate::All),
        ]
    })
}

fn rule() -> impl Strategy<Value = Rule<Net>> {
    let predicates = prop::collection::vec(predicate(), 0..4);
    (0u16..6, predicates, any::<bool>()).prop_map(|(priority, predicates, deny)| {
        let action = if deny { Action::Deny } else { Action::Allow };
        Rule::new(priority, predicates, action)
    })
}

fn packet() -> impl Strategy<Value = (Fields, Meta)> {
    let ip = prop::option::weighted(0.9, (address(), address(), protocol()));
    let ports = prop::option::weighted(0.7, (0u16..40, prop_oneof![0u16..40, any::<u16>()]));
    let icmp = prop::option::weighted(0.3, (0u8..20, 0u8..20));
    let meta = (prop::option::of(0u64..4), 0u64..4);
    (ip, ports, icmp, 0u8..8, meta).prop_map(|(ip, ports, icmp, flags, (peer, colour))| {
        let fields = Fields {
            ethertype: match ip {
                None => Ethertype::ARP,
                Some((source, ..)) if source.is_ipv4() => Ethertype::IPV4,
                Some(_) => Ethertype::IPV6,
            },
            protocol: ip.map(|(.., protocol)| protocol),
            source: ip.map(|(source, ..)| source),
            destination: ip.map(|(_, destination, _)| destination),
            source_port: ports.map(|(source, _)| source),
            destination_port: ports.map(|(_, destination)| destination),
            icmp,
            flags,
        };
        (fields, Meta { peer, colour })
    })
}

#[derive(Clone, Debug)]
enum Event {
    Add(Vec<Rule<Net>>),
    Remove(Vec<prop::sample::Index>),
    Replace(Vec<Rule<Net>>),
    Packets(Vec<(Fields, Meta)>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => prop::collection::vec(rule(), 1..60).prop_map(Event::Add),
        3 => prop::collection::vec(any::<prop::sample::Index>(), 1..60).prop_map(Event::Remove),
        1 => prop::collection::vec(rule(), 0..100).prop_map(Event::Replace),
        4 => prop::collection::vec(packet(), 1..20).prop_map(Event::Packets),
    ]
}

/// The rules of a table in the order they were added, and what their counters should say.
#[derive(Default)]
struct Oracle {
    rules: Vec<(RuleId, Rule<Net>, u64)>,
    default_hits: u64,
}

impl Oracle {
    /// The rules in the order in which they are asked.
    fn in_order(&self) -> Vec<&(RuleId, Rule<Net>, u64)> {
        let mut rules: Vec<_> = self.rules.iter().rev().collect();
        rules.sort_by_key(|(_, rule, _)| (rule.priority(), !rule.action().is_deny()));
        rules
    }

    fn all_matching(&self, fields: &Fields, meta: &Meta) -> Vec<RuleId> {
        let rules = self.in_order().into_iter();
        let matching = rules.filter(|(_, rule, _)| rule.matches(fields, meta));
        matching.map(|(id, ..)| *id).collect()
    }

    fn count(&mut self, id: Option<RuleId>) {
        match id {
            None => self.default_hits += 1,
            Some(id) => {
                for (of, _, hits) in &mut self.rules {
                    *hits += u64::from(*of == id);
                }
            }
        }
    }

    fn agrees(&self, table: &RuleTable<Net>) {
        let expected: Vec<_> = self
            .in_order()
            .into_iter()
            .map(|(id, _, hits)| (*id, *hits))
            .collect();
        let there: Vec<_> = table
            .entries()
            .map(|entry| (entry.id, entry.hits))
            .collect();
        assert_eq!(there, expected);
        assert_eq!(table.default_hits(), self.default_hits);
        assert_eq!(table.len(), expected.len());
    }
}

/// What the table finds first, and after that, and after that.
fn all_found(table: &RuleTable<Net>, fields: &Fields, meta: &Meta) -> Vec<RuleId> {
    let subject = Subject::new(*fields);
    let mut found = Vec::new();
    let mut after = None;
    while let Match::Rule(place) = table.find(after, &subject, meta) {
        assert_eq!(
            table.find_one_by_one(after, &subject, meta),
            Match::Rule(place)
        );
        found.push(table.entry(place).unwrap().id);
        after = Some(place);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_classifier_finds_what_asking_each_rule_finds(events in prop::collection::vec(event(), 1..20)) {
        let mut table = RuleTable::new(DefaultAction::Deny);
        let mut oracle = Oracle::default();
        for event in events {
            match event {
                Event::Add(rules) => for rule in rules {
                    oracle.rules.push((table.add(rule.clone()), rule, 0));
                },
                Event::Remove(which) => for which in which {
                    if !oracle.rules.is_empty() {
                        let (id, ..) = oracle.rules.remove(which.index(oracle.rules.len()));
                        prop_assert!(table.contains(id) && table.remove(id).is_some());
                        prop_assert!(!table.contains(id) && table.remove(id).is_none());
                    }
                },
                Event::Replace(rules) => {
                    let before = oracle.rules.iter().map(|(id, ..)| *id).max();
                    table.replace(rules.clone());
                    oracle.rules.clear();
                    let mut ids: Vec<_> = table.entries().map(|entry| entry.id).collect();
                    ids.sort_unstable();
                    prop_assert!(ids.first().copied() > before || ids.is_empty());
                    oracle.rules.extend(ids.into_iter().zip(rules).map(|(id, rule)| (id, rule, 0)));
                }
                Event::Packets(packets) => for (fields, meta) in packets {
                    let expected = oracle.all_matching(&fields, &meta);
                    prop_assert_eq!(&all_found(&table, &fields, &meta), &expected);
                    table.count(table.find(None, &Subject::new(fields), &meta));
                    oracle.count(expected.first().copied());
                },
            }
            oracle.agrees(&table);
        }
    }
}

/// Rules with nothing but what is looked up: one is found among many, the same after each of many changes.
#[test]
fn ten_thousand_rules_of_every_kind_and_changes_of_each() {
    let mut table = RuleTable::new(DefaultAction::Deny);
    let ids: Vec<_> = (0..10_000u32)
        .map(|number| table.add(numbered(number)))
        .collect();
    for number in (0..10_000u32).step_by(3) {
        table.remove(ids[number as usize]).unwrap();
    }
    for number in 0..10_000u32 {
        let (fields, meta) = packet_for(number);
        let found = match table.find(None, &Subject::new(fields), &meta) {
            Match::Rule(place) => Some(table.entry(place).unwrap().id),
            Match::Default => None,
        };
        let expected = (number % 3 != 0).then_some(ids[number as usize]);
        assert_eq!(found, expected, "rule {number}");
    }
}

/// A rule that no packet but that of its number matches.
fn numbered(number: u32) -> Rule<Net> {
    let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
    let port = number as u16;
    let predicates = match number % 4 {
        0 => vec![Predicate::Destination(IpPrefix::exact(address))],
        1 => vec![
            Predicate::Protocol(IpProtocol::TCP),
            Predicate::DestinationPort(port..=port),
        ],
        2 => vec![Predicate::Meta(Arc::new(Asked::Peer(u64::from(number))))],
        _ => vec![
            Predicate::Source(IpPrefix::new(IpAddr::from([192, 0, 2, 0]), 24).unwrap()),
            Predicate::SourcePort(port..=port),
        ],
    };
    let priority = (number.wrapping_mul(7919) % 60_000) as u16;
    Rule::new(priority, predicates, Action::Allow)
}

fn packet_for(number: u32) -> (Fields, Meta) {
    let port = number as u16;
    let nowhere = IpAddr::from([198, 51, 100, 1]);
    let kind = number % 4;
    let fields = Fields {
        ethertype: Ethertype::IPV4,
        protocol: Some(if kind == 1 {
            IpProtocol::TCP
        } else {
            IpProtocol::UDP
        }),
        source: Some(if kind == 3 {
            IpAddr::from([192, 0, 2, 9])
        } else {
            nowhere
        }),
        destination: Some(if kind == 0 {
            IpAddr::from((0x0a00_0000 + number).to_be_bytes())
        } else {
            nowhere
        }),
        source_port: Some(port),
        destination_port: Some(port),
        icmp: None,
        flags: 0,
    };
    let peer = (kind == 2).then_some(u64::from(number));
    (fields, Meta { peer, colour: 0 })
}
