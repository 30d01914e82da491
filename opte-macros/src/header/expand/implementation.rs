//! The generated types and impls, a function each.

use super::{documentation, relations};
use crate::header::attr::LengthOf;
use crate::header::types;
use crate::header::valid::{Fixed, Plan};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Lit, Type, Visibility};

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
        let settable = fixed
            .is_settable()
            .then(|| quote!(#[diagnostic::do_not_recommend] impl #krate::Settable for #module::#token {}));
        let key = fixed
            .field
            .attrs
            .key
            .then(|| quote!(#[diagnostic::do_not_recommend] impl #krate::InFlowKey for #module::#token {}));
        quote! {
            #[automatically_derived]
            impl #krate::Field for #module::#token {
                type Header = #ident;
                type Value = #ty;
                const NAME: &'static str = #name;
                const BIT_OFFSET: usize = #offset;
                #little_endian
            }
            #settable
            #key
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
            fixed: <__B as #krate::bytes::Bytes>::Array<{ #min_len }>,
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
                let (fixed, rest) = #krate::derive::open::<__B, { #min_len }>(bytes, #name)?;
                #constants
                #split
                ::core::result::Result::Ok((#make, rest))
            }

            /// The bytes of the fixed part.
            #[inline]
            pub fn fixed(&self) -> &[u8; #min_len] {
                &self.fixed
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
            pub fn fixed_mut(&mut self) -> &mut [u8; #min_len] {
                <__B as #krate::bytes::BytesMut>::array_mut(&mut self.fixed)
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
            get_owned.extend(quote!(#[inline] fn #field(&self) -> #ty { self.#field }));
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
                fn #setter(&mut self, value: #ty) { #krate::derive::set::<#module::#token>(self.fixed_mut(), value); }
            });
        }
    }
    if let Some(tail) = &plan.tail {
        let (field, ty, docs) = (
            tail.field.ident,
            tail.field.ty,
            documentation::of_tail(tail),
        );
        let name = field.unraw().to_string();
        let seen = quote!(<#ty as #krate::Tail>::Ref<'_>);
        get.extend(quote!(#docs fn #field(&self) -> #seen;));
        get_owned.extend(quote! {
            fn #field(&self) -> #seen { <#ty as #krate::Tail>::view(#krate::Tail::as_bytes(&self.#field)) }
        });
        get_view
            .extend(quote!(fn #field(&self) -> #seen { <#ty as #krate::Tail>::view(&self.tail) }));
        shown.extend(quote!(.field(#name, &#getters::#field(self))));
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
            None => quote!(#field: ::core::default::Default::default(),),
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
            fn from_wire(wire: [u8; #min_len]) -> Self {
                Self { #get #refused }
            }

            #[inline]
            fn to_wire(self) -> [u8; #min_len] {
                let mut wire = [0; #min_len];
                #set
                wire
            }
        }
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

fn bit_offset(plan: &Plan<'_>, before: Option<&Fixed<'_>>, fixed: &Fixed<'_>) -> TokenStream {
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
            quote! {
                /// The header as a struct.
                ///
                /// # Errors
                /// The variable part is longer than the struct can hold.
                pub fn to_owned(&self) -> ::core::result::Result<#ident, #krate::ParseError> {
                    ::core::result::Result::Ok(#ident {
                        #(#fields)*
                        #field: #krate::derive::own_tail(&self.tail, #name, #field_name)?,
                        #refused
                    })
                }
            }
        }
    }
}

/// Fields that an error was reported for, so that the struct can still be made.
fn refused(plan: &Plan<'_>) -> TokenStream {
    let fields = &plan.refused;
    let krate = &plan.krate;
    quote!(#(#fields: #krate::derive::refused(),)*)
}

fn show(plan: &Plan<'_>, fixed: &Fixed<'_>) -> Option<TokenStream> {
    let (getters, field) = (&plan.getters, fixed.field.ident);
    let name = field.unraw().to_string();
    if fixed.field.attrs.constant.is_some() {
        return None;
    }
    Some(if fixed.field.attrs.hex || fixed.checksum.is_some() {
        quote!(.field(#name, &::core::format_args!("{:#x}", #getters::#field(self))))
    } else {
        quote!(.field(#name, &#getters::#field(self)))
    })
}

fn default(plan: &Plan<'_>, fixed: &Fixed<'_>) -> TokenStream {
    let krate = &plan.krate;
    let (ty, attrs) = (fixed.field.ty, &fixed.field.attrs);
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
            quote!(#krate::derive::default_length::<#ty>(#min_len, #unit, #less, #whole))
        }
        _ => quote!(#krate::derive::zero::<#ty>()),
    }
}

/// A value as written; a bare number for a type of unusual width is made one of that type while compiling, and one that is
/// too great, which was reported, is left out.
fn literal(ty: &Type, value: &Expr) -> TokenStream {
    let Expr::Lit(ExprLit {
        lit: Lit::Int(number),
        ..
    }) = value
    else {
        return quote_spanned!(value.span()=> #value);
    };
    let number = match (types::width(ty), number.base10_parse::<u64>()) {
        (Some(bits), Ok(value)) if bits < 64 && value >> bits != 0 => quote!(0),
        _ => quote!(#number),
    };
    match types::width(ty) {
        Some(8 | 16 | 32 | 64) | None => quote_spanned!(value.span()=> #number),
        Some(_) => quote_spanned!(value.span()=> const { <#ty>::new(#number) }),
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
            quote!(#krate::derive::padded(#min_len, #krate::Tail::as_bytes(&self.#field).len(), #unit, #whole))
        }
    }
}

fn emit(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        ident,
        krate,
        module,
        ..
    } = plan;
    let name = ident.unraw().to_string();
    let min_len = min_len(plan);
    let fields = plan.fields.iter().map(|fixed| {
        let (field, token, ty) = (fixed.field.ident, &fixed.token, fixed.field.ty);
        let value = match (&fixed.field.attrs.constant, fixed.length) {
            (Some(constant), _) => literal(ty, constant),
            (None, Some(length)) if matches!(length.of, LengthOf::Header | LengthOf::Tail) => {
                let (unit, less, field) = (length.unit, length.less, field.unraw().to_string());
                let count = if length.of == LengthOf::Header {
                    quote!(len)
                } else {
                    quote!(len - #min_len)
                };
                quote!(#krate::derive::length::<#ty>(#count, #unit, #less, #name, #field)?)
            }
            _ => quote!(self.#field),
        };
        quote!(#krate::derive::set::<#module::#token>(fixed, #value);)
    });
    let tail = plan.tail.as_ref().map(|tail| {
        let field = tail.field.ident;
        quote!(#krate::derive::put_tail(tail, #krate::Tail::as_bytes(&self.#field));)
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
