//! Arguments that commands have in common, and those of commands that have many.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lan_nat::api::Setting;
use opte::api::{CidrError, FlowFilter};
use oxide_vpc::api::{
    Direction, FirewallAction, Hosts, IpCidr, MacAddr, Ports, ProtoFilter, RouterClass,
    RouterTarget, SourceFilter, Vni,
};

/// A host's whole configuration in a file.
#[derive(Clone, Debug, Args)]
pub(crate) struct Apply {
    /// TOML or JSON; - for standard input.
    pub(crate) file: PathBuf,
    /// Show what is different and do nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// A packet, by its parts or as a whole.
#[derive(Debug, Args)]
pub(crate) struct Described {
    /// The frame as it comes to the port, from the underlay with the tunnel's headers; in the place of all that follows.
    #[arg(long, value_name = "FRAME", value_parser = crate::packet::parse_hex, conflicts_with_all = ["source", "destination"])]
    pub(crate) hex: Option<FrameOctets>,
    /// The protocol.
    #[arg(long, default_value = "tcp")]
    pub(crate) protocol: TracedProtocol,
    /// The source address.
    #[arg(long, value_name = "IP", required_unless_present = "hex")]
    pub(crate) source: Option<IpAddr>,
    /// The destination address.
    #[arg(long, value_name = "IP", required_unless_present = "hex")]
    pub(crate) destination: Option<IpAddr>,
    /// The source port; of an echo request the identifier.
    #[arg(long, value_name = "PORT", default_value_t = 50_000)]
    pub(crate) source_port: u16,
    /// The destination port.
    #[arg(long, value_name = "PORT", default_value_t = 80)]
    pub(crate) destination_port: u16,
    /// Flags of TCP, with commas between them.
    #[arg(long, value_name = "FLAGS", default_value = "syn", value_parser = crate::packet::parse_flags)]
    pub(crate) flags: opte_headers::TcpFlags,
    /// It comes from outside, through the boundary.
    #[arg(long)]
    pub(crate) external: bool,
}

/// A name that is not `Vec`, which stands for a list of arguments.
pub(crate) type FrameOctets = Vec<u8>;

/// The protocol of a packet that is described.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum TracedProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// An echo request, of ICMP or ICMPv6 as the addresses are.
    Icmp,
}

/// What flows are compared by.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Weight {
    /// Bytes of both directions.
    Bytes,
    /// Packets of both directions.
    Packets,
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ConfigFormat {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

/// Which port.
#[derive(Debug, Args)]
pub(crate) struct OfPort {
    /// The port.
    #[arg(short, long)]
    pub(crate) port: String,
}

/// Which flows are listed: those that are all of what is said. The driver chooses.
#[derive(Debug, Args)]
pub(crate) struct Flows {
    /// Only flows from or to this address or prefix.
    #[arg(long, value_name = "IP|CIDR", value_parser = parse_prefix)]
    address: Option<IpCidr>,
    /// Only flows from or to this port of TCP or UDP.
    #[arg(long, value_name = "N")]
    l4_port: Option<u16>,
    /// Only flows of this protocol: tcp, udp, icmp, icmp6 or a number.
    #[arg(long, value_name = "P", value_parser = parse_protocol)]
    protocol: Option<u8>,
}

impl Flows {
    pub(crate) fn filter(self, dir: Option<Direction>) -> FlowFilter {
        FlowFilter {
            address: self.address,
            l4_port: self.l4_port,
            protocol: self.protocol,
            dir,
        }
    }
}

/// Once, or again and again.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Watch {
    /// Go on until interrupted, so many seconds apart (2 if none are said). With --json each time is a document.
    #[arg(long = "watch", value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = parse_seconds)]
    pub(crate) every: Option<Duration>,
}

/// A firewall rule by its parts.
#[derive(Debug, Args)]
pub(crate) struct Rule {
    /// Which packets the rule looks at: in or out.
    #[arg(long)]
    pub(crate) dir: Direction,
    /// Who is at the other end: any, or ip=IP, subnet=CIDR, vni=N, several with commas between them.
    #[arg(long)]
    pub(crate) hosts: Hosts,
    /// The protocol: any, arp, tcp, udp, icmp[:TYPE[,CODE[-CODE]]], icmp6[:..] or a number.
    #[arg(long)]
    pub(crate) protocol: ProtoFilter,
    /// The source ports: any or N[-N][,..].
    #[arg(long, default_value = "any")]
    pub(crate) source_ports: Ports,
    /// The destination ports: any or N[-N][,..].
    #[arg(long)]
    pub(crate) ports: Ports,
    /// What the rule does: allow, deny or reject.
    #[arg(long)]
    pub(crate) action: FirewallAction,
    /// The lower number decides first.
    #[arg(long)]
    pub(crate) priority: u16,
}

