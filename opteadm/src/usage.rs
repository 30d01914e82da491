//! What is wrong with the arguments, in one line.

use std::error::Error as _;
use std::net::AddrParseError;
use std::num::{IntErrorKind, ParseIntError};

use clap::error::ErrorKind;

/// The first paragraph of the error, which says what is wrong, and what would be right, if that is short. `--help` says the rest.
pub(crate) fn line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
        lines.join(" ")
    });
    let first = paragraphs.next().unwrap_or_default();
    let mut line = first.strip_prefix("error: ").unwrap_or(&first).to_owned();
    if let Some(expected) = error.source().and_then(expected) {
        line += &format!(" (expected {expected})");
    }
    let rest: Vec<String> = paragraphs.collect();
    let after = |start: &str| {
        let mut rest = rest.iter();
        rest.find_map(|paragraph| paragraph.strip_prefix(start))
    };
    match (error.kind(), after("tip: "), after("Usage: ")) {
        (_, Some(tip), _) => line += &format!(" ({tip})"),
        (ErrorKind::InvalidSubcommand, None, _) => line += " (`opteadm --help` lists all)",
        (ErrorKind::UnknownArgument, None, Some(usage)) => line += &format!(" (usage: {usage})"),
        _ => {}
    }
    line
}

/// What the standard library does not say.
fn expected(source: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(error) = source.downcast_ref::<AddrParseError>() {
        return Some(match error.to_string().contains("IPv6") {
            true => "an address as in fd00::1",
            false => "an address as in 10.0.0.1 or fd00::1",
        });
    }
    let number = source.downcast_ref::<ParseIntError>()?;
    Some(match number.kind() {
        IntErrorKind::PosOverflow => "a number of 64 bits",
        _ => "a number",
    })
}

#[cfg(test)]
mod tests;
