//! Answers as tables with aligned columns.

use std::fmt::Display;
use std::io::{self, Write};
use std::iter::repeat_n;
use std::net::IpAddr;

use opte::Direction;
use opte::api::{
    DefaultRule, DumpStatsResp, DumpUftResp, FlowDetail, FlowId, LayerDesc, LayerFlow, LayerRule,
    RestorePortResp, TcpFlow, TraceFate, TracePacketResp,
};
use opte::port::HeavyFlow;
use oxide_vpc::api::{
    Mcast2PhysMapping, McastForwarding, McastSubscription, PortInfo, Virt2BoundaryMapping,
    Virt2PhysMapping, Vni,
};

use oxide_vpc::network::MULTICAST_VNI;

use crate::columns::{Paint, Table};
use crate::meter::Meter;
use crate::options::OptionsOf;

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

/// The network of a port, and which one of its kind.
fn network(port: &PortInfo) -> String {
    let network = &port.network;
    match (&port.vni, &port.lan) {
        (Some(vni), _) => format!("{network} {vni}"),
        (None, Some(lan)) => format!("{network} {} {}:{}", lan.link, lan.public_ip, lan.ports),
        (None, None) => network.clone(),
    }
}

/// How a restoration went.
pub(crate) fn restored(restored: &RestorePortResp) -> String {
    let RestorePortResp { flows, refused, .. } = restored;
    match refused {
        0 => format!("{flows} flows restored\n"),
        _ => format!("{flows} flows restored, {refused} not let pass by the rules\n"),
    }
}

