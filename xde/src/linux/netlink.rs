//! A socket to the kernel's routing subsystem (rtnetlink(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

/// A socket to the kernel's routing subsystem, of the network namespace it was opened in. Calls block.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

/// What the kernel can tell unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Group {
    /// Links come, go and change (`RTNLGRP_LINK`).
    Link = 1,
    /// Neighbours come, go and change (`RTNLGRP_NEIGH`).
    Neighbour = 3,
    /// IPv6 routes come, go and change (`RTNLGRP_IPV6_ROUTE`).
    Ipv6Route = 11,
}

/// Largest datagram of the kernel: a dump is written in pieces of at most 32 KiB.
const BUFFER: usize = 64 * 1024;

impl Netlink {
    /// A socket for requests.
    pub fn open() -> io::Result<Self> {
        Self::listen(&[])
    }

    /// A socket on which the kernel also tells of changes in `groups`.
    pub fn listen(groups: &[Group]) -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        let mask = groups
            .iter()
            .fold(0, |mask, group| mask | 1 << (*group as u32 - 1));
        // A storm of changes is to be lost as late as possible; a loss is met with a fresh look at everything.
        if !groups.is_empty() {
            setsockopt(&socket, sockopt::RcvBuf, &(4 * 1024 * 1024))?;
        }
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, mask))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; BUFFER],
        })
    }

    /// Sends a request that changes something and waits for the kernel's word on it.
    ///
    /// # Errors
    /// The kernel's refusal, as its error number.
    pub fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.request(message, NLM_F_ACK | flags).map(drop)
    }

    /// Sends a question with a single answer.
    ///
    /// # Errors
    /// The kernel's refusal, as its error number; `NotFound` if it has nothing to say.
    pub fn get(&mut self, message: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        let answers = self.request(message, NLM_F_ACK)?;
        let mut answers = answers.into_iter();
        answers
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Everything of a kind.
    pub fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_DUMP)
    }

    /// Waits for changes. Meant for a socket that is never asked anything.
    ///
    /// # Errors
    /// `ENOBUFS` if changes were lost: look at everything afresh.
    pub fn next_changes(&mut self) -> io::Result<Vec<RouteNetlinkMessage>> {
        let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
        let mut changes = Vec::new();
        each_message(self.buffer.get(..length).unwrap_or_default(), |message| {
            if let NetlinkPayload::InnerMessage(change) = message.payload {
                changes.push(change);
            }
        })?;
        Ok(changes)
    }

    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, message.into());
        message.finalize();
        let mut request = vec![0; message.buffer_len()];
        message.serialize(&mut request);
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
        self.answers()
    }

    /// Collects what belongs to the last request, up to the acknowledgement or the end of the dump.
    fn answers(&mut self) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut answers = Vec::new();
        let mut outcome = None;
        while outcome.is_none() {
            let length = recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
            let sequence = self.sequence;
            each_message(self.buffer.get(..length).unwrap_or_default(), |message| {
                if message.header.sequence_number != sequence {
                    return;
                }
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Done(_) => outcome = Some(Ok(())),
                    NetlinkPayload::Error(error) => {
                        outcome = Some(match error.code {
                            None => Ok(()),
                            Some(_) => Err(error.to_io()),
                        });
                    }
                    _ => {}
                }
            })?;
        }
        outcome.unwrap_or(Ok(())).map(|()| answers)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Hands each message of a datagram to `take`. One whose body this version does not understand is passed over: kernels
/// grow attributes.
fn each_message(
    mut datagram: &[u8],
    mut take: impl FnMut(NetlinkMessage<RouteNetlinkMessage>),
) -> io::Result<()> {
    while let Some(length) = datagram.first_chunk::<4>() {
        let length = u32::from_ne_bytes(*length) as usize;
        let Some(bytes) = datagram.get(..length).filter(|bytes| bytes.len() >= 16) else {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        };
        if let Ok(message) = NetlinkMessage::deserialize(bytes) {
            take(message);
        }
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(())
}
