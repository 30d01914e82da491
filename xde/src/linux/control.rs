//! The control socket: clients connect to a path in the file system, say what is to be done, and are answered.
//!
//! One thread waits for clients, each client has a thread of its own; commands are done one after another. Only root and the user
//! the driver runs as may give commands. What a client sends can be anything: it costs a bounded amount of memory and
//! time, gets a typed answer, and never ends the server.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use opte::api::OpteError;
use opte::api::frame::{MAGIC, REQUEST_HEADER_LEN, RequestHeader};

use crate::command::{CommandCounter, Control, Dispatcher};

/// A server of commands on a socket. Dropped, it lets go of its clients and removes the socket.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    /// Device and inode of the socket, so that nobody else's is removed.
    identity: (u64, u64),
    /// Its other end ends the server when it is closed.
    stop: Option<UnixStream>,
    acceptor: Option<JoinHandle<()>>,
}

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many clients there may be at a time.
    pub clients: usize,
    /// How long a client may be silent between requests.
    pub idle: Duration,
    /// How long a request may take from its first octet to its last, and an answer to be taken.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 32,
            idle: Duration::from_secs(60),
            transfer: Duration::from_secs(5),
        }
    }
}

impl ControlServer {
    /// Serves the commands of `control` at `path`.
    ///
    /// A socket that a killed driver has left there is replaced. `instance` is a random number, see [`Dispatcher::new`].
    pub fn bind(
        path: impl Into<PathBuf>,
        instance: u64,
        control: Arc<dyn Control + Send + Sync>,
        limits: Limits,
    ) -> Result<Self, ControlError> {
        let path = path.into();
        let listener = listen(&path)?;
        let failed = |doing| ControlError::io(doing, &path);
        let metadata = fs::symlink_metadata(&path).map_err(failed("look at"))?;
        let identity = (metadata.dev(), metadata.ino());
        let (stop, stopped) = UnixStream::pair().map_err(failed("make a stop signal for"))?;
        let server = Server {
            dispatcher: Arc::new(Mutex::new(Dispatcher::new(instance))),
            control,
            limits,
            clients: Arc::new(AtomicUsize::new(0)),
        };
        let acceptor = thread::Builder::new()
            .name("control".into())
            .spawn(move || server.accept(&listener, &stopped))
            .map_err(failed("start a thread for"))?;
        Ok(Self {
            path,
            identity,
            stop: Some(stop),
            acceptor: Some(acceptor),
        })
    }

