//! Network service header (RFC 8300).

use arbitrary_int::prelude::*;
use opte_headers::{Ethernet, Ethertype, Header, Ipv4, Ipv6, TailBytes};

/// Network service header (RFC 8300, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x894f)), carries(Ipv4 = 1, Ipv6 = 2, Ethernet = 3))]
pub struct Nsh {
    /// Always 0.
    #[header(const = 0)]
    pub version: u2,
    /// A packet of operations and maintenance.
    pub oam: bool,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u1,
    /// Service functions the packet may still pass.
    #[header(default = 63)]
    pub ttl: u6,
    /// Length of the header in units of four bytes.
    #[header(length(of = header, unit = 4))]
    pub length: u6,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u4,
    /// What the context is: 1 is sixteen bytes, 2 a list.
    #[header(default = 2)]
    pub md_type: u4,
    /// What follows.
    #[header(next)]
    pub next_protocol: u8,
    /// The path.
    pub service_path: u24,
    /// Where on the path.
    #[header(default = 255)]
    pub service_index: u8,
    /// The context.
    #[header(bytes(len = length * 4 - 8))]
    pub context: TailBytes<244>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_length_context() {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&[0x0f, 0xc6, 0x01, 0x03, 0x00, 0x00, 0x2a, 0xff]);
        bytes[23] = 7;
        let (view, rest) = Nsh::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!((view.ttl(), view.length()), (u6::new(63), u6::new(6)));
        assert_eq!(view.service_path(), u24::new(42));
        assert_eq!(view.context().len(), 16);
        let mut out = [0; 24];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(24));
        assert_eq!(out, bytes);
    }

    #[test]
    fn shorter_than_itself() {
        let error = Nsh::parse(&[0x0f, 0xc1, 1, 1, 0, 0, 1, 255]).unwrap_err();
        assert_eq!((error.header, error.field), ("Nsh", "context"));
    }
}
