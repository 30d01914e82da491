//! Which header stands at a position.

use core::fmt;

/// Which header stands at a position: one byte. Those that the crate's own parsers meet have names here; any other header has a
/// number of its own, made of its name ([`HeaderKind::own`]).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct HeaderKind(pub(super) u8);

#[allow(
    non_upper_case_globals,
    reason = "named as the types of the headers are"
)]
impl HeaderKind {
    /// No header.
    pub const None: Self = Self(0);
    /// Ethernet.
    pub const Ethernet: Self = Self(1);
    /// VLAN tag.
    pub const Vlan: Self = Self(2);
    /// ARP.
    pub const Arp: Self = Self(3);
    /// IPv4.
    pub const Ipv4: Self = Self(4);
    /// IPv6, with its extension headers.
    pub const Ipv6: Self = Self(5);
    /// TCP.
    pub const Tcp: Self = Self(6);
    /// UDP.
    pub const Udp: Self = Self(7);
    /// ICMP.
    pub const Icmpv4: Self = Self(8);
    /// ICMPv6.
    pub const Icmpv6: Self = Self(9);
    /// Geneve, with its options.
    pub const Geneve: Self = Self(10);
    /// Something that the parser of the stack does not know.
    pub const Other: Self = Self(11);
}

impl HeaderKind {
    /// The kind of a header that has none of those above, by the name of its type: one of 192. A stack two of whose headers
    /// happen to have the same does not compile and says so; give one of them another name here.
    ///
    /// ```
    /// use opte_headers::HeaderKind;
    /// use opte_headers::frame::Stacked;
    /// # use opte_headers::Header;
    /// # #[derive(Header)]
    /// # struct Tunnel { vni: opte_headers::Vni, flags: u8 }
    ///
    /// impl Stacked for Tunnel {
    ///     const KIND: HeaderKind = HeaderKind::own("Tunnel of the laboratory");
    /// }
    /// ```
    #[must_use]
    pub const fn own(name: &str) -> Self {
        // FNV-1a.
        let mut hash = 0x811c_9dc5_u32;
        let mut rest = name.as_bytes();
        while let [byte, behind @ ..] = rest {
            hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
            rest = behind;
        }
        Self((hash % (256 - Self::FIRST_OWN)) as u8 + Self::FIRST_OWN as u8)
    }

    /// Whether this is a network-layer header of IP.
    #[must_use]
    pub const fn is_ip(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6)
    }

    /// Whether a header is known by this: not [`HeaderKind::None`], nor [`HeaderKind::Other`].
    #[must_use]
    pub const fn is_known(self) -> bool {
        !matches!(self, Self::None | Self::Other)
    }

    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    const FIRST_OWN: u32 = 64;

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => "None",
            Self::Ethernet => "Ethernet",
            Self::Vlan => "Vlan",
            Self::Arp => "Arp",
            Self::Ipv4 => "Ipv4",
            Self::Ipv6 => "Ipv6",
            Self::Tcp => "Tcp",
            Self::Udp => "Udp",
            Self::Icmpv4 => "Icmpv4",
            Self::Icmpv6 => "Icmpv6",
            Self::Geneve => "Geneve",
            Self::Other => "Other",
            _ => return None,
        })
    }
}

impl fmt::Debug for HeaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Own({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn kinds_by_name() {
        assert_eq!(size_of::<HeaderKind>(), 1);
        let (a, b) = (HeaderKind::own("Tunnel"), HeaderKind::own("Mpls"));
        assert!(a != b && a.is_known() && a.0 >= 64);
        assert_eq!(HeaderKind::own("Tunnel"), a);
        assert!(!HeaderKind::Other.is_known() && !HeaderKind::default().is_known());
        assert_eq!(format!("{:?}", HeaderKind::Geneve), "Geneve");
        assert!(format!("{a:?}").starts_with("Own("));
    }
}
