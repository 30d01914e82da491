//! Cutting super-packets into the segments that a wire takes, and completing checksums.
//!
//! A guest hands over up to 64 KiB of TCP or UDP payload under one set of headers; the engine encapsulates it as one
//! packet. What leaves over a wire is cut here: each segment has the headers of the whole, with lengths, sequence
//! numbers, identification, flags and checksums of its own (as a network card's TSO and USO do).

use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use opte::packet::{Gso, GsoKind};
use opte_headers::checksum::{self, Sum};
use opte_headers::options::GeneveKind;
use opte_headers::{
    Ethernet, EthernetGet, Ethertype, Geneve, GeneveGet, Header, IpProtocol, Ipv4, Ipv4Get,
    Ipv4Set, Ipv6, Ipv6Destination, Ipv6DestinationGet, Ipv6Get, Ipv6HopByHop, Ipv6HopByHopGet,
    Ipv6Routing, Ipv6RoutingGet, Ipv6Set, Tcp, TcpFlags, TcpGet, TcpSet, Udp, UdpSet, Vlan,
    VlanGet,
};

/// Bytes that the headers of a segment may have, outer and inner together.
pub const MAX_HEADERS: usize = 512;

/// Where the headers of a frame stand that are changed from segment to segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    tunnel: Option<Tunnel>,
    network: Network,
    l3: usize,
    transport: Transport,
    l4: usize,
    payload: usize,
    /// End of the innermost IP packet.
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tunnel {
    ip: usize,
    udp: usize,
    /// Where the option's number stands that tells the receiver the guest's segment size.
    mss: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Tcp,
    Udp,
    Icmpv6,
}

impl Layout {
    /// The layout of a guest's frame; `None` if it has no checksummed transport header to be found.
    pub fn of_guest(frame: &[u8]) -> Option<Self> {
        Self::inner(frame, 0, None)
    }

    /// The layout of a frame in a Geneve tunnel over IPv6, as the engine makes it.
    pub fn of_tunnelled(frame: &[u8]) -> Option<Self> {
        let (_, rest) = Ethernet::parse(frame).ok()?;
        let ip = frame.len() - rest.len();
        let (_, rest) = Ipv6::parse(rest).ok()?;
        let udp = frame.len() - rest.len();
        let (_, rest) = Udp::parse(rest).ok()?;
        let geneve = frame.len() - rest.len();
        let (view, rest) = Geneve::parse(rest).ok()?;
        let mut at = geneve + Geneve::MIN_LEN;
        let mut mss = None;
        for option in view.options().raw() {
            let option = option.ok()?;
            if option.kind == GeneveKind::MSS && option.body.len() == 4 {
                mss = Some(at + OPTION_HEADER);
            }
            at += OPTION_HEADER + option.body.len();
        }
        Self::inner(
            frame,
            frame.len() - rest.len(),
            Some(Tunnel { ip, udp, mss }),
        )
    }

    fn inner(frame: &[u8], start: usize, tunnel: Option<Tunnel>) -> Option<Self> {
        let at = |rest: &[u8]| frame.len() - rest.len();
        let (ethernet, mut rest) = Ethernet::parse(frame.get(start..)?).ok()?;
        let mut ethertype = ethernet.ethertype();
        while ethertype == Ethertype::VLAN {
            let (vlan, behind) = Vlan::parse(rest).ok()?;
            (ethertype, rest) = (vlan.ethertype(), behind);
        }
        let l3 = at(rest);
        let (network, end, mut protocol);
        if ethertype == Ethertype::IPV4 {
            let (ip, behind) = Ipv4::parse(rest).ok()?;
            network = Network::V4(ip.source(), ip.destination());
            end = l3 + usize::from(ip.total_len());
            (protocol, rest) = (ip.protocol(), behind);
        } else if ethertype == Ethertype::IPV6 {
            let (ip, behind) = Ipv6::parse(rest).ok()?;
            network = Network::V6(ip.source(), ip.destination());
            end = l3 + Ipv6::MIN_LEN + usize::from(ip.payload_len());
            (protocol, rest) = (ip.next_header(), behind);
        } else {
            return None;
        }
        while let Some((next, behind)) = extension(protocol, rest) {
            (protocol, rest) = (next, behind);
        }
        let l4 = at(rest);
        let (transport, payload) = if protocol == IpProtocol::TCP {
            (Transport::Tcp, at(Tcp::parse(rest).ok()?.1))
        } else if protocol == IpProtocol::UDP {
            (Transport::Udp, at(Udp::parse(rest).ok()?.1))
        } else if protocol == IpProtocol::ICMPV6 {
            (Transport::Icmpv6, l4 + 4)
        } else {
            return None;
        };
        (payload <= end && end <= frame.len()).then_some(Self {
            tunnel,
            network,
            l3,
            transport,
            l4,
            payload,
            end,
        })
    }

