//! The configuration that a driver has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::api::{MeterLimits, OpteError};
use opte::direction::PerDirection;
use opte::options::PortOptions;
use oxide_vpc::api::{
    AttachedSubnet, ConfigItem, CreateXdeReq, DhcpCfg, ExternalIpCfg, FirewallRule, GuestLink,
    GuestPhysAddr, InternetGatewayMap, IpCfg, IpCidr, Ipv4Cfg, Ipv4Cidr, Ipv6Cfg, Ipv6Cidr,
    PhysNet, RouterEntry, SNatCfg, SetVirt2BoundaryReq, SetVirt2PhysReq, TransitCidr,
    TunnelEndpoint, Vni, VpcCfg,
};

use super::lan::CurrentLanPort;
use super::multicast::Multicast;
use super::{Config, Dhcp, Family, Port, Route, Snat, Text, V2b, V2p, default_mtu};

/// The configuration that a driver has, with what its commands need to change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// The number of changes there were so far.
    pub(super) revision: u64,
    pub(super) underlay: Vec<String>,
    pub(super) ports: BTreeMap<String, CurrentPort>,
    pub(super) lan_ports: BTreeMap<String, CurrentLanPort>,
    pub(super) v2p: BTreeMap<(Vni, IpAddr), GuestPhysAddr>,
    pub(super) v2b: BTreeMap<IpCidr, BTreeSet<TunnelEndpoint>>,
    pub(super) multicast: Multicast,
}

/// A port that a driver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CurrentPort {
    pub(super) request: CreateXdeReq,
    pub(super) gateways: InternetGatewayMap,
    pub(super) rules: Vec<(u64, FirewallRule)>,
    pub(super) routes: Vec<RouterEntry>,
    pub(super) peers: BTreeSet<Vni>,
    pub(super) meters: PerDirection<MeterLimits>,
    pub(super) options: PortOptions,
    pub(super) transit: Vec<TransitCidr>,
    pub(super) subnets: Vec<AttachedSubnet>,
}

impl Current {
    /// The configuration of a driver that lists these items at this revision.
    pub fn new(revision: u64, items: impl IntoIterator<Item = ConfigItem>) -> Self {
        let mut current = Self {
            revision,
            ..Self::default()
        };
        for item in items {
            current.add(item);
        }
        current
    }

    fn add(&mut self, item: ConfigItem) {
        match item {
            ConfigItem::Underlay { links } => self.underlay = links,
            ConfigItem::Port(request) => {
                let port = CurrentPort {
                    request: *request,
                    gateways: InternetGatewayMap::new(),
                    rules: Vec::new(),
                    routes: Vec::new(),
                    peers: BTreeSet::new(),
                    meters: PerDirection::default(),
                    options: PortOptions::default(),
                    transit: Vec::new(),
                    subnets: Vec::new(),
                };
                self.ports.insert(port.request.name.clone(), port);
            }
            ConfigItem::LanPort(request) => {
                let name = request.name.clone();
                let port = CurrentLanPort {
                    request: *request,
                    meters: PerDirection::default(),
                };
                self.lan_ports.insert(name, port);
            }
            ConfigItem::InternetGateways { port_name, map } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.gateways = map;
                }
            }
            ConfigItem::FwRule {
                port_name,
                id,
                rule,
            } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.rules.push((id, rule));
                }
            }
            ConfigItem::Route { port_name, entry } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.routes.push(entry);
                }
            }
            ConfigItem::Transit { port_name, transit } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.transit.push(transit);
                }
            }
            ConfigItem::Subnet { port_name, subnet } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.subnets.push(subnet);
                }
            }
            ConfigItem::Peers { port_name, peers } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.peers = peers.into_iter().collect();
                }
            }
            ConfigItem::Meter {
                port_name,
                dir,
                limits,
            } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    *port.meters.get_mut(dir) = limits;
                } else if let Some(port) = self.lan_ports.get_mut(&port_name) {
                    *port.meters.get_mut(dir) = limits;
                }
            }
            ConfigItem::Options { port_name, options } => {
                if let Some(port) = self.ports.get_mut(&port_name) {
                    port.options = options;
                }
            }
            ConfigItem::Virt2Phys(v2p) => {
                self.v2p.insert((v2p.vni, v2p.vip), v2p.phys);
            }
            ConfigItem::Virt2Boundary(v2b) => {
                self.v2b.entry(v2b.vip).or_default().extend(v2b.tep);
            }
            ConfigItem::Mcast2Phys(m2p) => {
                let group = (m2p.vni, m2p.group);
                self.multicast.groups.insert(group, m2p.underlay);
            }
            ConfigItem::McastForwarding(forwarding) => {
                let underlay = forwarding.underlay;
                let hops = forwarding.next_hops.into_iter();
                let hops = hops.map(|hop| ((underlay, hop.addr), hop));
                self.multicast.forwarding.extend(hops);
            }
            ConfigItem::McastSubscription(one) => {
                let subscriptions = &mut self.multicast.subscriptions;
                subscriptions.insert((one.group, one.port_name), one.filter);
            }
        }
    }

    /// The same as a value that can be written to a file.
    pub fn to_config(&self) -> Config {
        let v2p = self.v2p.iter().map(|(&(vni, address), phys)| V2p {
            vni,
            address,
            mac: phys.ether,
            underlay_address: phys.ip,
        });
        let mut v2b: Vec<V2b> = Vec::new();
        for (prefix, endpoints) in &self.v2b {
            let mut by_vni: BTreeMap<Vni, Vec<Ipv6Addr>> = BTreeMap::new();
            for endpoint in endpoints {
                by_vni.entry(endpoint.vni).or_default().push(endpoint.ip);
            }
            v2b.extend(by_vni.into_iter().map(|(vni, endpoints)| V2b {
                prefix: *prefix,
                vni,
                endpoints,
            }));
        }
        let mut config = Config {
            underlay: self.underlay.clone(),
            ports: self.ports.values().map(CurrentPort::to_port).collect(),
            lan_ports: self
                .lan_ports
                .values()
                .map(CurrentLanPort::to_port)
                .collect(),
            v2p: v2p.collect(),
            v2b,
            ..Config::default()
        };
        self.multicast.write(&mut config);
        config
    }
}

