//! A guest's port in a VPC, and the commands that change it.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::api::{IpCidr, OpteError};
use opte::port::{Limits, Port, PortBuilder, PortError, Position};
use opte::provider::{Log, Random};
use opte::rule::RuleId;
use opte::sync::KMutex;
use opte_headers::Vni;

use crate::api::{
    ExternalIpCfg, FirewallRule, GuestPhysAddr, InternetGatewayMap, RouterClass, RouterEntry,
    RouterTarget, VpcCfg,
};
use crate::layer::nat::External;
use crate::layer::overlay::Reach;
use crate::layer::{FIREWALL, NAT, ROUTER, firewall, gateway, nat, overlay, router};
use crate::mapping::{Virt2Boundary, Virt2Phys};
use crate::network::VpcNetwork;

/// The tables that all ports of a host share.
#[derive(Clone, Debug, Default)]
pub struct Mappings {
    /// Which host each guest is on.
    pub v2p: Arc<Virt2Phys>,
    /// Which endpoints lead outside.
    pub v2b: Arc<Virt2Boundary>,
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
    programmed: KMutex<Programmed>,
}

/// What commands have set, for exact removal and for dumps. Its lock orders commands; no packet waits for it.
struct Programmed {
    routes: BTreeMap<(IpCidr, RouterClass), (RouterTarget, RuleId)>,
    external_v4: ExternalIpCfg<Ipv4Addr>,
    external_v6: ExternalIpCfg<Ipv6Addr>,
    gateways: InternetGatewayMap,
    external: Arc<External>,
}

