//! The state of a port as it is saved: versioned pages, each complete by itself.
//!
//! | page | what is in it |
//! |---|---|
//! | the first | what the port is: network, layers, the number of flows, the layout of a flow |
//! | those between | flows, one behind the other; then NAT ports that rest; then what rules have counted |
//! | the last | how many flows there were |
//!
//! A page begins with [`PAGE_HEADER`] bytes: the eight letters `OPTESAVE`, the version of the format, the page's number and kind, the
//! length of what follows and a sum over it; numbers are in little-endian order. So pages can be kept in a file one behind the other
//! and told apart there ([`page_len`]).
//!
//! What is saved: every flow that packets may still use, with its key, counters, the time it has left, its TCP
//! connection and what the layers hold for it (NAT ports); the NAT ports that rest after use, and for how long; what each rule has
//! counted, which goes to a rule that reads the same. What is not: programs, which are made again by walking the layers, rules,
//! which are configuration, and fragments that wait for others, which is over within seconds.

mod aside;
mod record;
mod restore;
mod save;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use restore::Restored;
pub(super) use restore::Restoring;
pub use save::SavedPage;

use super::PortState;

/// Bytes that a page begins with.
pub const PAGE_HEADER: usize = size_of::<PageHeader>();

/// The length of the page that `bytes` begin with, its header included.
///
/// # Errors
/// [`RestoreError::NotSaved`] and [`RestoreError::Truncated`] if no page begins there.
pub fn page_len(bytes: &[u8]) -> Result<usize, RestoreError> {
    let (header, _) = PageHeader::read(bytes)?;
    Ok(PAGE_HEADER + header.len.get() as usize)
}

/// Checks that a page is the one with this number, whole and as it was sealed, whatever is in it; says whether it is the last.
///
/// # Errors
/// What is wrong with it.
pub fn check_page(expected: u32, page: &[u8]) -> Result<bool, RestoreError> {
    match open(page)? {
        (number, kind, _) if number == expected => Ok(kind == Kind::End),
        (found, ..) => Err(RestoreError::Page { expected, found }),
    }
}

/// Why a port could not be restored. It is as it was before then: ready, and without flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The port is in a state, or has flows, that would be lost.
    BadState(PortState),
    /// The bytes are no page of saved state.
    NotSaved,
    /// The page ends before its end.
    Truncated {
        /// Bytes there should be.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
    /// The page is of another version of the format.
    Version {
        /// The page's.
        found: u32,
        /// The one that can be read.
        supported: u32,
    },
    /// A page is missing, or comes twice.
    Page {
        /// The number of the page that is due.
        expected: u32,
        /// The number of the page that came.
        found: u32,
    },
    /// What is in the page is not what was saved.
    Corrupt {
        /// The number of the page.
        page: u32,
    },
    /// The state is one of a port of another network.
    Network {
        /// The port's.
        expected: String,
        /// The state's.
        found: String,
    },
    /// The state is one of a port with other layers, or with the same in another order.
    Layers {
        /// The port's.
        expected: Vec<String>,
        /// The state's.
        found: Vec<String>,
    },
    /// Flows are laid out differently, or the bytes of a number are.
    Layout {
        /// As they can be read.
        expected: String,
        /// As they are.
        found: String,
    },
    /// The port may not hold as many flows.
    TooManyFlows {
        /// Flows it may hold.
        limit: u32,
        /// Flows that were saved.
        found: u32,
    },
    /// There is no memory for all flows.
    NoMemory,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadState(PortState::Ready) => f.write_str("the port has flows already"),
            Self::BadState(state) => write!(f, "the port is {state}"),
            Self::NotSaved => f.write_str("this is no saved state of a port"),
            Self::Truncated { needed, available } => {
                write!(f, "a page of {needed} bytes ends after {available}")
            }
            Self::Version { found, supported } => write!(
                f,
                "the state is of version {found}, version {supported} can be read"
            ),
            Self::Page { expected, found } => {
                write!(f, "page {expected} is due, and page {found} came")
            }
            Self::Corrupt { page } => write!(f, "page {page} is not as it was saved"),
            Self::Network { expected, found } => write!(
                f,
                "the state is of a port of network {found}, this one is of {expected}"
            ),
            Self::Layers { expected, found } => write!(
                f,
                "the state is of a port with layers {}, this one has {}",
                found.join(", "),
                expected.join(", ")
            ),
            Self::Layout { expected, found } => {
                write!(f, "flows are laid out as {found}, not as {expected}")
            }
            Self::TooManyFlows { limit, found } => {
                write!(f, "{found} flows were saved, the port may hold {limit}")
            }
            Self::NoMemory => f.write_str("there is no memory for all flows"),
        }
    }
}

