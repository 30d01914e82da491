//! The way from the configuration there is to the one that is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use opte::api::{MeterLimits, OpteError};
use opte::direction::PerDirection;
use opte::options::PortOptions;
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, AttachedSubnet, BatchStep,
    ClearVirt2BoundaryReq, ClearVirt2PhysReq, ClearXdeUnderlayReq, DelRouterEntryReq, DeleteXdeReq,
    DetachSubnetReq, Direction, ExternalIpCfg, FirewallRule, IpCidr, PhysNet, RemFwRuleReq,
    RemoveCidrReq, RouterEntry, SetExternalIpsReq, SetFwRulesReq, SetMeterReq, SetPeersReq,
    SetPortOptionsReq, SetVirt2BoundaryReq, SetVirt2PhysReq, SetXdeUnderlayReq, TransitCidr,
    TunnelEndpoint,
};
use postcard_schema::Schema;
use serde::Serialize;

use super::current::CurrentPort;
use super::{Config, Current, Port, Text};

/// What leads from one configuration to another, in the order in which it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    revision: u64,
    changes: Vec<Change>,
    steps: Vec<BatchStep>,
}

/// A difference between what there is and what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Schema)]
pub struct Change {
    /// What happens to the thing.
    pub operation: Operation,
    /// The port it is of, if it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// What kind of thing it is: `underlay`, `port`, `IP configuration`, `firewall`, `route`, `external addresses`, `peers`, `meter in`,
    /// `meter out`, `options`, `transit`, `subnet`, `v2p`, `v2b`, `m2p`, `next hop`, `subscription`.
    pub what: &'static str,
    /// Which thing.
    pub which: String,
}

/// What happens to a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Schema)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is new.
    Add,
    /// It becomes another.
    Change,
    /// It goes.
    Remove,
}

/// Why no way leads to a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// What a port was made of cannot change while it is there.
    Fixed {
        /// The port.
        port: String,
        /// Which parts differ, and how.
        parts: String,
    },
    /// A port cannot be as it is wanted.
    Port(OpteError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { port, parts } => write!(
                f,
                "port '{port}' cannot change in place: {parts}; take it out, apply, put it in again and apply, or give it another name"
            ),
            Self::Port(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlanError {}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.operation {
            Operation::Add => '+',
            Operation::Change => '~',
            Operation::Remove => '-',
        };
        match &self.port {
            Some(port) => write!(f, "{sign} {port}: {} {}", self.what, self.which),
            None => write!(f, "{sign} {} {}", self.what, self.which),
        }
    }
}

impl Plan {
    /// The way from `current` to `wanted`.
    pub fn new(current: &Current, wanted: &Config) -> Result<Self, PlanError> {
        let mut plan = Self {
            revision: current.revision,
            ..Self::default()
        };
        let mut gone: BTreeSet<&String> = current.ports.keys().collect();
        let lets_go = wanted.underlay.is_empty() && !current.underlay.is_empty();
        if !lets_go {
            plan.underlay(current, wanted);
        }
        for port in &wanted.ports {
            gone.remove(&port.name);
            match current.ports.get(&port.name) {
                None => plan.create(port)?,
                Some(there) => plan.change(there, port)?,
            }
        }
        plan.lans(current, wanted)?;
        for name in gone {
            let req = DeleteXdeReq { name: name.clone() };
            plan.add(Operation::Remove, None, "port", name, req);
        }
        plan.remove_lans(current, wanted);
        if lets_go {
            plan.underlay(current, wanted);
        }
        plan.guests(current, wanted);
        plan.boundary(current, wanted);
        plan.multicast(current, wanted);
        Ok(plan)
    }

    /// What is different, as a user is told.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The commands that make it so.
    pub fn steps(&self) -> &[BatchStep] {
        &self.steps
    }

