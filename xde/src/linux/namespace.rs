//! Network namespaces by name, as ip-netns(8) keeps them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

/// A network namespace that has a name.
#[derive(Debug)]
pub struct Namespace {
    file: File,
}

/// Where ip-netns(8) keeps the names.
const NAMES: &str = "/run/netns";

impl Namespace {
    /// The namespace `name`, or the one at this path if it begins with a slash.
    ///
    /// # Errors
    /// `InvalidInput` if the name would leave the directory of names; else if there is none.
    pub fn open(name: &str) -> io::Result<Self> {
        if name.starts_with('/') && !name.contains('\0') {
            return File::open(name).map(|file| Self { file });
        }
        let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        if !plain {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let path: PathBuf = Path::new(NAMES).join(name);
        File::open(path).map(|file| Self { file })
    }

    /// Runs `work` in the namespace, on a thread of its own, so that no other thread ever leaves its namespace.
    ///
    /// # Errors
    /// If the namespace cannot be entered, or what `work` says.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                work()
            });
            worker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the work in the namespace panicked")))
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
