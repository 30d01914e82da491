//! Links, packet sockets, routes and neighbours against the real kernel, in namespaces. Those need root: without it they are
//! counted as ignored, and the reason is said.
#![cfg(all(feature = "std", target_os = "linux"))]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use opte_headers::MacAddr;
use xde::frame::{Frame, FramePool};
use xde::linux::link::{self, GuestEnd};
use xde::linux::namespace::Namespace;
use xde::linux::netlink::Netlink;
use xde::linux::packet_socket::{Outgoing, PacketSocket, Wanted};
use xde::linux::routes::Routes;
use xde::linux::tap::Tap;
use xde::linux::tunnel_port::TunnelPort;
use xde::linux::virtio_net::VirtioNetHeader;
use xde::platform::NoNextHop;

/// Cases that make namespaces.
const IN_NAMESPACES: &[(&str, fn())] = &[
    (
        "a_veth_pair_is_made_whole_and_goes_whole",
        a_veth_pair_is_made_whole_and_goes_whole,
    ),
    (
        "what_a_killed_driver_left_is_replaced",
        what_a_killed_driver_left_is_replaced,
    ),
    (
        "a_failed_creation_leaves_nothing",
        a_failed_creation_leaves_nothing,
    ),
    (
        "only_the_guest_speaks_on_its_link",
        only_the_guest_speaks_on_its_link,
    ),
    (
        "a_guests_stack_hands_over_partial_checksums",
        a_guests_stack_hands_over_partial_checksums,
    ),
    (
        "a_tap_carries_frames_both_ways",
        a_tap_carries_frames_both_ways,
    ),
    ("next_hops_follow_the_kernel", next_hops_follow_the_kernel),
    (
        "the_tunnels_port_is_silent_and_its_frames_come_up",
        the_tunnels_port_is_silent_and_its_frames_come_up,
    ),
];

fn main() {
    let probe = Command::new("unshare").args(["-n", "ip", "link"]).output();
    let is_root = probe.is_ok_and(|output| output.status.success());
    if !is_root {
        eprintln!(
            "network namespaces cannot be made (root is needed, and iproute2): their cases are ignored"
        );
    }
    let case = |(name, run): &(&str, fn())| {
        let run = *run;
        Trial::test(*name, move || {
            run();
            Ok(())
        })
    };
    let mut cases: Vec<Trial> = IN_NAMESPACES
        .iter()
        .map(|named| case(named).with_ignored_flag(!is_root))
        .collect();
    cases.push(case(&(
        "a_namespace_has_a_plain_name",
        a_namespace_has_a_plain_name,
    )));
    libtest_mimic::run(&Arguments::from_args(), cases).exit();
}

/// A named namespace that goes away again.
struct Place(String);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        run(&format!("netns add {name}"));
        run(&format!("-n {name} link set lo up"));
        Self(name)
    }

    fn namespace(&self) -> Namespace {
        Namespace::open(&self.0).unwrap()
    }

    fn run(&self, arguments: &str) {
        run(&format!("-n {} {arguments}", self.0));
    }

    fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> T {
        self.namespace().within(work).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

fn run(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn guest_end<'a>(name: &'a str, namespace: &'a Namespace) -> GuestEnd<'a> {
    GuestEnd {
        name,
        mac: MacAddr::new([0xa8, 0x40, 0x25, 0xff, 0, 1]),
        mtu: 1500,
        namespace: Some(namespace),
    }
}

/// Receives until a frame satisfies `wanted` or a second is over.
fn receive_until(socket: &PacketSocket, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
    let mut pool = FramePool::new(0);
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        let mut frames: Vec<Frame> = (0..8).map(|_| pool.take()).collect();
        let count = socket.receive(&mut frames).unwrap();
        if let Some(frame) = frames.into_iter().take(count).find(&wanted) {
            return Some(frame);
        }
        thread::sleep(Duration::from_millis(2));
    }
    None
}

fn ethertype(frame: &Frame) -> u16 {
    frame
        .bytes()
        .get(12..14)
        .map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

fn a_veth_pair_is_made_whole_and_goes_whole() {
    let (host, guest) = (Place::new("drv-veth-h"), Place::new("drv-veth-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let end = guest_end("drvport0", &inside);
        let made = link::create_veth(&mut netlink, &end)?;
        assert_eq!(made.name, "drvport0.h");
        assert!(made.is_up);
        let _holder = PacketSocket::open(made.index, Wanted::All)?;
        // A second of the same name is refused and leaves the first alone.
        let error = link::create_veth(&mut netlink, &end).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc_eexist()));
        assert_eq!(link::find(&mut netlink, "drvport0.h")?.index, made.index);
        let there = inside.within(|| link::find(&mut Netlink::open()?, "drvport0"))?;
        assert_eq!((there.mac, there.mtu, there.is_up), (end.mac, 1500, true));
        link::delete(&mut netlink, made.index)?;
        assert!(link::find(&mut netlink, "drvport0.h").is_err());
        assert!(
            inside
                .within(|| link::find(&mut Netlink::open()?, "drvport0"))
                .is_err()
        );
        Ok(())
    });
}

