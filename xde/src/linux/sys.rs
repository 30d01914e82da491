//! The system calls that no safe wrapper covers.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

use zerocopy::{FromBytes, IntoBytes};

use super::packet_socket::Outgoing;
use super::virtio_net::VirtioNetHeader;
use crate::frame::Frame;

/// Frames moved by one system call.
pub(super) const BURST: usize = 64;

/// Sets a socket option whose value is the plain data of a C type.
pub(super) fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `value`, which is borrowed for the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    check(result).map(drop)
}

/// An option of a socket, of which the kernel may fill in less than there is room for.
pub(super) fn option<T: FromBytes + IntoBytes + Default>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
) -> io::Result<T> {
    let mut value = T::default();
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes at `value`, which is that long, and any bytes are a `T`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    check(result).map(|_| value)
}

/// Puts a classic BPF program before a socket: frames it returns 0 for are not received.
pub(super) fn set_filter(socket: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        // The kernel copies the program and writes nothing.
        filter: program.as_ptr().cast_mut(),
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Binds a packet socket to the link with number `index`, for frames of all protocols.
pub(super) fn bind_to_link(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads `size_of_val(&address)` bytes at `address`, which lives across the call.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            ptr::from_ref(&address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    check(result).map(drop)
}

/// What comes with a frame: how many bytes it has, what is still to be done for it, and the VLAN tag the kernel has
/// taken out of it, as it stood there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) length: usize,
    pub(super) header: VirtioNetHeader,
    pub(super) vlan: Option<[u8; 4]>,
}

/// The control message of a packet socket with `PACKET_AUXDATA`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Auxiliary {
    header: libc::cmsghdr,
    data: libc::tpacket_auxdata,
}

impl Auxiliary {
    /// The tag, if these are the data of a frame that had one.
    fn vlan(&self) -> Option<[u8; 4]> {
        let is_packet = self.header.cmsg_level == libc::SOL_PACKET
            && self.header.cmsg_type == libc::PACKET_AUXDATA;
        if !is_packet || self.data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
            return None;
        }
        let tpid = match self.data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID {
            0 => libc::ETH_P_8021Q as u16,
            _ => self.data.tp_vlan_tpid,
        };
        let ([a, b], [c, d]) = (tpid.to_be_bytes(), self.data.tp_vlan_tci.to_be_bytes());
        Some([a, b, c, d])
    }
}

/// Receives up to [`BURST`] frames into the frames' space, and what comes with each. Returns how many came, 0 if none is
/// waiting.
pub(super) fn receive_burst(
    socket: BorrowedFd<'_>,
    frames: &mut [Frame],
    received: &mut [Received; BURST],
) -> io::Result<usize> {
    let count = frames.len().min(BURST);
    // SAFETY: all bytes zero is a value of each of these C structs (no name, no control data, empty vectors).
    let (mut vectors, mut messages, mut auxiliaries) = unsafe {
        (
            zeroed::<[[libc::iovec; 2]; BURST]>(),
            zeroed::<[libc::mmsghdr; BURST]>(),
            zeroed::<[Auxiliary; BURST]>(),
        )
    };
    for ((((frame, Received { header, .. }), vector), message), auxiliary) in frames
        .iter_mut()
        .zip(received.iter_mut())
        .zip(vectors.iter_mut())
        .zip(messages.iter_mut())
        .zip(auxiliaries.iter_mut())
    {
        let space = frame.space();
        *vector = [
            libc::iovec {
                iov_base: ptr::from_mut(header).cast(),
                iov_len: size_of::<VirtioNetHeader>(),
            },
            libc::iovec {
                iov_base: space.as_mut_ptr().cast(),
                iov_len: space.len(),
            },
        ];
        message.msg_hdr.msg_iov = vector.as_mut_ptr();
        message.msg_hdr.msg_iovlen = vector.len();
        message.msg_hdr.msg_control = ptr::from_mut(auxiliary).cast();
        message.msg_hdr.msg_controllen = size_of::<Auxiliary>();
    }
    // SAFETY: the first `count` messages point to vectors, headers, control data and buffers that are borrowed mutably, lie in different places
    // and outlive the call; the kernel writes within the lengths given. Any bytes are a `VirtioNetHeader`, and an `Auxiliary`.
    let result = check(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
        )
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
        Ok(came) => {
            let filled = received.iter_mut().zip(&messages).zip(&auxiliaries);
            for ((received, message), auxiliary) in filled.take(came) {
                let length = message.msg_len as usize;
                received.length = length.saturating_sub(size_of::<VirtioNetHeader>());
                received.vlan = auxiliary.vlan();
            }
            Ok(came.min(count))
        }
    }
}

