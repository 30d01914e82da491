//! What a bound program puts in front of a frame.

use super::Prefix;
use super::bind::at;
use super::prefix::{Entropy, Length, NONE};
use crate::header::Header;
use crate::protocol::{Ethernet, Ipv6, ipv6, udp};

/// The pushed headers.
#[derive(Clone, Copy)]
pub(super) struct Tunnel {
    /// The first bytes, and the last ones; they may have some in common.
    head: [u8; Self::HEAD],
    tail: [u8; Self::TAIL],
    /// What is added to the length of the frame for the two lengths.
    addend: u16,
    /// The entropy that is kept, and what is set beside it.
    port: Masked,
    label: Masked,
}

/// Which bits of the entropy are written, and the others.
#[derive(Clone, Copy)]
struct Masked {
    mask: [u8; 2],
    rest: [u8; 2],
}

/// Where things stand in Ethernet, IPv6 and UDP.
const UDP: usize = Ethernet::MIN_LEN + Ipv6::MIN_LEN;
const PAYLOAD_LEN: usize = Ethernet::MIN_LEN + at::<ipv6::PayloadLen>();
/// The lower 16 bits of the label.
const LABEL: usize = PAYLOAD_LEN - 2;
const PORT: usize = UDP + at::<udp::Source>();
const LENGTH: usize = UDP + at::<udp::Length>();

impl Tunnel {
    const HEAD: usize = 64;
    const TAIL: usize = 32;

    /// None if it is no tunnel over UDP over IPv6, or too long.
    pub(super) fn of(prefix: &Prefix) -> Option<Self> {
        let mut tunnel = Self::NONE;
        if !prefix.is_empty() {
            tunnel.fill(prefix)?;
        }
        Some(tunnel)
    }

    pub(super) const NONE: Self = Self {
        head: [0; Self::HEAD],
        tail: [0; Self::TAIL],
        addend: 0,
        port: Masked::NONE,
        label: Masked::NONE,
    };

    fn fill(&mut self, prefix: &Prefix) -> Option<()> {
        let bytes = prefix.as_bytes();
        // Together they are all of it.
        const { assert!(Self::HEAD + Self::TAIL >= Prefix::CAPACITY) }
        (self.head, self.tail) = (*bytes.first_chunk()?, *bytes.last_chunk()?);

        let start = prefix.start() as u8;
        let [ip, udp] = prefix.lengths() else {
            return None;
        };
        let expected = |length: &Length, at: usize| {
            usize::from(length.at.wrapping_sub(start)) == at
                && length.sum == NONE
                && length.addend == ip.addend
        };
        if !expected(ip, PAYLOAD_LEN) || !expected(udp, LENGTH) || prefix.sums != [NONE; 2] {
            return None;
        }
        self.addend = ip.addend;
        (self.port, self.label) = (self.masked(PORT)?, self.masked(LABEL)?);
        for Entropy { at, or } in prefix.entropy.into_iter().filter(|place| place.at != NONE) {
            let place = match usize::from(at.wrapping_sub(start)) {
                PORT => &mut self.port,
                LABEL => &mut self.label,
                _ => return None,
            };
            *place = Masked {
                mask: [0xff; 2],
                rest: [or, 0],
            };
        }
        Some(())
    }

    /// What stands there, and no entropy.
    fn masked(&self, at: usize) -> Option<Masked> {
        let rest = *self.head.get(at..)?.first_chunk()?;
        Some(Masked {
            rest,
            ..Masked::NONE
        })
    }

    /// Writes them to `room`, which is as long, in front of a frame of which `body_len` bytes stay. Does nothing if there is no
    /// room, since there are no pushed headers.
    #[inline(always)]
    pub(super) fn push(&self, room: &mut [u8], body_len: u16, entropy: u16) {
        if room.len() < Self::HEAD {
            return;
        }
        if let Some(end) = room.last_chunk_mut() {
            *end = self.tail;
        }
        let Some(room) = room.first_chunk_mut() else {
            return;
        };
        *room = self.head;
        let len = body_len.wrapping_add(self.addend).to_be_bytes();
        put(room, PAYLOAD_LEN, len);
        put(room, LENGTH, len);
        put(room, PORT, self.port.with(entropy));
        put(room, LABEL, self.label.with(entropy));
    }
}

impl Masked {
    const NONE: Self = Self {
        mask: [0; 2],
        rest: [0; 2],
    };

    #[inline(always)]
    fn with(self, entropy: u16) -> [u8; 2] {
        let entropy = u16::from_ne_bytes(entropy.to_be_bytes());
        let word = entropy & u16::from_ne_bytes(self.mask) | u16::from_ne_bytes(self.rest);
        word.to_ne_bytes()
    }
}

#[inline(always)]
fn put(room: &mut [u8; Tunnel::HEAD], at: usize, bytes: [u8; 2]) {
    if let Some(slot) = room.get_mut(at..at + 2) {
        slot.copy_from_slice(&bytes);
    }
}
