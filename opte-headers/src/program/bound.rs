//! What is run for every packet of a flow.

use core::fmt;
use core::hash::{Hash, Hasher};

use super::apply::{Applied, ApplyError, Sums};
use super::bind::{Stores, Template, Translation};
use super::prefix::NONE;
use super::rewrite::{SumPlace, byte_mask};
use super::{Prefix, Program};
use crate::frame::Offsets;
use crate::header::Header;
use crate::protocol::Ethernet;

/// What is run for every packet of a flow: a [`Template`] compiled, so that nothing is left to be found out but whether the
/// frame's headers stand as the flow's frames have them. It is for all flows of its template, each with a [`Translation`] of its
/// own.
///
/// Positions count from the innermost Ethernet header: what is around that may have options, and frames of a flow need not have
/// the same ones. A frame with IP options, extension headers or VLAN tags in the innermost stack takes the long way, through
/// [`Program::apply`].
#[derive(Clone, Copy)]
pub struct Bound {
    front: Front,
    template: Template,
}

/// What happens at the front, and where everything else happens.
#[derive(Clone, Copy)]
pub(super) struct Front {
    /// Pushed headers, and behind them the first `over` bytes of the frame, ending with the array.
    data: [u8; Prefix::CAPACITY],
    /// The first and the last eight bytes of the Ethernet header, where the template does not cover them.
    edges: [[u8; 8]; 2],
    edge_masks: [u8; 2],
    /// Lengths; one not used is written to where nothing is.
    addends: [u16; 2],
    length_at: [u8; 2],
    /// Places of the flow's entropy; one not used likewise.
    entropy_at: [u8; 2],
    entropy_or: [u8; 2],
    /// Bytes pushed.
    len: u8,
    over: u8,
    /// [`Offsets::anchor`] of the frames it is for.
    anchor: u8,
    /// Headers popped.
    pop: u8,
    /// Bytes behind the popped headers that are reached.
    reach: u8,
    /// How many stores there are, and where. Those not used are as the first.
    stores: u8,
    store_at: [u8; Translation::STORES],
    store_masks: [u8; Translation::STORES],
    /// Checksums of the IPv4 header and of what is behind; 0 is none.
    network_at: u8,
    transport_at: u8,
    flags: u8,
}

/// Flags of the transport checksum, as in [`SumPlace`].
const OPTIONAL: u8 = SumPlace::OPTIONAL;
const NEVER_ZERO: u8 = SumPlace::NEVER_ZERO;
const TRANSPORT: u8 = SumPlace::TRANSPORT;
/// Addresses are under the transport checksum.
const PSEUDO: u8 = 0x10;
/// Some store or edge writes part of its eight bytes only.
const MASKED: u8 = 0x20;
/// There are edges.
const EDGES: u8 = 0x40;

/// An anchor that no frame has.
const NO_FRAME: u8 = NONE - 1;

/// Where the edges stand.
const EDGES_AT: [usize; 2] = [0, Ethernet::MIN_LEN - 8];

/// A position in the template that nothing stands at, if it is not full.
const NOWHERE: u8 = 0;

impl Bound {
    pub(super) fn new(template: Template) -> Self {
        let front = Front::of(&template).unwrap_or(Front::NONE);
        Self { front, template }
    }

