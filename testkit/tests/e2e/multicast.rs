//! Multicast between real sockets: a sender, and receivers that have joined, on its host and on the other.

use std::net::IpAddr;

use testkit::plan::Place;
use testkit::traffic::Server;
use testkit::{Guest, Overlay, Result};

use crate::runner::ensure;

/// Datagrams that a sender sends to a group.
const COUNT: usize = 100;

/// A group of each family, and the underlay's group that stands for it.
const GROUPS: [(&str, &str); 2] = [("239.1.2.3", "ff04::1"), ("ff0e::1:2", "ff04::2")];

/// Whoever is a member gets each datagram once and in order, on the sender's host and on the other. Nobody else gets any: not a guest
/// that has joined but not subscribed, not the sender, and no member of another VPC's group with the same address.
pub(crate) fn members_get_each_datagram_once(lab: &mut Overlay) -> Result<()> {
    for (group, underlay) in GROUPS {
        for vni in [lab.alice.plan().vni, lab.mallory.plan().vni] {
            map(lab, &format!("--vni {vni} {group}"), underlay)?;
        }
        for guest in [&lab.alice, &lab.bob, &lab.mallory] {
            command(lab, guest, "mcast-subscribe", group)?;
        }
        let hears = |got: &str, wanted: bool| got == heard(&lab.alice, group, wanted);
        // Carol has joined, but nobody has told her host.
        let silent = [&lab.alice, &lab.mallory, &lab.carol].map(|guest| listen(lab, guest, group));
        let member = listen(lab, &lab.bob, group)?;
        send(lab, &lab.alice, group)?;
        let got = member.finish()?;
        ensure(hears(&got, true), || format!("Bob got of {group}\n{got}"))?;
        command(lab, &lab.carol, "mcast-subscribe", group)?;
        let members = [listen(lab, &lab.bob, group)?];
        send(lab, &lab.alice, group)?;
        for member in members {
            let got = member.finish()?;
            ensure(hears(&got, true), || {
                format!("a member of {group} got\n{got}")
            })?;
        }
        let [alice, mallory, carol] = silent;
        for (name, server) in [("Alice", alice?), ("Mallory", mallory?)] {
            let got = server.output()?;
            ensure(hears(&got, false), || {
                format!("{name} got of {group}\n{got}")
            })?;
        }
        // Of the two rounds she has heard the second.
        let got = carol?.finish()?;
        ensure(hears(&got, true), || format!("Carol got of {group}\n{got}"))?;
        for vni in [lab.alice.plan().vni, lab.mallory.plan().vni] {
            unmap(lab, &format!("--vni {vni} {group}"), underlay)?;
        }
    }
    Ok(())
}

/// A group that is declared to be one of all VPCs is heard in all of them.
pub(crate) fn a_group_of_all_vpcs_is_heard_by_all(lab: &mut Overlay) -> Result<()> {
    for (group, underlay) in GROUPS {
        map(lab, group, underlay)?;
        for guest in [&lab.bob, &lab.carol, &lab.mallory] {
            command(lab, guest, "mcast-subscribe", group)?;
        }
        let members = [&lab.bob, &lab.carol, &lab.mallory].map(|guest| listen(lab, guest, group));
        send(lab, &lab.alice, group)?;
        for member in members {
            let got = member?.finish()?;
            let wanted = heard(&lab.alice, group, true);
            ensure(got == wanted, || format!("a member of {group} got\n{got}"))?;
        }
        unmap(lab, group, underlay)?;
    }
    Ok(())
}

/// A member hears the sources it wants alone, and after it has left, nobody.
pub(crate) fn sources_that_are_filtered_and_members_that_have_left(
    lab: &mut Overlay,
) -> Result<()> {
    for (group, underlay) in GROUPS {
        map(lab, group, underlay)?;
        let alice = source(&lab.alice, group);
        command(lab, &lab.carol, "mcast-subscribe", group)?;
        command(
            lab,
            &lab.bob,
            "mcast-subscribe",
            &format!("{group} --exclude {alice}"),
        )?;
        let filtering = listen(lab, &lab.bob, group)?;
        let member = listen(lab, &lab.carol, group)?;
        send(lab, &lab.alice, group)?;
        let got = member.finish()?;
        let wanted = heard(&lab.alice, group, true);
        ensure(got == wanted, || format!("Carol got of {group}\n{got}"))?;
        // Carol sends now, whom Bob wants to hear.
        send(lab, &lab.carol, group)?;
        let got = filtering.finish()?;
        let wanted = heard(&lab.carol, group, true);
        ensure(got == wanted, || format!("Bob got of {group}\n{got}"))?;
        command(lab, &lab.bob, "mcast-subscribe", group)?;
        command(lab, &lab.carol, "mcast-unsubscribe", group)?;
        let (left, member) = (
            listen(lab, &lab.carol, group)?,
            listen(lab, &lab.bob, group)?,
        );
        send(lab, &lab.alice, group)?;
        member.finish()?;
        let got = left.output()?;
        ensure(got == heard(&lab.alice, group, false), || {
            format!("Carol has left {group}, and got\n{got}")
        })?;
        unmap(lab, group, underlay)?;
    }
    Ok(())
}

/// Says on both hosts what a group is on the underlay, and that the other host has members.
fn map(lab: &Overlay, group: &str, underlay: &str) -> Result<()> {
    for (place, other) in [(Place::A, Place::B), (Place::B, Place::A)] {
        let host = lab.topology.host(place);
        host.opteadm(&format!("set-m2p {group} {underlay}"))?;
        let next_hop = other.underlay();
        host.opteadm(&format!("set-mcast-fwd {underlay} {next_hop} underlay"))?;
    }
    Ok(())
}

fn unmap(lab: &Overlay, group: &str, underlay: &str) -> Result<()> {
    for place in [Place::A, Place::B] {
        let host = lab.topology.host(place);
        host.opteadm(&format!("clear-m2p {group} {underlay}"))?;
        // Once, whoever else has the underlay's group.
        let _not_there = host.opteadm(&format!("clear-mcast-fwd {underlay}"));
    }
    Ok(())
}

/// A command about a guest's port and a group.
fn command(lab: &Overlay, guest: &Guest, name: &str, group: &str) -> Result<()> {
    let plan = guest.plan();
    let host = lab.topology.host(plan.place);
    host.opteadm(&format!("{name} -p {} {group}", plan.port))
        .map(drop)
}

fn listen(lab: &Overlay, guest: &Guest, group: &str) -> Result<Server> {
    let arguments = format!("group-listen {group} 7100");
    lab.topology.serve(guest.namespace(), &arguments)
}

fn send(lab: &Overlay, from: &Guest, group: &str) -> Result<()> {
    let arguments = format!("group-send {group} 7100 {COUNT}");
    lab.topology.traffic(from.namespace(), &arguments).map(drop)
}

fn source(guest: &Guest, group: &str) -> IpAddr {
    let plan = guest.plan();
    if group.contains(':') {
        plan.ip6.into()
    } else {
        plan.ip.into()
    }
}

/// What a listener has written that has heard all of it, or nothing.
fn heard(from: &Guest, group: &str, all: bool) -> String {
    let source = source(from, group);
    let count = if all { COUNT } else { 0 };
    let lines = (0..count).map(|number| format!("{source} {number}\n"));
    std::iter::once("ready\n".into()).chain(lines).collect()
}
