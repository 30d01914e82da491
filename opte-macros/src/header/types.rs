//! What the types of fields tell, and values of them.

use super::ast::Field;
use crate::diagnostics::Errors;
use quote::ToTokens;
use syn::{Expr, ExprLit, Ident, Lit, Type};

/// Bits of a primitive type or an array of bytes.
pub(super) fn width(ty: &Type) -> Option<usize> {
    match ty {
        Type::Path(path) => {
            let name = path.path.get_ident()?.to_string();
            if name == "bool" {
                return Some(1);
            }
            width_by_name(&name)
        }
        Type::Array(array) => match (&*array.elem, &array.len) {
            (Type::Path(elem), Expr::Lit(len)) if elem.path.is_ident("u8") => match &len.lit {
                Lit::Int(len) => len.base10_parse::<usize>().ok().map(|len| 8 * len),
                _ => None,
            },
            _ => None,
        },
        Type::Group(group) => width(&group.elem),
        Type::Paren(paren) => width(&paren.elem),
        _ => None,
    }
}

pub(super) fn customary_width(ty: &Type) -> Option<usize> {
    let Type::Path(path) = ty else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    let customary = CUSTOMARY.iter().find(|(known, _)| *known == name);
    customary
        .map(|(_, bits)| *bits)
        .or_else(|| width_by_name(&name))
}

/// Bits of an integer by its name: `u13`, `i64`.
fn width_by_name(name: &str) -> Option<usize> {
    let digits = name.strip_prefix(['u', 'i'])?;
    digits.parse().ok().filter(|bits| (1..=64).contains(bits))
}

/// Bits of an integer that is no machine integer: values of it are made by `new`.
pub(super) fn unusual_width(ty: &Type) -> Option<usize> {
    let Type::Path(path) = ty else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    width_by_name(&name).filter(|bits| !matches!(bits, 8 | 16 | 32 | 64))
}

/// Whether a type known by name is an array of bytes on the wire, which starts on a whole byte.
pub(super) fn of_whole_bytes(ty: &Type) -> bool {
    match ty {
        Type::Array(_) => true,
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|name| WHOLE_BYTES.iter().any(|known| name.ident == known)),
        _ => false,
    }
}

/// What a type is that no field can have.
pub(super) fn not_a_value(ty: &Type) -> Option<&'static str> {
    Some(match ty {
        Type::Reference(_) => "a reference",
        Type::Ptr(_) => "a pointer",
        Type::Slice(_) => "a slice",
        Type::Tuple(_) => "a tuple",
        Type::BareFn(_) => "a function",
        Type::ImplTrait(_) | Type::TraitObject(_) => "a trait",
        Type::Path(path) => {
            let name = path.path.segments.last()?.ident.to_string();
            return NOT_VALUES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, what)| *what);
        }
        _ => return None,
    })
}

/// Refuses a type that cannot be of variable length.
pub(super) fn is_no_tail(field: &Field<'_>, errors: &Errors) -> bool {
    let refused = width(field.ty).is_some()
        || customary_width(field.ty).is_some()
        || not_a_value(field.ty).is_some();
    if refused {
        let ty = as_written(field.ty);
        let message = format!(
            "`{ty}` cannot hold a part of variable length; use `TailBytes<CAPACITY>` with `bytes(..)`, or `Options<Set, CAPACITY>` \
             with `options(..)`"
        );
        errors.on(field.ty, message);
    }
    refused
}

/// The type as its author would write it.
pub(crate) fn as_written(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, tight) in [
        ("& ", "&"),
        (" < ", "<"),
        (" >", ">"),
        (" :: ", "::"),
        (" ;", ";"),
        (" ,", ","),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

/// A number as value of a field must fit its bits.
pub(super) fn fits(value: &Expr, bits: Option<usize>, ident: &Ident, errors: &Errors) {
    let (
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal),
            ..
        }),
        Some(bits),
    ) = (value, bits)
    else {
        return;
    };
    if let Ok(number) = literal.base10_parse::<u128>()
        && bits < 128
        && number >> bits != 0
    {
        let needed = u128::BITS - number.leading_zeros();
        errors.on(
            value,
            format!("`{literal}` needs {needed} bits, but `{ident}` has {bits}"),
        );
    }
}

pub(super) fn pointless_le(
    offset: Option<usize>,
    bits: Option<usize>,
    whole: bool,
    ty: &Type,
) -> Option<String> {
    let bits = bits?;
    if whole {
        return Some(String::from("the whole header is little-endian already"));
    }
    if matches!(ty, Type::Array(_)) {
        return Some(String::from(
            "`le` means nothing for bytes, which have no order of their own",
        ));
    }
    if bits <= 8 {
        return Some(format!(
            "`le` means nothing for {bits} bits: they are in one byte; remove it"
        ));
    }
    if bits % 8 != 0 || offset? % 8 != 0 {
        return Some(format!(
            "{bits} bits at bit {} are not whole bytes that could be in little-endian order; mark the whole header \
             `#[header(le)]` if its bits are counted from the low end",
            offset?
        ));
    }
    None
}

/// Types of this crate's and the standard library's, by name. Asserted where used.
const CUSTOMARY: [(&str, usize); 6] = [
    ("MacAddr", 48),
    ("Ethertype", 16),
    ("IpProtocol", 8),
    ("Vni", 24),
    ("Ipv4Addr", 32),
    ("Ipv6Addr", 128),
];

/// Types by name that are no values of bits.
const NOT_VALUES: [(&str, &str); 12] = [
    ("usize", "an integer whose width is the machine's"),
    ("isize", "an integer whose width is the machine's"),
    ("u128", "an integer of more than 64 bits"),
    ("i128", "an integer of more than 64 bits"),
    ("f32", "a floating-point number"),
    ("f64", "a floating-point number"),
    ("char", "a character"),
    ("str", "text"),
    ("String", "text"),
    ("Vec", "a vector"),
    ("Box", "a pointer"),
    ("Option", "an option"),
];

/// Customary types that are arrays of bytes.
const WHOLE_BYTES: [&str; 3] = ["MacAddr", "Ipv4Addr", "Ipv6Addr"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        for (ty, bits) in [
            ("u13", Some(13)),
            ("[u8; 6]", Some(48)),
            ("bool", Some(1)),
            ("i24", Some(24)),
            ("u65", None),
        ] {
            assert_eq!(width(&syn::parse_str(ty).unwrap()), bits, "{ty}");
        }
    }
}
