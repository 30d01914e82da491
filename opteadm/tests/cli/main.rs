//! `opteadm` against a driver at a real socket.

mod driver;
#[path = "../json/mod.rs"]
mod json;
mod lost;
mod prompt;

use std::io::BufReader;
use std::process::{Command, Stdio};

use driver::{CONFIG, FLOWS, Host};
use oxide_vpc::api::{GuestLink, RouterEntry};
use serde_json::Value;

/// Commands that change something, in an order in which each can be done, all on one host.
const CHANGES: [&str; 36] = [
    "set-xde-underlay eth0 eth1",
    "set-v2p 10.0.0.12 a8:40:25:f0:00:02 fd00:2::1 10",
    "set-v2p fd10::12 a8:40:25:f0:00:02 fd00:2::1 10",
    "clear-v2p 10.0.0.12 a8:40:25:f0:00:02 fd00:2::1 10",
    "set-v2b 0.0.0.0/0 fd00:99::1 fd00:99::2",
    "clear-v2b 0.0.0.0/0 fd00:99::2",
    "xde-create opte1 --tap --guest-mac a8:40:25:f0:00:03 --private-ip 10.0.0.13 --vpc-subnet 10.0.0.0/24 \
     --gateway-mac a8:40:25:ff:77:77 --gateway-ip 10.0.0.1 --vpc-vni 10 --src-underlay-addr fd00:1::1 --mtu 9000",
    "add-fw-rule -p opte1 --dir in --hosts any --protocol tcp --ports 22,8000-8100 --action allow --priority 100",
    "add-fw-rule -p opte1 --dir out --hosts subnet=10.0.0.0/8 --protocol icmp:8,0-3 --ports any --action deny --priority 1",
    "rm-fw-rule -p opte1 --dir out 1",
    "add-fw-rule -p opte1 --dir in --hosts ip=10.0.0.1,subnet=fd00::/8,vni=7 --protocol udp --source-ports 53,123 --ports any --action reject --priority 2",
    "add-router-entry -p opte1 0.0.0.0/0 ig system",
    "add-router-entry -p opte1 10.0.0.0/24 sub4=10.0.0.0/24 custom",
    "add-router-entry -p opte1 ::/0 ig=6e1b9c7e-6a3c-4d5b-9d0e-000000000001 system",
    "del-router-entry -p opte1 0.0.0.0/0 ig system",
    "set-external-ips -p opte1 --ephemeral-ip 203.0.113.9 --floating-ip 203.0.113.10",
    "set-external-ips -p opte1",
    "allow-cidr -p opte1 10.5.0.0/16",
    "remove-cidr -p opte1 10.5.0.0/16 --dir in",
    "remove-cidr -p opte1 10.5.0.0/16",
    "attach-subnet -p opte1 203.0.113.64/28 -e",
    "detach-subnet -p opte1 203.0.113.64/28",
    "set-peers -p opte1 20 30",
    "set-peers -p opte1",
    "set-meter -p opte1 --dir in --packets 10k/s --bits 1Gbit/s --new-flows 1000/s --flows 100000 --burst 50ms",
    "set-meter -p opte1 --dir out --bits 500M",
    "clear-meter -p opte1 --dir in",
    "set-port-options -p opte1 --timeout-udp 60s --max-flows 1000 --snat-filtering address-and-port",
    "set-port-options -p opte1",
    "clear-uft -p opte1",
    "clear-lft -p opte1 firewall",
    "set-fw-rules -p opte1",
    "pause-port -p opte1",
    "start-port -p opte1",
    "xde-delete opte1",
    "clear-xde-underlay",
];

#[test]
fn changes_are_silent() {
    let host = Host::new();
    for command in CHANGES {
        let printed = host.ok(command);
        if command.starts_with("add-fw-rule") {
            assert!(printed.trim_end().parse::<u64>().is_ok(), "{command}");
        } else {
            assert_eq!(printed, "", "{command}");
        }
    }
}

