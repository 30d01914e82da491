//! Runs the cases and counts them, in the words of the standard test runner.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::time::Instant;

use testkit::{Binaries, Failure, Overlay, Result, lab, privilege};

/// One case: a name, what it needs installed, and what it does in the lab.
pub(crate) struct Case {
    name: &'static str,
    needs: &'static [&'static str],
    run: fn(&mut Overlay) -> Result<()>,
}

/// Programs the lab itself cannot do without.
const LAB_NEEDS: &[&str] = &["ip", "unshare", "ping", "dhclient", "ethtool"];

impl Case {
    /// A case that needs nothing but the lab.
    pub(crate) const fn new(name: &'static str, run: fn(&mut Overlay) -> Result<()>) -> Self {
        Self {
            name,
            needs: &[],
            run,
        }
    }

    /// The same with programs it needs.
    pub(crate) const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }
}

/// Runs the cases whose names contain an argument of the command line, or all.
pub(crate) fn run(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        cases
            .iter()
            .for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let chosen = |case: &&Case| {
        filters.is_empty()
            || filters
                .iter()
                .any(|filter| case.name.contains(filter.as_str()))
    };
    let chosen: Vec<&Case> = cases.iter().filter(chosen).collect();

    let start = Instant::now();
    let binaries = match Binaries::release() {
        Ok(binaries) => binaries,
        Err(failure) => return fail_all(&chosen, &failure.to_string(), cases.len()),
    };
    if let Some(why) = obstacle() {
        return skip_all(&chosen, &why, cases.len());
    }
    println!("\nrunning {} tests", chosen.len());
    let tally = match Overlay::raise(&binaries) {
        Ok(mut overlay) => {
            println!(
                "lab {} stands after {:.1} s",
                overlay.topology.lab().prefix(),
                start.elapsed().as_secs_f64()
            );
            run_in(&mut overlay, &chosen)
        }
        Err(failure) => {
            return fail_all(
                &chosen,
                &format!("the lab does not stand: {failure}"),
                cases.len(),
            );
        }
    };
    tally.report(cases.len() - chosen.len(), start)
}

/// A case's way to say what does not hold.
pub(crate) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Failure::new("does not hold", why()))
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    ignored: usize,
    failures: Vec<(&'static str, String)>,
}

impl Tally {
    fn report(self, filtered: usize, start: Instant) -> ExitCode {
        let Self {
            passed,
            ignored,
            failures,
        } = self;
        if !failures.is_empty() {
            println!("\nfailures:");
            failures
                .iter()
                .for_each(|(name, why)| println!("    {name}: {why}"));
        }
        println!(
            "\ntest result: {}. {passed} passed; {} failed; {ignored} ignored; 0 measured; {filtered} filtered out; finished in {:.2}s\n",
            if failures.is_empty() { "ok" } else { "FAILED" },
            failures.len(),
            start.elapsed().as_secs_f64(),
        );
        if failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn run_in(overlay: &mut Overlay, cases: &[&Case]) -> Tally {
    let mut tally = Tally::default();
    for case in cases {
        if let Some(missing) = case.needs.iter().find(|program| !is_installed(program)) {
            println!("test {} ... ignored, {missing} is not installed", case.name);
            tally.ignored += 1;
            continue;
        }
        let before = drops(overlay);
        let told = overlay.topology.boundary_log().len();
        let start = Instant::now();
        let outcome = (case.run)(overlay);
        lab::pass_unless_interrupted();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                println!("test {} ... ok ({seconds:.1} s)", case.name);
                tally.passed += 1;
            }
            Err(failure) => {
                println!(
                    "test {} ... FAILED ({seconds:.1} s)\n    {failure}\n    dropped before and after: {before:?} {:?}",
                    case.name,
                    drops(overlay),
                );
                let log = overlay.topology.boundary_log();
                let since = log.get(told..).unwrap_or_default().lines();
                since.for_each(|line| println!("    boundary: {line}"));
                tally.failures.push((case.name, failure.to_string()));
            }
        }
    }
    tally
}

/// What each driver has dropped by now, where it tells.
fn drops(overlay: &Overlay) -> [Option<BTreeMap<String, u64>>; 2] {
    [&overlay.topology.a, &overlay.topology.b].map(|host| host.drops_by_reason().ok())
}

/// What stands against having a lab here at all.
fn obstacle() -> Option<String> {
    if let Some(missing) = LAB_NEEDS.iter().find(|program| !is_installed(program)) {
        return Some(format!("{missing} is not installed"));
    }
    privilege::acquire()
        .err()
        .map(|failure| format!("no namespaces here: {failure}"))
}

fn is_installed(program: &str) -> bool {
    // Administrators' programs lie in directories an ordinary user's path leaves out.
    let find = format!("PATH=$PATH:/usr/sbin:/sbin command -v {program}");
    Command::new("sh")
        .args(["-c", &find])
        .output()
        .is_ok_and(|found| found.status.success())
}

fn skip_all(cases: &[&Case], why: &str, of: usize) -> ExitCode {
    println!(
        "\nrunning {} tests\nSKIPPED, ALL OF THEM: {why}",
        cases.len()
    );
    cases
        .iter()
        .for_each(|case| println!("test {} ... ignored, {why}", case.name));
    Tally {
        ignored: cases.len(),
        ..Tally::default()
    }
    .report(of - cases.len(), Instant::now())
}

fn fail_all(cases: &[&Case], why: &str, of: usize) -> ExitCode {
    println!("\nrunning {} tests", cases.len());
    cases
        .iter()
        .for_each(|case| println!("test {} ... FAILED", case.name));
    let failures = cases
        .iter()
        .map(|case| (case.name, why.to_owned()))
        .collect();
    Tally {
        failures,
        ..Tally::default()
    }
    .report(of - cases.len(), Instant::now())
}