impl core::error::Error for RestoreError {}

/// The version of the format. It changes with the pages, their order and what is in them; the layout of a flow is told by itself.
const VERSION: u32 = 3;

const MAGIC: [u8; 8] = *b"OPTESAVE";

/// What every page begins with.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PageHeader {
    magic: [u8; 8],
    version: U32,
    number: U32,
    kind: U32,
    /// Bytes behind the header.
    len: U32,
    sum: U64,
}

/// What is in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Flows,
    End,
    /// NAT ports that rest.
    Resting,
    /// What rules have counted.
    Hits,
}

/// The first page.
#[derive(Serialize, Deserialize)]
struct Head {
    network: String,
    layers: Vec<String>,
    flows: u32,
    layout: String,
}

/// The last page.
#[derive(Serialize, Deserialize)]
struct Tail {
    flows: u32,
}

impl PageHeader {
    /// The header and what is behind it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), RestoreError> {
        let truncated = |needed| RestoreError::Truncated {
            needed,
            available: bytes.len(),
        };
        let magic = bytes.first_chunk().ok_or(truncated(PAGE_HEADER))?;
        if *magic != MAGIC {
            return Err(RestoreError::NotSaved);
        }
        let (header, rest) = Self::read_from_prefix(bytes).map_err(|_| truncated(PAGE_HEADER))?;
        match header.version.get() {
            VERSION => Ok((header, rest)),
            found => Err(RestoreError::Version {
                found,
                supported: VERSION,
            }),
        }
    }
}

/// A page of these bytes, whose header is left out so far.
fn seal(page: &mut [u8], number: u32, kind: Kind) {
    let Some((place, body)) = page.split_at_mut_checked(PAGE_HEADER) else {
        return;
    };
    let mut header = PageHeader {
        magic: MAGIC,
        version: VERSION.into(),
        number: number.into(),
        kind: (kind as u32).into(),
        // A page is bounded when it is made.
        len: (body.len() as u32).into(),
        sum: 0.into(),
    };
    header.sum = sum(&header, body).into();
    place.copy_from_slice(header.as_bytes());
}

/// The number, kind and body of a page that is whole and as it was sealed.
fn open(page: &[u8]) -> Result<(u32, Kind, &[u8]), RestoreError> {
    let (header, body) = PageHeader::read(page)?;
    let needed = header.len.get() as usize;
    if body.len() < needed {
        return Err(RestoreError::Truncated {
            needed: PAGE_HEADER.saturating_add(needed),
            available: page.len(),
        });
    }
    let number = header.number.get();
    let unsummed = PageHeader {
        sum: 0.into(),
        ..header
    };
    let kind = match header.kind.get() {
        0 => Kind::Head,
        1 => Kind::Flows,
        2 => Kind::End,
        3 => Kind::Resting,
        4 => Kind::Hits,
        _ => return Err(RestoreError::Corrupt { page: number }),
    };
    if body.len() != needed || sum(&unsummed, body) != header.sum.get() {
        return Err(RestoreError::Corrupt { page: number });
    }
    Ok((number, kind, body))
}

/// A sum that changes with every bit and place: each step multiplies by an odd number, which loses nothing.
fn sum(header: &PageHeader, body: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let all = |sum: u64, bytes: &[u8]| {
        let (words, rest) = bytes.as_chunks::<8>();
        let sum = words
            .iter()
            .fold(sum, |sum, word| step(sum, u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        step(sum, u64::from_le_bytes(last))
    };
    all(all(FACTOR, header.as_bytes()), body)
}
