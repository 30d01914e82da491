//! The same configuration for the engine.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use opte::action::{
    Action, ActionError, AllowOrDeny, Context, Descriptor, Hairpin, HairpinAction, MetaAction,
    StatefulAction, StaticAction,
};
use opte::nat::{End, Transport, set_destination, set_source};
use opte::network::{self, Network};
use opte::port::{self, Limits, Port, PortBuilder, Position, Verdict};
use opte::predicate::{IpPrefix, MetaPredicate, Predicate};
use opte::provider::SeededRandom;
use opte::rule::{DefaultAction, Rule};
use opte::time::Moment;
use opte::{Direction, Layer, Packet};
use opte_headers::frame::{KeyKind, Parsed, parse_geneve, parse_guest};
use opte_headers::transform::{Set, Transform};
use opte_headers::{
    Ethernet, Ethertype, FlowKey, Geneve, IpProtocol, Ipv4, Ipv6, MacAddr, ParseError, Program,
    Udp, Vni, ethernet, ipv4, ipv6, stack,
};

use crate::bytes::VNI;
use crate::config::{Ask, Config, Do, RuleCfg, address};
use crate::plain::{self, Fate, Handled};

pub struct Net {
    tunnel: bool,
}

#[derive(Clone, Default)]
pub struct Meta {
    tag: Option<u8>,
}

impl Network for Net {
    type Key = FlowKey;
    type Meta = Meta;

    fn parse(&self, dir: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        if self.tunnel && dir == Direction::In {
            parse_geneve(frame)
        } else {
            parse_guest(frame)
        }
    }

    fn key(&self, _: Direction, parsed: &Parsed, _: &[u8]) -> FlowKey {
        parsed.key
    }

    fn return_key(&self, dir: Direction, after: &FlowKey, _: &Meta) -> FlowKey {
        let tunnelled = self.tunnel && dir == Direction::Out;
        let vni = if tunnelled { vni() } else { Vni::default() };
        after.mirror().with_vni(vni)
    }

    fn meta_value(meta: &Meta, _: usize) -> Option<u64> {
        meta.tag.map(u64::from)
    }

    fn handle_packet(
        &self,
        _: Direction,
        _: &Parsed,
        frame: &[u8],
        reply: &mut [u8],
    ) -> network::Handled {
        match plain::handle(*frame.last().unwrap()) {
            Handled::Reply => {
                reply[..frame.len()].copy_from_slice(frame);
                network::Handled::Reply(frame.len())
            }
            Handled::Deny => network::Handled::Deny,
            Handled::Pass | Handled::NotMine => network::Handled::Allow,
        }
    }
}

fn vni() -> Vni {
    Vni::new(VNI).unwrap()
}

/// What source NAT has to give, and what of it is in use.
#[derive(Default)]
pub struct Ports {
    limit: u32,
    given: AtomicU32,
    pub in_use: AtomicI64,
}

/// A simple action.
struct Simple(Do, Arc<Ports>);

impl fmt::Display for Simple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl MetaAction<Net> for Simple {
    fn modify(
        &self,
        _: Direction,
        _: &FlowKey,
        meta: &mut Meta,
    ) -> Result<AllowOrDeny<()>, ActionError> {
        match self.0 {
            Do::Tag(tag) => meta.tag = Some(tag),
            _ => return Ok(AllowOrDeny::Deny),
        }
        Ok(AllowOrDeny::Allow(()))
    }
}

