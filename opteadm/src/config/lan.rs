//! Ports on LANs in a configuration.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use opte::api::{MeterLimits, Request};
use opte::direction::PerDirection;
use oxide_vpc::api::{
    CreateLanPortReq, DeleteXdeReq, GuestLink, IpConfig, IpConfigChange, Ipv4Cidr, MacAddr,
    PortRange, SetIpConfigReq,
};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::current::text_of;
use super::file::Fault;
use super::locate::Step;
use super::plan::{CurrentMeters, Operation, Plan, PlanError};
use super::{Config, Current, Text, default_mtu, is_default_mtu, is_false};

/// A guest's port on a LAN. The keys of its addresses are those of `opteadm set-ip-config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LanPort {
    /// Its name, which is that of its link too.
    pub name: String,
    /// The host's link to the LAN.
    pub lan: String,
    /// The guest's MAC address; one made of its IPv4 address if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_mac: Option<MacAddr>,
    /// The guest's address.
    pub private_ip: Ipv4Addr,
    /// The address that stands for the guest on the LAN.
    pub public_ip: Ipv4Addr,
    /// The MAC address under which the LAN finds it; one made of the public address if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_mac: Option<MacAddr>,
    /// The first port of the public address that is the guest's.
    pub port_start: u16,
    /// The last.
    pub port_end: u16,
    /// The LAN's subnet.
    pub vpc_sub4: Ipv4Cidr,
    /// The MAC address of the LAN's gateway.
    pub gw_mac: MacAddr,
    /// The address of the LAN's gateway.
    pub gw_ip: Ipv4Addr,
    /// How much the guest may be sent, as `packets=10k/s bits=1Gbit/s new-flows=1k/s flows=100000 burst=100ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_in: Option<Text<MeterLimits>>,
    /// How much the guest may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_out: Option<Text<MeterLimits>>,
    /// The guest's MTU in octets.
    #[serde(default = "default_mtu", skip_serializing_if = "is_default_mtu")]
    pub mtu: u16,
    /// The network namespace the guest's end of the link is moved to: a name or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// The link is a TAP, which a virtual machine monitor opens.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tap: bool,
}

impl LanPort {
    /// The request that creates the port.
    fn request(&self) -> Result<CreateLanPortReq, Fault> {
        let key = if self.port_start == 0 {
            "port-start"
        } else {
            "port-end"
        };
        let ports = PortRange::new(self.port_start, self.port_end);
        let ports = ports.map_err(|error| Fault::new(&[Step::Key(key)], error))?;
        let link = match self.tap {
            true => GuestLink::Tap,
            false => GuestLink::Veth {
                netns: self.netns.clone(),
            },
        };
        let usual = IpConfig::usual_guest_mac(self.private_ip);
        Ok(CreateLanPortReq {
            name: self.name.clone(),
            lan: self.lan.clone(),
            cfg: IpConfig {
                guest_mac: self.guest_mac.unwrap_or(usual),
                private_ip: self.private_ip,
                public_ip: self.public_ip,
                public_mac: self
                    .public_mac
                    .unwrap_or(IpConfig::usual_mac(self.public_ip)),
                ports,
                subnet: self.vpc_sub4,
                gateway_mac: self.gw_mac,
                gateway_ip: self.gw_ip,
            },
            mtu: Some(self.mtu),
            link,
        })
    }

    /// How much may go either way.
    fn meters(&self) -> CurrentMeters {
        let limits =
            |text: Option<Text<MeterLimits>>| text.map_or(MeterLimits::NONE, |text| text.0);
        PerDirection {
            inbound: limits(self.meter_in),
            outbound: limits(self.meter_out),
        }
    }

    fn check(&self) -> Result<CreateLanPortReq, Fault> {
        for (key, meter) in [("meter-in", &self.meter_in), ("meter-out", &self.meter_out)] {
            let valid = meter.map_or(Ok(()), |meter| meter.0.validate());
            valid.map_err(|error| Fault::new(&[Step::Key(key)], error))?;
        }
        if self.tap && self.netns.is_some() {
            let message = "a TAP is in no namespace: either tap or netns";
            return Err(Fault::new(&[Step::Key("netns")], message));
        }
        let request = self.request()?;
        match request.validate() {
            Ok(()) => Ok(request),
            Err(error) => {
                let message = error.to_string();
                let is_about = |key: &&&str| message.contains(&key.replace('-', "_"));
                let key = ADDRESSES.iter().find(is_about).copied();
                let key = key.or_else(|| {
                    let parts = [("MTU", "mtu"), ("namespace", "netns"), ("LAN link", "lan")];
                    let (_, key) = parts.iter().find(|(what, _)| message.contains(what))?;
                    Some(*key)
                });
                Err(Fault::new(&[Step::Key(key.unwrap_or("name"))], message))
            }
        }
    }
}

const ADDRESSES: [&str; 7] = [
    "guest-mac",
    "public-mac",
    "gw-mac",
    "public-ip",
    "gw-ip",
    "private-ip",
    "vpc-sub4",
];

/// A port on a LAN that a driver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CurrentLanPort {
    pub(super) request: CreateLanPortReq,
    pub(super) meters: CurrentMeters,
}

impl CurrentLanPort {
    pub(super) fn to_port(&self) -> LanPort {
        LanPort {
            meter_in: text_of(&self.meters.inbound),
            meter_out: text_of(&self.meters.outbound),
            ..LanPort::from(&self.request)
        }
    }
}

