//! A small network for the engine's tests: a firewall, NAT to one share of an address, and a tunnel.
#![allow(dead_code, unreachable_pub)]

pub mod traffic;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use opte::action::{
    Action, ActionError, AllowOrDeny, Context, Descriptor, Hairpin, HairpinAction, StatefulAction,
    StaticAction,
};
use opte::nat::{self, End, NatMapping, Share, Transport};
use opte::network::{Handled, Network};
use opte::port::{Limits, Port, PortBuilder, Position, Verdict};
use opte::predicate::{IpPrefix, Predicate};
use opte::provider::SeededRandom;
use opte::rule::{DefaultAction, Rule};
use opte::saved::Saved;
use opte::time::Moment;
use opte::{Direction, Epoch, Layer, Packet};
use opte_headers::checksum::Sum;
use opte_headers::frame::{Parsed, parse_geneve, parse_guest};
use opte_headers::{
    Ethernet, FlowKey, Geneve, Header, Ipv4, Ipv6, MacAddr, ParseError, Program, Tcp, TcpFlags,
    Transform, Udp, Vni, stack,
};

pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub const FAR: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const HEAD_ROOM: usize = 128;

/// The network. Its tunnel's far end can be moved.
pub struct Net {
    pub vni: Vni,
}

/// What its layers tell one another.
#[derive(Clone, Default)]
pub struct Meta {
    pub nat: Option<IpAddr>,
}

impl Network for Net {
    type Key = FlowKey;
    type Meta = Meta;

    fn name(&self) -> &str {
        "test"
    }

    fn parse(&self, dir: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        match dir {
            Direction::In => parse_geneve(frame),
            Direction::Out => parse_guest(frame),
        }
    }

    fn key(&self, _: Direction, parsed: &Parsed, _: &[u8]) -> FlowKey {
        parsed.key
    }

    fn return_key(&self, dir: Direction, after: &FlowKey, _: &Meta) -> FlowKey {
        after.mirror().with_vni(match dir {
            Direction::Out => self.vni,
            Direction::In => Vni::default(),
        })
    }

    fn handle_packet(&self, _: Direction, _: &Parsed, frame: &[u8], reply: &mut [u8]) -> Handled {
        match reply.get_mut(..frame.len()) {
            Some(reply) => {
                reply.copy_from_slice(frame);
                Handled::Reply(frame.len())
            }
            None => Handled::TooLong,
        }
    }
}

/// Puts the tunnel on, and takes it off.
pub struct Tunnel {
    pub vni: Vni,
    /// The last byte of the far end's address; zero: there is none.
    pub far_end: Arc<AtomicU32>,
}

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
        if dir == Direction::In {
            let off = Transform::on::<stack![Ethernet, Ipv6, Udp, Geneve, Ethernet]>();
            return Ok(AllowOrDeny::Allow(
                off.pop::<Ethernet>()
                    .pop::<Ipv6>()
                    .pop::<Udp>()
                    .pop::<Geneve>()
                    .try_compile()?,
            ));
        }
        let far_end = self.far_end.load(Ordering::Relaxed);
        if far_end == 0 {
            return Ok(AllowOrDeny::Deny);
        }
        let on = Transform::on::<stack![Ethernet, Ipv4]>()
            .push(Geneve {
                vni: self.vni,
                ..Geneve::default()
            })
            .push(Udp {
                source: 0xc000,
                destination: Geneve::PORT,
                ..Udp::default()
            })
            .push(Ipv6 {
                source: host(1),
                destination: host(far_end),
                ..Ipv6::default()
            })
            .push(Ethernet::default());
        Ok(AllowOrDeny::Allow(on.try_compile()?))
    }
}

pub fn host(number: u32) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number as u16)
}

/// Source NAT to a share.
pub struct SourceNat(pub Arc<Share>);

impl fmt::Display for SourceNat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

