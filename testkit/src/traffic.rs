//! The kit's own traffic, in any namespace; what it can do stands at the head of `bin/traffic.rs`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::netns::run;
use crate::topology::wait_for;
use crate::{Failure, Namespace, Result, Running, Topology};

/// A server at work, ended when dropped.
#[derive(Debug)]
pub struct Server {
    running: Running,
    log: PathBuf,
}

impl Server {
    /// What it has written so far.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn output(&self) -> Result<String> {
        std::fs::read_to_string(&self.log).map_err(|e| Failure::new("read a server's output", e))
    }

    /// How many words of a `tcp-talk` have come back so far.
    ///
    /// # Errors
    /// If what it has written cannot be read.
    pub fn words(&self) -> Result<u64> {
        let text = self.output()?;
        // The last line may not be there whole yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        Ok(whole
            .lines()
            .filter_map(|line| line.parse().ok())
            .max()
            .unwrap_or(0))
    }

    /// Waits until so many more words of a `tcp-talk` have come back.
    ///
    /// # Errors
    /// If they do not, with what it has written.
    pub fn goes_on(&self, words: u64) -> Result<()> {
        self.comes_to(self.words()? + words)
    }

    /// Waits until so many words of a `tcp-talk` have come back in all.
    ///
    /// # Errors
    /// If they do not, with what it has written.
    pub fn comes_to(&self, words: u64) -> Result<()> {
        let there = || self.words().is_ok_and(|now| now >= words);
        wait_for("a conversation to go on", there).map_err(|_| {
            let text = self.output().unwrap_or_default();
            let end: Vec<&str> = text.lines().rev().take(3).collect();
            Failure::new(
                format!("come to word {words}"),
                format!("the last lines are {end:?}"),
            )
        })
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        self.running.is_alive()
    }

    /// Waits until it ends by itself, as one that takes a single connection does; what it wrote.
    ///
    /// # Errors
    /// If it failed, with what it wrote.
    pub fn finish(mut self) -> Result<String> {
        let ended_well = self.running.wait()?;
        let text = std::fs::read_to_string(&self.log)
            .map_err(|e| Failure::new("read a server's log", e))?;
        if ended_well {
            Ok(text)
        } else {
            Err(Failure::new("serve", text))
        }
    }
}

impl Topology {
    /// Starts a server of the program `traffic` in a namespace and waits until it listens.
    ///
    /// # Errors
    /// If it does not, with what it wrote.
    pub fn serve(&self, place: &Namespace, arguments: &str) -> Result<Server> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = self.lab().directory().join(format!("traffic-{number}.log"));
        let mut command = place.command(self.binaries().path("traffic")?);
        let mut running = Running::start(command.args(arguments.split_whitespace()), &log)?;
        let text = || std::fs::read_to_string(&log).unwrap_or_default();
        wait_for("a server to listen", || {
            text().contains("ready") || !running.is_alive()
        })?;
        if !text().contains("ready") {
            return Err(Failure::new(format!("traffic {arguments}"), text()));
        }
        Ok(Server { running, log })
    }

    /// Runs a client of the program `traffic` in a namespace; what it wrote.
    ///
    /// # Errors
    /// If something it sent did not come back.
    pub fn traffic(&self, place: &Namespace, arguments: &str) -> Result<String> {
        let mut command = place.command(self.binaries().path("traffic")?);
        run(command.args(arguments.split_whitespace()))
    }

    /// Sends whole frames, given in hexadecimal, on a link of a namespace.
    ///
    /// # Errors
    /// If the kernel takes one not.
    pub fn send_frames(&self, place: &Namespace, link: &str, frames: &[String]) -> Result<()> {
        let mut command = place.command(self.binaries().path("traffic")?);
        crate::netns::run_with_input(command.args(["frames", link]), &frames.join("\n"))
    }
}
