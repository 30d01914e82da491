//! What an expert writes by hand: one check of the length, then loads and stores at constant offsets, field by field.

/// Numbers in network order; the offset is a constant wherever these are called.
#[inline(always)]
fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline(always)]
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline(always)]
fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

#[inline(always)]
fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

pub mod udp {
    use super::{be16, put16};
    use crate::fields::{UDP, Udp};

    pub fn view(bytes: &[u8]) -> &[u8; 8] {
        bytes.first_chunk().unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> &mut [u8; 8] {
        bytes.first_chunk_mut().unwrap()
    }

    pub fn values() -> Udp {
        UDP
    }

    #[inline(never)]
    pub fn measured_get(header: &&[u8; 8], out: &mut Udp) {
        *out = Udp {
            source: be16(*header, 0),
            destination: be16(*header, 2),
            length: be16(*header, 4),
            checksum: be16(*header, 6),
        };
    }

    #[inline(never)]
    pub fn measured_set(header: &mut &mut [u8; 8], to: &Udp) {
        put16(*header, 0, to.source);
        put16(*header, 2, to.destination);
        put16(*header, 4, to.length);
        put16(*header, 6, to.checksum);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (header, rest) = bytes.split_first_chunk::<8>()?;
        Some((be16(header, 2), rest.len()))
    }
}

pub mod tcp {
    use super::{be16, be32, put16, put32};
    use crate::fields::{TCP, Tcp};

    pub fn view(bytes: &[u8]) -> &[u8; 20] {
        bytes.first_chunk().unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> &mut [u8; 20] {
        bytes.first_chunk_mut().unwrap()
    }

    pub fn values() -> Tcp {
        TCP
    }

    #[inline(never)]
    pub fn measured_get(header: &&[u8; 20], out: &mut Tcp) {
        *out = Tcp {
            source: be16(*header, 0),
            destination: be16(*header, 2),
            sequence: be32(*header, 4),
            acknowledgement: be32(*header, 8),
            data_offset: header[12] >> 4,
            flags: header[13],
            window: be16(*header, 14),
            checksum: be16(*header, 16),
            urgent: be16(*header, 18),
        };
    }

    #[inline(never)]
    pub fn measured_set(header: &mut &mut [u8; 20], to: &Tcp) {
        put16(*header, 0, to.source);
        put16(*header, 2, to.destination);
        put32(*header, 4, to.sequence);
        put32(*header, 8, to.acknowledgement);
        header[13] = to.flags;
        put16(*header, 14, to.window);
        put16(*header, 16, to.checksum);
        put16(*header, 18, to.urgent);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let header = bytes.first_chunk::<20>()?;
        let len = usize::from(header[12] >> 4) * 4;
        if len < 20 {
            return None;
        }
        let rest = bytes.get(len..)?;
        Some((be16(header, 2), rest.len()))
    }
}

pub mod ipv4 {
    use super::{be16, put16};
    use crate::fields::{IPV4, Ipv4};

    pub fn view(bytes: &[u8]) -> &[u8; 20] {
        bytes.first_chunk().unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> &mut [u8; 20] {
        bytes.first_chunk_mut().unwrap()
    }

    pub fn values() -> Ipv4 {
        IPV4
    }

    #[inline(never)]
    pub fn measured_get(header: &&[u8; 20], out: &mut Ipv4) {
        *out = Ipv4 {
            version: header[0] >> 4,
            ihl: header[0] & 15,
            dscp: header[1] >> 2,
            ecn: header[1] & 3,
            total_len: be16(*header, 2),
            identification: be16(*header, 4),
            dont_fragment: header[6] & 0x40 != 0,
            more_fragments: header[6] & 0x20 != 0,
            fragment_offset: be16(*header, 6) & 0x1fff,
            ttl: header[8],
            protocol: header[9],
            checksum: be16(*header, 10),
            source: [header[12], header[13], header[14], header[15]],
            destination: [header[16], header[17], header[18], header[19]],
        };
    }

    #[inline(never)]
    pub fn measured_set(header: &mut &mut [u8; 20], to: &Ipv4) {
        header[1] = header[1] & 3 | to.dscp << 2;
        header[1] = header[1] & !3 | to.ecn & 3;
        put16(*header, 2, to.total_len);
        put16(*header, 4, to.identification);
        header[6] = header[6] & !0x40 | u8::from(to.dont_fragment) << 6;
        header[6] = header[6] & !0x20 | u8::from(to.more_fragments) << 5;
        let flags = be16(*header, 6) & 0xe000;
        put16(*header, 6, flags | to.fragment_offset & 0x1fff);
        header[8] = to.ttl;
        header[9] = to.protocol;
        put16(*header, 10, to.checksum);
        header[12..16].copy_from_slice(&to.source);
        header[16..20].copy_from_slice(&to.destination);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let header = bytes.first_chunk::<20>()?;
        let len = usize::from(header[0] & 15) * 4;
        if header[0] >> 4 != 4 || len < 20 {
            return None;
        }
        let rest = bytes.get(len..)?;
        Some((header[9], rest.len()))
    }
}

pub mod ipv6 {
    use super::{be16, be32, put16, put32};
    use crate::fields::{IPV6, Ipv6};

