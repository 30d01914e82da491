//! Tracking of TCP connections from the middle (RFC 9293, RFC 5961).
//!
//! The tracker sees the segments of both ends and keeps the state of the guest's end, as the guest would name it. It holds
//! no data back: where an end is to judge a segment (a SYN within a connection, a reset within the window but off its
//! edge), the segment passes and changes nothing, and the end answers with a challenge ACK.

mod connection;
mod segment;
mod state;

pub use connection::{Connection, Outcome};
pub(crate) use segment::InFragments;
pub use segment::Segment;
pub use state::TcpState;
