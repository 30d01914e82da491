//! Many flows, many bytes.

use testkit::{Overlay, Result};

use crate::runner::ensure;

pub(crate) fn ten_thousand_udp_flows_at_once(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        carol,
        topology,
        ..
    } = &*lab;
    let address = carol.plan().ip;
    let _echo = topology.serve(carol.namespace(), &format!("udp-echo {address} 8000 100"))?;
    let said = topology.traffic(
        alice.namespace(),
        &format!("udp-flows {address} 8000 100 100"),
    )?;
    ensure(said.trim() == "flows 10000 answered 10000", || said.clone())?;
    for (host, guest) in [(&topology.a, alice), (&topology.b, carol)] {
        let flows = host.uft_flows(guest.plan().port)?;
        ensure(flows >= 10_000, || {
            format!("{} flows on the port of {}", flows, guest.plan().name)
        })?;
    }
    Ok(())
}

pub(crate) fn a_gibibyte_arrives_as_it_was_sent(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        carol,
        topology,
        ..
    } = &*lab;
    let address = carol.plan().ip;
    let sink = topology.serve(carol.namespace(), &format!("tcp-sink {address} 7200"))?;
    let sent = topology.traffic(
        alice.namespace(),
        &format!("tcp-source {address} 7200 1073741824 2026"),
    )?;
    let received = sink.finish()?;
    println!("    {}", sent.trim());
    ensure(same_bytes(&sent, &received), || {
        format!("sent {sent}, received {received}")
    })
}

/// Whether the source and the sink of a transfer tell the same number of bytes with the same hash.
pub(crate) fn same_bytes(sent: &str, received: &str) -> bool {
    let told = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("bytes "));
        line.and_then(|line| Some(line.split(" mbit/s").next()?.to_owned()))
    };
    told(sent).is_some() && told(sent) == told(received)
}
