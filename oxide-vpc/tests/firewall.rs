//! The firewall as a table: rules, packets, and whether they pass.

mod sim;

use opte::api::OpteError;
use opte::{Direction, DropReason};
use opte_headers::TcpFlags;
use oxide_vpc::api::parse_rules;
use oxide_vpc::network::GATEWAY_MAC;
use sim::{At, Body, Frame, Sent, World, guest, ip, tcp, udp};

/// Two guests that reach each other as far as their firewalls let them; the first one's lets everything out.
fn world() -> (World, At, At) {
    let mut world = World::new(2);
    let a = world.port(0, guest(10, 5));
    let b = world.port(1, guest(10, 6));
    for at in [a, b] {
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.route(at, "fd00:1::/64", "sub6=fd00:1::/64");
    }
    (world, a, b)
}

fn packet(world: &World, from: At, to: At, text: &str) -> Frame {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let v6 = kind.ends_with('6');
    let of = |at| if v6 { world.v6(at) } else { world.v4(at) };
    let number = || rest.parse().unwrap();
    let body = match kind.trim_end_matches('6') {
        "tcp" => tcp(40_000, number(), TcpFlags::SYN, 1, 0, b""),
        "udp" => udp(40_000, number(), b"data"),
        "icmp" => {
            let (ty, code) = rest.split_once('/').unwrap();
            let (ty, code) = (ty.parse().unwrap(), code.parse().unwrap());
            Body::Icmp {
                ty,
                code,
                identifier: 1,
                sequence: 1,
                data: vec![0; 40],
            }
        }
        "ip" => Body::Other {
            protocol: rest.parse().unwrap(),
            data: vec![0; 20],
        },
        other => panic!("{other}"),
    };
    Frame::new(of(from), (GATEWAY_MAC, of(to).1), body)
}

#[test]
fn inbound_rules() {
    // Rules, a packet, and whether it comes in.
    let table = [
        ("", "tcp 22", false),
        ("", "icmp 8/0", false),
        ("dir=in action=allow priority=9", "tcp 22", true),
        ("dir=in action=allow priority=9", "tcp6 22", true),
        ("dir=in action=allow priority=9", "ip 47", true),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22",
            "tcp6 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22",
            "tcp 23",
            false,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22",
            "udp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22,80-90,443",
            "tcp 80",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22,80-90,443",
            "tcp 85",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22,80-90,443",
            "tcp 90",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22,80-90,443",
            "tcp 91",
            false,
        ),
        (
            "dir=in action=allow priority=9 protocol=tcp port=22,80-90,443",
            "tcp 443",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=udp port=53",
            "udp 53",
            true,
        ),
        ("dir=in action=allow priority=9 port=53", "ip 47", false),
        (
            "dir=in action=allow priority=9 protocol=icmp",
            "icmp 8/0",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=icmp",
            "icmp6 128/0",
            false,
        ),
        (
            "dir=in action=allow priority=9 protocol=icmp6",
            "icmp6 128/0",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=icmp:8",
            "icmp 8/0",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=icmp:13,1-4",
            "icmp 13/4",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=icmp:13,1-4",
            "icmp 13/0",
            false,
        ),
        (
            "dir=in action=allow priority=9 protocol=icmp:13,1-4",
            "icmp 14/1",
            false,
        ),
        ("dir=in action=allow priority=9 protocol=47", "ip 47", true),
        ("dir=in action=allow priority=9 protocol=47", "ip 50", false),
        (
            "dir=in action=allow priority=9 hosts=ip=172.30.0.5",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=ip=172.30.0.7",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=subnet=172.30.0.0/24",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=subnet=172.30.1.0/24",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=subnet=0.0.0.0/0",
            "tcp6 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=subnet=fd00:1::/64",
            "tcp6 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=vni=10",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=vni=11",
            "tcp 22",
            false,
        ),
        // Packets come from port 40,000 of 172.30.0.5 or fd00:1::5.
        (
            "dir=in action=allow priority=9 source-port=40000",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 protocol=udp source-port=1-1023,39999-40001",
            "udp6 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 source-port=1-39999,40001-65535",
            "udp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 source-port=40000 port=23",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 source-port=22",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 source-port=1-65535",
            "icmp 8/0",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=ip=172.30.0.7,ip=172.30.0.5",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=ip=172.30.0.7,subnet=172.30.1.0/24",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=subnet=10.0.0.0/8,subnet=fd00:1::/64",
            "tcp6 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=subnet=10.0.0.0/8,subnet=fd00:1::/64",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=ip=10.0.0.1,vni=10",
            "tcp 22",
            true,
        ),
        (
            "dir=in action=allow priority=9 hosts=ip=10.0.0.1,vni=11,vni=12",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9 hosts=vni=11,vni=10 protocol=tcp port=22",
            "tcp6 22",
            true,
        ),
        (
            "dir=in action=reject priority=8 hosts=ip=172.30.0.5,vni=11\ndir=in action=allow priority=9",
            "tcp 22",
            false,
        ),
        // The lower number is asked first, whichever was added first.
        (
            "dir=in action=allow priority=9\ndir=in action=deny priority=8 protocol=tcp",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=deny priority=9\ndir=in action=allow priority=8 protocol=tcp",
            "tcp 22",
            true,
        ),
        // Of the same number the denial.
        (
            "dir=in action=deny priority=9\ndir=in action=allow priority=9",
            "tcp 22",
            false,
        ),
        (
            "dir=in action=allow priority=9\ndir=in action=deny priority=9",
            "tcp 22",
            false,
        ),
        // A rule for the other direction says nothing.
        ("dir=out action=allow priority=9", "tcp 22", false),
    ];
    for (rules, text, passes) in table {
        let (world, a, b) = world();
        world
            .vpc(b)
            .set_firewall_rules(&parse_rules(rules).unwrap())
            .unwrap();
        let sent = world.send(a, &packet(&world, a, b, text));
        assert_eq!(
            matches!(sent, Sent::To(..)),
            passes,
            "{text} with\n{rules}\n{sent:?}"
        );
    }
}

