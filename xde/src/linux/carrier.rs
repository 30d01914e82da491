//! Whether somebody is at the other end of each port's link, as the kernel tells it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use netlink_packet_route::RouteNetlinkMessage;

use super::link;
use super::netlink::{Group, Netlink};
use super::port_link::PortLink;

/// Listens to the changes of links, and tells those of ports theirs.
#[derive(Debug)]
pub(super) struct CarrierWatch {
    changes: Netlink,
    questions: Netlink,
}

impl CarrierWatch {
    /// Of the network namespace the caller is in.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            changes: Netlink::listen(&[Group::Link])?,
            questions: Netlink::open()?,
        })
    }

    /// Looks at the link afresh. To be called for each that is new.
    pub(super) fn look_at(&mut self, link: &PortLink) {
        match link::has_carrier(&mut self.questions, link.index()) {
            Ok(has_carrier) => link.set_carrier(has_carrier),
            Err(error) => tracing::warn!(%error, "a port's link cannot be looked at"),
        }
    }

    /// Takes changes that are waiting; waits for one if none is.
    pub(super) fn take_changes<'a>(
        &mut self,
        ports: impl Iterator<Item = &'a Arc<PortLink>> + Clone,
    ) {
        let changes = match self.changes.next_changes() {
            Ok(changes) => changes,
            // Some were lost.
            Err(_) => return ports.for_each(|link| self.look_at(link)),
        };
        for change in changes {
            if let RouteNetlinkMessage::NewLink(message) = change
                && let Some(link) = ports.clone().find(|l| l.index() == message.header.index)
            {
                // What it says may be old: the link was looked at since it was sent.
                self.look_at(link);
            }
        }
    }
}

impl AsFd for CarrierWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }
}
