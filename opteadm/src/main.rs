//! The command line that programs `xde`.
#![forbid(unsafe_code)]

mod apply;
mod args;
mod confirm;
mod create;
mod external;
mod manual;
mod packet;
mod run;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    let args = match args::Cli::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    match run::run(args) {
        Ok(output) => print(&output),
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
    // The first paragraph says what is wrong; the others how it would be right, which `--help` says too.
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let line = lines.join(" ");
    fail(
        line.strip_prefix("error: ").unwrap_or(&line),
        ExitCode::from(2),
    )
}

fn print(output: &str) -> ExitCode {
    match io::stdout().write_all(output.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has seen enough, as in `opteadm dump-uft -p opte0 | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot write: {error}"), ExitCode::FAILURE),
    }
}

fn fail(message: &str, code: ExitCode) -> ExitCode {
    let line: Vec<&str> = message.lines().collect();
    let _ = writeln!(io::stderr(), "opteadm: {}", line.join(" "));
    code
}
