//! A TAP device whose frames the driver reads and writes: the link of a virtual machine, or of anything that takes an
//! ordinary link of the kernel.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use super::link::{self, GuestEnd, Link};
use super::netlink::Netlink;
use super::packet_socket::{Outgoing, finish_received};
use super::sys;
use crate::frame::Frame;

/// A TAP device. It goes away when this does, or when the process ends, however it ends.
#[derive(Debug)]
pub struct Tap {
    file: File,
}

impl Tap {
    /// Makes the device, gives it the guest's address, size and namespace, and switches it on.
    ///
    /// # Errors
    /// In the kernel's words. Nothing is left behind then.
    pub fn create(netlink: &mut Netlink, guest: &GuestEnd<'_>) -> io::Result<(Self, Link)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        sys::make_tap(file.as_fd(), guest.name)?;
        let made = link::find(netlink, guest.name)?;
        link::settle_guest_end(netlink, made.index, guest)?;
        Ok((Self { file }, made))
    }

    /// Takes frames that are waiting, as [`PacketSocket::receive`](super::packet_socket::PacketSocket::receive) does.
    pub fn receive(&self, frames: &mut [Frame]) -> io::Result<usize> {
        let mut count = 0;
        for frame in frames {
            let Some((header, length)) = sys::read_frame(self.file.as_fd(), frame)? else {
                break;
            };
            finish_received(frame, header, length);
            count += 1;
        }
        Ok(count)
    }

    /// Writes frames. `refused` hears of each that did not go, by its place.
    pub fn send(&self, frames: &[Outgoing<'_>], mut refused: impl FnMut(usize, io::Error)) {
        for (place, frame) in frames.iter().enumerate() {
            if let Err(error) = sys::write_frame(self.file.as_fd(), frame) {
                refused(place, error);
            }
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
