//! Ports on LANs, and the host's links to these.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use lan_nat::{IpConfig, LanPort};
use opte::api::OpteError;
use opte_headers::MacAddr;
use oxide_vpc::api::{CreateLanPortReq, SetIpConfigReq};

use super::managed::{Kind, Managed};
use super::{Management, system};
use crate::Driver;
use crate::platform::{LanId, LanLink, Platform};
use crate::switch::Lans;

/// A link to a LAN that is open.
#[derive(Clone, Copy)]
pub(super) struct OpenLan {
    pub(super) id: LanId,
    pub(super) link: LanLink,
}

impl<P: Platform> Driver<P> {
    pub(super) fn create_lan(&self, req: CreateLanPortReq) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        management.name_must_be_new(&req.name)?;
        management.stations().add(&req.lan, &req.cfg, &req.name)?;
        let kind = self.lan_kind(req)?;
        self.add_port(&mut management, kind)
    }

    pub(super) fn set_ip_config(&self, req: &SetIpConfigReq) -> Result<(), OpteError> {
        let management = self.management.lock();
        let name = &req.port_name;
        let managed = management.port(name)?;
        let cfg = req.change.change(&managed.lan()?.cfg())?;
        let lan = managed.kind.lan_link().unwrap_or_default();
        let mut stations = management.stations();
        stations.remove(name);
        stations.add(lan, &cfg, name)?;
        self.change_lan_port(&management, name, &cfg)
    }

    /// Sets a configuration that no other port's station stands against.
    pub(super) fn change_lan_port(
        &self,
        management: &Management<P::Link>,
        name: &str,
        cfg: &IpConfig,
    ) -> Result<(), OpteError> {
        let managed = management.port(name)?;
        let port = managed.lan()?;
        let lan = managed.kind.lan_link();
        if let Some((lan, open)) = lan.and_then(|lan| Some((lan, management.lans.get(lan)?))) {
            not_the_hosts(lan, open, cfg)?;
        }
        let before = port.cfg();
        port.set(cfg)?;
        self.settle_lans(management);
        self.show(management);
        if (before.public_ip, before.public_mac) != (cfg.public_ip, cfg.public_mac) {
            self.announce(management, name);
        }
        Ok(())
    }

    /// The engine of a port on a LAN that is to be.
    pub(super) fn lan_kind(&self, req: CreateLanPortReq) -> Result<Kind, OpteError> {
        let host = lan_nat::Host {
            random: Arc::clone(&self.host.random),
            log: Arc::clone(&self.host.log),
            limits: self.host.limits,
        };
        let mtu = req.mtu.unwrap_or(opte::api::DEFAULT_MTU);
        let port = LanPort::new(&req.name, &req.cfg, mtu, &host)?;
        Ok(Kind::Lan(Arc::new(port), Box::new(req)))
    }

    /// Opens the link to the LAN of a port that is to be, unless another port has it open.
    pub(super) fn open_lan_of(
        &self,
        management: &mut Management<P::Link>,
        kind: &Kind,
    ) -> Result<Option<LanId>, OpteError> {
        let Kind::Lan(port, request) = kind else {
            return Ok(None);
        };
        let name = &request.lan;
        if let Some(open) = management.lans.get(name) {
            not_the_hosts(name, open, &port.cfg())?;
            return Ok(Some(open.id));
        }
        management.last_id += 1;
        let id = LanId(management.last_id);
        let link = self.platform.open_lan(id, name).map_err(system)?;
        let open = OpenLan { id, link };
        if let Err(error) = not_the_hosts(name, &open, &port.cfg()) {
            self.platform.close_lan(id);
            return Err(error);
        }
        management.lans.insert(name.clone(), open);
        Ok(Some(id))
    }

    /// Closes the links to LANs that no port is on any more.
    pub(super) fn close_idle_lans(&self, management: &mut Management<P::Link>) {
        let ports = &management.ports;
        let is_idle = |name: &String| {
            let mut ports = ports.values();
            !ports.any(|port| port.kind.lan_link() == Some(name))
        };
        management.lans.retain(|name, open| {
            let idle = is_idle(name);
            if idle {
                self.platform.close_lan(open.id);
            }
            !idle
        });
        self.settle_lans(management);
    }

    /// Has the links to LANs hand over the frames to the stations there are.
    pub(super) fn settle_lans(&self, management: &Management<P::Link>) {
        for (name, open) in &management.lans {
            let ports = management.ports.values();
            let here = ports.filter(|port| port.kind.lan_link() == Some(name));
            let stations = here.filter_map(|port| Some(port.lan().ok()?.cfg().public_mac));
            let stations: Vec<MacAddr> = stations.collect();
            self.platform.set_stations(open.id, &stations);
        }
    }

    /// Tells the LAN of a port where its public address is now.
    pub(super) fn announce(&self, management: &Management<P::Link>, name: &str) {
        let Ok(managed) = management.port(name) else {
            return;
        };
        if let (Ok(port), Some(lan)) = (managed.lan(), managed.switch.lan) {
            self.platform.send_to_lan(lan, &port.announcement());
        }
    }
}

