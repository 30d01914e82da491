//! Answers as tables with aligned columns.

use std::fmt::Display;
use std::io::{self, Write};
use std::iter::repeat_n;
use std::net::IpAddr;

use opte::Direction;
use opte::api::{
    DefaultRule, DumpLayerResp, DumpStatsResp, DumpUftResp, FlowDetail, FlowId, LayerDesc,
    LayerFlow, LayerRule, RestorePortResp, TcpFlow, TraceFate, TracePacketResp, UftFlow,
};
use opte::port::HeavyFlow;
use oxide_vpc::api::{
    Mcast2PhysMapping, McastForwarding, McastSubscription, PortInfo, Virt2BoundaryMapping,
    Virt2PhysMapping, Vni,
};
use tabwriter::TabWriter;

/// Sorts ports by name, and those whose names end in a number by that.
pub(crate) fn sort_ports(ports: &mut [PortInfo]) {
    ports.sort_by_cached_key(|port| {
        let stem = port.name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = port
            .name
            .get(stem.len()..)
            .and_then(|digits| digits.parse::<u64>().ok());
        (stem.to_owned(), number, port.name.clone())
    });
}

/// Ports; further floating addresses stand in rows of their own.
pub(crate) fn ports(ports: &[PortInfo]) -> io::Result<String> {
    let mut table = Table::new();
    table.row([
        "LINK",
        "MAC ADDRESS",
        "IPv4 ADDRESS",
        "EPHEMERAL IPv4",
        "FLOATING IPv4",
        "IPv6 ADDRESS",
        "EXTERNAL IPv6",
        "FLOATING IPv6",
        "STATE",
    ])?;
    for port in ports {
        table.row([
            port.name.clone(),
            port.mac_addr.to_string(),
            or_none(port.ip4_addr),
            or_none(port.ephemeral_ip4_addr),
            or_none(port.floating_ip4_addrs.first()),
            or_none(port.ip6_addr),
            or_none(port.ephemeral_ip6_addr),
            or_none(port.floating_ip6_addrs.first()),
            port.state.clone(),
        ])?;
        let more = port
            .floating_ip4_addrs
            .len()
            .max(port.floating_ip6_addrs.len());
        for at in 1..more {
            let mut row = [const { String::new() }; 9];
            let [_, _, _, _, floating4, _, _, floating6, _] = &mut row;
            *floating4 = port
                .floating_ip4_addrs
                .get(at)
                .map(ToString::to_string)
                .unwrap_or_default();
            *floating6 = port
                .floating_ip6_addrs
                .get(at)
                .map(ToString::to_string)
                .unwrap_or_default();
            table.row(row)?;
        }
        if more > 1 {
            table.blank_row(9)?;
        }
    }
    table.finish()
}

/// The layers of a port.
pub(crate) fn layers(layers: &[LayerDesc]) -> io::Result<String> {
    let mut table = Table::new();
    table.row([
        "NAME",
        "RULES IN",
        "RULES OUT",
        "DEF IN",
        "DEF OUT",
        "FLOWS",
    ])?;
    for layer in layers {
        table.row([
            layer.name.clone(),
            layer.rules_in.to_string(),
            layer.rules_out.to_string(),
            layer.default_in.clone(),
            layer.default_out.clone(),
            layer.flows.to_string(),
        ])?;
    }
    table.finish()
}

/// The flows and rules of a layer.
pub(crate) fn layer(port: &str, layer: &DumpLayerResp) -> io::Result<String> {
    let mut out = format!("Port {port} - Layer {}\n{}\n", layer.name, line('='));
    for (dir, title) in [
        (Direction::In, "Inbound Flows"),
        (Direction::Out, "Outbound Flows"),
    ] {
        out += &section(
            title,
            &layer_flows(layer.flows.iter().filter(|flow| flow.dir == dir))?,
        );
    }
    for (dir, title, default) in [
        (Direction::In, "Inbound Rules", &layer.default_in),
        (Direction::Out, "Outbound Rules", &layer.default_out),
    ] {
        out += &section(
            title,
            &rules(layer.rules.iter().filter(|rule| rule.dir == dir), default)?,
        );
    }
    Ok(out)
}

