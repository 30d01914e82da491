//! Hosts in memory: ports driven against each other, with a clock of the test's own.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test file uses a part"
)]

pub mod fragments;
pub mod frames;
pub mod outside;
pub mod way;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use opte::port::{Limits, Verdict};
use opte::provider::{NoLog, SeededRandom};
use opte::time::Moment;
use opte::{Direction, DropReason, Packet};
use opte_headers::{Ethernet, EthernetGet, Header, MacAddr, Vni};
use oxide_vpc::api::{
    DhcpCfg, ExternalIpCfg, FirewallRule, IpCfg, Ipv4Cfg, Ipv6Cfg, PortRange, RouterClass,
    RouterEntry, SNatCfg, TunnelEndpoint, VpcCfg,
};
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC};
use oxide_vpc::port::{Host, Mappings, VpcPort};

pub use frames::{Body, Frame, Outer, tcp, udp};

/// Some hosts on one underlay.
pub struct World {
    pub hosts: Vec<SimHost>,
    now: Cell<Moment>,
}

pub struct SimHost {
    pub underlay: Ipv6Addr,
    pub env: Host,
    pub ports: Vec<VpcPort>,
}

/// Which port: of which host, and there which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub usize, pub usize);

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A guest got it.
    To(At, Frame),
    /// It left for a host that is none of these.
    Left(Outer, Frame),
    /// The port answered it.
    Answered(Vec<u8>),
    /// The sender's port dropped it.
    Refused(DropReason),
    /// The receiver's port dropped it.
    Rejected(At, DropReason),
    /// No port of the host has its network and MAC address.
    Unclaimed,
    /// It is a fragment, and the port waits for another.
    Held,
}

impl Sent {
    /// What the guest there got.
    #[track_caller]
    pub fn at(self, at: At) -> Frame {
        match self {
            Sent::To(to, frame) if to == at => frame,
            other => panic!("not at {at:?}: {other:?}"),
        }
    }

    /// What left for the outside.
    #[track_caller]
    pub fn left(self) -> (Outer, Frame) {
        match self {
            Sent::Left(outer, frame) => (outer, frame),
            other => panic!("has not left: {other:?}"),
        }
    }
}

impl World {
    /// Hosts without ports.
    pub fn new(hosts: usize) -> Self {
        let host = |n| SimHost {
            underlay: underlay(n),
            env: Host {
                mappings: Mappings::default(),
                random: Arc::new(SeededRandom::new(n as u64 + 1)),
                log: Arc::new(NoLog),
                limits: Limits::default(),
            },
            ports: Vec::new(),
        };
        Self {
            hosts: (0..hosts).map(host).collect(),
            now: Cell::new(Moment::from_secs(1)),
        }
    }

    /// A port with this configuration on a host, running, and mapped on all hosts.
    pub fn port(&mut self, host: usize, cfg: VpcCfg) -> At {
        self.port_with_peers(host, cfg, &[])
    }

    /// The same, for a VPC with peers.
    pub fn port_with_peers(&mut self, host: usize, mut cfg: VpcCfg, peers: &[Vni]) -> At {
        cfg.phys_ip = self.hosts[host].underlay;
        let name = format!("opte{}", self.hosts[host].ports.len());
        let port = VpcPort::new(&name, cfg, 1500, peers, &self.hosts[host].env).unwrap();
        port.port().start();
        port.locate();
        for ip in private_ips(port.cfg()) {
            self.map(ip, port.cfg());
        }
        self.hosts[host].ports.push(port);
        At(host, self.hosts[host].ports.len() - 1)
    }

    /// Says on every host where a guest is.
    pub fn map(&self, ip: IpAddr, cfg: &VpcCfg) {
        let phys = oxide_vpc::api::GuestPhysAddr {
            ether: cfg.guest_mac,
            ip: cfg.phys_ip,
        };
        for host in &self.hosts {
            host.env.mappings.v2p.set(cfg.vni, ip, phys);
        }
    }

    /// Says on every host that everything outside is behind this endpoint.
    pub fn boundary(&self, endpoint: Ipv6Addr) {
        for host in &self.hosts {
            for all in ["0.0.0.0/0", "::/0"] {
                let endpoint = TunnelEndpoint {
                    ip: endpoint,
                    vni: BOUNDARY_VNI,
                };
                host.env.mappings.v2b.set(all.parse().unwrap(), &[endpoint]);
            }
        }
    }

