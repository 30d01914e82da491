//! The variable part of a header: raw bytes.

use core::fmt;
use core::ops::Deref;

/// What a field marked `bytes` or `options` must be: it holds the variable part in the struct, and says how views show it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold the variable part of a header",
    note = "use `TailBytes<CAPACITY>` with `bytes(..)`, or `Options<Family, CAPACITY>` with `options(..)`"
)]
pub trait Tail: Default {
    /// How a view shows it.
    type Ref<'a>: fmt::Debug;
    /// The bytes it can hold.
    const CAPACITY: usize;

    /// What it holds.
    fn as_bytes(&self) -> &[u8];

    /// Shows bytes of a frame.
    fn view(bytes: &[u8]) -> Self::Ref<'_>;

    /// A copy, if the bytes fit.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// At most `N` bytes, in place.
#[derive(Clone, Copy)]
pub struct TailBytes<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> TailBytes<N> {
    /// No bytes.
    pub const EMPTY: Self = Self {
        len: 0,
        bytes: [0; N],
    };

    /// A copy of `bytes`, if they fit.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut this = Self::EMPTY;
        this.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        this.len = bytes.len();
        Some(this)
    }

    /// Adds bytes behind the others; none, and false, if there is no room.
    #[must_use]
    pub fn extend(&mut self, more: &[u8]) -> bool {
        let end = self.len.saturating_add(more.len());
        match self.bytes.get_mut(self.len..end) {
            Some(place) => {
                place.copy_from_slice(more);
                self.len = end;
                true
            }
            None => false,
        }
    }

    /// Removes all bytes.
    pub fn clear(&mut self) {
        *self = Self::EMPTY;
    }
}

impl<const N: usize> Tail for TailBytes<N> {
    type Ref<'a> = &'a [u8];
    const CAPACITY: usize = N;

    fn as_bytes(&self) -> &[u8] {
        self
    }

    #[inline(always)]
    fn view(bytes: &[u8]) -> &[u8] {
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(bytes)
    }
}

impl<const N: usize> Deref for TailBytes<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<const N: usize> Default for TailBytes<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> PartialEq for TailBytes<N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<const N: usize> Eq for TailBytes<N> {}

impl<const N: usize> core::hash::Hash for TailBytes<N> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<const N: usize> fmt::Debug for TailBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
