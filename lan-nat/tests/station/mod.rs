//! A guest and a LAN in memory: frames, and a port between them.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file uses a part"
)]

use std::net::Ipv4Addr;
use std::sync::Arc;

use lan_nat::{Host, IpConfig, LanPort};
use opte::api::{OpteError, PortRange};
use opte::port::Verdict;
use opte::provider::{NoLog, SeededRandom};
use opte::time::Moment;
use opte::{Direction, DropReason, Packet};
use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Ethertype, Header, Icmpv4, Icmpv4Get,
    Icmpv4Type, IpProtocol, Ipv4, Ipv4Get, MacAddr, Udp, UdpGet,
};

pub const GUEST: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0, 1]);
pub const PUBLIC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0, 0, 0x63]);
pub const GATEWAY: MacAddr = MacAddr([0x78, 0x23, 0xae, 0x5d, 0x4f, 0x0d]);
pub const HOST: MacAddr = MacAddr([0x78, 0x23, 0xae, 0, 0, 7]);
pub const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

pub fn config() -> IpConfig {
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

pub fn made(cfg: &IpConfig) -> Result<LanPort, OpteError> {
    let host = Host {
        random: Arc::new(SeededRandom::new(1)),
        log: Arc::new(NoLog),
        limits: Default::default(),
    };
    LanPort::new("guest1", cfg, 1500, &host)
}

pub fn running() -> LanPort {
    let port = made(&config()).unwrap();
    port.port().start();
    port
}

/// The frame as it goes on or is answered, or why it is dropped.
pub fn process(port: &LanPort, dir: Direction, frame: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut buf = frame.to_vec();
    let end = buf.len();
    let mut packet = Packet::new(&mut buf, 0, end).unwrap();
    let mut reply = [0; 1514];
    match port
        .port()
        .process(dir, Moment::from_secs(1), &mut packet, &mut reply)
    {
        Verdict::Forward { .. } | Verdict::ForwardWithHeld { .. } => Ok(packet.frame().to_vec()),
        Verdict::Held => panic!("no fragments here"),
        Verdict::Hairpin(len) => Ok(reply[..len as usize].to_vec()),
        Verdict::Drop(reason) => Err(reason),
    }
}

pub type Station = (MacAddr, Ipv4Addr);

pub fn emit<H: Header>(header: &H, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + header.len(), 0);
    header.emit(&mut bytes[start..]).unwrap();
}

pub fn sum(parts: &[&[u8]]) -> u16 {
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

pub fn ip(source: Station, destination: Station, protocol: IpProtocol, body: &[u8]) -> Vec<u8> {
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

pub fn udp(source: Station, destination: Station, ports: (u16, u16)) -> Vec<u8> {
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

pub fn ping(source: Station, destination: Station, ty: Icmpv4Type, identifier: u16) -> Vec<u8> {
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

pub fn guest() -> Station {
    (GUEST, config().private_ip)
}

pub fn public() -> Station {
    (PUBLIC, config().public_ip)
}

pub fn arp(from: Station, target: Ipv4Addr) -> Vec<u8> {
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
