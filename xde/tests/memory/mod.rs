//! Hosts in memory: drivers joined by an underlay that is a function call, with a clock of the test's own.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

#[path = "../../../oxide-vpc/tests/sim/frames.rs"]
pub mod frames;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opte::DropReason;
use opte::api::{DumpStatsReq, NoResp, OpteError};
use opte::packet::Offload;
use opte::provider::{Log, NoLog, Random, SeededRandom};
use opte::time::Moment;
use opte_headers::{MacAddr, Vni};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, CreateXdeReq, DhcpCfg, ExternalIpCfg, GuestLink, IpCfg,
    Ipv4Cfg, Ipv6Cfg, PhysNet, RouterClass, RouterEntry, SetVirt2PhysReq, SetXdeUnderlayReq,
    VpcCfg,
};
use oxide_vpc::network::GATEWAY_MAC;
use xde::command::Control;
use xde::platform::{
    LanId, LanLink, LinkRequest, NextHop, NoNextHop, PlatformError, PortId, UnderlayLink,
};
use xde::segment::MAX_HEADERS;
use xde::{Driver, Outbox, Platform, WireFrame as _};

use frames::Frame;

pub const MTU: u32 = 9000;

/// The host's link to any LAN.
pub const LAN_LINK: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
pub const LAN_MTU: u32 = 1500;

/// A system that has nothing but a clock, and fails where it is told to.
#[derive(Debug, Default)]
pub struct Memory {
    host: u8,
    nanos: AtomicU64,
    /// What exists and is started.
    pub links: Mutex<BTreeSet<String>>,
    /// Which step fails next: `create`, `start`, `delete`, `listen`.
    pub fails: Mutex<Option<&'static str>>,
    /// Neighbours are not known.
    pub silent: Mutex<bool>,
    pub all_frames: Mutex<bool>,
    /// The links to LANs that are open, with the stations that they hear for.
    pub lans: Mutex<BTreeMap<LanId, (String, Vec<MacAddr>)>>,
    /// What was sent to LANs beside the frames of guests.
    pub announced: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
pub struct MemoryLink(pub String);

impl Memory {
    fn step(&self, name: &'static str) -> Result<(), PlatformError> {
        let mut fails = self.fails.lock().unwrap();
        if *fails == Some(name) {
            *fails = None;
            return Err(PlatformError::Refused {
                errno: 5,
                message: format!("{name} fails"),
            });
        }
        Ok(())
    }
}

impl Platform for Memory {
    type Link = MemoryLink;

