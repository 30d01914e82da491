//! A packet as the driver hands it to a port.

use opte_headers::frame::{Innermost, Parsed};
use opte_headers::program::{Applied, ApplyError, Bound, Program, Sums, Translation};

/// A frame within a buffer that has room before it. The engine rewrites it where it lies.
#[derive(Debug)]
pub struct Packet<'a> {
    buf: &'a mut [u8],
    start: usize,
    end: usize,
    local: Local,
    /// What the link is to do, or has done, in the packet's stead.
    pub offload: Offload,
}

/// Whether a packet may go without the headers of its tunnel, if that ends on its own host, and whether it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    No,
    May,
    Does(LocalWay),
}

/// The tunnel that a packet would have gone through, but for its headers: see [`Packet::local_way`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalWay(pub(crate) u32);

/// Work on a packet that is left to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Whether the innermost transport checksum is complete.
    pub sums: Sums,
    /// How the packet is to be cut into segments, if it is more than one.
    pub gso: Option<Gso>,
}

impl Default for Offload {
    /// A packet that is on the wire as it stands.
    fn default() -> Self {
        Self {
            sums: Sums::Complete,
            gso: None,
        }
    }
}

/// Segmentation of a super-packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// What is cut.
    pub kind: GsoKind,
    /// Bytes of transport payload in a segment.
    pub size: u16,
}

/// What a super-packet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of one size.
    Udp,
}

impl<'a> Packet<'a> {
    /// The frame `buf[start..end]`, with `start` bytes of head-room; `None` if the range is not within `buf`.
    pub fn new(buf: &'a mut [u8], start: usize, end: usize) -> Option<Self> {
        buf.get(start..end)?;
        Some(Self {
            buf,
            start,
            end,
            local: Local::No,
            offload: Offload::default(),
        })
    }