const fn libc_eexist() -> i32 {
    17
}

fn what_a_killed_driver_left_is_replaced() {
    let (host, guest) = (Place::new("drv-left-h"), Place::new("drv-left-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let end = guest_end("drvport0", &inside);
        let refused = |netlink: &mut Netlink| {
            let error = link::create_veth(netlink, &end).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        };
        let left = link::create_veth(&mut netlink, &end)?;
        // Somebody holds it; then nobody does.
        let holder = PacketSocket::open(left.index, Wanted::All)?;
        refused(&mut netlink);
        drop(holder);
        let made = link::create_veth(&mut netlink, &end)?;
        assert_ne!(made.index, left.index);
        // A link of the same name that no driver made.
        host.run("link set drvport0.h alias other");
        refused(&mut netlink);
        Ok(())
    });
}

fn a_failed_creation_leaves_nothing() {
    let (host, guest) = (Place::new("drv-fail-h"), Place::new("drv-fail-g"));
    guest.run("link add drvport1 type veth peer name other");
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        assert!(link::create_veth(&mut netlink, &guest_end("drvport1", &inside)).is_err());
        assert!(link::find(&mut netlink, "drvport1.h").is_err());
        Ok(())
    });
}

fn a_namespace_has_a_plain_name() {
    for name in ["", ".", "..", "../mnt", "a/b", "a\0b"] {
        assert_eq!(
            Namespace::open(name).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}

fn only_the_guest_speaks_on_its_link() {
    let (host, guest) = (Place::new("drv-quiet-h"), Place::new("drv-quiet-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let made = link::create_veth(&mut netlink, &guest_end("drvport0", &inside))?;
        let (to_guest, listener) = (
            PacketSocket::open(made.index, Wanted::All)?,
            inside.within(|| {
                let there = link::find(&mut Netlink::open()?, "drvport0")?;
                PacketSocket::open(there.index, Wanted::Promiscuous)
            })?,
        );
        // An ARP request for any address the host may have, and one second for router solicitations and the like.
        let mut arp = vec![0xff; 6];
        arp.extend([0xa8, 0x40, 0x25, 0xff, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend([
            0xa8, 0x40, 0x25, 0xff, 0, 1, 10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 127, 0, 0, 1,
        ]);
        let request = Outgoing {
            header: VirtioNetHeader::default(),
            head: &arp,
            payload: &[],
        };
        listener.send(&[request], |_, error| panic!("{error}"));
        assert!(receive_until(&to_guest, |f| f.bytes() == arp).is_some());
        assert!(receive_until(&listener, |_| true).is_none());
        Ok(())
    });
}

fn a_guests_stack_hands_over_partial_checksums() {
    let (host, guest) = (Place::new("drv-gso-h"), Place::new("drv-gso-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let made = link::create_veth(&mut netlink, &guest_end("drvport0", &inside))?;
        guest.run("addr add 10.0.0.5/24 dev drvport0");
        guest.run("neigh add 10.0.0.1 lladdr a8:40:25:ff:77:77 dev drvport0");
        let socket = PacketSocket::open(made.index, Wanted::All)?;
        inside.within(|| {
            let from = UdpSocket::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), 0))?;
            from.send_to(b"a datagram", (Ipv4Addr::new(10, 0, 0, 1), 9))
        })?;
        let frame = receive_until(&socket, |f| ethertype(f) == 0x0800).unwrap();
        assert_eq!(frame.offload.sums, opte_headers::program::Sums::Partial);
        assert!(frame.bytes().ends_with(b"a datagram"));
        // What was received goes back out with the same request.
        assert_ne!(
            VirtioNetHeader::of(frame.offload, frame.bytes()),
            VirtioNetHeader::default()
        );
        Ok(())
    });
}

fn a_tap_carries_frames_both_ways() {
    let (host, guest) = (Place::new("drv-tap-h"), Place::new("drv-tap-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let (tap, _) = Tap::create(&mut netlink, &guest_end("drvtap0", &inside))?;
        guest.run("addr add 10.0.0.5/24 dev drvtap0");
        guest.run("neigh add 10.0.0.1 lladdr a8:40:25:ff:77:77 dev drvtap0");
        let socket = inside.within(|| {
            let socket = UdpSocket::bind((IpAddr::from(Ipv4Addr::new(10, 0, 0, 5)), 1000))?;
            socket.set_read_timeout(Some(Duration::from_secs(2)))?;
            socket.send_to(b"to the driver", (Ipv4Addr::new(10, 0, 0, 1), 2000))?;
            Ok(socket)
        })?;
        let mut pool = FramePool::new(1);
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut frame = loop {
            let mut frames = [pool.take()];
            if tap.receive(&mut frames)? == 1 && ethertype(&frames[0]) == 0x0800 {
                break frames.into_iter().next().unwrap();
            }
            assert!(Instant::now() < deadline, "nothing came");
        };
        // Turned round: addresses and ports change places, so the sum stays.
        let bytes = frame.bytes_mut();
        for (a, b, len) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
            for at in 0..len {
                bytes.swap(a + at, b + at);
            }
        }
        let echo = Outgoing {
            header: VirtioNetHeader::of(frame.offload, frame.bytes()),
            head: frame.bytes(),
            payload: &[],
        };
        tap.send(&[echo], |_, error| panic!("{error}"));
        let mut answer = [0; 64];
        let (length, from) = socket.recv_from(&mut answer)?;
        assert_eq!(&answer[..length], b"to the driver");
        assert_eq!(from.port(), 2000);
        drop(tap);
        assert!(
            inside
                .within(|| link::find(&mut Netlink::open()?, "drvtap0"))
                .is_err()
        );
        Ok(())
    });
}

