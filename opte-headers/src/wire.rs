//! Values as they stand in bits.
//!
//! [`Wire`] is what bits are read into: integers of 1 to 64 bits and arrays of bytes. [`FieldValue`] is what a field's type
//! must have: a conversion from and to such a value that cannot fail.

use crate::ethertype::Ethertype;
use crate::ip_protocol::IpProtocol;
use crate::mac::MacAddr;
#[cfg(feature = "serde")]
use crate::serialized::Plain as _;
use crate::vni::Vni;
use arbitrary_int::prelude::*;
use arbitrary_int::{Int, UInt};
use core::net::{Ipv4Addr, Ipv6Addr};

/// The type of a header's field.
///
/// ```
/// use opte_headers::FieldValue;
/// #[derive(Clone, Copy, Debug)]
/// struct Port(u16);
/// impl FieldValue for Port {
///     type Wire = u16;
///     fn from_wire(wire: u16) -> Self { Self(wire) }
///     fn to_wire(self) -> u16 { self.0 }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the type of a header's field",
    note = "fields are integers, `[u8; N]`, addresses, types with a `FieldValue` conversion, or headers marked `#[header(field)]`"
)]
pub trait FieldValue: Copy + core::fmt::Debug {
    /// The integer or the bytes it is sent as.
    type Wire: Wire;
    /// The value of what was received; every pattern of bits has one.
    fn from_wire(wire: Self::Wire) -> Self;
    /// What is sent.
    fn to_wire(self) -> Self::Wire;

    /// Writes the value in a format of serde: as what is sent, unless the type says otherwise.
    ///
    /// # Errors
    /// Those of the format.
    #[cfg(feature = "serde")]
    fn serialize_value<S: serde::Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_wire().serialize_plain(serializer)
    }

    /// Reads a value in a format of serde: what [`FieldValue::serialize_value`] writes.
    ///
    /// # Errors
    /// Those of the format; the number is too great for its bits.
    #[cfg(feature = "serde")]
    fn deserialize_value<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        Self::Wire::deserialize_plain(deserializer).map(Self::from_wire)
    }
}

/// Implements [`FieldValue`] by two functions: `field_value!(Flags as u8: Flags::from_bits_retain, Flags::bits)`.
#[macro_export]
macro_rules! field_value {
    ($ty:ty as $wire:ty: $from:expr, $to:expr) => {
        #[diagnostic::do_not_recommend]
        impl $crate::FieldValue for $ty {
            type Wire = $wire;
            #[inline(always)]
            fn from_wire(wire: $wire) -> Self {
                ($from)(wire)
            }
            #[inline(always)]
            fn to_wire(self) -> $wire {
                ($to)(&self)
            }
        }
    };
}

/// An integer of 1 to 64 bits or an array of bytes, at any bit of a header.
pub trait Wire: Copy + sealed::Sealed {
    /// Width.
    const BITS: usize;
    /// All bits zero.
    const ZEROED: Self;
    /// Whether it stands on whole bytes only.
    const WHOLE_BYTES: bool = false;

    /// Reads the value whose first bit is `bit`. Bits beyond the end are zero.
    fn read(bytes: &[u8], bit: usize, little_endian: bool) -> Self;

    /// Writes the value to where its first bit is `bit`. Nothing is written if it does not fit.
    fn write(self, bytes: &mut [u8], bit: usize, little_endian: bool);

    /// Writes the value alone to the front of `out`.
    fn encode(self, out: &mut [u8], little_endian: bool);

    /// The value as a number, for messages; of arrays, the first eight bytes.
    fn number(self) -> u64;

    /// The value of a number that fits.
    fn from_number(number: u64) -> Option<Self>;
}

mod sealed {
    #[cfg(not(feature = "serde"))]
    pub trait Sealed {}
    #[cfg(feature = "serde")]
    pub trait Sealed: crate::serialized::Plain {}
}

/// The `count` bytes from `first` on, most significant first.
#[inline(always)]
fn load(bytes: &[u8], first: usize, count: usize) -> u128 {
    let Some(bytes) = bytes.get(first..) else {
        return 0;
    };
    match count {
        1 => bytes.first().map_or(0, |&byte| u128::from(byte)),
        2 => bytes
            .first_chunk()
            .map_or(0, |&chunk| u128::from(u16::from_be_bytes(chunk))),
        4 => bytes
            .first_chunk()
            .map_or(0, |&chunk| u128::from(u32::from_be_bytes(chunk))),
        8 => bytes
            .first_chunk()
            .map_or(0, |&chunk| u128::from(u64::from_be_bytes(chunk))),
        _ => bytes.get(..count).map_or(0, |bytes| {
            bytes
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u128::from(byte))
        }),
    }
}

