//! Two hosts, the rack between them, the network outside.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::process::Command;

use crate::plan::{self, GuestPlan, Place};
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
///                     outside ---- transit ---- far
///                         (MTU 1300)
/// ```
#[derive(Debug)]
pub struct Topology {
    /// The first host.
    pub a: Host,
    /// The second host.
    pub b: Host,
    /// The switches, and the boundary endpoint.
    pub rack: Namespace,
    /// A server on the network outside, and the first router of the way on.
    pub outside: Namespace,
    /// The next router, behind a link of a smaller MTU.
    pub transit: Namespace,
    /// A server behind it.
    pub far: Namespace,
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
        let [outside, transit, far] = ["outside", "transit", "far"].map(|name| lab.namespace(name));
        let (outside, transit, far) = (outside?, transit?, far?);
        let a = Host::new(&lab, binaries, "host-a", Place::A)?;
        let b = Host::new(&lab, binaries, "host-b", Place::B)?;
        build_switches(&rack)?;
        connect(&rack, &a, 0xa)?;
        connect(&rack, &b, 0xb)?;
        add_routes(&a, 0xb, plan::HOST_B)?;
        add_routes(&b, 0xa, plan::HOST_A)?;
        build_outside(&rack, &outside)?;
        build_beyond(&outside, &transit, &far)?;
        Ok(Self {
            a,
            b,
            rack,
            outside,
            transit,
            far,
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
        self.start_boundary(&plan::GUESTS)
    }

    /// Makes the namespace of a guest and its port on its host; see [`Guest`].
    ///
    /// # Errors
    /// In the words of `ip` or `opteadm`.
    pub fn add_guest(&self, guest: &GuestPlan) -> Result<Guest> {
        self.add_guest_with(guest, "")
    }

    /// The same with further options of `opteadm create-xde`, split at spaces.
    ///
    /// # Errors
    /// In the words of `ip` or `opteadm`.
    pub fn add_guest_with(&self, guest: &GuestPlan, options: &str) -> Result<Guest> {
        let namespace = self.lab.namespace(guest.name)?;
        self.host(guest.place)
            .create_port_with(guest, &namespace, options)?;
        Ok(Guest::new(guest, namespace, self.lab.directory()))
    }

    /// Takes a guest's port away, and its namespace.
    ///
    /// # Errors
    /// In the words of `opteadm` or `ip`.
    pub fn remove_guest(&self, guest: Guest) -> Result<()> {
        let GuestPlan { port, place, .. } = guest.plan();
        self.host(*place).opteadm(&format!("delete-xde {port}"))?;
        guest.namespace().remove()
    }

    /// Makes the boundary endpoint send what comes from outside to where `guests` say they are now.
    ///
    /// # Errors
    /// If it does not come up again, with the end of its log.
    pub fn move_boundary(&mut self, guests: &[GuestPlan]) -> Result<()> {
        if let Some(boundary) = self.boundary.take() {
            boundary.terminate();
        }
        self.start_boundary(guests)
    }

    /// What the boundary endpoint could not carry, and why.
    pub fn boundary_log(&self) -> String {
        std::fs::read_to_string(self.boundary_log_path()).unwrap_or_default()
    }

    fn boundary_log_path(&self) -> PathBuf {
        self.lab.directory().join("boundary.log")
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

    fn start_boundary(&mut self, guests: &[GuestPlan]) -> Result<()> {
        let mut command = self.rack.command(self.binaries.path("boundary")?);
        command.args(["--underlay", "sw0", "--underlay", "sw1", "--outside", "out"]);
        command.args([
            "--address",
            &plan::BOUNDARY.to_string(),
            "--vni",
            &plan::BOUNDARY_VNI.to_string(),
        ]);
        command.args(["--outside-mac", OUTSIDE_MAC]);
        for guest in guests {
            for (external, ports) in external_addresses(guest) {
                command
                    .arg("--nat")
                    .arg(boundary_nat(external, ports, guest));
            }
        }
        let log = self.boundary_log_path();
        let ready = || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.lines().filter(|line| *line == "ready").count()
        };
        let before = ready();
        let mut boundary = Running::start(&mut command, &log)?;
        wait_for("the boundary endpoint to come up", || {
            ready() > before || !boundary.is_alive()
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

/// By what a guest is known outside: its share of an address, and addresses of its own with all their ports.
fn external_addresses(guest: &GuestPlan) -> Vec<(IpAddr, (u16, u16))> {
    let shared = [guest.snat.ip.into(), guest.snat.ip6.into()];
    let shared = shared.map(|address| (address, guest.snat.ports));
    let floating = plan::FLOATING.map(IpAddr::from).into_iter();
    let floating = floating
        .chain(plan::FLOATING_V6.map(IpAddr::from))
        .filter(|_| guest.name == plan::ALICE.name)
        .map(|address| (address, (0, u16::MAX)));
    shared.into_iter().chain(floating).collect()
}

/// `203.0.113.10:10000-19999=fd00:1::1,10,a8:40:25:f0:00:01`: who answers to an external address and share of ports.
fn boundary_nat(external: IpAddr, (first, last): (u16, u16), guest: &GuestPlan) -> String {
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
        .flat_map(external_addresses)
        .map(|(address, _)| address)
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

/// Two routers and a server, of which nobody limits how many errors it sends.
fn build_beyond(outside: &Namespace, transit: &Namespace, far: &Namespace) -> Result<()> {
    for router in [outside, transit, far] {
        router.sysctl(&[
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv6/conf/all/forwarding", "1"),
            ("net/ipv4/icmp_ratelimit", "0"),
            ("net/ipv6/icmp/ratelimit", "0"),
        ])?;
    }
    let mtu = plan::TRANSIT_MTU;
    outside.ip_batch(&[
        format!(
            "link add eth1 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}",
            transit.name()
        ),
        "link set eth1 up".to_owned(),
        "addr add 198.51.100.1/30 dev eth1".to_owned(),
        "addr add 2001:db8:51::1/64 dev eth1 nodad".to_owned(),
    ])?;
    transit.ip_batch(&[
        format!(
            "link add eth1 type veth peer name eth0 netns {}",
            far.name()
        ),
        "link set eth0 up".to_owned(),
        "link set eth1 up".to_owned(),
        format!("addr add {}/30 dev eth0", plan::TRANSIT),
        format!("addr add {}/64 dev eth0 nodad", plan::TRANSIT_V6),
        "addr add 192.0.2.2/24 dev eth1".to_owned(),
        "addr add 2001:db8:2::2/64 dev eth1 nodad".to_owned(),
        "route add default via 198.51.100.1".to_owned(),
        "route add default via 2001:db8:51::1".to_owned(),
    ])?;
    far.ip_batch(&[
        "link set eth0 up".to_owned(),
        format!("addr add {}/24 dev eth0", plan::FAR),
        format!("addr add {}/64 dev eth0 nodad", plan::FAR_V6),
        "route add default via 192.0.2.2".to_owned(),
        "route add default via 2001:db8:2::2".to_owned(),
    ])?;
    outside.ip_batch(&[
        format!("route add 192.0.2.0/24 via {}", plan::TRANSIT),
        format!("route add 2001:db8:2::/64 via {}", plan::TRANSIT_V6),
    ])
}

fn run(command: &mut Command) -> Result<()> {
    crate::netns::run(command).map(drop)
}
