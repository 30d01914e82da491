//! The virtual switch: which port a frame is for, while ports come and go.
//!
//! Whoever moves frames reads the [`PortMap`] there is, once for a burst, and looks ports up without a lock and without
//! allocating. Whoever adds or removes a port makes another map and [publishes](Published::publish) it: bursts that begin then see
//! the new one, and when those that had begun before are over ([`Retired::wait`]) nothing reaches a port that is in it no more. From
//! a port to another one of the map a packet goes by [`Port::local_tunnel`](crate::port::Port::local_tunnel) and
//! [`Port::receive`](crate::port::Port::receive).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashTable;
use opte_headers::{MacAddr, Vni};

use crate::sync::{self, KRwLock};

/// Who a frame is for: a MAC address means something within a virtual network only, and its identifier within one network
/// definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Station {
    /// Which of its networks, as the driver numbers them.
    pub network: NetworkId,
    /// The virtual network there; zero where there is but one.
    pub vni: Vni,
    /// The station's address.
    pub mac: MacAddr,
}

/// A network among those that a driver has ports of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u32);

/// Ports by number and by station. Never changed: a change makes another one.
pub struct PortMap<P> {
    ports: Vec<Entry<P>>,
    numbers: HashTable<u32>,
    stations: HashTable<u32>,
    /// Places of ports by network and MAC address, in whichever virtual network.
    macs: HashTable<Sole>,
}

struct Entry<P> {
    number: u64,
    station: Option<u128>,
    port: P,
}

/// The port with a MAC address, if there is but one.
struct Sole {
    mac: u128,
    place: Option<u32>,
}

impl<P> PortMap<P> {
    /// A map of these ports: each with its number, and the station it is unless frames find it otherwise. Of two with the same
    /// number or station, the first is found.
    pub fn new(ports: impl IntoIterator<Item = (u64, Option<Station>, P)>) -> Self {
        let mut map = Self {
            ports: Vec::new(),
            numbers: HashTable::new(),
            stations: HashTable::new(),
            macs: HashTable::new(),
        };
        for (number, station, port) in ports {
            map.add(number, station, port);
        }
        map
    }

    fn add(&mut self, number: u64, station: Option<Station>, port: P) {
        let place = self.ports.len() as u32;
        let is_new = self.port(number).is_none();
        let key = station.map(Station::key);
        self.ports.push(Entry {
            number,
            station: key,
            port,
        });
        let ports = &self.ports;
        let at = |place: &u32| ports.get(*place as usize);
        if is_new {
            let of = |place: &u32| at(place).map_or(0, |entry| hash(entry.number.into()));
            self.numbers.insert_unique(hash(number.into()), place, of);
        }
        let Some((station, key)) = station.zip(key) else {
            return;
        };
        let of = |place: &u32| {
            hash(
                at(place)
                    .and_then(|entry| entry.station)
                    .unwrap_or_default(),
            )
        };
        let same = |place: &u32| at(place).is_some_and(|entry| entry.station == Some(key));
        if self.stations.find(hash(key), same).is_none() {
            self.stations.insert_unique(hash(key), place, of);
        }
        let mac = station.anywhere();
        match self.macs.find_mut(hash(mac), |sole| sole.mac == mac) {
            Some(several) => several.place = None,
            None => {
                let place = Some(place);
                let sole = Sole { mac, place };
                self.macs
                    .insert_unique(hash(mac), sole, |sole| hash(sole.mac));
            }
        }
    }

    /// The port with this number.
    #[inline]
    pub fn port(&self, number: u64) -> Option<&P> {
        let is = |place: &u32| self.entry(*place).is_some_and(|e| e.number == number);
        let place = self.numbers.find(hash(number.into()), is)?;
        Some(&self.entry(*place)?.port)
    }

    /// The port that is this station.
    #[inline]
    pub fn station(&self, station: Station) -> Option<&P> {
        let key = station.key();
        let is = |place: &u32| self.entry(*place).is_some_and(|e| e.station == Some(key));
        let place = self.stations.find(hash(key), is)?;
        Some(&self.entry(*place)?.port)
    }

    /// The port with this MAC address, in whichever virtual network of this network, if there is but one: for frames of
    /// a virtual network that all share.
    #[inline]
    pub fn sole(&self, network: NetworkId, mac: MacAddr) -> Option<&P> {
        let vni = Vni::default();
        let mac = Station { network, vni, mac }.anywhere();
        let sole = self.macs.find(hash(mac), |sole| sole.mac == mac)?;
        Some(&self.entry(sole.place?)?.port)
    }

    /// All ports, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.ports.iter().map(|entry| &entry.port)
    }

    #[inline(always)]
    fn entry(&self, place: u32) -> Option<&Entry<P>> {
        self.ports.get(place as usize)
    }
}

impl<P: fmt::Debug> fmt::Debug for PortMap<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Station {
    /// All of it as one number.
    #[inline(always)]
    fn key(self) -> u128 {
        let [a, b, c, d, e, f] = self.mac.octets();
        let mac = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        u128::from(self.network.0) << 72 | u128::from(self.vni.as_u32()) << 48 | u128::from(mac)
    }

    /// The same without the virtual network.
    fn anywhere(self) -> u128 {
        let vni = Vni::default();
        Self { vni, ..self }.key()
    }
}

/// No secret is needed: the addresses of ports are configuration.
#[inline(always)]
fn hash(key: u128) -> u64 {
    let (high, low) = ((key >> 64) as u64, key as u64);
    let mixed = u128::from(low ^ high.rotate_left(32)) * 0x9e37_79b9_7f4a_7c15;
    let mixed = (mixed >> 64) as u64 ^ mixed as u64;
    mixed.wrapping_mul(0xa076_1d64_78bd_642f)
}

/// Something that many read and few replace, as a whole.
pub struct Published<T>(KRwLock<Arc<T>>);

impl<T> Published<T> {
    /// `value`, until another is published.
    pub fn new(value: T) -> Self {
        Self(KRwLock::new(Arc::new(value)))
    }

    /// What there is now. To be kept for a burst, no longer: whoever has published something else may wait for it.
    #[inline]
    pub fn read(&self) -> Arc<T> {
        Arc::clone(&self.0.read())
    }

    /// Puts `value` in the place of what there was.
    pub fn publish(&self, value: T) -> Retired<T> {
        Retired(core::mem::replace(&mut *self.0.write(), Arc::new(value)))
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&self.read()).finish()
    }
}

/// What was published before, and may be read still by those who began before it was replaced.
#[derive(Debug)]
pub struct Retired<T>(Arc<T>);

impl<T> Retired<T> {
    /// Waits until nobody reads it any more: as long as the bursts take that have begun. Not for whoever reads it himself.
    pub fn wait(self) {
        while Arc::strong_count(&self.0) > 1 {
            sync::relax();
        }
        // What its readers did is done for whoever goes on from here.
        core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
    }
}
