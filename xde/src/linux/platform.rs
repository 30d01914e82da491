//! Linux as the core sees it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use opte::provider::{Level, Log, Random};
use opte::time::Moment;
use opte_headers::MacAddr;

use super::datapath::{Order, Orders};
use super::link::{self, GuestEnd, Link};
use super::namespace::Namespace;
use super::netlink::Netlink;
use super::packet_socket::{Outgoing, PacketSocket, Wanted};
use super::port_link::PortLink;
use super::routes::Routes;
use super::tunnel_port::TunnelPort;
use crate::platform::{
    LanId, LanLink, LinkRequest, NextHop, NoNextHop, Platform, PlatformError, PortId, UnderlayLink,
};

/// Linux: links by rtnetlink, next hops from the kernel, frames by the thread of a [`DataPath`](super::datapath::DataPath).
#[derive(Debug)]
pub struct Linux {
    started: Instant,
    control: Mutex<ControlSide>,
    routes: RwLock<Option<Arc<Routes>>>,
    orders: Arc<Orders>,
    random: Arc<SystemRandom>,
    tap_owner: u32,
}

/// What only commands use, one after another.
#[derive(Debug)]
struct ControlSide {
    netlink: Netlink,
    underlay: Option<Underlay>,
    lans: BTreeMap<LanId, Arc<PacketSocket>>,
    /// The underlay hands over all frames, not only tunnelled ones.
    all_frames: bool,
}

#[derive(Debug)]
struct Underlay {
    links: Vec<Link>,
    _tunnel_port: TunnelPort,
}

impl Linux {
    /// The network namespace of the caller. `orders` go to the thread that moves frames.
    pub fn new(orders: Arc<Orders>) -> io::Result<Self> {
        Ok(Self {
            started: Instant::now(),
            control: Mutex::new(ControlSide {
                netlink: Netlink::open()?,
                underlay: None,
                lans: BTreeMap::new(),
                all_frames: false,
            }),
            routes: RwLock::default(),
            orders,
            random: Arc::new(SystemRandom::open()?),
            tap_owner: nix::unistd::geteuid().as_raw(),
        })
    }

    /// Lets this user open the TAP links of ports, instead of the one that the driver runs as.
    pub fn with_tap_owner(mut self, user: u32) -> Self {
        self.tap_owner = user;
        self
    }

    fn control(&self) -> MutexGuard<'_, ControlSide> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_routes(&self, routes: Option<Arc<Routes>>) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }
}

impl ControlSide {
    /// Sockets on the underlay's links for the frames that are wanted now.
    fn sockets(&self, links: &[Link]) -> io::Result<Vec<PacketSocket>> {
        let open = |link: &Link| {
            let wanted = match self.all_frames {
                true => Wanted::Promiscuous,
                false => Wanted::Geneve { own: link.mac },
            };
            PacketSocket::open(link.index, wanted)
        };
        links.iter().map(open).collect()
    }
}

impl Platform for Linux {
    type Link = PortLink;

    fn now(&self) -> Moment {
        let nanos = self.started.elapsed().as_nanos();
        Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn random(&self) -> Arc<dyn Random> {
        Arc::clone(&self.random) as Arc<dyn Random>
    }

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(TracingLog)
    }

    fn create_link(&self, request: &LinkRequest<'_>) -> Result<PortLink, PlatformError> {
        let namespace = request.namespace.map(Namespace::open).transpose();
        let namespace = namespace.map_err(asked("open the network namespace"))?;
        let guest = GuestEnd {
            name: request.name,
            mac: request.mac,
            mtu: request.mtu,
            namespace: namespace.as_ref(),
        };
        let netlink = &mut self.control().netlink;
        PortLink::create(netlink, request.kind, &guest, self.tap_owner)
            .map_err(asked("make the link"))
    }

    fn start_link(&self, id: PortId, link: &Arc<PortLink>) -> Result<(), PlatformError> {
        self.orders.give(Order::AddPort(id, Arc::clone(link)));
        Ok(())
    }

    fn delete_link(&self, id: PortId, link: &Arc<PortLink>) -> Result<(), PlatformError> {
        let deleted = link.delete(&mut self.control().netlink);
        deleted.map_err(asked("delete the link"))?;
        self.orders.remove_port(id);
        Ok(())
    }

