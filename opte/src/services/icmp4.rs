//! Echo for the gateway's IPv4 address (RFC 792; RFC 1122, section 3.2.2.6).

use core::fmt;
use core::net::Ipv4Addr;

use opte_headers::checksum::{self, Sum};
use opte_headers::{
    Cause, Ethernet, EthernetGet, Ethertype, Header, Icmpv4, Icmpv4Get, Icmpv4Type, IpProtocol,
    Ipv4, Ipv4Get, MacAddr, ParseError,
};

use super::reply::Reply;
use super::request::{Ipv4Request, is_host_v4};
use super::{Answer, ECHO_HOP_LIMIT, Service, ServiceError};

/// Whom the gateway answers, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The gateway's link-layer address.
    pub gateway_mac: MacAddr,
    /// The gateway's address.
    pub gateway_ip: Ipv4Addr,
}

/// Answers ICMP echo requests to the gateway: the same identifier, sequence number and data.
///
/// A request in fragments is refused.
#[derive(Clone, Copy, Debug)]
pub struct EchoResponder {
    config: Config,
}

impl EchoResponder {
    /// A responder for one gateway.
    pub const fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Service for EchoResponder {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Config {
            gateway_mac,
            gateway_ip,
        } = self.config;
        let Some(request) = Ipv4Request::parse(request, IpProtocol::ICMP)? else {
            return Ok(Answer::NotForUs);
        };
        if request.ip.destination() != gateway_ip || request.ethernet.destination() != gateway_mac {
            return Ok(Answer::NotForUs);
        }
        let (echo, data) = Icmpv4::parse(request.payload)?;
        if (echo.ty(), echo.code()) != (Icmpv4Type::ECHO_REQUEST, 0) {
            return Ok(Answer::NotForUs);
        }
        if !is_host_v4(request.ip.source()) {
            return Err(ParseError::illegal(
                "Ipv4",
                "source",
                request.ip.source().to_bits().into(),
            )
            .into());
        }
        if Sum::of(request.payload).fold() != 0xffff {
            return Err(ParseError::new("Icmpv4", "checksum", Cause::BadChecksum).into());
        }
        let mut frame = Reply::new(reply);
        frame.header(&Ethernet {
            destination: request.ethernet.source(),
            source: gateway_mac,
            ethertype: Ethertype::IPV4,
        })?;
        frame.header(&Ipv4 {
            dscp: request.ip.dscp(),
            dont_fragment: true,
            ttl: ECHO_HOP_LIMIT,
            protocol: IpProtocol::ICMP,
            source: gateway_ip,
            destination: request.ip.source(),
            ..Ipv4::default()
        })?;
        // Only the type changes under the checksum.
        let ty = |ty: Icmpv4Type| u16::from_be_bytes([ty.0, 0]);
        frame.header(&Icmpv4 {
            ty: Icmpv4Type::ECHO_REPLY,
            code: 0,
            checksum: checksum::update(
                echo.checksum(),
                ty(Icmpv4Type::ECHO_REQUEST),
                ty(Icmpv4Type::ECHO_REPLY),
            ),
            identifier: echo.identifier(),
            sequence: echo.sequence(),
        })?;
        frame.bytes(data)?;
        frame.complete_ipv4()
    }
}

impl fmt::Display for EchoResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ICMPv4 Echo Reply from {}", self.config.gateway_ip)
    }
}
