//! Several changes as one.
//!
//! First it is found out whether all of them can be done, without doing any. Then what the system may still refuse is done, links
//! and the underlay, and undone if it does refuse. What is in memory alone comes after that, and what cannot be undone, links that
//! go, comes last.

mod lan;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use lan_nat::{IpConfig, LanPort};
use opte::Direction;
use opte::api::{MeterLimits, OpteCmd, OpteError};
use opte_headers::{MacAddr, Vni};
use oxide_vpc::api::{BatchStep, CreateXdeReq, GuestPhysAddr, IpCidr, TunnelEndpoint};
use oxide_vpc::port::{ExternalIps, PortEdit, VpcPort};

use super::managed::{Kind, Managed};
use super::multicast::Multicast;
use super::{Management, system};
use crate::Driver;
use crate::platform::Platform;

impl<P: Platform> Driver<P> {
    /// Does all steps, or none.
    pub(super) fn batch(&self, steps: Vec<BatchStep>) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        let plan = self.plan(&management, steps)?;
        self.carry_out(&mut management, plan)
    }

    /// Finds out what the steps come to.
    fn plan(
        &self,
        management: &Management<P::Link>,
        steps: Vec<BatchStep>,
    ) -> Result<Plan, OpteError> {
        let mut draft = Draft::new(self, management);
        for (at, step) in (0..).zip(steps) {
            let command = step.command();
            draft.at = Step { at, command };
            let done = draft.add(step);
            done.map_err(|error| draft.at.failed(&error))?;
        }
        draft.make_edits()?;
        draft.check_stations()?;
        Ok(draft.plan)
    }

    fn carry_out(&self, management: &mut Management<P::Link>, plan: Plan) -> Result<(), OpteError> {
        let underlay_before = match plan.underlay {
            Some((step, links)) => {
                let before = self.exchange_underlay(management, links);
                Some(before.map_err(|error| step.failed(&error))?)
            }
            None => None,
        };
        let moved = self.exchange_ports(management, plan.created, &plan.deleted);
        let gone = match moved {
            Ok(gone) => gone,
            Err(error) => {
                if let Some(Err(error)) =
                    underlay_before.map(|links| self.exchange_underlay(management, links))
                {
                    self.warn(format_args!("the underlay of before is lost: {error}"));
                }
                return Err(error);
            }
        };
        // The guests of ports that go are taken out of the tables before the tables are changed.
        drop(gone);
        for (name, edits) in plan.edits {
            let edits = edits.into_iter().map(|(_, edit)| edit).collect();
            // Each was found possible under this very lock.
            management.vpc(&name)?.edit(edits)?;
        }
        for (port, dir, limits) in plan.lan_meters {
            port.port().set_meter(dir, &limits);
        }
        for (name, (step, cfg)) in plan.lan_changes {
            let changed = self.change_lan_port(management, &name, &cfg);
            changed.map_err(|error| step.failed(&error))?;
        }
        if let Some(multicast) = plan.multicast {
            management.multicast = multicast;
            self.show_multicast(management);
        }
        for mapping in plan.mappings {
            self.map(mapping);
        }
        for name in &plan.located {
            self.located(management, name);
        }
        Ok(())
    }

    /// Takes these links for the underlay in the place of those it has, or none; says which it had. If that fails, it has
    /// those of before.
    fn exchange_underlay(
        &self,
        management: &mut Management<P::Link>,
        links: Vec<String>,
    ) -> Result<Vec<String>, OpteError> {
        let before = management.underlay.clone();
        if !before.is_empty() {
            self.release_underlay(management);
        }
        if links.is_empty() {
            return Ok(before);
        }
        let taken = self.take_underlay(management, links);
        if let Err(error) = taken {
            if !before.is_empty()
                && let Err(lost) = self.take_underlay(management, before)
            {
                self.warn(format_args!("the underlay of before is lost: {lost}"));
            }
            return Err(error);
        }
        Ok(before)
    }

    /// Puts new ports in the place of others; gives back those that went, whose links are deleted. If that fails, the ports
    /// are those of before.
    fn exchange_ports(
        &self,
        management: &mut Management<P::Link>,
        created: Vec<Created>,
        deleted: &[(Step, String)],
    ) -> Result<Vec<Managed<P::Link>>, OpteError> {
        let mut made: Vec<(Step, String)> = Vec::new();
        let mut gone: BTreeMap<String, Managed<P::Link>> = BTreeMap::new();
        for (_, name) in deleted {
            gone.extend(management.ports.remove_entry(name));
        }
        let mut done = Ok(());
        for Created { step, kind, paused } in created {
            let name = String::from(kind.name());
            match self.make_port(management, kind) {
                Ok(port) => {
                    if let (true, Ok(engine)) = (paused, port.engine()) {
                        // Started just now, and seen by nobody yet.
                        let _running = engine.pause();
                    }
                    management.ports.insert(name.clone(), port);
                    made.push((step, name));
                }
                Err(error) => {
                    done = Err(step.failed(&error));
                    break;
                }
            }
        }
        if done.is_ok() {
            self.show(management);
            done = made.iter().try_for_each(|(step, name)| {
                let started = self.start_port(management, name);
                started.map_err(|error| step.failed(&system(error)))
            });
        }
        let mut deletions = deleted.iter();
        if let (Ok(()), Some((step, name))) = (&done, deletions.next()) {
            done = match gone.get(name) {
                Some(port) => self
                    .delete_link_of(port)
                    .map_err(|error| step.failed(&error)),
                None => Ok(()),
            };
        }
        if let Err(error) = done {
            let made: Vec<_> = made
                .iter()
                .filter_map(|(_, name)| management.ports.remove(name))
                .collect();
            management.ports.extend(gone);
            self.show(management);
            made.iter().for_each(|port| self.unmake_port(port));
            self.close_idle_lans(management);
            if let Err(error) = self.listen_for(management) {
                self.warn(format_args!("underlay: {error}"));
            }
            return Err(error);
        }
        // With the first link gone there is no way back: what the system does not delete now is left behind.
        for (_, name) in deletions {
            if let Some(Err(error)) = gone.get(name).map(|port| self.delete_link_of(port)) {
                self.warn(format_args!("the link of port {name} stays: {error}"));
            }
        }
        self.close_idle_lans(management);
        if let Err(error) = self.listen_for(management) {
            self.warn(format_args!("underlay: {error}"));
        }
        Ok(gone.into_values().collect())
    }

    fn delete_link_of(&self, port: &Managed<P::Link>) -> Result<(), OpteError> {
        let (id, link) = (port.switch.id, &port.switch.link);
        self.platform.delete_link(id, link).map_err(system)?;
        self.forget_waiting(id);
        port.switch.left();
        Ok(())
    }

    fn map(&self, mapping: Mapping) {
        let mappings = &self.host.mappings;
        match mapping {
            Mapping::SetV2p(vni, ip, phys) => {
                mappings.v2p.set(vni, ip, phys);
            }
            Mapping::ClearV2p(vni, ip, phys) => {
                mappings.v2p.clear_exact(vni, ip, phys);
            }
            Mapping::SetV2b(prefix, endpoints) => mappings.v2b.set(prefix, &endpoints),
            Mapping::ClearV2b(prefix, endpoints) => {
                mappings.v2b.clear(prefix, &endpoints);
            }
        }
    }
}

