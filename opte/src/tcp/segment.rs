//! What the tracker looks at in a segment.

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
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;

    /// The segment whose header and payload are `transport`; `None` if the header is not whole.
    #[inline]
    pub fn parse(transport: &[u8]) -> Option<Self> {
        let header: &[u8; 20] = transport.first_chunk()?;
        let [
            _,
            _,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            a0,
            a1,
            a2,
            a3,
            offset,
            flags,
            w0,
            w1,
            ..,
        ] = *header;
        let header_len = usize::from(offset >> 4) * 4;
        Some(Self {
            seq: u32::from_be_bytes([s0, s1, s2, s3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            flags,
            window: u16::from_be_bytes([w0, w1]),
            payload: transport.len().saturating_sub(header_len) as u32,
            scale: None,
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

/// Whether `a` is `b` or before it, in sequence numbers (RFC 9293, section 3.4).
#[inline]
pub(super) fn at_most(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) < 1 << 31
}
