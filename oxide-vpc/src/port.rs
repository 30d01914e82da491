//! A guest's port in a VPC, and the commands that change it.

mod edit;

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::sync::atomic::{AtomicBool, Ordering};

use opte::Direction;
use opte::api::{MeterLimits, OpteError};
use opte::direction::PerDirection;
use opte::nat::NatPoolUsage;
use opte::options::PortOptions;
use opte::port::{Limits, Port, PortBuilder, PortError, Position};
use opte::provider::{Log, Random};
use opte::rule::RuleId;
use opte::sync::KMutex;
use opte_headers::Vni;

use crate::api::{
    AttachedSubnet, ExternalIpCfg, FirewallRule, GuestPhysAddr, InternetGatewayMap, RouterEntry,
    TransitCidr, VpcCfg,
};
use crate::layer::nat::External;
use crate::layer::overlay::Reach;
use crate::layer::{firewall, gateway, nat, overlay, router};
use crate::mapping::{Mcast2Phys, Virt2Boundary, Virt2Phys};
use crate::network::VpcNetwork;

use edit::{Draft, Programmed};
pub use edit::{ExternalIps, PortEdit};

/// The tables that all ports of a host share.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    /// Which host each guest is on.
    pub v2p: Arc<Virt2Phys>,
    /// Which endpoints lead outside.
    pub v2b: Arc<Virt2Boundary>,
    /// Which underlay group stands for which group.
    pub m2p: Arc<Mcast2Phys>,
}

/// What a port needs of its host beside its configuration.
#[derive(Clone)]
pub struct Host {
    /// The shared tables.
    pub mappings: Mappings,
    /// Randomness, for NAT ports and hashing.
    pub random: Arc<dyn Random>,
    /// Where log lines go.
    pub log: Arc<dyn Log>,
    /// How much a port may hold.
    pub limits: Limits,
}

/// A guest's port in a VPC.
pub struct VpcPort {
    port: Port<VpcNetwork>,
    cfg: VpcCfg,
    v2p: Arc<Virt2Phys>,
    reach: Arc<Reach>,
    programmed: KMutex<Programmed>,
    /// The host's tables have its addresses.
    located: AtomicBool,
}

impl VpcPort {
    /// A port that is ready to be started, for a link with an MTU of so many bytes. It may exchange packets with the guests
    /// of its own VPC and of `peers`. The host's tables do not have it yet: see [`VpcPort::locate`].
    pub fn new(
        name: &str,
        cfg: VpcCfg,
        mtu: u16,
        peers: &[Vni],
        host: &Host,
    ) -> Result<Self, OpteError> {
        cfg.validate()?;
        let network = VpcNetwork::new(&cfg);
        let v2p = &host.mappings.v2p;
        let boundary = Arc::clone(&host.mappings.v2b);
        let groups = Arc::clone(&host.mappings.m2p);
        let reach = Arc::new(Reach::new(cfg.vni, v2p.vpc(cfg.vni), boundary, groups));
        let external = Arc::new(External::default());
        let layers = [
            gateway::layer(&cfg, mtu, &reach),
            firewall::layer(),
            router::layer(),
            nat::layer(),
            overlay::layer(Arc::clone(&reach), cfg.phys_ip),
        ];
        let mut builder = PortBuilder::new(name, network, Arc::clone(&host.random))
            .limits(host.limits)
            .log(Arc::clone(&host.log));
        for epoch in reach.epochs() {
            builder = builder.follows(epoch);
        }
        for layer in layers {
            builder = builder
                .layer(layer, Position::Last)
                .map_err(|error| refused(name, error))?;
        }
        let port = builder.build();
        let this = Self {
            port,
            v2p: Arc::clone(v2p),
            reach,
            programmed: KMutex::new(Programmed::new(external)),
            located: AtomicBool::new(false),
            cfg,
        };
        let v4 = this.cfg.ipv4().map(|v4| v4.external_ips.clone());
        let v6 = this.cfg.ipv6().map(|v6| v6.external_ips.clone());
        let gateways = None;
        this.edit(vec![
            PortEdit::SetExternalIps(ExternalIps { v4, v6, gateways }),
            PortEdit::SetPeers(peers.iter().copied().collect()),
        ])?;
        Ok(this)
    }

