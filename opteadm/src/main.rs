//! The command line that programs `xde`.
#![forbid(unsafe_code)]

mod apply;
mod args;
mod columns;
mod confirm;
mod create;
mod external;
mod failure;
mod lan;
mod listing;
mod manual;
mod meter;
mod options;
mod packet;
mod run;
mod schema;
mod table;
mod usage;
mod watch;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    let args = match args::Cli::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = run::run(args, &mut out);
    // What was listed before something went wrong is worth seeing too.
    let outcome = outcome.and(out.flush().map_err(failure::Failure::Output));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has seen enough, as in `opteadm dump-uft -p opte0 | head`.
        Err(failure::Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string(), ExitCode::FAILURE),
    }
}

/// Help goes out as it is, what is wrong with the arguments in one line.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return print(&error.to_string());
    }
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = io::stderr().write_all(text.as_bytes());
        return ExitCode::from(2);
    }
    fail(&usage::line(error), ExitCode::from(2))
}

fn print(output: &str) -> ExitCode {
    match io::stdout().write_all(output.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot write: {error}"), ExitCode::FAILURE),
    }
}

fn fail(message: &str, code: ExitCode) -> ExitCode {
    let line: Vec<&str> = message.lines().collect();
    let _ = writeln!(io::stderr(), "opteadm: {}", line.join(" "));
    code
}
