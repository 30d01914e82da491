//! Several changes of a port as one.

mod sim;

use opte::Direction;
use opte::api::OpteError;
use oxide_vpc::api::{ExternalIpCfg, FirewallRule, RouterEntry};
use oxide_vpc::port::{ExternalIps, PortEdit, VpcPort};
use sim::{World, guest};

fn rule(text: &str) -> FirewallRule {
    text.parse().unwrap()
}

fn route(dest: &str, target: &str, class: &str) -> RouterEntry {
    RouterEntry {
        dest: dest.parse().unwrap(),
        target: target.parse().unwrap(),
        class: class.parse().unwrap(),
    }
}

fn port() -> VpcPort {
    let mut world = World::new(1);
    world.port(0, guest(10, 5));
    world.hosts.remove(0).ports.remove(0)
}

/// All that can be configured, as text.
fn shown(port: &VpcPort) -> String {
    let rules: Vec<String> = port
        .firewall_rules()
        .iter()
        .map(|(id, rule)| format!("{id} {rule}"))
        .collect();
    format!(
        "{rules:?} {:?} {:?}",
        port.router_entries(),
        port.external_ips_v4()
    )
}

#[test]
fn all_changes_are_made_or_none() {
    let port = port();
    let ssh = rule("dir=in action=allow priority=10 protocol=tcp port=22");
    let web = rule("dir=in action=allow priority=20 protocol=tcp port=80");
    let ids = port
        .edit(vec![
            PortEdit::AddFwRule(ssh.clone()),
            PortEdit::AddRouterEntry(route("0.0.0.0/0", "ig", "system")),
            PortEdit::AddFwRule(web.clone()),
        ])
        .unwrap();
    assert_eq!(ids.len(), 2);
    assert_eq!(
        port.firewall_rules(),
        [(ids[0], ssh.clone()), (ids[1], web.clone())]
    );
    let before = shown(&port);

    let bad_address = ExternalIps {
        v6: Some(ExternalIpCfg {
            ephemeral_ip: Some("::1".parse().unwrap()),
            ..ExternalIpCfg::NONE
        }),
        ..ExternalIps::default()
    };
    let none = u64::MAX;
    let refused: [(PortEdit, &str); 5] = [
        (
            PortEdit::RemFwRule(Direction::In, none),
            "layer 'firewall' has no rule 18446744073709551615 in direction IN",
        ),
        (
            // Removed by the change before it.
            PortEdit::RemFwRule(Direction::In, ids[0]),
            "layer 'firewall' has no rule",
        ),
        (
            PortEdit::AddRouterEntry(route("0.0.0.0/0", "drop", "system")),
            "router entry 0.0.0.0/0 -> ig of class system exists already",
        ),
        (
            PortEdit::DelRouterEntry(route("0.0.0.0/0", "drop", "system")),
            "router entry 0.0.0.0/0 -> drop of class system not found",
        ),
        (
            PortEdit::SetExternalIps(bad_address),
            "invalid IP configuration: external address ::1 is no host's",
        ),
    ];
    for (edit, message) in refused {
        let edits = vec![
            PortEdit::AddFwRule(web.clone()),
            PortEdit::RemFwRule(Direction::In, ids[0]),
            PortEdit::AddRouterEntry(route("10.9.0.0/16", "drop", "custom")),
            edit,
        ];
        let error = port.check(edits.clone()).unwrap_err();
        assert!(error.to_string().starts_with(message), "{error}");
        assert_eq!(port.edit(edits), Err(error));
        assert_eq!(shown(&port), before);
    }
}

#[test]
fn later_changes_see_earlier_ones() {
    let port = port();
    let ig = route("0.0.0.0/0", "ig", "system");
    let dropped = route("0.0.0.0/0", "drop", "system");
    port.edit(vec![
        PortEdit::AddRouterEntry(ig),
        PortEdit::DelRouterEntry(ig),
        PortEdit::AddRouterEntry(dropped),
    ])
    .unwrap();
    assert_eq!(port.router_entries(), [dropped]);
    // Exactly that route again can be removed: the rule behind it is the right one.
    port.edit(vec![
        PortEdit::DelRouterEntry(dropped),
        PortEdit::AddRouterEntry(ig),
    ])
    .unwrap();
    assert_eq!(port.router_entries(), [ig]);
    port.remove_router_entry(&ig).unwrap();
    assert!(port.router_entries().is_empty());

    let first = port
        .add_firewall_rule(&rule("dir=out action=deny priority=1"))
        .unwrap();
    let (kept, lost) = (
        rule("dir=in action=allow priority=7"),
        rule("dir=in action=allow priority=8"),
    );
    port.edit(vec![
        PortEdit::AddFwRule(lost),
        PortEdit::AddRouterEntry(ig),
        PortEdit::RemFwRule(Direction::Out, first),
        PortEdit::SetFwRules(vec![kept.clone()]),
    ])
    .unwrap();
    let rules: Vec<FirewallRule> = port.firewall_rules().into_iter().map(|(_, r)| r).collect();
    assert_eq!(rules, [kept]);
    assert_eq!(port.router_entries(), [ig]);
    assert!(matches!(
        port.edit(vec![
            PortEdit::SetFwRules(vec![]),
            PortEdit::RemFwRule(Direction::In, 0)
        ]),
        Err(OpteError::RuleNotFound { .. })
    ));
}