    /// The packet with this offload request.
    #[must_use]
    pub fn with_offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }

    /// Says that the packet may go without the headers of its tunnel where both ends of that are on one host. Whoever says so looks
    /// whether it does ([`Packet::local_way`]), and brings it to the port there
    /// ([`Port::receive`](crate::port::Port::receive)).
    pub fn may_stay_on_host(&mut self) {
        self.local = Local::May;
    }

    /// By which tunnel the packet left its port, if it did so without the tunnel's headers:
    /// [`Port::local_tunnel`](crate::port::Port::local_tunnel) tells about it.
    #[inline]
    pub fn local_way(&self) -> Option<LocalWay> {
        match self.local {
            Local::Does(way) => Some(way),
            Local::No | Local::May => None,
        }
    }

    #[inline(always)]
    pub(crate) fn may_stay(&self) -> bool {
        self.local == Local::May
    }

    pub(crate) fn stays_not(&mut self) {
        self.local = Local::No;
    }

    /// The frame, from its outermost Ethernet header on.
    #[inline]
    pub fn frame(&self) -> &[u8] {
        // One bound after the other: that takes fewer steps than a range.
        let head = self.buf.get(..self.end);
        head.and_then(|head| head.get(self.start..))
            .unwrap_or_else(|| nothing())
    }

    /// The frame, to be changed.
    #[inline]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The bytes of the frame from `from` to before `to`, where the buffer has them.
    #[inline]
    pub(crate) fn bytes(&self, from: usize, to: usize) -> Option<&[u8]> {
        self.buf.get(self.start + from..self.start + to)
    }

    /// Bytes before the frame.
    #[inline]
    pub fn head_room(&self) -> usize {
        self.start
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether the frame has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where the frame lies in its buffer.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.start..self.end
    }

    /// Applies a program to the frame, whose headers stand where `parsed` says. What pads the frame behind its IP packet
    /// goes.
    #[inline]
    pub fn apply(
        &mut self,
        program: &Program,
        parsed: &Parsed,
        entropy: u16,
    ) -> Result<(), ApplyError> {
        let frame_len = self.len().min(parsed.frame_len as usize);
        let (start, sums) = (self.start, self.offload.sums);
        let head = self.buf.get_mut(..start + frame_len).unwrap_or_default();
        let applied = program.apply(head, start, frame_len, &parsed.offsets, sums, entropy)?;
        self.start = applied.start;
        self.end = applied.start + applied.frame_len;
        Ok(())
    }

    /// As [`Packet::apply`], of a program bound to a flow whose frames have this key.
    #[inline(always)]
    pub fn apply_bound(
        &mut self,
        bound: &Bound,
        translation: &Translation,
        parsed: &Parsed,
        entropy: u16,
    ) -> Result<(), ApplyError> {
        let frame_len = self.len().min(parsed.frame_len as usize);
        let (start, sums) = (self.start, self.offload.sums);
        let head = self.buf.get_mut(..start + frame_len).unwrap_or_default();
        let offsets = &parsed.offsets;
        let applied = bound.apply(translation, head, start, frame_len, offsets, sums, entropy)?;
        self.start = applied.start;
        self.end = applied.start + applied.frame_len;
        Ok(())
    }

    /// As [`Packet::apply_bound`], without the headers that go in front, which are program `number`'s. False, and nothing done, of
    /// frames that are not as those of the flow mostly are.
    pub(crate) fn apply_inside(
        &mut self,
        bound: &Bound,
        translation: &Translation,
        (innermost, frame_len): (Innermost, usize),
        number: u32,
    ) -> bool {
        let (start, sums) = (self.start, self.offload.sums);
        let head = self.buf.get_mut(..start + frame_len).unwrap_or_default();
        let applied = bound.apply_inside(translation, head, start, frame_len, innermost, sums);
        if applied.is_some() {
            self.local = Local::Does(LocalWay(number));
        }
        self.moved(applied)
    }

    /// As [`Packet::apply_bound`], of a frame of this length whose innermost headers stand so. False, and nothing done, of frames
    /// that are not as those of the flow mostly are.
    #[inline(always)]
    pub(crate) fn apply_plain(
        &mut self,
        bound: &Bound,
        translation: &Translation,
        (innermost, frame_len): (Innermost, usize),
        entropy: u16,
    ) -> bool {
        let (start, sums) = (self.start, self.offload.sums);
        let Some(head) = self.buf.get_mut(..start + frame_len) else {
            return false;
        };
        let applied = bound.apply_plain(
            translation,
            head,
            start,
            frame_len,
            innermost,
            sums,
            entropy,
        );
        self.moved(applied)
    }

    /// Puts the headers in front that [`Packet::apply_inside`] left out. False, and nothing done, without the room.
    pub(crate) fn push(&mut self, bound: &Bound, entropy: u16) -> bool {
        let (start, len) = (self.start, self.len());
        let head = self.buf.get_mut(..start + len).unwrap_or_default();
        let applied = bound.push(head, start, len, entropy);
        self.local = Local::No;
        self.moved(applied)
    }

    #[inline(always)]
    fn moved(&mut self, applied: Option<Applied>) -> bool {
        if let Some(applied) = applied {
            self.start = applied.start;
            self.end = applied.start + applied.frame_len;
        }
        applied.is_some()
    }

    /// Puts `header` before the frame; false, and nothing done, without the room for it.
    #[must_use]
    pub fn prepend(&mut self, header: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(header.len()) else {
            return false;
        };
        let Some(room) = self.buf.get_mut(start..self.start) else {
            return false;
        };
        room.copy_from_slice(header);
        self.start = start;
        true
    }

    /// Takes `count` bytes off the front; false, and nothing done, if there are fewer.
    #[must_use]
    pub fn trim_front(&mut self, count: usize) -> bool {
        if count > self.len() {
            return false;
        }
        self.start += count;
        true
    }

    /// Cuts the frame to `len` bytes; false, and nothing done, if there are fewer.
    #[must_use]
    pub fn truncate(&mut self, len: usize) -> bool {
        if len > self.len() {
            return false;
        }
        self.end = self.start + len;
        true
    }
}

/// What a packet that is none would be: kept apart, so that no packet pays for the choice.
#[cold]
#[inline(never)]
fn nothing<'a>() -> &'a [u8] {
    &[]
}
