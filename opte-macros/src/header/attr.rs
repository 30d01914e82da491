//! The attribute `#[header(..)]` on the struct and on its fields.

use crate::diagnostics::{Errors, nearest};
use proc_macro2::{Span, TokenTree};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, BinOp, Expr, Ident, LitInt, Path, Token, parenthesized};

/// What the struct says.
#[derive(Default)]
pub(crate) struct StructAttrs {
    pub(crate) follows: Vec<Relation>,
    pub(crate) carries: Vec<Relation>,
    pub(crate) krate: Option<Path>,
    pub(crate) little_endian: Option<Span>,
    pub(crate) len: Option<LitInt>,
    pub(crate) field: Option<Span>,
    pub(crate) arbitrary: Option<Span>,
    pub(crate) serde: Option<Span>,
}

/// Another header and the selector value between it and this one.
pub(crate) struct Relation {
    pub(crate) header: Path,
    pub(crate) value: Option<Expr>,
}

impl Relation {
    /// The selector values, of which the first is written: `A`, `A | B`.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Expr> {
        let mut values = Vec::new();
        let mut rest = self.value.as_ref();
        while let Some(expr) = rest {
            match expr {
                Expr::Binary(binary) if matches!(binary.op, BinOp::BitOr(_)) => {
                    values.push(&*binary.right);
                    rest = Some(&binary.left);
                }
                other => {
                    values.push(other);
                    rest = None;
                }
            }
        }
        values.into_iter().rev()
    }
}

/// What a field says.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub(crate) default: Option<Expr>,
    pub(crate) constant: Option<Expr>,
    pub(crate) reserved: Option<Span>,
    pub(crate) next: Option<Next>,
    pub(crate) length: Option<Length>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) tail: Option<Tail>,
    pub(crate) little_endian: Option<Span>,
    pub(crate) bits: Option<LitInt>,
    pub(crate) key: Option<Ident>,
    pub(crate) pseudo: bool,
    pub(crate) hex: bool,
    pub(crate) read_only: Option<Span>,
}

/// `next`, `next(hint)`.
pub(crate) struct Next {
    pub(crate) span: Span,
    /// The field means something else too and stays settable.
    pub(crate) hint: bool,
}

/// `length(of = .., unit = .., less = ..)`.
pub(crate) struct Length {
    pub(crate) span: Span,
    pub(crate) of: LengthOf,
    pub(crate) unit: usize,
    pub(crate) less: usize,
}

/// What a length counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LengthOf {
    Header,
    Tail,
    Packet,
    Payload,
}

/// `checksum(header)`, `checksum(pseudo)`, `checksum(pseudo, zero_is_none)`, `checksum(payload)`.
pub(crate) struct Checksum {
    pub(crate) span: Span,
    pub(crate) covers: Covers,
}

#[derive(Clone, Copy)]
pub(crate) enum Covers {
    Header,
    Pseudo { zero_is_none: bool },
    Payload,
}

/// `bytes(..)`, `options(..)`.
pub(crate) struct Tail {
    pub(crate) span: Span,
    pub(crate) extent: Extent,
}

/// How long a tail is.
pub(crate) enum Extent {
    /// By an expression over earlier fields.
    Len(Expr),
    /// To the end of the bytes.
    Rest,
    /// It was not said.
    Missing,
}

/// The parts of a flow key.
const KEY_PARTS: [&str; 9] = [
    "source",
    "destination",
    "source_port",
    "destination_port",
    "protocol",
    "vni",
    "icmp_type",
    "icmp_code",
    "identifier",
];

const OF_STRUCT: [&str; 8] = [
    "follows",
    "carries",
    "crate",
    "le",
    "len",
    "field",
    "arbitrary",
    "serde",
];
const OF_FIELD: [&str; 14] = [
    "default",
    "const",
    "reserved",
    "next",
    "length",
    "checksum",
    "bytes",
    "options",
    "le",
    "bits",
    "key",
    "pseudo",
    "hex",
    "read_only",
];