/// The `count` bytes from `first` on, least significant first.
#[inline(always)]
fn load_le(bytes: &[u8], first: usize, count: usize) -> u128 {
    let Some(bytes) = bytes.get(first..) else {
        return 0;
    };
    match count {
        1 => bytes.first().map_or(0, |&byte| u128::from(byte)),
        2 => bytes
            .first_chunk()
            .map_or(0, |&chunk| u128::from(u16::from_le_bytes(chunk))),
        4 => bytes
            .first_chunk()
            .map_or(0, |&chunk| u128::from(u32::from_le_bytes(chunk))),
        8 => bytes
            .first_chunk()
            .map_or(0, |&chunk| u128::from(u64::from_le_bytes(chunk))),
        _ => bytes.get(..count).map_or(0, |bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |sum, &byte| sum << 8 | u128::from(byte))
        }),
    }
}

#[inline(always)]
fn store(bytes: &mut [u8], first: usize, count: usize, value: u128) {
    let end = first.saturating_add(count);
    let Some(bytes) = bytes.get_mut(first..end) else {
        return;
    };
    match bytes {
        [byte] => *byte = value as u8,
        [_, _] => bytes.copy_from_slice(&(value as u16).to_be_bytes()),
        [_, _, _, _] => bytes.copy_from_slice(&(value as u32).to_be_bytes()),
        [_, _, _, _, _, _, _, _] => bytes.copy_from_slice(&(value as u64).to_be_bytes()),
        _ => bytes
            .iter_mut()
            .rev()
            .zip(0..16)
            .for_each(|(byte, place)| *byte = (value >> (8 * place)) as u8),
    }
}

#[inline(always)]
fn store_le(bytes: &mut [u8], first: usize, count: usize, value: u128) {
    let end = first.saturating_add(count);
    let Some(bytes) = bytes.get_mut(first..end) else {
        return;
    };
    bytes
        .iter_mut()
        .zip(0..16)
        .for_each(|(byte, place)| *byte = (value >> (8 * place)) as u8);
}

/// Where a run of bits stands: first byte, bytes touched, and the shift that brings it to the low end.
#[inline(always)]
const fn place(bit: usize, bits: usize, little_endian: bool) -> (usize, usize, u32) {
    let end = bit + bits;
    let first = bit / 8;
    let count = end.div_ceil(8) - first;
    let shift = if little_endian {
        bit % 8
    } else {
        (8 - end % 8) % 8
    };
    (first, count, shift as u32)
}

/// The same run of bits in a window of as many bytes as a register has, if there is one; else as it is. Of a header, whose
/// length is a constant, so is the answer.
#[inline(always)]
const fn widened(
    (first, count, shift): (usize, usize, u32),
    len: usize,
    little_endian: bool,
) -> (usize, usize, u32) {
    let window = count.next_power_of_two();
    let more = window - count;
    let ahead = first >= more;
    if window > 8 || more == 0 || !(ahead || first + window <= len) {
        return (first, count, shift);
    }
    let first = if ahead { first - more } else { first };
    if ahead == little_endian {
        (first, window, shift + 8 * more as u32)
    } else {
        (first, window, shift)
    }
}

#[inline(always)]
const fn mask(bits: usize) -> u128 {
    if bits >= 128 {
        u128::MAX
    } else {
        (1 << bits) - 1
    }
}

#[inline(always)]
fn read_bits(bytes: &[u8], bit: usize, bits: usize, little_endian: bool) -> u64 {
    let place = place(bit, bits, little_endian);
    let (first, count, shift) = widened(place, bytes.len(), little_endian);
    let all = if little_endian {
        load_le(bytes, first, count)
    } else {
        load(bytes, first, count)
    };
    ((all >> shift) & mask(bits)) as u64
}

#[inline(always)]
fn write_bits(bytes: &mut [u8], bit: usize, bits: usize, little_endian: bool, value: u64) {
    let (mut first, mut count, mut shift) = place(bit, bits, little_endian);
    let mut all = u128::from(value);
    if shift != 0 || bits != count * 8 {
        (first, count, shift) = widened((first, count, shift), bytes.len(), little_endian);
        let old = if little_endian {
            load_le(bytes, first, count)
        } else {
            load(bytes, first, count)
        };
        all = (old & !(mask(bits) << shift)) | ((all & mask(bits)) << shift);
    }
    if little_endian {
        store_le(bytes, first, count, all)
    } else {
        store(bytes, first, count, all)
    }
}

