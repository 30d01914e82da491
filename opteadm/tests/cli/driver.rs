//! A driver for tests: it remembers what it is told, moves no packets, and is served over a real socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use opte::Direction;
use opte::api::{
    ClearLftReq, ClearUftReq, DefaultRule, DumpLayerReq, DumpLayerResp, DumpStatsReq,
    DumpStatsResp, DumpTcpFlowsReq, DumpTcpFlowsResp, DumpUftReq, DumpUftResp, FlowDetail, FlowId,
    HeavyHittersReq, HeavyHittersResp, LayerDesc, LayerRule, ListLayersReq, ListLayersResp,
    MeterLimits, NoResp, OpteError, Page, PausePortReq, PortStats, RestorePortReq, RestorePortResp,
    SavePortReq, SavePortResp, SetMeterReq, SetPortOptionsReq, StartPortReq, Stats, TcpFlow,
    TracePacketReq, TracePacketResp, UftFlow,
};
use opte::direction::PerDirection;
use opte::options::PortOptions;
use opte::port::HeavyFlow;
use oxide_vpc::api::{
    AddFwRuleReq, AddFwRuleResp, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, AttachedSubnet,
    BatchStep, ClearMcast2PhysReq, ClearMcastForwardingReq, ClearVirt2BoundaryReq,
    ClearVirt2PhysReq, ClearXdeUnderlayReq, ConfigItem, CreateLanPortReq, CreateXdeReq,
    DelRouterEntryReq, DeleteXdeReq, DetachSubnetReq, DumpConfigReq, DumpConfigResp,
    DumpMcast2PhysReq, DumpMcast2PhysResp, DumpMcastForwardingReq, DumpMcastForwardingResp,
    DumpMcastSubscriptionsReq, DumpMcastSubscriptionsResp, DumpVirt2BoundaryReq,
    DumpVirt2BoundaryResp, DumpVirt2PhysReq, DumpVirt2PhysResp, FirewallRule, IpCidr, ListPortsReq,
    ListPortsResp, McastSubscribeReq, McastUnsubscribeAllReq, McastUnsubscribeReq, PortInfo,
    RemFwRuleReq, RemoveCidrReq, RouterEntry, SetExternalIpsReq, SetFwRulesReq, SetIpConfigReq,
    SetMcast2PhysReq, SetMcastForwardingReq, SetPeersReq, SetVirt2BoundaryReq, SetVirt2PhysReq,
    SetXdeUnderlayReq, TunnelEndpoint, Virt2BoundaryMapping, Virt2PhysMapping, Vni,
};
use xde::command::Control;
use xde::linux::control::{ControlServer, Limits};

type Done = Result<NoResp, OpteError>;

/// What the driver has been told.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) underlay: Option<SetXdeUnderlayReq>,
    pub(crate) ports: BTreeMap<String, Port>,
    pub(crate) lan_ports: BTreeMap<String, CreateLanPortReq>,
    v2p: BTreeMap<(Vni, IpAddr), Virt2PhysMapping>,
    v2b: BTreeMap<IpCidr, BTreeSet<TunnelEndpoint>>,
}

/// What the driver has been told of a port.
pub(crate) struct Port {
    pub(crate) request: CreateXdeReq,
    pub(crate) rules: Vec<(u64, FirewallRule)>,
    pub(crate) routes: Vec<RouterEntry>,
    pub(crate) external: Option<SetExternalIpsReq>,
    pub(crate) peers: Vec<Vni>,
    pub(crate) meters: PerDirection<MeterLimits>,
    pub(crate) options: PortOptions,
    pub(crate) transit: BTreeSet<(IpCidr, Direction)>,
    pub(crate) subnets: BTreeMap<IpCidr, AttachedSubnet>,
}

/// How many flows each port shows.
pub(crate) const FLOWS: u64 = 2500;

#[derive(Default)]
pub(crate) struct Driver(Mutex<State>);

impl Driver {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn with_port<T>(
        &self,
        name: &str,
        f: impl FnOnce(&mut Port) -> Result<T, OpteError>,
    ) -> Result<T, OpteError> {
        let mut state = self.state();
        f(state
            .ports
            .get_mut(name)
            .ok_or(OpteError::PortNotFound { port: name.into() })?)
    }
}

