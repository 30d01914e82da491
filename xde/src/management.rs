//! What the driver is told: ports come and go, and are programmed.
//!
//! Commands are done one after another. One that fails has changed nothing.

mod batch;
mod config;
mod lan;
mod life;
mod managed;
mod multicast;
mod ports;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use opte::api::{
    ClearLftReq, ClearUftReq, DumpLayerReq, DumpLayerResp, DumpStatsReq, DumpStatsResp,
    DumpTcpFlowsReq, DumpTcpFlowsResp, DumpUftReq, DumpUftResp, HeavyHittersReq, HeavyHittersResp,
    ListLayersReq, ListLayersResp, NoResp, OpteError, Page, PausePortReq, RestorePortReq,
    RestorePortResp, SavePortReq, SavePortResp, SetMeterReq, SetPortOptionsReq, StartPortReq,
    TracePacketReq, TracePacketResp,
};
use opte::port::PortError;
use oxide_vpc::api::{
    AddFwRuleReq, AddFwRuleResp, AddRouterEntryReq, AllowCidrReq, AttachSubnetReq, BatchStep,
    ClearMcast2PhysReq, ClearMcastForwardingReq, ClearVirt2BoundaryReq, ClearVirt2PhysReq,
    ClearXdeUnderlayReq, CreateLanPortReq, CreateXdeReq, DelRouterEntryReq, DeleteXdeReq,
    DetachSubnetReq, DumpConfigReq, DumpConfigResp, DumpMcast2PhysReq, DumpMcast2PhysResp,
    DumpMcastForwardingReq, DumpMcastForwardingResp, DumpMcastSubscriptionsReq,
    DumpMcastSubscriptionsResp, DumpVirt2BoundaryReq, DumpVirt2BoundaryResp, DumpVirt2PhysReq,
    DumpVirt2PhysResp, ListPortsReq, ListPortsResp, McastSubscribeReq, McastUnsubscribeAllReq,
    McastUnsubscribeReq, RemFwRuleReq, RemoveCidrReq, SetExternalIpsReq, SetFwRulesReq,
    SetIpConfigReq, SetMcast2PhysReq, SetMcastForwardingReq, SetPeersReq, SetVirt2BoundaryReq,
    SetVirt2PhysReq, SetXdeUnderlayReq, Virt2BoundaryMapping, Virt2PhysMapping,
};
use oxide_vpc::port::{PortEdit, VpcPort};

use crate::Driver;
use crate::command::Control;
use crate::platform::{Platform, PlatformError, UnderlayLink};
use crate::switch::Switch;

use lan::OpenLan;
use managed::{EnginePort, Kind, Managed};
use multicast::Multicast;
use ports::{port_info, port_stats};

/// What commands have made so far.
pub(crate) struct Management<L> {
    ports: BTreeMap<String, Managed<L>>,
    underlay: Vec<String>,
    multicast: Multicast,
    /// The links to LANs, by their names.
    lans: BTreeMap<String, OpenLan>,
    last_id: u64,
}

impl<L> Default for Management<L> {
    fn default() -> Self {
        Self {
            ports: BTreeMap::new(),
            underlay: Vec::new(),
            multicast: Multicast::default(),
            lans: BTreeMap::new(),
            last_id: 0,
        }
    }
}

impl<L> Management<L> {
    /// The switch of all this, with these links.
    fn switch(&self, underlay: Vec<UnderlayLink>) -> Switch<L> {
        let ports = self.ports.values();
        let ports = ports.map(|port| Arc::clone(&port.switch));
        Switch::new(ports, underlay)
            .with_members(self.multicast.members(&self.ports))
            .with_lans(self.lans())
    }

    fn port(&self, name: &str) -> Result<&Managed<L>, OpteError> {
        let port = self.ports.get(name);
        port.ok_or_else(|| OpteError::PortNotFound { port: name.into() })
    }

    /// The port of a VPC; another is not to be programmed as one.
    fn vpc(&self, name: &str) -> Result<Arc<VpcPort>, OpteError> {
        self.port(name)?.vpc().cloned()
    }

    /// The port's engine; a port without is in no state to be asked.
    fn engine(&self, name: &str) -> Result<Arc<dyn EnginePort>, OpteError> {
        self.port(name)?.engine()
    }

    /// Refuses a name that is taken.
    fn name_must_be_new(&self, name: &str) -> Result<(), OpteError> {
        match self.ports.contains_key(name) {
            true => Err(OpteError::PortExists { port: name.into() }),
            false => Ok(()),
        }
    }

