//! A frame to the key of its flow, written to where the caller wants it; the project and the code by hand give also where each
//! header stands: `out` is Ethernet, IP, TCP or UDP; `geneve` the same in Ethernet, IPv6, UDP, Geneve.

use opte_headers::FlowKey;
use opte_headers::frame::KeyKind;

/// Writes a key of IPv4.
#[inline(always)]
fn v4(key: &mut FlowKey, source: [u8; 4], destination: [u8; 4], protocol: u8, ports: (u16, u16)) {
    let source = FlowKey::octets_of_v4(source.into());
    let destination = FlowKey::octets_of_v4(destination.into());
    v6(key, source, destination, protocol, ports);
}

/// Writes a key of IPv6.
#[inline(always)]
fn v6(key: &mut FlowKey, source: [u8; 16], destination: [u8; 16], protocol: u8, ports: (u16, u16)) {
    key.source = source;
    key.destination = destination;
    (key.source_port, key.destination_port) = ports;
    key.protocol = protocol;
    key.flags = 0;
    key.kind = KeyKind::PLAIN;
    key.vni = [0; 3];
}

/// An address of IPv6 that the key would take for one of IPv4.
#[inline(always)]
fn is_mapped(address: [u8; 16]) -> bool {
    u128::from_be_bytes(address) >> 32 == 0xffff
}

pub mod opte {
    use opte_headers::frame::{parse_geneve, parse_guest};
    use opte_headers::{ParseError, Parsed};

    #[inline(never)]
    pub fn measured_out(frame: &[u8]) -> Result<Parsed, ParseError> {
        parse_guest(frame)
    }

    #[inline(never)]
    pub fn measured_geneve(frame: &[u8]) -> Result<Parsed, ParseError> {
        parse_geneve(frame)
    }
}

/// The same checks, written out for these stacks; gives the key and where the headers stand.
pub mod by_hand {
    use super::{is_mapped, v4, v6};
    use opte_headers::FlowKey;

    #[allow(dead_code)]
    #[derive(Default)]
    pub struct Found {
        pub key: FlowKey,
        /// Where the innermost network header starts.
        pub network: u16,
        /// Where the transport header starts.
        pub transport: u16,
        /// Where its payload starts.
        pub payload: u16,
        /// Where that ends.
        pub end: u16,
    }

    #[inline(always)]
    fn be16(bytes: &[u8], at: usize) -> u16 {
        u16::from_be_bytes([bytes[at], bytes[at + 1]])
    }

    /// The frame that starts at `start` and ends with `frame`. Each family has code of its own to the end, so that addresses are
    /// moved once.
    #[inline(always)]
    fn guest(frame: &[u8], start: usize, vni: [u8; 3], out: &mut Found) -> Option<()> {
        let (ethernet, packet) = frame.get(start..)?.split_first_chunk::<14>()?;
        match be16(ethernet, 12) {
            0x0800 => {
                let (ip, rest) = packet.split_first_chunk::<20>()?;
                // Options and fragments are for a slower path.
                if ip[0] != 0x45 || be16(ip, 6) & 0x3fff != 0 {
                    return None;
                }
                let body = rest.get(..usize::from(be16(ip, 2)).checked_sub(20)?)?;
                let (ports, len) = transport(ip[9], body)?;
                let source = [ip[12], ip[13], ip[14], ip[15]];
                let destination = [ip[16], ip[17], ip[18], ip[19]];
                v4(&mut out.key, source, destination, ip[9], ports);
                out.key.vni = vni;
                places(out, start + 14, start + 34, len, body);
            }
            0x86dd => {
                let (ip, rest) = packet.split_first_chunk::<40>()?;
                let body = rest.get(..usize::from(be16(ip, 4)))?;
                let source = *ip[8..].first_chunk()?;
                let destination = *ip[24..].first_chunk()?;
                if ip[0] >> 4 != 6 || is_mapped(source) || is_mapped(destination) {
                    return None;
                }
                let (ports, len) = transport(ip[6], body)?;
                v6(&mut out.key, source, destination, ip[6], ports);
                out.key.vni = vni;
                places(out, start + 14, start + 54, len, body);
            }
            _ => return None,
        }
        Some(())
    }

