//! Bytes: hexadecimal digits to humans.

use super::alloc::vec::Vec;
use core::fmt;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserializer, Serializer};

/// Writes bytes whose count can vary.
pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(&Digits(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// Reads bytes whose count can vary, at most `capacity`, and makes of them what `make` does.
pub(super) fn deserialize<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    capacity: usize,
    make: impl Fn(&[u8]) -> Option<T>,
) -> Result<T, D::Error> {
    let read = Read { capacity, make };
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(read)
    } else {
        deserializer.deserialize_bytes(read)
    }
}

/// Writes an array.
pub(super) fn serialize_array<S: Serializer>(
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return serializer.collect_str(&Digits(bytes));
    }
    let mut tuple = serializer.serialize_tuple(bytes.len())?;
    bytes
        .iter()
        .try_for_each(|byte| tuple.serialize_element(byte))?;
    tuple.end()
}

/// Reads an array.
pub(super) fn deserialize_array<'de, const N: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    let read = Read {
        capacity: N,
        make: |bytes: &[u8]| bytes.try_into().ok(),
    };
    if deserializer.is_human_readable() {
        deserializer.deserialize_str(read)
    } else {
        deserializer.deserialize_tuple(N, read)
    }
}

/// Bytes as digits.
struct Digits<'a>(&'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes something of bytes, or of their digits.
struct Read<M> {
    capacity: usize,
    make: M,
}

impl<'de, T, M: Fn(&[u8]) -> Option<T>> Visitor<'de> for Read<M> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at most", self.capacity)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        match bytes {
            Some(bytes) => self.visit_bytes(&bytes),
            None => Err(E::custom("not pairs of hexadecimal digits")),
        }
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        match (self.make)(bytes) {
            Some(made) => Ok(made),
            None => Err(E::invalid_length(bytes.len(), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<T, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = values.next_element()? {
            bytes.push(byte);
            if bytes.len() > self.capacity {
                break;
            }
        }
        self.visit_bytes(&bytes)
    }
}
