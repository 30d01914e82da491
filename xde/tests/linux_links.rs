//! Links, packet sockets, routes and neighbours against the real kernel, in namespaces. Those need root: without it they are
//! counted as ignored, and the reason is said.
#![cfg(all(feature = "std", target_os = "linux"))]

mod place;

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use opte::packet::Offload;
use opte_headers::MacAddr;
use opte_headers::program::Sums;
use place::Place;
use xde::frame::{Frame, FramePool};
use xde::linux::link::{self, GuestEnd};
use xde::linux::namespace::Namespace;
use xde::linux::netlink::Netlink;
use xde::linux::packet_socket::{Outgoing, PacketSocket, Wanted};
use xde::linux::routes::Routes;
use xde::linux::tap::create_tap;
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
        "frames_that_find_no_room_are_told",
        frames_that_find_no_room_are_told,
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
        "a_guests_stack_cuts_what_cannot_be_handed_over",
        a_guests_stack_cuts_what_cannot_be_handed_over,
    ),
    ("vlan_tags_stand_in_frames", vlan_tags_stand_in_frames),
    ("a_tap_stays_until_deleted", a_tap_stays_until_deleted),
    ("next_hops_follow_the_kernel", next_hops_follow_the_kernel),
    (
        "the_tunnels_port_is_silent_and_its_frames_come_up",
        the_tunnels_port_is_silent_and_its_frames_come_up,
    ),
];

fn main() {
    let anywhere: &[(&str, fn())] =
        &[("a_namespace_has_a_plain_name", a_namespace_has_a_plain_name)];
    place::run_cases(IN_NAMESPACES, anywhere);
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

fn frames_that_find_no_room_are_told() {
    let (host, guest) = (Place::new("drv-full-h"), Place::new("drv-full-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let made = link::create_veth(&mut netlink, &guest_end("drvport0", &inside))?;
        let slow = PacketSocket::open(made.index, Wanted::All)?;
        let sender = inside.within(|| {
            let there = link::find(&mut Netlink::open()?, "drvport0")?;
            PacketSocket::open(there.index, Wanted::Promiscuous)
        })?;
        assert_eq!(slow.overflowed(), 0);
        let mut frame = vec![0xff; 1514];
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        let outgoing = Outgoing {
            header: VirtioNetHeader::default(),
            head: &frame,
            payload: &[],
        };
        // More than the socket has room for, taken by nobody.
        for _ in 0..1200 {
            sender.send(&[outgoing; 64], |_, _| {});
        }
        assert!(slow.overflowed() > 0);
        // What was told is not told again.
        assert_eq!(slow.overflowed(), 0);
        Ok(())
    });
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
        assert_eq!(frame.offload.sums, Sums::Partial);
        assert!(frame.bytes().ends_with(b"a datagram"));
        // What was received goes back out with the same request.
        assert_ne!(
            VirtioNetHeader::of(frame.offload, frame.bytes()),
            VirtioNetHeader::default()
        );
        Ok(())
    });
}

fn a_guests_stack_cuts_what_cannot_be_handed_over() {
    let (host, guest) = (Place::new("drv-tnl-h"), Place::new("drv-tnl-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let made = link::create_veth(&mut netlink, &guest_end("drvport0", &inside))?;
        // A tunnel of the guest's own over its link, and a burst of datagrams through it that its stack would like cut late.
        guest.run("addr add 10.0.0.5/24 dev drvport0");
        guest.run("neigh add 10.0.0.1 lladdr a8:40:25:ff:77:77 dev drvport0");
        guest.run("link add vx0 type vxlan id 7 dstport 4789 remote 10.0.0.1 dev drvport0");
        guest.run("addr add 192.168.9.1/24 dev vx0");
        guest.run("link set vx0 up");
        guest.run("neigh add 192.168.9.2 lladdr 02:00:00:00:00:02 dev vx0");
        let socket = PacketSocket::open(made.index, Wanted::All)?;
        inside.within(|| {
            let from = UdpSocket::bind((IpAddr::from(Ipv4Addr::UNSPECIFIED), 0))?;
            setsockopt(&from, sockopt::UdpGsoSegment, &1000)?;
            from.send_to(&[7; 4000], (Ipv4Addr::new(192, 168, 9, 2), 9))
        })?;
        let whole = 14 + 20 + 8 + 8 + 14 + 20 + 8 + 1000;
        let came = Cell::new(0);
        let is_last = |frame: &Frame| {
            let is_piece = frame.bytes().len() == whole && frame.bytes().ends_with(&[7; 1000]);
            came.update(|n| n + u32::from(is_piece));
            came.get() == 4
        };
        assert!(receive_until(&socket, is_last).is_some(), "{came:?}");
        Ok(())
    });
}

