//! How often commands were done, and refused by what was wrong with them.

use alloc::string::{String, ToString};

use opte::api::OpteError;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What is counted of commands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CommandCounter { $($(#[$doc])* $variant,)* }

        const NAMES: &[&str] = &[$($name,)*];
    };
}

counters! {
    /// Commands done.
    Done = "command_done",
    /// Commands that were understood and could not be done.
    Failed = "command_failed",
    /// Retries that got the answer that was kept for them.
    Kept = "command_kept_answer",
    /// Requests that do not begin as a request does.
    BadMagic = "command_bad_magic",
    /// Requests of another API version.
    BadVersion = "command_bad_version",
    /// Requests for no command there is.
    Unknown = "command_unknown",
    /// Requests that end before they should.
    Truncated = "command_truncated",
    /// Requests larger than they may be.
    TooLarge = "command_too_large",
    /// Requests with something behind their end.
    TrailingBytes = "command_trailing_bytes",
    /// Requests whose body is no request of the command.
    Malformed = "command_malformed",
    /// Requests under the id of another.
    IdReused = "command_id_reused",
    /// Requests meant for an earlier run of the driver.
    WrongInstance = "command_wrong_instance",
    /// Answers that did not fit what the client takes.
    AnswerTooLarge = "command_answer_too_large",
    /// Clients that may not give commands.
    Denied = "command_permission_denied",
    /// Clients turned away because there are too many.
    TooManyClients = "command_too_many_clients",
    /// Clients that were too slow.
    TimedOut = "command_timed_out",
}

/// A count for each [`CommandCounter`].
#[derive(Debug, Default)]
pub(super) struct Counters([u64; NAMES.len()]);

impl Counters {
    /// One more.
    pub(super) fn count(&mut self, counter: CommandCounter) {
        if let Some(value) = self.0.get_mut(counter as usize) {
            *value = value.wrapping_add(1);
        }
    }

    /// All of them by name.
    pub(super) fn read(&self) -> impl Iterator<Item = (String, u64)> {
        NAMES
            .iter()
            .zip(self.0)
            .map(|(name, value)| (name.to_string(), value))
    }

    /// One more of what `error` stands for.
    pub(super) fn count_error(&mut self, error: &OpteError) {
        self.count(match error {
            OpteError::BadMagic { .. } => CommandCounter::BadMagic,
            OpteError::BadApiVersion { .. } => CommandCounter::BadVersion,
            OpteError::UnknownCommand { .. } => CommandCounter::Unknown,
            OpteError::RequestTruncated { .. } => CommandCounter::Truncated,
            OpteError::RequestTooLarge { .. } => CommandCounter::TooLarge,
            OpteError::TrailingBytes { .. } => CommandCounter::TrailingBytes,
            OpteError::MalformedRequest { .. } => CommandCounter::Malformed,
            OpteError::RequestIdReused { .. } => CommandCounter::IdReused,
            OpteError::DriverRestarted { .. } => CommandCounter::WrongInstance,
            OpteError::RespTooLarge { .. } => CommandCounter::AnswerTooLarge,
            OpteError::PermissionDenied { .. } => CommandCounter::Denied,
            _ => CommandCounter::Failed,
        });
    }
}
