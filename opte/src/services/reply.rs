//! Frames being written.

use opte_headers::checksum::{Sum, pseudo_v6};
use opte_headers::{
    EmitError, Ethernet, Header, Icmpv6, Icmpv6Set, Ipv4, Ipv4Set, Ipv6, Ipv6Get, Ipv6Set,
};

use super::{Answer, ServiceError};

/// A reply, written header by header; lengths and checksums are filled in at the end.
pub(super) struct Reply<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> Reply<'a> {
    /// An empty frame at the start of `out`.
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Adds a header.
    pub(super) fn header(&mut self, header: &impl Header) -> Result<(), ServiceError> {
        let before = self.len;
        let out = self.out.get_mut(before..).unwrap_or_default();
        match header.emit(out) {
            Ok(len) => {
                self.len = before.saturating_add(len);
                Ok(())
            }
            Err(EmitError::NoRoom { needed, .. }) => Err(self.no_room(needed)),
            Err(EmitError::Unrepresentable { length, .. }) => Err(self.no_room(length)),
        }
    }

    /// Adds bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        self.next(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// What has been written.
    pub(super) fn written(&mut self) -> &mut [u8] {
        self.out.get_mut(..self.len).unwrap_or_default()
    }

    /// The finished frame, nothing of it left to be filled in.
    pub(super) fn complete(self) -> Answer {
        Answer::Reply(self.len)
    }

    /// The finished frame of Ethernet and IPv4.
    pub(super) fn complete_ipv4(mut self) -> Result<Answer, ServiceError> {
        let packet = self.packet()?;
        let len = packet.len();
        seal_ipv4(Ipv4::parse_mut(packet)?.0, len);
        Ok(self.complete())
    }

    /// Finishes a frame of Ethernet, IPv6 and ICMPv6, whose checksum is zero so far; says its length.
    pub(super) fn complete_icmpv6(mut self) -> Result<usize, ServiceError> {
        let (mut ip, message) = Ipv6::parse_mut(self.packet()?)?;
        let len = message.len() as u16;
        ip.set_payload_len(len);
        let sum = pseudo_v6(
            ip.source(),
            ip.destination(),
            ip.next_header().0,
            len.into(),
        )
        .with(message);
        Icmpv6::parse_mut(message)?.0.set_checksum(sum.checksum());
        Ok(self.len)
    }

    /// What stands behind the Ethernet header.
    fn packet(&mut self) -> Result<&mut [u8], ServiceError> {
        Ok(Ethernet::parse_mut(self.written())?.1)
    }

    /// The next `count` bytes, to be written to.
    fn next(&mut self, count: usize) -> Result<&mut [u8], ServiceError> {
        let error = self.no_room(count);
        let end = self.len.saturating_add(count);
        let room = self.out.get_mut(self.len..end).ok_or(error)?;
        self.len = end;
        Ok(room)
    }

    fn no_room(&self, more: usize) -> ServiceError {
        ServiceError::NoRoom {
            needed: self.len.saturating_add(more),
            available: self.out.len(),
        }
    }
}

fn seal_ipv4(mut ip: <Ipv4 as Header>::ViewMut<'_>, len: usize) {
    ip.set_total_len(len as u16);
    ip.set_checksum(0);
    let sum = Sum::of(ip.fixed()).with(ip.tail());
    ip.set_checksum(sum.checksum());
}