    pub fn view(bytes: &[u8]) -> &[u8; 40] {
        bytes.first_chunk().unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> &mut [u8; 40] {
        bytes.first_chunk_mut().unwrap()
    }

    pub fn values() -> Ipv6 {
        IPV6
    }

    #[inline(never)]
    pub fn measured_get(header: &&[u8; 40], out: &mut Ipv6) {
        *out = Ipv6 {
            version: header[0] >> 4,
            dscp: (be16(*header, 0) >> 6) as u8 & 63,
            ecn: header[1] >> 4 & 3,
            flow_label: be32(*header, 0) & 0xf_ffff,
            payload_len: be16(*header, 4),
            next_header: header[6],
            hop_limit: header[7],
            source: *header[8..].first_chunk().unwrap(),
            destination: *header[24..].first_chunk().unwrap(),
        };
    }

    #[inline(never)]
    pub fn measured_set(header: &mut &mut [u8; 40], to: &Ipv6) {
        let class = be16(*header, 0) & 0xf03f | u16::from(to.dscp & 63) << 6;
        put16(*header, 0, class);
        header[1] = header[1] & 0xcf | (to.ecn & 3) << 4;
        let first = be32(*header, 0) & !0xf_ffff | to.flow_label & 0xf_ffff;
        put32(*header, 0, first);
        put16(*header, 4, to.payload_len);
        header[6] = to.next_header;
        header[7] = to.hop_limit;
        header[8..24].copy_from_slice(&to.source);
        header[24..40].copy_from_slice(&to.destination);
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let (header, rest) = bytes.split_first_chunk::<40>()?;
        (header[0] >> 4 == 6).then_some((header[6], rest.len()))
    }
}

pub mod geneve {
    use super::{be16, put16};
    use crate::fields::{GENEVE, Geneve};

    pub fn view(bytes: &[u8]) -> &[u8; 8] {
        bytes.first_chunk().unwrap()
    }

    pub fn view_mut(bytes: &mut [u8]) -> &mut [u8; 8] {
        bytes.first_chunk_mut().unwrap()
    }

    pub fn values() -> Geneve {
        GENEVE
    }

    #[inline(never)]
    pub fn measured_get(header: &&[u8; 8], out: &mut Geneve) {
        *out = Geneve {
            version: header[0] >> 6,
            opt_len: header[0] & 63,
            control: header[1] & 0x80 != 0,
            critical: header[1] & 0x40 != 0,
            protocol: be16(*header, 2),
            vni: u32::from_be_bytes([0, header[4], header[5], header[6]]),
        };
    }

    #[inline(never)]
    pub fn measured_set(header: &mut &mut [u8; 8], to: &Geneve) {
        header[1] = header[1] & !0x80 | u8::from(to.control) << 7;
        header[1] = header[1] & !0x40 | u8::from(to.critical) << 6;
        put16(*header, 2, to.protocol);
        let [_, a, b, c] = to.vni.to_be_bytes();
        [header[4], header[5], header[6]] = [a, b, c];
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let (header, rest) = bytes.split_first_chunk::<8>()?;
        if header[0] >> 6 != 0 {
            return None;
        }
        let rest = rest.get(usize::from(header[0] & 63) * 4..)?;
        Some((be16(header, 2), rest.len()))
    }
}

pub mod checksum {
    /// RFC 1624, equation 3.
    #[inline(never)]
    pub fn measured_update(checksum: u16, old: u16, new: u16) -> u16 {
        let sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
        let sum = (sum & 0xffff) + (sum >> 16);
        !((sum + (sum >> 16)) as u16)
    }
}