    /// What it was made of.
    #[inline]
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }

    /// The program it stands for, of the flow that this is the translation of.
    #[must_use]
    pub fn program(&self, translation: &Translation) -> Program {
        self.template.program(translation)
    }

    /// Does to a frame of the flow what [`Program::apply`] does, with the same arguments, of the program that was bound.
    ///
    /// The frame must have the flow key that the program was bound to; else the bytes written are not those of the program.
    ///
    /// # Errors
    ///
    /// [`ApplyError`]; the frame is then as it was, provided that `offsets` are those of this frame.
    #[expect(clippy::too_many_arguments, reason = "those of Program::apply")]
    #[inline(always)]
    pub fn apply(
        &self,
        translation: &Translation,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        offsets: &Offsets,
        sums: Sums,
        entropy: u16,
    ) -> Result<Applied, ApplyError> {
        let front = &self.front;
        let dropped = if front.pop == 0 {
            0
        } else {
            offsets.start_of(front.pop)
        };
        let base = start + dropped;
        let fits = frame_len >= dropped
            && base + usize::from(front.reach) <= head.len()
            && (front.len == 0 || base + usize::from(front.over) >= Prefix::CAPACITY);
        if offsets.anchor() != front.anchor || !fits {
            return self.apply_any(translation, head, start, frame_len, offsets, sums, entropy);
        }
        let body_len = frame_len - dropped;
        if let Some(frame) = head.get_mut(base..) {
            front.rewrite(translation, frame, sums);
        }
        if front.len != 0
            && let Some(room) = head.get_mut(..base + usize::from(front.over))
            && let Some(room) = room.last_chunk_mut()
        {
            front.push(room, body_len as u16, entropy);
        }
        Ok(Applied {
            start: base - usize::from(front.len),
            frame_len: body_len + usize::from(front.len),
        })
    }

    /// Of frames that are not as those of the flow mostly are.
    #[expect(clippy::too_many_arguments, reason = "those of Program::apply")]
    #[cold]
    #[inline(never)]
    fn apply_any(
        &self,
        translation: &Translation,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        offsets: &Offsets,
        sums: Sums,
        entropy: u16,
    ) -> Result<Applied, ApplyError> {
        let program = self.program(translation);
        program.apply(head, start, frame_len, offsets, sums, entropy)
    }
}

impl Front {
    /// Of templates that fit no frame.
    const NONE: Self = Self {
        data: [0; Prefix::CAPACITY],
        edges: [[0; 8]; 2],
        edge_masks: [0; 2],
        addends: [0; 2],
        length_at: [NOWHERE; 2],
        entropy_at: [NOWHERE; 2],
        entropy_or: [0; 2],
        len: 0,
        over: 0,
        anchor: NO_FRAME,
        pop: 0,
        reach: 0,
        stores: 0,
        store_at: [0; Translation::STORES],
        store_masks: [0xff; Translation::STORES],
        network_at: 0,
        transport_at: 0,
        flags: 0,
    };

    /// None where the program does more than has a place here.
    pub(super) fn of(template: &Template) -> Option<Self> {
        let written = template.written()?;
        let Prefix { sums, pop, len, .. } = template.program.prefix;
        if sums != [NONE; 2] {
            return None;
        }
        let mut front = Self {
            anchor: template.l3,
            pop,
            len,
            ..Self::NONE
        };
        front.set_stores(Stores::of(written, template)?);
        front.set_sums(template);
        front.set_ethernet(written, template)?;
        front.set_places(&template.program.prefix)?;
        Some(front)
    }

    fn set_stores(&mut self, stores: Stores) {
        self.stores = stores.count as u8;
        (self.store_at, self.store_masks) = (stores.at, stores.masks);
        for (at, mask) in stores.at.iter().zip(stores.masks).take(stores.count) {
            self.flags |= if mask == 0xff { 0 } else { MASKED };
            self.reach = self.reach.max(at + 8);
        }
    }

    fn set_sums(&mut self, template: &Template) {
        let (network, transport) = template.places();
        if let Some(at) = network {
            self.network_at = at as u8;
        }
        if let Some((at, place)) = transport {
            self.transport_at = at as u8;
            self.flags |= place.flags & (OPTIONAL | NEVER_ZERO | TRANSPORT);
        }
        if template.program.rewrite.covers_by_pseudo() {
            self.flags |= PSEUDO;
        }
        for at in [self.network_at, self.transport_at] {
            if at != 0 {
                self.reach = self.reach.max(at + 2);
            }
        }
    }

