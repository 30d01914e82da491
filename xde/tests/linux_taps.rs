//! Ports with TAP links, as a virtual machine monitor finds them: it opens the link by its name and exchanges frames with the
//! driver, through the real kernel.
#![cfg(all(feature = "std", target_os = "linux"))]

mod memory;
mod place;

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use memory::frames::{Body, Frame, udp};
use memory::{create_req, guest_cfg};
use opte::DropReason;
use opte_headers::checksum::Sum;
use opte_headers::{MacAddr, Vni};
use oxide_vpc::api::{
    AddFwRuleReq, AddRouterEntryReq, CreateXdeReq, DeleteXdeReq, GuestLink, PhysNet, RouterClass,
    RouterEntry, SetVirt2PhysReq,
};
use oxide_vpc::network::GATEWAY_MAC;
use place::Place;
use xde::Driver;
use xde::command::Control as _;
use xde::linux::datapath::{DataPath, Orders};
use xde::linux::link;
use xde::linux::netlink::Netlink;
use xde::linux::platform::Linux;
use xde::linux::virtio_net::VirtioNetHeader;
use zerocopy::{FromBytes as _, IntoBytes as _};

const IN_NAMESPACES: &[(&str, fn())] = &[
    ("a_port_answers_its_machine", a_port_answers_its_machine),
    ("machines_exchange_frames", machines_exchange_frames),
    (
        "what_nobody_has_open_is_counted",
        what_nobody_has_open_is_counted,
    ),
];

fn main() {
    place::run_cases(IN_NAMESPACES, &[]);
}

const VPC: u32 = 10;

/// A driver at work in the namespace the caller is in.
struct Host {
    driver: Arc<Driver<Linux>>,
    _data_path: DataPath,
}

impl Host {
    fn start() -> io::Result<Self> {
        let orders = Arc::new(Orders::new()?);
        let driver = Arc::new(Driver::new(Linux::new(Arc::clone(&orders))?, false));
        let _data_path = DataPath::start(Arc::clone(&driver), orders)?;
        Ok(Self { driver, _data_path })
    }

    /// A port with a TAP link for the machine with number `n`, which takes in all its VPC sends.
    fn port(&self, n: u8) -> Machine {
        let cfg = guest_cfg(0, VPC, n);
        let name = format!("opte{n}");
        let machine = Machine {
            mac: cfg.guest_mac,
            ip: cfg.ipv4().unwrap().private_ip.into(),
            link: name.clone(),
        };
        let phys = PhysNet {
            ether: cfg.guest_mac,
            ip: cfg.phys_ip,
            vni: Vni::new(VPC).unwrap(),
        };
        let vip = machine.ip;
        let req = CreateXdeReq {
            link: GuestLink::Tap,
            ..create_req(&name, cfg)
        };
        self.driver.create_xde(req).unwrap();
        self.driver.set_v2p(SetVirt2PhysReq { vip, phys }).unwrap();
        let rule = format!("dir=in action=allow priority=65534 hosts=vni={VPC}");
        let rule = rule.parse().unwrap();
        let port_name = name.clone();
        self.driver
            .add_fw_rule(AddFwRuleReq { port_name, rule })
            .unwrap();
        let entry = RouterEntry {
            dest: "172.30.0.0/22".parse().unwrap(),
            target: "sub4=172.30.0.0/22".parse().unwrap(),
            class: RouterClass::System,
        };
        let port_name = name;
        self.driver
            .add_router_entry(AddRouterEntryReq { port_name, entry })
            .unwrap();
        machine
    }

    fn drops(&self, machine: &Machine, reason: DropReason) -> u64 {
        let switch = self.driver.switch();
        let port = switch.ports().find(|port| port.name == machine.link);
        port.unwrap().counters.drops(reason)
    }
}

impl Host {
    /// What has been dropped, for those who wait for a frame that does not come.
    fn lost(&self) -> String {
        let switch = self.driver.switch();
        let ports = switch
            .ports()
            .map(|port| (&port.name, port.counters.stats()));
        format!("{:?}", ports.collect::<Vec<_>>())
    }
}

struct Machine {
    mac: MacAddr,
    ip: IpAddr,
    link: String,
}

impl Machine {
    /// A frame to `to`, by the gateway.
    fn frame(&self, to: IpAddr, body: Body) -> Frame {
        Frame::new((self.mac, self.ip), (GATEWAY_MAC, to), body)
    }

    fn gateway() -> IpAddr {
        Ipv4Addr::new(172, 30, 0, 1).into()
    }
}

/// What a virtual machine monitor has of a TAP link.
struct Monitor(File);

/// How long something that will come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a machine leaves to its link, or takes from it.
const PLAIN: VirtioNetHeader = VirtioNetHeader {
    flags: 0,
    gso_type: 0,
    header_len: 0,
    gso_size: 0,
    checksum_start: 0,
    checksum_offset: 0,
};