    /// Refuses a name or address that is taken.
    fn must_be_new(&self, req: &CreateXdeReq) -> Result<(), OpteError> {
        self.name_must_be_new(&req.name)?;
        let (vni, mac) = (req.cfg.vni, req.cfg.guest_mac);
        let same = |port: &&Managed<L>| {
            let cfg = port.kind.xde().map(|request| &request.cfg);
            cfg.is_some_and(|cfg| (cfg.vni, cfg.guest_mac) == (vni, mac))
        };
        match self.ports.values().find(same) {
            Some(port) => Err(OpteError::MacExists {
                port: port.switch.name.clone(),
                vni,
                mac,
            }),
            None => Ok(()),
        }
    }

    /// How many ports need the underlay.
    fn on_underlay(&self) -> usize {
        let ports = self.ports.values();
        ports.filter(|port| port.kind.xde().is_some()).count()
    }
}

impl<P: Platform> Driver<P> {
    /// Deletes all ports and lets go of the underlay: what is to be done before the driver ends. What cannot be deleted is
    /// left behind.
    pub fn shut_down(&self) {
        let mut management = self.management.lock();
        self.replace_switch(Switch::new([], Vec::new()));
        for (name, port) in core::mem::take(&mut management.ports) {
            let deleted = self.platform.delete_link(port.switch.id, &port.switch.link);
            if let Err(error) = deleted {
                self.warn(format_args!("the link of port {name} stays: {error}"));
            }
        }
        self.close_idle_lans(&mut management);
        if !core::mem::take(&mut management.underlay).is_empty() {
            self.platform.close_underlay();
        }
    }

    fn warn(&self, text: core::fmt::Arguments<'_>) {
        self.host.log.log(opte::provider::Level::Warn, text);
    }

    /// Makes what management holds visible to the data path.
    fn show(&self, management: &Management<P::Link>) {
        let underlay = self.switch().underlay().to_vec();
        self.replace_switch(management.switch(underlay));
    }

    /// Makes the underlay's links hand over what the ports there are need.
    fn listen_for(&self, management: &Management<P::Link>) -> Result<(), PlatformError> {
        let all = management
            .ports
            .values()
            .any(|port| port.kind.is_passthrough());
        self.platform.take_all_frames(all)
    }

    fn open_underlay(&self, names: Vec<String>) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        if !management.underlay.is_empty() {
            return Err(OpteError::UnderlayExists {
                links: management.underlay.join(", "),
            });
        }
        let given: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if given.len() < names.len() {
            return Err(OpteError::InvalidArgument {
                name: "underlay".into(),
                reason: "a link is given twice".into(),
            });
        }
        self.take_underlay(&mut management, names)
    }

    /// Takes links for the underlay, which has none.
    fn take_underlay(
        &self,
        management: &mut Management<P::Link>,
        names: Vec<String>,
    ) -> Result<(), OpteError> {
        let links: Vec<&str> = names.iter().map(String::as_str).collect();
        let links = self.platform.open_underlay(&links).map_err(system)?;
        if let Err(error) = self.listen_for(management) {
            self.platform.close_underlay();
            return Err(system(error));
        }
        management.underlay = names;
        self.replace_switch(management.switch(links));
        Ok(())
    }

    /// Lets go of the underlay's links.
    fn release_underlay(&self, management: &mut Management<P::Link>) {
        management.underlay.clear();
        self.replace_switch(management.switch(Vec::new()));
        self.platform.close_underlay();
    }

    fn close_underlay(&self) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        if management.underlay.is_empty() {
            return Err(OpteError::UnderlayNotSet);
        }
        let ports = management.on_underlay() as u64;
        if ports != 0 {
            return Err(OpteError::UnderlayInUse { ports });
        }
        self.release_underlay(&mut management);
        Ok(())
    }

    fn edit(&self, port: &str, edit: PortEdit) -> Result<NoResp, OpteError> {
        let edits = Vec::from([edit]);
        self.vpc(port)?.edit(edits).map(|_| NoResp {})
    }

    fn vpc(&self, name: &str) -> Result<Arc<VpcPort>, OpteError> {
        self.management.lock().vpc(name)
    }

    fn engine(&self, name: &str) -> Result<Arc<dyn EnginePort>, OpteError> {
        self.management.lock().engine(name)
    }
}

impl<P: Platform> Control for Driver<P> {
    fn list_ports(&self, req: ListPortsReq) -> Result<ListPortsResp, OpteError> {
        let management = self.management.lock();
        let (ports, next) = page_of(management.ports.iter(), req.page, |(name, port)| {
            port_info(name, port)
        });
        Ok(ListPortsResp { ports, next })
    }

