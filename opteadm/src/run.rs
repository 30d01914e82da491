//! Each command: the request it makes, and what is printed of the answer.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

use opte::Direction;
use opte::api::{
    ClearLftReq, ClearUftReq, HeavyHittersReq, ListLayersReq, NoResp, OpteError, PausePortReq,
    Request, StartPortReq, TracePacketReq,
};
use opte::port::By;
use opteadm::config::{ConfigError, Format, PlanError};
use opteadm::saved::SavedError;
use opteadm::{Client, Error};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, AttachedSubnet,
    ClearMcast2PhysReq, ClearMcastForwardingReq, ClearVirt2BoundaryReq, ClearVirt2PhysReq,
    ClearXdeUnderlayReq, ConfigItem, DelRouterEntryReq, DeleteXdeReq, DetachSubnetReq,
    FirewallRule, InternetGatewayMap, McastNextHop, McastSubscribeReq, McastUnsubscribeAllReq,
    McastUnsubscribeReq, PhysNet, RemFwRuleReq, RemoveCidrReq, RouterEntry, RuleFileError,
    RuleFilters, SetExternalIpsReq, SetFwRulesReq, SetMcast2PhysReq, SetMcastForwardingReq,
    SetPeersReq, SetVirt2BoundaryReq, SetVirt2PhysReq, SetXdeUnderlayReq, TransitCidr,
    TunnelEndpoint, parse_rules,
};
use oxide_vpc::network::{BOUNDARY_VNI, MULTICAST_VNI};
use serde::Serialize;

use crate::apply::{self, Wanted};
use crate::args::{Cli, Command, ConfigFormat, Described, Route, Rule, Transit, V2b, V2p, Weight};
use crate::confirm::confirmed;
use crate::create::Plan;
use crate::external::Families;
use crate::{manual, packet, table};

/// Has the command done; what is to be printed of it.
pub(crate) fn run(cli: Cli) -> Result<String, Failure> {
    let Cli {
        socket,
        json,
        yes,
        command,
    } = cli;
    // What is wrong with the arguments is said whether or not a driver runs.
    let action = Action::new(command)?;
    if let Action::Print(text) = action {
        return Ok(text);
    }
    let mut client = Client::connect(socket)?;
    let outcome = match action {
        Action::Print(text) => Ok(text),
        Action::List(command) => read(&mut client, command, json),
        Action::Change(change) => done(change(&mut client), json),
        Action::Destroy(what, change) => {
            if !confirmed(&what, yes) {
                return Err(Failure::Declined);
            }
            done(change(&mut client), json)
        }
        Action::SavePort { port, file, pause } => match client.save_port(&port, &file, pause) {
            Ok(()) => done(Ok(NoResp {}), json),
            Err(error) => Err(of_file(file, error)),
        },
        Action::RestorePort { file, pause } => match client.restore_port(&file, pause) {
            Ok(restored) => show(json, &restored, || Ok(table::restored(&restored))),
            Err(error) => Err(of_file(file, error)),
        },
        Action::Apply(wanted) => wanted.apply(&mut client, json, yes),
        Action::Export(format) => {
            let format = if json { Format::Json } else { format };
            apply::export(&mut client, format)
        }
    };
    outcome.map_err(|failure| of_an_empty_driver(failure, &mut client))
}

/// What the driver says is no matter of the file.
fn of_file(path: PathBuf, error: SavedError) -> Failure {
    match error {
        SavedError::Client(error) => Failure::Client(error),
        SavedError::NoPort(port) => Failure::Argument(OpteError::PortNotFound { port }),
        error => Failure::Saved { path, error },
    }
}

/// Tells a port that is not there from a driver that has none: one that was restarted knows nothing of before.
fn of_an_empty_driver(failure: Failure, client: &mut Client) -> Failure {
    match failure {
        Failure::Client(Error::Refused {
            error: OpteError::PortNotFound { port },
            ..
        }) if client.list_ports().is_ok_and(|ports| ports.is_empty()) => Failure::NoPorts(port),
        other => other,
    }
}

