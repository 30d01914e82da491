//! What the attributes and the fields come to, checked: a plan to generate from.

use super::ast::{Field, Struct};
use super::attr::{Checksum, Extent, Length, LengthOf, Next, Relation, Tail};
use super::names::{snake, token};
use super::types::{
    as_written, customary_width, fits, is_no_tail, not_a_value, of_whole_bytes, pointless_le, width,
};
use crate::diagnostics::{Errors, nearest};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use std::collections::HashMap;
use syn::ext::IdentExt;
use syn::{BinOp, Expr, Ident, Lit, UnOp, Visibility};

/// A header, ready to be generated.
pub(crate) struct Plan<'a> {
    pub(crate) vis: &'a Visibility,
    pub(crate) ident: &'a Ident,
    pub(crate) docs: &'a [String],
    /// Path of opte-headers.
    pub(crate) krate: TokenStream,
    /// Module of the field tokens.
    pub(crate) module: Ident,
    pub(crate) view: Ident,
    pub(crate) getters: Ident,
    pub(crate) setters: Ident,
    pub(crate) fields: Vec<Fixed<'a>>,
    pub(crate) tail: Option<TailPlan<'a>>,
    /// Fields that were refused and still have to be initialised.
    pub(crate) refused: Vec<&'a Field<'a>>,
    /// Bits of the fixed part, where the macro can know them.
    pub(crate) bits: Option<usize>,
    pub(crate) follows: &'a [Relation],
    pub(crate) carries: &'a [Relation],
    pub(crate) len: Option<usize>,
    /// The header can be a field of others.
    pub(crate) is_value: bool,
    /// Proptest makes headers of it.
    pub(crate) is_arbitrary: bool,
    /// It can be read and written in the formats of serde.
    pub(crate) is_serde: bool,
}

/// A field of the fixed part.
pub(crate) struct Fixed<'a> {
    pub(crate) field: &'a Field<'a>,
    pub(crate) token: Ident,
    /// First bit, where the macro can know it.
    pub(crate) offset: Option<usize>,
    /// Width, where the macro can know it.
    pub(crate) bits: Option<usize>,
    /// The width was guessed from the type's name, or told: to be asserted.
    pub(crate) claimed: bool,
    pub(crate) little_endian: bool,
    pub(crate) next: Option<&'a Next>,
    pub(crate) length: Option<&'a Length>,
    pub(crate) checksum: Option<&'a Checksum>,
}

