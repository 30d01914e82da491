//! A guest's port in a VPC: frames both ways, commands and time in any order. Every frame is counted once, checksums that were
//! right stay right, no table outgrows its limit, and when time has passed nothing is left.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::geneve_frame::tunnelled;
use crate::input::Input;
use crate::memory::frames::{Body, Frame, tcp, udp};
use crate::memory::guest_cfg;
use opte::api::Page;
use opte::port::{Limits, PortState, Traffic, Verdict};
use opte::provider::{NoLog, SeededRandom};
use opte::time::Moment;
use opte::{Direction, DropReason, Packet};
use opte_headers::checksum::Sum;
use opte_headers::frame::{Fragment, HeaderKind, Parsed, parse_geneve, parse_guest};
use opte_headers::{MacAddr, TcpFlags, Vni};
use oxide_vpc::api::{
    ExternalIpCfg, GuestPhysAddr, IpCfg, PortRange, RouterClass, RouterEntry, SNatCfg,
    TunnelEndpoint,
};
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC};
use oxide_vpc::port::{Host, Mappings, VpcPort};

const VPC: u32 = 10;
const PEER_MAC: MacAddr = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0, 7]);

struct World {
    port: VpcPort,
    host: Host,
    now: Moment,
    /// What the port last sent.
    sent: Vec<Vec<u8>>,
    rules: Vec<(Direction, u64)>,
}

/// A configuration, then what happens.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut world = World::new(&mut input);
    for _ in 0..96 {
        if input.is_empty() {
            break;
        }
        world.event(&mut input);
        world.is_consistent();
    }
    world.comes_to_rest();
}

impl World {
    fn new(input: &mut Input<'_>) -> Self {
        let host = Host {
            mappings: Mappings::default(),
            random: Arc::new(SeededRandom::new(1)),
            log: Arc::new(NoLog),
            limits: Limits {
                flows: NonZeroU32::MIN.saturating_add(input.byte().into()),
                flows_per_remote: NonZeroU32::new((input.byte() % 8).into()),
                flows_per_address: NonZeroU32::new(input.byte().into()),
                ..Limits::default()
            },
        };
        let mut cfg = guest_cfg(0, VPC, 5);
        if let IpCfg::DualStack { ipv4, ipv6 } = cfg.ip_cfg.clone() {
            match input.below(4) {
                0 => cfg.ip_cfg = IpCfg::Ipv4(ipv4),
                1 => cfg.ip_cfg = IpCfg::Ipv6(ipv6),
                _ => {}
            }
        }
        let port = VpcPort::new("opte0", cfg, 1500, &[], &host).unwrap();
        port.port().start();
        port.locate();
        let mut world = Self {
            port,
            host,
            now: Moment::from_secs(1),
            sent: Vec::new(),
            rules: Vec::new(),
        };
        // To begin with, everything goes.
        for n in 0..4 {
            world.route(n, true);
        }
        world.rule(0);
        for ip in [world.peer(true), world.peer(false)] {
            world.map(ip, true);
        }
        world.boundary(true);
        world
    }

