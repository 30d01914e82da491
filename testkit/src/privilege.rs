//! Root, or the root of a user namespace of our own.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::{Failure, Result};

/// Set for the process that runs as root of its own user namespace.
const INSIDE: &str = "OPTE_TESTKIT_USER_NAMESPACE";

/// How this process may make network namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It is root.
    Root,
    /// It is root of a user namespace: everything works but what asks for the machine's own root, such as BPF.
    UserNamespace,
}

/// Makes this process one that can create network namespaces: as root it is one already; otherwise it is started anew, with
/// the same arguments, in user, network and mount namespaces of its own, and this call does not return there.
///
/// # Errors
/// Where the kernel does not allow user namespaces, with the kernel's own words. Who calls counts what it cannot do as skipped.
pub fn acquire() -> Result<Privilege> {
    if in_user_namespace() {
        own_run_netns()?;
        return Ok(Privilege::UserNamespace);
    }
    let uid = std::fs::metadata("/proc/self")
        .map_err(|e| Failure::new("read /proc/self", e))?
        .uid();
    if uid == 0 {
        probe(Command::new("unshare").args(["-n", "true"]))?;
        return Ok(Privilege::Root);
    }
    probe(Command::new("unshare").args(["-Urnm", "true"]))?;
    let program = std::env::current_exe().map_err(|e| Failure::new("find this program", e))?;
    let refused = Command::new("unshare")
        .arg("-Urnm")
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(Failure::new("enter a user namespace", refused))
}

/// Whether this process is root of a user namespace that [`acquire`] made.
pub fn in_user_namespace() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn probe(unshare: &mut Command) -> Result<()> {
    let what = "make a namespace with unshare";
    let output = unshare
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Failure::new(what, e))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(what, String::from_utf8_lossy(&output.stderr)))
}

/// `ip netns` keeps its names in /run/netns, which belongs to the machine's root: put our own over it, seen by us alone.
fn own_run_netns() -> Result<()> {
    let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/xde";
    let what = "mount a private /run";
    let output = Command::new("sh")
        .args(["-c", script])
        .output()
        .map_err(|e| Failure::new(what, e))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(Failure::new(what, String::from_utf8_lossy(&output.stderr)))
    }
}
