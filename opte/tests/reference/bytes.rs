//! Frames, byte by byte: nothing here is of the engine or its headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Kind, PacketCfg, address};

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub ethertype: u16,
    /// None for what is not IP.
    pub ip: Option<Ip>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub ports: Option<(u16, u16)>,
    /// Type and identifier of an echo.
    pub echo: Option<(u8, u16)>,
}

const ETHERNET: usize = 14;

fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

fn put(frame: &mut [u8], at: usize, word: u16) {
    frame[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

fn is_v4(frame: &[u8]) -> bool {
    word(frame, 12) == 0x0800
}

fn is_v6(frame: &[u8]) -> bool {
    word(frame, 12) == 0x86dd
}

/// Where the transport header begins.
fn l4(frame: &[u8]) -> usize {
    ETHERNET
        + if is_v4(frame) {
            usize::from(frame[ETHERNET] & 0xf) * 4
        } else {
            40
        }
}

/// The end of the IP packet.
fn end(frame: &[u8]) -> usize {
    ETHERNET
        + if is_v4(frame) {
            usize::from(word(frame, ETHERNET + 2))
        } else {
            40 + usize::from(word(frame, ETHERNET + 4))
        }
}

fn protocol(frame: &[u8]) -> u8 {
    frame[ETHERNET + if is_v4(frame) { 9 } else { 6 }]
}

/// Where the addresses stand.
fn addresses(frame: &[u8]) -> (usize, usize, usize) {
    if is_v4(frame) {
        (ETHERNET + 12, ETHERNET + 16, 4)
    } else {
        (ETHERNET + 8, ETHERNET + 24, 16)
    }
}

fn address_at(frame: &[u8], at: usize, len: usize) -> IpAddr {
    match len {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(&frame[at..at + 4]).unwrap()).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap()).into(),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub fn look(frame: &[u8]) -> View {
    let ethertype = word(frame, 12);
    if !is_v4(frame) && !is_v6(frame) {
        return View {
            ethertype,
            ip: None,
        };
    }
    let (source, destination, len) = addresses(frame);
    let (protocol, l4) = (protocol(frame), l4(frame));
    let is_echo = matches!(
        (protocol, frame.get(l4).copied().unwrap_or_default()),
        (1, 0 | 8) | (58, 128 | 129)
    );
    View {
        ethertype,
        ip: Some(Ip {
            source: address_at(frame, source, len),
            destination: address_at(frame, destination, len),
            protocol,
            ports: (protocol == 17).then(|| (word(frame, l4), word(frame, l4 + 2))),
            echo: is_echo.then(|| (frame[l4], word(frame, l4 + 4))),
        }),
    }
}

pub fn make(cfg: &PacketCfg) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if cfg.kind == Kind::Arp {
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([2, 0, 0, 0, 0, 2, 10, 0, 0, cfg.source]);
        frame.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, cfg.destination]);
        return frame;
    }
    let protocol = match cfg.kind {
        Kind::Udp | Kind::UnsummedUdp => 17,
        Kind::EchoRequest | Kind::EchoReply if cfg.v6 => 58,
        Kind::EchoRequest | Kind::EchoReply => 1,
        Kind::Bare | Kind::Arp => 89,
    };
    let echo_type = match (cfg.kind, cfg.v6) {
        (Kind::EchoRequest, false) => 8,
        (Kind::EchoRequest, true) => 128,
        (_, false) => 0,
        (_, true) => 129,
    };
    let [a, b] = cfg.source_port.to_be_bytes();
    let [c, d] = cfg.destination_port.to_be_bytes();
    let mut segment = match protocol {
        17 => {
            let [e, f] = (8 + cfg.payload.len() as u16).to_be_bytes();
            vec![a, b, c, d, e, f, 0, 0]
        }
        1 | 58 => vec![echo_type, 0, 0, 0, a, b, c, d],
        _ => Vec::new(),
    };
    segment.extend(&cfg.payload);
    let len = segment.len() as u16;
    let (source, destination) = (
        octets(address(cfg.v6, cfg.source)),
        octets(address(cfg.v6, cfg.destination)),
    );
    if cfg.v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([protocol, 64]);
    } else {
        let words: u8 = if cfg.options { 6 } else { 5 };
        frame.extend([8, 0, 0x40 | words, 0]);
        frame.extend((u16::from(words) * 4 + len).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    }
    frame.extend(source);
    frame.extend(destination);
    if cfg.options && !cfg.v6 {
        frame.extend([1, 1, 1, 0]);
    }
    frame.extend(segment);
    if cfg.kind == Kind::UnsummedUdp {
        sum_network(&mut frame);
    } else {
        sum_all(&mut frame);
    }
    frame.extend(vec![0; cfg.padding]);
    frame
}

