//! smoltcp's packets. It has no Geneve. Its checks of IP and UDP take in the lengths of the packet, which here belong to the
//! stack.

pub mod udp {
    use crate::fields::{UDP, Udp};
    use smoltcp::wire::UdpPacket;

    pub fn view(bytes: &[u8]) -> UdpPacket<&[u8]> {
        UdpPacket::new_checked(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> UdpPacket<&mut [u8]> {
        UdpPacket::new_checked(bytes).unwrap()
    }

    pub fn values() -> Udp {
        UDP
    }

    #[inline(never)]
    pub fn measured_get(view: &UdpPacket<&[u8]>, out: &mut Udp) {
        *out = Udp {
            source: view.src_port(),
            destination: view.dst_port(),
            length: view.len(),
            checksum: view.checksum(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut UdpPacket<&mut [u8]>, to: &Udp) {
        view.set_src_port(to.source);
        view.set_dst_port(to.destination);
        view.set_len(to.length);
        view.set_checksum(to.checksum);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = UdpPacket::new_checked(bytes).ok()?;
        Some((view.dst_port(), view.payload().len()))
    }
}

pub mod tcp {
    use crate::fields::{TCP, Tcp};
    use smoltcp::wire::{TcpPacket, TcpSeqNumber};

    pub fn view(bytes: &[u8]) -> TcpPacket<&[u8]> {
        TcpPacket::new_checked(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> TcpPacket<&mut [u8]> {
        TcpPacket::new_checked(bytes).unwrap()
    }

    pub fn values() -> Tcp {
        TCP
    }

    #[inline(never)]
    pub fn measured_get(view: &TcpPacket<&[u8]>, out: &mut Tcp) {
        let flags = [
            view.fin(),
            view.syn(),
            view.rst(),
            view.psh(),
            view.ack(),
            view.urg(),
            view.ece(),
            view.cwr(),
        ];
        *out = Tcp {
            source: view.src_port(),
            destination: view.dst_port(),
            sequence: view.seq_number().0 as u32,
            acknowledgement: view.ack_number().0 as u32,
            data_offset: view.header_len() / 4,
            flags: (0..)
                .zip(flags)
                .fold(0, |all, (bit, set)| all | u8::from(set) << bit),
            window: view.window_len(),
            checksum: view.checksum(),
            urgent: view.urgent_at(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut TcpPacket<&mut [u8]>, to: &Tcp) {
        view.set_src_port(to.source);
        view.set_dst_port(to.destination);
        view.set_seq_number(TcpSeqNumber(to.sequence as i32));
        view.set_ack_number(TcpSeqNumber(to.acknowledgement as i32));
        view.set_fin(to.flags & 1 != 0);
        view.set_syn(to.flags & 2 != 0);
        view.set_rst(to.flags & 4 != 0);
        view.set_psh(to.flags & 8 != 0);
        view.set_ack(to.flags & 16 != 0);
        view.set_urg(to.flags & 32 != 0);
        view.set_ece(to.flags & 64 != 0);
        view.set_cwr(to.flags & 128 != 0);
        view.set_window_len(to.window);
        view.set_checksum(to.checksum);
        view.set_urgent_at(to.urgent);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = TcpPacket::new_checked(bytes).ok()?;
        Some((view.dst_port(), view.payload().len()))
    }
}

pub mod ipv4 {
    use crate::fields::{IPV4, Ipv4};
    use smoltcp::wire::Ipv4Packet;

    pub fn view(bytes: &[u8]) -> Ipv4Packet<&[u8]> {
        Ipv4Packet::new_checked(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> Ipv4Packet<&mut [u8]> {
        Ipv4Packet::new_checked(bytes).unwrap()
    }

    pub fn values() -> Ipv4 {
        IPV4
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv4Packet<&[u8]>, out: &mut Ipv4) {
        *out = Ipv4 {
            version: view.version(),
            ihl: view.header_len() / 4,
            dscp: view.dscp(),
            ecn: view.ecn(),
            total_len: view.total_len(),
            identification: view.ident(),
            dont_fragment: view.dont_frag(),
            more_fragments: view.more_frags(),
            fragment_offset: view.frag_offset() / 8,
            ttl: view.hop_limit(),
            protocol: view.next_header().into(),
            checksum: view.checksum(),
            source: view.src_addr().octets(),
            destination: view.dst_addr().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut Ipv4Packet<&mut [u8]>, to: &Ipv4) {
        view.set_dscp(to.dscp);
        view.set_ecn(to.ecn);
        view.set_total_len(to.total_len);
        view.set_ident(to.identification);
        view.set_dont_frag(to.dont_fragment);
        view.set_more_frags(to.more_fragments);
        view.set_frag_offset(to.fragment_offset * 8);
        view.set_hop_limit(to.ttl);
        view.set_next_header(to.protocol.into());
        view.set_checksum(to.checksum);
        view.set_src_addr(to.source.into());
        view.set_dst_addr(to.destination.into());
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv4Packet::new_checked(bytes).ok()?;
        Some((view.next_header().into(), view.payload().len()))
    }

    /// With what it leaves to the caller: the version.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv4Packet::new_checked(bytes).ok()?;
        (view.version() == 4).then(|| (view.next_header().into(), view.payload().len()))
    }
}

pub mod ipv6 {
    use crate::fields::{IPV6, Ipv6};
    use smoltcp::wire::Ipv6Packet;

    pub fn view(bytes: &[u8]) -> Ipv6Packet<&[u8]> {
        Ipv6Packet::new_checked(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> Ipv6Packet<&mut [u8]> {
        Ipv6Packet::new_checked(bytes).unwrap()
    }

    pub fn values() -> Ipv6 {
        IPV6
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv6Packet<&[u8]>, out: &mut Ipv6) {
        *out = Ipv6 {
            version: view.version(),
            dscp: view.traffic_class() >> 2,
            ecn: view.traffic_class() & 3,
            flow_label: view.flow_label(),
            payload_len: view.payload_len(),
            next_header: view.next_header().into(),
            hop_limit: view.hop_limit(),
            source: view.src_addr().octets(),
            destination: view.dst_addr().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut Ipv6Packet<&mut [u8]>, to: &Ipv6) {
        view.set_traffic_class(to.dscp << 2 | to.ecn);
        view.set_flow_label(to.flow_label);
        view.set_payload_len(to.payload_len);
        view.set_next_header(to.next_header.into());
        view.set_hop_limit(to.hop_limit);
        view.set_src_addr(to.source.into());
        view.set_dst_addr(to.destination.into());
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv6Packet::new_checked(bytes).ok()?;
        Some((view.next_header().into(), view.payload().len()))
    }

    /// With what it leaves to the caller: the version.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv6Packet::new_checked(bytes).ok()?;
        (view.version() == 6).then(|| (view.next_header().into(), view.payload().len()))
    }
}