    /// Ports, and the header's length.
    #[inline(always)]
    fn transport(protocol: u8, body: &[u8]) -> Option<((u16, u16), usize)> {
        let len = match protocol {
            6 => {
                let len = usize::from(body.first_chunk::<20>()?[12] >> 4) * 4;
                if len < 20 || len > body.len() {
                    return None;
                }
                len
            }
            17 => {
                let len = usize::from(be16(body.first_chunk::<8>()?, 4));
                if len < 8 || len > body.len() {
                    return None;
                }
                8
            }
            _ => return None,
        };
        Some(((be16(body, 0), be16(body, 2)), len))
    }

    #[inline(always)]
    fn places(out: &mut Found, network: usize, transport: usize, len: usize, body: &[u8]) {
        out.network = network as u16;
        out.transport = transport as u16;
        out.payload = (transport + len) as u16;
        out.end = (transport + body.len()) as u16;
    }

    /// The network and what is in the tunnel, of what follows UDP.
    #[inline(always)]
    pub(super) fn geneve(bytes: &[u8]) -> Option<([u8; 3], &[u8])> {
        let (header, rest) = bytes.split_first_chunk::<8>()?;
        let (options, inner) = rest.split_at_checked(usize::from(header[0] & 63) * 4)?;
        if header[0] >> 6 != 0 || be16(header, 2) != 0x6558 {
            return None;
        }
        if !options.is_empty() {
            understood(options, header[1] & 0x40 != 0)?;
        }
        Some(([header[4], header[5], header[6]], inner))
    }

    /// Whether the options are whole, and all of them known that must be.
    #[cold]
    pub(super) fn understood(mut options: &[u8], critical: bool) -> Option<()> {
        while let Some((header, rest)) = options.split_first_chunk::<4>() {
            let known = be16(header, 0) == 0x0129 && header[2] & 0x7f < 3;
            if critical && header[2] & 0x80 != 0 && !known {
                return None;
            }
            options = rest.get(usize::from(header[3] & 31) * 4..)?;
        }
        options.is_empty().then_some(())
    }

    #[inline(never)]
    pub fn measured_out(frame: &[u8], out: &mut Found) -> Option<()> {
        if frame.len() > usize::from(u16::MAX) {
            return None;
        }
        guest(frame, 0, [0; 3], out)
    }

    #[inline(never)]
    pub fn measured_geneve(frame: &[u8], out: &mut Found) -> Option<()> {
        let (outer, rest) = frame.split_first_chunk::<62>()?;
        let ip = &outer[14..54];
        let (packet, udp) = (usize::from(be16(ip, 4)), usize::from(be16(outer, 58)));
        let mapped = |at: usize| ip[at..].first_chunk().is_none_or(|it| is_mapped(*it));
        let whole = frame.len() <= usize::from(u16::MAX) && packet >= 8 && packet - 8 <= rest.len();
        let good = be16(outer, 12) == 0x86dd && ip[0] >> 4 == 6 && ip[6] == 17;
        if !whole || !good || mapped(8) || mapped(24) || be16(outer, 56) != 6081 {
            return None;
        }
        if udp < 8 || udp > packet {
            return None;
        }
        let (vni, inner) = geneve(rest.get(..udp - 8)?)?;
        let end = 54 + udp;
        guest(frame.get(..end)?, end - inner.len(), vni, out)
    }
}

/// ingot: lengths of the headers; nothing of versions, of the lengths that IP and UDP tell, of fragments, of critical options.
pub mod ingot {
    use super::{by_hand, is_mapped, v4, v6};
    use crate::stacks::{ValidGuest, ValidNetwork, ValidTransport, ValidTunnel};
    use ingot::ethernet::{EthernetRef, Ethertype};
    use ingot::geneve::{GeneveFlags, GeneveRef};
    use ingot::ip::{Ipv4Flags, Ipv4Ref, Ipv6Ref};
    use ingot::tcp::TcpRef;
    use ingot::types::{Header, HeaderLen, HeaderParse, NextLayer};
    use ingot::udp::UdpRef;
    use opte_headers::FlowKey;

    #[inline(always)]
    fn key(network: &ValidNetwork<&[u8]>, transport: &ValidTransport<&[u8]>, out: &mut FlowKey) {
        let ports = match transport {
            ValidTransport::Tcp(tcp) => (tcp.source(), tcp.destination()),
            ValidTransport::Udp(udp) => (udp.source(), udp.destination()),
            _ => (0, 0),
        };
        match network {
            ValidNetwork::Ipv4(ip) => {
                let (source, destination) = (ip.source().octets(), ip.destination().octets());
                v4(out, source, destination, ip.protocol().0, ports);
            }
            ValidNetwork::Ipv6(ip) => {
                let (source, destination) = (ip.source().octets(), ip.destination().octets());
                let next = ip.next_layer().unwrap_or_default().0;
                v6(out, source, destination, next, ports);
            }
        }
    }