/// Which step of the batch.
#[derive(Clone, Copy)]
struct Step {
    at: u64,
    command: OpteCmd,
}

impl Step {
    fn failed(self, error: &OpteError) -> OpteError {
        OpteError::BatchStep {
            step: self.at,
            command: self.command,
            reason: error.to_string(),
        }
    }
}

/// What the steps come to.
#[derive(Default)]
struct Plan {
    underlay: Option<(Step, Vec<String>)>,
    created: Vec<Created>,
    deleted: Vec<(Step, String)>,
    /// Of ports that stay.
    edits: BTreeMap<String, Vec<(Step, PortEdit)>>,
    mappings: Vec<Mapping>,
    /// What ports on LANs that stay become.
    lan_changes: BTreeMap<String, (Step, IpConfig)>,
    lan_meters: Vec<(Arc<LanPort>, Direction, MeterLimits)>,
    /// What multicast becomes, if it changes.
    multicast: Option<Multicast>,
    /// Ports that are new.
    located: Vec<String>,
}

struct Created {
    step: Step,
    /// With all edits made.
    kind: Kind,
    /// It is not to pass packets yet.
    paused: bool,
}

enum Mapping {
    SetV2p(Vni, IpAddr, GuestPhysAddr),
    ClearV2p(Vni, IpAddr, GuestPhysAddr),
    SetV2b(IpCidr, Vec<TunnelEndpoint>),
    ClearV2b(IpCidr, Vec<TunnelEndpoint>),
}

