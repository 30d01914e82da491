//! Holding the tunnel's UDP port, so that the host's own stack leaves it alone.

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn6, bind, setsockopt, socket, sockopt,
};

use super::sys;

/// A socket on UDP port 6081 that takes nothing.
///
/// The driver reads tunnelled frames from packet sockets, which get copies: the host's IPv6 stack sees each frame too. With
/// nobody on the port it would answer every one with an ICMPv6 port-unreachable error, to the peer's cost and
/// confusion. A socket whose filter refuses everything makes it drop them in silence, and keeps another program from
/// taking the port.
#[derive(Debug)]
pub struct TunnelPort {
    _socket: OwnedFd,
}

/// Geneve's UDP port (RFC 8926, section 3.3).
pub const GENEVE: u16 = 6081;

impl TunnelPort {
    /// Takes the port, on all addresses of the namespace the caller is in.
    ///
    /// # Errors
    /// `EADDRINUSE` if another program has it.
    pub fn hold() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Inet6,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
        let refuse_all = libc::sock_filter {
            code: (libc::BPF_RET | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: 0,
        };
        sys::set_filter(socket.as_fd(), &[refuse_all])?;
        let address = std::net::SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, GENEVE, 0, 0);
        bind(socket.as_raw_fd(), &SockaddrIn6::from(address))?;
        Ok(Self { _socket: socket })
    }
}