    fn event(&mut self, input: &mut Input<'_>) {
        match input.below(18) {
            0..=4 => {
                let frame = self.guests_frame(input);
                self.process(Direction::Out, &frame);
            }
            5..=7 => {
                if let Some(reply) = self.reply(input) {
                    self.process(Direction::In, &reply);
                }
            }
            8 => {
                let inner = self.peers_frame(input);
                let vni = input.pick(&[[0, 0, VPC as u8], [0, 0, 99], [0, 0, 11]]);
                let frame = tunnelled(&inner, vni, input.below(2) == 1);
                self.process(Direction::In, &frame);
            }
            9 => {
                let len = input.word();
                self.process(Direction::Out, input.up_to(len.into()));
            }
            10 => {
                let len = input.word();
                let frame = tunnelled(input.up_to(len.into()), [0, 0, VPC as u8], len % 2 == 1);
                self.process(Direction::In, &frame);
            }
            11 => {
                let choice = input.byte();
                self.rule(choice);
            }
            12 => self.route(input.below(8), input.below(2) == 0),
            13 => self.external_ips(input.byte()),
            14 => match input.below(4) {
                0 => self.boundary(true),
                1 => self.boundary(false),
                n => self.map(self.peer(n == 2), input.below(2) == 0),
            },
            15 => {
                self.now = self.now + Duration::from_secs(input.word().into());
                self.port.port().expire(self.now, input.byte().into());
            }
            16 => {
                let layer = input.pick(&["gateway", "firewall", "router", "nat", "overlay", ""]);
                let _ = match input.below(5) {
                    0 => self.port.port().clear_uft(),
                    1 => self.port.port().clear_lft(layer),
                    2 => self.port.port().pause(),
                    3 => self.port.port().dump_layer(layer, Page::FIRST).map(drop),
                    _ => {
                        self.port.port().reset();
                        Ok(())
                    }
                };
            }
            _ => self.port.port().start(),
        }
    }

    fn guests_frame(&self, input: &mut Input<'_>) -> Vec<u8> {
        let v4 = input.below(2) == 0;
        let to: IpAddr = if v4 {
            input
                .pick(&[
                    [172, 30, 0, 7],
                    [172, 30, 0, 1],
                    [198, 51, 100, 7],
                    [224, 0, 0, 9],
                ])
                .into()
        } else {
            let to = input.pick(&["fd00:1::7", "fe80::1", "2001:db8::7", "ff02::1"]);
            to.parse().unwrap()
        };
        let from = (self.port.cfg().guest_mac, self.own(v4));
        edited(
            Frame::new(from, (GATEWAY_MAC, to), body(input)).bytes(),
            input,
        )
    }

    fn peers_frame(&self, input: &mut Input<'_>) -> Vec<u8> {
        let v4 = input.below(2) == 0;
        let to = (self.port.cfg().guest_mac, self.own(v4));
        edited(
            Frame::new((PEER_MAC, self.peer(v4)), to, body(input)).bytes(),
            input,
        )
    }

    /// A frame that was sent, with its ends exchanged; the sums do not mind.
    fn reply(&self, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let choice = usize::from(input.byte());
        let mut frame = self.sent.get(choice % self.sent.len().max(1))?.clone();
        let parsed = parse_geneve(&frame).unwrap();
        swap(&mut frame, 22, 38, 16);
        let (l2, l3) = (parsed.l2(), parsed.l3()?);
        swap(&mut frame, l2, l2 + 6, 6);
        match parsed.l3_kind() {
            HeaderKind::Ipv4 => swap(&mut frame, l3 + 12, l3 + 16, 4),
            HeaderKind::Ipv6 => swap(&mut frame, l3 + 8, l3 + 24, 16),
            _ => return None,
        }
        match (parsed.l4_kind(), parsed.l4()) {
            (HeaderKind::Tcp, Some(l4)) => {
                swap(&mut frame, l4, l4 + 2, 2);
                frame[l4 + 13] = input.byte();
            }
            (HeaderKind::Udp, Some(l4)) => swap(&mut frame, l4, l4 + 2, 2),
            (HeaderKind::Icmpv4, Some(l4)) => frame[l4] = 0,
            (HeaderKind::Icmpv6, Some(l4)) => frame[l4] = 129,
            _ => {}
        }
        // The inner frame goes to the guest from its gateway.
        frame[l2..l2 + 6].copy_from_slice(&self.port.cfg().guest_mac.octets());
        let external = parsed.key.vni() == BOUNDARY_VNI;
        let inner = frame[l2..].to_vec();
        Some(tunnelled(&inner, parsed.key.vni, external))
    }

