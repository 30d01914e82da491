//! The parsers of the stacks that a virtual switch meets.

use super::parsed::Parsed;
use super::plain;
use crate::error::ParseError;
use crate::protocol::{Arp, Ethernet, Geneve, Icmpv4, Icmpv6, Ipv4, Ipv6, Tcp, Udp, Vlan};

/// Parses a frame as a guest sends it: Ethernet with up to two VLAN tags, then ARP, IPv4 or IPv6 with TCP, UDP, ICMP or
/// anything else, or no IP at all.
///
/// # Errors
/// A header is cut off, a length contradicts the bytes there are, a version is wrong, or IPv6 extension headers are out of
/// order.
#[inline]
pub fn parse_guest(bytes: &[u8]) -> Result<Parsed, ParseError> {
    plain::parse::<plain::Nothing>(bytes)
}

/// Parses a frame of the underlay: Ethernet, IPv6, UDP to port 6081, Geneve, and in it a frame as [`parse_guest`] takes it,
/// with one VLAN tag at most.
///
/// # Errors
/// As [`parse_guest`]; what is not Geneve; a Geneve option that is malformed, or must be understood and is not.
#[inline]
pub fn parse_geneve(bytes: &[u8]) -> Result<Parsed, ParseError> {
    if plain::has_options(bytes) {
        plain::parse::<plain::Tunnel<true>>(bytes)
    } else {
        plain::parse::<plain::Tunnel<false>>(bytes)
    }
}

/// What is done with a frame once it is parsed.
pub trait Then {
    /// What that comes to.
    type Output;

    /// The frame.
    fn frame(&self) -> &[u8];

    /// Does it.
    fn parsed(self, parsed: Parsed) -> Self::Output;

    /// Does what is done with a frame that is none.
    fn malformed(self, error: ParseError) -> Self::Output;
}

/// [`parse_guest`], and what is done then, in code of its own for each of the stacks that most frames have: what is the same for
/// all frames of a stack is a constant in it.
#[inline(always)]
pub fn parse_guest_then<T: Then>(then: T) -> T::Output {
    plain::parse_then::<plain::Nothing, T>(then)
}

/// [`parse_geneve`], as [`parse_guest_then`] does it.
#[inline(always)]
pub fn parse_geneve_then<T: Then>(then: T) -> T::Output {
    if plain::has_options(then.frame()) {
        plain::parse_then::<plain::Tunnel<true>, T>(then)
    } else {
        plain::parse_then::<plain::Tunnel<false>, T>(then)
    }
}

crate::stack_parser! {
    #[header(crate = crate, head = parse_guest_head)]
    /// [`parse_guest`] without the short way that it has for plain frames: what decides, and what that is held against.
    ///
    /// # Errors
    /// As [`parse_guest`].
    pub fn parse_any_guest = Ethernet [Vlan [Vlan]] (
        Ipv4 (Tcp | Udp | Icmpv4)?
        | Ipv6 (Tcp | Udp | Icmpv6)?
        | Arp
    )?;
}

crate::stack_parser! {
    #[header(crate = crate, head = parse_geneve_head)]
    /// [`parse_geneve`] without the short way that it has for plain frames.
    ///
    /// # Errors
    /// As [`parse_geneve`].
    pub fn parse_any_geneve = Ethernet Ipv6 Udp Geneve Ethernet [Vlan] (
        Ipv4 (Tcp | Udp | Icmpv4)?
        | Ipv6 (Tcp | Udp | Icmpv6)?
        | Arp
    )?;
}
