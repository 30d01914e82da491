//! `#[derive(OptionSet)]`.

use crate::diagnostics::{Errors, nearest};
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Expr, Fields, Ident, Path, Token, Type, Variant,
};

/// The derive.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input = match syn::parse2::<DeriveInput>(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let errors = Errors::default();
    let set = Set::new(&input, &errors);
    let expansion = set.map(|set| set.expand(errors.is_empty()));
    let errors = errors.into_tokens();
    quote!(#errors #expansion)
}

/// The enum as written.
struct Set<'a> {
    input: &'a DeriveInput,
    krate: TokenStream,
    framing: Type,
    known: Vec<(&'a Variant, Expr)>,
    unknown: &'a Ident,
}

impl<'a> Set<'a> {
    fn new(input: &'a DeriveInput, errors: &Errors) -> Option<Self> {
        let Data::Enum(data) = &input.data else {
            errors.on(
                &input.ident,
                format!("`{}` is not an enum: a set of options is", input.ident),
            );
            return None;
        };
        let (framing, krate) = of_enum(input, errors);
        let (known, unknown) = of_variants(data, errors);
        if input.generics.lifetimes().count() > 1 || input.generics.type_params().count() > 0 {
            errors.on(
                &input.generics,
                "a set of options has at most one lifetime and no type parameters",
            );
        }
        if unknown.is_none() {
            let message = format!(
                "`{}` has no place for unknown options, which must be kept: add `#[option(unknown)] Unknown(RawOption<'a, KIND>)`",
                input.ident
            );
            errors.on(&input.ident, message);
        }
        Some(Self {
            input,
            krate,
            framing: framing?,
            known,
            unknown: unknown?,
        })
    }

