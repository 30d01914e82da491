//! What identifies a flow, and what rules may ask of it.

use core::fmt;
use core::net::IpAddr;

use opte_headers::frame::{FlowKey, KeyKind};
use opte_headers::program::Program;
use opte_headers::{Ethertype, IpProtocol};
use zerocopy::IntoBytes;

use super::HashSeed;

/// What all packets of a flow in one direction have in common. A network definition names its own; [`FlowKey`] serves
/// most.
pub trait Key: Copy + Eq + fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// Whether packets with this key make a flow. Those that do not (ARP) walk the layers each time.
    fn is_flow(&self) -> bool;

    /// What rules may ask of a packet with this key.
    fn fields(&self) -> Fields;

    /// The hash of the key.
    fn hash(&self, seed: &HashSeed) -> u32;

    /// The key of a packet with this key after `program` has been applied to it. `l3_index` is the position of the
    /// innermost IP header in the frame before.
    #[must_use]
    fn rewritten(&self, program: &Program, l3_index: u8) -> Self;
}

/// What rules may ask of a packet. A field that the packet lacks is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// What the innermost Ethernet header says follows.
    pub ethertype: Ethertype,
    /// The protocol over IP.
    pub protocol: Option<IpProtocol>,
    /// The source address.
    pub source: Option<IpAddr>,
    /// The destination address.
    pub destination: Option<IpAddr>,
    /// The source port.
    pub source_port: Option<u16>,
    /// The destination port.
    pub destination_port: Option<u16>,
    /// The ICMP or ICMPv6 type and code.
    pub icmp: Option<(u8, u8)>,
    /// The network's discriminator bits.
    pub flags: u8,
}

impl Key for FlowKey {
    #[inline]
    fn is_flow(&self) -> bool {
        self.kind != KeyKind::NOT_IP
    }

    fn fields(&self) -> Fields {
        let ip = self.kind != KeyKind::NOT_IP;
        let with_ports = self.kind == KeyKind::PLAIN && has_ports(self.ip_protocol());
        Fields {
            ethertype: match (ip, self.is_v4()) {
                (false, _) => Ethertype(self.destination_port),
                (true, true) => Ethertype::IPV4,
                (true, false) => Ethertype::IPV6,
            },
            protocol: ip.then(|| self.ip_protocol()),
            source: ip.then(|| self.source_ip()),
            destination: ip.then(|| self.destination_ip()),
            source_port: with_ports.then_some(self.source_port),
            destination_port: with_ports.then_some(self.destination_port),
            icmp: self.icmp(),
            flags: self.flags,
        }
    }

    #[inline]
    fn hash(&self, seed: &HashSeed) -> u32 {
        let mut padded = [0; 48];
        if let Some(place) = padded.first_chunk_mut::<{ size_of::<FlowKey>() }>() {
            place.copy_from_slice(self.as_bytes());
        }
        let words: [u64; 6] = zerocopy::transmute!(padded);
        seed.hash(&words)
    }

    fn rewritten(&self, program: &Program, l3_index: u8) -> Self {
        let mut image = Image::of(self);
        for (window, data) in program.rewrite.windows() {
            for (i, byte) in (0..8).zip(data) {
                if window.mask >> i & 1 == 1 {
                    image.write(l3_index, window.header, window.offset + i, 0xff, *byte);
                }
            }
        }
        for bits in program.rewrite.bits() {
            image.write(l3_index, bits.header, bits.offset, bits.mask, bits.value);
        }
        image.key(self)
    }
}

/// What a key holds of the bytes of a frame, as they stand in it.
struct Image {
    v4: bool,
    network: [u8; 40],
    transport: [u8; 8],
}

impl Image {
    fn of(key: &FlowKey) -> Self {
        let v4 = key.is_v4();
        let mut network = [0; 40];
        if v4 {
            copy_at(&mut network, 12, key.source.get(12..));
            copy_at(&mut network, 16, key.destination.get(12..));
        } else {
            copy_at(&mut network, 8, Some(&key.source));
            copy_at(&mut network, 24, Some(&key.destination));
        }
        let mut transport = [0; 8];
        copy_at(&mut transport, 0, Some(&key.source_port.to_be_bytes()));
        copy_at(&mut transport, 2, Some(&key.destination_port.to_be_bytes()));
        if is_echo(key) {
            // The identifier of an echo stands in the second word of its header.
            copy_at(&mut transport, 4, Some(&key.source_port.to_be_bytes()));
        }
        Self {
            v4,
            network,
            transport,
        }
    }

    fn write(&mut self, l3_index: u8, header: u8, offset: u8, mask: u8, value: u8) {
        let bytes: &mut [u8] = match header.checked_sub(l3_index) {
            Some(0) => &mut self.network,
            Some(1) => &mut self.transport,
            _ => return,
        };
        if let Some(byte) = bytes.get_mut(usize::from(offset)) {
            *byte = *byte & !mask | value & mask;
        }
    }

    fn key(&self, before: &FlowKey) -> FlowKey {
        let mut key = *before;
        if self.v4 {
            copy_at(&mut key.source, 12, self.network.get(12..16));
            copy_at(&mut key.destination, 12, self.network.get(16..20));
        } else {
            copy_at(&mut key.source, 0, self.network.get(8..24));
            copy_at(&mut key.destination, 0, self.network.get(24..));
        }
        let [s0, s1, d0, d1, i0, i1, ..] = self.transport;
        match before.kind {
            KeyKind::PLAIN if has_ports(before.ip_protocol()) => {
                key.source_port = u16::from_be_bytes([s0, s1]);
                key.destination_port = u16::from_be_bytes([d0, d1]);
            }
            KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY => {
                key.source_port = u16::from_be_bytes([i0, i1]);
                key.destination_port = key.source_port;
            }
            _ => {}
        }
        key
    }
}

fn is_echo(key: &FlowKey) -> bool {
    matches!(key.kind, KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY)
}

fn copy_at(to: &mut [u8], at: usize, from: Option<&[u8]>) {
    let from = from.unwrap_or_default();
    if let Some(to) = to.get_mut(at..at + from.len()) {
        to.copy_from_slice(from);
    }
}

fn has_ports(protocol: IpProtocol) -> bool {
    matches!(
        protocol,
        IpProtocol::TCP | IpProtocol::UDP | IpProtocol::SCTP
    )
}
