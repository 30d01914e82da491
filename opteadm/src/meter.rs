//! Meters on the command line.

use clap::Args;
use opte::Direction;
use opte::api::{DumpStatsResp, MeterLimits, parse_burst, parse_rate};
use oxide_vpc::api::PortInfo;
use postcard_schema::Schema;
use serde::Serialize;

/// Limits and how they are kept.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    #[command(flatten)]
    rates: Rates,
    /// How much may pass at once after a pause: what the rates give in this time, at most 10s.
    #[arg(long, value_name = "TIME", value_parser = parse_burst, default_value = "100ms")]
    burst: u32,
}

/// Limits, at least one.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Rates {
    /// Packets in a second, as in 10000/s or 10k/s. A super-packet is as many as it is cut into.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    packets: Option<u64>,
    /// Bits in a second of the guest's frames, as in 1Gbit/s.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    bits: Option<u64>,
    /// Flows begun in a second.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    new_flows: Option<u64>,
    /// Flows at once that were begun this way.
    #[arg(long, value_name = "N")]
    flows: Option<u32>,
}

impl From<Limits> for MeterLimits {
    fn from(limits: Limits) -> Self {
        Self {
            packets: limits.rates.packets,
            bits: limits.rates.bits,
            new_flows: limits.rates.new_flows,
            flows: limits.rates.flows,
            burst_ms: limits.burst,
        }
    }
}

/// The meter of a direction of a port, and what it did.
#[derive(Debug, Serialize, Schema)]
pub(crate) struct Meter {
    /// The port.
    pub(crate) port: String,
    /// Which way.
    pub(crate) dir: Direction,
    /// How much may go that way.
    pub(crate) limits: MeterLimits,
    /// Packets that it dropped.
    pub(crate) dropped: u64,
}

/// The meters of these ports: those that limit anything, or all if `all`.
pub(crate) fn meters(ports: &[PortInfo], stats: &DumpStatsResp, all: bool) -> Vec<Meter> {
    let mut meters = Vec::new();
    for port in ports {
        let stats = stats.ports.iter().find(|stats| stats.name == port.name);
        for (dir, limits, counter) in [
            (Direction::In, port.meter_in, "in_metered"),
            (Direction::Out, port.meter_out, "out_metered"),
        ] {
            let dropped = stats.and_then(|stats| stats.counters.get(counter));
            let meter = Meter {
                port: port.name.clone(),
                dir,
                limits,
                dropped: dropped.copied().unwrap_or_default(),
            };
            if all || !limits.is_none() {
                meters.push(meter);
            }
        }
    }
    meters
}