struct Nat {
    share: Arc<Share>,
    lease: NatMapping,
    private: IpAddr,
    private_port: u16,
    transport: Transport,
    /// Shares that are configured no more have the highest bit here.
    valid: bool,
}

impl StatefulAction<Net> for SourceNat {
    fn share(&self) -> Option<&Arc<Share>> {
        Some(&self.0)
    }

    fn descriptor(
        &self,
        _: Direction,
        key: &FlowKey,
        _: &mut Meta,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<Net>>>, ActionError> {
        Ok(match self.0.lease(key, context)? {
            AllowOrDeny::Deny => AllowOrDeny::Deny,
            AllowOrDeny::Allow(lease) => AllowOrDeny::Allow(Arc::new(Nat {
                share: self.0.clone(),
                lease,
                private: key.source_ip(),
                private_port: key.source_port,
                transport: Transport::of(key),
                valid: true,
            })),
        })
    }

    fn restore(
        &self,
        dir: Direction,
        key: &FlowKey,
        _: &mut Meta,
        saved: &Saved,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<Net>>>, ActionError> {
        Ok(match self.0.restore(dir, key, saved, context) {
            AllowOrDeny::Deny => AllowOrDeny::Deny,
            AllowOrDeny::Allow(lease) => AllowOrDeny::Allow(Arc::new(Nat {
                share: self.0.clone(),
                lease,
                private: key.source_ip(),
                private_port: key.source_port,
                transport: Transport::of(key),
                valid: true,
            })),
        })
    }

    fn retains(&self, _: Direction, _: &FlowKey, _: &Meta, held: &dyn Descriptor<Net>) -> bool {
        held.is_valid()
    }
}

impl Descriptor<Net> for Nat {
    fn program(&self, dir: Direction) -> Result<Program, ActionError> {
        Ok(match dir {
            Direction::Out => nat::set_source(
                End::port(self.share.address(), self.lease.port()),
                self.transport,
            )?,
            Direction::In => {
                nat::set_destination(End::port(self.private, self.private_port), self.transport)?
            }
        })
    }

    fn mark(&self, _: Direction, meta: &mut Meta) {
        meta.nat = Some(self.share.address());
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn save(&self) -> Option<Saved> {
        self.lease.save()
    }

    fn discard(&self) {
        self.lease.discard();
    }

    fn name(&self) -> &'static str {
        "SNAT"
    }
}

/// Answers by sending the frame back, if its last byte is even.
pub struct Echo;

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("echo")
    }
}

impl HairpinAction for Echo {
    fn reply(&self, _: Direction, _: &Parsed, frame: &[u8], reply: &mut [u8]) -> Hairpin {
        if frame.last().is_some_and(|last| last % 2 == 1) {
            return Hairpin::Pass;
        }
        match reply.get_mut(..frame.len()) {
            Some(reply) => {
                reply.copy_from_slice(frame);
                Hairpin::Reply(frame.len())
            }
            None => Hairpin::TooLong,
        }
    }
}

/// A port of the network with what its layers hold, and a clock.
pub struct Bench {
    pub port: Port<Net>,
    pub share: Arc<Share>,
    pub far_end: Arc<AtomicU32>,
    pub mappings: Epoch,
    pub now: Moment,
}

/// Which part of the engine's behaviour a bench is to have.
pub struct Shape {
    pub flows: u32,
    pub ports: std::ops::RangeInclusive<u16>,
    pub builder: fn(PortBuilder<Net>) -> PortBuilder<Net>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            flows: 1000,
            ports: 4096..=8191,
            builder: |builder| builder,
        }
    }
}

pub fn vni() -> Vni {
    Vni::new(77).unwrap()
}

impl Bench {
    pub fn new() -> Self {
        Self::of(Shape::default())
    }

