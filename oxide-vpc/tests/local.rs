//! A packet for a guest of the same host may leave out the tunnel's headers: whatever it is, the guests and all that is counted and
//! remembered of it are the same as if it had gone through the tunnel.

mod sim;

use opte::api::Page;
use opte::packet::Offload;
use opte::port::Verdict;
use opte::{Direction, Packet};
use opte_headers::program::Sums;
use opte_headers::{MacAddr, TcpFlags};
use oxide_vpc::network::GATEWAY_MAC;
use proptest::prelude::*;
use sim::{At, Body, Frame, World, guest, tcp, udp};

const VPC: u32 = 10;
const PATH_MTU: u16 = 1300;
const HEAD_ROOM: usize = 256;
const ENDS: [At; 2] = [At(0, 0), At(0, 1)];

/// Two guests of one host that let one another in.
fn pair() -> World {
    let mut world = World::new(1);
    for n in [5, 6] {
        let at = world.port(0, guest(VPC, n));
        world.rule(
            at,
            &format!("dir=in action=allow priority=900 hosts=vni={VPC}"),
        );
        world.rule(
            at,
            "dir=in action=reject priority=10 protocol=udp ports=666",
        );
        world.route(at, "172.30.0.0/22", "sub4=172.30.0.0/22");
        world.route(at, "fd00:1::/64", "sub6=fd00:1::/64");
        world.vpc(at).port().set_path_mtu(Some(PATH_MTU));
    }
    world
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// A guest got it, in one piece or several.
    Got(At, Vec<u8>, Offload),
    /// Its own port did not let it out, or answered it.
    NotOut(Verdict, Vec<u8>),
    /// The port of the receiver did not let it in.
    NotIn(Verdict),
}

/// Frames on their way, which have passed their senders' ports.
type OnTheWay = Vec<(Vec<u8>, Offload)>;

struct Path<'a> {
    world: &'a World,
    /// Packets may leave the headers out.
    local: bool,
    stayed: usize,
    outcomes: Vec<Outcome>,
}

impl<'a> Path<'a> {
    fn new(world: &'a World, local: bool) -> Self {
        Self {
            world,
            local,
            stayed: 0,
            outcomes: Vec::new(),
        }
    }

    fn send(&mut self, from: usize, bytes: &[u8], offload: Offload) {
        let port = self.world.vpc(ENDS[from]).port();
        let mut buf = [&[0; HEAD_ROOM], bytes].concat();
        let end = buf.len();
        let mut packet = Packet::new(&mut buf, HEAD_ROOM, end)
            .unwrap()
            .with_offload(offload);
        if self.local {
            packet.may_stay_on_host();
        }
        let mut reply = vec![0; 2000];
        let now = self.world.now();
        let verdict = port.process(Direction::Out, now, &mut packet, &mut reply);
        let (hash, mut on_the_way) = match verdict {
            Verdict::Forward { hash } => (hash, Vec::new()),
            Verdict::ForwardWithHeld { hash } => {
                let released = port.take_released();
                let frames = released.iter().map(|one| one.frame().to_vec());
                (
                    hash,
                    frames.map(|frame| (frame, Offload::default())).collect(),
                )
            }
            Verdict::Hairpin(len) => {
                self.outcomes
                    .push(Outcome::NotOut(verdict, reply[..len as usize].to_vec()));
                return;
            }
            Verdict::Held | Verdict::Drop(_) => {
                self.outcomes.push(Outcome::NotOut(verdict, Vec::new()));
                return;
            }
        };
        let Some(way) = packet.local_way() else {
            on_the_way.insert(0, (packet.frame().to_vec(), packet.offload));
            return self.arrive(1 - from, on_the_way);
        };
        assert!(self.local && on_the_way.is_empty());
        self.stayed += 1;
        let tunnel = port.local_tunnel(way, hash).unwrap();
        let to = ENDS[1 - from];
        let mac = self.world.mac(to);
        assert_eq!(packet.frame()[..6], mac.octets());
        assert_eq!(tunnel.info().vni.as_u32(), VPC);
        let receiver = self.world.vpc(to).port();
        let verdict = receiver.receive(now, &tunnel, &mut packet, &mut reply);
        let (frame, offload) = (packet.frame().to_vec(), packet.offload);
        self.received(1 - from, verdict, &reply, (frame, offload));
    }

