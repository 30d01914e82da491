//! Prints the project's figures beside their budgets: `figures [--json] [NAME..]`, a name being part of a row's.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use benches::report::{COLLECTED, Report};
use benches::rows;

fn main() -> ExitCode {
    xde::linux::huge_pages::ask();
    let report = Report {
        rows: &rows(),
        collected: COLLECTED,
    };
    report.main(|_, _| None)
}