impl StaticAction<Net> for Simple {
    fn transform(
        &self,
        _: Direction,
        key: &FlowKey,
        _: &mut Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        let is_ip = key.kind != KeyKind::NOT_IP;
        let transport = Transport::of(key);
        let to = |number| End::address(address(key.is_v6(), number));
        Ok(AllowOrDeny::Allow(match self.0 {
            Do::Station(station) => Transform::on::<stack![Ethernet]>()
                .set::<ethernet::Source>(MacAddr([2, 0, 0, 0, 1, station]))
                .try_compile()?,
            Do::Refuse => return Ok(AllowOrDeny::Deny),
            _ if !is_ip => Program::IDENTITY,
            Do::Lifetime(lifetime) if key.is_v4() => Transform::on::<stack![Ethernet, Ipv4]>()
                .set::<ipv4::Ttl>(lifetime)
                .try_compile()?,
            Do::Lifetime(lifetime) => Transform::on::<stack![Ethernet, Ipv6]>()
                .set::<ipv6::HopLimit>(lifetime)
                .try_compile()?,
            Do::Source(number) => set_source(to(number), transport)?,
            Do::Destination(number) => set_destination(to(number), transport)?,
            _ => return Ok(AllowOrDeny::Deny),
        }))
    }
}

impl HairpinAction for Simple {
    fn reply(&self, _: Direction, _: &Parsed, frame: &[u8], reply: &mut [u8]) -> Hairpin {
        match plain::echo(*frame.last().unwrap()) {
            Handled::Reply => {
                reply[..frame.len()].copy_from_slice(frame);
                Hairpin::Reply(frame.len())
            }
            Handled::Deny => Hairpin::Deny,
            Handled::Pass | Handled::NotMine => Hairpin::Pass,
        }
    }
}

struct Nat {
    made: Direction,
    of_source: bool,
    before: End,
    after: End,
    transport: Transport,
    ports: Option<Arc<Ports>>,
}

impl StatefulAction<Net> for Simple {
    fn descriptor(
        &self,
        dir: Direction,
        key: &FlowKey,
        _: &mut Meta,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<Net>>>, ActionError> {
        if key.kind == KeyKind::NOT_IP {
            return Ok(AllowOrDeny::Deny);
        }
        let of_source = matches!(self.0, Do::SourceNat(_));
        let (Do::SourceNat(number) | Do::DestinationNat(number)) = self.0 else {
            return Ok(AllowOrDeny::Deny);
        };
        let mut nat = Nat {
            made: dir,
            of_source,
            before: End::address(key.destination_ip()),
            after: End::address(address(key.is_v6(), number)),
            transport: Transport::of(key),
            ports: None,
        };
        if of_source {
            let given = self.1.given.load(Ordering::Relaxed);
            if given >= self.1.limit {
                return Err(ActionError::Exhausted("ports"));
            }
            if !context.dry_run {
                self.1.given.store(given + 1, Ordering::Relaxed);
                self.1.in_use.fetch_add(1, Ordering::Relaxed);
                nat.ports = Some(self.1.clone());
            }
            nat.before = End::address(key.source_ip());
            if nat.transport != Transport::Opaque {
                nat.before.port = Some(key.source_port);
                nat.after.port = Some(1001 + given as u16);
            }
        }
        Ok(AllowOrDeny::Allow(Arc::new(nat)))
    }
}

impl Descriptor<Net> for Nat {
    fn program(&self, dir: Direction) -> Result<Program, ActionError> {
        let end = if dir == self.made {
            self.after
        } else {
            self.before
        };
        Ok(if self.of_source == (dir == self.made) {
            set_source(end, self.transport)?
        } else {
            set_destination(end, self.transport)?
        })
    }

    fn mark(&self, _: Direction, meta: &mut Meta) {
        meta.tag = Some(2);
    }

