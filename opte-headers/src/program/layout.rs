//! The documented layout of a program is the one it has.

extern crate std;

use super::{Bits, Entropy, Length, Prefix, Program, Rewrite, SumPlace, Window};
use core::mem::offset_of;
use std::string::{String, ToString};
use std::vec::Vec;

/// The rows `| FROM..TO | `field` .. |` of the tables of a file: first byte, byte behind, field.
fn documented(text: &str) -> Vec<(usize, usize, String)> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("/// | "));
    rows.filter_map(|row| {
        let (bytes, rest) = row.split_once(" | ")?;
        let (from, to) = bytes.split_once("..").unwrap_or((bytes, ""));
        let from: usize = from.parse().ok()?;
        let to = to.parse().unwrap_or(from + 1);
        let name = rest
            .split(['`', '[', ']', ' ', ',', ':'])
            .find(|word| !word.is_empty());
        Some((from, to, name.unwrap_or_default().to_string()))
    })
    .collect()
}

macro_rules! fields {
    ($type:ty: $($field:ident),*) => {
        [$((offset_of!($type, $field), stringify!($field))),*]
    };
}

/// Each field starts where its row says, and its row ends where the next field starts.
fn agree(rows: &[(usize, usize, String)], fields: &[(usize, &str)], len: usize) {
    assert_eq!(rows.len(), fields.len());
    let ends = fields.iter().skip(1).map(|(at, _)| *at).chain([len]);
    for ((row, (at, name)), end) in rows.iter().zip(fields).zip(ends) {
        assert_eq!((row.0, row.1), (*at, end), "{name}");
    }
}

#[test]
fn of_the_prefix() {
    let rows = documented(include_str!("prefix.rs"));
    let fields = fields!(Prefix: data, at, lengths, entropy, sums, len, pop, headers, length_count, reserved);
    agree(&rows, &fields, size_of::<Prefix>());
    let names = rows.iter().map(|(.., name)| name.as_str());
    assert!(names.eq(fields.iter().map(|(_, name)| *name)));
}

#[test]
fn of_the_rewrite() {
    let rows = documented(include_str!("rewrite.rs"));
    let fields = fields!(Rewrite: data, windows, bits, places, window_count, bits_count, place_count, form, last, reach, reserved);
    agree(&rows, &fields, size_of::<Rewrite>());
}

#[test]
fn of_the_program_and_its_parts() {
    let text = include_str!("../program.rs");
    let rows = documented(text);
    agree(
        &rows,
        &fields!(Program: prefix, rewrite),
        size_of::<Program>(),
    );
    let parts = [
        (
            "Window",
            size_of::<Window>(),
            fields!(Window: header, offset, mask, cover).to_vec(),
        ),
        (
            "Bits",
            size_of::<Bits>(),
            fields!(Bits: header, offset, mask, value, cover).to_vec(),
        ),
        (
            "SumPlace",
            size_of::<SumPlace>(),
            fields!(SumPlace: header, offset, flags, add).to_vec(),
        ),
        (
            "Length",
            size_of::<Length>(),
            fields!(Length: at, sum, addend).to_vec(),
        ),
        (
            "Entropy",
            size_of::<Entropy>(),
            fields!(Entropy: at, or).to_vec(),
        ),
    ];
    for (name, len, fields) in parts {
        let fields: Vec<_> = fields
            .iter()
            .map(|(at, field)| std::format!("{at} `{field}`"))
            .collect();
        let row = std::format!("/// | [`{name}`] | {len} | {} |", fields.join(", "));
        assert!(text.lines().any(|line| line == row), "{row}");
    }
}
