//! What is asked before something goes that cannot be brought back, at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::pty::openpty;

use crate::driver::Host;

/// What a command shows at a terminal where somebody answers this, and whether it succeeded.
fn at_a_terminal(mut command: Command, answer: &str) -> (String, bool) {
    let pty = openpty(None, None).unwrap();
    let (mut user, terminal) = (File::from(pty.master), pty.slave);
    // Before it is asked: it waits for whoever reads.
    user.write_all(answer.as_bytes()).unwrap();
    let mut child = command
        .stdin(terminal.try_clone().unwrap())
        .stderr(terminal)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Else the terminal stays open here.
    drop(command);
    let mut shown = Vec::new();
    // A terminal whose other end is closed is an error to read, on Linux.
    let _ = user.read_to_end(&mut shown);
    let done = child.wait().unwrap().success();
    (
        String::from_utf8(shown).unwrap().replace("\r\n", "\n"),
        done,
    )
}

#[test]
fn what_destroys_asks_first() {
    let host = Host::with_port();
    let delete = || host.command("delete-xde opte0");
    let question = "This deletes port opte0 with its link, its rules and its flows. Go on? [y/N] ";
    for answer in ["n\n", "\n", "nay\n", "\u{4}"] {
        let (shown, done) = at_a_terminal(delete(), answer);
        assert!(!done);
        assert!(shown.contains(question), "{shown}");
        assert!(shown.ends_with("opteadm: nothing was done\n"), "{shown}");
    }
    assert_eq!(host.driver.state().ports.len(), 1);
    // Who says so before is not asked.
    let (shown, done) = at_a_terminal(host.command("clear-xde-underlay -y"), "n\n");
    assert!(!done && !shown.contains("Go on?"), "{shown}");
    let (shown, done) = at_a_terminal(delete(), "y\n");
    assert!(done && shown.contains(question), "{shown}");
    assert_eq!(host.driver.state().ports.len(), 0);
    let (shown, done) = at_a_terminal(host.command("clear-xde-underlay"), "YES\n");
    assert!(done, "{shown}");
    assert!(shown.contains("This cuts the host off from the others. Go on? [y/N] "));
    assert!(host.driver.state().underlay.is_none());
}
