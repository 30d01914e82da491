//! What a program makes of the key of a flow.

use super::Program;
use super::rewrite::{Rewrite, byte_mask};
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
        if program.rewrite.bits_count == 0 {
            key.write_windows(&program.rewrite, l3_index);
        } else {
            key.write_any(program, l3_index);
        }
        key
    }

    /// Writes anything.
    fn write_any(&mut self, program: &Program, l3_index: u8) {
        let key = self;
        if key.is_v4() {
            key.write_addresses::<4, { ADDRESSES_V4 }>(&program.rewrite, l3_index);
        } else {
            key.write_addresses::<16, { ADDRESSES_V6 }>(&program.rewrite, l3_index);
        }

        let echo = matches!(key.kind, KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY);
        if !echo && key.kind != KeyKind::PLAIN {
            return;
        }
        // An identifier stands where nothing else of the key does: in both ports.
        let [a, b] = key.source_port.to_be_bytes();
        let [c, d] = key.destination_port.to_be_bytes();
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
    }

    /// Writes what is written in whole bytes.
    #[inline]
    fn write_windows(&mut self, rewrite: &Rewrite, l3: u8) {
        let echo = matches!(self.kind, KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY);
        let has_ports = echo || self.kind == KeyKind::PLAIN;
        let is_v4 = self.is_v4();
        for (window, data) in rewrite.windows() {
            let (mask, data) = (byte_mask(window.mask), u64::from_ne_bytes(*data));
            let of = |old: [u8; 8]| (u64::from_ne_bytes(old) & !mask | data & mask).to_ne_bytes();
            if window.header == l3 {
                // The addresses stand in eights of their own: of IPv4 at 12 and 16, of IPv6 at 8 and 24.
                let (half, later) = match (is_v4, window.offset) {
                    (true, 8) | (false, 8 | 16) => (&mut self.source, window.offset == 16),
                    (true, 16) | (false, 24 | 32) => (&mut self.destination, window.offset == 32),
                    _ => continue,
                };
                if is_v4 {
                    let Some(address) = half.last_chunk_mut::<4>() else {
                        continue;
                    };
                    let [a, b, c, d] = *address;
                    let [p, q, r, s, t, u, v, w] = of([a, b, c, d, a, b, c, d]);
                    *address = if window.offset == 8 {
                        [t, u, v, w]
                    } else {
                        [p, q, r, s]
                    };
                } else if let ([first, second], _) = half.as_chunks_mut::<8>() {
                    let eight = if later { second } else { first };
                    *eight = of(*eight);
                }
            } else if has_ports && window.header == l3.saturating_add(1) && window.offset == 0 {
                // An identifier stands where nothing else of the key does: in both ports.
                let [a, b] = self.source_port.to_be_bytes();
                let [c, d] = self.destination_port.to_be_bytes();
                let ports = if echo {
                    let [_, _, _, _, a, b, ..] = of([0, 0, 0, 0, a, b, 0, 0]);
                    ([a, b], [a, b])
                } else {
                    let [a, b, c, d, ..] = of([a, b, c, d, 0, 0, 0, 0]);
                    ([a, b], [c, d])
                };
                self.source_port = u16::from_be_bytes(ports.0);
                self.destination_port = u16::from_be_bytes(ports.1);
            }
        }
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
                let mask = byte_mask(window.mask);
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

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::program::{Prefix, Window};

    /// Whole bytes are written as anything is.
    #[test]
    fn windows_are_written_as_any_writes_are() {
        let mut state = 1u64;
        let mut draw = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32
        };
        let kinds = [
            KeyKind::PLAIN,
            KeyKind::ICMP,
            KeyKind::ECHO_REQUEST,
            KeyKind::ECHO_REPLY,
            KeyKind::FRAGMENT,
        ];
        let mut changed = 0;
        for round in 0..if cfg!(miri) { 50 } else { 5_000 } {
            let mut key = FlowKey::ZERO;
            let mut bytes = || [(); 16].map(|()| draw() as u8);
            (key.source, key.destination) = (bytes(), bytes());
            if round % 2 == 0 {
                for address in [&mut key.source, &mut key.destination] {
                    address[..12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
                }
            }
            key.kind = kinds[round / 2 % kinds.len()];
            (key.source_port, key.destination_port) = (draw() as u16, draw() as u16);
            if matches!(key.kind, KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY) {
                key.destination_port = key.source_port;
            }
            let mut rewrite = Rewrite::EMPTY;
            for _ in 0..draw() % 6 {
                let window = Window {
                    header: (draw() % 4) as u8,
                    offset: (draw() % 5 * 8) as u8,
                    mask: (draw() % 255 + 1) as u8,
                    cover: (draw() % 3) as u8,
                };
                let data = u64::from(draw()) << 32 | u64::from(draw());
                let data = data & byte_mask(window.mask);
                rewrite.write_window(window, data.to_ne_bytes()).unwrap();
            }
            rewrite.settle();
            let program = Program::new(Prefix::EMPTY, rewrite);
            let (mut one, mut other) = (key, key);
            one.write_windows(&program.rewrite, 1);
            other.write_any(&program, 1);
            assert_eq!(one, other, "{program:?} on {key}");
            changed += u32::from(one != key);
        }
        assert!(
            cfg!(miri) || changed > 1_000,
            "hardly any was changed: {changed}"
        );
    }
}