/// Why the command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument is wrong.
    Argument(OpteError),
    /// A rule on standard input is wrong.
    Rules(RuleFileError),
    /// Standard input could not be read.
    Input(io::Error),
    /// The driver did not do it.
    Client(Error),
    /// The driver has no ports, this one as little as any other.
    NoPorts(String),
    /// A file could not be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no configuration.
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, and where.
        error: ConfigError,
    },
    /// A port could not be saved in a file, or restored of it.
    Saved {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: SavedError,
    },
    /// The configuration there is cannot become that of a file.
    Plan {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: PlanError,
    },
    /// The user was asked and did not want it.
    Declined,
    /// The answer could not be printed as JSON.
    Json(serde_json::Error),
    /// The answer could not be printed as a table.
    Table(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(error) => error.fmt(f),
            Self::Rules(error) => write!(f, "rules, {error}"),
            Self::Input(error) => write!(f, "cannot read rules: {error}"),
            Self::Client(error) => error.fmt(f),
            Self::NoPorts(port) => write!(
                f,
                "port '{port}' not found: xde has no ports; it was restarted, or none was created yet"
            ),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Config { path, error } => {
                write!(f, "{}:{}: {}", path.display(), error.line, error.message)
            }
            Self::Saved { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Plan { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Declined => f.write_str("nothing was done"),
            Self::Json(error) => write!(f, "cannot print the answer: {error}"),
            Self::Table(error) => write!(f, "cannot print the answer: {error}"),
        }
    }
}

