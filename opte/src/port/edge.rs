//! What is done to packets beside what their flow says: the traffic class of tunnels, segment sizes, and errors about packets that
//! do not fit or have come too far.
//!
//! None of it is anything that flows differ by. What every packet is asked for costs some loads and comparisons; whatever has to
//! be done is done apart.

use opte_headers::checksum::Sum;
use opte_headers::frame::{Fragment, HeaderKind, KeyKind, Parsed};
use opte_headers::program::Sums;
use opte_headers::{Ethertype, IpProtocol};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::icmp::{Problem, Report, may_fragment, may_report};
use super::process::Arrival;
use super::{Port, Verdict, Worker};
use crate::flow::Found;
use crate::network::Network;
use crate::packet::{Offload, Packet};
use crate::sync::atomic::Ordering;
use crate::traffic_class;
use crate::{Direction, DropReason};

/// What is done to the segment sizes that the ends of a TCP connection offer one another (RFC 9293, section 3.7.1), in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum MssClamp {
    /// They stay.
    Off,
    /// They become so small that segments fit packets that fit the way: see [`Port::set_path_mtu`].
    #[default]
    PathMtu,
    /// They become so small that segments fit packets of so many bytes.
    To(u16),
}

impl MssClamp {
    /// The least that packets may be cut to: every host takes as much (RFC 791, section 3.2).
    pub const LEAST: u16 = 68;

    /// As a number.
    pub(super) fn to_number(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::PathMtu => 1,
            Self::To(size) => 2 + u32::from(size),
        }
    }

    /// Of its number.
    fn of_number(number: u32) -> Self {
        match number {
            0 => Self::Off,
            1 => Self::PathMtu,
            // Made of 16 bits.
            size => Self::To((size - 2) as u16),
        }
    }
}

impl<N: Network> Worker<'_, N> {
    /// A packet for which a flow was found, or none.
    #[inline(always)]
    pub(super) fn arrived(
        &mut self,
        found: Option<Found<'_>>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        if arrival.dir == Direction::In
            && let Err(reason) = traffic_class::decapsulated(port.dscp(), arrival.parsed, packet)
        {
            return self.dropped(arrival.dir, reason);
        }
        let glance = Glance::of(arrival, packet);
        if port.is_unusual(&glance, arrival, packet) {
            return self.unusual(glance.class, found, arrival, packet, reply);
        }
        self.usual(glance.class, found, arrival, packet, reply)
    }

    #[inline(always)]
    fn usual(
        &mut self,
        class: u8,
        found: Option<Found<'_>>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let dscp = self.port.dscp();
        if arrival.dir == Direction::In {
            return self.found(found, arrival, packet, reply);
        }
        let start = packet.head_room();
        let verdict = self.found(found, arrival, packet, reply);
        if packet.head_room() < start {
            traffic_class::encapsulated(dscp, class, packet);
        }
        verdict
    }

    #[cold]
    #[inline(never)]
    fn unusual(
        &mut self,
        class: u8,
        found: Option<Found<'_>>,
        arrival: Arrival<'_, N::Key>,
        packet: &mut Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let port = self.port;
        if opens_connection(arrival, packet) {
            port.clamp_mss(arrival, packet);
        }
        let Some((problem, reason)) = port.problem_of(arrival, packet) else {
            return self.usual(class, found, arrival, packet, reply);
        };
        // Whoever may not send the packet at all is not told anything about the way.
        match port.foresee(arrival, packet, reply) {
            // A later fragment that would be held has to fit when it is let go.
            Ok(passes)
                if problem.is_none() && (passes || arrival.parsed.fragment == Fragment::Later) =>
            {
                let mtu = port.path_mtu.load(Ordering::Relaxed);
                self.cut(mtu as usize, arrival, packet, reply)
            }
            Ok(true) => self.refuse(problem, reason, arrival, packet, reply),
            Ok(false) => self.usual(class, found, arrival, packet, reply),
            Err(reason) => self.dropped(arrival.dir, reason),
        }
    }

    /// Drops a packet and tells its sender why, if that may be told and has not been told too often.
    pub(super) fn refuse(
        &mut self,
        problem: Option<Problem>,
        reason: DropReason,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        reply: &mut [u8],
    ) -> Verdict {
        let told = problem.and_then(|problem| self.port.tell(problem, arrival, packet, reply));
        match told {
            Some(len) => {
                self.counts.hairpin(arrival.dir);
                Verdict::Hairpin(len as u32)
            }
            None => self.dropped(arrival.dir, reason),
        }
    }
}