    fn name(&self) -> &'static str {
        "NAT"
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        if let Some(ports) = &self.ports {
            ports.in_use.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The tunnel's headers, on and off.
struct Tunnel;

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tunnel")
    }
}

impl StaticAction<Net> for Tunnel {
    fn transform(
        &self,
        dir: Direction,
        _: &FlowKey,
        _: &mut Meta,
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (address(true, 1), address(true, 2))
        else {
            unreachable!("both are of IPv6")
        };
        let program = match dir {
            Direction::In => Transform::on::<stack![Ethernet, Ipv6, Udp, Geneve, Ethernet]>()
                .pop::<Ethernet>()
                .pop::<Ipv6>()
                .pop::<Udp>()
                .pop::<Geneve>()
                .try_compile()?,
            Direction::Out => Transform::on::<stack![Ethernet]>()
                .push(Geneve {
                    vni: vni(),
                    ..Geneve::default()
                })
                .push(Udp {
                    source: 0xc000,
                    ..Udp::default()
                })
                .push(Ipv6 {
                    source,
                    destination,
                    hop_limit: 64,
                    ..Ipv6::default()
                })
                .push(Ethernet::default())
                .try_compile()?,
        };
        Ok(AllowOrDeny::Allow(program))
    }
}

struct TagIs(Option<u8>);

impl MetaPredicate<Net> for TagIs {
    fn matches(&self, meta: &Meta) -> bool {
        match self.0 {
            Some(_) => meta.tag == self.0,
            None => meta.tag.is_some_and(|tag| tag % 2 == 1),
        }
    }

    fn value(&self) -> Option<(usize, u64)> {
        Some((0, u64::from(self.0?)))
    }
}

impl fmt::Display for TagIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag={:?}", self.0)
    }
}

fn predicate(ask: &Ask) -> Predicate<Net> {
    let prefix = |address: &IpAddr, len: &u8| IpPrefix::new(*address, *len).unwrap();
    match ask {
        Ask::Ethertype(ethertype) => Predicate::Ethertype(Ethertype(*ethertype)),
        Ask::Source(address, len) => Predicate::Source(prefix(address, len)),
        Ask::Destination(address, len) => Predicate::Destination(prefix(address, len)),
        Ask::Protocol(protocol) => Predicate::Protocol(IpProtocol(*protocol)),
        Ask::SourcePort(low, high) => Predicate::SourcePort(*low..=*high),
        Ask::DestinationPort(low, high) => Predicate::DestinationPort(*low..=*high),
        Ask::IcmpType(ty) => Predicate::IcmpType(*ty..=*ty),
        Ask::Tag(tag) => Predicate::Meta(Arc::new(TagIs(Some(*tag)))),
        Ask::TagIsOdd => Predicate::Meta(Arc::new(TagIs(None))),
        Ask::Not(ask) => Predicate::Not(Box::new(predicate(ask))),
        Ask::Any(asks) => Predicate::Any(asks.iter().map(predicate).collect()),
    }
}

/// The engine with the same face as the reference.
pub struct Real {
    port: Port<Net>,
    pub ports: Arc<Ports>,
    start: Moment,
}

/// Bytes before a frame.
const HEAD_ROOM: usize = 128;

impl Real {
    pub fn new(cfg: &Config) -> Self {
        let ports = Arc::new(Ports {
            limit: cfg.ports.into(),
            ..Ports::default()
        });
        let net = Net { tunnel: cfg.tunnel };
        let mut builder =
            PortBuilder::new("p1", net, Arc::new(SeededRandom::new(1))).limits(Limits {
                flows: NonZeroU32::new(1000).unwrap(),
                ..Limits::default()
            });
        for (number, layer) in cfg.layers.iter().enumerate() {
            let mut real = Layer::new(number.to_string(), layer.default_in, layer.default_out);
            for (dir, rules) in [
                (Direction::In, &layer.rules_in),
                (Direction::Out, &layer.rules_out),
            ] {
                for cfg in rules {
                    real.add_rule(dir, rule(cfg, &ports));
                }
            }
            builder = builder.layer(real, Position::Last).unwrap();
        }
        if cfg.tunnel {
            let tunnel = || Rule::match_any(1, Action::Static(Arc::new(Tunnel)));
            let layer = Layer::new("tunnel", DefaultAction::Deny, DefaultAction::Deny)
                .with_rule(Direction::In, tunnel())
                .with_rule(Direction::Out, tunnel());
            builder = builder.layer(layer, Position::Last).unwrap();
        }
        let port = builder.build();
        port.start();
        Self {
            port,
            ports,
            start: Moment::from_secs(1000),
        }
    }

    fn at(&self, now: u64) -> Moment {
        self.start + std::time::Duration::from_millis(now)
    }

