//! Editing a parsed frame in place, field by field, its checksums with it.

use super::kind::HeaderKind;
use super::parsed::Parsed;
use super::stack::ParsedStack;
use super::walk::Stacked;
use crate::checksum::{Sum, Zero, follow};
use crate::error::ParseError;
use crate::header::{ChecksumRole, Covers, Field, Header, Settable};
use crate::program::{HeaderSpec, Sums};
use crate::protocol::Gre;
use core::fmt;

/// Edits the frame that `parsed` was made of. Every checksum that covers the field follows by the difference (RFC 1624,
/// equation 3): that of the header itself, that of the transport header behind for an address of its pseudo-header, and that of
/// the tunnel's UDP or GRE header for all that is inside. A checksum of zero that means none (UDP) stays. A checksum that was
/// wrong stays wrong by as much. What no difference leads to does not follow: the CRC of SCTP, the integrity check of AH. Where the link is to complete the innermost transport checksum, say so: [`Editor::with_sums`].
///
/// Which header has what checksum, its type tells ([`Header::CHECKSUM`]); so it is with headers of one's own, in what a
/// [`stack_parser!`](crate::stack_parser) with a result type gives.
///
/// Lengths, checksums, selectors and constants cannot be set: [`Settable`]. The flow key in `parsed` is that of the frame
/// before.
///
/// ```
/// use core::net::Ipv4Addr;
/// use opte_headers::frame::{Editor, parse_guest};
/// use opte_headers::{Ethernet, Ethertype, Header, IpProtocol, Ipv4, Udp, ipv4, udp};
/// # use opte_headers::checksum::Sum;
/// # let mut frame = [0; 42];
/// # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
/// # let ip = Ipv4 { total_len: 28, protocol: IpProtocol::UDP, checksum: 0x7ad2, ..Ipv4::default() };
/// # ip.emit(&mut frame[14..]).unwrap();
/// # Udp { length: 8, checksum: 0xffde, ..Udp::default() }.emit(&mut frame[34..]).unwrap();
/// let parsed = parse_guest(&frame).unwrap();
/// let mut editor = Editor::new(&mut frame, &parsed);
/// editor.set::<ipv4::Source>(Ipv4Addr::new(198, 51, 100, 7))?;
/// editor.set::<udp::Source>(1025)?;
/// assert_eq!(editor.get::<udp::Source>(), Some(1025));
/// # assert_eq!(Sum::of(&frame[14..34]).checksum(), 0);
/// # Ok::<(), opte_headers::frame::EditError>(())
/// ```
#[derive(Debug)]
pub struct Editor<'a> {
    frame: &'a mut [u8],
    parsed: &'a Parsed,
    headers: &'static [(HeaderKind, HeaderSpec)],
    sums: Sums,
}

impl<'a> Editor<'a> {
    /// Edits `frame`, of which parsing came to `parsed`.
    pub fn new<P: ParsedStack>(frame: &'a mut [u8], parsed: &'a P) -> Self {
        Self {
            frame,
            parsed: parsed.parsed(),
            headers: P::HEADERS,
            sums: Sums::Complete,
        }
    }

    /// What the innermost transport checksum holds. With [`Sums::Partial`], addresses of its pseudo-header go into it and all
    /// else is left to the link; checksums around it are those that will be right when the link has completed it.
    #[must_use]
    pub const fn with_sums(self, sums: Sums) -> Self {
        Self { sums, ..self }
    }

    /// The frame.
    pub const fn frame(&self) -> &[u8] {
        self.frame
    }

