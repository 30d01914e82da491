//! What a bound program does to the headers that stay.

use super::apply::Sums;
use super::bind::{
    L3, L4_OF_V4, L4_OF_V6, STORES_V4, STORES_V6_DESTINATION, STORES_V6_SOURCE, Stores, Template,
    Translation, at, run,
};
use super::prefix::NONE;
use super::rewrite::{SumPlace, byte_mask};
use crate::header::Header;
use crate::protocol::{Ethernet, ethernet, ipv4, tcp, udp};

/// Stores at known places of the innermost headers, and where their checksums stand.
#[derive(Clone, Copy)]
pub(super) struct Front {
    /// [`Offsets::anchor`](crate::frame::Offsets::anchor) of the frames it is for.
    pub(super) anchor: u8,
    /// Bytes pushed.
    pub(super) len: u8,
    /// Addresses and ports of TCP over IPv4 are written, or else `form` tells what is.
    is_tcp_v4: bool,
    form: u8,
    /// The header with ports is one of UDP.
    is_udp: bool,
    /// What is written to the Ethernet header.
    ethernet: u8,
    flags: u8,
    /// The destination of the Ethernet header, and all behind it.
    destination: [u8; 6],
    source: [u8; 8],
    /// Where the translation's bytes go, and which of them are written.
    stores: u8,
    store_at: [u8; Translation::STORES],
    store_masks: [u8; Translation::STORES],
    /// Checksums of the IPv4 header and of what is behind; 0 is none.
    network_at: u8,
    transport_at: u8,
    /// Bytes of the innermost headers that are reached.
    reach: u8,
}

/// Forms: nothing is translated.
const NOTHING: u8 = 0;
/// Addresses and ports, each of them written or known.
const V4: u8 = 1;
const V6_SOURCE: u8 = 2;
const V6_DESTINATION: u8 = 3;
/// Anything.
const ANY: u8 = 4;

/// What is written to the Ethernet header.
const DESTINATION: u8 = 1;
const SOURCE: u8 = 2;

/// Addresses are under the transport checksum.
const PSEUDO: u8 = 0x10;

impl Front {
    /// Of no frame: no header has this position.
    pub(super) const NONE: Self = Self {
        anchor: NONE - 1,
        len: 0,
        is_tcp_v4: false,
        form: NOTHING,
        is_udp: false,
        ethernet: 0,
        flags: 0,
        destination: [0; 6],
        source: [0; 8],
        stores: 0,
        store_at: [0; Translation::STORES],
        store_masks: [0; Translation::STORES],
        network_at: 0,
        transport_at: 0,
        reach: 0,
    };

    /// None where the program does more than has a place here.
    pub(super) fn of(template: &Template) -> Option<Self> {
        let prefix = &template.program.prefix;
        let written = template.written()?;
        let mut front = Self {
            anchor: template.l3,
            len: prefix.len,
            ..Self::NONE
        };
        let stores = Stores::of(written, template.stack)?;
        front.stores = stores.count as u8;
        (front.store_at, front.store_masks) = (stores.at, stores.masks);
        front.set_sums(template);
        front.set_ethernet(written, template)?;
        front.set_reach();
        front.form = front.form_of(template);
        front.is_tcp_v4 = front.form == V4 && !front.is_udp;
        Some(front)
    }

    fn set_sums(&mut self, template: &Template) {
        let (network, transport) = template.places();
        if let Some(at) = network {
            self.network_at = at as u8;
        }
        if let Some((at, place)) = transport {
            self.transport_at = at as u8;
            self.flags |= place.flags & 0x0f;
        }
        if template.program.rewrite.covers_by_pseudo() {
            self.flags |= PSEUDO;
        }
    }

    /// What is written to the Ethernet header: whole addresses, with the Ethertype, which is known.
    fn set_ethernet(&mut self, written: u128, template: &Template) -> Option<()> {
        const LEN: usize = at::<ethernet::Source>();
        const { assert!(LEN == 6 && LEN + 8 == Ethernet::MIN_LEN) }
        self.ethernet = match (written & ((1 << L3) - 1), run(0, LEN), run(LEN, LEN)) {
            (0, _, _) => 0,
            (bytes, destination, _) if bytes == destination => DESTINATION,
            (bytes, _, source) if bytes == source => SOURCE,
            (bytes, destination, source) if bytes == destination | source => DESTINATION | SOURCE,
            _ => return None,
        };
        let header = template.ethernet()?;
        (self.destination, self.source) = (*header.first_chunk()?, *header.last_chunk()?);
        Some(())
    }

