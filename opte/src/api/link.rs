//! The links by which guests are attached.

use alloc::format;
use alloc::string::{String, ToString};

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::OpteError;

/// How a guest is attached to its port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub enum GuestLink {
    /// By a pair of virtual Ethernet links, one end of which is the guest's.
    Veth {
        /// The network namespace the guest's end is moved to: a name under `/run/netns`, or a path. The host's own if none.
        netns: Option<String>,
    },
    /// By a TAP that a virtual machine opens.
    Tap,
}

/// The MTU of a guest's link if none is asked for, in octets.
pub const DEFAULT_MTU: u16 = 1500;

/// The smallest MTU of a guest's link: that which IPv6 needs (RFC 8200 section 5).
pub const MIN_MTU: u16 = 1280;

impl GuestLink {
    /// Checks that the link can be one, with an MTU of so many octets.
    ///
    /// # Errors
    /// [`OpteError::InvalidArgument`].
    pub fn validate(&self, mtu: Option<u16>) -> Result<(), OpteError> {
        if let Some(mtu) = mtu.filter(|mtu| *mtu < MIN_MTU) {
            return Err(invalid("MTU", format!("{mtu} is less than {MIN_MTU}")));
        }
        match self {
            Self::Veth { netns: Some(netns) } => check_netns(netns),
            Self::Veth { netns: None } | Self::Tap => Ok(()),
        }
    }
}

/// Octets; more than any path needs, and less than `PATH_MAX`.
const MAX_NETNS: usize = 255;

fn check_netns(netns: &str) -> Result<(), OpteError> {
    let is_name = !netns.contains('/') && netns != "." && netns != "..";
    if netns.is_empty()
        || netns.len() > MAX_NETNS
        || netns.contains('\0')
        || !(is_name || netns.starts_with('/'))
    {
        let shown: String = netns
            .chars()
            .take(64)
            .flat_map(char::escape_debug)
            .collect();
        return Err(invalid(
            "network namespace",
            format!("'{shown}' is neither a name nor an absolute path"),
        ));
    }
    Ok(())
}

fn invalid(name: &str, reason: String) -> OpteError {
    OpteError::InvalidArgument {
        name: name.to_string(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_names_or_absolute_paths() {
        for netns in ["guest1", "/proc/1/ns/net", "/run/netns/a.b"] {
            assert_eq!(check_netns(netns), Ok(()));
        }
        for netns in ["", "..", "../x", "a/b", "a\0b"] {
            assert!(check_netns(netns).is_err(), "{netns:?}");
        }
    }
}
