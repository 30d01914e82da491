//! Replies over UDP, put together from pieces rendered before.
//!
//! The sum of a piece is known, so that only what differs between replies is summed when one is made.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use opte_headers::checksum::{Sum, pseudo_v4, pseudo_v6};
use opte_headers::options::OptionSet;
use opte_headers::{Ethernet, Header, IpProtocol, Ipv4, Ipv4Set, Ipv6, Ipv6Set, Udp, UdpSet};

use super::{Answer, ServiceError};

/// Bytes of a frame, rendered once.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    bytes: Box<[u8]>,
    /// The first bytes, so that a short piece is copied without a loop.
    first: [u8; SHORT],
    /// What the bytes add to the checksum of the datagram.
    sum: Sum,
}

/// The headers of a frame, and what stands behind them in every reply. Lengths, checksums and the IP destination are zero so far.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) piece: Piece,
    /// The sum of the IPv4 header, if there is one.
    ip: Sum,
}

impl Head {
    /// Of Ethernet, IPv4 and UDP.
    pub(super) fn over_ipv4(bytes: Vec<u8>, source: Ipv4Addr) -> Self {
        let pseudo = pseudo_v4(source, Ipv4Addr::UNSPECIFIED, IpProtocol::UDP.0, 0);
        let sum = pseudo.with(bytes.get(UDP4..).unwrap_or_default());
        Self {
            ip: Sum::of(bytes.get(L3..UDP4).unwrap_or_default()),
            piece: Piece::with_sum(bytes, sum),
        }
    }

    /// Of Ethernet, IPv6 and UDP.
    pub(super) fn over_ipv6(bytes: Vec<u8>, source: Ipv6Addr) -> Self {
        let pseudo = pseudo_v6(source, Ipv6Addr::UNSPECIFIED, IpProtocol::UDP.0, 0);
        let sum = pseudo.with(bytes.get(UDP6..).unwrap_or_default());
        Self {
            ip: Sum::ZERO,
            piece: Piece::with_sum(bytes, sum),
        }
    }
}

impl Piece {
    /// Bytes of a datagram.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let sum = Sum::of(&bytes);
        Self::with_sum(bytes, sum)
    }

    /// Options, one behind the other.
    pub(super) fn of<O: OptionSet>(options: &[O::Option<'_>]) -> Self {
        let mut room = [0; MAX_PIECE];
        let mut len = 0;
        for option in options {
            let rest = room.get_mut(len..).unwrap_or_default();
            // A server renders few short options together.
            len += O::encode(option, rest).unwrap_or_default();
        }
        Self::new(room.get(..len).unwrap_or_default().to_vec())
    }

    /// Writes the bytes to the start of `room`, which has as many; what is behind them there may change.
    #[inline(always)]
    fn copy_to(&self, room: &mut [u8]) {
        match room.first_chunk_mut() {
            Some(room) if self.bytes.len() <= SHORT => *room = self.first,
            _ => {
                if let Some(room) = room.get_mut(..self.bytes.len()) {
                    room.copy_from_slice(&self.bytes);
                }
            }
        }
    }

    fn with_sum(bytes: Vec<u8>, sum: Sum) -> Self {
        let mut first = [0; SHORT];
        first
            .iter_mut()
            .zip(&bytes)
            .for_each(|(to, from)| *to = *from);
        Self {
            bytes: bytes.into(),
            first,
            sum,
        }
    }
}

/// A frame in the making.
pub(super) struct Datagram<'a> {
    out: &'a mut [u8],
    len: usize,
    /// The sum of what has been written, as far as it is under the checksum.
    sum: Sum,
}