/// A page of what `all` lists.
fn page<T>(all: impl Iterator<Item = T>, page: Page) -> (Vec<T>, Option<u64>) {
    let mut rest = all.skip(page.cursor as usize).peekable();
    let listed: Vec<T> = rest.by_ref().take(page.limit()).collect();
    let next = rest
        .peek()
        .is_some()
        .then(|| page.cursor + listed.len() as u64);
    (listed, next)
}

fn flow(number: u64) -> FlowId {
    FlowId {
        protocol: 6,
        source: "10.0.0.1".parse().unwrap(),
        destination: "10.0.0.2".parse().unwrap(),
        detail: FlowDetail::Ports {
            source: number as u16,
            destination: 80,
        },
    }
}

/// Commands that are tried against the real driver.
macro_rules! elsewhere {
    ($($method:ident: $req:ident => $resp:ty,)*) => {
        $(fn $method(&self, _: $req) -> Result<$resp, OpteError> {
            Err(not_here(stringify!($req)))
        })*
    };
}

/// Whole configurations are tried against the real driver.
fn not_here(command: &str) -> OpteError {
    OpteError::InvalidArgument {
        name: command.into(),
        reason: "this driver has canned answers alone".into(),
    }
}

impl Control for Driver {
    elsewhere! {
        set_m2p: SetMcast2PhysReq => NoResp,
        clear_m2p: ClearMcast2PhysReq => NoResp,
        dump_m2p: DumpMcast2PhysReq => DumpMcast2PhysResp,
        set_mcast_fwd: SetMcastForwardingReq => NoResp,
        clear_mcast_fwd: ClearMcastForwardingReq => NoResp,
        dump_mcast_fwd: DumpMcastForwardingReq => DumpMcastForwardingResp,
        mcast_subscribe: McastSubscribeReq => NoResp,
        mcast_unsubscribe: McastUnsubscribeReq => NoResp,
        mcast_unsubscribe_all: McastUnsubscribeAllReq => NoResp,
        dump_mcast_subs: DumpMcastSubscriptionsReq => DumpMcastSubscriptionsResp,
    }

    fn dump_config(&self, _: DumpConfigReq) -> Result<DumpConfigResp, OpteError> {
        // Of all that it lists, what no other command does.
        let state = self.state();
        let options = state
            .ports
            .iter()
            .filter(|(_, port)| !port.options.is_none());
        let options = options.map(|(name, port)| ConfigItem::Options {
            port_name: name.clone(),
            options: port.options,
        });
        Ok(DumpConfigResp {
            revision: 1,
            items: options.collect(),
            next: None,
        })
    }

    fn run_batch(&self, _: Vec<BatchStep>) -> Result<NoResp, OpteError> {
        Err(not_here("RunBatch"))
    }

    fn save_port(&self, _: SavePortReq) -> Result<SavePortResp, OpteError> {
        Err(not_here("SavePort"))
    }

    fn trace_packet(&self, _: TracePacketReq) -> Result<TracePacketResp, OpteError> {
        Err(not_here("TracePacket"))
    }

    fn restore_port(&self, _: RestorePortReq) -> Result<RestorePortResp, OpteError> {
        Err(not_here("RestorePort"))
    }

    fn pause_port(&self, req: PausePortReq) -> Done {
        self.with_port(&req.port_name, |_| Ok(NoResp {}))
    }

    fn start_port(&self, req: StartPortReq) -> Done {
        self.with_port(&req.port_name, |_| Ok(NoResp {}))
    }

    fn heavy_hitters(&self, req: HeavyHittersReq) -> Result<HeavyHittersResp, OpteError> {
        self.with_port(&req.port_name, |_| {
            let entry = |number| HeavyFlow {
                flow: flow(number),
                packets: number,
                bytes: number * 100,
            };
            let flows = (0..FLOWS).rev().map(entry).take(req.count as usize);
            Ok(HeavyHittersResp {
                flows: flows.collect(),
            })
        })
    }

