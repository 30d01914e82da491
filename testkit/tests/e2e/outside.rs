//! The way out, by source NAT and the boundary.

use std::net::IpAddr;

use testkit::plan::{OUTSIDE, OUTSIDE_V6};
use testkit::{Overlay, Result, guest};

use crate::bulk::same_bytes;
use crate::runner::ensure;

pub(crate) fn snat_carries_connections_out_and_back(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        bob,
        carol,
        topology,
        ..
    } = &*lab;
    for address in [OUTSIDE.to_string(), OUTSIDE_V6.to_string()] {
        let _tcp = topology.serve(&topology.outside, &format!("tcp-echo {address} 80"))?;
        let _udp = topology.serve(&topology.outside, &format!("udp-echo {address} 53 2"))?;
        for guest in [alice, bob, carol] {
            topology.traffic(guest.namespace(), &format!("tcp-flows {address} 80 20"))?;
            topology.traffic(guest.namespace(), &format!("udp-flows {address} 53 2 5"))?;
        }
    }
    // In segments that fit the network outside, however the guest's kernel hands them over.
    for address in [OUTSIDE.to_string(), OUTSIDE_V6.to_string()] {
        let sink = topology.serve(&topology.outside, &format!("tcp-sink {address} 81"))?;
        let sent = topology.traffic(
            alice.namespace(),
            &format!("tcp-source {address} 81 8000000 5"),
        )?;
        let received = sink.finish()?;
        ensure(same_bytes(&sent, &received), || {
            format!("sent {sent}, received {received}")
        })?;
    }
    for address in [OUTSIDE.into(), OUTSIDE_V6.into()] {
        let ping = alice.ping(address, 10)?;
        ensure(ping.is_complete(), || {
            format!(
                "{} of {} pings to {address} answered",
                ping.received, ping.sent
            )
        })?;
    }
    Ok(())
}

pub(crate) fn nothing_comes_in_unasked(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let snat = alice.plan().snat;
    let (port, before) = (alice.plan().port, |what: &str| {
        alice.namespace().counter(alice.plan().port, what)
    });
    let received = before("rx_packets")?;
    let asked = topology.traffic(
        &topology.outside,
        &format!("udp-flows {} {} 5 2", snat.ip, snat.ports.0 + 5000),
    );
    ensure(asked.is_err(), || {
        format!("{} answered to a stranger", snat.ip)
    })?;
    let ping = guest::ping(&topology.outside, "eth0", snat.ip.into(), 3, "")?;
    ensure(ping.received == 0, || {
        format!("{} answered a stranger's ping", snat.ip)
    })?;
    let now = alice.namespace().counter(port, "rx_packets")?;
    ensure(now - received <= 2, || {
        format!("{} packets of a stranger reached the guest", now - received)
    })
}

/// Bob's share is four ports, of each protocol and family: as many endpoints of his go out at once, and no more. What goes on goes on, and
/// what is refused is counted, until he has more.
pub(crate) fn an_exhausted_share_refuses_and_counts(lab: &mut Overlay) -> Result<()> {
    let Overlay { bob, topology, .. } = &*lab;
    let host = &topology.a;
    let mut few = *bob.plan();
    few.snat.ports = (20_000, 20_003);
    let counter = |name: &str| {
        let counters = host.port_counters(bob.plan().port)?;
        Ok(counters.get(name).copied().unwrap_or(0))
    };
    for address in [IpAddr::from(OUTSIDE), OUTSIDE_V6.into()] {
        // Another share than before: none of its ports is in use.
        host.set_external_ips(&few, "")?;
        let before = [
            counter("nat_udp_exhausted")?,
            host.drops("action_resource_exhausted")?,
        ];
        let _udp = topology.serve(&topology.outside, &format!("udp-echo {address} 90 1"))?;
        let _tcp = topology.serve(&topology.outside, &format!("tcp-echo {address} 90"))?;
        let talk = topology.serve(bob.namespace(), &format!("tcp-talk {address} 90"))?;
        let flows = |count: u8| {
            let line = format!("udp-flows {address} 90 1 {count}");
            topology.traffic(bob.namespace(), &line)
        };
        flows(4)?;
        ensure(flows(1).is_err(), || {
            "a fifth port was found among four".into()
        })?;
        // The other protocols have ports of their own.
        talk.goes_on(20)?;
        ensure(bob.ping(address, 3)?.is_complete(), || {
            "the exhaustion is of all protocols".into()
        })?;
        let now = [
            counter("nat_udp_exhausted")?,
            host.drops("action_resource_exhausted")?,
        ];
        ensure(now[0] > before[0] && now[1] > before[1], || {
            format!("refused, but not counted: {before:?}, {now:?}")
        })?;
    }
    // More ports: who was refused is not any more.
    host.set_external_ips(bob.plan(), "")?;
    for address in [IpAddr::from(OUTSIDE), OUTSIDE_V6.into()] {
        let _udp = topology.serve(&topology.outside, &format!("udp-echo {address} 90 1"))?;
        topology.traffic(bob.namespace(), &format!("udp-flows {address} 90 1 20"))?;
    }
    Ok(())
}
