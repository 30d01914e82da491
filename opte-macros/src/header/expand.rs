//! The generated code.

mod accessors;
mod arbitrary;
mod documentation;
mod layout;
mod literal;
mod owned;
mod relations;
mod serialized;
mod tokens;
mod value;
mod view;

use super::valid::Plan;
use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

/// Everything that is generated for a header. Without `assertions`, because an error is reported already, nothing that
/// would only repeat it.
pub(crate) fn expand(plan: &Plan<'_>, assertions: bool) -> TokenStream {
    let tokens = tokens::tokens(plan);
    let view = view::view(plan);
    let accessors = accessors::accessors(plan);
    let owned = owned::owned(plan);
    let value = value::value(plan);
    let arbitrary = arbitrary::arbitrary(plan);
    let serialized = serialized::serialized(plan);
    let neighbours = relations::relations(plan);
    let assertions = if assertions {
        relations::assertions(plan)
    } else {
        TokenStream::new()
    };
    quote!(#tokens #view #accessors #owned #value #arbitrary #serialized #neighbours #assertions)
}

/// What stands for a header that could not be understood at all, so that its uses are no further errors.
pub(crate) fn stub(input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::opte_headers::Header for #ident #type_generics #where_clause {
            const NAME: &'static str = stringify!(#ident);
            const MIN_LEN: usize = 0;
            type View<'__a> = &'__a [u8];
            type ViewMut<'__a> = &'__a mut [u8];
            type Selector = ::opte_headers::NoSelector;
            fn parse(_: &[u8]) -> ::core::result::Result<(Self::View<'_>, &[u8]), ::opte_headers::ParseError> {
                ::core::unreachable!()
            }
            fn parse_mut(_: &mut [u8])
                -> ::core::result::Result<(Self::ViewMut<'_>, &mut [u8]), ::opte_headers::ParseError>
            {
                ::core::unreachable!()
            }
            fn len(&self) -> usize { 0 }
            fn emit(&self, _: &mut [u8]) -> ::core::result::Result<usize, ::opte_headers::EmitError> {
                ::core::unreachable!()
            }
            fn selector(&self) -> Self::Selector { ::opte_headers::NoSelector }
            fn view_selector(_: &Self::View<'_>) -> Self::Selector { ::opte_headers::NoSelector }
            fn unsupported(_: Self::Selector) -> ::opte_headers::ParseError { ::core::unreachable!() }
            fn select(&mut self, _: Self::Selector) {}
        }
    }
}
