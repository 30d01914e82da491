//! Requests, checked as far as every service wants it.

use core::net::{Ipv4Addr, Ipv6Addr};

use opte_headers::checksum::{Sum, pseudo_v4, pseudo_v6};
use opte_headers::{
    Cause, Ethernet, EthernetGet, Ethertype, Header, IpProtocol, Ipv4, Ipv4Get, Ipv6, Ipv6Get,
    ParseError, Udp, UdpGet,
};

/// An IPv4 packet in an Ethernet frame: whole, its header checksum right.
pub(super) struct Ipv4Request<'a> {
    pub(super) ethernet: <Ethernet as Header>::View<'a>,
    pub(super) ip: <Ipv4 as Header>::View<'a>,
    /// What stands behind the IPv4 header, without the padding of the link.
    pub(super) payload: &'a [u8],
}

impl<'a> Ipv4Request<'a> {
    /// The packet in `frame`, if it is of this protocol.
    pub(super) fn parse(frame: &'a [u8], protocol: IpProtocol) -> Result<Option<Self>, ParseError> {
        let (ethernet, rest) = Ethernet::parse(frame)?;
        if ethernet.ethertype() != Ethertype::IPV4 {
            return Ok(None);
        }
        let (ip, rest) = Ipv4::parse(rest)?;
        if ip.protocol() != protocol {
            return Ok(None);
        }
        if Sum::of(ip.fixed()).with(ip.tail()).fold() != 0xffff {
            return Err(ParseError::new("Ipv4", "checksum", Cause::BadChecksum));
        }
        if ip.more_fragments() || ip.fragment_offset().value() != 0 {
            let offset = u64::from(ip.fragment_offset().value());
            return Err(ParseError::unsupported("Ipv4", "fragment_offset", offset));
        }
        let claimed = usize::from(ip.total_len());
        let available = ip.len() + rest.len();
        let payload = claimed
            .checked_sub(ip.len())
            .and_then(|len| rest.get(..len));
        let payload = payload.ok_or(ParseError::bad_length(
            "Ipv4",
            "total_len",
            claimed,
            available,
        ))?;
        Ok(Some(Self {
            ethernet,
            ip,
            payload,
        }))
    }

    /// The UDP datagram in the packet, if it is from and to these ports: its data.
    pub(super) fn udp(
        &self,
        source: u16,
        destination: u16,
    ) -> Result<Option<&'a [u8]>, ParseError> {
        let pseudo = |len| {
            pseudo_v4(
                self.ip.source(),
                self.ip.destination(),
                IpProtocol::UDP.0,
                len,
            )
        };
        datagram(self.payload, source, destination, pseudo)
    }
}

/// An IPv6 packet without extension headers in an Ethernet frame.
pub(super) struct Ipv6Request<'a> {
    pub(super) ethernet: <Ethernet as Header>::View<'a>,
    pub(super) ip: <Ipv6 as Header>::View<'a>,
    /// What stands behind the IPv6 header, without the padding of the link.
    pub(super) payload: &'a [u8],
}

impl<'a> Ipv6Request<'a> {
    /// The packet in `frame`, if it is of this protocol.
    pub(super) fn parse(frame: &'a [u8], protocol: IpProtocol) -> Result<Option<Self>, ParseError> {
        let (ethernet, rest) = Ethernet::parse(frame)?;
        if ethernet.ethertype() != Ethertype::IPV6 {
            return Ok(None);
        }
        let (ip, rest) = Ipv6::parse(rest)?;
        if ip.next_header() != protocol {
            return Ok(None);
        }
        let claimed = usize::from(ip.payload_len());
        let error = ParseError::bad_length("Ipv6", "payload_len", claimed, rest.len());
        let payload = rest.get(..claimed).ok_or(error)?;
        Ok(Some(Self {
            ethernet,
            ip,
            payload,
        }))
    }

    /// Whether the ICMPv6 message in the packet has the right checksum.
    pub(super) fn check_icmpv6(&self) -> Result<(), ParseError> {
        // The payload is not longer than the 16 bits of its length field say.
        let len = self.payload.len() as u32;
        let sum = pseudo_v6(
            self.ip.source(),
            self.ip.destination(),
            IpProtocol::ICMPV6.0,
            len,
        )
        .with(self.payload);
        if sum.fold() != 0xffff {
            return Err(ParseError::new("Icmpv6", "checksum", Cause::BadChecksum));
        }
        Ok(())
    }

    /// The UDP datagram in the packet, if it is from and to these ports: its data.
    pub(super) fn udp(
        &self,
        source: u16,
        destination: u16,
    ) -> Result<Option<&'a [u8]>, ParseError> {
        let (from, to) = (self.ip.source(), self.ip.destination());
        let pseudo = |len: u16| pseudo_v6(from, to, IpProtocol::UDP.0, len.into());
        datagram(self.payload, source, destination, pseudo)
    }
}

/// Whether a packet from this address may be answered: that of one host (RFC 1122, section 3.2.1.3).
pub(super) fn is_host_v4(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_loopback())
}

/// Whether a packet from this address may be answered: that of one host (RFC 4291, sections 2.5.2 and 2.7).
pub(super) fn is_host_v6(address: Ipv6Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback())
}

fn datagram(
    payload: &[u8],
    source: u16,
    destination: u16,
    pseudo: impl FnOnce(u16) -> Sum,
) -> Result<Option<&[u8]>, ParseError> {
    let (udp, _) = Udp::parse(payload)?;
    if udp.source() != source || udp.destination() != destination {
        return Ok(None);
    }
    let claimed = usize::from(udp.length());
    let error = ParseError::bad_length("Udp", "length", claimed, payload.len());
    let datagram = payload.get(..claimed).ok_or(error)?;
    let (_, data) = datagram.split_at_checked(Udp::MIN_LEN).ok_or(error)?;
    let pseudo = pseudo(udp.length());
    // A guest may leave the sum to its link, which a virtual link never completes: then the field holds the sum of the
    // pseudo-header. Zero is no checksum.
    if udp.checksum() != 0
        && pseudo.with(datagram).fold() != 0xffff
        && udp.checksum() != pseudo.fold()
    {
        return Err(ParseError::new("Udp", "checksum", Cause::BadChecksum));
    }
    Ok(Some(data))
}
