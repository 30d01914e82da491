//! Each command: the request it makes, and what is printed of the answer.

use std::io::{self, Read, Write};
use std::net::Ipv6Addr;
use std::path::PathBuf;

use opte::Direction;
use opte::api::{
    ClearLftReq, ClearUftReq, HeavyHittersReq, ListLayersReq, MeterLimits, NoResp, OpteError,
    PausePortReq, Request, StartPortReq,
};
use opte::port::By;
use opteadm::config::Format;
use opteadm::saved::SavedError;
use opteadm::{Client, Error};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, AttachedSubnet,
    ClearMcast2PhysReq, ClearMcastForwardingReq, ClearVirt2BoundaryReq, ClearVirt2PhysReq,
    ClearXdeUnderlayReq, DelRouterEntryReq, DeleteXdeReq, DetachSubnetReq, FirewallRule,
    InternetGatewayMap, McastNextHop, McastSubscribeReq, McastUnsubscribeAllReq,
    McastUnsubscribeReq, PhysNet, RemFwRuleReq, RemoveCidrReq, RouterEntry, RuleFilters,
    SetExternalIpsReq, SetFwRulesReq, SetMcast2PhysReq, SetMcastForwardingReq, SetMeterReq,
    SetPeersReq, SetPortOptionsReq, SetVirt2BoundaryReq, SetVirt2PhysReq, SetXdeUnderlayReq,
    TransitCidr, TunnelEndpoint, parse_rules,
};
use oxide_vpc::network::{BOUNDARY_VNI, MULTICAST_VNI};

use crate::apply::{self, Wanted};
use crate::args::{Cli, Command, ConfigFormat, Route, Rule, Transit, V2b, V2p, Watch, Weight};
use crate::columns::Paint;
use crate::confirm::confirmed;
use crate::create::Plan;
use crate::external::Families;
use crate::failure::Failure;
use crate::lan;
use crate::listing::Listing;
use crate::{manual, table, watch};

/// Has the command done and writes what is to be said of it.
pub(crate) fn run(cli: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    let Cli {
        socket,
        json,
        yes,
        color,
        command,
    } = cli;
    let paint = Paint::new(color);
    // What is wrong with the arguments is said whether or not a driver runs.
    let action = Action::new(command)?;
    if let Action::Print(text) = action {
        return Ok(out.write_all(text.as_bytes())?);
    }
    let mut client = Client::connect(socket)?;
    let outcome = match action {
        Action::Print(text) => Ok(text),
        Action::List(listing, watch) => {
            let list = |client: &mut Client, out: &mut dyn Write| match json {
                true => listing.write_json(client, out),
                false => listing.write(client, paint, out),
            };
            let written = match watch.every {
                None => list(&mut client, out),
                Some(every) => watch::watch(every, json, out, |out| list(&mut client, out)),
            };
            written.map(|()| String::new())
        }
        Action::Change(change) => done(change(&mut client), json),
        Action::AddFwRule(request) => match client.call(&request) {
            Ok(added) => match json {
                true => Ok(serde_json::to_string_pretty(&added)? + "\n"),
                false => Ok(format!("{}\n", added.id)),
            },
            Err(error) => Err(error.into()),
        },
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
        Action::RestorePort { file, pause, host } => {
            match client.restore_port(&file, pause, host) {
                Ok(restored) => match json {
                    true => {
                        Ok(serde_json::to_string_pretty(&serde_json::to_value(restored)?)? + "\n")
                    }
                    false => Ok(table::restored(&restored)),
                },
                Err(error) => Err(of_file(file, error)),
            }
        }
        Action::Apply(wanted) => wanted.apply(&mut client, json, yes, paint),
        Action::Export(format) => {
            let format = if json { Format::Json } else { format };
            apply::export(&mut client, format)
        }
    };
    let text = outcome.map_err(|failure| with_what_there_is(failure, &mut client))?;
    Ok(out.write_all(text.as_bytes())?)
}

/// What the driver says is no matter of the file.
fn of_file(path: PathBuf, error: SavedError) -> Failure {
    match error {
        SavedError::Client(error) => Failure::Client(error),
        SavedError::NoPort(port) => Failure::Argument(OpteError::PortNotFound { port }),
        error => Failure::Saved { path, error },
    }
}

/// Says what there is in the place of what was asked for. A driver without ports is told apart: one that was restarted knows nothing of
/// before.
fn with_what_there_is(failure: Failure, client: &mut Client) -> Failure {
    let error = match failure {
        Failure::Client(Error::Refused { error, .. }) | Failure::Argument(error) => error,
        other => return other,
    };
    let there = match &error {
        OpteError::PortNotFound { port } => {
            let ports = client.list_ports();
            if ports.as_ref().is_ok_and(Vec::is_empty) {
                return Failure::NoPorts(port.clone());
            }
            let ports = ports.unwrap_or_default().into_iter();
            ports.map(|port| port.name).collect()
        }
        OpteError::LayerNotFound { port, .. } => {
            let port_name = port.clone();
            let layers = client.call(&ListLayersReq { port_name });
            let layers = layers.map(|resp| resp.layers).unwrap_or_default();
            layers.into_iter().map(|layer| layer.name).collect()
        }
        _ => Vec::new(),
    };
    Failure::Among { error, there }
}

