//! What rustdoc makes of a user's crate: no warning, no item without a text, the picture of each header as an RFC draws it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Documents the two crates of derived headers and tells where; any warning is an error.
fn documented() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The same as of the tests, so that what is compiled already serves.
    let Some(target) = Path::new(env!("CARGO_TARGET_TMPDIR")).parent() else {
        panic!("there is a directory around the one for tests");
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(here)
        .env("RUSTDOCFLAGS", "-D warnings")
        .args([
            "doc",
            "--offline",
            "--no-deps",
            "-p",
            "foreign-headers",
            "-p",
            "hygiene",
        ])
        .arg("--target-dir")
        .arg(target)
        .status()
        .unwrap();
    assert!(status.success());
    target.join("doc")
}

/// The text of a page.
fn text(path: &Path) -> String {
    let page = fs::read_to_string(path).unwrap();
    let mut text = String::new();
    let mut rest = page.as_str();
    while let Some((before, tag)) = rest.split_once('<') {
        text += before;
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    (text + rest)
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[test]
fn reads_well() {
    let doc = documented();
    let bfd = doc.join("foreign_headers/bfd");
    let view = text(&bfd.join("struct.BfdView.html"));
    for expected in [
        "A view of Bfd in bytes, checked when it was made.",
        "BFD control packet (RFC 5880, section 4.1).",
        PICTURE,
        "The header at the start of bytes, checked, and what is behind it.",
    ] {
        assert!(view.contains(expected), "{expected}\nin\n{view}");
    }
    let getters = text(&bfd.join("trait.BfdGet.html"));
    for expected in [
        "fn state(&self) -> BfdState",
        "State of the session.",
        "Always 1.",
        "fn authentication(&self) -> &[u8]",
    ] {
        assert!(getters.contains(expected), "{expected}\nin\n{getters}");
    }
    let token = text(&bfd.join("bfd/struct.State.html"));
    assert!(token.contains("The field state of Bfd."));
    assert!(token.contains("2 bits at bit 8."));
    let engine = text(&doc.join("foreign_headers/engine/struct.EngineView.html"));
    assert!(
        engine.contains(
            "Little-endian: bits are counted from the least significant one of each byte."
        )
    );
    let options = text(&doc.join("hygiene/trait.SettingsGet.html"));
    assert!(options.contains("fn settings(&self) -> OptionList<'_, Setting<'static>>"));
}

const PICTURE: &str = " 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|versi|diagnosti|sta|p|l|i|a|d|m|detect_multipli|    length     |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                       my_discriminator                        |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                      your_discriminator                       |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                        desired_min_tx                         |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                        required_min_rx                        |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|                     required_min_echo_rx                      |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/                      authentication ...                       /
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

versi: version, bit 0
diagnosti: diagnostic, bit 3
sta: state, bit 8
p: poll, bit 10
l: last, bit 11
i: independent, bit 12
a: authenticated, bit 13
d: demand, bit 14
m: multipoint, bit 15
detect_multipli: detect_multiplier, bit 16";