    /// Where the server is reached.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        // The path first: who connects from now on finds no driver rather than one that is about to go.
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
        drop(self.stop.take());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Why there is no server.
#[derive(Debug)]
pub enum ControlError {
    /// Another driver serves there.
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// There is something, and it is no socket.
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The operating system refused.
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl ControlError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

impl std::fmt::Display for ControlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InUse { path } => write!(f, "another driver serves at {}", path.display()),
            Self::NotASocket { path } => write!(f, "{} is there and is no socket", path.display()),
            Self::Io {
                doing,
                path,
                source,
            } => write!(f, "cannot {doing} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What the threads share.
#[derive(Clone)]
struct Server {
    dispatcher: Arc<Mutex<Dispatcher>>,
    control: Arc<dyn Control + Send + Sync>,
    limits: Limits,
    clients: Arc<AtomicUsize>,
}

impl Server {
    fn accept(&self, listener: &UnixListener, stopped: &UnixStream) {
        let mut clients: Vec<(UnixStream, JoinHandle<()>)> = Vec::new();
        while wait(listener, stopped) {
            clients.retain(|(_, thread)| !thread.is_finished());
            match listener.accept() {
                Ok((stream, _)) => clients.extend(self.admit(stream)),
                // Out of descriptors, or the client is gone again. Not to be tried at full speed.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        for (stream, _) in &clients {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for (_, thread) in clients {
            let _ = thread.join();
        }
    }

    /// Starts a thread for a client, or turns it away.
    fn admit(&self, stream: UnixStream) -> Option<(UnixStream, JoinHandle<()>)> {
        let _ = stream.set_write_timeout(Some(self.limits.transfer));
        if let Err(error) = authorise(&stream) {
            let answer = self.dispatcher().refuse(None, &error);
            let _ = (&stream).write_all(&answer);
            return None;
        }
        // Only this thread adds clients, so that nothing comes between the look and the addition.
        if self.clients.load(Ordering::Acquire) >= self.limits.clients {
            let limit = self.limits.clients as u64;
            let error = OpteError::MaxCapacity {
                what: "the list of clients".into(),
                limit,
            };
            let mut dispatcher = self.dispatcher();
            dispatcher.count(CommandCounter::TooManyClients);
            let answer = dispatcher.refuse(None, &error);
            drop(dispatcher);
            let _ = (&stream).write_all(&answer);
            return None;
        }
        let ours = stream.try_clone().ok()?;
        let server = self.clone();
        self.clients.fetch_add(1, Ordering::AcqRel);
        let thread = thread::Builder::new()
            .name("control-client".into())
            .spawn(move || {
                server.serve(&stream);
                // The acceptor keeps its own handle for a while: the client is to see the end now.
                let _ = stream.shutdown(Shutdown::Both);
                server.clients.fetch_sub(1, Ordering::AcqRel);
            });
        match thread {
            Ok(thread) => Some((ours, thread)),
            Err(_) => {
                self.clients.fetch_sub(1, Ordering::AcqRel);
                None
            }
        }
    }

    /// Answers a client until it has no more to say.
    fn serve(&self, stream: &UnixStream) {
        loop {
            let (answer, go_on) = match self.read_request(stream) {
                Ok(request) => (self.dispatcher().dispatch(&*self.control, &request), true),
                Err(Ended::Silent) => return,
                Err(Ended::Refused(refusal)) => {
                    let mut dispatcher = self.dispatcher();
                    if refusal.timed_out {
                        dispatcher.count(CommandCounter::TimedOut);
                    }
                    (
                        dispatcher.refuse(refusal.header.as_ref(), &refusal.error),
                        false,
                    )
                }
            };
            if (&mut &*stream).write_all(&answer).is_err() || !go_on {
                drain(stream);
                return;
            }
        }
    }

    /// A request with a header that can be believed, and a body as long as that says.
    fn read_request(&self, stream: &UnixStream) -> Result<Vec<u8>, Ended> {
        let mut head = [0; REQUEST_HEADER_LEN];
        let (magic, rest) = head.split_at_mut(MAGIC_LEN);
        let (first, more) = magic.split_at_mut(1);
        fill(stream, first, Instant::now() + self.limits.idle).map_err(|_| Ended::Silent)?;
        let deadline = Instant::now() + self.limits.transfer;
        let needed = REQUEST_HEADER_LEN;
        fill(stream, more, deadline).map_err(|short| short.ended(None, 1, needed))?;
        // The magic number by itself: garbage is told so at once, not when as much of it has come as a header has.
        let mut started = [0; REQUEST_HEADER_LEN];
        let (found, _) = started.split_at_mut(MAGIC_LEN);
        found.copy_from_slice(magic);
        RequestHeader::split(&started).map_err(|error| refused(None, error))?;
        fill(stream, rest, deadline).map_err(|short| short.ended(None, MAGIC_LEN, needed))?;

        let (header, _) = RequestHeader::split(&head).map_err(|error| refused(None, error))?;
        let header = *header;
        let body_len = header
            .body_len()
            .map_err(|error| refused(Some(header), error))?;
        let mut request = head.to_vec();
        request.resize(REQUEST_HEADER_LEN + body_len, 0);
        if let Some(body) = request.get_mut(REQUEST_HEADER_LEN..) {
            fill(stream, body, deadline).map_err(|short| short.ended(Some(header), 0, body_len))?;
        }
        Ok(request)
    }

    fn dispatcher(&self) -> MutexGuard<'_, Dispatcher> {
        // A command that panicked has not broken the counters and answers.
        self.dispatcher
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no request.
enum Ended {
    /// The client is gone or had nothing to say.
    Silent,
    /// What it said is no request, and nothing that one could follow.
    Refused(Box<Refusal>),
}

/// What a client is told for want of a request.
struct Refusal {
    header: Option<RequestHeader>,
    error: OpteError,
    timed_out: bool,
}

fn refused(header: Option<RequestHeader>, error: OpteError) -> Ended {
    Ended::Refused(Box::new(Refusal {
        header,
        error,
        timed_out: false,
    }))
}

/// A read that ended before its buffer was full.
struct Short {
    available: usize,
    timed_out: bool,
}

impl Short {
    fn ended(self, header: Option<RequestHeader>, before: usize, needed: usize) -> Ended {
        let available = (before + self.available) as u64;
        let error = OpteError::RequestTruncated {
            needed: needed as u64,
            available,
        };
        Ended::Refused(Box::new(Refusal {
            header,
            error,
            timed_out: self.timed_out,
        }))
    }
}

/// Reads until `buffer` is full.
fn fill(mut stream: &UnixStream, buffer: &mut [u8], deadline: Instant) -> Result<(), Short> {
    let mut available = 0;
    while let Some(rest) = buffer.get_mut(available..).filter(|rest| !rest.is_empty()) {
        let left = deadline.saturating_duration_since(Instant::now());
        // A time-out of zero would mean none.
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err(Short {
                available,
                timed_out: true,
            });
        }
        match stream.read(rest) {
            Ok(0) => {
                return Err(Short {
                    available,
                    timed_out: false,
                });
            }
            Ok(count) => available += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                return Err(Short {
                    available,
                    timed_out,
                });
            }
        }
    }
    Ok(())
}

/// Takes what a refused client still sends, for a while, so that it comes to read the answer before the connection breaks.
fn drain(mut stream: &UnixStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let deadline = Instant::now() + DRAIN;
    let mut octets = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut octets) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

const MAGIC_LEN: usize = size_of_val(&MAGIC);

const DRAIN: Duration = Duration::from_millis(500);

/// Root may give commands, and the user the driver runs as.
fn authorise(stream: &UnixStream) -> Result<(), OpteError> {
    let uid = match getsockopt(stream, PeerCredentials) {
        Ok(credentials) => credentials.uid(),
        Err(errno) => {
            return Err(OpteError::System {
                errno: errno as i32,
                message: "cannot tell who the client is".into(),
            });
        }
    };
    if may_command(uid, geteuid().as_raw()) {
        Ok(())
    } else {
        Err(OpteError::PermissionDenied { uid })
    }
}

fn may_command(uid: u32, driver: u32) -> bool {
    uid == 0 || uid == driver
}

/// Waits for a client; false if the server is to end.
fn wait(listener: &UnixListener, stopped: &UnixStream) -> bool {
    loop {
        let mut fds = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {
                let [client, stop] = fds;
                if stop.any().unwrap_or(true) {
                    return false;
                }
                if client.any().unwrap_or(true) {
                    return true;
                }
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// A socket that listens at `path`, in place of one that nobody listens at.
fn listen(path: &Path) -> Result<UnixListener, ControlError> {
    let failed = |doing| ControlError::io(doing, path);
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(failed("make the directory of"))?;
    // Two drivers that start at once must not each take the other's new socket for a stale one.
    let directory = File::open(parent).map_err(failed("open the directory of"))?;
    let _lock = Flock::lock(directory, FlockArg::LockExclusive)
        .map_err(|(_, errno)| failed("lock the directory of")(errno.into()))?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ControlError::NotASocket {
                path: path.to_path_buf(),
            });
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed("remove the stale socket"))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Whoever answers, or does not because of too much to do, is alive.
            Ok(_) | Err(_) => {
                return Err(ControlError::InUse {
                    path: path.to_path_buf(),
                });
            }
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at")(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed("listen at"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(failed("set the mode of"))?;
    // A client may be gone between the news of it and its acceptance.
    listener.set_nonblocking(true).map_err(failed("prepare"))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
