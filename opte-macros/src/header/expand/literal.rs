//! Values that are written in the header.

use crate::header::types;
use crate::header::valid::Plan;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Type};

/// A value as written; a bare number for a type of unusual width is made one of that type while compiling, and one that is
/// too great, which was reported, is left out.
pub(super) fn literal(ty: &Type, value: &Expr) -> TokenStream {
    let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = value
    else {
        return quote_spanned!(value.span()=> #value);
    };
    let width = types::width(ty).or_else(|| types::unusual_width(ty));
    let number = match (width, number.base10_parse::<u64>()) {
        (Some(bits), Ok(value)) if bits < 64 && value >> bits != 0 => quote!(0),
        _ => quote!(#number),
    };
    match types::unusual_width(ty) {
        None => quote_spanned!(value.span()=> #number),
        Some(_) => quote_spanned!(value.span()=> const { <#ty>::new(#number) }),
    }
}

/// Fields that an error was reported for, so that the struct can still be made.
pub(super) fn refused(plan: &Plan<'_>) -> TokenStream {
    let fields = plan.refused.iter().map(|field| field.ident);
    let krate = &plan.krate;
    quote!(#(#fields: #krate::derive::refused(),)*)
}