    fn list_ports(&self, req: ListPortsReq) -> Result<ListPortsResp, OpteError> {
        let state = self.state();
        let ports = state.ports.values().map(|port| {
            let (name, cfg) = (port.request.name.clone(), &port.request.cfg);
            let (ipv4, ipv6) = (cfg.ipv4(), cfg.ipv6());
            PortInfo {
                name,
                network: "oxide-vpc".into(),
                mac_addr: cfg.guest_mac,
                vni: Some(cfg.vni),
                lan: None,
                mtu: port.request.mtu.unwrap_or(1500),
                passthrough: port.request.passthrough,
                ip4_addr: ipv4.map(|cfg| cfg.private_ip),
                ephemeral_ip4_addr: ipv4.and_then(|cfg| cfg.external_ips.ephemeral_ip),
                floating_ip4_addrs: ipv4
                    .map(|cfg| cfg.external_ips.floating_ips.clone())
                    .unwrap_or_default(),
                ip6_addr: ipv6.map(|cfg| cfg.private_ip),
                ephemeral_ip6_addr: ipv6.and_then(|cfg| cfg.external_ips.ephemeral_ip),
                floating_ip6_addrs: ipv6
                    .map(|cfg| cfg.external_ips.floating_ips.clone())
                    .unwrap_or_default(),
                state: "running".into(),
                meter_in: port.meters.inbound,
                meter_out: port.meters.outbound,
            }
        });
        let (ports, next) = page(ports, req.page);
        Ok(ListPortsResp { ports, next })
    }

    fn create_lan_port(&self, request: CreateLanPortReq) -> Done {
        let mut state = self.state();
        if state.lan_ports.contains_key(&request.name) {
            return Err(OpteError::PortExists { port: request.name });
        }
        state.lan_ports.insert(request.name.clone(), request);
        Ok(NoResp {})
    }

    fn set_ip_config(&self, req: SetIpConfigReq) -> Done {
        let mut state = self.state();
        let Some(port) = state.lan_ports.get_mut(&req.port_name) else {
            let port = req.port_name;
            return Err(OpteError::PortNotFound { port });
        };
        port.cfg = req.change.change(&port.cfg)?;
        Ok(NoResp {})
    }

    fn create_xde(&self, request: CreateXdeReq) -> Done {
        let mut state = self.state();
        if state.underlay.is_none() {
            return Err(OpteError::UnderlayNotSet);
        }
        if state.ports.contains_key(&request.name) {
            return Err(OpteError::PortExists { port: request.name });
        }
        let port = Port {
            request: request.clone(),
            rules: Vec::new(),
            routes: Vec::new(),
            external: None,
            peers: Vec::new(),
            meters: PerDirection::default(),
            options: PortOptions::default(),
            transit: BTreeSet::new(),
            subnets: BTreeMap::new(),
        };
        state.ports.insert(request.name, port);
        Ok(NoResp {})
    }

    fn delete_xde(&self, req: DeleteXdeReq) -> Done {
        match self.state().ports.remove(&req.name) {
            Some(_) => Ok(NoResp {}),
            None => Err(OpteError::PortNotFound { port: req.name }),
        }
    }

    fn set_xde_underlay(&self, req: SetXdeUnderlayReq) -> Done {
        let mut state = self.state();
        if let Some(SetXdeUnderlayReq { u1, u2 }) = &state.underlay {
            let links = format!("{u1},{}", u2.as_deref().unwrap_or_default());
            return Err(OpteError::UnderlayExists { links });
        }
        state.underlay = Some(req);
        Ok(NoResp {})
    }

    fn clear_xde_underlay(&self, _: ClearXdeUnderlayReq) -> Done {
        let mut state = self.state();
        if !state.ports.is_empty() {
            return Err(OpteError::UnderlayInUse {
                ports: state.ports.len() as u64,
            });
        }
        state
            .underlay
            .take()
            .map(|_| NoResp {})
            .ok_or(OpteError::UnderlayNotSet)
    }

    fn add_fw_rule(&self, req: AddFwRuleReq) -> Result<AddFwRuleResp, OpteError> {
        self.with_port(&req.port_name, |port| {
            let id = port.rules.last().map_or(0, |(id, _)| id + 1);
            port.rules.push((id, req.rule));
            Ok(AddFwRuleResp { id })
        })
    }