    /// The Ethernet header: what is written to it from its start on goes with the pushed headers.
    fn set_ethernet(&mut self, written: u128, template: &Template) -> Option<()> {
        const HEADER: u128 = (1 << Ethernet::MIN_LEN) - 1;
        let mut header = [0; Ethernet::MIN_LEN];
        *header.last_chunk_mut()? = template.stack.ethertype().0.to_be_bytes();
        for (window, data) in template.program.rewrite.windows() {
            if window.header + 1 != template.l3 {
                continue;
            }
            let bytes = header.iter_mut().skip(usize::from(window.offset)).zip(data);
            for (bit, (to, from)) in bytes.enumerate() {
                if window.mask >> bit & 1 == 1 {
                    *to = *from;
                }
            }
        }
        let (mut left, known) = (
            written & HEADER,
            (written | template.stack.known()) & HEADER,
        );
        let prefix = template.program.prefix.data;
        self.data = prefix;
        let over = known.trailing_ones() as usize;
        if self.len != 0
            && left != 0
            && over != 0
            && usize::from(self.len) + over <= Prefix::CAPACITY
        {
            self.over = over as u8;
            self.data.copy_within(over.., 0);
            let (to, from) = (
                self.data.last_chunk_mut::<{ Ethernet::MIN_LEN }>()?,
                header.get(..over)?,
            );
            to.get_mut(Ethernet::MIN_LEN - over..)?
                .copy_from_slice(from);
            left &= !0 << over;
        }
        // The second edge first: it is known as a whole where the source address is written, the first where both are.
        let edges = self.edges.iter_mut().zip(&mut self.edge_masks);
        for ((edge, mask), at) in edges.zip(EDGES_AT).rev() {
            let (known, of_edge) = ((known >> at) as u8, (left >> at) as u8);
            if of_edge == 0 {
                continue;
            }
            *edge = *header.get(at..)?.first_chunk()?;
            *mask = if known == 0xff { known } else { of_edge };
            self.flags |= if *mask == 0xff { EDGES } else { EDGES | MASKED };
            left &= !(0xff << at);
        }
        if self.flags & EDGES != 0 || self.over != 0 {
            self.reach = self.reach.max(Ethernet::MIN_LEN as u8);
        }
        Some(())
    }

    /// Lengths and entropy.
    fn set_places(&mut self, prefix: &Prefix) -> Option<()> {
        if self.len == 0 {
            return Some(());
        }
        let (lengths, moved) = (prefix.lengths(), self.over);
        let entropies = || prefix.entropy.iter().filter(|place| place.at != NONE);
        if lengths.len() > 2 {
            return None;
        }
        let used = lengths.len() + entropies().count();
        if used < 4 && usize::from(self.len + self.over) > Prefix::CAPACITY - 2 {
            return None;
        }
        let places = self.addends.iter_mut().zip(&mut self.length_at);
        for ((addend, at), length) in places.zip(lengths) {
            (*addend, *at) = (length.addend, length.at.checked_sub(moved)?);
        }
        let places = self.entropy_at.iter_mut().zip(&mut self.entropy_or);
        for ((at, or), entropy) in places.zip(entropies()) {
            (*at, *or) = (entropy.at.checked_sub(moved)?, entropy.or);
        }
        Some(())
    }

    /// Writes addresses and ports, the Ethernet header and the checksums. The frame reaches far enough.
    #[inline(always)]
    fn rewrite(&self, translation: &Translation, frame: &mut [u8], sums: Sums) {
        if self.flags & MASKED != 0 {
            self.store_masked(translation, frame);
        } else {
            if self.stores != 0 {
                let [a, b, c] = translation.data;
                let [at_a, at_b, at_c] = self.store_at;
                store(frame, at_a, a);
                if self.stores > 1 {
                    store(frame, at_b, b);
                }
                if self.stores > 2 {
                    store(frame, at_c, c);
                }
            }
            if self.flags & EDGES != 0 {
                self.store_edges(frame);
            }
        }
        if self.network_at != 0
            && let Some(slot) = slot(frame, self.network_at)
        {
            let change = u16::from_be_bytes(translation.of_addresses);
            *slot = (!add(!u16::from_be_bytes(*slot), change)).to_be_bytes();
        }
        if self.transport_at != 0
            && let Some(slot) = slot(frame, self.transport_at)
        {
            self.update(slot, translation, sums);
        }
    }

