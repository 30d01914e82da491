//! A guest behind an address of a plain LAN, with real machines on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use testkit::lan::{DORA, Lan, MACHINE, PORTS, PUBLIC, PUBLIC_MAC, ROUTER};
use testkit::traffic::Server;
use testkit::{Failure, Overlay, Result, guest};

use crate::bulk::same_bytes;
use crate::live::peers;
use crate::neighbours::arping_from;
use crate::runner::ensure;

/// Words of a conversation that show that it goes on.
const SOME: u64 = 5;

pub(crate) fn machines_find_the_public_address(lab: &mut Overlay) -> Result<()> {
    on_a_lan(lab, |_, lan| {
        for (namespace, link) in [(&lan.machine, "eth0"), (&lan.router, "br0")] {
            let told = arping_from(namespace, link, PUBLIC)?;
            ensure(told.to_lowercase().contains(PUBLIC_MAC), || {
                format!("no {PUBLIC_MAC} in {told}")
            })?;
        }
        for nobody in [DORA.ip, Ipv4Addr::new(10, 9, 0, 98)] {
            let told = arping_from(&lan.machine, "eth0", nobody)?;
            ensure(!told.contains("from"), || {
                format!("{nobody} was found: {told}")
            })?;
        }
        Ok(())
    })
}

/// Out to a machine of the LAN and to the router, as the public address and a port of the share; what they send comes back.
pub(crate) fn the_guest_is_seen_as_the_public_address(lab: &mut Overlay) -> Result<()> {
    on_a_lan(lab, |lab, lan| {
        let (topology, dora) = (&lab.topology, lan.dora.namespace());
        for (place, address) in [(&lan.machine, MACHINE), (&lan.router, ROUTER)] {
            let ping = lan.dora.ping(address.into(), 10)?;
            ensure(ping.is_complete(), || {
                format!(
                    "{} of {} pings to {address} answered",
                    ping.received, ping.sent
                )
            })?;
            let echo = topology.serve(place, &format!("tcp-echo {address} 80"))?;
            topology.traffic(dora, &format!("tcp-flows {address} 80 20"))?;
            let peers = peers(&echo)?;
            ensure(peers.len() == 20, || format!("{peers:?}"))?;
            for peer in peers {
                let (ip, port) = (peer.ip(), peer.port());
                ensure(
                    ip == IpAddr::from(PUBLIC) && (PORTS.0..=PORTS.1).contains(&port),
                    || format!("the guest is seen as {ip}, port {port}"),
                )?;
            }
            let _udp = topology.serve(place, &format!("udp-echo {address} 53 5"))?;
            topology.traffic(dora, &format!("udp-flows {address} 53 5 10"))?;
        }
        // Whole super-packets to the guest, segments that fit the LAN from it.
        let bytes = "8000000 5";
        let sink = topology.serve(&lan.machine, &format!("tcp-sink {MACHINE} 81"))?;
        let sent = topology.traffic(dora, &format!("tcp-source {MACHINE} 81 {bytes}"))?;
        let received = sink.finish()?;
        ensure(same_bytes(&sent, &received), || {
            format!("sent {sent}, received {received}")
        })?;
        // The host uses the LAN as before, and so do its other guests the overlay.
        let ping = guest::ping(topology.a.namespace(), "lan0", MACHINE.into(), 5, "")?;
        ensure(ping.is_complete(), || format!("the host itself: {ping:?}"))?;
        let ping = lab.alice.ping(lab.carol.plan().ip.into(), 5)?;
        ensure(ping.is_complete(), || {
            format!("across the overlay: {ping:?}")
        })
    })
}