    pub fn vpc(&self, at: At) -> &VpcPort {
        &self.hosts[at.0].ports[at.1]
    }

    pub fn mac(&self, at: At) -> MacAddr {
        self.vpc(at).cfg().guest_mac
    }

    pub fn v4(&self, at: At) -> (MacAddr, IpAddr) {
        (
            self.mac(at),
            self.vpc(at).cfg().ipv4().unwrap().private_ip.into(),
        )
    }

    pub fn v6(&self, at: At) -> (MacAddr, IpAddr) {
        (
            self.mac(at),
            self.vpc(at).cfg().ipv6().unwrap().private_ip.into(),
        )
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: u64) {
        self.now.set(self.now.get() + Duration::from_secs(seconds));
    }

    /// Has the clock jump back.
    #[allow(dead_code, reason = "not every test does")]
    pub fn turn_back(&self, seconds: u64) {
        let nanos = self.now.get().as_nanos() - seconds * 1_000_000_000;
        self.now.set(Moment::from_nanos(nanos));
    }

    pub fn now(&self) -> Moment {
        self.now.get()
    }

    /// A firewall rule by its text, or several with a newline between them.
    pub fn rule(&self, at: At, text: &str) -> u64 {
        let rule: FirewallRule = text.parse().unwrap();
        self.vpc(at).add_firewall_rule(&rule).unwrap()
    }

    pub fn route(&self, at: At, dest: &str, target: &str) {
        let entry = route(dest, target, RouterClass::System);
        self.vpc(at).add_router_entry(&entry).unwrap();
    }

    /// What becomes of a frame that the guest sends.
    #[track_caller]
    pub fn send(&self, from: At, frame: &Frame) -> Sent {
        self.send_bytes(from, &frame.bytes())
    }

    /// The same for a frame that no [`Frame`] is.
    #[track_caller]
    pub fn send_bytes(&self, from: At, frame: &[u8]) -> Sent {
        match self.process(from, Direction::Out, frame) {
            Err(sent) => *sent,
            Ok(tunnelled) => self.underlay(&tunnelled),
        }
    }

    /// What becomes of a frame that the underlay carries.
    #[track_caller]
    pub fn underlay(&self, tunnelled: &[u8]) -> Sent {
        let (_, rest) = opte_headers::Ethernet::parse(tunnelled).unwrap();
        let (ip, rest) = opte_headers::Ipv6::parse(rest).unwrap();
        let (_, rest) = opte_headers::Udp::parse(rest).unwrap();
        let (geneve, inner) = opte_headers::Geneve::parse(rest).unwrap();
        let (destination, vni) = {
            use opte_headers::{GeneveGet, Ipv6Get};
            (ip.destination(), geneve.vni())
        };
        let Some(host) = self
            .hosts
            .iter()
            .position(|host| host.underlay == destination)
        else {
            let (outer, inner) = Outer::off(tunnelled);
            return Sent::Left(outer, Frame::read(inner));
        };
        let (ethernet, _) = Ethernet::parse(inner).unwrap();
        let ours = |port: &VpcPort| {
            let cfg = port.cfg();
            (cfg.vni == vni || vni == BOUNDARY_VNI) && cfg.guest_mac == ethernet.destination()
        };
        let Some(port) = self.hosts[host].ports.iter().position(ours) else {
            return Sent::Unclaimed;
        };
        let at = At(host, port);
        self.inbound(at, tunnelled)
    }

    /// Gives a tunnelled frame to one port, whatever its network and MAC address are.
    #[track_caller]
    pub fn force(&self, at: At, tunnelled: &[u8]) -> Sent {
        self.inbound(at, tunnelled)
    }

    #[track_caller]
    fn inbound(&self, at: At, tunnelled: &[u8]) -> Sent {
        match self.process(at, Direction::In, tunnelled) {
            Ok(frame) => Sent::To(at, Frame::read(&frame)),
            Err(sent) => match *sent {
                Sent::Refused(reason) => Sent::Rejected(at, reason),
                other => other,
            },
        }
    }

