//! The commands that make and change ports on a LAN.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

use opte::api::{
    GENERIC_VERSION, GuestLink, Ipv4Cidr, NoResp, OpteError, PortRange, PortRangeError,
    check_port_name,
};
use opte_headers::MacAddr;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

pub use crate::IpConfig;

/// Creates a port on a LAN and the guest's link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct CreateLanPortReq {
    /// The name of the port, and of its link on the host.
    pub name: String,
    /// The host's link to the LAN. Ports can share it with each other and with the host.
    pub lan: String,
    /// The guest, and what stands for it on the LAN.
    pub cfg: IpConfig,
    /// The guest's MTU in octets; [`DEFAULT_MTU`](opte::api::DEFAULT_MTU) if none.
    pub mtu: Option<u16>,
    /// How the guest is attached.
    pub link: GuestLink,
}

/// Sets the addresses of a port on a LAN. Flows that have what they need go on: those whose public address and port stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetIpConfigReq {
    /// The port.
    pub port_name: String,
    /// What is to be another.
    pub change: IpConfigChange,
}

/// What of an [`IpConfig`] is to be another; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct IpConfigChange {
    /// The guest's address.
    pub private_ip: Option<Ipv4Addr>,
    /// The address that stands for the guest on the LAN.
    pub public_ip: Option<Ipv4Addr>,
    /// The MAC address under which the LAN finds it. One that is the usual one of the public address changes along with it.
    pub public_mac: Option<MacAddr>,
    /// The first port of the public address that is the guest's.
    pub port_start: Option<u16>,
    /// The last.
    pub port_end: Option<u16>,
    /// The LAN's subnet.
    pub vpc_sub4: Option<Ipv4Cidr>,
    /// The MAC address of the LAN's gateway.
    pub gw_mac: Option<MacAddr>,
    /// The address of the LAN's gateway.
    pub gw_ip: Option<Ipv4Addr>,
}

/// One value of an [`IpConfigChange`], written `key=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `private_ip`
    PrivateIp(Ipv4Addr),
    /// `public_ip`
    PublicIp(Ipv4Addr),
    /// `public_mac`
    PublicMac(MacAddr),
    /// `port_start`
    PortStart(u16),
    /// `port_end`
    PortEnd(u16),
    /// `vpc_sub4`
    VpcSub4(Ipv4Cidr),
    /// `gw_mac`
    GwMac(MacAddr),
    /// `gw_ip`
    GwIp(Ipv4Addr),
}

/// Why a text is no [`Setting`], or settings make no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// It is not `key=value`.
    NoPair {
        /// The text.
        text: String,
    },
    /// There is no such key.
    Key {
        /// The key.
        key: String,
    },
    /// The value is none of the key's.
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        given: String,
        /// What is possible.
        possible: &'static str,
    },
    /// The key is given twice.
    Twice {
        /// The key.
        key: &'static str,
    },
    /// A new port needs the key.
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The ports are no range.
    Ports(PortRangeError),
}

impl Setting {
    /// The keys, in the order in which they are written.
    pub const KEYS: [&'static str; 8] = [
        "private_ip",
        "public_ip",
        "public_mac",
        "port_start",
        "port_end",
        "vpc_sub4",
        "gw_mac",
        "gw_ip",
    ];

