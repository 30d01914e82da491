//! The demo: guests on two hosts talk through two drivers, step by step.

#![forbid(unsafe_code)]

mod narrator;
mod steps;

use std::process::ExitCode;

use narrator::Narrator;
use testkit::privilege::{self, Privilege};
use testkit::{Failure, Lab, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => show(false),
        ["--keep"] => show(true),
        ["--clean", prefix] => privilege::acquire()
            .and_then(|_| Lab::remove_kept(prefix))
            .map(|()| true),
        _ => Err(Failure::new(
            "read the arguments",
            "usage: ./demo [--keep | --clean NAME]",
        )),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("demo: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all of it went as it should.
fn show(keep: bool) -> Result<bool> {
    let privilege = privilege::acquire()?;
    let mut narrator = Narrator::new();
    narrator.title("OPTE: two hosts, four guests, two networks with the same addresses");
    if privilege == Privilege::UserNamespace {
        narrator.remark("You are not root: this runs in a user namespace, which the machine's own network does not see.");
    }
    let overlay = match steps::raise(&mut narrator) {
        Ok(overlay) => overlay,
        // The narrator has said which step failed and why.
        Err(_) => return Ok(false),
    };
    steps::reach(&mut narrator, &overlay);
    steps::firewall(&mut narrator, &overlay);
    steps::bulk(&mut narrator, &overlay);
    steps::outside(&mut narrator, &overlay);
    steps::tables(&mut narrator, &overlay);
    let well = narrator.summary();
    if keep {
        steps::how_to_enter(&mut narrator, &overlay, privilege);
        match privilege {
            Privilege::Root => overlay.topology.keep(),
            // Its names would be lost with this process.
            Privilege::UserNamespace => drop(std::io::stdin().read_line(&mut String::new())),
        }
    }
    Ok(well)
}
