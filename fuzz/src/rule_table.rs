//! Rules that come and go, and packets: the compiled table finds what asking one rule after another finds, and goes on with the
//! same one after it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::input::Input;
use opte::action::Action;
use opte::flow::Fields;
use opte::predicate::{IpPrefix, MetaPredicate, Predicate};
use opte::rule::{DefaultAction, Match, Rule, RuleId, RuleTable, Subject};
use opte_headers::{Ethertype, IpProtocol, Vni};
use oxide_vpc::network::{Meta, VpcNetwork};

type Table = RuleTable<VpcNetwork>;

/// Changes and packets.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut table = Table::new(DefaultAction::Deny);
    let mut ids: Vec<RuleId> = Vec::new();
    while !input.is_empty() {
        match input.below(16) {
            0..=6 => ids.push(table.add(rule(&mut input))),
            7..=8 if !ids.is_empty() => {
                let id = ids.remove(usize::from(input.word()) % ids.len());
                assert!(table.remove(id).is_some() && !table.contains(id));
            }
            9 => {
                let rules: Vec<_> = (0..input.byte()).map(|_| rule(&mut input)).collect();
                let count = rules.len();
                table.replace(rules);
                ids = table.entries().map(|entry| entry.id).collect();
                assert_eq!(ids.len(), count);
            }
            _ => packet(&table, &mut input),
        }
        assert_eq!(table.len(), ids.len());
    }
}

fn packet(table: &Table, input: &mut Input<'_>) {
    let icmp = (input.below(4) == 0).then(|| (input.byte() % 16, input.byte() % 4));
    let ported = icmp.is_none() && input.below(4) != 0;
    let (source, destination) = (address(input), address(input));
    let subject = Subject::new(Fields {
        ethertype: ethertype(source),
        protocol: Some(protocol(input)),
        source: Some(source),
        destination: Some(destination),
        source_port: ported.then(|| port(input)),
        destination_port: ported.then(|| port(input)),
        icmp,
        flags: input.byte(),
    });
    let meta = Meta {
        peer: Vni::new(input.byte().into()).filter(|_| input.below(2) == 0),
        ..Meta::default()
    };
    let mut after = None;
    loop {
        let found = table.find(after, &subject, &meta);
        assert_eq!(found, table.find_one_by_one(after, &subject, &meta));
        match found {
            Match::Rule(place) => after = Some(place),
            Match::Default => break,
        }
    }
}

fn rule(input: &mut Input<'_>) -> Rule<VpcNetwork> {
    let action = match input.below(3) {
        0 => Action::Deny,
        _ => Action::Allow,
    };
    let priority = u16::from(input.byte() % 8);
    let predicates: Vec<_> = (0..input.below(4)).map(|_| predicate(input, 2)).collect();
    Rule::new(priority, predicates, action)
}

fn predicate(input: &mut Input<'_>, depth: u8) -> Predicate<VpcNetwork> {
    match input.below(if depth == 0 { 10 } else { 13 }) {
        0 => Predicate::Ethertype(ethertype(address(input))),
        1 => Predicate::Source(prefix(input)),
        2 => Predicate::Destination(prefix(input)),
        3 => Predicate::Protocol(protocol(input)),
        4 => Predicate::SourcePort(port(input)..=port(input)),
        5 => Predicate::DestinationPort(port(input)..=port(input)),
        6 => Predicate::IcmpType(input.byte() % 16..=input.byte() % 16),
        7 => Predicate::IcmpCode(input.byte() % 4..=input.byte() % 4),
        8 => Predicate::Flags {
            mask: input.byte(),
            value: input.byte(),
            name: "flags",
        },
        9 => Predicate::Meta(Arc::new(Peer(input.byte(), input.below(2) == 0))),
        10 => Predicate::Not(Box::new(predicate(input, depth - 1))),
        11 => Predicate::Any(
            (0..input.below(4))
                .map(|_| predicate(input, depth - 1))
                .collect(),
        ),
        _ => Predicate::All(
            (0..input.below(4))
                .map(|_| predicate(input, depth - 1))
                .collect(),
        ),
    }
}

/// Few bits differ, so that prefixes nest.
fn address(input: &mut Input<'_>) -> IpAddr {
    let [a, b] = input.word().to_be_bytes();
    if a & 0x80 == 0 {
        IpAddr::from([10, a & 3, b & 3, b >> 4])
    } else {
        IpAddr::from([
            0xfd,
            a & 3,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            b & 3,
            b >> 4,
        ])
    }
}

fn prefix(input: &mut Input<'_>) -> IpPrefix {
    let address = address(input);
    let width = if address.is_ipv4() { 32 } else { 128 };
    IpPrefix::new(address, input.byte() % (width + 1)).unwrap_or(IpPrefix::exact(address))
}

fn ethertype(address: IpAddr) -> Ethertype {
    if address.is_ipv4() {
        Ethertype::IPV4
    } else {
        Ethertype::IPV6
    }
}

fn protocol(input: &mut Input<'_>) -> IpProtocol {
    input.pick(&[
        IpProtocol::TCP,
        IpProtocol::UDP,
        IpProtocol::ICMP,
        IpProtocol(89),
    ])
}

/// Few of the low ones, some of all.
fn port(input: &mut Input<'_>) -> u16 {
    match input.below(4) {
        0 => input.word(),
        _ => u16::from(input.byte() % 32),
    }
}

/// Whether the far end is in the VPC of this number; rules look it up, or have to ask.
struct Peer(u8, bool);

impl MetaPredicate<VpcNetwork> for Peer {
    fn matches(&self, meta: &Meta) -> bool {
        meta.peer == Vni::new(self.0.into())
    }

    fn value(&self) -> Option<(usize, u64)> {
        self.1.then_some((0, self.0.into()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vni={}", self.0)
    }
}
