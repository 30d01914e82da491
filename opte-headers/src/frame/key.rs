//! The key of a flow.

use crate::ip_protocol::IpProtocol;
use crate::vni::Vni;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What all packets of a flow, in one direction, have in common. 42 bytes without padding.
///
/// IPv4 addresses stand as `::ffff:a.b.c.d`; an IPv6 packet with such an address is refused by the parsers, so the two
/// cannot be mixed up. Ports are numbers, in the machine's order.
///
/// | packet | `source_port` | `destination_port` | `kind` |
/// |---|---|---|---|
/// | TCP, UDP, SCTP | source port | destination port | `PLAIN` |
/// | ICMP echo | identifier | identifier | `ECHO_REQUEST`, `ECHO_REPLY` |
/// | other ICMP | type << 8 \| code | 0 | `ICMP` |
/// | other protocols | 0 | 0 | `PLAIN` |
/// | fragments but the first | 0 | 0 | `FRAGMENT` |
/// | frames that are not IP | 0 | the Ethertype | `NOT_IP` |
#[derive(Clone, Copy, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowKey {
    /// Source address.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Source port, or what stands for it.
    pub source_port: u16,
    /// Destination port, or what stands for it.
    pub destination_port: u16,
    /// Virtual network, as on the wire; [`FlowKey::vni`] gives it as a type.
    pub vni: [u8; 3],
    /// IP protocol.
    pub protocol: u8,
    /// Discriminators of the network definition; zero as parsed.
    pub flags: u8,
    /// How ports are to be read.
    pub kind: KeyKind,
}

/// How the ports of a [`FlowKey`] are to be read.
#[derive(
    Clone,
    Copy,
    Debug,
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
)]
#[repr(transparent)]
pub struct KeyKind(pub u8);

impl KeyKind {
    /// Ports as they stand, or none.
    pub const PLAIN: Self = Self(0);
    /// ICMP echo request.
    pub const ECHO_REQUEST: Self = Self(1);
    /// ICMP echo reply.
    pub const ECHO_REPLY: Self = Self(2);
    /// Other ICMP.
    pub const ICMP: Self = Self(3);
    /// A fragment that is not the first.
    pub const FRAGMENT: Self = Self(4);
    /// Not IP.
    pub const NOT_IP: Self = Self(5);
}

impl FlowKey {
    /// All zeros.
    pub const ZERO: Self = Self {
        source: [0; 16],
        destination: [0; 16],
        source_port: 0,
        destination_port: 0,
        protocol: 0,
        flags: 0,
        kind: KeyKind::PLAIN,
        vni: [0; 3],
    };

    /// All of the key in words of the machine's byte order, the last one filled up with zeros.
    #[inline(always)]
    pub fn words(&self) -> [u64; 6] {
        let words: Words = zerocopy::transmute!(*self);
        let [a, b, c, d, e] = words.whole.map(u64::from_ne_bytes);
        [a, b, c, d, e, u64::from(u16::from_ne_bytes(words.rest))]
    }

    /// The key of the packets that answer: addresses and ports swapped, an echo request turned into its reply.
    #[must_use]
    pub fn mirror(&self) -> Self {
        let swap_ports = self.kind != KeyKind::ICMP && self.kind != KeyKind::NOT_IP;
        let (source_port, destination_port) = if swap_ports {
            (self.destination_port, self.source_port)
        } else {
            (self.source_port, self.destination_port)
        };
        let kind = match self.kind {
            KeyKind::ECHO_REQUEST => KeyKind::ECHO_REPLY,
            KeyKind::ECHO_REPLY => KeyKind::ECHO_REQUEST,
            other => other,
        };
        Self {
            source: self.destination,
            destination: self.source,
            source_port,
            destination_port,
            kind,
            ..*self
        }
    }

    /// Whether both addresses are of IPv4.
    #[inline]
    pub fn is_v4(&self) -> bool {
        is_v4(&self.source) && is_v4(&self.destination)
    }

