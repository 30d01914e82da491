//! What is shown, in order.

use std::net::IpAddr;

use testkit::guest::{ONE_BY_ONE, Ping};
use testkit::plan::{
    ALICE, BOB, CAROL, GATEWAY, GATEWAY_V6, GUESTS, GuestPlan, MALLORY, OUTSIDE, OUTSIDE_V6, Place,
};
use testkit::privilege::Privilege;
use testkit::{Binaries, Failure, Guest, Namespace, Overlay, Result, Running, Topology, topology};

use crate::narrator::Narrator;

/// Nothing to hand on.
type Told = Result<((), String)>;

/// Builds the lab, from bare namespaces to guests with addresses.
pub(crate) fn raise(narrator: &mut Narrator) -> Result<Overlay> {
    let failed = || Failure::new("show the demo", "a step it stands on failed");
    let binaries = Binaries::beside()?;
    let built = || {
        Topology::build(&binaries).map(|topology| {
            (
                topology,
                "MTU 9000, IPv6, routes to each other by both".into(),
            )
        })
    };
    let mut topology = narrator
        .step(
            "Two hosts stand, joined by two underlay links",
            false,
            built,
        )
        .ok_or_else(failed)?;
    let start = || {
        topology
            .start()
            .map(|()| ((), "and a boundary endpoint in the rack".into()))
    };
    narrator
        .step("An xde runs on each host", false, start)
        .ok_or_else(failed)?;

    let mut join = |plan: &GuestPlan| {
        let host = if plan.place == Place::A {
            "host-a"
        } else {
            "host-b"
        };
        let what = format!(
            "opteadm create-xde {}: {} joins VPC {} on {host}",
            plan.port, plan.name, plan.vni
        );
        narrator
            .step(&what, false, || {
                Ok((
                    topology.add_guest(plan)?,
                    format!("{}, {}", plan.ip, plan.ip6),
                ))
            })
            .ok_or_else(failed)
    };
    let (alice, bob, carol, mallory) = (join(&ALICE)?, join(&BOB)?, join(&CAROL)?, join(&MALLORY)?);
    let overlay = Overlay {
        alice,
        bob,
        carol,
        mallory,
        topology,
    };
    let mapped = || {
        [Place::A, Place::B]
            .into_iter()
            .try_for_each(|place| overlay.map(place))?;
        Ok(((), "who is where (V2P), and the way out (V2B)".into()))
    };
    narrator
        .step("opteadm set-v2p, set-v2b on both hosts", false, mapped)
        .ok_or_else(failed)?;

    let leased = || {
        let given = overlay
            .guests()
            .map(|guest| guest.dhcp().map(|ip| format!("{} {ip}", guest.plan().name)));
        let given = given.into_iter().collect::<Result<Vec<_>>>()?;
        overlay
            .guests()
            .into_iter()
            .try_for_each(Guest::configure_v6)?;
        Ok(((), given.join(", ")))
    };
    narrator
        .step("Guests take addresses by DHCP (ISC dhclient)", true, leased)
        .ok_or_else(failed)?;
    Ok(overlay)
}

/// Who reaches whom, and who must not.
pub(crate) fn reach(narrator: &mut Narrator, overlay: &Overlay) {
    let Overlay {
        alice,
        bob,
        carol,
        mallory,
        topology,
    } = overlay;
    let both = |from: &Guest, v4: IpAddr, v6: IpAddr| -> Told {
        let (v4, v6) = (
            complete(from.ping_with(v4, 20, ONE_BY_ONE)?)?,
            complete(from.ping_with(v6, 20, ONE_BY_ONE)?)?,
        );
        Ok(((), format!("IPv4 {v4:.3} ms, IPv6 {v6:.3} ms")))
    };
    let addresses = |guest: &Guest| {
        (
            IpAddr::from(guest.plan().ip),
            IpAddr::from(guest.plan().ip6),
        )
    };
    let (v4, v6) = addresses(bob);
    narrator.step("Alice pings Bob, on her host", true, || both(alice, v4, v6));
    let (v4, v6) = addresses(carol);
    narrator.step("Alice pings Carol, across the overlay", true, || {
        both(alice, v4, v6)
    });
    narrator.step("Alice pings her gateway, which is xde", true, || {
        both(alice, GATEWAY.into(), GATEWAY_V6.into())
    });
    narrator.step(
        "Mallory, of another VPC with Carol's very addresses, does not reach Alice",
        true,
        || {
            let before = topology.a.all_drops()?;
            let ping = mallory.ping(alice.plan().ip.into(), 20)?;
            let dropped = topology.a.all_drops()? - before;
            if ping.received > 0 {
                return Err(Failure::new(
                    "keep VPCs apart",
                    format!("{} of {} pings answered", ping.received, ping.sent),
                ));
            }
            Ok((
                (),
                format!(
                    "{} pings sent, none answered, {dropped} dropped and counted",
                    ping.sent
                ),
            ))
        },
    );
}

