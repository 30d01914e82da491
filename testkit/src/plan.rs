//! Who lives where: the addresses of the lab, in one place.

use std::net::{Ipv4Addr, Ipv6Addr};

/// First host's place on the underlay.
pub const HOST_A: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1);
/// Second host's place on the underlay.
pub const HOST_B: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 1);
/// Where the overlay ends towards the outside.
pub const BOUNDARY: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1);
/// Network identifier of what goes to the boundary.
pub const BOUNDARY_VNI: u32 = 99;
/// An underlay address at which nobody is, though a route leads there.
pub const NOWHERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 3, 0, 0, 0, 0, 0, 1);

/// MTU of the underlay links, bytes.
pub const UNDERLAY_MTU: u16 = 9000;

/// Gateway of every VPC, as its guests see it.
pub const GATEWAY_MAC: &str = "a8:40:25:ff:77:77";
/// IPv4 gateway of every VPC.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// IPv6 gateway: the link-local address made of [`GATEWAY_MAC`].
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xaa40, 0x25ff, 0xfeff, 0x7777);
/// IPv6 gateway as configured; guests use [`GATEWAY_V6`].
pub const CONFIGURED_GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 0, 1);
/// IPv4 subnet of every VPC: they may overlap, and here they do.
pub const SUBNET: &str = "10.0.0.0/24";
/// IPv6 subnet of every VPC.
pub const SUBNET_V6: &str = "fd10::/64";

/// The network outside, and the server in it.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The server's IPv6 address.
pub const OUTSIDE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 1);
/// A server three routers away: the gateway, the server outside, and one more.
pub const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Its IPv6 address.
pub const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x2, 0, 0, 0, 0, 1);
/// The router between the server outside and the far one.
pub const TRANSIT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Its IPv6 address.
pub const TRANSIT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, 2);
/// MTU of the link to it, bytes: less than that of any other on the way.
pub const TRANSIT_MTU: u16 = 1300;
/// Prefix length of the IPv4 network outside.
pub const OUTSIDE_PREFIX: u8 = 24;
/// Prefix length of the IPv6 network outside.
pub const OUTSIDE_PREFIX_V6: u8 = 64;

/// Which host a guest is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first.
    A,
    /// The second.
    B,
}

impl Place {
    /// The host's underlay address.
    pub fn underlay(self) -> Ipv6Addr {
        match self {
            Self::A => HOST_A,
            Self::B => HOST_B,
        }
    }
}

/// Source NAT: an external address and the guest's share of its ports.
#[derive(Clone, Copy, Debug)]
pub struct Snat {
    /// External IPv4 address.
    pub ip: Ipv4Addr,
    /// External IPv6 address.
    pub ip6: Ipv6Addr,
    /// First and last port of the share.
    pub ports: (u16, u16),
}

/// One guest of the lab.
#[derive(Clone, Copy, Debug)]
pub struct GuestPlan {
    /// Name of its namespace.
    pub name: &'static str,
    /// Its host.
    pub place: Place,
    /// Name of its port, and of the link the guest sees.
    pub port: &'static str,
    /// Its VPC.
    pub vni: u32,
    /// Its MAC address.
    pub mac: &'static str,
    /// Its private IPv4 address, given to it by DHCP.
    pub ip: Ipv4Addr,
    /// Its private IPv6 address.
    pub ip6: Ipv6Addr,
    /// Its way out.
    pub snat: Snat,
}

/// External addresses all guests share, by ports.
const SNAT_IP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const SNAT_IP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0x10);

const fn snat(first: u16, last: u16) -> Snat {
    Snat {
        ip: SNAT_IP,
        ip6: SNAT_IP6,
        ports: (first, last),
    }
}

const fn private_v6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd10, 0, 0, 0, 0, 0, 0, last)
}

/// On the first host.
pub const ALICE: GuestPlan = GuestPlan {
    name: "alice",
    place: Place::A,
    port: "opte0",
    vni: 10,
    mac: "a8:40:25:f0:00:01",
    ip: Ipv4Addr::new(10, 0, 0, 11),
    ip6: private_v6(0x11),
    snat: snat(10_000, 19_999),
};

/// On the first host, beside Alice.
pub const BOB: GuestPlan = GuestPlan {
    name: "bob",
    place: Place::A,
    port: "opte1",
    vni: 10,
    mac: "a8:40:25:f0:00:02",
    ip: Ipv4Addr::new(10, 0, 0, 12),
    ip6: private_v6(0x12),
    snat: snat(20_000, 29_999),
};

/// On the second host, in the VPC of Alice and Bob.
pub const CAROL: GuestPlan = GuestPlan {
    name: "carol",
    place: Place::B,
    port: "opte0",
    vni: 10,
    mac: "a8:40:25:f0:00:03",
    ip: Ipv4Addr::new(10, 0, 0, 13),
    ip6: private_v6(0x13),
    snat: snat(30_000, 39_999),
};

/// On the first host, in a VPC of its own, with the very addresses Carol has in hers.
pub const MALLORY: GuestPlan = GuestPlan {
    name: "mallory",
    place: Place::A,
    port: "opte2",
    vni: 20,
    mac: "a8:40:25:f0:00:04",
    ip: Ipv4Addr::new(10, 0, 0, 13),
    ip6: private_v6(0x13),
    snat: snat(40_000, 49_999),
};

/// External addresses that lead to Alice alone.
pub const FLOATING: [Ipv4Addr; 2] = [
    Ipv4Addr::new(203, 0, 113, 21),
    Ipv4Addr::new(203, 0, 113, 22),
];
/// The same of IPv6.
pub const FLOATING_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0x21),
    Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 0x22),
];

/// All of them.
pub const GUESTS: [GuestPlan; 4] = [ALICE, BOB, CAROL, MALLORY];
