//! Hosts, guests and a boundary endpoint in network namespaces, for tests and the demo.
//!
//! A [`Lab`] owns everything one run makes and takes it away again, however the run ends. On it stands a [`Topology`]: two hosts
//! joined by two underlay links through a rack, guests of two VPCs, and a network outside. Needs root, or a kernel that allows
//! user namespaces: see [`privilege`].

#![forbid(unsafe_code)]

pub mod binaries;
pub mod guest;
pub mod host;
pub mod lab;
pub mod lan;
pub mod netns;
pub mod overlay;
pub mod packet_socket;
pub mod plan;
pub mod privilege;
pub mod topology;
pub mod traffic;

pub use binaries::Binaries;
pub use guest::Guest;
pub use host::Host;
pub use lab::{Lab, Running};
pub use netns::Namespace;
pub use overlay::Overlay;
pub use topology::Topology;

use std::fmt;

/// What could not be done, and why, in one line.
#[derive(Debug)]
pub struct Failure {
    what: String,
    why: String,
}

impl Failure {
    /// `what` was attempted; `why` is what stood against it.
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            why: why.to_string().trim().to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Failure {}

/// Result of a step in the lab.
pub type Result<T, E = Failure> = std::result::Result<T, E>;