/// A rule added, and its effect.
pub(crate) fn firewall(narrator: &mut Narrator, overlay: &Overlay) {
    let Overlay {
        alice,
        carol,
        topology,
        ..
    } = overlay;
    let address = carol.plan().ip;
    let Some(_echo) = narrator.step("Carol listens on TCP port 7000", false, || {
        Ok((
            topology.serve(carol.namespace(), &format!("tcp-echo {address} 7000"))?,
            String::new(),
        ))
    }) else {
        return;
    };
    let connects = || topology.traffic(alice.namespace(), &format!("tcp-flows {address} 7000 1"));
    narrator.step(
        "Alice connects to it: the firewall lets nothing in by default",
        true,
        || match connects() {
            Ok(_) => Err(Failure::new(
                "close the firewall",
                "the connection was made",
            )),
            Err(_) => Ok(((), "no answer".into())),
        },
    );
    let rule = format!(
        "add-fw-rule -p {} --dir in --hosts any --protocol tcp --ports 5201,7000 --action allow --priority 100",
        carol.plan().port
    );
    narrator.step(&format!("opteadm {rule}"), false, || {
        topology.b.opteadm(&rule).map(|_| ((), String::new()))
    });
    narrator.step("Alice connects again", true, || {
        connects().map(|_| ((), "connected, echoed".into()))
    });
}

/// How fast, beside a plain pair of virtual Ethernet links on this machine.
pub(crate) fn bulk(narrator: &mut Narrator, overlay: &Overlay) {
    let Overlay {
        alice,
        carol,
        topology,
        ..
    } = overlay;
    let across = (
        alice.namespace(),
        carol.namespace(),
        IpAddr::from(carol.plan().ip),
    );
    let overlaid = narrator.step(
        "iperf3 from Alice to Carol, across the overlay, 4 s",
        true,
        || {
            let rate = iperf3(topology, across.0, across.1, across.2, 4)?;
            Ok((rate, format!("{rate:.2} Gbit/s")))
        },
    );
    let plain = narrator.step("The same on a plain veth pair, MTU 1500, 2 s", true, || {
        let (one, other) = (
            topology.lab().namespace("veth-1")?,
            topology.lab().namespace("veth-2")?,
        );
        one.ip(&format!(
            "link add eth0 type veth peer name eth0 netns {}",
            other.name()
        ))?;
        for (namespace, address) in [(&one, "192.0.2.1/24"), (&other, "192.0.2.2/24")] {
            namespace.ip("link set eth0 up")?;
            namespace.ip(&format!("addr add {address} dev eth0"))?;
        }
        let peer = IpAddr::from([192, 0, 2, 2]);
        let ping = complete(testkit::guest::ping(&one, "eth0", peer, 20, ONE_BY_ONE)?)?;
        let rate = iperf3(topology, &one, &other, peer, 2)?;
        Ok((rate, format!("{rate:.2} Gbit/s, ping {ping:.3} ms")))
    });
    if let (Some(overlaid), Some(plain)) = (overlaid, plain) {
        narrator.remark(&format!(
            "The overlay carries {:.2} of what the bare link does.",
            overlaid / plain
        ));
    }
}

