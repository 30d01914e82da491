//! Virtual router redundancy protocol, version 3 (RFC 9568).

use arbitrary_int::prelude::*;
use core::net::Ipv4Addr;
use opte_headers::tail::Items;
use opte_headers::{Header, IpProtocol, Ipv4};

/// VRRP advertisement for IPv4 (RFC 9568, section 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ipv4 = IpProtocol::VRRP))]
pub struct Vrrp {
    /// Always 3.
    #[header(const = 3)]
    pub version: u4,
    /// Always 1.
    #[header(const = 1)]
    pub kind: u4,
    /// The virtual router.
    pub router: u8,
    /// The sender's priority.
    #[header(default = 100)]
    pub priority: u8,
    /// How many addresses.
    #[header(length(of = tail, unit = 4))]
    pub count: u8,
    /// Zero.
    #[header(reserved)]
    pub reserved: u4,
    /// Hundredths of a second between advertisements.
    #[header(default = 100)]
    pub interval: u12,
    /// Of the message and the pseudo-header.
    #[header(checksum(pseudo))]
    pub checksum: u16,
    /// The addresses.
    #[header(bytes(len = count * 4))]
    pub addresses: Items<Ipv4Addr, 1020>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use opte_headers::Covers;

    /// From 192.0.2.2 to 224.0.0.18.
    #[test]
    fn advertisement() {
        let bytes = [0x31, 1, 100, 1, 0, 100, 0x06, 0x06, 192, 0, 2, 1];
        let (view, rest) = Vrrp::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert!(view.addresses().iter().eq([Ipv4Addr::new(192, 0, 2, 1)]));
        let sent = Vrrp {
            router: 1,
            checksum: 0x0606,
            addresses: Items::of(&[Ipv4Addr::new(192, 0, 2, 1)]).unwrap(),
            ..Vrrp::default()
        };
        let mut out = [0; 12];
        assert_eq!(sent.emit(&mut out), Ok(12));
        assert_eq!(out, bytes);
        let role = Vrrp::CHECKSUM.unwrap();
        let zero_is_none = false;
        assert_eq!(
            (role.offset, role.covers),
            (6, Covers::Pseudo { zero_is_none })
        );
    }

    #[test]
    fn more_addresses_than_bytes() {
        assert!(Vrrp::parse(&[0x31, 1, 100, 2, 0, 100, 0, 0, 192, 0, 2, 1]).is_err());
    }
}