pub(crate) fn nothing_comes_in_unasked(lab: &mut Overlay) -> Result<()> {
    on_a_lan(lab, |lab, lan| {
        let topology = &lab.topology;
        let received = || lan.dora.namespace().counter(DORA.port, "rx_packets");
        let before = received()?;
        for (place, link) in [(&lan.machine, "eth0"), (&lan.router, "br0")] {
            let ping = guest::ping(place, link, PUBLIC.into(), 3, "")?;
            ensure(ping.received == 0, || {
                format!("a stranger's pings: {ping:?}")
            })?;
            let asked = topology.traffic(place, &format!("udp-flows {PUBLIC} {} 5 2", PORTS.0));
            ensure(asked.is_err(), || "a stranger was answered".into())?;
        }
        ensure(received()? == before, || {
            "a stranger's packets reached the guest".into()
        })?;
        ensure(topology.a.drops("nat_filtered")? > 0, || {
            "no drop of what nobody asked for is counted".into()
        })?;
        // The private address is nobody's there.
        lan.machine
            .ip(&format!("route add {}/32 via {PUBLIC}", DORA.ip))?;
        let ping = guest::ping(&lan.machine, "eth0", DORA.ip.into(), 3, "")?;
        ensure(ping.received == 0, || {
            format!("to the private address: {ping:?}")
        })?;
        ensure(received()? == before, || {
            "the private address was reached".into()
        })
    })
}

/// What a conversation needs stays, and it goes on. Another address stands for the guest, and what begins then has that one.
pub(crate) fn the_configuration_changes_under_a_connection(lab: &mut Overlay) -> Result<()> {
    on_a_lan(lab, |lab, lan| {
        let topology = &lab.topology;
        let set = |settings: &str| {
            let command = format!("set-ip-config -p {} {settings}", DORA.port);
            topology.a.opteadm(&command).map(drop)
        };
        let echo = topology.serve(&lan.machine, &format!("tcp-echo {MACHINE} 80"))?;
        let talk = || topology.serve(lan.dora.namespace(), &format!("tcp-talk {MACHINE} 80"));
        let first = talk()?;
        first.goes_on(SOME)?;
        // More ports, then fewer around the one in use.
        set("port_start=10000 port_end=39999")?;
        first.goes_on(SOME)?;
        let port = last_peer(&echo)?.port();
        set(&format!("port_start={port} port_end={}", port + 9))?;
        first.goes_on(SOME)?;

        let other = Ipv4Addr::new(10, 9, 0, 98);
        set(&format!("public_ip={other}"))?;
        let told = arping_from(&lan.machine, "eth0", other)?;
        ensure(told.to_lowercase().contains("a8:40:25:09:00:62"), || {
            format!("the new address was not found: {told}")
        })?;
        let told = arping_from(&lan.machine, "eth0", PUBLIC)?;
        ensure(!told.contains("from"), || {
            format!("the old address was found: {told}")
        })?;
        let second = talk()?;
        second.goes_on(SOME)?;
        let peer = last_peer(&echo)?;
        let (ip, now) = (peer.ip(), peer.port());
        ensure(
            ip == IpAddr::from(other) && (port..=port + 9).contains(&now),
            || format!("after the change the guest is seen as {ip}, port {now}"),
        )?;
        let refused = set("public_ip=10.8.0.5");
        let said = refused.map_or_else(|failure| failure.to_string(), |()| String::new());
        ensure(
            said.contains("public_ip 10.8.0.5 is not in vpc_sub4 10.9.0.0/24"),
            || said,
        )?;
        second.goes_on(SOME)
    })
}

/// Has `case` done on a LAN that is there for as long.
fn on_a_lan(lab: &mut Overlay, case: impl FnOnce(&Overlay, &Lan) -> Result<()>) -> Result<()> {
    let lan = Lan::build(&lab.topology)?;
    let outcome = case(lab, &lan);
    lan.remove(&lab.topology)?;
    outcome?;
    let listed = lab.topology.a.opteadm("list-ports")?;
    ensure(!listed.contains(DORA.port), || listed)
}

/// Whom a server has seen last.
fn last_peer(echo: &Server) -> Result<SocketAddr> {
    let last = peers(echo)?.last().copied();
    last.ok_or_else(|| Failure::new("ask whom the server has seen", "it has seen nobody"))
}