/// A plan in the making: what there would be after the steps so far.
struct Draft<'a, P: Platform> {
    driver: &'a Driver<P>,
    management: &'a Management<P::Link>,
    at: Step,
    plan: Plan,
    has_underlay: bool,
    addresses: BTreeMap<(Vni, MacAddr), String>,
    /// The ports on LANs, with the link and what they were last made.
    lan: BTreeMap<String, (Step, String, IpConfig)>,
    deleted: BTreeSet<String>,
    created: BTreeMap<String, usize>,
    v2p: BTreeMap<(Vni, IpAddr), Option<GuestPhysAddr>>,
    v2b: BTreeMap<IpCidr, BTreeSet<TunnelEndpoint>>,
}

impl<'a, P: Platform> Draft<'a, P> {
    fn new(driver: &'a Driver<P>, management: &'a Management<P::Link>) -> Self {
        let at = Step {
            at: 0,
            command: OpteCmd::RunBatch,
        };
        let ports = management.ports.iter();
        let addresses = ports.filter_map(|(name, port)| {
            let cfg = &port.kind.xde()?.cfg;
            Some(((cfg.vni, cfg.guest_mac), name.clone()))
        });
        let ports = management.ports.iter();
        let lan = ports.filter_map(|(name, port)| {
            let (cfg, link) = (port.lan().ok()?.cfg(), port.kind.lan_link()?);
            Some((name.clone(), (at, link.into(), cfg)))
        });
        Self {
            driver,
            management,
            at,
            lan: lan.collect(),
            plan: Plan::default(),
            has_underlay: !management.underlay.is_empty(),
            addresses: addresses.collect(),
            deleted: BTreeSet::new(),
            created: BTreeMap::new(),
            v2p: BTreeMap::new(),
            v2b: BTreeMap::new(),
        }
    }

    fn add(&mut self, step: BatchStep) -> Result<(), OpteError> {
        match step {
            BatchStep::SetXdeUnderlay(req) => {
                self.has_underlay = true;
                let links = [Some(req.u1), req.u2].into_iter().flatten().collect();
                self.plan.underlay = Some((self.at, links));
                Ok(())
            }
            BatchStep::ClearXdeUnderlay(_) => self.clear_underlay(),
            BatchStep::CreateXde(req) => self.create(*req),
            BatchStep::DeleteXde(req) => self.delete(req.name),
            BatchStep::AddFwRule(req) => self.edit(&req.port_name, PortEdit::AddFwRule(req.rule)),
            BatchStep::RemFwRule(req) => {
                self.edit(&req.port_name, PortEdit::RemFwRule(req.dir, req.id))
            }
            BatchStep::SetFwRules(req) => {
                self.edit(&req.port_name, PortEdit::SetFwRules(req.rules))
            }
            BatchStep::AddRouterEntry(req) => {
                self.edit(&req.port_name, PortEdit::AddRouterEntry(req.entry))
            }
            BatchStep::DelRouterEntry(req) => {
                self.edit(&req.port_name, PortEdit::DelRouterEntry(req.entry))
            }
            BatchStep::SetExternalIps(req) => {
                let external = ExternalIps {
                    v4: req.external_ips_v4,
                    v6: req.external_ips_v6,
                    gateways: req.inet_gw_map,
                };
                self.edit(&req.port_name, PortEdit::SetExternalIps(external))
            }
            BatchStep::AllowCidr(req) => {
                self.edit(&req.port_name, PortEdit::AllowCidr(req.transit))
            }
            BatchStep::RemoveCidr(req) => {
                self.edit(&req.port_name, PortEdit::RemoveCidr(req.transit))
            }
            BatchStep::AttachSubnet(req) => {
                self.edit(&req.port_name, PortEdit::AttachSubnet(req.subnet))
            }
            BatchStep::DetachSubnet(req) => {
                self.edit(&req.port_name, PortEdit::DetachSubnet(req.cidr))
            }
            BatchStep::SetPeers(req) => {
                let peers = req.peers.into_iter().collect();
                self.edit(&req.port_name, PortEdit::SetPeers(peers))
            }
            BatchStep::CreateLanPort(req) => self.create_lan(*req),
            BatchStep::SetIpConfig(req) => self.set_ip_config(&req),
            BatchStep::SetMeter(req) => self.set_meter(req),
            BatchStep::SetPortOptions(req) => {
                self.edit(&req.port_name, PortEdit::SetOptions(req.options))
            }
            BatchStep::SetVirt2Phys(req) => {
                let (vni, phys) = (req.phys.vni, GuestPhysAddr::from(req.phys));
                self.v2p.insert((vni, req.vip), Some(phys));
                self.plan.mappings.push(Mapping::SetV2p(vni, req.vip, phys));
                Ok(())
            }
            BatchStep::ClearVirt2Phys(req) => {
                self.clear_v2p(req.phys.vni, req.vip, GuestPhysAddr::from(req.phys))
            }
            BatchStep::SetVirt2Boundary(req) => {
                self.endpoints(req.vip).extend(&req.tep);
                self.plan.mappings.push(Mapping::SetV2b(req.vip, req.tep));
                Ok(())
            }
            BatchStep::ClearVirt2Boundary(req) => self.clear_v2b(req.vip, req.tep),
            BatchStep::PausePort(req) => self.pause(req.port_name),
            BatchStep::SetMcast2Phys(req) => {
                self.multicast().map(req);
                Ok(())
            }
            BatchStep::ClearMcast2Phys(req) => self.multicast().unmap(req),
            BatchStep::SetMcastForwarding(req) => {
                self.multicast().forward(req);
                Ok(())
            }
            BatchStep::ClearMcastForwarding(req) => self.multicast().unforward(&req),
            BatchStep::McastSubscribe(req) => {
                let vni = self.vpc(&req.port_name)?.cfg().vni;
                self.multicast().subscribe(vni, req)
            }
            BatchStep::McastUnsubscribe(req) => {
                self.vpc(&req.port_name)?;
                self.multicast().unsubscribe(&req)
            }
        }
    }

