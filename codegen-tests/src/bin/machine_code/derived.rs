//! The same with the project's own headers.

use opte_headers::*;

pub mod udp {
    use super::{Header, Udp, UdpGet, UdpSet, UdpView};
    use crate::fields;

    pub fn view(bytes: &[u8]) -> UdpView<&[u8]> {
        Udp::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> UdpView<&mut [u8]> {
        Udp::parse_mut(bytes).unwrap().0
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
    pub fn measured_get(view: &UdpView<&[u8]>, out: &mut fields::Udp) {
        *out = fields::Udp {
            source: view.source(),
            destination: view.destination(),
            length: view.length(),
            checksum: view.checksum(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut UdpView<&mut [u8]>, to: &Udp) {
        view.set_source(to.source);
        view.set_destination(to.destination);
        view.set_length(to.length);
        view.set_checksum(to.checksum);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, rest) = Udp::parse(bytes).ok()?;
        Some((view.destination(), rest.len()))
    }
}

pub mod tcp {
    use super::{Header, Tcp, TcpFlags, TcpGet, TcpSet, TcpView};
    use crate::fields;

    pub fn view(bytes: &[u8]) -> TcpView<&[u8]> {
        Tcp::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> TcpView<&mut [u8]> {
        Tcp::parse_mut(bytes).unwrap().0
    }

    pub fn values() -> Tcp {
        let to = fields::TCP;
        Tcp {
            source: to.source,
            destination: to.destination,
            sequence: to.sequence,
            acknowledgement: to.acknowledgement,
            flags: TcpFlags::from_bits_retain(to.flags),
            window: to.window,
            checksum: to.checksum,
            urgent: to.urgent,
            ..Tcp::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &TcpView<&[u8]>, out: &mut fields::Tcp) {
        *out = fields::Tcp {
            source: view.source(),
            destination: view.destination(),
            sequence: view.sequence(),
            acknowledgement: view.acknowledgement(),
            data_offset: view.data_offset().value(),
            flags: view.flags().bits(),
            window: view.window(),
            checksum: view.checksum(),
            urgent: view.urgent(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut TcpView<&mut [u8]>, to: &Tcp) {
        view.set_source(to.source);
        view.set_destination(to.destination);
        view.set_sequence(to.sequence);
        view.set_acknowledgement(to.acknowledgement);
        view.set_flags(to.flags);
        view.set_window(to.window);
        view.set_checksum(to.checksum);
        view.set_urgent(to.urgent);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, rest) = Tcp::parse(bytes).ok()?;
        Some((view.destination(), rest.len()))
    }
}

pub mod ipv4 {
    use super::{Ecn, Header, IpProtocol, Ipv4, Ipv4Get, Ipv4Set, Ipv4View};
    use crate::fields;
    use arbitrary_int::{u2, u6, u13};

    pub fn view(bytes: &[u8]) -> Ipv4View<&[u8]> {
        Ipv4::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> Ipv4View<&mut [u8]> {
        Ipv4::parse_mut(bytes).unwrap().0
    }

    pub fn values() -> Ipv4 {
        let to = fields::IPV4;
        Ipv4 {
            dscp: u6::new(to.dscp),
            ecn: Ecn::from_bits(u2::new(to.ecn)),
            total_len: to.total_len,
            identification: to.identification,
            dont_fragment: to.dont_fragment,
            more_fragments: to.more_fragments,
            fragment_offset: u13::new(to.fragment_offset),
            ttl: to.ttl,
            protocol: IpProtocol(to.protocol),
            checksum: to.checksum,
            source: to.source.into(),
            destination: to.destination.into(),
            ..Ipv4::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv4View<&[u8]>, out: &mut fields::Ipv4) {
        *out = fields::Ipv4 {
            version: view.version().value(),
            ihl: view.ihl().value(),
            dscp: view.dscp().value(),
            ecn: view.ecn() as u8,
            total_len: view.total_len(),
            identification: view.identification(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset: view.fragment_offset().value(),
            ttl: view.ttl(),
            protocol: view.protocol().0,
            checksum: view.checksum(),
            source: view.source().octets(),
            destination: view.destination().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut Ipv4View<&mut [u8]>, to: &Ipv4) {
        view.set_dscp(to.dscp);
        view.set_ecn(to.ecn);
        view.set_total_len(to.total_len);
        view.set_identification(to.identification);
        view.set_dont_fragment(to.dont_fragment);
        view.set_more_fragments(to.more_fragments);
        view.set_fragment_offset(to.fragment_offset);
        view.set_ttl(to.ttl);
        view.set_protocol(to.protocol);
        view.set_checksum(to.checksum);
        view.set_source(to.source);
        view.set_destination(to.destination);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let (view, rest) = Ipv4::parse(bytes).ok()?;
        Some((view.protocol().0, rest.len()))
    }
}

pub mod ipv6 {
    use super::{Ecn, Header, IpProtocol, Ipv6, Ipv6Get, Ipv6Set, Ipv6View};
    use crate::fields;
    use arbitrary_int::{u2, u6, u20};

    pub fn view(bytes: &[u8]) -> Ipv6View<&[u8]> {
        Ipv6::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> Ipv6View<&mut [u8]> {
        Ipv6::parse_mut(bytes).unwrap().0
    }

    pub fn values() -> Ipv6 {
        let to = fields::IPV6;
        Ipv6 {
            dscp: u6::new(to.dscp),
            ecn: Ecn::from_bits(u2::new(to.ecn)),
            flow_label: u20::new(to.flow_label),
            payload_len: to.payload_len,
            next_header: IpProtocol(to.next_header),
            hop_limit: to.hop_limit,
            source: to.source.into(),
            destination: to.destination.into(),
            ..Ipv6::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv6View<&[u8]>, out: &mut fields::Ipv6) {
        *out = fields::Ipv6 {
            version: view.version().value(),
            dscp: view.dscp().value(),
            ecn: view.ecn() as u8,
            flow_label: view.flow_label().value(),
            payload_len: view.payload_len(),
            next_header: view.next_header().0,
            hop_limit: view.hop_limit(),
            source: view.source().octets(),
            destination: view.destination().octets(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut Ipv6View<&mut [u8]>, to: &Ipv6) {
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
        let (view, rest) = Ipv6::parse(bytes).ok()?;
        Some((view.next_header().0, rest.len()))
    }
}

pub mod geneve {
    use super::{Ethertype, Geneve, GeneveGet, GeneveSet, GeneveView, Header, Vni};
    use crate::fields;

    pub fn view(bytes: &[u8]) -> GeneveView<&[u8]> {
        Geneve::parse(bytes).unwrap().0
    }

    pub fn view_mut(bytes: &mut [u8]) -> GeneveView<&mut [u8]> {
        Geneve::parse_mut(bytes).unwrap().0
    }

    pub fn values() -> Geneve {
        let to = fields::GENEVE;
        Geneve {
            control: to.control,
            critical: to.critical,
            protocol: Ethertype(to.protocol),
            vni: Vni::new(to.vni).unwrap(),
            ..Geneve::default()
        }
    }

    #[inline(never)]
    pub fn measured_get(view: &GeneveView<&[u8]>, out: &mut fields::Geneve) {
        *out = fields::Geneve {
            version: view.version().value(),
            opt_len: view.opt_len().value(),
            control: view.control(),
            critical: view.critical(),
            protocol: view.protocol().0,
            vni: view.vni().as_u32(),
        };
    }

    #[inline(never)]
    pub fn measured_set(view: &mut GeneveView<&mut [u8]>, to: &Geneve) {
        view.set_control(to.control);
        view.set_critical(to.critical);
        view.set_protocol(to.protocol);
        view.set_vni(to.vni);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (view, rest) = Geneve::parse(bytes).ok()?;
        Some((view.protocol().0, rest.len()))
    }
}

pub mod checksum {
    #[inline(never)]
    pub fn measured_update(checksum: u16, old: u16, new: u16) -> u16 {
        opte_headers::checksum::update(checksum, old, new)
    }
}
