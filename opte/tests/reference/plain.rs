//! The reference engine: a list of flows, a list of rules a layer, each asked in turn, and each layer's change made on the
//! bytes, with checksums computed anew. It caches nothing that it could compute.

use std::net::IpAddr;
use std::rc::Rc;

use opte::rule::DefaultAction;
use opte::{Direction, DropReason};
use proptest::sample::Index;

use crate::bytes::{self, View, look};
use crate::config::{Config, Do, LayerCfg, RuleCfg, address};
use crate::rules::Table;

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Forward(Vec<u8>),
    Reply(Vec<u8>),
    Drop(DropReason),
}

struct Layer {
    into: Table,
    out: Table,
    /// When what it decided was last forgotten.
    forgotten: u64,
}

/// What a layer decided for a flow.
#[derive(Clone)]
enum Decision {
    None,
    Allow,
    Held(Rc<Nat>),
}

/// The state of NAT for a flow: what changes in packets that go as the first one went, and how it is undone.
#[derive(Debug)]
struct Nat {
    made: Direction,
    of_source: bool,
    before: End,
    after: End,
}

#[derive(Clone, Copy, Debug)]
struct End {
    address: IpAddr,
    port: Option<u16>,
}

struct Flow {
    first: Direction,
    /// The first packet, as the layers met it.
    frame: Vec<u8>,
    key: View,
    back: Option<View>,
    decisions: Vec<Decision>,
    decided: u64,
    revoked: bool,
    expires: u64,
    /// Whether a packet has gone each way.
    seen: [bool; 2],
}

/// How far a walk got.
struct Walked {
    frame: Vec<u8>,
    decisions: Vec<Decision>,
    of_flow: bool,
}

enum Outcome {
    Passed(Walked),
    Reply(Vec<u8>),
    Drop(DropReason),
}

pub struct Plain {
    layers: Vec<Layer>,
    tunnel: bool,
    flows: Vec<Flow>,
    ports: u16,
    /// Ports given to flows of source NAT so far. None is given twice.
    given: u16,
    /// How often one was asked for.
    pub asked: u64,
    /// Counts changes of rules.
    epoch: u64,
    /// In milliseconds.
    pub now: u64,
}

impl Plain {
    pub fn new(cfg: &Config) -> Self {
        let table = |rules: &[RuleCfg], default| {
            let mut table = Table::new(default);
            for rule in rules {
                table.add(rule);
            }
            table
        };
        let layer = |cfg: &LayerCfg| Layer {
            into: table(&cfg.rules_in, cfg.default_in),
            out: table(&cfg.rules_out, cfg.default_out),
            forgotten: 0,
        };
        Self {
            layers: cfg.layers.iter().map(layer).collect(),
            tunnel: cfg.tunnel,
            flows: Vec::new(),
            ports: cfg.ports,
            given: 0,
            asked: 0,
            epoch: 0,
            now: 0,
        }
    }

    pub fn process(&mut self, dir: Direction, frame: &[u8]) -> Fate {
        let inner = if self.tunnel && dir == Direction::In {
            bytes::pop(frame)
        } else {
            frame.to_vec()
        };
        let key = look(&inner);
        if let Some(at) = self.find(dir, &key)
            && let Some(fate) = self.known(at, dir, &key, &inner)
        {
            return fate;
        }
        self.unknown(dir, key, &inner, frame)
    }

    fn find(&self, dir: Direction, key: &View) -> Option<usize> {
        key.ip?;
        self.flows.iter().position(|flow| {
            if dir == flow.first {
                flow.key == *key
            } else {
                flow.back == Some(*key)
            }
        })
    }

    fn known(&mut self, at: usize, dir: Direction, key: &View, inner: &[u8]) -> Option<Fate> {
        if self.flows[at].expires <= self.now {
            self.flows.remove(at);
            return None;
        }
        if self.flows[at].decided != self.epoch {
            self.revalidate(at)?;
        }
        let flow = &self.flows[at];
        if flow.revoked {
            return Some(Fate::Drop(DropReason::FlowRevoked));
        }
        let frame = if dir == flow.first {
            let decisions = flow.decisions.clone();
            match self.forward(dir, inner, None, &decisions, false) {
                Outcome::Passed(walked) => walked.frame,
                _ => unreachable!("nothing has changed"),
            }
        } else {
            if flow.back != Some(*key) {
                return None;
            }
            self.back(dir, inner, &flow.decisions)?
        };
        self.flows[at].seen[dir as usize] = true;
        self.prolong(at);
        Some(Fate::Forward(self.sent(dir, frame)))
    }

