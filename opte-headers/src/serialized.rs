//! Headers in the formats of serde: what `#[header(serde)]` makes of a header, with feature `serde`.
//!
//! A header is a map or a sequence of its fields. Constants, and lengths that [`Header::emit`] writes, are left out: they follow
//! from the rest. Integers, and what is made of them by a [`FieldValue`] conversion (newtypes, enums, flags), are numbers as
//! they stand in the header; addresses are text to humans; other arrays of bytes and the variable part are hexadecimal
//! digits to humans, bytes elsewhere. A header in a header that says `serde` too is a map again.
//!
//! What is read is a header that can be sent: a number that is too great for its bits is refused, a variable part that is
//! longer than its room, and one that contradicts the fields that tell its length.
//!
//! ```
//! use arbitrary_int::prelude::*;
//! use opte_headers::{Header, MacAddr};
//!
//! #[derive(Clone, Debug, PartialEq, Header)]
//! #[header(serde)]
//! pub struct Beacon {
//!     #[header(const = 2)]
//!     pub version: u4,
//!     pub channel: u12,
//!     pub station: MacAddr,
//! }
//!
//! let beacon = Beacon { channel: u12::new(9), station: MacAddr([2, 0, 0, 0, 0, 1]), ..Beacon::default() };
//! let text = serde_json::to_string(&beacon).unwrap();
//! assert_eq!(text, r#"{"channel":9,"station":"02:00:00:00:00:01"}"#);
//! assert_eq!(serde_json::from_str::<Beacon>(&text).unwrap(), beacon);
//! assert!(serde_json::from_str::<Beacon>(&text.replace('9', "4096")).is_err());
//! ```

extern crate alloc;

mod addresses;
mod bytes;
mod fields;
mod number;

pub use serde;

#[doc(hidden)]
pub use fields::{Fields, Held, Source, Value, deserialize, serialize};
pub use number::Plain;

#[cfg(doc)]
use crate::{FieldValue, Header};
