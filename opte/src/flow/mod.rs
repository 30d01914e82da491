//! Flows: what identifies one, and the table that holds them.

mod cell;
mod chunks;
pub mod hash;
mod index;
pub mod key;
mod list;
mod programs;
mod record;
mod restore;
mod room;
mod store;
mod table;
mod timeouts;
mod view;
mod wheel;

pub use hash::HashSeed;
pub use key::{Fields, Key};
pub(crate) use record::{Decision, Decisions, Proto};
pub(crate) use restore::Past;
pub(crate) use store::{FlowStore, Found, Passer, Passing};
pub use table::{Expired, TableCounters};
pub(crate) use table::{FlowTable, NewFlow, NewSide, Passage};
pub use timeouts::Timeouts;
pub(crate) use view::FlowSide;
