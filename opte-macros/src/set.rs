//! `set!`: several fields in one step.

use crate::diagnostics::Errors;
use crate::header::as_written;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Expr, Path, Token, Type};

/// The macro.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Step>(input) {
        Ok(step) => step.expand(),
        Err(error) => error.into_compile_error(),
    }
}

/// `transform, FIELD = VALUE, ..`, in front of it `crate = PATH;` where opte-headers has another name.
struct Step {
    krate: Path,
    transform: Expr,
    fields: Vec<(Type, Expr)>,
}

impl Parse for Step {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut krate = syn::parse_quote!(::opte_headers);
        if input.peek(Token![crate]) && input.peek2(Token![=]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            krate = input.call(Path::parse_mod_style)?;
            input.parse::<Token![;]>()?;
        }
        let transform = input.parse()?;
        let mut fields = Vec::new();
        while input.parse::<Option<Token![,]>>()?.is_some() && !input.is_empty() {
            let field = input.parse()?;
            input.parse::<Token![=]>()?;
            fields.push((field, input.parse()?));
        }
        if !input.is_empty() {
            return Err(input.error("expected `,` and another `FIELD = VALUE`"));
        }
        Ok(Self {
            krate,
            transform,
            fields,
        })
    }
}

impl Step {
    fn expand(&self) -> TokenStream {
        let Self {
            krate,
            transform,
            fields,
        } = self;
        let errors = Errors::default();
        let mut seen = Vec::new();
        let mut step = quote!(#transform);
        let mut assertions = TokenStream::new();
        for (field, value) in fields {
            let name = as_written(field);
            if seen.iter().any(|(other, _)| *other == name) {
                errors.on(
                    field,
                    format!("`{name}` is set twice in one step; which value holds is not said: leave one of them out"),
                );
                continue;
            }
            // Other names can mean the same field, and fields can overlap: the compiler knows.
            for (_, other) in &seen {
                assertions.extend(quote_spanned! {field.span()=>
                    const { #krate::derive::assert_distinct::<#other, #field>() };
                });
            }
            seen.push((name, field));
            step = quote_spanned! {field.span()=>
                #krate::transform::Set::set::<#field>(#step, #value)
            };
        }
        let errors = errors.into_tokens();
        quote!({ #errors #assertions #step })
    }
}
