//! A port of the reference VPC: dual-stack, a share and an ephemeral address for both families, a default route to the internet
//! gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::sync::Arc;

use opte::port::{Limits, Verdict};
use opte::provider::{NoLog, SeededRandom};
use opte::time::Moment;
use opte::{Direction, Packet};
use opte_headers::frame::{parse_geneve, parse_guest};
use opte_headers::{
    Ethernet, Geneve, GeneveOption, Ipv6, MacAddr, Options, Program, TcpFlags, Transform, Udp,
    stack,
};
use oxide_vpc::api::{
    DhcpCfg, ExternalIpCfg, FirewallRule, IpCfg, Ipv4Cfg, Ipv6Cfg, PortRange, RouterClass,
    RouterEntry, SNatCfg, TunnelEndpoint, VpcCfg,
};
use oxide_vpc::network::BOUNDARY_VNI;
use oxide_vpc::port::{Host, Mappings, VpcPort};

use crate::frames::{self, GATEWAY_MAC, GUEST, GUEST_MAC, HOST, VNI};

/// Who the guest talks to.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
pub(crate) const ENDPOINT: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1);
pub(crate) const HEAD_ROOM: usize = 128;

/// A port of the reference VPC: dual-stack, a share and an ephemeral address for both families, a default route to the
/// internet gateway.
pub(crate) struct Reference {
    pub(crate) vpc: VpcPort,
    pub(crate) mappings: Mappings,
    pub(crate) now: Moment,
}

impl Reference {
    pub(crate) fn new(flows: u32) -> Self {
        Self::of(flows, &config())
    }

    /// Without ephemeral addresses: what the guest sends comes from ports of the shares.
    pub(crate) fn sharing(flows: u32) -> Self {
        let mut config = config();
        if let IpCfg::DualStack { ipv4, ipv6 } = &mut config.ip_cfg {
            ipv4.external_ips.ephemeral_ip = None;
            ipv6.external_ips.ephemeral_ip = None;
        }
        Self::of(flows, &config)
    }

    fn of(flows: u32, config: &VpcCfg) -> Self {
        let host = Host {
            mappings: Mappings::default(),
            random: Arc::new(SeededRandom::new(1)),
            log: Arc::new(NoLog),
            limits: Limits {
                flows: NonZeroU32::new(flows).unwrap_or(NonZeroU32::MIN),
                ..Limits::default()
            },
        };
        let vpc = VpcPort::new("opte0", config.clone(), 1500, &[], &host)
            .expect("the reference configuration is valid");
        for dest in ["0.0.0.0/0", "::/0"] {
            let dest = dest.parse().expect("a prefix");
            host.mappings.v2b.set(
                dest,
                &[TunnelEndpoint {
                    ip: ENDPOINT,
                    vni: BOUNDARY_VNI,
                }],
            );
            let target = "ig".parse().expect("a target");
            vpc.add_router_entry(&RouterEntry {
                dest,
                target,
                class: RouterClass::System,
            })
            .expect("a route");
        }
        vpc.port().start();
        Self {
            vpc,
            mappings: host.mappings,
            now: Moment::from_secs(1),
        }
    }

    /// With so many rules in the firewall, none of which is about the flows made here.
    pub(crate) fn with_rules(flows: u32, count: usize) -> Self {
        let reference = Self::new(flows);
        let rules: Vec<_> = (0..count).map(rule).collect();
        reference.vpc.set_firewall_rules(&rules).expect("rules");
        reference
    }

    pub(crate) fn process(&self, dir: Direction, buf: &mut [u8]) -> Verdict {
        let mut packet = packet(buf);
        self.vpc.port().process(dir, self.now, &mut packet, &mut [])
    }

    /// A frame that must pass; as it comes out.
    pub(crate) fn pass(&self, dir: Direction, frame: &[u8]) -> Vec<u8> {
        let mut buf = buffer(frame);
        let mut packet = packet(&mut buf);
        let verdict = self.vpc.port().process(dir, self.now, &mut packet, &mut []);
        assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
        packet.frame().to_vec()
    }

    /// Opens a connection of the guest; gives the segments that then pass in both directions.
    pub(crate) fn connection(&self) -> (Vec<u8>, Vec<u8>) {
        let (here, there) = (SocketAddrV4::new(GUEST, 40_000), SocketAddrV4::new(FAR, 80));
        // The guest begins at 1,000, the far end at 5,000.
        let out = |flags, seq, ack| {
            numbered(
                frames::tcp(frames::from_guest(), here, there, flags),
                seq,
                ack,
            )
        };
        let tunnelled = self.pass(Direction::Out, &out(TcpFlags::SYN, 1_000, 0));
        let key = parse_geneve(&tunnelled).expect("a frame of the tunnel").key;
        let IpAddr::V4(address) = key.source_ip() else {
            unreachable!("NAT keeps the family")
        };
        let outside = SocketAddrV4::new(address, key.source_port);
        let back = |flags, seq, ack| {
            let frame = frames::tcp(frames::from_peer(), there, outside, flags);
            from_boundary(&numbered(frame, seq, ack))
        };
        let syn_ack = TcpFlags::SYN.union(TcpFlags::ACK);
        self.pass(Direction::In, &back(syn_ack, 5_000, 1_001));
        self.pass(Direction::Out, &out(TcpFlags::ACK, 1_001, 5_001));
        (
            out(TcpFlags::ACK, 1_001, 5_001),
            back(TcpFlags::ACK, 5_001, 1_001),
        )
    }

