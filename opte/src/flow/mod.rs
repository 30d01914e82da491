//! Flows: what identifies one, and the table that holds them.
//!
//! Packets of known flows read the table without a lock. What that rests on is explored by a model checker (`model.rs`, with its
//! command) and run by `tests/concurrency.rs`; under the thread sanitizer, given a nightly toolchain with its `rust-src`:
//!
//! ```text
//! RUSTFLAGS=-Zsanitizer=thread cargo +nightly test -Zbuild-std --target x86_64-unknown-linux-gnu -p opte --test concurrency
//! ```

mod cell;
mod chunks;
mod flat;
pub mod hash;
mod index;
pub mod key;
mod list;
#[cfg(all(test, loom))]
mod model;
mod programs;
mod quota;
mod record;
mod restore;
mod room;
mod store;
mod table;
mod timeouts;
mod trail;
mod view;
mod wheel;

pub use hash::HashSeed;
pub use key::{Fields, Key};
pub(crate) use record::{Decision, Decisions, Proto};
pub(crate) use restore::Past;
pub use store::Ahead;
pub(crate) use store::{FlowStore, Found, Passer, Passing};
pub use table::{Expired, TableCounters};
pub(crate) use table::{FlowTable, Made, NewFlow, NewSide, Passage};
pub use timeouts::Timeouts;
pub(crate) use trail::Trails;
pub(crate) use view::Tally;