    fn dump_config(&self, req: DumpConfigReq) -> Result<DumpConfigResp, OpteError> {
        Ok(self.config(req.page))
    }

    fn run_batch(&self, steps: Vec<BatchStep>) -> Result<NoResp, OpteError> {
        self.batch(steps).map(|()| NoResp {})
    }

    fn create_xde(&self, req: CreateXdeReq) -> Result<NoResp, OpteError> {
        self.create(&req).map(|()| NoResp {})
    }

    fn delete_xde(&self, req: DeleteXdeReq) -> Result<NoResp, OpteError> {
        self.delete(&req.name).map(|()| NoResp {})
    }

    fn create_lan_port(&self, req: CreateLanPortReq) -> Result<NoResp, OpteError> {
        self.create_lan(req).map(|()| NoResp {})
    }

    fn set_ip_config(&self, req: SetIpConfigReq) -> Result<NoResp, OpteError> {
        Driver::set_ip_config(self, &req).map(|()| NoResp {})
    }

    fn set_xde_underlay(&self, req: SetXdeUnderlayReq) -> Result<NoResp, OpteError> {
        let names = [Some(req.u1), req.u2].into_iter().flatten().collect();
        self.open_underlay(names).map(|()| NoResp {})
    }

    fn clear_xde_underlay(&self, _: ClearXdeUnderlayReq) -> Result<NoResp, OpteError> {
        self.close_underlay().map(|()| NoResp {})
    }

    fn add_fw_rule(&self, req: AddFwRuleReq) -> Result<AddFwRuleResp, OpteError> {
        let port = self.vpc(&req.port_name)?;
        let id = port.add_firewall_rule(&req.rule)?;
        Ok(AddFwRuleResp { id })
    }

    fn rem_fw_rule(&self, req: RemFwRuleReq) -> Result<NoResp, OpteError> {
        let port = self.vpc(&req.port_name)?;
        port.remove_firewall_rule(req.dir, req.id)
            .map(|()| NoResp {})
    }

    fn set_fw_rules(&self, req: SetFwRulesReq) -> Result<NoResp, OpteError> {
        let port = self.vpc(&req.port_name)?;
        port.set_firewall_rules(&req.rules).map(|()| NoResp {})
    }

    fn add_router_entry(&self, req: AddRouterEntryReq) -> Result<NoResp, OpteError> {
        let port = self.vpc(&req.port_name)?;
        port.add_router_entry(&req.entry).map(|()| NoResp {})
    }

    fn del_router_entry(&self, req: DelRouterEntryReq) -> Result<NoResp, OpteError> {
        let port = self.vpc(&req.port_name)?;
        port.remove_router_entry(&req.entry).map(|()| NoResp {})
    }

    fn set_external_ips(&self, req: SetExternalIpsReq) -> Result<NoResp, OpteError> {
        let port = self.vpc(&req.port_name)?;
        port.set_external_ips(req.external_ips_v4, req.external_ips_v6, req.inet_gw_map)
            .map(|()| NoResp {})
    }

    fn allow_cidr(&self, req: AllowCidrReq) -> Result<NoResp, OpteError> {
        self.edit(&req.port_name, PortEdit::AllowCidr(req.transit))
    }

    fn remove_cidr(&self, req: RemoveCidrReq) -> Result<NoResp, OpteError> {
        self.edit(&req.port_name, PortEdit::RemoveCidr(req.transit))
    }

    fn attach_subnet(&self, req: AttachSubnetReq) -> Result<NoResp, OpteError> {
        self.edit(&req.port_name, PortEdit::AttachSubnet(req.subnet))
    }

    fn detach_subnet(&self, req: DetachSubnetReq) -> Result<NoResp, OpteError> {
        self.edit(&req.port_name, PortEdit::DetachSubnet(req.cidr))
    }

    fn set_peers(&self, req: SetPeersReq) -> Result<NoResp, OpteError> {
        let peers = req.peers.into_iter().collect();
        self.edit(&req.port_name, PortEdit::SetPeers(peers))
    }

    fn set_port_options(&self, req: SetPortOptionsReq) -> Result<NoResp, OpteError> {
        self.edit(&req.port_name, PortEdit::SetOptions(req.options))
    }

    fn set_meter(&self, req: SetMeterReq) -> Result<NoResp, OpteError> {
        let management = self.management.lock();
        if let Kind::Lan(port, _) = &management.port(&req.port_name)?.kind {
            port.port().set_meter(req.dir, &req.limits);
            return Ok(NoResp {});
        }
        drop(management);
        self.edit(&req.port_name, PortEdit::SetMeter(req.dir, req.limits))
    }

