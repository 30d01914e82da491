//! Ports on LANs, beside those of VPCs, in one driver.

mod memory;

use std::net::{IpAddr, Ipv4Addr};

use memory::frames::{Body, Frame, tcp, udp};
use memory::{Guest, LAN_LINK, LAN_MTU, Memory, World};
use opte::Direction;
use opte::api::{
    ClearLftReq, ClearUftReq, DumpLayerReq, DumpStatsReq, DumpTcpFlowsReq, DumpUftReq, FlowFilter,
    GuestLink, HeavyHittersReq, ListLayersReq, OpteError, Page, PausePortReq, RestorePortReq,
    SavePortReq, StartPortReq, TracePacketReq,
};
use opte::packet::{Gso, GsoKind, Offload};
use opte::port::By;
use opte_headers::checksum::Sum;
use opte_headers::program::Sums;
use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Ethertype, Header, MacAddr, TcpFlags,
};
use oxide_vpc::api::{
    AddFwRuleReq, BatchStep, ConfigItem, CreateLanPortReq, DeleteXdeReq, DumpConfigReq, IpConfig,
    IpConfigChange, ListPortsReq, McastSubscribeReq, PortRange, SetIpConfigReq, SourceFilter,
};
use xde::Driver;
use xde::command::Control;
use xde::platform::LanId;

const GATEWAY: MacAddr = MacAddr([0x78, 0x23, 0xae, 0x5d, 0x4f, 0x0d]);
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

