//! Next hops on the underlay, as the kernel's routes and neighbours have them.
//!
//! A thread asks the kernel once for each destination and hears from it of every change of a route, a neighbour or a
//! link; the thread that moves frames only looks the outcome up. Neighbours in use are named to the kernel every few
//! seconds (`NTF_USE`): it then probes those it has not heard of, as it would for traffic of its own, and so a machine that is gone
//! falls out of the next hops.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHopFlags,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use opte_headers::MacAddr;

use super::link::Link;
use super::netlink::{Group, Netlink};
use crate::platform::{NextHop, NoNextHop};

/// The next hops of the underlay.
#[derive(Debug)]
pub struct Routes {
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// What the thread that moves frames and the one that listens to the kernel have in common.
#[derive(Debug)]
struct Shared {
    found: RwLock<HashMap<Ipv6Addr, Found>>,
    wanted: Mutex<Wanted>,
    /// Tells the listener that something is wanted.
    wake: EventFd,
    /// Tells the thread that moves frames that something was found.
    changed: EventFd,
}

#[derive(Debug, Default)]
struct Wanted {
    destinations: HashSet<Ipv6Addr>,
    stop: bool,
}

/// What is known of a destination: its usable next hops, or why there is none.
type Found = Result<Box<[NextHop]>, NoNextHop>;

/// Destinations that are remembered. They are tunnel endpoints of configured mappings, so a limit is met only by
/// mistake; all are asked for afresh then.
const MAX_DESTINATIONS: usize = 65_536;

/// How often the kernel is told which neighbours are in use.
const REFRESH: Duration = Duration::from_secs(5);

impl Routes {
    /// Next hops over `links`, in the namespace of the caller.
    pub fn over(links: &[Link]) -> io::Result<Self> {
        // Listening starts before the first look, so that no change is missed between them.
        let changes = Netlink::listen(&[Group::Link, Group::Neighbour, Group::Ipv6Route])?;
        let shared = Arc::new(Shared {
            found: RwLock::default(),
            wanted: Mutex::default(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            changed: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        let mut listener = Listener {
            shared: Arc::clone(&shared),
            changes,
            kernel: Netlink::open()?,
            links: links.to_vec(),
            neighbours: HashMap::new(),
            destinations: HashMap::new(),
            refreshed: Instant::now(),
        };
        listener.look_afresh()?;
        let thread = std::thread::Builder::new().name(String::from("xde-routes"));
        let listener = thread.spawn(move || listener.run())?;
        Ok(Self {
            shared,
            listener: Some(listener),
        })
    }

    /// The way to `destination` for a flow with hash `hash`. A destination that was not asked for before is unresolved
    /// until the kernel has answered.
    pub fn next_hop(&self, destination: Ipv6Addr, hash: u32) -> Result<NextHop, NoNextHop> {
        {
            let found = self.shared.found.read();
            match found
                .unwrap_or_else(PoisonError::into_inner)
                .get(&destination)
            {
                Some(Ok(hops)) => {
                    // The high half of hash times count: as even as a remainder, without a division.
                    let place = (u64::from(hash) * hops.len() as u64) >> 32;
                    return hops.get(place as usize).copied().ok_or(NoNextHop::NoRoute);
                }
                Some(Err(NoNextHop::Unresolved)) | None => {}
                Some(Err(why)) => return Err(*why),
            }
        }
        let mut wanted = self.shared.wanted();
        if wanted.destinations.insert(destination) {
            drop(wanted);
            // Fails only if the listener has been told more often than it can count.
            let _ = self.shared.wake.write(1);
        }
        Err(NoNextHop::Unresolved)
    }

    /// Becomes readable when what is known has changed; [`Self::changes_seen`] makes it wait for the next change.
    pub fn changed(&self) -> BorrowedFd<'_> {
        self.shared.changed.as_fd()
    }

    /// All changes so far have been taken note of.
    pub fn changes_seen(&self) {
        let _ = self.shared.changed.read();
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        self.shared.wanted().stop = true;
        let _ = self.shared.wake.write(1);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn wanted(&self) -> std::sync::MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that listens to the kernel.
struct Listener {
    shared: Arc<Shared>,
    changes: Netlink,
    kernel: Netlink,
    links: Vec<Link>,
    neighbours: HashMap<(usize, Ipv6Addr), MacAddr>,
    destinations: HashMap<Ipv6Addr, Vec<Hop>>,
    refreshed: Instant,
}

/// A next hop of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    link: usize,
    /// The machine it leads to: a gateway, or the destination itself on its own link.
    via: Ipv6Addr,
}

impl Listener {
    fn run(mut self) {
        while !self.shared.wanted().stop {
            let (told, wanted) = self.wait();
            let mut changed = told && self.take_changes();
            if wanted {
                let _ = self.shared.wake.read();
                changed |= self.take_wanted();
            }
            if self.refreshed.elapsed() >= REFRESH {
                self.refreshed = Instant::now();
                self.refresh();
            }
            if changed {
                self.publish();
            }
        }
    }

    /// Waits for the kernel, for a wish, or for the next refresh; whether the first two have come.
    fn wait(&self) -> (bool, bool) {
        let mut sources = [
            PollFd::new(self.changes.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN),
        ];
        let rest = REFRESH.saturating_sub(self.refreshed.elapsed());
        let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
        if poll(&mut sources, timeout).is_err() {
            return (false, false);
        }
        let [told, wanted] = sources.map(|source| source.any().unwrap_or(false));
        (told, wanted)
    }

    /// Takes in what the kernel tells; whether any of it matters.
    fn take_changes(&mut self) -> bool {
        let changes = match self.changes.next_changes() {
            Ok(changes) => changes,
            // Changes were lost.
            Err(_) => {
                if let Err(error) = self.look_afresh() {
                    tracing::warn!(%error, "the kernel's routes and neighbours cannot be read");
                }
                return true;
            }
        };
        let (mut matters, mut routes) = (false, false);
        for change in changes {
            match change {
                RouteNetlinkMessage::NewNeighbour(message) => {
                    matters |= self.take_neighbour(&message, true);
                }
                RouteNetlinkMessage::DelNeighbour(message) => {
                    matters |= self.take_neighbour(&message, false);
                }
                RouteNetlinkMessage::NewLink(message) => routes |= self.take_link(&message),
                RouteNetlinkMessage::NewRoute(_)
                | RouteNetlinkMessage::DelRoute(_)
                | RouteNetlinkMessage::DelLink(_) => routes = true,
                _ => {}
            }
        }
        if routes {
            self.ask_for_all();
        }
        matters || routes
    }

    /// Asks for the destinations that are wanted and not known, and for the neighbours on their ways.
    fn take_wanted(&mut self) -> bool {
        let wanted = std::mem::take(&mut self.shared.wanted().destinations);
        if self.destinations.len() + wanted.len() > MAX_DESTINATIONS {
            self.destinations.clear();
        }
        for destination in wanted {
            let hops = self.ask(destination);
            for hop in &hops {
                if !self.neighbours.contains_key(&(hop.link, hop.via)) {
                    self.solicit(*hop);
                }
            }
            self.destinations.insert(destination, hops);
        }
        true
    }

    /// Reads links and neighbours, and asks for every destination again.
    fn look_afresh(&mut self) -> io::Result<()> {
        for link in &mut self.links {
            *link = super::link::find(&mut self.kernel, &link.name)?;
        }
        self.neighbours.clear();
        let mut all = NeighbourMessage::default();
        all.header.family = AddressFamily::Inet6;
        for message in self.kernel.dump(RouteNetlinkMessage::GetNeighbour(all))? {
            if let RouteNetlinkMessage::NewNeighbour(message) = message {
                self.take_neighbour(&message, true);
            }
        }
        self.ask_for_all();
        Ok(())
    }

    fn ask_for_all(&mut self) {
        let destinations: Vec<Ipv6Addr> = self.destinations.keys().copied().collect();
        for destination in destinations {
            let hops = self.ask(destination);
            self.destinations.insert(destination, hops);
        }
    }

    /// The next hops of the kernel's route to `destination` that lead over links of the underlay.
    fn ask(&mut self, destination: Ipv6Addr) -> Vec<Hop> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet6;
        question.header.destination_prefix_length = 128;
        // The route itself with all its next hops, not the one the kernel would choose for a flow of its own.
        question.header.flags = RouteFlags::FibMatch;
        question.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet6(
            destination,
        ))];
        match self.kernel.get(RouteNetlinkMessage::GetRoute(question)) {
            Ok(RouteNetlinkMessage::NewRoute(route)) => self.hops(&route.attributes, destination),
            _ => Vec::new(),
        }
    }

