//! What a rule asks of a packet.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;

use opte_headers::{Ethertype, IpProtocol};

use crate::flow::Fields;
use crate::lpm::left_aligned;
use crate::network::Network;

/// A question to a packet that is answered by its flow key and the metadata of the walk, never by anything else: so the
/// answer holds for every packet of the flow.
pub enum Predicate<N: Network> {
    /// The frame's ethertype.
    Ethertype(Ethertype),
    /// The source address lies in the prefix.
    Source(IpPrefix),
    /// The destination address lies in the prefix.
    Destination(IpPrefix),
    /// The protocol over IP.
    Protocol(IpProtocol),
    /// The source port (TCP, UDP, SCTP) lies in the range.
    SourcePort(RangeInclusive<u16>),
    /// The destination port (TCP, UDP, SCTP) lies in the range.
    DestinationPort(RangeInclusive<u16>),
    /// The ICMP or ICMPv6 type lies in the range. The protocol is a predicate of its own.
    IcmpType(RangeInclusive<u8>),
    /// The ICMP or ICMPv6 code lies in the range.
    IcmpCode(RangeInclusive<u8>),
    /// The key's discriminator bits under `mask` are `value` (classes of MAC addresses, as the network's parser set them).
    Flags {
        /// Bits that are looked at.
        mask: u8,
        /// What they must be.
        value: u8,
        /// What that says of the packet, for dumps.
        name: &'static str,
    },
    /// A question to the metadata of the walk.
    Meta(Arc<dyn MetaPredicate<N>>),
    /// The opposite.
    Not(Box<Predicate<N>>),
    /// At least one of them.
    Any(Vec<Predicate<N>>),
    /// Each of them.
    All(Vec<Predicate<N>>),
}

/// A question to the metadata of the walk. `Display` gives the text of the dump, such as `vni=99`.
pub trait MetaPredicate<N: Network>: fmt::Display + Send + Sync {
    /// The answer.
    fn matches(&self, meta: &N::Meta) -> bool;

    /// If the question is whether [`Network::meta_value`] of some number is some value, that number and that value: such
    /// questions are looked up, however many rules ask them. It is always the same.
    fn value(&self) -> Option<(usize, u64)> {
        None
    }
}

impl<N: Network> Predicate<N> {
    /// Whether a packet with these fields and this metadata is one of those asked for. A packet that lacks the header
    /// asked for is not.
    #[inline]
    pub fn matches(&self, fields: &Fields, meta: &N::Meta) -> bool {
        match self {
            Predicate::Ethertype(ethertype) => fields.ethertype == *ethertype,
            Predicate::Source(prefix) => fields.source.is_some_and(|ip| prefix.contains(ip)),
            Predicate::Destination(prefix) => {
                fields.destination.is_some_and(|ip| prefix.contains(ip))
            }
            Predicate::Protocol(protocol) => fields.protocol == Some(*protocol),
            Predicate::SourcePort(range) => {
                fields.source_port.is_some_and(|port| range.contains(&port))
            }
            Predicate::DestinationPort(range) => fields
                .destination_port
                .is_some_and(|port| range.contains(&port)),
            Predicate::IcmpType(range) => fields.icmp.is_some_and(|(ty, _)| range.contains(&ty)),
            Predicate::IcmpCode(range) => {
                fields.icmp.is_some_and(|(_, code)| range.contains(&code))
            }
            Predicate::Flags { mask, value, .. } => fields.flags & mask == *value,
            Predicate::Meta(predicate) => predicate.matches(meta),
            Predicate::Not(_) | Predicate::Any(_) | Predicate::All(_) => {
                self.compound_matches(fields, meta)
            }
        }
    }

    /// Stands apart, so that the others need no call.
    #[inline(never)]
    fn compound_matches(&self, fields: &Fields, meta: &N::Meta) -> bool {
        match self {
            Predicate::Not(predicate) => !predicate.matches(fields, meta),
            Predicate::Any(predicates) => predicates.iter().any(|p| p.matches(fields, meta)),
            Predicate::All(predicates) => predicates.iter().all(|p| p.matches(fields, meta)),
            simple => simple.matches(fields, meta),
        }
    }
}

