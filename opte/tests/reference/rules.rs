//! The reference's rules: a list, in the order in which they are asked.

use std::net::IpAddr;

use opte::rule::DefaultAction;

use crate::bytes::View;
use crate::config::{Ask, Do, RuleCfg};

/// A rule in its place.
#[derive(Clone)]
pub struct Rule {
    pub id: u64,
    cfg: RuleCfg,
    pub hits: u64,
}

pub struct Table {
    pub rules: Vec<Rule>,
    pub default: DefaultAction,
    pub default_hits: u64,
    next_id: u64,
}

impl Table {
    pub fn new(default: DefaultAction) -> Self {
        Self {
            rules: Vec::new(),
            default,
            default_hits: 0,
            next_id: 0,
        }
    }

    /// Before those that come after it: by priority, denials first, then the newer.
    pub fn add(&mut self, cfg: &RuleCfg) -> u64 {
        let rank = |cfg: &RuleCfg| (cfg.priority, !matches!(cfg.action, Do::Deny));
        let before = self
            .rules
            .iter()
            .position(|rule| rank(&rule.cfg) >= rank(cfg));
        let id = self.next_id;
        self.next_id += 1;
        let rule = Rule {
            id,
            cfg: cfg.clone(),
            hits: 0,
        };
        self.rules.insert(before.unwrap_or(self.rules.len()), rule);
        id
    }

    pub fn matching<'a>(
        &'a self,
        view: &'a View,
        tag: Option<u8>,
    ) -> impl Iterator<Item = (usize, Do)> + 'a {
        let rules = self.rules.iter().enumerate();
        let matching =
            rules.filter(move |(_, rule)| rule.cfg.asks.iter().all(|ask| holds(ask, view, tag)));
        matching.map(|(place, rule)| (place, rule.cfg.action))
    }
}

fn holds(ask: &Ask, view: &View, tag: Option<u8>) -> bool {
    let ip = view.ip;
    match ask {
        Ask::Ethertype(ethertype) => view.ethertype == *ethertype,
        Ask::Source(address, len) => ip.is_some_and(|ip| within(ip.source, *address, *len)),
        Ask::Destination(address, len) => {
            ip.is_some_and(|ip| within(ip.destination, *address, *len))
        }
        Ask::Protocol(protocol) => ip.is_some_and(|ip| ip.protocol == *protocol),
        Ask::SourcePort(low, high) => ip
            .and_then(|ip| ip.ports)
            .is_some_and(|(source, _)| (*low..=*high).contains(&source)),
        Ask::DestinationPort(low, high) => ip
            .and_then(|ip| ip.ports)
            .is_some_and(|(_, destination)| (*low..=*high).contains(&destination)),
        Ask::IcmpType(ty) => ip.and_then(|ip| ip.echo).is_some_and(|(of, _)| of == *ty),
        Ask::Tag(asked) => tag == Some(*asked),
        Ask::TagIsOdd => tag.is_some_and(|tag| tag % 2 == 1),
        Ask::Not(ask) => !holds(ask, view, tag),
        Ask::Any(asks) => asks.iter().any(|ask| holds(ask, view, tag)),
    }
}

fn within(address: IpAddr, prefix: IpAddr, len: u8) -> bool {
    let bits = |address: IpAddr| -> Vec<bool> {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let bits = bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1));
        bits.collect()
    };
    address.is_ipv4() == prefix.is_ipv4()
        && bits(address)[..usize::from(len)] == bits(prefix)[..usize::from(len)]
}
