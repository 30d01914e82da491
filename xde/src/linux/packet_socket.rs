//! Whole frames in and out of a link of the kernel (packet(7)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt,
};
use opte::packet::Offload;
use opte_headers::MacAddr;
use zerocopy::{FromBytes, IntoBytes};

use super::sys::{self, BURST, Received};
use super::virtio_net::VirtioNetHeader;
use crate::frame::Frame;

/// A packet socket that hands over super-packets whole, with what is still to be done for them, and VLAN tags in their place, from
/// which the kernel takes them.
///
/// What it sends passes the link's queueing discipline (no `PACKET_QDISC_BYPASS`): only so do captures on the link show both
/// directions, and a real link's queue absorb bursts.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

/// Which frames a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// All that come in over the link.
    All,
    /// All that come in over the link, whomever they are addressed to.
    Promiscuous,
    /// Geneve over IPv6 that the link did not send itself.
    Geneve {
        /// The link's own address.
        own: MacAddr,
    },
    /// ARP, and what is addressed to one of these stations, whether or not they are the link's.
    Stations(&'a [MacAddr]),
}

/// A frame to be sent, in two pieces: what was written for it alone, and what may lie in a larger frame.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What the link is to do for it.
    pub header: VirtioNetHeader,
    /// Its first bytes.
    pub head: &'a [u8],
    /// Its other bytes, perhaps none.
    pub payload: &'a [u8],
}

impl Outgoing<'_> {
    /// No frame.
    pub const NONE: Self = Self {
        header: VirtioNetHeader {
            flags: 0,
            gso_type: 0,
            header_len: 0,
            gso_size: 0,
            checksum_start: 0,
            checksum_offset: 0,
        },
        head: &[],
        payload: &[],
    };
}

/// Bytes that may wait at a socket: a burst of super-packets from each of several guests.
const WAITING: usize = 32 * 1024 * 1024;

