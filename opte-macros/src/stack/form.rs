//! The type of a parsed stack: `-> Form`, and `FormHeaders` with the views.

use super::candidates;
use super::syntax::{Item, Parser, Place};
use crate::diagnostics::Errors;
use crate::header::snake;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Ident, Path};

/// A header by its name in the stack. It may have several places, of which one is taken.
struct Entry {
    label: Ident,
    header: Path,
    always: bool,
}

impl Parser {
    /// The types, and that all headers of the stack are told apart.
    pub(super) fn form(&self, errors: &Errors) -> TokenStream {
        let kinds = self.kinds();
        let Some(form) = &self.form else {
            return kinds;
        };
        let mut entries = Vec::new();
        collect(&self.stack, true, &mut entries, errors);
        let types = self.types(form, &entries);
        let methods = self.methods(form, &entries);
        quote!(#kinds #types #methods)
    }

    fn types(&self, form: &Ident, entries: &[Entry]) -> TokenStream {
        let Self {
            krate, vis, name, ..
        } = self;
        let views = format_ident!("{form}Headers");
        let (about, about_views) = (
            format!(
                "What [`{name}`] comes to: which headers there are, where they start, and the key of the flow."
            ),
            format!("The headers of a [`{form}`], as views: [`{form}::headers`]."),
        );
        let fields = entries.iter().map(
            |Entry {
                 label,
                 header,
                 always,
             }| {
                let view = quote!(<#header as #krate::Header>::View<'a>);
                let about = format!("`{}`.", header.to_token_stream());
                match always {
                    true => quote!(#[doc = #about] pub #label: #view),
                    false => {
                        quote!(#[doc = #about] pub #label: ::core::option::Option<#view>)
                    }
                }
            },
        );
        let headers = distinct(entries.iter().map(|entry| &entry.header));
        let holds = headers.iter().map(|header| {
            let text = header.to_token_stream().to_string();
            let labels = entries
                .iter()
                .filter(|entry| entry.header.to_token_stream().to_string() == text)
                .map(|entry| &entry.label);
            quote! {
                impl #krate::frame::Holds<#header> for #form {
                    fn position(&self) -> u8 {
                        let places = self.places();
                        [#(places.#labels),*]
                            .into_iter()
                            .filter(|place| *place != u8::MAX)
                            .max()
                            .unwrap_or(u8::MAX)
                    }
                }
            }
        });
        quote! {
            #[doc = #about]
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #vis struct #form {
                parsed: #krate::Parsed,
            }

            #[doc = #about_views]
            #[allow(missing_debug_implementations, dead_code)]
            #vis struct #views<'a> {
                #(#fields,)*
            }

            impl ::core::ops::Deref for #form {
                type Target = #krate::Parsed;

                fn deref(&self) -> &#krate::Parsed {
                    &self.parsed
                }
            }

            #(#holds)*

            impl #krate::frame::ParsedStack for #form {
                const HEADERS: &'static [(#krate::HeaderKind, #krate::program::HeaderSpec)] = &[#(
                    (<#headers as #krate::frame::Stacked>::KIND, #krate::program::HeaderSpec::of::<#headers>())
                ),*];

                fn parsed(&self) -> &#krate::Parsed {
                    &self.parsed
                }
            }
        }
    }

    fn methods(&self, form: &Ident, entries: &[Entry]) -> TokenStream {
        let Self { krate, vis, .. } = self;
        let views = format_ident!("{form}Headers");
        let labels: Vec<_> = entries.iter().map(|entry| &entry.label).collect();
        let places = walk(krate, &self.stack);
        let filled = entries.iter().map(
            |Entry {
                 label,
                 header,
                 always,
             }| {
                let question = always.then(|| quote!(?));
                quote!(#label: self.parsed.view::<#header>(frame, places.#label)#question)
            },
        );
        let single = entries.iter().map(|Entry { label, header, always }| {
            let about = format!(
                "A view of `{}`; none if {}`frame` is not the frame that was parsed.",
                header.to_token_stream(),
                if *always { "" } else { "it is not there, or " },
            );
            quote! {
                #[doc = #about]
                #[allow(dead_code)]
                #vis fn #label<'a>(&self, frame: &'a [u8]) -> ::core::option::Option<<#header as #krate::Header>::View<'a>> {
                    self.parsed.view::<#header>(frame, self.places().#label)
                }
            }
        });
        let places_of = format_ident!("{form}Places");
        quote! {
            #[derive(Clone, Copy)]
            struct #places_of {
                #(#labels: u8,)*
            }

            impl #form {
                /// Views of all headers; none if `frame` is not the frame that was parsed.
                #[allow(dead_code)]
                #vis fn headers<'a>(&self, frame: &'a [u8]) -> ::core::option::Option<#views<'a>> {
                    let places = self.places();
                    ::core::option::Option::Some(#views { #(#filled,)* })
                }

                #(#single)*

                /// Positions in the stack; of those that are not there, one that none has.
                #[allow(unused_assignments, dead_code)]
                fn places(&self) -> #places_of {
                    let shape = &self.parsed.shape;
                    let mut places = #places_of { #(#labels: u8::MAX,)* };
                    let mut at = 0u8;
                    #places
                    places
                }
            }
        }
    }

    /// Holds if no two headers of the stack have the same number.
    fn kinds(&self) -> TokenStream {
        let krate = &self.krate;
        let mut all = Vec::new();
        headers(&self.stack, &mut all);
        let all = distinct(all.into_iter());
        let pairs = all.iter().enumerate().flat_map(|(i, a)| {
            all.iter().skip(i + 1).map(move |b| {
                quote! {
                    #krate::derive::assert_kinds(
                        <#a as #krate::Header>::NAME,
                        <#a as #krate::frame::Stacked>::KIND,
                        <#b as #krate::Header>::NAME,
                        <#b as #krate::frame::Stacked>::KIND,
                    );
                }
            })
        });
        quote!(const _: () = { #(#pairs)* };)
    }
}

