//! Link-layer addresses.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A 48-bit link-layer address (IEEE 802).
#[derive(
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All ones.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zeros.
    pub const ZERO: Self = Self([0; 6]);

    /// The address with these octets.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The octets in the order they are sent.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether this is the broadcast address.
    pub const fn is_broadcast(self) -> bool {
        let [a, b, c, d, e, f] = self.0;
        u32::from_ne_bytes([a, b, c, d]) == u32::MAX && u16::from_ne_bytes([e, f]) == u16::MAX
    }

    /// Whether the group bit is set: multicast or broadcast.
    pub const fn is_multicast(self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }

    /// Whether this is an address of one station.
    pub const fn is_unicast(self) -> bool {
        !self.is_multicast()
    }

    /// The group address of an IPv4 multicast address (RFC 1112, section 6.4).
    pub const fn from_ipv4_multicast(group: Ipv4Addr) -> Self {
        let [_, b, c, d] = group.octets();
        Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    /// The group address of an IPv6 multicast address (RFC 2464, section 7).
    pub const fn from_ipv6_multicast(group: Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self([0x33, 0x33, a, b, c, d])
    }

    /// The modified EUI-64 interface identifier (RFC 4291, appendix A).
    pub const fn to_eui64(self) -> [u8; 8] {
        let [a, b, c, d, e, f] = self.0;
        [a ^ 0x02, b, c, 0xff, 0xfe, d, e, f]
    }

    /// The link-local address made from the EUI-64 identifier (RFC 4862, section 5.3).
    pub const fn to_link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f, g, h] = self.to_eui64();
        Ipv6Addr::from_octets([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h])
    }
}

impl From<[u8; 6]> for MacAddr {
    fn from(octets: [u8; 6]) -> Self {
        Self(octets)
    }
}

impl From<MacAddr> for [u8; 6] {
    fn from(address: MacAddr) -> Self {
        address.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = MacAddrError;

    fn from_str(text: &str) -> Result<Self, MacAddrError> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts
                .next()
                .filter(|part| matches!(part.len(), 1 | 2))
                .ok_or(MacAddrError)?;
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MacAddrError);
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| MacAddrError)?;
        }
        if parts.next().is_some() {
            return Err(MacAddrError);
        }
        Ok(Self(octets))
    }
}

/// Text that is no link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddrError;

impl fmt::Display for MacAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six octets in hexadecimal with colons between them")
    }
}

impl core::error::Error for MacAddrError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_round_trip() {
        let mac: MacAddr = "a8:40:25:ff:77:7".parse().unwrap();
        assert_eq!(mac, MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x07]));
        assert_eq!(mac.to_string(), "A8:40:25:FF:77:07");
        for bad in [
            "",
            "1:2:3:4:5",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:+6",
            "001:2:3:4:5:6",
            "1::3:4:5:6",
        ] {
            assert_eq!(bad.parse::<MacAddr>(), Err(MacAddrError), "{bad}");
        }
    }

    #[test]
    fn derived_addresses() {
        let mac = MacAddr([0xa8, 0x40, 0x25, 0xff, 0x00, 0x01]);
        assert_eq!(
            mac.to_link_local(),
            "fe80::aa40:25ff:feff:1".parse::<Ipv6Addr>().unwrap()
        );
        assert_eq!(
            MacAddr::from_ipv4_multicast(Ipv4Addr::new(239, 129, 2, 3)),
            MacAddr([0x01, 0x00, 0x5e, 0x01, 0x02, 0x03])
        );
        assert_eq!(
            MacAddr::from_ipv6_multicast("ff02::1:ff00:1".parse().unwrap()),
            MacAddr([0x33, 0x33, 0xff, 0x00, 0x00, 0x01])
        );
        assert!(
            MacAddr::BROADCAST.is_multicast()
                && MacAddr::BROADCAST.is_broadcast()
                && mac.is_unicast()
        );
    }
}