    /// The revision of the configuration that the way begins at.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Ports and links that go, with all that is on them.
    pub fn destroyed(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| {
            change.operation == Operation::Remove && matches!(change.what, "port" | "underlay")
        })
    }

    pub(super) fn add(
        &mut self,
        operation: Operation,
        port: Option<&str>,
        what: &'static str,
        which: impl fmt::Display,
        step: impl Into<BatchStep>,
    ) {
        self.note(operation, port, what, which);
        self.steps.push(step.into());
    }

    fn note(
        &mut self,
        operation: Operation,
        port: Option<&str>,
        what: &'static str,
        which: impl fmt::Display,
    ) {
        self.changes.push(Change {
            operation,
            port: port.map(Into::into),
            what,
            which: which.to_string(),
        });
    }

    fn underlay(&mut self, current: &Current, wanted: &Config) {
        if current.underlay == wanted.underlay {
            return;
        }
        let operation = if current.underlay.is_empty() {
            Operation::Add
        } else if wanted.underlay.is_empty() {
            Operation::Remove
        } else {
            Operation::Change
        };
        let mut links = wanted.underlay.iter().cloned();
        let names = |links: &[String]| links.join(" ");
        match links.next() {
            Some(u1) => {
                let u2 = links.next();
                let which = match operation {
                    Operation::Change => {
                        format!(
                            "{} -> {}",
                            names(&current.underlay),
                            names(&wanted.underlay)
                        )
                    }
                    _ => names(&wanted.underlay),
                };
                let req = SetXdeUnderlayReq { u1, u2 };
                self.add(operation, None, "underlay", which, req);
            }
            None => {
                let which = names(&current.underlay);
                self.add(operation, None, "underlay", which, ClearXdeUnderlayReq {});
            }
        }
    }

    fn create(&mut self, port: &Port) -> Result<(), PlanError> {
        let request = port.request().map_err(PlanError::Port)?;
        let name = &port.name;
        self.add(Operation::Add, None, "port", name, request);
        if !port.internet_gateways.is_empty() {
            self.external(port, Operation::Add);
        }
        let rules: Vec<FirewallRule> = port.firewall.iter().map(|rule| rule.0.clone()).collect();
        for rule in &rules {
            self.note(Operation::Add, Some(name), "firewall", rule);
        }
        let mut parts = rules.chunks(RULES_OF_A_STEP);
        if let Some(first) = parts.next() {
            let (port_name, rules) = (name.clone(), first.to_vec());
            self.steps.push(SetFwRulesReq { port_name, rules }.into());
        }
        for rule in parts.flatten() {
            let (port_name, rule) = (name.clone(), rule.clone());
            self.steps.push(AddFwRuleReq { port_name, rule }.into());
        }
        for route in &port.routes {
            self.route(name, route.0.0, Operation::Add);
        }
        if !port.peers.is_empty() {
            self.peers(port, Operation::Add);
        }
        self.meters(&port.name, &CurrentMeters::default(), &port.meters());
        self.options(&PortOptions::default(), port);
        self.prefixes(&[], &[], port);
        Ok(())
    }

    fn change(&mut self, there: &CurrentPort, wanted: &Port) -> Result<(), PlanError> {
        let before = there.to_port();
        let parts = fixed_differences(&before, wanted);
        if !parts.is_empty() {
            return Err(PlanError::Fixed {
                port: wanted.name.clone(),
                parts,
            });
        }
        if external(&before) != external(wanted) {
            self.external(wanted, Operation::Change);
        }
        self.rules(there, wanted);
        let now: BTreeSet<RouterEntry> = there.routes.iter().copied().collect();
        let then: BTreeSet<RouterEntry> = wanted.routes.iter().map(|route| route.0.0).collect();
        for entry in now.difference(&then) {
            self.route(&wanted.name, *entry, Operation::Remove);
        }
        for entry in then.difference(&now) {
            self.route(&wanted.name, *entry, Operation::Add);
        }
        if there.peers != wanted.peers {
            self.peers(wanted, Operation::Change);
        }
        self.meters(&wanted.name, &there.meters, &wanted.meters());
        self.options(&there.options, wanted);
        self.prefixes(&there.transit, &there.subnets, wanted);
        Ok(())
    }

    /// Rules that are wanted and there stay as they are, with their numbers and counters.
    fn rules(&mut self, there: &CurrentPort, wanted: &Port) {
        let name = &wanted.name;
        let mut surplus: BTreeMap<String, Vec<(u64, &FirewallRule)>> = BTreeMap::new();
        for (id, rule) in &there.rules {
            surplus
                .entry(rule.to_string())
                .or_default()
                .push((*id, rule));
        }
        let mut missing = Vec::new();
        for rule in &wanted.firewall {
            let held = surplus.get_mut(&rule.0.to_string());
            if held.and_then(Vec::pop).is_none() {
                missing.push(&rule.0);
            }
        }
        for (id, rule) in surplus.into_values().flatten() {
            let (port_name, dir) = (name.clone(), rule.direction);
            let req = RemFwRuleReq { port_name, dir, id };
            self.add(Operation::Remove, Some(name), "firewall", rule, req);
        }
        for rule in missing {
            let (port_name, rule) = (name.clone(), rule.clone());
            let which = rule.to_string();
            let req = AddFwRuleReq { port_name, rule };
            self.add(Operation::Add, Some(name), "firewall", which, req);
        }
    }

    fn route(&mut self, port: &str, entry: RouterEntry, operation: Operation) {
        let which = super::Route(entry);
        let port_name = String::from(port);
        let step = match operation {
            Operation::Remove => BatchStep::from(DelRouterEntryReq { port_name, entry }),
            _ => AddRouterEntryReq { port_name, entry }.into(),
        };
        self.add(operation, Some(port), "route", which, step);
    }

    fn peers(&mut self, wanted: &Port, operation: Operation) {
        let name = wanted.name.as_str();
        let mut which: Vec<String> = wanted.peers.iter().map(ToString::to_string).collect();
        if which.is_empty() {
            which.push("none".into());
        }
        let req = SetPeersReq {
            port_name: name.into(),
            peers: wanted.peers.iter().copied().collect(),
        };
        self.add(operation, Some(name), "peers", which.join(", "), req);
    }

    fn options(&mut self, there: &PortOptions, wanted: &Port) {
        let options = wanted.options.map_or(PortOptions::default(), |text| text.0);
        if *there == options {
            return;
        }
        let (operation, which) = match (there.is_none(), options.is_none()) {
            (true, _) => (Operation::Add, options),
            (_, true) => (Operation::Remove, *there),
            _ => (Operation::Change, options),
        };
        let port_name = wanted.name.clone();
        let req = SetPortOptionsReq { port_name, options };
        self.add(operation, Some(&wanted.name), "options", which, req);
    }

    pub(super) fn meters(&mut self, name: &str, there: &CurrentMeters, wanted: &CurrentMeters) {
        for (dir, what) in [(Direction::In, "meter in"), (Direction::Out, "meter out")] {
            let (before, limits) = (there.get(dir), *wanted.get(dir));
            if *before == limits || before.is_none() && limits.is_none() {
                continue;
            }
            let (operation, which) = match (before.is_none(), limits.is_none()) {
                (true, _) => (Operation::Add, limits),
                (_, true) => (Operation::Remove, *before),
                _ => (Operation::Change, limits),
            };
            let port_name = name.into();
            let req = SetMeterReq {
                port_name,
                dir,
                limits,
            };
            self.add(operation, Some(name), what, which, req);
        }
    }

    fn prefixes(&mut self, transit: &[TransitCidr], subnets: &[AttachedSubnet], wanted: &Port) {
        let each = |all: &[TransitCidr]| -> BTreeSet<(IpCidr, Direction)> {
            all.iter().flat_map(|transit| transit.each()).collect()
        };
        let then: Vec<TransitCidr> = wanted.transit.iter().map(|text| text.0).collect();
        let (now, then) = (each(transit), each(&then));
        let name = wanted.name.as_str();
        for transit in TransitCidr::grouped(&now.difference(&then).copied().collect()) {
            let port_name = name.into();
            let req = RemoveCidrReq { port_name, transit };
            self.add(Operation::Remove, Some(name), "transit", transit, req);
        }
        for transit in TransitCidr::grouped(&then.difference(&now).copied().collect()) {
            let port_name = name.into();
            let req = AllowCidrReq { port_name, transit };
            self.add(Operation::Add, Some(name), "transit", transit, req);
        }
        let mut gone: BTreeMap<IpCidr, AttachedSubnet> = subnets
            .iter()
            .map(|subnet| (subnet.cidr, *subnet))
            .collect();
        for Text(subnet) in &wanted.subnets {
            let subnet = *subnet;
            let operation = match gone.remove(&subnet.cidr) {
                Some(before) if before == subnet => continue,
                Some(_) => Operation::Change,
                None => Operation::Add,
            };
            let port_name = name.into();
            let req = AttachSubnetReq { port_name, subnet };
            self.add(operation, Some(name), "subnet", subnet, req);
        }
        for (cidr, subnet) in gone {
            let port_name = name.into();
            let req = DetachSubnetReq { port_name, cidr };
            self.add(Operation::Remove, Some(name), "subnet", subnet, req);
        }
    }

    fn external(&mut self, port: &Port, operation: Operation) {
        let v4 = port.ipv4.as_ref().map(|family| family.external_ips());
        let v6 = port.ipv6.as_ref().map(|family| family.external_ips());
        let mut which: Vec<String> = Vec::new();
        which.extend(v4.iter().flat_map(shown));
        which.extend(v6.iter().flat_map(shown));
        if which.is_empty() {
            which.push("none".into());
        }
        let req = SetExternalIpsReq {
            port_name: port.name.clone(),
            external_ips_v4: v4,
            external_ips_v6: v6,
            inet_gw_map: Some(port.internet_gateways.clone()),
        };
        let which = which.join(", ");
        self.add(
            operation,
            Some(&port.name),
            "external addresses",
            which,
            req,
        );
    }

    fn guests(&mut self, current: &Current, wanted: &Config) {
        let mut gone = current.v2p.clone();
        for v2p in &wanted.v2p {
            let req = SetVirt2PhysReq::from(*v2p);
            let before = gone.remove(&(v2p.vni, v2p.address));
            let which = format!(
                "{} of VNI {} -> {} at {}",
                v2p.address, v2p.vni, v2p.mac, v2p.underlay_address
            );
            match before {
                Some(before) if before == req.phys.into() => {}
                Some(_) => self.add(Operation::Change, None, "v2p", which, req),
                None => self.add(Operation::Add, None, "v2p", which, req),
            }
        }
        for ((vni, vip), phys) in gone {
            let which = format!("{vip} of VNI {vni} -> {} at {}", phys.ether, phys.ip);
            let phys = PhysNet {
                ether: phys.ether,
                ip: phys.ip,
                vni,
            };
            let req = ClearVirt2PhysReq { vip, phys };
            self.add(Operation::Remove, None, "v2p", which, req);
        }
    }

    fn boundary(&mut self, current: &Current, wanted: &Config) {
        let mut then: BTreeMap<_, BTreeSet<TunnelEndpoint>> = BTreeMap::new();
        for v2b in &wanted.v2b {
            let req = SetVirt2BoundaryReq::from(v2b);
            then.entry(req.vip).or_default().extend(req.tep);
        }
        let which = |prefix: &dyn fmt::Display, endpoint: &TunnelEndpoint| {
            format!("{prefix} -> {} in VNI {}", endpoint.ip, endpoint.vni)
        };
        // What is new comes first, so that a prefix that keeps one way out never is without.
        for (&vip, endpoints) in &then {
            let now = current.v2b.get(&vip).cloned().unwrap_or_default();
            for endpoint in endpoints.difference(&now) {
                let tep = vec![*endpoint];
                let req = SetVirt2BoundaryReq { vip, tep };
                self.add(Operation::Add, None, "v2b", which(&vip, endpoint), req);
            }
        }
        for (&vip, now) in &current.v2b {
            let then = then.get(&vip).cloned().unwrap_or_default();
            for endpoint in now.difference(&then) {
                let tep = vec![*endpoint];
                let req = ClearVirt2BoundaryReq { vip, tep };
                self.add(Operation::Remove, None, "v2b", which(&vip, endpoint), req);
            }
        }
    }
}