    fn rem_fw_rule(&self, req: RemFwRuleReq) -> Done {
        self.with_port(&req.port_name, |port| {
            let is_it =
                |(id, rule): &(u64, FirewallRule)| *id == req.id && rule.direction == req.dir;
            match port.rules.iter().position(is_it) {
                Some(at) => {
                    port.rules.remove(at);
                    Ok(NoResp {})
                }
                None => Err(OpteError::RuleNotFound {
                    layer: "firewall".into(),
                    dir: req.dir,
                    id: req.id,
                }),
            }
        })
    }

    fn set_fw_rules(&self, req: SetFwRulesReq) -> Done {
        self.with_port(&req.port_name, |port| {
            port.rules = (0..).zip(req.rules).collect();
            Ok(NoResp {})
        })
    }

    fn add_router_entry(&self, req: AddRouterEntryReq) -> Done {
        self.with_port(&req.port_name, |port| {
            port.routes.push(req.entry);
            Ok(NoResp {})
        })
    }

    fn del_router_entry(&self, req: DelRouterEntryReq) -> Done {
        self.with_port(&req.port_name, |port| {
            match port.routes.iter().position(|entry| *entry == req.entry) {
                Some(at) => {
                    port.routes.remove(at);
                    Ok(NoResp {})
                }
                None => Err(OpteError::RouterEntryNotFound {
                    dest: req.entry.dest,
                    target: req.entry.target.to_string(),
                    class: req.entry.class.to_string(),
                }),
            }
        })
    }

    fn set_external_ips(&self, req: SetExternalIpsReq) -> Done {
        self.with_port(&req.port_name.clone(), |port| {
            port.external = Some(req);
            Ok(NoResp {})
        })
    }

    fn allow_cidr(&self, req: AllowCidrReq) -> Done {
        self.with_port(&req.port_name, |port| {
            port.transit.extend(req.transit.each());
            Ok(NoResp {})
        })
    }

    fn remove_cidr(&self, req: RemoveCidrReq) -> Done {
        self.with_port(&req.port_name, |port| {
            let before = port.transit.len();
            let gone: Vec<_> = req.transit.each().collect();
            port.transit.retain(|each| !gone.contains(each));
            if port.transit.len() < before {
                return Ok(NoResp {});
            }
            Err(OpteError::TransitCidrNotFound {
                port: req.port_name.clone(),
                cidr: req.transit.cidr,
                dir: req.transit.dir,
            })
        })
    }

    fn attach_subnet(&self, req: AttachSubnetReq) -> Done {
        self.with_port(&req.port_name, |port| {
            port.subnets.insert(req.subnet.cidr, req.subnet);
            Ok(NoResp {})
        })
    }

    fn detach_subnet(&self, req: DetachSubnetReq) -> Done {
        self.with_port(&req.port_name, |port| {
            let gone = port.subnets.remove(&req.cidr).map(|_| NoResp {});
            gone.ok_or(OpteError::SubnetNotFound {
                port: req.port_name.clone(),
                cidr: req.cidr,
            })
        })
    }

    fn set_peers(&self, req: SetPeersReq) -> Done {
        self.with_port(&req.port_name, |port| {
            port.peers = req.peers;
            Ok(NoResp {})
        })
    }

    fn set_port_options(&self, req: SetPortOptionsReq) -> Done {
        self.with_port(&req.port_name, |port| {
            port.options = req.options;
            Ok(NoResp {})
        })
    }

    fn set_meter(&self, req: SetMeterReq) -> Done {
        self.with_port(&req.port_name, |port| {
            *port.meters.get_mut(req.dir) = req.limits;
            Ok(NoResp {})
        })
    }

    fn set_v2p(&self, req: SetVirt2PhysReq) -> Done {
        let mapping = Virt2PhysMapping {
            vni: req.phys.vni,
            vip: req.vip,
            phys: req.phys.into(),
        };
        self.state().v2p.insert((mapping.vni, mapping.vip), mapping);
        Ok(NoResp {})
    }

