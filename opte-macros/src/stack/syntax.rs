//! How a stack is written.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, Path, Token, Type, Visibility, bracketed, parenthesized};

/// `/// docs  pub fn name(context: &Type) -> Form = STACK;`
pub(super) struct Parser {
    pub(super) docs: Vec<Attribute>,
    pub(super) krate: Path,
    /// The function for frames of which the start is there.
    pub(super) head: Option<Ident>,
    pub(super) vis: Visibility,
    pub(super) name: Ident,
    /// What guards and controls get last.
    pub(super) context: Option<(Ident, Type)>,
    /// The type that it gives.
    pub(super) form: Option<Ident>,
    pub(super) stack: Vec<Item>,
}

/// A part of a sequence.
#[derive(Clone)]
pub(super) enum Item {
    Header(Place),
    /// `[..]`
    Between(Vec<Item>),
    /// `(.. | ..)`, `(.. | ..)?`
    Choice {
        alternatives: Vec<Vec<Item>>,
        optional: bool,
        span: Span,
    },
}

/// `name: Header if guard => control`
#[derive(Clone)]
pub(super) struct Place {
    pub(super) label: Option<Ident>,
    pub(super) header: Path,
    pub(super) guard: Option<Path>,
    pub(super) control: Option<Path>,
}

impl Item {
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Header(place) => place.header.span(),
            Self::Between(items) => items.first().map_or(Span::call_site(), Self::span),
            Self::Choice { span, .. } => *span,
        }
    }
}

impl Parse for Parser {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let mut krate = syn::parse_quote!(::opte_headers);
        let mut head = None;
        let mut docs = Vec::new();
        for attr in attrs {
            if attr.path().is_ident("header") {
                attr.parse_nested_meta(|meta| {
                    if meta.path.is_ident("crate") {
                        krate = meta.value()?.parse()?;
                    } else if meta.path.is_ident("head") {
                        head = Some(meta.value()?.parse()?);
                    } else {
                        return Err(meta.error("unknown attribute; known are `crate` and `head`"));
                    }
                    Ok(())
                })?;
            } else {
                docs.push(attr);
            }
        }
        let vis = input.parse()?;
        input.parse::<Token![fn]>()?;
        let name: Ident = input.parse()?;
        let context = if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            let ident = content.parse()?;
            content.parse::<Token![:]>()?;
            Some((ident, content.parse()?))
        } else {
            None
        };
        let form = match input.parse::<Option<Token![->]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        input.parse::<Token![=]>()?;
        let stack = sequence(input)?;
        input.parse::<Option<Token![;]>>()?;
        if !input.is_empty() {
            return Err(input.error("expected a header, `[..]` or `(..)`"));
        }
        if !matches!(stack.first(), Some(Item::Header(_))) {
            return Err(syn::Error::new_spanned(
                &name,
                "a stack starts with a header that is always there",
            ));
        }
        Ok(Self {
            docs,
            krate,
            head,
            vis,
            name,
            context,
            form,
            stack,
        })
    }
}

fn sequence(input: ParseStream<'_>) -> syn::Result<Vec<Item>> {
    let mut items = Vec::new();
    loop {
        if input.peek(syn::token::Bracket) {
            let content;
            bracketed!(content in input);
            items.push(Item::Between(sequence(&content)?));
            if !content.is_empty() {
                return Err(content.error("expected `]`"));
            }
        } else if input.peek(syn::token::Paren) {
            items.push(choice(input)?);
        } else if input.peek(Ident)
            || input.peek(Token![::])
            || input.peek(Token![crate])
            || input.peek(Token![super])
            || input.peek(Token![self])
        {
            items.push(Item::Header(input.parse()?));
        } else {
            return Ok(items);
        }
    }
}

fn choice(input: ParseStream<'_>) -> syn::Result<Item> {
    let content;
    let span = parenthesized!(content in input).span.join();
    let mut alternatives = vec![sequence(&content)?];
    while content.parse::<Option<Token![|]>>()?.is_some() {
        alternatives.push(sequence(&content)?);
    }
    if !content.is_empty() {
        return Err(content.error("expected `|` or `)`"));
    }
    let optional = input.parse::<Option<Token![?]>>()?.is_some();
    Ok(Item::Choice {
        alternatives,
        optional,
        span,
    })
}

impl Parse for Place {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let label = if input.peek(Ident) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
            let label = input.parse()?;
            input.parse::<Token![:]>()?;
            Some(label)
        } else {
            None
        };
        let header = input.parse()?;
        let guard = match input.parse::<Option<Token![if]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        let control = match input.parse::<Option<Token![=>]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self {
            label,
            header,
            guard,
            control,
        })
    }
}
