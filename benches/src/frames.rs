//! Frames of the reference VPC, written with the project's headers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use opte_headers::checksum::{Sum, pseudo_v4, pseudo_v6};
use opte_headers::program::Sums;
use opte_headers::{Ethernet, Geneve, Header, IpProtocol, Ipv4, Ipv6, MacAddr, Tcp, TcpFlags, Udp};
use opte_headers::{Ethertype, Program, Transform, Vni, frame, stack, udp};

/// The guest's own address.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
/// The guest's MAC address.
pub const GUEST_MAC: MacAddr = MacAddr::new([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01]);
/// MAC address of the gateway, and of all the guest hears from.
pub const GATEWAY_MAC: MacAddr = MacAddr::new([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]);
/// A guest of the same VPC on another host.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 13);
/// Its MAC address.
pub const PEER_MAC: MacAddr = MacAddr::new([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x03]);
/// The network of both.
pub const VNI: u32 = 10;
/// The guest's host on the underlay.
pub const HOST: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);
/// The peer's host on the underlay.
pub const PEER_HOST: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1);

/// A TCP segment over IPv4, without data.
pub fn tcp(
    ethernet: Ethernet,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    flags: TcpFlags,
) -> Vec<u8> {
    let header = Tcp {
        source: source.port(),
        destination: destination.port(),
        sequence: 1_000,
        acknowledgement: 2_000,
        flags,
        window: 501,
        ..Tcp::default()
    };
    ipv4(
        ethernet,
        *source.ip(),
        *destination.ip(),
        IpProtocol::TCP,
        emitted(&header),
        16,
    )
}

/// A UDP datagram over IPv4 with a body of zeros.
pub fn udp(
    ethernet: Ethernet,
    source: SocketAddrV4,
    destination: SocketAddrV4,
    body: usize,
) -> Vec<u8> {
    let length = 8 + body as u16;
    let header = Udp {
        source: source.port(),
        destination: destination.port(),
        length,
        ..Udp::default()
    };
    let mut packet = emitted(&header);
    packet.resize(usize::from(length), 0);
    ipv4(
        ethernet,
        *source.ip(),
        *destination.ip(),
        IpProtocol::UDP,
        packet,
        6,
    )
}

/// A UDP datagram over IPv6, without data.
pub fn udp6(ethernet: Ethernet, source: SocketAddrV6, destination: SocketAddrV6) -> Vec<u8> {
    let header = Udp {
        source: source.port(),
        destination: destination.port(),
        length: 8,
        ..Udp::default()
    };
    let mut packet = emitted(&header);
    let pseudo = pseudo_v6(*source.ip(), *destination.ip(), IpProtocol::UDP.0, 8);
    let sum = pseudo.plus(Sum::of(&packet)).checksum();
    put(&mut packet, 6, sum);
    let ip = Ipv6 {
        payload_len: 8,
        next_header: IpProtocol::UDP,
        source: *source.ip(),
        destination: *destination.ip(),
        ..Ipv6::default()
    };
    let ethernet = Ethernet {
        ethertype: Ethertype::IPV6,
        ..ethernet
    };
    [emitted(&ethernet), emitted(&ip), packet].concat()
}

/// Ethernet header of what the guest sends.
pub fn from_guest() -> Ethernet {
    Ethernet {
        source: GUEST_MAC,
        destination: GATEWAY_MAC,
        ethertype: Ethertype::IPV4,
    }
}

/// Ethernet header, inside the tunnel, of what the peer sends to the guest.
pub fn from_peer() -> Ethernet {
    Ethernet {
        source: PEER_MAC,
        destination: GUEST_MAC,
        ethertype: Ethertype::IPV4,
    }
}

/// `frame` in a tunnel from the peer's host to the guest's.
pub fn in_tunnel(frame: &[u8]) -> Vec<u8> {
    let tunnel: Program = Transform::on::<stack![Ethernet]>()
        .push(Geneve {
            vni: Vni::new(VNI).unwrap_or_default(),
            ..Geneve::default()
        })
        .push_varying::<udp::Source>(Udp {
            source: 0xc000,
            ..Udp::default()
        })
        .push(Ipv6 {
            source: PEER_HOST,
            destination: HOST,
            ..Ipv6::default()
        })
        .push(Ethernet::default())
        .compile();
    let room = tunnel.head_room();
    let mut buffer = [vec![0; room], frame.to_vec()].concat();
    let offsets = frame::parse_guest(frame)
        .map(|parsed| parsed.offsets)
        .unwrap_or_default();
    tunnel
        .apply(
            &mut buffer,
            room,
            frame.len(),
            &offsets,
            Sums::Complete,
            0x1234,
        )
        .map(|_| buffer)
        .unwrap_or_default()
}

/// Ethernet and IPv4 in front of a packet whose checksum stands at `checksum_at`.
fn ipv4(
    ethernet: Ethernet,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: IpProtocol,
    mut packet: Vec<u8>,
    checksum_at: usize,
) -> Vec<u8> {
    let pseudo = pseudo_v4(source, destination, protocol.0, packet.len() as u16);
    let sum = pseudo.plus(Sum::of(&packet)).checksum();
    put(&mut packet, checksum_at, sum);
    let header = Ipv4 {
        total_len: 20 + packet.len() as u16,
        dont_fragment: true,
        protocol,
        source,
        destination,
        ..Ipv4::default()
    };
    let mut header = emitted(&header);
    let sum = Sum::of(&header).checksum();
    put(&mut header, 10, sum);
    [emitted(&ethernet), header, packet].concat()
}

fn emitted<H: Header>(header: &H) -> Vec<u8> {
    let mut bytes = vec![0; header.len()];
    header.emit(&mut bytes).map(|_| bytes).unwrap_or_default()
}

fn put(bytes: &mut [u8], at: usize, word: u16) {
    bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_the_parsers_take() {
        let (here, there) = (SocketAddrV4::new(GUEST, 1234), SocketAddrV4::new(PEER, 80));
        let out = frame::parse_guest(&tcp(from_guest(), here, there, TcpFlags::ACK)).unwrap();
        assert_eq!((out.key.source_port, out.key.destination_port), (1234, 80));
        let inner = udp(from_peer(), there, here, 1400);
        let within = frame::parse_geneve(&in_tunnel(&inner)).unwrap();
        assert_eq!(within.key.vni().as_u32(), VNI);
        assert_eq!(within.key.mirror().source_ip(), std::net::IpAddr::V4(GUEST));
        // Its own checksum is under the sum, and all of it is ones.
        assert_eq!(Sum::of(&inner[14..34]).fold(), 0xffff);
    }
}
