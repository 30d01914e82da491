//! What the switch needs to know of a tunnelled frame.

use core::net::Ipv6Addr;

use opte_headers::{
    Ethernet, EthernetGet, EthernetSet, Ethertype, Geneve, GeneveGet, Header, IpProtocol, Ipv6,
    Ipv6Get, MacAddr, ParseError, Udp, UdpGet, Vni,
};

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

/// Writes the addresses of the frame's outermost header.
#[inline]
pub(crate) fn address(frame: &mut [u8], source: MacAddr, destination: MacAddr) {
    if let Ok((mut ethernet, _)) = Ethernet::parse_mut(frame) {
        ethernet.set_source(source);
        ethernet.set_destination(destination);
    }
}
