//! Frames: what a stack of headers came to, in a few bytes, and the key of the flow it belongs to.

mod editor;
mod embedded;
mod icmp_error;
mod key;
mod offsets;
mod parsed;
mod parsers;
mod stacked;
mod walk;

pub use editor::{EditError, Editor};
pub use embedded::{Embedded, parse_embedded_ipv4, parse_embedded_ipv6};
pub use icmp_error::{IcmpError, TranslateError};
pub use key::{FlowKey, KeyKind};
pub use offsets::{HeaderKind, MAX_HEADERS, Offsets, Shape};
pub use parsed::{Fragment, Parsed, TunnelOptions};
pub use parsers::{parse_geneve, parse_guest};
pub use walk::{Entered, Stacked, Step, Walk};
