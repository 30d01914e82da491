//! Links of the kernel: the two ends of a port's veth pair, and the underlay's links.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use opte_headers::MacAddr;

use super::namespace::Namespace;
use super::netlink::Netlink;
use super::sys;

/// What is known of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its address; zero for a link without.
    pub mac: MacAddr,
    /// Bytes of the largest network-layer packet.
    pub mtu: u32,
    /// Switched on by its administrator.
    pub is_up: bool,
    /// Able to carry frames now.
    pub has_carrier: bool,
}

/// The guest's end of a link, as it is to be made.
#[derive(Clone, Copy, Debug)]
pub struct GuestEnd<'a> {
    /// Its name: the port's.
    pub name: &'a str,
    /// The guest's address.
    pub mac: MacAddr,
    /// Bytes of the largest network-layer packet.
    pub mtu: u32,
    /// Where it goes; the driver's own namespace if `None`.
    pub namespace: Option<&'a Namespace>,
}

/// Bytes that the name of a link may have (`IFNAMSIZ` without the final zero).
pub const MAX_NAME: usize = 15;

/// Makes a veth pair for a port and switches both ends on. The host's end is silent: nothing of the kernel's own speaks
/// on it, so that what comes out of it is the guest's. Returns the host's end.
///
/// # Errors
/// In the kernel's words; `EEXIST` too if another driver holds the pair. Nothing is left behind then.
pub fn create_veth(netlink: &mut Netlink, guest: &GuestEnd<'_>) -> io::Result<Link> {
    let host_name = host_end_name(guest.name);
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName(guest.name.to_owned()),
        LinkAttribute::Address(guest.mac.octets().to_vec()),
        LinkAttribute::Mtu(guest.mtu),
    ];
    if let Some(namespace) = guest.namespace {
        peer.attributes
            .push(LinkAttribute::NetNsFd(namespace.as_fd().as_raw_fd()));
    }
    let mut pair = LinkMessage::default();
    pair.attributes = vec![
        LinkAttribute::IfName(host_name.clone()),
        LinkAttribute::Mtu(guest.mtu),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    let create = |netlink: &mut Netlink| {
        let pair = RouteNetlinkMessage::NewLink(pair.clone());
        netlink.change(pair, NLM_F_CREATE | NLM_F_EXCL)
    };
    match create(netlink) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !delete_left_behind(netlink, guest.name)? {
                return Err(error);
            }
            create(netlink)?;
        }
        result => result?,
    }
    let made = find(netlink, &host_name)?;
    let finish = |netlink: &mut Netlink| -> io::Result<Link> {
        settle_host_end(netlink, &made, guest.mtu)?;
        set_up(netlink, made.index, true)?;
        settle_guest_end(netlink, guest)?;
        find(netlink, &host_name)
    };
    finish(netlink).inspect_err(|_| {
        // The pair goes as one, wherever its other end is.
        let _ = delete(netlink, made.index);
    })
}

/// The name of the host's end of the link of port `port`: unlike any that a port can have, and the same each time, so
/// that an end left behind by a killed driver can be recognised.
pub fn host_end_name(port: &str) -> String {
    let name = format!("{port}.h");
    if name.len() <= MAX_NAME {
        return name;
    }
    // FNV-1a: two long names with the same beginning are told apart.
    let hash = port.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let kept: String = port.chars().take(6).collect();
    format!("{kept}{:06x}.h", hash & 0x00ff_ffff)
}

/// The link `name` of the namespace the socket is in.
///
/// # Errors
/// `ENODEV` if there is none.
pub fn find(netlink: &mut Netlink, name: &str) -> io::Result<Link> {
    describe(netlink, name).map(|message| Link::from(&message))
}

