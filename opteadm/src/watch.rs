//! Listings again and again.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// Lists until interrupted, which ends it after the listing that is being written; interrupted again, at once.
///
/// A terminal is cleared before each table. Elsewhere an empty line stands between two, and JSON documents follow each other.
pub(crate) fn watch(
    every: Duration,
    json: bool,
    out: &mut dyn Write,
    mut list: impl FnMut(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stopped))?;
        flag::register(signal, Arc::clone(&stopped))?;
    }
    let terminal = io::stdout().is_terminal();
    let mut first = true;
    while !stopped.load(Ordering::Relaxed) {
        let next = Instant::now() + every;
        match (json, terminal) {
            (true, _) => {}
            // ECMA-48: to the upper left, and erase from there.
            (false, true) => out.write_all(b"\x1b[H\x1b[2J")?,
            (false, false) if first => {}
            (false, false) => out.write_all(b"\n")?,
        }
        list(out)?;
        out.flush()?;
        first = false;
        while !stopped.load(Ordering::Relaxed) {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(LOOK));
        }
    }
    Ok(())
}

/// What a shell takes for ended by Ctrl-C.
const INTERRUPTED: i32 = 130;

/// How long an interruption may wait.
const LOOK: Duration = Duration::from_millis(50);
