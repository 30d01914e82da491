//! What the derive makes of three headers, against what it made of them before: a change of the generated code is seen in
//! review. `BLESS=1 cargo test -p opte-macros` accepts it.

use quote::ToTokens;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The expansion of a header in a protocol file of opte-headers.
fn expansion(file: &str, header: &str) -> String {
    let path = repository().join("opte-headers/src/protocol").join(file);
    let source = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let item = source.items.into_iter().find_map(|item| match item {
        syn::Item::Struct(item) if item.ident == header => Some(item),
        _ => None,
    });
    pretty(item.unwrap().into_token_stream())
}

fn pretty(header: proc_macro2::TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(super::derive(header)).unwrap())
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares with the golden file, or writes it.
fn golden(name: &str, found: &str) {
    let path = repository().join(format!("codegen-tests/golden/{name}.rs"));
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let at = found
        .lines()
        .zip(expected.lines())
        .position(|(found, expected)| found != expected)
        .unwrap_or(expected.lines().count().min(found.lines().count()));
    assert!(
        found == expected,
        "the expansion of `{name}` differs from its golden file from line {} on:\n{}\nBLESS=1 accepts it",
        at + 1,
        found
            .lines()
            .skip(at)
            .take(5)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn udp() {
    golden("udp", &expansion("udp.rs", "Udp"));
}

#[test]
fn ipv4() {
    golden("ipv4", &expansion("ipv4.rs", "Ipv4"));
}

#[test]
fn vxlan() {
    golden("vxlan", &expansion("vxlan.rs", "Vxlan"));
}

/// Half of what ingot makes of six fields, which is 1,857 lines.
#[test]
fn six_fields_stay_short() {
    let lines = pretty(quote::quote! {
        pub struct Six {
            pub version: u4,
            pub class: u12,
            pub port: u16,
            pub sequence: u32,
            pub address: [u8; 6],
            pub check: u16,
        }
    });
    assert!(
        lines.lines().count() < 1857 / 2,
        "{}",
        lines.lines().count()
    );
}
