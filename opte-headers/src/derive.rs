//! What the code that `#[derive(Header)]` generates calls. Not to be called by hand.

use crate::bytes::{Bytes, Fixed};
use crate::error::{Cause, EmitError, ParseError};
use crate::frame::{HeadError, HeaderKind, Walk};
use crate::header::{Field, Header, KeyPart, NoSelector};
use crate::wire::{FieldValue, Wire};

/// A field that may be set.
#[derive(Clone, Copy, Debug)]
pub enum Open {}

/// A field that may not be set.
#[derive(Clone, Copy, Debug)]
pub enum Closed {}

/// A field that is no part of the flow key.
#[derive(Clone, Copy, Debug)]
pub enum NoKey {}

/// A field that is a part of the flow key.
#[derive(Clone, Copy, Debug)]
pub struct InKey<P>(core::convert::Infallible, core::marker::PhantomData<P>);

/// Which part of the flow key.
pub trait Part {
    /// It.
    const PART: KeyPart;
}

/// Types for the parts of the flow key.
pub mod part {
    use super::{KeyPart, Part};

    macro_rules! parts {
        ($($name:ident)*) => {$(
            /// The part of this name.
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Part for $name {
                const PART: KeyPart = KeyPart::$name;
            }
        )*};
    }

    parts! {
        Source Destination SourcePort DestinationPort Protocol Vni IcmpType IcmpCode Identifier
    }
}

/// Reads a field from the fixed part.
#[inline(always)]
pub fn get<F: Field>(fixed: &[u8]) -> F::Value {
    F::Value::from_wire(Wire::read(fixed, F::BIT_OFFSET, F::LITTLE_ENDIAN))
}

/// Writes a field to the fixed part.
#[inline(always)]
pub fn set<F: Field>(fixed: &mut [u8], value: F::Value) {
    value
        .to_wire()
        .write(fixed, F::BIT_OFFSET, F::LITTLE_ENDIAN);
}

/// Writes a field of the struct to the fixed part.
#[inline(always)]
pub fn put<F: Field>(fixed: &mut [u8], value: &F::Value) {
    set::<F>(fixed, *value);
}

/// The number in a field, for lengths.
#[inline(always)]
pub fn number<F: Field>(fixed: &[u8]) -> i64 {
    let wire: <F::Value as FieldValue>::Wire = Wire::read(fixed, F::BIT_OFFSET, F::LITTLE_ENDIAN);
    wire.number() as i64
}

/// Refuses a constant field with another value.
#[inline(always)]
pub fn expect<F: Field>(fixed: &[u8], constant: F::Value) -> Result<(), ParseError> {
    let found = number::<F>(fixed) as u64;
    if found == constant.to_wire().number() {
        Ok(())
    } else {
        Err(ParseError::illegal(F::Header::NAME, F::NAME, found))
    }
}

/// The error that nothing known follows under this value of a field.
#[cold]
pub fn unsupported<F: Field>(selector: F::Value) -> ParseError {
    ParseError::unsupported(F::Header::NAME, F::NAME, selector.to_wire().number())
}

/// Splits the fixed part off.
#[inline(always)]
pub fn open<B: Bytes, const N: usize>(
    bytes: B,
    header: &'static str,
) -> Result<(Fixed<B, N>, B), ParseError> {
    let available = bytes.len();
    Fixed::split(bytes).ok_or(ParseError::truncated(header, "", N, available))
}

/// Splits the variable part off.
#[inline(always)]
pub fn tail<B: Bytes>(
    rest: B,
    len: i64,
    header: &'static str,
    field: &'static str,
    min_len: usize,
) -> Result<(B, B), ParseError> {
    let available = rest.len();
    // A negative length is a very great one here, so that one comparison finds both faults.
    let split = usize::try_from(len as u64)
        .ok()
        .and_then(|len| rest.split_bytes(len));
    match split {
        Some(split) => Ok(split),
        None => Err(impossible_tail(len, available, header, field, min_len)),
    }
}

/// The error of a variable part that cannot be as long as is said.
#[cold]
fn impossible_tail(
    len: i64,
    available: usize,
    header: &'static str,
    field: &'static str,
    min_len: usize,
) -> ParseError {
    match usize::try_from(len) {
        Ok(len) => ParseError::truncated(
            header,
            field,
            min_len.saturating_add(len),
            min_len.saturating_add(available),
        ),
        Err(_) => ParseError::bad_length(header, field, 0, available),
    }
}

