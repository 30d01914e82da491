//! Getters, setters, and the texts made with them.

use super::{documentation, relations};
use crate::header::valid::{Fixed, Plan};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{GenericArgument, PathArguments, Type};

/// The traits of getters and setters, implemented by the struct and its views, and the texts made with them.
pub(super) fn accessors(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        vis,
        ident,
        krate,
        module,
        view,
        getters,
        setters,
        ..
    } = plan;
    let (mut get, mut get_owned, mut get_view) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    let (mut set, mut set_owned, mut set_view) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    let mut shown = TokenStream::new();
    for fixed in &plan.fields {
        let (field, ty, token) = (fixed.field.ident, fixed.field.ty, &fixed.token);
        if fixed.is_readable() {
            let docs = documentation::of_getter(fixed);
            get.extend(quote!(#docs fn #field(&self) -> #ty;));
            get_owned.extend(quote!(#[inline] fn #field(&self) -> #ty { #krate::derive::copied::<#module::#token>(&self.#field) }));
            get_view.extend(quote! {
                #[inline]
                fn #field(&self) -> #ty { #krate::derive::get::<#module::#token>(&*self.fixed) }
            });
            shown.extend(show(plan, fixed));
        }
        if fixed.is_writable() {
            let docs = documentation::of_setter(fixed);
            let setter = format_ident!("set_{}", field.unraw(), span = field.span());
            set.extend(quote!(#docs fn #setter(&mut self, value: #ty);));
            set_owned.extend(
                quote!(#[inline] fn #setter(&mut self, value: #ty) { self.#field = value; }),
            );
            set_view.extend(quote! {
                #[inline]
                fn #setter(&mut self, value: #ty) { #krate::derive::set::<#module::#token>(&mut *self.fixed, value); }
            });
        }
    }
    if let Some(tail) = &plan.tail {
        let (field, docs) = (tail.field.ident, documentation::of_tail(tail));
        let held = relations::tail_of(plan, tail);
        let name = field.unraw().to_string();
        let seen = seen(krate, tail.field.ty, &held);
        get.extend(quote!(#docs fn #field(&self) -> #seen;));
        // At the type's place, for what is wrong with it is said there.
        let place = tail.field.ty.span();
        get_owned.extend(quote_spanned! {place=>
            fn #field(&self) -> #seen { #held::view(#held::as_bytes(&self.#field)) }
        });
        get_view
            .extend(quote_spanned!(place=> fn #field(&self) -> #seen { #held::view(&self.tail) }));
        let (mut traits, mut getter) = (getters.clone(), field.clone());
        traits.set_span(place);
        getter.set_span(place);
        let value = quote_spanned!(place=> &#traits::#getter(self));
        shown.extend(quote!(.field(#name, #value)));
    }
    // So that uses of a field that was refused are no further errors.
    for field in &plan.refused {
        let (getter, ty) = (field.ident, field.ty);
        let setter = format_ident!("set_{}", getter.unraw(), span = getter.span());
        get.extend(quote!(fn #getter(&self) -> #ty { #krate::derive::refused() }));
        set.extend(quote!(fn #setter(&mut self, _: #ty) { #krate::derive::refused() }));
    }
    let name = ident.unraw().to_string();
    let text = quote! {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.debug_struct(#name)#shown.finish()
        }
    };
    let get_doc = format!(" The fields of [`{ident}`], read from the struct or from a view.");
    let set_doc = format!(" The fields of [`{ident}`], written to the struct or through a view.");
    quote! {
        #[doc = #get_doc]
        #[allow(dead_code)]
        #vis trait #getters { #get }
        #[doc = #set_doc]
        #[allow(dead_code)]
        #vis trait #setters { #set }

        #[automatically_derived]
        impl #getters for #ident { #get_owned }
        #[automatically_derived]
        impl<__B: #krate::bytes::Bytes> #getters for #view<__B> { #get_view }
        #[automatically_derived]
        impl #setters for #ident { #set_owned }
        #[automatically_derived]
        impl<__B: #krate::bytes::BytesMut> #setters for #view<__B> { #set_view }

        #[automatically_derived]
        impl ::core::fmt::Display for #ident { #text }
        #[automatically_derived]
        impl<__B: #krate::bytes::Bytes> ::core::fmt::Display for #view<__B> { #text }
        #[automatically_derived]
        impl<__B: #krate::bytes::Bytes> ::core::fmt::Debug for #view<__B> { #text }
    }
}

fn show(plan: &Plan<'_>, fixed: &Fixed<'_>) -> Option<TokenStream> {
    let Plan {
        krate,
        module,
        getters,
        ..
    } = plan;
    let (field, token) = (fixed.field.ident, &fixed.token);
    let name = field.unraw().to_string();
    if fixed.field.attrs.constant.is_some() {
        return None;
    }
    Some(if fixed.field.attrs.hex || fixed.checksum.is_some() {
        quote!(.field(#name, &::core::format_args!("{:#x}", #getters::#field(self))))
    } else {
        quote!(.field(#name, #krate::derive::shown::<#module::#token>(&#getters::#field(self))))
    })
}

/// How a view shows the variable part: in the documentation it reads best as what it is, where the type is known by name.
fn seen(krate: &TokenStream, ty: &Type, held: &TokenStream) -> TokenStream {
    let known = known_tail(ty).map(|(name, first)| match (name.as_str(), first) {
        ("TailBytes", _) => Some(quote!(&[u8])),
        ("Options", Some(set)) => Some(quote!(#krate::options::OptionList<'_, #set>)),
        ("Items", Some(item)) => Some(quote!(#krate::options::Each<'_, #item>)),
        _ => None,
    });
    known
        .flatten()
        .unwrap_or_else(|| quote_spanned!(ty.span()=> #held::Ref<'_>))
}

/// Name and first type argument of a path.
fn known_tail(ty: &Type) -> Option<(String, Option<&Type>)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let first = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some((last.ident.to_string(), first))
}