#[test]
fn a_rule_is_removed_by_the_number_its_addition_printed() {
    let host = Host::with_port();
    let rules = |host: &Host| host.driver.state().ports["opte0"].rules.len();
    let before = rules(&host);
    let add = "add-fw-rule -p opte0 --dir in --hosts any --protocol tcp --ports 22 --action allow --priority 9";
    let id = host.ok(add);
    let json: Value = serde_json::from_str(&host.ok(&format!("{add} --json"))).unwrap();
    assert_eq!(rules(&host), before + 2);
    host.ok(&format!("rm-fw-rule -p opte0 --dir in {id}"));
    host.ok(&format!("rm-fw-rule -p opte0 --dir in {}", json["id"]));
    assert_eq!(rules(&host), before);
}

#[test]
fn every_command_has_json() {
    let host = Host::new();
    let (last, changes) = CHANGES.split_last().unwrap();
    let lists = [
        "list-ports",
        "dump-v2p",
        "dump-v2b",
        "dump-stats",
        "show-stats -p opte1",
        "show-meters",
        "show-port-options",
    ];
    let of_port = [
        "list-layers -p opte1",
        "show-meters -p opte1",
        "show-port-options -p opte1",
        "dump-layer -p opte1 firewall",
        "dump-uft -p opte1",
        "dump-tcp-flows -p opte1",
        "heavy-hitters -p opte1 --by packets -n 3",
    ];
    // By the name that is no alias.
    fn name(command: &str) -> &str {
        match command.split(' ').next().unwrap() {
            "show-stats" => "dump-stats",
            "xde-create" => "create-xde",
            "xde-delete" => "delete-xde",
            name => name,
        }
    }
    for command in changes.iter().chain(&lists) {
        let (command, is_delete) = (*command, *command == "xde-delete opte1");
        if is_delete {
            for list in of_port {
                json::check(name(list), &host.ok(&format!("{list} --json")));
            }
        }
        json::check(name(command), &host.ok(&format!("--json {command}")));
    }
    assert_eq!(host.ok(&format!("{last} --json")), "{}\n");
}

#[test]
fn a_port_of_both_families_is_what_its_options_say() {
    let host = Host::with_port();
    let state = host.driver.state();
    let request = &state.ports["opte0"].request;
    assert_eq!(
        request.link,
        GuestLink::Veth {
            netns: Some("guest0".into())
        }
    );
    let (ipv4, ipv6) = (request.cfg.ipv4().unwrap(), request.cfg.ipv6().unwrap());
    assert_eq!(ipv4.private_ip.to_string(), "10.0.0.11");
    assert_eq!(ipv6.vpc_subnet.to_string(), "fd10::/64");
    let (snat4, snat6) = (
        ipv4.external_ips.snat.unwrap(),
        ipv6.external_ips.snat.unwrap(),
    );
    assert_eq!(
        (snat4.external_ip.to_string(), snat4.ports.to_string()),
        ("203.0.113.1".into(), "1024-2047".into())
    );
    assert_eq!(
        (snat6.external_ip.to_string(), snat6.ports),
        ("2001:db8::1".into(), snat4.ports)
    );
    assert_eq!(ipv4.external_ips.floating_ips.len(), 2);
    assert_eq!(request.cfg.dhcp.dns4_servers.len(), 1);
    assert_eq!(request.cfg.dhcp.dns6_servers.len(), 1);
    drop(state);
    let table = host.ok("list-ports");
    assert_eq!(
        table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .nth(1)
            .unwrap(),
        [
            "opte0",
            "A8:40:25:F0:00:01",
            "10.0.0.11",
            "None",
            "203.0.113.7",
            "fd10::11",
            "None",
            "None",
            "running",
            "1500",
            "oxide-vpc",
            "10"
        ]
    );
}

#[test]
fn rules_from_standard_input() {
    let host = Host::with_port();
    let rules = "# web\n\ndir=in action=allow priority=10 protocol=tcp port=443,80\ndir=out action=deny priority=20\n";
    assert!(host.run("set-fw-rules -p opte0", rules).status.success());
    assert_eq!(
        host.ok("dump-layer -p opte0 firewall"),
        "\
Port opte0 - Layer firewall
======================================================================

Inbound Flows
----------------------------------------------------------------------
PROTO  SRC IP  SPORT/TY  DST IP  DPORT  HITS  ACTION

Outbound Flows
----------------------------------------------------------------------
PROTO  SRC IP  SPORT/TY  DST IP  DPORT  HITS  ACTION

Inbound Rules
----------------------------------------------------------------------
ID   PRI  HITS  PREDICATES                          ACTION
0    10   0     hosts=any protocol=tcp port=80,443  \"allow\"
DEF  --   1     --                                  \"deny\"

Outbound Rules
----------------------------------------------------------------------
ID   PRI  HITS  PREDICATES                       ACTION
1    20   0     hosts=any protocol=any port=any  \"deny\"
DEF  --   2     --                               \"stateful allow\"
"
    );
    let output = host.run(
        "set-fw-rules -p opte0",
        "dir=in action=allow priority=10\ndir=in action=allow\n",
    );
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "opteadm: rules, line 2: missing 'priority' key\n"
    );
    // What was wrong with one rule has changed none.
    assert_eq!(host.driver.state().ports["opte0"].rules.len(), 2);
}

