//! `create-xde`: a port from options, or from the values of the old form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use opte::api::{NoResp, OpteError, Request};
use opteadm::{Client, Error};
use oxide_vpc::api::{
    BatchStep, ConfigItem, CreateXdeReq, DhcpCfg, GuestLink, IpCfg, IpCidr, Ipv4Cfg, Ipv4Cidr,
    Ipv6Cfg, Ipv6Cidr, SetVirt2BoundaryReq, SetXdeUnderlayReq, TunnelEndpoint, VpcCfg,
};

use crate::args::CreateXde;
use crate::external::{Families, once};

/// What creates a port: its request, and what the old form says of the host besides.
#[derive(Debug)]
pub(crate) struct Plan {
    request: CreateXdeReq,
    host: Option<Host>,
}

/// What the old form says of the host.
#[derive(Debug)]
struct Host {
    underlay: SetXdeUnderlayReq,
    boundary: TunnelEndpoint,
}

impl Plan {
    /// The plan of the arguments.
    pub(crate) fn new(args: CreateXde) -> Result<Self, OpteError> {
        match args.positional.as_slice() {
            [name] => {
                let name = name.clone();
                Ok(Self {
                    request: request(name, args)?,
                    host: None,
                })
            }
            [
                name,
                u1,
                u2,
                guest_mac,
                private_ip,
                gateway_mac,
                gateway_ip,
                boundary,
                boundary_vni,
                vni,
                underlay,
            ] => {
                let host = Host {
                    underlay: SetXdeUnderlayReq {
                        u1: u1.clone(),
                        u2: Some(u2.clone()),
                    },
                    boundary: TunnelEndpoint {
                        ip: value("BOUNDARY_ADDR", boundary)?,
                        vni: value("BOUNDARY_VNI", boundary_vni)?,
                    },
                };
                let private_ip: IpAddr = value("PRIVATE_IP", private_ip)?;
                let vpc_subnet = if args.vpc_subnet.is_empty() {
                    vec![usual_subnet(private_ip)?]
                } else {
                    args.vpc_subnet.clone()
                };
                let filled = CreateXde {
                    guest_mac: Some(value("GUEST_MAC", guest_mac)?),
                    private_ip: vec![private_ip],
                    vpc_subnet,
                    gateway_mac: Some(value("GATEWAY_MAC", gateway_mac)?),
                    gateway_ip: vec![value("GATEWAY_IP", gateway_ip)?],
                    vpc_vni: Some(value("VPC_VNI", vni)?),
                    src_underlay_addr: Some(value("SRC_UNDERLAY_ADDR", underlay)?),
                    positional: Vec::new(),
                    ..args
                };
                Ok(Self {
                    request: request(name.clone(), filled)?,
                    host: Some(host),
                })
            }
            other => Err(invalid(
                "arguments",
                format!(
                    "expected NAME and options, or the 11 values NAME U1 U2 GUEST_MAC PRIVATE_IP GATEWAY_MAC GATEWAY_IP \
                     BOUNDARY_ADDR BOUNDARY_VNI VPC_VNI SRC_UNDERLAY_ADDR; got {}",
                    other.len()
                ),
            )),
        }
    }

    /// Creates the port, and what the old form says of the host with it: all of it, or an error and nothing.
    pub(crate) fn run(&self, client: &mut Client) -> Result<NoResp, Error> {
        let Some(host) = &self.host else {
            return client.call(&self.request);
        };
        let (revision, items) = client.dump_config_items()?;
        let mut steps = host.steps(&items)?;
        steps.push(self.request.clone().into());
        client.run_batch(&steps, Some(revision))?;
        Ok(NoResp {})
    }
}

impl Host {
    /// What is to be done on a host where this is configured. That its links are taken already, by another port of the old form, is well.
    fn steps(&self, items: &[ConfigItem]) -> Result<Vec<BatchStep>, Error> {
        let links = items.iter().find_map(|item| match item {
            ConfigItem::Underlay { links } => Some(links.as_slice()),
            _ => None,
        });
        let mut steps: Vec<BatchStep> = Vec::new();
        match links.unwrap_or_default() {
            [] => steps.push(self.underlay.clone().into()),
            links if self.is_underlay(links) => {}
            links => {
                return Err(Error::Refused {
                    command: SetXdeUnderlayReq::COMMAND,
                    error: OpteError::UnderlayExists {
                        links: links.join(","),
                    },
                });
            }
        }
        steps.extend(EVERYWHERE.map(|vip| {
            let tep = vec![self.boundary];
            BatchStep::from(SetVirt2BoundaryReq { vip, tep })
        }));
        Ok(steps)
    }

    fn is_underlay(&self, links: &[String]) -> bool {
        let wanted = [Some(&self.underlay.u1), self.underlay.u2.as_ref()];
        links.iter().eq(wanted.into_iter().flatten())
    }
}