impl StructAttrs {
    pub(crate) fn parse(attrs: &[Attribute], errors: &Errors) -> Self {
        let mut this = Self::default();
        each(attrs, errors, |name, input| {
            match name.to_string().as_str() {
                "follows" => this.follows.extend(relations(input, errors)?),
                "carries" => this.carries.extend(relations(input, errors)?),
                "crate" => once(&mut this.krate, name, errors, value(input)?),
                "le" => once(&mut this.little_endian, name, errors, name.span()),
                "len" => once(&mut this.len, name, errors, value(input)?),
                "arbitrary" => once(&mut this.arbitrary, name, errors, name.span()),
                "field" => once(&mut this.field, name, errors, name.span()),
                "serde" => once(&mut this.serde, name, errors, name.span()),
                _ => {
                    return Err(unknown(
                        name,
                        "a header",
                        &OF_STRUCT,
                        &OF_FIELD,
                        "on a field",
                    ));
                }
            }
            Ok(())
        });
        this
    }
}

impl FieldAttrs {
    pub(crate) fn parse(attrs: &[Attribute], errors: &Errors) -> Self {
        let mut this = Self::default();
        each(attrs, errors, |name, input| {
            match name.to_string().as_str() {
                "default" => once(&mut this.default, name, errors, value(input)?),
                "const" => once(&mut this.constant, name, errors, value(input)?),
                "reserved" => once(&mut this.reserved, name, errors, name.span()),
                "next" => once(&mut this.next, name, errors, next(name, input)?),
                "length" => once(&mut this.length, name, errors, length(name, input)?),
                "checksum" => once(&mut this.checksum, name, errors, checksum(name, input)?),
                "bytes" | "options" => once(&mut this.tail, name, errors, tail(name, input)?),
                "le" => once(&mut this.little_endian, name, errors, name.span()),
                "bits" => once(&mut this.bits, name, errors, value(input)?),
                "key" => once(&mut this.key, name, errors, key(name, input)?),
                "pseudo" => this.pseudo = true,
                "hex" => this.hex = true,
                "read_only" => once(&mut this.read_only, name, errors, name.span()),
                _ => {
                    return Err(unknown(
                        name,
                        "a field",
                        &OF_FIELD,
                        &OF_STRUCT,
                        "on the struct",
                    ));
                }
            }
            Ok(())
        });
        this
    }
}

/// Parses every item of every `#[header(..)]`; an item at fault is reported and left out.
fn each(
    attrs: &[Attribute],
    errors: &Errors,
    mut item: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("header")) {
        let result = attr.parse_args_with(|input: ParseStream<'_>| {
            while !input.is_empty() {
                let result = Ident::parse_any(input).and_then(|name| item(&name, input));
                match result {
                    Ok(()) if !input.is_empty() && !input.peek(Token![,]) => {
                        errors.at(
                            input.span(),
                            "expected `,` between two items of `#[header(..)]`",
                        );
                        skip_item(input)?;
                    }
                    Ok(()) => {}
                    Err(error) => {
                        errors.push(error);
                        skip_item(input)?;
                    }
                }
                input.parse::<Option<Token![,]>>()?;
            }
            Ok(())
        });
        if let Err(error) = result {
            errors.push(error);
        }
    }
}