    /// Makes this many UDP flows.
    pub(crate) fn flows(&self, count: usize) {
        let mut ring = Ring::new(0);
        for number in 0..count {
            let buf = ring.one(number);
            let verdict = self.process(Direction::Out, buf);
            assert!(
                matches!(verdict, Verdict::Forward { .. }),
                "flow {number}: {verdict:?}"
            );
        }
    }

    /// Makes this many UDP flows, each with an answer.
    pub(crate) fn answered_flows(&self, count: usize) {
        for number in 0..count {
            let frame = udp(number, 0);
            let asked = parse_guest(&frame).expect("a frame").key;
            let tunnelled = self.pass(Direction::Out, &frame);
            let key = parse_geneve(&tunnelled).expect("a frame of the tunnel").key;
            let IpAddr::V4(address) = key.source_ip() else {
                unreachable!("NAT keeps the family")
            };
            let there = SocketAddrV4::new(FAR, asked.destination_port);
            let outside = SocketAddrV4::new(address, key.source_port);
            let answer = frames::udp(frames::from_peer(), there, outside, 0);
            self.pass(Direction::In, &from_boundary(&answer));
        }
    }

    /// Processes the frames of `bufs` in bursts; how many of them go out.
    pub(crate) fn bursts(&self, dir: Direction, bufs: &mut [Vec<u8>]) -> usize {
        let (mut forwarded, mut worker) = (0, self.vpc.port().worker());
        for bufs in bufs.as_chunks_mut::<BURST>().0 {
            let mut packets = bufs.each_mut().map(|buf| packet(buf));
            let mut verdicts = [const { Verdict::Hairpin(0) }; BURST];
            worker.process_burst(dir, self.now, &mut packets, &mut [], &mut verdicts);
            forwarded += verdicts
                .iter()
                .filter(|verdict| matches!(verdict, Verdict::Forward { .. }))
                .count();
        }
        forwarded
    }
}

/// Frames that are given to a port at once.
pub(crate) const BURST: usize = 16;

/// Buffers that frames come in again and again, as a driver has them.
pub(crate) struct Ring {
    template: Vec<u8>,
    pub(crate) bufs: Vec<Vec<u8>>,
}

impl Ring {
    /// Frames between two times that they are made anew.
    pub(crate) const LEN: usize = 16 * BURST;

    /// Of UDP datagrams with a body of so many bytes.
    pub(crate) fn new(body: usize) -> Self {
        Self::of(&udp(0, body))
    }

    /// Of this frame.
    pub(crate) fn of(frame: &[u8]) -> Self {
        let template = buffer(frame);
        Self {
            bufs: vec![template.clone(); Self::LEN],
            template,
        }
    }

    /// The frames as packets.
    pub(crate) fn packets(&mut self) -> Vec<Packet<'_>> {
        self.bufs.iter_mut().map(|buf| packet(buf)).collect()
    }

    /// The frames anew.
    pub(crate) fn refill(&mut self) {
        for buf in &mut self.bufs {
            buf.copy_from_slice(&self.template);
        }
    }

    /// The frames anew, each of the flow that `number` gives.
    pub(crate) fn refill_with(&mut self, mut number: impl FnMut() -> usize) {
        for buf in &mut self.bufs {
            buf.copy_from_slice(&self.template);
            set_ports(buf, number());
        }
    }

    /// The first buffer, anew, with a frame of this flow.
    pub(crate) fn one(&mut self, number: usize) -> &mut [u8] {
        let [buf, ..] = &mut self.bufs[..] else {
            unreachable!("a ring has buffers")
        };
        buf.copy_from_slice(&self.template);
        set_ports(buf, number);
        buf
    }
}

/// Numbers in no order, the same in every run.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    /// The next one, less than `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