    fn clear_underlay(&mut self) -> Result<(), OpteError> {
        if !self.has_underlay {
            return Err(OpteError::UnderlayNotSet);
        }
        if !self.addresses.is_empty() {
            return Err(OpteError::UnderlayInUse {
                ports: self.addresses.len() as u64,
            });
        }
        self.has_underlay = false;
        self.plan.underlay = Some((self.at, Vec::new()));
        Ok(())
    }

    fn create(&mut self, req: CreateXdeReq) -> Result<(), OpteError> {
        self.name_must_be_new(&req.name)?;
        let (vni, mac) = (req.cfg.vni, req.cfg.guest_mac);
        if let Some(port) = self.addresses.get(&(vni, mac)) {
            let port = port.clone();
            return Err(OpteError::MacExists { port, vni, mac });
        }
        let kind = self.driver.xde_kind(&req)?;
        self.addresses.insert((vni, mac), req.name);
        self.make(kind);
        Ok(())
    }

    fn make(&mut self, kind: Kind) {
        let name = String::from(kind.name());
        self.created.insert(name.clone(), self.plan.created.len());
        self.plan.located.push(name);
        self.plan.created.push(Created {
            step: self.at,
            kind,
            paused: false,
        });
    }

    fn name_must_be_new(&self, name: &str) -> Result<(), OpteError> {
        if self.deleted.contains(name) {
            // Both links would have the name at once.
            return Err(OpteError::InvalidArgument {
                name: "batch".into(),
                reason: alloc::format!("it deletes port '{name}' before"),
            });
        }
        if self.created.contains_key(name) {
            return Err(OpteError::PortExists { port: name.into() });
        }
        self.management.name_must_be_new(name)
    }

    fn pause(&mut self, name: String) -> Result<(), OpteError> {
        if self.kind(&name)?.is_passthrough() {
            self.vpc(&name)?;
        }
        let created = self.created.get(&name);
        match created.and_then(|at| self.plan.created.get_mut(*at)) {
            Some(created) => {
                created.paused = true;
                Ok(())
            }
            None => Err(OpteError::InvalidArgument {
                name: "batch".into(),
                reason: alloc::format!("it does not create port '{name}'"),
            }),
        }
    }

