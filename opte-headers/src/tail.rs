//! The variable part of a header: raw bytes, or values of one type.

use crate::options::Each;
use crate::wire::{FieldValue, Wire};
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

/// What a field marked `bytes` or `options` must be: it holds the variable part in the struct, and says how views show it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold the variable part of a header",
    note = "use `TailBytes<CAPACITY>` or `Items<T, CAPACITY>` with `bytes(..)`, or `Options<Family, CAPACITY>` with `options(..)`"
)]
pub trait Tail: Sized {
    /// How a view shows it.
    type Ref<'a>: fmt::Debug;
    /// The bytes it can hold.
    const CAPACITY: usize;

    /// Nothing in it.
    fn empty() -> Self;

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

    fn empty() -> Self {
        Self::EMPTY
    }

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

/// Values of one type, one behind the other, of at most `N` bytes, in place: the sources of a membership report.
///
/// ```
/// use opte_headers::{Header, tail::Items};
///
/// #[derive(Header)]
/// struct Readings {
///     #[header(length(of = tail, unit = 2))]
///     count: u8,
///     #[header(bytes(len = count * 2))]
///     readings: Items<i16, 510>,
/// }
///
/// let (view, _) = Readings::parse(&[2, 0, 20, 0xff, 0xfe]).unwrap();
/// assert!(view.readings().iter().eq([20, -2]));
/// assert!(Items::<i16, 4>::of(&[1, 2, 3]).is_none());
/// ```
pub struct Items<T, const N: usize> {
    bytes: TailBytes<N>,
    item: PhantomData<fn() -> T>,
}

impl<T: FieldValue, const N: usize> Items<T, N> {
    /// These values, if they fit.
    pub fn of(items: &[T]) -> Option<Self> {
        let width = <T::Wire as Wire>::BITS.div_ceil(8);
        let mut this = Self::default();
        let places = this.bytes.bytes.chunks_exact_mut(width.max(1));
        if places.len() < items.len() {
            return None;
        }
        for (place, item) in places.zip(items) {
            item.to_wire().encode(place, false);
        }
        this.bytes.len = width * items.len();
        Some(this)
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'_, T, N> {
        whole::<T>(&self.bytes)
            .into_iter()
            .flat_map(|each| each.iter())
    }
}

/// The values in bytes, without what is left over behind the last.
fn whole<T: FieldValue>(bytes: &[u8]) -> Option<Each<'_, T>> {
    let width = <T::Wire as Wire>::BITS.div_ceil(8);
    let whole = bytes.len() - bytes.len().checked_rem(width)?;
    Each::new(bytes.get(..whole)?)
}

impl<T: FieldValue, const N: usize> Tail for Items<T, N> {
    type Ref<'a> = Each<'a, T>;
    const CAPACITY: usize = N;

    fn empty() -> Self {
        Self::default()
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn view(bytes: &[u8]) -> Each<'_, T> {
        whole(bytes).unwrap_or(Each::EMPTY)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            bytes: TailBytes::new(bytes)?,
            item: PhantomData,
        })
    }
}

impl<T, const N: usize> Clone for Items<T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const N: usize> Copy for Items<T, N> {}

impl<T, const N: usize> Default for Items<T, N> {
    fn default() -> Self {
        Self {
            bytes: TailBytes::EMPTY,
            item: PhantomData,
        }
    }
}

impl<T, const N: usize> PartialEq for Items<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T, const N: usize> Eq for Items<T, N> {}

impl<T: FieldValue, const N: usize> fmt::Debug for Items<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
