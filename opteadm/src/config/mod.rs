//! A host's whole configuration as one value: read from a file or from a driver, compared, and made so.
//!
//! ```no_run
//! use opteadm::{Client, DEFAULT_SOCKET, config::{Config, Plan}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let wanted = Config::parse(&std::fs::read_to_string("host.toml")?)?;
//! let mut client = Client::connect(DEFAULT_SOCKET)?;
//! let plan = Plan::new(&client.dump_config()?, &wanted)?;
//! for change in plan.changes() {
//!     println!("{change}");
//! }
//! client.carry_out(&plan)?; // all of it, or an error and nothing
//! # Ok(())
//! # }
//! ```
//!
//! The file is TOML or JSON of the same form:
//!
//! ```toml
//! underlay = ["eth0", "eth1"]
//!
//! [[port]]
//! name = "opte0"
//! vni = 10
//! guest-mac = "a8:40:25:f0:00:01"
//! gateway-mac = "a8:40:25:ff:77:77"
//! underlay-address = "fd00:1::1"
//! netns = "guest0"                    # or: tap = true
//! firewall = ["dir=in action=allow priority=100 protocol=tcp port=22"]
//! routes = ["10.0.0.0/24 sub4=10.0.0.0/24 system", "0.0.0.0/0 ig system"]
//! meter-out = "packets=100k/s bits=1Gbit/s"
//!
//! [port.ipv4]
//! address = "10.0.0.11"
//! subnet = "10.0.0.0/24"
//! gateway = "10.0.0.1"
//! snat = { address = "203.0.113.1", ports = "1024-2047" }
//!
//! [[lan-port]]
//! name = "lan0"
//! lan = "eth2"
//! private-ip = "192.168.7.2"
//! public-ip = "10.9.0.99"             # public-mac, guest-mac: made of the addresses unless given
//! port-start = 1025
//! port-end = 4096
//! vpc-sub4 = "10.9.0.0/24"
//! gw-mac = "78:23:ae:5d:4f:0d"
//! gw-ip = "10.9.0.1"
//! netns = "guest1"                    # or: tap = true
//!
//! [[v2p]]
//! vni = 10
//! address = "10.0.0.12"
//! mac = "a8:40:25:f0:00:02"
//! underlay-address = "fd00:2::1"
//!
//! [[v2b]]
//! prefix = "0.0.0.0/0"
//! endpoints = ["fd00:99::1"]
//!
//! [[m2p]]
//! group = "239.1.2.3"
//! underlay = "ff04::1"
//!
//! [[mcast-forward]]
//! underlay = "ff04::1"
//! next-hop = "fd00:2::1"
//! replication = "underlay"            # or: external, both
//!
//! [[mcast-subscribe]]
//! port = "opte0"
//! group = "239.1.2.3"
//! include = ["10.0.0.12"]             # or: exclude; without both every source
//! ```

mod current;
mod file;
mod lan;
mod locate;
mod multicast;
mod plan;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::api::{DomainName, MeterLimits};
use opte::options::PortOptions;
use oxide_vpc::api::{
    AttachedSubnet, DEFAULT_MTU, FirewallRule, IpCidr, Ipv4Cidr, Ipv6Cidr, MacAddr, PortRange,
    TransitCidr, Vni,
};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use current::Current;
pub use file::{ConfigError, Format};
pub use lan::LanPort;
pub use multicast::{M2p, McastForward, McastSubscribe};
pub use plan::{Change, Operation, Plan, PlanError};
pub use text::{Route, RouteTextError, Text};

/// Everything that can be configured on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The links to the other hosts, one or two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub underlay: Vec<String>,
    /// The ports.
    #[serde(default, rename = "port", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// The ports on LANs.
    #[serde(default, rename = "lan-port", skip_serializing_if = "Vec::is_empty")]
    pub lan_ports: Vec<LanPort>,
    /// Guests on other hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub v2p: Vec<V2p>,
    /// Ways out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub v2b: Vec<V2b>,
    /// What groups are on the underlay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub m2p: Vec<M2p>,
    /// Where packets of groups are sent on to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mcast_forward: Vec<McastForward>,
    /// Which ports get packets of groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mcast_subscribe: Vec<McastSubscribe>,
}

