//! A plain LAN beside the overlay: a router with a switch in it, a machine, and guests of the first host behind addresses of theirs.

use std::net::Ipv4Addr;

use crate::plan::{GuestPlan, Place, Snat};
use crate::{Guest, Namespace, Result, Topology};

/// The LAN.
///
/// ```text
///      dora
///        | opte8
///   [ host-a ]   10.9.0.2       machine   10.9.0.7
///        | lan0                    | eth0
///   =====+========== br0 ==========+=====
///             [ router 10.9.0.1 ]
/// ```
#[derive(Debug)]
pub struct Lan {
    /// The router, whose bridge is the LAN's switch.
    pub router: Namespace,
    /// A machine on the LAN with nothing but an ordinary Linux.
    pub machine: Namespace,
    /// A guest of the first host.
    pub dora: Guest,
}

/// The LAN's subnet.
pub const SUBNET: &str = "10.9.0.0/24";
/// The router's address, and its MAC address.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// MAC address of the router.
pub const ROUTER_MAC: &str = "02:00:00:00:09:01";
/// The host's own address on the LAN.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// The machine's address.
pub const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 7);
/// The address that stands for Dora on the LAN.
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 99);
/// The MAC address that it has there, which is made of it.
pub const PUBLIC_MAC: &str = "a8:40:25:09:00:63";
/// Dora's ports of it.
pub const PORTS: (u16, u16) = (20_000, 29_999);

/// The guest, whose addresses nobody on the LAN sees.
pub const DORA: GuestPlan = GuestPlan {
    name: "dora",
    port: "opte8",
    place: Place::A,
    vni: 0,
    mac: "a8:40:25:f0:09:02",
    ip: Ipv4Addr::new(192, 168, 7, 2),
    ip6: std::net::Ipv6Addr::UNSPECIFIED,
    snat: Snat {
        ip: PUBLIC,
        ip6: std::net::Ipv6Addr::UNSPECIFIED,
        ports: PORTS,
    },
};

impl Lan {
    /// Builds it at the first host, whose driver runs, with Dora behind [`PUBLIC`].
    ///
    /// # Errors
    /// In the words of `ip` or `opteadm`.
    pub fn build(topology: &Topology) -> Result<Self> {
        let (lab, host) = (topology.lab(), &topology.a);
        let [router, machine, guest] =
            ["router", "machine", DORA.name].map(|name| lab.namespace(name));
        let (router, machine, guest) = (router?, machine?, guest?);
        router.ip_batch(&[
            format!(
                "link add br0 address {ROUTER_MAC} type bridge mcast_snooping 0 forward_delay 0"
            ),
            format!("addr add {ROUTER}/24 dev br0"),
            "link set br0 up".into(),
        ])?;
        router.sysctl(&[("net/ipv4/ip_forward", "1")])?;
        for (namespace, link, address, port) in [
            (host.namespace(), "lan0", HOST, "p0"),
            (&machine, "eth0", MACHINE, "p1"),
        ] {
            namespace.ip_batch(&[
                format!(
                    "link add {link} type veth peer name {port} netns {}",
                    router.name()
                ),
                format!("link set {link} up"),
                format!("addr add {address}/24 dev {link}"),
            ])?;
            router.ip(&format!("link set {port} addrgenmode none master br0 up"))?;
        }
        let GuestPlan { port, mac, ip, .. } = DORA;
        let (first, last) = PORTS;
        host.opteadm(&format!(
            "create-lan-port {port} --link lan0 --guest-mac {mac} --netns {} private_ip={ip} public_ip={PUBLIC} \
             port_start={first} port_end={last} vpc_sub4={SUBNET} gw_mac={ROUTER_MAC} gw_ip={ROUTER}",
            guest.name()
        ))?;
        let dora = Guest::new(&DORA, guest, lab.directory());
        dora.dhcp()?;
        Ok(Self {
            router,
            machine,
            dora,
        })
    }

    /// Takes it away again.
    ///
    /// # Errors
    /// In the words of `opteadm` or `ip`.
    pub fn remove(self, topology: &Topology) -> Result<()> {
        topology.remove_guest(self.dora)?;
        topology.a.namespace().ip("link del lan0")?;
        self.machine.remove()?;
        self.router.remove()
    }
}
