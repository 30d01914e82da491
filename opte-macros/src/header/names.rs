//! Names that are made of names.

use syn::Ident;
use syn::ext::IdentExt;

/// The token of a field: `next_header` is `NextHeader`.
pub(super) fn token(ident: &Ident) -> Ident {
    let text = ident.unraw().to_string();
    let name: String = text
        .split('_')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut letters = part.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect::<String>())
                .unwrap_or_default()
        })
        .collect();
    let name =
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name == "Self" {
            format!("Field{name}")
        } else {
            name
        };
    Ident::new(&name, ident.span())
}

/// The module of a struct's tokens: `Ipv6Fragment` is `ipv6_fragment`.
pub(crate) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| letters.get(i));
        let after = letters.get(i + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() && *before != '_'
                    || after.is_some_and(|after| after.is_lowercase())
            });
        if starts_word {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("Ipv4", "ipv4"),
            ("Ipv6Fragment", "ipv6_fragment"),
            ("VXLAN", "vxlan"),
            ("L2Tpv3", "l2_tpv3"),
        ] {
            assert_eq!(snake(name), expected);
        }
        for (name, expected) in [
            ("next_header", "NextHeader"),
            ("_reserved1", "Reserved1"),
            ("r#type", "Type"),
            ("_", "Field"),
        ] {
            let ident: Ident = if name == "_" {
                Ident::new("__", proc_macro2::Span::call_site())
            } else {
                syn::parse_str(name).unwrap()
            };
            assert_eq!(token(&ident).to_string(), expected);
        }
    }
}
