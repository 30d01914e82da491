//! What parsing a frame comes to.

use super::key::FlowKey;
use super::kind::HeaderKind;
use super::offsets::{Offsets, Shape};
use super::walk::Stacked;
use crate::error::ParseError;
use crate::ethertype::Ethertype;
use crate::ip_protocol::IpProtocol;

/// What parsing a frame comes to: the key of its flow and where its headers stand. Typed views are taken from the frame at
/// these offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The key of the flow.
    pub key: FlowKey,
    /// Where the headers start.
    pub offsets: Offsets,
    /// Which headers they are.
    pub shape: Shape,
    /// Position of the innermost Ethernet header.
    pub inner: u8,
    /// Position of the innermost IP or ARP header, or `NONE`.
    pub(crate) l3: u8,
    /// Position of the header behind the innermost IP header, or `NONE`.
    pub(crate) l4: u8,
    /// Whether the innermost IP packet is a fragment.
    pub fragment: Fragment,
    /// What tells the fragments of one packet from those of another; zero if it is whole.
    pub fragment_id: u32,
    /// What the innermost Ethernet header or its last VLAN tag says follows.
    pub ethertype: Ethertype,
    /// Bytes of the frame without what pads it behind the innermost IP packet.
    pub frame_len: u32,
    /// Byte at which the payload of the innermost header starts.
    pub payload: u32,
    /// Which of the tunnel's options are there.
    pub tunnel: TunnelOptions,
}

/// Whether a packet is a fragment, and which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fragment {
    /// A whole packet (an atomic fragment of IPv6 too, RFC 6946).
    #[default]
    No,
    /// The first fragment: it has the transport header.
    First,
    /// A later fragment: it has none.
    Later,
}

/// Which of Oxide's Geneve options (class 0x0129) a frame has. Their bodies are to be had from the header's view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TunnelOptions(pub u8);

impl TunnelOptions {
    /// The inner packet came from outside the overlay.
    pub const EXTERNAL: Self = Self(1);
    /// The inner packet is multicast.
    pub const MULTICAST: Self = Self(2);
    /// The segment size that is to be kept.
    pub const MSS: Self = Self(4);

    /// Whether all of `others` are here too.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

pub(crate) const NONE: u8 = u8::MAX;

impl Parsed {
    /// Byte at which the innermost Ethernet header starts.
    #[inline]
    pub fn l2(&self) -> usize {
        usize::from(self.offsets.start_of_constant(self.inner))
    }

    /// Byte at which the innermost network-layer header starts.
    #[inline]
    pub fn l3(&self) -> Option<usize> {
        self.offsets.at(self.l3).map(usize::from)
    }

    /// Byte at which the header behind the innermost IP header starts; none in a later fragment.
    #[inline]
    pub fn l4(&self) -> Option<usize> {
        self.offsets.at(self.l4).map(usize::from)
    }

    /// Byte at which the innermost network-layer header starts, if there is one; else anything. For what every packet is asked.
    #[inline(always)]
    pub fn l3_start(&self) -> usize {
        usize::from(self.offsets.start_of_constant(self.l3))
    }

    /// Byte at which the header behind the innermost IP header starts, if there is one; else anything.
    #[inline(always)]
    pub fn l4_start(&self) -> usize {
        usize::from(self.offsets.start_of_constant(self.l4))
    }

    /// Byte at which the header behind the innermost IP header starts, as [`Parsed::l4_start`], and bytes of payload.
    #[inline(always)]
    pub fn segment(&self) -> (usize, u32) {
        (self.l4_start(), self.frame_len.wrapping_sub(self.payload))
    }

    /// Position of the innermost network-layer header.
    #[inline]
    pub fn l3_index(&self) -> Option<u8> {
        (self.l3 != NONE).then_some(self.l3)
    }

    /// Position of the header behind the innermost IP header.
    #[inline]
    pub fn l4_index(&self) -> Option<u8> {
        (self.l4 != NONE).then_some(self.l4)
    }

    /// Kind of the innermost network-layer header.
    #[inline]
    pub fn l3_kind(&self) -> HeaderKind {
        self.shape.at(self.l3)
    }

    /// Kind of the header behind the innermost IP header.
    #[inline]
    pub fn l4_kind(&self) -> HeaderKind {
        self.shape.at(self.l4)
    }

    /// What the innermost Ethernet header or its last VLAN tag says follows.
    #[inline]
    pub const fn ethertype(&self) -> Ethertype {
        self.ethertype
    }

    /// The protocol of the innermost IP packet, behind all extension headers.
    #[inline]
    pub fn protocol(&self) -> Option<IpProtocol> {
        self.l3_kind()
            .is_ip()
            .then_some(IpProtocol(self.key.protocol))
    }

    /// That the innermost Ethernet header has no VLAN tag behind it, for networks that know none: the flow key does not tell
    /// tagged frames from others.
    ///
    /// # Errors
    /// `Unsupported`, of the Ethernet header; the selector is that of 802.1Q for tags of all kinds.
    #[inline]
    pub fn untagged(&self) -> Result<(), ParseError> {
        let next = self.inner + 1;
        if self.l3 == next || self.shape.at(next) != HeaderKind::Vlan {
            return Ok(());
        }
        let selector = u64::from(Ethertype::VLAN.0);
        Err(ParseError::unsupported("Ethernet", "ethertype", selector))
    }

    /// Whether the frame is inside a tunnel.
    #[inline]
    pub const fn is_tunnelled(&self) -> bool {
        self.inner != 0
    }

    /// A view of the header at position `index` of the stack; none if another header stands there.
    ///
    /// ```
    /// use opte_headers::frame::parse_guest;
    /// use opte_headers::{Ipv4, Ipv4Get, Tcp};
    /// # use opte_headers::{Ethernet, Ethertype, Header, IpProtocol};
    /// # let mut frame = [0; 54];
    /// # Ethernet { ethertype: Ethertype::IPV4, ..Ethernet::default() }.emit(&mut frame).unwrap();
    /// # let ip = Ipv4 { total_len: 40, protocol: IpProtocol::TCP, ..Ipv4::default() };
    /// # ip.emit(&mut frame[14..]).unwrap();
    /// # Tcp::default().emit(&mut frame[34..]).unwrap();
    /// let parsed = parse_guest(&frame).unwrap();
    /// let ipv4 = parsed.l3_index().and_then(|index| parsed.view::<Ipv4>(&frame, index)).unwrap();
    /// assert_eq!(ipv4.ttl(), 64);
    /// assert!(parsed.view::<Tcp>(&frame, 1).is_none());
    /// ```
    pub fn view<'a, H: Stacked>(&self, frame: &'a [u8], index: u8) -> Option<H::View<'a>> {
        let at = self
            .offsets
            .at(index)
            .filter(|_| H::KIND.is_known() && self.shape.at(index) == H::KIND)?;
        H::parse(self.trim(frame).get(usize::from(at)..)?)
            .ok()
            .map(|(view, _)| view)
    }

    /// The frame without what pads it.
    pub fn trim<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(..self.frame_len as usize).unwrap_or(frame)
    }
}
