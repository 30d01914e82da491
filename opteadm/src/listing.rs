//! Listings: asked for page by page and written as they come, however long.

use std::io::{self, Write};

use crate::args::Described;
use crate::packet::{self, Place};
use opte::Direction;
use opte::api::{
    DumpLayerReq, DumpLayerResp, DumpTcpFlowsReq, DumpUftReq, FlowFilter, HeavyHittersReq,
    ListLayersReq, OpteError, Page, TracePacketReq,
};
use opteadm::Client;
use oxide_vpc::api::ConfigItem;
use serde::Serialize;

use crate::columns::Paint;
use crate::failure::Failure;
use crate::meter::{self, Meter};
use crate::options::{self, OptionsOf};
use crate::table::{self, Screen};
use opte::options::PortOptions;

/// What is to be listed.
#[derive(Debug)]
pub(crate) enum Listing {
    Ports,
    Layers(String),
    Layer {
        port: String,
        name: String,
        filter: FlowFilter,
        rule: Option<u64>,
    },
    Uft(String, FlowFilter),
    TcpFlows(String, FlowFilter),
    Stats(Option<String>),
    Meters(Option<String>),
    PortOptions(Option<String>),
    V2p,
    V2b,
    Heavy(HeavyHittersReq),
    Trace(String, Direction, Described),
    M2p,
    McastFwd,
    McastSubs,
}

impl Listing {
    /// Writes tables.
    pub(crate) fn write(
        &self,
        client: &mut Client,
        paint: Paint,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let mut screen = Screen::new(out, paint);
        let written = match self {
            Self::Ports => {
                let mut ports = client.list_ports()?;
                table::sort_ports(&mut ports);
                screen.ports(&ports)
            }
            Self::Layers(port) => screen.layers(&client.call(&layers(port))?.layers),
            Self::Layer { .. } => return self.write_layer(client, &mut screen),
            Self::Uft(port, filter) => {
                // One direction after the other: so no page has to wait for those after it.
                for dir in Direction::BOTH
                    .into_iter()
                    .filter(|dir| filter.has_dir(*dir))
                {
                    let filter = FlowFilter {
                        dir: Some(dir),
                        ..*filter
                    };
                    let mut table = None;
                    for page in client.pages(uft(port, filter)) {
                        screen.uft(&mut table, dir, &page?)?;
                    }
                }
                Ok(())
            }
            Self::TcpFlows(port, filter) => {
                let mut table = None;
                for page in client.pages(tcp_flows(port, *filter)) {
                    screen.tcp_flows(&mut table, &page?.flows)?;
                }
                Ok(())
            }
            Self::Stats(port) => screen.stats(&client.dump_stats(port.as_deref())?),
            Self::Meters(port) => screen.meters(&meters(client, port.as_deref())?),
            Self::PortOptions(port) => screen.options(&port_options(client, port.as_deref())?),
            Self::V2p => screen.v2p(&client.dump_v2p()?),
            Self::V2b => screen.v2b(&client.dump_v2b()?),
            Self::Trace(port, dir, described) => {
                let request = trace(client, port, *dir, described)?;
                screen.trace(&client.call(&request)?)
            }
            Self::Heavy(request) => screen.heavy_hitters(&client.call(request)?.flows),
            Self::M2p => screen.m2p(&client.dump_m2p()?),
            Self::McastFwd => screen.mcast_fwd(&client.dump_mcast_fwd()?),
            Self::McastSubs => screen.mcast_subs(&client.dump_mcast_subs()?),
        };
        written.map_err(Failure::Output)
    }

