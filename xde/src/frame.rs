//! Frames on their way through the driver, and the store their buffers come from.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use opte::Packet;
use opte::packet::Offload;

/// Bytes free before a frame that comes in: room for the outer headers of a tunnel, options included.
pub const HEAD_ROOM: usize = 256;

const _: () = assert!(HEAD_ROOM >= oxide_vpc::HEAD_ROOM);

/// Bytes of the largest frame: a super-packet of 64 KiB behind Ethernet, VLAN and tunnel headers.
pub const MAX_FRAME: usize = 65_535 + 257;

const BUFFER: usize = HEAD_ROOM + MAX_FRAME;

/// A frame in a buffer of its own, with head-room.
#[derive(Debug)]
pub struct Frame {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// What the frame's link is to do, or has done, in its stead.
    pub offload: Offload,
}

impl Frame {
    fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: HEAD_ROOM,
            end: HEAD_ROOM,
            offload: Offload::default(),
        }
    }

    /// Its bytes, from the outermost header on.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Its bytes, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer
            .get_mut(self.start..self.end)
            .unwrap_or_default()
    }

    /// Where a link puts a frame it receives: everything behind the head-room. [`Self::received`] says how much of
    /// it then is one.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.get_mut(HEAD_ROOM..).unwrap_or_default()
    }

    /// The first `length` bytes of [`Self::space`] are a frame with this offload request.
    #[inline]
    pub fn received(&mut self, length: usize, offload: Offload) {
        self.start = HEAD_ROOM;
        self.end = HEAD_ROOM + length.min(MAX_FRAME);
        self.offload = offload;
    }

    /// Puts a VLAN tag back in a frame just received, behind the addresses.
    #[cfg(feature = "std")]
    pub(crate) fn insert_tag(&mut self, tag: [u8; 4]) {
        const ADDRESSES: usize = 12;
        let start = self.start - tag.len();
        let Some(room) = self.buffer.get_mut(start..self.end) else {
            return;
        };
        if let Some((head, _)) = room.split_at_mut_checked(tag.len() + ADDRESSES) {
            head.copy_within(tag.len().., 0);
            if let Some(place) = head.get_mut(ADDRESSES..) {
                place.copy_from_slice(&tag);
            }
            self.start = start;
        }
    }

    /// Makes it a copy of `other`.
    pub fn copy_from(&mut self, other: &Frame) {
        self.fill(other.bytes());
        self.offload = other.offload;
    }

    /// Makes it a frame of these bytes, as on the wire.
    pub fn fill(&mut self, bytes: &[u8]) {
        if let Some(space) = self.space().get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            self.received(bytes.len(), Offload::default());
        }
    }

    /// Lets the engine at the frame, and takes over where the frame lies afterwards.
    #[inline]
    pub fn with_packet<R>(&mut self, work: impl FnOnce(&mut Packet<'_>) -> R) -> Option<R> {
        let mut packet =
            Packet::new(&mut self.buffer, self.start, self.end)?.with_offload(self.offload);
        let result = work(&mut packet);
        let (range, offload) = (packet.range(), packet.offload);
        self.start = range.start;
        self.end = range.end;
        self.offload = offload;
        Some(result)
    }
}

/// What of a frame a port may change: where it lies, what is asked of its link, and its headers, if they are no longer than
/// [`Headers::MAX`].
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    start: usize,
    end: usize,
    offload: Offload,
    bytes: [u8; Self::MAX],
}

impl Headers {
    /// Bytes of headers at most.
    pub(crate) const MAX: usize = 192;
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.end, self.offload) == (other.start, other.end, other.offload)
            && self.bytes == other.bytes
    }
}

impl Frame {
    /// Its headers.
    pub(crate) fn headers(&self) -> Headers {
        let mut bytes = [0; Headers::MAX];
        let frame = self.bytes();
        match frame.first_chunk() {
            Some(head) => bytes = *head,
            None => {
                if let Some(place) = bytes.get_mut(..frame.len()) {
                    place.copy_from_slice(frame);
                }
            }
        }
        Headers {
            start: self.start,
            end: self.end,
            offload: self.offload,
            bytes,
        }
    }

    /// Makes it what it was, or is to be, by its headers. Whoever has changed it since has left what is behind them.
    pub(crate) fn set_headers(&mut self, headers: &Headers) {
        (self.start, self.end) = (headers.start, headers.end);
        self.offload = headers.offload;
        let frame = self.bytes_mut();
        match frame.first_chunk_mut() {
            Some(head) => *head = headers.bytes,
            None => {
                if let Some(bytes) = headers.bytes.get(..frame.len()) {
                    frame.copy_from_slice(bytes);
                }
            }
        }
    }
}

/// Buffers that are free. A buffer is made when none is free and kept when it comes back, so that a driver at work
/// allocates nothing.
#[derive(Debug)]
pub struct FramePool {
    free: Vec<Frame>,
    kept: usize,
}

impl FramePool {
    /// A store that keeps at most `kept` free buffers.
    pub fn new(kept: usize) -> Self {
        Self {
            free: Vec::with_capacity(kept),
            kept,
        }
    }

    /// An empty frame.
    #[inline]
    pub fn take(&mut self) -> Frame {
        let mut frame = self.free.pop().unwrap_or_else(Frame::new);
        frame.received(0, Offload::default());
        frame
    }

    /// Gives a buffer back.
    #[inline]
    pub fn put(&mut self, frame: Frame) {
        if self.free.len() < self.kept {
            self.free.push(frame);
        }
    }
}
