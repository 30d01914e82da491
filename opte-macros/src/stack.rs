//! `stack_parser!`: a function that goes through a stack of headers.
//!
//! The stack is written as a sequence. `A B`: B behind A. `[A]`: A or nothing, then what comes next. `(A B | C)`: a choice of
//! sequences. `(..)?` at the end: if none of them follows, the frame is accepted all the same.

use crate::diagnostics::Errors;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Ident, Path, Token, Visibility, bracketed, parenthesized};

/// The macro.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Parser>(input) {
        Ok(parser) => {
            let errors = Errors::default();
            check(&parser.stack, &errors);
            let expansion = parser.expand();
            let errors = errors.into_tokens();
            quote!(#errors #expansion)
        }
        Err(error) => error.into_compile_error(),
    }
}

/// `/// docs  pub fn name = STACK;`
struct Parser {
    docs: Vec<Attribute>,
    krate: Path,
    vis: Visibility,
    name: Ident,
    stack: Vec<Item>,
}

/// A part of a sequence.
#[derive(Clone)]
enum Item {
    Header(Path),
    /// `[..]`
    Between(Vec<Item>),
    /// `(.. | ..)`, `(.. | ..)?`
    Choice {
        alternatives: Vec<Vec<Item>>,
        optional: bool,
        span: Span,
    },
}

impl Parse for Parser {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let mut krate = syn::parse_quote!(::opte_headers);
        let mut docs = Vec::new();
        for attr in attrs {
            if attr.path().is_ident("header") {
                attr.parse_nested_meta(|meta| {
                    if !meta.path.is_ident("crate") {
                        return Err(meta.error("unknown attribute; known is `crate`"));
                    }
                    krate = meta.value()?.parse()?;
                    Ok(())
                })?;
            } else {
                docs.push(attr);
            }
        }
        let vis = input.parse()?;
        input.parse::<Token![fn]>()?;
        let name = input.parse()?;
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
            vis,
            name,
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
            items.push(Item::Choice {
                alternatives,
                optional,
                span,
            });
        } else if input.peek(Ident)
            || input.peek(Token![::])
            || input.peek(Token![crate])
            || input.peek(Token![super])
        {
            items.push(Item::Header(input.parse()?));
        } else {
            return Ok(items);
        }
    }
}

/// Faults that can be told without knowing the headers.
fn check(stack: &[Item], errors: &Errors) {
    for (i, item) in stack.iter().enumerate() {
        match item {
            Item::Header(_) => {}
            Item::Between(inner) => check(inner, errors),
            Item::Choice {
                alternatives,
                optional,
                span,
            } => {
                if *optional && let Some(mandatory) = stack.get(i + 1) {
                    let message = "this stands behind a choice that may be absent; what may be absent comes last, or in `[..]`";
                    errors.at(mandatory.span(), message);
                }
                if alternatives.iter().any(Vec::is_empty) {
                    errors.at(
                        *span,
                        "an alternative is empty; write `(..)?` where nothing need follow",
                    );
                }
                alternatives
                    .iter()
                    .for_each(|alternative| check(alternative, errors));
                let mut seen = Vec::new();
                for header in
                    alternatives
                        .iter()
                        .filter_map(|alternative| match alternative.first() {
                            Some(Item::Header(header)) => Some(header),
                            _ => None,
                        })
                {
                    let text = header.to_token_stream().to_string();
                    if seen.contains(&text) {
                        errors.on(
                            header,
                            format!(
                                "`{text}` is twice in this choice; the second is never reached"
                            ),
                        );
                    }
                    seen.push(text);
                }
            }
        }
    }
}

impl Item {
    fn span(&self) -> Span {
        match self {
            Self::Header(path) => path.span(),
            Self::Between(items) => items.first().map_or(Span::call_site(), Self::span),
            Self::Choice { span, .. } => *span,
        }
    }
}

/// What may stand at a place: a header and all that is behind it.
struct Candidate {
    header: Path,
    behind: Vec<Item>,
    /// From `[..]`: seldom there.
    seldom: bool,
}

/// What may stand at the start of a sequence, in order, and whether it may also be nothing known.
fn candidates(stack: &[Item]) -> (Vec<Candidate>, bool) {
    let Some((first, behind)) = stack.split_first() else {
        return (Vec::new(), true);
    };
    match first {
        Item::Header(header) => {
            let candidate = Candidate {
                header: header.clone(),
                behind: behind.to_vec(),
                seldom: false,
            };
            (vec![candidate], false)
        }
        Item::Between(inner) => {
            let (mut all, optional) = candidates(behind);
            let taken = [inner, behind].concat();
            let (mut seldom, _) = candidates(&taken);
            seldom
                .iter_mut()
                .for_each(|candidate| candidate.seldom = true);
            // The common case is looked at first.
            all.extend(seldom);
            (all, optional)
        }
        Item::Choice {
            alternatives,
            optional,
            ..
        } => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.extend(candidates(&[alternative, behind].concat()).0);
            }
            (all, *optional)
        }
    }
}

