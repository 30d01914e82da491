//! The NAT layer: the addresses by which the guest is known outside (RFC 4787, RFC 5382, RFC 5508).
//!
//! A floating or ephemeral address stands for the guest one to one; of a SNAT address the guest has some ports. The first
//! that is configured takes what the router sends to an internet gateway, in this order.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::action::{
    Action, ActionError, AllowOrDeny, Context, Descriptor, MetaAction, Shown, StatefulAction,
};
use opte::direction::PerDirection;
use opte::layer::Layer;
use opte::nat::{End, NatMapping, NatPoolUsage, Share, Transport, set_destination, set_source};
use opte::predicate::{IpPrefix, Predicate};
use opte::rule::{DefaultAction, Rule};
use opte::saved::Saved;
use opte::sync::KRwLock;
use opte_headers::program::{Program, ProgramError};
use opte_headers::{Ethertype, FlowKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::router::{ToGateway, prefix};
use crate::api::{ExternalIpCfg, InternetGatewayMap, IpCidr, RouterTarget, SNatCfg};
use crate::network::{Meta, VpcNetwork};
use crate::spread;

/// The layer of a port without external addresses.
pub(crate) fn layer() -> Layer<VpcNetwork> {
    Layer::new(super::NAT, DefaultAction::Allow, DefaultAction::Allow)
}

/// What a port is known as outside, at present: asked by the state of live flows whether it still holds.
#[derive(Default)]
pub(crate) struct External(KRwLock<Known>);

/// External addresses, and the pools of those that are shared.
#[derive(Clone, Default)]
pub(crate) struct Known {
    whole: Vec<IpAddr>,
    shared: Vec<Arc<Share>>,
}

impl External {
    /// Puts `known` in the place of what was, which is given back.
    pub(crate) fn replace(&self, known: Known) -> Known {
        core::mem::replace(&mut *self.0.write(), known)
    }

    /// How the pools of shared addresses fare, all of a protocol together.
    pub(crate) fn usage(&self) -> [(&'static str, NatPoolUsage); 3] {
        let mut all = ["tcp", "udp", "icmp"].map(|name| (name, NatPoolUsage::default()));
        for share in &self.0.read().shared {
            for ((_, sum), (_, pool)) in all.iter_mut().zip(share.pools()) {
                *sum = sum.plus(pool.usage());
            }
        }
        all
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.read().whole.contains(&address)
    }

    fn shares(&self, share: &Arc<Share>) -> bool {
        self.0
            .read()
            .shared
            .iter()
            .any(|present| Arc::ptr_eq(present, share))
    }

    /// The share as it is if it is configured the same, so that the ports in use stay in use; or else a new one.
    fn share<A: Copy + Into<IpAddr>>(&self, cfg: &SNatCfg<A>) -> Option<Arc<Share>> {
        let address = cfg.external_ip.into();
        let same = |share: &&Arc<Share>| share.address() == address && share.ports() == cfg.ports;
        let present = self.0.read().shared.iter().find(same).map(Arc::clone);
        present.or_else(|| Share::new(address, cfg.ports))
    }
}

/// The rules and state that a change of external addresses leads to. Nothing is changed by making it.
pub(crate) struct Plan {
    /// What the port is then known as.
    pub(crate) known: Known,
    /// The inbound rules.
    pub(crate) inbound: Vec<Rule<VpcNetwork>>,
    /// The outbound rules.
    pub(crate) outbound: Vec<Rule<VpcNetwork>>,
}

impl Plan {
    pub(crate) fn new(
        external: &Arc<External>,
        (private_v4, private_v6): (Option<Ipv4Addr>, Option<Ipv6Addr>),
        v4: &ExternalIpCfg<Ipv4Addr>,
        v6: &ExternalIpCfg<Ipv6Addr>,
        gateways: &InternetGatewayMap,
    ) -> Self {
        let mut plan = Self {
            known: Known::default(),
            inbound: Vec::new(),
            outbound: Vec::new(),
        };
        if let Some(private) = private_v4 {
            plan.family(external, private, v4, gateways);
        }
        if let Some(private) = private_v6 {
            plan.family(external, private, v6, gateways);
        }
        // What should leave the VPC and has no address for it must not leave it as it is.
        let to_gateway = Predicate::Meta(Arc::new(ToGateway::Any));
        plan.outbound
            .push(Rule::new(NO_ADDRESS, [to_gateway], Action::Deny));
        plan
    }

    /// Lets packets of these prefixes leave and enter the VPC as they are.
    pub(crate) fn leave_alone(&mut self, subnets: impl Iterator<Item = IpCidr>) {
        for subnet in subnets {
            let subnet = prefix(&subnet);
            self.outbound.push(Rule::new(
                SUBNET,
                [Predicate::Source(subnet)],
                Action::Meta(Arc::new(KnownOutside)),
            ));
            self.inbound.push(Rule::new(
                SUBNET,
                [Predicate::Destination(subnet)],
                Action::Allow,
            ));
        }
    }

    fn family<A: Copy + Into<IpAddr>>(
        &mut self,
        external: &Arc<External>,
        private: A,
        cfg: &ExternalIpCfg<A>,
        gateways: &InternetGatewayMap,
    ) {
        let private = private.into();
        let floating: Vec<IpAddr> = cfg
            .floating_ips
            .iter()
            .map(|&address| address.into())
            .collect();
        let ephemeral: Vec<IpAddr> = cfg
            .ephemeral_ip
            .iter()
            .map(|&address| address.into())
            .collect();
        for (priority, addresses) in [(FLOATING, &floating), (EPHEMERAL, &ephemeral)] {
            for (gateway, addresses) in by_gateway(addresses, gateways) {
                // What comes back goes to the guest's own address: what it forwards for others is translated by ports alone.
                self.outbound.push(outbound(
                    priority,
                    Predicate::Source(IpPrefix::exact(private)),
                    gateway,
                    OneToOne::new(private, addresses, external),
                ));
            }
            for &address in addresses {
                let action = OneToOne::new(private, Vec::from([address]), external);
                let to_address = Predicate::Destination(IpPrefix::exact(address));
                self.inbound
                    .push(Rule::new(priority, [to_address], Action::Stateful(action)));
            }
            self.known.whole.extend(addresses);
        }
        let Some(share) = cfg.snat.as_ref().and_then(|snat| external.share(snat)) else {
            return;
        };
        let action: Arc<dyn StatefulAction<VpcNetwork>> = Arc::new(Snat {
            private,
            share: Arc::clone(&share),
            external: Arc::clone(external),
        });
        let family = if private.is_ipv4() {
            Ethertype::IPV4
        } else {
            Ethertype::IPV6
        };
        for (gateway, _) in by_gateway(&[share.address()], gateways) {
            let of_family = Predicate::Ethertype(family);
            self.outbound
                .push(outbound(SNAT, of_family, gateway, Arc::clone(&action)));
        }
        let to_share = Predicate::Destination(IpPrefix::exact(share.address()));
        self.inbound
            .push(Rule::new(SNAT, [to_share], Action::Stateful(action)));
        self.known.shared.push(share);
    }
}

/// The addresses of each internet gateway. An address not mapped belongs to the gateway without a name.
fn by_gateway(
    addresses: &[IpAddr],
    gateways: &InternetGatewayMap,
) -> Vec<(Option<Uuid>, Vec<IpAddr>)> {
    let mut groups: Vec<(Option<Uuid>, Vec<IpAddr>)> = Vec::new();
    for &address in addresses {
        let named = gateways
            .get(&address)
            .into_iter()
            .flatten()
            .map(|&id| Some(id));
        let unnamed = (!gateways.contains_key(&address)).then_some(None);
        for gateway in named.chain(unnamed) {
            match groups.iter_mut().find(|(of, _)| *of == gateway) {
                Some((_, group)) => group.push(address),
                None => groups.push((gateway, Vec::from([address]))),
            }
        }
    }
    groups
}

fn outbound(
    priority: u16,
    from: Predicate<VpcNetwork>,
    gateway: Option<Uuid>,
    action: Arc<dyn StatefulAction<VpcNetwork>>,
) -> Rule<VpcNetwork> {
    let to_gateway = ToGateway::Exactly(RouterTarget::InternetGateway(gateway));
    Rule::new(
        priority,
        [from, Predicate::Meta(Arc::new(to_gateway))],
        Action::Stateful(action),
    )
}

/// Notes that the source is an address that is known outside.
struct KnownOutside;

impl MetaAction<VpcNetwork> for KnownOutside {
    fn modify(
        &self,
        _: Direction,
        _: &FlowKey,
        meta: &mut Meta,
    ) -> Result<AllowOrDeny<()>, ActionError> {
        meta.external_source = true;
        Ok(AllowOrDeny::Allow(()))
    }
}

impl fmt::Display for KnownOutside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("external source")
    }
}