/// The headers by name, each once.
fn collect(stack: &[Item], always: bool, entries: &mut Vec<Entry>, errors: &Errors) {
    for item in stack {
        match item {
            Item::Header(place) => {
                let (label, header) = (label(place), place.header.clone());
                if entries.iter().any(|entry| entry.label == label) {
                    let (text, name) = (header.to_token_stream(), format!("inner_{label}"));
                    errors.on(
                        &header,
                        format!(
                            "a `{label}` is in this stack already; name this one: `{name}: {text}`"
                        ),
                    );
                    continue;
                }
                entries.push(Entry {
                    label,
                    header,
                    always,
                });
            }
            Item::Between(inner) => collect(inner, false, entries, errors),
            Item::Choice { alternatives, .. } => {
                let before = entries.len();
                let mut all: Vec<Entry> = Vec::new();
                for alternative in alternatives {
                    collect(alternative, false, entries, errors);
                    for entry in entries.split_off(before) {
                        merge(&mut all, entry, errors);
                    }
                }
                entries.append(&mut all);
            }
        }
    }
}

/// Alternatives may have the same header under the same name.
fn merge(all: &mut Vec<Entry>, entry: Entry, errors: &Errors) {
    let text = |path: &Path| path.to_token_stream().to_string();
    match all.iter().find(|other| other.label == entry.label) {
        None => all.push(entry),
        Some(other) if text(&other.header) == text(&entry.header) => {}
        Some(other) => {
            let message = format!(
                "`{}` is `{}` in another alternative",
                entry.label,
                text(&other.header)
            );
            errors.on(&entry.header, message);
        }
    }
}

fn label(place: &Place) -> Ident {
    place.label.clone().unwrap_or_else(|| {
        let last = place.header.segments.last();
        let (name, span) = last.map_or_else(
            || (String::from("header"), proc_macro2::Span::call_site()),
            |segment| (segment.ident.to_string(), segment.ident.span()),
        );
        Ident::new(&snake(&name), span)
    })
}

/// Goes through the shape as the parser went through the frame.
fn walk(krate: &Path, stack: &[Item]) -> TokenStream {
    let items = stack.iter().map(|item| match item {
        Item::Header(place) => {
            let (label, header) = (label(place), &place.header);
            quote! {
                if shape.at(at) == <#header as #krate::frame::Stacked>::KIND {
                    places.#label = at;
                    at = at.saturating_add(1);
                }
            }
        }
        Item::Between(inner) => {
            let (starts, inner) = (starts(krate, inner), walk(krate, inner));
            quote!(if #starts { #inner })
        }
        Item::Choice { alternatives, .. } => {
            let mut tree = TokenStream::new();
            for alternative in alternatives.iter().rev() {
                let (starts, inner) = (starts(krate, alternative), walk(krate, alternative));
                let other = (!tree.is_empty()).then(|| quote!(else { #tree }));
                tree = quote!(if #starts { #inner } #other);
            }
            tree
        }
    });
    quote!(#(#items)*)
}

/// Whether one of those stands here with which a sequence can start.
fn starts(krate: &Path, stack: &[Item]) -> TokenStream {
    let (candidates, _) = candidates(stack);
    let kinds = candidates.iter().map(|candidate| {
        let header = &candidate.place.header;
        quote!(shape.at(at) == <#header as #krate::frame::Stacked>::KIND)
    });
    quote!(#(#kinds)||*)
}

fn headers<'a>(stack: &'a [Item], all: &mut Vec<&'a Path>) {
    for item in stack {
        match item {
            Item::Header(place) => all.push(&place.header),
            Item::Between(inner) => headers(inner, all),
            Item::Choice { alternatives, .. } => {
                alternatives.iter().for_each(|inner| headers(inner, all));
            }
        }
    }
}

/// Each once, by its text.
fn distinct<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<&'a Path> {
    let mut all: Vec<&Path> = Vec::new();
    for path in paths {
        let text = path.to_token_stream().to_string();
        if all
            .iter()
            .all(|other| other.to_token_stream().to_string() != text)
        {
            all.push(path);
        }
    }
    all
}