    fn now(&self) -> Moment {
        Moment::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn random(&self) -> Arc<dyn Random> {
        Arc::new(SeededRandom::new(u64::from(self.host)))
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(NoLog)
    }

    fn create_link(&self, link: &LinkRequest<'_>) -> Result<MemoryLink, PlatformError> {
        self.step("create")?;
        assert!(self.links.lock().unwrap().insert(link.name.to_owned()));
        Ok(MemoryLink(link.name.to_owned()))
    }

    fn start_link(&self, _: PortId, link: &Arc<MemoryLink>) -> Result<(), PlatformError> {
        assert!(self.links.lock().unwrap().contains(&link.0));
        self.step("start")
    }

    fn delete_link(&self, _: PortId, link: &Arc<MemoryLink>) -> Result<(), PlatformError> {
        self.step("delete")?;
        assert!(self.links.lock().unwrap().remove(&link.0));
        Ok(())
    }

    fn open_underlay(&self, names: &[&str]) -> Result<Vec<UnderlayLink>, PlatformError> {
        if let Some(link) = names.iter().find(|name| !name.starts_with('u')) {
            let link = (*link).to_owned();
            return Err(PlatformError::LinkNotFound { link });
        }
        let link = |n| UnderlayLink {
            mac: underlay_mac(self.host, n),
            mtu: MTU,
        };
        Ok((0..names.len()).map(link).collect())
    }

    fn take_all_frames(&self, all: bool) -> Result<(), PlatformError> {
        self.step("listen")?;
        *self.all_frames.lock().unwrap() = all;
        Ok(())
    }

    fn close_underlay(&self) {}

    fn open_lan(&self, id: LanId, name: &str) -> Result<LanLink, PlatformError> {
        self.step("lan")?;
        if !name.starts_with("lan") {
            let link = name.to_owned();
            return Err(PlatformError::LinkNotFound { link });
        }
        let new = (name.to_owned(), Vec::new());
        assert!(self.lans.lock().unwrap().insert(id, new).is_none());
        Ok(LanLink {
            mac: LAN_LINK,
            mtu: LAN_MTU,
        })
    }

    fn set_stations(&self, id: LanId, stations: &[MacAddr]) {
        let mut lans = self.lans.lock().unwrap();
        lans.get_mut(&id).unwrap().1 = stations.to_vec();
    }

    fn send_to_lan(&self, id: LanId, frame: &[u8]) {
        assert!(self.lans.lock().unwrap().contains_key(&id));
        self.announced.lock().unwrap().push(frame.to_vec());
    }

    fn close_lan(&self, id: LanId) {
        assert!(self.lans.lock().unwrap().remove(&id).is_some());
    }

    fn next_hop(&self, destination: Ipv6Addr, hash: u32) -> Result<NextHop, NoNextHop> {
        if *self.silent.lock().unwrap() {
            return Err(NoNextHop::Unresolved);
        }
        let host = (0..2).find(|host| underlay_address(*host) == destination);
        let host = host.ok_or(NoNextHop::NoRoute)?;
        let link = (hash >> 31) as usize;
        Ok(NextHop {
            link,
            source: underlay_mac(self.host, link),
            destination: underlay_mac(host, link),
            mtu: MTU,
        })
    }
}

pub fn underlay_address(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xaaaa, 0, 0, 0, 0, 0, u16::from(host) + 1)
}

pub fn underlay_mac(host: u8, link: usize) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, host, link as u8])
}

/// A frame that a guest got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    pub host: usize,
    pub port: String,
    pub bytes: Vec<u8>,
    pub offload: Offload,
}

impl Got {
    pub fn frame(&self) -> Frame {
        Frame::read(&self.bytes)
    }
}

/// Two hosts, each with two underlay links to the other.
pub struct World {
    pub hosts: Vec<Driver<Memory>>,
    /// Every frame that was on the underlay.
    pub wire: Vec<Vec<u8>>,
    to_lans: Vec<(LanId, Vec<u8>)>,
}

impl World {
    pub fn new() -> Self {
        let host = |host| {
            let platform = Memory {
                host,
                nanos: AtomicU64::new(1_000_000_000),
                ..Memory::default()
            };
            let driver = Driver::new(platform, false);
            let (u1, u2) = ("u0".to_owned(), Some("u1".to_owned()));
            driver
                .set_xde_underlay(SetXdeUnderlayReq { u1, u2 })
                .unwrap();
            driver
        };
        Self {
            hosts: (0..2).map(host).collect(),
            wire: Vec::new(),
            to_lans: Vec::new(),
        }
    }

    /// A guest that lets its VPC in, with routes to its subnets, mapped on both hosts.
    pub fn guest(&self, host: usize, vni: u32, n: u8) -> Guest {
        let cfg = guest_cfg(host as u8, vni, n);
        let guest = Guest {
            host,
            port: format!("opte{vni}n{n}"),
            mac: cfg.guest_mac,
            v4: cfg.ipv4().unwrap().private_ip.into(),
            v6: cfg.ipv6().unwrap().private_ip.into(),
        };
        self.create(host, &guest.port, cfg.clone()).unwrap();
        self.let_in(&guest, vni);
        let driver = &self.hosts[host];
        for subnet in ["172.30.0.0/22", "fd00:1::/64"] {
            let family = if subnet.contains(':') { 6 } else { 4 };
            let entry = RouterEntry {
                dest: subnet.parse().unwrap(),
                target: format!("sub{family}={subnet}").parse().unwrap(),
                class: RouterClass::System,
            };
            let port_name = guest.port.clone();
            let req = AddRouterEntryReq { port_name, entry };
            driver.add_router_entry(req).unwrap();
        }
        for driver in &self.hosts {
            for vip in [guest.v4, guest.v6] {
                let phys = PhysNet {
                    ether: guest.mac,
                    ip: cfg.phys_ip,
                    vni: cfg.vni,
                };
                driver.set_v2p(SetVirt2PhysReq { vip, phys }).unwrap();
            }
        }
        guest
    }

