//! A guest, its port, and a LAN in memory.

use std::net::Ipv4Addr;
use std::sync::Arc;

use lan_nat::{IpConfig, LanNat, port};
use opte::api::{OpteError, PortRange};
use opte::port::{Port, Verdict};
use opte::provider::SeededRandom;
use opte::time::Moment;
use opte::{Direction, DropReason, Packet};
use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Ethertype, Header, Icmpv4, Icmpv4Get,
    Icmpv4Type, IpProtocol, Ipv4, Ipv4Get, MacAddr, Udp, UdpGet,
};

const GUEST: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0, 1]);
const PUBLIC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0, 0, 0x63]);
const GATEWAY: MacAddr = MacAddr([0x78, 0x23, 0xae, 0x5d, 0x4f, 0x0d]);
const HOST: MacAddr = MacAddr([0x78, 0x23, 0xae, 0, 0, 7]);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

fn config() -> IpConfig {
    IpConfig {
        guest_mac: GUEST,
        private_ip: "10.0.0.210".parse().unwrap(),
        public_ip: "10.0.0.99".parse().unwrap(),
        public_mac: PUBLIC,
        ports: PortRange::new(1025, 4096).unwrap(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        gateway_mac: GATEWAY,
        gateway_ip: "10.0.0.1".parse().unwrap(),
    }
}

fn running() -> Port<LanNat> {
    let port = port("guest1", &config(), 1500, Arc::new(SeededRandom::new(1))).unwrap();
    port.start();
    port
}

/// The frame as it goes on or is answered, or why it is dropped.
fn process(port: &Port<LanNat>, dir: Direction, frame: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut buf = frame.to_vec();
    let end = buf.len();
    let mut packet = Packet::new(&mut buf, 0, end).unwrap();
    let mut reply = [0; 1514];
    match port.process(dir, Moment::from_secs(1), &mut packet, &mut reply) {
        Verdict::Forward { .. } | Verdict::ForwardWithHeld { .. } => Ok(packet.frame().to_vec()),
        Verdict::Held => panic!("no fragments here"),
        Verdict::Hairpin(len) => Ok(reply[..len].to_vec()),
        Verdict::Drop(reason) => Err(reason),
    }
}

type Station = (MacAddr, Ipv4Addr);

fn emit<H: Header>(header: &H, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + header.len(), 0);
    header.emit(&mut bytes[start..]).unwrap();
}

fn sum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum: u32 = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn ip(source: Station, destination: Station, protocol: IpProtocol, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    emit(
        &Ethernet {
            destination: destination.0,
            source: source.0,
            ethertype: Ethertype::IPV4,
        },
        &mut frame,
    );
    let total_len = 20 + body.len() as u16;
    let header = Ipv4 {
        total_len,
        protocol,
        source: source.1,
        destination: destination.1,
        ..Ipv4::default()
    };
    emit(&header, &mut frame);
    let checksum = sum(&[&frame[14..34]]).to_be_bytes();
    frame[24..26].copy_from_slice(&checksum);
    frame.extend(body);
    frame
}

fn udp(source: Station, destination: Station, ports: (u16, u16)) -> Vec<u8> {
    let data = b"datagram";
    let mut body = Vec::new();
    let length = 8 + data.len() as u16;
    emit(
        &Udp {
            source: ports.0,
            destination: ports.1,
            length,
            checksum: 0,
        },
        &mut body,
    );
    body.extend(data);
    let pseudo = [
        &source.1.octets()[..],
        &destination.1.octets(),
        &[0, 17],
        &length.to_be_bytes(),
    ]
    .concat();
    let checksum = sum(&[&pseudo, &body]).to_be_bytes();
    body[6..8].copy_from_slice(&checksum);
    ip(source, destination, IpProtocol::UDP, &body)
}

fn ping(source: Station, destination: Station, ty: Icmpv4Type, identifier: u16) -> Vec<u8> {
    let mut body = Vec::new();
    emit(
        &Icmpv4 {
            ty,
            code: 0,
            checksum: 0,
            identifier,
            sequence: 1,
        },
        &mut body,
    );
    let checksum = sum(&[&body]).to_be_bytes();
    body[2..4].copy_from_slice(&checksum);
    ip(source, destination, IpProtocol::ICMP, &body)
}

fn guest() -> Station {
    (GUEST, config().private_ip)
}

fn public() -> Station {
    (PUBLIC, config().public_ip)
}

fn arp(from: Station, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::new();
    emit(
        &Ethernet {
            destination: MacAddr::BROADCAST,
            source: from.0,
            ethertype: Ethertype::ARP,
        },
        &mut frame,
    );
    let operation = ArpOperation::REQUEST;
    let (sender_mac, sender_ip, target_ip) = (from.0, from.1, target);
    emit(
        &Arp {
            operation,
            sender_mac,
            sender_ip,
            target_ip,
            ..Arp::default()
        },
        &mut frame,
    );
    frame
}

