//! What the engine knows of a VPC: how its frames are parsed, what identifies a flow, what its layers tell one another.

use core::net::Ipv6Addr;

use opte::Direction;
use opte::network::{Handled, Network};
use opte_headers::frame::{Parsed, TunnelOptions, parse_geneve, parse_guest};
use opte_headers::{Ethernet, EthernetGet, FlowKey, Header, MacAddr, ParseError, Vni};

use crate::api::{BOUNDARY_SERVICES_VNI, RouterTarget};

/// The network of the boundary, through which packets leave and enter the overlay.
pub const BOUNDARY_VNI: Vni = vni(BOUNDARY_SERVICES_VNI);

/// The one network of all multicast.
pub const MULTICAST_VNI: Vni = vni(77);

/// The destination of frames to the boundary, which looks at their IP header only.
pub const TUNNEL_ENDPOINT_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0x77, 0x77, 0x77]);

/// The MAC address that every VPC's gateway shows unless configured otherwise.
pub const GATEWAY_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]);

const fn vni(id: u32) -> Vni {
    match Vni::new(id) {
        Some(vni) => vni,
        None => Vni::MAX,
    }
}

/// Discriminators in [`FlowKey::flags`]: what frames of one flow have in common beside addresses, ports and network.
pub mod flag {
    /// The guest's side of the frame has the guest's MAC address: as source of what it sends, as destination of what it gets.
    pub const GUEST_MAC: u8 = 1 << 0;
    /// The destination MAC address is a group's.
    pub const GROUP_MAC: u8 = 1 << 1;
    /// The tunnel says that the packet came from outside the overlay.
    pub const EXTERNAL: u8 = 1 << 2;
    /// The tunnel says that the packet is multicast.
    pub const MULTICAST: u8 = 1 << 3;
}

/// What rules look up of the [metadata](Meta), by number.
pub(crate) mod meta_value {
    /// The VPC of the far end.
    pub(crate) const PEER: usize = 0;
}

/// The VPC as one guest's port sees it.
#[derive(Clone, Copy, Debug)]
pub struct VpcNetwork {
    vni: Vni,
    guest_mac: MacAddr,
}

/// What the layers of one walk tell one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The VPC of the far end, where that is a guest of this VPC or of a peer.
    pub peer: Option<Vni>,
    /// Where the router sends the packet.
    pub target: Option<RouterTarget>,
    /// Whether the source is now an address by which the guest is known outside.
    pub external_source: bool,
    /// The tunnel that the packet leaves by.
    pub tunnel: Option<Tunnel>,
}

/// Where a packet leaves the host to, or where on this host it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The underlay address of the far end. Where it is the host's own, the destination is another of its ports.
    pub underlay: Ipv6Addr,
    /// The network in which the far end looks for the destination.
    pub vni: Vni,
    /// The MAC address of the destination in that network.
    pub mac: MacAddr,
}

impl VpcNetwork {
    /// The network `vni` as seen by the guest with this MAC address.
    pub const fn new(vni: Vni, guest_mac: MacAddr) -> Self {
        Self { vni, guest_mac }
    }

    /// The VPC's identifier.
    pub const fn vni(&self) -> Vni {
        self.vni
    }

    /// The guest's MAC address.
    pub const fn guest_mac(&self) -> MacAddr {
        self.guest_mac
    }
}

impl Network for VpcNetwork {
    type Key = FlowKey;
    type Meta = Meta;

    #[inline(always)]
    fn parse(&self, dir: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        match dir {
            Direction::Out => parse_guest(frame),
            Direction::In => parse_geneve(frame),
        }
    }

    fn admits(&self, parsed: &Parsed) -> Result<(), ParseError> {
        parsed.untagged()
    }

    #[inline(always)]
    fn key(&self, dir: Direction, parsed: &Parsed, frame: &[u8]) -> FlowKey {
        let mut flags = 0;
        if let Some((ethernet, _)) = frame
            .get(parsed.l2()..)
            .and_then(|inner| Ethernet::parse(inner).ok())
        {
            let guest_side = match dir {
                Direction::Out => ethernet.source(),
                Direction::In => ethernet.destination(),
            };
            flags |= if guest_side == self.guest_mac {
                flag::GUEST_MAC
            } else {
                0
            };
            flags |= if ethernet.destination().is_multicast() {
                flag::GROUP_MAC
            } else {
                0
            };
        }
        if dir == Direction::Out {
            return parsed.key.with_flags(flags);
        }
        flags |= if parsed.tunnel.contains(TunnelOptions::MULTICAST) {
            flag::MULTICAST
        } else {
            0
        };
        if !parsed.tunnel.contains(TunnelOptions::EXTERNAL) {
            return parsed.key.with_flags(flags);
        }
        // What comes from outside comes in the guest's network or in that of boundary services, as the boundary likes:
        // both are one flow.
        let key = parsed.key.with_flags(flags | flag::EXTERNAL);
        if key.vni() == self.vni {
            key.with_vni(BOUNDARY_VNI)
        } else {
            key
        }
    }

    fn return_key(&self, dir: Direction, after: &FlowKey, meta: &Meta) -> FlowKey {
        let key = after.mirror();
        match dir {
            Direction::In => key.with_vni(Vni::default()).with_flags(flag::GUEST_MAC),
            Direction::Out if meta.external_source => key
                .with_vni(BOUNDARY_VNI)
                .with_flags(flag::GUEST_MAC | flag::EXTERNAL),
            // Whoever answers, of this VPC or of a peer, finds the guest in the guest's own network.
            Direction::Out => key.with_vni(self.vni).with_flags(flag::GUEST_MAC),
        }
    }

    fn meta_value(meta: &Meta, number: usize) -> Option<u64> {
        match number {
            meta_value::PEER => meta.peer.map(|vni| u64::from(vni.as_u32())),
            _ => None,
        }
    }

    fn handle_packet(&self, _: Direction, _: &Parsed, _: &[u8], _: &mut [u8]) -> Handled {
        // No rule of the VPC leaves packets to the network.
        Handled::Deny
    }
}
