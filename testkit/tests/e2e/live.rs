//! What is changed under live connections: those concerned end, the others do not notice.

use std::net::IpAddr;

use serde_json::Value;
use testkit::plan::{FLOATING, FLOATING_V6, OUTSIDE, OUTSIDE_V6};
use testkit::traffic::Server;
use testkit::{Failure, Guest, Host, Overlay, Result, guest};

use crate::runner::ensure;

/// Words that show that a conversation goes on.
const SOME: u64 = 20;

pub(crate) fn a_removed_rule_ends_its_connections_and_no_others(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice,
        bob,
        carol,
        topology,
        ..
    } = &*lab;
    let host = &topology.a;
    for [to_bob, to_alice] in [
        [bob.plan().ip, alice.plan().ip].map(IpAddr::from),
        [bob.plan().ip6, alice.plan().ip6].map(IpAddr::from),
    ] {
        host.set_firewall(bob.plan(), &[])?;
        let rule = host.allow_in(bob.plan(), "tcp", "7300", 1000)?;
        let _bobs = topology.serve(bob.namespace(), &format!("tcp-echo {to_bob} 7300"))?;
        let _alices = topology.serve(alice.namespace(), &format!("tcp-echo {to_alice} 7301"))?;
        let concerned = topology.serve(carol.namespace(), &format!("tcp-talk {to_bob} 7300"))?;
        let to_another = topology.serve(carol.namespace(), &format!("tcp-talk {to_alice} 7301"))?;
        // It is Bob who calls: no rule has to let that in.
        let outward = topology.serve(bob.namespace(), &format!("tcp-talk {to_alice} 7301"))?;
        all_go_on(&[&concerned, &to_another, &outward])?;

        let revoked = host.drops("flow_revoked")?;
        host.opteadm(&format!(
            "rm-fw-rule -p {} --dir in {rule}",
            bob.plan().port
        ))?;
        stands_still(&concerned)?;
        all_go_on(&[&to_another, &outward])?;
        ensure(host.drops("flow_revoked")? > revoked, || {
            "no drop of a revoked flow is counted".into()
        })?;
        // In time the same rule finds the connection as it was.
        host.allow_in(bob.plan(), "tcp", "7300", 1000)?;
        concerned.goes_on(SOME)?;
    }
    allow_all_in(host, bob)
}

/// A rule about something else comes and goes: the same flow, the same port of the NAT, and its counters go on.
pub(crate) fn an_unrelated_rule_is_not_noticed(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let host = &topology.a;
    for address in [IpAddr::from(OUTSIDE), OUTSIDE_V6.into()] {
        let echo = topology.serve(&topology.outside, &format!("tcp-echo {address} 85"))?;
        let talk = topology.serve(alice.namespace(), &format!("tcp-talk {address} 85"))?;
        talk.goes_on(SOME)?;
        let before = FlowTo::find(host, alice, (address, 85))?;
        let rule = host.allow_in(alice.plan(), "udp", "9", 500)?;
        talk.goes_on(SOME)?;
        let between = FlowTo::find(host, alice, (address, 85))?;
        host.opteadm(&format!(
            "rm-fw-rule -p {} --dir in {rule}",
            alice.plan().port
        ))?;
        talk.goes_on(SOME)?;
        let after = FlowTo::find(host, alice, (address, 85))?;
        ensure(
            before.program == between.program && between.program == after.program,
            || format!("other programs: {before:?}, {between:?}, {after:?}"),
        )?;
        ensure(
            before.hits + SOME <= between.hits && between.hits + SOME <= after.hits,
            || format!("the counters do not go on: {before:?}, {between:?}, {after:?}"),
        )?;
        let peers = peers(&echo)?;
        ensure(peers.len() == 1, || {
            format!("there was one connection, but the server saw {peers:?}")
        })?;
    }
    Ok(())
}

