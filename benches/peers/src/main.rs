//! The project's headers beside their peers from crates.io and beside code written by hand, in one run: `peers [--json] [NAME..]`.
//!
//! The budget of an accessor or parser is 1.1 times what the code written by hand takes; of a flow key, a fifth of what ingot takes
//! for the same checks. Instructions are those of one function, from its first to its return; times take in the call.

#![allow(missing_docs)]

#[path = "../../../codegen-tests/src/bin/machine_code/by_hand.rs"]
#[allow(dead_code)]
mod by_hand;
mod deku;
mod etherparse;
#[path = "../../../codegen-tests/src/bin/machine_code/fields.rs"]
mod fields;
mod flow_key;
mod ingot;
#[path = "../../../codegen-tests/src/bin/machine_code/derived.rs"]
#[allow(dead_code)]
mod opte;
mod pnet;
mod rows;
mod smoltcp;
#[allow(dead_code)]
mod stacks;

use std::process::ExitCode;

use benches::Unit;
use benches::report::{Figure, Report};

fn main() -> ExitCode {
    let report = Report {
        rows: rows::ROWS,
        collected: "peers::*::measured_*",
    };
    report.main(budget)
}

/// From the figures before, for those of the project.
fn budget(figure: &Figure, before: &[Figure]) -> Option<f64> {
    let what = figure.name.strip_suffix("_opte")?;
    let of = |who: &str| {
        let name = format!("{what}_{who}");
        let found = before.iter().find(|figure| figure.name == name);
        found.filter(|_| figure.unit == Unit::Instructions)
    };
    if what.starts_with("flow_key") {
        return of("ingot_checked").map(|ingot| ingot.value / 5.0);
    }
    of("by_hand").map(|by_hand| by_hand.value * 1.1)
}
