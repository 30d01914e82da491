//! What the operator's guide says is typed in, in its order, and what it shows is seen.

use std::fmt::Write as _;

use testkit::{Binaries, Failure, Overlay, Result};

const GUIDE: &str = include_str!("../../../docs/guide.md");
const LAN: &str = include_str!("../../../docs/lan-nat.md");

/// Begins what a block prints.
const MARK: &str = "-- block";

/// Directories of its own in the place of those that others use, and the end of the drivers it starts with its own.
const PREAMBLE: &str = "set -eu
trap 'for host in $(ls /run/netns); do kill $(ip netns pids $host) || true; done 2>/dev/null; wait' EXIT
mount -t tmpfs none /run
mkdir /run/netns /run/guide
cd /run/guide
";

/// The commands of one block, and the lines the guide shows of what they print.
#[derive(Default)]
struct Block {
    commands: String,
    shown: Vec<String>,
}

pub(crate) fn what_the_guide_says_can_be_typed_in(lab: &mut Overlay) -> Result<()> {
    type_in(lab, GUIDE, 10)
}

pub(crate) fn what_is_said_of_lans_can_be_typed_in(lab: &mut Overlay) -> Result<()> {
    type_in(lab, LAN, 6)
}

/// Types in a text that has at least so many blocks of commands.
fn type_in(lab: &Overlay, text: &str, least: usize) -> Result<()> {
    let blocks = blocks(text);
    if blocks.len() < least {
        return Err(Failure::new("read the guide", "its commands are not found"));
    }
    let printed = run(lab, &script(&blocks))?;
    let mut parts = printed.split(MARK);
    let _before = parts.next();
    for (block, part) in blocks.iter().zip(parts) {
        let part = words(part);
        if let Some(line) = block.shown.iter().find(|line| !shows(&part, line)) {
            return Err(Failure::new(
                format!("see `{line}` after:\n{}", block.commands),
                part,
            ));
        }
    }
    Ok(())
}

/// The blocks of commands, each with the block of text that follows it before any other text does.
fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = None;
    let mut follows = false;
    for line in guide.lines() {
        match (inside, line.strip_prefix("```")) {
            (None, Some("sh")) => {
                blocks.push(Block::default());
                inside = Some("sh");
            }
            (None, Some(_)) => inside = Some(if follows { "shown" } else { "other" }),
            (None, None) => follows &= line.is_empty(),
            (Some(kind), Some(_)) => {
                follows = kind == "sh";
                inside = None;
            }
            (Some(kind), None) => match (kind, blocks.last_mut()) {
                ("sh", Some(block)) => {
                    block.commands.push_str(line);
                    block.commands.push('\n');
                }
                ("shown", Some(block)) => block.shown.push(words(line)),
                _ => {}
            },
        }
    }
    blocks
}

/// All blocks as one shell would get them.
fn script(blocks: &[Block]) -> String {
    let mut script = String::from(PREAMBLE);
    for block in blocks {
        // Writing to a string does not fail.
        let _ = write!(script, "echo '{MARK}'\n{}", block.commands);
    }
    script
}

/// What the script prints, if each of its commands does well.
fn run(lab: &Overlay, script: &str) -> Result<String> {
    let binaries = Binaries::release()?;
    let directory = binaries.path("opteadm")?.parent().map(ToOwned::to_owned);
    let directory = directory.unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let file = lab.topology.lab().directory().join("guide.sh");
    std::fs::write(&file, script).map_err(|error| Failure::new("write the script", error))?;
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--net", "bash"])
        .arg(&file)
        .env("PATH", format!("{}:{path}", directory.display()))
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| Failure::new("run the script", error))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = printed.split(MARK).last().unwrap_or_default();
    Err(Failure::new(
        "type in what the guide says",
        format!("it ends with {}:\n{last}\n{complaint}", output.status),
    ))
}

/// The text with one blank in the place of many.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text has what a line shows, with anything in the place of `...`.
fn shows(text: &str, line: &str) -> bool {
    let mut rest = text;
    line.split("...").map(str::trim).all(|piece| {
        let found = rest.find(piece);
        if let Some(at) = found {
            rest = &rest[at + piece.len()..];
        }
        found.is_some()
    })
}