    /// The frames that one port sends on of these, with those that it had held, and why it dropped the others.
    #[track_caller]
    pub fn burst(
        &self,
        at: At,
        dir: Direction,
        frames: &[Vec<u8>],
    ) -> (Vec<Vec<u8>>, Vec<DropReason>) {
        let (mut out, mut dropped) = (Vec::new(), Vec::new());
        for frame in frames {
            match self.process(at, dir, frame) {
                Ok(frame) => out.push(frame),
                Err(sent) => match *sent {
                    Sent::Refused(reason) => dropped.push(reason),
                    Sent::Held => {}
                    other => panic!("{other:?}"),
                },
            }
            for released in self.vpc(at).port().take_released() {
                assert_eq!(released.dir, dir);
                out.push(released.frame().to_vec());
            }
        }
        (out, dropped)
    }

    /// The frame as one port sends it on, or what became of it else.
    #[track_caller]
    pub fn process(&self, at: At, dir: Direction, frame: &[u8]) -> Result<Vec<u8>, Box<Sent>> {
        const HEAD_ROOM: usize = 128;
        let mut buf = vec![0; HEAD_ROOM];
        buf.extend(frame);
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).unwrap();
        let mut reply = [0; 1600];
        match self
            .vpc(at)
            .port()
            .process(dir, self.now.get(), &mut packet, &mut reply)
        {
            Verdict::Forward { .. } | Verdict::ForwardWithHeld { .. } => {
                Ok(packet.frame().to_vec())
            }
            Verdict::Held => Err(Box::new(Sent::Held)),
            Verdict::Hairpin(len) => Err(Box::new(Sent::Answered(reply[..len as usize].to_vec()))),
            Verdict::Drop(reason) => Err(Box::new(Sent::Refused(reason))),
        }
    }
}

/// A dual-stack guest, the `n`th of a VPC, with the prefixes 172.30.0.0/22 and fd00:1::/64 whichever VPC it is.
pub fn guest(vni: u32, n: u8) -> VpcCfg {
    VpcCfg {
        ip_cfg: IpCfg::DualStack {
            ipv4: Ipv4Cfg {
                vpc_subnet: "172.30.0.0/22".parse().unwrap(),
                private_ip: Ipv4Addr::new(172, 30, 0, n),
                gateway_ip: Ipv4Addr::new(172, 30, 0, 1),
                external_ips: ExternalIpCfg::NONE,
            },
            ipv6: Ipv6Cfg {
                vpc_subnet: "fd00:1::/64".parse().unwrap(),
                private_ip: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, u16::from(n)),
                gateway_ip: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1),
                external_ips: ExternalIpCfg::NONE,
            },
        },
        guest_mac: MacAddr([0xa8, 0x40, 0x25, 0xf0, vni as u8, n]),
        gateway_mac: GATEWAY_MAC,
        vni: Vni::new(vni).unwrap(),
        phys_ip: underlay(0),
        dhcp: DhcpCfg::default(),
    }
}

/// A share of an external IPv4 address.
pub fn snat(address: &str, first: u16, last: u16) -> ExternalIpCfg<Ipv4Addr> {
    let ports = PortRange::new(first, last).unwrap();
    ExternalIpCfg {
        snat: Some(SNatCfg {
            external_ip: address.parse().unwrap(),
            ports,
        }),
        ..ExternalIpCfg::NONE
    }
}

/// External IPv4 addresses that can move.
pub fn floating(addresses: &[&str]) -> ExternalIpCfg<Ipv4Addr> {
    ExternalIpCfg {
        floating_ips: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        ..ExternalIpCfg::NONE
    }
}

pub fn route(dest: &str, target: &str, class: RouterClass) -> RouterEntry {
    RouterEntry {
        dest: dest.parse().unwrap(),
        target: target.parse().unwrap(),
        class,
    }
}

/// The gateway as the destination of frames, for an address behind it.
pub fn via_gateway(ip: &str) -> (MacAddr, IpAddr) {
    (GATEWAY_MAC, ip.parse().unwrap())
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn private_ips(cfg: &VpcCfg) -> Vec<IpAddr> {
    let v4 = cfg.ipv4().map(|v4| IpAddr::V4(v4.private_ip));
    v4.into_iter()
        .chain(cfg.ipv6().map(|v6| IpAddr::V6(v6.private_ip)))
        .collect()
}

fn underlay(host: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xaaaa, 0, host as u16 + 1, 0, 0, 0, 1)
}