impl CurrentPort {
    pub(super) fn to_port(&self) -> Port {
        let CreateXdeReq {
            name,
            cfg,
            mtu,
            passthrough,
            link,
        } = self.request.clone();
        let dns4 = cfg.dhcp.dns4_servers.iter().copied().map(IpAddr::V4);
        let dns6 = cfg.dhcp.dns6_servers.iter().copied().map(IpAddr::V6);
        let (netns, tap) = match link {
            GuestLink::Veth { netns } => (netns, false),
            GuestLink::Tap => (None, true),
        };
        Port {
            name,
            vni: cfg.vni,
            guest_mac: cfg.guest_mac,
            gateway_mac: cfg.gateway_mac,
            underlay_address: cfg.phys_ip,
            mtu: mtu.unwrap_or(default_mtu()),
            passthrough,
            netns,
            tap,
            firewall: self
                .rules
                .iter()
                .map(|(_, rule)| Text(rule.clone()))
                .collect(),
            routes: self
                .routes
                .iter()
                .map(|entry| Text(Route(*entry)))
                .collect(),
            transit: self.transit.iter().copied().map(Text).collect(),
            subnets: self.subnets.iter().copied().map(Text).collect(),
            peers: self.peers.clone(),
            meter_in: text_of(&self.meters.inbound),
            meter_out: text_of(&self.meters.outbound),
            options: (!self.options.is_none()).then_some(Text(self.options)),
            internet_gateways: self.gateways.clone(),
            ipv4: cfg.ipv4().map(|ipv4| Family {
                address: ipv4.private_ip,
                subnet: ipv4.vpc_subnet,
                gateway: ipv4.gateway_ip,
                snat: ipv4.external_ips.snat.map(Snat::from),
                ephemeral: ipv4.external_ips.ephemeral_ip,
                floating: ipv4.external_ips.floating_ips.clone(),
            }),
            ipv6: cfg.ipv6().map(|ipv6| Family {
                address: ipv6.private_ip,
                subnet: ipv6.vpc_subnet,
                gateway: ipv6.gateway_ip,
                snat: ipv6.external_ips.snat.map(Snat::from),
                ephemeral: ipv6.external_ips.ephemeral_ip,
                floating: ipv6.external_ips.floating_ips.clone(),
            }),
            dhcp: Dhcp {
                hostname: cfg.dhcp.hostname,
                host_domain: cfg.dhcp.host_domain,
                domain_search: cfg.dhcp.domain_search_list,
                dns_servers: dns4.chain(dns6).collect(),
            },
        }
    }
}

pub(super) fn text_of(limits: &MeterLimits) -> Option<Text<MeterLimits>> {
    (!limits.is_none()).then_some(Text(*limits))
}

