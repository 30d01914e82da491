//! etherparse: slices that read. It has no Geneve, and writes headers whole only.

pub mod udp {
    use crate::fields;
    use etherparse::UdpHeaderSlice;

    pub fn view(bytes: &[u8]) -> UdpHeaderSlice<'_> {
        UdpHeaderSlice::from_slice(bytes).unwrap()
    }

    #[inline(never)]
    pub fn measured_get(view: &UdpHeaderSlice<'_>, out: &mut fields::Udp) {
        *out = fields::Udp {
            source: view.source_port(),
            destination: view.destination_port(),
            length: view.length(),
            checksum: view.checksum(),
        };
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = UdpHeaderSlice::from_slice(bytes).ok()?;
        Some((view.destination_port(), bytes.len() - view.slice().len()))
    }
}

pub mod tcp {
    use crate::fields;
    use etherparse::TcpHeaderSlice;

    pub fn view(bytes: &[u8]) -> TcpHeaderSlice<'_> {
        TcpHeaderSlice::from_slice(bytes).unwrap()
    }

    #[inline(never)]
    pub fn measured_get(view: &TcpHeaderSlice<'_>, out: &mut fields::Tcp) {
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
        *out = fields::Tcp {
            source: view.source_port(),
            destination: view.destination_port(),
            sequence: view.sequence_number(),
            acknowledgement: view.acknowledgment_number(),
            data_offset: view.data_offset(),
            flags: (0..)
                .zip(flags)
                .fold(0, |all, (bit, set)| all | u8::from(set) << bit),
            window: view.window_size(),
            checksum: view.checksum(),
            urgent: view.urgent_pointer(),
        };
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let view = TcpHeaderSlice::from_slice(bytes).ok()?;
        Some((view.destination_port(), bytes.len() - view.slice().len()))
    }
}

pub mod ipv4 {
    use crate::fields;
    use etherparse::Ipv4HeaderSlice;

    pub fn view(bytes: &[u8]) -> Ipv4HeaderSlice<'_> {
        Ipv4HeaderSlice::from_slice(bytes).unwrap()
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv4HeaderSlice<'_>, out: &mut fields::Ipv4) {
        *out = fields::Ipv4 {
            version: view.version(),
            ihl: view.ihl(),
            dscp: view.dcp().value(),
            ecn: view.ecn().value(),
            total_len: view.total_len(),
            identification: view.identification(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset: view.fragments_offset().value(),
            ttl: view.ttl(),
            protocol: view.protocol().0,
            checksum: view.header_checksum(),
            source: view.source(),
            destination: view.destination(),
        };
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv4HeaderSlice::from_slice(bytes).ok()?;
        Some((view.protocol().0, bytes.len() - view.slice().len()))
    }
}

pub mod ipv6 {
    use crate::fields;
    use etherparse::Ipv6HeaderSlice;

    pub fn view(bytes: &[u8]) -> Ipv6HeaderSlice<'_> {
        Ipv6HeaderSlice::from_slice(bytes).unwrap()
    }

    #[inline(never)]
    pub fn measured_get(view: &Ipv6HeaderSlice<'_>, out: &mut fields::Ipv6) {
        *out = fields::Ipv6 {
            version: view.version(),
            dscp: view.dscp().value(),
            ecn: view.ecn().value(),
            flow_label: view.flow_label().value(),
            payload_len: view.payload_length(),
            next_header: view.next_header().0,
            hop_limit: view.hop_limit(),
            source: view.source(),
            destination: view.destination(),
        };
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let view = Ipv6HeaderSlice::from_slice(bytes).ok()?;
        Some((view.next_header().0, bytes.len() - view.slice().len()))
    }
}
