//! Derive your first header.
//!
//! A header is a struct with named fields, in the order in which they are sent. Integers are in network order; those of
//! unusual width (`u4`, `u13`, `i24`) come from [`arbitrary_int`], so that a value that does not fit is a type error.
//!
//! ```
//! use arbitrary_int::prelude::*;
//! use opte_headers::{Header, Udp, Vni, field_value};
//!
//! bitflags::bitflags! {
//!     #[derive(Clone, Copy, Debug, PartialEq)]
//!     pub struct VxlanFlags: u8 {
//!         const VNI = 0x08;
//!     }
//! }
//! field_value!(VxlanFlags as u8: VxlanFlags::from_bits_retain, VxlanFlags::bits);
//!
//! /// Virtual eXtensible LAN header (RFC 7348, section 5).
//! #[derive(Header)]
//! #[header(follows(Udp = 4789), carries(opte_headers::Ethernet))]
//! pub struct Vxlan {
//!     #[header(default = VxlanFlags::VNI)]
//!     pub flags: VxlanFlags,
//!     #[header(reserved)]
//!     pub reserved1: u24,
//!     pub vni: Vni,
//!     #[header(reserved)]
//!     pub reserved2: u8,
//! }
//!
//! let sent = Vxlan { vni: Vni::new(99).unwrap(), ..Vxlan::default() };
//! let mut bytes = [0; 8];
//! sent.emit(&mut bytes).unwrap();
//! assert_eq!(bytes, [0x08, 0, 0, 0, 0, 0, 99, 0]);
//!
//! let (mut view, rest) = Vxlan::parse_mut(&mut bytes).unwrap();
//! assert!(rest.is_empty());
//! assert_eq!(view.vni().as_u32(), 99);
//! view.set_vni(Vni::MAX);
//! assert_eq!(bytes[4..7], [0xff; 3]);
//! ```
//!
//! # What the derive makes of `Vxlan`
//!
//! | item | what it is |
//! |---|---|
//! | `impl Header for Vxlan` | `parse`, `parse_mut`, `len`, `emit`, names, lengths and roles as constants |
//! | `VxlanView<B>` | a view over `&[u8]` or `&mut [u8]`: checked when made, no accessor can fail |
//! | `VxlanGet`, `VxlanSet` | getters and setters, implemented by the struct and the view |
//! | `vxlan::Vni`, .. | a [token](crate::Field) for each field: bit offset, width, type |
//! | `Default`, `Display` | defaults as told; the fields as text |
//!
//! # Attributes of a field
//!
//! | attribute | meaning |
//! |---|---|
//! | `default = VALUE` | value of `Default` |
//! | `const = VALUE` | the only value; others are refused by `parse` |
//! | `reserved` | zero by default, kept as received, neither read nor written by name |
//! | `read_only` | has no setter and is set by no transformation: something beside it, as a CRC, would be wrong |
//! | `next`, `next(hint)` | tells what follows; as a `hint` it means something else too, as UDP ports do |
//! | `length(of = packet)`, `length(of = payload)` | 16 bits that count the packet from this header, or from behind its fixed part |
//! | `length(of = header, unit = 4, less = 0)` | counts this header; written by `emit` |
//! | `length(of = tail, unit = 4)` | counts the variable part; written by `emit` |
//! | `checksum(header)`, `checksum(payload)`, `checksum(pseudo)`, `checksum(pseudo, zero_is_none)` | 16 bits, and what they cover |
//! | `bytes(len = EXPRESSION)`, `bytes(rest)` | the variable part, raw, in a [`TailBytes`](crate::TailBytes) |
//! | `options(len = EXPRESSION)`, `options(rest)` | the variable part, typed, in [`Options`](crate::Options) |
//! | `le` | least significant byte first |
//! | `bits = N` | width of a type the derive does not know, for the picture in the documentation; checked |
//! | `key = PART` | part of the [flow key](crate::KeyPart): what is cached with a flow may depend on it |
//! | `hex` | hexadecimal in `Display` |
//!
//! An expression has earlier fields, numbers and constants with `+`, `-` and `*`; if it comes out negative, or longer than the
//! bytes there are, `parse` refuses the header.
//!
//! # Attributes of the struct
//!
//! | attribute | meaning |
//! |---|---|
//! | `follows(Parent = VALUE)` | may stand behind `Parent`, whose `next` then is `VALUE`; `A \| B` for several |
//! | `carries(Child = VALUE)`, `carries(Child)` | the same, said by the parent |
//! | `len = N` | bytes of the fixed part; checked |
//! | `le` | the whole header is little-endian, bits counted from the low end |
//! | `field` | can be a field of other headers; of fixed length, without `const` |
//! | `arbitrary` | proptest makes headers of it; with feature `proptest` of opte-headers, and `Debug` |
//! | `serde` | `Serialize` and `Deserialize`, which refuses what could not be sent; with feature `serde` of opte-headers |
//! | `crate = PATH` | where opte-headers is to be found |
//!
//! # Headers in headers
//!
//! What comes again and again within headers is a header of its own, marked `field`; it stands on whole bytes.
//!
//! ```
//! use arbitrary_int::prelude::*;
//! use opte_headers::{Header, MacAddr};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, Header)]
//! #[header(field)]
//! pub struct Tag {
//!     #[header(default = 0x8100)]
//!     pub protocol: u16,
//!     pub priority: u3,
//!     pub drop_eligible: bool,
//!     pub vid: u12,
//! }
//!
//! #[derive(Clone, Debug, PartialEq, Header)]
//! pub struct DoubleTagged {
//!     pub destination: MacAddr,
//!     pub source: MacAddr,
//!     #[header(default = Tag { protocol: 0x88a8, ..Tag::default() })]
//!     pub service: Tag,
//!     #[header(default = Tag::default())]
//!     pub customer: Tag,
//!     pub ethertype: u16,
//! }
//!
//! let mut bytes = [0; 22];
//! DoubleTagged::default().emit(&mut bytes).unwrap();
//! assert_eq!(bytes[12..20], [0x88, 0xa8, 0, 0, 0x81, 0, 0, 0]);
//! let (mut view, _) = DoubleTagged::parse_mut(&mut bytes).unwrap();
//! let vid = u12::new(0x123);
//! view.set_customer(Tag { vid, ..view.customer() });
//! assert_eq!(bytes[16..20], [0x81, 0, 0x01, 0x23]);
//! ```
//!
//! # Options
//!
//! An enum with `#[derive(OptionSet)]`, and how the options are laid out ([`framing`](crate::options::Framing)). Options are
//! read one at a time where they stand; unknown ones, and those whose body has another length, are kept.
//!
//! ```
//! use opte_headers::options::{KindLength, Options, RawOption};
//! use opte_headers::{Header, OptionSet};
//!
//! #[derive(Debug, PartialEq, OptionSet)]
//! #[options(framing = KindLength)]
//! pub enum Setting<'a> {
//!     #[option(2)]
//!     Size(u16),
//!     #[option(8)]
//!     Range { low: u8, high: u8 },
//!     #[option(unknown)]
//!     Unknown(RawOption<'a, u8>),
//! }
//!
//! #[derive(Header)]
//! pub struct Settings {
//!     #[header(length(of = tail))]
//!     pub length: u8,
//!     #[header(options(len = length))]
//!     pub settings: Options<Setting<'static>, 255>,
//! }
//!
//! let bytes = [10, 2, 4, 5, 0xb4, 9, 2, 8, 4, 1, 7];
//! let (view, _) = Settings::parse(&bytes).unwrap();
//! let all: Vec<_> = view.settings().iter().collect::<Result<_, _>>().unwrap();
//! let unknown = Setting::Unknown(RawOption { kind: 9, body: &[] });
//! assert_eq!(all, [Setting::Size(1460), unknown, Setting::Range { low: 1, high: 7 }]);
//! ```
//!
//! # Where to go on
//!
//! A header that stands between others: [stacks](super::stacks). What does not compile: [errors](super::errors).