    fn clear_v2p(&self, req: ClearVirt2PhysReq) -> Done {
        match self.state().v2p.remove(&(req.phys.vni, req.vip)) {
            Some(_) => Ok(NoResp {}),
            None => Err(OpteError::MappingNotFound {
                what: format!("{} in VNI {}", req.vip, req.phys.vni),
            }),
        }
    }

    fn dump_v2p(&self, req: DumpVirt2PhysReq) -> Result<DumpVirt2PhysResp, OpteError> {
        let (mappings, next) = page(self.state().v2p.values().copied(), req.page);
        Ok(DumpVirt2PhysResp { mappings, next })
    }

    fn set_v2b(&self, req: SetVirt2BoundaryReq) -> Done {
        self.state().v2b.entry(req.vip).or_default().extend(req.tep);
        Ok(NoResp {})
    }

    fn clear_v2b(&self, req: ClearVirt2BoundaryReq) -> Done {
        let mut state = self.state();
        let Some(teps) = state.v2b.get_mut(&req.vip) else {
            return Err(OpteError::MappingNotFound {
                what: req.vip.to_string(),
            });
        };
        teps.retain(|tep| !req.tep.contains(tep));
        state.v2b.retain(|_, teps| !teps.is_empty());
        Ok(NoResp {})
    }

    fn dump_v2b(&self, req: DumpVirt2BoundaryReq) -> Result<DumpVirt2BoundaryResp, OpteError> {
        let state = self.state();
        let all = state.v2b.iter().map(|(vip, teps)| Virt2BoundaryMapping {
            vip: *vip,
            tep: teps.iter().copied().collect(),
        });
        let (mappings, next) = page(all, req.page);
        Ok(DumpVirt2BoundaryResp { mappings, next })
    }

    fn list_layers(&self, req: ListLayersReq) -> Result<ListLayersResp, OpteError> {
        self.with_port(&req.port_name, |port| {
            let count = |dir| {
                port.rules
                    .iter()
                    .filter(|(_, rule)| rule.direction == dir)
                    .count() as u64
            };
            let firewall = LayerDesc {
                name: "firewall".into(),
                rules_in: count(Direction::In),
                rules_out: count(Direction::Out),
                default_in: "deny".into(),
                default_out: "stateful allow".into(),
                flows: 0,
            };
            Ok(ListLayersResp {
                layers: vec![firewall],
            })
        })
    }

    fn dump_layer(&self, req: DumpLayerReq) -> Result<DumpLayerResp, OpteError> {
        self.with_port(&req.port_name, |port| {
            if req.name != "firewall" {
                return Err(OpteError::LayerNotFound {
                    port: req.port_name.clone(),
                    layer: req.name,
                });
            }
            let wanted = port.rules.iter().filter(|(id, rule)| {
                req.filter.has_dir(rule.direction) && req.rule.is_none_or(|only| only == *id)
            });
            let rules = wanted.map(|(id, rule)| LayerRule {
                dir: rule.direction,
                id: *id,
                priority: rule.priority,
                hits: 0,
                predicates: vec![rule.filters.to_string()],
                action: rule.action.to_string(),
            });
            let (rules, next) = page(rules, req.page);
            Ok(DumpLayerResp {
                name: req.name,
                default_in: DefaultRule {
                    action: "deny".into(),
                    hits: 1,
                },
                default_out: DefaultRule {
                    action: "stateful allow".into(),
                    hits: 2,
                },
                rules,
                flows: Vec::new(),
                next,
            })
        })
    }

    fn dump_uft(&self, req: DumpUftReq) -> Result<DumpUftResp, OpteError> {
        self.with_port(&req.port_name, |_| {
            let entry = |number| UftFlow {
                dir: Direction::Out,
                flow: flow(number),
                hits: number,
                program: "nothing".into(),
            };
            let all = (0..FLOWS)
                .map(entry)
                .filter(|entry| req.filter.has_dir(entry.dir) && req.filter.has_flow(&entry.flow));
            let (flows, next) = page(all, req.page);
            Ok(DumpUftResp {
                count_in: 0,
                limit_in: 8192,
                count_out: FLOWS,
                limit_out: 8192,
                flows,
                next,
            })
        })
    }

