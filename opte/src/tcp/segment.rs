//! What the tracker looks at in a segment.

use opte_headers::frame::{Fragment, HeaderKind, Parsed};
use opte_headers::options::OptionList;
use opte_headers::{Header, Tcp, TcpFlags, TcpGet, TcpOption};

use crate::fragment::Piece;
use crate::packet::Packet;

/// The fields of a TCP segment that matter to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sequence number of the first byte, or of the SYN.
    pub seq: u32,
    /// Acknowledgement number; without meaning unless [`Segment::ACK`] is set.
    pub ack: u32,
    /// The control bits, FIN being bit 0.
    pub flags: u8,
    /// The window as it stands in the header.
    pub window: u16,
    /// Bytes of payload.
    pub payload: u32,
    /// The window scale option of a SYN (RFC 7323, section 2).
    pub scale: Option<u8>,
}

impl Segment {
    /// No more data from the sender.
    pub const FIN: u8 = TcpFlags::FIN.bits();
    /// Synchronise sequence numbers.
    pub const SYN: u8 = TcpFlags::SYN.bits();
    /// Reset the connection.
    pub const RST: u8 = TcpFlags::RST.bits();
    /// The acknowledgement number counts.
    pub const ACK: u8 = TcpFlags::ACK.bits();

    /// The segment of a packet, if it is one with its header. Of the first fragment of a packet, what of it has come.
    #[inline(always)]
    pub(crate) fn of(parsed: &Parsed, packet: &Packet<'_>) -> Option<Self> {
        let segment = Self::of_packet(parsed, packet)?;
        Some(match parsed.fragment {
            Fragment::First => segment.without_end(),
            Fragment::No | Fragment::Later => segment,
        })
    }

    #[inline(always)]
    fn of_packet(parsed: &Parsed, packet: &Packet<'_>) -> Option<Self> {
        if parsed.l4_kind() != HeaderKind::Tcp {
            return None;
        }
        let end = parsed.frame_len as usize;
        Self::parse(packet.bytes(parsed.l4()?, end)?)
    }

    /// The segment, if it does not end here: its FIN stands behind its last byte.
    fn without_end(self) -> Self {
        let controls = self.flags & (Self::SYN | Self::FIN | Self::RST);
        // With others a FIN is a fault, which is not to be hidden.
        let fin = if controls == Self::FIN { Self::FIN } else { 0 };
        Self {
            flags: self.flags & !fin,
            ..self
        }
    }

    /// The segment of which the header begins so, with so many bytes of payload, if all that it does to its connection is to
    /// acknowledge.
    #[inline(always)]
    pub(crate) fn established(header: &[u8; 16], payload: u32) -> Option<Self> {
        const CONTROL: u8 = Segment::SYN | Segment::FIN | Segment::RST | Segment::ACK;
        let &[_, _, _, _, a, b, c, d, e, f, g, h, _, flags, i, j] = header;
        (flags & CONTROL == Self::ACK).then_some(Self {
            seq: u32::from_be_bytes([a, b, c, d]),
            ack: u32::from_be_bytes([e, f, g, h]),
            flags,
            window: u16::from_be_bytes([i, j]),
            payload,
            scale: None,
        })
    }

    /// The segment whose header and payload are `transport`; `None` if the header is not whole.
    #[inline(always)]
    pub fn parse(transport: &[u8]) -> Option<Self> {
        let (header, payload) = Tcp::parse(transport).ok()?;
        let flags = header.flags();
        let scale = if flags.contains(TcpFlags::SYN) {
            window_scale(header.options())
        } else {
            None
        };
        Some(Self {
            seq: header.sequence(),
            ack: header.acknowledgement(),
            flags: flags.bits(),
            window: header.window(),
            payload: payload.len() as u32,
            scale,
        })
    }

    /// Whether all bits of `flags` are set.
    #[inline]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The sequence number behind the segment (RFC 9293, section 3.4: SYN and FIN count).
    #[inline]
    pub fn end(&self) -> u32 {
        let controls = u32::from(self.has(Self::SYN)) + u32::from(self.has(Self::FIN));
        self.seq.wrapping_add(self.payload).wrapping_add(controls)
    }
}

/// A segment whose packet comes in IP fragments, as the first of them tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFragments {
    segment: Segment,
    /// Where its payload begins, counted as [`Piece`] counts.
    payload: u16,
}

impl InFragments {
    /// The segment whose packet begins with this fragment, if it is one of TCP.
    pub(crate) fn of(parsed: &Parsed, packet: &Packet<'_>, piece: Piece) -> Option<Self> {
        let segment = Segment::of_packet(parsed, packet)?;
        let payload = u32::from(piece.end).checked_sub(segment.payload)?;
        Some(Self {
            segment,
            payload: u16::try_from(payload).ok()?,
        })
    }

    /// What of the segment a later fragment brings, as a segment of its own: part of the payload, and FIN if it is the last. None where
    /// that is nothing to anybody: behind a reset.
    pub(crate) fn part(&self, piece: Piece) -> Option<Segment> {
        if self.segment.has(Segment::RST) {
            return None;
        }
        let segment = match piece.last {
            true => self.segment,
            false => self.segment.without_end(),
        };
        let offset = piece.start.checked_sub(self.payload)?;
        Some(Segment {
            seq: segment.seq.wrapping_add(offset.into()),
            payload: piece.end.saturating_sub(piece.start).into(),
            scale: None,
            ..segment
        })
    }
}

#[cold]
fn window_scale(options: OptionList<'_, TcpOption<'static>>) -> Option<u8> {
    options
        .iter()
        .map_while(Result::ok)
        .find_map(|option| match option {
            TcpOption::WindowScale(shift) => Some(shift),
            _ => None,
        })
}

/// Whether `a` is `b` or before it, in sequence numbers (RFC 9293, section 3.4).
#[inline]
pub(super) fn at_most(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}
