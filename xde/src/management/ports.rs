//! Ports come and go.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::net::Ipv6Addr;

use opte::api::{OpteError, PortStats};
use opte::drops::DropCounters;
use opte::{Direction, DropReason};
use opte_headers::Vni;
use oxide_vpc::api::{CreateXdeReq, DEFAULT_MTU, GuestLink, LanInfo, PortInfo};
use oxide_vpc::port::VpcPort;

use super::managed::{Kind, Managed, PASSTHROUGH};
use super::{Management, system};
use crate::Driver;
use crate::counters::Counters;
use crate::platform::{LinkKind, LinkRequest, Platform, PlatformError, PortId};
use crate::switch::SwitchPort;

impl<P: Platform> Driver<P> {
    pub(super) fn create(&self, req: &CreateXdeReq) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        management.must_be_new(req)?;
        let kind = self.xde_kind(req)?;
        self.add_port(&mut management, kind)
    }

    /// Adds a port that nothing stands against, with its link.
    pub(super) fn add_port(
        &self,
        management: &mut Management<P::Link>,
        kind: Kind,
    ) -> Result<(), OpteError> {
        let name = String::from(kind.name());
        let port = self.make_port(management, kind)?;
        management.ports.insert(name.clone(), port);
        self.show(management);
        let started = self.start_port(management, &name);
        if let Err(error) = started {
            let port = management.ports.remove(&name);
            self.show(management);
            if let Err(error) = self.listen_for(management) {
                self.warn(format_args!("while undoing port {name}: {error}"));
            }
            port.iter().for_each(|port| self.unmake_port(port));
            self.close_idle_lans(management);
            return Err(not_created(&name, &error));
        }
        self.located(management, &name);
        Ok(())
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        management.port(name)?;
        let Some(port) = management.ports.remove(name) else {
            return Ok(());
        };
        // First no frame finds the port any more, then its link goes.
        self.show(&management);
        let (id, link) = (port.switch.id, Arc::clone(&port.switch.link));
        if let Err(error) = self.platform.delete_link(id, &link) {
            management.ports.insert(name.into(), port);
            self.show(&management);
            return Err(system(error));
        }
        self.forget_waiting(id);
        port.switch.left();
        management.multicast.forget_port(name);
        self.close_idle_lans(&mut management);
        // The links hear less from now on; if not, the frames are dropped here.
        if let Err(error) = self.listen_for(&management) {
            self.warn(format_args!("underlay: {error}"));
        }
        Ok(())
    }

    /// A port that is to be, with its engine, unless its frames are to pass as they are.
    pub(super) fn xde_kind(&self, req: &CreateXdeReq) -> Result<Kind, OpteError> {
        if req.passthrough || self.passthrough {
            return Ok(Kind::Passthrough(Box::new(req.clone())));
        }
        let (peers, mtu) = ([], req.mtu.unwrap_or(DEFAULT_MTU));
        let vpc = VpcPort::new(&req.name, req.cfg.clone(), mtu, &peers, &self.host)?;
        Ok(Kind::Vpc(Arc::new(vpc), Box::new(req.clone())))
    }

    /// Makes the link of a port. No frame finds the port yet.
    pub(super) fn make_port(
        &self,
        management: &mut Management<P::Link>,
        kind: Kind,
    ) -> Result<Managed<P::Link>, OpteError> {
        let lan = self.open_lan_of(management, &kind)?;
        let (link_kind, namespace) = match kind.guest_link() {
            GuestLink::Veth { netns } => (LinkKind::Veth, netns.as_deref()),
            GuestLink::Tap => (LinkKind::Tap, None),
        };
        let request = LinkRequest {
            name: kind.name(),
            mac: kind.guest_mac(),
            mtu: kind.mtu().into(),
            namespace,
            kind: link_kind,
        };
        let link = match self.platform.create_link(&request) {
            Ok(link) => Arc::new(link),
            Err(error) => {
                self.close_idle_lans(management);
                return Err(not_created(kind.name(), &error));
            }
        };
        management.last_id += 1;
        let cfg = kind.xde().map(|request| &request.cfg);
        let switch = Arc::new(SwitchPort {
            id: PortId(management.last_id),
            name: kind.name().into(),
            mac: kind.guest_mac(),
            vni: cfg.map_or(Vni::default(), |cfg| cfg.vni),
            mtu: kind.mtu().into(),
            underlay_address: cfg.map_or(Ipv6Addr::UNSPECIFIED, |cfg| cfg.phys_ip),
            lan,
            engine: kind.data_path(),
            link,
            counters: Counters::default(),
        });
        let port = Managed { switch, kind };
        if let Ok(engine) = port.engine() {
            engine.start();
        }
        Ok(port)
    }

    /// Starts to move the frames of a port that is visible to the data path.
    pub(super) fn start_port(
        &self,
        management: &Management<P::Link>,
        name: &str,
    ) -> Result<(), PlatformError> {
        self.listen_for(management)?;
        self.settle_lans(management);
        match management.ports.get(name) {
            Some(port) => self.platform.start_link(port.switch.id, &port.switch.link),
            None => Ok(()),
        }
    }

    /// Tells where the guest of a port is, now that it is there: the host's tables, or its LAN.
    pub(super) fn located(&self, management: &Management<P::Link>, name: &str) {
        match management.ports.get(name).map(|port| &port.kind) {
            Some(Kind::Vpc(vpc, _)) => vpc.locate(),
            Some(Kind::Lan(..)) => self.announce(management, name),
            Some(Kind::Passthrough(_)) | None => {}
        }
    }

    /// Deletes the link of a port that is visible no more.
    pub(super) fn unmake_port(&self, port: &Managed<P::Link>) {
        let (id, link) = (port.switch.id, &port.switch.link);
        if let Err(error) = self.platform.delete_link(id, link) {
            let name = &port.switch.name;
            self.warn(format_args!("while undoing port {name}: {error}"));
        }
    }
}