fn cfg(n: u8) -> IpConfig {
    let public_ip = Ipv4Addr::new(10, 0, 0, 90 + n);
    IpConfig {
        guest_mac: MacAddr([0xa8, 0x40, 0x25, 0xf0, 9, n]),
        private_ip: Ipv4Addr::new(192, 168, 7, n),
        public_ip,
        public_mac: IpConfig::usual_mac(public_ip),
        ports: PortRange::new(1025, 4096).unwrap(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway_mac: GATEWAY,
        gateway_ip: Ipv4Addr::new(10, 0, 0, 1),
    }
}

fn request(n: u8) -> CreateLanPortReq {
    CreateLanPortReq {
        name: format!("lan0n{n}"),
        lan: "lan0".into(),
        cfg: cfg(n),
        mtu: None,
        link: GuestLink::Veth { netns: None },
    }
}

/// A guest on the LAN of the first host.
fn guest(world: &World, n: u8) -> Guest {
    let request = request(n);
    let (port, cfg) = (request.name.clone(), request.cfg);
    world.hosts[0].create_lan_port(request).unwrap();
    Guest {
        host: 0,
        port,
        mac: cfg.guest_mac,
        v4: cfg.private_ip.into(),
        v6: "::".parse().unwrap(),
    }
}

fn lan(driver: &Driver<Memory>) -> LanId {
    *driver
        .platform()
        .lans
        .lock()
        .unwrap()
        .keys()
        .next()
        .unwrap()
}

fn stations(driver: &Driver<Memory>) -> Vec<MacAddr> {
    let lans = driver.platform().lans.lock().unwrap();
    lans.values()
        .flat_map(|(_, stations)| stations.clone())
        .collect()
}

/// What the guest sends, as it is seen on the LAN.
fn leaves(world: &mut World, guest: &Guest, body: Body) -> Frame {
    let frame = Frame::new((guest.mac, guest.v4), (GATEWAY, FAR), body);
    assert_eq!(world.send(guest, &frame), []);
    let [(_, out)] = &world.take_from_lans()[..] else {
        panic!("not one frame on the LAN")
    };
    Frame::read(out)
}

fn asks_for(ip: Ipv4Addr) -> Vec<u8> {
    let ethernet = Ethernet {
        destination: MacAddr::BROADCAST,
        source: GATEWAY,
        ethertype: Ethertype::ARP,
    };
    let arp = Arp {
        operation: ArpOperation::REQUEST,
        sender_mac: GATEWAY,
        sender_ip: Ipv4Addr::new(10, 0, 0, 1),
        target_ip: ip,
        ..Arp::default()
    };
    let mut bytes = vec![0; 42];
    ethernet.emit(&mut bytes).unwrap();
    arp.emit(&mut bytes[14..]).unwrap();
    bytes
}

fn set(driver: &Driver<Memory>, port: &str, change: IpConfigChange) -> Result<(), OpteError> {
    let port_name = port.into();
    driver
        .set_ip_config(SetIpConfigReq { port_name, change })
        .map(|_| ())
}

#[test]
fn guests_of_a_lan_and_of_a_vpc_side_by_side() {
    let mut world = World::new();
    let [a, b] = [1, 2].map(|n| guest(&world, n));
    let [c, d] = [(0, 5), (1, 7)].map(|(host, n)| world.guest(host, 10, n));
    let lan = lan(&world.hosts[0]);
    assert_eq!(
        stations(&world.hosts[0]),
        [cfg(1).public_mac, cfg(2).public_mac]
    );

    for (guest, n) in [(&a, 1), (&b, 2)] {
        let cfg = cfg(n);
        let out = leaves(&mut world, guest, udp(5000, 53, b"question"));
        assert_eq!(
            (out.source_mac, out.source),
            (cfg.public_mac, cfg.public_ip.into())
        );
        assert_eq!((out.destination_mac, out.destination), (GATEWAY, FAR));
        let Body::Udp { source, .. } = out.body else {
            panic!("{out:?}")
        };
        assert!(cfg.ports.contains(source));
        let got = world.lan(0, lan, &out.echoed().bytes(), Offload::default());
        let [got] = &guest.got(&got)[..] else {
            panic!("{got:?}")
        };
        assert_eq!(got.body, udp(53, 5000, b"question"));
        assert_eq!(
            (got.destination_mac, got.destination),
            (guest.mac, guest.v4)
        );
    }
    let ping = Frame::ping((c.mac, c.v4), (oxide_vpc::network::GATEWAY_MAC, d.v4), 7, 1);
    assert_eq!(d.got(&world.send(&c, &ping)).len(), 1);
    assert_eq!(world.take_from_lans(), []);
    assert_eq!(world.all_drops(0, |_| true), 0);
}

#[test]
fn the_lan_finds_each_public_address_and_nothing_comes_in_unasked() {
    let mut world = World::new();
    guest(&world, 1);
    let lan = lan(&world.hosts[0]);
    assert_eq!(
        world.lan(0, lan, &asks_for(cfg(1).public_ip), Offload::default()),
        []
    );
    let [(on, answer)] = &world.take_from_lans()[..] else {
        panic!("not one answer")
    };
    let (ethernet, rest) = Ethernet::parse(answer).unwrap();
    let (arp, _) = Arp::parse(rest).unwrap();
    assert_eq!((*on, ethernet.destination()), (lan, GATEWAY));
    assert_eq!(arp.operation(), ArpOperation::REPLY);
    assert_eq!(
        (arp.sender_mac(), arp.sender_ip()),
        (cfg(1).public_mac, cfg(1).public_ip)
    );

    let of_another = asks_for(Ipv4Addr::new(10, 0, 0, 77));
    let public = (cfg(1).public_mac, IpAddr::from(cfg(1).public_ip));
    let unasked = Frame::new((GATEWAY, FAR), public, udp(53, 2000, b"")).bytes();
    let to_another = Frame::new((GATEWAY, FAR), (GATEWAY, public.1), udp(53, 2000, b"")).bytes();
    for (bytes, reason) in [
        (&of_another, "not_for_us"),
        (&unasked, "nat_filtered"),
        (&to_another, "not_for_us"),
        (&vec![0; 9], "parse_truncated"),
        (&Vec::new(), "link_error"),
    ] {
        let before = world.all_drops(0, |name| name == reason);
        assert_eq!(world.lan(0, lan, bytes, Offload::default()), [], "{reason}");
        assert_eq!(
            world.all_drops(0, |name| name == reason),
            before + 1,
            "{reason}"
        );
    }
    assert_eq!(world.take_from_lans(), []);
    assert_eq!(world.count(0, "to_guest_frames"), 0);
}

#[test]
fn super_packets_are_cut_for_the_lan_and_stay_whole_to_the_guest() {
    let mut world = World::new();
    let guest = guest(&world, 1);
    let lan = lan(&world.hosts[0]);
    let syn = leaves(&mut world, &guest, tcp(5000, 80, TcpFlags::SYN, 1, 0, b""));
    let Body::Tcp {
        source: external, ..
    } = syn.body
    else {
        panic!("{syn:?}")
    };
    let answer = syn.answered(tcp(80, external, TcpFlags::SYN | TcpFlags::ACK, 9, 2, b""));
    assert_eq!(
        world.lan(0, lan, &answer.bytes(), Offload::default()).len(),
        1
    );

    let data: Vec<u8> = (0..6000_u32).map(|n| n as u8).collect();
    let whole = Offload {
        sums: Sums::Partial,
        gso: Some(Gso {
            kind: GsoKind::TcpV4,
            size: 1448,
        }),
    };
    let body = tcp(5000, 80, TcpFlags::ACK, 2, 10, &data);
    let frame = Frame::new((guest.mac, guest.v4), (GATEWAY, FAR), body);
    assert_eq!(world.send_bytes(&guest, &partial(&frame), whole), []);
    let mut sent: Vec<u8> = Vec::new();
    for (_, bytes) in world.take_from_lans() {
        assert!(bytes.len() <= LAN_MTU as usize + 14);
        let (ip, segment) = bytes[14..].split_at(20);
        let pseudo = [&ip[12..], &[0, 6], &(segment.len() as u16).to_be_bytes()].concat();
        assert_eq!(Sum::ZERO.with(ip).checksum(), 0);
        assert_eq!(Sum::ZERO.with(&pseudo).with(segment).checksum(), 0);
        assert_eq!(segment[..2], external.to_be_bytes());
        let data = &segment[20..];
        sent.extend(data);
    }
    assert_eq!(sent, data);

    let body = tcp(80, external, TcpFlags::ACK, 10, 6002, &data);
    let back = Frame::new(
        (GATEWAY, FAR),
        (cfg(1).public_mac, cfg(1).public_ip.into()),
        body,
    );
    let got = world.lan(0, lan, &partial(&back), whole);
    let [got] = &got[..] else { panic!("{got:?}") };
    assert_eq!(got.offload.gso, whole.gso);
    assert!(got.bytes.ends_with(&data));
}

/// The frame with the sum that a link is to complete: that of the pseudo-header.
fn partial(frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.bytes();
    let length = (bytes.len() - 34) as u16;
    let pseudo = [&bytes[26..34], &[0, 6], &length.to_be_bytes()].concat();
    let sum = !Sum::ZERO.with(&pseudo).checksum();
    bytes[50..52].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn a_live_change_is_seen_by_the_lan() {
    let mut world = World::new();
    let one = guest(&world, 1);
    guest(&world, 2);
    let lan = lan(&world.hosts[0]);
    let before = leaves(&mut world, &one, udp(5000, 53, b""));
    let driver = &world.hosts[0];
    driver.platform().announced.lock().unwrap().clear();

    let gateway = IpConfigChange {
        gw_ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
        ..Default::default()
    };
    set(driver, &one.port, gateway).unwrap();
    assert!(driver.platform().announced.lock().unwrap().is_empty());
    assert_eq!(
        world
            .lan(0, lan, &before.echoed().bytes(), Offload::default())
            .len(),
        1
    );

    let address = |n| IpConfigChange {
        public_ip: Some(Ipv4Addr::new(10, 0, 0, n)),
        ..Default::default()
    };
    let driver = &world.hosts[0];
    let taken = set(driver, &one.port, address(92)).unwrap_err();
    assert_eq!(
        taken.to_string(),
        "public_ip 10.0.0.92 is in use on the LAN at link 'lan0' by port 'lan0n2'"
    );
    let hosts = IpConfigChange {
        public_mac: Some(LAN_LINK),
        ..Default::default()
    };
    assert_eq!(
        set(driver, &one.port, hosts).unwrap_err().to_string(),
        "invalid IP configuration: public_mac 02:00:00:00:00:FE is that of link 'lan0' itself"
    );
    set(driver, &one.port, address(70)).unwrap();
    let mac = MacAddr([0xa8, 0x40, 0x25, 0, 0, 70]);
    assert_eq!(stations(driver), [mac, cfg(2).public_mac]);
    let announced = driver.platform().announced.lock().unwrap().clone();
    let [announced] = &announced[..] else {
        panic!("{announced:?}")
    };
    assert_eq!(Arp::parse(&announced[14..]).unwrap().0.sender_mac(), mac);
    assert_eq!(
        world.lan(0, lan, &before.echoed().bytes(), Offload::default()),
        []
    );
    let after = leaves(&mut world, &one, udp(5000, 53, b""));
    assert_eq!(after.source, "10.0.0.70".parse::<IpAddr>().unwrap());
    assert_eq!(
        world
            .lan(0, lan, &after.echoed().bytes(), Offload::default())
            .len(),
        1
    );
}

#[test]
fn what_is_no_matter_of_a_lan_is_refused() {
    let world = World::new();
    let lan = guest(&world, 1).port;
    let vpc = world.guest(0, 10, 5).port;
    let driver = &world.hosts[0];
    let port_name = lan.clone();
    let rule = "dir=in action=allow priority=1".parse().unwrap();
    let refused = driver
        .add_fw_rule(AddFwRuleReq { port_name, rule })
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "port 'lan0n1' is of network 'lan-nat'; this command is for ports of network 'oxide-vpc'"
    );
    let refused = driver.mcast_subscribe(McastSubscribeReq {
        port_name: lan.clone(),
        group: "239.1.1.1".parse().unwrap(),
        filter: SourceFilter::Exclude(Default::default()),
    });
    assert!(
        matches!(refused, Err(OpteError::WrongNetwork { .. })),
        "{refused:?}"
    );
    let change = IpConfigChange {
        gw_ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
        ..Default::default()
    };
    assert_eq!(
        set(driver, &vpc, change).unwrap_err().to_string(),
        "port 'opte10n5' is of network 'oxide-vpc'; this command is for ports of network 'lan-nat'"
    );
    assert_eq!(
        set(driver, "lan9", change).unwrap_err(),
        OpteError::PortNotFound {
            port: "lan9".into()
        }
    );
}

#[test]
fn a_port_that_cannot_be_made_leaves_nothing() {
    let world = World::new();
    let driver = &world.hosts[0];
    let links = || driver.platform().links.lock().unwrap().len();
    let open = || driver.platform().lans.lock().unwrap().len();
    for step in ["lan", "create", "start"] {
        *driver.platform().fails.lock().unwrap() = Some(step);
        let refused = driver.create_lan_port(request(1)).unwrap_err();
        assert!(
            refused.to_string().contains(&format!("{step} fails")),
            "{refused}"
        );
        assert_eq!((links(), open()), (0, 0), "{step}");
    }
    let nowhere = CreateLanPortReq {
        lan: "eth9".into(),
        ..request(1)
    };
    let link = "eth9".into();
    assert_eq!(
        driver.create_lan_port(nowhere),
        Err(OpteError::LinkNotFound { link })
    );
    let hosts = IpConfig {
        public_mac: LAN_LINK,
        ..cfg(1)
    };
    let refused = driver.create_lan_port(CreateLanPortReq {
        cfg: hosts,
        ..request(1)
    });
    assert!(
        matches!(refused, Err(OpteError::InvalidIpCfg { .. })),
        "{refused:?}"
    );
    assert_eq!((links(), open()), (0, 0));

    driver.create_lan_port(request(1)).unwrap();
    let again = driver.create_lan_port(request(1));
    assert_eq!(
        again,
        Err(OpteError::PortExists {
            port: "lan0n1".into()
        })
    );
    let same = CreateLanPortReq {
        name: "other".into(),
        ..request(1)
    };
    assert_eq!(
        driver.create_lan_port(same).unwrap_err().to_string(),
        "public_ip 10.0.0.91 is in use on the LAN at link 'lan0' by port 'lan0n1'"
    );
    let elsewhere = CreateLanPortReq {
        name: "other".into(),
        lan: "lan1".into(),
        ..request(1)
    };
    driver.create_lan_port(elsewhere).unwrap();
    assert_eq!((links(), open()), (2, 2));
    for name in ["lan0n1", "other"].map(String::from) {
        driver.delete_xde(DeleteXdeReq { name }).unwrap();
    }
    assert_eq!((links(), open()), (0, 0));
}

#[test]
fn every_dump_and_the_life_of_a_port() {
    let mut world = World::new();
    let guest = guest(&world, 1);
    let lan = lan(&world.hosts[0]);
    let out = leaves(&mut world, &guest, tcp(5000, 80, TcpFlags::SYN, 1, 0, b""));
    let Body::Tcp {
        source: external, ..
    } = out.body
    else {
        panic!("{out:?}")
    };
    let answer = out.answered(tcp(80, external, TcpFlags::SYN | TcpFlags::ACK, 9, 2, b""));
    assert_eq!(
        world.lan(0, lan, &answer.bytes(), Offload::default()).len(),
        1
    );

    let driver = &world.hosts[0];
    let port_name = || guest.port.clone();
    let ports = driver
        .list_ports(ListPortsReq { page: Page::FIRST })
        .unwrap()
        .ports;
    let [info] = &ports[..] else {
        panic!("{ports:?}")
    };
    assert_eq!(
        (info.network.as_str(), info.vni, info.state.as_str()),
        ("lan-nat", None, "running")
    );
    let at = info.lan.as_ref().unwrap();
    assert_eq!(
        (at.link.as_str(), at.public_ip, at.public_mac),
        ("lan0", cfg(1).public_ip, cfg(1).public_mac)
    );
    assert_eq!(info.ip4_addr, Some(cfg(1).private_ip));

    let layers = driver
        .list_layers(ListLayersReq {
            port_name: port_name(),
        })
        .unwrap()
        .layers;
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["gateway", "firewall", "nat", "lan"]);
    let (page, filter) = (Page::FIRST, FlowFilter::default());
    for name in names {
        let req = DumpLayerReq {
            port_name: port_name(),
            name: name.into(),
            page,
            filter,
            rule: None,
        };
        let dump = driver.dump_layer(req).unwrap();
        assert_eq!(dump.rules.is_empty(), name == "firewall", "{name}");
    }
    let uft = driver.dump_uft(DumpUftReq {
        port_name: port_name(),
        page,
        filter,
    });
    assert_eq!(uft.unwrap().flows.len(), 2);
    let tcp_flows = DumpTcpFlowsReq {
        port_name: port_name(),
        page,
        filter,
    };
    assert_eq!(driver.dump_tcp_flows(tcp_flows).unwrap().flows.len(), 1);
    let heavy = HeavyHittersReq {
        port_name: port_name(),
        by: By::Bytes,
        count: 5,
    };
    assert_eq!(driver.heavy_hitters(heavy).unwrap().flows.len(), 1);
    let stats = driver
        .dump_stats(DumpStatsReq {
            port_name: Some(port_name()),
            page,
        })
        .unwrap();
    assert_eq!(stats.ports[0].counters["flows"], 1);
    assert_eq!(stats.ports[0].counters["nat_tcp_leased"], 1);
    assert_eq!(stats.driver.counters["to_lan_frames"], 1);
    let trace = TracePacketReq {
        port_name: port_name(),
        dir: Direction::Out,
        frame: Frame::new((guest.mac, guest.v4), (GATEWAY, FAR), udp(1, 2, b"")).bytes(),
    };
    let trace = driver.trace_packet(trace).unwrap();
    assert_eq!(trace.steps.len(), 4, "{trace:?}");
    driver
        .clear_uft(ClearUftReq {
            port_name: port_name(),
        })
        .unwrap();
    let layer_name = "nat".into();
    driver
        .clear_lft(ClearLftReq {
            port_name: port_name(),
            layer_name,
        })
        .unwrap();

    // As it was saved, so it goes on in another driver.
    let config = driver
        .dump_config(DumpConfigReq { page: Page::FIRST })
        .unwrap();
    let request = config.items.iter().find_map(|item| match item {
        ConfigItem::LanPort(request) => Some(CreateLanPortReq::clone(request)),
        _ => None,
    });
    let ack = Frame::new(
        (guest.mac, guest.v4),
        (GATEWAY, FAR),
        tcp(5000, 80, TcpFlags::ACK, 2, 10, b""),
    );
    assert_eq!(world.send(&guest, &ack), []);
    let [(_, before)] = &world.take_from_lans()[..] else {
        panic!("not one frame")
    };
    let Body::Tcp {
        source: external, ..
    } = Frame::read(before).body
    else {
        panic!("no TCP")
    };
    let driver = &world.hosts[0];
    driver
        .pause_port(PausePortReq {
            port_name: port_name(),
        })
        .unwrap();
    let change = IpConfigChange {
        gw_ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
        ..Default::default()
    };
    let paused = set(driver, &guest.port, change).unwrap_err();
    assert_eq!(paused.to_string(), "port 'lan0n1' is paused");
    let mut pages = Vec::new();
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        let saved = driver.save_port(SavePortReq {
            port_name: port_name(),
            cursor: from,
            limit: 1 << 20,
        });
        let saved = saved.unwrap();
        pages.push(saved.page);
        cursor = saved.next;
    }
    let other = &world.hosts[1];
    other.create_lan_port(request.unwrap()).unwrap();
    other
        .pause_port(PausePortReq {
            port_name: port_name(),
        })
        .unwrap();
    let mut restored = Default::default();
    for page in pages {
        let port_name = port_name();
        restored = other
            .restore_port(RestorePortReq { port_name, page })
            .unwrap();
    }
    assert_eq!(
        (restored.flows, restored.refused, restored.complete),
        (1, 0, true)
    );
    other
        .start_port(StartPortReq {
            port_name: port_name(),
        })
        .unwrap();
    let moved = Guest { host: 1, ..guest };
    assert_eq!(world.send(&moved, &ack), []);
    let [(_, after)] = &world.take_from_lans()[..] else {
        panic!("not one frame")
    };
    let Body::Tcp { source, .. } = Frame::read(after).body else {
        panic!("no TCP")
    };
    assert_eq!(source, external);
}