/// Sends up to [`BURST`] frames, each behind its virtio header. Returns how many went; an error is that of the first.
pub(super) fn send_burst(socket: BorrowedFd<'_>, frames: &[Outgoing<'_>]) -> io::Result<usize> {
    let count = frames.len().min(BURST);
    // SAFETY: all bytes zero is a value of each of these C structs (no name, no control data, empty vectors).
    let (mut vectors, mut messages) = unsafe {
        (
            zeroed::<[[libc::iovec; 3]; BURST]>(),
            zeroed::<[libc::mmsghdr; BURST]>(),
        )
    };
    for ((frame, vector), message) in frames
        .iter()
        .zip(vectors.iter_mut())
        .zip(messages.iter_mut())
    {
        *vector = vectors_of(frame);
        message.msg_hdr.msg_iov = vector.as_mut_ptr();
        message.msg_hdr.msg_iovlen = vector.len();
    }
    // SAFETY: the first `count` messages point to vectors that live across the call and to bytes borrowed in `frames`; the kernel
    // only reads them.
    check(unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT,
        )
    })
}

/// Makes the file of `/dev/net/tun` the TAP link `name` with one queue and virtio headers, to be opened by the user `owner`.
pub(super) fn make_tap(file: BorrowedFd<'_>, name: &str, owner: u32) -> io::Result<()> {
    let mut request = request_for(name)?;
    request.ifr_ifru.ifru_flags =
        (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL) as i16;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, borrowed mutably across the call.
    check(unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            libc::TUNSETIFF,
            ptr::from_mut(&mut request),
        )
    })?;
    // SAFETY: TUNSETOWNER takes its argument by value.
    check(unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            libc::TUNSETOWNER,
            libc::c_ulong::from(owner),
        )
    })
    .map(drop)
}

/// Lets the TAP link of this file outlive it.
pub(super) fn keep_tap(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes its argument by value.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETPERSIST, 1 as libc::c_ulong) })
        .map(drop)
}

/// Has a link leave off the offloads called so in `linux/ethtool.h`'s strings; those it has not got are passed over. Any socket
/// of the link's network namespace will do.
pub(super) fn turn_off_offloads(
    socket: BorrowedFd<'_>,
    link: &str,
    names: &[&str],
) -> io::Result<()> {
    /// `ETHTOOL_GSSET_INFO`.
    const COUNT: u32 = 0x37;
    /// `ETHTOOL_GSTRINGS`.
    const STRINGS: u32 = 0x1b;
    /// `ETHTOOL_SFEATURES`.
    const SET: u32 = 0x3b;
    /// `ETH_SS_FEATURES`.
    const OFFLOADS: u32 = 4;
    /// `ETH_GSTRING_LEN`, in words.
    const NAME: usize = 8;

    // struct ethtool_sset_info: command, reserved, 64 bits of mask, a count for each bit set.
    let mask = 1_u64 << OFFLOADS;
    let [low, high] = if cfg!(target_endian = "little") {
        [mask as u32, (mask >> 32) as u32]
    } else {
        [(mask >> 32) as u32, mask as u32]
    };
    let mut question = [COUNT, 0, low, high, 0];
    ethtool(socket, link, &mut question)?;
    let [.., count] = question;
    // struct ethtool_gstrings: command, set, count, names.
    let mut known = vec![0; 3 + NAME * count as usize];
    for (word, value) in known.iter_mut().zip([STRINGS, OFFLOADS, count]) {
        *word = value;
    }
    ethtool(socket, link, &mut known)?;
    // struct ethtool_sfeatures: command, count of blocks, and for each 32 offloads which are meant and which are wanted.
    let blocks = count.div_ceil(32);
    let mut change = vec![0; 2 + 2 * blocks as usize];
    for (word, value) in change.iter_mut().zip([SET, blocks]) {
        *word = value;
    }
    let known = known.get(3..).unwrap_or_default();
    for (bit, name) in known.chunks(NAME).enumerate() {
        let bytes: Vec<u8> = name.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        if names.iter().any(|wanted| wanted.as_bytes() == name)
            && let Some(meant) = change.get_mut(2 + bit / 32 * 2)
        {
            *meant |= 1 << (bit % 32);
        }
    }
    ethtool(socket, link, &mut change)
}

/// A request of `linux/ethtool.h`, whose struct is of words, and large enough for the answer.
fn ethtool(socket: BorrowedFd<'_>, link: &str, words: &mut [u32]) -> io::Result<()> {
    let mut request = request_for(link)?;
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: SIOCETHTOOL reads one `ifreq`, and reads and writes the struct of the request's command behind its pointer: the
    // callers, all in this module, make `words` as long as that struct is with the counts they put in it.
    check(unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCETHTOOL as _,
            ptr::from_mut(&mut request),
        )
    })
    .map(drop)
}

/// A request about the link `name`.
fn request_for(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all bytes zero is a value of this C struct.
    let mut request = unsafe { zeroed::<libc::ifreq>() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    Ok(request)
}

fn vectors_of(frame: &Outgoing<'_>) -> [libc::iovec; 3] {
    // The kernel only reads what is sent, though the type of a vector is that of received bytes too.
    let vector = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    [
        libc::iovec {
            iov_base: ptr::from_ref(&frame.header).cast_mut().cast(),
            iov_len: size_of::<VirtioNetHeader>(),
        },
        vector(frame.head),
        vector(frame.payload),
    ]
}

/// The result of a system call, or the error it left.
fn check<N: TryInto<usize>>(result: N) -> io::Result<usize> {
    result.try_into().map_err(|_| io::Error::last_os_error())
}
