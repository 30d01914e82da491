//! Changes of a port, several of them as one.

mod prefixes;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::api::{IpCidr, MeterLimits, OpteError};
use opte::direction::PerDirection;
use opte::options::PortOptions;
use opte::port::{PortError, PortState, RuleChange};
use opte::rule::RuleId;
use opte_headers::Vni;

use super::VpcPort;
use crate::api::{
    AttachedSubnet, ExternalIpCfg, FirewallRule, InternetGatewayMap, RouterClass, RouterEntry,
    RouterTarget, TransitCidr, check_peers,
};
use crate::layer::nat::{External, Known};
use crate::layer::{FIREWALL, ROUTER, firewall, router};
use crate::network::VpcNetwork;

pub(super) use prefixes::Prefixes;

/// A change of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEdit {
    /// Adds a firewall rule.
    AddFwRule(FirewallRule),
    /// Removes the firewall rule with this identifier.
    RemFwRule(Direction, RuleId),
    /// Puts these in the place of all firewall rules.
    SetFwRules(Vec<FirewallRule>),
    /// Adds a route.
    AddRouterEntry(RouterEntry),
    /// Removes the route with exactly this prefix, target and class.
    DelRouterEntry(RouterEntry),
    /// Sets the external addresses.
    SetExternalIps(ExternalIps),
    /// Lets the guest forward packets of this prefix.
    AllowCidr(TransitCidr),
    /// Takes that back: with a direction exactly that one, without whichever there are.
    RemoveCidr(TransitCidr),
    /// Attaches this subnet, or says anew whether it is external.
    AttachSubnet(AttachedSubnet),
    /// Detaches this subnet.
    DetachSubnet(IpCidr),
    /// Exchanges packets with the guests of these VPCs beside its own, and of no others.
    SetPeers(BTreeSet<Vni>),
    /// Sets how much may go one way.
    SetMeter(Direction, MeterLimits),
    /// Sets all options.
    SetOptions(PortOptions),
}

/// The external addresses of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalIps {
    /// The IPv4 addresses; `None` for none.
    pub v4: Option<ExternalIpCfg<Ipv4Addr>>,
    /// The IPv6 addresses; `None` for none.
    pub v6: Option<ExternalIpCfg<Ipv6Addr>>,
    /// Which internet gateways they belong to; `None` leaves what was said before.
    pub gateways: Option<InternetGatewayMap>,
}

/// What commands have set, for exact removal and for dumps. Its lock orders commands; no packet waits for it.
pub(super) struct Programmed {
    pub(super) firewall: BTreeMap<(Direction, RuleId), FirewallRule>,
    pub(super) routes: BTreeMap<RoutePlace, (RouterTarget, RuleId)>,
    pub(super) external_v4: ExternalIpCfg<Ipv4Addr>,
    pub(super) external_v6: ExternalIpCfg<Ipv6Addr>,
    pub(super) gateways: InternetGatewayMap,
    pub(super) external: Arc<External>,
    pub(super) prefixes: Prefixes,
    pub(super) peers: BTreeSet<Vni>,
    /// The rules by which prefixes pass the gateway.
    pub(super) holes: BTreeMap<(Direction, IpCidr), RuleId>,
}

type RoutePlace = (IpCidr, RouterClass);

impl Programmed {
    pub(super) fn new(external: Arc<External>) -> Self {
        Self {
            firewall: BTreeMap::new(),
            routes: BTreeMap::new(),
            external_v4: ExternalIpCfg::NONE,
            external_v6: ExternalIpCfg::NONE,
            gateways: InternetGatewayMap::new(),
            external,
            prefixes: Prefixes::default(),
            peers: BTreeSet::new(),
            holes: BTreeMap::new(),
        }
    }
}

/// Changes that were found possible, not made yet.
#[derive(Default)]
pub(super) struct Draft {
    changes: Vec<RuleChange<VpcNetwork>>,
    /// What each added rule is, in their order.
    added: Vec<Added>,
    removed_rules: BTreeSet<(Direction, RuleId)>,
    /// No rule of before stays.
    rules_replaced: bool,
    removed_routes: BTreeSet<RoutePlace>,
    /// Where the routes in `added` lead.
    added_routes: BTreeMap<RoutePlace, RouterTarget>,
    external: Option<NewExternal>,
    prefixes: Option<Prefixes>,
    peers: Option<BTreeSet<Vni>>,
    meters: PerDirection<Option<MeterLimits>>,
    options: Option<PortOptions>,
    removed_holes: Vec<(Direction, IpCidr)>,
    /// What NAT then knows the port as, if that changes.
    known: Option<Known>,
}

enum Added {
    Rule(FirewallRule),
    Route(RouterEntry),
    Hole(Direction, IpCidr),
}

/// External addresses that are to be.
struct NewExternal {
    v4: ExternalIpCfg<Ipv4Addr>,
    v6: ExternalIpCfg<Ipv6Addr>,
    gateways: InternetGatewayMap,
}

