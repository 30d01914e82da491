//! The configuration of a port.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::api::{DomainName, Ipv4Cidr, Ipv6Cidr, OpteError, PortRange};
use opte_headers::{MacAddr, Vni};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The configuration of a guest's port in a VPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct VpcCfg {
    /// The guest's addresses.
    pub ip_cfg: IpCfg,
    /// The guest's MAC address.
    pub guest_mac: MacAddr,
    /// The MAC address the VPC's gateway shows to the guest.
    pub gateway_mac: MacAddr,
    /// The VPC's network identifier.
    pub vni: Vni,
    /// The underlay address of this host.
    pub phys_ip: Ipv6Addr,
    /// What the guest learns by DHCP beside its address.
    pub dhcp: DhcpCfg,
}

/// The address families of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum IpCfg {
    /// IPv4 alone.
    Ipv4(Ipv4Cfg),
    /// IPv6 alone.
    Ipv6(Ipv6Cfg),
    /// Both.
    DualStack {
        /// The IPv4 half.
        ipv4: Ipv4Cfg,
        /// The IPv6 half.
        ipv6: Ipv6Cfg,
    },
}

/// The IPv4 half of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Ipv4Cfg {
    /// The subnet of the VPC the guest is in.
    pub vpc_subnet: Ipv4Cidr,
    /// The guest's address.
    pub private_ip: Ipv4Addr,
    /// The gateway's address.
    pub gateway_ip: Ipv4Addr,
    /// The guest's addresses outside.
    pub external_ips: ExternalIpCfg<Ipv4Addr>,
}

/// The IPv6 half of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Ipv6Cfg {
    /// The subnet of the VPC the guest is in.
    pub vpc_subnet: Ipv6Cidr,
    /// The guest's address.
    pub private_ip: Ipv6Addr,
    /// The gateway's address.
    pub gateway_ip: Ipv6Addr,
    /// The guest's addresses outside.
    pub external_ips: ExternalIpCfg<Ipv6Addr>,
}

/// The addresses by which a guest is known outside, in order of preference: floating, ephemeral, SNAT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct ExternalIpCfg<A> {
    /// A share of an address, for outbound flows only.
    pub snat: Option<SNatCfg<A>>,
    /// An address that lives as long as the guest.
    pub ephemeral_ip: Option<A>,
    /// Addresses that can move to another guest.
    pub floating_ips: Vec<A>,
}

/// A share of an external address: some of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SNatCfg<A> {
    /// The address.
    pub external_ip: A,
    /// The ports that are this guest's.
    pub ports: PortRange,
}

/// Which internet gateways an external address belongs to; an address not listed belongs to the one without a name.
pub type InternetGatewayMap = BTreeMap<IpAddr, BTreeSet<Uuid>>;

/// What the guest learns by DHCP beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct DhcpCfg {
    /// The guest's host name.
    pub hostname: Option<DomainName>,
    /// The domain the host name is in.
    pub host_domain: Option<DomainName>,
    /// Domains to look a short name up in, in this order.
    pub domain_search_list: Vec<DomainName>,
    /// Name servers with IPv4 addresses.
    pub dns4_servers: Vec<Ipv4Addr>,
    /// Name servers with IPv6 addresses.
    pub dns6_servers: Vec<Ipv6Addr>,
}

impl VpcCfg {
    /// The IPv4 half, if there is one.
    pub fn ipv4(&self) -> Option<&Ipv4Cfg> {
        self.ip_cfg.ipv4()
    }

    /// The IPv6 half, if there is one.
    pub fn ipv6(&self) -> Option<&Ipv6Cfg> {
        self.ip_cfg.ipv6()
    }

    /// Checks what the types cannot say: addresses that a host can have and that fit each other.
    pub fn validate(&self) -> Result<(), OpteError> {
        station("guest MAC address", self.guest_mac)?;
        station("gateway MAC address", self.gateway_mac)?;
        if self.guest_mac == self.gateway_mac {
            return Err(bad(format!(
                "guest and gateway have the same MAC address {}",
                self.guest_mac
            )));
        }
        host("underlay address", self.phys_ip.into())?;
        if let Some(cfg) = self.ipv4() {
            inside(
                cfg.private_ip.into(),
                cfg.vpc_subnet.contains(cfg.private_ip),
                &cfg.vpc_subnet,
            )?;
            host("private address", cfg.private_ip.into())?;
            host("gateway address", cfg.gateway_ip.into())?;
            distinct(cfg.private_ip.into(), cfg.gateway_ip.into())?;
            cfg.external_ips.validate()?;
        }
        if let Some(cfg) = self.ipv6() {
            inside(
                cfg.private_ip.into(),
                cfg.vpc_subnet.contains(cfg.private_ip),
                &cfg.vpc_subnet,
            )?;
            host("private address", cfg.private_ip.into())?;
            host("gateway address", cfg.gateway_ip.into())?;
            distinct(cfg.private_ip.into(), cfg.gateway_ip.into())?;
            cfg.external_ips.validate()?;
        }
        Ok(())
    }
}

impl IpCfg {
    /// The IPv4 half, if there is one.
    pub fn ipv4(&self) -> Option<&Ipv4Cfg> {
        match self {
            Self::Ipv4(ipv4) | Self::DualStack { ipv4, .. } => Some(ipv4),
            Self::Ipv6(_) => None,
        }
    }

    /// The IPv6 half, if there is one.
    pub fn ipv6(&self) -> Option<&Ipv6Cfg> {
        match self {
            Self::Ipv6(ipv6) | Self::DualStack { ipv6, .. } => Some(ipv6),
            Self::Ipv4(_) => None,
        }
    }
}