#[test]
fn batches_are_whole() {
    let world = World::new();
    guest(&world, 1);
    guest(&world, 2);
    let driver = &world.hosts[0];
    let set = |port: &str, n: u8| -> BatchStep {
        let change = IpConfigChange {
            public_ip: Some(Ipv4Addr::new(10, 0, 0, n)),
            ..Default::default()
        };
        let port_name = port.into();
        SetIpConfigReq { port_name, change }.into()
    };
    let shown = || {
        let items = driver
            .dump_config(DumpConfigReq { page: Page::FIRST })
            .unwrap()
            .items;
        let ports = items.into_iter().filter_map(|item| match item {
            ConfigItem::LanPort(request) => Some((request.name, request.cfg.public_ip.octets()[3])),
            _ => None,
        });
        ports.collect::<Vec<_>>()
    };
    let named = |name: &str, n| (format!("lan0n{name}"), n);
    // Addresses are exchanged, and taken over from a port that goes.
    driver
        .run_batch(vec![set("lan0n1", 92), set("lan0n2", 91)])
        .unwrap();
    assert_eq!(shown(), [named("1", 92), named("2", 91)]);
    let gone = DeleteXdeReq {
        name: "lan0n2".into(),
    };
    let third = CreateLanPortReq {
        cfg: cfg(1),
        ..request(3)
    };
    let steps = vec![
        gone.into(),
        third.into(),
        set("lan0n3", 77),
        set("lan0n3", 91),
    ];
    driver.run_batch(steps).unwrap();
    assert_eq!(shown(), [named("1", 92), named("3", 91)]);
    assert_eq!(stations(driver).len(), 2);

    let refused = driver
        .run_batch(vec![set("lan0n1", 60), set("lan0n3", 60)])
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "nothing was done: step 2 of the batch, SetIpConfig: \
         public_ip 10.0.0.60 is in use on the LAN at link 'lan0' by port 'lan0n1'"
    );
    let elsewhere = CreateLanPortReq {
        lan: "eth9".into(),
        ..request(4)
    };
    let refused = driver
        .run_batch(vec![set("lan0n1", 60), elsewhere.into()])
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "nothing was done: step 2 of the batch, CreateLanPort: link 'eth9' not found"
    );
    assert_eq!(shown(), [named("1", 92), named("3", 91)]);
}