    /// What ingot leaves to the caller; `room` is behind the Ethernet header.
    #[inline(always)]
    fn check(
        network: &ValidNetwork<&[u8]>,
        transport: &ValidTransport<&[u8]>,
        room: usize,
    ) -> Option<()> {
        let body = match network {
            ValidNetwork::Ipv4(ip) => {
                let (len, total) = (usize::from(ip.ihl()) * 4, usize::from(ip.total_len()));
                let fragment =
                    ip.flags().contains(Ipv4Flags::MORE_FRAGMENTS) || ip.fragment_offset() != 0;
                if ip.version() != 4 || len < 20 || total > room || fragment {
                    return None;
                }
                total.checked_sub(len)?
            }
            ValidNetwork::Ipv6(ip) => {
                let len = usize::from(ip.payload_len());
                let mapped =
                    is_mapped(ip.source().octets()) || is_mapped(ip.destination().octets());
                if ip.version() != 6 || len + 40 > room || mapped {
                    return None;
                }
                (len + 40).checked_sub(ip.packet_length())?
            }
        };
        let good = match transport {
            ValidTransport::Tcp(tcp) => {
                let len = usize::from(tcp.data_offset()) * 4;
                len >= 20 && len <= body
            }
            ValidTransport::Udp(udp) => {
                let len = usize::from(udp.length());
                len >= 8 && len <= body
            }
            _ => false,
        };
        good.then_some(())
    }

    #[inline(never)]
    pub fn measured_out(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let (parsed, ..) = ValidGuest::parse(frame).ok()?;
        key(&parsed.network, &parsed.transport, out);
        Some(())
    }

    #[inline(never)]
    pub fn measured_out_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let (parsed, ..) = ValidGuest::parse(frame).ok()?;
        check(&parsed.network, &parsed.transport, frame.len() - 14)?;
        key(&parsed.network, &parsed.transport, out);
        Some(())
    }

    #[inline(never)]
    pub fn measured_geneve(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let (parsed, ..) = ValidTunnel::parse(frame).ok()?;
        key(&parsed.network, &parsed.transport, out);
        out.vni = parsed.geneve.vni().bytes();
        Some(())
    }

    #[inline(never)]
    pub fn measured_geneve_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let (parsed, ..) = ValidTunnel::parse(frame).ok()?;
        let (ip, udp, geneve) = (&parsed.ipv6, &parsed.udp, &parsed.geneve);
        let packet = usize::from(ip.payload_len());
        let mapped = is_mapped(ip.source().octets()) || is_mapped(ip.destination().octets());
        let len = usize::from(udp.length());
        if parsed.ethernet.ethertype() != Ethertype::IPV6
            || ip.version() != 6
            || packet > frame.len() - 14 - 40
            || mapped
            || len > packet + 40 - ip.packet_length()
            || geneve.version() != 0
            || geneve.protocol_type() != Ethertype::ETHERNET
        {
            return None;
        }
        if geneve.opt_len() != 0 {
            let Header::Raw(options) = &geneve.1 else {
                return None;
            };
            let critical = geneve.flags().contains(GeneveFlags::CRITICAL_OPTS);
            by_hand::understood(options.as_ref(), critical)?;
        }
        let room = len.checked_sub(8 + geneve.packet_length() + 14)?;
        check(&parsed.network, &parsed.transport, room)?;
        key(&parsed.network, &parsed.transport, out);
        out.vni = geneve.vni().bytes();
        Some(())
    }
}

/// etherparse: versions, the lengths of headers and those that IP and UDP tell. It notes fragments and goes on.
pub mod etherparse {
    use super::{by_hand, is_mapped, v4, v6};
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use opte_headers::FlowKey;

