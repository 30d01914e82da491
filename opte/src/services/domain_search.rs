//! Lists of domain names as DHCP carries them.

use alloc::vec::Vec;

use crate::api::DomainName;

/// The names one behind the other, compressed by pointers into the list itself (RFC 3397, section 2; RFC 1035, section 4.1.4).
pub(super) fn compressed(names: &[DomainName]) -> Vec<u8> {
    let mut out = Vec::new();
    // The ends of names written so far, each with the place of its first label.
    let mut written: Vec<(&str, u16)> = Vec::new();
    for name in names {
        let mut rest = name.as_str();
        loop {
            if let Some((_, place)) = written.iter().find(|(suffix, _)| *suffix == rest) {
                out.extend_from_slice(&(POINTER | place).to_be_bytes());
                break;
            }
            let place = u16::try_from(out.len()).unwrap_or(POINTER);
            if place < POINTER && !rest.is_empty() {
                written.push((rest, place));
            }
            let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
            // A label has at most 63 octets; the empty one is the root.
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
            if label.is_empty() {
                break;
            }
            rest = tail;
        }
    }
    out
}

/// The names one behind the other, in full: DHCPv6 forbids pointers (RFC 8415, section 10).
pub(super) fn uncompressed(names: &[DomainName]) -> Vec<u8> {
    names.iter().flat_map(DomainName::encoded).collect()
}

/// The two upper bits that tell a pointer from a label's length.
const POINTER: u16 = 0xc000;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<DomainName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn ends_in_common_are_written_once() {
        let cases: &[(&[&str], &[u8])] = &[
            (&[], b""),
            (&["a.b"], b"\x01a\x01b\0"),
            // RFC 3397, section 2: the RFC's own example.
            (
                &["eng.apple.com", "marketing.apple.com"],
                b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04",
            ),
            (&["x.y", "x.y", "y"], b"\x01x\x01y\0\xc0\x00\xc0\x02"),
        ];
        for (texts, expected) in cases {
            assert_eq!(compressed(&names(texts)), *expected, "{texts:?}");
        }
        assert_eq!(
            uncompressed(&names(&["x.y", "z.y"])),
            b"\x01x\x01y\0\x01z\x01y\0"
        );
    }
}