    /// Bytes of network-layer packet on the wire, if a segment has `payload` bytes of transport payload.
    pub fn wire_len(&self, payload: usize) -> usize {
        let network = self.tunnel.map_or(self.l3, |tunnel| tunnel.ip);
        self.payload - network + payload
    }

    /// Bytes of transport payload.
    pub fn payload_len(&self) -> usize {
        self.end - self.payload
    }

    /// The most payload for segments that fit `mtu`: a whole number of times the guest's segment size, where the
    /// receiver is told of it, so that there they become super-packets of the guest's own segments again.
    pub fn segment_size(&self, gso: Gso, mtu: usize) -> usize {
        let size = usize::from(gso.size);
        let can_grow = gso.kind != GsoKind::Udp && self.tunnel.is_some_and(|t| t.mss.is_some());
        let room = mtu.saturating_sub(self.wire_len(0));
        match room.checked_div(size) {
            Some(times) if can_grow && times > 1 => size * times,
            _ => size,
        }
    }

    /// What the sending host tells of the guest's segment size, if it does.
    pub fn told_segment_size(&self, frame: &[u8]) -> Option<u16> {
        let told = frame.get(self.tunnel?.mss?..)?.first_chunk()?;
        let size = u16::try_from(u32::from_be_bytes(*told)).ok()?;
        (size > 0).then_some(size)
    }

    /// What a super-packet of this layout is made of, if of TCP.
    pub fn tcp_kind(&self) -> Option<GsoKind> {
        match (self.transport, self.network) {
            (Transport::Tcp, Network::V4(..)) => Some(GsoKind::TcpV4),
            (Transport::Tcp, Network::V6(..)) => Some(GsoKind::TcpV6),
            _ => None,
        }
    }

    /// Completes the transport checksum of `frame`, whose field holds the sum of the pseudo-header.
    pub fn complete_checksum(&self, frame: &mut [u8]) -> Option<()> {
        let place = self.l4 + self.checksum_offset()?;
        let sum = Sum::of(frame.get(self.l4..self.end)?);
        let field = frame.get_mut(place..)?.first_chunk_mut()?;
        *field = self.finish(sum).to_be_bytes();
        Some(())
    }

    fn checksum_offset(&self) -> Option<usize> {
        Some(match self.transport {
            Transport::Tcp => Tcp::CHECKSUM?.offset,
            Transport::Udp => Udp::CHECKSUM?.offset,
            Transport::Icmpv6 => 2,
        })
    }

    /// A checksum field's value, for a sum over all. A UDP checksum that comes to 0 is sent as 0xffff (RFC 768).
    fn finish(&self, sum: Sum) -> u16 {
        match (self.transport, sum.checksum()) {
            (Transport::Udp, 0) => u16::MAX,
            (_, checksum) => checksum,
        }
    }

    fn pseudo_header(&self, length: usize) -> Sum {
        let protocol = match self.transport {
            Transport::Tcp => IpProtocol::TCP,
            Transport::Udp => IpProtocol::UDP,
            Transport::Icmpv6 => IpProtocol::ICMPV6,
        };
        match self.network {
            Network::V4(source, destination) => {
                checksum::pseudo_v4(source, destination, protocol.0, word(length))
            }
            Network::V6(source, destination) => {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                checksum::pseudo_v6(source, destination, protocol.0, length)
            }
        }
    }
}

/// Bytes before the body of a Geneve option (RFC 8926, section 3.5).
const OPTION_HEADER: usize = 4;

/// What follows an IPv6 extension header, and where; `None` if the protocol is none.
fn extension(protocol: IpProtocol, bytes: &[u8]) -> Option<(IpProtocol, &[u8])> {
    if protocol == IpProtocol::HOP_BY_HOP {
        let (header, rest) = Ipv6HopByHop::parse(bytes).ok()?;
        Some((header.next_header(), rest))
    } else if protocol == IpProtocol::DESTINATION_OPTIONS {
        let (header, rest) = Ipv6Destination::parse(bytes).ok()?;
        Some((header.next_header(), rest))
    } else if protocol == IpProtocol::ROUTING {
        let (header, rest) = Ipv6Routing::parse(bytes).ok()?;
        Some((header.next_header(), rest))
    } else {
        None
    }
}

/// The segments of a super-packet, in order.
#[derive(Debug)]
pub struct Segments<'a> {
    frame: &'a [u8],
    layout: Layout,
    kind: GsoKind,
    /// Bytes of payload in a segment, and in one of the guest's own.
    size: usize,
    guest_size: u16,
    /// Payload bytes that are cut already.
    done: usize,
    count: u16,
}

/// A segment: its headers are in the buffer given for them, its payload is still in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes of the headers.
    pub headers: usize,
    /// The payload, counted from the start of the frame.
    pub payload: Range<usize>,
}

