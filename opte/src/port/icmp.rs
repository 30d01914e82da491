//! ICMP errors that a port sends itself, and the resets of TCP: about packets that do not fit, have come too far, or are rejected.

use core::net::IpAddr;
use core::time::Duration;

use opte_headers::checksum::{Sum, pseudo_v4, pseudo_v6};
use opte_headers::frame::{Fragment, HeaderKind, Parsed};
use opte_headers::{
    Ethernet, EthernetGet, Ethertype, Header, IpProtocol, Ipv4, Ipv4Get, Ipv6, MacAddr, Tcp,
    TcpFlags, TcpGet,
};

use crate::time::Moment;

/// Why a packet does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It does not fit, and must not be cut; packets of so many bytes do (RFC 1191, section 4; RFC 4443, section 3.2).
    TooBig(u16),
    /// It may not be sent any farther (RFC 792; RFC 4443, section 3.3).
    TimeExceeded,
    /// A rule rejects it (RFC 1812, section 5.2.7.1; RFC 4443, section 3.1).
    Prohibited,
}

/// Who reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// Its link-layer address.
    pub mac: MacAddr,
    /// Its address.
    pub address: IpAddr,
}

/// How many errors a port sends (RFC 4443, section 2.4 (f); RFC 1812, section 4.3.2.8): a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorLimits {
    /// Errors in a second, on average; zero: none are sent.
    pub rate: u32,
    /// Errors at once.
    pub burst: u32,
}

impl Default for ErrorLimits {
    /// 100 in a second, 50 at once.
    fn default() -> Self {
        Self {
            rate: 100,
            burst: 50,
        }
    }
}

/// The bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    limits: ErrorLimits,
    /// Nanoseconds' worth of tokens.
    filled: u64,
    at: Moment,
}

const SECOND: u64 = 1_000_000_000;

/// By how much the clocks of workers may differ.
const SKEW: Duration = Duration::from_secs(1);

impl Bucket {
    pub(super) fn new(limits: ErrorLimits) -> Self {
        Self {
            limits,
            filled: u64::MAX,
            at: Moment::ZERO,
        }
    }

    /// What it was made for.
    pub(super) fn limits(&self) -> ErrorLimits {
        self.limits
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        let Some(price) = SECOND.checked_div(u64::from(self.limits.rate)) else {
            return false;
        };
        if self.at > now + SKEW {
            // The clock jumped back.
            self.at = now;
        }
        let passed = u64::try_from(now.since(self.at).as_nanos()).unwrap_or(u64::MAX);
        let full = price.saturating_mul(u64::from(self.limits.burst));
        self.filled = self.filled.saturating_add(passed).min(full);
        self.at = self.at.max(now);
        match self.filled.checked_sub(price) {
            Some(left) => self.filled = left,
            None => return false,
        }
        true
    }
}

/// Whether an error may be sent about a packet at all: not about a later fragment, to or from a group, or to nobody (RFC
/// 1812, section 4.3.2.7; RFC 4443, section 2.4 (e)). That it is no error itself the caller has seen.
pub(super) fn may_report(parsed: &Parsed, frame: &[u8]) -> bool {
    let ethernet = frame.get(parsed.l2()..).map(Ethernet::parse);
    let to_group = match ethernet {
        Some(Ok((ethernet, _))) => ethernet.destination().is_multicast(),
        _ => true,
    };
    let host = |address: IpAddr| match address {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_loopback())
                && v4.octets().first().is_some_and(|first| *first < 240)
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_loopback()),
    };
    parsed.l3_kind().is_ip()
        && !to_group
        && parsed.fragment != Fragment::Later
        && host(parsed.key.source_ip())
        && host(parsed.key.destination_ip())
}

/// What is answered to a frame.
pub(super) struct Report<'a> {
    parsed: &'a Parsed,
    /// From the innermost Ethernet header on.
    inner: &'a [u8],
    source: MacAddr,
    destination: MacAddr,
}

