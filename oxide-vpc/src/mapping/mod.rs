//! Where addresses are: the tables that every port of one host shares.
//!
//! - [`Virt2Phys`]: which host a guest of a VPC lives on, one table for each VPC. A port asks the table of its own VPC and of the
//!   VPCs named as its peers, never any other: two VPCs may use the same addresses.
//! - [`Virt2Boundary`]: which tunnel endpoints lead to a prefix outside.
//! - [`Mcast2Phys`]: which underlay group stands for a group of the guests.
//!
//! Each table has an [`Epoch`](opte::epoch::Epoch); a change bumps it, and the flows of the ports that depend on the table are looked at again
//! before their next packet.

mod m2p;
mod v2b;
mod v2p;

pub use m2p::{Groups, Mcast2Phys, group_of};
pub use v2b::Virt2Boundary;
pub use v2p::{Virt2Phys, VpcGuests};
