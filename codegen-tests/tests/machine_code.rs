//! What the compiler makes of derived accessors and parsers, against the same written by hand (`src/bin/machine_code`): at most 1.1
//! times the instructions, and no call: nothing that could panic is left, and nothing that was not inlined.
//!
//! Counted in the disassembly of a release build, so nothing is timed.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

/// The pairs, as modules and functions of the program are called.
const PAIRS: [&str; 16] = [
    "udp::measured_get",
    "udp::measured_set",
    "udp::measured_parse",
    "tcp::measured_get",
    "tcp::measured_set",
    "tcp::measured_parse",
    "ipv4::measured_get",
    "ipv4::measured_set",
    "ipv4::measured_parse",
    "ipv6::measured_get",
    "ipv6::measured_set",
    "ipv6::measured_parse",
    "geneve::measured_get",
    "geneve::measured_set",
    "geneve::measured_parse",
    "checksum::measured_update",
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let objdump = Command::new("objdump").arg("--version").output().is_ok();
    let counted = cfg!(target_arch = "x86_64") && objdump;
    if !counted {
        eprintln!("Machine code is not looked at: that takes objdump (binutils) on x86-64.");
    }
    let program = (counted && !arguments.list)
        .then(disassembled)
        .transpose()
        .map_err(|error| error.to_string());
    let trials = PAIRS.map(|pair| {
        let program = program.clone();
        let trial = Trial::test(pair, move || match program {
            Ok(program) => compare(pair, &program.unwrap_or_default()),
            Err(error) => Err(error.into()),
        });
        trial.with_ignored_flag(!counted)
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// Instructions by function.
type Program = BTreeMap<String, Vec<String>>;

fn compare(pair: &str, program: &Program) -> Result<(), Failed> {
    let of = |who| program.get(&format!("machine_code::{who}::{pair}"));
    let (derived, by_hand) = match (of("derived"), of("by_hand")) {
        // The linker keeps one of several functions with the same instructions.
        (Some(one), None) | (None, Some(one)) => (one, one),
        (Some(derived), Some(by_hand)) => (derived, by_hand),
        (None, None) => return Err("neither function is there".into()),
    };
    let report = |what: &str| {
        let (derived_text, by_hand_text) = (derived.join("\n  "), by_hand.join("\n  "));
        Failed::from(format!(
            "{what}\nderived, {}:\n  {derived_text}\nby hand, {}:\n  {by_hand_text}",
            derived.len(),
            by_hand.len()
        ))
    };
    if derived.iter().any(|line| line.starts_with("call")) {
        return Err(report("something is called"));
    }
    if derived.len() * 10 > by_hand.len() * 11 {
        return Err(report("more than 1.1 times as many instructions"));
    }
    println!("{pair}: {} against {}", derived.len(), by_hand.len());
    Ok(())
}

fn disassembled() -> Result<Program, Box<dyn Error>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "codegen-tests",
    ]);
    cargo.args([
        "--bin",
        "machine_code",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let built = said(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?;
    let executable = built
        .lines()
        .filter_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next())
        .next_back()
        .ok_or("cargo names no executable")?;
    let listing = said(Command::new("objdump").args([
        "--disassemble",
        "--demangle",
        "--no-show-raw-insn",
        "--section=.text",
        executable,
    ]))?;
    Ok(functions(&listing))
}

/// Lines are `ADDRESS <NAME>:` and `ADDRESS:\tINSTRUCTION`.
fn functions(listing: &str) -> Program {
    let mut functions = Program::new();
    let mut current = Vec::new();
    let mut name = "";
    for line in listing.lines() {
        if let Some((_, begun)) = line
            .strip_suffix(">:")
            .and_then(|line| line.split_once(" <"))
        {
            functions.insert(name.to_owned(), std::mem::take(&mut current));
            name = begun;
        } else if let Some((_, instruction)) = line.split_once(":\t") {
            let instruction = instruction.trim();
            let padding = ["nop", "int3", "xchg   %ax,%ax", "cs nop", "data16"];
            if !padding
                .iter()
                .any(|nothing| instruction.starts_with(nothing))
            {
                current.push(instruction.to_owned());
            }
        }
    }
    functions.insert(name.to_owned(), current);
    functions
}

fn said(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?}: {why}").into())
}