impl<N: Network> Clone for Predicate<N> {
    fn clone(&self) -> Self {
        match self {
            Predicate::Ethertype(ethertype) => Predicate::Ethertype(*ethertype),
            Predicate::Source(prefix) => Predicate::Source(*prefix),
            Predicate::Destination(prefix) => Predicate::Destination(*prefix),
            Predicate::Protocol(protocol) => Predicate::Protocol(*protocol),
            Predicate::SourcePort(range) => Predicate::SourcePort(range.clone()),
            Predicate::DestinationPort(range) => Predicate::DestinationPort(range.clone()),
            Predicate::IcmpType(range) => Predicate::IcmpType(range.clone()),
            Predicate::IcmpCode(range) => Predicate::IcmpCode(range.clone()),
            Predicate::Flags { mask, value, name } => Predicate::Flags {
                mask: *mask,
                value: *value,
                name,
            },
            Predicate::Meta(predicate) => Predicate::Meta(Arc::clone(predicate)),
            Predicate::Not(predicate) => Predicate::Not(predicate.clone()),
            Predicate::Any(predicates) => Predicate::Any(predicates.clone()),
            Predicate::All(predicates) => Predicate::All(predicates.clone()),
        }
    }
}

impl<N: Network> fmt::Display for Predicate<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::Ethertype(ethertype) => write!(f, "inner.ether.ether_type={ethertype}"),
            Predicate::Source(prefix) => write!(f, "inner.{}.src={prefix}", prefix.family()),
            Predicate::Destination(prefix) => write!(f, "inner.{}.dst={prefix}", prefix.family()),
            Predicate::Protocol(protocol) => write!(f, "inner.ip.proto={protocol}"),
            Predicate::SourcePort(range) => write_range(f, "inner.ulp.src", range),
            Predicate::DestinationPort(range) => write_range(f, "inner.ulp.dst", range),
            Predicate::IcmpType(range) => write_range(f, "inner.icmp.type", range),
            Predicate::IcmpCode(range) => write_range(f, "inner.icmp.code", range),
            Predicate::Flags { name, .. } => f.write_str(name),
            Predicate::Meta(predicate) => write!(f, "meta: {predicate}"),
            Predicate::Not(predicate) => write!(f, "!{predicate}"),
            Predicate::Any(predicates) => write_list(f, "any", predicates),
            Predicate::All(predicates) => write_list(f, "all", predicates),
        }
    }
}

impl<N: Network> fmt::Debug for Predicate<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A prefix of one address family: `192.0.2.0/24`, `2001:db8::/32`. Host bits are cleared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpPrefix {
    /// The bits from the most significant one on, the rest zero.
    bits: u128,
    len: u8,
    v4: bool,
}

impl IpPrefix {
    /// The prefix of `len` bits around `address`; `None` if `len` is more than the family has.
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        let v4 = address.is_ipv4();
        if len > Self::width(v4) {
            return None;
        }
        Some(Self {
            bits: left_aligned(address) & Self::mask(len),
            len,
            v4,
        })
    }

    /// The prefix that holds `address` only.
    pub fn exact(address: impl Into<IpAddr>) -> Self {
        let address = address.into();
        let v4 = address.is_ipv4();
        Self {
            bits: left_aligned(address),
            len: Self::width(v4),
            v4,
        }
    }

    /// Whether `address` is of this family and begins with these bits.
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.v4
            && (left_aligned(address) ^ self.bits) & Self::mask(self.len) == 0
    }

    /// Its lowest address.
    pub fn address(&self) -> IpAddr {
        if self.v4 {
            IpAddr::from(((self.bits >> 96) as u32).to_be_bytes())
        } else {
            IpAddr::from(self.bits.to_be_bytes())
        }
    }

    /// How many bits it fixes.
    pub fn prefix_len(&self) -> u8 {
        self.len
    }

    /// Whether it holds one address only.
    pub fn is_exact(&self) -> bool {
        self.len == Self::width(self.v4)
    }

    /// Whether it is a prefix of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.v4
    }

    fn family(&self) -> &'static str {
        if self.v4 { "ip" } else { "ip6" }
    }

    const fn width(v4: bool) -> u8 {
        if v4 { 32 } else { 128 }
    }

    fn mask(len: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_exact() {
            write!(f, "{}", self.address())
        } else {
            write!(f, "{}/{}", self.address(), self.len)
        }
    }
}

impl fmt::Debug for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_range<T: fmt::Display + PartialEq>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    range: &RangeInclusive<T>,
) -> fmt::Result {
    if range.start() == range.end() {
        write!(f, "{name}={}", range.start())
    } else {
        write!(f, "{name}∈({}..={})", range.start(), range.end())
    }
}

fn write_list<N: Network>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    predicates: &[Predicate<N>],
) -> fmt::Result {
    write!(f, "{name}(")?;
    for (i, predicate) in predicates.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(f, "{comma}{predicate}")?;
    }
    f.write_str(")")
}
