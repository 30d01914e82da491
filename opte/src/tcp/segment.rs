//! What the tracker looks at in a segment.

use opte_headers::frame::{HeaderKind, Parsed};
use opte_headers::options::OptionList;
use opte_headers::{Header, Tcp, TcpFlags, TcpGet, TcpOption};

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

    /// The segment of a packet, if it is one with its header.
    #[inline(always)]
    pub(crate) fn of(parsed: &Parsed, packet: &Packet<'_>) -> Option<Self> {
        if parsed.l4_kind() != HeaderKind::Tcp {
            return None;
        }
        let end = parsed.frame_len as usize;
        Self::parse(packet.bytes(parsed.l4()?, end)?)
    }

    /// The segment of a frame of TCP whose headers stand as [`Offsets::anchor`] asks, if all that it does to its connection is to
    /// acknowledge.
    ///
    /// [`Offsets::anchor`]: opte_headers::frame::Offsets::anchor
    #[inline(always)]
    pub(crate) fn of_established(parsed: &Parsed, frame: &[u8]) -> Option<Self> {
        const CONTROL: u8 = Segment::SYN | Segment::FIN | Segment::RST | Segment::ACK;
        let l4 = parsed.l4_start();
        let header = frame.get(l4..l4 + 16)?.first_chunk::<16>()?;
        let &[_, _, _, _, a, b, c, d, e, f, g, h, _, flags, i, j] = header;
        (flags & CONTROL == Self::ACK).then_some(Self {
            seq: u32::from_be_bytes([a, b, c, d]),
            ack: u32::from_be_bytes([e, f, g, h]),
            flags,
            window: u16::from_be_bytes([i, j]),
            payload: parsed.frame_len.wrapping_sub(parsed.payload),
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
