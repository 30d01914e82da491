//! Two hosts, the rack between them, the network outside.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;

use crate::plan::{self, Place};
use crate::{Binaries, Failure, Guest, Host, Lab, Namespace, Result, Running};

/// The lab of the demo and of the tests.
///
/// ```text
///     alice  bob  mallory              carol
///        \    |    /                     |
///      [    host-a    ]            [  host-b  ]
///         | u0    | u1               | u0   | u1
///      ===+=======|== sw0 ===========+======|====      (rack: two switches, MTU 9000)
///      ===========+== sw1 ==================+====
///               [ boundary, in the rack ]
///                        |
///                     outside
/// ```
#[derive(Debug)]
pub struct Topology {
    /// The first host.
    pub a: Host,
    /// The second host.
    pub b: Host,
    /// The switches, and the boundary endpoint.
    pub rack: Namespace,
    /// A server on the network outside.
    pub outside: Namespace,
    boundary: Option<Running>,
    binaries: Binaries,
    // Last: the hosts' processes end before the namespaces go.
    lab: Lab,
}

/// MAC address of the server outside, to which the boundary sends what leaves the overlay.
const OUTSIDE_MAC: &str = "02:00:00:00:0f:01";
/// MAC address of the boundary on the network outside.
const BOUNDARY_OUTSIDE_MAC: &str = "02:00:00:00:0f:02";
/// Link-local address of the rack on both underlay links.
const RACK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);

impl Topology {
    /// Builds namespaces, links, addresses and routes. Nothing runs on them yet.
    ///
    /// # Errors
    /// In the words of `ip`, at the first step that fails.
    pub fn build(binaries: &Binaries) -> Result<Self> {
        let lab = Lab::new()?;
        let rack = lab.namespace("rack")?;
        let outside = lab.namespace("outside")?;
        let a = Host::new(&lab, binaries, "host-a", Place::A)?;
        let b = Host::new(&lab, binaries, "host-b", Place::B)?;
        build_switches(&rack)?;
        connect(&rack, &a, 0xa)?;
        connect(&rack, &b, 0xb)?;
        add_routes(&a, 0xb, plan::HOST_B)?;
        add_routes(&b, 0xa, plan::HOST_A)?;
        build_outside(&rack, &outside)?;
        Ok(Self {
            a,
            b,
            rack,
            outside,
            boundary: None,
            binaries: binaries.clone(),
            lab,
        })
    }

    /// The lab it stands in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The programs it runs.
    pub(crate) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The host at a place.
    pub fn host(&self, place: Place) -> &Host {
        match place {
            Place::A => &self.a,
            Place::B => &self.b,
        }
    }

    /// Starts one driver on each host and the boundary endpoint in the rack.
    ///
    /// # Errors
    /// If one of them does not come up, with the end of its log.
    pub fn start(&mut self) -> Result<()> {
        self.a.start_xde()?;
        self.b.start_xde()?;
        self.start_boundary()
    }

    /// Makes the namespace of a guest and its port on its host; see [`Guest`].
    ///
    /// # Errors
    /// In the words of `ip` or `opteadm`.
    pub fn add_guest(&self, guest: &plan::GuestPlan) -> Result<Guest> {
        let namespace = self.lab.namespace(guest.name)?;
        self.host(guest.place).create_port(guest, &namespace)?;
        Ok(Guest::new(guest, namespace, self.lab.directory()))
    }

    /// Leaves all of it standing when this process ends.
    pub fn keep(self) {
        let Self {
            a,
            b,
            boundary,
            lab,
            ..
        } = self;
        lab.keep();
        // Not dropped, as that would end the drivers.
        std::mem::forget((a, b, boundary));
    }

    fn start_boundary(&mut self) -> Result<()> {
        let mut command = self.rack.command(self.binaries.path("boundary")?);
        command.args(["--underlay", "sw0", "--underlay", "sw1", "--outside", "out"]);
        command.args([
            "--address",
            &plan::BOUNDARY.to_string(),
            "--vni",
            &plan::BOUNDARY_VNI.to_string(),
        ]);
        command.args(["--outside-mac", OUTSIDE_MAC]);
        for guest in plan::GUESTS {
            command
                .arg("--nat")
                .arg(boundary_nat(guest.snat.ip.into(), &guest));
            command
                .arg("--nat")
                .arg(boundary_nat(guest.snat.ip6.into(), &guest));
        }
        let log = self.lab.directory().join("boundary.log");
        let mut boundary = Running::start(&mut command, &log)?;
        wait_for("the boundary endpoint to come up", || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"))
                || !boundary.is_alive()
        })?;
        if !boundary.is_alive() {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(Failure::new("start the boundary endpoint", text));
        }
        self.boundary = Some(boundary);
        Ok(())
    }
}