    pub fn of(shape: Shape) -> Self {
        let ports = (*shape.ports.start(), *shape.ports.end());
        let share = Share::new(
            IpAddr::V4(PUBLIC),
            opte::api::PortRange::new(ports.0, ports.1).unwrap(),
        )
        .unwrap();
        let far_end = Arc::new(AtomicU32::new(2));
        let mappings = Epoch::new();
        let firewall = Layer::new(
            "firewall",
            DefaultAction::Deny,
            DefaultAction::StatefulAllow,
        );
        let nat = Layer::new("nat", DefaultAction::Allow, DefaultAction::Allow)
            .with_rule(Direction::Out, snat_rule(&share));
        let tunnel = || {
            Action::Static(Arc::new(Tunnel {
                vni: vni(),
                far_end: far_end.clone(),
            }) as Arc<dyn StaticAction<Net>>)
        };
        let overlay = Layer::new("overlay", DefaultAction::Deny, DefaultAction::Deny)
            .with_rule(Direction::In, Rule::match_any(1, tunnel()))
            .with_rule(Direction::Out, Rule::match_any(1, tunnel()));
        let builder = PortBuilder::new("p1", Net { vni: vni() }, Arc::new(SeededRandom::new(7)))
            .limits(Limits {
                flows: NonZeroU32::new(shape.flows).unwrap(),
                ..Limits::default()
            })
            .follows(&mappings)
            .layer(nat, Position::First)
            .unwrap()
            .layer(overlay, Position::Last)
            .unwrap()
            .layer(firewall, Position::Before("nat"))
            .unwrap();
        let port = (shape.builder)(builder).build();
        port.start();
        Self {
            port,
            share,
            far_end,
            mappings,
            now: Moment::from_secs(1000),
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub fn send(&self, dir: Direction, frame: &[u8]) -> Sent {
        let mut buf = vec![0; HEAD_ROOM + frame.len()];
        buf[HEAD_ROOM..].copy_from_slice(frame);
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
        let mut reply = [0; 2048];
        let verdict = self.port.process(dir, self.now, &mut packet, &mut reply);
        let frame = match verdict {
            Verdict::Hairpin(len) => reply[..len as usize].to_vec(),
            _ => packet.frame().to_vec(),
        };
        Sent { verdict, frame }
    }

    /// A frame of the guest, which must go through; the key of what is in the tunnel then.
    pub fn out(&self, frame: &[u8]) -> FlowKey {
        let sent = self.send(Direction::Out, frame);
        assert!(
            matches!(sent.verdict, Verdict::Forward { .. }),
            "{:?}",
            sent.verdict
        );
        sums_are_right(&sent.frame);
        parse_geneve(&sent.frame).unwrap().key
    }

    /// A frame from the tunnel, which must go through; its key at the guest.
    pub fn inward(&self, frame: &[u8]) -> FlowKey {
        let sent = self.send(Direction::In, &tunnelled(frame));
        assert!(
            matches!(sent.verdict, Verdict::Forward { .. }),
            "{:?}",
            sent.verdict
        );
        sums_are_right(&sent.frame);
        parse_guest(&sent.frame).unwrap().key
    }

    pub fn allow_in(&self, protocol: opte_headers::IpProtocol, port: u16) -> u64 {
        let predicates = [
            Predicate::Protocol(protocol),
            Predicate::DestinationPort(port..=port),
        ];
        let rule = Rule::new(10, predicates, Action::StatefulAllow);
        self.port.add_rule("firewall", Direction::In, rule).unwrap()
    }
}

/// NAT for what leaves 10/8.
pub fn snat_rule(share: &Arc<Share>) -> Rule<Net> {
    let inside = IpPrefix::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8).unwrap();
    let outside = Predicate::Not(Box::new(Predicate::Destination(inside)));
    Rule::new(
        100,
        [Predicate::Source(inside), outside],
        Action::Stateful(Arc::new(SourceNat(share.clone()))),
    )
}

/// What became of a frame.
#[derive(Debug)]
pub struct Sent {
    pub verdict: Verdict,
    pub frame: Vec<u8>,
}

/// One end of a frame to be made.
pub type Endpoint = (Ipv4Addr, u16);

pub fn tcp_frame(
    from: Endpoint,
    to: Endpoint,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    payload: &[u8],
) -> Vec<u8> {
    let tcp = Tcp {
        source: from.1,
        destination: to.1,
        sequence: seq,
        acknowledgement: ack,
        flags,
        window: 60000,
        ..Tcp::default()
    };
    ip_frame(
        from.0,
        to.0,
        opte_headers::IpProtocol::TCP,
        &emitted(&tcp),
        16,
        payload,
    )
}

pub fn udp_frame(from: Endpoint, to: Endpoint, payload: &[u8]) -> Vec<u8> {
    let udp = Udp {
        source: from.1,
        destination: to.1,
        length: 8 + payload.len() as u16,
        ..Udp::default()
    };
    ip_frame(
        from.0,
        to.0,
        opte_headers::IpProtocol::UDP,
        &emitted(&udp),
        6,
        payload,
    )
}

fn ip_frame(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: opte_headers::IpProtocol,
    transport: &[u8],
    checksum_at: usize,
    payload: &[u8],
) -> Vec<u8> {
    let ip = Ipv4 {
        source: from,
        destination: to,
        protocol,
        total_len: (20 + transport.len() + payload.len()) as u16,
        ..Ipv4::default()
    };
    let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
    let ethernet = Ethernet {
        destination: mac(1),
        source: mac(2),
        ethertype: opte_headers::Ethertype::IPV4,
    };
    let mut frame = emitted(&ethernet);
    let mut ip = emitted(&ip);
    let sum = Sum::of(&ip).checksum();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut segment = [transport, payload].concat();
    let sum = transport_sum(&ip, &segment);
    segment[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend(segment);
    frame
}

/// The checksum over a pseudo-header and a segment; zero, or 0xffff, over one that holds its own.
fn transport_sum(ip: &[u8], segment: &[u8]) -> u16 {
    let len = (segment.len() as u16).to_be_bytes();
    Sum::of(&ip[12..20])
        .with(&[0, ip[9]])
        .with(&len)
        .with(segment)
        .checksum()
}

/// The frame within the tunnel's headers.
pub fn tunnelled(frame: &[u8]) -> Vec<u8> {
    let geneve = emitted(&Geneve {
        vni: vni(),
        ..Geneve::default()
    });
    let len = (8 + geneve.len() + frame.len()) as u16;
    let udp = Udp {
        source: 50000,
        destination: Geneve::PORT,
        length: len,
        ..Udp::default()
    };
    let ip = Ipv6 {
        source: host(2),
        destination: host(1),
        payload_len: len,
        next_header: opte_headers::IpProtocol::UDP,
        hop_limit: 64,
        ..Ipv6::default()
    };
    let ethernet = Ethernet {
        ethertype: opte_headers::Ethertype::IPV6,
        ..Ethernet::default()
    };
    [
        emitted(&ethernet),
        emitted(&ip),
        emitted(&udp),
        geneve,
        frame.to_vec(),
    ]
    .concat()
}

fn emitted(header: &impl Header) -> Vec<u8> {
    let mut bytes = vec![0; header.len()];
    header.emit(&mut bytes).unwrap();
    bytes
}

/// Every checksum of the innermost IP packet.
pub fn sums_are_right(frame: &[u8]) {
    let parsed = parse_guest(frame).ok().filter(|parsed| parsed.key.is_v4());
    let parsed = parsed.unwrap_or_else(|| parse_geneve(frame).unwrap());
    let (l3, l4) = (parsed.l3().unwrap(), parsed.l4().unwrap());
    assert_eq!(Sum::of(&frame[l3..l4]).checksum(), 0, "IPv4 header");
    assert_eq!(transport_sum(&frame[l3..l4], &frame[l4..]), 0, "transport");
}
