//! Layer two tunnelling protocol, version 3 (RFC 3931).

use arbitrary_int::prelude::*;
use opte_headers::{Header, Udp};

/// L2TPv3 data header over UDP (RFC 3931, section 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[header(follows(Udp = 1701), len = 8)]
pub struct L2tpv3 {
    /// A control message.
    pub control: bool,
    /// Zero.
    #[header(reserved)]
    pub reserved1: u11,
    /// Always 3.
    #[header(const = 3)]
    pub version: u4,
    /// Zero.
    #[header(reserved)]
    pub reserved2: u16,
    /// The session.
    pub session: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data() {
        let bytes = [0x00, 0x03, 0, 0, 0, 0, 0, 0x64, 1];
        let (view, rest) = L2tpv3::parse(&bytes).unwrap();
        assert_eq!(
            (view.control(), view.session(), rest),
            (false, 100, &[1][..])
        );
        // Version 2 shares the port.
        assert!(L2tpv3::parse(&[0x40, 0x02, 0, 20, 0, 0, 0, 0]).is_err());
    }
}