    /// Its key.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::PrivateIp(_) => "private_ip",
            Self::PublicIp(_) => "public_ip",
            Self::PublicMac(_) => "public_mac",
            Self::PortStart(_) => "port_start",
            Self::PortEnd(_) => "port_end",
            Self::VpcSub4(_) => "vpc_sub4",
            Self::GwMac(_) => "gw_mac",
            Self::GwIp(_) => "gw_ip",
        }
    }
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(SettingError::NoPair { text: text.into() });
        };
        let known = Self::KEYS.into_iter().find(|known| *known == key);
        let Some(key) = known else {
            return Err(SettingError::Key { key: key.into() });
        };
        Ok(match key {
            "private_ip" => Self::PrivateIp(value_of(key, value, ADDRESS)?),
            "public_ip" => Self::PublicIp(value_of(key, value, ADDRESS)?),
            "public_mac" => Self::PublicMac(value_of(key, value, MAC)?),
            "port_start" => Self::PortStart(value_of(key, value, PORT)?),
            "port_end" => Self::PortEnd(value_of(key, value, PORT)?),
            "vpc_sub4" => Self::VpcSub4(value_of(key, value, SUBNET)?),
            "gw_mac" => Self::GwMac(value_of(key, value, MAC)?),
            _ => Self::GwIp(value_of(key, value, ADDRESS)?),
        })
    }
}

const ADDRESS: &str = "an IPv4 address such as 10.0.0.99";
const MAC: &str = "a MAC address such as 78:23:ae:5d:4f:0d";
const PORT: &str = "a port from 1 to 65535";
const SUBNET: &str = "an IPv4 subnet such as 10.0.0.0/24";

fn value_of<T: FromStr>(
    key: &'static str,
    given: &str,
    possible: &'static str,
) -> Result<T, SettingError> {
    given.parse().map_err(|_| SettingError::Value {
        key,
        given: given.into(),
        possible,
    })
}

impl IpConfigChange {
    /// The change that these settings ask for.
    ///
    /// # Errors
    /// [`SettingError::Twice`].
    pub fn of(settings: &[Setting]) -> Result<Self, SettingError> {
        let mut change = Self::default();
        for setting in settings {
            let is_new = match *setting {
                Setting::PrivateIp(ip) => change.private_ip.replace(ip).is_none(),
                Setting::PublicIp(ip) => change.public_ip.replace(ip).is_none(),
                Setting::PublicMac(mac) => change.public_mac.replace(mac).is_none(),
                Setting::PortStart(port) => change.port_start.replace(port).is_none(),
                Setting::PortEnd(port) => change.port_end.replace(port).is_none(),
                Setting::VpcSub4(subnet) => change.vpc_sub4.replace(subnet).is_none(),
                Setting::GwMac(mac) => change.gw_mac.replace(mac).is_none(),
                Setting::GwIp(ip) => change.gw_ip.replace(ip).is_none(),
            };
            if !is_new {
                return Err(SettingError::Twice { key: setting.key() });
            }
        }
        Ok(change)
    }

    /// The configuration of a new port, which needs all but the MAC addresses.
    ///
    /// # Errors
    /// What is missing, or that the ports are no range. Whether the addresses fit is for [`IpConfig::validate`].
    pub fn create(&self, guest_mac: Option<MacAddr>) -> Result<IpConfig, SettingError> {
        fn given<T>(value: Option<T>, key: &'static str) -> Result<T, SettingError> {
            value.ok_or(SettingError::Missing { key })
        }
        let private_ip = given(self.private_ip, "private_ip")?;
        let public_ip = given(self.public_ip, "public_ip")?;
        let ports = (
            given(self.port_start, "port_start")?,
            given(self.port_end, "port_end")?,
        );
        Ok(IpConfig {
            guest_mac: guest_mac.unwrap_or(IpConfig::usual_guest_mac(private_ip)),
            private_ip,
            public_ip,
            public_mac: self.public_mac.unwrap_or(IpConfig::usual_mac(public_ip)),
            ports: PortRange::new(ports.0, ports.1).map_err(SettingError::Ports)?,
            subnet: given(self.vpc_sub4, "vpc_sub4")?,
            gateway_mac: given(self.gw_mac, "gw_mac")?,
            gateway_ip: given(self.gw_ip, "gw_ip")?,
        })
    }

