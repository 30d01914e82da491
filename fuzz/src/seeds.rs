//! Inputs to begin with, made of what the tests have captured from real senders.

use crate::geneve_frame::tunnelled;
use opte_headers::frame::{HeaderKind, parse_guest};
use opte_headers::program::{HeaderSpec, Program};
use opte_headers::{Ethernet, Header, Ipv4, Tcp};
use zerocopy::IntoBytes;

/// A target: its name, its check, its seeds.
pub type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// The inputs of `port_process` that a run of an hour has found worth keeping, minimised: each its length in two bytes, then itself.
pub fn kept() -> impl Iterator<Item = &'static [u8]> {
    let mut rest: &[u8] = include_bytes!("../kept/port_process");
    std::iter::from_fn(move || {
        let (len, behind) = rest.split_first_chunk()?;
        let (input, behind) = behind.split_at_checked(u16::from_be_bytes(*len).into())?;
        rest = behind;
        Some(input)
    })
}

/// Every target.
pub fn all() -> Vec<Target> {
    vec![
        ("header_views", crate::header_views::check, header_views()),
        ("guest_frame", crate::guest_frame::check, frames()),
        ("geneve_frame", crate::geneve_frame::check, geneve_frame()),
        ("icmp_error", crate::icmp_error::check, icmp_error()),
        ("own_stack", crate::own_stack::check, own_stack()),
        ("frame_edits", crate::frame_edits::check, frame_edits()),
        (
            "program_apply",
            crate::program_apply::check,
            program_apply(),
        ),
        (
            "services",
            crate::services::check,
            behind(&[1, 0], requests()),
        ),
        ("port_process", crate::port_process::check, port_process()),
        (
            "command_dispatch",
            crate::command_dispatch::check,
            command_dispatch(),
        ),
        (
            "driver_frames",
            crate::driver_frames::check,
            driver_frames(),
        ),
        ("rule_table", crate::rule_table::check, rule_table()),
        ("rule_text", crate::rule_text::check, rule_text()),
        ("apply_file", crate::apply_file::check, apply_file()),
    ]
}

/// What guests ask the services of their port.
fn requests() -> Vec<Vec<u8>> {
    use crate::clients::*;
    let captures = [
        ARP_REQUEST,
        ARP_PROBE,
        ECHO_REQUEST,
        ECHO_REQUEST6,
        ROUTER_SOLICITATION,
        ROUTER_SOLICITATION_BARE,
        NEIGHBOUR_SOLICITATION,
        DUPLICATE_ADDRESS_DETECTION,
        DHCP_DISCOVER,
        DHCP6_SOLICIT,
        DHCP_REQUEST,
        DHCP_RENEWAL,
        DHCP_RELEASE,
        DHCP6_REQUEST,
        DHCP6_INFORMATION_REQUEST,
        DHCP6_RELEASE,
    ];
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    captures
        .iter()
        .map(|text| text.as_bytes().chunks(2).map(byte).collect())
        .collect()
}

/// What guests send.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let captured = crate::captures::CAPTURES.iter();
    let mut frames: Vec<_> = captured.map(crate::captures::frame).collect();
    frames.extend(requests());
    frames
}

/// Each header of each frame.
fn header_views() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for frame in frames() {
        let parsed = parse_guest(&frame).unwrap();
        for (kind, at) in parsed.shape.iter().zip(parsed.offsets.iter()) {
            let which = match kind {
                HeaderKind::Ethernet => 0,
                HeaderKind::Arp => 2,
                HeaderKind::Ipv4 => 3,
                HeaderKind::Ipv6 => 4,
                HeaderKind::Tcp => 10,
                HeaderKind::Udp => 11,
                HeaderKind::Icmpv4 => 8,
                HeaderKind::Icmpv6 => 9,
                _ => continue,
            };
            let bytes = &frame[usize::from(at)..];
            seeds.push([&[which], bytes].concat());
            // The same bytes as each message; most are refused by its own constants.
            if matches!(which, 8 | 9) {
                seeds.extend((30..56).map(|which| [&[which], bytes].concat()));
            }
            let options: Option<(u8, usize)> = match which {
                10 => Some((13, 20)),
                11 if bytes.len() > 248 => Some((15, 248)),
                11 => Some((16, 12)),
                9 => Some((17, 24)),
                _ => None,
            };
            if let Some((list, Some(bytes))) = options.map(|(list, at)| (list, bytes.get(at..))) {
                seeds.push([&[list], bytes].concat());
            }
        }
    }
    seeds
}

