//! Where the overlay ends: Geneve on the underlay's side, plain IP on the other. In a rack, its switch does this.
//!
//! ```text
//! boundary --underlay LINK.. --outside LINK --outside-mac MAC --address IPV6 --vni VNI --nat SHARE..
//! ```
//!
//! What comes from a host with the boundary's network identifier goes out without its tunnel, to the one router there is outside.
//! What comes from outside to a share of an external address goes to the host that the share names, in a tunnel with the network
//! identifier of the guest and the option that says it is from outside. The way to a host is the one its own packets came by.
//! ICMP errors go to whom the packet they embed came from, later fragments after their first one. It is a router: what it sends
//! on has one hop less.

#![forbid(unsafe_code)]

mod fragments;
mod nat;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Mutex;

use fragments::Fragments;
use nat::{Location, Table};
use opte_headers::frame::{Editor, Fragment, HeaderKind, Parsed, parse_geneve, parse_guest};
use opte_headers::program::Sums;
use opte_headers::{
    Ethernet, Geneve, GeneveOption, Header as _, Ipv6, Offsets, Options, Program, Udp,
};
use opte_headers::{EthernetGet as _, Ipv6Get as _, Set as _};
use opte_headers::{MacAddr, Transform, Vni, ethernet, ipv4, ipv6, stack, udp};
use testkit::packet_socket::PacketSocket;
use testkit::{Failure, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Boundary::from_arguments(&arguments).and_then(|boundary| boundary.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("boundary: {failure}");
            ExitCode::FAILURE
        }
    }
}

struct Boundary {
    underlay: Vec<PacketSocket>,
    outside: PacketSocket,
    outside_mac: MacAddr,
    address: Ipv6Addr,
    vni: Vni,
    nat: Table,
    fragments: Mutex<Fragments>,
    /// How each host was last heard.
    hosts: Mutex<HashMap<Ipv6Addr, Hop>>,
}

/// The way to a host: one of the underlay links, and the stations at both its ends.
#[derive(Clone, Copy)]
struct Hop {
    link: usize,
    source: MacAddr,
    destination: MacAddr,
}

/// MAC address of the boundary inside the overlay.
const TUNNEL_END: MacAddr = MacAddr::new([0xa8, 0x40, 0x25, 0x77, 0x77, 0x77]);
/// Room in front of a received frame for the tunnel's headers.
const HEAD_ROOM: usize = 128;
/// Head-room and the longest frame of either side.
const BUFFER: usize = HEAD_ROOM + 65_536;

impl Boundary {
    fn from_arguments(arguments: &[String]) -> Result<Self> {
        let mut given: HashMap<&str, Vec<&str>> = HashMap::new();
        for pair in arguments.chunks(2) {
            let [option, value] = pair else {
                return Err(Failure::new("read the arguments", format!("{pair:?}")));
            };
            given.entry(option).or_default().push(value);
        }
        let mut all = |option: &str| given.remove(option).unwrap_or_default();
        let mut nat = Table::default();
        all("--nat")
            .into_iter()
            .try_for_each(|share| nat.add(share))?;
        let underlay = all("--underlay")
            .into_iter()
            .map(PacketSocket::open)
            .collect::<Result<_>>()?;
        let mut one = |option| {
            all(option)
                .pop()
                .ok_or_else(|| Failure::new("read the arguments", format!("no {option}")))
        };
        Ok(Self {
            underlay,
            outside: PacketSocket::open(one("--outside")?)?,
            outside_mac: parsed(one("--outside-mac")?)?,
            address: parsed(one("--address")?)?,
            vni: Vni::new(parsed(one("--vni")?)?)
                .ok_or_else(|| Failure::new("read --vni", "more than 24 bits"))?,
            nat,
            fragments: Mutex::default(),
            hosts: Mutex::default(),
        })
    }

