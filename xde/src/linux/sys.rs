//! The system calls that no safe wrapper covers.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr;

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

/// Receives up to [`BURST`] frames, each with its virtio header, into the frames' space. `lengths` gets the bytes of each.
/// Returns how many came, 0 if none is waiting.
pub(super) fn receive_burst(
    socket: BorrowedFd<'_>,
    frames: &mut [Frame],
    headers: &mut [VirtioNetHeader; BURST],
    lengths: &mut [usize; BURST],
) -> io::Result<usize> {
    let count = frames.len().min(BURST);
    // SAFETY: all bytes zero is a value of each of these C structs (no name, no control data, empty vectors).
    let (mut vectors, mut messages) = unsafe {
        (
            zeroed::<[[libc::iovec; 2]; BURST]>(),
            zeroed::<[libc::mmsghdr; BURST]>(),
        )
    };
    for (((frame, header), vector), message) in frames
        .iter_mut()
        .zip(headers.iter_mut())
        .zip(vectors.iter_mut())
        .zip(messages.iter_mut())
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
    }
    // SAFETY: the first `count` messages point to vectors, headers and buffers that are borrowed mutably, lie in different places
    // and outlive the call; the kernel writes within the lengths given. Any bytes are a `VirtioNetHeader`.
    let received = check(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
        )
    });
    match received {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
        Ok(received) => {
            for (length, message) in lengths.iter_mut().zip(messages.iter()) {
                *length = (message.msg_len as usize).saturating_sub(size_of::<VirtioNetHeader>());
            }
            Ok(received.min(count))
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

/// Reads one frame behind its virtio header; `None` if none is waiting.
pub(super) fn read_frame(
    file: BorrowedFd<'_>,
    frame: &mut Frame,
) -> io::Result<Option<(VirtioNetHeader, usize)>> {
    let mut header = VirtioNetHeader::default();
    let space = frame.space();
    let vector = [
        libc::iovec {
            iov_base: ptr::from_mut(&mut header).cast(),
            iov_len: size_of::<VirtioNetHeader>(),
        },
        libc::iovec {
            iov_base: space.as_mut_ptr().cast(),
            iov_len: space.len(),
        },
    ];
    // SAFETY: the vectors point to the header and the frame's space, both borrowed mutably across the call; the kernel writes
    // within the lengths given. Any bytes are a `VirtioNetHeader`.
    let result = check(unsafe {
        libc::readv(
            file.as_raw_fd(),
            vector.as_ptr(),
            vector.len() as libc::c_int,
        )
    });
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
        Ok(length) => Ok(Some((
            header,
            length.saturating_sub(size_of::<VirtioNetHeader>()),
        ))),
    }
}

/// Writes one frame behind its virtio header.
pub(super) fn write_frame(file: BorrowedFd<'_>, frame: &Outgoing<'_>) -> io::Result<()> {
    let vector = vectors_of(frame);
    // SAFETY: the vectors point to bytes borrowed in `frame` across the call; the kernel only reads them.
    let result = unsafe {
        libc::writev(
            file.as_raw_fd(),
            vector.as_ptr(),
            vector.len() as libc::c_int,
        )
    };
    check(result).map(drop)
}

/// Makes the file of `/dev/net/tun` a TAP device named `name`, with frames behind virtio headers, and has the kernel leave
/// checksums and segmentation to its reader.
pub(super) fn make_tap(file: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // SAFETY: all bytes zero is a value of this C struct.
    let mut request = unsafe { zeroed::<libc::ifreq>() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
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
    let header_len = size_of::<VirtioNetHeader>() as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one `int`, borrowed across the call.
    check(unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            libc::TUNSETVNETHDRSZ,
            ptr::from_ref(&header_len),
        )
    })?;
    let all = libc::TUN_F_CSUM
        | libc::TUN_F_TSO4
        | libc::TUN_F_TSO6
        | libc::TUN_F_TSO_ECN
        | libc::TUN_F_USO4
        | libc::TUN_F_USO6;
    let older = all & !(libc::TUN_F_USO4 | libc::TUN_F_USO6);
    for offloads in [all, older] {
        // SAFETY: TUNSETOFFLOAD takes its argument by value.
        let result = unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                libc::TUNSETOFFLOAD,
                offloads as libc::c_ulong,
            )
        };
        // Kernels before 6.2 do not know UDP segmentation.
        if check(result).is_ok() {
            return Ok(());
        }
    }
    Err(io::Error::last_os_error())
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
