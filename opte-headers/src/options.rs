//! Options: type, length, value. Typed, read one at a time where they stand, bounded; unknown ones are kept.
//!
//! An enum with `#[derive(OptionSet)]` names the options of a protocol; its [`Framing`] says how they are laid out. Nothing
//! in this module can panic, whatever the bytes: a malformed option is an error of the iterator, which then ends.

use crate::error::{EmitError, ParseError};
use crate::tail::{Tail, TailBytes};
use crate::wire::{FieldValue, Wire};
use core::fmt;
use core::marker::PhantomData;

pub use crate::framing::{
    CodeLength, CodeLength16, Frame, Framing, GeneveFraming, GeneveKind, KindLength, TypeLength,
    TypeUnits,
};

/// The options of a protocol. From `#[derive(OptionSet)]` on an enum, named here with `'static` for its lifetime, if it
/// has one: `Options<TcpOption<'static>, 40>`.
pub trait OptionSet {
    /// The name of the enum.
    const NAME: &'static str;
    /// How the options are laid out.
    type Framing: Framing;
    /// The enum, borrowing from the frame.
    type Option<'a>: fmt::Debug;

    /// The option that these bytes are; an unknown one if they do not fit any.
    fn decode<'a>(raw: RawOption<'a, KindOf<Self>>) -> Self::Option<'a>;

    /// Writes a whole option; nothing if there is no room, or the option is too long for its framing.
    fn encode(option: &Self::Option<'_>, out: &mut [u8]) -> Option<usize>;
}

/// The type that tells options of a set apart.
pub type KindOf<O> = <<O as OptionSet>::Framing as Framing>::Kind;

/// An option as it stands: what it is, and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawOption<'a, K> {
    /// Which option it is.
    pub kind: K,
    /// What is behind its type and length.
    pub body: &'a [u8],
}

/// The options in a piece of a frame.
pub struct OptionList<'a, O> {
    bytes: &'a [u8],
    set: PhantomData<fn() -> O>,
}

impl<'a, O: OptionSet> OptionList<'a, O> {
    /// The options in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            set: PhantomData,
        }
    }

    /// The bytes, padding included.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The options as they stand.
    pub const fn raw(&self) -> RawOptions<'a, O> {
        RawOptions {
            bytes: self.bytes,
            set: PhantomData,
        }
    }

    /// The options.
    pub fn iter(&self) -> impl Iterator<Item = Result<O::Option<'a>, ParseError>> + use<'a, O> {
        self.raw().map(|raw| raw.map(O::decode))
    }

    /// Whether every option is well-formed.
    ///
    /// # Errors
    /// What is wrong with the first that is not.
    pub fn check(&self) -> Result<(), ParseError> {
        self.raw().try_for_each(|raw| raw.map(drop))
    }
}

impl<O> Clone for OptionList<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for OptionList<'_, O> {}

impl<O> PartialEq for OptionList<'_, O> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<O: OptionSet> fmt::Debug for OptionList<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().flatten()).finish()
    }
}

/// Iterator over options as they stand; ends behind a malformed one.
pub struct RawOptions<'a, O> {
    bytes: &'a [u8],
    set: PhantomData<fn() -> O>,
}

impl<'a, O: OptionSet> Iterator for RawOptions<'a, O> {
    type Item = Result<RawOption<'a, KindOf<O>>, ParseError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match O::Framing::split(self.bytes, O::NAME) {
            Ok(None) => {
                self.bytes = &[];
                None
            }
            Ok(Some((kind, body, rest))) => {
                self.bytes = rest;
                Some(Ok(RawOption { kind, body }))
            }
            Err(error) => {
                self.bytes = &[];
                Some(Err(error))
            }
        }
    }
}

/// Options of at most `N` bytes, in place.
pub struct Options<O, const N: usize> {
    bytes: TailBytes<N>,
    set: PhantomData<fn() -> O>,
}

impl<O: OptionSet, const N: usize> Options<O, N> {
    /// No options.
    pub const EMPTY: Self = Self {
        bytes: TailBytes::EMPTY,
        set: PhantomData,
    };

    /// Adds an option behind the others.
    ///
    /// # Errors
    /// `NoRoom` if it does not fit; nothing is added then.
    pub fn push(&mut self, option: &O::Option<'_>) -> Result<(), EmitError> {
        let mut out = [0; N];
        let available = N - self.bytes.len();
        let error = |needed| EmitError::NoRoom { needed, available };
        let len = O::encode(option, &mut out).ok_or(error(N.saturating_add(1)))?;
        match out.get(..len) {
            Some(encoded) if self.bytes.extend(encoded) => Ok(()),
            _ => Err(error(len)),
        }
    }