    /// Has the firewall of a guest let its VPC in.
    pub fn let_in(&self, guest: &Guest, vni: u32) {
        let driver = &self.hosts[guest.host];
        let rule = format!("dir=in action=allow priority=65534 hosts=vni={vni}");
        let port_name = guest.port.clone();
        let rule = rule.parse().unwrap();
        driver
            .add_fw_rule(AddFwRuleReq { port_name, rule })
            .unwrap();
    }

    pub fn create(&self, host: usize, name: &str, cfg: VpcCfg) -> Result<NoResp, OpteError> {
        self.hosts[host].create_xde(create_req(name, cfg))
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        for host in &self.hosts {
            let nanos = time.as_nanos() as u64;
            host.platform().nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Sends a frame from a guest, and says who got what in the end.
    pub fn send(&mut self, from: &Guest, frame: &Frame) -> Vec<Got> {
        self.send_bytes(from, &frame.bytes(), Offload::default())
    }

    pub fn send_bytes(&mut self, from: &Guest, bytes: &[u8], offload: Offload) -> Vec<Got> {
        let host = &self.hosts[from.host];
        let id = host
            .switch()
            .ports()
            .find(|port| port.name == from.port)
            .map_or(PortId(u64::MAX), |port| port.id);
        let mut outbox = Outbox::new(0);
        let frame = frame_of(&mut outbox, bytes, offload);
        host.from_guest(id, [frame], &mut outbox);
        self.carry(from.host, outbox)
    }

    /// What becomes of a frame on the underlay that reaches a host.
    pub fn underlay(&mut self, host: usize, link: usize, bytes: &[u8]) -> Vec<Got> {
        let mut outbox = Outbox::new(0);
        let frame = frame_of(&mut outbox, bytes, Offload::default());
        self.hosts[host].from_underlay(link, [frame], &mut outbox);
        self.carry(host, outbox)
    }

    /// What becomes of a frame that reaches a host from a LAN.
    pub fn lan(&mut self, host: usize, lan: LanId, bytes: &[u8], offload: Offload) -> Vec<Got> {
        let mut outbox = Outbox::new(0);
        let frame = frame_of(&mut outbox, bytes, offload);
        self.hosts[host].from_lan(lan, [frame], &mut outbox);
        self.carry(host, outbox)
    }

    /// The frames that went to LANs since this was last asked.
    pub fn take_from_lans(&mut self) -> Vec<(LanId, Vec<u8>)> {
        std::mem::take(&mut self.to_lans)
    }

    /// Has a host take up the frames that wait.
    pub fn retry(&mut self, host: usize) -> Vec<Got> {
        let mut outbox = Outbox::new(0);
        self.hosts[host].retry_waiting(&mut outbox);
        self.carry(host, outbox)
    }

    fn carry(&mut self, host: usize, outbox: Outbox<MemoryLink>) -> Vec<Got> {
        let mut got: Vec<Got> = outbox
            .deliveries()
            .map(|(port, frame)| Got {
                host,
                port: port.name.clone(),
                bytes: frame.bytes().to_vec(),
                offload: frame.offload,
            })
            .collect();
        for sent in &outbox.to_lans {
            sent.for_each_wire_frame(&mut [0; MAX_HEADERS], |head, payload| {
                let bytes = [head, payload].concat();
                assert!(bytes.len() <= LAN_MTU as usize + 14, "{}", bytes.len());
                self.to_lans.push((sent.lan, bytes));
            });
        }
        for sent in &outbox.to_underlay {
            let mut wire = Vec::new();
            sent.for_each_wire_frame(&mut [0; MAX_HEADERS], |head, payload| {
                wire.push([head, payload].concat());
            });
            for bytes in wire {
                assert!(
                    bytes.len() <= MTU as usize + 14,
                    "{} on the wire",
                    bytes.len()
                );
                self.wire.push(bytes.clone());
                // The links are flat: what is to an IPv6 group reaches all others.
                if bytes.starts_with(&[0x33, 0x33]) {
                    got.extend(self.underlay(1 - host, sent.link, &bytes));
                    continue;
                }
                let to = (0..2)
                    .find(|to| bytes.get(..6) == Some(&underlay_mac(*to, sent.link).octets()[..]));
                if let Some(to) = to {
                    got.extend(self.underlay(usize::from(to), sent.link, &bytes));
                }
            }
        }
        got
    }

    /// How many frames were dropped for `reason`, by a host and all its ports.
    pub fn drops(&self, host: usize, reason: DropReason) -> u64 {
        self.all_drops(host, |name| name == reason.name())
    }

    /// The sum of the counters of a host's ports whose names end so.
    pub fn count(&self, host: usize, name: &str) -> u64 {
        let req = DumpStatsReq {
            port_name: None,
            page: opte::api::Page::FIRST,
        };
        let stats = self.hosts[host].dump_stats(req).unwrap();
        let counters = stats.ports.iter().flat_map(|port| &port.counters);
        counters
            .filter(|(found, _)| found.ends_with(name))
            .map(|(_, count)| count)
            .sum()
    }

    pub fn all_drops(&self, host: usize, wanted: impl Fn(&str) -> bool) -> u64 {
        let req = DumpStatsReq {
            port_name: None,
            page: opte::api::Page::FIRST,
        };
        let stats = self.hosts[host].dump_stats(req).unwrap();
        let ports = stats.ports.iter().map(|port| &port.drops);
        let all = ports.chain([&stats.driver.drops]);
        all.flatten()
            .filter(|(name, _)| wanted(name))
            .map(|(_, count)| count)
            .sum()
    }
}

fn frame_of(outbox: &mut Outbox<MemoryLink>, bytes: &[u8], offload: Offload) -> xde::frame::Frame {
    let mut frame = outbox.pool.take();
    frame.space()[..bytes.len()].copy_from_slice(bytes);
    frame.received(bytes.len(), offload);
    frame
}

/// A guest of the world.
#[derive(Clone, Debug)]
pub struct Guest {
    pub host: usize,
    pub port: String,
    pub mac: MacAddr,
    pub v4: IpAddr,
    pub v6: IpAddr,
}

impl Guest {
    pub fn got(&self, got: &[Got]) -> Vec<Frame> {
        let mine = |got: &&Got| got.host == self.host && got.port == self.port;
        assert!(got.iter().all(|got| mine(&got)), "{got:?}");
        got.iter().map(Got::frame).collect()
    }
}

pub fn create_req(name: &str, cfg: VpcCfg) -> CreateXdeReq {
    CreateXdeReq {
        name: name.to_owned(),
        cfg,
        mtu: None,
        passthrough: false,
        link: GuestLink::Veth { netns: None },
    }
}

pub fn guest_cfg(host: u8, vni: u32, n: u8) -> VpcCfg {
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
                private_ip: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, n.into()),
                gateway_ip: Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1),
                external_ips: ExternalIpCfg::NONE,
            },
        },
        guest_mac: MacAddr([0xa8, 0x40, 0x25, 0xf0, vni as u8, n]),
        gateway_mac: GATEWAY_MAC,
        vni: Vni::new(vni).unwrap(),
        phys_ip: underlay_address(host),
        dhcp: DhcpCfg::default(),
    }
}