    /// Writes one JSON document.
    pub(crate) fn write_json(
        &self,
        client: &mut Client,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match self {
            Self::Ports => {
                let mut ports = client.list_ports()?;
                table::sort_ports(&mut ports);
                whole(out, &ports)
            }
            Self::Layers(port) => whole(out, &client.call(&layers(port))?.layers),
            Self::Layer {
                port,
                name,
                filter,
                rule,
            } => {
                let mut document = Document::new(out);
                for page in client.pages(layer(port, name, *filter, *rule)) {
                    let mut page = page?;
                    let (rules, flows) = (
                        std::mem::take(&mut page.rules),
                        std::mem::take(&mut page.flows),
                    );
                    document.open(&page, "rules")?;
                    document.entries(&rules)?;
                    if !flows.is_empty() || page.next.is_none() {
                        document.list("flows")?;
                    }
                    document.entries(&flows)?;
                }
                document.close()
            }
            Self::Uft(port, filter) => {
                let mut document = Document::new(out);
                for page in client.pages(uft(port, *filter)) {
                    let mut page = page?;
                    let flows = std::mem::take(&mut page.flows);
                    document.open(&page, "flows")?;
                    document.entries(&flows)?;
                }
                document.close()
            }
            Self::TcpFlows(port, filter) => {
                let mut list = List::default();
                for page in client.pages(tcp_flows(port, *filter)) {
                    list.entries(out, "", &page?.flows)?;
                }
                list.close(out, "")?;
                Ok(writeln!(out)?)
            }
            Self::Stats(port) => {
                let stats = client.dump_stats(port.as_deref())?;
                let mut value = serde_json::to_value(stats)?;
                if let Some(object) = value.as_object_mut() {
                    // All pages are here.
                    object.remove("next");
                }
                whole(out, &value)
            }
            Self::Meters(port) => whole(out, &meters(client, port.as_deref())?),
            Self::PortOptions(port) => whole(out, &port_options(client, port.as_deref())?),
            Self::V2p => whole(out, &client.dump_v2p()?),
            Self::V2b => whole(out, &client.dump_v2b()?),
            Self::Trace(port, dir, described) => {
                let request = trace(client, port, *dir, described)?;
                whole(out, &client.call(&request)?)
            }
            Self::Heavy(request) => whole(out, &client.call(request)?.flows),
            Self::M2p => whole(out, &client.dump_m2p()?),
            Self::McastFwd => whole(out, &client.dump_mcast_fwd()?),
            Self::McastSubs => whole(out, &client.dump_mcast_subs()?),
        }
    }

    /// Flows are written as they come; rules, of which there are few, are kept until the flows are there.
    fn write_layer(&self, client: &mut Client, screen: &mut Screen<'_>) -> Result<(), Failure> {
        let Self::Layer {
            port,
            name,
            filter,
            rule,
        } = self
        else {
            return Ok(());
        };
        let mut sections = Vec::new();
        let dirs = Direction::BOTH.into_iter();
        for dir in dirs.filter(|dir| filter.has_dir(*dir)) {
            let filter = FlowFilter {
                dir: Some(dir),
                ..*filter
            };
            let (mut table, mut rules, mut default) = (None, Vec::new(), None);
            for page in client.pages(layer(port, name, filter, *rule)) {
                let page: DumpLayerResp = page?;
                if sections.is_empty() && default.is_none() {
                    screen.layer(port, &page.name)?;
                }
                rules.extend(page.rules);
                default = Some(match dir {
                    Direction::In => page.default_in,
                    Direction::Out => page.default_out,
                });
                if rule.is_none() {
                    screen.layer_flows(&mut table, dir, &page.flows)?;
                }
            }
            sections.push((dir, rules, default.unwrap_or_default()));
        }
        for (dir, rules, default) in &sections {
            if rule.is_none() || !rules.is_empty() {
                screen.rules(*dir, rules, default)?;
            }
        }
        Ok(())
    }
}

/// A JSON object with lists that grow: what is not in the lists stands before them.
struct Document<'a> {
    out: &'a mut dyn Write,
    list: Option<List>,
}

impl<'a> Document<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self { out, list: None }
    }

    /// Begins with all of `head` that is no list, then a list of this name. Does nothing if it has begun.
    fn open(&mut self, head: &impl Serialize, name: &str) -> Result<(), Failure> {
        if self.list.is_some() {
            return Ok(());
        }
        let value = serde_json::to_value(head)?;
        writeln!(self.out, "{{")?;
        for (key, value) in value.as_object().into_iter().flatten() {
            if key != "next" && !value.is_array() {
                writeln!(self.out, "  {}: {value},", serde_json::to_string(key)?)?;
            }
        }
        write!(self.out, "  \"{name}\": ")?;
        self.list = Some(List {
            name: name.into(),
            entries: 0,
        });
        Ok(())
    }

    /// Goes on with another list, if it is another.
    fn list(&mut self, name: &str) -> Result<(), Failure> {
        if let Some(list) = self.list.take_if(|list| list.name != name) {
            list.close(self.out, "  ")?;
            write!(self.out, ",\n  \"{name}\": ")?;
            self.list = Some(List {
                name: name.into(),
                entries: 0,
            });
        }
        Ok(())
    }

    fn entries(&mut self, entries: &[impl Serialize]) -> Result<(), Failure> {
        match &mut self.list {
            Some(list) => list.entries(self.out, "  ", entries),
            None => Ok(()),
        }
    }

    fn close(self) -> Result<(), Failure> {
        if let Some(list) = self.list {
            list.close(self.out, "  ")?;
            writeln!(self.out, "\n}}")?;
        }
        Ok(())
    }
}

