//! What a header is to others: its neighbours in the stack, its roles, and what holds of it.

use super::layout::{fixed_bits, min_len};
use crate::header::attr::{Covers, LengthOf};
use crate::header::types;
use crate::header::valid::{Fixed, Plan, TailPlan};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

/// Which headers may stand before and behind this one.
pub(super) fn relations(plan: &Plan<'_>) -> TokenStream {
    let Plan { ident, krate, .. } = plan;
    let pairs = plan
        .follows
        .iter()
        .map(|relation| (quote!(#ident), &relation.header, relation));
    let parents = pairs.map(|(child, parent, relation)| (child, quote!(#parent), relation));
    // A value that has no field to stand in was reported.
    let carries = plan
        .carries
        .iter()
        .filter(|relation| relation.value.is_none() || plan.next().is_some());
    let children = carries.map(|relation| {
        let child = &relation.header;
        (quote!(#child), quote!(#ident), relation)
    });
    let impls = parents.chain(children).map(|(child, parent, relation)| {
        let values: Vec<_> = relation.values().map(|value| quote_spanned!(value.span()=> #value)).collect();
        let selector = match values.first() {
            Some(value) => quote!({
                let selector: <#parent as #krate::Header>::Selector = #value;
                ::core::option::Option::Some(selector)
            }),
            None => quote!(::core::option::Option::None),
        };
        let several = (values.len() > 1).then(|| {
            quote! {
                #[inline(always)]
                fn follows(selector: <#parent as #krate::Header>::Selector) -> bool {
                    #(selector == #values)||*
                }
            }
        });
        let unsaid = relation.value.is_none().then(|| {
            let krate = respan(krate, relation.header.span());
            quote_spanned! {relation.header.span()=>
                const _: () = #krate::derive::without_selector::<#parent>();
            }
        });
        quote! {
            #[automatically_derived]
            impl #krate::Follows<#parent> for #child {
                const SELECTOR: ::core::option::Option<<#parent as #krate::Header>::Selector> = #selector;
                #several
            }
            #unsaid
        }
    });
    impls.collect()
}

/// What only the compiler can check, because the macro does not know the types.
pub(super) fn assertions(plan: &Plan<'_>) -> TokenStream {
    let ident = plan.ident;
    let name = ident.unraw().to_string();
    let mut all = TokenStream::new();
    for fixed in plan.fields.iter().filter(|fixed| fixed.claimed) {
        let ty = fixed.field.ty;
        let (module, token) = (&plan.module, &fixed.token);
        let expected = match (fixed.bits, fixed.checksum.is_some()) {
            (Some(bits), _) => bits,
            (None, true) => 16,
            (None, false) => continue,
        };
        let krate = respan(&plan.krate, ty.span());
        all.extend(quote_spanned! {ty.span()=>
            const _: () = #krate::derive::assert_bits::<#module::#token>(#expected);
        });
    }
    // Where the macro knows neither type nor place, or knows that the place suits no bytes.
    let unsure = |fixed: &&Fixed<'_>| {
        fixed.claimed
            && !types::of_whole_bytes(fixed.field.ty)
            && fixed.offset.is_none_or(|bit| bit % 8 != 0)
    };
    for fixed in plan.fields.iter().filter(unsure) {
        let ty = fixed.field.ty;
        let (module, token) = (&plan.module, &fixed.token);
        let krate = respan(&plan.krate, ty.span());
        all.extend(quote_spanned! {ty.span()=>
            const _: () = #krate::derive::assert_aligned::<#module::#token>();
        });
    }
    if plan.bits.is_none() {
        let min_len = min_len(plan);
        let bits = fixed_bits(plan);
        let krate = respan(&plan.krate, ident.span());
        all.extend(quote_spanned! {ident.span()=>
            const _: () = #krate::derive::assert_whole_bytes(#name, #bits);
        });
        if let Some(len) = plan.len {
            all.extend(quote_spanned! {ident.span()=>
                const _: () = #krate::derive::assert_len(#name, #min_len, #len);
            });
        }
    }
    all
}

/// Where checksum and length of the packet stand, as constants of `Header`.
pub(super) fn roles(plan: &Plan<'_>) -> TokenStream {
    let Plan { krate, module, .. } = plan;
    let mut roles = TokenStream::new();
    let mut pseudo = plan.fields.iter().filter(|fixed| fixed.field.attrs.pseudo);
    if let Some(first) = pseudo.next() {
        let (first, last) = (&first.token, &pseudo.next_back().unwrap_or(first).token);
        roles.extend(quote! {
            const PSEUDO: ::core::option::Option<(usize, usize)> = ::core::option::Option::Some((
                <#module::#first as #krate::Field>::BIT_OFFSET / 8,
                (<#module::#last as #krate::Field>::BIT_OFFSET + <#module::#last as #krate::Field>::BITS) / 8,
            ));
        });
    }
    for fixed in &plan.fields {
        let token = &fixed.token;
        let offset = quote!(<#module::#token as #krate::Field>::BIT_OFFSET / 8);
        if let Some(checksum) = fixed.checksum {
            let covers = match checksum.covers {
                Covers::Header => quote!(Header),
                Covers::Pseudo { zero_is_none } => quote!(Pseudo { zero_is_none: #zero_is_none }),
                Covers::Payload => quote!(Payload),
            };
            roles.extend(quote! {
                const CHECKSUM: ::core::option::Option<#krate::ChecksumRole> =
                    ::core::option::Option::Some(#krate::ChecksumRole {
                        offset: #offset,
                        covers: #krate::Covers::#covers,
                    });
            });
        }
        let counts = match fixed.length.map(|length| length.of) {
            Some(LengthOf::Packet) => quote!(Packet),
            Some(LengthOf::Payload) => quote!(Payload),
            _ => continue,
        };
        roles.extend(quote! {
            const LENGTH: ::core::option::Option<#krate::LengthRole> =
                ::core::option::Option::Some(#krate::LengthRole {
                    offset: #offset,
                    counts: #krate::Counted::#counts,
                    addend: 0,
                });
        });
    }
    roles
}

/// The trait of a variable part, of the type of this one. All that is asked of it is asked in this way: of a type that has not got
/// it, the compiler then says so once.
pub(super) fn tail_of(plan: &Plan<'_>, tail: &TailPlan<'_>) -> TokenStream {
    let ty = tail.field.ty;
    let krate = respan(&plan.krate, ty.span());
    quote_spanned!(ty.span()=> <#ty as #krate::Tail>)
}

/// The same tokens, faults in which are shown at another place.
fn respan(tokens: &TokenStream, span: proc_macro2::Span) -> TokenStream {
    let respan = |mut token: proc_macro2::TokenTree| {
        token.set_span(span.resolved_at(token.span()));
        token
    };
    tokens.clone().into_iter().map(respan).collect()
}