fn not_created(port: &str, error: &PlatformError) -> OpteError {
    OpteError::PortCreate {
        port: port.into(),
        reason: error.to_string(),
    }
}

pub(super) fn port_info<L>(name: &str, port: &Managed<L>) -> PortInfo {
    let state = port.engine().map(|engine| engine.state().to_string());
    let vpc = port.vpc().ok();
    let meters = port.engine().map(|engine| engine.meters());
    let meters = meters.unwrap_or_default();
    let v4 = vpc.map(|vpc| vpc.external_ips_v4());
    let v6 = vpc.map(|vpc| vpc.external_ips_v6());
    let cfg = port.kind.xde().map(|request| &request.cfg);
    let lan = port.lan().ok().map(|lan| lan.cfg());
    let own4 = cfg.and_then(|cfg| cfg.ipv4()).map(|v4| v4.private_ip);
    PortInfo {
        name: name.into(),
        network: port.kind.network().into(),
        mac_addr: port.switch.mac,
        vni: cfg.map(|cfg| cfg.vni),
        mtu: port.kind.mtu(),
        passthrough: port.kind.is_passthrough(),
        ip4_addr: own4.or(lan.map(|lan| lan.private_ip)),
        ephemeral_ip4_addr: v4.as_ref().and_then(|v4| v4.ephemeral_ip),
        floating_ip4_addrs: v4.map(|v4| v4.floating_ips).unwrap_or_default(),
        ip6_addr: cfg.and_then(|cfg| cfg.ipv6()).map(|v6| v6.private_ip),
        ephemeral_ip6_addr: v6.as_ref().and_then(|v6| v6.ephemeral_ip),
        floating_ip6_addrs: v6.map(|v6| v6.floating_ips).unwrap_or_default(),
        lan: lan.map(|lan| LanInfo {
            link: port.kind.lan_link().unwrap_or_default().into(),
            public_ip: lan.public_ip,
            public_mac: lan.public_mac,
            ports: lan.ports,
        }),
        state: state.unwrap_or_else(|_| PASSTHROUGH.into()),
        meter_in: meters.inbound,
        meter_out: meters.outbound,
    }
}

/// Packets that a meter dropped.
fn metered(drops: &DropCounters) -> u64 {
    let reasons = [
        DropReason::MeterPackets,
        DropReason::MeterBits,
        DropReason::MeterNewFlows,
        DropReason::MeterFlows,
    ];
    reasons.iter().map(|reason| drops.get(*reason)).sum()
}

/// The counters of a port: the driver's of it, and its engine's.
pub(super) fn port_stats<L>(name: &str, port: &Managed<L>) -> PortStats {
    let mut stats = port.switch.counters.stats();
    if let Ok(port) = port.engine() {
        let engine = port.counters();
        let mut set = |name: String, value: u64| stats.counters.insert(name, value);
        for (dir, prefix) in [(Direction::In, "in"), (Direction::Out, "out")] {
            let traffic = engine.traffic.get(dir);
            let fragments = engine.fragments.get(dir);
            for (what, value) in [
                ("forwarded", traffic.forwarded),
                ("bytes", traffic.bytes),
                ("related", traffic.related),
                ("hairpins", traffic.hairpins),
                ("uft_hit", traffic.uft_hit),
                ("uft_miss", traffic.uft_miss),
                ("revalidated", traffic.revalidated),
                ("metered", metered(&traffic.drops)),
                ("fragments_first", fragments.first),
                ("fragments_followed", fragments.followed),
                ("fragments_held", fragments.held),
                ("fragments_released", fragments.released),
                ("fragmented_packets_incomplete", fragments.incomplete),
                ("fragmented_packets", fragments.packets.into()),
                ("fragment_bytes", fragments.bytes.into()),
            ] {
                set(alloc::format!("{prefix}_{what}"), value);
            }
        }
        for (protocol, usage) in port.nat_usage() {
            for (what, value) in [
                ("ports", usage.ports.into()),
                ("leased", usage.leased.into()),
                ("resting", usage.resting.into()),
                ("exhausted", usage.exhausted),
                ("high_water", usage.high_water.into()),
            ] {
                set(alloc::format!("nat_{protocol}_{what}"), value);
            }
        }
        let table = engine.table;
        for (what, value) in [
            ("flows", engine.flows.into()),
            ("flow_limit", engine.flow_limit.into()),
            ("tcp_connections", engine.tcp_connections.into()),
            ("programs", engine.programs as u64),
            ("flow_memory", engine.memory as u64),
            ("flows_created", table.created),
            ("flows_expired", table.expired),
            ("flows_displaced", table.displaced),
            ("flows_refused", table.refused),
            ("flows_over_quota", table.over_quota),
            ("flows_high_water", table.high_water.into()),
            (
                "tcp_connections_high_water",
                table.connections_high_water.into(),
            ),
        ] {
            set(what.into(), value);
        }
        for dir in Direction::BOTH {
            for (reason, count) in engine.traffic.get(dir).drops.iter() {
                *stats.drops.entry(reason.name().into()).or_default() += count;
            }
        }
    }
    PortStats {
        name: name.into(),
        drops: stats.drops,
        counters: stats.counters,
    }
}
