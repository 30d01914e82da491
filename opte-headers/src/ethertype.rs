//! What an Ethernet frame carries.

use core::fmt;

/// The type field of an Ethernet frame (IEEE 802.3, clause 3.2.6; IANA "IEEE 802 Numbers").
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ethertype(pub u16);

impl Ethertype {
    /// Internet Protocol version 4.
    pub const IPV4: Self = Self(0x0800);
    /// Address Resolution Protocol.
    pub const ARP: Self = Self(0x0806);
    /// Transparent Ethernet bridging: a whole frame inside.
    pub const ETHERNET: Self = Self(0x6558);
    /// IEEE 802.1Q customer tag.
    pub const VLAN: Self = Self(0x8100);
    /// Internet Protocol version 6.
    pub const IPV6: Self = Self(0x86dd);
    /// IEEE 802.1ad service tag.
    pub const QINQ: Self = Self(0x88a8);
    /// Link Layer Discovery Protocol.
    pub const LLDP: Self = Self(0x88cc);
    /// Service tag as sent before IEEE 802.1ad.
    pub const QINQ_OLD: Self = Self(0x9100);

    /// Whether a VLAN tag follows.
    pub const fn is_vlan(self) -> bool {
        matches!(self, Self::VLAN | Self::QINQ | Self::QINQ_OLD)
    }
}

impl From<u16> for Ethertype {
    fn from(value: u16) -> Self {
        Self(value)
    }
}

impl From<Ethertype> for u16 {
    fn from(value: Ethertype) -> Self {
        value.0
    }
}

impl fmt::Display for Ethertype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4 => f.write_str("IPv4"),
            Self::ARP => f.write_str("ARP"),
            Self::ETHERNET => f.write_str("Ethernet"),
            Self::VLAN => f.write_str("VLAN"),
            Self::IPV6 => f.write_str("IPv6"),
            Self::QINQ => f.write_str("QinQ"),
            Self::LLDP => f.write_str("LLDP"),
            Self(other) => write!(f, "{other:#06x}"),
        }
    }
}

impl fmt::Debug for Ethertype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