    /// The innermost header of its type.
    pub fn view<H: Stacked>(&self) -> Option<H::View<'_>> {
        self.parsed.view::<H>(self.frame, self.innermost::<H>()?)
    }

    /// A field of the innermost header of its type.
    pub fn get<F: Field>(&self) -> Option<F::Value>
    where
        F::Header: Stacked,
    {
        let fixed = self
            .fixed::<F::Header>(self.innermost::<F::Header>()?)
            .ok()?;
        Some(crate::derive::get::<F>(fixed))
    }

    /// Sets a field of the innermost header of its type.
    ///
    /// # Errors
    /// As [`Editor::set_at`].
    pub fn set<F: Settable>(&mut self, value: F::Value) -> Result<(), EditError>
    where
        F::Header: Stacked,
    {
        let absent = EditError::NotThere {
            header: F::Header::NAME,
        };
        self.set_at::<F>(self.innermost::<F::Header>().ok_or(absent)?, value)
    }

    /// Sets a field of the header at position `index` of the stack.
    ///
    /// # Errors
    /// Another header stands there, or the bytes are not those that were parsed. Nothing is changed then.
    pub fn set_at<F: Settable>(&mut self, index: u8, value: F::Value) -> Result<(), EditError>
    where
        F::Header: Stacked,
    {
        self.fixed::<F::Header>(index)?;
        let start = self.start(index);
        let (first, last) = (F::BIT_OFFSET / 8, (F::BIT_OFFSET + F::BITS).div_ceil(8));
        let Some(fixed) = self
            .frame
            .get_mut(start..)
            .and_then(|bytes| bytes.get_mut(..F::Header::MIN_LEN))
        else {
            return Err(EditError::NotThere {
                header: F::Header::NAME,
            });
        };
        // From an even byte of the header on, so that words are those of the header's checksum.
        let even = first & !1;
        let before = Sum::of(fixed.get(even..last).unwrap_or_default());
        crate::derive::set::<F>(fixed, value);
        let after = Sum::of(fixed.get(even..last).unwrap_or_default());
        let change = Change::of(start, before, after);
        let in_pseudo = F::Header::PSEUDO.is_some_and(|(from, to)| first >= from && last <= to);
        self.follow(index, change, in_pseudo);
        Ok(())
    }

    /// Lets checksums follow a change of the header at position `index`: of the transport header behind if it covers the change as
    /// its pseudo-header, of the header itself, of those around.
    fn follow(&mut self, index: u8, change: Change, in_pseudo: bool) {
        let mut all = change;
        if in_pseudo && let Some((behind, role)) = self.transport_of(index) {
            all = all.and(self.patch(behind, role, change, Change::NONE));
        }
        if let Some(role) = self.role(index) {
            all = all.and(self.patch(index, role, Change::NONE, change));
        }
        for around in (0..index).rev() {
            let role = self.role(around);
            if let Some(role) = role.filter(|role| role.covers != Covers::Header) {
                all = all.and(self.patch(around, role, Change::NONE, all));
            }
        }
    }

    /// Adds changes of the pseudo-header and of what else is covered to the checksum of the header at position `index`; what
    /// changed by that.
    fn patch(&mut self, index: u8, role: ChecksumRole, pseudo: Change, data: Change) -> Change {
        let start = self.start(index);
        let partial = self.sums == Sums::Partial && self.innermost_transport() == Some(index);
        let field = self
            .frame
            .get_mut(start..)
            .and_then(|bytes| bytes.get_mut(role.offset..)?.first_chunk_mut::<2>());
        let Some(field) = field else {
            return Change::NONE;
        };
        let all = pseudo.and(data);
        if partial {
            let sum = Sum::of(field).plus(pseudo.seen_from(start));
            *field = sum.fold().to_be_bytes();
            return all.complement();
        }
        let old = u16::from_be_bytes(*field);
        let Some(new) = follow(old, all.seen_from(start), Zero::of(role.covers)) else {
            return Change::NONE;
        };
        *field = new.to_be_bytes();
        let word = |word| Sum::ZERO.with_word(word);
        Change::of(start, word(old), word(new))
    }

    /// The transport header whose checksum covers the addresses of the header at position `index`.
    fn transport_of(&self, index: u8) -> Option<(u8, ChecksumRole)> {
        let behind = index.checked_add(1)?..self.parsed.offsets.count();
        for index in behind {
            let covers = self
                .role(index)
                .filter(|role| role.covers != Covers::Header);
            match covers {
                Some(role) if matches!(role.covers, Covers::Pseudo { .. }) => {
                    return Some((index, role));
                }
                Some(_) => return None,
                None if self.spec(index).is_some_and(|spec| spec.pseudo.is_some()) => return None,
                None => {}
            }
        }
        None
    }

    /// The innermost header whose checksum covers what follows: the one that a link may be left to complete.
    fn innermost_transport(&self) -> Option<u8> {
        (0..self.parsed.offsets.count()).rev().find(|index| {
            let role = self.role(*index);
            role.is_some_and(|role| role.covers != Covers::Header)
        })
    }

    fn innermost<H: Stacked>(&self) -> Option<u8> {
        if !H::KIND.is_known() {
            return None;
        }
        (0..self.parsed.offsets.count())
            .rev()
            .find(|index| self.parsed.shape.at(*index) == H::KIND)
    }

    fn start(&self, index: u8) -> usize {
        self.parsed.offsets.at(index).map_or(0, usize::from)
    }

    /// The fixed part of the header at position `index`, if it still is one.
    fn fixed<H: Stacked>(&self, index: u8) -> Result<&[u8], EditError> {
        let absent = EditError::NotThere { header: H::NAME };
        if self.parsed.shape.at(index) != H::KIND || !H::KIND.is_known() {
            return Err(absent);
        }
        let at = self.parsed.offsets.at(index).ok_or(absent)?;
        let bytes = self.frame.get(usize::from(at)..).ok_or(absent)?;
        H::parse(bytes).map_err(EditError::Malformed)?;
        bytes.get(..H::MIN_LEN).ok_or(absent)
    }

    /// What is known of the header at position `index`.
    fn spec(&self, index: u8) -> Option<&'static HeaderSpec> {
        let kind = self.parsed.shape.at(index);
        let mut headers = self.headers.iter();
        headers
            .find(|(own, _)| *own == kind)
            .map(|(_, header)| header)
    }

    /// The checksum of the header at position `index`.
    fn role(&self, index: u8) -> Option<ChecksumRole> {
        if self.parsed.shape.at(index) == Gre::KIND {
            return self.role_of_gre(index);
        }
        self.spec(index)?.checksum
    }

    /// GRE says in its first bit whether it has a checksum (RFC 2784, section 2.1).
    #[cold]
    fn role_of_gre(&self, index: u8) -> Option<ChecksumRole> {
        let first = self.frame.get(self.start(index))?;
        (first & 0x80 != 0).then_some(ChecksumRole {
            offset: Gre::MIN_LEN,
            covers: Covers::Payload,
        })
    }
}

/// A [`Sum::change`] of the sum of all bytes, words counted from the start of the frame.
#[derive(Clone, Copy)]
struct Change(Sum);

impl Change {
    const NONE: Self = Self(Sum::ZERO);

    /// Words of a header that starts at `start` went from one sum to another.
    fn of(start: usize, before: Sum, after: Sum) -> Self {
        Self(Sum::change(before, after)).turned(start)
    }

    /// As added to sums of words counted from `start`.
    fn seen_from(self, start: usize) -> Sum {
        self.turned(start).0
    }

    fn turned(self, start: usize) -> Self {
        if start.is_multiple_of(2) {
            self
        } else {
            Self(self.0.byte_swapped())
        }
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0.plus(other.0))
    }

    /// How a complete checksum of what changes so changes.
    const fn complement(self) -> Self {
        Self(Sum::ZERO.with_word(!self.0.fold()))
    }
}

/// Why a field was not set. Nothing was changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The frame has no such header, or none at this position.
    NotThere {
        /// The header.
        header: &'static str,
    },
    /// The bytes are no longer those that were parsed.
    Malformed(ParseError),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere { header } => write!(f, "{header}: the frame has no such header there"),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for EditError {}