impl PacketSocket {
    /// A socket on the link with number `index` of the namespace the caller is in.
    pub fn open(index: u32, wanted: Wanted<'_>) -> io::Result<Self> {
        // Without a protocol the socket hears nothing until it is bound: no frame of another link, none past the filter.
        let socket = socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None::<SockProtocol>,
        )?;
        let on: libc::c_int = 1;
        let packet = |name| sys::set_option(socket.as_fd(), libc::SOL_PACKET, name, &on);
        packet(libc::PACKET_VNET_HDR)?;
        packet(PACKET_IGNORE_OUTGOING)?;
        packet(libc::PACKET_AUXDATA)?;
        let larger = |force: io::Result<()>, plain: io::Result<()>| force.or(plain);
        larger(
            setsockopt(&socket, sockopt::RcvBufForce, &WAITING).map_err(io::Error::from),
            setsockopt(&socket, sockopt::RcvBuf, &WAITING).map_err(io::Error::from),
        )?;
        larger(
            setsockopt(&socket, sockopt::SndBufForce, &WAITING).map_err(io::Error::from),
            setsockopt(&socket, sockopt::SndBuf, &WAITING).map_err(io::Error::from),
        )?;
        match wanted {
            Wanted::All => {}
            Wanted::Stations(stations) => {
                sys::set_filter(socket.as_fd(), &to_stations(stations))?;
                listen(&socket, index, libc::PACKET_MR_PROMISC)?;
            }
            Wanted::Promiscuous => listen(&socket, index, libc::PACKET_MR_PROMISC)?,
            Wanted::Geneve { own } => {
                sys::set_filter(socket.as_fd(), &geneve_from_others(own))?;
                // Tunnels of groups are to their groups' addresses, however many there are.
                listen(&socket, index, libc::PACKET_MR_ALLMULTI)?;
            }
        }
        sys::bind_to_link(socket.as_fd(), index)?;
        Ok(Self { socket })
    }

    /// Hands over the frames to these stations from now on, in the place of those of [`Wanted::Stations`].
    pub fn set_stations(&self, stations: &[MacAddr]) -> io::Result<()> {
        sys::set_filter(self.socket.as_fd(), &to_stations(stations))
    }

    /// Takes frames that are waiting, at most as many as `frames` has room for and a burst holds. Each of the first so many
    /// as returned is either a frame, or empty where the kernel handed over what nobody can do.
    pub fn receive(&self, frames: &mut [Frame]) -> io::Result<usize> {
        let mut received = [Received::default(); BURST];
        let count = sys::receive_burst(self.socket.as_fd(), frames, &mut received)?;
        for (frame, received) in frames.iter_mut().zip(&received).take(count) {
            finish(frame, received);
        }
        Ok(count)
    }

    /// Frames that the kernel dropped since this was last asked, because they came in faster than they were taken.
    pub fn overflowed(&self) -> u64 {
        let statistics: io::Result<PacketStatistics> = sys::option(
            self.socket.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
        );
        // Fails only for what is no packet socket.
        statistics.map_or(0, |statistics| u64::from(statistics.drops))
    }

    /// Sends frames, as few system calls as need be. `refused` hears of each that did not go, by its place.
    pub fn send(&self, frames: &[Outgoing<'_>], mut refused: impl FnMut(usize, io::Error)) {
        let mut sent = 0;
        while let Some(rest) = frames.get(sent..).filter(|rest| !rest.is_empty()) {
            match sys::send_burst(self.socket.as_fd(), rest) {
                Ok(0) => break,
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The error is the first frame's alone.
                Err(error) => {
                    refused(sent, error);
                    sent += 1;
                }
            }
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes what came a frame, or an empty one if its header asks for what cannot be done.
fn finish(frame: &mut Frame, received: &Received) {
    frame.received(received.length, Offload::default());
    // The header's places are those in the frame without its tag.
    match received.header.to_offload(frame.bytes_mut()) {
        Some(offload) => frame.offload = offload,
        None => return frame.received(0, Offload::default()),
    }
    // A tag of VLAN 0 is but a priority: to every station the frame is an untagged one (IEEE 802.1Q, section 9.6).
    if let Some(tag @ [_, _, c, d]) = received.vlan
        && u16::from_be_bytes([c, d]) & 0xfff != 0
    {
        frame.insert_tag(tag);
    }
}

/// `struct tpacket_stats` of `linux/if_packet.h`. Reading it sets it to zero.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes)]
#[repr(C)]
struct PacketStatistics {
    packets: u32,
    drops: u32,
}

/// Has the link hand over frames to addresses that are not its own, as long as the socket is open.
fn listen(socket: &OwnedFd, index: u32, what: libc::c_int) -> io::Result<()> {
    let membership = libc::packet_mreq {
        mr_ifindex: index as libc::c_int,
        mr_type: what as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let name = libc::PACKET_ADD_MEMBERSHIP;
    sys::set_option(socket.as_fd(), libc::SOL_PACKET, name, &membership)
}

/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`: no copies of what leaves over the link.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// IPv6 with UDP to port 6081 right behind its header, not sent from `own`: a frame of the link's own that a switch
/// sent back is none that a peer tunnelled here.
fn geneve_from_others(own: MacAddr) -> [libc::sock_filter; 12] {
    let (first, last) = halves(own);
    [
        statement(HALF, 12),
        equal(0x86dd, 0, 9),
        statement(BYTE, 20),
        equal(17, 0, 7),
        statement(HALF, 56),
        equal(6081, 0, 5),
        statement(WORD, 6),
        equal(first, 0, 2),
        statement(HALF, 10),
        equal(last, 1, 0),
        TAKE,
        LEAVE,
    ]
}

/// ARP, and what is addressed to one of these stations; everything if they are more than a filter can name.
fn to_stations(stations: &[MacAddr]) -> Vec<libc::sock_filter> {
    let mut filter = vec![statement(HALF, 12), equal(0x0806, 0, 1), TAKE];
    for station in stations {
        let (first, last) = halves(*station);
        filter.extend([
            statement(WORD, 0),
            equal(first, 0, 3),
            statement(HALF, 4),
            equal(last, 0, 1),
            TAKE,
        ]);
    }
    filter.push(LEAVE);
    match filter.len() <= libc::BPF_MAXINSNS as usize {
        true => filter,
        false => vec![TAKE],
    }
}

const WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const HALF: u32 = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
const BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const TAKE: libc::sock_filter = statement(libc::BPF_RET | libc::BPF_K, u32::MAX);
const LEAVE: libc::sock_filter = statement(libc::BPF_RET | libc::BPF_K, 0);

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Compares what was loaded with `k`, and passes over so many statements if it is equal, and if not.
const fn equal(k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    }
}

/// An address as its first four octets and its last two.
fn halves(mac: MacAddr) -> (u32, u32) {
    let [a, b, c, d, e, f] = mac.octets();
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from(u16::from_be_bytes([e, f])),
    )
}
