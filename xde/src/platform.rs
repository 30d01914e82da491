//! What the core asks of the system it runs on.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv6Addr;

use opte::provider::{Log, Random};
use opte::time::Moment;
use opte_headers::MacAddr;

/// The system the core runs on: links, next hops, time. It moves the frames between links and core as well, but on its own: the core
/// is called with bursts and answers with bursts ([`Outbox`](crate::Outbox)).
pub trait Platform: Send + Sync + 'static {
    /// The link of a port.
    type Link: fmt::Debug + Send + Sync;

    /// The time now.
    fn now(&self) -> Moment;

    /// Where random numbers come from.
    fn random(&self) -> Arc<dyn Random>;

    /// Where log lines go.
    fn log(&self) -> Arc<dyn Log>;

    /// Makes the link of a port. All or nothing.
    fn create_link(&self, link: &LinkRequest<'_>) -> Result<Self::Link, PlatformError>;

    /// Starts to move the frames of a link whose port is now known to the driver by `id`.
    fn start_link(&self, id: PortId, link: &Arc<Self::Link>) -> Result<(), PlatformError>;

    /// Deletes the link of a port. All or nothing.
    fn delete_link(&self, id: PortId, link: &Arc<Self::Link>) -> Result<(), PlatformError>;

    /// Takes the named links for the underlay and starts to move their frames. All or nothing.
    fn open_underlay(&self, names: &[&str]) -> Result<Vec<UnderlayLink>, PlatformError>;

    /// Whether the underlay's links are to hand over all frames, whomever they are addressed to, or tunnelled ones alone.
    fn take_all_frames(&self, all: bool) -> Result<(), PlatformError>;

    /// Lets go of the underlay's links.
    fn close_underlay(&self);

    /// Takes the named link to a LAN, which is `id` from then on, and starts to move its frames: ARP, and those to the stations that
    /// [`Platform::set_stations`] says. All or nothing.
    fn open_lan(&self, id: LanId, name: &str) -> Result<LanLink, PlatformError>;

    /// Says the addresses of the stations on a LAN whose frames are wanted. The link may hand over those of others, too.
    fn set_stations(&self, id: LanId, stations: &[MacAddr]);

    /// Sends a frame on a LAN at once.
    fn send_to_lan(&self, id: LanId, frame: &[u8]);

    /// Lets go of the link to a LAN.
    fn close_lan(&self, id: LanId);

    /// The way to `destination` for a flow with hash `hash`. Never waits.
    fn next_hop(&self, destination: Ipv6Addr, hash: u32) -> Result<NextHop, NoNextHop>;
}

/// Why the system did not do what the core asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformError {
    /// There is no link of this name.
    LinkNotFound {
        /// The name.
        link: String,
    },
    /// The system refused.
    Refused {
        /// Its error number, 0 if it gave none.
        errno: i32,
        /// What was asked of it and what it said.
        message: String,
    },
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlatformError::LinkNotFound { link } => write!(f, "there is no link '{link}'"),
            PlatformError::Refused { message, .. } => f.write_str(message),
        }
    }
}

impl core::error::Error for PlatformError {}

/// Names a port in the driver, for as long as the driver runs: no two ports ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u64);

/// Names a link to a LAN in the driver, for as long as the driver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanId(pub u64);

/// The host's link to a LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanLink {
    /// Its own address, which is the host's on the LAN.
    pub mac: MacAddr,
    /// Bytes of the largest network-layer packet.
    pub mtu: u32,
}

/// The link of a port, as it is to be made.
#[derive(Clone, Copy, Debug)]
pub struct LinkRequest<'a> {
    /// Name of the guest's end.
    pub name: &'a str,
    /// Address of the guest's end.
    pub mac: MacAddr,
    /// Bytes of the largest network-layer packet.
    pub mtu: u32,
    /// Network namespace of the guest's end; the driver's own if `None`.
    pub namespace: Option<&'a str>,
    /// What the guest's end is.
    pub kind: LinkKind,
}

/// What the guest's end of a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// One end of a pair of virtual Ethernet links.
    #[default]
    Veth,
    /// A TAP link, which a virtual machine monitor opens by its name.
    Tap,
}

/// A link of the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderlayLink {
    /// Its address.
    pub mac: MacAddr,
    /// Bytes of the largest network-layer packet.
    pub mtu: u32,
}

/// How a tunnelled frame reaches the first machine on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Which of the underlay's links to take, counted from 0.
    pub link: usize,
    /// Address of that link.
    pub source: MacAddr,
    /// Address of that machine.
    pub destination: MacAddr,
    /// Bytes of the largest network-layer packet on that link.
    pub mtu: u32,
}

/// Why there is no next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoNextHop {
    /// The underlay is not configured.
    NoUnderlay,
    /// No route leads to the destination over the underlay's links.
    NoRoute,
    /// A route leads there, but the next machine's address is not known (yet); it is being asked for.
    Unresolved,
}