impl From<OpteError> for Failure {
    fn from(error: OpteError) -> Self {
        Self::Argument(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// A command with its arguments understood.
enum Action {
    /// What needs no driver.
    Print(String),
    List(Listing),
    Change(Change),
    /// With what is asked before.
    Destroy(String, Change),
    SavePort {
        port: String,
        file: PathBuf,
        pause: bool,
    },
    RestorePort {
        file: PathBuf,
        pause: bool,
    },
    Apply(Box<Wanted>),
    Export(Format),
}

/// What changes something when it is done.
type Change = Box<dyn FnOnce(&mut Client) -> Result<NoResp, Error>>;

/// What is to be listed.
enum Listing {
    Ports,
    Layers(String),
    Layer { port: String, name: String },
    Uft(String),
    TcpFlows(String),
    Stats(Option<String>),
    V2p,
    V2b,
    Heavy(HeavyHittersReq),
    Trace(String, Direction, Described),
    M2p,
    McastFwd,
    McastSubs,
}

impl Action {
    fn new(command: Command) -> Result<Self, Failure> {
        Ok(match command {
            Command::ListPorts => Self::List(Listing::Ports),
            Command::ListLayers(of) => Self::List(Listing::Layers(of.port)),
            Command::DumpLayer { of, name } => Self::List(Listing::Layer {
                port: of.port,
                name,
            }),
            Command::DumpUft(of) => Self::List(Listing::Uft(of.port)),
            Command::DumpTcpFlows(of) => Self::List(Listing::TcpFlows(of.port)),
            Command::DumpStats { port } => Self::List(Listing::Stats(port)),
            Command::DumpV2p => Self::List(Listing::V2p),
            Command::DumpV2b => Self::List(Listing::V2b),
            Command::ClearUft(of) => change(ClearUftReq { port_name: of.port }),
            Command::PausePort(of) => change(PausePortReq { port_name: of.port }),
            Command::StartPort(of) => change(StartPortReq { port_name: of.port }),
            Command::SavePort { of, file, pause } => Self::SavePort {
                port: of.port,
                file,
                pause,
            },
            Command::RestorePort { file, pause } => Self::RestorePort { file, pause },
            Command::Trace { of, dir, packet } => Self::List(Listing::Trace(of.port, dir, packet)),
            Command::HeavyHitters { of, by, count } => {
                Self::List(Listing::Heavy(HeavyHittersReq {
                    port_name: of.port,
                    by: match by {
                        Weight::Bytes => By::Bytes,
                        Weight::Packets => By::Packets,
                    },
                    count,
                }))
            }
            Command::Apply(args) => Self::Apply(Box::new(Wanted::read(args)?)),
            Command::Export { format } => Self::Export(match format {
                ConfigFormat::Toml => Format::Toml,
                ConfigFormat::Json => Format::Json,
            }),
            Command::Completions { shell } => Self::Print(manual::completions(shell)),
            Command::Reference => Self::Print(manual::reference()),
            Command::Man { dir } => Self::Print(manual::write_pages(&dir)?),
            Command::ClearLft { of, layer } => change(ClearLftReq {
                port_name: of.port,
                layer_name: layer,
            }),
            Command::AddFwRule { of, rule } => change(AddFwRuleReq {
                port_name: of.port,
                rule: rule.into(),
            }),
            Command::RmFwRule { of, dir, id } => change(RemFwRuleReq {
                port_name: of.port,
                dir,
                id,
            }),
            Command::SetFwRules(of) => change(SetFwRulesReq {
                port_name: of.port,
                rules: rules()?,
            }),
            Command::CreateXde(args) => {
                let plan = Plan::new(*args)?;
                Self::Change(Box::new(move |client| plan.run(client)))
            }
            Command::DeleteXde { name } => destroy(
                format!("This deletes port {name} with its link, its rules and its flows."),
                DeleteXdeReq { name },
            ),
            Command::SetXdeUnderlay { u1, u2 } => change(SetXdeUnderlayReq { u1, u2 }),
            Command::ClearXdeUnderlay => destroy(
                "This cuts the host off from the others.".into(),
                ClearXdeUnderlayReq {},
            ),
            Command::SetV2p(v2p) => change(SetVirt2PhysReq {
                vip: v2p.vpc_ip,
                phys: v2p.into(),
            }),
            Command::ClearV2p(v2p) => change(ClearVirt2PhysReq {
                vip: v2p.vpc_ip,
                phys: v2p.into(),
            }),
            Command::SetV2b(v2b) => change(SetVirt2BoundaryReq {
                vip: v2b.prefix,
                tep: v2b.endpoints(),
            }),
            Command::ClearV2b(v2b) => change(ClearVirt2BoundaryReq {
                vip: v2b.prefix,
                tep: v2b.endpoints(),
            }),
            Command::DumpM2p => Self::List(Listing::M2p),
            Command::SetM2p(m2p) => change(SetMcast2PhysReq {
                group: m2p.group,
                underlay: m2p.underlay,
            }),
            Command::ClearM2p(m2p) => change(ClearMcast2PhysReq {
                group: m2p.group,
                underlay: m2p.underlay,
            }),
            Command::DumpMcastFwd => Self::List(Listing::McastFwd),
            Command::SetMcastFwd {
                underlay,
                next_hop,
                replication,
                sources,
            } => {
                let hop = McastNextHop {
                    addr: next_hop,
                    vni: MULTICAST_VNI,
                    replication,
                    filter: sources.into(),
                };
                let next_hops = vec![hop];
                change(SetMcastForwardingReq {
                    underlay,
                    next_hops,
                })
            }
            Command::ClearMcastFwd { underlay, next_hop } => change(ClearMcastForwardingReq {
                underlay,
                next_hops: next_hop.into_iter().collect(),
            }),
            Command::DumpMcastSubs => Self::List(Listing::McastSubs),
            Command::McastSubscribe { of, group, sources } => change(McastSubscribeReq {
                port_name: of.port,
                group,
                filter: sources.into(),
            }),
            Command::McastUnsubscribe { of, group } => change(McastUnsubscribeReq {
                port_name: of.port,
                group,
            }),
            Command::McastUnsubscribeAll { group } => change(McastUnsubscribeAllReq { group }),
            Command::AddRouterEntry(route) => change(AddRouterEntryReq {
                entry: route.entry(),
                port_name: route.of.port,
            }),
            Command::DelRouterEntry(route) => change(DelRouterEntryReq {
                entry: route.entry(),
                port_name: route.of.port,
            }),
            Command::AllowCidr(transit) => change(AllowCidrReq {
                transit: transit.cidr(),
                port_name: transit.of.port,
            }),
            Command::RemoveCidr(transit) => change(RemoveCidrReq {
                transit: transit.cidr(),
                port_name: transit.of.port,
            }),
            Command::AttachSubnet {
                of,
                prefix: cidr,
                external: is_external,
            } => change(AttachSubnetReq {
                port_name: of.port,
                subnet: AttachedSubnet { cidr, is_external },
            }),
            Command::DetachSubnet {
                of, prefix: cidr, ..
            } => change(DetachSubnetReq {
                port_name: of.port,
                cidr,
            }),
            Command::SetPeers { of, peers } => change(SetPeersReq {
                port_name: of.port,
                peers,
            }),
            Command::SetExternalIps {
                of,
                external,
                gateways,
            } => {
                let Families { v4, v6 } = external.families()?;
                let mut map = InternetGatewayMap::new();
                for (ip, gateway) in gateways {
                    map.entry(ip).or_default().insert(gateway);
                }
                change(SetExternalIpsReq {
                    port_name: of.port,
                    external_ips_v4: v4,
                    external_ips_v6: v6,
                    inet_gw_map: Some(map).filter(|map| !map.is_empty()),
                })
            }
        })
    }
}

fn change<R: Request<Response = NoResp> + 'static>(request: R) -> Action {
    Action::Change(Box::new(move |client| client.call(&request)))
}

/// A change that is asked about before.
fn destroy<R: Request<Response = NoResp> + 'static>(what: String, request: R) -> Action {
    Action::Destroy(what, Box::new(move |client| client.call(&request)))
}

fn done(result: Result<NoResp, Error>, as_json: bool) -> Result<String, Failure> {
    let NoResp {} = result?;
    // No news is good news; to a program no text is no JSON.
    Ok(if as_json {
        "{}\n".into()
    } else {
        String::new()
    })
}

fn read(client: &mut Client, command: Listing, as_json: bool) -> Result<String, Failure> {
    match command {
        Listing::Ports => {
            let mut ports = client.list_ports()?;
            table::sort_ports(&mut ports);
            show(as_json, &ports, || table::ports(&ports))
        }
        Listing::Layers(port) => {
            let layers = client.call(&ListLayersReq { port_name: port })?.layers;
            show(as_json, &layers, || table::layers(&layers))
        }
        Listing::Layer { port, name } => {
            let layer = client.dump_layer(&port, &name)?;
            show(as_json, &layer, || table::layer(&port, &layer))
        }
        Listing::Uft(port) => {
            let uft = client.dump_uft(&port)?;
            show(as_json, &uft, || table::uft(&uft))
        }
        Listing::TcpFlows(port) => {
            let flows = client.dump_tcp_flows(&port)?;
            show(as_json, &flows, || table::tcp_flows(&flows))
        }
        Listing::Stats(port) => {
            let stats = client.dump_stats(port.as_deref())?;
            show(as_json, &stats, || table::stats(&stats))
        }
        Listing::V2p => {
            let mappings = client.dump_v2p()?;
            show(as_json, &mappings, || table::v2p(&mappings))
        }
        Listing::Trace(port_name, dir, described) => {
            let frame = match &described.hex {
                Some(frame) => frame.clone(),
                None => {
                    let (_, items) = client.dump_config_items()?;
                    let request = items.into_iter().find_map(|item| match item {
                        ConfigItem::Port(request) if request.name == port_name => Some(request),
                        _ => None,
                    });
                    let port = port_name.clone();
                    let request = request.ok_or(OpteError::PortNotFound { port })?;
                    packet::frame(&described, dir, &request)?
                }
            };
            let request = TracePacketReq {
                port_name,
                dir,
                frame,
            };
            let trace = client.call(&request)?;
            show(as_json, &trace, || table::trace(&trace))
        }
        Listing::Heavy(request) => {
            let flows = client.call(&request)?.flows;
            show(as_json, &flows, || table::heavy_hitters(&flows))
        }
        Listing::V2b => {
            let mappings = client.dump_v2b()?;
            show(as_json, &mappings, || table::v2b(&mappings))
        }
        Listing::M2p => {
            let mappings = client.dump_m2p()?;
            show(as_json, &mappings, || table::m2p(&mappings))
        }
        Listing::McastFwd => {
            let entries = client.dump_mcast_fwd()?;
            show(as_json, &entries, || table::mcast_fwd(&entries))
        }
        Listing::McastSubs => {
            let entries = client.dump_mcast_subs()?;
            show(as_json, &entries, || table::mcast_subs(&entries))
        }
    }
}

fn show(
    as_json: bool,
    answer: &impl Serialize,
    as_table: impl FnOnce() -> io::Result<String>,
) -> Result<String, Failure> {
    if !as_json {
        return as_table().map_err(Failure::Table);
    }
    let mut value = serde_json::to_value(answer)?;
    if let Some(object) = value.as_object_mut() {
        // All pages are here.
        object.remove("next");
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn rules() -> Result<Vec<FirewallRule>, Failure> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .map_err(Failure::Input)?;
    parse_rules(&text).map_err(Failure::Rules)
}

impl From<Rule> for FirewallRule {
    fn from(rule: Rule) -> Self {
        Self {
            direction: rule.dir,
            filters: RuleFilters {
                hosts: rule.hosts,
                protocol: rule.protocol,
                ports: rule.ports,
            },
            action: rule.action,
            priority: rule.priority,
        }
    }
}

impl From<V2p> for PhysNet {
    fn from(v2p: V2p) -> Self {
        Self {
            ether: v2p.vpc_mac,
            ip: v2p.underlay_ip,
            vni: v2p.vni,
        }
    }
}

impl V2b {
    fn endpoints(&self) -> Vec<TunnelEndpoint> {
        self.tep
            .iter()
            .map(|ip| TunnelEndpoint {
                ip: *ip,
                vni: BOUNDARY_VNI,
            })
            .collect()
    }
}

impl Transit {
    fn cidr(&self) -> TransitCidr {
        TransitCidr {
            cidr: self.prefix,
            dir: self.dir,
        }
    }
}

impl Route {
    fn entry(&self) -> RouterEntry {
        RouterEntry {
            dest: self.dest,
            target: self.target,
            class: self.class,
        }
    }
}