impl From<&CreateLanPortReq> for LanPort {
    fn from(request: &CreateLanPortReq) -> Self {
        let CreateLanPortReq {
            name,
            lan,
            cfg,
            mtu,
            link,
        } = request.clone();
        let (netns, tap) = match link {
            GuestLink::Veth { netns } => (netns, false),
            GuestLink::Tap => (None, true),
        };
        let unless = |usual: MacAddr, mac: MacAddr| Some(mac).filter(|mac| *mac != usual);
        Self {
            name,
            lan,
            guest_mac: unless(IpConfig::usual_guest_mac(cfg.private_ip), cfg.guest_mac),
            private_ip: cfg.private_ip,
            public_ip: cfg.public_ip,
            public_mac: unless(IpConfig::usual_mac(cfg.public_ip), cfg.public_mac),
            port_start: cfg.ports.start(),
            port_end: cfg.ports.end(),
            vpc_sub4: cfg.subnet,
            gw_mac: cfg.gateway_mac,
            gw_ip: cfg.gateway_ip,
            meter_in: None,
            meter_out: None,
            mtu: mtu.unwrap_or(default_mtu()),
            netns,
            tap,
        }
    }
}

impl Config {
    /// Checks the ports on LANs, beside those of VPCs, whose names these are.
    pub(super) fn check_lans(&self) -> Result<(), Fault> {
        let mut names: Vec<&String> = self.ports.iter().map(|port| &port.name).collect();
        let mut stations = BTreeMap::new();
        for (at, port) in self.lan_ports.iter().enumerate() {
            let path = [Step::Key("lan-port"), Step::Index(at)];
            let request = port.check().map_err(|fault| fault.under(&path))?;
            let name = &port.name;
            if names.contains(&name) {
                let message = format!("port '{name}' is there twice");
                return Err(Fault::new(&[Step::Key("name")], message).under(&path));
            }
            names.push(name);
            let cfg = &request.cfg;
            for (key, address) in [
                ("public-ip", cfg.public_ip.to_string()),
                ("public-mac", cfg.public_mac.to_string()),
            ] {
                let place = (port.lan.as_str(), address);
                if let Some(other) = stations.get(&place) {
                    let (lan, address) = place;
                    let message =
                        format!("{key} {address} is that of port '{other}' on the LAN at '{lan}'");
                    return Err(Fault::new(&[Step::Key(key)], message).under(&path));
                }
                stations.insert(place, name);
            }
        }
        Ok(())
    }
}

impl Plan {
    /// What creates and changes ports on LANs. Those that go are deleted by [`Plan::remove_lans`].
    pub(super) fn lans(&mut self, current: &Current, wanted: &Config) -> Result<(), PlanError> {
        for port in &wanted.ports {
            if current.lan_ports.contains_key(&port.name) {
                return Err(other_network(&port.name, "lan-nat", "oxide-vpc"));
            }
        }
        for port in &wanted.lan_ports {
            let name = &port.name;
            if current.ports.contains_key(name) {
                return Err(other_network(name, "oxide-vpc", "lan-nat"));
            }
            // It was checked when it was read.
            let Ok(then) = port.request() else { continue };
            let Some(now) = current.lan_ports.get(name) else {
                self.add(Operation::Add, None, "port", name, then);
                self.meters(name, &CurrentMeters::default(), &port.meters());
                continue;
            };
            self.meters(name, &now.meters, &port.meters());
            let now = &now.request;
            let parts = fixed_differences(now, &then);
            if !parts.is_empty() {
                let port = name.clone();
                return Err(PlanError::Fixed { port, parts });
            }
            if now.cfg != then.cfg {
                let which = shown(&then.cfg);
                let req = SetIpConfigReq {
                    port_name: name.clone(),
                    change: IpConfigChange::from(&then.cfg),
                };
                self.add(
                    Operation::Change,
                    Some(name),
                    "IP configuration",
                    which,
                    req,
                );
            }
        }
        Ok(())
    }

    pub(super) fn remove_lans(&mut self, current: &Current, wanted: &Config) {
        for name in current.lan_ports.keys() {
            if !wanted.lan_ports.iter().any(|port| port.name == *name) {
                let req = DeleteXdeReq { name: name.clone() };
                self.add(Operation::Remove, None, "port", name, req);
            }
        }
    }
}

/// The parts that cannot change of a port that is there, and how they differ.
fn fixed_differences(now: &CreateLanPortReq, then: &CreateLanPortReq) -> String {
    let parts = |request: &CreateLanPortReq| {
        let port = LanPort::from(request);
        let netns = port.netns.unwrap_or_else(|| "none".into());
        [
            ("lan", port.lan),
            ("guest-mac", request.cfg.guest_mac.to_string()),
            ("mtu", port.mtu.to_string()),
            ("netns", netns),
            ("tap", port.tap.to_string()),
        ]
    };
    let both = parts(now).into_iter().zip(parts(then));
    let differences = both.filter(|(now, then)| now != then);
    let differences = differences.map(|((key, now), (_, then))| format!("{key} {now} -> {then}"));
    differences.collect::<Vec<_>>().join(", ")
}

fn other_network(port: &str, now: &str, then: &str) -> PlanError {
    PlanError::Fixed {
        port: port.into(),
        parts: format!("network {now} -> {then}"),
    }
}

fn shown(cfg: &IpConfig) -> String {
    format!(
        "{} as {} at {}, ports {}, gateway {} at {}",
        cfg.private_ip, cfg.public_ip, cfg.public_mac, cfg.ports, cfg.gateway_ip, cfg.gateway_mac
    )
}