    #[inline(always)]
    fn key(parsed: &SlicedPacket<'_>, checked: bool, out: &mut FlowKey) -> Option<()> {
        let ports = match parsed.transport.as_ref()? {
            TransportSlice::Tcp(tcp) => (tcp.source_port(), tcp.destination_port()),
            TransportSlice::Udp(udp) => {
                if checked && udp.length() < 8 {
                    return None;
                }
                (udp.source_port(), udp.destination_port())
            }
            _ => return None,
        };
        match parsed.net.as_ref()? {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                if checked && header.is_fragmenting_payload() {
                    return None;
                }
                let protocol = ip.payload_ip_number().0;
                v4(out, header.source(), header.destination(), protocol, ports);
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                let (source, destination) = (header.source(), header.destination());
                if checked && (is_mapped(source) || is_mapped(destination)) {
                    return None;
                }
                v6(out, source, destination, ip.payload().ip_number.0, ports);
            }
            _ => return None,
        }
        Some(())
    }

    #[inline(never)]
    pub fn measured_out(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        key(&SlicedPacket::from_ethernet(frame).ok()?, false, out)
    }

    #[inline(never)]
    pub fn measured_out_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        key(&SlicedPacket::from_ethernet(frame).ok()?, true, out)
    }

    /// Geneve by hand, and so with its checks.
    #[inline(never)]
    pub fn measured_geneve_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let outer = SlicedPacket::from_ethernet(frame).ok()?;
        let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Udp(udp))) =
            (&outer.net, &outer.transport)
        else {
            return None;
        };
        let header = ip.header();
        let mapped = is_mapped(header.source()) || is_mapped(header.destination());
        if mapped || udp.length() < 8 || udp.destination_port() != 6081 {
            return None;
        }
        let (vni, inner) = by_hand::geneve(udp.payload())?;
        let inner = SlicedPacket::from_ethernet(inner).ok()?;
        key(&inner, true, out)?;
        out.vni = vni;
        Some(())
    }
}

/// smoltcp: the lengths of headers and those that IP and UDP tell; nothing of versions; fragments are left to the caller.
pub mod smoltcp {
    use super::{by_hand, is_mapped, v4, v6};
    use opte_headers::FlowKey;
    use smoltcp::wire::{
        EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
    };

    #[inline(always)]
    fn guest(frame: &[u8], checked: bool, out: &mut FlowKey) -> Option<()> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        match ethernet.ethertype() {
            EthernetProtocol::Ipv4 => {
                let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
                let fragment = ip.more_frags() || ip.frag_offset() != 0;
                if checked && (ip.version() != 4 || fragment) {
                    return None;
                }
                let ports = ports(ip.next_header(), ip.payload())?;
                let (source, destination) = (ip.src_addr().octets(), ip.dst_addr().octets());
                v4(out, source, destination, ip.next_header().into(), ports);
            }
            EthernetProtocol::Ipv6 => {
                let ip = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
                let (source, destination) = (ip.src_addr().octets(), ip.dst_addr().octets());
                if checked && (ip.version() != 6 || is_mapped(source) || is_mapped(destination)) {
                    return None;
                }
                let ports = ports(ip.next_header(), ip.payload())?;
                v6(out, source, destination, ip.next_header().into(), ports);
            }
            _ => return None,
        }
        Some(())
    }

    #[inline(always)]
    fn ports(protocol: IpProtocol, payload: &[u8]) -> Option<(u16, u16)> {
        match protocol {
            IpProtocol::Tcp => {
                let tcp = TcpPacket::new_checked(payload).ok()?;
                Some((tcp.src_port(), tcp.dst_port()))
            }
            IpProtocol::Udp => {
                let udp = UdpPacket::new_checked(payload).ok()?;
                Some((udp.src_port(), udp.dst_port()))
            }
            _ => None,
        }
    }

    #[inline(never)]
    pub fn measured_out(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        guest(frame, false, out)
    }

    #[inline(never)]
    pub fn measured_out_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        guest(frame, true, out)
    }

    /// Geneve by hand, and so with its checks.
    #[inline(never)]
    pub fn measured_geneve_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        if ethernet.ethertype() != EthernetProtocol::Ipv6 {
            return None;
        }
        let ip = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
        let mapped = is_mapped(ip.src_addr().octets()) || is_mapped(ip.dst_addr().octets());
        if ip.version() != 6 || mapped || ip.next_header() != IpProtocol::Udp {
            return None;
        }
        let udp = UdpPacket::new_checked(ip.payload()).ok()?;
        if udp.dst_port() != 6081 {
            return None;
        }
        let (vni, inner) = by_hand::geneve(udp.payload())?;
        guest(inner, true, out)?;
        out.vni = vni;
        Some(())
    }
}