/// Rules of a firewall as there are: about subnets, hosts and ports, some about those that the flows go to.
pub(crate) fn rule(number: usize) -> FirewallRule {
    let (high, low) = (number / 250 % 250, number % 250);
    let (priority, port) = (100 + number % 60_000, 1_000 + number % 60_000);
    let filters = match number % 4 {
        0 => format!("hosts=subnet=10.{high}.{low}.0/24 protocol=tcp ports={port}"),
        1 => format!(
            "hosts=ip=198.51.{high}.{low} protocol=udp ports={port}-{}",
            port + 9
        ),
        2 => format!("hosts=subnet=198.51.100.0/24 protocol=udp ports={port}"),
        _ => format!("hosts=subnet=2001:db8:{number:x}::/48 protocol=any"),
    };
    let text = format!("dir=out action=deny priority={priority} {filters}");
    text.parse().expect("a rule")
}

fn config() -> VpcCfg {
    fn external<Ip>(share: &str, own: &str) -> ExternalIpCfg<Ip>
    where
        Ip: std::str::FromStr<Err: std::fmt::Debug>,
        ExternalIpCfg<Ip>: Clone,
    {
        ExternalIpCfg {
            snat: Some(SNatCfg {
                external_ip: share.parse().expect("an address"),
                ports: PortRange::new(1024, 65535).expect("a range"),
            }),
            ephemeral_ip: Some(own.parse().expect("an address")),
            floating_ips: Vec::new(),
        }
    }
    VpcCfg {
        ip_cfg: IpCfg::DualStack {
            ipv4: Ipv4Cfg {
                vpc_subnet: "10.0.0.0/22".parse().expect("a prefix"),
                private_ip: GUEST,
                gateway_ip: Ipv4Addr::new(10, 0, 0, 1),
                external_ips: external("203.0.113.1", "203.0.113.2"),
            },
            ipv6: Ipv6Cfg {
                vpc_subnet: "fd00:10::/64".parse().expect("a prefix"),
                private_ip: Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 11),
                gateway_ip: Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 1),
                external_ips: external("2001:db8::1", "2001:db8::2"),
            },
        },
        guest_mac: GUEST_MAC,
        gateway_mac: GATEWAY_MAC,
        vni: opte_headers::Vni::new(VNI).expect("24 bits"),
        phys_ip: HOST,
        dhcp: DhcpCfg::default(),
    }
}

/// The segment with these sequence and acknowledgement numbers. Its checksum stays that of others.
fn numbered(mut frame: Vec<u8>, seq: u32, ack: u32) -> Vec<u8> {
    let at = 14 + 20;
    frame[at + 4..at + 8].copy_from_slice(&seq.to_be_bytes());
    frame[at + 8..at + 12].copy_from_slice(&ack.to_be_bytes());
    frame
}

pub(crate) fn buffer(frame: &[u8]) -> Vec<u8> {
    [&[0; HEAD_ROOM][..], frame].concat()
}

/// The packet in a buffer with head-room.
fn packet(buf: &mut [u8]) -> Packet<'_> {
    let end = buf.len();
    match Packet::new(buf, HEAD_ROOM, end) {
        Some(packet) => packet,
        None => unreachable!("every buffer is longer than its head-room"),
    }
}

pub(crate) fn udp(number: usize, body: usize) -> Vec<u8> {
    let (here, there) = (SocketAddrV4::new(GUEST, 1), SocketAddrV4::new(FAR, 1));
    let frame = frames::udp(frames::from_guest(), here, there, body);
    let mut buf = buffer(&frame);
    set_ports(&mut buf, number);
    buf.split_off(HEAD_ROOM)
}

/// Makes the datagram in `buf` one of flow `number`. It then says that it has no checksum.
pub(crate) fn set_ports(buf: &mut [u8], number: usize) {
    let at = HEAD_ROOM + 14 + 20;
    let (source, destination) = (1 + (number % 60_000) as u16, 1 + (number / 60_000) as u16);
    buf[at..at + 2].copy_from_slice(&source.to_be_bytes());
    buf[at + 2..at + 4].copy_from_slice(&destination.to_be_bytes());
    buf[at + 6..at + 8].fill(0);
}

/// The frame as the boundary sends it in.
fn from_boundary(frame: &[u8]) -> Vec<u8> {
    let tunnel: Program = Transform::on::<stack![Ethernet]>()
        .push(Geneve {
            vni: BOUNDARY_VNI,
            options: Options::of(&[GeneveOption::External]).expect("it fits"),
            ..Geneve::default()
        })
        .push(Udp {
            source: 0xc000,
            ..Udp::default()
        })
        .push(Ipv6 {
            source: ENDPOINT,
            destination: HOST,
            ..Ipv6::default()
        })
        .push(Ethernet {
            source: MacAddr::ZERO,
            destination: MacAddr::ZERO,
            ..Ethernet::default()
        })
        .compile();
    let mut buf = buffer(frame);
    let end = buf.len();
    let parsed = parse_guest(frame).expect("a frame");
    let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).expect("a buffer with head-room");
    packet.apply(&tunnel, &parsed, 0).expect("head-room");
    packet.frame().to_vec()
}