fn geneve_frame() -> Vec<Vec<u8>> {
    let wrapped = frames().into_iter().map(|frame| {
        let tunnel = tunnelled(&frame, [0, 0, 10], true);
        [&[1][..], &tunnel].concat()
    });
    behind(&[0], frames()).into_iter().chain(wrapped).collect()
}

/// Each packet, alone and in an error about it, of both families.
fn icmp_error() -> Vec<Vec<u8>> {
    let head = [0, 0x12, 0x34, 0, 80, 9, 8, 7, 6, 5, 4, 3, 2];
    let mut seeds = behind(&head, frames());
    for frame in frames() {
        let parsed = parse_guest(&frame).unwrap();
        let (Some(l3), true) = (parsed.l3(), parsed.l3_kind().is_ip()) else {
            continue;
        };
        let packet = &frame[l3..frame.len().min(l3 + 120)];
        let v4 = parsed.l3_kind() == HeaderKind::Ipv4;
        let mut message = vec![if v4 { 3 } else { 1 }, 1, 0, 0, 0, 0, 0, 0];
        message.extend(packet);
        let mut error = frame[..14].to_vec();
        let len = message.len() as u16;
        if v4 {
            error[12..14].copy_from_slice(&[8, 0]);
            let ip = Ipv4 {
                total_len: 20 + len,
                protocol: opte_headers::IpProtocol::ICMP,
                ..Ipv4::default()
            };
            let mut bytes = [0; 20];
            ip.emit(&mut bytes).unwrap();
            error.extend(bytes);
        } else {
            error[12..14].copy_from_slice(&[0x86, 0xdd]);
            error.extend([0x60, 0, 0, 0]);
            error.extend(len.to_be_bytes());
            error.extend([58, 64]);
            error.extend([0xfd; 32]);
        }
        error.extend(message);
        if let Ok(parsed) = parse_guest(&error) {
            crate::edits::complete(&mut error, &parsed);
        }
        seeds.extend([[&head[..], &error].concat()]);
    }
    seeds
}

fn frame_edits() -> Vec<Vec<u8>> {
    let value = [0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4];
    let edits: Vec<u8> = (0..crate::edits::EDITS)
        .take(11)
        .flat_map(|which| [&[which * 2][..], &value].concat())
        .collect();
    let with = |mode: u8| behind(&[&[mode, 11][..], &edits].concat(), frames());
    [0, 1, 5, 8, 15].into_iter().flat_map(with).collect()
}

/// Frames of all three stacks, cut here and there.
fn own_stack() -> Vec<Vec<u8>> {
    let mut seeds = behind(&[0, 20, 40, 128], frames());
    seeds.extend(behind(&[2, 1, 50, 255], frames()));
    let inner = &frames()[0];
    let tunnel = tunnelled(inner, [0, 0, 10], true);
    seeds.push([&[1, 10, 60, 200][..], &tunnel].concat());
    for room in [0, 7] {
        let mut lab = vec![0xab, 1, 1, room, 9, 9];
        lab.extend(inner);
        let len = lab.len() as u16;
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x47];
        frame.extend([0, 5, 0, 64, 0, 6, 1, 64, 0x45, 0]);
        frame.extend((28 + len).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 9]);
        frame.extend(7000_u16.to_be_bytes());
        frame.extend((8 + len).to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(lab);
        seeds.push([&[2, 20, 70, 255][..], &frame].concat());
    }
    seeds
}