/// One address is given to Alice, then a second, then the first is taken away.
pub(crate) fn a_floating_address_changes_under_connections(lab: &mut Overlay) -> Result<()> {
    let Overlay {
        alice, topology, ..
    } = &*lab;
    let host = &topology.a;
    let families: [(IpAddr, [IpAddr; 2], IpAddr); 2] = [
        (
            OUTSIDE.into(),
            FLOATING.map(IpAddr::from),
            alice.plan().ip.into(),
        ),
        (
            OUTSIDE_V6.into(),
            FLOATING_V6.map(IpAddr::from),
            alice.plan().ip6.into(),
        ),
    ];
    for (outside, [first, second], private) in families {
        let set = |options: &str| host.set_external_ips(alice.plan(), options);
        let echo = topology.serve(&topology.outside, &format!("tcp-echo {outside} 86"))?;
        let call = || topology.serve(alice.namespace(), &format!("tcp-talk {outside} 86"));
        let answer = topology.serve(alice.namespace(), &format!("tcp-echo {private} 87"))?;
        let is_called =
            |at: IpAddr| topology.serve(&topology.outside, &format!("tcp-talk {at} 87"));

        let by_snat = call()?;
        set(&format!("--floating-ip {first}"))?;
        let by_first = call()?;
        let to_first = is_called(first)?;
        all_go_on(&[&by_snat, &by_first, &to_first])?;

        // The second beside the first: nobody has to move.
        set(&format!("--floating-ip {first},{second}"))?;
        let to_second = is_called(second)?;
        all_go_on(&[&by_snat, &by_first, &to_first, &to_second])?;

        // The second alone: what the first has carried ends.
        set(&format!("--floating-ip {second}"))?;
        stands_still(&by_first)?;
        stands_still(&to_first)?;
        let by_second = call()?;
        all_go_on(&[&by_snat, &to_second, &by_second])?;
        let answers = |at| Ok(guest::ping(&topology.outside, "eth0", at, 2, "")?.received > 0);
        ensure(answers(second)? && !answers(first)?, || {
            format!("{first} answers, or {second} does not")
        })?;

        // Whom the server has heard: each connection from one address and port as long as it lasted.
        let heard = peers(&echo)?;
        let heard: Vec<IpAddr> = heard.iter().map(|peer| peer.ip()).collect();
        let snat: IpAddr = match outside {
            IpAddr::V4(_) => alice.plan().snat.ip.into(),
            IpAddr::V6(_) => alice.plan().snat.ip6.into(),
        };
        ensure(heard == [snat, first, second], || {
            format!("the server heard {heard:?}")
        })?;
        // Inbound, the guest sees who called.
        let seen = peers(&answer)?;
        ensure(seen.iter().all(|peer| peer.ip() == outside), || {
            format!("the guest saw {seen:?}")
        })?;
        set("")?;
        stands_still(&by_second)?;
        by_snat.goes_on(SOME)?;
    }
    Ok(())
}

/// An entry of `dump-uft`.
#[derive(Debug)]
pub(crate) struct FlowTo {
    pub(crate) hits: u64,
    program: String,
}

impl FlowTo {
    /// A guest's outbound TCP flow to an address and port, of which there is one.
    pub(crate) fn find(host: &Host, guest: &Guest, (address, port): (IpAddr, u16)) -> Result<Self> {
        let text = host.opteadm(&format!(
            "dump-uft -p {} --dir out --protocol tcp --address {address} --l4-port {port} --json",
            guest.plan().port
        ))?;
        let dump: Value =
            serde_json::from_str(&text).map_err(|e| Failure::new("read the flows", e))?;
        let flows = dump["flows"].as_array().cloned().unwrap_or_default();
        let [flow] = &flows[..] else {
            return Err(Failure::new(
                format!("find the flow to {address}"),
                format!("there are {flows:?}"),
            ));
        };
        Ok(Self {
            hits: flow["hits"].as_u64().unwrap_or_default(),
            program: flow["program"].as_str().unwrap_or_default().into(),
        })
    }
}

/// Who has connected to a `tcp-echo`.
pub(crate) fn peers(echo: &Server) -> Result<Vec<std::net::SocketAddr>> {
    let text = echo.output()?;
    let peers = text.lines().filter_map(|line| line.strip_prefix("peer "));
    peers
        .map(|peer| {
            peer.parse()
                .map_err(|e| Failure::new(format!("read `{peer}`"), e))
        })
        .collect()
}

/// Some more words of each come back.
pub(crate) fn all_go_on(conversations: &[&Server]) -> Result<()> {
    let wanted = conversations
        .iter()
        .map(|conversation| Ok((conversation, conversation.words()? + SOME)));
    let wanted: Vec<(&&Server, u64)> = wanted.collect::<Result<_>>()?;
    wanted
        .into_iter()
        .try_for_each(|(conversation, words)| conversation.comes_to(words))
}

/// No more words come back, but for one that was under way.
pub(crate) fn stands_still(talk: &Server) -> Result<()> {
    std::thread::sleep(std::time::Duration::from_millis(100));
    let before = talk.words()?;
    std::thread::sleep(std::time::Duration::from_millis(700));
    let after = talk.words()?;
    ensure(before == after, || {
        format!(
            "{} words after what let them through was gone",
            after - before
        )
    })
}

pub(crate) fn allow_all_in(host: &Host, guest: &Guest) -> Result<()> {
    let wide = ["icmp", "icmp6", "tcp", "udp"]
        .map(|protocol| format!("dir=in action=allow priority=1000 protocol={protocol}"));
    host.set_firewall(guest.plan(), &wide.each_ref().map(String::as_str))
}