#[test]
fn listings_longer_than_a_page_are_whole() {
    let host = Host::with_port();
    let uft: Value = serde_json::from_str(&host.ok("dump-uft -p opte0 --json")).unwrap();
    let hits: Vec<u64> = uft["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| flow["hits"].as_u64().unwrap())
        .collect();
    assert_eq!(hits, (0..FLOWS).collect::<Vec<_>>());
    assert!(
        host.ok("dump-uft -p opte0")
            .contains("\nUFT Outbound: 2500/8192\n")
    );
    assert_eq!(
        host.ok("dump-tcp-flows -p opte0").lines().count() as u64,
        FLOWS + 1
    );
}

#[test]
fn listings_have_the_flows_that_are_asked_for() {
    let host = Host::with_port();
    let flows = |command: &str| {
        let uft: Value = serde_json::from_str(&host.ok(&format!("{command} --json"))).unwrap();
        uft["flows"].as_array().unwrap().len() as u64
    };
    for (filter, count) in [
        ("--address 10.0.0.1", FLOWS),
        ("--address 10.0.0.0/24 --protocol tcp --dir out", FLOWS),
        ("--l4-port 80", FLOWS),
        ("--l4-port 2000", 1),
        ("--address 10.0.0.3", 0),
        ("--protocol 17", 0),
        ("--dir in", 0),
    ] {
        let command = format!("dump-uft -p opte0 {filter}");
        assert_eq!(flows(&command), count, "{command}");
    }
    let tcp = host.ok("dump-tcp-flows -p opte0 --l4-port 7");
    assert_eq!(tcp.lines().count(), 2);
    // A direction that is not asked for has no section.
    let out = host.ok("dump-uft -p opte0 --dir out --l4-port 7");
    assert_eq!(out.lines().count(), 4);
    assert!(out.starts_with("UFT Outbound: 2500/8192\n"), "{out}");

    host.ok("add-fw-rule -p opte0 --dir in --hosts any --protocol tcp --ports 22 --action allow --priority 1");
    host.ok("add-fw-rule -p opte0 --dir out --hosts any --protocol tcp --ports 22 --action deny --priority 1");
    let rules = |filter: &str| {
        let command = format!("dump-layer -p opte0 firewall --json {filter}");
        let layer: Value = serde_json::from_str(&host.ok(&command)).unwrap();
        layer["rules"].as_array().unwrap().len()
    };
    assert_eq!(
        [
            rules(""),
            rules("--rule 1"),
            rules("--dir in"),
            rules("--rule 9")
        ],
        [2, 1, 1, 0]
    );
    for (filter, complaint) in [
        (
            "--address 10.0.0.300",
            "invalid value '10.0.0.300' for '--address <IP|CIDR>': ",
        ),
        (
            "--l4-port 65536",
            "invalid value '65536' for '--l4-port <N>': 65536 is not in 0..=65535",
        ),
        (
            "--protocol carrier-pigeon",
            "invalid value 'carrier-pigeon' for '--protocol <P>': a protocol is tcp, udp, icmp, icmp6 or a number up to 255",
        ),
        (
            "--dir up",
            "invalid value 'up' for '--dir <DIR>': a direction is `in` or `out`",
        ),
        (
            "--watch never",
            "invalid value 'never' for '--watch [<SECONDS>]': expected seconds, from 0.1 to 86400",
        ),
        (
            "--color red",
            "invalid value 'red' for '--color <WHEN>' [possible values: auto, always, never]",
        ),
    ] {
        let said = host.complaint(&format!("dump-uft -p opte0 {filter}"));
        assert!(said.starts_with(complaint), "{said}");
    }
}

#[test]
fn a_watched_listing_ends_when_interrupted() {
    let host = Host::with_port();
    let mut child = host
        .command("list-layers -p opte0 --json --watch 0.1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut documents = serde_json::Deserializer::from_reader(out).into_iter::<Value>();
    for _ in 0..3 {
        assert_eq!(documents.next().unwrap().unwrap()[0]["name"], "firewall");
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    // What is left are whole documents.
    assert!(documents.all(|document| document.is_ok()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn colour_is_where_it_is_wanted() {
    let host = Host::with_port();
    let colour = "\x1b[1m";
    assert!(!host.ok("list-ports").contains(colour));
    assert!(host.ok("list-ports --color always").starts_with(colour));
    assert!(!host.ok("list-ports --color never").contains(colour));
    assert!(
        host.ok("dump-stats --color always")
            .contains("\x1b[31mdrop no_such_port  1\x1b[0m")
    );
    assert!(!host.ok("dump-stats --color always --json").contains('\x1b'));
}

#[test]
fn drops_are_by_reason() {
    let host = Host::with_port();
    let stats: Value = serde_json::from_str(&host.ok("dump-stats --json")).unwrap();
    assert_eq!(stats["driver"]["drops"]["no_such_port"], 1);
    assert_eq!(stats["ports"][0]["drops"]["layer_default_deny"], 7);
    assert_eq!(stats["driver"]["counters"]["command_malformed"], 0);
    assert!(
        stats["driver"]["counters"]["command_done"]
            .as_u64()
            .unwrap()
            >= 2
    );
    assert!(
        host.ok("show-stats")
            .contains("drop layer_default_deny  7\n")
    );
}

#[test]
fn external_addresses_replace_those_before() {
    let host = Host::with_port();
    host.ok(
        "set-external-ips -p opte0 --ephemeral-ip 203.0.113.9 --ephemeral-ip 2001:db8::9 \
             --internet-gateway 203.0.113.9=6e1b9c7e-6a3c-4d5b-9d0e-000000000001",
    );
    let external = host.driver.state().ports["opte0"].external.clone().unwrap();
    assert_eq!(
        external
            .external_ips_v4
            .unwrap()
            .ephemeral_ip
            .unwrap()
            .to_string(),
        "203.0.113.9"
    );
    assert_eq!(
        external
            .external_ips_v6
            .unwrap()
            .ephemeral_ip
            .unwrap()
            .to_string(),
        "2001:db8::9"
    );
    assert_eq!(external.inet_gw_map.unwrap().len(), 1);
    // Without addresses both families have none.
    host.ok("set-external-ips -p opte0");
    let external = host.driver.state().ports["opte0"].external.clone().unwrap();
    assert_eq!(
        (external.external_ips_v4, external.external_ips_v6),
        (None, None)
    );
}

#[test]
fn meters_are_set_shown_and_cleared() {
    let host = Host::with_port();
    let headings = "LINK  DIR  PACKETS  BITS  NEW FLOWS  FLOWS  BURST  DROPPED\n";
    assert_eq!(host.ok("show-meters"), headings);
    host.ok("set-meter -p opte0 --dir out --packets 10k/s --bits 1Gbit/s --new-flows 1000/s --flows 100000 --burst 50ms");
    assert_eq!(
        host.ok("show-meters"),
        "LINK   DIR  PACKETS  BITS          NEW FLOWS  FLOWS   BURST  DROPPED\n\
         opte0  OUT  10000/s  1000000000/s  1000/s     100000  50 ms  0\n"
    );
    // What is not given is taken away.
    host.ok("set-meter -p opte0 --dir out --flows 7");
    assert_eq!(
        host.ok("show-meters -p opte0"),
        "LINK   DIR  PACKETS  BITS  NEW FLOWS  FLOWS  BURST   DROPPED\n\
         opte0  IN   None     None  None       None   100 ms  0\n\
         opte0  OUT  None     None  None       7      100 ms  0\n"
    );
    let meters: Value = serde_json::from_str(&host.ok("show-meters --json")).unwrap();
    assert_eq!(meters[0]["limits"]["flows"], 7);
    let ports: Value = serde_json::from_str(&host.ok("list-ports --json")).unwrap();
    assert_eq!(ports[0]["meter_out"], meters[0]["limits"]);
    host.ok("clear-meter -p opte0");
    assert_eq!(host.ok("show-meters"), headings);
}

#[test]
fn options_of_ports_are_set_and_shown() {
    let host = Host::with_port();
    assert_eq!(host.ok("show-port-options"), "LINK  OPTIONS\n");
    assert_eq!(
        host.ok("show-port-options -p opte0"),
        "LINK   OPTIONS\nopte0  none\n"
    );
    host.ok(
        "set-port-options -p opte0 --timeout-tcp-half-open 1500ms --timeout-udp 60s --max-flows 1000 \
         --flows-per-remote 10 --flows-per-address 500 --errors-per-second 0 --dscp uniform --mss-clamp 1400 \
         --snat-filtering endpoint-independent --snat-preserve-ports true --snat-hold-down 30s",
    );
    assert_eq!(
        host.ok("show-port-options"),
        "LINK   OPTIONS\n\
         opte0  timeout-tcp-half-open=1500ms timeout-udp=60s max-flows=1000 flows-per-remote=10 flows-per-address=500 \
         errors-per-second=0 dscp=uniform mss-clamp=1400 snat-filtering=endpoint-independent snat-preserve-ports=true \
         snat-hold-down=30s\n"
    );
    let shown: Value = serde_json::from_str(&host.ok("show-port-options --json")).unwrap();
    assert_eq!(shown[0]["port"], "opte0");
    assert_eq!(shown[0]["options"]["max_flows"], 1000);
    // What is not given is as the port was built.
    host.ok("set-port-options -p opte0 --dscp pipe");
    assert_eq!(
        host.ok("show-port-options"),
        "LINK   OPTIONS\nopte0  dscp=pipe\n"
    );
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let host = Host::with_port();
    let create = |name: &str, change: (&str, &str)| {
        format!("create-xde {name} {}", CONFIG.replace(change.0, change.1))
    };
    for (command, complaint) in [
        (
            "list-layers -p nope".to_owned(),
            "port 'nope' not found (there is: opte0)",
        ),
        (
            "dump-layer -p opte0 nope".into(),
            "port 'opte0' has no layer 'nope' (there is: firewall)",
        ),
        (
            "rm-fw-rule -p opte0 --dir in 7".into(),
            "layer 'firewall' has no rule 7 in direction IN",
        ),
        (
            "del-router-entry -p opte0 0.0.0.0/0 ig system".into(),
            "router entry 0.0.0.0/0 -> ig of class system not found",
        ),
        (
            "set-peers -p opte0 20 99".into(),
            "invalid peers: 99 is no VPC's",
        ),
        (
            "set-peers -p opte0 x".into(),
            "invalid value 'x' for '[VNI]...': a VNI is a number of at most 24 bits: 0 to 16777215",
        ),
        (
            "set-meter -p opte0 --dir in".into(),
            "the following required arguments were not provided: <--packets <RATE>|--bits <RATE>|--new-flows <RATE>|--flows <N>>",
        ),
        (
            "set-meter -p opte0 --dir in --burst 1s".into(),
            "the following required arguments were not provided: <--packets <RATE>|--bits <RATE>|--new-flows <RATE>|--flows <N>>",
        ),
        (
            "set-meter -p opte0 --dir in --bits 1Gb".into(),
            "invalid value '1Gb' for '--bits <RATE>': invalid rate: '1Gb' (expected a number, with k, M, G or T behind it, a second, as in 10k/s or 1Gbit/s)",
        ),
        (
            "set-meter -p opte0 --dir in --bits 1k".into(),
            "invalid bits: 1000/s is not from 8000/s to 1000000000000/s",
        ),
        (
            "clear-meter -p nope".into(),
            "port 'nope' not found (there is: opte0)",
        ),
        (
            "show-meters -p nope".into(),
            "port 'nope' not found (there is: opte0)",
        ),
        (
            "remove-cidr -p opte0 10.5.0.0/16".into(),
            "port 'opte0' does not allow 10.5.0.0/16",
        ),
        (
            "remove-cidr -p opte0 10.5.0.0/16 --dir out".into(),
            "port 'opte0' does not allow 10.5.0.0/16 in direction OUT",
        ),
        (
            "allow-cidr -p opte0 239.0.0.0/8".into(),
            "invalid prefix: 239.0.0.0/8 is multicast",
        ),
        (
            "allow-cidr -p opte0 10.5.0.0".into(),
            "invalid value '10.5.0.0' for '<PREFIX>': '10.5.0.0' is no prefix: it has no '/'",
        ),
        (
            "attach-subnet -p nope 10.5.0.0/16".into(),
            "port 'nope' not found (there is: opte0)",
        ),
        (
            "detach-subnet -p opte0 10.5.0.0/16".into(),
            "port 'opte0' has no attached subnet 10.5.0.0/16",
        ),
        (
            "add-router-entry -p opte0 0.0.0.0/0 ip6=fd00::1 system".into(),
            "invalid router entry 0.0.0.0/0 -> ip6=fd00::1: destination and target are of different families",
        ),
        (
            "clear-v2p 10.0.0.9 a8:40:25:f0:00:02 fd00:2::1 10".into(),
            "no mapping for 10.0.0.9 in VNI 10",
        ),
        (
            "set-xde-underlay eth0 eth0".into(),
            "invalid underlay: link 'eth0' is given twice",
        ),
        (
            "set-xde-underlay eth0".into(),
            "underlay links are set already: eth0,eth1",
        ),
        (
            "clear-xde-underlay".into(),
            "the underlay links are in use by 1 port(s)",
        ),
        (create("opte0", ("", "")), "port 'opte0' exists already"),
        (
            create("a/b", ("", "")),
            "bad name 'a/b': only letters, digits, '_', '-' and '.' may stand in it",
        ),
        (
            create("x", ("--vpc-vni 10", "")),
            "invalid arguments: --vpc-vni is missing",
        ),
        (
            create("x", ("--private-ip 10.0.0.11", "--private-ip 10.1.0.11")),
            "invalid IP configuration: private address 10.1.0.11 is not in the subnet 10.0.0.0/24",
        ),
        (
            create("x", ("--private-ip fd10::11", "--private-ip 10.0.0.12")),
            "invalid --private-ip: 10.0.0.12 is a second one of its family",
        ),
        (
            create("x", ("--netns guest0", "--mtu 1000")),
            "invalid MTU: 1000 is less than 1280",
        ),
        (
            create("x", ("--snat-end 2047", "--snat-end 1")),
            "invalid SNAT ports: invalid port range: 1024-1 ends before it starts",
        ),
        (
            "create-xde a b".into(),
            "invalid arguments: expected NAME and options, or the 11 values NAME U1 U2 GUEST_MAC PRIVATE_IP GATEWAY_MAC \
             GATEWAY_IP BOUNDARY_ADDR BOUNDARY_VNI VPC_VNI SRC_UNDERLAY_ADDR; got 2",
        ),
        (
            "rm-fw-rule -p opte0 --dir up 7".into(),
            "invalid value 'up' for '--dir <DIR>': a direction is `in` or `out`",
        ),
        (
            "add-router-entry -p opte0 10.0.0.0/33 ig system".into(),
            "invalid value '10.0.0.0/33' for '<DEST>': prefix length 33 is longer than 32",
        ),
        (
            "list-layers".into(),
            "the following required arguments were not provided: --port <PORT>",
        ),
        (
            "frobnicate".into(),
            "unrecognized subcommand 'frobnicate' (`opteadm --help` lists all)",
        ),
    ] {
        assert_eq!(host.complaint(&command), complaint, "{command}");
    }
    assert_eq!(host.driver.state().ports.len(), 1);
}

#[test]
fn routes_are_removed_by_all_they_are() {
    let host = Host::with_port();
    host.ok("add-router-entry -p opte0 0.0.0.0/0 ig system");
    host.ok("add-router-entry -p opte0 0.0.0.0/0 drop custom");
    host.ok("del-router-entry -p opte0 0.0.0.0/0 ig system");
    let expected = RouterEntry {
        dest: "0.0.0.0/0".parse().unwrap(),
        target: "drop".parse().unwrap(),
        class: "custom".parse().unwrap(),
    };
    assert_eq!(host.driver.state().ports["opte0"].routes, [expected]);
}