/// Whether the link with number `index` is able to carry frames now; one that is gone is not.
pub(super) fn has_carrier(netlink: &mut Netlink, index: u32) -> io::Result<bool> {
    let mut question = LinkMessage::default();
    question.header.index = index;
    match netlink.get(RouteNetlinkMessage::GetLink(question)) {
        Ok(RouteNetlinkMessage::NewLink(message)) => Ok(Link::from(&message).has_carrier),
        Ok(_) => Err(io::Error::from(io::ErrorKind::InvalidData)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn describe(netlink: &mut Netlink, name: &str) -> io::Result<LinkMessage> {
    let mut question = LinkMessage::default();
    question.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    match netlink.get(RouteNetlinkMessage::GetLink(question))? {
        RouteNetlinkMessage::NewLink(message) => Ok(message),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// What the host's ends of ports are marked with, so that no link of anybody else's is taken for one.
const MARK: &str = "port of xde";

/// Deletes the link of port `port`, of whichever kind, if a killed driver has left it: it is marked, and no packet socket is
/// on it, which every driver alive has. Whether it did.
pub(super) fn delete_left_behind(netlink: &mut Netlink, port: &str) -> io::Result<bool> {
    for host_end in [host_end_name(port).as_str(), port] {
        match describe(netlink, host_end) {
            Ok(left) if is_left_behind(&left)? => {
                tracing::info!(link = host_end, "deleting what a killed driver has left");
                return delete(netlink, left.header.index).map(|()| true);
            }
            Ok(_) => {}
            // A port's link of the other kind, or a guest's end with another's name.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn is_left_behind(link: &LinkMessage) -> io::Result<bool> {
    let is_mark = |attribute: &_| matches!(attribute, LinkAttribute::IfAlias(mark) if mark == MARK);
    if !link.attributes.iter().any(is_mark) {
        return Ok(false);
    }
    // Of this thread's namespace, not of the process's first thread's. The fifth column is the link's index.
    let sockets = std::fs::read_to_string("/proc/thread-self/net/packet")?;
    let mut indices = sockets
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(4));
    Ok(!indices.any(|index| index.parse() == Ok(link.header.index)))
}

/// Switches a link on or off.
pub fn set_up(netlink: &mut Netlink, index: u32, up: bool) -> io::Result<()> {
    let mut change = LinkMessage::default();
    change.header.index = index;
    change.header.change_mask = LinkFlags::Up;
    if up {
        change.header.flags = LinkFlags::Up;
    }
    netlink.change(RouteNetlinkMessage::SetLink(change), 0)
}

/// Deletes a link, and with a veth its other end.
pub fn delete(netlink: &mut Netlink, index: u32) -> io::Result<()> {
    let mut which = LinkMessage::default();
    which.header.index = index;
    netlink.change(RouteNetlinkMessage::DelLink(which), 0)
}

/// Offloads by which a guest's stack would leave super-packets to the link that a packet socket cannot hand over: it
/// cuts those itself then. Names as ethtool(8) has them.
const NOT_HANDED_OVER: &[&str] = &[
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-sctp-segmentation",
    "tx-gso-list",
];

/// Switches the guest's end on, where it is, and off what it is not to leave to the host's end.
fn settle_guest_end(netlink: &mut Netlink, guest: &GuestEnd<'_>) -> io::Result<()> {
    let settle = |netlink: &mut Netlink| {
        let end = find(netlink, guest.name)?;
        sys::turn_off_offloads(netlink.as_fd(), guest.name, NOT_HANDED_OVER)?;
        set_up(netlink, end.index, true)
    };
    match guest.namespace {
        None => settle(netlink),
        Some(namespace) => namespace.within(|| settle(&mut Netlink::open()?)),
    }
}

/// Gives the host's end its size and its mark, and takes the kernel's own voice from it: no ARP, no IPv6 and so no addresses,
/// solicitations or reports of its own, and no IPv4 packet of the guest that the host's stack would take in or route on.
pub(super) fn settle_host_end(netlink: &mut Netlink, link: &Link, mtu: u32) -> io::Result<()> {
    let mut change = LinkMessage::default();
    change.header.index = link.index;
    change.header.change_mask = LinkFlags::Noarp;
    change.header.flags = LinkFlags::Noarp;
    change.attributes = vec![
        LinkAttribute::Mtu(mtu),
        LinkAttribute::IfAlias(MARK.to_owned()),
        LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
            In6AddrGenMode::None,
        )])]),
    ];
    netlink.change(RouteNetlinkMessage::SetLink(change), 0)?;
    // Not every kernel has every setting (IPv6 may be compiled out): then there is nothing to silence there.
    for (setting, value) in [
        ("ipv6/conf/{}/disable_ipv6", "1"),
        ("ipv4/conf/{}/rp_filter", "1"),
        ("ipv4/conf/{}/forwarding", "0"),
    ] {
        let path = format!("/proc/sys/net/{}", setting.replace("{}", &link.name));
        match std::fs::write(path, value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl From<&LinkMessage> for Link {
    fn from(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Link {
            index: message.header.index,
            name: String::new(),
            mac: MacAddr::ZERO,
            mtu: 0,
            is_up: flags.contains(LinkFlags::Up),
            // Not IFF_RUNNING, which follows the carrier with up to a second's delay.
            has_carrier: flags.contains(LinkFlags::LowerUp),
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(bytes) => {
                    link.mac = bytes
                        .as_slice()
                        .try_into()
                        .map_or(MacAddr::ZERO, MacAddr::new);
                }
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                _ => {}
            }
        }
        link
    }
}
