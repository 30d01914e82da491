//! Cutting IPv4 packets that do not fit the way and may be cut (RFC 791, section 3.2).

use alloc::vec::Vec;

use opte_headers::checksum::Sum;
use opte_headers::frame::{HeaderKind, Parsed};
use opte_headers::program::{Prefix, Sums};

use super::process::Arrival;
use super::{Released, Verdict, Worker};
use crate::DropReason;
use crate::flow::Key;
use crate::network::Network;
use crate::packet::Packet;
use crate::traffic_class;

impl<N: Network> Worker<'_, N> {
    /// Sends a guest's packet on in fragments of at most `mtu` bytes: the first one where the packet lies, the others among the
    /// released.
    pub(super) fn cut(
        &mut self,
        mtu: usize,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let Some(rest) = cut(mtu, arrival.parsed, packet) else {
            return self.dropped(arrival.dir, DropReason::TooBig);
        };
        let mut released = Vec::new();
        if released.try_reserve_exact(rest.len()).is_err() {
            return self.dropped(arrival.dir, DropReason::OutOfMemory);
        }
        let first = self.fragment_of(arrival, packet, reply);
        let verdict = match first {
            Verdict::Forward { hash } => Verdict::ForwardWithHeld { hash },
            Verdict::ForwardWithHeld { .. } | Verdict::Held => first,
            Verdict::Hairpin(_) | Verdict::Drop(_) => return first,
        };
        for mut buffer in rest {
            let end = buffer.len();
            let Some(mut packet) = Packet::new(&mut buffer, HEAD_ROOM, end) else {
                continue;
            };
            let verdict = self.fragment_of(arrival, &mut packet, reply);
            let range = packet.range();
            if let Verdict::Forward { hash } = verdict {
                buffer.truncate(range.end);
                released.push(Released {
                    dir: arrival.dir,
                    hash,
                    buffer,
                    start: range.start,
                });
            }
        }
        let mut inner = self.port.inner.lock();
        if inner.released.try_reserve(released.len()).is_ok() {
            inner.released.extend(released);
        } else {
            drop(inner);
            released
                .iter()
                .for_each(|_| self.counts.dropped(arrival.dir, DropReason::OutOfMemory));
        }
        verdict
    }

    /// A fragment as if it had come so.
    fn fragment_of(
        &mut self,
        Arrival { dir, now, .. }: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        let parsed = match port.network.parse(dir, packet.frame()) {
            Ok(parsed) => parsed,
            Err(error) => return self.dropped(dir, DropReason::from(&error)),
        };
        let key = port.network.key(dir, &parsed, packet.frame());
        let arrival = Arrival {
            dir,
            now,
            parsed: &parsed,
            key: &key,
            hash: port.flows.hash(key.words()),
        };
        let class = traffic_class::of_inner(&parsed, packet);
        let start = packet.head_room();
        let verdict = self.missed(arrival, packet, reply);
        if packet.head_room() < start {
            traffic_class::encapsulated(port.dscp(), class, packet);
        }
        verdict
    }
}

/// Bytes before a fragment: what a program puts to the front at most.
const HEAD_ROOM: usize = Prefix::CAPACITY;
const HEADER: usize = 20;

/// Leaves the first fragment of `packet` in its place and gives the others, each with head-room. None, and nothing done, where
/// it has IP options, which fragments do not all have, or the way takes nothing.
fn cut(mtu: usize, parsed: &Parsed, packet: &mut Packet<'_>) -> Option<Vec<Vec<u8>>> {
    let l3 = parsed.l3()?;
    let end = (parsed.frame_len as usize).min(packet.len());
    let size = mtu.checked_sub(HEADER).map(|size| size & !7)?;
    let header = *packet.bytes(l3, l3 + HEADER)?.first_chunk::<HEADER>()?;
    if size == 0 || header.first() != Some(&0x45) || parsed.l3_kind() != HeaderKind::Ipv4 {
        return None;
    }
    complete(parsed, packet)?;
    let [_, _, _, _, _, _, flags, offset, ..] = header;
    let field = u16::from_be_bytes([flags, offset]);
    let data = packet.bytes(l3 + HEADER, end)?;
    let count = data.len().div_ceil(size);
    let head = packet.bytes(0, l3)?;
    let mut rest = Vec::new();
    rest.try_reserve_exact(count).ok()?;
    for (at, piece) in data.chunks(size).enumerate().skip(1) {
        let mut buffer = Vec::new();
        let len = HEAD_ROOM + l3 + HEADER + piece.len();
        buffer.try_reserve_exact(len).ok()?;
        buffer.resize(HEAD_ROOM, 0);
        buffer.extend_from_slice(head);
        let last = at + 1 == count;
        let field = field.wrapping_add((at * size / 8) as u16);
        let more = if last { field } else { field | MORE };
        buffer.extend_from_slice(&sealed(header, piece.len(), more)?);
        buffer.extend_from_slice(piece);
        rest.push(buffer);
    }
    let first = sealed(header, size.min(data.len()), field | MORE)?;
    packet
        .frame_mut()
        .get_mut(l3..l3 + HEADER)?
        .copy_from_slice(&first);
    packet.truncate(l3 + HEADER + size).then_some(rest)
}

/// More fragments follow.
const MORE: u16 = 0x2000;

/// The header of a fragment with so many bytes, and this in the place of flags and offset.
fn sealed(mut header: [u8; HEADER], len: usize, field: u16) -> Option<[u8; HEADER]> {
    let total = u16::try_from(HEADER + len).ok()?;
    put(&mut header, 2, total)?;
    put(&mut header, 6, field)?;
    put(&mut header, 10, 0)?;
    let sum = Sum::of(&header).checksum();
    put(&mut header, 10, sum)?;
    Some(header)
}

/// Completes a checksum that was left to the link, which cannot complete that of a fragment.
fn complete(parsed: &Parsed, packet: &mut Packet<'_>) -> Option<()> {
    if packet.offload.sums == Sums::Complete {
        return Some(());
    }
    let (l4, end) = (parsed.l4()?, parsed.frame_len as usize);
    let at = match parsed.l4_kind() {
        HeaderKind::Tcp => 16,
        HeaderKind::Udp => 6,
        _ => return None,
    };
    let segment = packet.frame_mut().get_mut(l4..end)?;
    // The field holds the sum of the pseudo-header.
    let sum = match Sum::of(segment).checksum() {
        0 if parsed.l4_kind() == HeaderKind::Udp => 0xffff,
        sum => sum,
    };
    put(segment, at, sum)?;
    packet.offload.sums = Sums::Complete;
    Some(())
}

fn put(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    bytes
        .get_mut(at..at + 2)?
        .copy_from_slice(&value.to_be_bytes());
    Some(())
}