fn program_apply() -> Vec<Vec<u8>> {
    let stack = [
        HeaderSpec::of::<Ethernet>(),
        HeaderSpec::of::<Ipv4>(),
        HeaderSpec::of::<Tcp>(),
    ];
    let programs = [
        Program::IDENTITY,
        Program::pop(&stack).unwrap(),
        Program::push(&stack, &stack[0], &[7; 14]).unwrap(),
        Program::set(&stack, 1, 96, 32, &[10, 0, 0, 9]).unwrap(),
        Program::set(&stack, 2, 0, 16, &[9, 9]).unwrap(),
    ];
    let mut seeds = Vec::new();
    for program in programs {
        let head = [&[0, 0, 128, 1, 2, 0][..], program.as_bytes()].concat();
        seeds.extend(behind(&head, frames().into_iter().take(7).collect()));
    }
    // The shape of a frame, then what happens to it.
    for shape in 0..24 {
        let mut seed = vec![1, shape % 8, shape / 8];
        seed.extend((0..250_u8).map(|n| n.wrapping_mul(37) ^ shape));
        seeds.push(seed);
    }
    seeds
}

/// Frames of a guest and of others as events of a port.
fn port_process() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for event in [9, 10] {
        seeds.extend(frames().iter().map(|frame| {
            let len = (frame.len() as u16).to_be_bytes();
            [&[40, 2, event][..], &len, frame].concat()
        }));
    }
    // A connection, its answers, then commands and time.
    for choice in 0..24_u8 {
        seeds.push(vec![
            choice,
            choice % 4,
            13,
            choice * 11,
            0,
            choice % 2,
            choice % 3,
            0,
            3,
            choice % 4,
            2,
            1,
            5,
            0,
            5,
            0,
            18,
            0,
            choice % 2,
            2,
            1,
            3,
            1,
            16,
            1,
            5,
            11,
            choice * 9,
            5,
            0,
            16,
            15,
            1,
            0,
            9,
            5,
            0,
        ]);
    }
    seeds
}

/// Each command by itself, and a port with all that can be set.
fn command_dispatch() -> Vec<Vec<u8>> {
    use opte::api::*;
    use oxide_vpc::api::*;
    let page = Page::FIRST;
    let port_name = || "opte0".to_string();
    let cfg = crate::memory::guest_cfg(0, 10, 5);
    let create = CreateXdeReq {
        passthrough: false,
        ..crate::memory::create_req("opte0", cfg.clone())
    };
    let entry = RouterEntry {
        dest: "0.0.0.0/0".parse().unwrap(),
        target: "ig".parse().unwrap(),
        class: RouterClass::System,
    };
    let rule: FirewallRule = "dir=in action=allow priority=9 hosts=vni=7 protocol=tcp port=22"
        .parse()
        .unwrap();
    let phys = PhysNet {
        ether: cfg.guest_mac,
        ip: cfg.phys_ip,
        vni: cfg.vni,
    };
    let endpoint = TunnelEndpoint {
        ip: cfg.phys_ip,
        vni: cfg.vni,
    };
    let vip = [10, 0, 0, 1].into();
    let external = ExternalIpCfg {
        floating_ips: vec![[203, 0, 113, 9].into()],
        ..ExternalIpCfg::NONE
    };
    let all = vec![
        command(&create),
        command(&AddFwRuleReq {
            port_name: port_name(),
            rule: rule.clone(),
        }),
        command(&SetFwRulesReq {
            port_name: port_name(),
            rules: vec![rule],
        }),
        command(&RemFwRuleReq {
            port_name: port_name(),
            dir: Direction::In,
            id: 1,
        }),
        command(&AddRouterEntryReq {
            port_name: port_name(),
            entry,
        }),
        command(&DelRouterEntryReq {
            port_name: port_name(),
            entry,
        }),
        command(&SetExternalIpsReq {
            port_name: port_name(),
            external_ips_v4: Some(external),
            external_ips_v6: None,
            inet_gw_map: None,
        }),
        command(&SetVirt2PhysReq { vip, phys }),
        command(&ClearVirt2PhysReq { vip, phys }),
        command(&SetVirt2BoundaryReq {
            vip: "0.0.0.0/0".parse().unwrap(),
            tep: vec![endpoint],
        }),
        command(&ClearVirt2BoundaryReq {
            vip: "0.0.0.0/0".parse().unwrap(),
            tep: vec![endpoint],
        }),
        command(&ListPortsReq { page }),
        command(&DumpVirt2PhysReq { page }),
        command(&DumpVirt2BoundaryReq { page }),
        command(&DumpStatsReq {
            port_name: None,
            page,
        }),
        command(&DumpLayerReq {
            port_name: port_name(),
            name: "firewall".to_string(),
            page,
            filter: opte::api::FlowFilter::ALL,
            rule: None,
        }),
        command(&DumpUftReq {
            port_name: port_name(),
            page,
            filter: opte::api::FlowFilter::ALL,
        }),
        command(&DeleteXdeReq { name: port_name() }),
        command(&ClearXdeUnderlayReq {}),
        command(&SetXdeUnderlayReq {
            u1: "u0".to_string(),
            u2: Some("u1".to_string()),
        }),
    ];
    let mut seeds = vec![all.concat()];
    seeds.extend(all.iter().map(|one| [&all[0][..], one].concat()));
    seeds.push([&[252, 0, 0], &all[0][..]].concat());
    seeds
}

