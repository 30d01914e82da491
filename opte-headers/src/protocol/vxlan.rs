//! Virtual eXtensible Local Area Network (RFC 7348).

use crate::frame::{Entered, Stacked, Step, Walk};
use crate::protocol::{Ethernet, Udp};
use crate::{Header, NoSelector, Vni, field_value};
use arbitrary_int::prelude::*;

/// VXLAN header (RFC 7348, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Udp = Vxlan::PORT), carries(Ethernet), len = 8)]
pub struct Vxlan {
    /// Whether there is a VNI, which there must be.
    #[header(bits = 8, default = VxlanFlags::VNI)]
    pub flags: VxlanFlags,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u24,
    /// The virtual network.
    #[header(key = vni)]
    pub vni: Vni,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u8,
}

impl Vxlan {
    /// UDP destination port (RFC 7348, section 5).
    pub const PORT: u16 = 4789;
}

bitflags::bitflags! {
    /// Flags of [`Vxlan`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct VxlanFlags: u8 {
        /// The VNI is valid.
        const VNI = 0x08;
        const _ = !0;
    }
}
field_value!(VxlanFlags as u8: VxlanFlags::from_bits_retain, VxlanFlags::bits);

impl Stacked for Vxlan {
    /// Refuses a header that does not say that its VNI is valid.
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        if !view.flags().contains(VxlanFlags::VNI) {
            walk.seldom()?;
            let flags = view.flags().bits().into();
            return Err(crate::ParseError::illegal(Self::NAME, "flags", flags));
        }
        walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.parsed.key.vni = view.vni().to_be_bytes();
        Ok(Step::then(NoSelector, rest))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Ethertype, IpProtocol, Ipv4, ParseError, Tcp};
    use std::vec::Vec;

    const HEADER: [u8; 8] = [0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7b, 0x00];

    crate::stack_parser! {
        #[header(crate = crate)]
        fn parse_vxlan = Ethernet Ipv4 Udp Vxlan Ethernet (Ipv4 (Tcp)?)?;
    }

    fn frame(header: [u8; 8]) -> Vec<u8> {
        fn bytes(header: &impl Header) -> Vec<u8> {
            let mut out = std::vec![0; header.len()];
            header.emit(&mut out).unwrap();
            out
        }
        let ethernet = bytes(&Ethernet {
            ethertype: Ethertype::IPV4,
            ..Ethernet::default()
        });
        let ipv4 = |protocol, len: u16| {
            bytes(&Ipv4 {
                protocol,
                total_len: 20 + len,
                ..Ipv4::default()
            })
        };
        let udp = bytes(&Udp {
            source: 50_000,
            destination: Vxlan::PORT,
            length: 70,
            checksum: 0,
        });
        let tcp = bytes(&Tcp {
            source: 1000,
            destination: 443,
            ..Tcp::default()
        });
        let inner = [ipv4(IpProtocol::TCP, 20), tcp].concat();
        [
            &ethernet,
            &ipv4(IpProtocol::UDP, 70),
            &udp,
            &header[..],
            &ethernet,
            &inner,
        ]
        .concat()
    }

    #[test]
    fn header() {
        let (view, rest) = Vxlan::parse(&HEADER).unwrap();
        assert!(rest.is_empty());
        assert_eq!(
            view.to_owned(),
            Vxlan {
                vni: Vni::new(123).unwrap(),
                ..Vxlan::default()
            }
        );
    }

    #[test]
    fn flow_in_the_tunnel() {
        let parsed = parse_vxlan(&frame(HEADER)).unwrap();
        assert_eq!(parsed.key.vni().as_u32(), 123);
        assert_eq!(
            (parsed.key.source_port, parsed.key.destination_port),
            (1000, 443)
        );
        assert_eq!((parsed.inner, parsed.l4()), (4, Some(84)));
    }

    #[test]
    fn without_vni() {
        let mut header = HEADER;
        header[0] = 0;
        assert_eq!(
            parse_vxlan(&frame(header)).unwrap_err(),
            ParseError::illegal("Vxlan", "flags", 0)
        );
    }
}