const EVERYWHERE: [IpCidr; 2] = [IpCidr::Ip4(Ipv4Cidr::ALL), IpCidr::Ip6(Ipv6Cidr::ALL)];

fn request(name: String, args: CreateXde) -> Result<CreateXdeReq, OpteError> {
    let cfg = VpcCfg {
        ip_cfg: ip_cfg(&args)?,
        guest_mac: required("--guest-mac", args.guest_mac)?,
        gateway_mac: required("--gateway-mac", args.gateway_mac)?,
        vni: required("--vpc-vni", args.vpc_vni)?,
        phys_ip: required("--src-underlay-addr", args.src_underlay_addr)?,
        dhcp: DhcpCfg {
            hostname: args.hostname,
            host_domain: args.host_domain,
            domain_search_list: args.domain_search_list,
            dns4_servers: args.dns_servers.iter().filter_map(|ip| v4(*ip)).collect(),
            dns6_servers: args.dns_servers.iter().filter_map(|ip| v6(*ip)).collect(),
        },
    };
    let link = if args.tap {
        GuestLink::Tap
    } else {
        GuestLink::Veth { netns: args.netns }
    };
    Ok(CreateXdeReq {
        name,
        cfg,
        mtu: args.mtu,
        passthrough: args.passthrough,
        link,
    })
}

fn ip_cfg(args: &CreateXde) -> Result<IpCfg, OpteError> {
    let private = by_family("--private-ip", &args.private_ip)?;
    let gateway = by_family("--gateway-ip", &args.gateway_ip)?;
    let mut subnet = (None, None);
    for cidr in &args.vpc_subnet {
        match *cidr {
            IpCidr::Ip4(cidr) => once(&mut subnet.0, cidr, "--vpc-subnet", cidr)?,
            IpCidr::Ip6(cidr) => once(&mut subnet.1, cidr, "--vpc-subnet", cidr)?,
        }
    }
    let Families {
        v4: external4,
        v6: external6,
    } = args.external.families()?;
    let has4 =
        private.0.is_some() || gateway.0.is_some() || subnet.0.is_some() || external4.is_some();
    let has6 =
        private.1.is_some() || gateway.1.is_some() || subnet.1.is_some() || external6.is_some();
    let ipv4 = || -> Result<Ipv4Cfg, OpteError> {
        Ok(Ipv4Cfg {
            vpc_subnet: required("--vpc-subnet for IPv4", subnet.0)?,
            private_ip: required("--private-ip for IPv4", private.0)?,
            gateway_ip: required("--gateway-ip for IPv4", gateway.0)?,
            external_ips: external4.unwrap_or_default(),
        })
    };
    let ipv6 = || -> Result<Ipv6Cfg, OpteError> {
        Ok(Ipv6Cfg {
            vpc_subnet: required("--vpc-subnet for IPv6", subnet.1)?,
            private_ip: required("--private-ip for IPv6", private.1)?,
            gateway_ip: required("--gateway-ip for IPv6", gateway.1)?,
            external_ips: external6.unwrap_or_default(),
        })
    };
    match (has4, has6) {
        (true, true) => Ok(IpCfg::DualStack {
            ipv4: ipv4()?,
            ipv6: ipv6()?,
        }),
        (true, false) => Ok(IpCfg::Ipv4(ipv4()?)),
        (false, true) => Ok(IpCfg::Ipv6(ipv6()?)),
        (false, false) => Err(missing("--private-ip")),
    }
}

fn by_family(
    argument: &str,
    ips: &[IpAddr],
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), OpteError> {
    let mut families = (None, None);
    for ip in ips {
        match *ip {
            IpAddr::V4(ip4) => once(&mut families.0, ip4, argument, ip)?,
            IpAddr::V6(ip6) => once(&mut families.1, ip6, argument, ip)?,
        }
    }
    Ok(families)
}

/// The subnet a guest is in if the old form does not say: its /24 or its /64.
fn usual_subnet(ip: IpAddr) -> Result<IpCidr, OpteError> {
    let length = if ip.is_ipv4() { 24 } else { 64 };
    IpCidr::new(ip, length).map_err(|error| invalid("PRIVATE_IP", error.to_string()))
}

fn value<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, OpteError> {
    text.parse()
        .map_err(|error| invalid(name, format!("'{text}': {error}")))
}

fn required<T>(argument: &str, value: Option<T>) -> Result<T, OpteError> {
    value.ok_or_else(|| missing(argument))
}

fn missing(argument: &str) -> OpteError {
    invalid("arguments", format!("{argument} is missing"))
}

fn invalid(name: &str, reason: String) -> OpteError {
    OpteError::InvalidArgument {
        name: name.into(),
        reason,
    }
}

fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn v6(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some(ip),
    }
}