    fn process(&mut self, dir: Direction, frame: &[u8]) {
        let port = self.port.port();
        let _ = port.trace(dir, self.now, frame);
        let before = *port.counters().traffic.get(dir);
        let mut buf = [&[0; 128], frame].concat();
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, 128, end).unwrap();
        let mut reply = [0; 1600];
        let verdict = port.process(dir, self.now, &mut packet, &mut reply);
        let after = *port.counters().traffic.get(dir);
        let change = |of: fn(&Traffic) -> u64| of(&after) - of(&before);
        let (sent, answered) = (change(|t| t.forwarded), change(|t| t.hairpins));
        let counted = (sent, answered, change(|t| t.drops.total()));
        match verdict {
            // Others that waited for longer may have had to go for it.
            Verdict::Held => {
                assert_eq!((counted.0, counted.1), (0, 0));
                let orphans = |t: &Traffic| t.drops.get(DropReason::FragmentOrphan);
                assert_eq!(counted.2, orphans(&after) - orphans(&before));
            }
            Verdict::ForwardWithHeld { .. } => {
                let released = port.take_released();
                assert!(!released.is_empty() && counted.0 <= 1 + released.len() as u64);
                let after = packet.frame().to_vec();
                self.is_right(dir, frame, &after);
            }
            Verdict::Forward { .. } => {
                assert_eq!(counted.0, 1);
                let after = packet.frame().to_vec();
                self.is_right(dir, frame, &after);
            }
            Verdict::Hairpin(len) => {
                assert_eq!(counted, (0, 1, 0));
                let parsed = parse_guest(&reply[..len as usize]).expect("an answer is a frame");
                assert_ne!(sums_are_right(&parsed, &reply[..len as usize]), Some(false));
            }
            Verdict::Drop(reason) => {
                // Fragments that were held for this one may go with it.
                assert!(counted.0 == 0 && counted.1 == 0 && counted.2 >= 1);
                assert!(after.drops.iter().any(|(counted, _)| counted == reason));
            }
        }
    }

    /// What was let through is a frame of the other side, and its sums are right if they were.
    fn is_right(&mut self, dir: Direction, before: &[u8], after: &[u8]) {
        let (old, new) = match dir {
            Direction::Out => (parse_guest(before), parse_geneve(after)),
            Direction::In => (parse_geneve(before), parse_guest(after)),
        };
        let (old, new) = (old.unwrap(), new.expect("what comes out is no frame"));
        if sums_are_right(&old, before) == Some(true) {
            assert_eq!(
                sums_are_right(&new, after),
                Some(true),
                "{} as {}",
                old.key,
                new.key
            );
        }
        match dir {
            Direction::Out => {
                self.sent.truncate(7);
                self.sent.insert(0, after.to_vec());
            }
            Direction::In => {
                let vni = old.key.vni();
                assert!(
                    vni == self.port.cfg().vni || vni == BOUNDARY_VNI,
                    "from network {vni}"
                );
            }
        }
    }

    fn is_consistent(&self) {
        let counters = self.port.port().counters();
        assert!(counters.flows <= counters.flow_limit);
        assert!(counters.tcp_connections <= counters.flows);
        // Flows that a rule has stopped keep theirs until they expire.
        assert!(counters.programs <= 2 * counters.flow_limit as usize);
        assert!(counters.table.high_water >= counters.flows);
        let gone = counters.table.expired + counters.table.displaced;
        assert!(counters.table.created >= u64::from(counters.flows) + gone);
        let shown = self.port.port().dump_uft(Page::FIRST).flows.len();
        assert!(shown <= 2 * counters.flows as usize);
        let shown = self.port.port().dump_tcp_flows(Page::FIRST).flows.len();
        assert!(shown <= counters.tcp_connections as usize);
    }

    fn comes_to_rest(&mut self) {
        let port = self.port.port();
        if port.state() == PortState::Paused {
            port.start();
        }
        self.now = self.now + Duration::from_secs(1 << 20);
        while port.expire(self.now, 64).more {}
        let counters = port.counters();
        assert_eq!(
            (counters.flows, counters.tcp_connections, counters.programs),
            (0, 0, 0)
        );
    }

    /// A port that is paused takes no changes.
    fn is_paused(&self) -> bool {
        self.port.port().state() == PortState::Paused
    }

    fn rule(&mut self, choice: u8) {
        if self.is_paused() {
            return;
        }
        const RULES: [&str; 7] = [
            "dir=in action=allow priority=100",
            "dir=in action=deny priority=50 protocol=udp",
            "dir=out action=deny priority=50 protocol=tcp port=80",
            "dir=in action=allow priority=10 protocol=icmp",
            "dir=in action=deny priority=5 hosts=ip=198.51.100.7",
            "dir=out action=deny priority=1",
            "dir=in action=allow priority=9 hosts=vni=10 protocol=icmp6:128,0",
        ];
        match choice / 8 % 4 {
            0 | 1 => {
                let rule = RULES[usize::from(choice) % RULES.len()].parse().unwrap();
                let id = self.port.add_firewall_rule(&rule).unwrap();
                self.rules.push((rule.direction, id));
            }
            2 if !self.rules.is_empty() => {
                let at = usize::from(choice) % self.rules.len();
                let (dir, id) = self.rules.remove(at);
                self.port.remove_firewall_rule(dir, id).unwrap();
            }
            // So many that they are no more asked one after another.
            _ => {
                let of_port = |n| {
                    format!(
                        "dir=in action=deny priority=90 protocol=tcp port={n}-{}",
                        n + 9
                    )
                };
                let many = (0..choice / 8).map(|n| of_port(2000 * u32::from(n) + 1));
                let few = RULES[..usize::from(choice) % 8].iter();
                let rules: Vec<_> = few
                    .map(ToString::to_string)
                    .chain(many)
                    .map(|rule| rule.parse().unwrap())
                    .collect();
                self.port.set_firewall_rules(&rules).unwrap();
                self.rules.clear();
            }
        }
    }

    fn route(&self, n: usize, add: bool) {
        const ROUTES: [(&str, &str); 8] = [
            ("172.30.0.0/22", "sub4=172.30.0.0/22"),
            ("fd00:1::/64", "sub6=fd00:1::/64"),
            ("0.0.0.0/0", "ig"),
            ("::/0", "ig"),
            ("198.51.100.0/24", "drop"),
            ("198.51.100.7/32", "ip4=172.30.0.7"),
            ("2001:db8::7/128", "ip6=fd00:1::7"),
            ("203.0.113.0/24", "drop"),
        ];
        let (dest, target) = ROUTES[n];
        let entry = RouterEntry {
            dest: dest.parse().unwrap(),
            target: target.parse().unwrap(),
            class: RouterClass::System,
        };
        let had = self.port.router_entries().contains(&entry);
        let done = if add {
            self.port.add_router_entry(&entry)
        } else {
            self.port.remove_router_entry(&entry)
        };
        assert_eq!(done.is_ok(), had != add && !self.is_paused());
        let has = self.port.router_entries().contains(&entry);
        assert_eq!(has, if done.is_ok() { add } else { had });
    }

    fn external_ips(&self, choice: u8) {
        let ports = PortRange::new(1024, 1024 + u16::from(choice % 7)).unwrap();
        let v4 = ExternalIpCfg {
            snat: (choice & 1 != 0).then_some(SNatCfg {
                external_ip: [203, 0, 113, 9].into(),
                ports,
            }),
            ephemeral_ip: (choice & 2 != 0).then_some([203, 0, 113, 10].into()),
            floating_ips: (20..20 + (choice >> 4 & 3))
                .map(|n| [203, 0, 113, n].into())
                .collect(),
        };
        let v6 = ExternalIpCfg {
            snat: (choice & 4 != 0).then_some(SNatCfg {
                external_ip: "2001:db8:f::9".parse().unwrap(),
                ports,
            }),
            ephemeral_ip: (choice & 8 != 0).then_some("2001:db8:f::a".parse().unwrap()),
            floating_ips: Vec::new(),
        };
        let before = (self.port.external_ips_v4(), self.port.external_ips_v6());
        let done = self
            .port
            .set_external_ips(Some(v4.clone()), Some(v6.clone()), None);
        let after = (self.port.external_ips_v4(), self.port.external_ips_v6());
        assert_eq!(after, if done.is_ok() { (v4, v6) } else { before });
    }

    fn map(&self, ip: IpAddr, set: bool) {
        let vni = Vni::new(VPC).unwrap();
        let phys = GuestPhysAddr {
            ether: PEER_MAC,
            ip: Ipv6Addr::new(0xfd00, 0xaaaa, 0, 0, 0, 0, 0, 2),
        };
        if set {
            self.host.mappings.v2p.set(vni, ip, phys);
        } else {
            self.host.mappings.v2p.clear(vni, ip);
        }
    }

    fn boundary(&self, set: bool) {
        let endpoint = TunnelEndpoint {
            ip: Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1),
            vni: BOUNDARY_VNI,
        };
        for all in ["0.0.0.0/0", "::/0"] {
            let all = all.parse().unwrap();
            if set {
                self.host.mappings.v2b.set(all, &[endpoint]);
            } else {
                self.host.mappings.v2b.clear(all, &[endpoint]);
            }
        }
    }

    fn own(&self, v4: bool) -> IpAddr {
        if v4 {
            [172, 30, 0, 5].into()
        } else {
            Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 5).into()
        }
    }

    fn peer(&self, v4: bool) -> IpAddr {
        if v4 {
            [172, 30, 0, 7].into()
        } else {
            Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 7).into()
        }
    }
}