    #[inline(always)]
    fn update(&self, slot: &mut [u8; 2], translation: &Translation, sums: Sums) {
        let old = u16::from_be_bytes(*slot);
        if sums == Sums::Partial && self.flags & TRANSPORT != 0 {
            if self.flags & PSEUDO != 0 {
                let change = u16::from_be_bytes(translation.of_addresses);
                *slot = add(old, change).to_be_bytes();
            }
            return;
        }
        if self.flags & OPTIONAL != 0 && old == 0 {
            return;
        }
        let new = !add(!old, u16::from_be_bytes(translation.of_all));
        let never_zero = self.flags & (OPTIONAL | NEVER_ZERO) != 0;
        *slot = if never_zero && new == 0 {
            [0xff; 2]
        } else {
            new.to_be_bytes()
        };
    }

    #[inline(always)]
    fn store_edges(&self, frame: &mut [u8]) {
        for ((edge, mask), at) in self.edges.iter().zip(self.edge_masks).zip(EDGES_AT) {
            if mask != 0
                && let Some(slot) = frame.get_mut(at..at + 8)
            {
                slot.copy_from_slice(edge);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn store_masked(&self, translation: &Translation, frame: &mut [u8]) {
        let of_flow = translation
            .data
            .iter()
            .zip(self.store_masks)
            .zip(self.store_at);
        let edges = self
            .edges
            .iter()
            .zip(self.edge_masks)
            .zip([EDGES_AT[0] as u8, EDGES_AT[1] as u8]);
        for ((data, mask), at) in of_flow.take(usize::from(self.stores)).chain(edges) {
            let slot = frame
                .get_mut(usize::from(at)..)
                .and_then(<[u8]>::first_chunk_mut);
            if let Some(slot) = slot {
                let mask = byte_mask(mask);
                let bytes = u64::from_ne_bytes(*slot) & !mask | u64::from_ne_bytes(*data) & mask;
                *slot = bytes.to_ne_bytes();
            }
        }
    }

    /// Writes the pushed headers, and what of the frame goes with them.
    #[inline(always)]
    fn push(&self, room: &mut [u8; Prefix::CAPACITY], body_len: u16, entropy: u16) {
        *room = self.data;
        for (at, addend) in self.length_at.into_iter().zip(self.addends) {
            put(room, at, addend.wrapping_add(body_len));
        }
        for (at, or) in self.entropy_at.into_iter().zip(self.entropy_or) {
            put(room, at, entropy | u16::from(or) << 8);
        }
    }
}

#[inline(always)]
fn store(frame: &mut [u8], at: u8, data: [u8; 8]) {
    let at = usize::from(at);
    if let Some(slot) = frame.get_mut(at..at + 8) {
        slot.copy_from_slice(&data);
    }
}

#[inline(always)]
fn slot(frame: &mut [u8], at: u8) -> Option<&mut [u8; 2]> {
    let at = usize::from(at);
    frame.get_mut(at..at + 2)?.first_chunk_mut()
}

#[inline(always)]
fn put(room: &mut [u8; Prefix::CAPACITY], at: u8, value: u16) {
    let at = usize::from(at);
    if let Some(slot) = room.get_mut(at..at + 2) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}

/// The one's complement sum, zero only where both are.
#[inline(always)]
const fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry as u16)
}

impl From<Template> for Bound {
    fn from(template: Template) -> Self {
        template.compile()
    }
}

/// By the template, of which the rest follows.
impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.template == other.template
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.template.hash(state);
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bound").field(&self.template).finish()
    }
}
