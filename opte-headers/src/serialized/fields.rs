//! Headers, field by field: what the code that the derive generates calls.

use super::alloc::vec;
use super::bytes;
use crate::error::ParseError;
use crate::header::Header;
use crate::tail::Tail;
use crate::wire::FieldValue;
use core::fmt;
use core::marker::PhantomData;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The fields of a header that are not the same in every one of its kind.
pub trait Fields: Header + Default {
    /// Their names, in order.
    const FIELDS: &'static [&'static str];

    /// Writes all of them.
    fn write<W: SerializeStruct>(&self, out: &mut W) -> Result<(), W::Error>;

    /// Reads one of them.
    fn read<'de, S: Source<'de>>(&mut self, index: usize, source: S) -> Result<(), S::Error>;

    /// Takes lengths from what was emitted, and tells whether it is this header, whole.
    fn settle(&mut self, bytes: &[u8]) -> Result<bool, ParseError>;
}

/// The next value of a map or a sequence.
pub trait Source<'de> {
    /// The format's error.
    type Error: Error;

    /// Reads it.
    fn value<T: Deserialize<'de>>(self) -> Result<T, Self::Error>;
}

/// Writes a header.
pub fn serialize<H: Fields, S: Serializer>(header: &H, serializer: S) -> Result<S::Ok, S::Error> {
    let mut out = serializer.serialize_struct(H::NAME, H::FIELDS.len())?;
    header.write(&mut out)?;
    out.end()
}

/// Reads a header.
pub fn deserialize<'de, H: Fields, D: Deserializer<'de>>(deserializer: D) -> Result<H, D::Error> {
    deserializer.deserialize_struct(H::NAME, H::FIELDS, All(PhantomData))
}

/// The value of a field.
pub struct Value<T>(pub T);

impl<T: FieldValue> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_value(serializer)
    }
}

impl<'de, T: FieldValue> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize_value(deserializer).map(Self)
    }
}

/// The variable part.
pub struct Held<T>(pub T);

impl<T: Tail> Serialize for Held<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(self.0.as_bytes(), serializer)
    }
}

impl<'de, T: Tail> Deserialize<'de> for Held<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize(deserializer, T::CAPACITY, T::from_bytes).map(Self)
    }
}

/// All fields.
struct All<H>(PhantomData<H>);

impl<'de, H: Fields> Visitor<'de> for All<H> {
    type Value = H;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header `{}`", H::NAME)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<H, A::Error> {
        let mut header = H::default();
        for index in 0..H::FIELDS.len() {
            header.read(index, Element(&mut values, index, H::NAME))?;
        }
        settled(header)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<H, A::Error> {
        let mut header = H::default();
        let mut read = vec![false; H::FIELDS.len()];
        while let Some(index) = values.next_key_seed(Name::<H>(PhantomData))? {
            let name = H::FIELDS.get(index).copied().unwrap_or_default();
            match read.get_mut(index) {
                Some(read) if !*read => *read = true,
                _ => return Err(A::Error::duplicate_field(name)),
            }
            header.read(index, Entry(&mut values))?;
        }
        match read.iter().zip(H::FIELDS).find(|(read, _)| !**read) {
            Some((_, name)) => Err(A::Error::missing_field(name)),
            None => settled(header),
        }
    }
}

/// The header with its lengths, if it could be sent.
fn settled<H: Fields, E: Error>(mut header: H) -> Result<H, E> {
    let mut bytes = vec![0; header.len()];
    header.emit(&mut bytes).map_err(E::custom)?;
    match header.settle(&bytes) {
        Ok(true) => Ok(header),
        Ok(false) => Err(E::custom(format_args!(
            "{}: the variable part is not as long as the fields tell",
            H::NAME
        ))),
        Err(error) => Err(E::custom(error)),
    }
}

/// The name of a field, to its index.
struct Name<H>(PhantomData<H>);

impl<'de, H: Fields> DeserializeSeed<'de> for Name<H> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<H: Fields> Visitor<'_> for Name<H> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a field of `{}`", H::NAME)
    }

    fn visit_u64<E: Error>(self, index: u64) -> Result<usize, E> {
        usize::try_from(index)
            .ok()
            .filter(|index| *index < H::FIELDS.len())
            .ok_or_else(|| E::custom(format_args!("`{}` has no field {index}", H::NAME)))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        H::FIELDS
            .iter()
            .position(|field| *field == name)
            .ok_or_else(|| E::unknown_field(name, H::FIELDS))
    }
}

/// The value of a map's entry.
struct Entry<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> Source<'de> for Entry<'_, A> {
    type Error = A::Error;

    fn value<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        self.0.next_value()
    }
}

/// A value of a sequence, which is so long at least.
struct Element<'a, A>(&'a mut A, usize, &'static str);

impl<'de, A: SeqAccess<'de>> Source<'de> for Element<'_, A> {
    type Error = A::Error;

    fn value<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        let Self(values, index, header) = self;
        values
            .next_element()?
            .ok_or_else(|| A::Error::invalid_length(index, &header))
    }
}
