//! Ports come and go.

use alloc::string::{String, ToString};
use alloc::sync::Arc;

use opte::Direction;
use opte::api::{OpteError, PortStats};
use oxide_vpc::api::{CreateXdeReq, DEFAULT_MTU, GuestLink, PortInfo};
use oxide_vpc::port::VpcPort;

use super::{Managed, Management, PASSTHROUGH, system};
use crate::Driver;
use crate::counters::Counters;
use crate::platform::{LinkKind, LinkRequest, Platform, PlatformError, PortId};
use crate::switch::{Engine, SwitchPort};

impl<P: Platform> Driver<P> {
    pub(super) fn create(&self, req: &CreateXdeReq) -> Result<(), OpteError> {
        let mut management = self.management.lock();
        management.must_be_new(req)?;
        let vpc = self.engine(req)?;
        let port = self.make_port(&mut management, req, vpc)?;
        management.ports.insert(req.name.clone(), port);
        self.show(&management);
        let started = self.start_port(&management, &req.name);
        if let Err(error) = started {
            let port = management.ports.remove(&req.name);
            self.show(&management);
            if let Err(error) = self.listen_for(&management) {
                self.warn(format_args!("while undoing port {}: {error}", req.name));
            }
            port.iter().for_each(|port| self.unmake_port(port));
            return Err(not_created(req, &error));
        }
        management.located(&req.name);
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
        // The links hear less from now on; if not, the frames are dropped here.
        if let Err(error) = self.listen_for(&management) {
            self.warn(format_args!("underlay: {error}"));
        }
        Ok(())
    }

    /// The engine of a port that is to be; `None` if its frames are to pass as they are.
    pub(super) fn engine(&self, req: &CreateXdeReq) -> Result<Option<Arc<VpcPort>>, OpteError> {
        if req.passthrough || self.passthrough {
            return Ok(None);
        }
        let peers = [];
        let vpc = VpcPort::new(&req.name, req.cfg.clone(), mtu(req), &peers, &self.host)?;
        Ok(Some(Arc::new(vpc)))
    }

    /// Makes the link of a port. No frame finds the port yet.
    pub(super) fn make_port(
        &self,
        management: &mut Management<P::Link>,
        req: &CreateXdeReq,
        vpc: Option<Arc<VpcPort>>,
    ) -> Result<Managed<P::Link>, OpteError> {
        let (kind, namespace) = match &req.link {
            GuestLink::Veth { netns } => (LinkKind::Veth, netns.as_deref()),
            GuestLink::Tap => (LinkKind::Tap, None),
        };
        let request = LinkRequest {
            name: &req.name,
            mac: req.cfg.guest_mac,
            mtu: mtu(req).into(),
            namespace,
            kind,
        };
        let link = self.platform.create_link(&request);
        let link = Arc::new(link.map_err(|error| not_created(req, &error))?);
        management.last_id += 1;
        let switch = Arc::new(SwitchPort {
            id: PortId(management.last_id),
            name: req.name.clone(),
            mac: req.cfg.guest_mac,
            vni: req.cfg.vni,
            mtu: mtu(req).into(),
            underlay_address: req.cfg.phys_ip,
            engine: vpc.clone().map(|vpc| vpc as Arc<dyn Engine>),
            link,
            counters: Counters::default(),
        });
        if let Some(vpc) = &vpc {
            vpc.port().start();
        }
        Ok(Managed {
            switch,
            vpc,
            request: req.clone(),
        })
    }

    /// Starts to move the frames of a port that is visible to the data path.
    pub(super) fn start_port(
        &self,
        management: &Management<P::Link>,
        name: &str,
    ) -> Result<(), PlatformError> {
        self.listen_for(management)?;
        match management.ports.get(name) {
            Some(port) => self.platform.start_link(port.switch.id, &port.switch.link),
            None => Ok(()),
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

impl<L> Management<L> {
    /// Says in the host's tables where the guest of a port is, now that it is there.
    pub(super) fn located(&self, name: &str) {
        if let Some(vpc) = self.ports.get(name).and_then(|port| port.vpc.as_ref()) {
            vpc.locate();
        }
    }
}

/// The MTU of a port's link in octets.
pub(super) fn mtu(req: &CreateXdeReq) -> u16 {
    req.mtu.unwrap_or(DEFAULT_MTU)
}

fn not_created(req: &CreateXdeReq, error: &PlatformError) -> OpteError {
    OpteError::PortCreate {
        port: req.name.clone(),
        reason: error.to_string(),
    }
}

pub(super) fn port_info<L>(name: &str, port: &Managed<L>) -> PortInfo {
    let vpc = port.vpc.as_ref();
    let v4 = vpc.map(|vpc| vpc.external_ips_v4());
    let v6 = vpc.map(|vpc| vpc.external_ips_v6());
    PortInfo {
        name: name.into(),
        mac_addr: port.switch.mac,
        vni: port.switch.vni,
        mtu: mtu(&port.request),
        passthrough: vpc.is_none(),
        ip4_addr: port.request.cfg.ipv4().map(|v4| v4.private_ip),
        ephemeral_ip4_addr: v4.as_ref().and_then(|v4| v4.ephemeral_ip),
        floating_ip4_addrs: v4.map(|v4| v4.floating_ips).unwrap_or_default(),
        ip6_addr: port.request.cfg.ipv6().map(|v6| v6.private_ip),
        ephemeral_ip6_addr: v6.as_ref().and_then(|v6| v6.ephemeral_ip),
        floating_ip6_addrs: v6.map(|v6| v6.floating_ips).unwrap_or_default(),
        state: vpc.map_or_else(
            || PASSTHROUGH.to_string(),
            |vpc| vpc.port().state().to_string(),
        ),
    }
}

/// The counters of a port: the driver's of it, and its engine's.
pub(super) fn port_stats<L>(name: &str, port: &Managed<L>) -> PortStats {
    let mut stats = port.switch.counters.stats();
    if let Some(vpc) = &port.vpc {
        let engine = vpc.port().counters();
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
        for (protocol, usage) in vpc.nat_usage() {
            for (what, value) in [
                ("ports", usage.ports.into()),
                ("leased", usage.leased.into()),
                ("resting", usage.resting.into()),
                ("exhausted", usage.exhausted),
            ] {
                set(alloc::format!("nat_{protocol}_{what}"), value);
            }
        }
        for (what, value) in [
            ("flows", engine.flows.into()),
            ("flow_limit", engine.flow_limit.into()),
            ("tcp_connections", engine.tcp_connections.into()),
            ("programs", engine.programs as u64),
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
