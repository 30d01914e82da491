//! What the engine knows of the LAN.

use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use opte::Direction;
use opte::nat::Share;
use opte::network::{Handled, Network};
use opte::port::Router;
use opte::sync::KRwLock;
use opte_headers::frame::{Parsed, parse_guest};
use opte_headers::{
    Arp, ArpGet, ArpOperation, Ethernet, EthernetGet, Ethertype, FlowKey, Header, MacAddr,
    ParseError,
};

use crate::IpConfig;

/// The LAN as one guest's port sees it.
#[derive(Clone, Debug)]
pub struct LanNat {
    present: Arc<Present>,
}

/// Discriminator in [`FlowKey::flags`]: the guest's side of the frame has the MAC address that it must have, the guest's own or,
/// on the LAN, the public one.
pub(crate) const OWN_MAC: u8 = 1;

/// What the port is at present. Packets read it without a lock; those that meet a change see some of it before and some after,
/// and are held against the rules all the same.
#[derive(Debug)]
pub(crate) struct Present {
    guest_mac: MacAddr,
    public_mac: AtomicU64,
    public_ip: AtomicU32,
    gateway_mac: AtomicU64,
    gateway_ip: AtomicU32,
    /// The ports of the public address: asked by the state of live flows whether it still holds.
    share: KRwLock<Arc<Share>>,
}

impl Present {
    pub(crate) fn new(cfg: &IpConfig, share: Arc<Share>) -> Self {
        Self {
            guest_mac: cfg.guest_mac,
            public_mac: AtomicU64::new(number(cfg.public_mac)),
            public_ip: AtomicU32::new(cfg.public_ip.to_bits()),
            gateway_mac: AtomicU64::new(number(cfg.gateway_mac)),
            gateway_ip: AtomicU32::new(cfg.gateway_ip.to_bits()),
            share: KRwLock::new(share),
        }
    }

    /// Puts this configuration, and these ports of its public address, in the place of those before. Gives back the ports of before.
    pub(crate) fn replace(&self, cfg: &IpConfig, share: Arc<Share>) -> Arc<Share> {
        let set = |place: &AtomicU64, mac| place.store(number(mac), Ordering::Relaxed);
        set(&self.public_mac, cfg.public_mac);
        set(&self.gateway_mac, cfg.gateway_mac);
        let set = |place: &AtomicU32, ip: Ipv4Addr| place.store(ip.to_bits(), Ordering::Relaxed);
        set(&self.public_ip, cfg.public_ip);
        set(&self.gateway_ip, cfg.gateway_ip);
        core::mem::replace(&mut *self.share.write(), share)
    }

    pub(crate) fn guest_mac(&self) -> MacAddr {
        self.guest_mac
    }

    pub(crate) fn share(&self) -> Arc<Share> {
        Arc::clone(&self.share.read())
    }

    /// Whether these are the ports of the public address.
    pub(crate) fn has(&self, share: &Arc<Share>) -> bool {
        Arc::ptr_eq(&self.share.read(), share)
    }

    fn public_mac(&self) -> MacAddr {
        mac(self.public_mac.load(Ordering::Relaxed))
    }

    fn public_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.public_ip.load(Ordering::Relaxed))
    }

    fn gateway_ip(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.gateway_ip.load(Ordering::Relaxed))
    }
}

fn number(mac: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = mac.octets();
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

fn mac(number: u64) -> MacAddr {
    let [_, _, a, b, c, d, e, f] = number.to_be_bytes();
    MacAddr::new([a, b, c, d, e, f])
}

impl LanNat {
    /// Its name, by which commands and saved state tell whose a port is.
    pub const NAME: &str = "lan-nat";

    pub(crate) fn new(present: Arc<Present>) -> Self {
        Self { present }
    }

    /// The answer to an ARP request for the public address (RFC 826, RFC 5227).
    fn arp(&self, frame: &[u8], reply: &mut [u8]) -> Option<Handled> {
        let (ethernet, rest) = Ethernet::parse(frame).ok()?;
        let (request, _) = Arp::parse(rest).ok()?;
        if request.operation() != ArpOperation::REQUEST
            || request.target_ip() != self.present.public_ip()
        {
            return None;
        }
        let public_mac = self.present.public_mac();
        let head = Ethernet {
            destination: ethernet.source(),
            source: public_mac,
            ethertype: Ethertype::ARP,
        };
        let answer = Arp {
            operation: ArpOperation::REPLY,
            sender_mac: public_mac,
            sender_ip: request.target_ip(),
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
        Self::NAME
    }

    fn parse(&self, _: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        parse_guest(frame)
    }

    fn admits(&self, parsed: &Parsed) -> Result<(), ParseError> {
        parsed.untagged()
    }

    fn key(&self, dir: Direction, parsed: &Parsed, frame: &[u8]) -> FlowKey {
        let own = Ethernet::parse(frame).is_ok_and(|(ethernet, _)| match dir {
            Direction::Out => ethernet.source() == self.present.guest_mac,
            Direction::In => ethernet.destination() == self.present.public_mac(),
        });
        parsed.key.with_flags(if own { OWN_MAC } else { 0 })
    }

    fn return_key(&self, _: Direction, after: &FlowKey, (): &()) -> FlowKey {
        after.mirror().with_flags(OWN_MAC)
    }

    fn router(&self, ipv6: bool) -> Option<Router> {
        (!ipv6).then_some(Router {
            mac: mac(self.present.gateway_mac.load(Ordering::Relaxed)),
            address: self.present.gateway_ip().into(),
        })
    }

    fn leaves_link(&self, key: &FlowKey) -> bool {
        // The guest's link has nobody else on it.
        key.destination_ip() != self.present.gateway_ip()
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
