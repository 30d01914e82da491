//! Why a request was not done.

use std::fmt;
use std::io;
use std::path::PathBuf;

use opte::api::{OpteCmd, OpteError};

/// Why a request was not done. Each is said in one line.
#[derive(Debug)]
pub enum Error {
    /// No driver listens.
    NotRunning {
        /// Where it was looked for.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket may not be opened by this user.
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The driver ended, or let go of the connection, before it answered. The command may have been done.
    Gone {
        /// Its socket.
        socket: PathBuf,
        /// The command.
        command: OpteCmd,
    },
    /// The driver was restarted between two requests of this client: what the earlier ones said is no longer so. The request was
    /// not done.
    Restarted {
        /// Its socket.
        socket: PathBuf,
        /// The command.
        command: OpteCmd,
    },
    /// The driver took longer than it may.
    TimedOut {
        /// Its socket.
        socket: PathBuf,
        /// The command.
        command: OpteCmd,
    },
    /// The driver was built with other commands.
    VersionMismatch {
        /// The version of this client.
        client: u64,
        /// The version of the driver.
        driver: u64,
    },
    /// What listens there does not answer as a driver does.
    NotADriver {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The connection failed.
    Io {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration was changed by others each time it was read.
    KeepsChanging {
        /// The socket.
        socket: PathBuf,
    },
    /// The driver refused.
    Refused {
        /// The command.
        command: OpteCmd,
        /// Why.
        error: OpteError,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { socket, source } if source.kind() == io::ErrorKind::NotFound => {
                write!(
                    f,
                    "xde is not running: there is no socket {}",
                    socket.display()
                )
            }
            Self::NotRunning { socket, .. } => {
                write!(
                    f,
                    "xde is not running: it left {} behind, killed or crashed",
                    socket.display()
                )
            }
            Self::NotAllowed { socket, source } => {
                write!(
                    f,
                    "xde takes commands from root and its own user only: {} ({source})",
                    socket.display()
                )
            }
            Self::Gone { socket, command } => write!(
                f,
                "xde at {} was killed or restarted before it answered {command}; whether that was done is not known",
                socket.display()
            ),
            Self::Restarted { socket, command } => {
                write!(
                    f,
                    "xde at {} was restarted in the midst of {command}; run the command again",
                    socket.display()
                )
            }
            Self::TimedOut { socket, command } => {
                write!(
                    f,
                    "xde at {} did not answer {command} in time",
                    socket.display()
                )
            }
            Self::VersionMismatch { client, driver } => {
                write!(
                    f,
                    "API version mismatch: opteadm has {client:016x}, xde has {driver:016x}"
                )
            }
            Self::NotADriver { socket, reason } => {
                write!(
                    f,
                    "what listens at {} is no xde: {reason}",
                    socket.display()
                )
            }
            Self::Io { socket, source } => {
                write!(f, "cannot talk to xde at {}: {source}", socket.display())
            }
            Self::KeepsChanging { socket } => write!(
                f,
                "the configuration of xde at {} changes each time it is read; try again",
                socket.display()
            ),
            Self::Refused { error, .. } => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotRunning { source, .. }
            | Self::NotAllowed { source, .. }
            | Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