    fn open_underlay(&self, names: &[&str]) -> Result<Vec<UnderlayLink>, PlatformError> {
        let mut control = self.control();
        let mut links = Vec::new();
        for name in names {
            links.push(link_of(&mut control.netlink, name)?);
        }
        let tunnel_port = TunnelPort::hold().map_err(asked("take UDP port 6081"))?;
        let sockets = control.sockets(&links);
        let sockets = sockets.map_err(asked("open packet sockets on the underlay"))?;
        let routes = Routes::over(&links).map_err(asked("read routes and neighbours"))?;
        let routes = Arc::new(routes);
        let found = links.iter().map(|link| UnderlayLink {
            mac: link.mac,
            mtu: link.mtu,
        });
        let found = found.collect();
        for link in links.iter().filter(|l| !l.is_up || !l.has_carrier) {
            tracing::warn!(link = link.name, "this underlay link carries nothing yet");
        }
        self.set_routes(Some(Arc::clone(&routes)));
        self.orders.give(Order::SetUnderlay(sockets, Some(routes)));
        control.underlay = Some(Underlay {
            links,
            _tunnel_port: tunnel_port,
        });
        Ok(found)
    }

    fn take_all_frames(&self, all: bool) -> Result<(), PlatformError> {
        let mut control = self.control();
        if control.all_frames == all {
            return Ok(());
        }
        control.all_frames = all;
        let Some(underlay) = &control.underlay else {
            return Ok(());
        };
        match control.sockets(&underlay.links) {
            Ok(sockets) => {
                self.orders.give(Order::ReplaceUnderlay(sockets));
                Ok(())
            }
            Err(error) => {
                control.all_frames = !all;
                Err(asked("open packet sockets on the underlay")(error))
            }
        }
    }

    fn close_underlay(&self) {
        self.control().underlay = None;
        self.set_routes(None);
        self.orders.give(Order::SetUnderlay(Vec::new(), None));
    }

    fn open_lan(&self, id: LanId, name: &str) -> Result<LanLink, PlatformError> {
        let mut control = self.control();
        let link = link_of(&mut control.netlink, name)?;
        let socket = PacketSocket::open(link.index, Wanted::Stations(&[]));
        let socket = Arc::new(socket.map_err(asked("open a packet socket on the LAN"))?);
        if !link.is_up || !link.has_carrier {
            tracing::warn!(link = name, "this link to a LAN carries nothing yet");
        }
        self.orders.give(Order::AddLan(id, Arc::clone(&socket)));
        control.lans.insert(id, socket);
        Ok(LanLink {
            mac: link.mac,
            mtu: link.mtu,
        })
    }

    fn set_stations(&self, id: LanId, stations: &[MacAddr]) {
        if let Some(socket) = self.control().lans.get(&id)
            && let Err(error) = socket.set_stations(stations)
        {
            // Filters fail for want of memory alone; the one of before is in place.
            tracing::error!(%error, "a link to a LAN does not hear for all stations");
        }
    }

    fn send_to_lan(&self, id: LanId, frame: &[u8]) {
        let Some(socket) = self.control().lans.get(&id).map(Arc::clone) else {
            return;
        };
        let outgoing = Outgoing {
            head: frame,
            ..Outgoing::NONE
        };
        socket.send(&[outgoing], |_, error| {
            tracing::warn!(%error, "a LAN did not take an announcement");
        });
    }

    fn close_lan(&self, id: LanId) {
        self.control().lans.remove(&id);
        self.orders.give(Order::RemoveLan(id));
    }

    #[inline]
    fn next_hop(&self, destination: Ipv6Addr, hash: u32) -> Result<NextHop, NoNextHop> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        match &*routes {
            Some(routes) => routes.next_hop(destination, hash),
            None => Err(NoNextHop::NoUnderlay),
        }
    }
}

fn link_of(netlink: &mut Netlink, name: &str) -> Result<Link, PlatformError> {
    link::find(netlink, name).map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => PlatformError::LinkNotFound { link: name.into() },
        _ => asked("look the link up")(error),
    })
}

/// An error of the system, with what was asked of it.
fn asked(what: &'static str) -> impl Fn(io::Error) -> PlatformError {
    move |error| PlatformError::Refused {
        errno: error.raw_os_error().unwrap_or(0),
        message: format!("{what}: {error}"),
    }
}

/// The kernel's random numbers.
#[derive(Debug)]
pub struct SystemRandom(Mutex<BufReader<File>>);

impl SystemRandom {
    /// Opens the source.
    pub fn open() -> io::Result<Self> {
        let file = File::open("/dev/urandom")?;
        Ok(Self(Mutex::new(BufReader::with_capacity(512, file))))
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // urandom(4) is always ready and has no end. Were it to fail all the same, fewer fresh bits are what is left.
        if let Err(error) = source.read_exact(&mut bytes) {
            tracing::error!(%error, "no randomness from the kernel");
        }
        u64::from_ne_bytes(bytes)
    }
}

/// The engine's log lines among the driver's.
#[derive(Debug)]
struct TracingLog;

impl Log for TracingLog {
    fn log(&self, level: Level, text: std::fmt::Arguments<'_>) {
        match level {
            Level::Note => tracing::info!("{text}"),
            Level::Warn => tracing::warn!("{text}"),
            Level::Error => tracing::error!("{text}"),
        }
    }
}
