//! Frames: what a stack of headers came to, in a few bytes, and the key of the flow it belongs to.

mod key;
mod offsets;
mod parsed;

pub use key::{FlowKey, KeyKind};
pub use offsets::{HeaderKind, MAX_HEADERS, Offsets, Shape};
pub use parsed::{Fragment, Parsed, TunnelOptions};
