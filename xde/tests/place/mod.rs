//! Network namespaces for tests. They need root: without it the cases that make some are counted as ignored, and the reason is
//! said.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::io;
use std::process::Command;

use libtest_mimic::{Arguments, Trial};
use xde::linux::namespace::Namespace;

/// Runs a test program's cases: those that make namespaces, and those that do not.
pub fn run_cases(in_namespaces: &[(&str, fn())], anywhere: &[(&str, fn())]) {
    let probe = Command::new("unshare").args(["-n", "ip", "link"]).output();
    let is_root = probe.is_ok_and(|output| output.status.success());
    if !is_root {
        eprintln!(
            "network namespaces cannot be made (root is needed, and iproute2): their cases are ignored"
        );
    }
    let case = |(name, run): &(&str, fn())| {
        let run = *run;
        Trial::test(*name, move || {
            run();
            Ok(())
        })
    };
    let mut cases: Vec<Trial> = in_namespaces
        .iter()
        .map(|named| case(named).with_ignored_flag(!is_root))
        .collect();
    cases.extend(anywhere.iter().map(case));
    libtest_mimic::run(&Arguments::from_args(), cases).exit();
}

/// A named namespace that goes away again.
pub struct Place(String);

impl Place {
    pub fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        run(&format!("netns add {name}"));
        run(&format!("-n {name} link set lo up"));
        Self(name)
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    pub fn namespace(&self) -> Namespace {
        Namespace::open(&self.0).unwrap()
    }

    pub fn run(&self, arguments: &str) {
        run(&format!("-n {} {arguments}", self.0));
    }

    pub fn within<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> T {
        self.namespace().within(work).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

fn run(arguments: &str) {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