    /// Whether the packet was IPv6.
    #[inline]
    pub fn is_v6(&self) -> bool {
        self.kind != KeyKind::NOT_IP && !self.is_v4()
    }

    /// Source address.
    #[inline]
    pub fn source_ip(&self) -> IpAddr {
        address_of(&self.source)
    }

    /// Destination address.
    #[inline]
    pub fn destination_ip(&self) -> IpAddr {
        address_of(&self.destination)
    }

    /// The same key from another source.
    #[must_use]
    pub fn with_source_ip(self, address: IpAddr) -> Self {
        Self {
            source: Self::octets_of(address),
            ..self
        }
    }

    /// The same key to another destination.
    #[must_use]
    pub fn with_destination_ip(self, address: IpAddr) -> Self {
        Self {
            destination: Self::octets_of(address),
            ..self
        }
    }

    /// IP protocol.
    #[inline]
    pub const fn ip_protocol(&self) -> IpProtocol {
        IpProtocol(self.protocol)
    }

    /// Virtual network, zero where there is none.
    #[inline]
    pub const fn vni(&self) -> Vni {
        Vni::from_be_bytes(self.vni)
    }

    /// The same key in another virtual network.
    #[inline]
    #[must_use]
    pub const fn with_vni(self, vni: Vni) -> Self {
        Self {
            vni: vni.to_be_bytes(),
            ..self
        }
    }

    /// As [`FlowKey::with_vni`].
    #[inline(always)]
    #[must_use]
    pub fn with_key_vni(self, KeyVni(vni): KeyVni) -> Self {
        // In words, as keys are looked at next: bytes written one by one cannot be read as a word at once.
        let mut words: Words = zerocopy::transmute!(self);
        let [.., last] = &mut words.whole;
        *last = (u64::from_ne_bytes(*last) & !KeyVni::ALL | vni).to_ne_bytes();
        zerocopy::transmute!(words)
    }

    /// Whether this is its virtual network.
    #[inline(always)]
    pub fn is_in(&self, KeyVni(vni): KeyVni) -> bool {
        let [.., last, _] = self.words();
        last & KeyVni::ALL == vni
    }

    /// The same key with other discriminators.
    #[inline(always)]
    #[must_use]
    pub fn with_flags(self, flags: u8) -> Self {
        // As above.
        let mut words: Words = zerocopy::transmute!(self);
        let [_, kind] = words.rest;
        words.rest = [flags, kind];
        zerocopy::transmute!(words)
    }

    /// ICMP or ICMPv6 type and code.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        let v4 = self.protocol == IpProtocol::ICMP.0;
        match self.kind {
            KeyKind::ECHO_REQUEST => Some((if v4 { 8 } else { 128 }, 0)),
            KeyKind::ECHO_REPLY => Some((if v4 { 0 } else { 129 }, 0)),
            KeyKind::ICMP => {
                let [ty, code] = self.source_port.to_be_bytes();
                Some((ty, code))
            }
            _ => None,
        }
    }

    /// How an address stands in the key.
    #[inline]
    pub const fn octets_of(address: IpAddr) -> [u8; 16] {
        match address {
            IpAddr::V4(v4) => Self::octets_of_v4(v4),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    /// How an IPv4 address stands in the key.
    #[inline(always)]
    pub const fn octets_of_v4(address: Ipv4Addr) -> [u8; 16] {
        let [a, b, c, d] = address.octets();
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
    }
}

/// Word by word: every packet is compared with the flow that is found for it.
impl PartialEq for FlowKey {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let differences = self.words().into_iter().zip(other.words());
        differences.fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().hash(state);
    }
}

/// The bytes of a key.
#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Words {
    whole: [[u8; 8]; 5],
    rest: [u8; 2],
}

/// A virtual network as it stands in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyVni(u64);

impl KeyVni {
    /// Of the last whole word.
    const ALL: u64 = u64::from_ne_bytes([0, 0, 0, 0, 0xff, 0xff, 0xff, 0]);

