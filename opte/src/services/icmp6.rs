//! Echo for the gateway's IPv6 addresses (RFC 4443, section 4).

use core::fmt;
use core::net::Ipv6Addr;

use opte_headers::checksum;
use opte_headers::{
    Ethernet, EthernetGet, Ethertype, Header, Icmpv6, Icmpv6Get, Icmpv6Type, IpProtocol, Ipv6,
    Ipv6Get, ParseError, Wire,
};

use super::reply::Reply;
use super::request::{Ipv6Request, is_host_v6};
use super::{Answer, ECHO_HOP_LIMIT, Gateway6, Service, ServiceError};

/// Answers ICMPv6 echo requests to the gateway: the same identifier, sequence number and data.
#[derive(Clone, Copy, Debug)]
pub struct EchoResponder {
    gateway: Gateway6,
}

impl EchoResponder {
    /// A responder for one gateway.
    pub const fn new(gateway: Gateway6) -> Self {
        Self { gateway }
    }
}

impl Service for EchoResponder {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Some(request) = Ipv6Request::parse(request, IpProtocol::ICMPV6)? else {
            return Ok(Answer::NotForUs);
        };
        let (source, destination): (Ipv6Addr, Ipv6Addr) =
            (request.ip.source(), request.ip.destination());
        if !self.gateway.has(destination) || request.ethernet.destination() != self.gateway.mac {
            return Ok(Answer::NotForUs);
        }
        let (echo, data) = Icmpv6::parse(request.payload)?;
        if (echo.ty(), echo.code()) != (Icmpv6Type::ECHO_REQUEST, 0) {
            return Ok(Answer::NotForUs);
        }
        if !is_host_v6(source) {
            return Err(ParseError::illegal("Ipv6", "source", source.octets().number()).into());
        }
        request.check_icmpv6()?;
        let mut frame = Reply::new(reply);
        frame.header(&Ethernet {
            destination: request.ethernet.source(),
            source: self.gateway.mac,
            ethertype: Ethertype::IPV6,
        })?;
        frame.header(&Ipv6 {
            dscp: request.ip.dscp(),
            payload_len: request.ip.payload_len(),
            next_header: IpProtocol::ICMPV6,
            hop_limit: ECHO_HOP_LIMIT,
            source: destination,
            destination: source,
            ..Ipv6::default()
        })?;
        // The addresses are the same, the other way round: only the type changes under the checksum.
        let ty = |ty: Icmpv6Type| u16::from_be_bytes([ty.0, 0]);
        frame.header(&Icmpv6 {
            ty: Icmpv6Type::ECHO_REPLY,
            code: 0,
            checksum: checksum::update(
                echo.checksum(),
                ty(Icmpv6Type::ECHO_REQUEST),
                ty(Icmpv6Type::ECHO_REPLY),
            ),
            identifier: echo.identifier(),
            sequence: echo.sequence(),
        })?;
        frame.bytes(data)?;
        Ok(frame.complete())
    }
}

impl fmt::Display for EchoResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ICMPv6 Echo Reply from {}", self.gateway)
    }
}
