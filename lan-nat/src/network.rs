//! What the engine knows of the LAN.

use core::net::Ipv4Addr;

use opte::Direction;
use opte::network::{Handled, Network};
use opte::port::Router;
use opte_headers::frame::{Parsed, parse_guest};
use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Ethertype, FlowKey, Header, MacAddr,
    ParseError,
};

use crate::IpConfig;

/// The LAN as one guest's port sees it.
#[derive(Clone, Copy, Debug)]
pub struct LanNat {
    guest_mac: MacAddr,
    public_mac: MacAddr,
    public_ip: Ipv4Addr,
    gateway_mac: MacAddr,
    gateway_ip: Ipv4Addr,
}

/// Discriminator in [`FlowKey::flags`]: the guest's side of the frame has the MAC address that it must have, the guest's own or,
/// on the LAN, the public one.
pub(crate) const OWN_MAC: u8 = 1;

impl LanNat {
    pub(crate) fn new(cfg: &IpConfig) -> Self {
        Self {
            guest_mac: cfg.guest_mac,
            public_mac: cfg.public_mac,
            public_ip: cfg.public_ip,
            gateway_mac: cfg.gateway_mac,
            gateway_ip: cfg.gateway_ip,
        }
    }

    /// The answer to an ARP request for the public address (RFC 826, RFC 5227).
    fn arp(&self, frame: &[u8], reply: &mut [u8]) -> Option<Handled> {
        let (ethernet, rest) = Ethernet::parse(frame).ok()?;
        let (request, _) = Arp::parse(rest).ok()?;
        if request.operation() != ArpOperation::REQUEST || request.target_ip() != self.public_ip {
            return None;
        }
        let head = Ethernet {
            destination: ethernet.source(),
            source: self.public_mac,
            ethertype: Ethertype::ARP,
        };
        let answer = Arp {
            operation: ArpOperation::REPLY,
            sender_mac: self.public_mac,
            sender_ip: self.public_ip,
            target_mac: request.sender_mac(),
            target_ip: request.sender_ip(),
            ..Arp::default()
        };
        let (Ok(head_len), body) = (
            head.emit(reply),
            reply.get_mut(head.len()..).unwrap_or_default(),
        ) else {
            return Some(Handled::TooLong);
        };
        Some(
            answer
                .emit(body)
                .map_or(Handled::TooLong, |len| Handled::Reply(head_len + len)),
        )
    }
}

impl Network for LanNat {
    type Key = FlowKey;
    type Meta = ();

    fn name(&self) -> &str {
        "lan-nat"
    }

    fn parse(&self, _: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        parse_guest(frame)
    }

    fn admits(&self, parsed: &Parsed) -> Result<(), ParseError> {
        parsed.untagged()
    }

    fn key(&self, dir: Direction, parsed: &Parsed, frame: &[u8]) -> FlowKey {
        let own = Ethernet::parse(frame).is_ok_and(|(ethernet, _)| match dir {
            Direction::Out => ethernet.source() == self.guest_mac,
            Direction::In => ethernet.destination() == self.public_mac,
        });
        parsed.key.with_flags(if own { OWN_MAC } else { 0 })
    }

    fn return_key(&self, _: Direction, after: &FlowKey, (): &()) -> FlowKey {
        after.mirror().with_flags(OWN_MAC)
    }

    fn router(&self, ipv6: bool) -> Option<Router> {
        (!ipv6).then_some(Router {
            mac: self.gateway_mac,
            address: self.gateway_ip.into(),
        })
    }

    fn leaves_link(&self, key: &FlowKey) -> bool {
        // The guest's link has nobody else on it.
        key.destination_ip() != self.gateway_ip
    }

    fn handle_packet(
        &self,
        _: Direction,
        parsed: &Parsed,
        frame: &[u8],
        reply: &mut [u8],
    ) -> Handled {
        match parsed.ethertype() {
            Ethertype::ARP => self.arp(frame, reply).unwrap_or(Handled::Deny),
            _ => Handled::Deny,
        }
    }
}
