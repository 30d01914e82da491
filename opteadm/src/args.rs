//! The arguments.

mod parts;

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use lan_nat::api::Setting;
use opteadm::DEFAULT_SOCKET;
use oxide_vpc::api::{API_VERSION, Direction, IpCidr, Replication, Vni};

pub(crate) use parts::*;

/// What every command has, apart in its help from what is its own.
const GLOBAL: &str = "Options of every command";

/// Programs xde, the driver of OPTE.
#[derive(Debug, Parser)]
#[command(name = "opteadm", version = VERSION.as_str(), arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The socket at which xde listens.
    #[arg(long, global = true, help_heading = GLOBAL, env = "XDE_SOCKET", default_value = DEFAULT_SOCKET)]
    pub(crate) socket: PathBuf,

    /// Print JSON in place of tables.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,

    /// Do not ask before what cannot be undone. Nobody is asked where there is no terminal.
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(crate) yes: bool,

    /// Colour: on a terminal, unless NO_COLOR is set; always; or never.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: clap::ColorChoice,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the ports.
    ListPorts(Watch),
    /// List the layers of a port.
    ListLayers {
        #[command(flatten)]
        of: OfPort,
        #[command(flatten)]
        watch: Watch,
    },
    /// List the rules and flows of a layer.
    DumpLayer {
        #[command(flatten)]
        of: OfPort,
        /// The layer.
        name: String,
        #[command(flatten)]
        flows: Flows,
        /// The direction: of rules too.
        #[arg(long)]
        dir: Option<Direction>,
        /// Only the rules with this number, and no flows.
        #[arg(long, value_name = "ID", conflicts_with_all = ["address", "l4_port", "protocol"])]
        rule: Option<u64>,
        #[command(flatten)]
        watch: Watch,
    },
    /// Empty the unified flow table of a port.
    ClearUft(OfPort),
    /// Empty the flow table of a layer.
    ClearLft {
        #[command(flatten)]
        of: OfPort,
        /// The layer.
        layer: String,
    },
    /// List the unified flow table of a port.
    DumpUft {
        #[command(flatten)]
        of: OfPort,
        #[command(flatten)]
        flows: Flows,
        /// The direction: in or out.
        #[arg(long)]
        dir: Option<Direction>,
        #[command(flatten)]
        watch: Watch,
    },
    /// List the TCP flows of a port.
    DumpTcpFlows {
        #[command(flatten)]
        of: OfPort,
        #[command(flatten)]
        flows: Flows,
        #[command(flatten)]
        watch: Watch,
    },
    /// Show the counters of xde and its ports, drops by reason. Tables leave out what is zero.
    #[command(visible_alias = "show-stats")]
    DumpStats {
        /// Show this port alone.
        #[arg(short, long)]
        port: Option<String>,
        #[command(flatten)]
        watch: Watch,
    },
    /// Add a firewall rule and print its number, by which `rm-fw-rule` removes it.
    AddFwRule {
        #[command(flatten)]
        of: OfPort,
        #[command(flatten)]
        rule: Rule,
    },
    /// Remove a firewall rule.
    RmFwRule {
        #[command(flatten)]
        of: OfPort,
        /// The direction of the rule: in or out.
        #[arg(long)]
        dir: Direction,
        /// The number of the rule, as `add-fw-rule` and `dump-layer` print it.
        id: u64,
    },
    /// Replace all firewall rules by those on standard input, one a line.
    ///
    /// A rule is dir=in|out action=allow|deny|reject priority=N [hosts=any|HOST[,..]]
    /// [protocol=any|arp|tcp|udp|icmp[:TYPE[,CODE[-CODE]]]|icmp6[:..]|N] [source-port=any|N[-N][,..]] [port=any|N[-N][,..]], and a HOST
    /// is ip=IP, subnet=CIDR or vni=N. Blank lines and what follows a # are passed over.
    SetFwRules(OfPort),
    /// Create a port and its link.
    #[command(visible_alias = "xde-create")]
    CreateXde(Box<CreateXde>),
    /// Create a port on a LAN and its link.
    ///
    /// The LAN sees one station more, which has the public address and answers ARP for it; what the guest sends leaves with this address
    /// and one of the ports, to the LAN's gateway. Values are given as key=value: private_ip, public_ip, port_start, port_end,
    /// vpc_sub4, gw_mac and gw_ip must be, public_mac may be.
    CreateLanPort(Box<CreateLanPort>),
    /// Set addresses of a port on a LAN while it runs; those not given stay as they are.
    ///
    /// Flows whose public address and port stay go on, others end.
    SetIpConfig {
        #[command(flatten)]
        of: OfPort,
        /// private_ip, public_ip, public_mac, port_start, port_end, vpc_sub4, gw_mac or gw_ip with its new value.
        #[arg(value_name = "KEY=VALUE", required = true)]
        settings: Vec<Setting>,
    },
    /// Delete a port and its link.
    #[command(visible_alias = "xde-delete")]
    DeleteXde {
        /// The port.
        name: String,
    },
    /// Name the links to the other hosts.
    SetXdeUnderlay {
        /// The first link.
        u1: String,
        /// The second link.
        u2: Option<String>,
    },
    /// Let go of the links to the other hosts.
    ClearXdeUnderlay,
    /// List which host each guest is on.
    DumpV2p(Watch),
    /// Map a guest's address to its host.
    SetV2p(V2p),
    /// Remove the mapping of a guest's address.
    ClearV2p(V2p),
    /// List the tunnel endpoints at the boundary.
    DumpV2b(Watch),
    /// Add tunnel endpoints to those that lead to a prefix.
    SetV2b(V2b),
    /// Remove tunnel endpoints from those that lead to a prefix.
    ClearV2b(V2b),
    /// List which group is which on the underlay.
    DumpM2p(Watch),
    /// Map a group to the underlay group that stands for it.
    SetM2p(M2p),
    /// Remove the mapping of a group, and the subscriptions to it.
    ClearM2p(M2p),
    /// List the next hops of underlay groups.
    DumpMcastFwd(Watch),
    /// Add a next hop to those that the packets of an underlay group are sent to, or change it.
    SetMcastFwd {
        /// The underlay's group, of ff04::/16.
        underlay: Ipv6Addr,
        /// The underlay address whose route the packets take.
        next_hop: Ipv6Addr,
        /// What the next hop does: external, underlay or both.
        replication: Replication,
        #[command(flatten)]
        sources: Sources,
    },
    /// Remove a next hop of an underlay group, or all of them.
    ClearMcastFwd {
        /// The underlay's group, of ff04::/16.
        underlay: Ipv6Addr,
        /// The next hop; all if none is given.
        next_hop: Option<Ipv6Addr>,
    },
    /// List which ports get packets of groups.
    DumpMcastSubs(Watch),
    /// Deliver packets of a group to a port, or change from which sources.
    McastSubscribe {
        #[command(flatten)]
        of: OfPort,
        /// The group.
        group: IpAddr,
        #[command(flatten)]
        sources: Sources,
    },
    /// End the subscription of a port to a group.
    McastUnsubscribe {
        #[command(flatten)]
        of: OfPort,
        /// The group.
        group: IpAddr,
    },
    /// End all subscriptions to a group.
    McastUnsubscribeAll {
        /// The group.
        group: IpAddr,
    },
    /// Add a route.
    AddRouterEntry(Route),
    /// Remove a route.
    DelRouterEntry(Route),
    /// Set the external addresses of a port; those not given are taken away.
    SetExternalIps {
        #[command(flatten)]
        of: OfPort,
        #[command(flatten)]
        external: External,
        /// An internet gateway that an external address belongs to; may be repeated.
        #[arg(long = "internet-gateway", value_name = "IP=UUID", value_parser = crate::external::parse_gateway)]
        gateways: Vec<(IpAddr, uuid::Uuid)>,
    },
    /// Let a guest forward packets of a prefix that is not its own.
    AllowCidr(Transit),
    /// Take that back: with --dir exactly that direction, without whichever there are.
    RemoveCidr(Transit),
    /// Attach a subnet to a port, or say anew whether it is external.
    AttachSubnet {
        #[command(flatten)]
        of: OfPort,
        /// The subnet.
        prefix: IpCidr,
        /// Its addresses are known outside the VPC: they leave it as they are, without NAT.
        #[arg(short, long)]
        external: bool,
    },
    /// Detach a subnet from a port.
    DetachSubnet {
        #[command(flatten)]
        of: OfPort,
        /// The subnet.
        prefix: IpCidr,
        /// Taken for the sake of symmetry with `attach-subnet`: a prefix is attached once.
        #[arg(short, long, hide = true)]
        external: bool,
    },
    /// Say which VPCs a port exchanges packets with beside its own; those not given are taken away. To be answered, and to be seen as
    /// what it is, each port needs the other's VPC.
    SetPeers {
        #[command(flatten)]
        of: OfPort,
        /// The VPCs; none if none is given.
        #[arg(value_name = "VNI")]
        peers: Vec<Vni>,
    },
    /// Limit how much may go one way through a port; limits that it had and that are not given are taken away.
    ///
    /// What is beyond them is dropped. Flows there are stay.
    SetMeter {
        #[command(flatten)]
        of: OfPort,
        /// Which way: in, to the guest, or out.
        #[arg(long)]
        dir: Direction,
        #[command(flatten)]
        limits: crate::meter::Limits,
    },
    /// Take the limits of a port away, of both directions or of one.
    ClearMeter {
        #[command(flatten)]
        of: OfPort,
        /// Which way: in or out; both if it is not given.
        #[arg(long)]
        dir: Option<Direction>,
    },
    /// List the limits of ports and how many packets they have dropped.
    ShowMeters {
        /// Show this port alone, limited or not.
        #[arg(short, long)]
        port: Option<String>,
        #[command(flatten)]
        watch: Watch,
    },
    /// Set the options of a port: timeouts, limits, NAT, tunnels, errors. Those that it had and that are not given are as it was built.
    ///
    /// Flows there are stay; they live as is said from their next packets on.
    SetPortOptions {
        #[command(flatten)]
        of: OfPort,
        #[command(flatten)]
        options: crate::options::Options,
    },
    /// List the options of ports, as far as they were set.
    ShowPortOptions {
        /// Show this port alone, whether it has options or not.
        #[arg(short, long)]
        port: Option<String>,
        #[command(flatten)]
        watch: Watch,
    },
    /// Make the host's configuration what a file says, all of it or nothing, and show what was different.
    ///
    /// What the file does not have is removed; what is as it should be is not touched, nor are the flows on it. `export` writes such a
    /// file.
    Apply(Apply),
    /// Write the host's configuration as a file that `apply` takes.
    Export {
        /// How: with --json it is JSON.
        #[arg(long, default_value = "toml")]
        format: ConfigFormat,
    },
    /// Stop the packets of a port and keep its flows.
    PausePort(OfPort),
    /// Let the packets of a port through that was paused or restored.
    StartPort(OfPort),
    /// Save a port in a file, with its rules, routes and addresses and all its flows, to be restored after xde was restarted.
    ///
    /// The port is paused meanwhile. The file is there whole or not at all.
    SavePort {
        #[command(flatten)]
        of: OfPort,
        /// The file.
        file: PathBuf,
        /// Leave the port paused, so that nothing happens that the file does not have.
        #[arg(long)]
        pause: bool,
    },
    /// Create the port that a file of `save-port` has, with its flows: packets go on as if nothing had happened.
    ///
    /// Flows that the rules and mappings of now do not let pass are left out: say where its peers are (`set-v2p`, `set-v2b`) before. What
    /// cannot be read is refused, and no port created.
    RestorePort {
        /// The file.
        file: PathBuf,
        /// Leave the port paused; `start-port` lets packets through.
        #[arg(long)]
        pause: bool,
        /// The underlay address of this host, if the port was saved on another.
        #[arg(long)]
        src_underlay_addr: Option<Ipv6Addr>,
    },
    /// Tell what would become of a packet, step by step, and why. No packet is sent and nothing is changed.
    Trace {
        #[command(flatten)]
        of: OfPort,
        /// Which way it goes: in or out.
        #[arg(long)]
        dir: Direction,
        #[command(flatten)]
        packet: Described,
    },
    /// List the flows of a port that have carried most, the heaviest first.
    HeavyHitters {
        #[command(flatten)]
        of: OfPort,
        /// What flows are compared by.
        #[arg(long, default_value = "bytes")]
        by: Weight,
        /// How many flows to list; at most 1024.
        #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1024))]
        count: u32,
        #[command(flatten)]
        watch: Watch,
    },
    /// Print what makes a shell complete these commands.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the JSON Schema of what a command prints with --json.
    Schema {
        /// The command; all if none is given.
        command: Option<String>,
    },
    /// Print the reference of all commands, in Markdown.
    Reference,
    /// Write the manual pages.
    Man {
        /// Into this directory, which there must be.
        dir: PathBuf,
    },
}

/// Two versions of the crate may have the same commands; what matters for talking to a driver is these.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (API {API_VERSION:016x})", env!("CARGO_PKG_VERSION")));