/// The way out.
pub(crate) fn outside(narrator: &mut Narrator, overlay: &Overlay) {
    let Overlay {
        alice, topology, ..
    } = overlay;
    for address in [IpAddr::from(OUTSIDE), IpAddr::from(OUTSIDE_V6)] {
        narrator.step(
            &format!("Alice connects to {address}, outside, by source NAT and the boundary"),
            true,
            || {
                let server =
                    topology.serve(&topology.outside, &format!("tcp-echo {address} 80"))?;
                topology.traffic(alice.namespace(), &format!("tcp-flows {address} 80 1"))?;
                let seen = server.output()?;
                let peer = seen
                    .lines()
                    .find_map(|line| line.strip_prefix("peer "))
                    .unwrap_or("nobody")
                    .to_owned();
                Ok(((), format!("there she is {peer}")))
            },
        );
    }
}

/// What the driver knows of it all.
pub(crate) fn tables(narrator: &mut Narrator, overlay: &Overlay) {
    let (host, port) = (&overlay.topology.a, overlay.alice.plan().port);
    for (command, lines) in [
        ("list-ports".to_owned(), 8),
        (format!("dump-uft -p {port}"), 24),
        (format!("dump-tcp-flows -p {port}"), 12),
    ] {
        match host.opteadm(&command) {
            Ok(output) => narrator.shown(&format!("opteadm {command}"), &output, lines),
            Err(failure) => {
                narrator.step::<()>(&format!("opteadm {command}"), true, || Err(failure));
            }
        }
    }
}

/// For `--keep`.
pub(crate) fn how_to_enter(narrator: &mut Narrator, overlay: &Overlay, privilege: Privilege) {
    let lab = overlay.topology.lab();
    let opteadm = Binaries::beside()
        .and_then(|binaries| binaries.path("opteadm"))
        .unwrap_or_else(|_| "opteadm".into());
    narrator.title("It stands. To enter:");
    if privilege == Privilege::UserNamespace {
        println!(
            "  nsenter --user --mount --preserve-credentials -t {} bash, and in there",
            std::process::id()
        );
    }
    for guest in GUESTS {
        let namespace = format!("{}-{}", lab.prefix(), guest.name);
        println!("  ip netns exec {namespace:20} bash    # {}", guest.ip);
    }
    for host in [&overlay.topology.a, &overlay.topology.b] {
        println!(
            "  {} --socket {} list-ports",
            opteadm.display(),
            host.socket().display()
        );
    }
    match privilege {
        Privilege::Root => println!("To take it away:\n  ./demo --clean {}\n", lab.prefix()),
        Privilege::UserNamespace => println!("Press Enter to take it away.\n"),
    }
}

/// Mean round trip in milliseconds, if every ping was answered.
fn complete(ping: Ping) -> Result<f64> {
    let incomplete = || {
        Failure::new(
            "ping",
            format!("{} of {} answered", ping.received, ping.sent),
        )
    };
    ping.mean_ms
        .filter(|_| ping.is_complete())
        .ok_or_else(incomplete)
}

/// What `to` receives from `from` over so many seconds, in Gbit/s.
fn iperf3(
    topology: &Topology,
    from: &Namespace,
    to: &Namespace,
    address: IpAddr,
    seconds: u32,
) -> Result<f64> {
    let log = topology
        .lab()
        .directory()
        .join(format!("{}.iperf3", to.name()));
    let mut server = to.command("iperf3");
    let _server = Running::start(server.args(["--server", "--one-off", "--forceflush"]), &log)?;
    topology::wait_for("iperf3 to listen", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("listening"))
    })?;
    let said = from.run(&format!(
        "iperf3 --client {address} --time {seconds} --json"
    ))?;
    let report: serde_json::Value =
        serde_json::from_str(&said).map_err(|e| Failure::new("read iperf3's report", e))?;
    let rate = report
        .pointer("/end/sum_received/bits_per_second")
        .and_then(serde_json::Value::as_f64);
    rate.map(|rate| rate / 1e9)
        .ok_or_else(|| Failure::new("read iperf3's report", "it has no rate"))
}