    /// The configuration that `cfg` becomes.
    ///
    /// # Errors
    /// [`OpteError::InvalidIpCfg`] if that is none, with what does not fit.
    pub fn change(&self, cfg: &IpConfig) -> Result<IpConfig, OpteError> {
        let public_ip = self.public_ip.unwrap_or(cfg.public_ip);
        let public_mac = if cfg.public_mac == IpConfig::usual_mac(cfg.public_ip) {
            IpConfig::usual_mac(public_ip)
        } else {
            cfg.public_mac
        };
        let ports = PortRange::new(
            self.port_start.unwrap_or(cfg.ports.start()),
            self.port_end.unwrap_or(cfg.ports.end()),
        );
        let changed = IpConfig {
            guest_mac: cfg.guest_mac,
            private_ip: self.private_ip.unwrap_or(cfg.private_ip),
            public_ip,
            public_mac: self.public_mac.unwrap_or(public_mac),
            ports: ports.map_err(|error| OpteError::InvalidIpCfg {
                reason: SettingError::Ports(error).to_string(),
            })?,
            subnet: self.vpc_sub4.unwrap_or(cfg.subnet),
            gateway_mac: self.gw_mac.unwrap_or(cfg.gateway_mac),
            gateway_ip: self.gw_ip.unwrap_or(cfg.gateway_ip),
        };
        changed.validate()?;
        Ok(changed)
    }
}

impl From<&IpConfig> for IpConfigChange {
    /// The change that makes any configuration this one.
    fn from(cfg: &IpConfig) -> Self {
        Self {
            private_ip: Some(cfg.private_ip),
            public_ip: Some(cfg.public_ip),
            public_mac: Some(cfg.public_mac),
            port_start: Some(cfg.ports.start()),
            port_end: Some(cfg.ports.end()),
            vpc_sub4: Some(cfg.subnet),
            gw_mac: Some(cfg.gateway_mac),
            gw_ip: Some(cfg.gateway_ip),
        }
    }
}

impl CreateLanPortReq {
    fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.name)?;
        check_port_name(&self.lan)?;
        if self.lan == self.name {
            return Err(invalid(
                "LAN link",
                format!("'{}' is the name of the port's own link", self.lan),
            ));
        }
        self.link.validate(self.mtu)?;
        self.cfg.validate()
    }
}

impl SetIpConfigReq {
    fn check(&self) -> Result<(), OpteError> {
        check_port_name(&self.port_name)?;
        if self.change == IpConfigChange::default() {
            let keys = Setting::KEYS.join(", ");
            return Err(invalid(
                "IP configuration",
                format!("nothing is given, possible are {keys}"),
            ));
        }
        Ok(())
    }
}

opte::requests! {
    /// The API version of the generic commands and those of ports on a LAN.
    LAN_VERSION on GENERIC_VERSION;
    /// The commands of ports on a LAN.
    LAN_COMMANDS;
    CreateLanPortReq = CreateLanPort -> NoResp (check),
    SetIpConfigReq = SetIpConfig -> NoResp (check),
}

fn invalid(name: &str, reason: String) -> OpteError {
    OpteError::InvalidArgument {
        name: name.into(),
        reason,
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = || Setting::KEYS.join(", ");
        match self {
            Self::NoPair { text } => {
                write!(f, "'{text}' is not key=value; possible keys are {}", keys())
            }
            Self::Key { key } => write!(f, "there is no key '{key}', possible are {}", keys()),
            Self::Value {
                key,
                given,
                possible,
            } => write!(f, "{key} '{given}' is not {possible}"),
            Self::Twice { key } => write!(f, "{key} is given twice"),
            Self::Missing { key } => write!(f, "{key} is missing"),
            Self::Ports(PortRangeError::Reversed { start, end }) => {
                write!(f, "port_start {start} is behind port_end {end}")
            }
            Self::Ports(PortRangeError::Zero) => write!(f, "port_start 0 is not {PORT}"),
            Self::Ports(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SettingError {}

impl From<SettingError> for OpteError {
    fn from(error: SettingError) -> Self {
        Self::InvalidIpCfg {
            reason: error.to_string(),
        }
    }
}