/// The error of a variable part that the struct cannot hold.
#[cold]
pub fn too_long(
    len: usize,
    capacity: usize,
    header: &'static str,
    field: &'static str,
) -> ParseError {
    ParseError::bad_length(header, field, len, capacity)
}

/// The output split in fixed and variable part, both zeroed.
#[inline(always)]
pub fn room<const N: usize>(
    out: &mut [u8],
    len: usize,
) -> Result<(&mut [u8; N], &mut [u8]), EmitError> {
    let error = EmitError::NoRoom {
        needed: len,
        available: out.len(),
    };
    let (fixed, tail) = out
        .get_mut(..len)
        .and_then(|out| out.split_first_chunk_mut())
        .ok_or(error)?;
    *fixed = [0; N];
    tail.fill(0);
    Ok((fixed, tail))
}

/// Writes the variable part to the front of its place.
#[inline(always)]
pub fn put_tail(place: &mut [u8], bytes: &[u8]) {
    if let Some(place) = place.get_mut(..bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Bytes of a header whose length, or whose tail's length, is told in units.
pub const fn padded(fixed: usize, tail: usize, unit: usize, whole: bool) -> usize {
    if whole {
        (fixed + tail).next_multiple_of(unit)
    } else {
        fixed + tail.next_multiple_of(unit)
    }
}

/// The value of a field that tells a length.
pub fn length<F: Field>(len: usize, unit: usize, less: usize) -> Result<F::Value, EmitError> {
    let error = EmitError::Unrepresentable {
        header: F::Header::NAME,
        field: F::NAME,
        length: len,
    };
    let counted = len
        .checked_sub(less)
        .filter(|counted| counted % unit == 0)
        .ok_or(error)?;
    Wire::from_number((counted / unit) as u64)
        .map(F::Value::from_wire)
        .ok_or(error)
}

/// The length of a header with an empty tail.
pub fn default_length<F: Field>(fixed: usize, unit: usize, less: usize, whole: bool) -> F::Value {
    let len = if whole {
        fixed.next_multiple_of(unit)
    } else {
        0
    };
    length::<F>(len, unit, less).unwrap_or(zero::<F>())
}

/// The value whose bits are all zero.
#[inline]
pub fn zero<F: Field>() -> F::Value {
    F::Value::from_wire(Wire::ZEROED)
}

/// The value of a field in the struct.
#[inline(always)]
pub fn copied<F: Field>(value: &F::Value) -> F::Value {
    *value
}

/// How a value is shown.
#[inline(always)]
pub fn shown<F: Field>(value: &F::Value) -> &dyn core::fmt::Debug {
    value
}

/// The bit behind a field.
pub const fn end<F: Field>() -> usize {
    F::BIT_OFFSET + F::BITS
}

/// Stands for the value of a field that an error was reported for; never runs.
pub fn refused<T>() -> T {
    unreachable!("the derive reported an error")
}

/// The least of some lengths.
pub const fn least(lengths: &[usize]) -> usize {
    match lengths {
        [] => 0,
        [only] => *only,
        [first, rest @ ..] => {
            let least = least(rest);
            if *first < least { *first } else { least }
        }
    }
}

/// Holds if the header has no field that tells what follows.
pub const fn without_selector<H: Header<Selector = NoSelector>>() {}

/// Holds if a type has as many bits as the macro took it to have.
#[track_caller]
pub const fn assert_bits<F: Field>(expected: usize) {
    let actual = F::BITS;
    if actual != expected {
        let message = Message::new()
            .text("the type of `")
            .text(F::NAME)
            .text("` has ")
            .number(actual);
        let message = message
            .text(" bits, not ")
            .number(expected)
            .text("; say `bits = ")
            .number(actual)
            .text("`");
        panic_with(&message);
    }
}

/// Holds if a field of bytes starts on a whole one.
#[track_caller]
pub const fn assert_aligned<F: Field>() {
    let bit = F::BIT_OFFSET % 8;
    if <<F::Value as FieldValue>::Wire as Wire>::WHOLE_BYTES && bit != 0 {
        let message = Message::new().text("`").text(F::NAME);
        let message = message
            .text("` is made of whole bytes, but starts at bit ")
            .number(bit)
            .text(" of one");
        panic_with(&message);
    }
}

/// Holds if the fields of a header fill bytes.
#[track_caller]
pub const fn assert_whole_bytes(header: &str, bits: usize) {
    if !bits.is_multiple_of(8) {
        let message = Message::new()
            .text("the fields of `")
            .text(header)
            .text("` have ")
            .number(bits);
        let message = message
            .text(" bits, which are ")
            .number(bits / 8)
            .text(" bytes and ")
            .number(bits % 8);
        let message = message
            .text(" bits; ")
            .number(8 - bits % 8)
            .text(" more fill the last byte");
        panic_with(&message);
    }
}

/// Holds if a header has the declared length.
#[track_caller]
pub const fn assert_len(header: &str, actual: usize, expected: usize) {
    if actual != expected {
        let message = Message::new()
            .text("`len` of `")
            .text(header)
            .text("` says ")
            .number(expected);
        panic_with(
            &message
                .text(" bytes, but the fixed fields have ")
                .number(actual),
        );
    }
}

/// Holds if two headers of a stack are told apart by their kinds.
#[track_caller]
pub const fn assert_kinds(a: &str, kind_a: HeaderKind, b: &str, kind_b: HeaderKind) {
    if kind_a.is_known() && kind_a.number() == kind_b.number() && !same(a, b) {
        let message = Message::new().text("`").text(a).text("` and `").text(b);
        let message = message.text("` have the same `KIND`; set another on one: `const KIND: HeaderKind = HeaderKind::own(\"another name\")`");
        panic_with(&message);
    }
}

/// Holds if no bit is in both fields.
#[track_caller]
pub const fn assert_distinct<A: Field, B: Field>() {
    let apart = !same(A::Header::NAME, B::Header::NAME)
        || A::BIT_OFFSET + A::BITS <= B::BIT_OFFSET
        || B::BIT_OFFSET + B::BITS <= A::BIT_OFFSET;
    if !apart {
        let message = Message::new()
            .text("`")
            .text(B::NAME)
            .text("` of `")
            .text(B::Header::NAME);
        panic_with(&message.text("` is set twice in one step; leave one of them out"));
    }
}

/// Holds if what is put in front of a frame fits the room that its driver keeps there.
#[track_caller]
pub const fn assert_room(pushed: usize, room: usize) {
    if pushed > room {
        let message = Message::new()
            .text("the headers pushed have ")
            .number(pushed)
            .text(" bytes at least, but the head-room declared is ")
            .number(room);
        panic_with(&message.text(" bytes; declare more, or push fewer headers"));
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let ([x, more_a @ ..], [y, more_b @ ..]) = (a, b) {
        if *x != *y {
            return false;
        }
        (a, b) = (more_a, more_b);
    }
    a.is_empty() && b.is_empty()
}

/// Why the head of a frame was not parsed: whether more of it would help, where `walk` has come to.
#[cold]
pub fn head_error(error: ParseError, walk: &Walk<false>) -> HeadError {
    let cause = match error.cause {
        Cause::Truncated { needed, available } if needed <= available + walk.beyond() => {
            return HeadError::Short {
                needed: walk.at() + needed,
            };
        }
        // As if the whole frame were here.
        Cause::Truncated { needed, available } => Cause::Truncated {
            needed,
            available: available + walk.beyond(),
        },
        Cause::BadLength { claimed, available } => Cause::BadLength {
            claimed,
            available: available + walk.beyond(),
        },
        other => other,
    };
    HeadError::Parse(ParseError { cause, ..error })
}

/// Ends the compilation with a message; only ever evaluated while compiling.
#[track_caller]
#[allow(clippy::panic)]
const fn panic_with(message: &Message) {
    panic!("{}", message.as_str())
}

/// A text put together while compiling.
struct Message {
    bytes: [u8; 256],
    len: usize,
}

// Evaluated while compiling only, where an index out of bounds is a compile error.
#[allow(clippy::indexing_slicing)]
impl Message {
    const fn new() -> Self {
        Self {
            bytes: [0; 256],
            len: 0,
        }
    }

    const fn text(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    const fn number(self, number: usize) -> Self {
        let this = if number >= 10 {
            self.number(number / 10)
        } else {
            self
        };
        let digit = [b'0' + (number % 10) as u8];
        match core::str::from_utf8(&digit) {
            Ok(digit) => this.text(digit),
            Err(_) => this,
        }
    }

    const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "a length or width does not fit",
        }
    }
}
