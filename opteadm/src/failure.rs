//! Why a command was not done, in words.

use std::fmt;
use std::io;
use std::path::PathBuf;

use opte::api::OpteError;
use opteadm::Error;
use opteadm::config::{ConfigError, PlanError};
use opteadm::saved::SavedError;
use oxide_vpc::api::RuleFileError;

/// Why the command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An argument is wrong.
    Argument(OpteError),
    /// A rule on standard input is wrong.
    Rules(RuleFileError),
    /// Standard input could not be read.
    Input(io::Error),
    /// The driver did not do it.
    Client(Error),
    /// It cannot be done; something else there is could be meant.
    Among {
        /// Why not.
        error: OpteError,
        /// What there is.
        there: Vec<String>,
    },
    /// The driver has no ports, this one as little as any other.
    NoPorts(String),
    /// A file could not be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no configuration.
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong in it, and where.
        error: ConfigError,
    },
    /// A port could not be saved in a file, or restored of it.
    Saved {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: SavedError,
    },
    /// The configuration there is cannot become that of a file.
    Plan {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: PlanError,
    },
    /// The user was asked and did not want it.
    Declined,
    /// The answer could not be printed as JSON.
    Json(serde_json::Error),
    /// The configuration could not be written.
    Export(String),
    /// Standard output could not be written, or signals not be waited for.
    Output(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(error) => error.fmt(f),
            Self::Rules(error) => write!(f, "rules, {error}"),
            Self::Input(error) => write!(f, "cannot read rules: {error}"),
            Self::Client(error) => error.fmt(f),
            Self::Among { error, there } => {
                error.fmt(f)?;
                let (shown, more) = there.split_at(there.len().min(SHOWN));
                match (shown.is_empty(), more.len()) {
                    (true, _) => Ok(()),
                    (false, 0) => write!(f, " (there is: {})", shown.join(", ")),
                    (false, more) => {
                        write!(f, " (there is: {} and {more} more)", shown.join(", "))
                    }
                }
            }
            Self::NoPorts(port) => write!(
                f,
                "port '{port}' not found: xde has no ports; it was restarted, or none was created yet"
            ),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Config { path, error } => {
                write!(f, "{}:{}: {}", path.display(), error.line, error.message)
            }
            Self::Saved { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Plan { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Declined => f.write_str("nothing was done"),
            Self::Json(error) => write!(f, "cannot print the answer: {error}"),
            Self::Export(reason) => write!(f, "cannot print the answer: {reason}"),
            Self::Output(error) => write!(f, "cannot write: {error}"),
        }
    }
}

impl From<OpteError> for Failure {
    fn from(error: OpteError) -> Self {
        Self::Argument(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => Self::Output(kind.into()),
            None => Self::Json(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// How much of what there is is said.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests;