fn skip_item(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn once<T>(place: &mut Option<T>, name: &Ident, errors: &Errors, value: T) {
    if place.replace(value).is_some() {
        errors.on(name, format!("`{name}` is given twice"));
    }
}

fn unknown(
    name: &Ident,
    on: &str,
    known: &[&str],
    elsewhere: &[&str],
    other_place: &str,
) -> syn::Error {
    let text = name.to_string();
    let hint = if elsewhere.contains(&text.as_str()) {
        format!("it belongs {other_place}")
    } else {
        match nearest(&text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", list(known)),
        }
    };
    let what = if on == "the flow key" {
        "part"
    } else {
        "attribute"
    };
    syn::Error::new(
        name.span(),
        format!("unknown {what} `{text}` of {on}; {hint}"),
    )
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn value<T: syn::parse::Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// `(Header = VALUE, Header)`.
fn relations(input: ParseStream<'_>, errors: &Errors) -> syn::Result<Vec<Relation>> {
    let content;
    parenthesized!(content in input);
    let mut all = Vec::new();
    while !content.is_empty() {
        let relation = Relation {
            header: content.parse()?,
            value: if content.peek(Token![=]) {
                Some(value(&content)?)
            } else {
                None
            },
        };
        all.push(relation);
        if !content.is_empty() && !content.peek(Token![,]) {
            errors.at(
                content.span(),
                "expected `,` or `= VALUE` behind the header's name",
            );
            skip_item(&content)?;
        }
        content.parse::<Option<Token![,]>>()?;
    }
    Ok(all)
}

/// The names and values in the parentheses behind `name`.
fn arguments(
    input: ParseStream<'_>,
    mut item: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let content;
    parenthesized!(content in input);
    while !content.is_empty() {
        let name = Ident::parse_any(&content)?;
        item(&name, &content)?;
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// `= source`, `= destination_port`, ..
fn key(name: &Ident, input: ParseStream<'_>) -> syn::Result<Ident> {
    if !input.peek(Token![=]) {
        let usage = format!(
            "say which part of the flow key it is: `key = PART` with {}",
            list(&KEY_PARTS)
        );
        return Err(syn::Error::new(name.span(), usage));
    }
    let part: Ident = value(input)?;
    if KEY_PARTS.iter().any(|known| part == known) {
        Ok(part)
    } else {
        Err(unknown(&part, "the flow key", &KEY_PARTS, &[], ""))
    }
}

fn next(name: &Ident, input: ParseStream<'_>) -> syn::Result<Next> {
    let mut next = Next {
        span: name.span(),
        hint: false,
    };
    if input.peek(syn::token::Paren) {
        arguments(input, |word, _| {
            if word != "hint" {
                return Err(unknown(word, "`next`", &["hint"], &[], ""));
            }
            next.hint = true;
            Ok(())
        })?;
    }
    Ok(next)
}

fn length(name: &Ident, input: ParseStream<'_>) -> syn::Result<Length> {
    let mut of = None;
    let (mut unit, mut less) = (1, 0);
    let usage = "say what it counts: `length(of = packet)`, `payload`, `header` or `tail`";
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(name.span(), usage));
    }
    arguments(input, |word, input| {
        match word.to_string().as_str() {
            "of" => {
                let what = value::<Ident>(input)?;
                of = Some(match what.to_string().as_str() {
                    "header" => LengthOf::Header,
                    "tail" => LengthOf::Tail,
                    "packet" => LengthOf::Packet,
                    "payload" => LengthOf::Payload,
                    _ => {
                        let known = ["header", "tail", "packet", "payload"];
                        return Err(unknown(&what, "`length(of = ..)`", &known, &[], ""));
                    }
                });
            }
            "unit" => unit = value::<LitInt>(input)?.base10_parse::<usize>()?.max(1),
            "less" => less = value::<LitInt>(input)?.base10_parse()?,
            _ => return Err(unknown(word, "`length`", &["of", "unit", "less"], &[], "")),
        }
        Ok(())
    })?;
    let of = of.ok_or_else(|| syn::Error::new(name.span(), usage))?;
    Ok(Length {
        span: name.span(),
        of,
        unit,
        less,
    })
}

fn checksum(name: &Ident, input: ParseStream<'_>) -> syn::Result<Checksum> {
    let usage = "say what it covers: `checksum(header)`, `checksum(pseudo)`, `checksum(pseudo, zero_is_none)` or \
                 `checksum(payload)`";
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(name.span(), usage));
    }
    let mut covers = None;
    arguments(input, |word, _| {
        covers = Some(match (word.to_string().as_str(), covers) {
            ("header", None) => Covers::Header,
            ("payload", None) => Covers::Payload,
            ("pseudo", None) => Covers::Pseudo {
                zero_is_none: false,
            },
            ("zero_is_none", Some(Covers::Pseudo { .. })) => Covers::Pseudo { zero_is_none: true },
            _ => return Err(syn::Error::new(word.span(), usage)),
        });
        Ok(())
    })?;
    let covers = covers.ok_or_else(|| syn::Error::new(name.span(), usage))?;
    Ok(Checksum {
        span: name.span(),
        covers,
    })
}

fn tail(name: &Ident, input: ParseStream<'_>) -> syn::Result<Tail> {
    let mut extent = Extent::Missing;
    if input.peek(syn::token::Paren) {
        arguments(input, |word, input| {
            extent = match word.to_string().as_str() {
                "len" => Extent::Len(value(input)?),
                "rest" => Extent::Rest,
                _ => {
                    return Err(unknown(
                        word,
                        &format!("`{name}`"),
                        &["len", "rest"],
                        &[],
                        "",
                    ));
                }
            };
            Ok(())
        })?;
    }
    Ok(Tail {
        span: name.span(),
        extent,
    })
}