impl Draft {
    pub(super) fn new(
        port: &VpcPort,
        programmed: &Programmed,
        edits: Vec<PortEdit>,
    ) -> Result<Self, OpteError> {
        let state = port.port.state();
        if state == PortState::Paused {
            return Err(port.refused(PortError::BadState(state)));
        }
        let mut draft = Self::default();
        for edit in edits {
            match edit {
                PortEdit::AddFwRule(rule) => draft.add_rule(rule),
                PortEdit::RemFwRule(dir, id) => draft.remove_rule(programmed, dir, id)?,
                PortEdit::SetFwRules(rules) => draft.set_rules(rules),
                PortEdit::AddRouterEntry(entry) => draft.add_route(programmed, entry)?,
                PortEdit::DelRouterEntry(entry) => draft.remove_route(programmed, &entry)?,
                PortEdit::SetExternalIps(ips) => draft.set_external(port, programmed, ips)?,
                PortEdit::AllowCidr(transit) => draft.allow(port, programmed, transit)?,
                PortEdit::RemoveCidr(transit) => draft.disallow(port, programmed, transit)?,
                PortEdit::AttachSubnet(subnet) => draft.attach(port, programmed, subnet)?,
                PortEdit::DetachSubnet(cidr) => draft.detach(port, programmed, cidr)?,
                PortEdit::SetPeers(peers) => draft.set_peers(port, peers)?,
                PortEdit::SetMeter(dir, limits) => {
                    limits.validate()?;
                    *draft.meters.get_mut(dir) = Some(limits);
                }
                PortEdit::SetOptions(options) => {
                    port.port.check_options(&options)?;
                    draft.options = Some(options);
                }
            }
        }
        draft.finish(port, programmed);
        Ok(draft)
    }

    /// Makes the changes; says the identifiers of the firewall rules added.
    pub(super) fn commit(
        mut self,
        port: &VpcPort,
        programmed: &mut Programmed,
    ) -> Result<Vec<RuleId>, OpteError> {
        // Descriptors of live flows ask what is configured when the new rules find them.
        let known = self.known.take();
        let before = known.map(|known| programmed.external.replace(known));
        let ids = port.port.change_rules(self.changes).map_err(|error| {
            if let Some(before) = before {
                programmed.external.replace(before);
            }
            port.refused(error)
        })?;
        // Flows are walked again for it by themselves.
        if let Some(peers) = self.peers
            && peers != programmed.peers
        {
            port.reach.set_peers(peers.iter().copied(), &port.v2p);
            programmed.peers = peers;
        }
        for dir in Direction::BOTH {
            if let Some(limits) = self.meters.get(dir) {
                port.port.set_meter(dir, limits);
            }
        }
        if let Some(options) = &self.options {
            // They were found possible.
            port.port.set_options(options)?;
        }
        if self.rules_replaced {
            programmed.firewall.clear();
        }
        for rule in &self.removed_rules {
            programmed.firewall.remove(rule);
        }
        for place in &self.removed_routes {
            programmed.routes.remove(place);
        }
        for hole in &self.removed_holes {
            programmed.holes.remove(hole);
        }
        let mut rules = Vec::new();
        for (id, added) in ids.into_iter().zip(self.added) {
            match added {
                Added::Rule(rule) => {
                    programmed.firewall.insert((rule.direction, id), rule);
                    rules.push(id);
                }
                Added::Route(entry) => {
                    let place = (entry.dest, entry.class);
                    programmed.routes.insert(place, (entry.target, id));
                }
                Added::Hole(dir, cidr) => {
                    programmed.holes.insert((dir, cidr), id);
                }
            }
        }
        if let Some(prefixes) = self.prefixes {
            programmed.prefixes = prefixes;
        }
        if let Some(new) = self.external {
            programmed.external_v4 = new.v4;
            programmed.external_v6 = new.v6;
            programmed.gateways = new.gateways;
        }
        Ok(rules)
    }

    fn add_rule(&mut self, rule: FirewallRule) {
        self.changes.push(RuleChange::Add {
            layer: FIREWALL.to_string(),
            dir: rule.direction,
            rule: firewall::rule(&rule),
        });
        self.added.push(Added::Rule(rule));
    }

    fn remove_rule(
        &mut self,
        programmed: &Programmed,
        dir: Direction,
        id: RuleId,
    ) -> Result<(), OpteError> {
        let there = !self.rules_replaced && programmed.firewall.contains_key(&(dir, id));
        if !there || !self.removed_rules.insert((dir, id)) {
            return Err(OpteError::RuleNotFound {
                layer: FIREWALL.to_string(),
                dir,
                id,
            });
        }
        self.changes.push(RuleChange::Remove {
            layer: FIREWALL.to_string(),
            dir,
            id,
        });
        Ok(())
    }

