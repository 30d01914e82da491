//! Transformations of frames in their erased, run-time form.
//!
//! A [`Program`] takes headers off the front of a frame, rewrites fields of the headers that stay, and puts new headers
//! in front. Every executor runs this one form: it has a fixed size, no pointers, and a layout documented byte by byte
//! ([`Prefix`], [`Rewrite`]). Programs compose: [`Program::fuse`] gives the one program that does what two do one after
//! the other.
//!
//! Headers are counted from the outermost one of the frame that the program is applied to; where each begins in a
//! particular frame is told by its [`Offsets`](crate::frame::Offsets).
//!
//! A program that is for one flow is *bound* to it: [`Program::bind`] takes apart what is the flow's own, the addresses and
//! ports of its [`Translation`] with the differences of the checksums, and what it shares with others, the [`Template`], of
//! which [`Bound`] is made. A flow's packets then cost a few stores at known places.

mod apply;
mod bind;
mod bound;
mod display;
mod front;
mod fuse;
mod key;
mod keyed;
#[cfg(test)]
mod layout;
mod local;
mod part;
mod prefix;
mod reverse;
mod rewrite;
mod step;
mod tunnel;

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use apply::{Applied, ApplyError, Sums};
pub use bind::{Template, Translation};
pub use bound::Bound;
pub use display::Named;
pub use keyed::Keyed;
pub use local::TunnelInfo;
pub use prefix::{Entropy, Length, Prefix};
pub use rewrite::{Bits, Rewrite, SumPlace, Window};
pub use step::HeaderSpec;

use crate::error::EmitError;
use crate::frame::MAX_HEADERS;

/// A transformation of frames, at most 256 bytes, valid for every frame of the stack it was made for.
///
/// The two parts may be interned apart: many flows share a [`Prefix`] (the same tunnel to the same peer), and many
/// share a [`Rewrite`].
///
/// | bytes | part |
/// |---|---|
/// | 0..128 | [`Prefix`]: headers off the front, bytes to the front |
/// | 128..256 | [`Rewrite`]: masked writes and checksums of the headers that stay |
///
/// Nothing is aligned but `addend`, which has an even place; numbers of more than one byte are in network order, but for `addend`,
/// which is in the machine's. The parts of the two:
///
/// | part | bytes | its fields, by the byte they start at |
/// |---|---|---|
/// | [`Window`] | 4 | 0 `header`, 1 `offset`, 2 `mask`, 3 `cover` |
/// | [`Bits`] | 5 | 0 `header`, 1 `offset`, 2 `mask`, 3 `value`, 4 `cover` |
/// | [`SumPlace`] | 5 | 0 `header`, 1 `offset`, 2 `flags`, 3 `add` |
/// | [`Length`] | 4 | 0 `at`, 1 `sum`, 2 `addend` |
/// | [`Entropy`] | 2 | 0 `at`, 1 `or` |
///
/// Any 256 bytes are a program that can be applied without harm, if not to any purpose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Program {
    /// What happens at the front of the frame.
    pub prefix: Prefix,
    /// What happens to the headers that stay.
    pub rewrite: Rewrite,
}

const _: () = assert!(
    size_of::<Prefix>() == 128 && size_of::<Rewrite>() == 128 && size_of::<Program>() == 256
);

impl Program {
    /// The program that changes nothing.
    pub const IDENTITY: Self = Self {
        prefix: Prefix::EMPTY,
        rewrite: Rewrite::EMPTY,
    };

    /// The program that applies to no frame: it takes more headers off than a frame can have.
    pub const REFUSING: Self = Self {
        prefix: Prefix {
            pop: u8::MAX,
            ..Prefix::EMPTY
        },
        rewrite: Rewrite::EMPTY,
    };

    /// Puts a program together from its two parts.
    #[must_use]
    pub const fn new(prefix: Prefix, rewrite: Rewrite) -> Self {
        Self { prefix, rewrite }
    }

    /// Whether the program changes nothing.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.prefix.is_empty() && self.prefix.pop == 0 && self.rewrite.is_empty()
    }

    /// Bytes that must be free in front of a frame from which nothing is popped.
    #[must_use]
    pub fn head_room(&self) -> usize {
        self.prefix.as_bytes().len()
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::IDENTITY
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("prefix", &self.prefix)
            .field("rewrite", &self.rewrite)
            .finish()
    }
}

/// Why two programs do not become one, or a step does not become a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// More bytes or headers in front of the frame than a [`Prefix`] holds.
    PrefixFull,
    /// More fields written than a [`Rewrite`] holds.
    RewriteFull,
    /// More checksums changed than a [`Rewrite`] holds.
    ChecksumsFull,
    /// More places that take the flow's entropy than a [`Prefix`] holds.
    EntropyFull,
    /// The stack has no header at this position.
    NoHeader {
        /// Position of the header, counted from the outermost one.
        index: usize,
    },
    /// The field ends behind the 248 bytes of a header that a program reaches.
    OutOfReach {
        /// First byte behind the field, counted from the start of its header.
        end: usize,
    },
    /// A header whose checksum covers its payload cannot be pushed: a program does not read the payload.
    CoversPayload {
        /// Name of the header.
        header: &'static str,
    },
    /// A header to be pushed cannot be written.
    Unwritable(EmitError),
    /// What a set overwrote was not named to its reverse.
    Forgotten {
        /// Position of the header.
        header: usize,
        /// The byte, counted from the start of the header.
        byte: usize,
    },
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrefixFull => write!(
                f,
                "the pushed headers exceed {} bytes or {MAX_HEADERS} headers",
                Prefix::CAPACITY
            ),
            Self::RewriteFull => write!(
                f,
                "the fields written exceed {} windows of 8 bytes",
                Rewrite::WINDOWS
            ),
            Self::ChecksumsFull => write!(f, "the checksums changed exceed {}", Rewrite::PLACES),
            Self::EntropyFull => f.write_str("the places for the flow's entropy exceed 2"),
            Self::NoHeader { index } => write!(f, "the stack has no header at position {index}"),
            Self::OutOfReach { end } => write!(
                f,
                "a field that ends at byte {end} of its header is out of reach"
            ),
            Self::CoversPayload { header } => {
                write!(
                    f,
                    "{header} cannot be pushed: its checksum covers the payload, which a program does not read"
                )
            }
            Self::Unwritable(error) => {
                write!(f, "a header to be pushed cannot be written: {error}")
            }
            Self::Forgotten { header, byte } => {
                write!(
                    f,
                    "what byte {byte} of header {header} held before was not restored"
                )
            }
        }
    }
}

impl core::error::Error for ProgramError {}
