//! What a client says and understands, without a connection: the core of [`Client`](crate::Client) and
//! [`AsyncClient`](crate::AsyncClient).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use opte::api::frame::{
    FLAG_ERROR, MAGIC, MAX_RESPONSE, RESPONSE_HEADER_LEN, RequestHeader, ResponseHeader,
    encode_request,
};
use opte::api::{NoResp, OpteCmd, OpteError, Page, Request};
use oxide_vpc::api::{
    API_VERSION, BatchStep, ConfigItem, DumpConfigReq, DumpConfigResp, RunBatchReq, StageBatchReq,
    StageBatchResp,
};
use zerocopy::FromBytes;

use crate::Error;

/// A client's side of the conversation with one run of a driver.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) socket: PathBuf,
    /// Tells this client from others in the driver's memory of what it has done.
    client: u64,
    sequence: u64,
    /// The run of the driver that answered first; 0 before.
    instance: u64,
}

/// What is to be done when a connection broke before the answer came: send the same again over a new one. A request's number is the same
/// then, so that the driver does it once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Again {
    command: OpteCmd,
}

impl Session {
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_path_buf(),
            // Keyed at random by the standard library.
            client: RandomState::new().build_hasher().finish() ^ u64::from(std::process::id()),
            sequence: 0,
            instance: 0,
        }
    }

    /// The next request, as it goes to the driver.
    pub(crate) fn encode<R: Request>(&mut self, request: &R) -> Result<Vec<u8>, Error> {
        let refused = |error| Error::Refused {
            command: R::COMMAND,
            error,
        };
        request.validate().map_err(refused)?;
        self.sequence += 1;
        let header = RequestHeader {
            api_version: API_VERSION.into(),
            client: self.client.into(),
            sequence: self.sequence.into(),
            instance: self.instance.into(),
            response_max: MAX_RESPONSE.into(),
            ..RequestHeader::default()
        };
        encode_request(header, request).map_err(refused)
    }

    /// What is in the answer to the request that was encoded last.
    pub(crate) fn decode<R: Request>(
        &mut self,
        header: &ResponseHeader,
        body: &[u8],
    ) -> Result<R::Response, Error> {
        let driver = header.api_version.get();
        // Of another version no body can be believed, an error's neither.
        if driver != API_VERSION {
            return Err(Error::VersionMismatch {
                client: API_VERSION,
                driver,
            });
        }
        let malformed = |error: postcard::Error| {
            format!("{} is answered in no known form: {error}", R::COMMAND)
        };
        if header.flags.get() & FLAG_ERROR != 0 {
            let error =
                postcard::from_bytes(body).map_err(|error| self.not_a_driver(&malformed(error)))?;
            return Err(match error {
                OpteError::DriverRestarted { .. } => Error::Restarted {
                    socket: self.socket.clone(),
                    command: R::COMMAND,
                },
                error => Error::Refused {
                    command: R::COMMAND,
                    error,
                },
            });
        }
        if (header.client.get(), header.sequence.get()) != (self.client, self.sequence) {
            return Err(self.not_a_driver("it answers what was not asked"));
        }
        self.instance = header.instance.get();
        postcard::from_bytes(body).map_err(|error| self.not_a_driver(&malformed(error)))
    }

    /// What is to be done when no answer came to a command that was sent.
    pub(crate) fn broken(&self, command: OpteCmd, error: io::Error) -> Result<Again, Error> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                return Err(Error::TimedOut {
                    socket: self.socket.clone(),
                    command,
                });
            }
            ErrorKind::InvalidData => return Err(self.not_a_driver(&error.to_string())),
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {}
            _ => return Err(self.io(error)),
        }
        // To read twice does no harm. Only the run of the driver that is known can tell whether it has made a change; another would
        // make it again.
        if command.changes() && self.instance == 0 {
            return Err(self.gone(command));
        }
        Ok(Again { command })
    }

    /// Why it could not be sent again, if there is no new connection.
    pub(crate) fn not_opened(&self, again: Again, error: Error) -> Error {
        match again.command.changes() {
            true => self.gone(again.command),
            // If nobody is there any more, that is what is to be said.
            false => error,
        }
    }

    pub(crate) fn gone(&self, command: OpteCmd) -> Error {
        Error::Gone {
            socket: self.socket.clone(),
            command,
        }
    }

    pub(crate) fn io(&self, source: io::Error) -> Error {
        let socket = self.socket.clone();
        Error::Io { socket, source }
    }

    /// Why there is no connection.
    pub(crate) fn unreachable(&self, source: io::Error) -> Error {
        let socket = self.socket.clone();
        match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                Error::NotRunning { socket, source }
            }
            ErrorKind::PermissionDenied => Error::NotAllowed { socket, source },
            _ => Error::Io { socket, source },
        }
    }

    pub(crate) fn not_a_driver(&self, reason: &str) -> Error {
        Error::NotADriver {
            socket: self.socket.clone(),
            reason: reason.into(),
        }
    }
}