impl<'a> Report<'a> {
    /// `frame` may be cut off behind what an error embeds.
    pub(super) fn about(parsed: &'a Parsed, frame: &'a [u8]) -> Option<Self> {
        let inner = parsed.trim(frame).get(parsed.l2()..)?;
        let (ethernet, _) = Ethernet::parse(inner).ok()?;
        Some(Self {
            parsed,
            inner,
            source: ethernet.destination(),
            destination: ethernet.source(),
        })
    }

    /// Writes the ICMP error of `from` to `reply`; gives its length, none if it does not fit.
    pub(super) fn icmp(&self, problem: Problem, from: IpAddr, reply: &mut [u8]) -> Option<usize> {
        let packet = self.inner.get(self.ip_at()?..)?;
        let start = self.ethernet(reply)?;
        let out = reply.get_mut(start..)?;
        let len = match (from, self.parsed.key.source_ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let (ty, code, mtu) = match problem {
                    Problem::TooBig(mtu) => (3, 4, mtu),
                    Problem::TimeExceeded => (11, 0, 0),
                    Problem::Prohibited => (3, 13, 0),
                };
                // RFC 1812, section 4.3.2.3: as much as fits 576 bytes.
                let embedded = packet.get(..packet.len().min(MAX_V4 - 28))?;
                let header = Ipv4 {
                    total_len: (28 + embedded.len()) as u16,
                    ttl: HOPS,
                    protocol: IpProtocol::ICMP,
                    source: from,
                    destination: to,
                    ..Ipv4::default()
                };
                emit_v4(header, INTERNETWORK_CONTROL, out)?;
                let message = out.get_mut(20..28 + embedded.len())?;
                write_message(message, [ty, code], mtu.into(), embedded, Sum::ZERO)?;
                28 + embedded.len()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let (ty, code, mtu) = match problem {
                    Problem::TooBig(mtu) => (2, 0, mtu),
                    Problem::TimeExceeded => (3, 0, 0),
                    Problem::Prohibited => (1, 1, 0),
                };
                // RFC 4443, section 2.4 (c): as much as fits the least MTU.
                let embedded = packet.get(..packet.len().min(MAX_V6 - 48))?;
                let len = 8 + embedded.len();
                let header = Ipv6 {
                    payload_len: len as u16,
                    next_header: IpProtocol::ICMPV6,
                    hop_limit: HOPS,
                    source: from,
                    destination: to,
                    ..Ipv6::default()
                };
                header.emit(out).ok()?;
                let pseudo = pseudo_v6(from, to, IpProtocol::ICMPV6.0, len as u32);
                let message = out.get_mut(40..40 + len)?;
                write_message(message, [ty, code], mtu.into(), embedded, pseudo)?;
                40 + len
            }
            _ => return None,
        };
        Some(start + len)
    }

    /// Writes the reset of a TCP segment (RFC 9293, section 3.10.7.1) to `reply`; gives its length, none where there is
    /// none to send or it does not fit.
    pub(super) fn reset(&self, reply: &mut [u8]) -> Option<usize> {
        let l4 = self.parsed.l4()?.checked_sub(self.parsed.l2())?;
        if self.parsed.l4_kind() != HeaderKind::Tcp {
            return None;
        }
        let (segment, data) = Tcp::parse(self.inner.get(l4..)?).ok()?;
        let flags = segment.flags();
        if flags.contains(TcpFlags::RST) {
            return None;
        }
        let controls =
            u32::from(flags.contains(TcpFlags::SYN)) + u32::from(flags.contains(TcpFlags::FIN));
        let next = segment
            .sequence()
            .wrapping_add(data.len() as u32)
            .wrapping_add(controls);
        let (sequence, acknowledgement, flags) = if flags.contains(TcpFlags::ACK) {
            (segment.acknowledgement(), 0, TcpFlags::RST)
        } else {
            (0, next, TcpFlags::RST | TcpFlags::ACK)
        };
        let reset = Tcp {
            source: segment.destination(),
            destination: segment.source(),
            sequence,
            acknowledgement,
            flags,
            ..Tcp::default()
        };
        let start = self.ethernet(reply)?;
        let out = reply.get_mut(start..)?;
        let (from, to) = (
            self.parsed.key.destination_ip(),
            self.parsed.key.source_ip(),
        );
        let (ip_len, pseudo) = match (from, to) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header = Ipv4 {
                    total_len: 40,
                    ttl: HOPS,
                    dont_fragment: true,
                    protocol: IpProtocol::TCP,
                    source,
                    destination,
                    ..Ipv4::default()
                };
                emit_v4(header, 0, out)?;
                (20, pseudo_v4(source, destination, IpProtocol::TCP.0, 20))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6 {
                    payload_len: 20,
                    next_header: IpProtocol::TCP,
                    hop_limit: HOPS,
                    source,
                    destination,
                    ..Ipv6::default()
                };
                header.emit(out).ok()?;
                (40, pseudo_v6(source, destination, IpProtocol::TCP.0, 20))
            }
            _ => return None,
        };
        let segment = out.get_mut(ip_len..ip_len + 20)?;
        reset.emit(segment).ok()?;
        put(segment, 16, pseudo.with(segment).checksum())?;
        Some(start + ip_len + 20)
    }

    fn ip_at(&self) -> Option<usize> {
        self.parsed.l3()?.checked_sub(self.parsed.l2())
    }

    fn ethernet(&self, reply: &mut [u8]) -> Option<usize> {
        let ethertype = match self.parsed.l3_kind() {
            HeaderKind::Ipv4 => Ethertype::IPV4,
            _ => Ethertype::IPV6,
        };
        let header = Ethernet {
            destination: self.destination,
            source: self.source,
            ethertype,
        };
        header.emit(reply).ok()
    }
}

