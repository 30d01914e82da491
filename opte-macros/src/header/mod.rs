//! `#[derive(Header)]`.

mod ast;
mod attr;
mod diagram;
mod expand;
#[cfg(test)]
mod golden;
mod names;
mod types;
mod valid;

pub(crate) use names::snake;
pub(crate) use types::as_written;

use crate::diagnostics::Errors;
use proc_macro2::TokenStream;

/// The derive: struct to tokens, by way of its attributes and their checks. After an error what can be generated still is,
/// so that one fault gives one error.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input = match syn::parse2::<syn::DeriveInput>(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let errors = Errors::default();
    let expansion = match ast::Struct::from_input(&input, &errors) {
        Some(ast) => {
            let plan = valid::Plan::new(&ast, &errors);
            expand::expand(&plan, errors.is_empty())
        }
        None => expand::stub(&input),
    };
    let errors = errors.into_tokens();
    quote::quote!(#errors #expansion)
}