/// The header of an answer, and how many octets follow it.
pub(crate) fn read_head(head: &[u8; RESPONSE_HEADER_LEN]) -> io::Result<(ResponseHeader, usize)> {
    let invalid = |reason: String| io::Error::new(ErrorKind::InvalidData, reason);
    let header =
        ResponseHeader::read_from_bytes(head).map_err(|error| invalid(error.to_string()))?;
    if header.magic.get() != MAGIC {
        return Err(invalid(format!(
            "its answer begins with {:#010x}",
            header.magic.get()
        )));
    }
    let length = header.body_len.get();
    if length > MAX_RESPONSE {
        return Err(invalid(format!("its answer has {length} octets")));
    }
    Ok((header, length as usize))
}

/// A configuration that is listed page by page, from the beginning again if it changes meanwhile.
#[derive(Debug)]
pub(crate) struct ConfigPages {
    attempts_left: usize,
    cursor: u64,
    limit: u32,
    revision: Option<u64>,
    items: Vec<ConfigItem>,
}

impl ConfigPages {
    pub(crate) fn new() -> Self {
        Self {
            attempts_left: ATTEMPTS,
            cursor: 0,
            limit: Page::MAX_LIMIT,
            revision: None,
            items: Vec::new(),
        }
    }

    /// What to ask for.
    pub(crate) fn request(&self) -> DumpConfigReq {
        let (cursor, limit) = (self.cursor, self.limit);
        let page = Page { cursor, limit };
        DumpConfigReq { page }
    }

    /// Takes an answer; the whole, if it was the last.
    pub(crate) fn take(
        &mut self,
        session: &Session,
        answer: Result<DumpConfigResp, Error>,
    ) -> Result<Option<(u64, Vec<ConfigItem>)>, Error> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.limit = shorter(self.limit, error)?;
                return Ok(None);
            }
        };
        // Pages of different revisions are not of one configuration.
        if *self.revision.get_or_insert(answer.revision) != answer.revision {
            self.attempts_left = self.attempts_left.saturating_sub(1);
            if self.attempts_left == 0 {
                let socket = session.socket.clone();
                return Err(Error::KeepsChanging { socket });
            }
            (self.cursor, self.revision) = (0, None);
            self.items.clear();
            return Ok(None);
        }
        self.items.extend(answer.items);
        match answer.next {
            Some(next) => {
                self.cursor = next;
                Ok(None)
            }
            None => Ok(Some((answer.revision, std::mem::take(&mut self.items)))),
        }
    }
}

/// Half the page, if the answer was too long: entries can be long. Any other error stays one.
pub(crate) fn shorter(limit: u32, error: Error) -> Result<u32, Error> {
    match error {
        Error::Refused {
            error: OpteError::RespTooLarge { .. },
            ..
        } if limit > 1 => Ok(limit / 2),
        error => Err(error),
    }
}

/// Steps of a batch on their way to the driver.
#[derive(Debug)]
pub(crate) struct Staging<'a> {
    steps: &'a [BatchStep],
    rest: &'a [BatchStep],
    staged: u64,
    begun: bool,
    most: usize,
}

impl<'a> Staging<'a> {
    pub(crate) fn new(steps: &'a [BatchStep]) -> Self {
        Self {
            steps,
            rest: steps,
            staged: 0,
            begun: false,
            most: MOST_STEPS,
        }
    }

    /// The next part; `None` if all have gone. Of no steps there is one part, which has none.
    pub(crate) fn part(&self) -> Option<StageBatchReq> {
        if self.begun && self.rest.is_empty() {
            return None;
        }
        let steps = self.rest.iter().take(self.most).cloned().collect();
        let position = self.staged;
        Some(StageBatchReq { position, steps })
    }

    /// Goes on after the answer to a part.
    pub(crate) fn take(&mut self, answer: Result<StageBatchResp, Error>) -> Result<(), Error> {
        match answer {
            Ok(resp) => {
                let gone = self.rest.len().min(self.most);
                self.rest = self.rest.get(gone..).unwrap_or_default();
                (self.staged, self.begun) = (resp.staged, true);
                Ok(())
            }
            // Steps can be long: fewer of them, then.
            Err(Error::Refused {
                error: OpteError::RequestTooLarge { .. },
                ..
            }) if self.most > 1 => {
                self.most /= 2;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What has them done.
    pub(crate) fn run(&self, revision: Option<u64>) -> RunBatchReq {
        let steps = self.steps.len() as u64;
        RunBatchReq { steps, revision }
    }
}

/// Nothing, as a value of the language.
pub(crate) fn done(NoResp {}: NoResp) {}

/// How long a driver may take: a link that is made takes some tenths of a second, on a busy machine more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often to begin anew with a configuration that changes while it is read.
const ATTEMPTS: usize = 8;

/// The most steps of a batch that go in one request.
const MOST_STEPS: usize = 4096;
