//! Generic Routing Encapsulation (RFC 2784, RFC 2890).

use crate::bytes::Bytes;
use crate::frame::Stacked;
use crate::protocol::{
    Ethernet, Ipv4, Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop, Ipv6Routing,
};
use crate::{Ethertype, Header, IpProtocol, Tail, TailBytes};
use arbitrary_int::prelude::*;

/// GRE header (RFC 2784, section 2; key and sequence number: RFC 2890, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(
    follows(
        Ipv4 = IpProtocol::GRE,
        Ipv6 = IpProtocol::GRE,
        Ipv6HopByHop = IpProtocol::GRE,
        Ipv6Routing = IpProtocol::GRE,
        Ipv6Destination = IpProtocol::GRE,
        Ipv6Fragment = IpProtocol::GRE
    ),
    carries(Ethernet = Ethertype::ETHERNET, Ipv4 = Ethertype::IPV4, Ipv6 = Ethertype::IPV6),
    len = 4
)]
pub struct Gre {
    /// A checksum of header and payload is there.
    #[header(read_only)]
    pub checksum_present: bool,
    /// No source route: RFC 1701 had one, RFC 2784 has receivers drop it.
    #[header(const = 0)]
    pub routing_present: u1,
    /// A key is there.
    #[header(read_only)]
    pub key_present: bool,
    /// A sequence number is there.
    #[header(read_only)]
    pub sequence_present: bool,
    /// 0; receivers drop anything else.
    #[header(const = 0)]
    pub strict_route: u2,
    /// Zero.
    #[header(reserved)]
    pub reserved: u7,
    /// Always 0.
    #[header(const = 0)]
    pub version: u3,
    /// What follows.
    #[header(next)]
    pub protocol: Ethertype,
    /// Checksum and two bytes of zero, key, sequence number, as far as they are there: four bytes each.
    #[header(bytes(len = checksum_present * 4 + key_present * 4 + sequence_present * 4))]
    pub optional: TailBytes<12>,
}

impl Gre {
    /// A header without checksum.
    ///
    /// ```
    /// use opte_headers::{Ethertype, Gre, Header};
    /// let mut out = [0; 8];
    /// Gre::new(Ethertype::IPV4, Some(0x0a0b_0c0d), None).emit(&mut out).unwrap();
    /// assert_eq!(out, [0x20, 0, 0x08, 0, 0x0a, 0x0b, 0x0c, 0x0d]);
    /// ```
    pub fn new(protocol: Ethertype, key: Option<u32>, sequence: Option<u32>) -> Self {
        let words = key.into_iter().chain(sequence).flat_map(u32::to_be_bytes);
        let mut bytes = [0; 8];
        bytes
            .iter_mut()
            .zip(words)
            .for_each(|(to, from)| *to = from);
        let len = 4 * (usize::from(key.is_some()) + usize::from(sequence.is_some()));
        Self {
            protocol,
            key_present: key.is_some(),
            sequence_present: sequence.is_some(),
            optional: TailBytes::from_bytes(bytes.get(..len).unwrap_or_default())
                .unwrap_or_default(),
            ..Self::default()
        }
    }
}

impl<B: Bytes> GreView<B> {
    /// Tells one flow in the tunnel from another.
    pub fn key(&self) -> Option<u32> {
        let place = usize::from(self.checksum_present());
        self.key_present().then(|| self.word(place))?
    }

    /// The packet's place among those of the tunnel.
    pub fn sequence(&self) -> Option<u32> {
        let place = usize::from(self.checksum_present()) + usize::from(self.key_present());
        self.sequence_present().then(|| self.word(place))?
    }

    /// The checksum of header and payload.
    pub fn checksum(&self) -> Option<u16> {
        let word = self.checksum_present().then(|| self.word(0))??;
        Some((word >> 16) as u16)
    }

    fn word(&self, place: usize) -> Option<u32> {
        let (words, _) = self.tail().as_chunks();
        words.get(place).copied().map(u32::from_be_bytes)
    }
}

impl Stacked for Gre {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, ParseError};

    #[test]
    fn plain() {
        let bytes = [0x00, 0x00, 0x08, 0x00, 0x45];
        let (view, rest) = Gre::parse(&bytes).unwrap();
        assert_eq!((view.protocol(), rest), (Ethertype::IPV4, &[0x45][..]));
        assert_eq!(
            (view.key(), view.sequence(), view.checksum()),
            (None, None, None)
        );
        assert_eq!(
            view.to_owned().unwrap(),
            Gre::new(Ethertype::IPV4, None, None)
        );
    }

    #[test]
    fn checksum_key_and_sequence() {
        let bytes = [
            0xb0, 0x00, 0x65, 0x58, 0x12, 0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x00, 0x00,
            0x00, 0x07,
        ];
        let (view, rest) = Gre::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            (view.checksum(), view.key(), view.sequence()),
            (Some(0x1234), Some(100), Some(7))
        );
        let mut out = [0; 16];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(16));
        assert_eq!(out, bytes);
        let (view, _) = Gre::parse(&[0x10, 0, 0x08, 0, 0, 0, 0, 9]).unwrap();
        assert_eq!((view.key(), view.sequence()), (None, Some(9)));
    }

    #[test]
    fn routing_and_missing_words_are_refused() {
        assert_eq!(
            Gre::parse(&[0x40, 0, 8, 0]).unwrap_err(),
            ParseError::illegal("Gre", "routing_present", 1)
        );
        assert_eq!(
            Gre::parse(&[0x30, 0, 8, 0, 1, 2, 3, 4]).unwrap_err().cause,
            Cause::Truncated {
                needed: 12,
                available: 8
            }
        );
    }
}