    /// Walks a flow again; `None` if it is none any more.
    fn revalidate(&mut self, at: usize) -> Option<()> {
        let flow = &self.flows[at];
        let (dir, frame) = (flow.first, flow.frame.clone());
        let held: Vec<_> = flow
            .decisions
            .iter()
            .zip(&self.layers)
            .map(|(decision, layer)| match layer.forgotten > flow.decided {
                true => Decision::None,
                false => decision.clone(),
            })
            .collect();
        match self.forward(dir, &frame, None, &held, false) {
            Outcome::Passed(walked) if walked.of_flow => {
                let back = self.back_key(dir, &walked);
                let back = back.filter(|key| {
                    self.flows[at].back == Some(*key) || self.find(dir.opposite(), key).is_none()
                });
                let flow = &mut self.flows[at];
                (flow.back, flow.decisions) = (back, walked.decisions);
                if flow.revoked {
                    flow.revoked = false;
                    self.prolong(at);
                }
            }
            Outcome::Drop(_) => {
                let flow = &mut self.flows[at];
                if !flow.revoked {
                    flow.revoked = true;
                    flow.expires = self.now + 120_000;
                }
            }
            Outcome::Passed(_) | Outcome::Reply(_) => {
                self.flows.remove(at);
                return None;
            }
        }
        self.flows[at].decided = self.epoch;
        Some(())
    }

    fn unknown(&mut self, dir: Direction, key: View, inner: &[u8], whole: &[u8]) -> Fate {
        /// How often a packet whose answers would be another flow's is walked.
        const ATTEMPTS: usize = 8;
        let nothing = vec![Decision::None; self.layers.len()];
        for attempt in 0..ATTEMPTS {
            let walked = match self.forward(dir, inner, Some(whole), &nothing, attempt == 0) {
                Outcome::Passed(walked) => walked,
                Outcome::Reply(reply) => return Fate::Reply(reply),
                Outcome::Drop(_) if attempt != 0 => break,
                Outcome::Drop(reason) => return Fate::Drop(reason),
            };
            if !walked.of_flow || key.ip.is_none() {
                return Fate::Forward(self.sent(dir, walked.frame));
            }
            let back = self.back_key(dir, &walked);
            let other = back.and_then(|key| self.find(dir.opposite(), &key));
            if let Some(other) = other {
                if !self.flows[other].revoked && self.flows[other].expires > self.now {
                    continue;
                }
                self.flows.remove(other);
            }
            let mut seen = [false; 2];
            seen[dir as usize] = true;
            self.flows.push(Flow {
                first: dir,
                frame: inner.to_vec(),
                key,
                back,
                decisions: walked.decisions,
                decided: self.epoch,
                revoked: false,
                expires: 0,
                seen,
            });
            self.prolong(self.flows.len() - 1);
            return Fate::Forward(self.sent(dir, walked.frame));
        }
        Fate::Drop(DropReason::FlowCollision)
    }

    /// The frame as it leaves the port.
    fn sent(&self, dir: Direction, frame: Vec<u8>) -> Vec<u8> {
        let frame = bytes::trimmed(&frame);
        if self.tunnel && dir == Direction::Out {
            bytes::push(&frame, 1, 2)
        } else {
            frame
        }
    }

    /// What the answer to a packet that has walked will be, if it would pass.
    fn back_key(&self, dir: Direction, walked: &Walked) -> Option<View> {
        let answer = bytes::mirror(&walked.frame);
        let key = look(&answer);
        key.ip?;
        self.back(dir.opposite(), &answer, &walked.decisions)?;
        Some(key)
    }

    fn order(&self, dir: Direction) -> Vec<usize> {
        match dir {
            Direction::Out => (0..self.layers.len()).collect(),
            Direction::In => (0..self.layers.len()).rev().collect(),
        }
    }

