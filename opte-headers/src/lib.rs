//! Headers as types: zero-copy views, stacks of headers, and typed transformations of them.
//!
//! | to | begin with |
//! |---|---|
//! | describe a protocol's header | [`guide::first_header`], [`Header`](macro@Header) |
//! | parse frames | [`frame::parse_guest`], or a [`stack_parser!`] of your own: [`guide::stacks`] |
//! | edit frames, their checksums with them | [`frame::Editor`] |
//! | say once what happens to a stack, and apply it to every frame | [`guide::transformations`], [`Transform`], [`Program`] |
//! | know what went wrong | [`guide::errors`], [`ParseError`] |
//! | choose among crates | [`guide::peers`] |
//!
//! No allocation, no standard library, no `unsafe` (`#![forbid(unsafe_code)]`). Features: `serde`, formats of addresses, headers and
//! programs; `proptest`, headers for property tests.
//!
//! # Bad input
//!
//! Any bytes come to a value or to a typed error that names header, field and cause; never to a panic, never to a read past the
//! end. Held by properties over damaged frames, by a fuzz target for each parser (`fuzz/README.md` has the commands), and by
//! the tests under Miri: `.ci/miri`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

// The derive names this crate `::opte_headers`; so it can, inside it too.
#[allow(unused_extern_crates)]
extern crate self as opte_headers;

#[cfg(feature = "proptest")]
pub mod arbitrary;
pub mod bytes;
pub mod checksum;
#[doc(hidden)]
pub mod derive;
pub mod error;
pub mod ethertype;
pub mod frame;
mod framing;
pub mod guide;
pub mod header;
pub mod ip_protocol;
pub mod mac;
pub mod options;
pub mod program;
mod protocol;
#[cfg(feature = "serde")]
pub mod serialized;
pub mod tail;
pub mod transform;
pub mod vni;
pub mod wire;

pub use error::{Cause, EmitError, ParseError};
pub use ethertype::Ethertype;
pub use frame::{FlowKey, HeaderKind, Offsets, Parsed};
pub use header::{
    ChecksumRole, Counted, Covers, Field, Follows, Header, InFlowKey, KeyPart, LengthRole,
    NoSelector, Settable,
};
pub use ip_protocol::IpProtocol;
pub use mac::MacAddr;
pub use opte_macros::{Header, OptionSet, set, stack_parser};
pub use options::{Options, RawOption};
pub use program::Program;
pub use protocol::*;
pub use tail::{Items, Tail, TailBytes};
pub use transform::{Restore, Set, Stack, Transform};
pub use vni::Vni;
pub use wire::{FieldValue, Wire};
