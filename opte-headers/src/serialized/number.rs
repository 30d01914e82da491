//! Integers of any width as the machine integers that hold them, and arrays.

use super::bytes;
use arbitrary_int::{Int, UInt};
use core::fmt;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in bits, in the formats of serde: checked when it is read.
pub trait Plain: Sized {
    /// Writes it.
    ///
    /// # Errors
    /// Those of the format.
    fn serialize_plain<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads it.
    ///
    /// # Errors
    /// Those of the format; the number is too great for its bits.
    fn deserialize_plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

macro_rules! machine {
    ($($ty:ty)*) => {$(
        impl Plain for $ty {
            fn serialize_plain<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
            fn deserialize_plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )*};
}

machine!(bool u8 u16 u32 u64 i8 i16 i32 i64);

macro_rules! within {
    ($($outer:ident<$inner:ty>: $unexpected:ident;)*) => {$(
        impl<const B: usize> Plain for $outer<$inner, B> {
            fn serialize_plain<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
                self.value().serialize(serializer)
            }
            fn deserialize_plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <$inner>::deserialize(deserializer)?;
                Self::try_new(number)
                    .map_err(|_| D::Error::invalid_value(Unexpected::$unexpected(number.into()), &Bits(B)))
            }
        }
    )*};
}

within! {
    UInt<u8>: Unsigned;
    UInt<u16>: Unsigned;
    UInt<u32>: Unsigned;
    UInt<u64>: Unsigned;
    Int<i8>: Signed;
    Int<i16>: Signed;
    Int<i32>: Signed;
    Int<i64>: Signed;
}

impl<const N: usize> Plain for [u8; N] {
    fn serialize_plain<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize_array(&self, serializer)
    }

    fn deserialize_plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize_array(deserializer)
    }
}

/// A number of so many bits.
struct Bits(usize);

impl serde::de::Expected for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of {} bits", self.0)
    }
}
