//! Fragments of packets on their way through a port.
//!
//! A fragment but the first has no transport header, so nothing in it tells its flow. It follows the first fragment of its
//! packet, which it has addresses, protocol and identification in common with (RFC 791; RFC 8200, section 4.5). One that
//! comes before its first fragment is held until that comes (RFC 4787, REQ-14: in either order). All of it is bounded: packets
//! that are remembered, packets that are waited for, bytes that are held, time.
//!
//! Nothing is put together. What the fragments cover is noted, so that fragments that overlap are found; then no further
//! fragment of their packet passes (RFC 5722, and the same for IPv4: RFC 1858, RFC 3128). A first fragment that does not hold
//! all headers is refused by the parsers (RFC 7112, RFC 8200). An atomic fragment is a whole packet (RFC 6946).

mod pieces;
mod table;

use core::time::Duration;

pub(crate) use pieces::Piece;
pub(crate) use table::{FirstFragment, FragmentTable, Held, Leader};

/// How much a port remembers of fragments, in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentLimits {
    /// Packets whose first fragment has passed. Where there are more the oldest is forgotten.
    pub packets: u32,
    /// Packets whose first fragment is waited for. Where there are more the oldest is forgotten.
    pub waiting: u32,
    /// Bytes of held fragments. Where it would be more the new fragment is dropped.
    pub bytes: u32,
    /// Fragments of one packet. Where there are more the rest is dropped.
    pub pieces: u16,
    /// How long a packet is remembered, from its first seen fragment on.
    pub timeout: Duration,
}

impl Default for FragmentLimits {
    /// 1,024 packets, 256 that are waited for with 512 KiB, 128 fragments each (64 KiB over the least MTU of IPv4 hosts), 30 s
    /// (between the 15 s of RFC 791 and the 60 s of RFC 8200).
    fn default() -> Self {
        Self {
            packets: 1024,
            waiting: 256,
            bytes: 512 * 1024,
            pieces: 128,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What happened to the fragments of one direction. Those dropped are among the drops of the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounters {
    /// First fragments that passed.
    pub first: u64,
    /// Later fragments that followed their first one.
    pub followed: u64,
    /// Later fragments that were held because they came before it.
    pub held: u64,
    /// Held fragments that were let go when it came.
    pub released: u64,
    /// Packets forgotten before all of their fragments had come: their time was over, or others needed the place.
    pub incomplete: u64,
    /// Packets that are remembered now.
    pub packets: u32,
    /// Bytes that are held now.
    pub bytes: u32,
}