#[test]
fn outbound_rules() {
    let table = [
        ("", "tcp 22", true),
        ("dir=out action=deny priority=9", "tcp 22", false),
        (
            "dir=out action=deny priority=9 protocol=tcp port=25",
            "tcp 25",
            false,
        ),
        (
            "dir=out action=deny priority=9 protocol=tcp port=25",
            "tcp 26",
            true,
        ),
        (
            "dir=out action=deny priority=9 hosts=ip=172.30.0.6",
            "udp 53",
            false,
        ),
        (
            "dir=out action=deny priority=9 hosts=ip=172.30.0.5",
            "udp 53",
            true,
        ),
        (
            "dir=out action=deny priority=9 hosts=vni=10",
            "udp 53",
            false,
        ),
        (
            "dir=out action=deny priority=9 hosts=ip=172.30.0.5,ip=172.30.0.6",
            "udp 53",
            false,
        ),
        (
            "dir=out action=deny priority=9 hosts=ip=172.30.0.5,vni=11",
            "udp 53",
            true,
        ),
        (
            "dir=out action=reject priority=9 source-port=40000-40010",
            "udp 53",
            false,
        ),
        (
            "dir=out action=deny priority=9 source-port=53",
            "udp 53",
            true,
        ),
        (
            "dir=out action=deny priority=9 hosts=vni=11",
            "udp 53",
            true,
        ),
        (
            "dir=out action=deny priority=9\ndir=out action=allow priority=1 hosts=subnet=fd00:1::/64",
            "udp6 53",
            true,
        ),
        ("dir=in action=deny priority=9", "tcp 22", true),
    ];
    for (rules, text, passes) in table {
        let (world, a, b) = world();
        world.rule(b, "dir=in action=allow priority=1");
        world
            .vpc(a)
            .set_firewall_rules(&parse_rules(rules).unwrap())
            .unwrap();
        let sent = world.send(a, &packet(&world, a, b, text));
        assert_eq!(
            matches!(sent, Sent::To(..)),
            passes,
            "{text} with\n{rules}\n{sent:?}"
        );
    }
}

/// The published engine asked for the lowest VPC of the host that has the address, so this rule let strangers be reached.
#[test]
fn a_rule_about_a_vpc_is_not_about_equal_addresses_of_another() {
    let (mut world, a, b) = world();
    world.port(0, guest(9, 5));
    world.port(1, guest(9, 6));
    world.rule(b, "dir=in action=allow priority=9 hosts=vni=10");
    world
        .vpc(a)
        .set_firewall_rules(&parse_rules("dir=out action=deny priority=1 hosts=vni=9").unwrap())
        .unwrap();
    let sent = packet(&world, a, b, "udp 53");
    assert_eq!(world.send(a, &sent).at(b).body, sent.body);
}

#[test]
fn a_rule_is_removed_by_its_number_and_direction() {
    let (world, _, b) = world();
    let id = world.rule(b, "dir=in action=allow priority=9");
    let missing = |dir, id| OpteError::RuleNotFound {
        layer: "firewall".into(),
        dir,
        id,
    };
    assert_eq!(
        world.vpc(b).remove_firewall_rule(Direction::Out, id),
        Err(missing(Direction::Out, id))
    );
    assert_eq!(
        world.vpc(b).remove_firewall_rule(Direction::In, id + 1),
        Err(missing(Direction::In, id + 1))
    );
    assert_eq!(world.vpc(b).remove_firewall_rule(Direction::In, id), Ok(()));
    assert_eq!(
        world.vpc(b).remove_firewall_rule(Direction::In, id),
        Err(missing(Direction::In, id))
    );
    assert_ne!(
        world.rule(b, "dir=in action=allow priority=9"),
        id,
        "a number is never used again"
    );
}

#[test]
fn a_set_replaces_all_rules() {
    let (world, a, b) = world();
    world.rule(b, "dir=in action=allow priority=9 protocol=tcp");
    world
        .vpc(b)
        .set_firewall_rules(&parse_rules("dir=in action=allow priority=9 protocol=udp").unwrap())
        .unwrap();
    assert_eq!(
        world.send(a, &packet(&world, a, b, "tcp 22")),
        Sent::Rejected(b, DropReason::LayerDefaultDeny)
    );
    let sent = packet(&world, a, b, "udp 22");
    assert_eq!(world.send(a, &sent).at(b).destination, ip("172.30.0.6"));
}