    fn set_rules(&mut self, rules: Vec<FirewallRule>) {
        // Rules that were added or removed by these changes before are as good as never touched.
        self.drop_changes(|change| match change {
            RuleChange::Add { layer, .. } | RuleChange::Remove { layer, .. } => layer == FIREWALL,
            RuleChange::Set { .. } => false,
        });
        self.added.retain(|added| !matches!(added, Added::Rule(_)));
        self.removed_rules.clear();
        self.rules_replaced = true;
        self.changes.push(RuleChange::Set {
            layer: FIREWALL.to_string(),
            inbound: Vec::new(),
            outbound: Vec::new(),
        });
        for rule in rules {
            self.add_rule(rule);
        }
    }

    fn add_route(&mut self, programmed: &Programmed, entry: RouterEntry) -> Result<(), OpteError> {
        entry.validate()?;
        if let Some(target) = self.target_of(programmed, &entry) {
            return Err(OpteError::RouterEntryExists {
                dest: entry.dest,
                target: target.to_string(),
                class: entry.class.to_string(),
            });
        }
        self.changes.push(RuleChange::Add {
            layer: ROUTER.to_string(),
            dir: Direction::Out,
            rule: router::rule(&entry),
        });
        self.added_routes
            .insert((entry.dest, entry.class), entry.target);
        self.added.push(Added::Route(entry));
        Ok(())
    }

    fn remove_route(
        &mut self,
        programmed: &Programmed,
        entry: &RouterEntry,
    ) -> Result<(), OpteError> {
        if self.target_of(programmed, entry) != Some(entry.target) {
            return Err(OpteError::RouterEntryNotFound {
                dest: entry.dest,
                target: entry.target.to_string(),
                class: entry.class.to_string(),
            });
        }
        let place = (entry.dest, entry.class);
        if self.added_routes.remove(&place).is_some()
            && let Some(at) = self.added_route(entry)
        {
            // Added by these changes: it never comes to be.
            let mut adds = 0;
            self.added.remove(at);
            self.drop_changes(|change| {
                let add = matches!(change, RuleChange::Add { .. });
                adds += usize::from(add);
                add && adds == at + 1
            });
            return Ok(());
        }
        if let Some((_, id)) = programmed.routes.get(&place) {
            self.changes.push(RuleChange::Remove {
                layer: ROUTER.to_string(),
                dir: Direction::Out,
                id: *id,
            });
            self.removed_routes.insert(place);
        }
        Ok(())
    }

    /// Where the route to this destination and of this class leads, after the changes so far.
    fn target_of(&self, programmed: &Programmed, entry: &RouterEntry) -> Option<RouterTarget> {
        let place = (entry.dest, entry.class);
        if let Some(target) = self.added_routes.get(&place) {
            return Some(*target);
        }
        if self.removed_routes.contains(&place) {
            return None;
        }
        programmed.routes.get(&place).map(|(target, _)| *target)
    }

    fn added_route(&self, entry: &RouterEntry) -> Option<usize> {
        self.added.iter().position(|added| match added {
            Added::Route(route) => (route.dest, route.class) == (entry.dest, entry.class),
            Added::Rule(_) | Added::Hole(..) => false,
        })
    }

    fn set_external(
        &mut self,
        port: &VpcPort,
        programmed: &Programmed,
        ips: ExternalIps,
    ) -> Result<(), OpteError> {
        let v4 = ips.v4.unwrap_or_default();
        let v6 = ips.v6.unwrap_or_default();
        v4.validate()?;
        v6.validate()?;
        family_is_there(port, "IPv4", port.cfg.ipv4().is_some(), v4.is_empty())?;
        family_is_there(port, "IPv6", port.cfg.ipv6().is_some(), v6.is_empty())?;
        let before = self.external.take().map(|new| new.gateways);
        let gateways = ips
            .gateways
            .or(before)
            .unwrap_or_else(|| programmed.gateways.clone());
        self.external = Some(NewExternal { v4, v6, gateways });
        Ok(())
    }

    fn set_peers(&mut self, port: &VpcPort, peers: BTreeSet<Vni>) -> Result<(), OpteError> {
        check_peers(peers.iter())?;
        let own = port.cfg.vni;
        if peers.contains(&own) {
            return Err(OpteError::InvalidArgument {
                name: "peers".to_string(),
                reason: alloc::format!("{own} is the port's own VPC"),
            });
        }
        self.peers = Some(peers);
        Ok(())
    }

    /// Takes changes back. What is noted in `added` is the caller's.
    fn drop_changes(&mut self, mut is: impl FnMut(&RuleChange<VpcNetwork>) -> bool) {
        self.changes.retain(|change| !is(change));
    }
}

fn family_is_there(
    port: &VpcPort,
    family: &str,
    configured: bool,
    unused: bool,
) -> Result<(), OpteError> {
    if configured || unused {
        return Ok(());
    }
    let reason = alloc::format!("port '{}' has no {family} address", port.port.name());
    Err(OpteError::InvalidIpCfg { reason })
}
