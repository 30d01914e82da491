//! What the engine knows of a VPC: how its frames are parsed, what identifies a flow, what its layers tell one another.

use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use opte::Direction;
use opte::api::{Ipv4Cidr, Ipv6Cidr};
use opte::network::{Handled, Network};
use opte::port::Router;
use opte_headers::frame::{
    KeyVni, Parsed, Then, TunnelOptions, parse_geneve, parse_geneve_then, parse_guest,
    parse_guest_then,
};
use opte_headers::{
    Ethernet, EthernetGet, Ethertype, FlowKey, Geneve, GeneveGet, Header, IpProtocol, Ipv6,
    Ipv6Get, MacAddr, ParseError, Udp, UdpGet, Vni,
};

use crate::api::{BOUNDARY_SERVICES_VNI, RouterTarget, VpcCfg};
use crate::layer::overlay::HOP_LIMIT;

/// The network of the boundary, through which packets leave and enter the overlay.
pub const BOUNDARY_VNI: Vni = vni(BOUNDARY_SERVICES_VNI);

/// The network of groups that all VPCs share.
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
    /// As [`first_six`] gives it.
    guest_mac_word: u64,
    /// Of the guest's network and of boundary services.
    key_vni: KeyVni,
    key_boundary_vni: KeyVni,
    router_mac: MacAddr,
    link_v4: Option<(Ipv4Cidr, Ipv4Addr)>,
    link_v6: Option<(Ipv6Cidr, Ipv6Addr)>,
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
    /// Its name, by which commands and saved state tell whose a port is.
    pub const NAME: &str = "oxide-vpc";

    /// The network as seen by the guest with this configuration.
    pub fn new(cfg: &VpcCfg) -> Self {
        Self {
            vni: cfg.vni,
            guest_mac: cfg.guest_mac,
            guest_mac_word: mac_word(cfg.guest_mac),
            key_vni: KeyVni::of(cfg.vni),
            key_boundary_vni: KeyVni::of(BOUNDARY_VNI),
            router_mac: cfg.gateway_mac,
            link_v4: cfg.ipv4().map(|v4| (v4.vpc_subnet, v4.gateway_ip)),
            link_v6: cfg.ipv6().map(|v6| (v6.vpc_subnet, v6.gateway_ip)),
        }
    }

    /// What the innermost Ethernet header says.
    #[inline(always)]
    fn flags_of(&self, dir: Direction, ethernet: &[u8; Ethernet::MIN_LEN]) -> u8 {
        let guest_side = match dir {
            Direction::Out => first_six(ethernet.last_chunk()),
            Direction::In => first_six(ethernet.first_chunk()),
        };
        let [first, ..] = ethernet;
        let of_guest = u8::from(guest_side == self.guest_mac_word);
        const { assert!(flag::GUEST_MAC == 1 && flag::GROUP_MAC == 2) }
        of_guest | (first & 1) << 1
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

/// Of eight bytes the first six, a MAC address, as one number.
#[inline(always)]
fn first_six(bytes: Option<&[u8; 8]>) -> u64 {
    const SIX: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes) & SIX)
}

fn mac_word(mac: MacAddr) -> u64 {
    let MacAddr([a, b, c, d, e, f]) = mac;
    first_six(Some(&[a, b, c, d, e, f, 0, 0]))
}

impl Network for VpcNetwork {
    type Key = FlowKey;
    type Meta = Meta;

    #[inline(always)]
    fn name(&self) -> &str {
        Self::NAME
    }

    /// Flows of one VPC are none of another, whatever their addresses.
    fn instance(&self) -> String {
        format!("{}, VNI {}", Self::NAME, self.vni)
    }

    fn parse(&self, dir: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        match dir {
            Direction::Out => parse_guest(frame),
            Direction::In => parse_geneve(frame),
        }
    }

    #[inline(always)]
    fn parse_then<T: Then>(&self, dir: Direction, then: T) -> T::Output {
        match dir {
            Direction::Out => parse_guest_then(then),
            Direction::In => parse_geneve_then(then),
        }
    }

    fn admits(&self, parsed: &Parsed) -> Result<(), ParseError> {
        parsed.untagged()
    }

    #[inline(always)]
    fn key(&self, dir: Direction, parsed: &Parsed, frame: &[u8]) -> FlowKey {
        let l2 = parsed.l2();
        let ethernet = frame.get(l2..l2 + Ethernet::MIN_LEN);
        let mut flags = match ethernet.and_then(<[u8]>::first_chunk) {
            Some(ethernet) => self.flags_of(dir, ethernet),
            None => 0,
        };
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
        if key.is_in(self.key_vni) {
            key.with_key_vni(self.key_boundary_vni)
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

    fn router(&self, ipv6: bool) -> Option<Router> {
        let v4 = self.link_v4.map(|(_, router)| IpAddr::V4(router));
        let v6 = self.link_v6.map(|(_, router)| IpAddr::V6(router));
        let address = if ipv6 { v6 } else { v4 }?;
        Some(Router {
            mac: self.router_mac,
            address,
        })
    }

    fn leaves_link(&self, key: &FlowKey) -> bool {
        // Members of a group are on the link too; what is to go farther, the driver counts.
        if key.destination_ip().is_multicast() {
            return false;
        }
        match key.destination_ip() {
            IpAddr::V4(v4) => self.link_v4.is_some_and(|(link, _)| !link.contains(v4)),
            IpAddr::V6(v6) => self.link_v6.is_some_and(|(link, _)| !link.contains(v6)),
        }
    }

    /// Back through the tunnel that the frame came by.
    fn answer_head(
        &self,
        dir: Direction,
        parsed: &Parsed,
        frame: &[u8],
        len: usize,
        reply: &mut [u8],
    ) -> Option<usize> {
        if dir == Direction::Out {
            return Some(0);
        }
        let (ethernet, rest) = Ethernet::parse(frame).ok()?;
        let (ip, rest) = Ipv6::parse(rest).ok()?;
        let (udp, rest) = Udp::parse(rest).ok()?;
        let (geneve, _) = Geneve::parse(rest).ok()?;
        let vni = if parsed.tunnel.contains(TunnelOptions::EXTERNAL) {
            BOUNDARY_VNI
        } else {
            geneve.vni()
        };
        let geneve = Geneve {
            vni,
            ..Geneve::default()
        };
        let length = (Udp::MIN_LEN + Geneve::MIN_LEN + len) as u16;
        let udp = Udp {
            source: udp.source(),
            destination: Geneve::PORT,
            length,
            ..Udp::default()
        };
        let ip = Ipv6 {
            source: ip.destination(),
            destination: ip.source(),
            payload_len: length,
            next_header: IpProtocol::UDP,
            hop_limit: HOP_LIMIT,
            // RFC 6438: the same entropy as in the port.
            flow_label: udp.source().into(),
            ..Ipv6::default()
        };
        let ethernet = Ethernet {
            destination: ethernet.source(),
            source: ethernet.destination(),
            ethertype: Ethertype::IPV6,
        };
        let mut at = ethernet.emit(reply).ok()?;
        at += ip.emit(reply.get_mut(at..)?).ok()?;
        at += udp.emit(reply.get_mut(at..)?).ok()?;
        at += geneve.emit(reply.get_mut(at..)?).ok()?;
        Some(at)
    }

    fn handle_packet(&self, _: Direction, _: &Parsed, _: &[u8], _: &mut [u8]) -> Handled {
        // No rule of the VPC leaves packets to the network.
        Handled::Deny
    }
}