/// pnet_packet: the lengths of the fixed parts, no more.
pub mod pnet {
    use super::{by_hand, is_mapped, v4, v6};
    use opte_headers::FlowKey;
    use pnet_packet::Packet;
    use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
    use pnet_packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
    use pnet_packet::ipv4::{Ipv4Flags, Ipv4Packet};
    use pnet_packet::ipv6::Ipv6Packet;
    use pnet_packet::tcp::TcpPacket;
    use pnet_packet::udp::UdpPacket;

    #[inline(always)]
    fn guest(frame: &[u8], checked: bool, out: &mut FlowKey) -> Option<()> {
        let ethernet = EthernetPacket::new(frame)?;
        match ethernet.get_ethertype() {
            EtherTypes::Ipv4 => {
                let ip = Ipv4Packet::new(ethernet.payload())?;
                let (len, total) = (
                    usize::from(ip.get_header_length()) * 4,
                    usize::from(ip.get_total_length()),
                );
                let fragment =
                    ip.get_flags() & Ipv4Flags::MoreFragments != 0 || ip.get_fragment_offset() != 0;
                let good = ip.get_version() == 4
                    && len >= 20
                    && total >= len
                    && total <= ethernet.payload().len()
                    && !fragment;
                if checked && !good {
                    return None;
                }
                let protocol = ip.get_next_level_protocol();
                let ports = ports(protocol, ip.payload(), checked)?;
                let (source, destination) = (ip.get_source(), ip.get_destination());
                v4(
                    out,
                    source.octets(),
                    destination.octets(),
                    protocol.0,
                    ports,
                );
            }
            EtherTypes::Ipv6 => {
                let ip = Ipv6Packet::new(ethernet.payload())?;
                let (source, destination) =
                    (ip.get_source().octets(), ip.get_destination().octets());
                let good = ip.get_version() == 6
                    && usize::from(ip.get_payload_length()) + 40 <= ethernet.payload().len()
                    && !is_mapped(source)
                    && !is_mapped(destination);
                if checked && !good {
                    return None;
                }
                let ports = ports(ip.get_next_header(), ip.payload(), checked)?;
                v6(out, source, destination, ip.get_next_header().0, ports);
            }
            _ => return None,
        }
        Some(())
    }

    #[inline(always)]
    fn ports(protocol: IpNextHeaderProtocol, payload: &[u8], checked: bool) -> Option<(u16, u16)> {
        match protocol {
            IpNextHeaderProtocols::Tcp => {
                let tcp = TcpPacket::new(payload)?;
                let len = usize::from(tcp.get_data_offset()) * 4;
                let good = len >= 20 && len <= payload.len();
                (good || !checked).then(|| (tcp.get_source(), tcp.get_destination()))
            }
            IpNextHeaderProtocols::Udp => {
                let udp = UdpPacket::new(payload)?;
                let len = usize::from(udp.get_length());
                let good = len >= 8 && len <= payload.len();
                (good || !checked).then(|| (udp.get_source(), udp.get_destination()))
            }
            _ => None,
        }
    }

    #[inline(never)]
    pub fn measured_out(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        guest(frame, false, out)
    }

