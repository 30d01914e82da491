//! LANs: the links to them, and which port is which station.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::Ipv4Addr;

use opte_headers::MacAddr;

use super::SwitchPort;
use crate::platform::{LanId, LanLink};

/// The links to LANs, and the ports that are on them.
pub struct Lans<L> {
    links: BTreeMap<LanId, LanLink>,
    by_mac: BTreeMap<(LanId, [u8; 6]), Arc<SwitchPort<L>>>,
    by_ip: BTreeMap<(LanId, Ipv4Addr), Arc<SwitchPort<L>>>,
}

impl<L> Lans<L> {
    /// LANs with these links and no ports.
    pub fn new(links: impl IntoIterator<Item = (LanId, LanLink)>) -> Self {
        Self {
            links: links.into_iter().collect(),
            by_mac: BTreeMap::new(),
            by_ip: BTreeMap::new(),
        }
    }

    /// Adds a port that is on a LAN with these addresses.
    pub fn add(&mut self, mac: MacAddr, ip: Ipv4Addr, port: &Arc<SwitchPort<L>>) {
        if let Some(lan) = port.lan {
            self.by_mac.insert((lan, mac.octets()), Arc::clone(port));
            self.by_ip.insert((lan, ip), Arc::clone(port));
        }
    }

    /// The link to a LAN.
    #[inline]
    pub fn link(&self, lan: LanId) -> Option<&LanLink> {
        self.links.get(&lan)
    }

    /// The port that is the station with address `mac`.
    #[inline]
    pub fn station(&self, lan: LanId, mac: MacAddr) -> Option<&Arc<SwitchPort<L>>> {
        self.by_mac.get(&(lan, mac.octets()))
    }

    /// The port that has the public address `ip`.
    pub fn owner(&self, lan: LanId, ip: Ipv4Addr) -> Option<&Arc<SwitchPort<L>>> {
        self.by_ip.get(&(lan, ip))
    }
}

impl<L> Default for Lans<L> {
    fn default() -> Self {
        Self::new([])
    }
}
