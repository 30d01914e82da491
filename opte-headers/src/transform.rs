//! Transformations of stacks of headers, checked by the compiler.
//!
//! A [`Transform`] knows in its type which headers it takes and which it gives. What cannot be is refused where it is
//! written: a field of a header that is not there, a header under a parent that cannot carry it, two transformations that
//! do not fit together. What remains compiles to a [`Program`].

mod reverse;
mod stack;

use core::fmt;
use core::marker::PhantomData;

pub use reverse::{Restore, Reverse};
pub use stack::{Behind, EndsWith, Has, Here, Outermost, Stack, Takes};

use crate::header::{Field, Follows, Header, Settable};
use crate::program::{HeaderSpec, Prefix, Program, ProgramError};
use crate::wire::{FieldValue, Wire};

/// A transformation of frames with the headers `In` into frames with the headers `Out`.
///
/// Begin with [`Transform::on`]; see the [module](self) for the whole.
#[must_use = "a transformation does nothing until it is compiled and applied"]
pub struct Transform<In, Out> {
    program: Result<Program, ProgramError>,
    stacks: PhantomData<fn(In) -> Out>,
}

/// Sets fields. Must be in scope for [`Set::set`]; `Place` is where the header stands and is found by the compiler.
pub trait Set<Place>: Sized {
    /// The stack whose headers can be set.
    type Stack;

    /// Sets field `F`: `.set::<ipv4::Source>(address)`.
    ///
    /// The header of the field must be in the stack once; where it is there twice, the outer one is set by
    /// [`Transform::set_outermost`], and the inner one before the outer one is pushed or after it is popped. The checksums
    /// that cover the field follow.
    fn set<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Self::Stack: Has<F::Header, Place>;
}

impl<In: Stack, Out: Stack, Place> Set<Place> for Transform<In, Out> {
    type Stack = Out;

    fn set<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Out: Has<F::Header, Place>,
    {
        self.step(set_field::<F>(Out::specs(), Out::INDEX, value))
    }
}

impl Transform<(), ()> {
    /// The transformation of `S` that changes nothing.
    pub fn on<S: Stack>() -> Transform<S, S> {
        Transform::of(Ok(Program::IDENTITY))
    }
}

impl<In: Stack, Out: Stack> Transform<In, Out> {
    /// Sets a field of the outermost header.
    pub fn set_outermost<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Out: Has<F::Header, Here>,
    {
        self.step(set_field::<F>(Out::specs(), 0, value))
    }

    /// Puts a header in front. What it carries is written to the field that tells it (the Ethertype, the protocol, a UDP
    /// destination port); its length and its checksum are computed, and a UDP checksum is zero, whatever `header` says.
    pub fn push<H>(self, header: H) -> Transform<In, (H, Out)>
    where
        H: Header,
        Out::Head: Follows<H>,
        (H, Out): Stack,
    {
        Transform::of(
            self.program
                .and_then(|program| program.fuse(&pushed::<H, Out>(header)?)),
        )
    }

    /// Like [`Transform::push`], and lets field `F` of the header vary by flow: its last 16 bits are the entropy given to
    /// [`Program::apply`], or-ed with the upper eight of them in `header`.
    ///
    /// For a tunnel's UDP source port give 49152 (0xc000), which keeps it a dynamic port (RFC 8926, section 3.3); for an IPv6
    /// flow label 0 (RFC 6438).
    pub fn push_varying<F>(self, header: F::Header) -> Transform<In, (F::Header, Out)>
    where
        F: Settable,
        Out::Head: Follows<F::Header>,
        (F::Header, Out): Stack,
    {
        let end = const {
            let end = F::BIT_OFFSET + F::BITS;
            assert!(
                F::BITS >= 16 && end.is_multiple_of(8),
                "only whole 16 bits can vary by flow"
            );
            end / 8
        };
        let varied = |program: Program| {
            let step = pushed::<F::Header, Out>(header)?;
            let or = step
                .prefix
                .as_bytes()
                .get(end - 2)
                .copied()
                .unwrap_or_default();
            program.fuse(&step.vary(0, (end - 2) as u8, or)?)
        };
        Transform::of(self.program.and_then(varied))
    }