impl<'a> Datagram<'a> {
    /// An empty frame at the start of `out`.
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self {
            out,
            len: 0,
            sum: Sum::ZERO,
        }
    }

    /// Adds a piece.
    #[inline]
    pub(super) fn piece(&mut self, piece: &Piece) -> Result<(), ServiceError> {
        let len = self.len + piece.bytes.len();
        if len > self.out.len() {
            return Err(self.no_room(piece.bytes.len()));
        }
        let room = self.out.get_mut(self.len..).unwrap_or_default();
        piece.copy_to(room);
        self.count(piece.sum, piece.bytes.len());
        Ok(())
    }

    /// Adds of these pieces, in their order, those that leave `reserve` bytes behind them.
    #[inline]
    pub(super) fn pieces<'p>(&mut self, pieces: impl Iterator<Item = &'p Piece>, reserve: usize) {
        let limit = self.out.len().saturating_sub(reserve);
        let (mut len, mut sum) = (self.len, self.sum);
        for piece in pieces {
            let end = len + piece.bytes.len();
            if end > limit {
                continue;
            }
            piece.copy_to(self.out.get_mut(len..).unwrap_or_default());
            sum = sum.plus(match len % 2 {
                0 => piece.sum,
                _ => piece.sum.byte_swapped(),
            });
            len = end;
        }
        (self.len, self.sum) = (len, sum);
    }

    /// Adds one byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) -> Result<(), ServiceError> {
        let Some(room) = self.out.get_mut(self.len) else {
            return Err(self.no_room(1));
        };
        *room = byte;
        // The upper half of a word, or the lower one.
        let word = u16::from(byte) << (8 * (1 - self.len % 2));
        self.sum = self.sum.with_word(word);
        self.len += 1;
        Ok(())
    }

    /// Adds an option.
    pub(super) fn option<O: OptionSet>(
        &mut self,
        option: &O::Option<'_>,
    ) -> Result<(), ServiceError> {
        let room = self.out.get_mut(self.len..).unwrap_or_default();
        let error = ServiceError::NoRoom {
            needed: self.len.saturating_add(room.len()).saturating_add(1),
            available: self.len.saturating_add(room.len()),
        };
        let len = O::encode(option, room).ok_or(error)?;
        let sum = Sum::of(room.get(..len).unwrap_or_default());
        self.count(sum, len);
        Ok(())
    }

    /// Puts a number over zeros that were written before, at this place of the frame.
    #[inline]
    pub(super) fn fill(&mut self, place: usize, number: u32) {
        let bytes = number.to_be_bytes();
        if let Some(room) = self.out.get_mut(place..)
            && let Some(room) = room.first_chunk_mut()
        {
            *room = bytes;
        }
        let sum = Sum::of(&bytes);
        self.sum = self.sum.plus(match place % 2 {
            0 => sum,
            _ => sum.byte_swapped(),
        });
    }

    /// Fills up with zeros until the frame has `len` bytes.
    pub(super) fn pad_to(&mut self, len: usize) -> Result<(), ServiceError> {
        if len > self.len {
            let error = self.no_room(len - self.len);
            self.out.get_mut(self.len..len).ok_or(error)?.fill(0);
            self.len = len;
        }
        Ok(())
    }

    /// Bytes written.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What has been written.
    pub(super) fn written(&mut self) -> &mut [u8] {
        self.out.get_mut(..self.len).unwrap_or_default()
    }

    /// The finished frame over IPv4 with these headers, to `destination`.
    pub(super) fn complete4(
        self,
        head: &Head,
        destination: Ipv4Addr,
    ) -> Result<Answer, ServiceError> {
        let (len, sum) = (self.len, self.sum);
        let destination_sum = Sum::of(&destination.octets());
        let packet = self.out.get_mut(L3..len).unwrap_or_default();
        // No reply is longer than the buffers of links, and those are below 64 KiB.
        let packet_len = len.saturating_sub(L3) as u16;
        let datagram_len = len.saturating_sub(UDP4) as u16;
        let (mut ip, datagram) = Ipv4::parse_mut(packet)?;
        ip.set_total_len(packet_len);
        ip.set_destination(destination);
        ip.set_checksum(
            head.ip
                .plus(destination_sum)
                .with_word(packet_len)
                .checksum(),
        );
        let (mut udp, _) = Udp::parse_mut(datagram)?;
        udp.set_length(datagram_len);
        // The length is in the pseudo-header too.
        let length = Sum::ZERO.with_word(datagram_len);
        let sum = sum.plus(destination_sum).plus(length).plus(length);
        udp.set_checksum(transmitted(sum));
        Ok(Answer::Reply(len))
    }

    /// The finished frame over IPv6, to `destination`.
    pub(super) fn complete6(self, destination: Ipv6Addr) -> Result<Answer, ServiceError> {
        let (len, sum) = (self.len, self.sum);
        let packet = self.out.get_mut(L3..len).unwrap_or_default();
        let datagram_len = len.saturating_sub(UDP6) as u16;
        let (mut ip, datagram) = Ipv6::parse_mut(packet)?;
        ip.set_payload_len(datagram_len);
        ip.set_destination(destination);
        let (mut udp, _) = Udp::parse_mut(datagram)?;
        udp.set_length(datagram_len);
        let sum = sum
            .plus(Sum::of(&destination.octets()))
            .with_word(datagram_len)
            .with_word(datagram_len);
        udp.set_checksum(transmitted(sum));
        Ok(Answer::Reply(len))
    }

    /// Counts `len` bytes with this sum in.
    #[inline]
    fn count(&mut self, sum: Sum, len: usize) {
        self.sum = self.sum.plus(match self.len % 2 {
            0 => sum,
            _ => sum.byte_swapped(),
        });
        self.len += len;
    }

    fn no_room(&self, more: usize) -> ServiceError {
        ServiceError::NoRoom {
            needed: self.len.saturating_add(more),
            available: self.out.len(),
        }
    }
}

/// "If the computed checksum is zero, it is transmitted as all ones" (RFC 768): zero is no checksum.
fn transmitted(sum: Sum) -> u16 {
    match sum.checksum() {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// Bytes of a short piece.
const SHORT: usize = 32;

/// Bytes of the options that are rendered together.
const MAX_PIECE: usize = 128;

/// Where headers begin: IP, and UDP over each family.
const L3: usize = Ethernet::MIN_LEN;
const UDP4: usize = L3 + Ipv4::MIN_LEN;
const UDP6: usize = L3 + Ipv6::MIN_LEN;