    /// Frames in the tunnel reach the port of a guest.
    fn arrive(&mut self, at: usize, frames: OnTheWay) {
        let port = self.world.vpc(ENDS[at]).port();
        for (frame, offload) in frames {
            let mut buf = [&[0; HEAD_ROOM], &frame[..]].concat();
            let end = buf.len();
            let mut packet = Packet::new(&mut buf, HEAD_ROOM, end)
                .unwrap()
                .with_offload(offload);
            let mut reply = vec![0; 2000];
            let verdict = port.process(Direction::In, self.world.now(), &mut packet, &mut reply);
            let (frame, offload) = (packet.frame().to_vec(), packet.offload);
            self.received(at, verdict, &reply, (frame, offload));
        }
    }

    fn received(
        &mut self,
        at: usize,
        verdict: Verdict,
        reply: &[u8],
        (frame, offload): (Vec<u8>, Offload),
    ) {
        match verdict {
            Verdict::Forward { .. } => self.outcomes.push(Outcome::Got(ENDS[at], frame, offload)),
            Verdict::ForwardWithHeld { .. } => {
                self.outcomes.push(Outcome::Got(ENDS[at], frame, offload));
                for one in self.world.vpc(ENDS[at]).port().take_released() {
                    let frame = one.frame().to_vec();
                    self.outcomes
                        .push(Outcome::Got(ENDS[at], frame, Offload::default()));
                }
            }
            Verdict::Hairpin(len) => {
                self.outcomes.push(Outcome::NotIn(verdict));
                self.arrive(
                    1 - at,
                    vec![(reply[..len as usize].to_vec(), Offload::default())],
                );
            }
            Verdict::Held | Verdict::Drop(_) => self.outcomes.push(Outcome::NotIn(verdict)),
        }
    }
}

/// All that the ports have counted, and the flows they know.
fn remembered(world: &World) -> String {
    let of = |at: &At| {
        let port = world.vpc(*at).port();
        let flows = port.dump_uft(Page::FIRST);
        let connections = port.dump_tcp_flows(Page::FIRST);
        format!("{:#?}\n{flows:#?}\n{connections:#?}", port.counters())
    };
    ENDS.iter().map(of).collect()
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Send(usize, Vec<u8>, Offload),
    Pass(u64),
    /// The guest's firewall has a rule that denies a port, or has it no more.
    Deny(usize),
}

fn body() -> impl Strategy<Value = Body> {
    let data = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 1200..1500),
    ];
    let port = || 1000..1003_u16;
    let flags = prop_oneof![
        1 => Just(TcpFlags::SYN),
        1 => Just(TcpFlags::SYN | TcpFlags::ACK),
        4 => Just(TcpFlags::ACK),
        1 => Just(TcpFlags::ACK | TcpFlags::FIN),
        1 => Just(TcpFlags::RST),
    ];
    prop_oneof![
        4 => (port(), prop_oneof![8 => port(), 1 => Just(666)], data.clone())
            .prop_map(|(source, destination, data)| udp(source, destination, &data)),
        6 => (Just(7), Just(7), flags, 0..3_u32, 0..3_u32, data.clone())
            .prop_map(|(a, b, flags, seq, ack, data)| tcp(a, b, flags, 100 + seq, 100 + ack, &data)),
        1 => (any::<bool>(), 0..2_u16, data.clone()).prop_map(|(reply, identifier, data)| Body::Icmp {
            ty: if reply { 0 } else { 8 },
            code: 0,
            identifier,
            sequence: 1,
            data,
        }),
        1 => data.prop_map(|data| Body::Other { protocol: 132, data }),
    ]
}