    /// The engine's port.
    pub fn port(&self) -> &Port<VpcNetwork> {
        &self.port
    }

    /// The configuration that the port was made with.
    pub fn cfg(&self) -> &VpcCfg {
        &self.cfg
    }

    /// Makes these changes, in their order: all of them, seen together by packets, or none. Says the identifiers of the firewall
    /// rules that were added.
    pub fn edit(&self, edits: Vec<PortEdit>) -> Result<Vec<RuleId>, OpteError> {
        let mut programmed = self.programmed.lock();
        let draft = Draft::new(self, &programmed, edits)?;
        draft.commit(self, &mut programmed)
    }

    /// Whether [`VpcPort::edit`] would make these changes.
    pub fn check(&self, edits: Vec<PortEdit>) -> Result<(), OpteError> {
        let programmed = self.programmed.lock();
        Draft::new(self, &programmed, edits).map(|_| ())
    }

    /// Adds a firewall rule and says its identifier. A higher rule that denies stops the flows it is about before their next
    /// packet.
    pub fn add_firewall_rule(&self, rule: &FirewallRule) -> Result<RuleId, OpteError> {
        let added = self.edit(vec![PortEdit::AddFwRule(rule.clone())])?;
        Ok(added.first().copied().unwrap_or_default())
    }

    /// Removes a firewall rule. The flows it had let in stop before their next packet, unless another rule lets them in.
    pub fn remove_firewall_rule(&self, dir: Direction, id: RuleId) -> Result<(), OpteError> {
        self.edit(vec![PortEdit::RemFwRule(dir, id)]).map(|_| ())
    }

    /// Puts these in the place of all firewall rules, at once.
    pub fn set_firewall_rules(&self, rules: &[FirewallRule]) -> Result<(), OpteError> {
        self.edit(vec![PortEdit::SetFwRules(rules.to_vec())])
            .map(|_| ())
    }

    /// The firewall rules with their identifiers, inbound ones first.
    pub fn firewall_rules(&self) -> Vec<(RuleId, FirewallRule)> {
        let programmed = self.programmed.lock();
        let rules = programmed.firewall.iter();
        rules.map(|((_, id), rule)| (*id, rule.clone())).collect()
    }

    /// Adds a route. There is one at most for each prefix and class.
    pub fn add_router_entry(&self, entry: &RouterEntry) -> Result<(), OpteError> {
        self.edit(vec![PortEdit::AddRouterEntry(*entry)])
            .map(|_| ())
    }

    /// Removes the route with exactly this prefix, target and class.
    pub fn remove_router_entry(&self, entry: &RouterEntry) -> Result<(), OpteError> {
        self.edit(vec![PortEdit::DelRouterEntry(*entry)])
            .map(|_| ())
    }

    /// The routes, by prefix and class.
    pub fn router_entries(&self) -> Vec<RouterEntry> {
        let programmed = self.programmed.lock();
        let routes = programmed.routes.iter();
        routes
            .map(|(&(dest, class), &(target, _))| RouterEntry {
                dest,
                target,
                class,
            })
            .collect()
    }

    /// Sets the external addresses; a family that is `None` has none. `gateways` says which internet gateways they belong to,
    /// `None` leaves what was said before. Flows whose external address and ports stay keep them.
    pub fn set_external_ips(
        &self,
        v4: Option<ExternalIpCfg<Ipv4Addr>>,
        v6: Option<ExternalIpCfg<Ipv6Addr>>,
        gateways: Option<InternetGatewayMap>,
    ) -> Result<(), OpteError> {
        let external = ExternalIps { v4, v6, gateways };
        self.edit(vec![PortEdit::SetExternalIps(external)])
            .map(|_| ())
    }