/// A command as an event: which, the length of its body, the body.
fn command<R: opte::api::Request>(request: &R) -> Vec<u8> {
    let which = opte::api::OpteCmd::ALL
        .iter()
        .position(|command| *command == R::COMMAND);
    let body = postcard::to_allocvec(request).unwrap();
    let len = (body.len() as u16).to_be_bytes();
    [&[which.unwrap() as u8][..], &len, &body].concat()
}

fn driver_frames() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for frame in frames() {
        let len = (frame.len() as u16).to_be_bytes();
        seeds.push([&[0, 0, 14][..], &len, &frame].concat());
        let tunnel = tunnelled(&frame, [0, 0, 10], false);
        let len = (tunnel.len() as u16).to_be_bytes();
        seeds.push([&[4, 1, 0][..], &len, &tunnel].concat());
    }
    // Small and large ones, to guests near and far, cut by all ways there are.
    for choice in 0..24 {
        seeds.push(vec![
            1,
            0,
            1 + choice % 2,
            choice / 2 % 2,
            choice,
            5,
            120,
            30,
            choice,
            choice / 4 % 2,
            24,
            0,
            5,
            0,
            1,
            30,
            7,
            1,
            0,
            5,
            0,
            0,
            1,
            1,
        ]);
    }
    seeds
}

