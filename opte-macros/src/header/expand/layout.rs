//! Where fields stand and how long the fixed part is: numbers where the macro knows them, else expressions.

use crate::header::valid::{Fixed, Plan};
use proc_macro2::TokenStream;
use quote::quote;

pub(super) fn bit_offset(
    plan: &Plan<'_>,
    before: Option<&Fixed<'_>>,
    fixed: &Fixed<'_>,
) -> TokenStream {
    let Plan { krate, module, .. } = plan;
    match (fixed.offset, before) {
        (Some(offset), _) => quote!(#offset),
        (None, None) => quote!(0),
        (None, Some(before)) => {
            let token = &before.token;
            quote!(#krate::derive::end::<#module::#token>())
        }
    }
}

pub(super) fn fixed_bits(plan: &Plan<'_>) -> TokenStream {
    let Plan { krate, module, .. } = plan;
    match (plan.bits, plan.fields.last()) {
        (Some(bits), _) => quote!(#bits),
        (None, Some(last)) => {
            let token = &last.token;
            quote!(#krate::derive::end::<#module::#token>())
        }
        (None, None) => quote!(0),
    }
}

/// Bytes of the fixed part.
pub(super) fn min_len(plan: &Plan<'_>) -> TokenStream {
    match plan.bits {
        Some(bits) => {
            let bytes = bits / 8;
            quote!(#bytes)
        }
        None => {
            let bits = fixed_bits(plan);
            quote!((#bits).div_ceil(8))
        }
    }
}