    /// Takes the outermost header off. `pop::<H>()` asks that it be `H`; `pop()` takes whichever it is.
    pub fn pop<H>(self) -> Transform<In, Out::Rest>
    where
        Out: Outermost<H>,
    {
        let step = Program::pop(Out::specs());
        Transform::of(self.program.and_then(|program| program.fuse(&step?)))
    }

    /// This transformation, then another one.
    pub fn then<Next, End>(self, next: Transform<Next, End>) -> Transform<In, End>
    where
        Next: Takes<Out>,
    {
        Transform::of(
            self.program
                .and_then(|program| program.fuse(&next.program?)),
        )
    }

    /// The way back: pushes become pops, sets become sets of what was there before, which has to be named; see [`Reverse`].
    /// Where headers are gone that were not pushed there is none, and this does not compile.
    pub fn reverse<Place>(&self) -> Reverse<Out, In>
    where
        Out: EndsWith<In, Place>,
    {
        Reverse::of(self.program)
    }

    /// The program.
    ///
    /// A transformation that needs more room than a [`Program`] has (see [`Transform::try_compile`]) becomes one that
    /// refuses every frame, and changes none.
    #[must_use]
    pub fn compile(self) -> Program {
        self.try_compile().unwrap_or(Program::REFUSING)
    }

    /// The program, or why there is none.
    ///
    /// # Errors
    ///
    /// The transformation pushes more than 96 bytes, or writes more than a [`Program`] holds, or a pushed header cannot be
    /// written.
    pub fn try_compile(self) -> Result<Program, ProgramError> {
        self.program
    }

    fn step(self, step: Result<Program, ProgramError>) -> Self {
        Self::of(self.program.and_then(|program| program.fuse(&step?)))
    }
}

impl<In, Out> Transform<In, Out> {
    fn of(program: Result<Program, ProgramError>) -> Self {
        Self {
            program,
            stacks: PhantomData,
        }
    }
}

impl<In, Out> Clone for Transform<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Transform<In, Out> {}

impl<In, Out> fmt::Debug for Transform<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transform").field(&self.program).finish()
    }
}

/// One step a line, as of the program.
impl<In, Out> fmt::Display for Transform<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Ok(program) => program.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

fn pushed<H, Out>(mut header: H) -> Result<Program, ProgramError>
where
    H: Header,
    Out: Stack,
    Out::Head: Follows<H>,
{
    if let Some(selector) = <Out::Head as Follows<H>>::SELECTOR {
        header.select(selector);
    }
    let mut bytes = [0; Prefix::CAPACITY];
    let room = if header.len() > bytes.len() {
        return Err(ProgramError::PrefixFull);
    } else {
        &mut bytes
    };
    let len = header.emit(room).map_err(ProgramError::Unwritable)?;
    Program::push(
        Out::specs(),
        &HeaderSpec::of::<H>(),
        bytes.get(..len).unwrap_or(&bytes),
    )
}

fn set_field<F: Field>(
    stack: &[HeaderSpec],
    header: usize,
    value: F::Value,
) -> Result<Program, ProgramError> {
    // Written over zeros and over ones: where the two agree, the field is.
    let (first, bit) = (F::BIT_OFFSET / 8, F::BIT_OFFSET % 8);
    let (mut over_zeros, mut over_ones) = ([0; FIELD_BYTES], [0xff; FIELD_BYTES]);
    let end = (bit + F::BITS).div_ceil(8);
    if end > FIELD_BYTES {
        return Err(ProgramError::OutOfReach { end: first + end });
    }
    let wire = value.to_wire();
    wire.write(&mut over_zeros, bit, F::LITTLE_ENDIAN);
    wire.write(&mut over_ones, bit, F::LITTLE_ENDIAN);
    let bytes = over_zeros.iter().zip(&over_ones).take(end);
    Program::write(
        stack,
        header,
        first,
        bytes.map(|(zeros, ones)| (!(zeros ^ ones), *zeros)),
    )
}

/// The widest field that a transformation can set.
const FIELD_BYTES: usize = 64;
