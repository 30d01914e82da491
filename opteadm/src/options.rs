//! Options of ports on the command line.

use clap::Args;
use opte::nat::Filtering;
use opte::options::{PortOptions, Timeout};
use opte::port::MssClamp;
use opte::traffic_class::DscpModel;
use oxide_vpc::api::ConfigItem;
use postcard_schema::Schema;
use serde::Serialize;

/// Options; those that are not given are as the port was built.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long a TCP connection lives without packets before its handshake is complete, and after a reset: 5s, 1500ms.
    #[arg(long, value_name = "TIME")]
    timeout_tcp_half_open: Option<Timeout>,
    /// The same from its first FIN on.
    #[arg(long, value_name = "TIME")]
    timeout_tcp_closing: Option<Timeout>,
    /// The same with its handshake complete.
    #[arg(long, value_name = "TIME")]
    timeout_tcp_established: Option<Timeout>,
    /// The same of a UDP flow with packets in one direction only.
    #[arg(long, value_name = "TIME")]
    timeout_udp: Option<Timeout>,
    /// The same of one with packets in both.
    #[arg(long, value_name = "TIME")]
    timeout_udp_both_ways: Option<Timeout>,
    /// The same of ICMP and ICMPv6.
    #[arg(long, value_name = "TIME")]
    timeout_icmp: Option<Timeout>,
    /// The same of every other protocol.
    #[arg(long, value_name = "TIME")]
    timeout_other: Option<Timeout>,
    /// Flows there may be, at most those that the port was built for.
    #[arg(long, value_name = "N")]
    max_flows: Option<u32>,
    /// Flows that one address outside may have begun; of IPv6 addresses the first 64 bits count.
    #[arg(long, value_name = "N")]
    flows_per_remote: Option<u32>,
    /// Flows that one address of the guest may have begun.
    #[arg(long, value_name = "N")]
    flows_per_address: Option<u32>,
    /// ICMP errors and resets that the port sends in a second, on average; 0: none.
    #[arg(long, value_name = "N")]
    errors_per_second: Option<u32>,
    /// ICMP errors and resets at once.
    #[arg(long, value_name = "N")]
    errors_at_once: Option<u32>,
    /// What the tunnel does with the DSCP: pipe or uniform.
    #[arg(long, value_name = "MODEL")]
    dscp: Option<DscpModel>,
    /// What TCP connections may begin with as segment size: off, path-mtu, or what fits packets of so many bytes.
    #[arg(long, value_name = "CLAMP")]
    mss_clamp: Option<MssClamp>,
    /// Whom a mapping of source NAT lets in beside the far ends of its flows: endpoint-independent, address or
    /// address-and-port.
    #[arg(long, value_name = "FILTERING")]
    snat_filtering: Option<Filtering>,
    /// Whether source NAT keeps a port's number where that is free: true or false.
    #[arg(long, value_name = "BOOL")]
    snat_preserve_ports: Option<bool>,
    /// How long a port of source NAT rests after use: 120s, 0s.
    #[arg(long, value_name = "TIME")]
    snat_hold_down: Option<Timeout>,
}

impl From<Options> for PortOptions {
    fn from(options: Options) -> Self {
        Self {
            timeout_tcp_half_open: options.timeout_tcp_half_open,
            timeout_tcp_closing: options.timeout_tcp_closing,
            timeout_tcp_established: options.timeout_tcp_established,
            timeout_udp: options.timeout_udp,
            timeout_udp_both_ways: options.timeout_udp_both_ways,
            timeout_icmp: options.timeout_icmp,
            timeout_other: options.timeout_other,
            max_flows: options.max_flows,
            flows_per_remote: options.flows_per_remote,
            flows_per_address: options.flows_per_address,
            errors_per_second: options.errors_per_second,
            errors_at_once: options.errors_at_once,
            dscp: options.dscp,
            mss_clamp: options.mss_clamp,
            snat_filtering: options.snat_filtering,
            snat_preserve_ports: options.snat_preserve_ports,
            snat_hold_down: options.snat_hold_down,
        }
    }
}

/// The options of a port.
#[derive(Debug, Serialize, Schema)]
pub(crate) struct OptionsOf {
    /// The port.
    pub(crate) port: String,
    /// Its options.
    pub(crate) options: PortOptions,
}

/// The options of those ports of a configuration that have any.
pub(crate) fn of_config(items: Vec<ConfigItem>) -> Vec<OptionsOf> {
    let options = items.into_iter().filter_map(|item| match item {
        ConfigItem::Options { port_name, options } => Some(OptionsOf {
            port: port_name,
            options,
        }),
        _ => None,
    });
    options.collect()
}
