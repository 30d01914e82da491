//! Prints rows beside their budgets: `[--json] [NAME..]`, a name being part of a row's.

use std::error::Error;
use std::fmt;
use std::process::{Command, ExitCode};

use crate::{Meter, Row, Unit};

/// A row and what it came to.
#[derive(Clone, Debug)]
pub struct Figure {
    /// As the row's.
    pub name: String,
    /// For one operation, in `unit`.
    pub value: f64,
    /// What is counted.
    pub unit: Unit,
    /// How much is allowed, if anything is said.
    pub budget: Option<f64>,
}

/// The rows of a program, and where in it instructions are counted.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// All there are.
    pub rows: &'a [Row],
    /// Pattern of the functions inside which callgrind collects.
    pub collected: &'a str,
}

/// Where [`Meter::each`] runs its operations.
pub const COLLECTED: &str = "*collected*";

/// First argument of the processes a report starts.
const MEASURE: &str = "--measure";

impl Report<'_> {
    /// What the program is to do. `budget` may give a figure one that comes from the figures before it.
    pub fn main(&self, budget: impl Fn(&Figure, &[Figure]) -> Option<f64>) -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [MEASURE, name] => self.measure(name),
            _ => self.print(&arguments, budget),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("figures: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn measure(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let row = self
            .rows
            .iter()
            .find(|row| row.name == name)
            .ok_or("no such row")?;
        println!("{}", Meter::measure(row));
        Ok(())
    }

    fn print(
        &self,
        arguments: &[String],
        budget: impl Fn(&Figure, &[Figure]) -> Option<f64>,
    ) -> Result<(), Box<dyn Error>> {
        let json = arguments.iter().any(|argument| argument == "--json");
        let names: Vec<&String> = arguments
            .iter()
            .filter(|argument| !argument.starts_with("--"))
            .collect();
        let chosen = |row: &&Row| {
            names.is_empty() || names.iter().any(|name| row.name.contains(name.as_str()))
        };
        let mut figures = Vec::new();
        for row in self.rows.iter().filter(chosen) {
            let value = self
                .value(row)
                .map_err(|error| format!("{}: {error}", row.name))?;
            let mut figure = Figure {
                name: row.name.to_owned(),
                value,
                unit: row.unit,
                budget: row.budget.is_finite().then_some(row.budget),
            };
            figure.budget = budget(&figure, &figures).or(figure.budget);
            if !json {
                println!("{figure}");
            }
            figures.push(figure);
        }
        if json {
            let figures: Vec<_> = figures.iter().map(Figure::json).collect();
            println!("{}", serde_json::to_string_pretty(&figures)?);
        }
        Ok(())
    }

    /// Each row in a process of its own: none finds another's heap, caches or seeds.
    fn value(&self, row: &Row) -> Result<f64, Box<dyn Error>> {
        let this = std::env::current_exe()?;
        if row.unit != Unit::Instructions {
            let (said, _) = run(Command::new(this).args([MEASURE, row.name]))?;
            return Ok(said.trim().parse()?);
        }
        let (said, valgrind) = run(Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--toggle-collect={}", self.collected))
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
}

impl Figure {
    /// The figure as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit.to_string(),
            "budget": self.budget.map(rounded),
        })
    }
}

/// `name value unit budget`, the budget `-` where there is none.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = (rounded(self.value), self.unit);
        write!(f, "{} {value} {unit} ", self.name)?;
        match self.budget {
            Some(budget) => write!(f, "{}", rounded(budget)),
            None => f.write_str("-"),
        }
    }
}

/// To a tenth, or where that would say nothing, to a thousandth.
fn rounded(value: f64) -> f64 {
    let scale = if value.abs() < 10.0 { 1000.0 } else { 10.0 };
    (value * scale).round() / scale
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
