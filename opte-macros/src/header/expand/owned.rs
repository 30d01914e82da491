//! What the struct itself can do: `Default`, `Header`.

use super::layout::min_len;
use super::literal::{literal, refused};
use super::relations;
use crate::header::attr::LengthOf;
use crate::header::valid::{Fixed, Plan};
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

/// `Default` and `Header` of the struct.
pub(super) fn owned(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        ident,
        krate,
        view,
        getters,
        ..
    } = plan;
    let name = ident.unraw().to_string();
    let min_len = min_len(plan);
    let defaults = plan.fields.iter().map(|fixed| {
        let (field, value) = (fixed.field.ident, default(plan, fixed));
        quote!(#field: #value,)
    });
    let tail_default = plan.tail.iter().map(|tail| {
        let field = tail.field.ident;
        match &tail.field.attrs.default {
            Some(value) => quote!(#field: #value,),
            None => {
                let held = relations::tail_of(plan, tail);
                quote!(#field: #held::empty(),)
            }
        }
    });
    let refused = refused(plan);
    let roles = relations::roles(plan);
    let len = len(plan);
    let emit = emit(plan);
    let (selector, get, get_view, select) = match plan.next() {
        None => {
            let none = quote!(#krate::NoSelector);
            (none.clone(), none.clone(), none, TokenStream::new())
        }
        Some(next) => {
            let (field, ty) = (next.field.ident, next.field.ty);
            let select = quote!(self.#field = next;);
            (
                quote!(#ty),
                quote!(self.#field),
                quote!(#getters::#field(view)),
                select,
            )
        }
    };
    let unsupported = match plan.next() {
        None => quote!(#krate::ParseError::unsupported(#name, "", 0)),
        Some(next) => {
            let (module, token) = (&plan.module, &next.token);
            quote!(#krate::derive::unsupported::<#module::#token>(next))
        }
    };
    let (view_arg, next_arg) = match plan.next() {
        None => (quote!(_), quote!(_)),
        Some(_) => (quote!(view), quote!(next)),
    };
    quote! {
        #[automatically_derived]
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                Self { #(#defaults)* #(#tail_default)* #refused }
            }
        }

        #[automatically_derived]
        impl #krate::Header for #ident {
            const NAME: &'static str = #name;
            const MIN_LEN: usize = #min_len;
            #roles
            type View<'__a> = #view<&'__a [u8]>;
            type ViewMut<'__a> = #view<&'__a mut [u8]>;
            type Selector = #selector;

            #[inline]
            fn parse(bytes: &[u8]) -> ::core::result::Result<(Self::View<'_>, &[u8]), #krate::ParseError> {
                #view::parse(bytes)
            }

            #[inline]
            fn parse_mut(bytes: &mut [u8])
                -> ::core::result::Result<(Self::ViewMut<'_>, &mut [u8]), #krate::ParseError>
            {
                #view::parse(bytes)
            }

            fn len(&self) -> usize { #len }

            fn emit(&self, out: &mut [u8]) -> ::core::result::Result<usize, #krate::EmitError> { #emit }

            #[inline]
            fn selector(&self) -> Self::Selector { #get }

            #[inline]
            fn view_selector(#view_arg: &Self::View<'_>) -> Self::Selector { #get_view }

            fn unsupported(#next_arg: Self::Selector) -> #krate::ParseError { #unsupported }

            #[inline]
            fn select(&mut self, #next_arg: Self::Selector) { #select }
        }
    }
}

fn default(plan: &Plan<'_>, fixed: &Fixed<'_>) -> TokenStream {
    let Plan { krate, module, .. } = plan;
    let (ty, attrs, token) = (fixed.field.ty, &fixed.field.attrs, &fixed.token);
    if let Some(value) = attrs.constant.as_ref().or(attrs.default.as_ref()) {
        return literal(ty, value);
    }
    match fixed
        .length
        .map(|length| (length.of, length.unit, length.less))
    {
        Some((of @ (LengthOf::Header | LengthOf::Tail), unit, less)) => {
            let whole = of == LengthOf::Header;
            let min_len = min_len(plan);
            quote!(#krate::derive::default_length::<#module::#token>(#min_len, #unit, #less, #whole))
        }
        _ => quote!(#krate::derive::zero::<#module::#token>()),
    }
}

/// The unit to which the header or its tail is filled up, from the field that counts it.
fn padding(plan: &Plan<'_>) -> (usize, bool) {
    let counting = plan.fields.iter().find_map(|fixed| {
        let length = fixed.length?;
        matches!(length.of, LengthOf::Header | LengthOf::Tail)
            .then_some((length.unit, length.of == LengthOf::Header))
    });
    counting.unwrap_or((1, false))
}

fn len(plan: &Plan<'_>) -> TokenStream {
    let krate = &plan.krate;
    let min_len = min_len(plan);
    match &plan.tail {
        None => min_len,
        Some(tail) => {
            let field = tail.field.ident;
            let (unit, whole) = padding(plan);
            let held = relations::tail_of(plan, tail);
            quote!(#krate::derive::padded(#min_len, #held::as_bytes(&self.#field).len(), #unit, #whole))
        }
    }
}

fn emit(plan: &Plan<'_>) -> TokenStream {
    let Plan { krate, module, .. } = plan;
    let min_len = min_len(plan);
    let fields = plan.fields.iter().map(|fixed| {
        let (field, token, ty) = (fixed.field.ident, &fixed.token, fixed.field.ty);
        let value = match (&fixed.field.attrs.constant, fixed.length) {
            (Some(constant), _) => literal(ty, constant),
            (None, Some(length)) if matches!(length.of, LengthOf::Header | LengthOf::Tail) => {
                let (unit, less) = (length.unit, length.less);
                let count = if length.of == LengthOf::Header {
                    quote!(len)
                } else {
                    quote!(len - #min_len)
                };
                quote!(#krate::derive::length::<#module::#token>(#count, #unit, #less)?)
            }
            _ => return quote!(#krate::derive::put::<#module::#token>(fixed, &self.#field);),
        };
        quote!(#krate::derive::set::<#module::#token>(fixed, #value);)
    });
    let tail = plan.tail.as_ref().map(|tail| {
        let field = tail.field.ident;
        let held = relations::tail_of(plan, tail);
        quote!(#krate::derive::put_tail(tail, #held::as_bytes(&self.#field));)
    });
    let tail_name = if tail.is_some() {
        quote!(tail)
    } else {
        quote!(_)
    };
    quote! {
        let len = #krate::Header::len(self);
        let (fixed, #tail_name) = #krate::derive::room::<{ #min_len }>(out, len)?;
        #(#fields)*
        #tail
        ::core::result::Result::Ok(len)
    }
}
