//! A guest with addresses outside, and what the boundary sends it.

use std::net::Ipv6Addr;

use opte_headers::Vni;
use oxide_vpc::api::{ExternalIpCfg, PortRange, SNatCfg};
use oxide_vpc::network::TUNNEL_ENDPOINT_MAC;

use super::{At, Body, Frame, Outer, Sent, World, guest};

pub const VPC: u32 = 10;
pub const ENDPOINT: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1);
pub const FAR: &str = "198.51.100.7";
pub const FAR6: &str = "2001:db8::7";

/// A guest with these addresses outside, a default route to the internet gateway, and the boundary known.
pub fn world(v4: ExternalIpCfg<std::net::Ipv4Addr>, v6: ExternalIpCfg<Ipv6Addr>) -> (World, At) {
    let mut world = World::new(1);
    let at = world.port(0, guest(VPC, 5));
    world
        .vpc(at)
        .set_external_ips(Some(v4), Some(v6), None)
        .unwrap();
    world.route(at, "0.0.0.0/0", "ig");
    world.route(at, "::/0", "ig");
    world.boundary(ENDPOINT);
    (world, at)
}

pub fn world4(v4: ExternalIpCfg<std::net::Ipv4Addr>) -> (World, At) {
    world(v4, ExternalIpCfg::NONE)
}

/// What the boundary sends in for a frame that answers or begins: in its own network or in the guest's.
pub fn from_outside(world: &World, at: At, frame: &Frame, vni: Vni) -> Sent {
    let inner = Frame {
        source_mac: TUNNEL_ENDPOINT_MAC,
        destination_mac: world.mac(at),
        ..frame.clone()
    };
    let destination = world.hosts[at.0].underlay;
    world.underlay(
        &Outer {
            source: ENDPOINT,
            destination,
            vni,
            external: true,
        }
        .around(&inner.bytes()),
    )
}

pub fn ports(body: &Body) -> (u16, u16) {
    match body {
        Body::Tcp {
            source,
            destination,
            ..
        }
        | Body::Udp {
            source,
            destination,
            ..
        } => (*source, *destination),
        Body::Icmp { identifier, .. } => (*identifier, *identifier),
        Body::Other { .. } => panic!("no ports"),
    }
}

pub fn share6(address: &str, first: u16, last: u16) -> ExternalIpCfg<Ipv6Addr> {
    let ports = PortRange::new(first, last).unwrap();
    ExternalIpCfg {
        snat: Some(SNatCfg {
            external_ip: address.parse().unwrap(),
            ports,
        }),
        ..ExternalIpCfg::NONE
    }
}