const SUBNET: u16 = 4;
const FLOATING: u16 = 5;
const EPHEMERAL: u16 = 10;
const SNAT: u16 = 100;
const NO_ADDRESS: u16 = 255;

/// One of some addresses for the guest's private address.
struct OneToOne {
    private: IpAddr,
    addresses: Vec<IpAddr>,
    flows: Vec<[Arc<OneToOneFlow>; Transport::ALL.len()]>,
}

impl OneToOne {
    fn new(private: IpAddr, addresses: Vec<IpAddr>, external: &Arc<External>) -> Arc<Self> {
        let flow = |public, transport| {
            let external = Arc::clone(external);
            Arc::new(OneToOneFlow {
                public,
                transport,
                programs: PerDirection {
                    inbound: set_destination(End::address(private), transport).map(Arc::new),
                    outbound: set_source(End::address(public), transport).map(Arc::new),
                },
                external,
            })
        };
        let flows = addresses
            .iter()
            .map(|&public| Transport::ALL.map(|transport| flow(public, transport)))
            .collect();
        Arc::new(Self {
            private,
            addresses,
            flows,
        })
    }

    fn flow(&self, address: IpAddr, transport: Transport) -> Option<&Arc<OneToOneFlow>> {
        self.flow_at(self.place_of(address)?, transport)
    }

