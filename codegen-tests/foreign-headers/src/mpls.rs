//! Multiprotocol label switching (RFC 3032).

use arbitrary_int::prelude::*;
use opte_headers::{Ethernet, Ethertype, Header};

/// MPLS label stack entry (RFC 3032, section 2.1; RFC 5462).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x8847) | Ethertype(0x8848), Mpls), len = 4)]
pub struct Mpls {
    /// The label.
    pub label: u20,
    /// Traffic class.
    pub traffic_class: u3,
    /// This entry is the last one.
    pub bottom: bool,
    /// Hops the packet may still make.
    #[header(default = 255)]
    pub ttl: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use opte_headers::Follows;

    #[test]
    fn two_labels() {
        let bytes = [0x00, 0x01, 0x20, 0xff, 0x00, 0x01, 0x01, 0xff, 0x45];
        let (outer, rest) = Mpls::parse(&bytes).unwrap();
        assert_eq!((outer.label(), outer.bottom()), (u20::new(18), false));
        let (inner, rest) = Mpls::parse(rest).unwrap();
        assert_eq!((inner.label(), inner.bottom()), (u20::new(16), true));
        assert_eq!((inner.ttl(), rest), (255, &[0x45][..]));
    }

    #[test]
    fn places_in_the_stack() {
        let unicast = <Mpls as Follows<Ethernet>>::SELECTOR;
        assert_eq!(unicast, Some(Ethertype(0x8847)));
        assert!(<Mpls as Follows<Ethernet>>::follows(Ethertype(0x8848)));
        assert!(!<Mpls as Follows<Ethernet>>::follows(Ethertype::IPV4));
        assert_eq!(<Mpls as Follows<Mpls>>::SELECTOR, None);
    }
}
