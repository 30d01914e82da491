//! `serde::Serialize` and `serde::Deserialize` of a header.

use crate::header::valid::Plan;
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

/// The impls, if the header says `serde`. What is common to all headers is in `opte_headers::serialized`.
pub(super) fn serialized(plan: &Plan<'_>) -> TokenStream {
    if !plan.is_serde {
        return TokenStream::new();
    }
    let Plan {
        ident,
        krate,
        module,
        view,
        ..
    } = plan;
    let here = quote!(#krate::serialized);
    let serde = quote!(#here::serde);
    let (mut names, mut write, mut read, mut settle) = (
        TokenStream::new(),
        TokenStream::new(),
        TokenStream::new(),
        TokenStream::new(),
    );
    let mut index = 0usize;
    for fixed in &plan.fields {
        let (field, token) = (fixed.field.ident, &fixed.token);
        if fixed.counts_header() {
            settle.extend(
                quote!(self.#field = #krate::derive::get::<#module::#token>(view.fixed());),
            );
        }
        if fixed.is_implied() {
            continue;
        }
        let name = field.unraw().to_string();
        names.extend(quote!(#name,));
        write.extend(quote!(#serde::ser::SerializeStruct::serialize_field(out, #name, &#here::Value(#krate::derive::copied::<#module::#token>(&self.#field)))?;));
        read.extend(
            quote!(#index => self.#field = #here::Source::value::<#here::Value<_>>(source)?.0,),
        );
        index += 1;
    }
    if let Some(tail) = &plan.tail {
        let field = tail.field.ident;
        let name = field.unraw().to_string();
        names.extend(quote!(#name,));
        write.extend(quote!(#serde::ser::SerializeStruct::serialize_field(out, #name, &#here::Held(&self.#field))?;));
        read.extend(
            quote!(#index => self.#field = #here::Source::value::<#here::Held<_>>(source)?.0,),
        );
    }
    quote! {
        #[automatically_derived]
        impl #here::Fields for #ident {
            const FIELDS: &'static [&'static str] = &[#names];

            fn write<__W: #serde::ser::SerializeStruct>(&self, out: &mut __W)
                -> ::core::result::Result<(), __W::Error>
            {
                let _ = &out;
                #write
                ::core::result::Result::Ok(())
            }

            fn read<'__de, __S: #here::Source<'__de>>(&mut self, index: usize, source: __S)
                -> ::core::result::Result<(), __S::Error>
            {
                let _ = &source;
                match index {
                    #read
                    _ => {}
                }
                ::core::result::Result::Ok(())
            }

            fn settle(&mut self, bytes: &[u8]) -> ::core::result::Result<bool, #krate::ParseError> {
                let (view, rest) = #view::parse(bytes)?;
                let _ = &view;
                #settle
                ::core::result::Result::Ok(rest.is_empty())
            }
        }

        #[automatically_derived]
        impl #serde::Serialize for #ident {
            fn serialize<__S: #serde::Serializer>(&self, serializer: __S)
                -> ::core::result::Result<__S::Ok, __S::Error>
            {
                #here::serialize(self, serializer)
            }
        }

        #[automatically_derived]
        impl<'__de> #serde::Deserialize<'__de> for #ident {
            fn deserialize<__D: #serde::Deserializer<'__de>>(deserializer: __D)
                -> ::core::result::Result<Self, __D::Error>
            {
                #here::deserialize(deserializer)
            }
        }
    }
}

/// How the header is written as a field of another: as it is alone.
pub(super) fn as_value(plan: &Plan<'_>) -> TokenStream {
    if !plan.is_serde {
        return TokenStream::new();
    }
    let krate = &plan.krate;
    let serde = quote!(#krate::serialized::serde);
    quote! {
        fn serialize_value<__S: #serde::Serializer>(self, serializer: __S)
            -> ::core::result::Result<__S::Ok, __S::Error>
        {
            #serde::Serialize::serialize(&self, serializer)
        }

        fn deserialize_value<'__de, __D: #serde::Deserializer<'__de>>(deserializer: __D)
            -> ::core::result::Result<Self, __D::Error>
        {
            #serde::Deserialize::deserialize(deserializer)
        }
    }
}
