//! pnet_packet. It has no Geneve, and checks only that the fixed part is there.

pub mod udp {
    use crate::fields::{UDP, Udp};
    use pnet_packet::Packet;
    use pnet_packet::udp::{MutableUdpPacket, UdpPacket};

    pub fn view(bytes: &[u8]) -> UdpPacket<'_> {
        UdpPacket::new(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> MutableUdpPacket<'_> {
        MutableUdpPacket::new(bytes).unwrap()
    }

    pub fn values() -> Udp {
        UDP
    }

    #[inline(never)]
    pub fn measured_get(view: &UdpPacket<'_>, out: &mut Udp) {
        *out = Udp {
            source: view.get_source(),
            destination: view.get_destination(),
            length: view.get_length(),
            checksum: view.get_checksum(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut MutableUdpPacket<'_>, to: &Udp) {
        view.set_source(to.source);
        view.set_destination(to.destination);
        view.set_length(to.length);
        view.set_checksum(to.checksum);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = UdpPacket::new(bytes)?;
        Some((view.get_destination(), view.payload().len()))
    }
}

pub mod tcp {
    use crate::fields::{TCP, Tcp};
    use pnet_packet::Packet;
    use pnet_packet::tcp::{MutableTcpPacket, TcpPacket};

    pub fn view(bytes: &[u8]) -> TcpPacket<'_> {
        TcpPacket::new(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> MutableTcpPacket<'_> {
        MutableTcpPacket::new(bytes).unwrap()
    }

    pub fn values() -> Tcp {
        TCP
    }

    #[inline(never)]
    pub fn measured_get(view: &TcpPacket<'_>, out: &mut Tcp) {
        *out = Tcp {
            source: view.get_source(),
            destination: view.get_destination(),
            sequence: view.get_sequence(),
            acknowledgement: view.get_acknowledgement(),
            data_offset: view.get_data_offset(),
            flags: view.get_flags(),
            window: view.get_window(),
            checksum: view.get_checksum(),
            urgent: view.get_urgent_ptr(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut MutableTcpPacket<'_>, to: &Tcp) {
        view.set_source(to.source);
        view.set_destination(to.destination);
        view.set_sequence(to.sequence);
        view.set_acknowledgement(to.acknowledgement);
        view.set_flags(to.flags);
        view.set_window(to.window);
        view.set_checksum(to.checksum);
        view.set_urgent_ptr(to.urgent);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = TcpPacket::new(bytes)?;
        Some((view.get_destination(), view.payload().len()))
    }

    /// With what it leaves to the caller: the header's length.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = TcpPacket::new(bytes)?;
        let len = usize::from(view.get_data_offset()) * 4;
        (len >= 20 && len <= bytes.len()).then(|| (view.get_destination(), view.payload().len()))
    }
}

pub mod ipv4 {
    use crate::fields::{IPV4, Ipv4};
    use pnet_packet::Packet;
    use pnet_packet::ip::IpNextHeaderProtocol;
    use pnet_packet::ipv4::{Ipv4Flags, Ipv4Packet, MutableIpv4Packet};

    pub fn view(bytes: &[u8]) -> Ipv4Packet<'_> {
        Ipv4Packet::new(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> MutableIpv4Packet<'_> {
        MutableIpv4Packet::new(bytes).unwrap()
    }

    pub fn values() -> Ipv4 {
        IPV4
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv4Packet<'_>, out: &mut Ipv4) {
        let flags = view.get_flags();
        *out = Ipv4 {
            version: view.get_version(),
            ihl: view.get_header_length(),
            dscp: view.get_dscp(),
            ecn: view.get_ecn(),
            total_len: view.get_total_length(),
            identification: view.get_identification(),
            dont_fragment: flags & Ipv4Flags::DontFragment != 0,
            more_fragments: flags & Ipv4Flags::MoreFragments != 0,
            fragment_offset: view.get_fragment_offset(),
            ttl: view.get_ttl(),
            protocol: view.get_next_level_protocol().0,
            checksum: view.get_checksum(),
            source: view.get_source().octets(),
            destination: view.get_destination().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut MutableIpv4Packet<'_>, to: &Ipv4) {
        view.set_dscp(to.dscp);
        view.set_ecn(to.ecn);
        view.set_total_length(to.total_len);
        view.set_identification(to.identification);
        view.set_flags(u8::from(to.dont_fragment) << 1 | u8::from(to.more_fragments));
        view.set_fragment_offset(to.fragment_offset);
        view.set_ttl(to.ttl);
        view.set_next_level_protocol(IpNextHeaderProtocol(to.protocol));
        view.set_checksum(to.checksum);
        view.set_source(to.source.into());
        view.set_destination(to.destination.into());
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv4Packet::new(bytes)?;
        Some((view.get_next_level_protocol().0, view.payload().len()))
    }

    /// With what it leaves to the caller: the version and the header's length.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv4Packet::new(bytes)?;
        let len = usize::from(view.get_header_length()) * 4;
        (view.get_version() == 4 && len >= 20 && len <= bytes.len())
            .then(|| (view.get_next_level_protocol().0, view.payload().len()))
    }
}

pub mod ipv6 {
    use crate::fields::{IPV6, Ipv6};
    use pnet_packet::Packet;
    use pnet_packet::ip::IpNextHeaderProtocol;
    use pnet_packet::ipv6::{Ipv6Packet, MutableIpv6Packet};

    pub fn view(bytes: &[u8]) -> Ipv6Packet<'_> {
        Ipv6Packet::new(bytes).unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> MutableIpv6Packet<'_> {
        MutableIpv6Packet::new(bytes).unwrap()
    }

    pub fn values() -> Ipv6 {
        IPV6
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv6Packet<'_>, out: &mut Ipv6) {
        *out = Ipv6 {
            version: view.get_version(),
            dscp: view.get_traffic_class() >> 2,
            ecn: view.get_traffic_class() & 3,
            flow_label: view.get_flow_label(),
            payload_len: view.get_payload_length(),
            next_header: view.get_next_header().0,
            hop_limit: view.get_hop_limit(),
            source: view.get_source().octets(),
            destination: view.get_destination().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut MutableIpv6Packet<'_>, to: &Ipv6) {
        view.set_traffic_class(to.dscp << 2 | to.ecn);
        view.set_flow_label(to.flow_label);
        view.set_payload_length(to.payload_len);
        view.set_next_header(IpNextHeaderProtocol(to.next_header));
        view.set_hop_limit(to.hop_limit);
        view.set_source(to.source.into());
        view.set_destination(to.destination.into());
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv6Packet::new(bytes)?;
        Some((view.get_next_header().0, view.payload().len()))
    }

    /// With what it leaves to the caller: the version.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv6Packet::new(bytes)?;
        (view.get_version() == 6).then(|| (view.get_next_header().0, view.payload().len()))
    }
}