impl<'a> Segments<'a> {
    /// Cuts `frame` into segments of `size` payload bytes; see [`Layout::segment_size`]. `None` for what is no super-packet of
    /// the kind it claims to be.
    pub fn new(frame: &'a [u8], layout: Layout, gso: Gso, size: usize) -> Option<Self> {
        let fits = matches!(
            (gso.kind, layout.transport, layout.network),
            (GsoKind::TcpV4, Transport::Tcp, Network::V4(..))
                | (GsoKind::TcpV6, Transport::Tcp, Network::V6(..))
                | (GsoKind::Udp, Transport::Udp, _)
        );
        (fits && size > 0 && layout.payload <= MAX_HEADERS).then_some(Self {
            frame,
            layout,
            kind: gso.kind,
            size,
            guest_size: gso.size,
            done: 0,
            count: 0,
        })
    }

    /// Writes the headers of the next segment; `None` when all is cut.
    pub fn next_into(&mut self, headers: &mut [u8; MAX_HEADERS]) -> Option<Segment> {
        let Self {
            frame,
            layout,
            done,
            ..
        } = *self;
        let left = layout.payload_len().checked_sub(done)?;
        if left == 0 && done > 0 {
            return None;
        }
        let length = left.min(self.size);
        let (first, last) = (done == 0, length == left);
        // A super-packet without payload is one segment; it ends after it.
        self.done = done + length.max(1);
        let start = layout.payload + done;
        let payload = start..start + length;
        let headers = headers.get_mut(..layout.payload)?;
        headers.copy_from_slice(frame.get(..layout.payload)?);
        self.write_tunnel(headers, length)?;
        self.write_network(headers, length)?;
        self.write_transport(headers, frame.get(payload.clone())?, first, last)?;
        self.count = self.count.wrapping_add(1);
        Some(Segment {
            headers: layout.payload,
            payload,
        })
    }

    fn write_tunnel(&self, headers: &mut [u8], length: usize) -> Option<()> {
        let Some(tunnel) = self.layout.tunnel else {
            return Some(());
        };
        let end = self.layout.payload + length;
        let (mut ip, _) = Ipv6::parse_mut(headers.get_mut(tunnel.ip..)?).ok()?;
        ip.set_payload_len(word(end - tunnel.ip - Ipv6::MIN_LEN));
        let (mut udp, _) = Udp::parse_mut(headers.get_mut(tunnel.udp..)?).ok()?;
        udp.set_length(word(end - tunnel.udp));
        if let Some(at) = tunnel.mss
            && self.kind != GsoKind::Udp
        {
            let field = headers.get_mut(at..)?.first_chunk_mut()?;
            *field = u32::from(self.guest_size).to_be_bytes();
        }
        Some(())
    }

    fn write_network(&self, headers: &mut [u8], length: usize) -> Option<()> {
        let l3 = self.layout.l3;
        let total = self.layout.payload - l3 + length;
        let bytes = headers.get_mut(l3..)?;
        match self.layout.network {
            Network::V4(..) => {
                let (mut ip, _) = Ipv4::parse_mut(bytes).ok()?;
                let header_len = usize::from(ip.ihl().value()) * 4;
                ip.set_total_len(word(total));
                ip.set_identification(ip.identification().wrapping_add(self.count));
                ip.set_checksum(0);
                let sum = Sum::of(headers.get(l3..l3 + header_len)?);
                let (mut ip, _) = Ipv4::parse_mut(headers.get_mut(l3..)?).ok()?;
                ip.set_checksum(sum.checksum());
            }
            Network::V6(..) => {
                let (mut ip, _) = Ipv6::parse_mut(bytes).ok()?;
                ip.set_payload_len(word(total - Ipv6::MIN_LEN));
            }
        }
        Some(())
    }

    fn write_transport(
        &self,
        headers: &mut [u8],
        payload: &[u8],
        first: bool,
        last: bool,
    ) -> Option<()> {
        let layout = &self.layout;
        let length = layout.payload - layout.l4 + payload.len();
        let bytes = headers.get_mut(layout.l4..)?;
        if layout.transport == Transport::Tcp {
            let (mut tcp, _) = Tcp::parse_mut(bytes).ok()?;
            // `done` is already past this segment.
            let before = u32::try_from(self.done.checked_sub(payload.len().max(1))?).ok()?;
            tcp.set_sequence(tcp.sequence().wrapping_add(before));
            let mut flags = tcp.flags();
            if !first {
                flags.remove(TcpFlags::CWR);
            }
            if !last {
                flags.remove(TcpFlags::FIN | TcpFlags::PSH);
            }
            tcp.set_flags(flags);
            tcp.set_checksum(0);
        } else {
            let (mut udp, _) = Udp::parse_mut(bytes).ok()?;
            udp.set_length(word(length));
            udp.set_checksum(0);
        }
        // The headers behind L4 are an even number of bytes, so the payload's sum joins on as it is.
        let sum = layout
            .pseudo_header(length)
            .with(headers.get(layout.l4..)?)
            .with(payload);
        let place = layout.l4 + layout.checksum_offset()?;
        let field = headers.get_mut(place..)?.first_chunk_mut()?;
        *field = layout.finish(sum).to_be_bytes();
        Some(())
    }
}

/// A length that cannot be more than a frame's.
fn word(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