/// Bytes without a pattern: every choice there is.
fn rule_table() -> Vec<Vec<u8>> {
    let byte = |seed: u32, at: u32| {
        let mixed = (at ^ seed << 16).wrapping_mul(0x9e37_79b9);
        ((mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 24) as u8
    };
    (1..4)
        .map(|seed| (0..300).map(|at| byte(seed, at)).collect())
        .collect()
}

fn rule_text() -> Vec<Vec<u8>> {
    let texts = [
        "dir=in action=allow priority=10 hosts=any protocol=tcp port=22,80-90",
        "dir=out action=deny priority=65535 hosts=subnet=10.0.0.0/8 protocol=icmp:8,0",
        "dir=in action=allow priority=1 hosts=ip=fd00::1 protocol=icmp6:128",
        "dir=out action=reject priority=7 hosts=ip=10.0.0.1,subnet=fd00::/8,vni=7 protocol=udp source-port=53,1024-2047 port=any",
        "dir=in action=allow priority=1 hosts=vni=77 protocol=17 # a comment\n\ndir=out action=allow priority=2",
        "ig=3cc5d3a1-6b4f-4fcd-a6d7-31a0b7a4f1a1",
        "ig",
        "drop",
        "ip6=fd00::7",
        "sub4=172.30.0.0/22",
        "a8:40:25:f0:00:01",
        "fd00:1::/64",
        "1024-2047",
        "oxide.example.com",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A file with something of everything, in both formats.
fn apply_file() -> Vec<Vec<u8>> {
    const PORT: &str = r#"[[port]]
name = "opte0"
vni = 10
guest-mac = "a8:40:25:f0:00:01"
gateway-mac = "a8:40:25:ff:77:77"
underlay-address = "fd00:1::1"
netns = "guest0"
mtu = 9000
firewall = ["dir=in action=allow priority=100 hosts=ip=10.0.0.1,vni=7 source-port=1-9 port=22"]
routes = ["10.0.0.0/24 sub4=10.0.0.0/24 system", "::/0 drop custom"]
transit = ["10.5.0.0/16", "fd05::/48 in"]
subnets = ["203.0.113.64/28 external"]
peers = [20, 30]
meter-in = "bits=1Gbit/s new-flows=1k/s flows=10"
meter-out = "packets=10k/s burst=1s"
[port.internet-gateways]
"203.0.113.7" = ["6e1b9c7e-6a3c-4d5b-9d0e-000000000001"]
[port.dhcp]
hostname = "guest"
domain-search = ["a.example"]
dns-servers = ["192.0.2.53", "2001:db8::53"]
[port.ipv4]
address = "10.0.0.11"
subnet = "10.0.0.0/24"
gateway = "10.0.0.1"
snat = { address = "203.0.113.1", ports = "1024-2047" }
ephemeral = "203.0.113.7"
[port.ipv6]
address = "fd10::11"
subnet = "fd10::/64"
gateway = "fd10::1"
floating = ["2001:db8::7"]
"#;
    const REST: &str = r#"[[v2p]]
vni = 10
address = "10.0.0.77"
mac = "a8:40:25:f0:00:77"
underlay-address = "fd00:2::1"
[[v2b]]
prefix = "0.0.0.0/0"
vni = 98
endpoints = ["fd00:99::3"]
[[m2p]]
group = "239.1.2.3"
underlay = "ff04::1"
[[mcast-forward]]
underlay = "ff04::1"
next-hop = "fd00:3::1"
replication = "both"
exclude = ["10.0.0.9"]
"#;
    const SUBSCRIBED: &str = r#"[[mcast-subscribe]]
port = "opte0"
group = "239.1.2.3"
include = ["10.0.0.77"]
"#;
    let whole = format!("underlay = [\"u0\", \"u1\"]\n{PORT}{REST}{SUBSCRIBED}");
    let config = opteadm::config::Config::parse(&whole).unwrap();
    let json = config.to_text(opteadm::config::Format::Json).unwrap();
    [whole, json].map(String::into_bytes).into()
}

fn behind(head: &[u8], frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| [head, frame].concat()).collect()
}

#[cfg(test)]
mod tests {
    /// One in so many of those that were kept; all of them take minutes without optimisation.
    const SOME: usize = 32;

    #[test]
    fn some_of_what_was_kept() {
        assert!(super::kept().count() > SOME);
        super::kept()
            .step_by(SOME)
            .for_each(crate::port_process::check);
    }

    #[test]
    #[ignore = "minutes; run in release: cargo test --release --manifest-path fuzz/Cargo.toml --lib -- --ignored"]
    fn all_that_was_kept() {
        super::kept().for_each(crate::port_process::check);
    }

    #[test]
    fn every_seed_and_every_part_of_it() {
        for (name, check, seeds) in super::all() {
            assert!(!seeds.is_empty(), "{name}");
            for seed in seeds {
                for len in 0..=seed.len() {
                    check(&seed[..len]);
                }
            }
        }
    }
}
