//! The layers of a port.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;

use opte::Direction;
use opte::action::{
    Action, ActionError, AllowOrDeny, Context, Descriptor, HairpinAction, Shown, StatefulAction,
    StaticAction,
};
use opte::layer::Layer;
use opte::nat::{End, NatMapping, Share, Transport, set_destination, set_source};
use opte::port::RuleChange;
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::{DefaultAction, Rule};
use opte::saved::Saved;
use opte::services::{Hairpinned, arp, dhcp4};
use opte_headers::program::Program;
use opte_headers::transform::{Set, Transform};
use opte_headers::{Ethernet, Ethertype, FlowKey, IpProtocol, MacAddr, ethernet, stack};

use crate::network::{OWN_MAC, Present};
use crate::{IpConfig, LanNat};

/// The guest's own address and no other, and what is answered in the gateway's place.
pub const GATEWAY: &str = "gateway";
/// The firewall.
pub const FIREWALL: &str = "firewall";
/// Network address and port translation.
pub const NAT: &str = "nat";
/// The LAN's link layer.
pub const LAN: &str = "lan";

/// The rules of a layer.
#[derive(Default)]
pub(crate) struct Rules {
    inbound: Vec<Rule<LanNat>>,
    outbound: Vec<Rule<LanNat>>,
}

impl Rules {
    /// Puts them in the place of those that the layer has.
    pub(crate) fn change(self, layer: &str) -> RuleChange<LanNat> {
        RuleChange::Set {
            layer: layer.into(),
            inbound: self.inbound,
            outbound: self.outbound,
        }
    }

    fn of(self, mut layer: Layer<LanNat>) -> Layer<LanNat> {
        for (dir, rules) in [
            (Direction::In, self.inbound),
            (Direction::Out, self.outbound),
        ] {
            for rule in rules {
                layer.add_rule(dir, rule);
            }
        }
        layer
    }
}

/// The layers in outbound order.
pub(crate) fn all(cfg: &IpConfig, mtu: u16, present: &Arc<Present>) -> [Layer<LanNat>; 4] {
    use DefaultAction::{Allow, Deny, StatefulAllow};
    [
        gateway(cfg, mtu).of(Layer::new(GATEWAY, Deny, Deny)),
        Layer::new(FIREWALL, Deny, StatefulAllow),
        nat(cfg, present, &present.share()).of(Layer::new(NAT, Allow, Deny)),
        lan(cfg).of(Layer::new(LAN, Deny, Deny)),
    ]
}

pub(crate) fn gateway(cfg: &IpConfig, mtu: u16) -> Rules {
    let arp = Hairpinned::new(arp::Responder::new(arp::Config {
        guest_mac: cfg.guest_mac,
        gateway_mac: cfg.gateway_mac,
        gateway_ip: cfg.gateway_ip,
    }));
    let dhcp = Hairpinned::new(dhcp4::Server::new(&dhcp4::Config {
        mtu,
        ..dhcp4::Config::new(
            cfg.guest_mac,
            cfg.private_ip,
            cfg.gateway_mac,
            cfg.gateway_ip,
        )
    }));
    let to_server = Predicate::Any([Ipv4Addr::BROADCAST, cfg.gateway_ip].map(to).into());
    let udp = Predicate::Protocol(IpProtocol::UDP);
    let ports = [
        Predicate::SourcePort(68..=68),
        Predicate::DestinationPort(67..=67),
    ];
    let dhcp_asked = ports.into_iter().chain([udp, to_server, own_mac()]);
    // What is to all is to those on the guest's own link: nobody.
    let groups = IpPrefix::new(Ipv4Addr::new(224, 0, 0, 0).into(), 4).map(Predicate::Destination);
    let to_all = groups
        .into_iter()
        .chain([to(Ipv4Addr::BROADCAST)])
        .collect();
    Rules {
        inbound: Vec::from([Rule::new(1000, [to(cfg.private_ip)], Action::Allow)]),
        outbound: Vec::from([
            Rule::new(1, [ethertype(Ethertype::ARP), own_mac()], hairpin(arp)),
            Rule::new(1, dhcp_asked, hairpin(dhcp)),
            Rule::new(100, [Predicate::Any(to_all)], Action::Deny),
            Rule::new(1000, [from(cfg.private_ip), own_mac()], Action::Allow),
        ]),
    }
}

pub(crate) fn nat(cfg: &IpConfig, present: &Arc<Present>, share: &Arc<Share>) -> Rules {
    let snat: Arc<dyn StatefulAction<LanNat>> = Arc::new(Snat {
        private: cfg.private_ip,
        share: Arc::clone(share),
        present: Arc::clone(present),
    });
    let outbound = Action::Stateful(Arc::clone(&snat));
    let inbound = Rule::new(100, [to(cfg.public_ip)], Action::Stateful(snat));
    Rules {
        inbound: Vec::from([inbound]),
        outbound: Vec::from([Rule::new(100, [ethertype(Ethertype::IPV4)], outbound)]),
    }
}

