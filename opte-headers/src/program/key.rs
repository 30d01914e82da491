//! What a program makes of the key of a flow.

use super::Program;
use super::rewrite::Rewrite;
use crate::frame::{FlowKey, KeyKind};

/// Where the addresses stand in IPv4 and IPv6.
const ADDRESSES_V4: usize = 12;
const ADDRESSES_V6: usize = 8;

impl FlowKey {
    /// The key of the flow after `program`: addresses as it writes them to the IP header at position `l3_index`, ports or
    /// identifier as it writes them to the header behind. What it writes to other headers does not matter.
    ///
    /// ICMP messages other than echo have no ports; their type and code stay.
    #[must_use]
    pub fn rewritten(&self, program: &Program, l3_index: u8) -> Self {
        let mut key = *self;
        let untouched = program.rewrite.is_empty() || program.rewrite.last < l3_index;
        if untouched || self.kind == KeyKind::NOT_IP {
            return key;
        }
        if self.is_v4() {
            key.write_addresses::<4, { ADDRESSES_V4 }>(&program.rewrite, l3_index);
        } else {
            key.write_addresses::<16, { ADDRESSES_V6 }>(&program.rewrite, l3_index);
        }

        let echo = matches!(self.kind, KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY);
        if !echo && self.kind != KeyKind::PLAIN {
            return key;
        }
        // An identifier stands where nothing else of the key does: in both ports.
        let [a, b] = self.source_port.to_be_bytes();
        let [c, d] = self.destination_port.to_be_bytes();
        let mut ports = if echo {
            [0, 0, 0, 0, a, b, 0, 0]
        } else {
            [a, b, c, d, 0, 0, 0, 0]
        };
        program
            .rewrite
            .apply_to(l3_index.saturating_add(1), &mut ports);
        let [a, b, c, d, e, f, ..] = ports;
        let (source, destination) = if echo {
            ([e, f], [e, f])
        } else {
            ([a, b], [c, d])
        };
        key.source_port = u16::from_be_bytes(source);
        key.destination_port = u16::from_be_bytes(destination);
        key
    }

    /// Writes what is written to the addresses, of `LEN` bytes, which stand from byte `AT` of the IP header on.
    #[inline]
    fn write_addresses<const LEN: usize, const AT: usize>(&mut self, rewrite: &Rewrite, l3: u8) {
        let mut ip = [0; 40];
        let (_, behind) = ip.split_at_mut(AT);
        let Some((source, behind)) = behind.split_first_chunk_mut::<LEN>() else {
            return;
        };
        let Some(destination) = behind.first_chunk_mut::<LEN>() else {
            return;
        };
        let (Some(from), Some(to)) = (
            self.source.last_chunk_mut::<LEN>(),
            self.destination.last_chunk_mut::<LEN>(),
        ) else {
            return;
        };
        (*source, *destination) = (*from, *to);
        rewrite.apply_to(l3, &mut ip);
        let (_, behind) = ip.split_at(AT);
        if let Some((source, behind)) = behind.split_first_chunk::<LEN>()
            && let Some(destination) = behind.first_chunk::<LEN>()
        {
            (*from, *to) = (*source, *destination);
        }
    }
}

impl Rewrite {
    /// Writes what is written to one header to a copy of its front.
    fn apply_to(&self, header: u8, bytes: &mut [u8]) {
        for (window, data) in self.windows().filter(|(window, _)| window.header == header) {
            let Some(slot) = bytes.get_mut(usize::from(window.offset)..) else {
                continue;
            };
            if let Some(slot) = slot.first_chunk_mut::<8>() {
                let mask = super::rewrite::byte_mask(window.mask);
                let value = u64::from_ne_bytes(*slot) & !mask | u64::from_ne_bytes(*data) & mask;
                *slot = value.to_ne_bytes();
            }
        }
        for bits in self.bits().iter().filter(|bits| bits.header == header) {
            if let Some(byte) = bytes.get_mut(usize::from(bits.offset)) {
                *byte = *byte & !bits.mask | bits.value;
            }
        }
    }
}