#[test]
fn out_and_back() {
    let port = running();
    let out = process(
        &port,
        Direction::Out,
        &udp(guest(), (GATEWAY, FAR), (5000, 53)),
    )
    .unwrap();
    let external = Udp::parse(&out[34..]).unwrap().0.source();
    assert!(config().ports.contains(external));
    assert_eq!(
        out,
        udp(public(), (GATEWAY, FAR), (external, 53)),
        "with right sums"
    );
    let back = process(
        &port,
        Direction::In,
        &udp((GATEWAY, FAR), public(), (53, external)),
    )
    .unwrap();
    assert_eq!(back, udp((GATEWAY, FAR), guest(), (53, 5000)));
    let again = process(
        &port,
        Direction::Out,
        &udp(guest(), (GATEWAY, FAR), (5000, 53)),
    )
    .unwrap();
    assert_eq!(again, out);
}

#[test]
fn a_ping_out_and_back() {
    let port = running();
    let request = ping(guest(), (GATEWAY, FAR), Icmpv4Type::ECHO_REQUEST, 77);
    let out = process(&port, Direction::Out, &request).unwrap();
    let (ip, _) = Ipv4::parse(&out[14..]).unwrap();
    assert_eq!(ip.source(), config().public_ip);
    let identifier = Icmpv4::parse(&out[34..]).unwrap().0.identifier();
    assert_eq!(
        out,
        ping(
            public(),
            (GATEWAY, FAR),
            Icmpv4Type::ECHO_REQUEST,
            identifier
        )
    );
    let reply = ping((GATEWAY, FAR), public(), Icmpv4Type::ECHO_REPLY, identifier);
    let back = process(&port, Direction::In, &reply).unwrap();
    assert_eq!(
        back,
        ping((GATEWAY, FAR), guest(), Icmpv4Type::ECHO_REPLY, 77)
    );
}

#[test]
fn nothing_comes_in_that_was_not_asked_for() {
    let port = running();
    process(
        &port,
        Direction::Out,
        &udp(guest(), (GATEWAY, FAR), (5000, 53)),
    )
    .unwrap();
    let far = (GATEWAY, FAR);
    let stray = |frame: Vec<u8>| process(&port, Direction::In, &frame);
    assert_eq!(
        stray(udp(far, public(), (53, 2000))),
        Err(DropReason::NatFiltered)
    );
    assert_eq!(
        stray(udp(far, (PUBLIC, config().private_ip), (53, 5000))),
        Err(DropReason::LayerDefaultDeny)
    );
    assert_eq!(
        stray(udp(far, (HOST, config().public_ip), (53, 5000))),
        Err(DropReason::LayerDefaultDeny)
    );
}

#[test]
fn the_guest_sends_as_itself_only() {
    let port = running();
    let send = |from| {
        process(
            &port,
            Direction::Out,
            &udp(from, (GATEWAY, FAR), (5000, 53)),
        )
    };
    assert_eq!(
        send((GUEST, "10.0.0.211".parse().unwrap())),
        Err(DropReason::LayerDefaultDeny)
    );
    assert_eq!(
        send((HOST, config().private_ip)),
        Err(DropReason::LayerDefaultDeny)
    );
    assert!(send(guest()).is_ok());
}

#[test]
fn the_lan_finds_the_public_address_and_no_other() {
    let port = running();
    let host = (HOST, "10.0.0.7".parse().unwrap());
    let reply = process(&port, Direction::In, &arp(host, config().public_ip)).unwrap();
    let (ethernet, rest) = Ethernet::parse(&reply).unwrap();
    assert_eq!((ethernet.source(), ethernet.destination()), (PUBLIC, HOST));
    let (answer, _) = Arp::parse(rest).unwrap();
    assert_eq!(
        (answer.operation(), answer.sender_mac()),
        (ArpOperation::REPLY, PUBLIC)
    );
    assert_eq!(
        (answer.sender_ip(), answer.target_ip()),
        (config().public_ip, host.1)
    );
    for other in [config().private_ip, "10.0.0.1".parse().unwrap()] {
        assert_eq!(
            process(&port, Direction::In, &arp(host, other)),
            Err(DropReason::HandlerDeny)
        );
    }
}

#[test]
fn the_guest_finds_the_gateway() {
    let port = running();
    let reply = process(&port, Direction::Out, &arp(guest(), config().gateway_ip)).unwrap();
    let (answer, _) = Arp::parse(&reply[14..]).unwrap();
    assert_eq!((answer.sender_mac(), answer.target_mac()), (GATEWAY, GUEST));
}

#[test]
fn addresses_that_do_not_fit_are_refused() {
    type Edit = fn(&mut IpConfig);
    let edits: [Edit; 5] = [
        |cfg| cfg.public_ip = "10.0.1.99".parse().unwrap(),
        |cfg| cfg.gateway_ip = "192.168.0.1".parse().unwrap(),
        |cfg| cfg.private_ip = cfg.public_ip,
        |cfg| cfg.private_ip = Ipv4Addr::BROADCAST,
        |cfg| cfg.public_mac = MacAddr::BROADCAST,
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        let mut cfg = config();
        edit(&mut cfg);
        let refused = port("guest1", &cfg, 1500, Arc::new(SeededRandom::new(1))).map(|_| ());
        assert!(
            matches!(refused, Err(OpteError::InvalidIpCfg { .. })),
            "{n}: {refused:?}"
        );
    }
}
