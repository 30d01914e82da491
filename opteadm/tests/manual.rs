//! What is made of the commands: the reference, the manual pages, completions.

use std::fs;
use std::path::Path;
use std::process::Command;

fn opteadm(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_opteadm"))
        .args(arguments)
        .env_remove("XDE_SOCKET")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `BLESS=1` writes it anew.
#[test]
fn the_reference_is_that_of_the_commands_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/opteadm.md");
    let now = opteadm(&["reference"]);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(
        kept == now,
        "docs/opteadm.md is out of date: BLESS=1 cargo test -p opteadm --test manual"
    );
}

#[test]
fn the_schema_is_that_of_what_is_printed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/opteadm.schema.json");
    let now = opteadm(&["schema"]);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(
        kept == now,
        "docs/opteadm.schema.json is out of date: BLESS=1 cargo test -p opteadm --test manual"
    );
}

#[test]
fn every_command_has_a_page() {
    let directory = std::env::temp_dir().join(format!("opteadm-man-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let written = opteadm(&["man", directory.to_str().unwrap()]);
    let pages = written.lines().count();
    let commands = opteadm(&["reference"])
        .lines()
        .filter(|line| line.starts_with("## "))
        .count();
    // Not the options that all have; the page of the whole, and of `help`.
    assert_eq!(pages, commands - 1 + 2);
    let page = fs::read_to_string(directory.join("opteadm-create-xde.1")).unwrap();
    assert!(page.contains(".TH") && page.contains("gateway"), "{page}");
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn shells_complete() {
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef opteadm"),
        ("fish", "complete -c opteadm"),
    ] {
        let script = opteadm(&["completions", shell]);
        assert!(
            script.contains(part) && script.contains("dump-uft"),
            "{shell}"
        );
    }
}
