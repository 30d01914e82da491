//! The view, how it is made, and its conversion to the owned form.

use super::documentation;
use super::layout::min_len;
use super::literal::{literal, refused};
use super::relations::tail_of;
use crate::header::valid::Plan;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

/// The view, how it is made, and its conversion to the owned form.
pub(super) fn view(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        vis,
        ident,
        krate,
        view,
        ..
    } = plan;
    let docs = documentation::of_view(plan);
    let min_len = min_len(plan);
    // Where only the compiler knows the length, it is told once: an error in it is one error.
    let (fixed_bytes, seen, seen_mut) = match plan.bits {
        Some(_) => (
            quote!([u8; #min_len]),
            quote!(&*self.fixed),
            quote!(&mut *self.fixed),
        ),
        None => (
            quote!([u8]),
            quote!(self.fixed.bytes()),
            quote!(self.fixed.bytes_mut()),
        ),
    };
    let name = ident.unraw().to_string();
    let constants = plan.fields.iter().filter_map(|fixed| {
        let (module, token) = (&plan.module, &fixed.token);
        let constant = literal(fixed.field.ty, fixed.field.attrs.constant.as_ref()?);
        Some(quote!(#krate::derive::expect::<#module::#token>(&*fixed, #constant)?;))
    });
    let constants: TokenStream = constants.collect();
    let (tail_field, split, make, of_tail, lifetime) = match &plan.tail {
        None => (None, None, quote!(Self { fixed }), None, quote!(__B)),
        Some(tail) => {
            let field = tail.field.ident.unraw().to_string();
            let split = match &tail.len {
                Some(len) => quote! {
                    let (tail, rest) = #krate::derive::tail(rest, #len, #name, #field, #min_len)?;
                },
                None => quote!(let (tail, rest) = (rest, <__B as #krate::bytes::Bytes>::empty());),
            };
            let of_tail = quote! {
                /// The bytes of the variable part.
                #[inline]
                pub fn tail(&self) -> &[u8] {
                    &self.tail
                }
            };
            (
                Some(quote!(tail: __B,)),
                Some(split),
                quote!(Self { fixed, tail }),
                Some(of_tail),
                quote!(__B),
            )
        }
    };
    let tail_mut = plan.tail.as_ref().map(|_| {
        quote! {
            /// The bytes of the variable part, to be written to.
            #[inline]
            pub fn tail_mut(&mut self) -> &mut [u8] {
                &mut self.tail
            }
        }
    });
    let total = if plan.tail.is_some() {
        quote!(#min_len + self.tail.len())
    } else {
        quote!(#min_len)
    };
    let to_owned = to_owned(plan);
    quote! {
        #docs
        #vis struct #view<__B: #krate::bytes::Bytes> {
            fixed: #krate::bytes::Fixed<__B, { #min_len }>,
            #tail_field
        }

        #[automatically_derived]
        #[allow(dead_code, clippy::len_without_is_empty)]
        impl<__B: #krate::bytes::Bytes> #view<__B> {
            /// The header at the start of `bytes`, checked, and what is behind it.
            ///
            /// # Errors
            /// The header is truncated, a constant field has another value, or a length is contradictory.
            #[inline]
            pub fn parse(bytes: #lifetime) -> ::core::result::Result<(Self, __B), #krate::ParseError> {
                let (fixed, rest) = #krate::derive::open(bytes, #name)?;
                #constants
                #split
                ::core::result::Result::Ok((#make, rest))
            }

            /// The bytes of the fixed part.
            #[inline]
            pub fn fixed(&self) -> &#fixed_bytes {
                #seen
            }

            /// The bytes of the whole header.
            #[inline]
            pub fn len(&self) -> usize {
                #total
            }

            #of_tail
            #to_owned
        }

        #[automatically_derived]
        #[allow(dead_code)]
        impl<__B: #krate::bytes::BytesMut> #view<__B> {
            /// The bytes of the fixed part, to be written to.
            #[inline]
            pub fn fixed_mut(&mut self) -> &mut #fixed_bytes {
                #seen_mut
            }

            #tail_mut
        }

        #[automatically_derived]
        impl ::core::clone::Clone for #view<&[u8]> {
            fn clone(&self) -> Self {
                *self
            }
        }

        #[automatically_derived]
        impl ::core::marker::Copy for #view<&[u8]> {}
    }
}

fn to_owned(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        ident,
        krate,
        module,
        ..
    } = plan;
    let name = ident.unraw().to_string();
    let fields = plan.fields.iter().map(|fixed| {
        let (field, token) = (fixed.field.ident, &fixed.token);
        quote!(#field: #krate::derive::get::<#module::#token>(&*self.fixed),)
    });
    let refused = refused(plan);
    match &plan.tail {
        None => quote! {
            /// The header as a struct.
            pub fn to_owned(&self) -> #ident {
                #ident { #(#fields)* #refused }
            }
        },
        Some(tail) => {
            let (field, field_name) = (tail.field.ident, tail.field.ident.unraw().to_string());
            let held = tail_of(plan, tail);
            quote! {
                /// The header as a struct.
                ///
                /// # Errors
                /// The variable part is longer than the struct can hold.
                pub fn to_owned(&self) -> ::core::result::Result<#ident, #krate::ParseError> {
                    ::core::result::Result::Ok(#ident {
                        #(#fields)*
                        #field: #held::from_bytes(&self.tail).ok_or(
                            #krate::derive::too_long(self.tail.len(), #held::CAPACITY, #name, #field_name)
                        )?,
                        #refused
                    })
                }
            }
        }
    }
}
