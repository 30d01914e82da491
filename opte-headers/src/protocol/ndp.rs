//! Neighbour discovery for IPv6 (RFC 4861): the messages, each with its ICMPv6 header, and their options.

use crate::options::{Options, RawOption, TypeUnits};
use crate::protocol::Ipv6;
use crate::{Header, IpProtocol, MacAddr, OptionSet, field_value};
use arbitrary_int::u24;
use core::net::Ipv6Addr;

/// Router Solicitation (RFC 4861, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 8)]
pub struct RouterSolicitation {
    /// Always 133.
    #[header(const = 133)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved: u32,
    /// The sender's link-layer address.
    #[header(options(rest))]
    pub options: NdpOptions,
}

/// Router Advertisement (RFC 4861, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 16)]
pub struct RouterAdvertisement {
    /// Always 134.
    #[header(const = 134)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// The hop limit hosts should send with; zero: unspecified.
    pub current_hop_limit: u8,
    /// How addresses and other configuration are to be had.
    #[header(bits = 8)]
    pub flags: RouterFlags,
    /// Seconds for which the sender is a default router; zero: it is none.
    pub router_lifetime: u16,
    /// Milliseconds a neighbour counts as reachable; zero: unspecified.
    pub reachable_time: u32,
    /// Milliseconds between solicitations; zero: unspecified.
    pub retransmit_timer: u32,
    /// The sender's link-layer address, the link's MTU and prefixes.
    #[header(options(rest))]
    pub options: NdpOptions,
}

/// Neighbour Solicitation (RFC 4861, section 4.3).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 24)]
pub struct NeighbourSolicitation {
    /// Always 135.
    #[header(const = 135)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved: u32,
    /// The address whose link-layer address is asked for.
    pub target: Ipv6Addr,
    /// The sender's link-layer address.
    #[header(options(rest))]
    pub options: NdpOptions,
}

/// Neighbour Advertisement (RFC 4861, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 24)]
pub struct NeighbourAdvertisement {
    /// Always 136.
    #[header(const = 136)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Who answers, and why.
    #[header(bits = 8)]
    pub flags: NeighbourFlags,
    /// Zero.
    #[header(reserved)]
    pub reserved: u24,
    /// The address whose link-layer address is told.
    pub target: Ipv6Addr,
    /// The target's link-layer address.
    #[header(options(rest))]
    pub options: NdpOptions,
}

/// Redirect (RFC 4861, section 4.5): there is a better first hop.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv6 = IpProtocol::ICMPV6), len = 40)]
pub struct Icmpv6Redirect {
    /// Always 137.
    #[header(const = 137)]
    pub ty: u8,
    /// Always 0.
    #[header(const = 0)]
    pub code: u8,
    /// Over the pseudo-header and the message.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// Zero.
    #[header(reserved)]
    pub reserved: u32,
    /// The better first hop; the destination itself if it is on the link.
    pub target: Ipv6Addr,
    /// The destination that is to be reached by it.
    pub destination: Ipv6Addr,
    /// The target's link-layer address, and the packet that took the way round.
    #[header(options(rest))]
    pub options: Options<NdpOption<'static>, 1200>,
}

/// The options of a message.
pub type NdpOptions = Options<NdpOption<'static>, 64>;

bitflags::bitflags! {
    /// Flags of a [`RouterAdvertisement`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RouterFlags: u8 {
        /// Addresses are to be had by DHCPv6.
        const MANAGED = 0x80;
        /// Other configuration is to be had by DHCPv6.
        const OTHER = 0x40;
        const _ = !0;
    }

    /// Flags of a [`NeighbourAdvertisement`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct NeighbourFlags: u8 {
        /// The sender is a router.
        const ROUTER = 0x80;
        /// The message answers a solicitation.
        const SOLICITED = 0x40;
        /// The message overrides what is cached.
        const OVERRIDE = 0x20;
        const _ = !0;
    }
}
field_value!(RouterFlags as u8: RouterFlags::from_bits_retain, RouterFlags::bits);
field_value!(NeighbourFlags as u8: NeighbourFlags::from_bits_retain, NeighbourFlags::bits);

