//! The gateway as its guests' neighbour and router, asked by the tools that ask for nothing else.

use std::net::Ipv4Addr;

use testkit::plan::{CONFIGURED_GATEWAY_V6, GATEWAY, GATEWAY_MAC, GATEWAY_V6};
use testkit::{Guest, Namespace, Overlay, Result};

use crate::runner::ensure;

pub(crate) fn rdisc6_finds_the_router(lab: &mut Overlay) -> Result<()> {
    for guest in lab.guests() {
        let told = guest
            .namespace()
            .run(&format!("rdisc6 -1 -n {}", guest.plan().port))?;
        let told = words(&told);
        for expected in [
            // Addresses are to be had by DHCPv6; no prefix is on the link.
            "stateful address conf. : yes",
            "router lifetime : 9000",
            "mtu : 1500 bytes (valid)",
            &format!("source link-layer address: {GATEWAY_MAC}"),
            &format!("from {GATEWAY_V6}"),
        ] {
            ensure(told.contains(expected), || {
                format!("no `{expected}` in {told}")
            })?;
        }
        ensure(!told.contains("prefix"), || {
            format!("a prefix is on the link: {told}")
        })?;
    }
    Ok(())
}

pub(crate) fn ndisc6_finds_the_gateway_and_nobody_else(lab: &mut Overlay) -> Result<()> {
    let Overlay { alice, carol, .. } = &*lab;
    let ask = |target| {
        let line = format!("ndisc6 -1 -n -r 2 -w 300 {target} {}", alice.plan().port);
        alice.namespace().outcome(&line)
    };
    for gateway in [GATEWAY_V6, CONFIGURED_GATEWAY_V6] {
        let outcome = ask(gateway)?;
        let told = words(&String::from_utf8_lossy(&outcome.stdout));
        let expected = format!("target link-layer address: {GATEWAY_MAC}");
        ensure(outcome.status.success() && told.contains(&expected), || {
            format!("no `{expected}` in {told}")
        })?;
    }
    let outcome = ask(carol.plan().ip6)?;
    ensure(!outcome.status.success(), || {
        "another guest answered as a neighbour".into()
    })
}

pub(crate) fn arping_finds_the_gateway_and_nobody_else(lab: &mut Overlay) -> Result<()> {
    for guest in lab.guests() {
        let told = arping(guest, GATEWAY)?;
        ensure(told.contains(GATEWAY_MAC), || {
            format!("no {GATEWAY_MAC} in {told}")
        })?;
    }
    let told = arping(&lab.alice, lab.bob.plan().ip)?;
    ensure(!told.contains("from"), || {
        format!("another guest answered as a neighbour: {told}")
    })
}

fn arping(guest: &Guest, target: Ipv4Addr) -> Result<String> {
    arping_from(guest.namespace(), guest.plan().port, target)
}

/// What either of the two programs of this name says, which call the link by different letters.
pub(crate) fn arping_from(from: &Namespace, port: &str, target: Ipv4Addr) -> Result<String> {
    let help = from.outcome("arping --help")?;
    let habets = [help.stdout, help.stderr].concat();
    let habets = String::from_utf8_lossy(&habets).contains("Habets");
    let link = if habets { "-i" } else { "-I" };
    let outcome = from.outcome(&format!("arping -c 1 -w 2 {link} {port} {target}"))?;
    let answers = String::from_utf8_lossy(&outcome.stdout);
    let mut lines = answers.lines();
    // The first line and the last repeat what was asked.
    let answers = lines.by_ref().filter(|line| line.contains("from"));
    Ok(words(&answers.collect::<Vec<_>>().join("\n")))
}

/// In small letters, with one space where there are several.
fn words(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}
