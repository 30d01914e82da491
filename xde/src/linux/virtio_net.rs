//! The header by which Linux hands over what is still to be done for a frame: virtio, version 1.2, section 5.1.6, in the
//! byte order of the machine.

use opte::packet::{Gso, GsoKind, Offload};
use opte_headers::checksum::Sum;
use opte_headers::program::Sums;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct virtio_net_hdr`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct VirtioNetHeader {
    /// Which of the fields hold.
    pub flags: u8,
    /// What is to be cut into segments.
    pub gso_type: u8,
    /// Bytes of all headers of a super-packet.
    pub header_len: u16,
    /// Bytes of payload in a segment.
    pub gso_size: u16,
    /// Byte at which the checksum's cover starts.
    pub checksum_start: u16,
    /// Byte behind it where the checksum is put.
    pub checksum_offset: u16,
}

/// The checksum is to be completed.
const NEEDS_CHECKSUM: u8 = 1;

const GSO_NONE: u8 = 0;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
/// With a TCP type: the connection uses ECN, so CWR stays on the first segment alone.
const GSO_ECN: u8 = 0x80;

impl VirtioNetHeader {
    /// What is to be done for `frame`, as the driver says it.
    ///
    /// The engine knows one checksum, that of the transport header behind the innermost IP header it parses. A
    /// checksum asked for in another place (within a tunnel of the guest's own) is completed here. `None` for a request that no
    /// frame can fulfil.
    pub fn to_offload(self, frame: &mut [u8]) -> Option<Offload> {
        let gso = match self.gso_type & !GSO_ECN {
            GSO_NONE => None,
            GSO_TCP_V4 => Some(GsoKind::TcpV4),
            GSO_TCP_V6 => Some(GsoKind::TcpV6),
            GSO_UDP_L4 => Some(GsoKind::Udp),
            _ => return None,
        };
        let gso = match gso {
            Some(_) if self.gso_size == 0 => return None,
            gso => gso.map(|kind| Gso {
                kind,
                size: self.gso_size,
            }),
        };
        let mut sums = Sums::Complete;
        if self.flags & NEEDS_CHECKSUM != 0 {
            let start = usize::from(self.checksum_start);
            let place = start + usize::from(self.checksum_offset);
            if transport_checksum(frame) == Some((start, place)) {
                sums = Sums::Partial;
            } else if gso.is_some() {
                return None;
            } else {
                complete(frame, start, place)?;
            }
        }
        Some(Offload { sums, gso })
    }

    /// What a link is to do for `frame`, a guest's frame without outer headers.
    pub fn of(offload: Offload, frame: &[u8]) -> Self {
        let mut header = Self::default();
        if offload == Offload::default() {
            return header;
        }
        let Some((start, place)) = transport_checksum(frame) else {
            return header;
        };
        if offload.sums == Sums::Partial {
            header.flags = NEEDS_CHECKSUM;
            header.checksum_start = word(start);
            header.checksum_offset = word(place - start);
        }
        if let Some(gso) = offload.gso {
            let (gso_type, transport_len) = match gso.kind {
                GsoKind::TcpV4 => (GSO_TCP_V4, tcp_header_len(frame, start)),
                GsoKind::TcpV6 => (GSO_TCP_V6, tcp_header_len(frame, start)),
                GsoKind::Udp => (GSO_UDP_L4, 8),
            };
            header.gso_type = gso_type;
            header.gso_size = gso.size;
            header.header_len = word(start + transport_len);
        }
        header
    }
}

/// Where a guest's frame has its transport header and that header's checksum: Ethernet, VLAN tags, IPv4 or IPv6
/// without extension headers, and TCP, UDP or ICMPv6.
fn transport_checksum(frame: &[u8]) -> Option<(usize, usize)> {
    let mut network = 14;
    let mut ethertype = be16(frame, 12)?;
    while matches!(ethertype, 0x8100 | 0x88a8) {
        ethertype = be16(frame, network + 2)?;
        network += 4;
    }
    let (protocol, transport) = match ethertype {
        0x0800 => {
            let header_len = usize::from(frame.get(network)? & 0xf) * 4;
            (*frame.get(network + 9)?, network + header_len)
        }
        0x86dd => (*frame.get(network + 6)?, network + 40),
        _ => return None,
    };
    let place = match protocol {
        6 => 16,
        17 => 6,
        58 => 2,
        _ => return None,
    };
    Some((transport, transport + place))
}

fn tcp_header_len(frame: &[u8], transport: usize) -> usize {
    frame
        .get(transport + 12)
        .map_or(20, |byte| usize::from(byte >> 4) * 4)
}

/// Sums up from `start` and puts the checksum at `place`.
fn complete(frame: &mut [u8], start: usize, place: usize) -> Option<()> {
    let checksum = Sum::of(frame.get(start..)?).checksum();
    let field = frame.get_mut(place..place + 2)?;
    field.copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn be16(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

fn word(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram over IPv4 with a checksum field of its pseudo-header's sum, and 30 bytes of payload.
    fn datagram() -> Vec<u8> {
        let mut frame = vec![0xee; 72];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[23] = 17;
        frame
    }

    const PARTIAL: VirtioNetHeader = VirtioNetHeader {
        flags: NEEDS_CHECKSUM,
        gso_type: GSO_NONE,
        header_len: 0,
        gso_size: 0,
        checksum_start: 34,
        checksum_offset: 6,
    };

    #[test]
    fn the_transport_checksum_is_left_to_the_link() {
        let mut frame = datagram();
        let before = frame.clone();
        let offload = PARTIAL.to_offload(&mut frame).unwrap();
        assert_eq!((offload.sums, offload.gso), (Sums::Partial, None));
        assert_eq!(frame, before);
        assert_eq!(VirtioNetHeader::of(offload, &frame), PARTIAL);
    }

    #[test]
    fn a_checksum_of_the_guests_own_tunnel_is_completed() {
        let mut frame = datagram();
        let inner = VirtioNetHeader {
            checksum_start: 50,
            checksum_offset: 16,
            ..PARTIAL
        };
        frame[66..68].fill(0);
        let sum = Sum::of(&frame[50..]);
        let offload = inner.to_offload(&mut frame).unwrap();
        assert_eq!(offload, Offload::default());
        assert_eq!(frame[66..68], sum.checksum().to_be_bytes());
    }

    #[test]
    fn super_packets_keep_their_request() {
        for (gso_type, kind) in [
            (GSO_TCP_V4, GsoKind::TcpV4),
            (GSO_TCP_V4 | GSO_ECN, GsoKind::TcpV4),
            (GSO_TCP_V6, GsoKind::TcpV6),
            (GSO_UDP_L4, GsoKind::Udp),
        ] {
            let header = VirtioNetHeader {
                gso_type,
                gso_size: 1448,
                ..PARTIAL
            };
            let offload = header.to_offload(&mut datagram()).unwrap();
            assert_eq!(offload.gso, Some(Gso { kind, size: 1448 }));
            let again = VirtioNetHeader::of(offload, &datagram());
            assert_eq!(
                (again.gso_type, again.gso_size),
                (gso_type & !GSO_ECN, 1448)
            );
        }
    }

    #[test]
    fn what_nobody_can_do_is_refused() {
        let outside = VirtioNetHeader {
            checksum_start: 70,
            checksum_offset: 6,
            ..PARTIAL
        };
        let no_size = VirtioNetHeader {
            gso_type: GSO_TCP_V4,
            ..PARTIAL
        };
        let fragments = VirtioNetHeader {
            gso_type: 3,
            gso_size: 1448,
            ..PARTIAL
        };
        let elsewhere = VirtioNetHeader {
            gso_type: GSO_TCP_V4,
            gso_size: 1448,
            checksum_start: 50,
            ..PARTIAL
        };
        for header in [outside, no_size, fragments, elsewhere] {
            assert_eq!(header.to_offload(&mut datagram()), None, "{header:?}");
        }
    }
}
