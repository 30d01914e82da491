//! One network namespace and commands in it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::lab::command_line;
use crate::{Failure, Result};

/// A named network namespace, as `ip netns` knows it. Its [`Lab`](crate::Lab) removes it.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates it.
    ///
    /// # Errors
    /// In the words of `ip`.
    pub(crate) fn create(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        Ok(Self {
            name: name.to_owned(),
        })
    }

    /// Removes it, as its lab would at the end. Processes in it keep it alive until they end.
    ///
    /// # Errors
    /// In the words of `ip`.
    pub fn remove(&self) -> Result<()> {
        run(Command::new("ip").args(["netns", "del", &self.name])).map(drop)
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name])
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command line, split at spaces, inside; its standard output.
    ///
    /// # Errors
    /// If it ends with anything but 0, with what it wrote.
    pub fn run(&self, line: &str) -> Result<String> {
        run(&mut self.line(line)?)
    }

    /// Runs a command line, split at spaces, inside, for its outcome, good or bad.
    ///
    /// # Errors
    /// If it cannot be started at all.
    pub fn outcome(&self, line: &str) -> Result<Output> {
        self.line(line)?.output().map_err(|e| Failure::new(line, e))
    }

    /// Whether a command line, split at spaces, ends with 0 inside.
    pub fn succeeds(&self, line: &str) -> bool {
        self.outcome(line)
            .is_ok_and(|output| output.status.success())
    }

    /// Runs `ip` with these arguments on the namespace.
    ///
    /// # Errors
    /// In the words of `ip`.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        run(Command::new("ip")
            .args(["-n", &self.name])
            .args(arguments.split_whitespace()))
    }

    /// Runs `ip` once for many lines of arguments.
    ///
    /// # Errors
    /// In the words of `ip`, at the first line that fails.
    pub fn ip_batch(&self, lines: &[String]) -> Result<()> {
        let mut ip = Command::new("ip");
        run_with_input(
            ip.args(["-n", &self.name, "-batch", "-"]),
            &lines.join("\n"),
        )
    }

    /// Sets kernel parameters of the namespace; paths below /proc/sys.
    ///
    /// # Errors
    /// If the kernel refuses one.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        let writes: Vec<_> = settings
            .iter()
            .map(|(path, value)| format!("echo {value} > /proc/sys/{path}"))
            .collect();
        run(self.command("sh").args(["-ec", &writes.join("\n")])).map(drop)
    }

    /// A counter of a link inside, as in /sys/class/net/LINK/statistics.
    ///
    /// # Errors
    /// If there is no such link or counter.
    pub fn counter(&self, link: &str, name: &str) -> Result<u64> {
        let text = self.run(&format!("cat /sys/class/net/{link}/statistics/{name}"))?;
        text.trim()
            .parse()
            .map_err(|e| Failure::new(format!("read {name} of {link}"), e))
    }

    fn line(&self, line: &str) -> Result<Command> {
        let mut words = line.split_whitespace();
        let program = words
            .next()
            .ok_or_else(|| Failure::new("run a command", "it is empty"))?;
        let mut command = self.command(program);
        command.args(words);
        Ok(command)
    }
}

/// Runs `command` to its end; its standard output.
///
/// # Errors
/// If it ends with anything but 0, with what it wrote.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Failure::new(command_line(command), e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if why.is_empty() {
        why = format!(
            "{}; {}",
            output.status,
            String::from_utf8_lossy(&output.stdout).trim()
        );
    }
    Err(Failure::new(command_line(command), why))
}

/// Runs `command` to its end with lines for its standard input.
///
/// # Errors
/// If it ends with anything but 0, with what it wrote.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<()> {
    let what = command_line(command);
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| Failure::new(&what, e))?;
    if let Some(mut pipe) = child.stdin.take() {
        writeln!(pipe, "{input}").map_err(|e| Failure::new(&what, e))?;
    }
    let output = child
        .wait_with_output()
        .map_err(|e| Failure::new(&what, e))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Failure::new(what, String::from_utf8_lossy(&output.stderr)))
    }
}
