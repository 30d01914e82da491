//! The documentation of what is generated.

use crate::header::diagram;
use crate::header::valid::{Fixed, Plan, TailPlan};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

/// Lines as `#[doc = ".."]`.
fn doc(lines: impl IntoIterator<Item = String>) -> TokenStream {
    lines
        .into_iter()
        .map(|line| quote!(#[doc = #line]))
        .collect()
}

/// What the user wrote, or where it wrote nothing, a sentence.
fn own_or(docs: &[String], otherwise: String) -> Vec<String> {
    if docs.is_empty() {
        vec![otherwise]
    } else {
        docs.to_vec()
    }
}

/// Of the view: what the header is and its picture.
pub(super) fn of_view(plan: &Plan<'_>) -> TokenStream {
    let mut lines = vec![
        format!(
            " A view of [`{}`] in bytes, checked when it was made.",
            plan.ident
        ),
        String::new(),
    ];
    lines.extend(plan.docs.iter().cloned());
    lines.extend([String::new(), String::from(" # Layout"), String::new()]);
    let is_little = |fixed: &Fixed<'_>| fixed.little_endian;
    if plan.fields.iter().all(is_little) {
        lines.push(String::from(
            " Little-endian: bits are counted from the least significant one of each byte.",
        ));
        lines.push(String::new());
    }
    match diagram::lines(plan) {
        Some(diagram) => {
            lines.push(String::from(" ```text"));
            lines.extend(diagram);
            lines.push(String::from(" ```"));
        }
        None => {
            lines.push(String::from(" | field | type |"));
            lines.push(String::from(" |---|---|"));
            for fixed in &plan.fields {
                let ty = fixed.field.ty.to_token_stream();
                lines.push(format!(" | `{}` | `{ty}` |", fixed.field.ident.unraw()));
            }
        }
    }
    doc(lines)
}

/// Of a field's token.
pub(super) fn of_token(plan: &Plan<'_>, fixed: &Fixed<'_>) -> TokenStream {
    let mut lines = vec![
        format!(
            " The field `{}` of `{}`.",
            fixed.field.ident.unraw(),
            plan.ident
        ),
        String::new(),
    ];
    lines.extend(fixed.field.docs.iter().cloned());
    if let (Some(offset), Some(bits)) = (fixed.offset, fixed.bits) {
        lines.extend([String::new(), format!(" {bits} bits at bit {offset}.")]);
    }
    doc(lines)
}

/// Of a getter.
pub(super) fn of_getter(fixed: &Fixed<'_>) -> TokenStream {
    doc(own_or(
        &fixed.field.docs,
        format!(" The field `{}`.", fixed.field.ident.unraw()),
    ))
}

/// Of a setter.
pub(super) fn of_setter(fixed: &Fixed<'_>) -> TokenStream {
    doc([format!(" Sets `{}`.", fixed.field.ident.unraw())])
}

/// Of the getter of the variable part.
pub(super) fn of_tail(tail: &TailPlan<'_>) -> TokenStream {
    doc(own_or(
        &tail.field.docs,
        format!(" The variable part, `{}`.", tail.field.ident.unraw()),
    ))
}