/// A command with its arguments understood.
enum Action {
    /// What needs no driver.
    Print(String),
    List(Listing, Watch),
    Change(Change),
    AddFwRule(AddFwRuleReq),
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
        host: Option<Ipv6Addr>,
    },
    Apply(Box<Wanted>),
    Export(Format),
}

/// What changes something when it is done.
type Change = Box<dyn FnOnce(&mut Client) -> Result<NoResp, Error>>;

impl Action {
    fn new(command: Command) -> Result<Self, Failure> {
        Ok(match command {
            Command::ListPorts(watch) => Self::List(Listing::Ports, watch),
            Command::ListLayers { of, watch } => Self::List(Listing::Layers(of.port), watch),
            Command::DumpLayer {
                of,
                name,
                flows,
                dir,
                rule,
                watch,
            } => {
                let listing = Listing::Layer {
                    port: of.port,
                    name,
                    filter: flows.filter(dir),
                    rule,
                };
                Self::List(listing, watch)
            }
            Command::DumpUft {
                of,
                flows,
                dir,
                watch,
            } => Self::List(Listing::Uft(of.port, flows.filter(dir)), watch),
            Command::DumpTcpFlows { of, flows, watch } => {
                Self::List(Listing::TcpFlows(of.port, flows.filter(None)), watch)
            }
            Command::DumpStats { port, watch } => Self::List(Listing::Stats(port), watch),
            Command::DumpV2p(watch) => Self::List(Listing::V2p, watch),
            Command::DumpV2b(watch) => Self::List(Listing::V2b, watch),
            Command::ClearUft(of) => change(ClearUftReq { port_name: of.port }),
            Command::PausePort(of) => change(PausePortReq { port_name: of.port }),
            Command::StartPort(of) => change(StartPortReq { port_name: of.port }),
            Command::SavePort { of, file, pause } => Self::SavePort {
                port: of.port,
                file,
                pause,
            },
            Command::RestorePort {
                file,
                pause,
                src_underlay_addr: host,
            } => Self::RestorePort { file, pause, host },
            Command::Trace { of, dir, packet } => {
                let listing = Listing::Trace(of.port, dir, packet);
                Self::List(listing, Watch { every: None })
            }
            Command::HeavyHitters {
                of,
                by,
                count,
                watch,
            } => {
                let listing = Listing::Heavy(HeavyHittersReq {
                    port_name: of.port,
                    by: match by {
                        Weight::Bytes => By::Bytes,
                        Weight::Packets => By::Packets,
                    },
                    count,
                });
                Self::List(listing, watch)
            }
            Command::Apply(args) => Self::Apply(Box::new(Wanted::read(args)?)),
            Command::Export { format } => Self::Export(match format {
                ConfigFormat::Toml => Format::Toml,
                ConfigFormat::Json => Format::Json,
            }),
            Command::Completions { shell } => Self::Print(manual::completions(shell)),
            Command::Schema { command } => Self::Print(manual::schema(command.as_deref())?),
            Command::Reference => Self::Print(manual::reference()),
            Command::Man { dir } => Self::Print(manual::write_pages(&dir)?),
            Command::ClearLft { of, layer } => change(ClearLftReq {
                port_name: of.port,
                layer_name: layer,
            }),
            Command::AddFwRule { of, rule } => Self::AddFwRule(AddFwRuleReq {
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
            Command::CreateLanPort(args) => change(lan::create(*args)?),
            Command::SetIpConfig { of, settings } => change(lan::change(of.port, &settings)?),
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
            Command::DumpM2p(watch) => Self::List(Listing::M2p, watch),
            Command::SetM2p(m2p) => change(SetMcast2PhysReq {
                vni: m2p.vni,
                group: m2p.group,
                underlay: m2p.underlay,
            }),
            Command::ClearM2p(m2p) => change(ClearMcast2PhysReq {
                vni: m2p.vni,
                group: m2p.group,
                underlay: m2p.underlay,
            }),
            Command::DumpMcastFwd(watch) => Self::List(Listing::McastFwd, watch),
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
            Command::DumpMcastSubs(watch) => Self::List(Listing::McastSubs, watch),
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
            Command::SetPortOptions { of, options } => change(SetPortOptionsReq {
                port_name: of.port,
                options: options.into(),
            }),
            Command::ShowPortOptions { port, watch } => {
                Self::List(Listing::PortOptions(port), watch)
            }
            Command::SetMeter { of, dir, limits } => change(SetMeterReq {
                port_name: of.port,
                dir,
                limits: limits.into(),
            }),
            Command::ClearMeter { of, dir } => Self::Change(Box::new(move |client| {
                let dirs = dir.map_or(Direction::BOTH.to_vec(), |dir| vec![dir]);
                dirs.into_iter().try_for_each(|dir| {
                    let (port_name, limits) = (of.port.clone(), MeterLimits::NONE);
                    let request = SetMeterReq {
                        port_name,
                        dir,
                        limits,
                    };
                    client.call(&request).map(|NoResp {}| ())
                })?;
                Ok(NoResp {})
            })),
            Command::ShowMeters { port, watch } => Self::List(Listing::Meters(port), watch),
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
                source_ports: rule.source_ports,
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
