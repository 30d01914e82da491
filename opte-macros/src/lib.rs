//! The derive and stack macros of opte-headers: use them through that crate.
#![forbid(unsafe_code)]

mod diagnostics;
mod header;
mod options;

use proc_macro::TokenStream;

/// Derives a protocol header from a struct: views, getters and setters, field tokens, parse, emit, `Default`, `Display`.
///
/// See the guide in `opte_headers::guide` for what the attribute `#[header(..)]` takes.
#[proc_macro_derive(Header, attributes(header))]
pub fn derive_header(input: TokenStream) -> TokenStream {
    header::derive(input.into()).into()
}

/// Derives a set of typed options from an enum: `#[options(framing = ..)]` on the enum, `#[option(KIND)]` on each variant,
/// `#[option(unknown)]` on the one that keeps the others.
#[proc_macro_derive(OptionSet, attributes(options, option))]
pub fn derive_option_set(input: TokenStream) -> TokenStream {
    options::derive(input.into()).into()
}