    fn set_v2p(&self, req: SetVirt2PhysReq) -> Result<NoResp, OpteError> {
        let v2p = &self.host.mappings.v2p;
        v2p.set(req.phys.vni, req.vip, req.phys.into());
        Ok(NoResp {})
    }

    fn clear_v2p(&self, req: ClearVirt2PhysReq) -> Result<NoResp, OpteError> {
        let v2p = &self.host.mappings.v2p;
        if v2p.clear_exact(req.phys.vni, req.vip, req.phys.into()) {
            return Ok(NoResp {});
        }
        Err(OpteError::MappingNotFound {
            what: req.vip.to_string(),
        })
    }

    fn dump_v2p(&self, req: DumpVirt2PhysReq) -> Result<DumpVirt2PhysResp, OpteError> {
        let (skip, limit) = (place(req.page.cursor), req.page.limit());
        let found = self.host.mappings.v2p.page(skip, limit);
        let next = next_page(req.page, found.len());
        let mappings =
            found
                .into_iter()
                .map(|(vni, vip, phys)| Virt2PhysMapping { vni, vip, phys });
        Ok(DumpVirt2PhysResp {
            mappings: mappings.collect(),
            next,
        })
    }

    fn set_v2b(&self, req: SetVirt2BoundaryReq) -> Result<NoResp, OpteError> {
        self.host.mappings.v2b.set(req.vip, &req.tep);
        Ok(NoResp {})
    }

    fn clear_v2b(&self, req: ClearVirt2BoundaryReq) -> Result<NoResp, OpteError> {
        if self.host.mappings.v2b.clear(req.vip, &req.tep) {
            return Ok(NoResp {});
        }
        Err(OpteError::MappingNotFound {
            what: req.vip.to_string(),
        })
    }

    fn dump_v2b(&self, req: DumpVirt2BoundaryReq) -> Result<DumpVirt2BoundaryResp, OpteError> {
        let (skip, limit) = (place(req.page.cursor), req.page.limit());
        let found = self.host.mappings.v2b.page(skip, limit);
        let next = next_page(req.page, found.len());
        let mappings = found
            .into_iter()
            .map(|(vip, tep)| Virt2BoundaryMapping { vip, tep });
        Ok(DumpVirt2BoundaryResp {
            mappings: mappings.collect(),
            next,
        })
    }

