//! Byte slices that views stand on: shared and exclusive.

use core::ops::{Deref, DerefMut};

mod sealed {
    pub trait Sealed {}
    impl Sealed for &[u8] {}
    impl Sealed for &mut [u8] {}
}

/// `&[u8]` or `&mut [u8]`: what a view can be made of. The check of the length happens once, when the array is split off;
/// reads from the array cannot fail.
pub trait Bytes: Deref<Target = [u8]> + Sized + sealed::Sealed {
    /// An array of bytes borrowed in the same way.
    type Array<const N: usize>: Deref<Target = [u8; N]>;

    /// The first `N` bytes and the rest, if there are that many.
    fn split_array<const N: usize>(self) -> Option<(Self::Array<N>, Self)>;

    /// The first `count` bytes and the rest, if there are that many.
    fn split_bytes(self, count: usize) -> Option<(Self, Self)>;

    /// No bytes.
    fn empty() -> Self;
}

/// Bytes that can be written to.
pub trait BytesMut: Bytes + DerefMut {
    /// The array, to be written to.
    fn array_mut<const N: usize>(array: &mut Self::Array<N>) -> &mut [u8; N];
}

/// The fixed part of a header, split off its bytes.
pub struct Fixed<B: Bytes, const N: usize>(B::Array<N>);

impl<B: Bytes, const N: usize> Fixed<B, N> {
    /// The first `N` bytes and the rest, if there are that many.
    #[inline(always)]
    pub fn split(bytes: B) -> Option<(Self, B)> {
        let (array, rest) = bytes.split_array()?;
        Some((Self(array), rest))
    }

    /// The bytes, as a slice.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        &**self
    }

    /// The bytes, as a slice to be written to.
    #[inline(always)]
    pub fn bytes_mut(&mut self) -> &mut [u8]
    where
        B: BytesMut,
    {
        &mut **self
    }
}

impl<B: Bytes, const N: usize> Deref for Fixed<B, N> {
    type Target = [u8; N];

    #[inline(always)]
    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<B: BytesMut, const N: usize> DerefMut for Fixed<B, N> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8; N] {
        B::array_mut(&mut self.0)
    }
}

impl<const N: usize> Clone for Fixed<&[u8], N> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<const N: usize> Copy for Fixed<&[u8], N> {}

impl<'a> Bytes for &'a [u8] {
    type Array<const N: usize> = &'a [u8; N];

    #[inline(always)]
    fn split_array<const N: usize>(self) -> Option<(Self::Array<N>, Self)> {
        self.split_first_chunk()
    }

    #[inline(always)]
    fn split_bytes(self, count: usize) -> Option<(Self, Self)> {
        self.split_at_checked(count)
    }

    #[inline(always)]
    fn empty() -> Self {
        &[]
    }
}

impl<'a> Bytes for &'a mut [u8] {
    type Array<const N: usize> = &'a mut [u8; N];

    #[inline(always)]
    fn split_array<const N: usize>(self) -> Option<(Self::Array<N>, Self)> {
        self.split_first_chunk_mut()
    }

    #[inline(always)]
    fn split_bytes(self, count: usize) -> Option<(Self, Self)> {
        self.split_at_mut_checked(count)
    }

    #[inline(always)]
    fn empty() -> Self {
        &mut []
    }
}

impl BytesMut for &mut [u8] {
    #[inline(always)]
    fn array_mut<const N: usize>(array: &mut Self::Array<N>) -> &mut [u8; N] {
        array
    }
}
