//! What the macros, stacks and transformations refuse, in which words, and what they take: every refusal has a twin that differs in
//! the fault alone.
//!
//! The words are those of one version of the compiler, [`COMPILER`]: with another one only the twins are compiled.
//! `TRYBUILD=overwrite cargo test -p codegen-tests --test refusals` accepts changed words.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The twins: what each refusal must not refuse.
#[allow(warnings, clippy::all, clippy::pedantic, clippy::restriction)]
mod twins {
    include!(concat!(env!("OUT_DIR"), "/twins.rs"));
}

/// The compiler whose words the golden files have.
const COMPILER: &str = "rustc 1.95.";

/// Cases that the compiler refuses only when it makes machine code.
const BUILT: [&str; 2] = [
    "set/field_twice_by_other_name",
    "transform/push_beyond_head_room",
];

const CLASSES: [&str; 7] = [
    "header",
    "options",
    "stack",
    "transform",
    "set",
    "cached",
    "editor",
];

/// What must be refused, each with its cases.
const REFUSALS: [(&str, &[&str]); 27] = [
    (
        "bits that fill no bytes",
        &[
            "header/bits_do_not_fill_bytes",
            "header/bits_of_own_type_do_not_fill_bytes",
        ],
    ),
    (
        "an order of bytes that makes no sense",
        &[
            "header/little_endian_byte",
            "header/little_endian_bits_across_bytes",
        ],
    ),
    (
        "a tail without a length, or with one of a later or missing field, or of a type that is none",
        &[
            "header/tail_without_length",
            "header/tail_length_of_later_field",
            "header/tail_length_of_missing_field",
            "header/tail_without_conversion",
        ],
    ),
    ("two tails", &["header/two_tails"]),
    (
        "a declared length that disagrees",
        &["header/declared_length"],
    ),
    (
        "a selector that is absent, doubled or of another type",
        &[
            "header/selector_absent",
            "header/selector_doubled",
            "header/selector_of_other_type",
        ],
    ),
    (
        "two successors under one value",
        &["header/same_selector_value"],
    ),
    (
        "a type wider than its bits",
        &[
            "header/type_wider_than_its_bits",
            "header/own_type_wider_than_its_bits",
        ],
    ),
    (
        "accessors that clash",
        &["header/accessors_clash", "header/tokens_clash"],
    ),
    (
        "an unknown attribute",
        &[
            "header/unknown_attribute",
            "header/unknown_attribute_of_struct",
        ],
    ),
    (
        "what is no struct with named fields, or is generic",
        &[
            "header/tuple_struct",
            "header/enum",
            "header/union",
            "header/generic_parameter",
        ],
    ),
    (
        "a checksum or length of other width, or twice",
        &[
            "header/checksum_of_other_width",
            "header/checksum_twice",
            "header/length_of_other_width",
            "header/length_twice",
        ],
    ),
    (
        "a header that cannot follow",
        &[
            "stack/header_that_cannot_follow",
            "stack/header_in_a_choice_that_cannot_follow",
        ],
    ),
    (
        "a narrowing to what the choice does not contain",
        &["stack/narrowed_to_a_header_not_in_the_choice"],
    ),
    (
        "an optional header before a mandatory one",
        &["stack/optional_before_mandatory"],
    ),
    (
        "a pop of what is not outermost or not there",
        &["transform/pop_not_outermost", "transform/pop_absent"],
    ),
    ("a header used after its pop", &["transform/set_after_pop"]),
    (
        "a push under what cannot carry it",
        &[
            "transform/push_tcp_on_ethernet",
            "transform/push_geneve_on_tcp",
            "transform/push_icmpv6_on_ipv4",
        ],
    ),
    (
        "a push of a parent without a selector for it",
        &["transform/push_without_selector"],
    ),
    (
        "a set of what the composer owns",
        &[
            "transform/set_length",
            "transform/set_checksum",
            "transform/set_next_header",
        ],
    ),
    (
        "two transformations that do not fit",
        &["transform/then_mismatch"],
    ),
    (
        "a field of a header whose presence was not shown",
        &["stack/read_without_presence_shown"],
    ),
    (
        "pushes beyond the head-room",
        &["transform/push_beyond_head_room"],
    ),
    (
        "a set of a read-only or reserved field",
        &[
            "transform/set_read_only",
            "transform/set_reserved",
            "transform/set_constant",
        ],
    ),
    (
        "a cached decision by what is no part of the flow key",
        &[
            "cached/depends_on_ttl",
            "cached/depends_on_tcp_flags",
            "cached/depends_on_payload",
        ],
    ),
    (
        "state for a transformation without reverse",
        &[
            "transform/state_without_reverse",
            "transform/reverse_of_pop",
        ],
    ),
    (
        "one field twice in one step",
        &["set/field_twice", "set/field_twice_by_other_name"],
    ),
];

fn ui() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

/// The names of a folder's cases.
fn cases(class: &str, outcome: &str, extension: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(ui().join(class).join(outcome)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let of_kind = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    of_kind
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn refusals() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .unwrap()
        .stdout;
    let version = String::from_utf8_lossy(&version);
    if version.starts_with(COMPILER) {
        // No passing case among the many, so that they are checked at once and nothing is linked.
        let (many, built) = (trybuild::TestCases::new(), trybuild::TestCases::new());
        for class in CLASSES {
            for case in cases(class, "fail", "rs") {
                let path = format!("tests/ui/{class}/fail/{case}.rs");
                match BUILT.contains(&format!("{class}/{case}").as_str()) {
                    true => built.compile_fail(path),
                    false => many.compile_fail(path),
                }
            }
        }
        for case in BUILT {
            built.pass(format!("tests/ui/{}.rs", case.replace('/', "/pass/")));
        }
    } else {
        // Past the capture of tests, so that it is seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: the wording of refusals is that of {COMPILER}x, this is {}; only their passing twins are compiled",
            version.trim()
        );
    }
}

#[test]
fn every_refusal_has_its_words_and_its_twin() {
    let classes = fs::read_dir(ui()).unwrap().count();
    assert_eq!(classes, CLASSES.len(), "a folder for each class");
    for class in CLASSES {
        let refused = cases(class, "fail", "rs");
        assert!(!refused.is_empty());
        assert_eq!(refused, cases(class, "fail", "stderr"), "{class}");
        assert_eq!(refused, cases(class, "pass", "rs"), "{class}");
    }
}

#[test]
fn everything_that_must_be_refused_has_a_case() {
    for (refusal, cases) in REFUSALS {
        assert!(!cases.is_empty());
        for case in cases {
            let (class, name) = case.split_once('/').unwrap();
            let path = ui().join(class).join(format!("fail/{name}.stderr"));
            assert!(path.is_file(), "{refusal}: {case}");
        }
    }
}

/// One fault, one error: all but the cases that are about several.
#[test]
fn one_fault_gives_one_error() {
    for class in CLASSES {
        for case in cases(class, "fail", "stderr") {
            let path = ui().join(class).join(format!("fail/{case}.stderr"));
            let errors = fs::read_to_string(path)
                .unwrap()
                .lines()
                .filter(|line| line.starts_with("error"))
                .count();
            let several = case == "all_faults_at_once";
            assert!(
                errors == 1 || several && errors > 1,
                "{class}/{case}: {errors} errors"
            );
        }
    }
}
