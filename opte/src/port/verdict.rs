//! What became of a packet.

use crate::DropReason;

/// What became of a packet that a port has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The packet was transformed where it lies and goes on: to the guest inbound, to the network outbound.
    Forward {
        /// The hash of its flow in this direction, for the choice among equal paths. Not secret enough to be a key.
        hash: u32,
    },
    /// So many bytes of the reply buffer are a frame that goes back where the packet came from. The packet is done.
    Hairpin(usize),
    /// The packet is dropped.
    Drop(DropReason),
}
