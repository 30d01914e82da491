//! Fields of any width at any bit, against an oracle that goes bit by bit: what getters read, setters write, and what of the
//! bytes beside them stays. The layouts are generated (`build.rs`); every width at every bit of a byte is tried besides.

#![allow(missing_docs)]

use arbitrary_int::UInt;
use arbitrary_int::prelude::*;
use opte_headers::{FieldValue, Header, Wire};
use proptest::collection::vec;
use proptest::prelude::*;

/// Which bit of the bytes is bit `n` of a field, counted from its least significant one: its byte, and its value there.
fn place(offset: usize, bits: usize, little_endian: bool, n: usize) -> (usize, u8) {
    if little_endian {
        let bit = offset + n;
        (bit / 8, 1 << (bit % 8))
    } else {
        let bit = offset + bits - 1 - n;
        (bit / 8, 0x80 >> (bit % 8))
    }
}

fn read(bytes: &[u8], offset: usize, bits: usize, little_endian: bool) -> u64 {
    (0..bits)
        .filter(|&n| {
            let (byte, mask) = place(offset, bits, little_endian, n);
            bytes[byte] & mask != 0
        })
        .fold(0, |value, n| value | 1 << n)
}

fn write(bytes: &mut [u8], offset: usize, bits: usize, little_endian: bool, value: u64) {
    for n in 0..bits {
        let (byte, mask) = place(offset, bits, little_endian, n);
        if value >> n & 1 == 1 {
            bytes[byte] |= mask;
        } else {
            bytes[byte] &= !mask;
        }
    }
}

/// The number as people write it.
fn text(value: u64, bits: usize, signed: bool) -> String {
    if signed {
        (((value << (64 - bits)) as i64) >> (64 - bits)).to_string()
    } else {
        value.to_string()
    }
}

fn low(value: u64, bits: usize) -> u64 {
    value & (u64::MAX >> (64 - bits))
}

fn of<T: FieldValue>(value: u64) -> T {
    T::from_wire(T::Wire::from_number(value).unwrap())
}

/// Tests a header: reading, writing through a view, writing to the struct, emitting.
macro_rules! layout {
    ($test:ident, $header:ident, $len:literal, $le:literal;
        $($field:ident $set:ident: $ty:ty, $offset:literal, $bits:literal, $signed:literal;)*) => {
        fn $test(bytes: &[u8], values: &[u64]) {
            let mut expected = bytes[..$len].to_vec();
            let (view, rest) = $header::parse(bytes).unwrap();
            assert_eq!(rest.len(), bytes.len() - $len);
            $({
                let value = read(bytes, $offset, $bits, $le);
                assert_eq!(view.$field().to_wire().number(), value);
                assert_eq!(format!("{:?}", view.$field()), text(value, $bits, $signed));
            })*
            let mut owned = view.to_owned();
            let mut out = vec![0xff; $len];
            assert_eq!(owned.emit(&mut out), Ok($len));
            assert_eq!(out, expected);
            let mut values = values.iter().cycle();
            $(
                let value = low(*values.next().unwrap(), $bits);
                write(&mut expected, $offset, $bits, $le, value);
                $header::parse_mut(&mut out).unwrap().0.$set(of::<$ty>(value));
                assert_eq!(out, expected);
                owned.$set(of::<$ty>(value));
            )*
            let mut again = vec![0; $len];
            assert_eq!(owned.emit(&mut again), Ok($len));
            assert_eq!(again, expected);
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/layouts.rs"));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 48 }))]
    #[test]
    fn generated_layouts(bytes in vec(any::<u8>(), 96), values in vec(any::<u64>(), 11)) {
        every_layout(&bytes, &values);
    }
}

/// One width, at every bit of a byte, in both orders.
fn width<T: Wire>(bytes: &[u8; 17], value: u64) {
    for (bit, little_endian) in (0..16).flat_map(|bit| [(bit, false), (bit, true)]) {
        let mut found = *bytes;
        let mut expected = *bytes;
        let read_bits = T::read(&found, bit, little_endian).number();
        assert_eq!(read_bits, read(bytes, bit, T::BITS, little_endian));
        let value = low(value, T::BITS);
        T::from_number(value)
            .unwrap()
            .write(&mut found, bit, little_endian);
        write(&mut expected, bit, T::BITS, little_endian, value);
        assert_eq!(found, expected, "{} bits at bit {bit}", T::BITS);
        // Without a byte to spare behind it.
        let end = (bit + T::BITS).div_ceil(8);
        assert_eq!(
            T::read(&bytes[..end], bit, little_endian).number(),
            read_bits
        );
        let mut tight = bytes[..end].to_vec();
        T::from_number(value)
            .unwrap()
            .write(&mut tight, bit, little_endian);
        assert_eq!(tight, expected[..end]);
    }
}

macro_rules! widths {
    ($($inner:ty: $($bits:literal)*;)*) => {
        fn every_width(bytes: &[u8; 17], value: u64) {
            $($(width::<UInt<$inner, $bits>>(bytes, value);)*)*
            width::<u8>(bytes, value);
            width::<u16>(bytes, value);
            width::<u32>(bytes, value);
            width::<u64>(bytes, value);
        }
    };
}

widths! {
    u8: 1 2 3 4 5 6 7;
    u16: 9 10 11 12 13 14 15;
    u32: 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31;
    u64: 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 32 }))]
    #[test]
    fn every_width_at_every_bit(bytes: [u8; 17], value: u64) {
        every_width(&bytes, value);
    }
}

/// 37 bits from bit 3 on, and twelve little-endian ones across a byte.
#[derive(Clone, Debug, PartialEq, Header)]
struct Odd {
    first: u3,
    odd: u37,
    last: u8,
}

#[derive(Clone, Debug, PartialEq, Header)]
#[header(le)]
struct Little {
    first: u4,
    across: u12,
    signed: i24,
}

/// Network order but for one field.
#[derive(Clone, Debug, PartialEq, Header)]
struct Mixed {
    #[header(le)]
    little: u24,
    big: u24,
}

#[test]
fn known_bits() {
    let mixed = Mixed {
        little: u24::new(0x01_0203),
        big: u24::new(0x01_0203),
    };
    let mut out = [0; 6];
    assert_eq!(mixed.emit(&mut out), Ok(6));
    assert_eq!(out, [3, 2, 1, 1, 2, 3]);
    let odd = Odd {
        first: u3::new(0b101),
        odd: u37::new(0x10_0000_0001),
        last: 0xee,
    };
    let mut out = [0; 6];
    assert_eq!(odd.emit(&mut out), Ok(6));
    assert_eq!(out, [0b1011_0000, 0, 0, 0, 1, 0xee]);
    let little = Little {
        first: u4::new(0xf),
        across: u12::new(0x123),
        signed: i24::new(-2),
    };
    let mut out = [0; 5];
    assert_eq!(little.emit(&mut out), Ok(5));
    assert_eq!(out, [0x3f, 0x12, 0xfe, 0xff, 0xff]);
}
