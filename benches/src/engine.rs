//! The engine on the reference VPC: hits, first packets, memory, a full table.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

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
    DhcpCfg, ExternalIpCfg, IpCfg, Ipv4Cfg, Ipv6Cfg, PortRange, RouterClass, RouterEntry, SNatCfg,
    TunnelEndpoint, VpcCfg,
};
use oxide_vpc::network::BOUNDARY_VNI;
use oxide_vpc::port::{Host, Mappings, VpcPort};

use crate::frames::{self, GATEWAY_MAC, GUEST, GUEST_MAC, HOST, VNI};
use crate::{Meter, Row, Unit};

macro_rules! rows {
    ($($name:literal $unit:ident $budget:literal $run:path;)*) => {
        /// Rows of this module.
        pub const ROWS: &[Row] = &[$(Row { name: $name, unit: Unit::$unit, budget: $budget, run: $run },)*];
    };
}

rows! {
    "uft_hit_out_tcp" Instructions 300.0 hit_out_tcp;
    "uft_hit_out_tcp_time" Nanoseconds 30.0 hit_out_tcp;
    "uft_hit_in_tcp" Instructions 300.0 hit_in_tcp;
    "uft_hit_in_tcp_time" Nanoseconds 30.0 hit_in_tcp;
    "uft_hit_out_udp_8000_flows" Instructions 300.0 hit_out_udp_8000;
    "uft_hit_out_udp_8000_flows_time" Nanoseconds 45.0 hit_out_udp_8000;
    "uft_hit_out_udp_8000_flows_1400_bytes_time" Nanoseconds 45.0 hit_out_udp_8000_long;
    "uft_hit_out_udp_1000000_flows_time" Nanoseconds 100.0 hit_out_udp_1000000;
    "uft_lookup_1000000_flows_against_1000" Times 3.0 hits_against;
    "first_packet" Instructions 5000.0 first_packet;
    "first_packet_time" Nanoseconds 800.0 first_packet;
    "allocations_uft_hit_out" Allocations 0.0 hit_out_tcp;
    "allocations_uft_hit_in" Allocations 0.0 hit_in_tcp;
    "allocations_first_packet" Allocations 4.0 first_packet;
    "bytes_per_udp_flow" Bytes 256.0 memory;
    "new_flow_into_full_table" LongestMicroseconds 5.0 full_table;
    "expiry_slice" LongestMicroseconds 50.0 expiry;
    "first_packet_10000_rules_against_10" Times 3.0 rules_against;
}

/// Who the guest talks to.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const ENDPOINT: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x99, 0, 0, 0, 0, 0, 1);
const HEAD_ROOM: usize = 128;
const HITS: usize = 10_000;

/// A port of the reference VPC: dual-stack, a share and an ephemeral address for both families, a default route to the
/// internet gateway.
struct Reference {
    vpc: VpcPort,
    now: Moment,
}