    /// Until a link goes away.
    fn run(&self) -> Result<()> {
        println!("ready");
        std::thread::scope(|scope| {
            let inward = scope
                .spawn(|| self.carry(&self.outside, |buffer, length| self.inward(buffer, length)));
            let outward = (0..self.underlay.len()).map(|link| {
                scope.spawn(move || match self.underlay.get(link) {
                    Some(socket) => {
                        self.carry(socket, |buffer, length| self.outward(link, buffer, length))
                    }
                    None => Ok(()),
                })
            });
            let threads: Vec<_> = outward.chain([inward]).collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("carry", "a thread ended")))
            })
        })
    }

    /// Carries what comes by `socket`. What cannot be carried is told and left.
    fn carry(
        &self,
        socket: &PacketSocket,
        one: impl Fn(&mut [u8], usize) -> Result<()>,
    ) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = socket.receive(buffer.get_mut(HEAD_ROOM..).unwrap_or_default())?;
            if let Err(failure) = one(&mut buffer, length) {
                eprintln!("{failure}");
            }
        }
    }

    /// A frame of the underlay: out of its tunnel, if it is for us.
    fn outward(&self, link: usize, buffer: &mut [u8], length: usize) -> Result<()> {
        let frame = buffer
            .get(HEAD_ROOM..HEAD_ROOM + length)
            .unwrap_or_default();
        let Ok(parsed) = parse_geneve(frame) else {
            return Ok(());
        };
        let unreadable = |e| Failure::new("read a tunnel's headers", e);
        let (outer, behind) = Ethernet::parse(frame).map_err(unreadable)?;
        let (ip, _) = Ipv6::parse(behind).map_err(unreadable)?;
        if ip.destination() != self.address || parsed.key.vni() != self.vni {
            return Ok(());
        }
        let hop = Hop {
            link,
            source: outer.destination(),
            destination: outer.source(),
        };
        if let Ok(mut hosts) = self.hosts.lock() {
            hosts.insert(ip.source(), hop);
        }
        count_hop(buffer, length, &parsed)?;
        let program = Transform::on::<stack![Ethernet, Ipv6, Udp, Geneve, Ethernet]>()
            .pop::<Ethernet>()
            .pop::<Ipv6>()
            .pop::<Udp>()
            .pop::<Geneve>()
            .set::<ethernet::Source>(TUNNEL_END)
            .set::<ethernet::Destination>(self.outside_mac)
            .compile();
        self.outside
            .send(applied(&program, buffer, length, &parsed.offsets, 0)?)
    }

    /// A frame from outside: into the tunnel to the guest that answers to its address and port.
    fn inward(&self, buffer: &mut [u8], length: usize) -> Result<()> {
        let frame = buffer
            .get(HEAD_ROOM..HEAD_ROOM + length)
            .unwrap_or_default();
        let Ok(parsed) = parse_guest(frame) else {
            return Ok(());
        };
        let to: IpAddr = parsed.key.destination_ip();
        if parsed.l3().is_none() || !self.nat.has(to) {
            return Ok(());
        }
        let guest = self.answers(frame, &parsed)?.ok_or_else(|| {
            Failure::new(format!("find who is called by {}", parsed.key), "nobody")
        })?;
        let hop = self
            .hosts
            .lock()
            .ok()
            .and_then(|hosts| hosts.get(&guest.host).copied());
        let hop = hop.ok_or_else(|| {
            Failure::new(
                format!("find the way to {}", guest.host),
                "it was never heard",
            )
        })?;
        let program = self.tunnel(&guest, hop)?;
        // Any 16 bits that differ between flows will do.
        let entropy = parsed.key.source_port ^ parsed.key.destination_port.rotate_left(7);
        count_hop(buffer, length, &parsed)?;
        let frame = applied(&program, buffer, length, &parsed.offsets, entropy)?;
        self.underlay
            .get(hop.link)
            .map_or(Ok(()), |link| link.send(frame))
    }

    /// Which guest a packet from outside is for.
    fn answers(&self, frame: &[u8], parsed: &Parsed) -> Result<Option<Location>> {
        let to = parsed.key.destination_ip();
        if parsed.fragment == Fragment::Later {
            let fragments = self.fragments.lock().ok();
            return Ok(fragments.and_then(|fragments| fragments.find(parsed)));
        }
        let error = parsed.icmp_error(frame);
        let error = error.map_err(|e| Failure::new("read an ICMP error", e))?;
        let port = match error {
            // Whoever has sent the packet at fault, from this address and port.
            Some(error) => error.embedded.key.source_port,
            None => parsed.key.destination_port,
        };
        let found = self.nat.find(to, port).copied();
        if let (Fragment::First, Some(guest), Ok(mut fragments)) =
            (parsed.fragment, found, self.fragments.lock())
        {
            fragments.follow(parsed, guest);
        }
        Ok(found)
    }

    fn tunnel(&self, guest: &Location, hop: Hop) -> Result<Program> {
        let external = Options::of(&[GeneveOption::External]);
        let options =
            external.map_err(|e| Failure::new("write the option for what is from outside", e))?;
        let ethernet = Ethernet {
            source: hop.source,
            destination: hop.destination,
            ..Ethernet::default()
        };
        Ok(Transform::on::<stack![Ethernet]>()
            .set::<ethernet::Source>(TUNNEL_END)
            .set::<ethernet::Destination>(guest.mac)
            .push(Geneve {
                vni: guest.vni,
                options,
                ..Geneve::default()
            })
            .push_varying::<udp::Source>(Udp {
                source: 0xc000,
                ..Udp::default()
            })
            .push(Ipv6 {
                source: self.address,
                destination: guest.host,
                ..Ipv6::default()
            })
            .push(ethernet)
            .compile())
    }
}

/// Takes one hop off the packet behind the head-room.
fn count_hop(buffer: &mut [u8], length: usize, parsed: &Parsed) -> Result<()> {
    let frame = buffer.get_mut(HEAD_ROOM..HEAD_ROOM + length);
    let mut editor = Editor::new(frame.unwrap_or_default(), parsed);
    let v4 = match parsed.l3_kind() {
        HeaderKind::Ipv4 => true,
        HeaderKind::Ipv6 => false,
        _ => return Ok(()),
    };
    let hops = match v4 {
        true => editor.get::<ipv4::Ttl>(),
        false => editor.get::<ipv6::HopLimit>(),
    };
    let left = hops.unwrap_or_default().checked_sub(1);
    let left = left.filter(|left| *left > 0);
    let left =
        left.ok_or_else(|| Failure::new("count a hop", format!("{} has none left", parsed.key)))?;
    let counted = match v4 {
        true => editor.set::<ipv4::Ttl>(left),
        false => editor.set::<ipv6::HopLimit>(left),
    };
    counted.map_err(|e| Failure::new("count a hop", e))
}

/// The frame that `program` makes of the one behind the head-room.
fn applied<'a>(
    program: &Program,
    buffer: &'a mut [u8],
    length: usize,
    offsets: &Offsets,
    entropy: u16,
) -> Result<&'a [u8]> {
    let frame = buffer.get_mut(..HEAD_ROOM + length).unwrap_or_default();
    let applied = program.apply(frame, HEAD_ROOM, length, offsets, Sums::Complete, entropy);
    let applied = applied.map_err(|e| Failure::new("carry a frame", e))?;
    Ok(frame
        .get(applied.start..applied.start + applied.frame_len)
        .unwrap_or_default())
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T> {
    text.parse()
        .map_err(|e| Failure::new(format!("read `{text}`"), e))
}
