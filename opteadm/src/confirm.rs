//! A question before what cannot be undone.

use std::io::{self, IsTerminal, Write};

/// Whether the user wants what cannot be undone. Asked only if somebody is there to answer: what runs without a terminal, a script,
/// has said so by running it.
pub(crate) fn confirmed(what: &str, yes: bool) -> bool {
    if yes || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return true;
    }
    let _ = write!(io::stderr(), "{what} Go on? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer).is_ok();
    read && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
