//! Network address and port translation: what networks that do it have in common.
//!
//! - A port is endpoint-independent (RFC 4787, REQ-1): all flows of one private address and port share one external port.
//! - It is drawn at random among the free ones (RFC 6056), of the parity of the private one while there are any (RFC 4787,
//!   REQ-4).
//! - Beside the far ends of its flows a mapping lets in whoever has an address that the endpoint talks to, or everybody, or nobody,
//!   as configured ([`Filtering`]; RFC 4787, REQ-8; RFC 5382, REQ-3): so two guests behind one address reach each other through it
//!   where packets are turned around outside (hairpinning, RFC 4787, REQ-9). ICMP errors come in with the flow that they are about
//!   (RFC 5508).
//! - A port that no flow uses any more rests for a while before another endpoint gets it, so that late segments of the old
//!   flows do not reach the new ones. Only when no other is left does the one that has rested longest go out early.

mod forms;
mod pool;
mod rewrite;
mod share;

pub use pool::{HOLD_DOWN, NatLease, NatPool, NatPoolUsage};
pub use rewrite::{End, Transport, set_destination, set_source};
pub use share::{Filtering, NatBehaviour, NatMapping, Share};
