//! Prints the project's figures beside their budgets: `figures [--json] [NAME..]`, a name being part of a row's.

#![forbid(unsafe_code)]

use std::error::Error;
use std::process::{Command, ExitCode};

use benches::{Meter, Row, Unit, rows};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [MEASURE, name] => measure(name),
        _ => print_all(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}

/// First argument of the processes this one starts.
const MEASURE: &str = "--measure";

fn measure(name: &str) -> Result<(), Box<dyn Error>> {
    let row = rows()
        .into_iter()
        .find(|row| row.name == name)
        .ok_or("no such row")?;
    println!("{}", Meter::measure(&row));
    Ok(())
}

fn print_all(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let json = arguments.iter().any(|argument| argument == "--json");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let chosen =
        |row: &Row| names.is_empty() || names.iter().any(|name| row.name.contains(name.as_str()));
    let mut figures = Vec::new();
    for row in rows().into_iter().filter(chosen) {
        let value = value(&row).map_err(|error| format!("{}: {error}", row.name))?;
        if json {
            figures.push(serde_json::json!({
                "name": row.name, "value": rounded(value), "unit": row.unit.to_string(), "budget": row.budget,
            }));
        } else {
            println!(
                "{} {} {} {}",
                row.name,
                rounded(value),
                row.unit,
                row.budget
            );
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    }
    Ok(())
}

/// To a tenth, or where that would say nothing, to a thousandth.
fn rounded(value: f64) -> f64 {
    let scale = if value.abs() < 10.0 { 1000.0 } else { 10.0 };
    (value * scale).round() / scale
}

/// Each row in a process of its own: none finds another's heap, caches or seeds.
fn value(row: &Row) -> Result<f64, Box<dyn Error>> {
    let this = std::env::current_exe()?;
    if row.unit != Unit::Instructions {
        let (said, _) = run(Command::new(this).args([MEASURE, row.name]))?;
        return Ok(said.trim().parse()?);
    }
    let (said, valgrind) = run(Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*collected*",
        ])
        .arg(this)
        .args([MEASURE, row.name]))?;
    let operations: f64 = said.trim().parse()?;
    let collected = valgrind
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    let instructions: f64 = collected
        .ok_or_else(|| format!("no sum in: {valgrind}"))?
        .trim()
        .parse()?;
    if instructions == 0.0 {
        return Err("callgrind met no measured part".into());
    }
    Ok(instructions / operations)
}

fn run(command: &mut Command) -> Result<(String, String), Box<dyn Error>> {
    let what = format!("{command:?}");
    let output = command
        .output()
        .map_err(|error| format!("{what}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok((text(&output.stdout), text(&output.stderr)));
    }
    Err(format!("{what}: {}", text(&output.stderr)).into())
}