    fn flow_at(&self, place: usize, transport: Transport) -> Option<&Arc<OneToOneFlow>> {
        self.flows.get(place)?.get(transport as usize)
    }

    fn place_of(&self, address: IpAddr) -> Option<usize> {
        self.addresses.iter().position(|known| *known == address)
    }
}

impl StatefulAction<VpcNetwork> for OneToOne {
    fn descriptor(
        &self,
        dir: Direction,
        key: &FlowKey,
        meta: &mut Meta,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<VpcNetwork>>>, ActionError> {
        let place = match dir {
            Direction::In => self.place_of(key.destination_ip()),
            Direction::Out => spread::choose_at(
                &self.addresses,
                || spread::entropy(key),
                |address| u128::from_be_bytes(FlowKey::octets_of(*address)),
            ),
        };
        let transport = Transport::of(key);
        let Some(flow) = place.and_then(|place| self.flow_at(place, transport)) else {
            return Ok(AllowOrDeny::Deny);
        };
        flow.mark(dir, meta);
        if context.attempt != 0 && dir == Direction::In {
            let far = End::port(key.source_ip(), key.source_port);
            let disguised = Disguised::new(flow, far, context.random.next_u64());
            return Ok(AllowOrDeny::Allow(Arc::new(disguised)));
        }
        Ok(AllowOrDeny::Allow(Arc::<OneToOneFlow>::clone(flow)))
    }

    /// All flows of an address share a descriptor, but those that are disguised.
    fn takes_memory(&self, context: Context<'_>) -> bool {
        context.attempt != 0
    }

    fn restore(
        &self,
        dir: Direction,
        key: &FlowKey,
        _: &mut Meta,
        saved: &Saved,
        _: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<VpcNetwork>>>, ActionError> {
        let flow = saved.read().and_then(|saved: SavedOneToOne| {
            let flow = self.flow(saved.public, Transport::of(key))?;
            Some((flow, saved.shown))
        });
        Ok(match flow {
            None => AllowOrDeny::Deny,
            Some((flow, None)) => AllowOrDeny::Allow(Arc::<OneToOneFlow>::clone(flow)),
            Some((flow, Some(shown))) if dir == Direction::In => {
                let far = End::port(key.source_ip(), key.source_port);
                let flow = Arc::clone(flow);
                AllowOrDeny::Allow(Arc::new(Disguised { flow, far, shown }))
            }
            Some(_) => AllowOrDeny::Deny,
        })
    }
}

/// The state of a flow of [`OneToOne`] as it is saved.
#[derive(Serialize, Deserialize)]
struct SavedOneToOne {
    public: IpAddr,
    /// What the guest sees in the place of the far end's port, where that is another.
    shown: Option<u16>,
}

impl fmt::Display for OneToOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <=> ", self.private)?;
        for (i, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// The state of all flows of an address and a transport: it is the same.
struct OneToOneFlow {
    public: IpAddr,
    transport: Transport,
    programs: PerDirection<Result<Arc<Program>, ProgramError>>,
    external: Arc<External>,
}

impl Descriptor<VpcNetwork> for OneToOneFlow {
    fn program(&self, dir: Direction) -> Result<Program, ActionError> {
        match self.programs.get(dir) {
            Ok(program) => Ok(**program),
            Err(error) => Err((*error).into()),
        }
    }

    fn show(&self, dir: Direction, taker: &mut dyn FnMut(Shown<'_>)) -> Result<(), ActionError> {
        match self.programs.get(dir) {
            Ok(program) => taker(Shown::Kept(program)),
            Err(error) => return Err((*error).into()),
        }
        Ok(())
    }

    fn mark(&self, dir: Direction, meta: &mut Meta) {
        meta.external_source |= dir == Direction::Out;
    }

    fn is_valid(&self) -> bool {
        self.external.has(self.public)
    }

    fn save(&self) -> Option<Saved> {
        Saved::of(&SavedOneToOne {
            public: self.public,
            shown: None,
        })
    }

    fn name(&self) -> &'static str {
        "NAT"
    }
}

/// The state of a flow that began outside, from a far end that has called another of the guest's addresses from the same port: to
/// the guest both would be one. It sees this one come from another port, or with another echo identifier.
struct Disguised {
    flow: Arc<OneToOneFlow>,
    far: End,
    /// What the guest sees in the place of the far end's port.
    shown: u16,
}

impl Disguised {
    fn new(flow: &Arc<OneToOneFlow>, far: End, drawn: u64) -> Self {
        Self {
            flow: Arc::clone(flow),
            far,
            // From the ports that no service has (RFC 6056, section 3.2).
            shown: drawn as u16 | 0xc000,
        }
    }
}

impl Descriptor<VpcNetwork> for Disguised {
    fn program(&self, dir: Direction) -> Result<Program, ActionError> {
        let mut program = self.flow.program(dir)?;
        let transport = self.flow.transport;
        let far = |port| End { port, ..self.far };
        let more = match (dir, transport) {
            (_, Transport::Opaque) => return Ok(program),
            // Of ICMP it is the identifier, which stands for the ports of both ends.
            (Direction::In, _) => set_source(far(Some(self.shown)), transport)?,
            (Direction::Out, _) => set_destination(far(self.far.port), transport)?,
        };
        program.append(&more)?;
        Ok(program)
    }

    fn mark(&self, dir: Direction, meta: &mut Meta) {
        self.flow.mark(dir, meta);
    }

    fn is_valid(&self) -> bool {
        self.flow.is_valid()
    }

    fn save(&self) -> Option<Saved> {
        Saved::of(&SavedOneToOne {
            public: self.flow.public,
            shown: Some(self.shown),
        })
    }

    fn name(&self) -> &'static str {
        "NAT"
    }
}

/// A port of a shared address for the guest's private address and port.
struct Snat {
    private: IpAddr,
    share: Arc<Share>,
    external: Arc<External>,
}

impl StatefulAction<VpcNetwork> for Snat {
    fn share(&self) -> Option<&Arc<Share>> {
        Some(&self.share)
    }

    fn descriptor(
        &self,
        dir: Direction,
        key: &FlowKey,
        meta: &mut Meta,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<VpcNetwork>>>, ActionError> {
        let mapping = match dir {
            Direction::Out => match self.share.lease(key, context)? {
                AllowOrDeny::Allow(mapping) => mapping,
                AllowOrDeny::Deny => return Ok(AllowOrDeny::Deny),
            },
            Direction::In => self.share.accept(key, context)?,
        };
        meta.external_source |= dir == Direction::Out;
        Ok(AllowOrDeny::Allow(Arc::new(self.flow(key, mapping))))
    }

    fn restore(
        &self,
        dir: Direction,
        key: &FlowKey,
        _: &mut Meta,
        saved: &Saved,
        context: Context<'_>,
    ) -> Result<AllowOrDeny<Arc<dyn Descriptor<VpcNetwork>>>, ActionError> {
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
            external: Arc::clone(&self.external),
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
    external: Arc<External>,
}

impl Descriptor<VpcNetwork> for SnatFlow {
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

    fn mark(&self, dir: Direction, meta: &mut Meta) {
        meta.external_source |= dir == Direction::Out;
    }

    fn is_valid(&self) -> bool {
        self.external.shares(&self.share)
    }

    fn save(&self) -> Option<Saved> {
        self.mapping.save()
    }

    fn discard(&self) {
        self.mapping.discard();
    }

    fn name(&self) -> &'static str {
        match self.transport {
            Transport::Icmp | Transport::Icmp6 => "SNAT_ICMP_ECHO",
            _ => "SNAT",
        }
    }
}