/// `Wire` and `FieldValue` for an integer by its conversion to and from the low bits of a `u64`.
macro_rules! integer {
    ($(@[$($generics:tt)*])? $ty:ty, $bits:expr, $zero:expr, |$value:ident| $to:expr, |$raw:ident| $from:expr) => {
        impl $(<$($generics)*>)? sealed::Sealed for $ty {}
        impl $(<$($generics)*>)? Wire for $ty {
            const BITS: usize = $bits;
            const ZEROED: Self = $zero;
            #[inline(always)]
            fn read(bytes: &[u8], bit: usize, little_endian: bool) -> Self {
                let $raw = read_bits(bytes, bit, <Self as Wire>::BITS, little_endian);
                $from
            }
            #[inline(always)]
            fn write(self, bytes: &mut [u8], bit: usize, little_endian: bool) {
                write_bits(bytes, bit, <Self as Wire>::BITS, little_endian, self.number());
            }
            #[inline(always)]
            fn encode(self, out: &mut [u8], little_endian: bool) {
                let count = <Self as Wire>::BITS.div_ceil(8);
                let value = u128::from(self.number());
                if little_endian { store_le(out, 0, count, value) } else { store(out, 0, count, value) }
            }
            #[inline(always)]
            fn number(self) -> u64 {
                let $value = self;
                ($to) & mask(<Self as Wire>::BITS) as u64
            }
            #[inline(always)]
            fn from_number($raw: u64) -> Option<Self> {
                if $raw & !(mask(<Self as Wire>::BITS) as u64) == 0 { Some($from) } else { None }
            }
        }
        #[diagnostic::do_not_recommend]
        impl $(<$($generics)*>)? FieldValue for $ty {
            type Wire = Self;
            #[inline(always)]
            fn from_wire(wire: Self) -> Self {
                wire
            }
            #[inline(always)]
            fn to_wire(self) -> Self {
                self
            }
        }
    };
}

integer!(bool, 1, false, |value| u64::from(value), |raw| raw != 0);
integer!(u8, 8, 0, |value| u64::from(value), |raw| raw as u8);
integer!(u16, 16, 0, |value| u64::from(value), |raw| raw as u16);
integer!(u32, 32, 0, |value| u64::from(value), |raw| raw as u32);
integer!(u64, 64, 0, |value| value, |raw| raw);
integer!(i8, 8, 0, |value| value as u64, |raw| raw as i8);
integer!(i16, 16, 0, |value| value as u64, |raw| raw as i16);
integer!(i32, 32, 0, |value| value as u64, |raw| raw as i32);
integer!(i64, 64, 0, |value| value as u64, |raw| raw as i64);
integer!(@[const B: usize] UInt<u8, B>, B, <UInt<u8, B> as Integer>::ZERO, |value| u64::from(value.value()), |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] UInt<u16, B>, B, <UInt<u16, B> as Integer>::ZERO, |value| u64::from(value.value()), |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] UInt<u32, B>, B, <UInt<u32, B> as Integer>::ZERO, |value| u64::from(value.value()), |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] UInt<u64, B>, B, <UInt<u64, B> as Integer>::ZERO, |value| value.value(), |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] Int<i8, B>, B, <Int<i8, B> as Integer>::ZERO, |value| value.value() as u64, |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] Int<i16, B>, B, <Int<i16, B> as Integer>::ZERO, |value| value.value() as u64, |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] Int<i32, B>, B, <Int<i32, B> as Integer>::ZERO, |value| value.value() as u64, |raw| Self::extract_u64(raw, 0));
integer!(@[const B: usize] Int<i64, B>, B, <Int<i64, B> as Integer>::ZERO, |value| value.value() as u64, |raw| Self::extract_u64(raw, 0));

impl<const N: usize> sealed::Sealed for [u8; N] {}
impl<const N: usize> Wire for [u8; N] {
    const BITS: usize = 8 * N;
    const ZEROED: Self = [0; N];
    const WHOLE_BYTES: bool = true;