    #[inline(never)]
    pub fn measured_out_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        guest(frame, true, out)
    }

    /// Geneve by hand, and so with its checks.
    #[inline(never)]
    pub fn measured_geneve_checked(frame: &[u8], out: &mut FlowKey) -> Option<()> {
        let ethernet = EthernetPacket::new(frame)?;
        if ethernet.get_ethertype() != EtherTypes::Ipv6 {
            return None;
        }
        let ip = Ipv6Packet::new(ethernet.payload())?;
        let mapped =
            is_mapped(ip.get_source().octets()) || is_mapped(ip.get_destination().octets());
        let packet = usize::from(ip.get_payload_length());
        if ip.get_version() != 6
            || packet + 40 > ethernet.payload().len()
            || mapped
            || ip.get_next_header() != IpNextHeaderProtocols::Udp
        {
            return None;
        }
        let udp = UdpPacket::new(ip.payload())?;
        let len = usize::from(udp.get_length());
        if len < 8 || len > packet || udp.get_destination() != 6081 {
            return None;
        }
        let (vni, inner) = by_hand::geneve(udp.payload())?;
        guest(inner, true, out)?;
        out.vni = vni;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{guest, tunnelled};

    fn key_by(function: fn(&[u8], &mut FlowKey) -> Option<()>, frame: &[u8]) -> Option<FlowKey> {
        let mut key = FlowKey::ZERO;
        function(frame, &mut key).map(|()| key)
    }

    fn by_hand(
        function: fn(&[u8], &mut by_hand::Found) -> Option<()>,
        frame: &[u8],
    ) -> Option<FlowKey> {
        let mut found = by_hand::Found::default();
        function(frame, &mut found).map(|()| found.key)
    }

    /// What each makes of a frame; the project and the code written by hand first.
    fn out(frame: &[u8]) -> [Option<FlowKey>; 6] {
        [
            opte::measured_out(frame).ok().map(|parsed| parsed.key),
            by_hand(by_hand::measured_out, frame),
            key_by(ingot::measured_out_checked, frame),
            key_by(etherparse::measured_out_checked, frame),
            key_by(smoltcp::measured_out_checked, frame),
            key_by(pnet::measured_out_checked, frame),
        ]
    }

    fn geneve(frame: &[u8]) -> [Option<FlowKey>; 6] {
        [
            opte::measured_geneve(frame).ok().map(|parsed| parsed.key),
            by_hand(by_hand::measured_geneve, frame),
            key_by(ingot::measured_geneve_checked, frame),
            key_by(etherparse::measured_geneve_checked, frame),
            key_by(smoltcp::measured_geneve_checked, frame),
            key_by(pnet::measured_geneve_checked, frame),
        ]
    }

    /// The frame with one byte changed.
    fn with(frame: &[u8], at: usize, byte: u8) -> Vec<u8> {
        let mut frame = frame.to_vec();
        frame[at] = byte;
        frame
    }

    #[test]
    fn all_give_the_same_key() {
        let (guest, tunnelled) = (guest(), tunnelled());
        let expected = out(&guest)[0].expect("a key");
        assert_eq!(out(&guest), [Some(expected); 6]);
        assert!(key_by(ingot::measured_out, &guest) == Some(expected));
        let expected = geneve(&tunnelled)[0].expect("a key");
        assert_eq!(geneve(&tunnelled), [Some(expected); 6]);
        assert!(key_by(ingot::measured_geneve, &tunnelled) == Some(expected));
    }

    #[test]
    fn all_do_the_same_checks() {
        let guest = guest();
        for (what, bad) in [
            ("cut off", guest[..53].to_vec()),
            ("version", with(&guest, 14, 0x55)),
            ("header length", with(&guest, 14, 0x44)),
            ("total length too great", with(&guest, 17, 41)),
            ("total length too small", with(&guest, 17, 19)),
            ("TCP header length too small", with(&guest, 46, 0x40)),
            ("TCP header length too great", with(&guest, 46, 0x60)),
        ] {
            assert_eq!(out(&bad), [None; 6], "{what}");
        }
        let tunnelled = tunnelled();
        for (what, bad) in [
            ("cut off", tunnelled[..123].to_vec()),
            ("outer version", with(&tunnelled, 14, 0x40)),
            ("payload length", with(&tunnelled, 19, 0xff)),
            ("UDP length too small", with(&tunnelled, 59, 7)),
            ("UDP length too great", with(&tunnelled, 59, 0xff)),
            ("port", with(&tunnelled, 56, 1)),
            ("Geneve version", with(&tunnelled, 62, 0x40)),
            ("Geneve options", with(&tunnelled, 62, 0x3f)),
            ("Geneve protocol", with(&tunnelled, 64, 0)),
            ("inner version", with(&tunnelled, 84, 0x55)),
            ("inner total length", with(&tunnelled, 87, 41)),
            ("TCP header length", with(&tunnelled, 116, 0x40)),
        ] {
            assert_eq!(geneve(&bad), [None; 6], "{what}");
        }
    }

    #[test]
    fn critical_options_must_be_understood() {
        let plain = tunnelled();
        let option = |ty: u8| {
            let mut frame = [&plain[..70], &[0, 1, ty, 0], &plain[70..]].concat();
            (frame[62], frame[63]) = (1, 0x40);
            (frame[19], frame[59]) = (frame[19] + 4, frame[59] + 4);
            frame
        };
        assert!(geneve(&option(0x05)).iter().all(Option::is_some));
        assert_eq!(geneve(&option(0x85)), [None; 6]);
    }
}
