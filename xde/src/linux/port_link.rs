//! The link of a port, of whichever kind.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use super::link::{self, GuestEnd};
use super::netlink::Netlink;
use super::packet_socket::{Outgoing, PacketSocket, Wanted};
use super::tap::create_tap;
use crate::frame::Frame;
use crate::platform::LinkKind;

/// The driver's end of the link of a port: the host's end of a veth pair, or a TAP link whose file the guest has.
#[derive(Debug)]
pub struct PortLink {
    socket: PacketSocket,
    index: u32,
    has_carrier: AtomicBool,
}

impl PortLink {
    /// Makes the link. All or nothing. A TAP is for `owner` to open, a user's number.
    ///
    /// # Errors
    /// In the kernel's words; `InvalidInput` for a TAP in a namespace other than the driver's.
    pub fn create(
        netlink: &mut Netlink,
        kind: LinkKind,
        guest: &GuestEnd<'_>,
        owner: u32,
    ) -> io::Result<Self> {
        let made = match kind {
            LinkKind::Veth => link::create_veth(netlink, guest)?,
            LinkKind::Tap if guest.namespace.is_some() => {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            LinkKind::Tap => create_tap(netlink, guest.name, guest.mtu, owner)?,
        };
        match PacketSocket::open(made.index, Wanted::All) {
            Ok(socket) => Ok(Self {
                socket,
                index: made.index,
                has_carrier: AtomicBool::new(made.has_carrier),
            }),
            Err(error) => {
                link::delete(netlink, made.index)?;
                Err(error)
            }
        }
    }

    /// Deletes the link. One that is gone already (with its namespace, or by another's hand) is as good as deleted.
    pub fn delete(&self, netlink: &mut Netlink) -> io::Result<()> {
        match link::delete(netlink, self.index) {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            result => result,
        }
    }

    /// Takes frames that the guest has sent; see [`PacketSocket::receive`].
    pub fn receive(&self, frames: &mut [Frame]) -> io::Result<usize> {
        self.socket.receive(frames)
    }

    /// Hands frames to the guest. `refused` hears of each that did not go, by its place: with `ENETDOWN` if nobody is at
    /// the other end, where the kernel would drop them without a word.
    pub fn send(&self, frames: &[Outgoing<'_>], mut refused: impl FnMut(usize, io::Error)) {
        if self.has_carrier.load(Ordering::Relaxed) {
            return self.socket.send(frames, refused);
        }
        for place in 0..frames.len() {
            refused(place, io::Error::from_raw_os_error(libc::ENETDOWN));
        }
    }

    /// Frames of the guest that were lost since this was last asked; see [`PacketSocket::overflowed`].
    pub(super) fn overflowed(&self) -> u64 {
        self.socket.overflowed()
    }

    /// Its number in the driver's namespace.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Takes note of whether the link is able to carry frames.
    pub(super) fn set_carrier(&self, has_carrier: bool) {
        self.has_carrier.store(has_carrier, Ordering::Relaxed);
    }
}

impl AsFd for PortLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
