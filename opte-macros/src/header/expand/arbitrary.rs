//! `proptest::Arbitrary` of a header.

use super::literal::refused;
use super::relations::tail_of;
use crate::header::valid::Plan;
use proc_macro2::TokenStream;
use quote::quote;

/// The impl, if the header says `arbitrary`: fields of any bits, the variable part of any bytes, and lengths and constants as
/// `emit` writes them.
pub(super) fn arbitrary(plan: &Plan<'_>) -> TokenStream {
    if !plan.is_arbitrary {
        return TokenStream::new();
    }
    let Plan {
        ident,
        krate,
        module,
        view,
        ..
    } = plan;
    let proptest = quote!(#krate::arbitrary::proptest);
    let fields = plan.fields.iter().map(|fixed| {
        let (field, token) = (fixed.field.ident, &fixed.token);
        quote!(#field: #krate::derive::get::<#module::#token>(fixed),)
    });
    let tail = plan.tail.as_ref().map(|tail| {
        let field = tail.field.ident;
        let held = tail_of(plan, tail);
        quote!(#field: #krate::arbitrary::tail(tail, #held::CAPACITY, #held::from_bytes).unwrap_or_else(#held::empty),)
    });
    let refused = refused(plan);
    let owned = if plan.tail.is_some() {
        quote!(view.to_owned().ok())
    } else {
        quote!(::core::option::Option::Some(view.to_owned()))
    };
    quote! {
        #[automatically_derived]
        impl #proptest::arbitrary::Arbitrary for #ident {
            type Parameters = ();
            type Strategy = #proptest::strategy::BoxedStrategy<Self>;

            fn arbitrary_with(_: ()) -> Self::Strategy {
                #krate::arbitrary::header(
                    |fixed, tail| {
                        let _ = tail;
                        Self { #(#fields)* #tail #refused }
                    },
                    |bytes| {
                        let (view, _) = #view::parse(bytes).ok()?;
                        #owned
                    },
                )
            }
        }
    }
}
