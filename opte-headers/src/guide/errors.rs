//! Errors explained.
//!
//! # What the compiler says
//!
//! Of a derived header:
//!
//! | error | what to do |
//! |---|---|
//! | "the fields of `Sample` have 23 bits, which are 2 bytes and 7 bits; 1 more fill the last byte" | add the missing bits, often a `reserved` field |
//! | "unknown attribute `defualt` of a field; did you mean `default`?" | see the tables of [`first_header`](super::first_header) |
//! | "12 bits at bit 4 are not whole bytes that could be in little-endian order" | take whole bytes, or mark the whole header `le` |
//! | "`address` is made of whole bytes, but starts at bit 4 of one" | move it to a byte, or take an integer of as many bits |
//! | "`u8` has 8 bits, not 4; use a type of 4 bits" | take `u4`, or leave `bits` away |
//! | "no field `lenght` stands before this one" | lengths are computed from fields that are read already |
//! | "the length of `body` is not told" | `len = EXPRESSION`, or `rest` |
//! | "a second part of variable length, behind `body`" | a header has one; make two headers of it |
//! | "`Two` and `One` cannot both follow under the same value" | one of the values is wrong; or both may, and a guard decides: [`stacks`](super::stacks) |
//! | "`Parent` has no field marked `next` that could hold this value" | mark the field, or say `carries(Child)` |
//! | "would both have an accessor `set_port`; rename one" | rename a field |
//! | "a header has no generic parameters" | its layout is fixed: make a header of each |
//! | "`Reading` cannot be the type of a header's field" | give it a conversion: [`field_value!`](crate::field_value) |
//! | "`Words` cannot hold the variable part of a header" | take `TailBytes`, `Items` or `Options`, or implement [`Tail`](crate::Tail) for it |
//!
//! Of a stack:
//!
//! | error | what to do |
//! |---|---|
//! | "cannot follow `opte_headers::Ethernet`" | name the headers between them, or say `follows` on the child |
//! | "this stands behind a choice that may be absent" | put what may be absent last, or in `[..]` |
//! | "`Ipv4` is twice in this choice; the second is never reached" | leave one away, or give it a guard |
//! | "is in this stack already; name this one: `inner_ethernet: Ethernet`" | give it a name |
//! | "the stack of `Sample` has no `opte_headers::Arp`" | narrow to a header of one of its choices, or add it |
//! | "no method named `ttl` found for enum `Option<T>`" | the header may not be there: `if let Some(ipv4) = headers.ipv4` |
//! | "`First` and `Second` have the same `KIND`; set another on one" | a chance of 1 in 192: give one another name |
//!
//! Of a transformation:
//!
//! | error | what to do |
//! |---|---|
//! | "`Udp` is not in the stack" | the header was never there, or is popped already |
//! | "it is not the outermost header of" | pop what stands in front of it first |
//! | "cannot be pushed in front of `Geneve`: it does not carry it" | push what carries it, or say `carries` on the parent |
//! | "is not a field to be set" | lengths, checksums and selectors are written for you; constants, reserved and read-only fields never change |
//! | "cannot follow one that gives" | the two stacks differ: look at what the first one leaves |
//! | "bytes that `pop` took off are not known" | reverse what pushed them instead |
//! | "`ipv4::Source` is set twice in one step" | leave one of them out, or make two steps |
//! | "the headers pushed have 18 bytes at least, but the head-room declared is 16 bytes" | declare more, or push fewer headers |
//! | "`Ttl` is not part of the flow key" | what is kept with a flow cannot depend on it: decide by the key, or for each packet |
//!
//! # What parsing says
//!
//! A [`ParseError`](crate::ParseError) names the header, the field and the cause; nothing else comes of any bytes, neither panic nor read past
//! the end.
//!
//! ```
//! use opte_headers::{Cause, Header, Ipv4, frame::parse_guest};
//!
//! let error = Ipv4::parse(&[0x65; 20]).unwrap_err();
//! assert_eq!((error.header, error.field, error.cause), ("Ipv4", "version", Cause::Illegal { value: 6 }));
//! assert_eq!(error.to_string(), "Ipv4.version: illegal value 0x6");
//!
//! let error = parse_guest(&[0; 13]).unwrap_err();
//! assert_eq!(error.to_string(), "Ethernet: truncated: needs 14 bytes, there are 13");
//! ```
//!
//! | cause | meaning |
//! |---|---|
//! | `Truncated` | the bytes end before the header does |
//! | `Illegal` | a constant has another value, or a field one that must not be |
//! | `Unsupported` | what follows is none of the headers the stack has there |
//! | `BadLength` | a length contradicts the header, or the bytes there are |
//! | `BadChecksum` | of those who check sums: [`IcmpError::verify`](crate::frame::IcmpError::verify) |
//! | `CriticalOption` | a tunnel option must be understood and is not (RFC 8926, section 3.5) |