    #[inline(always)]
    fn read(bytes: &[u8], bit: usize, _little_endian: bool) -> Self {
        bytes
            .get(bit / 8..)
            .and_then(|bytes| bytes.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }

    #[inline(always)]
    fn write(self, bytes: &mut [u8], bit: usize, _little_endian: bool) {
        if let Some(place) = bytes
            .get_mut(bit / 8..)
            .and_then(|bytes| bytes.first_chunk_mut())
        {
            *place = self;
        }
    }

    #[inline(always)]
    fn encode(self, out: &mut [u8], _little_endian: bool) {
        out.iter_mut()
            .zip(self)
            .for_each(|(place, byte)| *place = byte);
    }

    fn from_number(number: u64) -> Option<Self> {
        let mut bytes = [0; N];
        let numbered = number.to_be_bytes();
        bytes
            .iter_mut()
            .rev()
            .zip(numbered.iter().rev())
            .for_each(|(place, byte)| *place = *byte);
        (bytes.number() == number || N > 8).then_some(bytes)
    }

    fn number(self) -> u64 {
        self.iter()
            .take(8)
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
}
#[diagnostic::do_not_recommend]
impl<const N: usize> FieldValue for [u8; N] {
    type Wire = Self;

    #[inline(always)]
    fn from_wire(wire: Self) -> Self {
        wire
    }

    #[inline(always)]
    fn to_wire(self) -> Self {
        self
    }
}

/// An address, which serde formats show as customary.
macro_rules! address {
    ($ty:ty as $wire:ty: $from:expr, $to:expr) => {
        #[diagnostic::do_not_recommend]
        impl FieldValue for $ty {
            type Wire = $wire;

            #[inline(always)]
            fn from_wire(wire: $wire) -> Self {
                ($from)(wire)
            }

            #[inline(always)]
            fn to_wire(self) -> $wire {
                ($to)(&self)
            }

            #[cfg(feature = "serde")]
            fn serialize_value<S: serde::Serializer>(
                self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&self, serializer)
            }

            #[cfg(feature = "serde")]
            fn deserialize_value<'de, D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        }
    };
}

address!(MacAddr as [u8; 6]: MacAddr, |mac: &MacAddr| mac.0);
address!(Ipv4Addr as [u8; 4]: Ipv4Addr::from_octets, Ipv4Addr::octets);
address!(Ipv6Addr as [u8; 16]: Ipv6Addr::from_octets, Ipv6Addr::octets);
field_value!(Ethertype as u16: Ethertype, |ethertype: &Ethertype| ethertype.0);
field_value!(IpProtocol as u8: IpProtocol, |protocol: &IpProtocol| protocol.0);
field_value!(Vni as u24: Vni::from_u24, |vni: &Vni| vni.as_u24());

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn network_order_bits() {
        let bytes = [
            0b1010_0001,
            0b1111_1111,
            0b0000_1000,
            0x12,
            0x34,
            0x56,
            0x78,
            0x9a,
            0xbc,
            0xde,
        ];
        assert_eq!(u4::read(&bytes, 0, false), u4::new(0b1010));
        assert_eq!(u1::read(&bytes, 7, false), u1::new(1));
        assert_eq!(u13::read(&bytes, 3, false), u13::new(0b0_0001_1111_1111));
        assert_eq!(u24::read(&bytes, 24, false), u24::new(0x12_3456));
        assert_eq!(u64::read(&bytes, 4, false), 0x1ff0_8123_4567_89ab);
        assert_eq!(i4::read(&bytes, 0, false), i4::new(-6));
        assert_eq!(<[u8; 2]>::read(&bytes, 24, false), [0x12, 0x34]);
    }

    #[test]
    fn little_endian_bits_count_from_the_low_end() {
        let bytes = [0x34, 0x12, 0xab, 0xcd];
        assert_eq!(u16::read(&bytes, 0, true), 0x1234);
        assert_eq!(u12::read(&bytes, 0, true), u12::new(0x234));
        assert_eq!(u4::read(&bytes, 12, true), u4::new(1));
        assert_eq!(u24::read(&bytes, 8, true), u24::new(0xcd_ab12));
    }

    #[test]
    fn every_place_writes_what_it_reads_and_touches_nothing_else() {
        for little_endian in [false, true] {
            for bit in 0..=24 {
                let mut bytes = [0xa5; 12];
                let whole = u64::read(&bytes, bit, little_endian);
                u37::new(0).write(&mut bytes, bit, little_endian);
                assert_eq!(u37::read(&bytes, bit, little_endian), u37::new(0));
                let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
                let of_field = (whole & ((1 << 37) - 1)).count_ones();
                let of_field = if little_endian {
                    of_field
                } else {
                    (whole >> 27).count_ones()
                };
                assert_eq!(ones, 48 - of_field, "bit {bit} le {little_endian}");
                u64::MAX.write(&mut bytes, bit, little_endian);
                assert_eq!(u64::read(&bytes, bit, little_endian), u64::MAX);
            }
        }
    }

    #[test]
    fn out_of_bounds_is_zero_and_leaves_bytes_alone() {
        let mut bytes = [7; 3];
        assert_eq!(u32::read(&bytes, 0, false), 0);
        9u32.write(&mut bytes, 0, false);
        assert_eq!(bytes, [7; 3]);
    }

    #[test]
    fn encoded_alone() {
        let mut out = [0xff; 4];
        u12::new(0x234).encode(&mut out, false);
        assert_eq!(out, [0x02, 0x34, 0xff, 0xff]);
        Vni::new(0x01_0203)
            .unwrap()
            .to_wire()
            .encode(&mut out, true);
        assert_eq!(out, [3, 2, 1, 0xff]);
        (-2i16).encode(&mut out, false);
        assert_eq!(out, [0xff, 0xfe, 1, 0xff]);
    }
}
