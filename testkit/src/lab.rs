//! What one run makes, and its removal.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{Failure, Namespace, Result};

/// Namespaces, their processes and files of one run, under a name of its own so that runs side by side do not meet.
///
/// They are removed when the lab is dropped, on SIGINT, SIGTERM and SIGHUP, and also when this process is killed: a reaper
/// waits, in a process of its own, for the end of a pipe that only this process holds.
#[derive(Debug)]
pub struct Lab {
    prefix: String,
    directory: PathBuf,
    reaper: Arc<Mutex<Option<Child>>>,
}

impl Lab {
    /// An empty lab. Its namespaces will be named `<prefix>-<what>`, `prefix` being `opte`, this process's id and a letter.
    ///
    /// # Errors
    /// If the directory for its files or the reaper cannot be made.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        let letter = char::from(b'a' + COUNT.fetch_add(1, Ordering::Relaxed) % 26);
        let prefix = format!("opte{}{letter}", std::process::id());
        let directory = std::env::temp_dir().join(&prefix);
        std::fs::create_dir_all(&directory)
            .map_err(|e| Failure::new(format!("create {}", directory.display()), e))?;
        let reaper = Arc::new(Mutex::new(Some(start_reaper(&prefix, &directory)?)));
        reap_on_signals(Arc::clone(&reaper))?;
        Ok(Self {
            prefix,
            directory,
            reaper,
        })
    }

    /// Removes what a run that was kept (see [`keep`](Self::keep)) left standing.
    ///
    /// # Errors
    /// If `prefix` is none of ours or the removal cannot be started.
    pub fn remove_kept(prefix: &str) -> Result<()> {
        let id = prefix
            .strip_prefix("opte")
            .unwrap_or_default()
            .trim_end_matches(|c: char| c.is_ascii_lowercase());
        let ours = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
        if !ours {
            return Err(Failure::new(
                "remove a kept lab",
                format!("`{prefix}` is not the name of one, such as opte123a"),
            ));
        }
        let reaper = start_reaper(prefix, &std::env::temp_dir().join(prefix))?;
        reap(&Mutex::new(Some(reaper)));
        Ok(())
    }

    /// First part of the name of everything here.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where sockets, logs and leases of this run lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates the namespace `<prefix>-<name>`, with its loopback up and no duplicate address detection to wait for.
    ///
    /// # Errors
    /// In the words of `ip`.
    pub fn namespace(&self, name: &str) -> Result<Namespace> {
        let namespace = Namespace::create(&format!("{}-{name}", self.prefix))?;
        namespace.sysctl(&[
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/router_solicitation_interval", "1"),
        ])?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Leaves everything standing when this process ends.
    pub fn keep(self) {
        if let Some(mut reaper) = self.reaper.lock().ok().and_then(|mut held| held.take()) {
            if let Some(mut pipe) = reaper.stdin.take() {
                // A reaper that no longer listens has nothing left to keep.
                let _ = pipe.write_all(b"keep\n");
            }
            let _ = reaper.wait();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        reap(&self.reaper);
    }
}

/// A process of the lab, ended when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts `command`; its output goes to the file `log`.
    ///
    /// # Errors
    /// If the log cannot be written or the program not started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let what = || format!("start {}", command_line(command));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log);
        let file = file.map_err(|e| Failure::new(format!("open {}", log.display()), e))?;
        let errors = file.try_clone().map_err(|e| Failure::new(what(), e))?;
        let what = what();
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn();
        Ok(Self {
            child: child.map_err(|e| Failure::new(what, e))?,
        })
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself; whether it ended well.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> Result<bool> {
        let status = self
            .child
            .wait()
            .map_err(|e| Failure::new("wait for a process", e))?;
        Ok(status.success())
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub fn terminate(mut self) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `command` as a person would type it.
pub(crate) fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

fn start_reaper(prefix: &str, directory: &Path) -> Result<Child> {
    Command::new("sh")
        .args(["-c", REAPER, "reaper", prefix])
        .arg(directory)
        // Out of the terminal's process group: an interrupt must end the run, not the clean-up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| Failure::new("start the reaper", e))
}

fn reap(reaper: &Mutex<Option<Child>>) {
    if let Some(mut reaper) = reaper.lock().ok().and_then(|mut held| held.take()) {
        drop(reaper.stdin.take());
        let _ = reaper.wait();
    }
}

/// Set when a signal ends the run.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Returns at once, unless a signal is ending this process: then never. What fails from then on fails because everything is being
/// taken away, and need not be told.
pub fn pass_unless_interrupted() {
    while INTERRUPTED.load(Ordering::Relaxed) {
        std::thread::park();
    }
}

fn reap_on_signals(reaper: Arc<Mutex<Option<Child>>>) -> Result<()> {
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.map_err(|e| Failure::new("watch for signals", e))?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            INTERRUPTED.store(true, Ordering::Relaxed);
            reap(&reaper);
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Waits for the end of its input, then removes the namespaces that begin with its first argument, the processes in them, and
/// the directory that is its second. The word `keep` sends it away without.
const REAPER: &str = r#"
trap '' INT TERM HUP QUIT
read -r word && [ "$word" = keep ] && exit 0
namespaces() { ip netns list | sed -n "s/^\($1-[^ ]*\).*/\1/p"; }
for name in $(namespaces "$1"); do
    for process in $(ip netns pids "$name"); do kill -9 "$process"; done
done
for name in $(namespaces "$1"); do
    for process in $(ip netns pids "$name"); do kill -9 "$process"; done
    ip netns del "$name"
done
rm -rf "$2"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_labs_own_name_is_removed() {
        for foreign in [
            "",
            "opte",
            "opte-1",
            "opte1; rm -rf /",
            "host",
            "opteA1",
            "12a",
        ] {
            assert!(Lab::remove_kept(foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn a_lab_takes_its_directory_along() {
        let lab = Lab::new().unwrap();
        let directory = lab.directory().to_path_buf();
        assert!(directory.is_dir());
        drop(lab);
        assert!(!directory.exists());
    }

    #[test]
    fn a_process_of_the_lab_is_known_to_have_ended() {
        let lab = Lab::new().unwrap();
        let log = lab.directory().join("log");
        let mut running = Running::start(Command::new("echo").arg("done"), &log).unwrap();
        assert!(running.wait().unwrap());
        assert!(!running.is_alive());
        assert_eq!(std::fs::read_to_string(log).unwrap(), "done\n");
    }
}
