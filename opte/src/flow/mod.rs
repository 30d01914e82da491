//! Flows: what identifies one, and the table that holds them.

pub mod hash;
mod index;
mod intern;
pub mod key;
mod list;
mod record;
mod slab;
mod table;
mod timeouts;
mod wheel;

pub use hash::HashSeed;
pub use key::{Fields, Key};
pub(crate) use record::{Decision, Decisions, Proto};
pub use table::{Expired, TableCounters};
pub(crate) use table::{FlowTable, NewFlow, NewSide};
pub use timeouts::Timeouts;
