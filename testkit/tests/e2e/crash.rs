//! The driver dies.

use testkit::plan::{ALICE, BOB, MALLORY, Place};
use testkit::{Overlay, Result};

use crate::runner::ensure;

pub(crate) fn a_killed_driver_is_reported_and_replaced(lab: &mut Overlay) -> Result<()> {
    lab.topology.a.kill_xde();
    one_clear_line(lab, "list-ports", "xde")?;
    lab.topology.a.start_xde()?;
    // The new one is empty, and says so rather than something about the old one's ports.
    one_clear_line(lab, "list-layers -p opte0", "restarted")?;

    for (guest, plan) in [
        (&lab.alice, ALICE),
        (&lab.bob, BOB),
        (&lab.mallory, MALLORY),
    ] {
        lab.topology.a.create_port(&plan, guest.namespace())?;
    }
    lab.program(Place::A)?;
    for guest in lab.guests_at(Place::A) {
        guest.dhcp()?;
        guest.configure_v6()?;
    }
    let ping = lab.alice.ping(lab.carol.plan().ip.into(), 20)?;
    ensure(ping.is_complete(), || {
        format!(
            "{} of {} pings answered after the restart",
            ping.received, ping.sent
        )
    })
}

/// The command fails with one line on standard error that names `subject`, and nothing on standard output.
fn one_clear_line(lab: &Overlay, command: &str, subject: &str) -> Result<()> {
    let outcome = lab.topology.a.opteadm_outcome(command)?;
    let (said, errors) = (
        String::from_utf8_lossy(&outcome.stdout),
        String::from_utf8_lossy(&outcome.stderr),
    );
    println!("    {}", errors.trim());
    ensure(!outcome.status.success(), || {
        format!("`{command}` succeeded")
    })?;
    ensure(
        said.is_empty() && errors.trim().lines().count() == 1,
        || format!("not one line: {said}{errors}"),
    )?;
    ensure(errors.contains(subject), || {
        format!("nothing about {subject} in: {errors}")
    })
}
