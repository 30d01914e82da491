//! Who must reach whom.

use std::net::IpAddr;

use testkit::plan::{GATEWAY, GATEWAY_V6};
use testkit::{Failure, Guest, Overlay, Result};

use crate::runner::ensure;

pub(crate) fn every_guest_gets_its_address_by_dhcp(lab: &mut Overlay) -> Result<()> {
    for guest in lab.guests() {
        let given = guest.dhcp()?;
        ensure(given == guest.plan().ip, || {
            format!("{} was given {given}", guest.plan().name)
        })?;
        let routes = guest.namespace().ip("-4 route")?;
        ensure(routes.contains(&format!("default via {GATEWAY}")), || {
            format!("no way out in\n{routes}")
        })?;
    }
    Ok(())
}

pub(crate) fn ping_v4(lab: &mut Overlay) -> Result<()> {
    ping_all(lab, |guest| guest.plan().ip.into(), GATEWAY.into())
}

pub(crate) fn ping_v6(lab: &mut Overlay) -> Result<()> {
    ping_all(lab, |guest| guest.plan().ip6.into(), GATEWAY_V6.into())
}

pub(crate) fn tcp_both_ways(lab: &mut Overlay) -> Result<()> {
    for (client, server) in pairs(lab) {
        for address in addresses(server) {
            let _echo = lab
                .topology
                .serve(server.namespace(), &format!("tcp-echo {address} 7000"))?;
            lab.topology
                .traffic(client.namespace(), &format!("tcp-flows {address} 7000 20"))?;
        }
    }
    Ok(())
}

pub(crate) fn udp_both_ways(lab: &mut Overlay) -> Result<()> {
    for (client, server) in pairs(lab) {
        for address in addresses(server) {
            let _echo = lab
                .topology
                .serve(server.namespace(), &format!("udp-echo {address} 7000 5"))?;
            lab.topology
                .traffic(client.namespace(), &format!("udp-flows {address} 7000 5 4"))?;
        }
    }
    Ok(())
}

fn ping_all(lab: &Overlay, address: fn(&Guest) -> IpAddr, gateway: IpAddr) -> Result<()> {
    for (from, to) in pairs(lab) {
        must_ping(
            from,
            address(to),
            &format!("{}, {}", to.plan().name, address(to)),
        )?;
    }
    lab.guests()
        .into_iter()
        .try_for_each(|guest| must_ping(guest, gateway, "its gateway"))
}

fn must_ping(from: &Guest, to: IpAddr, name: &str) -> Result<()> {
    let ping = from.ping(to, 20)?;
    if ping.is_complete() {
        return Ok(());
    }
    Err(Failure::new(
        format!("{} pings {name}", from.plan().name),
        format!("{} of {} answered", ping.received, ping.sent),
    ))
}

/// Guests of one VPC, each way: on one host, and across the overlay.
fn pairs(lab: &Overlay) -> [(&Guest, &Guest); 4] {
    let Overlay {
        alice, bob, carol, ..
    } = lab;
    [(alice, bob), (bob, alice), (alice, carol), (carol, alice)]
}

fn addresses(guest: &Guest) -> [IpAddr; 2] {
    [guest.plan().ip.into(), guest.plan().ip6.into()]
}
