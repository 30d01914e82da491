//! ARP for the gateway's address (RFC 826, RFC 5227).
//!
//! | from the guest | answer |
//! |---|---|
//! | request for the gateway's address, broadcast or to the gateway | reply |
//! | probe for it: sender's address zero (RFC 5227, section 2.1.1) | reply, which tells the guest that it is taken |
//! | announcement of it: sender's and target address both the gateway's (section 2.3) | reply, which defends it |
//! | request for another address, probe or announcement of the guest's own | none |
//! | reply | none |

use core::fmt;
use core::net::Ipv4Addr;

use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Ethertype, Header, MacAddr, ParseError, Wire,
};

use super::reply::Reply;
use super::{Answer, Service, ServiceError};

/// Whom the gateway answers, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The guest's link-layer address: requests of others are refused.
    pub guest_mac: MacAddr,
    /// The gateway's link-layer address.
    pub gateway_mac: MacAddr,
    /// The gateway's address.
    pub gateway_ip: Ipv4Addr,
}

/// Answers ARP requests for the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Responder {
    config: Config,
}

impl Responder {
    /// A responder for one gateway.
    pub const fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Service for Responder {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Config {
            guest_mac,
            gateway_mac,
            gateway_ip,
        } = self.config;
        let (ethernet, rest) = Ethernet::parse(request)?;
        if ethernet.ethertype() != Ethertype::ARP {
            return Ok(Answer::NotForUs);
        }
        let (arp, _) = Arp::parse(rest)?;
        if ethernet.source() != guest_mac {
            return Err(
                ParseError::illegal("Ethernet", "source", ethernet.source().0.number()).into(),
            );
        }
        if arp.sender_mac() != guest_mac {
            return Err(
                ParseError::illegal("Arp", "sender_mac", arp.sender_mac().0.number()).into(),
            );
        }
        let to_us = ethernet.destination().is_broadcast() || ethernet.destination() == gateway_mac;
        if !to_us || arp.operation() != ArpOperation::REQUEST || arp.target_ip() != gateway_ip {
            return Ok(Answer::Accepted);
        }
        let mut frame = Reply::new(reply);
        frame.header(&Ethernet {
            destination: guest_mac,
            source: gateway_mac,
            ethertype: Ethertype::ARP,
        })?;
        frame.header(&Arp {
            operation: ArpOperation::REPLY,
            sender_mac: gateway_mac,
            sender_ip: gateway_ip,
            target_mac: guest_mac,
            target_ip: arp.sender_ip(),
            ..Arp::default()
        })?;
        Ok(frame.complete())
    }
}

impl fmt::Display for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ARP {} is-at {}",
            self.config.gateway_ip, self.config.gateway_mac
        )
    }
}