    fn set_m2p(&self, req: SetMcast2PhysReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, _| {
            multicast.map(req);
            Ok(())
        })
        .map(|()| NoResp {})
    }

    fn clear_m2p(&self, req: ClearMcast2PhysReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, _| multicast.unmap(req))
            .map(|()| NoResp {})
    }

    fn dump_m2p(&self, req: DumpMcast2PhysReq) -> Result<DumpMcast2PhysResp, OpteError> {
        let management = self.management.lock();
        let (mappings, next) = page_of(management.multicast.mappings(), req.page, |one| one);
        Ok(DumpMcast2PhysResp { mappings, next })
    }

    fn set_mcast_fwd(&self, req: SetMcastForwardingReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, _| {
            multicast.forward(req);
            Ok(())
        })
        .map(|()| NoResp {})
    }

    fn clear_mcast_fwd(&self, req: ClearMcastForwardingReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, _| multicast.unforward(&req))
            .map(|()| NoResp {})
    }

    fn dump_mcast_fwd(
        &self,
        req: DumpMcastForwardingReq,
    ) -> Result<DumpMcastForwardingResp, OpteError> {
        let management = self.management.lock();
        let (entries, next) = page_of(management.multicast.forwarding(), req.page, |one| one);
        Ok(DumpMcastForwardingResp { entries, next })
    }

    fn mcast_subscribe(&self, req: McastSubscribeReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, management| {
            let vni = management.vpc(&req.port_name)?.cfg().vni;
            multicast.subscribe(vni, req)
        })
        .map(|()| NoResp {})
    }

    fn mcast_unsubscribe(&self, req: McastUnsubscribeReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, management| {
            management.port(&req.port_name)?;
            multicast.unsubscribe(&req)
        })
        .map(|()| NoResp {})
    }

    fn mcast_unsubscribe_all(&self, req: McastUnsubscribeAllReq) -> Result<NoResp, OpteError> {
        self.change_multicast(|multicast, _| {
            multicast.unsubscribe_all(req.group);
            Ok(())
        })
        .map(|()| NoResp {})
    }

    fn dump_mcast_subs(
        &self,
        req: DumpMcastSubscriptionsReq,
    ) -> Result<DumpMcastSubscriptionsResp, OpteError> {
        let management = self.management.lock();
        let (entries, next) = page_of(management.multicast.subscriptions(), req.page, |one| one);
        Ok(DumpMcastSubscriptionsResp { entries, next })
    }

    fn list_layers(&self, req: ListLayersReq) -> Result<ListLayersResp, OpteError> {
        Ok(self.engine(&req.port_name)?.list_layers())
    }

    fn dump_layer(&self, req: DumpLayerReq) -> Result<DumpLayerResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        let dump = port.dump_layer(&req.name, req.page, &req.filter, req.rule);
        dump.map_err(|error| refused(&req.port_name, error))
    }

    fn dump_uft(&self, req: DumpUftReq) -> Result<DumpUftResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        Ok(port.dump_uft(req.page, &req.filter))
    }

    fn dump_tcp_flows(&self, req: DumpTcpFlowsReq) -> Result<DumpTcpFlowsResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        Ok(port.dump_tcp_flows(req.page, &req.filter))
    }

    fn dump_stats(&self, req: DumpStatsReq) -> Result<DumpStatsResp, OpteError> {
        let management = self.management.lock();
        if let Some(name) = &req.port_name {
            management.port(name)?;
        }
        let wanted = |name: &&String| req.port_name.as_ref().is_none_or(|port| port == *name);
        let ports = management.ports.iter().filter(|(name, _)| wanted(name));
        let (ports, next) = page_of(ports, req.page, |(name, port)| port_stats(name, port));
        Ok(DumpStatsResp {
            driver: self.counters.stats(),
            ports,
            next,
        })
    }

    fn clear_uft(&self, req: ClearUftReq) -> Result<NoResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        let cleared = port.clear_uft();
        cleared
            .map(|()| NoResp {})
            .map_err(|error| refused(&req.port_name, error))
    }

    fn clear_lft(&self, req: ClearLftReq) -> Result<NoResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        let cleared = port.clear_lft(&req.layer_name);
        cleared
            .map(|()| NoResp {})
            .map_err(|error| refused(&req.port_name, error))
    }

    fn pause_port(&self, req: PausePortReq) -> Result<NoResp, OpteError> {
        self.pause(&req.port_name).map(|()| NoResp {})
    }

    fn start_port(&self, req: StartPortReq) -> Result<NoResp, OpteError> {
        self.start(&req.port_name).map(|()| NoResp {})
    }

    fn save_port(&self, req: SavePortReq) -> Result<SavePortResp, OpteError> {
        self.save(&req)
    }

    fn restore_port(&self, req: RestorePortReq) -> Result<RestorePortResp, OpteError> {
        self.restore(&req)
    }

    fn trace_packet(&self, req: TracePacketReq) -> Result<TracePacketResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        let now = self.platform.now();
        Ok(port.trace(req.dir, now, &req.frame).into())
    }

    fn heavy_hitters(&self, req: HeavyHittersReq) -> Result<HeavyHittersResp, OpteError> {
        let port = self.engine(&req.port_name)?;
        let count = usize::try_from(req.count).unwrap_or(usize::MAX);
        Ok(HeavyHittersResp {
            flows: port.heavy_hitters(req.by, count),
        })
    }
}

/// The part of a listing that a page asks for, and where to go on.
fn page_of<T, U>(
    all: impl Iterator<Item = T>,
    page: Page,
    show: impl FnMut(T) -> U,
) -> (Vec<U>, Option<u64>) {
    let mut rest = all.skip(place(page.cursor));
    let shown: Vec<U> = rest.by_ref().take(page.limit()).map(show).collect();
    let next = rest.next().map(|_| page.cursor + shown.len() as u64);
    (shown, next)
}

/// Where to go on after a page that may have been the last.
fn next_page(page: Page, shown: usize) -> Option<u64> {
    (shown >= page.limit()).then(|| page.cursor.saturating_add(shown as u64))
}

fn place(cursor: u64) -> usize {
    usize::try_from(cursor).unwrap_or(usize::MAX)
}

fn refused(port: &str, error: PortError) -> OpteError {
    let port = String::from(port);
    match error {
        PortError::BadState(state) => OpteError::BadState {
            port,
            state: state.to_string(),
        },
        PortError::LayerNotFound(layer) => OpteError::LayerNotFound { port, layer },
        other => OpteError::System {
            errno: 0,
            message: other.to_string(),
        },
    }
}

fn system(error: PlatformError) -> OpteError {
    match error {
        PlatformError::LinkNotFound { link } => OpteError::LinkNotFound { link },
        PlatformError::Refused { errno, message } => OpteError::System { errno, message },
    }
}
