//! Flows: what identifies one, and the table that holds them.

pub mod hash;
pub mod key;
mod timeouts;

pub use hash::HashSeed;
pub use key::{Fields, Key};
pub use timeouts::Timeouts;