    fn hops(&self, route: &[RouteAttribute], destination: Ipv6Addr) -> Vec<Hop> {
        let mut hops = Vec::new();
        let mut add = |interface: Option<u32>, attributes: &[RouteAttribute]| {
            let link = self
                .links
                .iter()
                .position(|link| Some(link.index) == interface);
            let via = attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(*gateway),
                _ => None,
            });
            if let Some(link) = link {
                let via = via.unwrap_or(destination);
                hops.push(Hop { link, via });
            }
        };
        let single = route.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(interface) => Some(*interface),
            _ => None,
        });
        add(single, route);
        for attribute in route {
            if let RouteAttribute::MultiPath(members) = attribute {
                let unusable = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
                for member in members.iter().filter(|m| !m.flags.intersects(unusable)) {
                    add(Some(member.interface_index), &member.attributes);
                }
            }
        }
        hops
    }

    /// Takes in what the kernel tells of a neighbour; whether the driver's view of it changed.
    fn take_neighbour(&mut self, message: &NeighbourMessage, exists: bool) -> bool {
        let index = message.header.ifindex;
        let Some(link) = self.links.iter().position(|link| link.index == index) else {
            return false;
        };
        let (mut address, mut mac) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => address = Some(*v6),
                NeighbourAttribute::LinkLayerAddress(bytes) => {
                    mac = <[u8; 6]>::try_from(bytes.as_slice()).ok();
                }
                _ => {}
            }
        }
        let Some(address) = address else {
            return false;
        };
        let usable = matches!(
            message.header.state,
            NeighbourState::Reachable
                | NeighbourState::Stale
                | NeighbourState::Delay
                | NeighbourState::Probe
                | NeighbourState::Permanent
                | NeighbourState::Noarp
        );
        let key = (link, address);
        match mac.filter(|_| exists && usable).map(MacAddr::new) {
            Some(mac) => self.neighbours.insert(key, mac) != Some(mac),
            None => self.neighbours.remove(&key).is_some(),
        }
    }

    /// Takes in what the kernel tells of a link; whether it is one of the underlay's and has changed.
    fn take_link(&mut self, message: &LinkMessage) -> bool {
        let told = Link::from(message);
        let Some(link) = self.links.iter_mut().find(|link| link.index == told.index) else {
            return false;
        };
        let changed = *link != told;
        *link = told;
        changed
    }

    /// Has the kernel find a neighbour out, or make sure of one it has not heard of.
    fn solicit(&mut self, hop: Hop) {
        let Some(link) = self.links.get(hop.link) else {
            return;
        };
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.ifindex = link.index;
        message.header.state = NeighbourState::None;
        message.header.flags = NeighbourFlags::Use;
        message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet6(
            hop.via,
        ))];
        let told = self
            .kernel
            .change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE);
        if let Err(error) = told {
            tracing::debug!(%error, via = %hop.via, link = link.name, "cannot solicit a neighbour");
        }
    }

    /// Names the neighbours in use to the kernel.
    fn refresh(&mut self) {
        let used: HashSet<(usize, Ipv6Addr)> = self
            .destinations
            .values()
            .flatten()
            .map(|hop| (hop.link, hop.via))
            .collect();
        for (link, via) in used {
            self.solicit(Hop { link, via });
        }
    }

    /// Makes what is known visible to the thread that moves frames, and tells it.
    fn publish(&self) {
        let found = self
            .destinations
            .iter()
            .map(|(destination, hops)| (*destination, self.usable(hops)))
            .collect();
        let mut published = self
            .shared
            .found
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *published = found;
        drop(published);
        let _ = self.shared.changed.write(1);
    }

    fn usable(&self, hops: &[Hop]) -> Found {
        let next_hop = |hop: &Hop| {
            let link = self.links.get(hop.link)?;
            let destination = *self.neighbours.get(&(hop.link, hop.via))?;
            (link.is_up && link.has_carrier).then_some(NextHop {
                link: hop.link,
                source: link.mac,
                destination,
                mtu: link.mtu,
            })
        };
        let usable: Box<[NextHop]> = hops.iter().filter_map(next_hop).collect();
        match (hops.is_empty(), usable.is_empty()) {
            (true, _) => Err(NoNextHop::NoRoute),
            (false, true) => Err(NoNextHop::Unresolved),
            (false, false) => Ok(usable),
        }
    }
}
