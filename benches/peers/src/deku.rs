//! deku: structs that are read whole. What it is asked to assert is what is checked.

pub mod udp {
    use deku::prelude::*;

    /// UDP.
    #[derive(Debug, DekuRead)]
    #[deku(endian = "big")]
    #[allow(dead_code)]
    pub struct Header {
        source: u16,
        destination: u16,
        length: u16,
        checksum: u16,
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let ((rest, _), header) = Header::from_bytes((bytes, 0)).ok()?;
        Some((header.destination, rest.len()))
    }
}

pub mod tcp {
    use deku::prelude::*;

    /// TCP, options skipped.
    #[derive(Debug, DekuRead)]
    #[deku(endian = "big")]
    #[allow(dead_code)]
    pub struct Header {
        source: u16,
        destination: u16,
        sequence: u32,
        acknowledgement: u32,
        #[deku(bits = 4, assert = "*data_offset >= 5")]
        data_offset: u8,
        #[deku(bits = 4)]
        reserved: u8,
        flags: u8,
        window: u16,
        checksum: u16,
        urgent: u16,
        #[deku(count = "(data_offset - 5) * 4")]
        options: Vec<u8>,
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let ((rest, _), header) = Header::from_bytes((bytes, 0)).ok()?;
        Some((header.destination, rest.len()))
    }
}

pub mod ipv4 {
    use deku::prelude::*;

    /// IPv4, options skipped.
    #[derive(Debug, DekuRead)]
    #[deku(endian = "big")]
    #[allow(dead_code)]
    pub struct Header {
        #[deku(bits = 4, assert_eq = "4")]
        version: u8,
        #[deku(bits = 4, assert = "*ihl >= 5")]
        ihl: u8,
        #[deku(bits = 6)]
        dscp: u8,
        #[deku(bits = 2)]
        ecn: u8,
        total_len: u16,
        identification: u16,
        #[deku(bits = 3)]
        flags: u8,
        #[deku(bits = 13)]
        fragment_offset: u16,
        ttl: u8,
        protocol: u8,
        checksum: u16,
        source: [u8; 4],
        destination: [u8; 4],
        #[deku(count = "(ihl - 5) * 4")]
        options: Vec<u8>,
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let ((rest, _), header) = Header::from_bytes((bytes, 0)).ok()?;
        Some((header.protocol, rest.len()))
    }
}

pub mod ipv6 {
    use deku::prelude::*;

    /// IPv6.
    #[derive(Debug, DekuRead)]
    #[deku(endian = "big")]
    #[allow(dead_code)]
    pub struct Header {
        #[deku(bits = 4, assert_eq = "6")]
        version: u8,
        #[deku(bits = 6)]
        dscp: u8,
        #[deku(bits = 2)]
        ecn: u8,
        #[deku(bits = 20)]
        flow_label: u32,
        payload_len: u16,
        next_header: u8,
        hop_limit: u8,
        source: [u8; 16],
        destination: [u8; 16],
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u8, usize)> {
        let ((rest, _), header) = Header::from_bytes((bytes, 0)).ok()?;
        Some((header.next_header, rest.len()))
    }
}

pub mod geneve {
    use deku::prelude::*;

    /// Geneve, options skipped.
    #[derive(Debug, DekuRead)]
    #[deku(endian = "big")]
    #[allow(dead_code)]
    pub struct Header {
        #[deku(bits = 2, assert_eq = "0")]
        version: u8,
        #[deku(bits = 6)]
        opt_len: u8,
        flags: u8,
        protocol: u16,
        vni: [u8; 3],
        reserved: u8,
        #[deku(count = "usize::from(*opt_len) * 4")]
        options: Vec<u8>,
    }

    #[inline(never)]
    pub fn measured_parse(bytes: &[u8]) -> Option<(u16, usize)> {
        let ((rest, _), header) = Header::from_bytes((bytes, 0)).ok()?;
        Some((header.protocol, rest.len()))
    }
}