/// The variable part.
pub(crate) struct TailPlan<'a> {
    pub(crate) field: &'a Field<'a>,
    /// An `i64` expression of the tail's bytes, in which `number` gives the numbers of fields; none: the rest.
    pub(crate) len: Option<TokenStream>,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(ast: &'a Struct<'a>, errors: &Errors) -> Self {
        let name = ast.ident.unraw().to_string();
        let little_endian = ast.attrs.little_endian.is_some();
        let mut plan = Self {
            vis: ast.vis,
            ident: ast.ident,
            docs: &ast.docs,
            krate: match &ast.attrs.krate {
                Some(path) => path.to_token_stream(),
                None => quote!(::opte_headers),
            },
            module: format_ident!("{}", snake(&name), span = ast.ident.span()),
            view: format_ident!("{name}View", span = ast.ident.span()),
            getters: format_ident!("{name}Get", span = ast.ident.span()),
            setters: format_ident!("{name}Set", span = ast.ident.span()),
            fields: Vec::new(),
            tail: None,
            refused: Vec::new(),
            bits: Some(0),
            follows: &ast.attrs.follows,
            carries: &ast.attrs.carries,
            len: None,
            is_value: false,
            is_arbitrary: ast.attrs.arbitrary.is_some(),
            is_serde: ast.attrs.serde.is_some(),
        };
        for field in &ast.fields {
            match &field.attrs.tail {
                None => plan.add_fixed(field, little_endian, errors),
                Some(_) if is_no_tail(field, errors) => plan.refused.push(field),
                Some(tail) => plan.add_tail(field, tail, errors),
            }
        }
        plan.check_value(ast, errors);
        plan.check_size(ast, errors);
        plan.check_names(errors);
        plan.check_roles(errors);
        plan.check_relations(errors);
        plan
    }

    /// The field that tells what follows.
    pub(crate) fn next(&self) -> Option<&Fixed<'a>> {
        self.fields.iter().find(|field| field.next.is_some())
    }

    fn add_fixed(&mut self, field: &'a Field<'a>, little_endian: bool, errors: &Errors) {
        let attrs = &field.attrs;
        let exact = width(field.ty);
        let told = attrs
            .bits
            .as_ref()
            .and_then(|bits| bits.base10_parse::<usize>().ok());
        let mut bits = told.or(exact).or_else(|| customary_width(field.ty));
        if let (Some(told), Some(exact)) = (told, exact)
            && told != exact
        {
            let ty = field.ty.to_token_stream();
            errors.on(
                &attrs.bits,
                format!("`{ty}` has {exact} bits, not {told}; use a type of {told} bits, or leave `bits` away"),
            );
            bits = Some(told);
        }
        if let Some(tail) = &self.tail {
            let message = format!(
                "`{}` stands behind `{}`, whose length varies; the fixed fields come first",
                field.ident, tail.field.ident
            );
            errors.on(field.ident, message);
        }
        if let Some(what) = not_a_value(field.ty) {
            let ty = as_written(field.ty);
            let message = format!(
                "`{ty}` is {what}, which cannot be the type of a field; take an integer, `[u8; N]`, an address, or a type with a \
                 `FieldValue` conversion"
            );
            errors.on(field.ty, message);
            self.refused.push(field);
            return;
        }
        for value in [&attrs.default, &attrs.constant].into_iter().flatten() {
            fits(value, bits, field.ident, errors);
        }
        let offset = self.bits;
        if let Some(bit) = offset.filter(|bit| bit % 8 != 0)
            && of_whole_bytes(field.ty)
        {
            let message = format!(
                "`{}` is made of whole bytes, but starts at bit {} of one",
                field.ident,
                bit % 8
            );
            errors.on(field.ident, message);
        }
        if let Some(span) = attrs.little_endian
            && let Some(message) = pointless_le(offset, bits, little_endian, field.ty)
        {
            errors.at(span, message);
        }
        self.bits = offset.zip(bits).map(|(offset, bits)| offset + bits);
        self.fields.push(Fixed {
            field,
            token: token(field.ident),
            offset,
            bits,
            claimed: exact.is_none(),
            little_endian: little_endian || attrs.little_endian.is_some(),
            next: attrs.next.as_ref(),
            length: attrs.length.as_ref(),
            checksum: attrs.checksum.as_ref(),
        });
    }

    fn add_tail(&mut self, field: &'a Field<'a>, tail: &'a Tail, errors: &Errors) {
        if let Some(first) = &self.tail {
            let message = format!(
                "`{}` is a second part of variable length, behind `{}`; a header has one, as its last field",
                field.ident, first.field.ident
            );
            errors.on(field.ident, message);
            self.refused.push(field);
            return;
        }
        let len = match &tail.extent {
            Extent::Rest => None,
            Extent::Len(expr) => Some(self.length_expression(expr, errors)),
            Extent::Missing => {
                let message = format!(
                    "the length of `{}` is not told: `len = EXPRESSION` over earlier fields, or `rest`",
                    field.ident
                );
                errors.at(tail.span, message);
                None
            }
        };
        let attrs = &field.attrs;
        let roles = [
            (attrs.next.is_some(), "next"),
            (attrs.length.is_some(), "length"),
            (attrs.checksum.is_some(), "checksum"),
            (attrs.constant.is_some(), "const"),
            (attrs.reserved.is_some(), "reserved"),
            (attrs.key.is_some(), "key"),
            (attrs.pseudo, "pseudo"),
            (attrs.bits.is_some(), "bits"),
            (attrs.read_only.is_some(), "read_only"),
        ];
        for (_, role) in roles.iter().filter(|(given, _)| *given) {
            errors.on(
                field.ident,
                format!("a part of variable length cannot be `{role}`"),
            );
        }
        self.tail = Some(TailPlan { field, len });
    }

    /// The expression in `i64`, fields replaced by their numbers. Wrapping, so that nothing can panic: what is senseless is
    /// negative or too long and is refused.
    fn length_expression(&self, expr: &Expr, errors: &Errors) -> TokenStream {
        match expr {
            Expr::Lit(lit) if matches!(lit.lit, Lit::Int(_)) => quote!((#lit as i64)),
            Expr::Paren(inner) => self.length_expression(&inner.expr, errors),
            Expr::Group(inner) => self.length_expression(&inner.expr, errors),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
                let inner = self.length_expression(&unary.expr, errors);
                quote!((#inner).wrapping_neg())
            }
            Expr::Binary(binary) => {
                let left = self.length_expression(&binary.left, errors);
                let right = self.length_expression(&binary.right, errors);
                let method = match binary.op {
                    BinOp::Add(_) => quote!(wrapping_add),
                    BinOp::Sub(_) => quote!(wrapping_sub),
                    BinOp::Mul(_) => quote!(wrapping_mul),
                    _ => {
                        errors.on(binary.op, "a length is computed with `+`, `-` and `*`");
                        quote!(wrapping_add)
                    }
                };
                quote!((#left).#method(#right))
            }
            Expr::Path(path) => match path.path.get_ident() {
                Some(name)
                    if name
                        .to_string()
                        .starts_with(|c: char| c.is_lowercase() || c == '_') =>
                {
                    self.length_field(name, errors)
                }
                _ => quote!((#path as i64)),
            },
            other => {
                errors.on(other, "a length is computed from earlier fields, numbers and constants with `+`, `-` and `*`");
                quote!(0i64)
            }
        }
    }

    fn length_field(&self, name: &Ident, errors: &Errors) -> TokenStream {
        match self.fields.iter().find(|field| field.field.ident == name) {
            Some(field) => {
                let (krate, module, token) = (&self.krate, &self.module, &field.token);
                quote!(#krate::derive::number::<#module::#token>(&*fixed))
            }
            None => {
                let text = name.to_string();
                let known: Vec<_> = self
                    .fields
                    .iter()
                    .map(|field| field.field.ident.to_string())
                    .collect();
                let hint = match nearest(&text, known.iter().map(String::as_str)) {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => String::from("; the length can be computed from earlier fields only"),
                };
                errors.on(
                    name,
                    format!("no field `{text}` stands before this one{hint}"),
                );
                quote!(0i64)
            }
        }
    }

    fn check_size(&mut self, ast: &'a Struct<'a>, errors: &Errors) {
        if let Some(bits) = self.bits
            && bits % 8 != 0
        {
            let message = format!(
                "the fields of `{}` have {bits} bits, which are {} bytes and {} bits; {} more fill the last byte",
                self.ident,
                bits / 8,
                bits % 8,
                8 - bits % 8
            );
            errors.on(self.ident, message);
            self.bits = Some(bits.next_multiple_of(8));
        }
        if let Some(len) = &ast.attrs.len {
            self.len = len.base10_parse().ok();
            if let (Some(bits), Some(told)) = (self.bits, self.len)
                && bits != 8 * told
            {
                errors.on(
                    len,
                    format!(
                        "`len` says {told} bytes, but the fixed fields have {}",
                        bits / 8
                    ),
                );
                self.len = None;
            }
        }
        if self.fields.is_empty() && self.refused.is_empty() {
            errors.on(self.ident, format!("`{}` has no fixed field", self.ident));
        }
    }

    /// Whether the header can be a field of others, if it says so.
    fn check_value(&mut self, ast: &Struct<'_>, errors: &Errors) {
        let Some(span) = ast.attrs.field else { return };
        if let Some(tail) = &self.tail {
            let message = format!(
                "`{}` cannot be a field of others: the length of `{}` varies",
                self.ident, tail.field.ident
            );
            errors.at(span, message);
            return;
        }
        let constant = self
            .fields
            .iter()
            .find(|fixed| fixed.field.attrs.constant.is_some());
        if let Some(constant) = constant {
            let message = format!(
                "`{}` cannot be a field of others: there `{}` would not be checked; take `default` for `const`",
                self.ident, constant.field.ident
            );
            errors.at(span, message);
        }
        self.is_value = true;
    }

    fn check_names(&mut self, errors: &Errors) {
        let mut tokens: HashMap<String, &Ident> = HashMap::new();
        let mut methods: HashMap<String, &Ident> = HashMap::new();
        for (n, fixed) in self.fields.iter_mut().enumerate() {
            let ident = fixed.field.ident;
            if let Some(other) = tokens.insert(fixed.token.to_string(), ident) {
                let message = format!(
                    "`{ident}` and `{other}` would both have the token `{}`; rename one",
                    fixed.token
                );
                errors.on(ident, message);
                fixed.token = format_ident!("{}{n}", fixed.token);
            }
        }
        let all = self
            .fields
            .iter()
            .map(|fixed| fixed.field)
            .chain(self.tail.iter().map(|tail| tail.field));
        for field in all {
            let ident = field.ident.unraw().to_string();
            if RESERVED_NAMES.contains(&ident.as_str()) {
                errors.on(
                    field.ident,
                    format!(
                        "the getter `{ident}` would clash with `Header::{ident}`; rename the field"
                    ),
                );
            }
            for method in [ident.clone(), format!("set_{ident}")] {
                if let Some(other) = methods.insert(method.clone(), field.ident) {
                    let message = format!(
                        "`{}` and `{other}` would both have an accessor `{method}`; rename one",
                        field.ident
                    );
                    errors.on(field.ident, message);
                }
            }
        }
    }

    fn check_roles(&mut self, errors: &Errors) {
        let (mut next, mut checksum, mut length) = (None, None, None);
        // A second field with a role is reported and loses it.
        let once = |place: &mut Option<&'a Ident>, ident: &'a Ident, span, role: &str| match place {
            Some(first) => {
                errors.at(
                    span,
                    format!("`{ident}` is a second field with the role `{role}`, behind `{first}`"),
                );
                false
            }
            None => {
                *place = Some(ident);
                true
            }
        };
        let has_tail = self.tail.is_some();
        for fixed in &mut self.fields {
            let (ident, place) = (fixed.field.ident, (fixed.bits, fixed.offset));
            fixed.next = fixed
                .next
                .filter(|role| once(&mut next, ident, role.span, "next"));
            fixed.checksum = fixed.checksum.filter(|role| {
                sixteen_bits(place, ident, role.span, "checksum", errors);
                once(&mut checksum, ident, role.span, "checksum")
            });
            fixed.length = fixed.length.filter(|role| match role.of {
                LengthOf::Packet | LengthOf::Payload => {
                    sixteen_bits(place, ident, role.span, "length of a packet", errors);
                    once(&mut length, ident, role.span, "length")
                }
                LengthOf::Tail if !has_tail => {
                    errors.at(
                        role.span,
                        "there is no part of variable length to be counted",
                    );
                    false
                }
                LengthOf::Header | LengthOf::Tail => true,
            });
            exclusive_roles(fixed, errors);
        }
    }

    fn check_relations(&self, errors: &Errors) {
        let has_next = self.next().is_some();
        let mut values: HashMap<String, &Relation> = HashMap::new();
        for relation in self.carries {
            let child = relation.header.to_token_stream();
            match (&relation.value, has_next) {
                (Some(value), false) => errors.on(
                    value,
                    format!(
                        "`{}` has no field marked `next` that could hold this value; mark one, or write `carries({child})`",
                        self.ident
                    ),
                ),
                (None, true) => errors.on(
                    &relation.header,
                    format!("say by which value of `{}` `{child}` follows: `carries({child} = VALUE)`", self.next_name()),
                ),
                _ => {}
            }
            if let Some(value) = &relation.value
                && let Some(other) = values.insert(value.to_token_stream().to_string(), relation)
            {
                let other = other.header.to_token_stream();
                errors.on(
                    value,
                    format!("`{child}` and `{other}` cannot both follow under the same value"),
                );
            }
        }
        for relations in [self.carries, self.follows] {
            let mut seen = Vec::new();
            for relation in relations {
                let name = relation.header.to_token_stream().to_string();
                if seen.contains(&name) {
                    errors.on(&relation.header, format!("`{name}` is given twice"));
                }
                seen.push(name);
            }
        }
    }

    fn next_name(&self) -> String {
        self.next()
            .map(|fixed| fixed.field.ident.to_string())
            .unwrap_or_default()
    }
}

impl Fixed<'_> {
    /// Whether the field has a setter.
    pub(crate) fn is_writable(&self) -> bool {
        let attrs = &self.field.attrs;
        attrs.reserved.is_none() && attrs.read_only.is_none() && !self.is_implied()
    }

    /// Whether the field follows from the rest of the header: `emit` knows it.
    pub(crate) fn is_implied(&self) -> bool {
        let is_constant = self.field.attrs.constant.is_some();
        is_constant || self.counts_header()
    }

    /// Whether the field tells the length of the header or its tail, which `emit` writes.
    pub(crate) fn counts_header(&self) -> bool {
        self.length
            .is_some_and(|length| matches!(length.of, LengthOf::Header | LengthOf::Tail))
    }

    /// Whether a transformation may set the field.
    pub(crate) fn is_settable(&self) -> bool {
        self.is_writable()
            && self.length.is_none()
            && self.checksum.is_none()
            && self.next.is_none_or(|next| next.hint)
    }

    /// Whether the field has a getter.
    pub(crate) fn is_readable(&self) -> bool {
        self.field.attrs.reserved.is_none()
    }
}

/// Names of `Header`'s methods that a getter would hide.
const RESERVED_NAMES: [&str; 6] = ["len", "emit", "parse", "parse_mut", "selector", "select"];

fn sixteen_bits(
    (bits, offset): (Option<usize>, Option<usize>),
    ident: &Ident,
    span: proc_macro2::Span,
    role: &str,
    errors: &Errors,
) {
    match (bits, offset) {
        (Some(bits), _) if bits != 16 => {
            errors.at(
                span,
                format!("a {role} has 16 bits, but `{ident}` has {bits}"),
            );
        }
        (_, Some(offset)) if offset % 8 != 0 => {
            errors.at(
                span,
                format!("a {role} stands on a whole byte, but `{ident}` starts at bit {offset}"),
            );
        }
        _ => {}
    }
}

/// At most one of the roles that decide what is written.
fn exclusive_roles(fixed: &Fixed<'_>, errors: &Errors) {
    let (ident, attrs) = (fixed.field.ident, &fixed.field.attrs);
    let roles = [
        (attrs.reserved.is_some(), "reserved"),
        (attrs.constant.is_some(), "const"),
        (attrs.default.is_some(), "default"),
        (fixed.length.is_some(), "length"),
    ];
    let mut given = roles
        .iter()
        .filter(|(given, _)| *given)
        .map(|(_, role)| role);
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        errors.on(
            ident,
            format!("`{ident}` cannot be both `{first}` and `{second}`"),
        );
    }
}