/// Whether an IPv4 packet may be cut on its way.
pub(super) fn may_fragment(parsed: &Parsed, frame: &[u8]) -> bool {
    let ip = parsed.l3().and_then(|at| frame.get(at..));
    match ip.map(Ipv4::parse) {
        Some(Ok((ip, _))) => parsed.l3_kind() == HeaderKind::Ipv4 && !ip.dont_fragment(),
        _ => false,
    }
}

const MAX_V4: usize = 576;
const MAX_V6: usize = 1280;
const HOPS: u8 = 64;
/// The traffic class of errors (RFC 1812, section 4.3.2.5; RFC 2474, section 4.2.2.2).
const INTERNETWORK_CONTROL: u8 = 0xc0;

fn emit_v4(header: Ipv4, class: u8, out: &mut [u8]) -> Option<()> {
    let len = header.emit(out).ok()?;
    *out.get_mut(1)? = class;
    let sum = Sum::of(out.get(..len)?).checksum();
    put(out, 10, sum)
}

fn write_message(
    message: &mut [u8],
    [ty, code]: [u8; 2],
    mtu: u32,
    embedded: &[u8],
    pseudo: Sum,
) -> Option<()> {
    let (head, rest) = message.split_first_chunk_mut::<8>()?;
    let [a, b, c, d] = mtu.to_be_bytes();
    *head = [ty, code, 0, 0, a, b, c, d];
    rest.copy_from_slice(embedded);
    let sum = pseudo.with(message).checksum();
    put(message, 2, sum)
}

fn put(bytes: &mut [u8], at: usize, value: u16) -> Option<()> {
    bytes
        .get_mut(at..at + 2)?
        .copy_from_slice(&value.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_the_rate() {
        let mut bucket = Bucket::new(ErrorLimits { rate: 10, burst: 5 });
        let mut now = Moment::from_secs(100);
        let taken = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, now), 5);
        now = now + Duration::from_millis(250);
        assert_eq!(taken(&mut bucket, now), 2);
        now = now + Duration::from_secs(3600);
        assert_eq!(taken(&mut bucket, now), 5);
        assert_eq!(
            taken(&mut bucket, Moment::ZERO),
            0,
            "a clock that jumps back fills nothing"
        );
        let mut none = Bucket::new(ErrorLimits { rate: 0, burst: 5 });
        assert!(!none.take(now));
    }
}
