//! The struct as written.

use super::attr::{FieldAttrs, StructAttrs};
use crate::diagnostics::Errors;
use syn::{
    Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Ident, Lit, Meta, Type, Visibility,
};

/// A struct with named fields.
pub(crate) struct Struct<'a> {
    pub(crate) vis: &'a Visibility,
    pub(crate) ident: &'a Ident,
    pub(crate) attrs: StructAttrs,
    pub(crate) docs: Vec<String>,
    pub(crate) fields: Vec<Field<'a>>,
}

/// A named field.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: FieldAttrs,
    pub(crate) docs: Vec<String>,
}

impl<'a> Struct<'a> {
    /// The struct, or an error and nothing where the input is none that could be a header.
    pub(crate) fn from_input(input: &'a DeriveInput, errors: &Errors) -> Option<Self> {
        let what = match &input.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(fields) if input.generics.params.is_empty() => {
                    let fields = fields
                        .named
                        .iter()
                        .filter_map(|field| Field::from_syn(field, errors))
                        .collect();
                    return Some(Self {
                        vis: &input.vis,
                        ident: &input.ident,
                        attrs: StructAttrs::parse(&input.attrs, errors),
                        docs: docs(&input.attrs),
                        fields,
                    });
                }
                Fields::Named(_) => {
                    errors.on(
                        &input.generics,
                        format!(
                            "a header has no generic parameters: its layout is fixed; remove them from `{}`",
                            input.ident
                        ),
                    );
                    return None;
                }
                Fields::Unnamed(_) => "a tuple struct",
                Fields::Unit => "a unit struct",
            },
            Data::Enum(_) => "an enum",
            Data::Union(_) => "a union",
        };
        errors.on(
            &input.ident,
            format!(
                "`{}` is {what}: only a struct with named fields can be a header",
                input.ident
            ),
        );
        None
    }
}

impl<'a> Field<'a> {
    fn from_syn(field: &'a syn::Field, errors: &Errors) -> Option<Self> {
        Some(Self {
            ident: field.ident.as_ref()?,
            ty: &field.ty,
            attrs: FieldAttrs::parse(&field.attrs, errors),
            docs: docs(&field.attrs),
        })
    }
}

/// The lines of the documentation comments.
fn docs(attrs: &[Attribute]) -> Vec<String> {
    let line = |attr: &Attribute| match &attr.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    };
    attrs.iter().filter_map(line).collect()
}
