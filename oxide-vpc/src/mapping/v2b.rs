use alloc::vec::Vec;
use core::net::IpAddr;

use opte::epoch::Epoch;
use opte::lpm::{Lpm, Prefix, left_aligned};
use opte::sync::KRwLock;

use crate::api::{IpCidr, TunnelEndpoint};
use crate::spread;

/// Which tunnel endpoints lead to which prefix outside; the longest prefix wins.
#[derive(Debug, Default)]
pub struct Virt2Boundary {
    prefixes: KRwLock<Families>,
    epoch: Epoch,
}

/// A family each, so that the default route of one never takes an address of the other.
#[derive(Debug, Default)]
struct Families {
    v4: Lpm<Vec<TunnelEndpoint>>,
    v6: Lpm<Vec<TunnelEndpoint>>,
}

impl Families {
    fn of(&self, ip: IpAddr) -> &Lpm<Vec<TunnelEndpoint>> {
        if ip.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    fn of_mut(&mut self, ip: IpAddr) -> &mut Lpm<Vec<TunnelEndpoint>> {
        if ip.is_ipv4() {
            &mut self.v4
        } else {
            &mut self.v6
        }
    }
}

impl Virt2Boundary {
    /// No mappings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The endpoint that takes the flow with this entropy to `destination`. When the set of endpoints changes, only the flows of
    /// an endpoint that left and those a new one wins move (rendezvous hashing).
    pub fn lookup(&self, destination: IpAddr, entropy: u32) -> Option<TunnelEndpoint> {
        self.lookup_with(destination, || entropy)
    }

    /// As [`Virt2Boundary::lookup`], with entropy that is asked for only where there is a choice.
    pub(crate) fn lookup_with(
        &self,
        destination: IpAddr,
        entropy: impl FnOnce() -> u32,
    ) -> Option<TunnelEndpoint> {
        let prefixes = self.prefixes.read();
        let (_, endpoints) = prefixes.of(destination).lookup(left_aligned(destination))?;
        spread::choose(endpoints, entropy, |endpoint| endpoint.ip.to_bits())
    }

    /// Adds `endpoints` to those of a prefix.
    pub fn set(&self, cidr: IpCidr, endpoints: &[TunnelEndpoint]) {
        let Some(prefix) =
            Prefix::of_ip(cidr.network(), cidr.length()).filter(|_| !endpoints.is_empty())
        else {
            return;
        };
        let mut prefixes = self.prefixes.write();
        let lpm = prefixes.of_mut(cidr.network());
        let mut all = lpm.get(prefix).cloned().unwrap_or_default();
        all.extend_from_slice(endpoints);
        all.sort_unstable();
        all.dedup();
        if lpm.get(prefix) != Some(&all) {
            lpm.insert(prefix, all);
            drop(prefixes);
            self.epoch.bump();
        }
    }

    /// Takes `endpoints` from those of a prefix, and the prefix with the last of them; whether any was there.
    pub fn clear(&self, cidr: IpCidr, endpoints: &[TunnelEndpoint]) -> bool {
        let Some(prefix) = Prefix::of_ip(cidr.network(), cidr.length()) else {
            return false;
        };
        let mut prefixes = self.prefixes.write();
        let lpm = prefixes.of_mut(cidr.network());
        let Some(held) = lpm.get_mut(prefix) else {
            return false;
        };
        let before = held.len();
        held.retain(|endpoint| !endpoints.contains(endpoint));
        let (gone, changed) = (held.is_empty(), held.len() != before);
        if gone {
            lpm.remove(prefix);
        }
        drop(prefixes);
        if changed {
            self.epoch.bump();
        }
        changed
    }

    /// The endpoints of exactly this prefix.
    pub fn get(&self, cidr: IpCidr) -> Vec<TunnelEndpoint> {
        let prefix = Prefix::of_ip(cidr.network(), cidr.length());
        let prefixes = self.prefixes.read();
        let held = prefix.and_then(|prefix| prefixes.of(cidr.network()).get(prefix));
        held.cloned().unwrap_or_default()
    }

    /// Up to `limit` prefixes and their endpoints from the `skip`th on: IPv4 first, each family in ascending order.
    pub fn page(&self, skip: usize, limit: usize) -> Vec<(IpCidr, Vec<TunnelEndpoint>)> {
        let prefixes = self.prefixes.read();
        let v4 = prefixes.v4.iter().map(|(prefix, all)| {
            (
                IpAddr::V4(((prefix.bits() >> 96) as u32).into()),
                prefix,
                all,
            )
        });
        let v6 = prefixes
            .v6
            .iter()
            .map(|(prefix, all)| (IpAddr::V6(prefix.bits().into()), prefix, all));
        let entries = v4.chain(v6).skip(skip).take(limit);
        entries
            .filter_map(|(ip, prefix, all)| {
                Some((IpCidr::new(ip, prefix.len()).ok()?, all.clone()))
            })
            .collect()
    }

    /// Bumped by each change.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }
}