impl<N: Network> Port<N> {
    /// Says how many bytes the greatest packet of the guest may have, from its IP header on, that fits the way to all far
    /// ends in its tunnel. Greater ones are answered with the news (RFC 1191, RFC 8201); connections are kept from sending them
    /// by [`MssClamp`]. `None`: all fit.
    pub fn set_path_mtu(&self, mtu: Option<u16>) {
        let mtu = mtu.map_or(u32::MAX, u32::from);
        self.path_mtu.store(mtu, Ordering::Relaxed);
    }

    /// Whether there is anything about the packet that [`Worker::unusual`] looks after.
    #[inline(always)]
    fn is_unusual(
        &self,
        glance: &Glance,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
    ) -> bool {
        if arrival.dir == Direction::In {
            return glance.syn;
        }
        let fits = u64::from(self.path_mtu.load(Ordering::Relaxed)) + ETHERNET;
        glance.syn || glance.hops <= 1 || packet.len() as u64 > fits && packet.offload.gso.is_none()
    }

    /// The traffic class that the tunnel of a packet is to know of; none if there is more to be looked after than a TCP segment
    /// can tell. `parsed` is of a frame whose headers stand as [`Offsets::anchor`] asks, or what is said means nothing.
    ///
    /// [`Offsets::anchor`]: opte_headers::frame::Offsets::anchor
    #[inline(always)]
    pub(super) fn class_of_usual(
        &self,
        dir: Direction,
        parsed: &Parsed,
        frame: &[u8],
        offload: Offload,
    ) -> Option<u8> {
        if dir == Direction::In {
            return traffic_class::is_unmarked(self.dscp(), parsed, frame).then_some(0);
        }
        let l3 = parsed.l3_start();
        let ip = frame.get(l3..l3 + 9)?;
        let &[first, second, _, _, _, _, _, v6, v4] = ip.first_chunk::<9>()?;
        let (class, hops) = if parsed.ethertype() == Ethertype::IPV6 {
            (first << 4 | second >> 4, v6)
        } else {
            (second, v4)
        };
        let longest = u64::from(self.path_mtu.load(Ordering::Relaxed)) + ETHERNET;
        let fits = frame.len() as u64 <= longest || offload.gso.is_some();
        (hops > 1 && fits).then_some(class)
    }

    /// What keeps a guest's packet from going on, and what its sender is told.
    fn problem_of(
        &self,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
    ) -> Option<(Option<Problem>, DropReason)> {
        let parsed = arrival.parsed;
        let l3 = parsed.l3().filter(|_| parsed.l3_kind().is_ip())?;
        if arrival.dir == Direction::In {
            return None;
        }
        if hops(arrival, packet) <= 1 && self.network.leaves_link(arrival.key) {
            return Some((Some(Problem::TimeExceeded), DropReason::HopLimitExceeded));
        }
        let len = packet.len().min(parsed.frame_len as usize) - l3;
        let mtu = self.path_mtu.load(Ordering::Relaxed);
        if packet.offload.gso.is_some() || len <= mtu as usize {
            return None;
        }
        // What may be cut is not told about: it is cut.
        let told = !may_fragment(parsed, packet.frame());
        let problem = told.then_some(Problem::TooBig(mtu as u16));
        Some((problem, DropReason::TooBig))
    }

