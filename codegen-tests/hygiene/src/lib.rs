//! Derived headers where nothing helps them: no standard library, no allocation, no prelude, nothing imported but the derive, and
//! opte-headers under another name. It compiles, without a warning: that is the test.
#![no_std]
#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(elided_lifetimes_in_paths, trivial_casts, unused_lifetimes)]

pub mod functions;
pub mod shadowed;
pub mod visibility;

use ::wire::{Ethernet, Header, Ipv4, Udp};

/// A header with a tail.
#[derive(::core::fmt::Debug, Header)]
#[header(crate = ::wire, follows(::wire::Udp = 7))]
pub struct Plain {
    /// Always 2.
    #[header(const = 2)]
    pub version: ::numbers::u4,
    /// Four bits.
    pub class: ::numbers::u4,
    /// Counts the body.
    #[header(length(of = tail, unit = 2))]
    pub length: u8,
    /// A name that Rust has taken.
    pub r#type: u16,
    /// Tells what follows.
    #[header(next)]
    pub next: u16,
    /// The body.
    #[header(bytes(len = length * 2))]
    pub body: ::wire::TailBytes<512>,
}

/// Options.
#[derive(::core::fmt::Debug, ::wire::OptionSet)]
#[options(framing = ::wire::options::KindLength, crate = ::wire)]
pub enum Setting<'a> {
    /// A size.
    #[option(2)]
    Size(u16),
    /// Any other.
    #[option(unknown)]
    Unknown(::wire::RawOption<'a, u8>),
}

/// A header with options.
#[derive(::core::fmt::Debug, Header)]
#[header(crate = ::wire, follows(Plain = 1 | 2))]
pub struct Settings {
    /// Counts the options.
    #[header(length(of = tail))]
    pub length: u8,
    /// The options.
    #[header(options(len = length))]
    pub settings: ::wire::Options<Setting<'static>, 255>,
}

/// A header in headers.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, Header)]
#[header(crate = ::wire, field, le)]
pub struct Place {
    /// Eastwards.
    pub x: ::numbers::i12,
    /// Northwards.
    pub y: ::numbers::i12,
}

/// A header with a field whose width only the compiler knows.
#[derive(::core::fmt::Debug, Header)]
#[header(crate = ::wire)]
pub struct Placed {
    /// Where.
    pub place: Place,
    /// Zero.
    #[header(reserved)]
    pub reserved: u8,
}

::wire::stack_parser! {
    #[header(crate = ::wire)]
    /// Frames that carry it.
    pub fn parse_plain = Ethernet Ipv4 Udp Plain;
}

impl ::wire::frame::Stacked for Plain {}

/// One step of two fields.
pub fn readdress(port: u16) -> ::wire::Program {
    type Guest = ::wire::stack![::wire::Ethernet, ::wire::Ipv4, ::wire::Udp];
    let step = ::wire::set!(
        crate = ::wire;
        ::wire::Transform::on::<Guest>(),
        ::wire::udp::Source = port,
        ::wire::udp::Destination = port,
    );
    step.compile()
}
