//! The guide: each page is read in five minutes, and its code is run as a test.
//!
//! | page | what it tells |
//! |---|---|
//! | [`first_header`] | derive the header of your own protocol: fields, lengths, options, headers in headers |
//! | [`stacks`] | a parser for a stack of headers, yours among them; views, segments, edits, ICMP errors |
//! | [`transformations`] | set, push and pop with types; what that compiles to; fuse, reverse, apply |
//! | [`errors`] | what the compiler says, and what to do; what parsing says |
//! | [`peers`] | other crates for packets: what each can and cannot |

pub mod errors;
pub mod first_header;
pub mod peers;
pub mod stacks;
pub mod transformations;
