use opte::api::{DumpLayerResp, MeterLimits, PortStats, Stats, UftFlow};
use oxide_vpc::api::{GuestPhysAddr, LanInfo, MacAddr, TunnelEndpoint};

use super::*;

fn port(name: &str) -> PortInfo {
    PortInfo {
        name: name.into(),
        mac_addr: MacAddr([0xa8, 0x40, 0x25, 0xff, 0, 1]),
        network: "oxide-vpc".into(),
        vni: Some(Vni::new(10).unwrap()),
        lan: None,
        mtu: 1500,
        passthrough: false,
        ip4_addr: Some("172.30.0.5".parse().unwrap()),
        ephemeral_ip4_addr: None,
        floating_ip4_addrs: Vec::new(),
        ip6_addr: None,
        ephemeral_ip6_addr: None,
        floating_ip6_addrs: Vec::new(),
        state: "running".into(),
        meter_in: MeterLimits::NONE,
        meter_out: MeterLimits::NONE,
    }
}

fn flow(protocol: u8, source: &str, destination: &str, detail: FlowDetail) -> FlowId {
    FlowId {
        protocol,
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        detail,
    }
}

/// What `show` shows.
fn shown(show: impl FnOnce(&mut Screen<'_>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    show(&mut Screen::new(&mut out, Paint::NONE)).unwrap();
    String::from_utf8(out).unwrap()
}

/// Expected tables are indented for reading.
fn assert_table(table: &str, expected: &str) {
    let expected: Vec<&str> = expected
        .lines()
        .skip(1)
        .map(|line| line.strip_prefix("        ").unwrap_or(""))
        .collect();
    // The last line is the indentation of the closing quote.
    let expected = expected.join("\n");
    assert_eq!(table, expected, "\n{table}");
}

#[test]
fn ports_with_and_without_addresses() {
    let mut dual = port("opte10");
    dual.ip6_addr = Some("fd00::5".parse().unwrap());
    dual.floating_ip4_addrs = vec![
        "203.0.113.1".parse().unwrap(),
        "203.0.113.2".parse().unwrap(),
    ];
    let on_lan = PortInfo {
        network: "lan-nat".into(),
        vni: None,
        lan: Some(LanInfo {
            link: "eth2".into(),
            public_ip: "10.0.0.99".parse().unwrap(),
            public_mac: MacAddr([0xa8, 0x40, 0x25, 0, 0, 0x63]),
            ports: "1025-4096".parse().unwrap(),
        }),
        ..port("lan0")
    };
    let mut ports = [dual, port("opte2"), on_lan];
    sort_ports(&mut ports);
    assert_table(
        &shown(|screen| screen.ports(&ports)),
        "
        LINK    MAC ADDRESS        IPv4 ADDRESS  EPHEMERAL IPv4  FLOATING IPv4  IPv6 ADDRESS  EXTERNAL IPv6  FLOATING IPv6  STATE    MTU   NETWORK
        lan0    A8:40:25:FF:00:01  172.30.0.5    None            None           None          None           None           running  1500  lan-nat eth2 10.0.0.99:1025-4096
        opte2   A8:40:25:FF:00:01  172.30.0.5    None            None           None          None           None           running  1500  oxide-vpc 10
        opte10  A8:40:25:FF:00:01  172.30.0.5    None            203.0.113.1    fd00::5       None           None           running  1500  oxide-vpc 10
                                                                 203.0.113.2

        ",
    );
}

#[test]
fn no_ports_are_a_heading() {
    assert_eq!(shown(|screen| screen.ports(&[])).lines().count(), 1);
}

#[test]
fn a_layer_with_flows_and_rules() {
    let echo = flow(
        1,
        "10.0.0.1",
        "10.0.0.2",
        FlowDetail::Icmp {
            ty: 8,
            code: 0,
            id: Some(77),
        },
    );
    let gre = flow(47, "10.0.0.2", "10.0.0.1", FlowDetail::None);
    let rule = |id, priority, hits, predicates: &[&str], action: &str| LayerRule {
        dir: Direction::In,
        id,
        priority,
        hits,
        predicates: predicates.iter().map(ToString::to_string).collect(),
        action: action.into(),
    };
    let layer = DumpLayerResp {
        name: "firewall".into(),
        default_in: DefaultRule {
            action: "deny".into(),
            hits: 12,
        },
        default_out: DefaultRule {
            action: "stateful allow".into(),
            hits: 0,
        },
        rules: vec![
            rule(
                3,
                10,
                5,
                &["inner.ip.proto=TCP", "inner.ulp.dst=22"],
                "Stateful Allow",
            ),
            rule(0, 65534, 1, &[], "Deny"),
        ],
        flows: vec![
            LayerFlow {
                dir: Direction::Out,
                flow: echo,
                hits: 3,
                action: "no-op".into(),
            },
            LayerFlow {
                dir: Direction::In,
                flow: gre,
                hits: 1,
                action: "no-op".into(),
            },
        ],
        next: None,
    };
    assert_table(
        &shown(|screen| {
            screen.layer("opte0", &layer.name)?;
            for dir in Direction::BOTH {
                let flows = layer.flows.iter().filter(|flow| flow.dir == dir);
                screen.layer_flows(&mut None, dir, flows)?;
            }
            for (dir, default) in [
                (Direction::In, &layer.default_in),
                (Direction::Out, &layer.default_out),
            ] {
                let rules = layer.rules.iter().filter(|rule| rule.dir == dir);
                screen.rules(dir, rules, default)?;
            }
            Ok(())
        }),
        "
        Port opte0 - Layer firewall
        ======================================================================

        Inbound Flows
        ----------------------------------------------------------------------
        PROTO  SRC IP    SPORT/TY  DST IP    DPORT  HITS  ACTION
        GRE    10.0.0.2  N/A       10.0.0.1  N/A    1     no-op

        Outbound Flows
        ----------------------------------------------------------------------
        PROTO  SRC IP    SPORT/TY  DST IP    DPORT  HITS  ACTION
        ICMP   10.0.0.1  0x8/0x0   10.0.0.2  77     3     no-op

        Inbound Rules
        ----------------------------------------------------------------------
        ID   PRI    HITS  PREDICATES          ACTION
        3    10     5     inner.ip.proto=TCP  \"Stateful Allow\"
                          inner.ulp.dst=22

        0    65534  1     *                   \"Deny\"
        DEF  --     12    --                  \"deny\"

        Outbound Rules
        ----------------------------------------------------------------------
        ID   PRI  HITS  PREDICATES  ACTION
        DEF  --   0     --          \"stateful allow\"
        ",
    );
}

#[test]
fn the_unified_flow_table() {
    let ports = FlowDetail::Ports {
        source: 40000,
        destination: 80,
    };
    let entry = |dir, source, destination, program: &str| UftFlow {
        dir,
        flow: flow(6, source, destination, ports),
        hits: 9,
        program: program.into(),
    };
    let uft = DumpUftResp {
        count_in: 1,
        limit_in: 524_288,
        count_out: 1,
        limit_out: 524_288,
        flows: vec![
            entry(Direction::In, "fd00::2", "fd00::1", "pop 3"),
            entry(
                Direction::Out,
                "10.0.0.1",
                "10.0.0.2",
                "set ipv4::Source 1.2.3.4\npush Geneve\n",
            ),
        ],
        next: None,
    };
    assert_table(
        &shown(|screen| {
            Direction::BOTH
                .into_iter()
                .try_for_each(|dir| screen.uft(&mut None, dir, &uft))
        }),
        "
        UFT Inbound: 1/524288
        ----------------------------------------------------------------------
        PROTO  SRC IP   SPORT/TY  DST IP   DPORT  HITS  XFORMS
        TCP    fd00::2  40000     fd00::1  80     9     pop 3

        UFT Outbound: 1/524288
        ----------------------------------------------------------------------
        PROTO  SRC IP    SPORT/TY  DST IP    DPORT  HITS  XFORMS
        TCP    10.0.0.1  40000     10.0.0.2  80     9     set ipv4::Source 1.2.3.4; push Geneve
        ",
    );
}

#[test]
fn tcp_flows_and_layers() {
    let flow = TcpFlow {
        flow: flow(
            6,
            "fd00::1",
            "fd00::2",
            FlowDetail::Ports {
                source: 1,
                destination: 2,
            },
        ),
        state: "ESTABLISHED".into(),
        hits: 3,
        segs_in: 1,
        segs_out: 2,
        bytes_in: 60,
        bytes_out: 1560,
    };
    assert_table(
        &shown(|screen| screen.tcp_flows(&mut None, &[flow])),
        "
        FLOW                         STATE        HITS  SEGS IN  SEGS OUT  BYTES IN  BYTES OUT
        TCP:[fd00::1]:1:[fd00::2]:2  ESTABLISHED  3     1        2         60        1560
        ",
    );
    let layer = LayerDesc {
        name: "gateway".into(),
        rules_in: 5,
        rules_out: 12,
        default_in: "deny".into(),
        default_out: "deny".into(),
        flows: 0,
    };
    assert_table(
        &shown(|screen| screen.layers(&[layer])),
        "
        NAME     RULES IN  RULES OUT  DEF IN  DEF OUT  FLOWS
        gateway  5         12         deny    deny     0
        ",
    );
}

#[test]
fn mappings() {
    let mapping = |vni, vip: &str| Virt2PhysMapping {
        vni: Vni::new(vni).unwrap(),
        vip: vip.parse().unwrap(),
        phys: GuestPhysAddr {
            ether: MacAddr([0xa8, 0x40, 0x25, 0xf0, 0, 3]),
            ip: "fd00:2::1".parse().unwrap(),
        },
    };
    assert_table(
        &shown(|screen| {
            screen.v2p(&[
                mapping(10, "10.0.0.13"),
                mapping(10, "fd10::13"),
                mapping(20, "10.0.0.13"),
            ])
        }),
        "
        Virtual to Physical Mappings
        ======================================================================

        VPC 10

        IPv4 mappings
        ----------------------------------------------------------------------
        VPC IP     VPC MAC ADDR       UNDERLAY IP
        10.0.0.13  A8:40:25:F0:00:03  fd00:2::1

        IPv6 mappings
        ----------------------------------------------------------------------
        VPC IP    VPC MAC ADDR       UNDERLAY IP
        fd10::13  A8:40:25:F0:00:03  fd00:2::1

        VPC 20

        IPv4 mappings
        ----------------------------------------------------------------------
        VPC IP     VPC MAC ADDR       UNDERLAY IP
        10.0.0.13  A8:40:25:F0:00:03  fd00:2::1

        IPv6 mappings
        ----------------------------------------------------------------------
        VPC IP  VPC MAC ADDR  UNDERLAY IP
        ",
    );
    let tep = |ip: &str| TunnelEndpoint {
        ip: ip.parse().unwrap(),
        vni: Vni::new(99).unwrap(),
    };
    let boundary = Virt2BoundaryMapping {
        vip: "0.0.0.0/0".parse().unwrap(),
        tep: vec![tep("fd00:99::1"), tep("fd00:99::2")],
    };
    assert_table(
        &shown(|screen| screen.v2b(&[boundary])),
        "
        Virtual to Boundary Mappings
        ======================================================================
        TUNNELED PREFIX  BOUNDARY IP  VNI
        0.0.0.0/0        fd00:99::1   99
        0.0.0.0/0        fd00:99::2   99
        ",
    );
}

#[test]
fn counters_that_are_zero_are_left_out() {
    let stats = DumpStatsResp {
        driver: Stats {
            drops: [("unknown_port".into(), 0)].into(),
            counters: [("command_done".into(), 4)].into(),
        },
        ports: vec![PortStats {
            name: "opte0".into(),
            drops: [("layer_default_deny".into(), 7)].into(),
            counters: [("in_packets".into(), 0)].into(),
        }],
        next: None,
    };
    assert_table(
        &shown(|screen| screen.stats(&stats)),
        "
        Driver
        ----------------------------------------------------------------------
        COUNTER       VALUE
        command_done  4

        Port opte0
        ----------------------------------------------------------------------
        COUNTER                  VALUE
        drop layer_default_deny  7
        ",
    );
}

#[test]
fn the_heaviest_flows_are_rows() {
    let heavy = HeavyFlow {
        flow: FlowId {
            protocol: 6,
            source: "10.0.0.1".parse().unwrap(),
            destination: "10.0.0.2".parse().unwrap(),
            detail: FlowDetail::Ports {
                source: 4000,
                destination: 80,
            },
        },
        packets: 12,
        bytes: 3456,
    };
    assert_eq!(
        shown(|screen| screen.heavy_hitters(&[heavy])),
        "PROTO  SRC IP    SPORT/TY  DST IP    DPORT  PACKETS  BYTES\n\
         TCP    10.0.0.1  4000      10.0.0.2  80     12       3456\n"
    );
}

#[test]
fn what_was_restored_is_said_in_a_line() {
    let mut resp = RestorePortResp {
        flows: 7,
        refused: 0,
        complete: true,
    };
    assert_eq!(restored(&resp), "7 flows restored\n");
    resp.refused = 2;
    assert_eq!(
        restored(&resp),
        "7 flows restored, 2 not let pass by the rules\n"
    );
}