    fn delete(&mut self, name: String) -> Result<(), OpteError> {
        if self.created.contains_key(&name) {
            return Err(OpteError::InvalidArgument {
                name: "batch".into(),
                reason: alloc::format!("it creates port '{name}' before"),
            });
        }
        let port = self.port(&name)?;
        if let Some(cfg) = port.kind.xde().map(|request| &request.cfg) {
            self.addresses.remove(&(cfg.vni, cfg.guest_mac));
        }
        self.lan.remove(&name);
        self.plan.lan_changes.remove(&name);
        self.plan.edits.remove(&name);
        self.multicast().forget_port(&name);
        self.deleted.insert(name.clone());
        self.plan.deleted.push((self.at, name));
        Ok(())
    }

    /// The VPC's port of a port that there will be.
    fn vpc(&self, name: &str) -> Result<&Arc<VpcPort>, OpteError> {
        self.kind(name)?.vpc(name)
    }

    /// A port that there will be.
    fn kind(&self, name: &str) -> Result<&Kind, OpteError> {
        let created = self.created.get(name);
        match created.and_then(|at| self.plan.created.get(*at)) {
            Some(created) => Ok(&created.kind),
            None => Ok(&self.port(name)?.kind),
        }
    }

    /// A port that there is and that stays.
    fn port(&self, name: &str) -> Result<&'a Managed<P::Link>, OpteError> {
        if self.deleted.contains(name) {
            return Err(OpteError::PortNotFound { port: name.into() });
        }
        self.management.port(name)
    }

    fn edit(&mut self, name: &str, edit: PortEdit) -> Result<(), OpteError> {
        self.vpc(name)?;
        let edits = self.plan.edits.entry(name.into()).or_default();
        edits.push((self.at, edit));
        Ok(())
    }

    fn clear_v2p(&mut self, vni: Vni, vip: IpAddr, phys: GuestPhysAddr) -> Result<(), OpteError> {
        let v2p = &self.driver.host.mappings.v2p;
        let now = self.v2p.get(&(vni, vip)).copied();
        if now.unwrap_or_else(|| v2p.get(vni, vip)) != Some(phys) {
            return Err(OpteError::MappingNotFound {
                what: vip.to_string(),
            });
        }
        self.v2p.insert((vni, vip), None);
        self.plan.mappings.push(Mapping::ClearV2p(vni, vip, phys));
        Ok(())
    }

    fn clear_v2b(&mut self, vip: IpCidr, tep: Vec<TunnelEndpoint>) -> Result<(), OpteError> {
        let endpoints = self.endpoints(vip);
        let before = endpoints.len();
        endpoints.retain(|endpoint| !tep.contains(endpoint));
        if endpoints.len() == before {
            return Err(OpteError::MappingNotFound {
                what: vip.to_string(),
            });
        }
        self.plan.mappings.push(Mapping::ClearV2b(vip, tep));
        Ok(())
    }

    /// Multicast after the steps so far.
    fn multicast(&mut self) -> &mut Multicast {
        let now = || self.management.multicast.clone();
        self.plan.multicast.get_or_insert_with(now)
    }

    fn endpoints(&mut self, vip: IpCidr) -> &mut BTreeSet<TunnelEndpoint> {
        let v2b = &self.driver.host.mappings.v2b;
        let known = self.v2b.entry(vip);
        known.or_insert_with(|| v2b.get(vip).into_iter().collect())
    }

    /// Whether the ports take their edits. New ones, which nobody sees before all is done, do so at once.
    fn make_edits(&mut self) -> Result<(), OpteError> {
        for (name, edits) in core::mem::take(&mut self.plan.edits) {
            let vpc = self.vpc(&name)?;
            check_edits(vpc, &edits)?;
            if self.created.contains_key(&name) {
                vpc.edit(edits.into_iter().map(|(_, edit)| edit).collect())?;
            } else {
                self.plan.edits.insert(name, edits);
            }
        }
        Ok(())
    }
}

/// Whether a port would take these edits; if not, the first step that is at fault.
fn check_edits(vpc: &VpcPort, edits: &[(Step, PortEdit)]) -> Result<(), OpteError> {
    let first = |count: usize| {
        let edits = edits.iter().take(count).map(|(_, edit)| edit.clone());
        vpc.check(edits.collect())
    };
    if first(edits.len()).is_ok() {
        return Ok(());
    }
    // The shortest beginning that fails ends with the step that is at fault.
    let (mut good, mut bad) = (0, edits.len());
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        match first(middle) {
            Ok(()) => good = middle,
            Err(_) => bad = middle,
        }
    }
    match (first(bad), edits.get(good)) {
        (Err(error), Some((step, _))) => Err(step.failed(&error)),
        _ => Ok(()),
    }
}
