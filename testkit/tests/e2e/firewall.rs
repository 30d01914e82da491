//! What the firewall lets in, and when it stops.

use testkit::{Overlay, Result};

use crate::runner::ensure;

/// Bob's default is to let nothing in; here his wide rules are gone and one is added and removed.
pub(crate) fn a_rule_opens_and_its_removal_closes(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        bob,
        carol,
        topology,
        ..
    } = &*lab;
    let (host, port, address) = (&topology.a, bob.plan().port, bob.plan().ip);
    let _echo = topology.serve(bob.namespace(), &format!("udp-echo {address} 7100 1"))?;
    let asks = || {
        topology
            .traffic(carol.namespace(), &format!("udp-flows {address} 7100 1 1"))
            .is_ok()
    };

    host.set_firewall(
        bob.plan(),
        &["dir=in action=allow priority=1000 protocol=icmp"],
    )?;
    ensure(!asks(), || "UDP came in without a rule".into())?;
    host.set_firewall(
        bob.plan(),
        &["dir=in action=allow priority=1000 protocol=udp port=7100"],
    )?;
    ensure(asks(), || "UDP did not come in with a rule".into())?;
    ensure(!carol.ping(address.into(), 3)?.is_complete(), || {
        "ICMP came in without a rule".into()
    })?;

    // A flow that stands ends with the rule that let it in.
    let talk = format!("timeout 5 ping -n -i 0.2 -c 1000 {address}");
    host.set_firewall(
        bob.plan(),
        &["dir=in action=allow priority=1000 protocol=icmp"],
    )?;
    let mut command = carol.namespace().command("sh");
    command.args(["-c", &talk]);
    let talking = std::thread::spawn(move || command.output());
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let before = bob.namespace().counter(port, "rx_packets")?;
    ensure(before > 0, || "no ping went through".into())?;
    host.set_firewall(
        bob.plan(),
        &["dir=in action=deny priority=10 protocol=icmp"],
    )?;
    let closed = bob.namespace().counter(port, "rx_packets")?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let after = bob.namespace().counter(port, "rx_packets")?;
    let _ = talking.join();
    ensure(after <= closed + 1, || {
        format!("{} packets came in after the rule was gone", after - closed)
    })?;

    let wide = ["icmp", "icmp6", "tcp", "udp"]
        .map(|protocol| format!("dir=in action=allow priority=1000 protocol={protocol}"));
    host.set_firewall(bob.plan(), &wide.each_ref().map(String::as_str))
}