    /// Writes the error, if one may be sent.
    fn tell(
        &self,
        problem: Problem,
        arrival: Arrival<'_, N::Key>,
        packet: &Packet<'_>,
        reply: &mut [u8],
    ) -> Option<usize> {
        let Arrival {
            dir, now, parsed, ..
        } = arrival;
        let frame = packet.frame();
        // RFC 1122, section 3.2.2; RFC 4443, section 2.4 (e.1): no error about an error.
        let about_error = !matches!(parsed.icmp_error(frame), Ok(None));
        if about_error || !may_report(parsed, frame) || !self.inner.lock().errors.take(now) {
            return None;
        }
        let report = Report::about(parsed, frame)?;
        let head = self.network.answer_head(dir, parsed, frame, 0, reply)?;
        let inner = reply.get_mut(head..)?;
        let reset = (problem == Problem::Prohibited && parsed.key.protocol == IpProtocol::TCP.0)
            .then(|| report.reset(inner));
        let len = match reset {
            Some(reset) => reset?,
            None => {
                let far_end = parsed.key.destination_ip();
                let from = match dir {
                    Direction::Out => self.network.router(far_end.is_ipv6())?.address,
                    // Outside nobody knows the router, and the guest's address is what was called.
                    Direction::In => far_end,
                };
                report.icmp(problem, from, inner)?
            }
        };
        self.network.answer_head(dir, parsed, frame, len, reply)?;
        Some(head + len)
    }

    /// Makes the segment size that a SYN offers fit the way.
    fn clamp_mss(&self, arrival: Arrival<'_, N::Key>, packet: &mut Packet<'_>) {
        let mtu = match MssClamp::of_number(self.mss_clamp.load(Ordering::Relaxed)) {
            MssClamp::Off => return,
            MssClamp::PathMtu => self.path_mtu.load(Ordering::Relaxed),
            MssClamp::To(mtu) => mtu.into(),
        };
        let parsed = arrival.parsed;
        // RFC 6691: headers without options.
        let headers = match parsed.l3_kind() {
            HeaderKind::Ipv4 => 40,
            _ => 60,
        };
        let Ok(greatest) = u16::try_from(mtu.saturating_sub(headers)) else {
            return;
        };
        let sums = packet.offload.sums;
        let end = parsed.frame_len as usize;
        let segment = parsed
            .l4()
            .and_then(|l4| packet.frame_mut().get_mut(l4..end));
        if let Some(segment) = segment {
            clamp(segment, greatest, sums);
        }
    }
}

/// What every packet is asked.
struct Glance {
    /// The traffic class of the innermost IP packet.
    class: u8,
    /// How far it may still go.
    hops: u8,
    /// It is a SYN, or answers one.
    syn: bool,
}

impl Glance {
    /// What does not stand in the frame does not matter: not of frames to the guest, but for SYNs.
    #[inline(always)]
    fn of<K>(arrival: Arrival<'_, K>, packet: &Packet<'_>) -> Self {
        let (parsed, frame) = (arrival.parsed, packet.frame());
        let tcp = parsed.key.protocol == IpProtocol::TCP.0 && parsed.fragment != Fragment::Later;
        let syn = tcp
            && frame
                .get(parsed.l4_start() + 13)
                .is_some_and(|flags| flags & SYN != 0);
        let mut glance = Self {
            class: 0,
            hops: u8::MAX,
            syn,
        };
        if arrival.dir == Direction::In || parsed.key.kind == KeyKind::NOT_IP {
            return glance;
        }
        let start = frame
            .get(parsed.l3_start()..)
            .and_then(<[u8]>::first_chunk::<9>);
        if let Some(&[first, second, _, _, _, _, _, v6, v4]) = start {
            let is_v6 = first >> 4 == 6;
            glance.hops = if is_v6 { v6 } else { v4 };
            glance.class = if is_v6 {
                first << 4 | second >> 4
            } else {
                second
            };
        }
        glance
    }
}

/// Bytes of the Ethernet header of a frame.
const ETHERNET: u64 = 14;
const SYN: u8 = 2;
const MSS: u8 = 2;

/// How far the innermost IP packet may still go; without one, as far as it likes.
#[inline(always)]
fn hops<K>(arrival: Arrival<'_, K>, packet: &Packet<'_>) -> u8 {
    let Some(l3) = arrival.parsed.l3() else {
        return u8::MAX;
    };
    let at = match arrival.parsed.l3_kind() {
        HeaderKind::Ipv4 => l3 + 8,
        HeaderKind::Ipv6 => l3 + 7,
        _ => return u8::MAX,
    };
    match packet.bytes(at, at + 1) {
        Some(&[hops]) => hops,
        _ => u8::MAX,
    }
}

