//! Neighbour discovery: the gateway as router and as neighbour (RFC 4861, RFC 4862).
//!
//! Solicitations are validated as RFC 4861, sections 6.1.1 and 7.1.1, want it: hop limit 255, code 0, checksum, length, options of
//! a length, no source link-layer address from the unspecified address.

use core::fmt;
use core::net::Ipv6Addr;

use opte_headers::options::OptionList;
use opte_headers::{
    Ethernet, EthernetGet, Ethertype, Header, Icmpv6, Icmpv6Get, Icmpv6Type, IpProtocol, Ipv6,
    Ipv6Get, MacAddr, NdpOption, NdpOptions, NeighbourAdvertisement, NeighbourFlags,
    NeighbourSolicitation, NeighbourSolicitationGet, ParseError, RouterAdvertisement, RouterFlags,
    RouterSolicitation, RouterSolicitationGet, Wire,
};

use super::reply::Reply;
use super::request::Ipv6Request;
use super::{Answer, Gateway6, Service, ServiceError};

/// Answers router solicitations: the gateway is the default router, addresses are to be had by DHCPv6, no prefix is on the
/// link.
#[derive(Clone, Copy, Debug)]
pub struct RouterResponder {
    gateway: Gateway6,
    mtu: u16,
}

impl RouterResponder {
    /// A responder for one gateway on a link with an MTU of so many bytes.
    pub const fn new(gateway: Gateway6, mtu: u16) -> Self {
        Self { gateway, mtu }
    }

    /// Writes the advertisement that nobody has asked for, to all nodes, to the start of `out`; says its length (RFC 4861,
    /// section 6.2.4).
    ///
    /// # Errors
    /// [`ServiceError::NoRoom`] where `out` is too short.
    pub fn unsolicited(&self, out: &mut [u8]) -> Result<usize, ServiceError> {
        self.advertise(TO_ALL, out)
    }

    fn advertise(&self, to: Recipient, out: &mut [u8]) -> Result<usize, ServiceError> {
        let mut frame = Reply::new(out);
        head(&mut frame, &self.gateway, self.gateway.link_local, to)?;
        frame.header(&RouterAdvertisement {
            flags: RouterFlags::MANAGED,
            router_lifetime: ROUTER_LIFETIME,
            options: NdpOptions::of(&[
                NdpOption::SourceLinkLayer(self.gateway.mac),
                NdpOption::Mtu {
                    reserved: 0,
                    mtu: self.mtu.into(),
                },
            ])?,
            ..RouterAdvertisement::default()
        })?;
        frame.complete_icmpv6()
    }
}

impl Service for RouterResponder {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Some(request) = solicitation(request, Icmpv6Type::ROUTER_SOLICITATION)? else {
            return Ok(Answer::NotForUs);
        };
        let destination = request.ip.destination();
        if destination != ALL_ROUTERS && !self.gateway.has(destination) {
            return Ok(Answer::NotForUs);
        }
        request.check_icmpv6()?;
        let (message, _) = RouterSolicitation::parse(request.payload)?;
        check_options(message.options(), request.ip.source())?;
        let len = self.advertise(solicitor(&request), reply)?;
        Ok(Answer::Reply(len))
    }
}

impl fmt::Display for RouterResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Router Advertisement from {}, MTU {}",
            self.gateway.link_local, self.mtu
        )
    }
}

/// Answers neighbour solicitations for the gateway's addresses, those of duplicate address detection too.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourResponder {
    gateway: Gateway6,
}

impl NeighbourResponder {
    /// A responder for one gateway.
    pub const fn new(gateway: Gateway6) -> Self {
        Self { gateway }
    }

    /// Writes the advertisement of one of the gateway's addresses that nobody has asked for, to all nodes, to the start of `out`; says
    /// its length (RFC 4861, section 7.2.6). It replaces what the nodes know of the address.
    ///
    /// # Errors
    /// [`ServiceError::NoRoom`] where `out` is too short.
    pub fn unsolicited(&self, target: Ipv6Addr, out: &mut [u8]) -> Result<usize, ServiceError> {
        self.advertise(target, NeighbourFlags::empty(), TO_ALL, out)
    }

