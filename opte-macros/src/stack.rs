//! `stack_parser!`: a function that goes through a stack of headers.
//!
//! The stack is written as a sequence. `A B`: B behind A. `[A]`: A or nothing, then what comes next. `(A B | C)`: a choice of
//! sequences. `(..)?` at the end: if none of them follows, the frame is accepted all the same. `name: A`, `A if guard`,
//! `A => control`: a header with a name of its own, one with a condition, one that a function is called behind.

mod form;
mod syntax;

use crate::diagnostics::Errors;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syntax::{Item, Parser, Place};

/// The macro.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Parser>(input) {
        Ok(parser) => {
            let errors = Errors::default();
            check(&parser.stack, &errors);
            let form = parser.form(&errors);
            let expansion = parser.expand();
            let errors = errors.into_tokens();
            quote!(#errors #form #expansion)
        }
        Err(error) => error.into_compile_error(),
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
                            Some(Item::Header(place)) if place.guard.is_none() => {
                                Some(&place.header)
                            }
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

/// What may stand at a place: a header and all that is behind it.
struct Candidate {
    place: Place,
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
        Item::Header(place) => {
            let candidate = Candidate {
                place: place.clone(),
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
            // The common case is looked at first, but for what has a condition.
            let (guarded, plain): (Vec<_>, Vec<_>) = seldom
                .into_iter()
                .partition(|candidate| candidate.place.guard.is_some());
            all.splice(0..0, guarded);
            all.extend(plain);
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
            ..
        } = self;
        let Some((Item::Header(first), behind)) = stack.split_first() else {
            return TokenStream::new();
        };
        let quick = self.enter(first, behind, Care::Quick);
        let shortest = self.shortest(stack);
        let thorough = self.enter(first, behind, Care::Thorough);
        let way = format_ident!("{name}_thoroughly");
        let (takes, gives) = self.context();
        let (output, wrapped) = self.output(quote!(parsed));
        let head = self.head(&way);
        quote! {
            #(#docs)*
            #[inline]
            #vis fn #name(bytes: &[u8] #takes) -> ::core::result::Result<#output, #krate::ParseError> {
                #[cold]
                #[inline(never)]
                fn thorough(bytes: &[u8] #takes) -> ::core::result::Result<#krate::Parsed, #krate::ParseError> {
                    let mut state = #krate::frame::Walk::<false>::new(bytes.len());
                    #way(bytes, &mut state #gives)?;
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
                let parsed = thorough(bytes #gives)?;
                ::core::result::Result::Ok(#wrapped)
            }

            #[inline]
            fn #way(bytes: &[u8], walk: &mut #krate::frame::Walk<false> #takes) -> ::core::result::Result<(), #krate::ParseError> {
                #thorough
                ::core::result::Result::Ok(())
            }

            #head
        }
    }

    /// The function for frames of which the start is there.
    fn head(&self, way: &syn::Ident) -> TokenStream {
        let Some(head) = &self.head else {
            return TokenStream::new();
        };
        let Self {
            krate, vis, name, ..
        } = self;
        let (takes, gives) = self.context();
        let (output, wrapped) = self.output(quote!(state.finish()));
        let about = format!(
            "[`{name}`], for a frame of `frame_len` bytes of which `head` is the start; the rest is elsewhere, and looked at by no parser."
        );
        quote! {
            #[doc = #about]
            ///
            /// # Errors
            #[doc = concat!("As [`", stringify!(#name), "`]; the headers go on behind `head`.")]
            #vis fn #head(head: &[u8], frame_len: usize #takes) -> ::core::result::Result<#output, #krate::frame::HeadError> {
                let head = head.get(..frame_len).unwrap_or(head);
                if head.len() == frame_len {
                    return #name(head #gives).map_err(#krate::frame::HeadError::Parse);
                }
                let mut state = #krate::frame::Walk::<false>::of_head(head.len(), frame_len - head.len());
                match #way(head, &mut state #gives) {
                    ::core::result::Result::Ok(()) => ::core::result::Result::Ok(#wrapped),
                    ::core::result::Result::Err(error) => {
                        ::core::result::Result::Err(#krate::derive::head_error(error, &state))
                    }
                }
            }
        }
    }

    /// What guards and controls get last, as a parameter and as an argument.
    fn context(&self) -> (TokenStream, TokenStream) {
        match &self.context {
            Some((name, ty)) => (quote!(, #name: #ty), quote!(, #name)),
            None => (TokenStream::new(), TokenStream::new()),
        }
    }

    /// The type of the result, and how it is made of a `Parsed`.
    fn output(&self, parsed: TokenStream) -> (TokenStream, TokenStream) {
        let krate = &self.krate;
        match &self.form {
            Some(form) => (quote!(#form), quote!(#form { parsed: #parsed })),
            None => (quote!(#krate::Parsed), parsed),
        }
    }

    /// Bytes of the shortest stack that the quick parser takes.
    fn shortest(&self, stack: &[Item]) -> TokenStream {
        let krate = &self.krate;
        let parts = stack.iter().map(|item| match item {
            Item::Header(Place { header, .. }) => quote!(<#header as #krate::Header>::MIN_LEN),
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

    /// Goes through the header of `place`, at the start of `bytes`, and what is behind it.
    fn enter(&self, place: &Place, behind: &[Item], care: Care) -> TokenStream {
        let krate = &self.krate;
        let header = &place.header;
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
        let control = self.control(place, care);
        let step = quote!(#step #control);
        match (care, next.is_empty()) {
            // Every way through ends by itself, so that what is known on it stays a constant.
            (Care::Quick, true) => {
                let (_, wrapped) = self.output(quote!(state.finish()));
                quote!(#step let _ = step; return ::core::result::Result::Ok(#wrapped);)
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

    /// Asks the function that is called behind a header.
    fn control(&self, place: &Place, care: Care) -> Option<TokenStream> {
        let (krate, header) = (&self.krate, &place.header);
        let control = place.control.as_ref()?;
        let (_, gives) = self.context();
        let answer = quote_spanned! {control.span()=>
            #control(&view, &walk.parsed #gives)
        };
        Some(match care {
            Care::Quick => quote! {
                let ::core::result::Result::Ok((view, _)) = <#header as #krate::Header>::parse(bytes) else {
                    break 'quick;
                };
                let ::core::result::Result::Ok(#krate::frame::Control::Continue) = #answer else {
                    break 'quick;
                };
            },
            Care::Thorough => quote! {
                let mut step = step;
                let (view, _) = <#header as #krate::Header>::parse(bytes)?;
                match #answer? {
                    #krate::frame::Control::Continue => {}
                    #krate::frame::Control::Accept => step.more = false,
                }
            },
        })
    }

    /// Chooses what follows `parent` by `selector`.
    fn dispatch(&self, parent: &syn::Path, stack: &[Item], care: Care) -> TokenStream {
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
        let (_, gives) = self.context();
        for Candidate {
            place,
            behind,
            seldom,
        } in candidates.iter().rev()
        {
            let seldom = *seldom && care == Care::Quick;
            // What has a condition may take another's place.
            if seldom && place.guard.is_none() {
                continue;
            }
            let enter = match seldom {
                true => quote!(break 'quick;),
                false => self.enter(place, behind, care),
            };
            let child = &place.header;
            let follows = quote_spanned! {child.span()=>
                <#child as #krate::Follows<#parent>>::follows(selector)
            };
            let guard = place.guard.as_ref().map(|guard| {
                let asked = quote_spanned!(guard.span()=> #guard(bytes, &walk.parsed #gives));
                match care {
                    Care::Quick => quote!(&& #asked),
                    Care::Thorough => quote!(&& {
                        walk.reaches::<#child>(bytes)?;
                        #asked
                    }),
                }
            });
            tree = quote!(if #follows #guard { #enter } else { #tree });
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
