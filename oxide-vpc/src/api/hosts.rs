//! The far ends that a firewall rule is about.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use opte::api::IpCidr;
use opte_headers::Vni;
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::RuleFilterError;

/// The other end of a packet. Written `any`, or as a list of [`Host`]s: `ip=10.0.0.1,subnet=10.1.0.0/16,vni=7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Hosts {
    /// Anyone.
    #[default]
    Any,
    /// Any one of these: ascending, none twice, at least one.
    List(Vec<Host>),
}

/// One host or many that have something in common. Written `ip=<address>`, `subnet=<prefix>`, `vni=<number>`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub enum Host {
    /// One address.
    Ip(IpAddr),
    /// A prefix.
    Subnet(IpCidr),
    /// The guests of a VPC.
    Vni(Vni),
}

impl Hosts {
    /// Any one of `hosts`, in order and each once.
    pub fn list(hosts: impl IntoIterator<Item = Host>) -> Self {
        let mut hosts: Vec<Host> = hosts.into_iter().collect();
        hosts.sort_unstable();
        hosts.dedup();
        Self::List(hosts)
    }
}

impl From<Host> for Hosts {
    fn from(host: Host) -> Self {
        Self::list([host])
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::List(hosts) => {
                for (i, host) in hosts.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    host.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "ip={ip}"),
            Self::Subnet(cidr) => write!(f, "subnet={cidr}"),
            Self::Vni(vni) => write!(f, "vni={vni}"),
        }
    }
}

impl FromStr for Hosts {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        if text.eq_ignore_ascii_case("any") {
            return Ok(Self::Any);
        }
        let hosts: Result<Vec<Host>, _> = text.split(',').map(str::parse).collect();
        hosts.map(Self::list)
    }
}

impl FromStr for Host {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        let bad = || RuleFilterError::Hosts {
            text: text.to_string(),
        };
        let (kind, value) = text.split_once('=').ok_or_else(bad)?;
        match kind.to_ascii_lowercase().as_str() {
            "ip" => value.parse().map(Self::Ip).map_err(|_| bad()),
            "subnet" => value.parse().map(Self::Subnet).map_err(|_| bad()),
            "vni" => value.parse().map(Self::Vni).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_sorted_and_each_once() {
        for (text, shown) in [
            ("any", "any"),
            ("ip=10.0.0.1", "ip=10.0.0.1"),
            (
                "vni=7,IP=fd00::1,ip=10.0.0.2,subnet=10.0.0.9/8,ip=10.0.0.2",
                "ip=10.0.0.2,ip=fd00::1,subnet=10.0.0.0/8,vni=7",
            ),
        ] {
            assert_eq!(text.parse::<Hosts>().unwrap().to_string(), shown, "{text}");
        }
        for (text, wrong) in [
            ("", ""),
            ("10.0.0.1", "10.0.0.1"),
            ("ip=10.0.0.1,", ""),
            ("ip=10.0.0.1,10.0.0.2", "10.0.0.2"),
            ("any,ip=10.0.0.1", "any"),
            ("ip=10.0.0.256", "ip=10.0.0.256"),
            ("subnet=10.0.0.0/33", "subnet=10.0.0.0/33"),
            ("vni=16777216", "vni=16777216"),
        ] {
            let text: Result<Hosts, _> = text.parse();
            let wrong = RuleFilterError::Hosts { text: wrong.into() };
            assert_eq!(text, Err(wrong));
        }
    }
}