    pub fn process(&self, dir: Direction, now: u64, frame: &[u8]) -> Fate {
        let mut buf = [&[0; HEAD_ROOM][..], frame].concat();
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
        let mut reply = [0; 512];
        match self
            .port
            .process(dir, self.at(now), &mut packet, &mut reply)
        {
            Verdict::Forward { .. } => Fate::Forward(packet.frame().to_vec()),
            Verdict::Hairpin(len) => Fate::Reply(reply[..len as usize].to_vec()),
            Verdict::Drop(reason) => Fate::Drop(reason),
            other => unreachable!("{other:?}"),
        }
    }

    /// What would become of a packet.
    pub fn trace(&self, dir: Direction, now: u64, frame: &[u8]) -> Fate {
        match self.port.trace(dir, self.at(now), frame).fate {
            port::Fate::Forward(frame) => Fate::Forward(frame),
            port::Fate::Hairpin(reply) => Fate::Reply(reply),
            port::Fate::Drop(reason) => Fate::Drop(reason),
            other => unreachable!("{other:?}"),
        }
    }

    pub fn expire(&self, now: u64) {
        while self.port.expire(self.at(now), 100).more {}
    }

    pub fn clear_uft(&self) {
        self.port.clear_uft().unwrap();
    }

    pub fn clear_lft(&self, layer: usize) {
        self.port.clear_lft(&layer.to_string()).unwrap();
    }

    pub fn add(&self, layer: usize, dir: Direction, cfg: &RuleCfg) -> u64 {
        let rule = rule(cfg, &self.ports);
        self.port.add_rule(&layer.to_string(), dir, rule).unwrap()
    }

    pub fn remove(&self, layer: usize, dir: Direction, id: u64) {
        self.port.remove_rule(&layer.to_string(), dir, id).unwrap();
    }

    pub fn set(&self, layer: usize, into: &[RuleCfg], out: &[RuleCfg]) {
        let all = |rules: &[RuleCfg]| rules.iter().map(|cfg| rule(cfg, &self.ports)).collect();
        self.port
            .set_rules(&layer.to_string(), all(into), all(out))
            .unwrap();
    }

    /// Identifiers and hits of a layer's rules, in order, and hits of the default.
    pub fn counters(&self, layer: usize, dir: Direction) -> (Vec<(u64, u64)>, u64) {
        let mut page = opte::api::Page::FIRST;
        let mut rules = Vec::new();
        loop {
            let dump = self.port.dump_layer(&layer.to_string(), page).unwrap();
            let of_dir = dump.rules.iter().filter(|rule| rule.dir == dir);
            rules.extend(of_dir.map(|rule| (rule.id, rule.hits)));
            match dump.next {
                Some(cursor) => page.cursor = cursor,
                None => {
                    let default = match dir {
                        Direction::In => dump.default_in,
                        Direction::Out => dump.default_out,
                    };
                    return (rules, default.hits);
                }
            }
        }
    }

    /// Flows and programs held.
    pub fn held(&self) -> (u32, usize) {
        let counters = self.port.counters();
        (counters.flows, counters.programs)
    }
}

fn rule(cfg: &RuleCfg, ports: &Arc<Ports>) -> Rule<Net> {
    let simple = || Arc::new(Simple(cfg.action, ports.clone()));
    let action = match cfg.action {
        Do::Allow => Action::Allow,
        Do::StatefulAllow => Action::StatefulAllow,
        Do::Deny => Action::Deny,
        Do::Tag(_) => Action::Meta(simple()),
        Do::Refuse | Do::Station(_) | Do::Lifetime(_) | Do::Source(_) | Do::Destination(_) => {
            Action::Static(simple())
        }
        Do::SourceNat(_) | Do::DestinationNat(_) => Action::Stateful(simple()),
        Do::Echo => Action::Hairpin(simple()),
        Do::Handle => Action::HandlePacket,
    };
    Rule::new(cfg.priority, cfg.asks.iter().map(predicate), action)
}