/// A guest and its host.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct V2p {
    /// The guest's address in its VPC.
    pub(crate) vpc_ip: IpAddr,
    /// The guest's MAC address.
    pub(crate) vpc_mac: MacAddr,
    /// The underlay address of its host.
    pub(crate) underlay_ip: Ipv6Addr,
    /// The VPC.
    pub(crate) vni: Vni,
}

/// A group and what it is on the underlay.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct M2p {
    /// The VPC whose own group it is; one for all VPCs, if none is given.
    #[arg(long)]
    pub(crate) vni: Option<Vni>,
    /// The group as guests know it.
    pub(crate) group: IpAddr,
    /// The underlay's group, of ff04::/16.
    pub(crate) underlay: Ipv6Addr,
}

/// Which sources are wanted; all, if nothing is said.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sources {
    /// The only sources that are wanted, repeated or with commas between them.
    #[arg(
        long,
        value_name = "IP",
        value_delimiter = ',',
        conflicts_with = "exclude"
    )]
    include: Vec<IpAddr>,
    /// Sources that are not wanted, repeated or with commas between them.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    exclude: Vec<IpAddr>,
}

impl From<Sources> for SourceFilter {
    fn from(sources: Sources) -> Self {
        if sources.include.is_empty() {
            Self::Exclude(sources.exclude.into_iter().collect())
        } else {
            Self::Include(sources.include.into_iter().collect())
        }
    }
}

/// A prefix and its tunnel endpoints.
#[derive(Debug, Args)]
pub(crate) struct V2b {
    /// The prefix.
    pub(crate) prefix: IpCidr,
    /// Underlay addresses of tunnel endpoints.
    #[arg(required = true)]
    pub(crate) tep: Vec<Ipv6Addr>,
}

/// A route of a port.
#[derive(Debug, Args)]
pub(crate) struct Route {
    #[command(flatten)]
    pub(crate) of: OfPort,
    /// The prefix.
    pub(crate) dest: IpCidr,
    /// Where it leads: drop, ig, ig=UUID, ip4=IP, ip6=IP, sub4=CIDR or sub6=CIDR.
    pub(crate) target: RouterTarget,
    /// Who made it: system or custom.
    pub(crate) class: RouterClass,
}

/// A prefix that a guest forwards packets of.
#[derive(Debug, Args)]
pub(crate) struct Transit {
    #[command(flatten)]
    pub(crate) of: OfPort,
    /// The prefix.
    pub(crate) prefix: IpCidr,
    /// In: what is for the prefix reaches the guest; out: the guest may send as if from it. Both if not given.
    #[arg(long)]
    pub(crate) dir: Option<Direction>,
}

/// External addresses. Each belongs to the family it is of.
#[derive(Debug, Default, Args)]
pub(crate) struct External {
    /// Address of source NAT; one of each family.
    #[arg(long, value_name = "IP", requires_all = ["snat_start", "snat_end"])]
    pub(crate) snat_ip: Vec<IpAddr>,
    /// First port of source NAT; one for all addresses or one for each.
    #[arg(long, value_name = "PORT", requires_all = ["snat_ip", "snat_end"])]
    pub(crate) snat_start: Vec<u16>,
    /// Last port of source NAT; one for all addresses or one for each.
    #[arg(long, value_name = "PORT", requires_all = ["snat_ip", "snat_start"])]
    pub(crate) snat_end: Vec<u16>,
    /// Ephemeral address; one of each family.
    #[arg(long, value_name = "IP")]
    pub(crate) ephemeral_ip: Vec<IpAddr>,
    /// Floating addresses, repeated or with commas between them.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub(crate) floating_ip: Vec<IpAddr>,
}

