//! Guests that move and drivers that are replaced, and the connections that live on.

use std::net::IpAddr;

use serde_json::Value;
use testkit::plan::{self, ALICE, BOB, GuestPlan, MALLORY, OUTSIDE, OUTSIDE_V6, Place};
use testkit::traffic::Server;
use testkit::{Failure, Guest, Host, Overlay, Result};

use crate::live::{FlowTo, all_go_on};
use crate::runner::ensure;

/// Bob moves to the other host: his port is saved on the one and restored on the other, with his flows, and the mappings follow.
/// Who was beside him is now across the underlay, who was across is beside him, and the boundary finds him where he is.
pub(crate) fn a_guest_moves_to_another_host_and_back(lab: &mut Overlay) -> Result<()> {
    let conversations = Conversations::of(lab, &lab.bob, &lab.alice, &lab.carol)?;
    let moved = GuestPlan {
        place: Place::B,
        ..BOB
    };
    travel(lab, &BOB, &moved)?;
    let outcome = conversations.go_on();
    travel(lab, &moved, &BOB)?;
    outcome?;
    conversations.go_on()
}

/// One driver ends and another takes its place: ports, flows and NAT ports are as they were.
pub(crate) fn connections_outlive_a_restarted_driver(lab: &mut Overlay) -> Result<()> {
    let conversations = Conversations::of(lab, &lab.alice, &lab.bob, &lab.carol)?;
    let guests = [ALICE, BOB, MALLORY];
    let host = &lab.topology.a;
    for guest in &guests {
        host.opteadm(&format!(
            "save-port -p {} {} --pause",
            guest.port,
            file(lab, guest)
        ))?;
    }
    let before = packets(host, &lab.alice)?;
    lab.topology.a.stop_xde();
    lab.topology.a.start_xde()?;
    lab.map(Place::A)?;
    let host = &lab.topology.a;
    // Flows come back whose other end is known.
    guests.iter().try_for_each(|guest| host.set_v2p(guest))?;
    for guest in &guests {
        let restored = host.opteadm(&format!("restore-port {} --json", file(lab, guest)))?;
        let restored: Value = serde_json::from_str(&restored)
            .map_err(|e| Failure::new("read what was restored", e))?;
        ensure(restored["complete"] == true, || restored.to_string())?;
    }
    let after = packets(host, &lab.alice)?;
    for guest in lab.guests_at(Place::A) {
        guest.dhcp()?;
        guest.configure_v6()?;
    }
    counted_on(before, after)?;
    conversations.go_on()
}

/// Takes a guest's port, as it is, from where it was to where it is to be.
fn travel(lab: &mut Overlay, from: &GuestPlan, to: &GuestPlan) -> Result<()> {
    let file = file(lab, from);
    let (old, new) = (lab.topology.host(from.place), lab.topology.host(to.place));
    old.opteadm(&format!("save-port -p {} {file} --pause", from.port))?;
    let before = packets(old, &lab.bob)?;
    old.opteadm(&format!("delete-xde {}", from.port))?;
    new.opteadm(&format!(
        "restore-port {file} --src-underlay-addr {}",
        to.place.underlay()
    ))?;
    let after = packets(new, &lab.bob)?;
    old.set_v2p(to)?;
    let guests = plan::GUESTS.map(|guest| if guest.name == to.name { *to } else { guest });
    lab.topology.move_boundary(&guests)?;
    // The link is another, the addresses are the same.
    lab.bob.dhcp()?;
    lab.bob.configure_v6()?;
    counted_on(before, after)
}

/// How many packets the flows of a guest's connections to the outside have had.
fn packets(host: &Host, guest: &Guest) -> Result<[u64; 2]> {
    let v4 = FlowTo::find(host, guest, (OUTSIDE.into(), PORT))?;
    let v6 = FlowTo::find(host, guest, (OUTSIDE_V6.into(), PORT))?;
    Ok([v4.hits, v6.hits])
}

/// The flows are the same ones.
fn counted_on(before: [u64; 2], after: [u64; 2]) -> Result<()> {
    let mut pairs = before.into_iter().zip(after);
    ensure(pairs.all(|(before, after)| after >= before), || {
        format!("{before:?} packets of flows before, {after:?} after")
    })
}

fn file(lab: &Overlay, guest: &GuestPlan) -> String {
    let directory = lab.topology.lab().directory().display();
    format!("{directory}/{}.saved", guest.name)
}

/// Where all of them are called.
const PORT: u16 = 7500;

/// Live connections of one guest, of both families: from a guest on its host, to one on the other, and to the outside.
struct Conversations {
    talks: Vec<Server>,
    // Ended after those that talk to them.
    _echoes: Vec<Server>,
}

impl Conversations {
    fn of(lab: &Overlay, guest: &Guest, beside: &Guest, across: &Guest) -> Result<Self> {
        let topology = &lab.topology;
        let outside = &topology.outside;
        let (mut talks, mut echoes) = (Vec::new(), Vec::new());
        let address = |guest: &Guest, v6: bool| -> IpAddr {
            match v6 {
                false => guest.plan().ip.into(),
                true => guest.plan().ip6.into(),
            }
        };
        for v6 in [false, true] {
            let server: IpAddr = match v6 {
                false => OUTSIDE.into(),
                true => OUTSIDE_V6.into(),
            };
            for (from, to, at) in [
                (beside, guest.namespace(), address(guest, v6)),
                (guest, across.namespace(), address(across, v6)),
                (guest, outside, server),
            ] {
                echoes.push(topology.serve(to, &format!("tcp-echo {at} {PORT}"))?);
                talks.push(topology.serve(from.namespace(), &format!("tcp-talk {at} {PORT}"))?);
            }
        }
        let conversations = Self {
            talks,
            _echoes: echoes,
        };
        conversations.go_on()?;
        Ok(conversations)
    }

    fn go_on(&self) -> Result<()> {
        all_go_on(&self.talks.iter().collect::<Vec<_>>())
    }
}
