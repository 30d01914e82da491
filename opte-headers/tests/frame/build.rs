//! Frames built with the headers.

use core::net::{Ipv4Addr, Ipv6Addr};
use opte_headers::*;

pub(crate) const A: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 5);
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
pub(crate) const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5);
pub(crate) const B6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 1);

/// The bytes of a header.
pub(crate) fn bytes(header: &impl Header) -> Vec<u8> {
    let mut out = vec![0; header.len()];
    header.emit(&mut out).unwrap();
    out
}

/// An Ethernet frame around `body`.
pub(crate) fn ethernet(ethertype: Ethertype, body: &[u8]) -> Vec<u8> {
    [
        &bytes(&Ethernet {
            ethertype,
            ..Ethernet::default()
        }),
        body,
    ]
    .concat()
}

/// An IPv4 packet around `body`.
pub(crate) fn ipv4(header: Ipv4, body: &[u8]) -> Vec<u8> {
    let total_len = (header.len() + body.len()) as u16;
    [
        &bytes(&Ipv4 {
            source: A,
            destination: B,
            total_len,
            ..header
        }),
        body,
    ]
    .concat()
}

/// An IPv6 packet around `body`.
pub(crate) fn ipv6(next_header: IpProtocol, body: &[u8]) -> Vec<u8> {
    let payload_len = body.len() as u16;
    [
        &bytes(&Ipv6 {
            source: A6,
            destination: B6,
            next_header,
            payload_len,
            ..Ipv6::default()
        }),
        body,
    ]
    .concat()
}

/// A UDP datagram around `body`.
pub(crate) fn udp(destination: u16, body: &[u8]) -> Vec<u8> {
    [
        &bytes(&Udp {
            source: 1000,
            destination,
            length: 8 + body.len() as u16,
            checksum: 0,
        }),
        body,
    ]
    .concat()
}

/// A TCP header.
pub(crate) fn tcp() -> Vec<u8> {
    bytes(&Tcp {
        source: 1000,
        destination: 80,
        ..Tcp::default()
    })
}

/// A TCP segment as a guest sends it.
pub(crate) fn guest_tcp() -> Vec<u8> {
    ethernet(
        Ethertype::IPV4,
        &ipv4(
            Ipv4 {
                protocol: IpProtocol::TCP,
                ..Ipv4::default()
            },
            &[tcp(), vec![7; 9]].concat(),
        ),
    )
}

/// A frame in the tunnel.
pub(crate) fn geneve(options: &[u8], critical: bool, body: &[u8]) -> Vec<u8> {
    let header = Geneve {
        vni: Vni::new(0xabcdef).unwrap(),
        critical,
        options: Tail::from_bytes(options).unwrap(),
        ..Geneve::default()
    };
    let inner = [bytes(&header), body.to_vec()].concat();
    ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::UDP, &udp(Geneve::PORT, &inner)),
    )
}
