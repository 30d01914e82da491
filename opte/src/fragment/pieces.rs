//! Which parts of a packet its fragments have brought.

use alloc::vec::Vec;

use opte_headers::frame::{HeaderKind, Parsed};
use opte_headers::{
    Cause, Header, IpProtocol, Ipv4, Ipv4Get, Ipv6, Ipv6Fragment, Ipv6FragmentGet, Ipv6Get,
    ParseError,
};

use crate::DropReason;

/// The part of a packet that a fragment brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its first byte, counted from behind the headers that all fragments have.
    pub(crate) start: u16,
    /// The byte behind its last one.
    pub(crate) end: u16,
    /// Nothing follows it.
    pub(crate) last: bool,
}

impl Piece {
    /// The part that the fragment `frame` brings.
    pub(crate) fn of(parsed: &Parsed, frame: &[u8]) -> Result<Self, ParseError> {
        let frame = parsed.trim(frame);
        let packet = parsed.l3().and_then(|at| frame.get(at..)).unwrap_or(&[]);
        if parsed.l3_kind() == HeaderKind::Ipv4 {
            let (ip, data) = Ipv4::parse(packet)?;
            return Self::new(
                ip.fragment_offset().value(),
                ip.more_fragments(),
                data.len(),
            );
        }
        let (ip, mut rest) = Ipv6::parse(packet)?;
        let mut next = ip.next_header();
        while next.is_ipv6_extension() {
            if next == IpProtocol::FRAGMENT {
                let (fragment, data) = Ipv6Fragment::parse(rest)?;
                let offset = fragment.fragment_offset().value();
                return Self::new(offset, fragment.more_fragments(), data.len());
            }
            let [following, units, ..] = *rest else {
                break;
            };
            next = IpProtocol(following);
            rest = rest.get(8 + 8 * usize::from(units)..).unwrap_or_default();
        }
        // A frame that was parsed as a fragment has the header.
        Err(ParseError::new(
            "Ipv6Fragment",
            "",
            Cause::Truncated {
                needed: 8,
                available: 0,
            },
        ))
    }

    /// All but the last fragment bring whole units of eight bytes, and none reaches behind the greatest packet (RFC 8200,
    /// section 4.5).
    fn new(units: u16, more: bool, len: usize) -> Result<Self, ParseError> {
        let bad = ParseError::bad_length("fragment", "length", len, 8);
        let start = usize::from(units) * 8;
        let (Ok(from), Ok(to)) = (u16::try_from(start), u16::try_from(start + len)) else {
            return Err(bad);
        };
        if len == 0 || more && !len.is_multiple_of(8) {
            return Err(bad);
        }
        Ok(Self {
            start: from,
            end: to,
            last: !more,
        })
    }
}

/// The parts that have come, in order and without overlap.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    seen: Vec<(u16, u16)>,
    /// Bytes of the packet, once the last fragment has told.
    len: Option<u16>,
}

impl Pieces {
    /// Notes that a part has come.
    ///
    /// # Errors
    /// `FragmentDuplicate` where it has come before; `FragmentOverlap` where it contradicts what has come;
    /// `FragmentLimit` where there are `limit` parts already.
    pub(super) fn add(&mut self, piece: Piece, limit: usize) -> Result<(), DropReason> {
        let at = self.seen.partition_point(|(start, _)| *start < piece.start);
        if self.seen.get(at) == Some(&(piece.start, piece.end)) {
            return Err(DropReason::FragmentDuplicate);
        }
        let before = at.checked_sub(1).and_then(|before| self.seen.get(before));
        let overlaps = before.is_some_and(|(_, end)| *end > piece.start)
            || self
                .seen
                .get(at)
                .is_some_and(|(start, _)| *start < piece.end);
        let reaches = self.seen.last().map_or(0, |(_, end)| *end);
        let contradicts = match self.len {
            Some(len) => piece.last || piece.end > len,
            None => piece.last && piece.end < reaches,
        };
        if overlaps || contradicts {
            return Err(DropReason::FragmentOverlap);
        }
        if self.seen.len() >= limit {
            return Err(DropReason::FragmentLimit);
        }
        self.seen.insert(at, (piece.start, piece.end));
        if piece.last {
            self.len = Some(piece.end);
        }
        Ok(())
    }

    /// Whether every part has come.
    pub(super) fn is_complete(&self) -> bool {
        let all = self
            .seen
            .iter()
            .try_fold(0, |next, (start, end)| (*start == next).then_some(*end));
        self.len.is_some() && all == self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(start: u16, end: u16, last: bool) -> Piece {
        Piece { start, end, last }
    }

    #[test]
    fn parts_in_any_order_make_a_whole() {
        let all = [piece(0, 8, false), piece(8, 24, false), piece(24, 31, true)];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut pieces = Pieces::default();
            for at in order {
                assert!(!pieces.is_complete());
                assert_eq!(pieces.add(all[at], 3), Ok(()));
            }
            assert!(pieces.is_complete());
        }
    }

    #[test]
    fn what_overlaps_or_contradicts_is_found() {
        let cases = [
            (piece(8, 16, false), Err(DropReason::FragmentDuplicate)),
            (piece(0, 8, false), Ok(())),
            (piece(0, 16, false), Err(DropReason::FragmentOverlap)),
            (piece(8, 24, false), Err(DropReason::FragmentOverlap)),
            (piece(15, 16, true), Err(DropReason::FragmentOverlap)),
            (piece(16, 24, false), Ok(())),
            (piece(16, 20, true), Ok(())),
            (piece(0, 4, true), Err(DropReason::FragmentOverlap)),
        ];
        for (second, expected) in cases {
            let mut pieces = Pieces::default();
            assert_eq!(pieces.add(piece(8, 16, false), 9), Ok(()));
            assert_eq!(pieces.add(second, 9), expected, "{second:?}");
        }
        let mut pieces = Pieces::default();
        assert_eq!(pieces.add(piece(16, 20, true), 9), Ok(()));
        assert_eq!(
            pieces.add(piece(24, 32, false), 9),
            Err(DropReason::FragmentOverlap)
        );
        assert_eq!(
            pieces.add(piece(24, 30, true), 9),
            Err(DropReason::FragmentOverlap)
        );
        assert_eq!(
            pieces.add(piece(0, 8, false), 1),
            Err(DropReason::FragmentLimit)
        );
    }

    /// RFC 8200, section 4.5: whole units of eight bytes, and no packet of more than 65,535.
    #[test]
    fn impossible_lengths_are_refused() {
        assert!(Piece::new(0, true, 1480).is_ok());
        assert!(Piece::new(0, true, 1479).is_err());
        assert!(Piece::new(185, false, 1).is_ok());
        assert!(Piece::new(185, false, 0).is_err());
        assert!(Piece::new(8191, false, 7).is_ok());
        assert!(Piece::new(8191, false, 8).is_err());
    }
}
