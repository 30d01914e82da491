//! The link of a port, of whichever kind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::link::{self, GuestEnd};
use super::netlink::Netlink;
use super::packet_socket::{Outgoing, PacketSocket, Wanted};
use super::tap::Tap;
use crate::frame::Frame;
use crate::platform::LinkKind;

/// The driver's end of the link of a port.
#[derive(Debug)]
pub struct PortLink {
    end: End,
}

#[derive(Debug)]
enum End {
    Veth { socket: PacketSocket, index: u32 },
    Tap(Tap),
}

impl PortLink {
    /// Makes the link. All or nothing.
    pub fn create(netlink: &mut Netlink, kind: LinkKind, guest: &GuestEnd<'_>) -> io::Result<Self> {
        let end = match kind {
            LinkKind::Veth => {
                let made = link::create_veth(netlink, guest)?;
                match PacketSocket::open(made.index, Wanted::All) {
                    Ok(socket) => End::Veth {
                        socket,
                        index: made.index,
                    },
                    Err(error) => {
                        link::delete(netlink, made.index)?;
                        return Err(error);
                    }
                }
            }
            LinkKind::Tap => End::Tap(Tap::create(netlink, guest)?.0),
        };
        Ok(Self { end })
    }

    /// Deletes the link. One that is gone already (with its namespace, or by another's hand) is as good as deleted; a TAP
    /// goes when it is dropped.
    pub fn delete(&self, netlink: &mut Netlink) -> io::Result<()> {
        let End::Veth { index, .. } = self.end else {
            return Ok(());
        };
        match link::delete(netlink, index) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            result => result,
        }
    }

    /// Takes frames that the guest has sent; see [`PacketSocket::receive`].
    pub fn receive(&self, frames: &mut [Frame]) -> io::Result<usize> {
        match &self.end {
            End::Veth { socket, .. } => socket.receive(frames),
            End::Tap(tap) => tap.receive(frames),
        }
    }

    /// Hands frames to the guest. `refused` hears of each that did not go, by its place.
    pub fn send(&self, frames: &[Outgoing<'_>], refused: impl FnMut(usize, io::Error)) {
        match &self.end {
            End::Veth { socket, .. } => socket.send(frames, refused),
            End::Tap(tap) => tap.send(frames, refused),
        }
    }
}

impl AsFd for PortLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.end {
            End::Veth { socket, .. } => socket.as_fd(),
            End::Tap(tap) => tap.as_fd(),
        }
    }
}