    fn advertise(
        &self,
        target: Ipv6Addr,
        solicited: NeighbourFlags,
        to: Recipient,
        out: &mut [u8],
    ) -> Result<usize, ServiceError> {
        let mut frame = Reply::new(out);
        head(&mut frame, &self.gateway, target, to)?;
        frame.header(&NeighbourAdvertisement {
            flags: NeighbourFlags::ROUTER | NeighbourFlags::OVERRIDE | solicited,
            target,
            options: NdpOptions::of(&[NdpOption::TargetLinkLayer(self.gateway.mac)])?,
            ..NeighbourAdvertisement::default()
        })?;
        frame.complete_icmpv6()
    }
}

impl Service for NeighbourResponder {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Some(request) = solicitation(request, Icmpv6Type::NEIGHBOUR_SOLICITATION)? else {
            return Ok(Answer::NotForUs);
        };
        request.check_icmpv6()?;
        let (message, _) = NeighbourSolicitation::parse(request.payload)?;
        let target = message.target();
        if target.is_multicast() {
            return Err(ParseError::illegal(
                "NeighbourSolicitation",
                "target",
                target.octets().number(),
            )
            .into());
        }
        let (source, destination) = (request.ip.source(), request.ip.destination());
        let to_group = destination == solicited_node(target);
        // "If the IP source address is the unspecified address, the IP destination address is a solicited-node multicast
        // address" (RFC 4861, section 7.1.1).
        if source.is_unspecified() && !to_group {
            return Err(
                ParseError::illegal("Ipv6", "destination", destination.octets().number()).into(),
            );
        }
        check_options(message.options(), source)?;
        if !self.gateway.has(target) || !(to_group || destination == target) {
            return Ok(Answer::NotForUs);
        }
        let solicited = if source.is_unspecified() {
            NeighbourFlags::empty()
        } else {
            NeighbourFlags::SOLICITED
        };
        let len = self.advertise(target, solicited, solicitor(&request), reply)?;
        Ok(Answer::Reply(len))
    }
}

impl fmt::Display for NeighbourResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Neighbour Advertisement: {} is-at {}",
            self.gateway, self.gateway.mac
        )
    }
}

/// The packet in `frame` if it is an ICMPv6 message of this type; what may not have passed a router must show that it did
/// not.
fn solicitation(frame: &[u8], ty: Icmpv6Type) -> Result<Option<Ipv6Request<'_>>, ParseError> {
    let Some(request) = Ipv6Request::parse(frame, IpProtocol::ICMPV6)? else {
        return Ok(None);
    };
    if Icmpv6::parse(request.payload)?.0.ty() != ty {
        return Ok(None);
    }
    match request.ip.hop_limit() {
        NDP_HOP_LIMIT => Ok(Some(request)),
        other => Err(ParseError::illegal("Ipv6", "hop_limit", other.into())),
    }
}

/// Every option must be well-formed, and who has no address yet must not tell that of its link layer.
fn check_options(
    options: OptionList<'_, NdpOption<'static>>,
    source: Ipv6Addr,
) -> Result<(), ParseError> {
    options.iter().try_for_each(|option| match option? {
        NdpOption::SourceLinkLayer(mac) if source.is_unspecified() => Err(ParseError::illegal(
            "NdpOption",
            "source_link_layer",
            mac.0.number(),
        )),
        _ => Ok(()),
    })
}

/// Whom an advertisement is for: addresses of IP and of the link.
type Recipient = (Ipv6Addr, MacAddr);

const TO_ALL: Recipient = (ALL_NODES, MacAddr::from_ipv6_multicast(ALL_NODES));

/// Who solicited, or all where that is nobody yet.
fn solicitor(request: &Ipv6Request<'_>) -> Recipient {
    match request.ip.source() {
        Ipv6Addr::UNSPECIFIED => TO_ALL,
        solicitor => (solicitor, request.ethernet.source()),
    }
}

/// The headers before an advertisement from `source`.
fn head(
    frame: &mut Reply<'_>,
    gateway: &Gateway6,
    source: Ipv6Addr,
    (destination, mac): Recipient,
) -> Result<(), ServiceError> {
    frame.header(&Ethernet {
        destination: mac,
        source: gateway.mac,
        ethertype: Ethertype::IPV6,
    })?;
    frame.header(&Ipv6 {
        next_header: IpProtocol::ICMPV6,
        hop_limit: NDP_HOP_LIMIT,
        source,
        destination,
        ..Ipv6::default()
    })
}

/// The solicited-node multicast address (RFC 4291, section 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from_octets([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// The hop limit of what has not passed a router.
const NDP_HOP_LIMIT: u8 = 255;

/// Seconds; the most a router may tell (RFC 4861, section 6.2.1).
const ROUTER_LIFETIME: u16 = 9_000;
