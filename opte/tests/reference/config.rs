//! What a port is made of, said once for both engines.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::rule::DefaultAction;
use proptest::prelude::*;

/// A question to a packet.
#[derive(Clone, Debug)]
pub enum Ask {
    Ethertype(u16),
    Source(IpAddr, u8),
    Destination(IpAddr, u8),
    Protocol(u8),
    SourcePort(u16, u16),
    DestinationPort(u16, u16),
    IcmpType(u8),
    /// The tag of the walk, which rules can look up.
    Tag(u8),
    /// Whether its lowest bit is set, which they cannot.
    TagIsOdd,
    Not(Box<Ask>),
    Any(Vec<Ask>),
}

/// What a rule does.
#[derive(Clone, Copy, Debug)]
pub enum Do {
    Allow,
    StatefulAllow,
    Deny,
    Tag(u8),
    /// An action that refuses.
    Refuse,
    /// Sets the source MAC address.
    Station(u8),
    /// Sets the time to live, or hop limit.
    Lifetime(u8),
    /// Sets an address.
    Source(u8),
    Destination(u8),
    /// Source NAT to an address and a port of its own for each flow.
    SourceNat(u8),
    /// Destination NAT to an address.
    DestinationNat(u8),
    /// Sends the frame back if its last byte is even, drops it if that is 1 or 5 (modulo 8), else leaves it to others.
    Echo,
    /// Leaves it to the network.
    Handle,
}

#[derive(Clone, Debug)]
pub struct RuleCfg {
    pub priority: u16,
    pub asks: Vec<Ask>,
    pub action: Do,
}

#[derive(Clone, Debug)]
pub struct LayerCfg {
    pub default_in: DefaultAction,
    pub default_out: DefaultAction,
    pub rules_in: Vec<RuleCfg>,
    pub rules_out: Vec<RuleCfg>,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub layers: Vec<LayerCfg>,
    /// Whether the network's side is a tunnel.
    pub tunnel: bool,
    /// Ports that source NAT has to give.
    pub ports: u16,
}

/// A packet to be sent.
#[derive(Clone, Debug)]
pub struct PacketCfg {
    pub v6: bool,
    pub kind: Kind,
    pub source: u8,
    pub destination: u8,
    pub source_port: u16,
    pub destination_port: u16,
    pub options: bool,
    pub padding: usize,
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Udp,
    /// A datagram without a checksum, which only IPv4 has.
    UnsummedUdp,
    EchoRequest,
    EchoReply,
    /// A protocol without ports.
    Bare,
    Arp,
}

/// Something that happens to a port.
#[derive(Clone, Debug)]
pub enum Event {
    Send(Direction, PacketCfg),
    /// The answer to the last packet that went through the other way; nothing if there was none.
    Answer(Direction),
    /// The last packet but so many, once more.
    Again(usize),
    Add(prop::sample::Index, Direction, RuleCfg),
    Remove(prop::sample::Index, Direction, prop::sample::Index),
    Set(prop::sample::Index, Vec<RuleCfg>, Vec<RuleCfg>),
    ClearUft,
    ClearLft(prop::sample::Index),
    /// Half a second, or longer than any flow lives.
    Wait(bool),
    Expire,
}

/// One of a few addresses.
pub fn address(v6: bool, number: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)).into()
    } else {
        Ipv4Addr::new(10, 0, 0, number).into()
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    let prefix = || {
        (any::<bool>(), 0u8..8, 0u8..8).prop_map(|(v6, number, cut)| {
            let width = if v6 { 128 } else { 32 };
            (address(v6, number), if cut < 4 { width - cut } else { 8 })
        })
    };
    let ports = || (0u16..6, 0u16..6).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let simple = prop_oneof![
        prop_oneof![Just(0x0800), Just(0x86dd), Just(0x0806)].prop_map(Ask::Ethertype),
        prefix().prop_map(|(address, len)| Ask::Source(address, len)),
        prefix().prop_map(|(address, len)| Ask::Destination(address, len)),
        prop_oneof![Just(17u8), Just(1), Just(58), Just(89)].prop_map(Ask::Protocol),
        ports().prop_map(|(low, high)| Ask::SourcePort(low, high)),
        ports().prop_map(|(low, high)| Ask::DestinationPort(low, high)),
        prop_oneof![Just(0u8), Just(8), Just(128), Just(129)].prop_map(Ask::IcmpType),
        (0u8..3).prop_map(Ask::Tag),
        Just(Ask::TagIsOdd),
    ];
    simple.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ask| Ask::Not(Box::new(ask))),
            prop::collection::vec(inner, 0..3).prop_map(Ask::Any),
        ]
    })
}