impl Monitor {
    /// Opens the link as `qemu -netdev tap,ifname=..` does. `offloads` are what the machine can take (`TUN_F_*`).
    fn open(link: &str, offloads: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        // SAFETY: all bytes zero is a value of this C struct.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (place, byte) in request.ifr_name.iter_mut().zip(link.bytes()) {
            *place = byte as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16;
        // SAFETY: TUNSETIFF reads and writes one `ifreq`.
        let attached = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request) };
        // SAFETY: TUNSETOFFLOAD takes its argument by value.
        let set = unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                libc::c_ulong::from(offloads),
            )
        };
        if attached < 0 || set < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(file))
    }

    /// Waits until the kernel lets frames through to here, which takes some moments: until one comes of those that `from` sends. Byte `at`
    /// tells its number.
    fn is_reached(&self, from: &Self, at: usize, probe: impl Fn(u8) -> Frame) {
        let arrived = |wait| self.receive_within(wait).map(|(_, frame)| frame);
        let numbers = (0..=u8::MAX).map(|n| {
            from.send(PLAIN, &probe(n).bytes());
            (n, arrived(Duration::from_millis(20)))
        });
        let first = numbers.into_iter().find(|(_, frame)| frame.is_some());
        let (last, mut frame) = first.expect("no frame comes through");
        // It may be an earlier one: those behind it come too.
        while frame.as_ref().unwrap()[at] != last {
            frame = arrived(PATIENCE);
        }
    }

    fn send(&self, header: VirtioNetHeader, frame: &[u8]) {
        let bytes = [header.as_bytes(), frame].concat();
        assert_eq!((&self.0).write(&bytes).unwrap(), bytes.len());
    }

    fn receive(&self) -> Option<(VirtioNetHeader, Vec<u8>)> {
        self.receive_within(PATIENCE)
    }

    fn receive_within(&self, wait: Duration) -> Option<(VirtioNetHeader, Vec<u8>)> {
        let deadline = Instant::now() + wait;
        let mut buffer = vec![0; 70_000];
        while Instant::now() < deadline {
            match (&self.0).read(&mut buffer) {
                Ok(length) => {
                    let (header, frame) =
                        VirtioNetHeader::read_from_prefix(&buffer[..length]).unwrap();
                    return Some((header, frame.to_vec()));
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Neither the host's stack nor anybody else speaks unasked.
    fn nothing_comes(&self) {
        let mut buffer = [0; 2000];
        for _ in 0..30 {
            let read = (&self.0).read(&mut buffer).map(|length| &buffer[..length]);
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Leaves the checksum of a UDP datagram over IPv4 to the link: the field has the pseudo-header's sum.
fn left_open(frame: &Frame) -> (VirtioNetHeader, Vec<u8>) {
    let mut bytes = frame.bytes();
    let length = (bytes.len() - 34) as u16;
    let pseudo = [&bytes[26..34], &[0, 17], &length.to_be_bytes()].concat();
    let sum = !Sum::of(&pseudo).checksum();
    bytes[40..42].copy_from_slice(&sum.to_be_bytes());
    let header = VirtioNetHeader {
        flags: 1,
        checksum_start: 34,
        checksum_offset: 6,
        ..PLAIN
    };
    (header, bytes)
}

fn a_port_answers_its_machine() {
    Place::new("drv-vm").within(|| {
        let host = Host::start()?;
        let machine = host.port(5);
        let monitor = Monitor::open(&machine.link, 0)?;
        let gateway = (GATEWAY_MAC, Machine::gateway());
        monitor.is_reached(&monitor, 41, |n| {
            Frame::ping((machine.mac, machine.ip), gateway, 9, n.into())
        });
        // Who has the gateway's address?
        let mut arp = [&[0xff; 6][..], &machine.mac.octets()].concat();
        arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend(machine.mac.octets());
        arp.extend([172, 30, 0, 5, 0, 0, 0, 0, 0, 0, 172, 30, 0, 1]);
        monitor.send(PLAIN, &arp);
        let (_, answer) = monitor.receive().unwrap();
        assert_eq!(answer[..6], machine.mac.octets());
        assert_eq!(answer[20..22], [0, 2]);
        assert_eq!(answer[22..28], GATEWAY_MAC.octets());
        // Which address is mine?
        let mut discover = vec![1, 1, 6, 0, 1, 2, 3, 4];
        discover.extend([0; 20]);
        discover.extend(machine.mac.octets());
        discover.extend([0; 202]);
        discover.extend([99, 130, 83, 99, 53, 1, 1, 255]);
        let everybody = (MacAddr::BROADCAST, Ipv4Addr::BROADCAST.into());
        let nobody = (machine.mac, Ipv4Addr::UNSPECIFIED.into());
        let discover = Frame::new(nobody, everybody, udp(68, 67, &discover));
        let (header, bytes) = left_open(&discover);
        monitor.send(header, &bytes);
        let (_, offer) = monitor.receive().unwrap();
        let Body::Udp { data, .. } = Frame::read(&offer).body else {
            panic!("{offer:?}");
        };
        assert_eq!(data[16..20], [172, 30, 0, 5]);
        // Are you there?
        let ping = Frame::ping((machine.mac, machine.ip), gateway, 7, 1);
        monitor.send(PLAIN, &ping.bytes());
        let (_, pong) = monitor.receive().unwrap();
        let (asked, said) = (&ping.bytes()[34..], &pong[34..]);
        assert_eq!((pong[30..34].to_vec(), said[0]), (vec![172, 30, 0, 5], 0));
        assert_eq!((&said[4..], Sum::of(said).checksum()), (&asked[4..], 0));
        monitor.nothing_comes();
        Ok(())
    });
}

fn machines_exchange_frames() {
    Place::new("drv-vms").within(|| {
        let host = Host::start()?;
        let (a, b) = (host.port(5), host.port(6));
        let monitor_a = Monitor::open(&a.link, 0)?;
        let mut monitor_b = Monitor::open(&b.link, 0)?;
        let probe = |n| a.frame(b.ip, udp(999, 999, &[n]));
        monitor_b.is_reached(&monitor_a, 42, probe);
        let received = |monitor: &Monitor| {
            let received = monitor.receive();
            received.unwrap_or_else(|| panic!("no frame comes; {}", host.lost()))
        };
        let seen = |sent: &Frame| Frame {
            source_mac: GATEWAY_MAC,
            destination_mac: b.mac,
            ..sent.clone()
        };
        // A checksum left open is completed for a machine that does not take it so.
        let datagram = a.frame(b.ip, udp(1000, 2000, b"a datagram"));
        let (header, bytes) = left_open(&datagram);
        monitor_a.send(header, &bytes);
        let (header, got) = received(&monitor_b);
        assert_eq!(header.flags & 1, 0);
        assert_eq!(Frame::read(&got), seen(&datagram));
        // A super-packet is cut for it.
        let payload: Vec<u8> = (0..4000_u32).map(|n| n as u8).collect();
        let large = a.frame(b.ip, udp(1000, 2000, &payload));
        let (mut header, bytes) = left_open(&large);
        (header.gso_type, header.gso_size, header.header_len) = (5, 1000, 42);
        monitor_a.send(header, &bytes);
        for piece in payload.chunks(1000) {
            let (_, got) = received(&monitor_b);
            let (ip, datagram) = (&got[14..34], &got[34..]);
            let pseudo = [&ip[12..], &[0, 17], &datagram[4..6]].concat();
            let sums = [Sum::of(ip), Sum::of(&[&pseudo, datagram].concat())];
            assert_eq!(sums.map(|sum| sum.checksum()), [0, 0]);
            assert_eq!(&datagram[8..], piece);
        }
        // One that can take both gets both as they are.
        drop(monitor_b);
        let all = libc::TUN_F_CSUM | libc::TUN_F_USO4 | libc::TUN_F_USO6;
        monitor_b = Monitor::open(&b.link, all)?;
        monitor_b.is_reached(&monitor_a, 42, probe);
        monitor_a.send(header, &bytes);
        let (got_header, got) = received(&monitor_b);
        assert_eq!((got_header.gso_type, got_header.gso_size), (5, 1000));
        assert_eq!(got[42..], payload);
        monitor_b.nothing_comes();
        Ok(())
    });
}

fn what_nobody_has_open_is_counted() {
    Place::new("drv-novm").within(|| {
        let host = Host::start()?;
        let (a, b) = (host.port(5), host.port(6));
        let monitor_a = Monitor::open(&a.link, 0)?;
        let probe = |n| a.frame(b.ip, udp(999, 999, &[n]));
        let lost = || host.drops(&b, DropReason::LinkDown);
        // How many are lost when the first one is; the kernel takes up to a second to tell that a link is closed.
        let lose = || {
            let (before, deadline) = (lost(), Instant::now() + PATIENCE);
            while lost() == before && Instant::now() < deadline {
                monitor_a.send(PLAIN, &probe(0).bytes());
                thread::sleep(Duration::from_millis(20));
            }
            lost() - before
        };
        assert!(lose() > 0);
        let monitor_b = Monitor::open(&b.link, 0)?;
        monitor_b.is_reached(&monitor_a, 42, probe);
        let before = lost();
        monitor_a.send(PLAIN, &probe(0).bytes());
        assert!(monitor_b.receive().is_some());
        assert_eq!(lost(), before);
        drop(monitor_b);
        assert!(lose() > 0);
        let name = b.link.clone();
        host.driver.delete_xde(DeleteXdeReq { name }).unwrap();
        assert!(link::find(&mut Netlink::open()?, &b.link).is_err());
        Ok(())
    });
}
