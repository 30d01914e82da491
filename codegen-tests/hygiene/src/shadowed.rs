//! Every name that generated code could want means something else here.
#![allow(unused_macros)]

/// Not the crate.
pub mod core {}
/// Not the crate.
pub mod std {}
/// Not the type.
#[derive(::core::fmt::Debug)]
pub struct Option;
/// Not the type.
#[derive(::core::fmt::Debug)]
pub struct Result;
/// Not the variant.
#[derive(::core::fmt::Debug)]
pub struct Some;
/// Not the variant.
#[derive(::core::fmt::Debug)]
pub struct None;
/// Not the variant.
#[derive(::core::fmt::Debug)]
pub struct Ok;
/// Not the variant.
#[derive(::core::fmt::Debug)]
pub struct Err;
/// Not the types.
#[derive(::core::fmt::Debug)]
pub struct Bytes;
/// Not the trait.
pub trait Default {}
/// Not the trait.
pub trait Clone {}
/// Not the trait.
pub trait Copy {}
/// Not the trait.
pub trait Debug {}
/// Not the trait.
pub trait Display {}
/// Not the trait.
pub trait Header {}
/// Not the trait.
pub trait Field {}
/// Not the trait.
pub trait FieldValue {}

macro_rules! stringify {
    ($($t:tt)*) => {
        compile_error!("the user's own")
    };
}
macro_rules! format_args {
    ($($t:tt)*) => {
        compile_error!("the user's own")
    };
}

/// A header in spite of it all.
#[derive(::core::fmt::Debug, ::wire::Header)]
#[header(crate = ::wire)]
pub struct Shadowed {
    /// A name of the generated code's.
    #[header(hex)]
    pub value: u16,
    /// A name of the generated code's.
    pub bytes: u16,
    /// A name of the generated code's.
    pub fixed: u16,
    /// A name of the generated code's.
    pub out: u16,
    /// A name of the generated code's.
    pub f: u16,
    /// A name of the generated code's.
    #[header(next)]
    pub view: u16,
    /// Counts the rest.
    #[header(length(of = header))]
    pub rest: u16,
    /// A name of the generated code's.
    #[header(bytes(len = rest - 14))]
    pub tail: ::wire::TailBytes<4>,
}

/// What the user's names mean still.
pub fn names() -> (Option, Result, Some, None, Ok, Err) {
    (Option, Result, Some, None, Ok, Err)
}