pub(super) type CurrentMeters = PerDirection<MeterLimits>;

/// So many rules are far from the most octets of a request.
const RULES_OF_A_STEP: usize = 4096;

/// What can change of a port: its external addresses.
fn external(port: &Port) -> impl PartialEq {
    (
        port.ipv4.as_ref().map(|family| family.external_ips()),
        port.ipv6.as_ref().map(|family| family.external_ips()),
        port.internet_gateways.clone(),
    )
}

/// The parts that cannot change of a port that is there, and how they differ.
fn fixed_differences(before: &Port, wanted: &Port) -> String {
    let parts = |port: &Port| {
        let mut port = port.clone();
        port.firewall.clear();
        port.routes.clear();
        port.peers.clear();
        (port.meter_in, port.meter_out, port.options) = (None, None, None);
        port.transit.clear();
        port.subnets.clear();
        port.internet_gateways.clear();
        if let Some(ipv4) = &mut port.ipv4 {
            (ipv4.snat, ipv4.ephemeral, ipv4.floating) = (None, None, Vec::new());
        }
        if let Some(ipv6) = &mut port.ipv6 {
            (ipv6.snat, ipv6.ephemeral, ipv6.floating) = (None, None, Vec::new());
        }
        match serde_json::to_value(port) {
            Ok(serde_json::Value::Object(parts)) => parts,
            _ => serde_json::Map::new(),
        }
    };
    let (before, wanted) = (parts(before), parts(wanted));
    let keys: BTreeSet<&String> = before.keys().chain(wanted.keys()).collect();
    let value = |of: &serde_json::Map<String, serde_json::Value>, key: &String| {
        of.get(key).map_or("none".into(), ToString::to_string)
    };
    let differences = keys
        .into_iter()
        .filter(|key| before.get(*key) != wanted.get(*key))
        .map(|key| format!("{key} {} -> {}", value(&before, key), value(&wanted, key)));
    differences.collect::<Vec<_>>().join(", ")
}

fn shown<A: fmt::Display>(external: &ExternalIpCfg<A>) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(snat) = &external.snat {
        all.push(format!("SNAT {} {}", snat.external_ip, snat.ports));
    }
    if let Some(ip) = &external.ephemeral_ip {
        all.push(format!("ephemeral {ip}"));
    }
    all.extend(
        external
            .floating_ips
            .iter()
            .map(|ip| format!("floating {ip}")),
    );
    all
}