    fn dump_tcp_flows(&self, req: DumpTcpFlowsReq) -> Result<DumpTcpFlowsResp, OpteError> {
        self.with_port(&req.port_name, |_| {
            let entry = |number| TcpFlow {
                flow: flow(number),
                state: "ESTABLISHED".into(),
                hits: 3,
                segs_in: 1,
                segs_out: 2,
                bytes_in: 60,
                bytes_out: 120,
            };
            let all = (0..FLOWS).map(entry);
            let all = all.filter(|entry| req.filter.has_flow(&entry.flow));
            let (flows, next) = page(all, req.page);
            Ok(DumpTcpFlowsResp { flows, next })
        })
    }

    fn dump_stats(&self, req: DumpStatsReq) -> Result<DumpStatsResp, OpteError> {
        let state = self.state();
        let names = state
            .ports
            .keys()
            .filter(|name| req.port_name.as_ref().is_none_or(|only| only == *name));
        let stats = |name: &String| PortStats {
            name: name.clone(),
            drops: [("layer_default_deny".into(), 7)].into(),
            counters: [("in_packets".into(), 9)].into(),
        };
        let (ports, next) = page(names.map(stats), req.page);
        let driver = Stats {
            drops: [("no_such_port".into(), 1)].into(),
            ..Stats::default()
        };
        Ok(DumpStatsResp {
            driver,
            ports,
            next,
        })
    }

    fn clear_uft(&self, req: ClearUftReq) -> Done {
        self.with_port(&req.port_name, |_| Ok(NoResp {}))
    }

    fn clear_lft(&self, req: ClearLftReq) -> Done {
        self.with_port(&req.port_name, |_| Ok(NoResp {}))
    }
}

/// A driver at a socket of its own, and `opteadm` to talk to it.
pub(crate) struct Host {
    directory: PathBuf,
    pub(crate) driver: Arc<Driver>,
    server: Option<ControlServer>,
}

impl Host {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "opteadm-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let mut host = Self {
            directory: std::env::temp_dir().join(name),
            driver: Arc::default(),
            server: None,
        };
        host.start(1);
        host
    }

    /// A host with underlay links and a port `opte0`.
    pub(crate) fn with_port() -> Self {
        let host = Self::new();
        host.ok("set-xde-underlay eth0 eth1");
        host.ok(&format!("create-xde opte0 {CONFIG}"));
        host
    }

    /// Starts a driver anew: it knows nothing.
    pub(crate) fn start(&mut self, instance: u64) {
        self.driver = Arc::default();
        let server = ControlServer::bind(
            self.socket(),
            instance,
            self.driver.clone(),
            Limits::default(),
        );
        self.server = Some(server.unwrap());
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("xde.sock")
    }

    /// What a command prints, which it must do without complaint.
    pub(crate) fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments, "");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && complaint.is_empty(),
            "{arguments}: {complaint}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The line a command complains with, which must be one, and nothing else said.
    pub(crate) fn complaint(&self, arguments: &str) -> String {
        let output = self.run(arguments, "");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments}");
        assert!(output.stdout.is_empty(), "{arguments}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        complaint
            .trim_end()
            .strip_prefix("opteadm: ")
            .unwrap()
            .to_owned()
    }

    /// `opteadm` with these arguments.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opteadm"));
        command
            .env("XDE_SOCKET", self.socket())
            .args(arguments.split_whitespace());
        command
    }

    pub(crate) fn run(&self, arguments: &str, input: &str) -> Output {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Options of a port with both families.
pub(crate) const CONFIG: &str = "--guest-mac a8:40:25:f0:00:01 --private-ip 10.0.0.11 --vpc-subnet 10.0.0.0/24 \
    --gateway-mac a8:40:25:ff:77:77 --gateway-ip 10.0.0.1 --private-ip fd10::11 --vpc-subnet fd10::/64 --gateway-ip fd10::1 \
    --vpc-vni 10 --src-underlay-addr fd00:1::1 --netns guest0 --snat-ip 203.0.113.1 --snat-start 1024 --snat-end 2047 \
    --snat-ip 2001:db8::1 --floating-ip 203.0.113.7,203.0.113.8 --hostname guest0 --dns-servers 9.9.9.9,2620:fe::fe";