    fn set_reach(&mut self) {
        let stores = self.store_at.iter().take(usize::from(self.stores));
        let stores = stores.map(|at| at + 8).max().unwrap_or(0);
        let sums = self.network_at.max(self.transport_at);
        let sums = if sums == 0 { 0 } else { sums + 2 };
        self.reach = stores.max(sums).max(Ethernet::MIN_LEN as u8);
    }

    /// The form, and with it which of the two headers with ports is translated.
    fn form_of(&mut self, template: &Template) -> u8 {
        if self.stores == 0 && self.network_at == 0 && self.transport_at == 0 {
            return NOTHING;
        }
        let form = match template.stack.is_v6() {
            false if self.stores_are(&STORES_V4) => V4,
            true if self.stores_are(&STORES_V6_SOURCE) => V6_SOURCE,
            true if self.stores_are(&STORES_V6_DESTINATION) => V6_DESTINATION,
            _ => return ANY,
        };
        let checksum = usize::from(self.transport_at).checked_sub(template.stack.l4());
        let (is_tcp, is_udp) = (
            checksum == Some(at::<tcp::Checksum>()) && self.flags & 0x0f == SumPlace::TRANSPORT,
            checksum == Some(at::<udp::Checksum>()) && self.flags & 0x0f == OF_UDP,
        );
        self.is_udp = is_udp;
        let of_addresses = self.flags & PSEUDO != 0 || self.network_at == 0;
        if of_addresses && (is_tcp || is_udp) {
            form
        } else {
            ANY
        }
    }

    fn stores_are(&self, places: &[usize]) -> bool {
        let whole = self.store_masks == [0xff; Translation::STORES];
        let own = self.store_at.iter().map(|at| usize::from(*at));
        whole
            && own
                .take(usize::from(self.stores))
                .eq(places.iter().copied())
    }

    /// Writes addresses and ports, their checksums and the Ethernet header. None, and nothing done, if the frame ends too soon.
    #[inline(always)]
    pub(super) fn rewrite(
        &self,
        translation: &Translation,
        frame: &mut [u8],
        sums: Sums,
    ) -> Option<()> {
        const TCP: usize = at::<tcp::Checksum>();
        const UDP: usize = at::<udp::Checksum>();
        if self.is_tcp_v4 {
            self.rewrite_v4::<{ L4_OF_V4 + TCP + 2 }>(false, translation, frame, sums)?;
        } else if self.form == V4 {
            self.rewrite_v4::<{ L4_OF_V4 + UDP + 2 }>(true, translation, frame, sums)?;
        } else if self.form == ANY {
            let translation = *translation;
            self.rewrite_any(&translation, frame, sums)?;
        } else if self.form != NOTHING {
            if self.is_udp {
                self.rewrite_v6::<{ L4_OF_V6 + UDP + 2 }>(true, translation, frame, sums)?;
            } else {
                self.rewrite_v6::<{ L4_OF_V6 + TCP + 2 }>(false, translation, frame, sums)?;
            }
        }
        if self.ethernet != 0 {
            self.rewrite_ethernet(frame.first_chunk_mut()?);
        }
        Some(())
    }

    /// Writes the Ethernet header.
    #[inline(always)]
    fn rewrite_ethernet(&self, header: &mut [u8; Ethernet::MIN_LEN]) {
        if self.ethernet != SOURCE
            && let Some(destination) = header.first_chunk_mut()
        {
            *destination = self.destination;
        }
        if self.ethernet != DESTINATION
            && let Some(source) = header.last_chunk_mut()
        {
            *source = self.source;
        }
    }

    /// `REACH` bytes end with the transport checksum.
    #[inline(always)]
    fn rewrite_v4<const REACH: usize>(
        &self,
        is_udp: bool,
        translation: &Translation,
        frame: &mut [u8],
        sums: Sums,
    ) -> Option<()> {
        const NETWORK: usize = L3 + at::<ipv4::Checksum>();
        let frame = frame.first_chunk_mut::<REACH>()?;
        for (at, data) in STORES_V4.iter().zip(&translation.data) {
            store(frame, *at, data);
        }
        if let Some(slot) = frame.get_mut(NETWORK..).and_then(<[u8]>::first_chunk_mut) {
            *slot = subtracted(*slot, translation.of_addresses);
        }
        update(frame.last_chunk_mut()?, is_udp, translation, sums);
        Some(())
    }