    /// Of a virtual network.
    #[must_use]
    pub fn of(vni: Vni) -> Self {
        let [a, b, c] = vni.to_be_bytes();
        Self::of_wire([a, b, c, 0])
    }

    /// Of the four bytes of a header that begin with it.
    #[inline(always)]
    pub(crate) fn of_wire([a, b, c, _]: [u8; 4]) -> Self {
        Self(u64::from_ne_bytes([0, 0, 0, 0, a, b, c, 0]))
    }
}

const _: () = assert!(
    core::mem::offset_of!(FlowKey, vni) == 32 + 4 && core::mem::offset_of!(FlowKey, flags) == 40
);

/// Whether an address of the key is one of IPv4.
#[inline]
const fn is_v4(address: &[u8; 16]) -> bool {
    u128::from_be_bytes(*address) >> 32 == 0xffff
}

/// An address of the key.
#[inline]
const fn address_of(address: &[u8; 16]) -> IpAddr {
    let bits = u128::from_be_bytes(*address);
    if is_v4(address) {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}

impl Default for FlowKey {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            KeyKind::NOT_IP => return write!(f, "ethertype {:#06x}", self.destination_port),
            KeyKind::PLAIN => write!(f, "{}", self.ip_protocol())?,
            KeyKind::FRAGMENT => write!(f, "{} fragment", self.ip_protocol())?,
            _ => {
                let (ty, code) = self.icmp().unwrap_or_default();
                write!(f, "{} {ty}/{code}", self.ip_protocol())?;
            }
        }
        let (source, destination) = (self.source_ip(), self.destination_ip());
        match self.kind {
            KeyKind::PLAIN => write!(
                f,
                " {source}:{} -> {destination}:{}",
                self.source_port, self.destination_port
            )?,
            KeyKind::ECHO_REQUEST | KeyKind::ECHO_REPLY => {
                write!(f, " id {} {source} -> {destination}", self.source_port)?;
            }
            _ => write!(f, " {source} -> {destination}")?,
        }
        if self.vni != [0; 3] {
            write!(f, " vni {}", self.vni())?;
        }
        if self.flags != 0 {
            write!(f, " flags {:#04x}", self.flags)?;
        }
        Ok(())
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlowKey({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    fn key() -> FlowKey {
        FlowKey {
            source: FlowKey::octets_of("10.0.0.1".parse().unwrap()),
            destination: FlowKey::octets_of("10.0.0.2".parse().unwrap()),
            source_port: 1234,
            destination_port: 80,
            protocol: 6,
            ..FlowKey::ZERO
        }
    }

    #[test]
    fn size_and_text() {
        assert_eq!(size_of::<FlowKey>(), 42);
        assert_eq!(key().to_string(), "TCP 10.0.0.1:1234 -> 10.0.0.2:80");
        let vni = Vni::new(0xabcdef).unwrap();
        assert_eq!(key().with_vni(vni).vni(), vni);
        assert_eq!(
            key().with_vni(vni).to_string(),
            "TCP 10.0.0.1:1234 -> 10.0.0.2:80 vni 11259375"
        );
        assert!(key().is_v4());
        assert!(!key().with_source_ip("fd00::1".parse().unwrap()).is_v4());
    }

    #[test]
    fn the_mirror_of_the_mirror_is_the_key() {
        for kind in 0..6 {
            let key = FlowKey {
                kind: KeyKind(kind),
                ..key()
            };
            assert_eq!(key.mirror().mirror(), key);
        }
        assert_eq!(key().mirror().source_port, 80);
        let echo = FlowKey {
            kind: KeyKind::ECHO_REQUEST,
            protocol: 1,
            ..key()
        };
        assert_eq!(
            (echo.icmp(), echo.mirror().icmp()),
            (Some((8, 0)), Some((0, 0)))
        );
        let unreachable = FlowKey {
            kind: KeyKind::ICMP,
            protocol: 1,
            source_port: 0x0304,
            ..key()
        };
        assert_eq!(unreachable.mirror().icmp(), Some((3, 4)));
    }
}