fn frame() -> impl Strategy<Value = (usize, Vec<u8>, Offload)> {
    let change = prop_oneof![
        6 => Just(None),
        // The traffic class, the fragment field, hops: what a packet may have about it.
        1 => any::<u8>().prop_map(|class| Some((15, class))),
        1 => prop::sample::select(vec![0x20, 0x40, 0x01]).prop_map(|field| Some((20, field))),
        1 => (0..3_u8).prop_map(|hops| Some((22, hops))),
        1 => (14..80_usize, any::<u8>()).prop_map(Some),
    ];
    let (v6, padding) = (any::<bool>(), prop_oneof![3 => Just(0), 1 => 0..20_usize]);
    let offload = prop_oneof![3 => Just(Sums::Complete), 1 => Just(Sums::Partial)];
    (0..2_usize, v6, body(), change, padding, offload).prop_map(
        |(from, v6, mut body, change, padding, sums)| {
            if let (Body::Icmp { ty, .. }, true) = (&mut body, v6) {
                *ty = if *ty == 8 { 128 } else { 129 };
            }
            let end = |n: usize| -> (MacAddr, std::net::IpAddr) {
                let cfg = guest(VPC, n as u8 + 5);
                let v4 = cfg.ipv4().unwrap().private_ip;
                let ip = cfg.ipv6().unwrap().private_ip;
                (cfg.guest_mac, if v6 { ip.into() } else { v4.into() })
            };
            let to = (GATEWAY_MAC, end(1 - from).1);
            let mut bytes = Frame::new(end(from), to, body).bytes();
            if let Some((at, value)) = change
                && let Some(byte) = bytes.get_mut(at)
            {
                *byte = value;
            }
            bytes.resize(bytes.len() + padding, 0xee);
            (from, bytes, Offload { sums, gso: None })
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => frame().prop_map(|(from, bytes, offload)| Step::Send(from, bytes, offload)),
        1 => (1..200_u64).prop_map(Step::Pass),
        1 => (0..2_usize).prop_map(Step::Deny),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_ways_come_to_the_same(steps in prop::collection::vec((step(), 1..4_usize), 1..60)) {
        let worlds = [pair(), pair()];
        let mut paths = [Path::new(&worlds[0], false), Path::new(&worlds[1], true)];
        let mut denied = [None; 2];
        for (step, times) in &steps {
            match step {
                Step::Send(from, bytes, offload) => {
                    for _ in 0..*times {
                        paths.iter_mut().for_each(|path| path.send(*from, bytes, *offload));
                    }
                }
                Step::Pass(seconds) => worlds.iter().for_each(|world| world.pass(*seconds)),
                Step::Deny(at) => {
                    let rule = denied[*at].take();
                    let mut ids = worlds.iter().map(|world| {
                        let port = world.vpc(ENDS[*at]);
                        match rule {
                            Some(id) => {
                                port.remove_firewall_rule(Direction::In, id).unwrap();
                                None
                            }
                            None => Some(world.rule(
                                ENDS[*at],
                                "dir=in action=deny priority=5 protocol=udp ports=1001",
                            )),
                        }
                    });
                    denied[*at] = ids.next().flatten();
                    prop_assert_eq!(denied[*at], ids.next().flatten());
                }
            }
            let [tunnel, local] = &paths;
            prop_assert_eq!(tunnel.outcomes.last(), local.outcomes.last());
        }
        let [tunnel, local] = paths;
        prop_assert_eq!(tunnel.outcomes, local.outcomes);
        prop_assert_eq!(remembered(&worlds[0]), remembered(&worlds[1]));
    }
}

/// Datagrams and segments of flows that go both ways stay, at whatever traffic class and of whatever size.
#[test]
fn packets_of_known_flows_stay() {
    let world = pair();
    for v6 in [false, true] {
        let end = |at| if v6 { world.v6(at) } else { world.v4(at) };
        let [a, b] = ENDS.map(end);
        let (to_a, to_b) = ((GATEWAY_MAC, a.1), (GATEWAY_MAC, b.1));
        let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
        let opening = [
            (0, Frame::new(a, to_b, udp(9, 9, b"x"))),
            (1, Frame::new(b, to_a, udp(9, 9, b"x"))),
            (0, Frame::new(a, to_b, tcp(7, 7, syn, 100, 0, b""))),
            (1, Frame::new(b, to_a, tcp(7, 7, syn | ack, 500, 101, b""))),
            (0, Frame::new(a, to_b, tcp(7, 7, ack, 101, 501, b""))),
            (1, Frame::new(b, to_a, tcp(7, 7, ack, 501, 101, b""))),
        ];
        let mut path = Path::new(&world, true);
        for (from, frame) in &opening {
            path.send(*from, &frame.bytes(), Offload::default());
        }
        // First packets walk, and so do those that change what is known of their flow.
        assert!(path.stayed < 2);
        let going = [
            Frame::new(a, to_b, udp(9, 9, b"more")),
            Frame::new(a, to_b, udp(9, 9, &[7; 1200])),
            Frame::new(a, to_b, tcp(7, 7, ack, 101, 501, b"data")),
        ];
        for frame in &going {
            for class in [0, 0x01, 0x02, 0x03, 0xb8] {
                let mut bytes = frame.bytes();
                if v6 {
                    bytes[14] |= class >> 4;
                    bytes[15] |= class << 4;
                } else {
                    bytes[15] = class;
                }
                let before = path.stayed;
                path.send(0, &bytes, Offload::default());
                assert_eq!(path.stayed, before + 1, "{frame:?} of class {class:#x}");
                let mut expected = bytes;
                expected[..6].copy_from_slice(&world.mac(ENDS[1]).octets());
                expected[6..12].copy_from_slice(&GATEWAY_MAC.octets());
                let got = Outcome::Got(ENDS[1], expected, Offload::default());
                assert_eq!(path.outcomes.last(), Some(&got));
            }
        }
    }
}