impl VpcPort {
    /// A port that is ready to be started, for a link with an MTU of so many bytes. It may exchange packets with the guests
    /// of its own VPC and of `peers`. Where the guest is goes into the host's tables.
    pub fn new(
        name: &str,
        cfg: VpcCfg,
        mtu: u16,
        peers: &[Vni],
        host: &Host,
    ) -> Result<Self, OpteError> {
        cfg.validate()?;
        let network = VpcNetwork::new(cfg.vni, cfg.guest_mac);
        let v2p = &host.mappings.v2p;
        let reach = Arc::new(Reach {
            vni: cfg.vni,
            own: v2p.vpc(cfg.vni),
            peers: peers.iter().map(|&vni| (vni, v2p.vpc(vni))).collect(),
            boundary: Arc::clone(&host.mappings.v2b),
        });
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
            .log(Arc::clone(&host.log))
            .follows(reach.own.epoch())
            .follows(reach.boundary.epoch());
        for (_, guests) in &reach.peers {
            builder = builder.follows(guests.epoch());
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
            programmed: KMutex::new(Programmed {
                routes: BTreeMap::new(),
                external_v4: ExternalIpCfg::NONE,
                external_v6: ExternalIpCfg::NONE,
                gateways: InternetGatewayMap::new(),
                external,
            }),
            cfg,
        };
        let v4 = this.cfg.ipv4().map(|v4| v4.external_ips.clone());
        let v6 = this.cfg.ipv6().map(|v6| v6.external_ips.clone());
        this.set_external_ips(v4, v6, None)?;
        for ip in this.private_ips() {
            this.v2p.set(this.cfg.vni, ip, this.phys());
        }
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

    /// Adds a firewall rule and says its identifier. A higher rule that denies stops the flows it is about before their next
    /// packet.
    pub fn add_firewall_rule(&self, rule: &FirewallRule) -> Result<RuleId, OpteError> {
        self.port
            .add_rule(FIREWALL, rule.direction, firewall::rule(rule))
            .map_err(|error| self.refused(error))
    }

    /// Removes a firewall rule. The flows it had let in stop before their next packet, unless another rule lets them in.
    pub fn remove_firewall_rule(&self, dir: Direction, id: RuleId) -> Result<(), OpteError> {
        self.port
            .remove_rule(FIREWALL, dir, id)
            .map_err(|error| match error {
                PortError::RuleNotFound(id) => OpteError::RuleNotFound {
                    layer: FIREWALL.to_string(),
                    dir,
                    id,
                },
                other => self.refused(other),
            })
    }

    /// Puts these in the place of all firewall rules, at once.
    pub fn set_firewall_rules(&self, rules: &[FirewallRule]) -> Result<(), OpteError> {
        let of = |dir| {
            rules
                .iter()
                .filter(move |rule| rule.direction == dir)
                .map(firewall::rule)
                .collect::<Vec<_>>()
        };
        self.port
            .set_rules(FIREWALL, of(Direction::In), of(Direction::Out))
            .map_err(|error| self.refused(error))
    }

    /// Adds a route. There is one at most for each prefix and class.
    pub fn add_router_entry(&self, entry: &RouterEntry) -> Result<(), OpteError> {
        entry.validate()?;
        let mut programmed = self.programmed.lock();
        let place = (entry.dest, entry.class);
        if let Some((target, _)) = programmed.routes.get(&place) {
            return Err(OpteError::RouterEntryExists {
                dest: entry.dest,
                target: target.to_string(),
                class: entry.class.to_string(),
            });
        }
        let added = self
            .port
            .add_rule(ROUTER, Direction::Out, router::rule(entry));
        let id = added.map_err(|error| self.refused(error))?;
        programmed.routes.insert(place, (entry.target, id));
        Ok(())
    }

    /// Removes the route with exactly this prefix, target and class.
    pub fn remove_router_entry(&self, entry: &RouterEntry) -> Result<(), OpteError> {
        let mut programmed = self.programmed.lock();
        let place = (entry.dest, entry.class);
        let id = match programmed.routes.get(&place) {
            Some((target, id)) if *target == entry.target => *id,
            _ => {
                return Err(OpteError::RouterEntryNotFound {
                    dest: entry.dest,
                    target: entry.target.to_string(),
                    class: entry.class.to_string(),
                });
            }
        };
        self.port
            .remove_rule(ROUTER, Direction::Out, id)
            .map_err(|error| self.refused(error))?;
        programmed.routes.remove(&place);
        Ok(())
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
        let (v4, v6) = (v4.unwrap_or_default(), v6.unwrap_or_default());
        v4.validate()?;
        v6.validate()?;
        self.family_is_there("IPv4", self.cfg.ipv4().is_some(), v4.is_empty())?;
        self.family_is_there("IPv6", self.cfg.ipv6().is_some(), v6.is_empty())?;

        let mut programmed = self.programmed.lock();
        let gateways = gateways.unwrap_or_else(|| programmed.gateways.clone());
        let private = (
            self.cfg.ipv4().map(|v4| v4.private_ip),
            self.cfg.ipv6().map(|v6| v6.private_ip),
        );
        let plan = nat::Plan::new(&programmed.external, private, &v4, &v6, &gateways);
        // Descriptors of live flows ask what is configured when the new rules find them.
        let before = programmed.external.replace(plan.known);
        if let Err(error) = self.port.set_rules(NAT, plan.inbound, plan.outbound) {
            programmed.external.replace(before);
            return Err(self.refused(error));
        }
        programmed.external_v4 = v4;
        programmed.external_v6 = v6;
        programmed.gateways = gateways;
        Ok(())
    }

    /// The external IPv4 addresses as last set.
    pub fn external_ips_v4(&self) -> ExternalIpCfg<Ipv4Addr> {
        self.programmed.lock().external_v4.clone()
    }

    /// The external IPv6 addresses as last set.
    pub fn external_ips_v6(&self) -> ExternalIpCfg<Ipv6Addr> {
        self.programmed.lock().external_v6.clone()
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

    fn family_is_there(
        &self,
        family: &str,
        configured: bool,
        unused: bool,
    ) -> Result<(), OpteError> {
        if configured || unused {
            return Ok(());
        }
        let reason = alloc::format!("port '{}' has no {family} address", self.port.name());
        Err(OpteError::InvalidIpCfg { reason })
    }

    fn refused(&self, error: PortError) -> OpteError {
        refused(self.port.name(), error)
    }
}

impl Drop for VpcPort {
    fn drop(&mut self) {
        for ip in self.private_ips() {
            self.v2p.clear_exact(self.cfg.vni, ip, self.phys());
        }
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
