//! A header as the field of another.

use super::layout::min_len;
use super::literal::refused;
use super::serialized;
use crate::header::valid::Plan;
use proc_macro2::TokenStream;
use quote::quote;

/// `FieldValue` of the struct, so that it can be a field of others.
pub(super) fn value(plan: &Plan<'_>) -> TokenStream {
    if !plan.is_value {
        return TokenStream::new();
    }
    let Plan {
        ident,
        krate,
        module,
        ..
    } = plan;
    let min_len = min_len(plan);
    let refused = refused(plan);
    let as_serialized = serialized::as_value(plan);
    let (mut get, mut set) = (TokenStream::new(), TokenStream::new());
    for fixed in &plan.fields {
        let (field, token) = (fixed.field.ident, &fixed.token);
        get.extend(quote!(#field: #krate::derive::get::<#module::#token>(&wire),));
        set.extend(quote!(#krate::derive::set::<#module::#token>(&mut wire, self.#field);));
    }
    quote! {
        #[automatically_derived]
        impl #krate::FieldValue for #ident {
            type Wire = [u8; #min_len];

            #[inline]
            fn from_wire(wire: Self::Wire) -> Self {
                Self { #get #refused }
            }

            #[inline]
            fn to_wire(self) -> Self::Wire {
                let mut wire: Self::Wire = [0; _];
                #set
                wire
            }

            #as_serialized
        }
    }
}
