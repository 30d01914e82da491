//! Frames: what a stack of headers came to, in a few bytes, and the key of the flow it belongs to.

mod editor;
mod embedded;
mod icmp_error;
mod key;
mod kind;
mod offsets;
mod parsed;
mod parsers;
mod plain;
mod segments;
mod stack;
mod stacked;
mod walk;

pub use editor::{EditError, Editor};
pub use embedded::{Embedded, parse_embedded_ipv4, parse_embedded_ipv6};
pub use icmp_error::{IcmpError, TranslateError};
pub use key::{FlowKey, KeyKind, KeyVni};
pub use kind::HeaderKind;
pub use offsets::{Innermost, MAX_HEADERS, Offsets, Shape};
pub use parsed::{Fragment, Parsed, TunnelOptions};
pub use parsers::{
    Then, parse_any_geneve, parse_any_guest, parse_geneve, parse_geneve_head, parse_geneve_then,
    parse_guest, parse_guest_head, parse_guest_then,
};
pub use segments::{HeadError, SegmentError, Segmented, Segments, parse_segments, pull_up};
pub use stack::{Control, Holds, ParsedStack};
pub use walk::{Entered, Stacked, Step, Walk};