/// Two hosts with two links between them, and loopback addresses behind multipath routes.
fn underlay(a: &Place, b: &Place) {
    for n in 0..2 {
        a.run(&format!(
            "link add u{n} mtu 9000 type veth peer name u{n} netns {} mtu 9000",
            b.0
        ));
        for (place, host) in [(a, 1), (b, 2)] {
            place.run(&format!("addr add fd00:{n}::{host}/64 dev u{n} nodad"));
            place.run(&format!("link set u{n} up"));
        }
    }
    a.run("addr add fd00:aa::1/128 dev lo");
    b.run("addr add fd00:bb::1/128 dev lo");
    a.run("-6 route add fd00:bb::/64 nexthop via fd00:0::2 dev u0 nexthop via fd00:1::2 dev u1");
    b.run("-6 route add fd00:aa::/64 nexthop via fd00:0::1 dev u0 nexthop via fd00:1::1 dev u1");
}

/// Asks until `wanted` is the answer, for at most eight seconds.
fn ask_until<T: PartialEq>(ask: impl Fn() -> T, wanted: &T) -> bool {
    let deadline = Instant::now() + Duration::from_secs(8);
    while Instant::now() < deadline {
        if ask() == *wanted {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

fn next_hops_follow_the_kernel() {
    let (a, b) = (Place::new("drv-route-a"), Place::new("drv-route-b"));
    underlay(&a, &b);
    let far: Ipv6Addr = "fd00:bb::1".parse().unwrap();
    let nowhere: Ipv6Addr = "fd00:cc::1".parse().unwrap();
    let (links, far_links) = (
        a.within(|| both(&mut Netlink::open()?)),
        b.within(|| both(&mut Netlink::open()?)),
    );
    let routes = a.within(|| Routes::over(&links));
    let hashes = [0, u32::MAX / 4, u32::MAX / 4 * 3, u32::MAX];
    let chosen = || hashes.map(|hash| routes.next_hop(far, hash).map(|hop| hop.link));
    assert_eq!(routes.next_hop(far, 0), Err(NoNextHop::Unresolved));
    assert!(
        ask_until(chosen, &[Ok(0), Ok(0), Ok(1), Ok(1)]),
        "{:?}",
        chosen()
    );
    for (hash, link) in [(0, 0), (u32::MAX, 1)] {
        let hop = routes.next_hop(far, hash).unwrap();
        assert_eq!(
            (hop.source, hop.destination),
            (links[link].mac, far_links[link].mac)
        );
        assert_eq!(hop.mtu, 9000);
    }
    assert!(ask_until(
        || routes.next_hop(nowhere, 0),
        &Err(NoNextHop::NoRoute)
    ));
    // A way appears, a link goes down, and comes up again.
    a.run("-6 route add fd00:cc::/64 via fd00:1::2 dev u1");
    assert!(ask_until(
        || routes.next_hop(nowhere, 0).map(|hop| hop.link),
        &Ok(1)
    ));
    b.run("link set u0 down");
    assert!(ask_until(chosen, &[Ok(1); 4]), "{:?}", chosen());
    b.run("link set u0 up");
    b.run("addr replace fd00:0::2/64 dev u0 nodad");
    assert!(
        ask_until(chosen, &[Ok(0), Ok(0), Ok(1), Ok(1)]),
        "{:?}",
        chosen()
    );
    // A machine gets another address.
    b.run("link set u1 address 02:00:00:00:00:77");
    b.run("neigh flush dev u1");
    a.run("neigh replace fd00:1::2 lladdr 02:00:00:00:00:77 dev u1");
    let mac = MacAddr::new([2, 0, 0, 0, 0, 0x77]);
    assert!(ask_until(
        || routes.next_hop(far, u32::MAX).map(|hop| hop.destination),
        &Ok(mac)
    ));
}

fn both(netlink: &mut Netlink) -> io::Result<[link::Link; 2]> {
    Ok([link::find(netlink, "u0")?, link::find(netlink, "u1")?])
}

fn the_tunnels_port_is_silent_and_its_frames_come_up() {
    let (a, b) = (Place::new("drv-port-a"), Place::new("drv-port-b"));
    underlay(&a, &b);
    let target = ("fd00:0::2", 6081);
    // Without the port held the kernel refuses; with it, it says nothing and the packet socket has the frame.
    let send = || {
        a.within(|| {
            let socket = UdpSocket::bind((IpAddr::from(Ipv6Addr::UNSPECIFIED), 0))?;
            socket.set_read_timeout(Some(Duration::from_millis(300)))?;
            socket.connect(target)?;
            socket.send(b"not quite geneve")?;
            Ok(socket.recv(&mut [0; 16]).unwrap_err().kind())
        })
    };
    assert_eq!(send(), io::ErrorKind::ConnectionRefused);
    let _held = b.within(TunnelPort::hold);
    let socket = b.within(|| {
        let [u0, _] = both(&mut Netlink::open()?)?;
        PacketSocket::open(u0.index, Wanted::Geneve { own: u0.mac })
    });
    assert_eq!(send(), io::ErrorKind::WouldBlock);
    let frame = receive_until(&socket, |_| true).unwrap();
    assert!(frame.bytes().ends_with(b"not quite geneve"));
    // Nothing else has come up: neither neighbour discovery nor a datagram to another port.
    a.within(|| {
        let socket = UdpSocket::bind((IpAddr::from(Ipv6Addr::UNSPECIFIED), 0))?;
        socket.send_to(b"other", ("fd00:0::2", 6082))
    });
    assert!(receive_until(&socket, |_| true).is_none());
}