    /// All layers, by their rules. `whole` is the packet itself, for the rules that look at it.
    fn forward(
        &mut self,
        dir: Direction,
        frame: &[u8],
        whole: Option<&[u8]>,
        held: &[Decision],
        counts: bool,
    ) -> Outcome {
        let mut walked = Walked {
            frame: frame.to_vec(),
            decisions: vec![Decision::None; self.layers.len()],
            of_flow: true,
        };
        let mut tag = None;
        for at in self.order(dir) {
            let mut passed_over = 0;
            loop {
                let view = look(&walked.frame);
                let table = self.layers[at].table(dir);
                let found = table.matching(&view, tag).nth(passed_over);
                let Some((place, action)) = found else {
                    let default = table.default;
                    table.default_hits += u64::from(counts);
                    match default {
                        DefaultAction::Deny => return Outcome::Drop(DropReason::LayerDefaultDeny),
                        DefaultAction::StatefulAllow => walked.decisions[at] = Decision::Allow,
                        DefaultAction::Allow => {}
                    }
                    break;
                };
                if let Do::Echo | Do::Handle = action {
                    walked.of_flow = false;
                    let last = whole.map(|whole| *whole.last().unwrap());
                    let handled = match (action, last) {
                        (_, None) => Handled::NotMine,
                        (Do::Echo, Some(last)) => echo(last),
                        (_, Some(last)) => handle(last),
                    };
                    if handled == Handled::NotMine {
                        passed_over += 1;
                        continue;
                    }
                    self.layers[at].table(dir).rules[place].hits += u64::from(counts);
                    match handled {
                        Handled::Reply => return Outcome::Reply(whole.unwrap().to_vec()),
                        Handled::Deny if matches!(action, Do::Echo) => {
                            return Outcome::Drop(DropReason::LayerActionDeny);
                        }
                        Handled::Deny => return Outcome::Drop(DropReason::HandlerDeny),
                        Handled::Pass | Handled::NotMine => {}
                    }
                    break;
                }
                self.layers[at].table(dir).rules[place].hits += u64::from(counts);
                match action {
                    Do::Deny => return Outcome::Drop(DropReason::LayerRuleDeny),
                    Do::Refuse => return Outcome::Drop(DropReason::LayerActionDeny),
                    Do::StatefulAllow => walked.decisions[at] = Decision::Allow,
                    Do::SourceNat(_) | Do::DestinationNat(_) => {
                        let nat = match &held[at] {
                            Decision::Held(nat) => nat.clone(),
                            _ => match self.nat(dir, &view, action) {
                                Ok(nat) => Rc::new(nat),
                                Err(reason) => return Outcome::Drop(reason),
                            },
                        };
                        nat.change(dir, &mut walked.frame);
                        tag = Some(2);
                        walked.decisions[at] = Decision::Held(nat);
                    }
                    change => tag = plain_change(change, &mut walked.frame, tag),
                }
                break;
            }
        }
        Outcome::Passed(walked)
    }

    /// All layers, the other way than a flow's first packet went. `None` if the packet would not pass, or a rule would look
    /// at it.
    fn back(&self, dir: Direction, frame: &[u8], decisions: &[Decision]) -> Option<Vec<u8>> {
        let mut frame = frame.to_vec();
        let mut tag = None;
        for at in self.order(dir) {
            match &decisions[at] {
                Decision::Allow => continue,
                Decision::Held(nat) => {
                    nat.change(dir, &mut frame);
                    tag = Some(2);
                    continue;
                }
                Decision::None => {}
            }
            let table = match dir {
                Direction::In => &self.layers[at].into,
                Direction::Out => &self.layers[at].out,
            };
            let view = look(&frame);
            let found = table.matching(&view, tag).next();
            match found.map(|(_, action)| action) {
                None if table.default == DefaultAction::Deny => return None,
                Some(Do::Deny | Do::Refuse | Do::Echo | Do::Handle) => return None,
                None | Some(Do::SourceNat(_) | Do::DestinationNat(_)) => {}
                Some(change) => tag = plain_change(change, &mut frame, tag),
            }
        }
        Some(frame)
    }

    fn nat(&mut self, dir: Direction, view: &View, action: Do) -> Result<Nat, DropReason> {
        let Some(ip) = view.ip else {
            return Err(DropReason::LayerActionDeny);
        };
        let v6 = ip.source.is_ipv6();
        if let Do::DestinationNat(number) = action {
            return Ok(Nat {
                made: dir,
                of_source: false,
                before: End {
                    address: ip.destination,
                    port: None,
                },
                after: End {
                    address: address(v6, number),
                    port: None,
                },
            });
        }
        let Do::SourceNat(number) = action else {
            unreachable!("there are two kinds")
        };
        let port = ip
            .ports
            .map(|(source, _)| source)
            .or(ip.echo.map(|(_, id)| id));
        self.asked += 1;
        if self.given >= self.ports {
            return Err(DropReason::ActionResourceExhausted);
        }
        self.given += 1;
        Ok(Nat {
            made: dir,
            of_source: true,
            before: End {
                address: ip.source,
                port,
            },
            after: End {
                address: address(v6, number),
                port: port.map(|_| 1000 + self.given),
            },
        })
    }