    /// These options, in this order.
    ///
    /// # Errors
    /// `NoRoom` if they do not fit.
    pub fn of(options: &[O::Option<'_>]) -> Result<Self, EmitError> {
        let mut this = Self::EMPTY;
        options.iter().try_for_each(|option| this.push(option))?;
        Ok(this)
    }

    /// The options.
    pub fn list(&self) -> OptionList<'_, O> {
        OptionList::new(&self.bytes)
    }
}

impl<O: OptionSet, const N: usize> Tail for Options<O, N> {
    type Ref<'a> = OptionList<'a, O>;
    const CAPACITY: usize = N;

    fn empty() -> Self {
        Self::EMPTY
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn view(bytes: &[u8]) -> OptionList<'_, O> {
        OptionList::new(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            bytes: TailBytes::new(bytes)?,
            set: PhantomData,
        })
    }
}

impl<O, const N: usize> Clone for Options<O, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O, const N: usize> Copy for Options<O, N> {}

impl<O: OptionSet, const N: usize> Default for Options<O, N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<O, const N: usize> PartialEq for Options<O, N> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<O, const N: usize> Eq for Options<O, N> {}

impl<O: OptionSet, const N: usize> fmt::Debug for Options<O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list().fmt(f)
    }
}

/// A part of an option's body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of an option",
    note = "parts are field values, and as the last one `&'a [u8]` or `Each<'a, T>`"
)]
pub trait Part<'a>: Sized {
    /// Takes the part off the front of the body.
    fn take(body: &mut &'a [u8]) -> Option<Self>;

    /// Bytes it takes.
    fn width(&self) -> usize;

    /// Puts it to the front of `out`, and `out` behind it.
    fn put(&self, out: &mut &mut [u8]) -> Option<()>;
}

impl<T: FieldValue> Part<'_> for T {
    fn take(body: &mut &[u8]) -> Option<Self> {
        let (part, rest) = body.split_at_checked(T::Wire::BITS.div_ceil(8))?;
        *body = rest;
        // Unusual widths stand in the low bits.
        Some(T::from_wire(Wire::read(
            part,
            (8 * part.len()).saturating_sub(T::Wire::BITS),
            false,
        )))
    }

    fn width(&self) -> usize {
        T::Wire::BITS.div_ceil(8)
    }

    fn put(&self, out: &mut &mut [u8]) -> Option<()> {
        let (part, rest) = core::mem::take(out).split_at_mut_checked(T::Wire::BITS.div_ceil(8))?;
        self.to_wire().encode(part, false);
        *out = rest;
        Some(())
    }
}

impl<'a> Part<'a> for &'a [u8] {
    fn take(body: &mut &'a [u8]) -> Option<Self> {
        Some(core::mem::take(body))
    }

    fn width(&self) -> usize {
        <[u8]>::len(self)
    }

    fn put(&self, out: &mut &mut [u8]) -> Option<()> {
        let (part, rest) = core::mem::take(out).split_at_mut_checked(<[u8]>::len(self))?;
        part.copy_from_slice(self);
        *out = rest;
        Some(())
    }
}

/// Values of one type, one behind the other, to the end of the body.
pub struct Each<'a, T> {
    bytes: &'a [u8],
    item: PhantomData<fn() -> T>,
}

impl<'a, T: FieldValue> Each<'a, T> {
    /// No values.
    pub const EMPTY: Self = Self {
        bytes: &[],
        item: PhantomData,
    };

    /// The values in `bytes`, if they are a whole number of them.
    pub const fn new(bytes: &'a [u8]) -> Option<Self> {
        let width = <T::Wire as Wire>::BITS.div_ceil(8);
        if width > 0 && bytes.len().is_multiple_of(width) {
            Some(Self {
                bytes,
                item: PhantomData,
            })
        } else {
            None
        }
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut bytes = self.bytes;
        core::iter::from_fn(move || T::take(&mut bytes))
    }
}

impl<'a, T: FieldValue> Part<'a> for Each<'a, T> {
    fn take(body: &mut &'a [u8]) -> Option<Self> {
        Self::new(core::mem::take(body))
    }

    fn width(&self) -> usize {
        self.bytes.len()
    }

    fn put(&self, out: &mut &mut [u8]) -> Option<()> {
        self.bytes.put(out)
    }
}

impl<T> Clone for Each<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Each<'_, T> {}

impl<T> PartialEq for Each<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Each<'_, T> {}

impl<T: FieldValue> fmt::Debug for Each<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Writes an option by its framing: `body` writes what is behind type and length.
pub fn encode_with<F: Framing>(
    kind: F::Kind,
    body_len: usize,
    out: &mut [u8],
    body: impl FnOnce(&mut &mut [u8]) -> Option<()>,
) -> Option<usize> {
    let frame = F::frame(kind, body_len)?;
    let out = out.get_mut(..frame.total)?;
    let (head, mut rest) = out.split_at_mut_checked(frame.head_len)?;
    head.copy_from_slice(frame.head.get(..frame.head_len)?);
    body(&mut rest)?;
    rest.fill(0);
    Some(frame.total)
}