/// Options of neighbour discovery (RFC 4861, section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = TypeUnits)]
pub enum NdpOption<'a> {
    /// The link-layer address of who sends a solicitation or a router advertisement.
    #[option(1)]
    SourceLinkLayer(MacAddr),
    /// The link-layer address of the target of a neighbour advertisement or redirect.
    #[option(2)]
    TargetLinkLayer(MacAddr),
    /// A prefix on the link or for addresses of its hosts.
    #[option(3)]
    Prefix {
        /// Bits of the prefix.
        length: u8,
        /// On-link 0x80, autonomous 0x40.
        flags: u8,
        /// Seconds for which the prefix is on the link.
        valid: u32,
        /// Seconds for which addresses made of it are preferred.
        preferred: u32,
        /// Zero.
        reserved: u32,
        /// The prefix.
        prefix: Ipv6Addr,
    },
    /// The start of the packet that led to a redirect.
    #[option(4)]
    RedirectedHeader {
        /// Zero.
        reserved: [u8; 6],
        /// The packet, filled up to a multiple of eight bytes.
        packet: &'a [u8],
    },
    /// MTU of the link.
    #[option(5)]
    Mtu {
        /// Zero.
        reserved: u16,
        /// Bytes.
        mtu: u32,
    },
    /// A number by which a host knows its own solicitation again (RFC 3971, section 5.3.2; RFC 7527).
    #[option(14)]
    Nonce(&'a [u8]),
    /// Any other.
    #[option(unknown)]
    Unknown(RawOption<'a, u8>),
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Cause, ParseError};
    use std::vec::Vec;

    /// The solicitation of a Linux kernel.
    const SOLICITATION: [u8; 16] = [
        0x85, 0x00, 0xde, 0xca, 0, 0, 0, 0, 0x01, 0x01, 0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01,
    ];

    #[test]
    fn router_solicitation() {
        let (view, rest) = RouterSolicitation::parse(&SOLICITATION).unwrap();
        let mac = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01]);
        assert_eq!(
            view.options().iter().collect::<Vec<_>>(),
            [Ok(NdpOption::SourceLinkLayer(mac))]
        );
        assert!(rest.is_empty() && view.checksum() == 0xdeca);
        let mut out = [0; 16];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(16));
        assert_eq!(out, SOLICITATION);
    }

    #[test]
    fn an_option_without_a_length() {
        let mut bytes = SOLICITATION;
        bytes[9] = 0;
        let (view, _) = RouterSolicitation::parse(&bytes).unwrap();
        let error = ParseError::bad_length("NdpOption", "length", 0, 8);
        assert_eq!(view.options().check(), Err(error));
    }

    #[test]
    fn one_message_is_not_the_other() {
        assert_eq!(
            NeighbourSolicitation::parse(&[SOLICITATION, SOLICITATION].concat()).unwrap_err(),
            ParseError::new("NeighbourSolicitation", "ty", Cause::Illegal { value: 133 })
        );
    }

    #[test]
    fn advertisements() {
        let mtu = NdpOption::Mtu {
            reserved: 0,
            mtu: 1500,
        };
        let message = RouterAdvertisement {
            flags: RouterFlags::MANAGED,
            router_lifetime: 9000,
            options: NdpOptions::of(&[mtu]).unwrap(),
            ..RouterAdvertisement::default()
        };
        let mut out = [0; 24];
        assert_eq!(message.emit(&mut out), Ok(24));
        let expected = [
            0x86, 0, 0, 0, 0, 0x80, 0x23, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0, 0x05,
            0xdc,
        ];
        assert_eq!(out, expected);
        let message = NeighbourAdvertisement {
            flags: NeighbourFlags::ROUTER | NeighbourFlags::OVERRIDE,
            target: Ipv6Addr::LOCALHOST,
            ..NeighbourAdvertisement::default()
        };
        assert_eq!(message.emit(&mut out), Ok(24));
        assert_eq!((out[0], out[4], out[23]), (0x88, 0xa0, 1));
    }
    #[test]
    fn redirect() {
        let packet = [0x60; 48];
        let options = [
            NdpOption::TargetLinkLayer(MacAddr([2, 0, 0, 0, 0, 9])),
            NdpOption::RedirectedHeader {
                reserved: [0; 6],
                packet: &packet,
            },
        ];
        let message = Icmpv6Redirect {
            target: "fe80::9".parse().unwrap(),
            destination: "2001:db8::99".parse().unwrap(),
            options: Options::of(&options).unwrap(),
            ..Icmpv6Redirect::default()
        };
        let mut out = [0; 104];
        assert_eq!(message.emit(&mut out), Ok(104));
        assert_eq!(
            (out[0], &out[40..44], &out[48..56]),
            (0x89, &[2, 1, 2, 0][..], &[4, 7, 0, 0, 0, 0, 0, 0][..])
        );
        let (view, _) = Icmpv6Redirect::parse(&out).unwrap();
        assert!(view.options().iter().eq(options.map(Ok)));
    }
}