fn body(input: &mut Input<'_>) -> Body {
    let ports = [1000, 1001, 1024, 80, 53, 443];
    let (source, destination) = (input.pick(&ports), input.pick(&ports));
    let data = vec![b'x'; input.below(32)];
    match input.below(4) {
        0 => udp(source, destination, &data),
        1 | 2 => {
            let flags = TcpFlags::from_bits_retain(input.byte());
            let number = u32::from(input.byte());
            tcp(source, destination, flags, 100 + number, number, &data)
        }
        _ => Body::Icmp {
            ty: input.pick(&[8, 0, 3, 128, 129, 1, 2]),
            code: 0,
            identifier: source,
            sequence: 1,
            data,
        },
    }
}

/// The frame with up to three bytes changed, or as it is.
fn edited(mut frame: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    for _ in 0..input.byte().saturating_sub(252) {
        let at = input.below(frame.len().min(256));
        frame[at] = input.byte();
    }
    frame
}

fn swap(frame: &mut [u8], a: usize, b: usize, len: usize) {
    let (front, back) = frame.split_at_mut(b);
    front[a..a + len].swap_with_slice(&mut back[..len]);
}

/// Whether the innermost headers have the checksums they should; none where it cannot be told.
fn sums_are_right(parsed: &Parsed, frame: &[u8]) -> Option<bool> {
    let (l3, l4) = (parsed.l3()?, parsed.l4()?);
    if parsed.fragment != Fragment::No {
        return None;
    }
    let frame = &frame[..parsed.frame_len as usize];
    let payload = &frame[l4..];
    let of = |sum: Sum| sum.checksum() == 0;
    let v4 = parsed.l3_kind() == HeaderKind::Ipv4;
    if v4 && !of(Sum::of(&frame[l3..l4])) {
        return Some(false);
    }
    let addresses = if v4 {
        l3 + 12..l3 + 20
    } else {
        l3 + 8..l3 + 40
    };
    let pseudo = |protocol| {
        Sum::of(&frame[addresses.clone()])
            .with_word(protocol)
            .with_word(payload.len() as u16)
            .plus(Sum::of(payload))
    };
    Some(match parsed.l4_kind() {
        HeaderKind::Tcp => of(pseudo(6)),
        // What is behind the datagram's own length is not covered.
        HeaderKind::Udp if payload[4..6] != (payload.len() as u16).to_be_bytes() => return None,
        HeaderKind::Udp => payload[6..8] == [0, 0] || of(pseudo(17)),
        HeaderKind::Icmpv4 => of(Sum::of(payload)),
        HeaderKind::Icmpv6 => of(pseudo(58)),
        _ => return None,
    })
}
