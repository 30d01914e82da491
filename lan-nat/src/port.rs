//! A guest's port on a LAN, and the command that changes it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use opte::api::OpteError;
use opte::nat::{NatPoolUsage, Share};
use opte::port::{Limits, Port, PortBuilder, PortError, PortState, Position, RuleChange};
use opte::provider::{Log, Random};
use opte::sync::KMutex;
use opte_headers::{Arp, ArpOperation, Ethernet, Ethertype, Header, MacAddr};

use crate::IpConfig;
use crate::layer::{self, GATEWAY, LAN, NAT};
use crate::network::{LanNat, Present};

/// What a port needs of its host beside its configuration.
#[derive(Clone)]
pub struct Host {
    /// Randomness, for NAT ports and hashing.
    pub random: Arc<dyn Random>,
    /// Where log lines go.
    pub log: Arc<dyn Log>,
    /// How much a port may hold.
    pub limits: Limits,
}

/// A guest's port on a LAN.
pub struct LanPort {
    port: Port<LanNat>,
    mtu: u16,
    present: Arc<Present>,
    /// Its lock orders commands; no packet waits for it.
    cfg: KMutex<IpConfig>,
}

/// Octets of an ARP message in its frame.
pub const ANNOUNCEMENT: usize = 42;

impl LanPort {
    /// A port that is ready to be started, for a link with an MTU of so many bytes.
    ///
    /// # Errors
    /// As [`IpConfig::validate`].
    pub fn new(name: &str, cfg: &IpConfig, mtu: u16, host: &Host) -> Result<Self, OpteError> {
        cfg.validate()?;
        let present = Arc::new(Present::new(cfg, share(cfg)?));
        let network = LanNat::new(Arc::clone(&present));
        let mut builder = PortBuilder::new(name, network, Arc::clone(&host.random))
            .limits(host.limits)
            .log(Arc::clone(&host.log));
        for layer in layer::all(cfg, mtu, &present) {
            builder = builder
                .layer(layer, Position::Last)
                .map_err(|error| refused(name, error))?;
        }
        Ok(Self {
            port: builder.build(),
            mtu,
            present,
            cfg: KMutex::new(*cfg),
        })
    }

    /// The engine's port.
    pub fn port(&self) -> &Port<LanNat> {
        &self.port
    }

    /// The configuration as last set.
    pub fn cfg(&self) -> IpConfig {
        *self.cfg.lock()
    }

    /// Sets the configuration. Flows whose public address and port stay go on with them; others stop before their next packet.
    ///
    /// # Errors
    /// As [`LanPort::check`]. Nothing is changed then.
    pub fn set(&self, cfg: &IpConfig) -> Result<(), OpteError> {
        let mut present = self.cfg.lock();
        self.check(cfg)?;
        let before = *present;
        let share = self.share_of(&before, cfg)?;
        let changes = self.changes(&before, cfg, &share);
        // State of live flows asks what is configured when the new rules find it.
        let share = self.present.replace(cfg, share);
        if let Err(error) = self.port.change_rules(changes) {
            share.resize(before.ports);
            self.present.replace(&before, share);
            return Err(refused(self.port.name(), error));
        }
        *present = *cfg;
        Ok(())
    }

    /// Whether [`LanPort::set`] would set this configuration.
    ///
    /// # Errors
    /// As [`IpConfig::validate`], for another guest's MAC address, which a port has for life, and for a port that is paused.
    pub fn check(&self, cfg: &IpConfig) -> Result<(), OpteError> {
        cfg.validate()?;
        let guest_mac = self.present.guest_mac();
        if cfg.guest_mac != guest_mac {
            let reason = alloc::format!(
                "guest_mac {} is another than the port was made with, {guest_mac}",
                cfg.guest_mac
            );
            return Err(OpteError::InvalidIpCfg { reason });
        }
        match self.port.state() {
            state @ PortState::Paused => Err(refused(self.port.name(), PortError::BadState(state))),
            _ => Ok(()),
        }
    }

    /// How the ports of the public address fare, by protocol.
    pub fn nat_usage(&self) -> [(&'static str, NatPoolUsage); 3] {
        let share = self.present.share();
        share.pools().map(|(name, pool)| (name, pool.usage()))
    }

    /// What tells the LAN under which MAC address it now finds the public address (RFC 5227, section 2.3).
    pub fn announcement(&self) -> [u8; ANNOUNCEMENT] {
        let IpConfig {
            public_ip,
            public_mac,
            ..
        } = self.cfg();
        let mut frame = [0; ANNOUNCEMENT];
        let ethernet = Ethernet {
            destination: MacAddr::BROADCAST,
            source: public_mac,
            ethertype: Ethertype::ARP,
        };
        let arp = Arp {
            operation: ArpOperation::REQUEST,
            sender_mac: public_mac,
            sender_ip: public_ip,
            target_ip: public_ip,
            ..Arp::default()
        };
        // Both have their place: it is their length.
        if let Some((head, body)) = frame.split_at_mut_checked(ethernet.len()) {
            let _written = (ethernet.emit(head), arp.emit(body));
        }
        frame
    }

    /// The ports of the public address: those of before, so that flows keep theirs, if the address is the same.
    fn share_of(&self, before: &IpConfig, cfg: &IpConfig) -> Result<Arc<Share>, OpteError> {
        let present = self.present.share();
        if before.public_ip != cfg.public_ip {
            return share(cfg);
        }
        if before.ports != cfg.ports {
            present.resize(cfg.ports);
        }
        Ok(present)
    }

    /// New rules for the layers that are different then.
    fn changes(
        &self,
        before: &IpConfig,
        cfg: &IpConfig,
        share: &Arc<Share>,
    ) -> Vec<RuleChange<LanNat>> {
        let router = |cfg: &IpConfig| (cfg.private_ip, cfg.gateway_mac, cfg.gateway_ip);
        let addresses = |cfg: &IpConfig| (cfg.private_ip, cfg.public_ip);
        let stations = |cfg: &IpConfig| (cfg.public_ip, cfg.public_mac, cfg.gateway_mac);
        let mut changes = Vec::new();
        if router(before) != router(cfg) {
            changes.push(layer::gateway(cfg, self.mtu).change(GATEWAY));
        }
        if addresses(before) != addresses(cfg) {
            changes.push(layer::nat(cfg, &self.present, share).change(NAT));
        }
        if stations(before) != stations(cfg) {
            changes.push(layer::lan(cfg).change(LAN));
        }
        changes
    }
}

impl fmt::Debug for LanPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanPort")
            .field("name", &self.port.name())
            .field("cfg", &self.cfg())
            .finish_non_exhaustive()
    }
}

fn share(cfg: &IpConfig) -> Result<Arc<Share>, OpteError> {
    let share = Share::new(cfg.public_ip.into(), cfg.ports);
    share.ok_or_else(|| OpteError::InvalidIpCfg {
        reason: alloc::format!("there are no ports in {}", cfg.ports),
    })
}

/// The engine's refusal as the answer to a command.
fn refused(port: &str, error: PortError) -> OpteError {
    let port = String::from(port);
    match error {
        PortError::BadState(state) => OpteError::BadState {
            port,
            state: state.to_string(),
        },
        other => OpteError::PortCreate {
            port,
            reason: other.to_string(),
        },
    }
}