    /// The impl; after an error with an arm for the options that were left out, so that they are no further errors.
    fn expand(&self, complete: bool) -> TokenStream {
        let Self {
            input,
            krate,
            framing,
            unknown,
            ..
        } = self;
        let ident = &input.ident;
        let name = ident.unraw().to_string();
        let left_out = (!complete).then(|| quote!(_ => ::core::option::Option::None,));
        let borrows = input.generics.lifetimes().next().is_some();
        let stat = borrows.then(|| quote!(<'static>));
        let at = borrows.then(|| quote!(<'__a>));
        let decoders = self
            .known
            .iter()
            .map(|(variant, kind)| decoder(krate, variant, kind));
        let encoders = self
            .known
            .iter()
            .map(|(variant, kind)| encoder(krate, ident, variant, kind));
        quote! {
            #[automatically_derived]
            impl #krate::options::OptionSet for #ident #stat {
                const NAME: &'static str = #name;
                type Framing = #framing;
                type Option<'__a> = #ident #at;

                #[allow(unused_mut)]
                fn decode<'__a>(raw: #krate::options::RawOption<'__a, #krate::options::KindOf<Self>>) -> #ident #at {
                    #(#decoders)*
                    #ident::#unknown(raw)
                }

                #[allow(unreachable_patterns)]
                fn encode(option: &Self::Option<'_>, out: &mut [u8]) -> ::core::option::Option<usize> {
                    match option {
                        #(#encoders)*
                        #ident::#unknown(raw) => #krate::options::encode_with::<#framing>(
                            raw.kind,
                            raw.body.len(),
                            out,
                            |out| #krate::options::Part::put(&raw.body, out),
                        ),
                        #left_out
                    }
                }
            }
        }
    }
}

/// `#[options(framing = .., crate = ..)]`.
fn of_enum(input: &DeriveInput, errors: &Errors) -> (Option<Type>, TokenStream) {
    let (mut framing, mut krate) = (None, quote!(::opte_headers));
    for attr in input
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("options"))
    {
        let result = attr.parse_args_with(|input: ParseStream<'_>| {
            while !input.is_empty() {
                let name = Ident::parse_any(input)?;
                input.parse::<Token![=]>()?;
                match name.to_string().as_str() {
                    "framing" => framing = Some(input.parse()?),
                    "crate" => krate = input.parse::<Path>()?.to_token_stream(),
                    other => {
                        let near = nearest(other, ["framing", "crate"]).unwrap_or("framing");
                        let message = format!("unknown attribute `{other}` of a set of options; did you mean `{near}`?");
                        return Err(syn::Error::new(name.span(), message));
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
    if framing.is_none() {
        errors.on(
            &input.ident,
            "say how the options are laid out: `#[options(framing = ..)]`",
        );
    }
    (framing, krate)
}

/// The options with their kinds, and the one for all others.
fn of_variants<'a>(
    data: &'a DataEnum,
    errors: &Errors,
) -> (Vec<(&'a Variant, Expr)>, Option<&'a Ident>) {
    let (mut known, mut unknown) = (Vec::new(), None);
    for variant in &data.variants {
        let Some(attr) = variant
            .attrs
            .iter()
            .find(|attr| attr.path().is_ident("option"))
        else {
            errors.on(
                &variant.ident,
                format!("say which kind `{}` is: `#[option(KIND)]`", variant.ident),
            );
            continue;
        };
        match kind(attr) {
            Ok(Some(kind)) => {
                let repeated = |(_, other): &(&Variant, Expr)| {
                    other.to_token_stream().to_string() == kind.to_token_stream().to_string()
                };
                if let Some((other, _)) = known.iter().find(|known| repeated(known)) {
                    errors.on(
                        &kind,
                        format!(
                            "`{}` and `{}` have the same kind",
                            other.ident, variant.ident
                        ),
                    );
                }
                known.push((variant, kind));
            }
            Ok(None) => unknown = Some(&variant.ident),
            Err(error) => errors.push(error),
        }
    }
    (known, unknown)
}

/// The kind of a variant; none for `unknown`.
fn kind(attr: &Attribute) -> syn::Result<Option<Expr>> {
    let kind = attr.parse_args::<Expr>()?;
    let unknown = matches!(&kind, Expr::Path(path) if path.path.is_ident("unknown"));
    Ok((!unknown).then_some(kind))
}

/// The names that a variant's parts are bound to.
fn names(variant: &Variant) -> Vec<Ident> {
    variant
        .fields
        .iter()
        .enumerate()
        .map(|(i, _)| format_ident!("part{i}"))
        .collect()
}

/// The variant, with its parts by these names: a pattern and an expression.
fn shape(variant: &Variant) -> TokenStream {
    let (ident, names) = (&variant.ident, names(variant));
    match &variant.fields {
        Fields::Unit => quote!(#ident),
        Fields::Unnamed(_) => quote!(#ident(#(#names),*)),
        Fields::Named(fields) => {
            let fields = fields.named.iter().map(|field| &field.ident);
            quote!(#ident { #(#fields: #names),* })
        }
    }
}

fn decoder(krate: &TokenStream, variant: &Variant, kind: &Expr) -> TokenStream {
    let (shape, names) = (shape(variant), names(variant));
    quote! {
        if raw.kind == #kind {
            let decode = |mut body: &'__a [u8]| {
                #(let #names = #krate::options::Part::take(&mut body)?;)*
                body.is_empty().then_some(Self::Option::<'__a>::#shape)
            };
            if let ::core::option::Option::Some(option) = decode(raw.body) {
                return option;
            }
        }
    }
}

fn encoder(krate: &TokenStream, ident: &Ident, variant: &Variant, kind: &Expr) -> TokenStream {
    let (shape, names) = (shape(variant), names(variant));
    quote! {
        #ident::#shape => #krate::options::encode_with::<<Self as #krate::options::OptionSet>::Framing>(
            #kind,
            0 #(+ #krate::options::Part::width(#names))*,
            out,
            |_out| {
                #(#krate::options::Part::put(#names, _out)?;)*
                ::core::option::Option::Some(())
            },
        ),
    }
}