fn vlan_tags_stand_in_frames() {
    let (host, guest) = (Place::new("drv-vlan-h"), Place::new("drv-vlan-g"));
    let inside = guest.namespace();
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let made = link::create_veth(&mut netlink, &guest_end("drvport0", &inside))?;
        let to_guest = PacketSocket::open(made.index, Wanted::All)?;
        let from_guest = inside.within(|| {
            let there = link::find(&mut Netlink::open()?, "drvport0")?;
            PacketSocket::open(there.index, Wanted::All)
        })?;
        // UDP over IPv4, its checksum left to the link; and not left to it.
        let mut untagged = vec![2; 12];
        untagged.extend([8, 0, 0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17]);
        untagged.extend([5; 34]);
        let tagged = |tag: [u8; 4]| [&untagged[..12], &tag[..], &untagged[12..]].concat();
        let partial = Offload {
            sums: Sums::Partial,
            gso: None,
        };
        for (tag, offload, expected) in [
            (
                [0x81, 0, 0x60, 5],
                Offload::default(),
                tagged([0x81, 0, 0x60, 5]),
            ),
            (
                [0x81, 0, 0x0f, 0xff],
                partial,
                tagged([0x81, 0, 0x0f, 0xff]),
            ),
            ([0x88, 0xa8, 0, 1], partial, tagged([0x88, 0xa8, 0, 1])),
            // A priority and no VLAN.
            ([0x81, 0, 0xe0, 0], partial, untagged.clone()),
        ] {
            let sent = tagged(tag);
            let outgoing = Outgoing {
                header: VirtioNetHeader::of(offload, &sent),
                head: &sent,
                payload: &[],
            };
            for (from, to) in [(&from_guest, &to_guest), (&to_guest, &from_guest)] {
                from.send(&[outgoing], |_, error| panic!("{error}"));
                let frame = receive_until(to, |f| f.bytes()[..12] == sent[..12]).unwrap();
                assert_eq!(frame.bytes(), expected);
                assert_eq!(frame.offload, offload);
            }
        }
        Ok(())
    });
}

fn a_tap_stays_until_deleted() {
    let host = Place::new("drv-tap-h");
    host.within(|| {
        let mut netlink = Netlink::open()?;
        let made = create_tap(&mut netlink, "drvtap0", 1400, 1)?;
        assert_eq!(
            (made.mtu, made.is_up, made.has_carrier),
            (1400, true, false)
        );
        let refused = |netlink: &mut Netlink| {
            let error = create_tap(netlink, "drvtap0", 1400, 1).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        };
        // A driver has it; then it was killed.
        let holder = PacketSocket::open(made.index, Wanted::All)?;
        refused(&mut netlink);
        drop(holder);
        let again = create_tap(&mut netlink, "drvtap0", 1500, 1)?;
        assert_eq!((again.mtu, again.index != made.index), (1500, true));
        // A link of the same name that no driver made, and one that is no TAP.
        host.run("link set drvtap0 alias other");
        refused(&mut netlink);
        host.run("link add drvtap1 type veth peer name other");
        assert!(create_tap(&mut netlink, "drvtap1", 1500, 1).is_err());
        // A port of the other kind takes the place of what was left.
        host.run("link del other");
        create_tap(&mut netlink, "drvtap1", 1500, 1)?;
        let here = host.namespace();
        let end = GuestEnd {
            namespace: None,
            ..guest_end("drvtap1", &here)
        };
        let veth = link::create_veth(&mut netlink, &end)?;
        assert!(create_tap(&mut netlink, "drvtap1", 1500, 1).is_ok());
        assert!(link::find(&mut netlink, &veth.name).is_err());
        Ok(())
    });
}

/// Two hosts with two links between them, and loopback addresses behind multipath routes.
fn underlay(a: &Place, b: &Place) {
    for n in 0..2 {
        a.run(&format!(
            "link add u{n} mtu 9000 type veth peer name u{n} netns {} mtu 9000",
            b.name()
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