impl Parser {
    fn expand(&self) -> TokenStream {
        let Self {
            docs,
            krate,
            vis,
            name,
            stack,
        } = self;
        let Some((Item::Header(first), behind)) = stack.split_first() else {
            return TokenStream::new();
        };
        let quick = self.enter(first, behind, Care::Quick);
        let shortest = self.shortest(stack);
        let thorough = self.enter(first, behind, Care::Thorough);
        quote! {
            #(#docs)*
            #[inline]
            #vis fn #name(bytes: &[u8]) -> ::core::result::Result<#krate::Parsed, #krate::ParseError> {
                #[cold]
                #[inline(never)]
                fn thorough(bytes: &[u8]) -> ::core::result::Result<#krate::Parsed, #krate::ParseError> {
                    let mut state = #krate::frame::Walk::<false>::new(bytes.len());
                    let walk = &mut state;
                    #thorough
                    ::core::result::Result::Ok(state.finish())
                }

                'quick: {
                    // One look at the length serves the headers that are always there, and all offsets.
                    if bytes.len() < #shortest || bytes.len() > 0xffff {
                        break 'quick;
                    }
                    let mut state = #krate::frame::Walk::<true>::new(bytes.len());
                    let (walk, bytes) = (&mut state, bytes);
                    #quick
                }
                thorough(bytes)
            }
        }
    }

    /// Bytes of the shortest stack that the quick parser takes.
    fn shortest(&self, stack: &[Item]) -> TokenStream {
        let krate = &self.krate;
        let parts = stack.iter().map(|item| match item {
            Item::Header(header) => quote!(<#header as #krate::Header>::MIN_LEN),
            Item::Between(_) => quote!(0),
            Item::Choice { alternatives, .. } => {
                let alternatives = alternatives
                    .iter()
                    .map(|alternative| self.shortest(alternative));
                quote!(#krate::derive::least(&[#(#alternatives),*]))
            }
        });
        quote!(const { 0 #(+ #parts)* })
    }

    /// Goes through `header`, at the start of `bytes`, and what is behind it.
    fn enter(&self, header: &Path, behind: &[Item], care: Care) -> TokenStream {
        let krate = &self.krate;
        let next = self.dispatch(header, behind, care);
        let quick = care == Care::Quick;
        let enter = quote_spanned! {header.span()=>
            <#header as #krate::frame::Stacked>::enter::<#quick>(bytes, walk)
        };
        let step = match care {
            Care::Quick => quote! {
                let step = match #enter {
                    ::core::result::Result::Ok(step) if step.more => step,
                    _ => break 'quick,
                };
            },
            Care::Thorough => quote!(let step = #enter?;),
        };
        match (care, next.is_empty()) {
            // Every way through ends by itself, so that what is known on it stays a constant.
            (Care::Quick, true) => {
                quote!(#step let _ = step; return ::core::result::Result::Ok(state.finish());)
            }
            (Care::Quick, false) => {
                quote!(#step let (selector, bytes) = (step.selector, step.bytes); #next)
            }
            (Care::Thorough, true) => quote!(#step let _ = step;),
            (Care::Thorough, false) => {
                // A later fragment has nothing behind it that could be looked at; where something must be, it is refused.
                let refuse = (!candidates(behind).1).then(|| {
                    quote!(else {
                        return ::core::result::Result::Err(<#header as #krate::Header>::unsupported(step.selector));
                    })
                });
                quote! {
                    #step
                    if step.more {
                        let (selector, bytes) = (step.selector, step.bytes);
                        #next
                    } #refuse
                }
            }
        }
    }

    /// Chooses what follows `parent` by `selector`.
    fn dispatch(&self, parent: &Path, stack: &[Item], care: Care) -> TokenStream {
        let krate = &self.krate;
        if stack.is_empty() {
            return TokenStream::new();
        }
        let (candidates, optional) = candidates(stack);
        let mut tree = match care {
            Care::Quick => quote!(break 'quick;),
            Care::Thorough if optional => {
                quote!(<#parent as #krate::frame::Stacked>::unknown(selector, bytes, walk)?;)
            }
            Care::Thorough => {
                quote!(return ::core::result::Result::Err(<#parent as #krate::Header>::unsupported(selector));)
            }
        };
        let candidates = candidates
            .iter()
            .filter(|candidate| care == Care::Thorough || !candidate.seldom);
        for candidate in candidates.rev() {
            let child = &candidate.header;
            let enter = self.enter(child, &candidate.behind, care);
            let follows = quote_spanned! {child.span()=>
                <#child as #krate::Follows<#parent>>::follows(selector)
            };
            tree = quote!(if #follows { #enter } else { #tree });
        }
        tree
    }
}

/// Which of the two parsers is made: the one of the common case, which gives up on any other, or the one of all cases.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Quick,
    Thorough,
}
