//! The way out, by source NAT and the boundary.

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
