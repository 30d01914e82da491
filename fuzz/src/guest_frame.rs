//! The parser of a guest's frame against one that works byte by byte; what it says lies in the frame.

use crate::oracle;
use opte_headers::frame::{HeaderKind, Parsed, parse_guest};
use opte_headers::*;

/// Parses `frame`.
pub fn check(frame: &[u8]) {
    let parsed = parse_guest(frame);
    let found = parsed.ok().map(|p| (p.key, p.l3(), p.l4()));
    assert_eq!(found, oracle::guest(frame));
    let Ok(parsed) = parsed else { return };
    lies_in(&parsed, frame);
    assert_eq!(parsed.key.mirror().mirror(), parsed.key);
    assert!(!parsed.is_tunnelled());
    // A frame too long for the quick way goes the thorough one.
    let mut long = frame.to_vec();
    long.resize(70_000, 0);
    let mut thorough = parse_guest(&long).unwrap();
    if parsed.l3().is_none() {
        thorough.frame_len = parsed.frame_len;
    }
    assert_eq!(thorough, parsed);
}

/// Offsets ascend within the frame, and where a header is said to be there is one.
pub(crate) fn lies_in(parsed: &Parsed, frame: &[u8]) {
    assert!(parsed.frame_len as usize <= frame.len());
    assert!(parsed.payload <= parsed.frame_len);
    assert_eq!(
        parsed.shape.iter().count(),
        usize::from(parsed.offsets.count())
    );
    assert!(parsed.offsets.iter().is_sorted());
    assert!(
        parsed
            .offsets
            .iter()
            .all(|at| u32::from(at) <= parsed.frame_len)
    );
    for index in 0..parsed.offsets.count() {
        let seen = match parsed.shape.at(index) {
            HeaderKind::Ethernet => parsed.view::<Ethernet>(frame, index).is_some(),
            HeaderKind::Vlan => parsed.view::<Vlan>(frame, index).is_some(),
            HeaderKind::Arp => parsed.view::<Arp>(frame, index).is_some(),
            HeaderKind::Ipv4 => parsed.view::<Ipv4>(frame, index).is_some(),
            HeaderKind::Ipv6 => parsed.view::<Ipv6>(frame, index).is_some(),
            HeaderKind::Tcp => parsed.view::<Tcp>(frame, index).is_some(),
            HeaderKind::Udp => parsed.view::<Udp>(frame, index).is_some(),
            HeaderKind::Icmpv4 => parsed.view::<Icmpv4>(frame, index).is_some(),
            HeaderKind::Icmpv6 => parsed.view::<Icmpv6>(frame, index).is_some(),
            HeaderKind::Geneve => parsed.view::<Geneve>(frame, index).is_some(),
            HeaderKind::Other => true,
            _ => false,
        };
        assert!(seen, "{:?} at {index}", parsed.shape);
    }
    let _ = parsed.key.to_string();
}
