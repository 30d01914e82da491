use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::*;
use crate::args::Cli;

/// Commands that print text for people or programs of another kind, whatever is asked.
const NO_JSON: [&str; 4] = ["completions", "man", "reference", "schema"];

#[test]
fn every_command_has_a_schema() {
    let all = Cli::command();
    for command in all.get_subcommands().map(|command| command.get_name()) {
        let schema = of_command(command);
        assert_eq!(schema.is_none(), NO_JSON.contains(&command), "{command}");
    }
}

/// Where the types are that are printed.
const SOURCES: [&str; 13] = [
    "../opte/src/api",
    "../opte/src/direction.rs",
    "../opte/src/meter.rs",
    "../opte/src/nat/share.rs",
    "../opte/src/options.rs",
    "../opte/src/port/edge.rs",
    "../opte/src/port/heavy.rs",
    "../opte/src/traffic_class.rs",
    "../oxide-vpc/src/api",
    "src/config",
    "src/apply.rs",
    "src/meter.rs",
    "src/options.rs",
];

/// `BLESS=1 cargo test -p opteadm --bin opteadm schema` writes the descriptions anew.
#[test]
fn every_type_is_described_as_in_its_source() {
    let all = Cli::command();
    let commands = all.get_subcommands().map(|command| command.get_name());
    let mut types = Types::default();
    for command in commands {
        root(command, &mut types);
    }
    let mut described = BTreeMap::new();
    for path in SOURCES.iter().flat_map(|source| files(source)) {
        for (name, text) in comments(&std::fs::read_to_string(&path).unwrap()) {
            let owner = name.split('.').next().unwrap();
            if types.named.iter().any(|(_, ty)| ty.name == owner) {
                let before = described.insert(name.clone(), text);
                assert_eq!(before, None, "two types {owner}");
            }
        }
    }
    let text: String = described
        .iter()
        .map(|(name, text)| format!("{name}: {text}\n"))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema/descriptions.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == text,
        "descriptions.txt is out of date: BLESS=1 cargo test -p opteadm --bin opteadm schema"
    );
    for (_, ty) in &types.named {
        for name in names_of(ty) {
            assert!(
                described.contains_key(&name),
                "{name} has no comment in the source"
            );
        }
    }
}

/// What has a description: a type, its fields, its variants and their fields.
fn names_of(ty: &NamedType) -> Vec<String> {
    let mut names = vec![ty.name.to_owned()];
    let fields = |owner: &str, fields: &[&NamedValue]| -> Vec<String> {
        fields
            .iter()
            .map(|field| format!("{owner}.{}", field.name))
            .collect()
    };
    match ty.ty {
        DataModelType::Struct(all) => names.extend(fields(ty.name, all)),
        DataModelType::Enum(variants) => {
            for variant in *variants {
                let name = format!("{}.{}", ty.name, variant.name);
                if let DataModelVariant::StructVariant(all) = variant.ty {
                    names.extend(fields(&name, all));
                }
                names.push(name);
            }
        }
        _ => {}
    }
    names
}

fn files(source: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    if path.is_file() {
        return vec![path];
    }
    let entries = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|of| of == "rs"))
        .collect()
}

/// The comments of public types, fields and variants, by their names.
fn comments(source: &str) -> Vec<(String, String)> {
    let (mut owner, mut variant, mut comment) = (None::<String>, None::<String>, Vec::new());
    let (mut found, mut is_attribute, mut rename) = (Vec::new(), false, None);
    for line in source.lines() {
        let text = line.trim();
        if let Some(part) = text.strip_prefix("///") {
            comment.push(part.trim().replace("[`", "`").replace("`]", "`"));
            continue;
        }
        // An attribute of one line or several.
        is_attribute |= text.starts_with("#[");
        if is_attribute {
            let renamed = text.split_once("rename = \"");
            rename = renamed
                .and_then(|(_, name)| name.split('"').next())
                .or(rename);
            is_attribute = !text.ends_with(']');
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let first = |text: &str| -> String {
            text.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        let public = text
            .strip_prefix("pub ")
            .or_else(|| text.strip_prefix("pub(crate) "));
        let declared = public.and_then(|text| {
            text.strip_prefix("struct ")
                .or_else(|| text.strip_prefix("enum "))
        });
        let name = match (indent, &owner, &variant, declared) {
            (0, _, _, Some(declared)) => {
                let name = first(declared);
                owner = line.ends_with('{').then(|| name.clone());
                variant = None;
                Some(name)
            }
            (0, ..) => {
                if text == "}" {
                    owner = None;
                }
                None
            }
            (4, Some(owner), _, _) => {
                let name = rename.map_or_else(|| first(public.unwrap_or(text)), Into::into);
                variant = line.ends_with('{').then(|| name.clone());
                Some(format!("{owner}.{name}"))
            }
            (8, Some(owner), Some(variant), _) => {
                Some(format!("{owner}.{variant}.{}", first(text)))
            }
            _ => None,
        };
        if let (Some(name), false) = (name, comment.is_empty()) {
            // The first paragraph.
            let paragraph = comment
                .split(|line: &String| line.is_empty())
                .next()
                .unwrap();
            found.push((name, paragraph.join(" ")));
        }
        comment.clear();
        rename = None;
    }
    found
}