impl<A> ExternalIpCfg<A> {
    /// No external address.
    pub const NONE: Self = Self {
        snat: None,
        ephemeral_ip: None,
        floating_ips: Vec::new(),
    };

    /// Whether there is no external address.
    pub fn is_empty(&self) -> bool {
        self.snat.is_none() && self.ephemeral_ip.is_none() && self.floating_ips.is_empty()
    }
}

impl<A> Default for ExternalIpCfg<A> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<A: Copy + Into<IpAddr>> ExternalIpCfg<A> {
    /// Checks that each address can be a host's and is given once.
    pub fn validate(&self) -> Result<(), OpteError> {
        let mut seen = BTreeSet::new();
        for address in self.ephemeral_ip.iter().chain(&self.floating_ips) {
            let address: IpAddr = (*address).into();
            host("external address", address)?;
            if !seen.insert(address) {
                return Err(bad(format!("external address {address} is given twice")));
            }
        }
        match &self.snat {
            Some(snat) => host("SNAT address", snat.external_ip.into()),
            None => Ok(()),
        }
    }
}

fn station(what: &str, mac: MacAddr) -> Result<(), OpteError> {
    if mac.is_multicast() || mac == MacAddr::ZERO {
        return Err(bad(format!("{what} {mac} is no station's")));
    }
    Ok(())
}

fn host(what: &str, ip: IpAddr) -> Result<(), OpteError> {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || broadcast {
        return Err(bad(format!("{what} {ip} is no host's")));
    }
    Ok(())
}

fn inside(ip: IpAddr, is_inside: bool, subnet: &dyn core::fmt::Display) -> Result<(), OpteError> {
    if is_inside {
        Ok(())
    } else {
        Err(bad(format!(
            "private address {ip} is not in the subnet {subnet}"
        )))
    }
}

fn distinct(private: IpAddr, gateway: IpAddr) -> Result<(), OpteError> {
    if private == gateway {
        return Err(bad(format!(
            "guest and gateway have the same address {private}"
        )));
    }
    Ok(())
}

fn bad(reason: String) -> OpteError {
    OpteError::InvalidIpCfg { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn cfg() -> VpcCfg {
        VpcCfg {
            ip_cfg: IpCfg::DualStack {
                ipv4: Ipv4Cfg {
                    vpc_subnet: "172.30.0.0/22".parse().unwrap(),
                    private_ip: "172.30.0.5".parse().unwrap(),
                    gateway_ip: "172.30.0.1".parse().unwrap(),
                    external_ips: ExternalIpCfg {
                        snat: Some(SNatCfg {
                            external_ip: "10.77.77.13".parse().unwrap(),
                            ports: PortRange::new(1025, 4096).unwrap(),
                        }),
                        ephemeral_ip: None,
                        floating_ips: vec![],
                    },
                },
                ipv6: Ipv6Cfg {
                    vpc_subnet: "fd00:1::/64".parse().unwrap(),
                    private_ip: "fd00:1::5".parse().unwrap(),
                    gateway_ip: "fd00:1::1".parse().unwrap(),
                    external_ips: ExternalIpCfg::default(),
                },
            },
            guest_mac: "a8:40:25:ff:00:01".parse().unwrap(),
            gateway_mac: "a8:40:25:ff:77:77".parse().unwrap(),
            vni: Vni::new(1287).unwrap(),
            phys_ip: "fd00:99::1".parse().unwrap(),
            dhcp: DhcpCfg {
                hostname: Some("guest".parse().unwrap()),
                ..DhcpCfg::default()
            },
        }
    }

    #[test]
    fn validate_names_the_address() {
        assert_eq!(cfg().validate(), Ok(()));
        type Edit = fn(&mut VpcCfg);
        let cases: [(Edit, &str); 4] = [
            (
                |c| c.guest_mac = MacAddr::BROADCAST,
                "guest MAC address FF:FF:FF:FF:FF:FF is no station's",
            ),
            (
                |c| c.gateway_mac = c.guest_mac,
                "guest and gateway have the same MAC address A8:40:25:FF:00:01",
            ),
            (
                |c| c.phys_ip = Ipv6Addr::UNSPECIFIED,
                "underlay address :: is no host's",
            ),
            (
                |c| {
                    let IpCfg::DualStack { ipv4, .. } = &mut c.ip_cfg else {
                        unreachable!()
                    };
                    ipv4.private_ip = Ipv4Addr::new(172, 31, 0, 5);
                },
                "private address 172.31.0.5 is not in the subnet 172.30.0.0/22",
            ),
        ];
        for (edit, message) in cases {
            let mut cfg = cfg();
            edit(&mut cfg);
            assert_eq!(
                cfg.validate().unwrap_err().to_string(),
                alloc::format!("invalid IP configuration: {message}")
            );
        }
    }

    #[test]
    fn a_configuration_survives_the_wire() {
        let bytes = postcard::to_allocvec(&cfg()).unwrap();
        assert_eq!(postcard::from_bytes::<VpcCfg>(&bytes).unwrap(), cfg());
    }

    #[test]
    fn addresses_outside_are_given_once() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let cfg = ExternalIpCfg {
            snat: None,
            ephemeral_ip: Some(address),
            floating_ips: vec![address],
        };
        assert_eq!(
            cfg.validate().unwrap_err().to_string(),
            "invalid IP configuration: external address 10.0.0.1 is given twice"
        );
    }
}