/// A JSON list, an entry a line.
#[derive(Default)]
struct List {
    name: String,
    entries: u64,
}

impl List {
    fn entries(
        &mut self,
        out: &mut dyn Write,
        indent: &str,
        entries: &[impl Serialize],
    ) -> Result<(), Failure> {
        for entry in entries {
            let before = if self.entries == 0 { "[" } else { "," };
            write!(out, "{before}\n{indent}  ")?;
            serde_json::to_writer(&mut *out, entry)?;
            self.entries += 1;
        }
        Ok(())
    }

    fn close(self, out: &mut dyn Write, indent: &str) -> io::Result<()> {
        match self.entries {
            0 => write!(out, "[]"),
            _ => write!(out, "\n{indent}]"),
        }
    }
}

fn whole(out: &mut dyn Write, answer: &impl Serialize) -> Result<(), Failure> {
    // In the order of names, as in all documents.
    let value = serde_json::to_value(answer)?;
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?)
}

/// The meters of a port, or of all that have any.
fn meters(client: &mut Client, port: Option<&str>) -> Result<Vec<Meter>, Failure> {
    let mut ports = client.list_ports()?;
    table::sort_ports(&mut ports);
    ports.retain(|listed| port.is_none_or(|port| listed.name == port));
    if let Some(port) = port.filter(|_| ports.is_empty()) {
        let port = port.into();
        return Err(OpteError::PortNotFound { port }.into());
    }
    let stats = client.dump_stats(port)?;
    Ok(meter::meters(&ports, &stats, port.is_some()))
}

/// The options of a port, or of all that have any.
fn port_options(client: &mut Client, port: Option<&str>) -> Result<Vec<OptionsOf>, Failure> {
    let (_, items) = client.dump_config_items()?;
    let mut all = options::of_config(items);
    let Some(port) = port else { return Ok(all) };
    all.retain(|listed| listed.port == port);
    if all.is_empty() {
        let port = port.to_string();
        let there = client
            .list_ports()?
            .iter()
            .any(|listed| listed.name == port);
        if !there {
            return Err(OpteError::PortNotFound { port }.into());
        }
        let options = PortOptions::default();
        all.push(OptionsOf { port, options });
    }
    Ok(all)
}

fn layers(port: &str) -> ListLayersReq {
    ListLayersReq {
        port_name: port.into(),
    }
}

fn layer(port: &str, name: &str, filter: FlowFilter, rule: Option<u64>) -> DumpLayerReq {
    DumpLayerReq {
        port_name: port.into(),
        name: name.into(),
        page: Page::FIRST,
        filter,
        rule,
    }
}

fn uft(port: &str, filter: FlowFilter) -> DumpUftReq {
    DumpUftReq {
        port_name: port.into(),
        page: Page::FIRST,
        filter,
    }
}

fn tcp_flows(port: &str, filter: FlowFilter) -> DumpTcpFlowsReq {
    DumpTcpFlowsReq {
        port_name: port.into(),
        page: Page::FIRST,
        filter,
    }
}

/// The packet that is described, of this port.
fn trace(
    client: &mut Client,
    port: &str,
    dir: Direction,
    described: &Described,
) -> Result<TracePacketReq, Failure> {
    let frame = match &described.hex {
        Some(frame) => frame.clone(),
        None => {
            let (_, items) = client.dump_config_items()?;
            let request = items.into_iter().find_map(|item| match item {
                ConfigItem::Port(request) if request.name == port => Some(Place::from(*request)),
                ConfigItem::LanPort(request) if request.name == port => {
                    Some(Place::Lan(request.cfg))
                }
                _ => None,
            });
            let not_found = || OpteError::PortNotFound { port: port.into() };
            packet::frame(described, dir, &request.ok_or_else(not_found)?)?
        }
    };
    Ok(TracePacketReq {
        port_name: port.into(),
        dir,
        frame,
    })
}
