//! Headers for property tests: what `#[header(arbitrary)]` makes of a header, with feature `proptest`.
//!
//! Fields have any bits, the variable part any bytes that its length can tell, lengths and constants are right: what is
//! emitted is parsed again as the same header.
//!
//! ```
//! use opte_headers::{Header, Udp};
//! use opte_headers::arbitrary::proptest::prelude::*;
//!
//! proptest!(|(udp: Udp)| {
//!     let mut out = [0; 8];
//!     prop_assert_eq!(udp.emit(&mut out), Ok(8));
//!     prop_assert_eq!(Udp::parse(&out).unwrap().0.to_owned(), udp);
//! });
//! ```

extern crate std;

use crate::header::Header;
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec;

pub use proptest;

/// Headers of any bits: `make` one of its fixed part and its tail; `parse` what was emitted, so that its lengths are those of
/// its parts.
pub fn header<H: Header + core::fmt::Debug>(
    make: impl Fn(&[u8], &[u8]) -> H + 'static,
    parse: impl Fn(&[u8]) -> Option<H> + 'static,
) -> BoxedStrategy<H> {
    // Small numbers too: of fields that tell a length, few others are possible.
    let fixed = prop_oneof![
        3 => vec(any::<u8>(), H::MIN_LEN),
        1 => vec(0..3u8, H::MIN_LEN),
    ];
    (fixed, vec(any::<u8>(), 0..64))
        .prop_filter_map(
            "its fields and its length contradict",
            move |(fixed, tail)| {
                let header = make(&fixed, &tail);
                let mut out = vec![0; header.len()];
                header.emit(&mut out).ok()?;
                parse(&out).or_else(|| {
                    out.extend(fixed.iter().chain(&tail).cycle().take(MORE));
                    parse(&out)
                })
            },
        )
        .boxed()
}

/// Bytes added where fields tell a longer tail than was made.
const MORE: usize = 1024;

/// As many of these bytes as the variable part can hold.
pub fn tail<T>(bytes: &[u8], capacity: usize, make: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    make(bytes.get(..bytes.len().min(capacity))?)
}
