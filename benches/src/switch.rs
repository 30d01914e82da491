//! The driver between guests of one host: everything from a frame as a guest sends it to the frames as others get it.

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::Arc;

use opte::provider::{Log, NoLog, Random, SeededRandom};
use opte::time::Moment;
use opte_headers::{Ethernet, MacAddr, TcpFlags, Vni};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, CreateXdeReq, DhcpCfg, ExternalIpCfg, GuestLink, IpCfg,
    Ipv4Cfg, McastSubscribeReq, PhysNet, RouterClass, RouterEntry, SetMcast2PhysReq,
    SetVirt2PhysReq, SourceFilter, VpcCfg,
};
use xde::command::Control as _;
use xde::frame::Frame;
use xde::platform::{
    LanId, LanLink, LinkRequest, NextHop, NoNextHop, PlatformError, PortId, UnderlayLink,
};
use xde::{Driver, Outbox, Platform};

use crate::frames::{self, GATEWAY_MAC, HOST, VNI};
use crate::{Meter, Row, Unit};

macro_rules! rows {
    ($($name:literal $unit:ident $budget:expr, $run:path;)*) => {
        /// Rows of this module.
        pub const ROWS: &[Row] = &[$(Row { name: $name, unit: Unit::$unit, budget: $budget, run: $run },)*];
    };
}

rows! {
    "local_delivery" Instructions NONE, local_tcp;
    "local_delivery_udp" Instructions NONE, local_udp;
    "local_delivery_udp_1400_bytes" Instructions NONE, local_udp_long;
    "local_delivery_time" Nanoseconds NONE, local_tcp;
    "local_delivery_burst_udp" Instructions NONE, local_burst;
    "local_delivery_burst_udp_time" Nanoseconds NONE, local_burst;
    "multicast_to_1_guest" Instructions NONE, to_1;
    "multicast_to_16_guests" Instructions NONE, to_16;
    "multicast_to_16_guests_1400_bytes" Instructions NONE, to_16_long;
    "allocations_multicast_to_16_guests" Allocations 0.0, to_16;
    "allocations_local_delivery" Allocations 0.0, local_tcp;
}

/// A row without a budget.
const NONE: f64 = f64::INFINITY;

/// Frames between two times that they are made anew, and how often they are.
const RING: usize = 256;
const ROUNDS: usize = 20;

/// A system without links, on which time stands still.
struct Still;

impl Platform for Still {
    type Link = ();

    fn now(&self) -> Moment {
        Moment::from_secs(1)
    }

    fn random(&self) -> Arc<dyn Random> {
        Arc::new(SeededRandom::new(1))
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(NoLog)
    }

    fn create_link(&self, _: &LinkRequest<'_>) -> Result<(), PlatformError> {
        Ok(())
    }

    fn start_link(&self, _: PortId, _: &Arc<()>) -> Result<(), PlatformError> {
        Ok(())
    }

    fn delete_link(&self, _: PortId, _: &Arc<()>) -> Result<(), PlatformError> {
        Ok(())
    }

    fn open_underlay(&self, _: &[&str]) -> Result<Vec<UnderlayLink>, PlatformError> {
        Ok(Vec::new())
    }

    fn take_all_frames(&self, _: bool) -> Result<(), PlatformError> {
        Ok(())
    }

    fn close_underlay(&self) {}

    fn open_lan(&self, _: LanId, name: &str) -> Result<LanLink, PlatformError> {
        Err(PlatformError::LinkNotFound { link: name.into() })
    }

    fn set_stations(&self, _: LanId, _: &[MacAddr]) {}

    fn send_to_lan(&self, _: LanId, _: &[u8]) {}

    fn close_lan(&self, _: LanId) {}

    fn next_hop(&self, _: Ipv6Addr, _: u32) -> Result<NextHop, NoNextHop> {
        Err(NoNextHop::NoUnderlay)
    }
}

/// A host with guests of one VPC, and the buffers that its frames are in.
struct Host {
    driver: Driver<Still>,
    outbox: Outbox<()>,
    /// Frames that are measured at once.
    burst: usize,
}

impl Host {
    fn new(guests: u8) -> Self {
        let driver = Driver::new(Still, false);
        for n in 1..=guests {
            add_guest(&driver, n);
        }
        Self {
            driver,
            outbox: Outbox::new(2 * RING),
            burst: 1,
        }
    }

    /// So many frames of these bytes, as they come from a guest.
    fn ring(&mut self, bytes: &[u8]) -> Vec<Option<Frame>> {
        let frame = |_| {
            let mut frame = self.outbox.pool.take();
            frame.fill(bytes);
            Some(frame)
        };
        (0..RING).map(frame).collect()
    }

    /// Sends a burst of frames, or one, from guest `n`.
    fn send(&mut self, n: u8, frames: impl IntoIterator<Item = Frame>) {
        self.driver
            .from_guest(PortId(n.into()), frames, &mut self.outbox);
    }

    /// How many frames were delivered, whose buffers are free again.
    fn delivered(&mut self) -> usize {
        let count = self.outbox.deliveries().count();
        self.outbox.sent_to_guests();
        count
    }

    /// Measures what it takes to send this frame, of a flow that goes, from guest 1 to so many others.
    fn measure(&mut self, meter: &mut Meter, bytes: &[u8], receivers: usize) {
        // Once unmeasured, for the buffers to be there.
        for round in 0..=ROUNDS {
            let mut ring = self.ring(bytes);
            if round == 0 {
                ring.drain(..).for_each(|frame| self.send(1, frame));
            } else if self.burst > 1 {
                let frames = &mut ring.iter_mut().filter_map(Option::take);
                meter.burst(RING, || {
                    for _ in 0..RING / self.burst {
                        self.send(1, frames.take(self.burst));
                    }
                });
            } else {
                meter.each(RING, |at| self.send(1, black_box(ring[at].take())));
            }
            assert_eq!(self.delivered(), RING * receivers);
        }
    }
}