/// Waits until `done`, looking often, for at most ten seconds.
///
/// # Errors
/// When the time is up.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    for _ in 0..1000 {
        if done() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Err(Failure::new(
        format!("wait for {what}"),
        "ten seconds are over",
    ))
}

/// `203.0.113.10:10000-19999=fd00:1::1,10,a8:40:25:f0:00:01`: who answers to an external address and share of ports.
fn boundary_nat(external: IpAddr, guest: &plan::GuestPlan) -> String {
    let (first, last) = guest.snat.ports;
    let external = match external {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!(
        "{external}:{first}-{last}={},{},{}",
        guest.place.underlay(),
        guest.vni,
        guest.mac
    )
}

fn build_switches(rack: &Namespace) -> Result<()> {
    for n in 0..2 {
        rack.ip_batch(&[
            format!("link add sw{n} address 02:00:00:00:99:0{n} type bridge mcast_snooping 0 forward_delay 0"),
            format!("link set sw{n} mtu {} up", plan::UNDERLAY_MTU),
            format!("addr add {RACK}/64 dev sw{n} nodad"),
        ])?;
    }
    Ok(())
}

/// Gives `host` the links `u0` and `u1`, each to one switch, with link-local addresses that tell host and link.
fn connect(rack: &Namespace, host: &Host, digit: u8) -> Result<()> {
    let mtu = plan::UNDERLAY_MTU;
    let mut lines = Vec::new();
    for n in 0..2 {
        let mac = format!("02:00:00:00:{digit:02x}:{n:02x}");
        lines.push(format!("link add u{n} mtu {mtu} address {mac} type veth peer name {digit:x}{n} mtu {mtu} netns {}", rack.name()));
        lines.push(format!("link set u{n} addrgenmode none"));
        lines.push(format!("link set u{n} up"));
        lines.push(format!("addr add {}/64 dev u{n} nodad", link_local(digit)));
    }
    lines.push(format!("addr add {}/128 dev lo", host.underlay()));
    host.namespace().ip_batch(&lines)?;
    let ports = (0..2)
        .map(|n| format!("link set {digit:x}{n} addrgenmode none master sw{n} up"))
        .collect::<Vec<_>>();
    rack.ip_batch(&ports)
}

/// The peer and the boundary, each by both links.
fn add_routes(host: &Host, peer: u8, peer_address: Ipv6Addr) -> Result<()> {
    let via = |hop: Ipv6Addr| format!("nexthop via {hop} dev u0 nexthop via {hop} dev u1");
    host.namespace().ip_batch(&[
        format!("route add {peer_address}/128 {}", via(link_local(peer))),
        format!("route add {}/128 {}", plan::BOUNDARY, via(RACK)),
        format!("route add {}/128 {}", plan::NOWHERE, via(link_local(0xd))),
    ])
}

fn link_local(digit: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(digit))
}

fn build_outside(rack: &Namespace, outside: &Namespace) -> Result<()> {
    outside.ip_batch(&[
        format!("link add eth0 address {OUTSIDE_MAC} type veth peer name out address {BOUNDARY_OUTSIDE_MAC} netns {}", rack.name()),
        "link set eth0 up".to_owned(),
        format!("addr add {}/{} dev eth0", plan::OUTSIDE, plan::OUTSIDE_PREFIX),
        format!("addr add {}/{} dev eth0 nodad", plan::OUTSIDE_V6, plan::OUTSIDE_PREFIX_V6),
    ])?;
    rack.ip_batch(&[
        "link set out addrgenmode none".to_owned(),
        "link set out up".to_owned(),
    ])?;
    // The boundary answers for the external addresses, and not to questions who has them.
    let addresses: BTreeSet<IpAddr> = plan::GUESTS
        .iter()
        .flat_map(|guest| [guest.snat.ip.into(), guest.snat.ip6.into()])
        .collect();
    let neighbours = addresses.iter().map(|address| {
        format!("neigh add {address} lladdr {BOUNDARY_OUTSIDE_MAC} dev eth0 nud permanent")
    });
    outside.ip_batch(&neighbours.collect::<Vec<_>>())?;
    // The boundary moves frames as they are: they must carry finished checksums and fit the guests' MTU.
    let mut ethtool = outside.command("ethtool");
    ethtool.args(["-K", "eth0", "tx", "off", "gso", "off", "tso", "off"]);
    run(&mut ethtool)
}

fn run(command: &mut Command) -> Result<()> {
    crate::netns::run(command).map(drop)
}
