//! What a header holds, as plain numbers: what getters fill in, and setters of peers without types of their own take.

/// UDP (RFC 768).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    pub source: u16,
    pub destination: u16,
    pub length: u16,
    pub checksum: u16,
}

/// TCP (RFC 9293).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    pub source: u16,
    pub destination: u16,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub data_offset: u8,
    pub flags: u8,
    pub window: u16,
    pub checksum: u16,
    pub urgent: u16,
}

/// IPv4 (RFC 791).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv4 {
    pub version: u8,
    pub ihl: u8,
    pub dscp: u8,
    pub ecn: u8,
    pub total_len: u16,
    pub identification: u16,
    pub dont_fragment: bool,
    pub more_fragments: bool,
    pub fragment_offset: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: u16,
    pub source: [u8; 4],
    pub destination: [u8; 4],
}

/// IPv6 (RFC 8200).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipv6 {
    pub version: u8,
    pub dscp: u8,
    pub ecn: u8,
    pub flow_label: u32,
    pub payload_len: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: [u8; 16],
    pub destination: [u8; 16],
}

/// Geneve (RFC 8926).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Geneve {
    pub version: u8,
    pub opt_len: u8,
    pub control: bool,
    pub critical: bool,
    pub protocol: u16,
    pub vni: u32,
}

/// What setters write.
pub const UDP: Udp = Udp {
    source: 1234,
    destination: 4321,
    length: 99,
    checksum: 0xabcd,
};

/// What setters write.
pub const TCP: Tcp = Tcp {
    source: 1234,
    destination: 4321,
    sequence: 77_777_777,
    acknowledgement: 88_888_888,
    data_offset: 5,
    flags: 0x12,
    window: 999,
    checksum: 0xabcd,
    urgent: 7,
};

/// What setters write.
pub const IPV4: Ipv4 = Ipv4 {
    version: 4,
    ihl: 5,
    dscp: 0x2e,
    ecn: 3,
    total_len: 99,
    identification: 0x1234,
    dont_fragment: true,
    more_fragments: true,
    fragment_offset: 0x1555,
    ttl: 7,
    protocol: 17,
    checksum: 0xabcd,
    source: [192, 0, 2, 1],
    destination: [192, 0, 2, 2],
};

/// What setters write.
pub const IPV6: Ipv6 = Ipv6 {
    version: 6,
    dscp: 0x2e,
    ecn: 3,
    flow_label: 0xabcde,
    payload_len: 99,
    next_header: 6,
    hop_limit: 7,
    source: [1; 16],
    destination: [2; 16],
};

/// What setters write.
pub const GENEVE: Geneve = Geneve {
    version: 0,
    opt_len: 0,
    control: true,
    critical: true,
    protocol: 0x0800,
    vni: 0x12_3456,
};
