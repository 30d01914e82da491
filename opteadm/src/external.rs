//! External addresses from arguments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::api::{OpteError, PortRange};
use oxide_vpc::api::{ExternalIpCfg, SNatCfg};
use uuid::Uuid;

use crate::args::External;

/// The external addresses of each family; `None` where none are given.
pub(crate) struct Families {
    pub(crate) v4: Option<ExternalIpCfg<Ipv4Addr>>,
    pub(crate) v6: Option<ExternalIpCfg<Ipv6Addr>>,
}

impl External {
    /// Sorts the addresses by family.
    pub(crate) fn families(&self) -> Result<Families, OpteError> {
        let (mut v4, mut v6) = (ExternalIpCfg::NONE, ExternalIpCfg::NONE);
        for (ip, ports) in self.snat_ip.iter().zip(self.snat_ports()?) {
            match *ip {
                IpAddr::V4(external_ip) => once(
                    &mut v4.snat,
                    SNatCfg { external_ip, ports },
                    "--snat-ip",
                    *ip,
                )?,
                IpAddr::V6(external_ip) => once(
                    &mut v6.snat,
                    SNatCfg { external_ip, ports },
                    "--snat-ip",
                    *ip,
                )?,
            }
        }
        for ip in &self.ephemeral_ip {
            match *ip {
                IpAddr::V4(ip4) => once(&mut v4.ephemeral_ip, ip4, "--ephemeral-ip", *ip)?,
                IpAddr::V6(ip6) => once(&mut v6.ephemeral_ip, ip6, "--ephemeral-ip", *ip)?,
            }
        }
        for ip in &self.floating_ip {
            match *ip {
                IpAddr::V4(ip4) => v4.floating_ips.push(ip4),
                IpAddr::V6(ip6) => v6.floating_ips.push(ip6),
            }
        }
        Ok(Families {
            v4: Some(v4).filter(|cfg| !cfg.is_empty()),
            v6: Some(v6).filter(|cfg| !cfg.is_empty()),
        })
    }

    /// The ports of each SNAT address.
    fn snat_ports(&self) -> Result<Vec<PortRange>, OpteError> {
        let (addresses, starts, ends) = (
            self.snat_ip.len(),
            self.snat_start.len(),
            self.snat_end.len(),
        );
        let counts = starts == ends && (starts == addresses || starts == 1);
        if addresses > 0 && !counts {
            let reason =
                format!("{starts} --snat-start and {ends} --snat-end for {addresses} --snat-ip");
            return Err(OpteError::InvalidArgument {
                name: "SNAT ports".into(),
                reason,
            });
        }
        let ranges = self
            .snat_start
            .iter()
            .zip(&self.snat_end)
            .cycle()
            .take(addresses);
        ranges
            .map(|(start, end)| {
                PortRange::new(*start, *end).map_err(|error| OpteError::InvalidArgument {
                    name: "SNAT ports".into(),
                    reason: error.to_string(),
                })
            })
            .collect()
    }
}

/// `IP=UUID`.
pub(crate) fn parse_gateway(text: &str) -> Result<(IpAddr, Uuid), String> {
    let (ip, id) = text.split_once('=').ok_or("expected IP=UUID")?;
    let ip = ip.parse().map_err(|_| format!("'{ip}' is no address"))?;
    let id = id.parse().map_err(|_| format!("'{id}' is no UUID"))?;
    Ok((ip, id))
}

/// Puts a value where none may be yet.
pub(crate) fn once<T>(
    place: &mut Option<T>,
    value: T,
    argument: &str,
    ip: impl std::fmt::Display,
) -> Result<(), OpteError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(OpteError::InvalidArgument {
            name: argument.into(),
            reason: format!("{ip} is a second one of its family"),
        }),
    }
}
