//! What became of a packet.

use alloc::vec::Vec;
use core::fmt;

use crate::{Direction, DropReason};

/// What became of a packet that a port has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The packet was transformed where it lies and goes on: to the guest inbound, to the network outbound.
    Forward {
        /// The hash of its flow in this direction, for the choice among equal paths. Not secret enough to be a key.
        hash: u32,
    },
    /// As [`Verdict::Forward`], and fragments that were held go on now too: [`Port::take_released`] gives them.
    ///
    /// [`Port::take_released`]: super::Port::take_released
    ForwardWithHeld {
        /// As above.
        hash: u32,
    },
    /// The packet is a fragment that came before the first one of its packet. The port has kept a copy; the packet is done.
    Held,
    /// So many bytes of the reply buffer are a frame that goes back where the packet came from. The packet is done.
    Hairpin(u32),
    /// The packet is dropped.
    Drop(DropReason),
}

/// A fragment that a port had held, transformed now that the first one of its packet has passed.
pub struct Released {
    /// Which way it goes.
    pub dir: Direction,
    /// As in [`Verdict::Forward`].
    pub hash: u32,
    pub(super) buffer: Vec<u8>,
    pub(super) start: usize,
}

impl Released {
    /// The frame.
    pub fn frame(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Released")
            .field("dir", &self.dir)
            .field("len", &self.frame().len())
            .finish_non_exhaustive()
    }
}