impl<L> Management<L> {
    /// The links to LANs, and who is on them, for the data path.
    pub(super) fn lans(&self) -> Lans<L> {
        let links = self.lans.values().map(|open| (open.id, open.link));
        let mut lans = Lans::new(links);
        for port in self.ports.values() {
            if let Ok(lan) = port.lan() {
                let IpConfig {
                    public_mac,
                    public_ip,
                    ..
                } = lan.cfg();
                lans.add(public_mac, public_ip, &port.switch);
            }
        }
        lans
    }

    /// The stations that the ports are on their LANs.
    pub(super) fn stations(&self) -> Stations {
        let mut stations = Stations::default();
        for (name, port) in &self.ports {
            stations.note(name, port);
        }
        stations
    }
}

/// The stations that ports are on LANs, each with its port.
#[derive(Default)]
pub(super) struct Stations {
    by_ip: BTreeMap<(String, Ipv4Addr), String>,
    by_mac: BTreeMap<(String, MacAddr), String>,
}

impl Stations {
    fn note<L>(&mut self, name: &str, port: &Managed<L>) {
        if let (Ok(lan), Some(link)) = (port.lan(), port.kind.lan_link()) {
            // Those there are do not meet.
            let _new = self.add(link, &lan.cfg(), name);
        }
    }

    /// Adds those of port `name`.
    ///
    /// # Errors
    /// [`OpteError::StationExists`] if there is one with such an address on the LAN.
    pub(super) fn add(&mut self, link: &str, cfg: &IpConfig, name: &str) -> Result<(), OpteError> {
        let ip = (String::from(link), cfg.public_ip);
        let mac = (String::from(link), cfg.public_mac);
        let taken = |port: &String, address: String| OpteError::StationExists {
            port: port.clone(),
            link: link.into(),
            address,
        };
        if let Some(port) = self.by_ip.get(&ip) {
            return Err(taken(port, alloc::format!("public_ip {}", ip.1)));
        }
        if let Some(port) = self.by_mac.get(&mac) {
            return Err(taken(port, alloc::format!("public_mac {}", mac.1)));
        }
        self.by_ip.insert(ip, name.to_string());
        self.by_mac.insert(mac, name.to_string());
        Ok(())
    }

    /// Removes those of port `name`.
    pub(super) fn remove(&mut self, name: &str) {
        self.by_ip.retain(|_, port| port != name);
        self.by_mac.retain(|_, port| port != name);
    }
}

/// The host's own station on the LAN has its own address.
fn not_the_hosts(link: &str, open: &OpenLan, cfg: &IpConfig) -> Result<(), OpteError> {
    if open.link.mac != cfg.public_mac {
        return Ok(());
    }
    let reason = alloc::format!(
        "public_mac {} is that of link '{link}' itself",
        cfg.public_mac
    );
    Err(OpteError::InvalidIpCfg { reason })
}
