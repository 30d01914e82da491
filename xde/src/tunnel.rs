//! What the switch needs to know of a tunnelled frame.

use core::net::{IpAddr, Ipv6Addr};

use opte_headers::{
    Ethernet, EthernetGet, EthernetSet, Ethertype, Geneve, GeneveGet, Header, IpProtocol, Ipv4,
    Ipv4Get, Ipv6, Ipv6Get, MacAddr, ParseError, Replication, Udp, UdpGet, Vni,
};

use crate::frame::Headers;
use crate::switch::Group;

/// The ends of a tunnel, and the guest in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TunnelEnds {
    /// Underlay address of the far end.
    pub(crate) destination: Ipv6Addr,
    /// The guest's network.
    pub(crate) vni: Vni,
    /// The guest's address.
    pub(crate) mac: MacAddr,
}

impl TunnelEnds {
    /// Reads them off a frame; `None` if it is no Geneve over IPv6.
    #[inline]
    pub(crate) fn of(frame: &[u8]) -> Result<Option<Self>, ParseError> {
        let (ethernet, rest) = Ethernet::parse(frame)?;
        if ethernet.ethertype() != Ethertype::IPV6 {
            return Ok(None);
        }
        let (ip, rest) = Ipv6::parse(rest)?;
        if ip.next_header() != IpProtocol::UDP {
            return Ok(None);
        }
        let (udp, rest) = Udp::parse(rest)?;
        if udp.destination() != Geneve::PORT {
            return Ok(None);
        }
        let (geneve, rest) = Geneve::parse(rest)?;
        let (inner, _) = Ethernet::parse(rest)?;
        Ok(Some(Self {
            destination: ip.destination(),
            vni: geneve.vni(),
            mac: inner.destination(),
        }))
    }
}

/// The tunnel of a group, and the packet in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupTunnel {
    /// Underlay address of the host that sends.
    pub(crate) from: Ipv6Addr,
    /// The underlay's group.
    pub(crate) underlay: Ipv6Addr,
    /// The network.
    pub(crate) vni: Vni,
    /// The guest that sends.
    pub(crate) source: IpAddr,
    /// The group as guests know it.
    pub(crate) group: IpAddr,
    /// Hops that the packet may still make.
    pub(crate) hops: u8,
    /// It is a datagram of UDP, right behind an IP header without options: its headers are no longer than
    /// [`Headers::MAX`].
    pub(crate) is_datagram: bool,
}

impl GroupTunnel {
    /// The group, as members subscribe to it.
    pub(crate) fn key(&self) -> Group {
        (self.underlay, self.vni, self.group)
    }

    /// Reads it off a frame; `None` if what is in the tunnel is no multicast packet.
    pub(crate) fn of(frame: &[u8]) -> Option<Self> {
        let (_, rest) = Ethernet::parse(frame).ok()?;
        let (outer, rest) = Ipv6::parse(rest).ok()?;
        let (_, rest) = Udp::parse(rest).ok()?;
        let (geneve, rest) = Geneve::parse(rest).ok()?;
        let (inner, rest) = Ethernet::parse(rest).ok()?;
        let l3 = frame.len() - rest.len();
        let (source, group, hops, is_datagram) = match inner.ethertype() {
            Ethertype::IPV4 => {
                let (ip, _) = Ipv4::parse(rest).ok()?;
                let is_plain = ip.ihl().value() == 5 && ip.protocol() == IpProtocol::UDP;
                (
                    ip.source().into(),
                    ip.destination().into(),
                    ip.ttl(),
                    is_plain,
                )
            }
            Ethertype::IPV6 => {
                let (ip, _) = Ipv6::parse(rest).ok()?;
                let is_udp = ip.next_header() == IpProtocol::UDP;
                (
                    ip.source().into(),
                    ip.destination().into(),
                    ip.hop_limit(),
                    is_udp,
                )
            }
            _ => return None,
        };
        let is_group = IpAddr::is_multicast(&group) && inner.destination() == group_mac(group);
        is_group.then_some(Self {
            from: outer.source(),
            underlay: outer.destination(),
            vni: geneve.vni(),
            source,
            group,
            hops,
            is_datagram: is_datagram && l3 + Ipv6::MIN_LEN + Udp::MIN_LEN <= Headers::MAX,
        })
    }
}

/// Writes who is to copy the packet into a frame in the tunnel of a group. `None` if it has no place for that.
pub(crate) fn set_replication(frame: &mut [u8], replication: Replication) -> Option<()> {
    let (_, rest) = Ethernet::parse_mut(frame).ok()?;
    let (_, rest) = Ipv6::parse_mut(rest).ok()?;
    let (_, rest) = Udp::parse_mut(rest).ok()?;
    let option = rest.get(Geneve::MIN_LEN..)?;
    if option.first_chunk() != Some(&MULTICAST_OPTION) {
        return None;
    }
    let [_, _, _, _, bits, ..] = rest.get_mut(Geneve::MIN_LEN..)? else {
        return None;
    };
    *bits = (replication as u8) << 6;
    Some(())
}

/// The first bytes of the option, as the overlay writes it: the only one.
const MULTICAST_OPTION: [u8; 4] = [0x01, 0x29, 0x01, 0x01];

fn group_mac(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(v4) => MacAddr::from_ipv4_multicast(v4),
        IpAddr::V6(v6) => MacAddr::from_ipv6_multicast(v6),
    }
}

/// Writes the addresses of the frame's outermost header. That of a group is the group's, whatever the next hop.
#[inline]
pub(crate) fn address(frame: &mut [u8], source: MacAddr, destination: MacAddr) {
    let end: Option<[u8; 16]> = frame
        .get(OUTER_DESTINATION..)
        .and_then(|rest| rest.first_chunk().copied());
    let group = end.map(Ipv6Addr::from).filter(Ipv6Addr::is_multicast);
    if let Ok((mut ethernet, _)) = Ethernet::parse_mut(frame) {
        ethernet.set_source(source);
        ethernet.set_destination(group.map_or(destination, MacAddr::from_ipv6_multicast));
    }
}

/// Where the outer IPv6 header has its destination.
const OUTER_DESTINATION: usize = Ethernet::MIN_LEN + 24;
