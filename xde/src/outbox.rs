//! Frames that leave the core, and how they are to be cut for a wire.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use opte::packet::Gso;

use crate::frame::{Frame, FramePool};
use crate::platform::LanId;
use crate::segment::{Layout, MAX_HEADERS, Segments};
use crate::switch::SwitchPort;

/// What the core makes of a burst, for the platform to send. Kept from burst to burst, so that nothing is allocated.
#[derive(Debug)]
pub struct Outbox<L> {
    /// Frames to guests, in order. [`Self::deliveries`] tells all who get them.
    pub to_guests: Vec<GuestFrame<L>>,
    /// Who else gets them.
    pub(crate) others: Vec<Arc<SwitchPort<L>>>,
    /// Frames to the underlay, in order.
    pub to_underlay: Vec<UnderlayFrame>,
    /// Frames to LANs, in order.
    pub to_lans: Vec<LanFrame>,
    /// Where frames come from and go back to.
    pub pool: FramePool,
    /// A port writes its replies here.
    pub(crate) reply: Frame,
}

/// A frame to a guest, with what the guest's link is to do for it.
#[derive(Debug)]
pub struct GuestFrame<L> {
    /// The guest's port.
    pub port: Arc<SwitchPort<L>>,
    /// The frame.
    pub frame: Frame,
    /// Where those stand whose guests get the very same.
    pub(crate) others: Range<usize>,
}

/// A frame to the underlay.
#[derive(Debug)]
pub struct UnderlayFrame {
    /// Which of the underlay's links it leaves by.
    pub link: usize,
    /// The frame; its checksums are complete, unless it is to be cut.
    pub frame: Frame,
    /// How it is to be cut.
    pub(crate) cut: Option<Cut>,
}

/// A frame to a LAN.
#[derive(Debug)]
pub struct LanFrame {
    /// Which LAN.
    pub lan: LanId,
    /// The frame; its checksums are complete, unless it is to be cut.
    pub frame: Frame,
    /// How it is to be cut.
    pub(crate) cut: Option<Cut>,
}

/// How a super-packet is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) layout: Layout,
    pub(crate) gso: Gso,
    /// Bytes of payload in a segment.
    pub(crate) size: usize,
}

impl<L> Outbox<L> {
    /// An empty one, whose pool keeps at most `kept` free frames.
    pub fn new(kept: usize) -> Self {
        let mut pool = FramePool::new(kept);
        Self {
            to_guests: Vec::new(),
            others: Vec::new(),
            to_underlay: Vec::new(),
            to_lans: Vec::new(),
            reply: pool.take(),
            pool,
        }
    }

    /// Every frame to guests, in order, with each port whose guest gets it.
    pub fn deliveries(&self) -> impl Iterator<Item = (&Arc<SwitchPort<L>>, &Frame)> {
        self.to_guests.iter().flat_map(|sent| {
            let ports = core::iter::once(&sent.port).chain(self.others(sent));
            ports.map(|port| (port, &sent.frame))
        })
    }

    /// The further ports whose guests get a frame.
    pub fn others(&self, sent: &GuestFrame<L>) -> &[Arc<SwitchPort<L>>] {
        self.others.get(sent.others.clone()).unwrap_or_default()
    }

    /// Takes back the buffers of the frames to guests, which have been sent.
    pub fn sent_to_guests(&mut self) {
        let frames = self.to_guests.drain(..);
        frames.for_each(|sent| self.pool.put(sent.frame));
        self.others.clear();
    }

    /// Nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.to_guests.is_empty() && self.to_underlay.is_empty() && self.to_lans.is_empty()
    }
}

/// A frame that leaves by a wire.
pub trait WireFrame {
    /// The segments of a super-packet; `None` for a single frame.
    fn segments(&self) -> Option<Segments<'_>>;

    /// The frame as a whole.
    fn frame(&self) -> &Frame;

    /// Hands over each frame for the wire, its first bytes and the rest. `headers` is scratch space.
    fn for_each_wire_frame(
        &self,
        headers: &mut [u8; MAX_HEADERS],
        mut send: impl FnMut(&[u8], &[u8]),
    ) {
        let bytes = self.frame().bytes();
        let Some(mut segments) = self.segments() else {
            send(bytes, &[]);
            return;
        };
        while let Some(segment) = segments.next_into(headers) {
            if let (Some(head), Some(payload)) =
                (headers.get(..segment.headers), bytes.get(segment.payload))
            {
                send(head, payload);
            }
        }
    }
}

impl WireFrame for UnderlayFrame {
    fn segments(&self) -> Option<Segments<'_>> {
        segments(&self.frame, self.cut?)
    }

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl WireFrame for LanFrame {
    fn segments(&self) -> Option<Segments<'_>> {
        segments(&self.frame, self.cut?)
    }

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

fn segments(frame: &Frame, cut: Cut) -> Option<Segments<'_>> {
    Segments::new(frame.bytes(), cut.layout, cut.gso, cut.size)
}