pub(crate) fn lan(cfg: &IpConfig) -> Rules {
    let out = Stations::new(cfg.public_mac, cfg.gateway_mac);
    let into = Stations::new(cfg.gateway_mac, cfg.guest_mac);
    Rules {
        inbound: Vec::from([
            Rule::new(1, [ethertype(Ethertype::ARP)], Action::HandlePacket),
            Rule::new(10, [to(cfg.public_ip), own_mac()], Action::Static(into)),
        ]),
        outbound: Vec::from([Rule::match_any(1, Action::Static(out))]),
    }
}

fn hairpin(action: impl HairpinAction + 'static) -> Action<LanNat> {
    Action::Hairpin(Arc::new(action))
}

fn ethertype(ethertype: Ethertype) -> Predicate<LanNat> {
    Predicate::Ethertype(ethertype)
}

fn own_mac() -> Predicate<LanNat> {
    Predicate::Flags {
        mask: OWN_MAC,
        value: OWN_MAC,
        name: "own MAC",
    }
}

fn from(address: Ipv4Addr) -> Predicate<LanNat> {
    Predicate::Source(IpPrefix::exact(address))
}

fn to(address: Ipv4Addr) -> Predicate<LanNat> {
    Predicate::Destination(IpPrefix::exact(address))
}

/// Sends frames between two stations.
struct Stations {
    source: MacAddr,
    destination: MacAddr,
    program: Arc<Program>,
}

impl Stations {
    fn new(source: MacAddr, destination: MacAddr) -> Arc<Self> {
        let program = Transform::on::<stack![Ethernet]>()
            .set::<ethernet::Source>(source)
            .set::<ethernet::Destination>(destination)
            .compile();
        Arc::new(Self {
            source,
            destination,
            program: Arc::new(program),
        })
    }
}

impl StaticAction<LanNat> for Stations {
    fn transform(
        &self,
        _: Direction,
        _: &FlowKey,
        (): &mut (),
    ) -> Result<AllowOrDeny<Program>, ActionError> {
        Ok(AllowOrDeny::Allow(*self.program))
    }

    fn show(
        &self,
        _: Direction,
        _: &FlowKey,
        (): &mut (),
        taker: &mut dyn FnMut(Shown<'_>),
    ) -> Result<AllowOrDeny<()>, ActionError> {
        taker(Shown::Kept(&self.program));
        Ok(AllowOrDeny::Allow(()))
    }
}

impl fmt::Display for Stations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} => {}", self.source, self.destination)
    }
}

/// A port of the public address for the guest's address and port.
struct Snat {
    private: Ipv4Addr,
    share: Arc<Share>,
    present: Arc<Present>,
}

impl StatefulAction<LanNat> for Snat {
    fn share(&self) -> Option<&Arc<Share>> {
        Some(&self.share)
    }

    fn descriptor(
        &self,
        dir: Direction,
        key: &FlowKey,
        (): &mut (),
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<LanNat>>>, ActionError> {
        let mapping = match dir {
            Direction::Out => match self.share.lease(key, context)? {
                AllowOrDeny::Allow(mapping) => mapping,
                AllowOrDeny::Deny => return Ok(AllowOrDeny::Deny),
            },
            Direction::In => self.share.accept(key, context)?,
        };
        Ok(AllowOrDeny::Allow(Arc::new(self.flow(key, mapping))))
    }

    fn restore(
        &self,
        dir: Direction,
        key: &FlowKey,
        (): &mut (),
        saved: &Saved,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<LanNat>>>, ActionError> {
        Ok(match self.share.restore(dir, key, saved, context) {
            AllowOrDeny::Allow(mapping) => AllowOrDeny::Allow(Arc::new(self.flow(key, mapping))),
            AllowOrDeny::Deny => AllowOrDeny::Deny,
        })
    }
}

impl Snat {
    fn flow(&self, key: &FlowKey, mapping: NatMapping) -> SnatFlow {
        SnatFlow {
            mapping,
            transport: Transport::of(key),
            share: Arc::clone(&self.share),
            present: Arc::clone(&self.present),
        }
    }
}

impl fmt::Display for Snat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} => {}", self.private, self.share)
    }
}

struct SnatFlow {
    mapping: NatMapping,
    transport: Transport,
    share: Arc<Share>,
    present: Arc<Present>,
}

impl Descriptor<LanNat> for SnatFlow {
    fn program(&self, dir: Direction) -> Result<Program, ActionError> {
        Ok(match dir {
            Direction::Out => set_source(
                End::port(self.share.address(), self.mapping.port()),
                self.transport,
            ),
            Direction::In => set_destination(self.mapping.private(), self.transport),
        }?)
    }

    fn show(&self, dir: Direction, taker: &mut dyn FnMut(Shown<'_>)) -> Result<(), ActionError> {
        self.share.show(dir, &self.mapping, self.transport, taker)
    }

    fn is_valid(&self) -> bool {
        self.present.has(&self.share) && self.share.ports().contains(self.mapping.port())
    }

    fn save(&self) -> Option<Saved> {
        self.mapping.save()
    }

    fn discard(&self) {
        self.mapping.discard();
    }

    fn name(&self) -> &'static str {
        "SNAT"
    }
}
