//! Transformations of one end of a flow: its address, and its port or echo identifier.

use core::net::IpAddr;

use opte_headers::frame::KeyKind;
use opte_headers::program::{Program, ProgramError};
use opte_headers::transform::{Set, Transform};
use opte_headers::{
    Ethernet, FlowKey, Icmpv4, Icmpv6, IpProtocol, Ipv4, Ipv6, Tcp, Udp, icmpv4, icmpv6, ipv4,
    ipv6, set, stack, tcp, udp,
};

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its address.
    pub address: IpAddr,
    /// Port or echo identifier; none where it stays as it is.
    pub port: Option<u16>,
}

/// What stands behind the IP header, as far as its checksum is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// ICMPv6.
    Icmp6,
    /// A protocol whose checksum, if any, knows nothing of addresses, or no header at all.
    Opaque,
}

impl Transport {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Icmp6, Self::Opaque];

    /// Its protocol; of [`Transport::Opaque`] one without ports.
    pub(super) const fn protocol(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::TCP,
            Self::Udp => IpProtocol::UDP,
            Self::Icmp => IpProtocol::ICMP,
            Self::Icmp6 => IpProtocol::ICMPV6,
            Self::Opaque => IpProtocol::GRE,
        }
    }

    /// What packets with this key carry.
    pub fn of(key: &FlowKey) -> Self {
        match key.ip_protocol() {
            // The first fragment has the header, the others have none.
            _ if key.kind == KeyKind::FRAGMENT => Self::Opaque,
            IpProtocol::TCP => Self::Tcp,
            IpProtocol::UDP => Self::Udp,
            IpProtocol::ICMP => Self::Icmp,
            IpProtocol::ICMPV6 => Self::Icmp6,
            _ => Self::Opaque,
        }
    }
}

impl End {
    /// An address; the port stays.
    pub const fn address(address: IpAddr) -> Self {
        Self {
            address,
            port: None,
        }
    }

    /// An address and a port.
    pub const fn port(address: IpAddr, port: u16) -> Self {
        Self {
            address,
            port: Some(port),
        }
    }
}

/// Sets the address, and the port if there is one to set.
macro_rules! set_end {
    ($stack:ty, $address:ty = $ip:expr) => {
        Transform::on::<$stack>().set::<$address>($ip).try_compile()
    };
    ($stack:ty, $address:ty = $ip:expr, $port:ty = $number:expr) => {
        match $number {
            Some(port) => {
                set!(Transform::on::<$stack>(), $address = $ip, $port = port).try_compile()
            }
            None => set_end!($stack, $address = $ip),
        }
    };
}

macro_rules! rewrites {
    ($(#[$doc:meta])* $name:ident, $side:ident) => {
        $(#[$doc])*
        pub fn $name(end: End, transport: Transport) -> Result<Program, ProgramError> {
            match (end.address, transport) {
                (IpAddr::V4(ip), Transport::Tcp) => {
                    set_end!(stack![Ethernet, Ipv4, Tcp], ipv4::$side = ip, tcp::$side = end.port)
                }
                (IpAddr::V4(ip), Transport::Udp) => {
                    set_end!(stack![Ethernet, Ipv4, Udp], ipv4::$side = ip, udp::$side = end.port)
                }
                (IpAddr::V4(ip), Transport::Icmp) => {
                    set_end!(stack![Ethernet, Ipv4, Icmpv4], ipv4::$side = ip, icmpv4::Identifier = end.port)
                }
                (IpAddr::V4(ip), _) => set_end!(stack![Ethernet, Ipv4], ipv4::$side = ip),
                (IpAddr::V6(ip), Transport::Tcp) => {
                    set_end!(stack![Ethernet, Ipv6, Tcp], ipv6::$side = ip, tcp::$side = end.port)
                }
                (IpAddr::V6(ip), Transport::Udp) => {
                    set_end!(stack![Ethernet, Ipv6, Udp], ipv6::$side = ip, udp::$side = end.port)
                }
                (IpAddr::V6(ip), Transport::Icmp6) => {
                    set_end!(stack![Ethernet, Ipv6, Icmpv6], ipv6::$side = ip, icmpv6::Identifier = end.port)
                }
                (IpAddr::V6(ip), _) => set_end!(stack![Ethernet, Ipv6], ipv6::$side = ip),
            }
        }
    };
}

rewrites! {
    /// The transformation of a guest's frame that makes `end` the source.
    ///
    /// # Errors
    /// None but those of a program without room, which one end does not fill.
    set_source, Source
}
rewrites! {
    /// The transformation of a guest's frame that makes `end` the destination.
    ///
    /// # Errors
    /// As [`set_source`].
    set_destination, Destination
}
