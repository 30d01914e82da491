//! Who must not reach whom, and that it is counted.

use std::net::IpAddr;

use testkit::plan::{GATEWAY_MAC, GuestPlan, NOWHERE, Place, Snat};
use testkit::{Failure, Guest, Overlay, Result};

use crate::bulk::same_bytes;
use crate::runner::ensure;

/// Mallory has Carol's addresses in a VPC of her own, on the host of Alice and Bob.
pub(crate) fn another_vpc_is_out_of_reach(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        bob,
        carol,
        mallory,
        topology,
    } = &*lab;
    let (unseen, answered) = (received(mallory)?, received(carol)?);
    let ping = alice.ping(carol.plan().ip.into(), 50)?;
    ensure(ping.is_complete(), || "Alice does not reach Carol".into())?;
    ensure(received(carol)? >= answered + 50, || {
        "the pings did not reach Carol".into()
    })?;
    ensure(received(mallory)? < unseen + 25, || {
        "pings for Carol reached Mallory".into()
    })?;

    let dropped = topology.a.drops("no_mapping")?;
    for victim in [alice, bob] {
        for address in [victim.plan().ip.into(), victim.plan().ip6.into()] {
            let before = received(victim)?;
            let ping = mallory.ping(address, 20)?;
            ensure(ping.received == 0, || {
                format!("{address} of another VPC answered Mallory")
            })?;
            ensure(received(victim)? < before + 10, || {
                format!("Mallory's pings reached {}", victim.plan().name)
            })?;
        }
    }
    let counted = topology.a.drops("no_mapping")? - dropped;
    ensure(counted >= 80, || {
        format!("80 packets dropped, {counted} counted")
    })
}

/// Trudy is to Alice what Mallory is to Carol: of another VPC, with the same addresses, on the same host. Both pairs talk at once,
/// from the same address and port to the same address and port, and each hears what its own peer says.
pub(crate) fn two_vpcs_with_equal_addresses_do_not_meet(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        carol,
        mallory,
        topology,
        ..
    } = &*lab;
    // Carol is on the second host and Mallory on the first; so is Trudy on the second and Alice on the first.
    let trudy = GuestPlan {
        name: "trudy",
        place: Place::B,
        port: "opte6",
        vni: mallory.plan().vni,
        mac: "a8:40:25:f0:00:06",
        snat: Snat {
            ports: (51_000, 51_999),
            ..alice.plan().snat
        },
        ..*alice.plan()
    };
    let trudy = topology.add_guest(&trudy)?;
    topology.a.set_v2p(trudy.plan())?;
    trudy.dhcp()?;
    trudy.configure_v6()?;
    let pairs = [(alice, carol), (&trudy, mallory)];
    for (from, _) in pairs {
        let only = ("net/ipv4/ip_local_port_range", "40000 40000");
        from.namespace().sysctl(&[only])?;
    }
    let outcome = both_talk(lab, pairs);
    let default = ("net/ipv4/ip_local_port_range", "32768 60999");
    alice.namespace().sysctl(&[default])?;
    topology.a.clear_v2p(trudy.plan())?;
    topology.remove_guest(trudy)?;
    outcome
}

fn both_talk(lab: &Overlay, pairs: [(&Guest, &Guest); 2]) -> Result<()> {
    let topology = &lab.topology;
    let [(_, first), _] = pairs;
    for address in [IpAddr::from(first.plan().ip), first.plan().ip6.into()] {
        let mut sinks = Vec::new();
        for (_, to) in pairs {
            sinks.push(topology.serve(to.namespace(), &format!("tcp-sink {address} 7600"))?);
        }
        let sent: Vec<Result<String>> = std::thread::scope(|scope| {
            let sources = pairs.map(|(from, _)| {
                let seed = from.plan().vni;
                let line = format!("tcp-source {address} 7600 8000000 {seed}");
                scope.spawn(move || topology.traffic(from.namespace(), &line))
            });
            let joined = sources.map(|source| {
                source
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("send", "a thread ended")))
            });
            joined.into()
        });
        for (sent, sink) in sent.into_iter().zip(sinks) {
            let (sent, received) = (sent?, sink.finish()?);
            ensure(same_bytes(&sent, &received), || {
                format!("sent {sent}, received {received}")
            })?;
        }
    }
    Ok(())
}

pub(crate) fn a_spoofed_source_is_dropped(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        carol,
        topology,
        ..
    } = &*lab;
    let before = (received(carol)?, topology.a.drops("spoofed_source")?);
    // Another's IPv4 address, another's IPv6 address, another's MAC address with the right IPv4 address.
    for spoofed in ["10.0.0.12", "fd10::12"] {
        let link = alice.plan().port;
        alice
            .namespace()
            .ip(&format!("addr add {spoofed} dev {link} nodad"))?;
        let target = if spoofed.contains(':') {
            carol.plan().ip6.into()
        } else {
            carol.plan().ip.into()
        };
        let ping = alice.ping_with(target, 20, &format!("-I {spoofed}"));
        alice
            .namespace()
            .ip(&format!("addr del {spoofed} dev {link}"))?;
        ensure(ping?.received == 0, || {
            format!("a ping from {spoofed} was answered")
        })?;
    }
    let foreign = echo_request("a840 25f0 0002", alice);
    topology.send_frames(alice.namespace(), alice.plan().port, &vec![foreign; 20])?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    let after = (received(carol)?, topology.a.drops("spoofed_source")?);
    ensure(after.0 < before.0 + 10, || {
        format!("{} spoofed packets went through", after.0 - before.0)
    })?;
    ensure(after.1 >= before.1 + 60, || {
        format!("60 packets dropped, {} counted", after.1 - before.1)
    })
}

pub(crate) fn an_unknown_peer_is_dropped_and_counted(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let before = topology.a.drops("no_mapping")?;
    let ping = alice.ping("10.0.0.66".parse().unwrap(), 10)?;
    ensure(ping.received == 0, || {
        "an address that nobody has answered".into()
    })?;
    let counted = topology.a.drops("no_mapping")? - before;
    ensure(counted >= 10, || {
        format!("10 packets dropped, {counted} counted")
    })
}

/// The mapping is there, and a route, but at the route's end is nobody.
pub(crate) fn a_peer_without_next_hop_is_dropped_and_counted(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let mapping = format!("10.0.0.67 a8:40:25:f0:00:67 {NOWHERE} 10");
    topology.a.opteadm(&format!("set-v2p {mapping}"))?;
    let before = topology.a.drops("no_neighbour")?;
    let ping = alice.ping("10.0.0.67".parse().unwrap(), 10);
    topology.a.opteadm(&format!("clear-v2p {mapping}"))?;
    ensure(ping?.received == 0, || {
        "an address that nobody has answered".into()
    })?;
    // A packet waits for its next hop to answer, before it is dropped.
    let counted = || {
        topology
            .a
            .drops("no_neighbour")
            .is_ok_and(|now| now >= before + 10)
    };
    testkit::topology::wait_for("10 drops for want of a next hop", counted)
}

fn received(guest: &Guest) -> Result<u64> {
    guest.namespace().counter(guest.plan().port, "rx_packets")
}

/// An echo request from 10.0.0.11 to 10.0.0.13 by way of the gateway, from a MAC address that is not Alice's.
fn echo_request(source_mac: &str, guest: &Guest) -> String {
    assert_eq!(guest.plan().ip.octets(), [10, 0, 0, 11]);
    format!(
        "{} {source_mac} 0800 4500 001c 0001 0000 4001 66c5 0a00 000b 0a00 000d 0800 f7fd 0001 0001",
        GATEWAY_MAC.replace(':', ""),
    )
}