/// The unified flow table of a port.
pub(crate) fn uft(uft: &DumpUftResp) -> io::Result<String> {
    let mut out = String::new();
    for (dir, title, count, limit) in [
        (Direction::In, "UFT Inbound", uft.count_in, uft.limit_in),
        (Direction::Out, "UFT Outbound", uft.count_out, uft.limit_out),
    ] {
        let flows = uft_flows(uft.flows.iter().filter(|flow| flow.dir == dir))?;
        out += &section(&format!("{title}: {count}/{limit}"), &flows);
    }
    Ok(out.trim_start().to_owned())
}

/// The TCP flows of a port.
pub(crate) fn tcp_flows(flows: &[TcpFlow]) -> io::Result<String> {
    let mut table = Table::new();
    table.row([
        "FLOW",
        "STATE",
        "HITS",
        "SEGS IN",
        "SEGS OUT",
        "BYTES IN",
        "BYTES OUT",
    ])?;
    for flow in flows {
        table.row([
            flow.flow.to_string(),
            flow.state.clone(),
            flow.hits.to_string(),
            flow.segs_in.to_string(),
            flow.segs_out.to_string(),
            flow.bytes_in.to_string(),
            flow.bytes_out.to_string(),
        ])?;
    }
    table.finish()
}

/// The flows that carry most.
pub(crate) fn heavy_hitters(flows: &[HeavyFlow]) -> io::Result<String> {
    let mut table = Table::new();
    table.row([
        "PROTO", "SRC IP", "SPORT/TY", "DST IP", "DPORT", "PACKETS", "BYTES",
    ])?;
    for flow in flows {
        let counts = [flow.packets.to_string(), flow.bytes.to_string()];
        table.row(flow_cells(&flow.flow).into_iter().chain(counts))?;
    }
    table.finish()
}

/// What would become of a packet, a layer a row.
pub(crate) fn trace(trace: &TracePacketResp) -> io::Result<String> {
    let known = if trace.known { "known" } else { "new" };
    let mut out = match &trace.flow {
        Some(flow) => format!("flow {flow}: {known}\n"),
        None => "no flow\n".into(),
    };
    if !trace.steps.is_empty() {
        let mut table = Table::new();
        table.row(["LAYER", "RULE", "ACTION", "FLOW AFTER", "TRANSFORMATION"])?;
        for step in &trace.steps {
            table.row([
                step.layer.clone(),
                step.rule.map_or_else(|| "DEF".into(), |id| id.to_string()),
                one_line(&step.action),
                if step.after == step.before {
                    "same".into()
                } else {
                    step.after.to_string()
                },
                one_line(&step.transformation),
            ])?;
        }
        out += &table.finish()?;
    }
    if !trace.program.is_empty() {
        out += &format!("program {}\n", one_line(&trace.program));
    }
    let hex =
        |frame: &[u8]| -> String { frame.iter().map(|octet| format!("{octet:02x}")).collect() };
    out += &match &trace.fate {
        TraceFate::Forward(frame) => format!("forwarded as {}\n", hex(frame)),
        TraceFate::Hairpin(frame) => format!("answered by {}\n", hex(frame)),
        TraceFate::Held => "held until the first fragment comes\n".into(),
        TraceFate::Drop(reason) => format!("dropped: {reason}\n"),
    };
    Ok(out)
}

/// How a restoration went.
pub(crate) fn restored(restored: &RestorePortResp) -> String {
    let RestorePortResp { flows, refused, .. } = restored;
    match refused {
        0 => format!("{flows} flows restored\n"),
        _ => format!("{flows} flows restored, {refused} not let pass by the rules\n"),
    }
}

/// Counters that are not zero.
pub(crate) fn stats(stats: &DumpStatsResp) -> io::Result<String> {
    let driver = (
        "Driver".to_owned(),
        &stats.driver.drops,
        &stats.driver.counters,
    );
    let ports = stats
        .ports
        .iter()
        .map(|port| (format!("Port {}", port.name), &port.drops, &port.counters));
    let mut out = String::new();
    for (title, drops, counters) in std::iter::once(driver).chain(ports) {
        let mut table = Table::new();
        table.row(["COUNTER", "VALUE"])?;
        for (name, value) in drops.iter().filter(|(_, value)| **value > 0) {
            table.row([format!("drop {name}"), value.to_string()])?;
        }
        for (name, value) in counters.iter().filter(|(_, value)| **value > 0) {
            table.row([name.clone(), value.to_string()])?;
        }
        out += &section(&title, &table.finish()?);
    }
    Ok(out.trim_start().to_owned())
}

