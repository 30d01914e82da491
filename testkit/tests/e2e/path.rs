//! The way to far places: its hops, its MTU, and packets in pieces, through source NAT.

use std::net::IpAddr;

use testkit::plan::{
    CONFIGURED_GATEWAY_V6, FAR, FAR_V6, GATEWAY, OUTSIDE, OUTSIDE_V6, TRANSIT, TRANSIT_MTU,
    TRANSIT_V6,
};
use testkit::{Guest, Overlay, Result};

use crate::bulk::same_bytes;
use crate::runner::ensure;

/// UDP, ICMP and TCP: the gateway reports the first hop, routers outside the next ones, about packets that were translated.
pub(crate) fn traceroute_shows_every_hop_outside(lab: &mut Overlay) -> Result<()> {
    let v4: [IpAddr; 4] = [GATEWAY.into(), OUTSIDE.into(), TRANSIT.into(), FAR.into()];
    let v6: [IpAddr; 4] = [
        CONFIGURED_GATEWAY_V6.into(),
        OUTSIDE_V6.into(),
        TRANSIT_V6.into(),
        FAR_V6.into(),
    ];
    for hops in [v4, v6] {
        for method in ["-U", "-I", "-T -p 80"] {
            trace(&lab.alice, method, &hops)?;
        }
    }
    Ok(())
}

/// A subnet of the VPC is one link to its guests, whichever hosts they are on.
pub(crate) fn traceroute_shows_no_hop_within_a_subnet(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, bob, carol, ..
    } = &*lab;
    for peer in [bob, carol] {
        for method in ["-U", "-I", "-T -p 80"] {
            trace(alice, method, &[peer.plan().ip.into()])?;
            trace(alice, method, &[peer.plan().ip6.into()])?;
        }
    }
    Ok(())
}

/// The route to the last hop goes by all of them, in this order.
fn trace(from: &Guest, method: &str, hops: &[IpAddr]) -> Result<()> {
    let Some(target) = hops.last() else {
        return Ok(());
    };
    let line = format!("traceroute -n -q 1 -N 1 -w 2 -m 6 {method} {target}");
    let told = from.namespace().run(&line)?;
    let shown = told.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let hop: usize = words.next()?.parse().ok()?;
        Some((hop, words.next()?.to_owned()))
    });
    let shown: Vec<(usize, String)> = shown.collect();
    let expected = hops.iter().map(IpAddr::to_string);
    let expected: Vec<(usize, String)> = (1..).zip(expected).collect();
    ensure(shown == expected, || {
        format!("{line}: {shown:?}, not {expected:?}")
    })
}

/// A bulk transfer over TCP and a datagram, both too long for a link behind the NAT, arrive: their sender learns the MTU there.
pub(crate) fn path_mtu_is_found_through_snat(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    for far in [IpAddr::from(FAR), FAR_V6.into()] {
        forget_path_mtu(alice)?;
        let sink = topology.serve(&topology.far, &format!("tcp-sink {far} 82"))?;
        let sent =
            topology.traffic(alice.namespace(), &format!("tcp-source {far} 82 4000000 9"))?;
        let received = sink.finish()?;
        ensure(same_bytes(&sent, &received), || {
            format!("sent {sent}, received {received}")
        })?;
        knows_path_mtu(alice, far)?;

        forget_path_mtu(alice)?;
        let _echo = topology.serve(&topology.far, &format!("udp-echo {far} 83 1"))?;
        topology.traffic(alice.namespace(), &format!("udp-large {far} 83 1400"))?;
        knows_path_mtu(alice, far)?;

        forget_path_mtu(alice)?;
        let ping = alice.ping_with(far, 3, "-M do -s 1400")?;
        ensure(ping.received == 0, || {
            "a packet that must not be cut went by a link that it does not fit".into()
        })?;
        knows_path_mtu(alice, far)?;
        let told = alice
            .namespace()
            .run(&format!("traceroute -n -q 1 -N 1 -w 2 -m 6 --mtu {far}"))?;
        ensure(told.contains(&format!("F={TRANSIT_MTU}")), || told.clone())?;
    }
    forget_path_mtu(alice)
}

fn forget_path_mtu(guest: &Guest) -> Result<()> {
    guest.namespace().ip("-4 route flush cache")?;
    guest.namespace().ip("-6 route flush cache").map(drop)
}

fn knows_path_mtu(guest: &Guest, far: IpAddr) -> Result<()> {
    let route = guest.namespace().ip(&format!("route get {far}"))?;
    ensure(route.contains(&format!("mtu {TRANSIT_MTU}")), || {
        format!("the route to {far} is {route}")
    })
}

/// Echo requests and replies of three fragments and more, and datagrams.
pub(crate) fn fragments_go_both_ways_through_snat(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let places = [
        (OUTSIDE.into(), &topology.outside),
        (OUTSIDE_V6.into(), &topology.outside),
        (FAR.into(), &topology.far),
        (FAR_V6.into(), &topology.far),
    ];
    for (address, place) in places {
        // That long ones have to be cut shorter still on the way to the far one, and back, both ends learn by losing one each.
        let address: IpAddr = address;
        alice.ping_with(address, 3, "-s 4000")?;
        for bytes in [1473, 4000, 20_000] {
            let ping = alice.ping_with(address, 5, &format!("-s {bytes}"))?;
            ensure(ping.is_complete(), || {
                format!(
                    "{} of {} pings of {bytes} bytes to {address} answered",
                    ping.received, ping.sent
                )
            })?;
        }
        let _echo = topology.serve(place, &format!("udp-echo {address} 84 1"))?;
        for bytes in [1473, 4000, 20_000] {
            topology.traffic(
                alice.namespace(),
                &format!("udp-large {address} 84 {bytes}"),
            )?;
        }
    }
    forget_path_mtu(alice)
}