impl Port {
    /// How much may go either way.
    pub(super) fn meters(&self) -> PerDirection<MeterLimits> {
        let limits =
            |text: Option<Text<MeterLimits>>| text.map_or(MeterLimits::NONE, |text| text.0);
        PerDirection {
            inbound: limits(self.meter_in),
            outbound: limits(self.meter_out),
        }
    }

    /// The request that creates the port, its external addresses with it.
    ///
    /// Errors: [`OpteError::InvalidIpCfg`] if it has no addresses.
    pub fn request(&self) -> Result<CreateXdeReq, OpteError> {
        let ipv4 = self.ipv4.as_ref().map(Ipv4Cfg::from);
        let ipv6 = self.ipv6.as_ref().map(Ipv6Cfg::from);
        let ip_cfg = match (ipv4, ipv6) {
            (Some(ipv4), Some(ipv6)) => IpCfg::DualStack { ipv4, ipv6 },
            (Some(ipv4), None) => IpCfg::Ipv4(ipv4),
            (None, Some(ipv6)) => IpCfg::Ipv6(ipv6),
            (None, None) => {
                let reason = format!("port '{}' has neither ipv4 nor ipv6", self.name);
                return Err(OpteError::InvalidIpCfg { reason });
            }
        };
        let (mut dns4_servers, mut dns6_servers) = (Vec::new(), Vec::new());
        for server in &self.dhcp.dns_servers {
            match *server {
                IpAddr::V4(server) => dns4_servers.push(server),
                IpAddr::V6(server) => dns6_servers.push(server),
            }
        }
        let link = if self.tap {
            GuestLink::Tap
        } else {
            let netns = self.netns.clone();
            GuestLink::Veth { netns }
        };
        Ok(CreateXdeReq {
            name: self.name.clone(),
            cfg: VpcCfg {
                ip_cfg,
                guest_mac: self.guest_mac,
                gateway_mac: self.gateway_mac,
                vni: self.vni,
                phys_ip: self.underlay_address,
                dhcp: DhcpCfg {
                    hostname: self.dhcp.hostname.clone(),
                    host_domain: self.dhcp.host_domain.clone(),
                    domain_search_list: self.dhcp.domain_search.clone(),
                    dns4_servers,
                    dns6_servers,
                },
            },
            mtu: Some(self.mtu),
            passthrough: self.passthrough,
            link,
        })
    }
}

impl From<&Family<Ipv4Addr, Ipv4Cidr>> for Ipv4Cfg {
    fn from(family: &Family<Ipv4Addr, Ipv4Cidr>) -> Self {
        Self {
            vpc_subnet: family.subnet,
            private_ip: family.address,
            gateway_ip: family.gateway,
            external_ips: family.external_ips(),
        }
    }
}

impl From<&Family<Ipv6Addr, Ipv6Cidr>> for Ipv6Cfg {
    fn from(family: &Family<Ipv6Addr, Ipv6Cidr>) -> Self {
        Self {
            vpc_subnet: family.subnet,
            private_ip: family.address,
            gateway_ip: family.gateway,
            external_ips: family.external_ips(),
        }
    }
}

impl<A: Copy, C> Family<A, C> {
    /// The addresses by which the guest is known outside.
    pub fn external_ips(&self) -> ExternalIpCfg<A> {
        ExternalIpCfg {
            snat: self.snat.map(|snat| SNatCfg {
                external_ip: snat.address,
                ports: snat.ports,
            }),
            ephemeral_ip: self.ephemeral,
            floating_ips: self.floating.clone(),
        }
    }
}

impl<A> From<SNatCfg<A>> for Snat<A> {
    fn from(snat: SNatCfg<A>) -> Self {
        Self {
            address: snat.external_ip,
            ports: snat.ports,
        }
    }
}

impl From<V2p> for SetVirt2PhysReq {
    fn from(v2p: V2p) -> Self {
        Self {
            vip: v2p.address,
            phys: PhysNet {
                ether: v2p.mac,
                ip: v2p.underlay_address,
                vni: v2p.vni,
            },
        }
    }
}

impl From<&V2b> for SetVirt2BoundaryReq {
    fn from(v2b: &V2b) -> Self {
        let endpoint = |ip: &Ipv6Addr| TunnelEndpoint {
            ip: *ip,
            vni: v2b.vni,
        };
        Self {
            vip: v2b.prefix,
            tep: v2b.endpoints.iter().map(endpoint).collect(),
        }
    }
}