/// Where guests are, by VPC.
pub(crate) fn v2p(mappings: &[Virt2PhysMapping]) -> io::Result<String> {
    let mut out = format!("Virtual to Physical Mappings\n{}\n", line('='));
    let mut vnis: Vec<Vni> = mappings.iter().map(|mapping| mapping.vni).collect();
    vnis.sort_unstable();
    vnis.dedup();
    for vni in vnis {
        out += &format!("\nVPC {vni}\n");
        for (title, is_family) in [
            ("IPv4 mappings", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
            ("IPv6 mappings", IpAddr::is_ipv6),
        ] {
            let mut table = Table::new();
            table.row(["VPC IP", "VPC MAC ADDR", "UNDERLAY IP"])?;
            for mapping in mappings
                .iter()
                .filter(|mapping| mapping.vni == vni && is_family(&mapping.vip))
            {
                table.row([
                    mapping.vip.to_string(),
                    mapping.phys.ether.to_string(),
                    mapping.phys.ip.to_string(),
                ])?;
            }
            out += &section(title, &table.finish()?);
        }
    }
    Ok(out)
}

/// The tunnel endpoints of prefixes, one a row.
pub(crate) fn v2b(mappings: &[Virt2BoundaryMapping]) -> io::Result<String> {
    let mut table = Table::new();
    table.row(["TUNNELED PREFIX", "BOUNDARY IP", "VNI"])?;
    for mapping in mappings {
        for tep in &mapping.tep {
            table.row([
                mapping.vip.to_string(),
                tep.ip.to_string(),
                tep.vni.to_string(),
            ])?;
        }
    }
    Ok(format!(
        "Virtual to Boundary Mappings\n{}\n{}",
        line('='),
        table.finish()?
    ))
}

/// Groups and what they are on the underlay, by family.
pub(crate) fn m2p(mappings: &[Mcast2PhysMapping]) -> io::Result<String> {
    let title = "Multicast to Physical Mappings (M2P)";
    let mut out = format!("{title}\n{}\n", line('='));
    for (title, is_family) in [
        ("IPv4 groups", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
        ("IPv6 groups", IpAddr::is_ipv6),
    ] {
        let mut table = Table::new();
        table.row(["OVERLAY GROUP", "UNDERLAY MCAST"])?;
        for mapping in mappings.iter().filter(|mapping| is_family(&mapping.group)) {
            table.row([mapping.group.to_string(), mapping.underlay.to_string()])?;
        }
        out += &section(title, &table.finish()?);
    }
    Ok(out)
}

/// The next hops of underlay groups, one a row.
pub(crate) fn mcast_fwd(entries: &[McastForwarding]) -> io::Result<String> {
    let mut table = Table::new();
    table.row(["GROUP IP", "UNDERLAY IP", "VNI", "REPLICATION", "FILTER"])?;
    for entry in entries {
        for hop in &entry.next_hops {
            table.row([
                entry.underlay.to_string(),
                hop.addr.to_string(),
                hop.vni.to_string(),
                hop.replication.to_string(),
                hop.filter.to_string(),
            ])?;
        }
    }
    let title = "Multicast Forwarding Table";
    Ok(format!("{title}\n{}\n{}", line('='), table.finish()?))
}

/// The subscriptions of ports to groups.
pub(crate) fn mcast_subs(entries: &[McastSubscription]) -> io::Result<String> {
    let mut table = Table::new();
    table.row(["UNDERLAY GROUP", "GROUP", "PORT", "FILTER"])?;
    for entry in entries {
        table.row([
            entry.underlay.to_string(),
            entry.group.to_string(),
            entry.port_name.clone(),
            entry.filter.to_string(),
        ])?;
    }
    let title = "Multicast Subscriptions";
    Ok(format!("{title}\n{}\n{}", line('='), table.finish()?))
}

fn layer_flows<'a>(flows: impl Iterator<Item = &'a LayerFlow>) -> io::Result<String> {
    let mut table = Table::new();
    table.row([
        "PROTO", "SRC IP", "SPORT/TY", "DST IP", "DPORT", "HITS", "ACTION",
    ])?;
    for flow in flows {
        table.row(
            flow_cells(&flow.flow)
                .into_iter()
                .chain([flow.hits.to_string(), one_line(&flow.action)]),
        )?;
    }
    table.finish()
}

fn uft_flows<'a>(flows: impl Iterator<Item = &'a UftFlow>) -> io::Result<String> {
    let mut table = Table::new();
    table.row([
        "PROTO", "SRC IP", "SPORT/TY", "DST IP", "DPORT", "HITS", "XFORMS",
    ])?;
    for flow in flows {
        table.row(
            flow_cells(&flow.flow)
                .into_iter()
                .chain([flow.hits.to_string(), one_line(&flow.program)]),
        )?;
    }
    table.finish()
}

