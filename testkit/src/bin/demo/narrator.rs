//! A line for each step, and a table at the end.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use testkit::Result;

/// Tells what happens.
pub(crate) struct Narrator {
    coloured: bool,
    start: Instant,
    rows: Vec<Row>,
}

/// What became of a step that is worth a line in the summary.
struct Row {
    what: String,
    outcome: Result<String, String>,
}

/// Columns of shown output; what is longer is cut.
const WIDTH: usize = 150;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

impl Narrator {
    /// Colours where a person reads, unless NO_COLOR says otherwise.
    pub(crate) fn new() -> Self {
        let coloured = std::env::var_os("NO_COLOR").is_none()
            && (std::io::stdout().is_terminal() || std::env::var_os("CLICOLOR_FORCE").is_some());
        Self {
            coloured,
            start: Instant::now(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn title(&self, text: &str) {
        println!("\n{}\n", self.paint(BOLD, text));
    }

    pub(crate) fn remark(&self, text: &str) {
        println!("    {}", self.paint(DIM, text));
    }

    /// The beginning of a command's output, with the command above.
    pub(crate) fn shown(&self, command: &str, output: &str, most_lines: usize) {
        println!("\n    {}", self.paint(CYAN, &format!("$ {command}")));
        let lines: Vec<_> = output.lines().collect();
        for line in lines.iter().take(most_lines) {
            let cut: String = line.chars().take(WIDTH).collect();
            println!(
                "    {cut}{}",
                if line.chars().count() > WIDTH {
                    "…"
                } else {
                    ""
                }
            );
        }
        if lines.len() > most_lines {
            self.remark(&format!("... {} more lines", lines.len() - most_lines));
        }
    }

    /// Does a step and says how it went: its outcome is a remark on success. With `summarised`, it gets a row in the summary.
    pub(crate) fn step<T>(
        &mut self,
        what: &str,
        summarised: bool,
        work: impl FnOnce() -> Result<(T, String)>,
    ) -> Option<T> {
        if self.coloured {
            print!("  … {what}\r");
            let _ = std::io::stdout().flush();
        }
        let since = self.start.elapsed().as_secs_f64();
        let time = self.paint(DIM, &format!("{since:5.1} s"));
        let (outcome, value) = match work() {
            Ok((value, remark)) => (Ok(remark), Some(value)),
            Err(failure) => (Err(failure.to_string()), None),
        };
        testkit::lab::pass_unless_interrupted();
        let (mark, remark) = match &outcome {
            Ok(remark) => (self.paint(GREEN, "✓"), self.paint(DIM, remark)),
            Err(why) => (self.paint(RED, "✗"), self.paint(RED, why)),
        };
        println!(
            "{time}  {mark} {what}{}{remark}",
            if remark.is_empty() { "" } else { "  " }
        );
        if summarised || outcome.is_err() {
            self.rows.push(Row {
                what: what.to_owned(),
                outcome,
            });
        }
        value
    }

    /// Prints the table; whether everything went well.
    pub(crate) fn summary(&self) -> bool {
        self.title(&format!(
            "Summary, after {:.0} s",
            self.start.elapsed().as_secs_f64()
        ));
        let width = self
            .rows
            .iter()
            .map(|row| row.what.chars().count())
            .max()
            .unwrap_or(0);
        for Row { what, outcome } in &self.rows {
            let (mark, result) = match outcome {
                Ok(remark) => (self.paint(GREEN, "✓"), remark.clone()),
                Err(why) => (self.paint(RED, "✗"), self.paint(RED, why)),
            };
            println!("  {mark} {what:width$}  {result}");
        }
        let well = self.rows.iter().all(|row| row.outcome.is_ok());
        let verdict = if well {
            self.paint(GREEN, "All as it should be.")
        } else {
            self.paint(RED, "Not all as it should be.")
        };
        println!("\n  {verdict}\n");
        well
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.coloured && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
