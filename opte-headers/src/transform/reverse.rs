//! The way back of a typed transformation.

use core::fmt;
use core::marker::PhantomData;

use super::{Has, Stack, Transform, set_field};
use crate::frame::Offsets;
use crate::header::Settable;
use crate::program::{Prefix, Program, ProgramError};

/// The reverse of a transformation from `To` to `From`, which may still have to be told what its sets overwrote.
///
/// Pushes reverse to pops, which need nothing. A set forgets what it overwrote: name the originals with
/// [`Restore::restore`], or let an example frame name them all with [`Reverse::restore_from`].
#[must_use = "a reverse does nothing until it is compiled and applied"]
pub struct Reverse<From, To> {
    forward: Result<Program, ProgramError>,
    restored: Result<Program, ProgramError>,
    stacks: PhantomData<fn(From) -> To>,
}

/// Names what a set overwrote. In scope wherever [`Reverse`] is used; `Place` is found by the compiler.
pub trait Restore<Place>: Sized {
    /// The stack that the reverse leads to.
    type Stack;

    /// Gives field `F` the value that it had.
    fn restore<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        Self::Stack: Has<F::Header, Place>;
}

impl<From: Stack, To: Stack, Place> Restore<Place> for Reverse<From, To> {
    type Stack = To;

    fn restore<F>(self, value: F::Value) -> Self
    where
        F: Settable,
        To: Has<F::Header, Place>,
    {
        let restored = self.restored.and_then(|mut restored| {
            set_field::<F>(&mut restored, To::specs(), To::INDEX, value)?;
            Ok(restored)
        });
        Self { restored, ..self }
    }
}

impl<From: Stack, To: Stack> Reverse<From, To> {
    pub(super) fn of(forward: Result<Program, ProgramError>) -> Self {
        Self {
            forward,
            restored: Ok(Program::IDENTITY),
            stacks: PhantomData,
        }
    }

    /// The reverse for the flow of an example: `frame` is a frame before the transformation, its headers at `offsets`.
    ///
    /// # Errors
    ///
    /// As [`Program::reverse`].
    pub fn restore_from(
        self,
        frame: &[u8],
        offsets: &Offsets,
    ) -> Result<Transform<From, To>, ProgramError> {
        let back = self
            .forward?
            .reverse(To::specs(), From::specs(), frame, offsets)?;
        Ok(Transform::of(back.fuse(&self.restored?)))
    }

    /// The reverse with the originals that were named.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Forgotten`] names the first byte that was overwritten and not restored.
    pub fn finish(self) -> Result<Transform<From, To>, ProgramError> {
        let (forward, restored) = (self.forward?, self.restored?);
        if forward.prefix.popped() != 0 {
            return Err(ProgramError::Forgotten { header: 0, byte: 0 });
        }
        let known = |header: u8, offset: u8| {
            let all = restored.rewrite.bytes();
            let of_byte = all.filter(|byte| (byte.header, byte.offset) == (header, offset));
            of_byte.fold(0, |mask, byte| mask | byte.mask)
        };
        for byte in forward.rewrite.bytes() {
            if byte.mask & !known(byte.header, byte.offset) != 0 {
                let (header, byte) = (usize::from(byte.header), usize::from(byte.offset));
                return Err(ProgramError::Forgotten { header, byte });
            }
        }
        let mut back = Program::IDENTITY;
        for index in 0..forward.prefix.pushed() {
            let stack = From::specs().get(index..).unwrap_or_default();
            back = back.fuse(&Program::pop(stack)?)?;
        }
        let restore = Program::new(Prefix::EMPTY, restored.rewrite);
        Ok(Transform::of(back.fuse(&restore)))
    }

    /// The program of the reverse.
    ///
    /// # Errors
    ///
    /// As [`Reverse::finish`], and where the result exceeds what a program holds.
    pub fn compile(self) -> Result<Program, ProgramError> {
        self.finish()?.try_compile()
    }
}

impl<From, To> Clone for Reverse<From, To> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<From, To> Copy for Reverse<From, To> {}

impl<From, To> fmt::Debug for Reverse<From, To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (forward, restored) = (&self.forward, &self.restored);
        f.debug_struct("Reverse")
            .field("forward", forward)
            .field("restored", restored)
            .finish()
    }
}
