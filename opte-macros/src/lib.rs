//! The derive and stack macros of opte-headers: use them through that crate.
#![forbid(unsafe_code)]

mod diagnostics;
mod header;
mod options;
mod set;
mod stack;

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

/// A parser of a stack of headers: `pub fn name = Ethernet [Vlan] (Ipv4 (Tcp | Udp)? | Arp)?;`.
///
/// `A B` is B behind A, `[A]` A or nothing, `(A | B)` a choice, `(A | B)?` at the end a choice that may fail, `A if guard` A on a
/// condition, `A => control` A and a function called behind it. The function takes `&[u8]` and gives `Result<Parsed, ParseError>`, or
/// with `-> Form` a type of its own with views; headers implement `Header`, `Stacked` and `Follows` their parents. See
/// `opte_headers::guide::stacks`.
#[proc_macro]
pub fn stack_parser(input: TokenStream) -> TokenStream {
    stack::expand(input.into()).into()
}

/// Sets several fields of a transformation in one step: `set!(transform, ipv4::Source = address, tcp::Source = port)`. Each
/// field once: there is no order among them.
#[proc_macro]
pub fn set(input: TokenStream) -> TokenStream {
    set::expand(input.into()).into()
}
