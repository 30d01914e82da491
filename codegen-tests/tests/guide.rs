//! What the guide says the compiler says, it says.

use std::fs;
use std::path::Path;

/// Each quoted error of the guide's page stands in the golden message of a refusal.
#[test]
fn errors_are_quoted_as_they_are() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("../opte-headers/src/guide/errors.rs")).unwrap();
    let mut golden = String::new();
    for class in fs::read_dir(here.join("tests/ui")).unwrap() {
        for file in fs::read_dir(class.unwrap().path().join("fail")).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "stderr")
            {
                golden += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("//! | \""));
    let quoted: Vec<_> = rows.filter_map(|row| row.split_once("\" |")).collect();
    assert!(quoted.len() > 20);
    for (error, _) in quoted {
        assert!(golden.contains(error), "{error}");
    }
}