/// Whether the packet is a SYN, or answers one.
#[inline(always)]
fn opens_connection<K>(arrival: Arrival<'_, K>, packet: &Packet<'_>) -> bool {
    if arrival.parsed.l4_kind() != HeaderKind::Tcp {
        return false;
    }
    let flags = arrival
        .parsed
        .l4()
        .and_then(|l4| packet.bytes(l4 + 13, l4 + 14));
    matches!(flags, Some(&[flags]) if flags & SYN != 0)
}

/// Makes the maximum segment size option of a SYN no greater than this, and its checksum right.
fn clamp(segment: &mut [u8], greatest: u16, sums: Sums) -> Option<()> {
    let end = usize::from(segment.get(12)? >> 4) * 4;
    let mut at = 20;
    while at + 4 <= end {
        match *segment.get(at..at + 2)? {
            [0, _] => return None,
            [1, _] => at += 1,
            [MSS, 4] => break,
            [_, len] if len >= 2 => at += usize::from(len),
            _ => return None,
        }
    }
    if at + 4 > end {
        return None;
    }
    let value = segment.get_mut(at + 2..at + 4)?.first_chunk_mut::<2>()?;
    if u16::from_be_bytes(*value) <= greatest {
        return None;
    }
    let (old, new) = (*value, greatest.to_be_bytes());
    *value = new;
    if sums == Sums::Partial {
        // The link sums up what stands there then.
        return Some(());
    }
    // An option may begin at an odd byte: there its bytes are the other halves of words.
    let of = |bytes: [u8; 2]| {
        let sum = Sum::of(&bytes);
        if at % 2 == 0 { sum } else { sum.byte_swapped() }
    };
    let field = segment.get_mut(16..18)?.first_chunk_mut::<2>()?;
    let kept = Sum::ZERO.with_word(!u16::from_be_bytes(*field));
    let sum = kept.plus(of(new)).plus(of(old.map(|byte| !byte)));
    *field = sum.checksum().to_be_bytes();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn segment(options: &[u8]) -> Vec<u8> {
        let len = 20 + options.len().next_multiple_of(4);
        let mut segment = alloc::vec![0; len];
        segment[..4].copy_from_slice(&[0x9c, 0x40, 0, 80]);
        segment[12] = ((len / 4) << 4) as u8;
        segment[13] = SYN;
        segment[20..20 + options.len()].copy_from_slice(options);
        let sum = Sum::of(&segment).checksum();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        segment
    }

    /// RFC 9293, section 3.2: options in any order, at any byte.
    #[test]
    fn segment_sizes_become_smaller_and_never_greater() {
        let cases: [(&[u8], Option<usize>); 8] = [
            (&[2, 4, 5, 180], Some(22)),
            (&[1, 2, 4, 5, 180], Some(23)),
            (&[1, 1, 1, 2, 4, 5, 180], Some(25)),
            (&[4, 2, 3, 3, 7, 2, 4, 5, 180], Some(27)),
            (&[4, 2, 3, 3, 7], None),
            (&[0, 2, 4, 5, 180], None),
            (&[3, 0, 2, 4, 5, 180], None),
            (&[1, 2, 4, 5], None),
        ];
        for (options, at) in cases {
            for greatest in [1000_u16, 1459, 1460, 1461] {
                let before = segment(options);
                let mut after = before.clone();
                clamp(&mut after, greatest, Sums::Complete);
                assert_eq!(Sum::of(&after).checksum(), 0, "{options:?}");
                let expected = greatest.min(1460).to_be_bytes();
                match at {
                    Some(at) => assert_eq!(after[at..at + 2], expected, "{options:?}"),
                    None => assert_eq!(after, before),
                }
            }
        }
        let mut partial = segment(&[2, 4, 5, 180]);
        let sum = [partial[16], partial[17]];
        clamp(&mut partial, 536, Sums::Partial);
        assert_eq!(
            (&partial[16..18], &partial[22..24]),
            (&sum[..], &[2, 24][..])
        );
    }
}
