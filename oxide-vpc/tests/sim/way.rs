//! What guests send outside, what is set in its headers, and what is reported about it.

use std::net::IpAddr;

use opte::Direction::Out;
use opte_headers::checksum::Sum;
use opte_headers::{Ethernet, Header, Icmpv4, Icmpv4Get, Icmpv6, Icmpv6Get, Ipv4, Ipv6};
use oxide_vpc::api::ExternalIpCfg;
use oxide_vpc::network::GATEWAY_MAC;

use super::outside::{FAR, FAR6, share6, world};
use super::{At, Body, Frame, Sent, World, floating, ip, snat, via_gateway};

pub const L3: usize = Ethernet::MIN_LEN;

pub fn shared() -> (World, At) {
    world(
        snat("203.0.113.9", 1025, 4096),
        share6("2001:db8:1::9", 1025, 4096),
    )
}

pub fn own() -> (World, At) {
    let v6 = ExternalIpCfg {
        floating_ips: vec!["2001:db8:1::20".parse().unwrap()],
        ..ExternalIpCfg::NONE
    };
    world(floating(&["203.0.113.20"]), v6)
}

pub fn to_outside(world: &World, a: At, v6: bool, body: Body) -> Frame {
    let (from, to) = if v6 {
        (world.v6(a), via_gateway(FAR6))
    } else {
        (world.v4(a), via_gateway(FAR))
    };
    Frame::new(from, to, body)
}

/// The traffic class of the IP header at `at`.
pub fn class(frame: &[u8], at: usize) -> u8 {
    match frame[at] >> 4 {
        6 => frame[at] << 4 | frame[at + 1] >> 4,
        _ => frame[at + 1],
    }
}

pub fn set_class(frame: &mut [u8], at: usize, class: u8) {
    if frame[at] >> 4 == 6 {
        frame[at] = 0x60 | class >> 4;
        frame[at + 1] = class << 4 | frame[at + 1] & 0x0f;
        return;
    }
    frame[at + 1] = class;
    seal(&mut frame[at..at + 20]);
}

pub fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = Sum::of(header).checksum();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

pub fn set_hops(frame: &mut [u8], hops: u8) {
    if frame[L3] >> 4 == 6 {
        frame[L3 + 7] = hops;
    } else {
        frame[L3 + 8] = hops;
        seal(&mut frame[L3..L3 + 20]);
    }
}

pub fn forbid_fragments(frame: &mut [u8]) {
    if frame[L3] >> 4 == 4 {
        frame[L3 + 6] |= 0x40;
        seal(&mut frame[L3..L3 + 20]);
    }
}

/// An ICMP error in a frame to the guest: who sent it, its type and code, the MTU, and what it embeds. Its checksums are right.
#[track_caller]
pub fn error(world: &World, a: At, frame: &[u8]) -> (IpAddr, (u8, u8), u32, Vec<u8>) {
    let (_, rest) = Ethernet::parse(frame).unwrap();
    assert_eq!(frame[..6], world.mac(a).octets());
    assert_eq!(frame[6..12], GATEWAY_MAC.octets());
    let mtu = |message: &[u8]| u32::from_be_bytes(message[4..8].try_into().unwrap());
    if rest[0] >> 4 == 4 {
        use opte_headers::Ipv4Get;
        let (ip, message) = Ipv4::parse(rest).unwrap();
        assert_eq!(Sum::of(ip.fixed()).checksum(), 0);
        assert_eq!(Sum::of(message).checksum(), 0);
        assert_eq!(IpAddr::V4(ip.destination()), world.v4(a).1);
        let (icmp, _) = Icmpv4::parse(message).unwrap();
        assert!(rest.len() <= 576, "RFC 1812, section 4.3.2.3");
        return (
            ip.source().into(),
            (icmp.ty().0, icmp.code()),
            mtu(message),
            message[8..].to_vec(),
        );
    }
    use opte_headers::Ipv6Get;
    let (ip, message) = Ipv6::parse(rest).unwrap();
    let len = message.len() as u32;
    let pseudo = opte_headers::checksum::pseudo_v6(ip.source(), ip.destination(), 58, len);
    assert_eq!(pseudo.with(message).checksum(), 0);
    assert_eq!(IpAddr::V6(ip.destination()), world.v6(a).1);
    let (icmp, _) = Icmpv6::parse(message).unwrap();
    assert!(rest.len() <= 1280, "RFC 4443, section 2.4 (c)");
    (
        ip.source().into(),
        (icmp.ty().0, icmp.code()),
        mtu(message),
        message[8..].to_vec(),
    )
}

#[track_caller]
pub fn answered(world: &World, a: At, frame: &[u8]) -> Vec<u8> {
    match world.process(a, Out, frame) {
        Err(sent) => match *sent {
            Sent::Answered(reply) => reply,
            other => panic!("not answered: {other:?}"),
        },
        Ok(_) => panic!("not answered but sent"),
    }
}

pub fn gateway(v6: bool) -> IpAddr {
    ip(if v6 { "fd00:1::1" } else { "172.30.0.1" })
}

pub fn transport_sum(ip: &[u8]) -> u16 {
    use opte_headers::checksum::{pseudo_v4, pseudo_v6};
    let pseudo = if ip[0] >> 4 == 4 {
        let address = |at: usize| <[u8; 4]>::try_from(&ip[at..at + 4]).unwrap().into();
        pseudo_v4(address(12), address(16), 6, ip.len() as u16 - 20).with(&ip[20..])
    } else {
        let address = |at: usize| <[u8; 16]>::try_from(&ip[at..at + 16]).unwrap().into();
        pseudo_v6(address(8), address(24), 6, ip.len() as u32 - 40).with(&ip[40..])
    };
    pseudo.checksum()
}
