//! The module of field tokens, and what each token is.

use super::documentation;
use super::layout::bit_offset;
use crate::header::names;
use crate::header::valid::{Fixed, Plan};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Visibility;
use syn::ext::IdentExt;

/// The module of field tokens, and what each token is.
pub(super) fn tokens(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        vis,
        ident,
        krate,
        module,
        ..
    } = plan;
    let inner_vis = inner_visibility(vis);
    let names = plan.fields.iter().map(|fixed| {
        let (docs, token) = (documentation::of_token(plan, fixed), &fixed.token);
        quote! {
            #docs
            #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
            #inner_vis struct #token;
        }
    });
    let mut before: Option<&Fixed<'_>> = None;
    let impls = plan.fields.iter().map(|fixed| {
        let (token, ty) = (&fixed.token, fixed.field.ty);
        let name = fixed.field.ident.unraw().to_string();
        let offset = bit_offset(plan, before, fixed);
        before = Some(fixed);
        let little_endian = fixed.little_endian.then(|| {
            quote!(
                const LITTLE_ENDIAN: bool = true;
            )
        });
        let set = if fixed.is_settable() {
            quote!(Open)
        } else {
            quote!(Closed)
        };
        let key = match &fixed.field.attrs.key {
            Some(part) => {
                let part = names::token(part);
                quote!(InKey<#krate::derive::part::#part>)
            }
            None => quote!(NoKey),
        };
        quote! {
            #[automatically_derived]
            impl #krate::Field for #module::#token {
                type Header = #ident;
                type Value = #ty;
                type Set = #krate::derive::#set;
                type Key = #krate::derive::#key;
                const NAME: &'static str = #name;
                const BIT_OFFSET: usize = #offset;
                #little_endian
            }
        }
    });
    let doc = format!(" The fields of [`{ident}`](super::{ident}), as tokens.");
    quote! {
        #[doc = #doc]
        #[allow(dead_code, clippy::module_inception)]
        #vis mod #module {
            #(#names)*
        }
        #(#impls)*
    }
}

/// The visibility that, in a module inside, reaches as far as the struct's own.
fn inner_visibility(vis: &Visibility) -> TokenStream {
    match vis {
        Visibility::Inherited => quote!(pub(super)),
        Visibility::Restricted(restricted) if restricted.path.is_ident("super") => {
            quote!(pub(in super::super))
        }
        Visibility::Restricted(restricted) if restricted.path.is_ident("self") => {
            quote!(pub(super))
        }
        other => quote!(#other),
    }
}