/// A guest's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Port {
    /// Its name, which is that of its link too.
    pub name: String,
    /// The VPC.
    pub vni: Vni,
    /// The guest's MAC address.
    pub guest_mac: MacAddr,
    /// The MAC address the gateway shows to the guest.
    pub gateway_mac: MacAddr,
    /// The underlay address of this host.
    pub underlay_address: Ipv6Addr,
    /// The guest's MTU in octets.
    #[serde(default = "default_mtu", skip_serializing_if = "is_default_mtu")]
    pub mtu: u16,
    /// Let frames pass between the guest and the first underlay link as they are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub passthrough: bool,
    /// The network namespace the guest's end of the link is moved to: a name or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
    /// The link is a TAP, which a virtual machine monitor opens.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tap: bool,
    /// Firewall rules in the form of `opteadm set-fw-rules`. Their order does not matter but among those of equal priority.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firewall: Vec<Text<FirewallRule>>,
    /// Routes: destination, target and class, as `opteadm add-router-entry` takes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Text<Route>>,
    /// Prefixes whose packets the guest may forward, each followed by `in` or `out` if in one direction alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transit: Vec<Text<TransitCidr>>,
    /// Subnets attached to the port, each followed by `external` if its addresses are known outside the VPC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Text<AttachedSubnet>>,
    /// VPCs that the port exchanges packets with beside its own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub peers: BTreeSet<Vni>,
    /// How much the guest may be sent, as `packets=10k/s bits=1Gbit/s new-flows=1k/s flows=100000 burst=100ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_in: Option<Text<MeterLimits>>,
    /// How much the guest may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter_out: Option<Text<MeterLimits>>,
    /// What is otherwise than the port is built, as `timeout-udp=60s flows-per-remote=1000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Text<PortOptions>>,
    /// Which internet gateways an external address belongs to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub internet_gateways: BTreeMap<IpAddr, BTreeSet<Uuid>>,
    /// The guest's IPv4 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Family<Ipv4Addr, Ipv4Cidr>>,
    /// The guest's IPv6 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Family<Ipv6Addr, Ipv6Cidr>>,
    /// What the guest learns by DHCP beside its address.
    #[serde(default, skip_serializing_if = "Dhcp::is_empty")]
    pub dhcp: Dhcp,
}

/// The addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Family<A, C> {
    /// The guest's address.
    pub address: A,
    /// The subnet of the VPC the guest is in.
    pub subnet: C,
    /// The gateway's address.
    pub gateway: A,
    /// A share of an external address.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub snat: Option<Snat<A>>,
    /// An external address that lives as long as the guest.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<A>,
    /// External addresses that can move to another guest.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub floating: Vec<A>,
}

/// A share of an external address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Snat<A> {
    /// The address.
    pub address: A,
    /// The ports, as in `1024-2047`.
    pub ports: PortRange,
}

/// What the guest learns by DHCP beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dhcp {
    /// The guest's host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<DomainName>,
    /// The domain the host name is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_domain: Option<DomainName>,
    /// Domains to look short names up in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domain_search: Vec<DomainName>,
    /// Name servers of both families.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_servers: Vec<IpAddr>,
}

/// A guest on another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct V2p {
    /// The VPC.
    pub vni: Vni,
    /// The guest's address in it.
    pub address: IpAddr,
    /// The guest's MAC address.
    pub mac: MacAddr,
    /// The underlay address of its host.
    pub underlay_address: Ipv6Addr,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct V2b {
    /// The prefix.
    pub prefix: IpCidr,
    /// The network identifier that the endpoints expect.
    #[serde(default = "boundary_vni", skip_serializing_if = "is_boundary_vni")]
    pub vni: Vni,
    /// Underlay addresses of the tunnel endpoints that lead there.
    pub endpoints: Vec<Ipv6Addr>,
}

impl Dhcp {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

const fn default_mtu() -> u16 {
    DEFAULT_MTU
}

const fn is_default_mtu(mtu: &u16) -> bool {
    *mtu == DEFAULT_MTU
}

const fn is_false(value: &bool) -> bool {
    !*value
}

const fn none<T>() -> Option<T> {
    None
}

const fn boundary_vni() -> Vni {
    oxide_vpc::network::BOUNDARY_VNI
}

fn is_boundary_vni(vni: &Vni) -> bool {
    *vni == boundary_vni()
}
