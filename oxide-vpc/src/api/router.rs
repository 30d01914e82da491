//! Routes of a port.

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use opte::api::{IpCidr, Ipv4Cidr, Ipv6Cidr, OpteError};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A route: where packets to a prefix go.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct RouterEntry {
    /// The prefix; the longest that holds a packet's destination decides.
    pub dest: IpCidr,
    /// Where the packets go.
    pub target: RouterTarget,
    /// Who made the route; of two to the same prefix the custom one decides.
    pub class: RouterClass,
}

/// Where a route leads. Written `drop`, `ig`, `ig=<uuid>`, `ip4=<address>`, `ip6=<address>`, `sub4=<prefix>`, `sub6=<prefix>`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub enum RouterTarget {
    /// Nowhere.
    Drop,
    /// Out of the VPC, by the gateway with this name or by the one without.
    InternetGateway(Option<Uuid>),
    /// To the guest with this address.
    Ip(IpAddr),
    /// To the guest in this subnet that has the packet's destination address.
    VpcSubnet(IpCidr),
}

/// Who made a route.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub enum RouterClass {
    /// The control plane.
    System,
    /// The customer.
    Custom,
}

impl RouterEntry {
    /// Checks that the destination can be routed to the target: one family, and no group of hosts.
    pub fn validate(&self) -> Result<(), OpteError> {
        let same_family = match self.target {
            RouterTarget::Ip(ip) => ip.is_ipv4() == self.dest.is_ipv4(),
            RouterTarget::VpcSubnet(cidr) => cidr.is_ipv4() == self.dest.is_ipv4(),
            RouterTarget::Drop | RouterTarget::InternetGateway(_) => true,
        };
        let reason = if !same_family {
            "destination and target are of different families"
        } else if self.dest.is_multicast() {
            "the destination is multicast"
        } else {
            return Ok(());
        };
        Err(OpteError::InvalidRouterEntry {
            dest: self.dest,
            target: self.target.to_string(),
            reason: reason.to_string(),
        })
    }
}

impl fmt::Display for RouterTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::InternetGateway(None) => f.write_str("ig"),
            Self::InternetGateway(Some(id)) => write!(f, "ig={id}"),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "ip4={ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "ip6={ip}"),
            Self::VpcSubnet(IpCidr::Ip4(cidr)) => write!(f, "sub4={cidr}"),
            Self::VpcSubnet(IpCidr::Ip6(cidr)) => write!(f, "sub6={cidr}"),
        }
    }
}

impl FromStr for RouterTarget {
    type Err = RouterTextError;

    fn from_str(text: &str) -> Result<Self, RouterTextError> {
        let lower = text.to_ascii_lowercase();
        let bad = || RouterTextError::Target {
            text: text.to_string(),
        };
        match lower.as_str() {
            "drop" => return Ok(Self::Drop),
            "ig" => return Ok(Self::InternetGateway(None)),
            _ => {}
        }
        let (kind, value) = lower.split_once('=').ok_or_else(bad)?;
        match kind {
            "ig" => value
                .parse()
                .map(|id| Self::InternetGateway(Some(id)))
                .map_err(|_| bad()),
            "ip4" => value
                .parse::<Ipv4Addr>()
                .map(|ip| Self::Ip(ip.into()))
                .map_err(|_| bad()),
            "ip6" => value
                .parse::<Ipv6Addr>()
                .map(|ip| Self::Ip(ip.into()))
                .map_err(|_| bad()),
            "sub4" => value
                .parse::<Ipv4Cidr>()
                .map(|cidr| Self::VpcSubnet(cidr.into()))
                .map_err(|_| bad()),
            "sub6" => value
                .parse::<Ipv6Cidr>()
                .map(|cidr| Self::VpcSubnet(cidr.into()))
                .map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for RouterClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Custom => "custom",
        })
    }
}

impl FromStr for RouterClass {
    type Err = RouterTextError;

    fn from_str(text: &str) -> Result<Self, RouterTextError> {
        if text.eq_ignore_ascii_case("system") {
            Ok(Self::System)
        } else if text.eq_ignore_ascii_case("custom") {
            Ok(Self::Custom)
        } else {
            Err(RouterTextError::Class {
                text: text.to_string(),
            })
        }
    }
}

/// Why a text is no part of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterTextError {
    /// No target.
    Target {
        /// The text.
        text: String,
    },
    /// No class.
    Class {
        /// The text.
        text: String,
    },
}

impl fmt::Display for RouterTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target { text } => write!(
                f,
                "'{text}' is no router target: expected drop, ig, ig=<uuid>, ip4=<ip>, ip6=<ip>, sub4=<cidr> or sub6=<cidr>"
            ),
            Self::Class { text } => {
                write!(f, "'{text}' is no router class: expected system or custom")
            }
        }
    }
}

impl core::error::Error for RouterTextError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_from_text_and_back() {
        for text in [
            "drop",
            "ig",
            "ig=6e1b9c7e-6a3c-4d5b-9d0e-000000000001",
            "ip4=10.0.0.1",
            "ip6=fd00::1",
            "sub4=10.0.0.0/24",
            "sub6=fd00::/64",
        ] {
            assert_eq!(text.parse::<RouterTarget>().unwrap().to_string(), text);
        }
        assert_eq!("DROP".parse(), Ok(RouterTarget::Drop));
        for text in [
            "",
            "ig=",
            "ip4=fd00::1",
            "ip6=10.0.0.1",
            "sub4=fd00::/64",
            "sub4=10.0.0.0",
            "nat",
            "ip4",
        ] {
            assert!(text.parse::<RouterTarget>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_route_is_of_one_family_and_to_hosts() {
        let entry = |dest: &str, target: &str| RouterEntry {
            dest: dest.parse().unwrap(),
            target: target.parse().unwrap(),
            class: RouterClass::System,
        };
        for (dest, target) in [
            ("0.0.0.0/0", "ig"),
            ("::/0", "ig"),
            ("10.0.0.0/8", "sub4=10.0.0.0/8"),
            ("fd00::/8", "drop"),
        ] {
            assert_eq!(entry(dest, target).validate(), Ok(()));
        }
        for (dest, target, message) in [
            (
                "10.0.0.0/8",
                "ip6=fd00::1",
                "invalid router entry 10.0.0.0/8 -> ip6=fd00::1: destination and target are of different families",
            ),
            (
                "ff00::/8",
                "ig",
                "invalid router entry ff00::/8 -> ig: the destination is multicast",
            ),
        ] {
            assert_eq!(
                entry(dest, target).validate().unwrap_err().to_string(),
                message
            );
        }
    }
}