    /// The external IPv4 addresses as last set.
    pub fn external_ips_v4(&self) -> ExternalIpCfg<Ipv4Addr> {
        self.programmed.lock().external_v4.clone()
    }

    /// The external IPv6 addresses as last set.
    pub fn external_ips_v6(&self) -> ExternalIpCfg<Ipv6Addr> {
        self.programmed.lock().external_v6.clone()
    }

    /// Which internet gateways external addresses belong to, as last set.
    pub fn internet_gateways(&self) -> InternetGatewayMap {
        self.programmed.lock().gateways.clone()
    }

    /// The prefixes that the guest forwards packets of, one entry each.
    pub fn transit_cidrs(&self) -> Vec<TransitCidr> {
        TransitCidr::grouped(&self.programmed.lock().prefixes.transit)
    }

    /// The VPCs that the port exchanges packets with beside its own.
    pub fn peers(&self) -> Vec<Vni> {
        self.programmed.lock().peers.iter().copied().collect()
    }

    /// How much may go through the port, as last set.
    pub fn meters(&self) -> PerDirection<MeterLimits> {
        self.port.meters()
    }

    /// The port's options, as last set.
    pub fn options(&self) -> PortOptions {
        self.port.options()
    }

    /// The attached subnets.
    pub fn attached_subnets(&self) -> Vec<AttachedSubnet> {
        let programmed = self.programmed.lock();
        programmed.prefixes.attached.iter().copied().collect()
    }

    /// Says in the host's tables where the guest is, until the port is dropped.
    pub fn locate(&self) {
        self.located.store(true, Ordering::Relaxed);
        for ip in self.private_ips() {
            self.v2p.set(self.cfg.vni, ip, self.phys());
        }
    }

    /// Takes the guest out of the host's tables, unless it is said to be elsewhere by now. A port that goes away does so of itself, but
    /// not before the last of those who use it.
    pub fn unlocate(&self) {
        if self.located.swap(false, Ordering::Relaxed) {
            for ip in self.private_ips() {
                self.v2p.clear_exact(self.cfg.vni, ip, self.phys());
            }
        }
    }

    /// What [`VpcPort::locate`] says.
    pub fn location(&self) -> impl Iterator<Item = (Vni, IpAddr, GuestPhysAddr)> {
        let (vni, phys) = (self.cfg.vni, self.phys());
        self.private_ips().map(move |ip| (vni, ip, phys))
    }

    /// How many firewall rules and how many routes there are.
    pub fn programmed(&self) -> (usize, usize) {
        let programmed = self.programmed.lock();
        (programmed.firewall.len(), programmed.routes.len())
    }

    /// How the ports of shared external addresses fare, by protocol.
    pub fn nat_usage(&self) -> [(&'static str, NatPoolUsage); 3] {
        self.programmed.lock().external.usage()
    }

    fn private_ips(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.cfg.ipv4().map(|v4| IpAddr::V4(v4.private_ip));
        v4.into_iter()
            .chain(self.cfg.ipv6().map(|v6| IpAddr::V6(v6.private_ip)))
    }

    fn phys(&self) -> GuestPhysAddr {
        GuestPhysAddr {
            ether: self.cfg.guest_mac,
            ip: self.cfg.phys_ip,
        }
    }

    fn refused(&self, error: PortError) -> OpteError {
        refused(self.port.name(), error)
    }
}

impl Drop for VpcPort {
    fn drop(&mut self) {
        self.unlocate();
    }
}

impl core::fmt::Debug for VpcPort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("VpcPort")
            .field("name", &self.port.name())
            .field("cfg", &self.cfg)
            .finish_non_exhaustive()
    }
}

/// The engine's refusal as the answer to a command.
fn refused(port: &str, error: PortError) -> OpteError {
    let port = String::from(port);
    match error {
        PortError::BadState(state) => OpteError::BadState {
            port,
            state: state.to_string(),
        },
        PortError::LayerNotFound(layer) => OpteError::LayerNotFound { port, layer },
        other => OpteError::PortCreate {
            port,
            reason: other.to_string(),
        },
    }
}
