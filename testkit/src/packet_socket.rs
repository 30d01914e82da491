//! Whole frames in and out of a link.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType};
use nix::sys::socket::{bind, recvfrom, send, socket};

use crate::{Failure, Result};

/// A packet socket (packet(7)) bound to one link. It sees what comes in, not what goes out, by its own hand or another's.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
    link: String,
}

/// `PACKET_OUTGOING` of packet(7): a frame this machine sends.
const OUTGOING: u8 = 4;

impl PacketSocket {
    /// Opens one on `link`.
    ///
    /// # Errors
    /// Without the right to (CAP_NET_RAW), or if there is no such link.
    pub fn open(link: &str) -> Result<Self> {
        let what = || format!("open a packet socket on {link}");
        let address = address_of(link)?;
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::EthAll,
        );
        let socket = socket.map_err(|e| Failure::new(what(), e))?;
        bind(socket.as_raw_fd(), &address).map_err(|e| Failure::new(what(), e))?;
        Ok(Self {
            socket,
            link: link.to_owned(),
        })
    }

    /// Waits for a frame that came in; its length, at most that of `buffer`.
    ///
    /// # Errors
    /// If the link went away.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), buffer) {
                Ok((length, from)) if from.is_none_or(|from| packet_type(&from) != OUTGOING) => {
                    return Ok(length);
                }
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                // The link was down for a moment, or this frame met an error: the next may not.
                Err(nix::errno::Errno::ENETDOWN) => {}
                Err(e) => return Err(Failure::new(format!("receive on {}", self.link), e)),
            }
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the kernel refuses it: too long for the link, or shorter than an Ethernet header.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty());
        sent.map(drop)
            .map_err(|e| Failure::new(format!("send {} bytes on {}", frame.len(), self.link), e))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn packet_type(from: &LinkAddr) -> u8 {
    let raw: &nix::libc::sockaddr_ll = from.as_ref();
    raw.sll_pkttype
}

fn address_of(link: &str) -> Result<LinkAddr> {
    let addresses = nix::ifaddrs::getifaddrs().map_err(|e| Failure::new("list links", e))?;
    let mut links = addresses
        .filter(|entry| entry.interface_name == link)
        .filter_map(|entry| entry.address);
    let found = links.find_map(|address| address.as_link_addr().copied());
    found
        .filter(|address| address.ifindex() > 0)
        .ok_or_else(|| Failure::new("find a link", format!("there is no `{link}` here")))
}