/// Where answers are shown.
pub(crate) struct Screen<'a> {
    out: &'a mut dyn Write,
    paint: Paint,
    /// Something was written.
    begun: bool,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, paint: Paint) -> Self {
        Self {
            out,
            paint,
            begun: false,
        }
    }

    /// Ports; further floating addresses stand in rows of their own.
    pub(crate) fn ports(&mut self, ports: &[PortInfo]) -> io::Result<()> {
        let mut table = self.table(&[
            "LINK",
            "MAC ADDRESS",
            "IPv4 ADDRESS",
            "EPHEMERAL IPv4",
            "FLOATING IPv4",
            "IPv6 ADDRESS",
            "EXTERNAL IPv6",
            "FLOATING IPv6",
            "STATE",
            "MTU",
            "NETWORK",
        ]);
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
                port.mtu.to_string(),
                network(port),
            ]);
            let more = port
                .floating_ip4_addrs
                .len()
                .max(port.floating_ip6_addrs.len());
            for at in 1..more {
                let mut row = [const { String::new() }; 11];
                let [_, _, _, _, floating4, _, _, floating6, _, _, _] = &mut row;
                *floating4 = or_empty(port.floating_ip4_addrs.get(at));
                *floating6 = or_empty(port.floating_ip6_addrs.get(at));
                table.row(row);
            }
            if more > 1 {
                table.blank_row();
            }
        }
        self.show(&mut table)
    }

    /// The layers of a port.
    pub(crate) fn layers(&mut self, layers: &[LayerDesc]) -> io::Result<()> {
        let mut table = self.table(&[
            "NAME",
            "RULES IN",
            "RULES OUT",
            "DEF IN",
            "DEF OUT",
            "FLOWS",
        ]);
        for layer in layers {
            table.row([
                layer.name.clone(),
                layer.rules_in.to_string(),
                layer.rules_out.to_string(),
                layer.default_in.clone(),
                layer.default_out.clone(),
                layer.flows.to_string(),
            ]);
        }
        self.show(&mut table)
    }

    /// What stands over the flows and rules of a layer.
    pub(crate) fn layer(&mut self, port: &str, layer: &str) -> io::Result<()> {
        self.title(&format!("Port {port} - Layer {layer}"), '=')
    }

    /// Flows of a layer in one direction; `table` begins as `None` and goes on with the next page.
    pub(crate) fn layer_flows<'f>(
        &mut self,
        table: &mut Option<Table>,
        dir: Direction,
        flows: impl IntoIterator<Item = &'f LayerFlow>,
    ) -> io::Result<()> {
        if table.is_none() {
            let title = by_direction(dir, "Inbound Flows", "Outbound Flows");
            self.section(title)?;
        }
        let table = table.get_or_insert_with(|| self.flow_table("ACTION"));
        for flow in flows {
            let rest = [flow.hits.to_string(), one_line(&flow.action)];
            table.row(flow_cells(&flow.flow).into_iter().chain(rest));
        }
        self.show(table)
    }

    /// Rules of a layer in one direction, and what is done if none matches.
    pub(crate) fn rules<'r>(
        &mut self,
        dir: Direction,
        rules: impl IntoIterator<Item = &'r LayerRule>,
        default: &DefaultRule,
    ) -> io::Result<()> {
        self.section(by_direction(dir, "Inbound Rules", "Outbound Rules"))?;
        let mut table = self.table(&["ID", "PRI", "HITS", "PREDICATES", "ACTION"]);
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
            ]);
            for predicate in more {
                table.row(["", "", "", predicate, ""]);
            }
            if !more.is_empty() {
                table.blank_row();
            }
        }
        table.row([
            "DEF".to_owned(),
            "--".into(),
            default.hits.to_string(),
            "--".into(),
            format!("{:?}", default.action),
        ]);
        self.show(&mut table)
    }

    /// Entries of a unified flow table in one direction; `table` begins as `None` and goes on with the next page.
    pub(crate) fn uft(
        &mut self,
        table: &mut Option<Table>,
        dir: Direction,
        page: &DumpUftResp,
    ) -> io::Result<()> {
        if table.is_none() {
            let (count, limit) = by_direction(
                dir,
                (page.count_in, page.limit_in),
                (page.count_out, page.limit_out),
            );
            let title = by_direction(dir, "UFT Inbound", "UFT Outbound");
            self.section(&format!("{title}: {count}/{limit}"))?;
        }
        let table = table.get_or_insert_with(|| self.flow_table("XFORMS"));
        for flow in page.flows.iter().filter(|flow| flow.dir == dir) {
            let rest = [flow.hits.to_string(), one_line(&flow.program)];
            table.row(flow_cells(&flow.flow).into_iter().chain(rest));
        }
        self.show(table)
    }

    /// TCP flows; `table` begins as `None` and goes on with the next page.
    pub(crate) fn tcp_flows(
        &mut self,
        table: &mut Option<Table>,
        flows: &[TcpFlow],
    ) -> io::Result<()> {
        let table = table.get_or_insert_with(|| {
            self.table(&[
                "FLOW",
                "STATE",
                "HITS",
                "SEGS IN",
                "SEGS OUT",
                "BYTES IN",
                "BYTES OUT",
            ])
        });
        for flow in flows {
            table.row([
                flow.flow.to_string(),
                flow.state.clone(),
                flow.hits.to_string(),
                flow.segs_in.to_string(),
                flow.segs_out.to_string(),
                flow.bytes_in.to_string(),
                flow.bytes_out.to_string(),
            ]);
        }
        self.show(table)
    }

    /// The flows that carry most.
    pub(crate) fn heavy_hitters(&mut self, flows: &[HeavyFlow]) -> io::Result<()> {
        let mut table = self.table(&[
            "PROTO", "SRC IP", "SPORT/TY", "DST IP", "DPORT", "PACKETS", "BYTES",
        ]);
        for flow in flows {
            let counts = [flow.packets.to_string(), flow.bytes.to_string()];
            table.row(flow_cells(&flow.flow).into_iter().chain(counts));
        }
        self.show(&mut table)
    }

    /// Options, a port a row.
    pub(crate) fn options(&mut self, all: &[OptionsOf]) -> io::Result<()> {
        let mut table = self.table(&["LINK", "OPTIONS"]);
        for OptionsOf { port, options } in all {
            table.row([port.clone(), options.to_string()]);
        }
        self.show(&mut table)
    }

    /// Meters, a direction of a port a row.
    pub(crate) fn meters(&mut self, meters: &[Meter]) -> io::Result<()> {
        let mut table = self.table(&[
            "LINK",
            "DIR",
            "PACKETS",
            "BITS",
            "NEW FLOWS",
            "FLOWS",
            "BURST",
            "DROPPED",
        ]);
        for meter in meters {
            let limits = &meter.limits;
            let rate = |rate: Option<u64>| or_none(rate.map(|rate| format!("{rate}/s")));
            table.row([
                meter.port.clone(),
                meter.dir.to_string(),
                rate(limits.packets),
                rate(limits.bits),
                rate(limits.new_flows),
                or_none(limits.flows),
                format!("{} ms", limits.burst_ms),
                meter.dropped.to_string(),
            ]);
        }
        self.show(&mut table)
    }

    /// What would become of a packet, a layer a row.
    pub(crate) fn trace(&mut self, trace: &TracePacketResp) -> io::Result<()> {
        let known = if trace.known { "known" } else { "new" };
        match &trace.flow {
            Some(flow) => writeln!(self.out, "flow {flow}: {known}")?,
            None => writeln!(self.out, "no flow")?,
        }
        if !trace.steps.is_empty() {
            let mut table =
                self.table(&["LAYER", "RULE", "ACTION", "FLOW AFTER", "TRANSFORMATION"]);
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
                ]);
            }
            self.show(&mut table)?;
        }
        if !trace.program.is_empty() {
            writeln!(self.out, "program {}", one_line(&trace.program))?;
        }
        let hex =
            |frame: &[u8]| -> String { frame.iter().map(|octet| format!("{octet:02x}")).collect() };
        match &trace.fate {
            TraceFate::Forward(frame) => writeln!(self.out, "forwarded as {}", hex(frame)),
            TraceFate::Hairpin(frame) => writeln!(self.out, "answered by {}", hex(frame)),
            TraceFate::Held => writeln!(self.out, "held until the first fragment comes"),
            TraceFate::Drop(reason) => {
                let line = format!("dropped: {reason}");
                writeln!(self.out, "{}", self.paint.removed(&line))
            }
        }
    }

    /// Counters that are not zero.
    pub(crate) fn stats(&mut self, stats: &DumpStatsResp) -> io::Result<()> {
        let driver = (
            "Driver".to_owned(),
            &stats.driver.drops,
            &stats.driver.counters,
        );
        let ports = stats
            .ports
            .iter()
            .map(|port| (format!("Port {}", port.name), &port.drops, &port.counters));
        for (title, drops, counters) in std::iter::once(driver).chain(ports) {
            let mut table = self.table(&["COUNTER", "VALUE"]);
            for (name, value) in drops.iter().filter(|(_, value)| **value > 0) {
                table.bad_row([format!("drop {name}"), value.to_string()]);
            }
            for (name, value) in counters.iter().filter(|(_, value)| **value > 0) {
                table.row([name.clone(), value.to_string()]);
            }
            self.section(&title)?;
            self.show(&mut table)?;
        }
        Ok(())
    }

    /// Where guests are, by VPC.
    pub(crate) fn v2p(&mut self, mappings: &[Virt2PhysMapping]) -> io::Result<()> {
        self.title("Virtual to Physical Mappings", '=')?;
        let mut vnis: Vec<Vni> = mappings.iter().map(|mapping| mapping.vni).collect();
        vnis.sort_unstable();
        vnis.dedup();
        for vni in vnis {
            writeln!(self.out, "\n{}", self.paint.heading(&format!("VPC {vni}")))?;
            for (title, is_family) in [
                ("IPv4 mappings", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
                ("IPv6 mappings", IpAddr::is_ipv6),
            ] {
                let mut table = self.table(&["VPC IP", "VPC MAC ADDR", "UNDERLAY IP"]);
                for mapping in mappings
                    .iter()
                    .filter(|mapping| mapping.vni == vni && is_family(&mapping.vip))
                {
                    table.row([
                        mapping.vip.to_string(),
                        mapping.phys.ether.to_string(),
                        mapping.phys.ip.to_string(),
                    ]);
                }
                self.section(title)?;
                self.show(&mut table)?;
            }
        }
        Ok(())
    }

    /// The tunnel endpoints of prefixes, one a row.
    pub(crate) fn v2b(&mut self, mappings: &[Virt2BoundaryMapping]) -> io::Result<()> {
        self.title("Virtual to Boundary Mappings", '=')?;
        let mut table = self.table(&["TUNNELED PREFIX", "BOUNDARY IP", "VNI"]);
        for mapping in mappings {
            for tep in &mapping.tep {
                table.row([
                    mapping.vip.to_string(),
                    tep.ip.to_string(),
                    tep.vni.to_string(),
                ]);
            }
        }
        self.show(&mut table)
    }

    /// Groups and what they are on the underlay, by family.
    pub(crate) fn m2p(&mut self, mappings: &[Mcast2PhysMapping]) -> io::Result<()> {
        self.title("Multicast to Physical Mappings (M2P)", '=')?;
        for (title, is_family) in [
            ("IPv4 groups", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
            ("IPv6 groups", IpAddr::is_ipv6),
        ] {
            let mut table = self.table(&["OVERLAY GROUP", "UNDERLAY MCAST", "VNI"]);
            for mapping in mappings.iter().filter(|mapping| is_family(&mapping.group)) {
                table.row([
                    mapping.group.to_string(),
                    mapping.underlay.to_string(),
                    mapping.vni.unwrap_or(MULTICAST_VNI).to_string(),
                ]);
            }
            self.section(title)?;
            self.show(&mut table)?;
        }
        Ok(())
    }

    /// The next hops of underlay groups, one a row.
    pub(crate) fn mcast_fwd(&mut self, entries: &[McastForwarding]) -> io::Result<()> {
        self.title("Multicast Forwarding Table", '=')?;
        let mut table = self.table(&["GROUP IP", "UNDERLAY IP", "VNI", "REPLICATION", "FILTER"]);
        for entry in entries {
            for hop in &entry.next_hops {
                table.row([
                    entry.underlay.to_string(),
                    hop.addr.to_string(),
                    hop.vni.to_string(),
                    hop.replication.to_string(),
                    hop.filter.to_string(),
                ]);
            }
        }
        self.show(&mut table)
    }

    /// The subscriptions of ports to groups.
    pub(crate) fn mcast_subs(&mut self, entries: &[McastSubscription]) -> io::Result<()> {
        self.title("Multicast Subscriptions", '=')?;
        let mut table = self.table(&["UNDERLAY GROUP", "GROUP", "PORT", "FILTER"]);
        for entry in entries {
            table.row([
                entry.underlay.to_string(),
                entry.group.to_string(),
                entry.port_name.clone(),
                entry.filter.to_string(),
            ]);
        }
        self.show(&mut table)
    }

    fn table(&self, headings: &[&str]) -> Table {
        Table::new(self.paint, headings)
    }

    fn flow_table(&self, last: &str) -> Table {
        self.table(&[
            "PROTO", "SRC IP", "SPORT/TY", "DST IP", "DPORT", "HITS", last,
        ])
    }

    fn show(&mut self, table: &mut Table) -> io::Result<()> {
        self.begun = true;
        table.write(self.out)
    }

    /// A title after an empty line, but for the first thing of all.
    fn section(&mut self, title: &str) -> io::Result<()> {
        if self.begun {
            writeln!(self.out)?;
        }
        self.title(title, '-')
    }

    fn title(&mut self, title: &str, under: char) -> io::Result<()> {
        self.begun = true;
        let line: String = repeat_n(under, 70).collect();
        writeln!(self.out, "{}\n{line}", self.paint.heading(title))
    }
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

fn by_direction<T>(dir: Direction, inbound: T, outbound: T) -> T {
    match dir {
        Direction::In => inbound,
        Direction::Out => outbound,
    }
}

/// A program is shown in several lines where there is room; a cell has none.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(|| "None".into(), |value| value.to_string())
}

fn or_empty(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
