//! Tunnels whose headers are not written, because both their ends are on one host.

use super::bind::at;
use super::{Applied, Bound, Prefix, Program, Sums, Template, Translation};
use crate::ethertype::Ethertype;
use crate::frame::{Innermost, Offsets, Parsed, TunnelOptions, parse_geneve};
use crate::header::Header;
use crate::ip_protocol::IpProtocol;
use crate::protocol::{Ecn, Ethernet, Ipv4, Ipv6, Ipv6Get, Udp, ipv6};
use crate::vni::Vni;

/// What the headers of a Geneve tunnel say to its far end, for a frame that comes there without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelInfo {
    /// The network.
    pub vni: Vni,
    /// Which of Oxide's options there are.
    pub options: TunnelOptions,
    /// Headers, from the outermost Ethernet header on, and their bytes.
    headers: u8,
    len: u8,
}

impl TunnelInfo {
    /// Bytes of the headers.
    #[inline]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.len as usize
    }

    /// Of what a program puts in front of frames, if that is a tunnel that ends at the address it begins at, and has no
    /// traffic class of its own. The parser of its far end says what it is.
    pub(super) fn of(template: &Template) -> Option<Self> {
        let prefix = template.prefix();
        if !ends_where_it_begins(prefix.as_bytes()) {
            return None;
        }
        let mut frame = [0; Prefix::CAPACITY + PLAIN];
        plain(frame.get_mut(Prefix::CAPACITY..)?)?;
        let around = Program {
            prefix: Prefix { pop: 0, ..*prefix },
            ..Program::IDENTITY
        };
        let (offsets, sums) = (Offsets::EMPTY, Sums::Complete);
        let put = around.apply(&mut frame, Prefix::CAPACITY, PLAIN, &offsets, sums, 0);
        let frame = frame.get(put.ok()?.start..)?;
        let parsed = parse_geneve(frame).ok()?;
        let outer = parsed.view::<Ipv6>(frame, 1)?;
        let is_plain = outer.dscp().value() == 0
            && outer.ecn() == Ecn::NotEct
            && parsed.l2() == prefix.as_bytes().len()
            && parsed.offsets.anchor() == parsed.inner + 1;
        is_plain.then_some(Self {
            vni: parsed.key.vni(),
            options: parsed.tunnel,
            headers: parsed.inner,
            len: prefix.len,
        })
    }
}

impl Parsed {
    /// Makes it what the same frame comes to inside a tunnel, as far as [`Bound::apply_plain`] and the flow key ask: they count the
    /// tunnel's headers. The frame's own offsets stay.
    #[inline]
    pub fn enter_tunnel(&mut self, tunnel: &TunnelInfo) {
        self.key = self.key.with_vni(tunnel.vni);
        self.tunnel = tunnel.options;
        self.offsets.add_to_anchor(tunnel.headers);
    }
}

impl Bound {
    /// As [`Bound::apply`], but without the headers that go in front: the frame is then as the far end of the tunnel has it
    /// when it has taken them off. What they say is [`Bound::local_tunnel`]; [`Bound::push`] puts them there after all.
    ///
    /// None, and nothing done, of frames that are not as those of the flow mostly are.
    #[inline]
    pub fn apply_inside(
        &self,
        translation: &Translation,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        innermost: Innermost,
        sums: Sums,
    ) -> Option<Applied> {
        if innermost.anchor() != self.front.anchor {
            return None;
        }
        let dropped = innermost.base();
        let start = start + dropped;
        let frame_len = frame_len.checked_sub(dropped)?;
        self.front
            .rewrite(translation, head.get_mut(start..)?, sums)?;
        Some(Applied { start, frame_len })
    }

    /// Puts the headers in front of a frame that [`Bound::apply_inside`] has left. None, and nothing done, without the room.
    #[must_use]
    pub fn push(
        &self,
        head: &mut [u8],
        start: usize,
        frame_len: usize,
        entropy: u16,
    ) -> Option<Applied> {
        let around = Program {
            prefix: Prefix {
                pop: 0,
                ..*self.template().prefix()
            },
            ..Program::IDENTITY
        };
        let (offsets, sums) = (Offsets::EMPTY, Sums::Complete);
        around
            .apply(head, start, frame_len, &offsets, sums, entropy)
            .ok()
    }

    /// What the headers say that go in front, if they are a Geneve tunnel that ends at the address it begins at: at the host
    /// itself.
    #[inline]
    #[must_use]
    pub const fn local_tunnel(&self) -> Option<&TunnelInfo> {
        self.local.as_ref()
    }
}

fn ends_where_it_begins(headers: &[u8]) -> bool {
    const IP: usize = Ethernet::MIN_LEN;
    let address = |at: usize| headers.get(IP + at..).and_then(<[u8]>::first_chunk::<16>);
    let source = address(at::<ipv6::Source>());
    source.is_some() && source == address(at::<ipv6::Destination>())
}

/// Bytes of a datagram without data.
const PLAIN: usize = Ethernet::MIN_LEN + Ipv4::MIN_LEN + Udp::MIN_LEN;

/// Writes one.
fn plain(mut frame: &mut [u8]) -> Option<()> {
    let ethernet = Ethernet {
        ethertype: Ethertype::IPV4,
        ..Ethernet::default()
    };
    let ip = Ipv4 {
        total_len: (Ipv4::MIN_LEN + Udp::MIN_LEN) as u16,
        protocol: IpProtocol::UDP,
        ..Ipv4::default()
    };
    let udp = Udp {
        length: Udp::MIN_LEN as u16,
        ..Udp::default()
    };
    let len = ethernet.emit(frame).ok()?;
    frame = frame.get_mut(len..)?;
    let len = ip.emit(frame).ok()?;
    frame = frame.get_mut(len..)?;
    udp.emit(frame).ok().map(|_| ())
}