fn mac(n: u8) -> MacAddr {
    MacAddr::new([0xa8, 0x40, 0x25, 0xf0, 0x00, n])
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, n)
}

fn add_guest(driver: &Driver<Still>, n: u8) {
    let vni = Vni::new(VNI).expect("24 bits");
    let port_name = format!("opte{n}");
    let cfg = VpcCfg {
        ip_cfg: IpCfg::Ipv4(Ipv4Cfg {
            vpc_subnet: "10.0.0.0/22".parse().expect("a prefix"),
            private_ip: ip(n),
            gateway_ip: Ipv4Addr::new(10, 0, 0, 1),
            external_ips: ExternalIpCfg::NONE,
        }),
        guest_mac: mac(n),
        gateway_mac: GATEWAY_MAC,
        vni,
        phys_ip: HOST,
        dhcp: DhcpCfg::default(),
    };
    let create = CreateXdeReq {
        name: port_name.clone(),
        cfg,
        mtu: None,
        passthrough: false,
        link: GuestLink::Veth { netns: None },
    };
    driver.create_xde(create).expect("a port");
    let rule = format!("dir=in action=allow priority=10 hosts=vni={VNI}");
    let rule = rule.parse().expect("a rule");
    let entry = RouterEntry {
        dest: "10.0.0.0/22".parse().expect("a prefix"),
        target: "sub4=10.0.0.0/22".parse().expect("a target"),
        class: RouterClass::System,
    };
    let add = AddFwRuleReq {
        port_name: port_name.clone(),
        rule,
    };
    driver.add_fw_rule(add).expect("room");
    let add = AddRouterEntryReq { port_name, entry };
    driver.add_router_entry(add).expect("room");
    let phys = PhysNet {
        ether: mac(n),
        ip: HOST,
        vni,
    };
    let vip = ip(n).into();
    driver.set_v2p(SetVirt2PhysReq { vip, phys }).expect("room");
}

/// From guest `n` to its gateway.
fn ethernet(n: u8) -> Ethernet {
    Ethernet {
        source: mac(n),
        ..frames::from_guest()
    }
}

fn local_tcp(meter: &mut Meter) {
    let mut host = Host::new(2);
    let ends = [1, 2].map(|n| SocketAddrV4::new(ip(n), 4_000));
    let segment = |from: u8, flags, seq: u32, ack: u32| {
        let [a, b] = ends;
        let (a, b) = if from == 1 { (a, b) } else { (b, a) };
        let mut frame = frames::tcp(ethernet(from), a, b, flags);
        let at = 14 + 20;
        frame[at + 4..at + 8].copy_from_slice(&seq.to_be_bytes());
        frame[at + 8..at + 12].copy_from_slice(&ack.to_be_bytes());
        frame
    };
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    for (from, flags, seq, acked) in [
        (1, syn, 1_000, 0),
        (2, syn.union(ack), 5_000, 1_001),
        (1, ack, 1_001, 5_001),
        (2, ack, 5_001, 1_001),
    ] {
        let frame = segment(from, flags, seq, acked);
        let frame = host.ring(&frame).pop().flatten();
        host.send(from, frame);
    }
    assert_eq!(host.delivered(), 4);
    host.measure(meter, &segment(1, ack, 1_001, 5_001), 1);
}

fn local_udp(meter: &mut Meter) {
    datagrams(meter, 0, 1);
}

fn local_udp_long(meter: &mut Meter) {
    datagrams(meter, 1_400, 1);
}

fn local_burst(meter: &mut Meter) {
    /// As many as are read from a link at once.
    const BURST: usize = 64;
    datagrams(meter, 0, BURST);
}

fn datagrams(meter: &mut Meter, body: usize, burst: usize) {
    let mut host = Host::new(2);
    host.burst = burst;
    let [here, there] = [1, 2].map(|n| SocketAddrV4::new(ip(n), 4_000));
    let answer = frames::udp(ethernet(2), there, here, body);
    let frame = frames::udp(ethernet(1), here, there, body);
    for (n, bytes) in [(1, &frame), (2, &answer)] {
        let frame = host.ring(bytes).pop().flatten();
        host.send(n, frame);
    }
    assert_eq!(host.delivered(), 2);
    host.measure(meter, &frame, 1);
}

fn to_1(meter: &mut Meter) {
    group(meter, 1, 0);
}

fn to_16(meter: &mut Meter) {
    group(meter, 16, 0);
}

fn to_16_long(meter: &mut Meter) {
    group(meter, 16, 1_400);
}

/// Datagrams to a group, of which so many other guests of the host are members.
fn group(meter: &mut Meter, members: u8, body: usize) {
    let mut host = Host::new(1 + members);
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let map = SetMcast2PhysReq {
        vni: Vni::new(VNI),
        group: group.into(),
        underlay: "ff04::1".parse().expect("an address"),
    };
    host.driver.set_m2p(map).expect("room");
    for n in 2..2 + members {
        let subscribe = McastSubscribeReq {
            port_name: format!("opte{n}"),
            group: group.into(),
            filter: SourceFilter::ANY,
        };
        host.driver.mcast_subscribe(subscribe).expect("a mapping");
    }
    let ends = (
        SocketAddrV4::new(ip(1), 4_000),
        SocketAddrV4::new(group, 4_000),
    );
    let ethernet = Ethernet {
        destination: MacAddr::from_ipv4_multicast(group),
        ..ethernet(1)
    };
    let frame = frames::udp(ethernet, ends.0, ends.1, body);
    host.measure(meter, &frame, members.into());
}