/// The answer to a frame: ends change places, and an echo request becomes a reply.
pub fn mirror(frame: &[u8]) -> Vec<u8> {
    let mut frame = trimmed(frame);
    for i in 0..6 {
        frame.swap(i, i + 6);
    }
    let Some(ip) = look(&frame).ip else {
        return frame;
    };
    let (source, destination, len) = addresses(&frame);
    for i in 0..len {
        frame.swap(source + i, destination + i);
    }
    let l4 = l4(&frame);
    if ip.ports.is_some() {
        frame.swap(l4, l4 + 2);
        frame.swap(l4 + 1, l4 + 3);
    }
    if let Some((ty, _)) = ip.echo {
        frame[l4] = match ty {
            8 => 0,
            0 => 8,
            128 => 129,
            _ => 128,
        };
    }
    sum_again(&mut frame);
    frame
}

/// Without what pads the frame behind its packet.
pub fn trimmed(frame: &[u8]) -> Vec<u8> {
    if is_v4(frame) || is_v6(frame) {
        frame[..end(frame)].to_vec()
    } else {
        frame.to_vec()
    }
}

pub fn set_station(frame: &mut [u8], station: u8) {
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 1, station]);
}

pub fn set_lifetime(frame: &mut [u8], lifetime: u8) {
    if is_v4(frame) {
        frame[ETHERNET + 8] = lifetime;
        sum_network(frame);
    } else if is_v6(frame) {
        frame[ETHERNET + 7] = lifetime;
    }
}

pub fn set_source(frame: &mut [u8], to: IpAddr, port: Option<u16>) {
    let (at, _, len) = addresses(frame);
    frame[at..at + len].copy_from_slice(&octets(to));
    set_port(frame, 0, port);
}

pub fn set_destination(frame: &mut [u8], to: IpAddr, port: Option<u16>) {
    let (_, at, len) = addresses(frame);
    frame[at..at + len].copy_from_slice(&octets(to));
    set_port(frame, 2, port);
}

fn set_port(frame: &mut [u8], offset: usize, port: Option<u16>) {
    let (ip, l4) = (look(frame).ip.unwrap(), l4(frame));
    if let Some(port) = port {
        if ip.ports.is_some() {
            put(frame, l4 + offset, port);
        } else if ip.echo.is_some() {
            put(frame, l4 + 4, port);
        }
    }
    sum_again(frame);
}

/// Fills in the checksums there are.
fn sum_again(frame: &mut [u8]) {
    let l4 = l4(frame);
    if protocol(frame) == 17 && word(frame, l4 + 6) == 0 {
        sum_network(frame);
    } else {
        sum_all(frame);
    }
}

fn sum_all(frame: &mut [u8]) {
    sum_network(frame);
    let (l4, end) = (l4(frame), end(frame));
    let (source, _, len) = addresses(frame);
    let at = match protocol(frame) {
        17 => l4 + 6,
        1 | 58 => l4 + 2,
        _ => return,
    };
    put(frame, at, 0);
    let mut covered = Vec::new();
    if protocol(frame) != 1 {
        covered.extend(&frame[source..source + 2 * len]);
        covered.extend([0, protocol(frame)]);
        covered.extend(((end - l4) as u16).to_be_bytes());
    }
    covered.extend(&frame[l4..end]);
    let sum = match checksum(&covered) {
        0 if protocol(frame) == 17 => 0xffff,
        sum => sum,
    };
    put(frame, at, sum);
}

fn sum_network(frame: &mut [u8]) {
    if is_v4(frame) {
        let l4 = l4(frame);
        put(frame, ETHERNET + 10, 0);
        let sum = checksum(&frame[ETHERNET..l4]);
        put(frame, ETHERNET + 10, sum);
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The tunnel's network.
pub const VNI: u32 = 77;

/// Into the tunnel: Ethernet, IPv6, UDP and Geneve (RFC 8926) in front.
pub fn push(frame: &[u8], from: u8, to: u8) -> Vec<u8> {
    let len = (8 + 8 + frame.len()) as u16;
    let mut out = vec![0; 12];
    out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    out.extend(len.to_be_bytes());
    out.extend([17, 64]);
    out.extend(octets(address(true, from)));
    out.extend(octets(address(true, to)));
    out.extend(0xc000u16.to_be_bytes());
    out.extend(6081u16.to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend([0, 0]);
    out.extend([0, 0, 0x65, 0x58]);
    out.extend((VNI << 8).to_be_bytes());
    out.extend(frame);
    out
}

/// Out of the tunnel.
pub fn pop(frame: &[u8]) -> Vec<u8> {
    frame[14 + 40 + 8 + 8..].to_vec()
}
