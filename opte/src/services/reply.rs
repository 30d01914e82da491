//! Frames being written.

use opte_headers::checksum::{Sum, pseudo_v4, pseudo_v6};
use opte_headers::options::OptionSet;
use opte_headers::{
    EmitError, Ethernet, Header, Icmpv6, Icmpv6Set, Ipv4, Ipv4Get, Ipv4Set, Ipv6, Ipv6Get, Ipv6Set,
    Udp, UdpSet,
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

    /// Adds an option.
    pub(super) fn option<O: OptionSet>(
        &mut self,
        option: &O::Option<'_>,
    ) -> Result<(), ServiceError> {
        let out = self.out.get_mut(self.len..).unwrap_or_default();
        let len = O::encode(option, out).ok_or(self.no_room(self.room_left().saturating_add(1)))?;
        self.len = self.len.saturating_add(len);
        Ok(())
    }

    /// Fills up with zeros until the frame has `len` bytes.
    pub(super) fn pad_to(&mut self, len: usize) -> Result<(), ServiceError> {
        self.next(len.saturating_sub(self.len))?.fill(0);
        Ok(())
    }

    /// What has been written.
    pub(super) fn written(&mut self) -> &mut [u8] {
        self.out.get_mut(..self.len).unwrap_or_default()
    }

    /// Bytes that may still be added.
    pub(super) fn room_left(&self) -> usize {
        self.out.len().saturating_sub(self.len)
    }

    /// The bytes that may still be written.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.out.get_mut(self.len..).unwrap_or_default()
    }

    /// Takes so many bytes of the room in, which have been written.
    pub(super) fn advance(&mut self, count: usize) {
        self.len = self.len.saturating_add(count).min(self.out.len());
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

    /// The finished frame of Ethernet, IPv4 and UDP.
    pub(super) fn complete_udp4(mut self) -> Result<Answer, ServiceError> {
        let packet = self.packet()?;
        let packet_len = packet.len();
        let (ip, datagram) = Ipv4::parse_mut(packet)?;
        // A packet of the Reply is never longer than the buffers of links, and those are below 64 KiB.
        let len = datagram.len() as u16;
        let pseudo = pseudo_v4(ip.source(), ip.destination(), ip.protocol().0, len);
        seal_ipv4(ip, packet_len);
        seal_udp(datagram, len, pseudo)?;
        Ok(self.complete())
    }

    /// The finished frame of Ethernet, IPv6 and UDP.
    pub(super) fn complete_udp6(mut self) -> Result<Answer, ServiceError> {
        let (mut ip, datagram) = Ipv6::parse_mut(self.packet()?)?;
        let len = datagram.len() as u16;
        ip.set_payload_len(len);
        let pseudo = pseudo_v6(
            ip.source(),
            ip.destination(),
            ip.next_header().0,
            len.into(),
        );
        seal_udp(datagram, len, pseudo)?;
        Ok(self.complete())
    }

    /// The finished frame of Ethernet, IPv6 and ICMPv6, whose checksum is zero so far.
    pub(super) fn complete_icmpv6(mut self) -> Result<Answer, ServiceError> {
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
        Ok(self.complete())
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

fn seal_udp(datagram: &mut [u8], len: u16, pseudo: Sum) -> Result<(), ServiceError> {
    let (mut udp, data) = Udp::parse_mut(datagram)?;
    udp.set_length(len);
    udp.set_checksum(0);
    let checksum = pseudo.with(udp.fixed()).with(data).checksum();
    // "If the computed checksum is zero, it is transmitted as all ones" (RFC 768): zero is no checksum.
    udp.set_checksum(if checksum == 0 { 0xffff } else { checksum });
    Ok(())
}