fn rules<'a>(
    rules: impl Iterator<Item = &'a LayerRule>,
    default: &DefaultRule,
) -> io::Result<String> {
    let mut table = Table::new();
    table.row(["ID", "PRI", "HITS", "PREDICATES", "ACTION"])?;
    for rule in rules {
        let (first, more) = match rule.predicates.split_first() {
            Some((first, more)) => (first.as_str(), more),
            None => ("*", [].as_slice()),
        };
        table.row([
            rule.id.to_string(),
            rule.priority.to_string(),
            rule.hits.to_string(),
            first.to_owned(),
            format!("{:?}", rule.action),
        ])?;
        for predicate in more {
            table.row(["", "", "", predicate, ""])?;
        }
        if !more.is_empty() {
            table.blank_row(5)?;
        }
    }
    table.row([
        "DEF".to_owned(),
        "--".into(),
        default.hits.to_string(),
        "--".into(),
        format!("{:?}", default.action),
    ])?;
    table.finish()
}

/// Protocol, source, source port or ICMP type, destination, destination port or ICMP identifier.
fn flow_cells(flow: &FlowId) -> [String; 5] {
    let none = || "N/A".to_owned();
    let (sport, dport) = match flow.detail {
        FlowDetail::None => (none(), none()),
        FlowDetail::Ports {
            source,
            destination,
        } => (source.to_string(), destination.to_string()),
        FlowDetail::Icmp { ty, code, id } => (
            format!("{ty:#x}/{code:#x}"),
            id.map_or_else(none, |id| id.to_string()),
        ),
    };
    let protocol = flow
        .protocol_name()
        .map_or_else(|| flow.protocol.to_string(), Into::into);
    [
        protocol,
        flow.source.to_string(),
        sport,
        flow.destination.to_string(),
        dport,
    ]
}

fn section(title: &str, body: &str) -> String {
    format!("\n{title}\n{}\n{body}", line('-'))
}

/// A rule across the page.
fn line(c: char) -> String {
    repeat_n(c, 70).collect()
}

/// A program is shown in several lines where there is room; a cell has none.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(|| "None".into(), |value| value.to_string())
}

/// Rows of cells.
struct Table(TabWriter<Vec<u8>>);

impl Table {
    fn new() -> Self {
        Self(TabWriter::new(Vec::new()).padding(2).minwidth(0))
    }

    fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<()> {
        for (at, cell) in cells.into_iter().enumerate() {
            if at > 0 {
                self.0.write_all(b"\t")?;
            }
            self.0.write_all(cell.as_ref().as_bytes())?;
        }
        self.0.write_all(b"\n")
    }

    /// A row with nothing in it, which the columns go on through.
    fn blank_row(&mut self, columns: usize) -> io::Result<()> {
        self.row(repeat_n("", columns))
    }

    /// The table as text, without blanks at the ends of lines.
    fn finish(self) -> io::Result<String> {
        let octets = self
            .0
            .into_inner()
            .map_err(|error| io::Error::other(error.to_string()))?;
        let text = String::from_utf8(octets).map_err(io::Error::other)?;
        Ok(text
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect())
    }
}

#[cfg(test)]
mod tests;