    fn prolong(&mut self, at: usize) {
        let flow = &mut self.flows[at];
        let ip = flow.key.ip.unwrap();
        let seconds = match (ip.protocol, flow.seen) {
            (17, [true, true]) => 300,
            (17, _) => 120,
            (1 | 58, _) => 60,
            _ => 600,
        };
        flow.expires = self.now + seconds * 1000;
    }

    pub fn expire(&mut self) {
        let now = self.now;
        self.flows.retain(|flow| flow.expires > now);
    }

    pub fn clear_uft(&mut self) {
        self.epoch += 1;
    }

    pub fn clear_lft(&mut self, layer: usize) {
        self.epoch += 1;
        self.layers[layer].forgotten = self.epoch;
    }

    pub fn add(&mut self, layer: usize, dir: Direction, rule: &RuleCfg) -> u64 {
        self.epoch += 1;
        self.layers[layer].table(dir).add(rule)
    }

    /// Takes one of the rules out, and says which.
    pub fn remove(&mut self, layer: usize, dir: Direction, which: Index) -> Option<u64> {
        let rules = &mut self.layers[layer].table(dir).rules;
        if rules.is_empty() {
            return None;
        }
        let rule = rules.remove(which.index(rules.len()));
        self.epoch += 1;
        Some(rule.id)
    }

    pub fn set(&mut self, layer: usize, into: &[RuleCfg], out: &[RuleCfg]) {
        self.epoch += 1;
        for (dir, rules) in [(Direction::In, into), (Direction::Out, out)] {
            let table = self.layers[layer].table(dir);
            table.rules.clear();
            for rule in rules {
                table.add(rule);
            }
        }
    }

    /// Identifiers and hits of a layer's rules, in order, and hits of the default.
    pub fn counters(&self, layer: usize, dir: Direction) -> (Vec<(u64, u64)>, u64) {
        let layer = &self.layers[layer];
        let table = match dir {
            Direction::In => &layer.into,
            Direction::Out => &layer.out,
        };
        let rules = table.rules.iter();
        (
            rules.map(|rule| (rule.id, rule.hits)).collect(),
            table.default_hits,
        )
    }
}

#[derive(PartialEq, Eq)]
pub enum Handled {
    Reply,
    Deny,
    Pass,
    NotMine,
}

/// What the echo does with a frame, by its last byte.
pub fn echo(last: u8) -> Handled {
    match last {
        last if last % 2 == 0 => Handled::Reply,
        last if matches!(last % 8, 1 | 5) => Handled::Deny,
        _ => Handled::NotMine,
    }
}

/// What the network does with a frame left to it, by its last byte.
pub fn handle(last: u8) -> Handled {
    match last % 3 {
        0 => Handled::Reply,
        1 => Handled::Deny,
        _ => Handled::Pass,
    }
}

/// The address that a rule sets, in the family of the packet.
fn plain_change(change: Do, frame: &mut [u8], tag: Option<u8>) -> Option<u8> {
    let ip = look(frame).ip;
    let v6 = ip.is_some_and(|ip| ip.source.is_ipv6());
    match change {
        Do::Tag(tag) => return Some(tag),
        Do::Station(station) => bytes::set_station(frame, station),
        Do::Lifetime(lifetime) => bytes::set_lifetime(frame, lifetime),
        Do::Source(number) if ip.is_some() => {
            bytes::set_source(frame, address(v6, number), None);
        }
        Do::Destination(number) if ip.is_some() => {
            bytes::set_destination(frame, address(v6, number), None);
        }
        _ => {}
    }
    tag
}

impl Nat {
    fn change(&self, dir: Direction, frame: &mut [u8]) {
        let end = if dir == self.made {
            self.after
        } else {
            self.before
        };
        if self.of_source == (dir == self.made) {
            bytes::set_source(frame, end.address, end.port);
        } else {
            bytes::set_destination(frame, end.address, end.port);
        }
    }
}

impl Layer {
    fn table(&mut self, dir: Direction) -> &mut Table {
        match dir {
            Direction::In => &mut self.into,
            Direction::Out => &mut self.out,
        }
    }
}