/// A port on a LAN that is to be created.
#[derive(Debug, Args)]
pub(crate) struct CreateLanPort {
    /// The port.
    pub(crate) name: String,
    /// The guest and what stands for it on the LAN: private_ip=IP public_ip=IP port_start=N port_end=N vpc_sub4=CIDR gw_mac=MAC gw_ip=IP
    /// [public_mac=MAC].
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(crate) settings: Vec<Setting>,
    /// The host's link to the LAN. Ports can share it with each other and with the host.
    #[arg(long)]
    pub(crate) link: String,
    /// The guest's MAC address; if none is given, one made of its IPv4 address.
    #[arg(long)]
    pub(crate) guest_mac: Option<MacAddr>,
    /// The guest's MTU in octets.
    #[arg(long)]
    pub(crate) mtu: Option<u16>,
    /// The network namespace the guest's end of the link is moved to: a name or a path.
    #[arg(long, conflicts_with = "tap")]
    pub(crate) netns: Option<String>,
    /// Make the link a TAP with the port's name, which a virtual machine monitor opens.
    #[arg(long)]
    pub(crate) tap: bool,
}

/// A port to be created: its name and options, or the eleven values of the old form.
#[derive(Debug, Args)]
pub(crate) struct CreateXde {
    /// The port; or: NAME U1 U2 GUEST_MAC PRIVATE_IP GATEWAY_MAC GATEWAY_IP BOUNDARY_ADDR BOUNDARY_VNI VPC_VNI SRC_UNDERLAY_ADDR.
    #[arg(required = true, value_name = "NAME")]
    pub(crate) positional: Vec<String>,
    /// Let frames pass between the guest and the first underlay link as they are.
    #[arg(long)]
    pub(crate) passthrough: bool,
    /// The guest's MAC address.
    #[arg(long)]
    pub(crate) guest_mac: Option<MacAddr>,
    /// The guest's address; one of each family.
    #[arg(long, value_name = "IP")]
    pub(crate) private_ip: Vec<IpAddr>,
    /// The subnet of the VPC the guest is in; one of each family.
    #[arg(long, value_name = "CIDR")]
    pub(crate) vpc_subnet: Vec<IpCidr>,
    /// The MAC address the gateway shows to the guest.
    #[arg(long)]
    pub(crate) gateway_mac: Option<MacAddr>,
    /// The gateway's address; one of each family.
    #[arg(long, value_name = "IP")]
    pub(crate) gateway_ip: Vec<IpAddr>,
    /// The VPC.
    #[arg(long)]
    pub(crate) vpc_vni: Option<Vni>,
    /// The underlay address of this host.
    #[arg(long)]
    pub(crate) src_underlay_addr: Option<Ipv6Addr>,
    /// The guest's MTU in octets.
    #[arg(long)]
    pub(crate) mtu: Option<u16>,
    #[command(flatten)]
    pub(crate) external: External,
    /// The guest's host name.
    #[arg(long)]
    pub(crate) hostname: Option<oxide_vpc::api::DomainName>,
    /// The domain of the guest's host name.
    #[arg(long)]
    pub(crate) host_domain: Option<oxide_vpc::api::DomainName>,
    /// Name servers, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) dns_servers: Vec<IpAddr>,
    /// Domains to look short names up in, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) domain_search_list: Vec<oxide_vpc::api::DomainName>,
    /// The network namespace the guest's end of the link is moved to: a name or a path.
    #[arg(long, conflicts_with = "tap")]
    pub(crate) netns: Option<String>,
    /// Make the link a TAP with the port's name, which a virtual machine monitor opens: qemu -netdev tap,ifname=NAME,script=no,vhost=off.
    #[arg(long)]
    pub(crate) tap: bool,
}

fn parse_prefix(text: &str) -> Result<IpCidr, CidrError> {
    match text.parse() {
        Ok(address) => Ok(IpCidr::host(address)),
        Err(_) => text.parse(),
    }
}

fn parse_protocol(text: &str) -> Result<u8, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "icmp" => Ok(1),
        "tcp" => Ok(6),
        "udp" => Ok(17),
        "icmp6" => Ok(58),
        number => number
            .parse()
            .map_err(|_| "a protocol is tcp, udp, icmp, icmp6 or a number up to 255"),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    text.parse()
        .ok()
        .filter(|seconds| (0.1..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or("expected seconds, from 0.1 to 86400")
}
