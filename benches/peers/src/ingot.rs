//! ingot.

pub mod udp {
    use crate::fields;
    use ingot::types::HeaderParse;
    use ingot::udp::{Udp, UdpMut, UdpRef, ValidUdp};

    pub fn view(bytes: &[u8]) -> ValidUdp<&[u8]> {
        ValidUdp::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> ValidUdp<&mut [u8]> {
        ValidUdp::parse(bytes).unwrap().0
    }

    pub fn values() -> Udp {
        let to = fields::UDP;
        Udp {
            source: to.source,
            destination: to.destination,
            length: to.length,
            checksum: to.checksum,
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &ValidUdp<&[u8]>, out: &mut fields::Udp) {
        *out = fields::Udp {
            source: view.source(),
            destination: view.destination(),
            length: view.length(),
            checksum: view.checksum(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut ValidUdp<&mut [u8]>, to: &Udp) {
        view.set_source(to.source);
        view.set_destination(to.destination);
        view.set_length(to.length);
        view.set_checksum(to.checksum);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, _, rest) = ValidUdp::parse(bytes).ok()?;
        Some((view.destination(), rest.len()))
    }
}

pub mod tcp {
    use crate::fields;
    use ingot::tcp::{Tcp, TcpFlags, TcpMut, TcpRef, ValidTcp};
    use ingot::types::HeaderParse;

    pub fn view(bytes: &[u8]) -> ValidTcp<&[u8]> {
        ValidTcp::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> ValidTcp<&mut [u8]> {
        ValidTcp::parse(bytes).unwrap().0
    }

    pub fn values() -> Tcp {
        let to = fields::TCP;
        Tcp {
            source: to.source,
            destination: to.destination,
            sequence: to.sequence,
            acknowledgement: to.acknowledgement,
            flags: TcpFlags::from_bits_retain(to.flags),
            window_size: to.window,
            checksum: to.checksum,
            urgent_ptr: to.urgent,
            ..Tcp::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &ValidTcp<&[u8]>, out: &mut fields::Tcp) {
        *out = fields::Tcp {
            source: view.source(),
            destination: view.destination(),
            sequence: view.sequence(),
            acknowledgement: view.acknowledgement(),
            data_offset: view.data_offset(),
            flags: view.flags().bits(),
            window: view.window_size(),
            checksum: view.checksum(),
            urgent: view.urgent_ptr(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut ValidTcp<&mut [u8]>, to: &Tcp) {
        view.set_source(to.source);
        view.set_destination(to.destination);
        view.set_sequence(to.sequence);
        view.set_acknowledgement(to.acknowledgement);
        view.set_flags(to.flags);
        view.set_window_size(to.window_size);
        view.set_checksum(to.checksum);
        view.set_urgent_ptr(to.urgent_ptr);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, _, rest) = ValidTcp::parse(bytes).ok()?;
        Some((view.destination(), rest.len()))
    }

    /// With what it leaves to the caller: a header length of at least 20 bytes.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, _, rest) = ValidTcp::parse(bytes).ok()?;
        (view.data_offset() >= 5).then(|| (view.destination(), rest.len()))
    }
}

pub mod ipv4 {
    use crate::fields;
    use ingot::ip::{Ecn, IpProtocol, Ipv4, Ipv4Flags, Ipv4Mut, Ipv4Ref, ValidIpv4};
    use ingot::types::HeaderParse;

    pub fn view(bytes: &[u8]) -> ValidIpv4<&[u8]> {
        ValidIpv4::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> ValidIpv4<&mut [u8]> {
        ValidIpv4::parse(bytes).unwrap().0
    }

    pub fn values() -> Ipv4 {
        let to = fields::IPV4;
        Ipv4 {
            dscp: to.dscp,
            ecn: Ecn::try_from(to.ecn).unwrap(),
            total_len: to.total_len,
            identification: to.identification,
            flags: Ipv4Flags::DONT_FRAGMENT | Ipv4Flags::MORE_FRAGMENTS,
            fragment_offset: to.fragment_offset,
            hop_limit: to.ttl,
            protocol: IpProtocol(to.protocol),
            checksum: to.checksum,
            source: to.source.into(),
            destination: to.destination.into(),
            ..Ipv4::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &ValidIpv4<&[u8]>, out: &mut fields::Ipv4) {
        let flags = view.flags();
        *out = fields::Ipv4 {
            version: view.version(),
            ihl: view.ihl(),
            dscp: view.dscp(),
            ecn: view.ecn() as u8,
            total_len: view.total_len(),
            identification: view.identification(),
            dont_fragment: flags.contains(Ipv4Flags::DONT_FRAGMENT),
            more_fragments: flags.contains(Ipv4Flags::MORE_FRAGMENTS),
            fragment_offset: view.fragment_offset(),
            ttl: view.hop_limit(),
            protocol: view.protocol().0,
            checksum: view.checksum(),
            source: view.source().octets(),
            destination: view.destination().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut ValidIpv4<&mut [u8]>, to: &Ipv4) {
        view.set_dscp(to.dscp);
        view.set_ecn(to.ecn);
        view.set_total_len(to.total_len);
        view.set_identification(to.identification);
        view.set_flags(to.flags);
        view.set_fragment_offset(to.fragment_offset);
        view.set_hop_limit(to.hop_limit);
        view.set_protocol(to.protocol);
        view.set_checksum(to.checksum);
        view.set_source(to.source);
        view.set_destination(to.destination);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let (view, _, rest) = ValidIpv4::parse(bytes).ok()?;
        Some((view.protocol().0, rest.len()))
    }

    /// With what it leaves to the caller: the version, and a header length of at least 20 bytes.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u8, usize)> {
        let (view, _, rest) = ValidIpv4::parse(bytes).ok()?;
        (view.version() == 4 && view.ihl() >= 5).then(|| (view.protocol().0, rest.len()))
    }
}

pub mod ipv6 {
    use crate::fields;
    use ingot::ip::{Ecn, IpProtocol, Ipv6, Ipv6Mut, Ipv6Ref, ValidIpv6};
    use ingot::types::HeaderParse;

    pub fn view(bytes: &[u8]) -> ValidIpv6<&[u8]> {
        ValidIpv6::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> ValidIpv6<&mut [u8]> {
        ValidIpv6::parse(bytes).unwrap().0
    }

    pub fn values() -> Ipv6 {
        let to = fields::IPV6;
        Ipv6 {
            dscp: to.dscp,
            ecn: Ecn::try_from(to.ecn).unwrap(),
            flow_label: to.flow_label,
            payload_len: to.payload_len,
            next_header: IpProtocol(to.next_header),
            hop_limit: to.hop_limit,
            source: to.source.into(),
            destination: to.destination.into(),
            ..Ipv6::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &ValidIpv6<&[u8]>, out: &mut fields::Ipv6) {
        *out = fields::Ipv6 {
            version: view.version(),
            dscp: view.dscp(),
            ecn: view.ecn() as u8,
            flow_label: view.flow_label(),
            payload_len: view.payload_len(),
            next_header: view.next_header().0,
            hop_limit: view.hop_limit(),
            source: view.source().octets(),
            destination: view.destination().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut ValidIpv6<&mut [u8]>, to: &Ipv6) {
        view.set_dscp(to.dscp);
        view.set_ecn(to.ecn);
        view.set_flow_label(to.flow_label);
        view.set_payload_len(to.payload_len);
        view.set_next_header(to.next_header);
        view.set_hop_limit(to.hop_limit);
        view.set_source(to.source);
        view.set_destination(to.destination);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let (view, _, rest) = ValidIpv6::parse(bytes).ok()?;
        Some((view.next_header().0, rest.len()))
    }

    /// With what it leaves to the caller: the version.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u8, usize)> {
        let (view, _, rest) = ValidIpv6::parse(bytes).ok()?;
        (view.version() == 6).then(|| (view.next_header().0, rest.len()))
    }
}

pub mod geneve {
    use crate::fields;
    use ingot::ethernet::Ethertype;
    use ingot::geneve::{Geneve, GeneveFlags, GeneveMut, GeneveRef, ValidGeneve, Vni};
    use ingot::types::HeaderParse;

    pub fn view(bytes: &[u8]) -> ValidGeneve<&[u8]> {
        ValidGeneve::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> ValidGeneve<&mut [u8]> {
        ValidGeneve::parse(bytes).unwrap().0
    }

    pub fn values() -> Geneve {
        let to = fields::GENEVE;
        Geneve {
            flags: GeneveFlags::CONTROL_PACKET | GeneveFlags::CRITICAL_OPTS,
            protocol_type: Ethertype(to.protocol),
            vni: Vni::new(to.vni).unwrap(),
            ..Geneve::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &ValidGeneve<&[u8]>, out: &mut fields::Geneve) {
        let flags = view.flags();
        *out = fields::Geneve {
            version: view.version(),
            opt_len: view.opt_len(),
            control: flags.contains(GeneveFlags::CONTROL_PACKET),
            critical: flags.contains(GeneveFlags::CRITICAL_OPTS),
            protocol: view.protocol_type().0,
            vni: view.vni().as_u32(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut ValidGeneve<&mut [u8]>, to: &Geneve) {
        view.set_flags(to.flags);
        view.set_protocol_type(to.protocol_type);
        view.set_vni(to.vni);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, _, rest) = ValidGeneve::parse(bytes).ok()?;
        Some((view.protocol_type().0, rest.len()))
    }

    /// With what it leaves to the caller: the version.
    #[inline(never)]
    pub fn measured_parse_checked(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, _, rest) = ValidGeneve::parse(bytes).ok()?;
        (view.version() == 0).then(|| (view.protocol_type().0, rest.len()))
    }
}