impl Reference {
    fn new(flows: u32) -> Self {
        let host = Host {
            mappings: Mappings::default(),
            random: Arc::new(SeededRandom::new(1)),
            log: Arc::new(NoLog),
            limits: Limits {
                flows: NonZeroU32::new(flows).unwrap_or(NonZeroU32::MIN),
                ..Limits::default()
            },
        };
        let vpc = VpcPort::new("opte0", config(), 1500, &[], &host)
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
            now: Moment::from_secs(1),
        }
    }

    fn process(&self, dir: Direction, buf: &mut [u8]) -> Verdict {
        let end = buf.len();
        match Packet::new(buf, HEAD_ROOM, end) {
            Some(mut packet) => self.vpc.port().process(dir, self.now, &mut packet, &mut []),
            None => unreachable!("every buffer is longer than its head-room"),
        }
    }

    /// A frame that must pass; as it comes out.
    fn pass(&self, dir: Direction, frame: &[u8]) -> Vec<u8> {
        let mut buf = buffer(frame);
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end).expect("a buffer with head-room");
        let verdict = self.vpc.port().process(dir, self.now, &mut packet, &mut []);
        assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
        packet.frame().to_vec()
    }

    /// Opens a connection of the guest; gives the segments that then pass in both directions.
    fn connection(&self) -> (Vec<u8>, Vec<u8>) {
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
    fn flows(&self, count: usize) {
        let mut buf = buffer(&udp(0, 0));
        for number in 0..count {
            set_ports(&mut buf, number);
            let mut once = buf.clone();
            let verdict = self.process(Direction::Out, &mut once);
            assert!(
                matches!(verdict, Verdict::Forward { .. }),
                "flow {number}: {verdict:?}"
            );
        }
    }
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

fn buffer(frame: &[u8]) -> Vec<u8> {
    [&[0; HEAD_ROOM][..], frame].concat()
}

fn udp(number: usize, body: usize) -> Vec<u8> {
    let (here, there) = (SocketAddrV4::new(GUEST, 1), SocketAddrV4::new(FAR, 1));
    let frame = frames::udp(frames::from_guest(), here, there, body);
    let mut buf = buffer(&frame);
    set_ports(&mut buf, number);
    buf.split_off(HEAD_ROOM)
}

/// Makes the datagram in `buf` one of flow `number`. It then says that it has no checksum.
fn set_ports(buf: &mut [u8], number: usize) {
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

fn hit_out_tcp(meter: &mut Meter) {
    let reference = Reference::new(1000);
    let (out, _) = reference.connection();
    hits(meter, &reference, Direction::Out, &out);
}

fn hit_in_tcp(meter: &mut Meter) {
    let reference = Reference::new(1000);
    let (_, back) = reference.connection();
    hits(meter, &reference, Direction::In, &back);
}

/// The same frame, time and again, each from a buffer of its own.
fn hits(meter: &mut Meter, reference: &Reference, dir: Direction, frame: &[u8]) {
    let mut bufs = vec![buffer(frame); HITS];
    meter.each(HITS, |at| {
        black_box(reference.process(dir, black_box(&mut bufs[at])));
    });
    let traffic = reference.vpc.port().counters().traffic;
    assert!(traffic.get(dir).uft_hit >= HITS as u64, "not all were hits");
}

fn hit_out_udp_8000(meter: &mut Meter) {
    random_hits(meter, 8_000, 0);
}

fn hit_out_udp_8000_long(meter: &mut Meter) {
    random_hits(meter, 8_000, 1_400);
}

fn hit_out_udp_1000000(meter: &mut Meter) {
    random_hits(meter, 1_000_000, 0);
}

fn random_hits(meter: &mut Meter, flows: usize, body: usize) {
    let reference = Reference::new(flows as u32);
    reference.flows(flows);
    let mut bufs = random_frames(flows, body);
    meter.each(HITS, |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
}

/// Frames of flows in random order.
fn random_frames(flows: usize, body: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize
    };
    (0..HITS)
        .map(|_| buffer(&udp(draw() % flows, body)))
        .collect()
}

fn hits_against(meter: &mut Meter) {
    let (few, many) = (Reference::new(1_000), Reference::new(1_000_000));
    few.flows(1_000);
    many.flows(1_000_000);
    let (mut of_few, mut of_many) = (random_frames(1_000, 0), random_frames(1_000_000, 0));
    meter.each(HITS, |at| {
        black_box(few.process(Direction::Out, black_box(&mut of_few[at])));
    });
    meter.against(HITS, |at| {
        black_box(many.process(Direction::Out, black_box(&mut of_many[at])));
    });
}

/// Each packet the first of its flow, into a table that has met some before.
fn first_packet(meter: &mut Meter) {
    const FLOWS: usize = 4_000;
    let reference = Reference::new(100_000);
    reference.flows(10_000);
    let mut bufs: Vec<_> = (0..FLOWS).map(|n| buffer(&udp(20_000 + n, 0))).collect();
    meter.each(FLOWS, |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
    assert_eq!(reference.vpc.port().counters().flows, 10_000 + FLOWS as u32);
}

/// First packets past so many rules of the firewall, none of which is theirs.
fn rules_against(meter: &mut Meter) {
    const FLOWS: usize = 2_000;
    let ruled = |count: u16| {
        let reference = Reference::new(100_000);
        let rule = |n| format!("dir=out action=deny priority=100 protocol=tcp port={n}");
        let rules: Vec<_> = (1..=count)
            .map(|n| rule(n).parse().expect("a rule"))
            .collect();
        reference.vpc.set_firewall_rules(&rules).expect("rules");
        reference
    };
    let (few, many) = (ruled(10), ruled(10_000));
    let bufs: Vec<_> = (0..FLOWS).map(|n| buffer(&udp(n, 0))).collect();
    let (mut of_few, mut of_many) = (bufs.clone(), bufs);
    meter.each(FLOWS, |at| {
        black_box(few.process(Direction::Out, black_box(&mut of_few[at])));
    });
    meter.against(FLOWS, |at| {
        black_box(many.process(Direction::Out, black_box(&mut of_many[at])));
    });
    assert_eq!(many.vpc.port().counters().flows, FLOWS as u32);
}

/// What a flow costs when there are many, the table's own growth included.
fn memory(meter: &mut Meter) {
    const FLOWS: usize = 100_000;
    let reference = Reference::new(FLOWS as u32);
    let mut bufs: Vec<_> = (0..FLOWS).map(|n| buffer(&udp(n, 0))).collect();
    meter.each(FLOWS, |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
}

fn full_table(meter: &mut Meter) {
    const FLOWS: usize = 524_288;
    let reference = Reference::new(FLOWS as u32);
    reference.flows(FLOWS);
    let mut bufs: Vec<_> = (0..2_000).map(|n| buffer(&udp(FLOWS + n, 0))).collect();
    meter.each(bufs.len(), |at| {
        black_box(reference.process(Direction::Out, black_box(&mut bufs[at])));
    });
    assert!(reference.vpc.port().counters().table.displaced >= 2_000);
}

fn expiry(meter: &mut Meter) {
    /// What the driver asks for at a time.
    const SLICE: u32 = 64;
    const FLOWS: usize = 524_288;
    let reference = Reference::new(FLOWS as u32);
    reference.flows(FLOWS);
    let later = reference.now + Duration::from_secs(200);
    meter.each(2_000, |_| {
        black_box(reference.vpc.port().expire(later, SLICE));
    });
}