fn action() -> impl Strategy<Value = Do> {
    prop_oneof![
        6 => Just(Do::Allow),
        6 => Just(Do::StatefulAllow),
        3 => Just(Do::Deny),
        3 => (0u8..3).prop_map(Do::Tag),
        1 => Just(Do::Refuse),
        3 => any::<u8>().prop_map(Do::Station),
        2 => any::<u8>().prop_map(Do::Lifetime),
        1 => (0u8..8).prop_map(Do::Source),
        1 => (0u8..8).prop_map(Do::Destination),
        5 => (100u8..103).prop_map(Do::SourceNat),
        3 => (0u8..8).prop_map(Do::DestinationNat),
        1 => Just(Do::Echo),
        1 => Just(Do::Handle),
    ]
}

pub fn rule() -> impl Strategy<Value = RuleCfg> {
    let asks = prop::collection::vec(ask(), 0..3);
    (0u16..4, asks, action()).prop_map(|(priority, asks, action)| RuleCfg {
        priority,
        asks,
        action,
    })
}

fn default() -> impl Strategy<Value = DefaultAction> {
    prop_oneof![
        3 => Just(DefaultAction::Allow),
        3 => Just(DefaultAction::StatefulAllow),
        1 => Just(DefaultAction::Deny),
    ]
}

fn rules() -> impl Strategy<Value = Vec<RuleCfg>> {
    prop_oneof![
        8 => prop::collection::vec(rule(), 0..4),
        1 => prop::collection::vec(rule(), 0..40),
    ]
}

pub fn config() -> impl Strategy<Value = Config> {
    let layer = (default(), default(), rules(), rules()).prop_map(
        |(default_in, default_out, rules_in, rules_out)| LayerCfg {
            default_in,
            default_out,
            rules_in,
            rules_out,
        },
    );
    (prop::collection::vec(layer, 1..4), any::<bool>(), 1u16..20).prop_map(
        |(layers, tunnel, ports)| Config {
            layers,
            tunnel,
            ports,
        },
    )
}

fn packet() -> impl Strategy<Value = PacketCfg> {
    let kind = prop_oneof![
        6 => Just(Kind::Udp),
        1 => Just(Kind::UnsummedUdp),
        2 => Just(Kind::EchoRequest),
        1 => Just(Kind::EchoReply),
        1 => Just(Kind::Bare),
        1 => Just(Kind::Arp),
    ];
    let payload = prop::collection::vec(any::<u8>(), 0..20);
    let odd = (
        prop::bool::weighted(0.1),
        prop_oneof![4 => Just(0usize), 1 => 1usize..8],
    );
    (
        any::<bool>(),
        kind,
        0u8..8,
        0u8..8,
        0u16..6,
        0u16..6,
        odd,
        payload,
    )
        .prop_map(
            |(
                v6,
                kind,
                source,
                destination,
                source_port,
                destination_port,
                (options, padding),
                payload,
            )| {
                PacketCfg {
                    v6: v6 && kind != Kind::UnsummedUdp,
                    kind,
                    source,
                    destination,
                    source_port,
                    destination_port,
                    options,
                    padding,
                    payload,
                }
            },
        )
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::In), Just(Direction::Out)]
}

pub fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        10 => (direction(), packet()).prop_map(|(dir, packet)| Event::Send(dir, packet)),
        10 => direction().prop_map(Event::Answer),
        6 => (0usize..4).prop_map(Event::Again),
        2 => (index(), direction(), rule()).prop_map(|(layer, dir, rule)| Event::Add(layer, dir, rule)),
        2 => (index(), direction(), index()).prop_map(|(layer, dir, rule)| Event::Remove(layer, dir, rule)),
        1 => (index(), rules(), rules()).prop_map(|(layer, into, out)| Event::Set(layer, into, out)),
        1 => Just(Event::ClearUft),
        1 => index().prop_map(Event::ClearLft),
        2 => prop::bool::weighted(0.2).prop_map(Event::Wait),
        1 => Just(Event::Expire),
    ]
}