    #[inline(always)]
    fn rewrite_v6<const REACH: usize>(
        &self,
        is_udp: bool,
        translation: &Translation,
        frame: &mut [u8],
        sums: Sums,
    ) -> Option<()> {
        let frame = frame.first_chunk_mut::<REACH>()?;
        let places = if self.form == V6_SOURCE {
            STORES_V6_SOURCE
        } else {
            STORES_V6_DESTINATION
        };
        for (at, data) in places.iter().zip(&translation.data) {
            store(frame, *at, data);
        }
        update(frame.last_chunk_mut()?, is_udp, translation, sums);
        Some(())
    }

    /// Any form.
    #[cold]
    #[inline(never)]
    fn rewrite_any(&self, translation: &Translation, frame: &mut [u8], sums: Sums) -> Option<()> {
        let frame = frame.get_mut(..usize::from(self.reach))?;
        let of_flow = translation.data.iter().zip(self.store_masks);
        let of_flow = of_flow.zip(self.store_at).take(usize::from(self.stores));
        for ((data, mask), at) in of_flow {
            let slot = frame.get_mut(usize::from(at)..);
            let slot = slot.and_then(<[u8]>::first_chunk_mut);
            if let Some(slot) = slot {
                let mask = byte_mask(mask);
                let bytes = u64::from_ne_bytes(*slot) & !mask | u64::from_ne_bytes(*data) & mask;
                *slot = bytes.to_ne_bytes();
            }
        }
        if let Some(slot) = slot(frame, self.network_at) {
            *slot = subtracted(*slot, translation.of_addresses);
        }
        if let Some(slot) = slot(frame, self.transport_at) {
            self.update_any(slot, translation, sums);
        }
        Some(())
    }

    fn update_any(&self, slot: &mut [u8; 2], translation: &Translation, sums: Sums) {
        if sums == Sums::Partial && self.flags & SumPlace::TRANSPORT != 0 {
            if self.flags & PSEUDO != 0 {
                *slot = added(*slot, translation.of_addresses);
            }
            return;
        }
        if self.flags & SumPlace::OPTIONAL != 0 && *slot == [0; 2] {
            return;
        }
        *slot = subtracted(*slot, translation.of_all);
        let never_zero = self.flags & (SumPlace::OPTIONAL | SumPlace::NEVER_ZERO) != 0;
        if never_zero && *slot == [0; 2] {
            *slot = [0xff; 2];
        }
    }
}

/// Updates the checksum of TCP or UDP.
#[inline(always)]
fn update(slot: &mut [u8; 2], is_udp: bool, translation: &Translation, sums: Sums) {
    if sums == Sums::Partial {
        *slot = added(*slot, translation.of_addresses);
        return;
    }
    let new = subtracted(*slot, translation.of_all);
    if !is_udp {
        *slot = new;
    } else if *slot != [0; 2] {
        *slot = if new == [0; 2] { [0xff; 2] } else { new };
    }
}

/// Flags of the place of a UDP checksum.
const OF_UDP: u8 = SumPlace::OPTIONAL | SumPlace::NEVER_ZERO | SumPlace::TRANSPORT;

#[inline(always)]
fn store(frame: &mut [u8], at: usize, data: &[u8; 8]) {
    if let Some(slot) = frame.get_mut(at..at + 8) {
        slot.copy_from_slice(data);
    }
}

/// The place of a checksum, which is none at 0.
fn slot(frame: &mut [u8], at: u8) -> Option<&mut [u8; 2]> {
    let at = Some(usize::from(at)).filter(|at| *at != 0)?;
    frame.get_mut(at..)?.first_chunk_mut()
}

/// The one's complement sum, zero only where both are. Any byte order serves.
#[inline(always)]
const fn added(a: [u8; 2], b: [u8; 2]) -> [u8; 2] {
    let (sum, carry) = u16::from_ne_bytes(a).overflowing_add(u16::from_ne_bytes(b));
    sum.wrapping_add(carry as u16).to_ne_bytes()
}

/// The complement of the sum of the complement of `a` and `b`: RFC 1624, equation 3, for a checksum `a` under which the sum
/// changes by `b`.
#[inline(always)]
const fn subtracted(a: [u8; 2], b: [u8; 2]) -> [u8; 2] {
    let (rest, borrow) = u16::from_ne_bytes(a).overflowing_sub(u16::from_ne_bytes(b));
    rest.wrapping_sub(borrow as u16).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_the_complement_of_a_sum() {
        let step = if cfg!(miri) { 1021 } else { 7 };
        for a in (0..=u16::MAX).step_by(step).chain([u16::MAX]) {
            for b in [0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff, a, !a] {
                let (a, b) = (a.to_be_bytes(), b.to_be_bytes());
                let complement = a.map(|byte| !byte);
                assert_eq!(subtracted(a, b), added(complement, b).map(|byte| !byte));
            }
        }
    }
}
