//! Whatever happens to a port, in whatever order: nothing is lost, nothing is left behind.

mod net;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::{Bench, FAR, GUEST, PUBLIC, Shape, snat_rule, tcp_frame, tunnelled, udp_frame};
use opte::Direction::{self, In, Out};
use opte::DropReason;
use opte::action::Action;
use opte::port::Verdict;
use opte::predicate::Predicate;
use opte::rule::Rule;
use opte::time::Moment;
use opte_headers::TcpFlags;
use opte_headers::checksum::Sum;
use opte_headers::frame::{parse_geneve, parse_guest};
use proptest::prelude::*;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// The guest sends a datagram from one of a few ports to one of a few others.
    Ask(u16, u16),
    /// The far end answers whatever it heard last from this port.
    Answer(u16, u16),
    /// The guest sends a segment with these control bits.
    Segment(u16, u8),
    /// A segment comes in with these control bits.
    SegmentIn(u16, u8),
    /// Seconds pass.
    Wait(u16),
    Expire(u8),
    /// The firewall denies what goes to this port, on top of what it does.
    Deny(u16),
    /// The oldest of the rules that deny goes.
    Undeny,
    /// The rules of NAT are set again, for the same share or for none.
    SetNat(bool),
    ClearUft,
    ClearLft(bool),
    /// The tunnel's far end moves; to nowhere, if zero.
    Move(u8),
    /// The port is paused in the middle of it all, and goes on.
    Pause,
    /// The clock jumps back by so many seconds.
    TurnBack(u16),
    /// NAT ports rest for so many seconds from now on, and a datagram lives for as many more.
    Rest(u8),
    /// One of two fragments of a segment with this identification, the first one or the last.
    Piece(u16, u8, bool),
}

fn event() -> impl Strategy<Value = Event> {
    let few = 1u16..6;
    prop_oneof![
        8 => (few.clone(), few.clone()).prop_map(|(from, to)| Event::Ask(from, to)),
        6 => (few.clone(), few.clone()).prop_map(|(from, to)| Event::Answer(from, to)),
        6 => (few.clone(), 0u8..32).prop_map(|(port, bits)| Event::Segment(port, bits)),
        4 => (few.clone(), 0u8..32).prop_map(|(port, bits)| Event::SegmentIn(port, bits)),
        2 => (0u16..200).prop_map(Event::Wait),
        2 => (0u8..20).prop_map(Event::Expire),
        1 => few.clone().prop_map(Event::Deny),
        1 => Just(Event::Undeny),
        1 => any::<bool>().prop_map(Event::SetNat),
        1 => Just(Event::ClearUft),
        1 => any::<bool>().prop_map(Event::ClearLft),
        1 => (0u8..4).prop_map(Event::Move),
        1 => Just(Event::Pause),
        1 => (1u16..400).prop_map(Event::TurnBack),
        1 => (0u8..200).prop_map(Event::Rest),
        3 => (few, 0u8..4, any::<bool>()).prop_map(|(from, id, last)| Event::Piece(from, id, last)),
    ]
}

/// The port and what a plain observer knows of it.
struct World {
    bench: Bench,
    denied: Vec<(u64, u16)>,
    /// The external port that the guest's port had when it was last heard outside.
    heard: BTreeMap<(u16, u16), u16>,
}

impl World {
    fn happen(&mut self, event: &Event) {
        match *event {
            Event::Ask(from, to) => self.ask(from, to),
            Event::Answer(from, to) => self.answer(from, to),
            Event::Segment(port, bits) => {
                let flags = TcpFlags::from_bits_retain(bits);
                let _ = self.bench.send(
                    Out,
                    &tcp_frame((GUEST, port), (FAR, 80), flags, 100, 100, b"x"),
                );
            }
            Event::SegmentIn(port, bits) => {
                let flags = TcpFlags::from_bits_retain(bits);
                let frame = tcp_frame((FAR, 80), (PUBLIC, 4096 + port), flags, 100, 101, &[]);
                let _ = self.bench.send(In, &tunnelled(&frame));
            }
            Event::Wait(seconds) => self.bench.wait(Duration::from_secs(seconds.into())),
            Event::Expire(slice) => drop(self.bench.port.expire(self.bench.now, slice.into())),
            Event::Deny(port) => {
                let rule = Rule::new(1, [Predicate::DestinationPort(port..=port)], Action::Deny);
                self.denied.push((
                    self.bench.port.add_rule("firewall", Out, rule).unwrap(),
                    port,
                ));
            }
            Event::Undeny => {
                if !self.denied.is_empty() {
                    let (id, _) = self.denied.remove(0);
                    self.bench.port.remove_rule("firewall", Out, id).unwrap();
                }
            }
            Event::SetNat(on) => {
                let rules = if on {
                    vec![snat_rule(&self.bench.share)]
                } else {
                    vec![]
                };
                self.bench.port.set_rules("nat", vec![], rules).unwrap();
            }
            Event::ClearUft => self.bench.port.clear_uft().unwrap(),
            Event::ClearLft(nat) => self
                .bench
                .port
                .clear_lft(if nat { "nat" } else { "firewall" })
                .unwrap(),
            Event::Move(to) => {
                self.bench.far_end.store(to.into(), Ordering::Relaxed);
                self.bench.mappings.bump();
            }
            Event::Pause => {
                self.bench.port.pause().unwrap();
                let sent = self
                    .bench
                    .send(Out, &udp_frame((GUEST, 1), (FAR, 1), b"ask"));
                assert_eq!(sent.verdict, Verdict::Drop(DropReason::PortNotRunning));
                assert_eq!(self.bench.port.expire(self.bench.now, 100).flows, 0);
                self.bench.port.start();
            }
            Event::TurnBack(seconds) => {
                let nanos = u64::from(seconds) * 1_000_000_000;
                let before = self.bench.now.as_nanos().saturating_sub(nanos);
                self.bench.now = Moment::from_nanos(before);
            }
            Event::Rest(seconds) => {
                let options = format!("snat-hold-down={seconds}s timeout-udp={}s", seconds + 1);
                self.bench
                    .port
                    .set_options(&options.parse().unwrap())
                    .unwrap();
            }
            Event::Piece(from, id, last) => {
                let whole = tcp_frame(
                    (GUEST, from),
                    (FAR, 80),
                    TcpFlags::ACK | TcpFlags::FIN,
                    100,
                    100,
                    &[7; 60],
                );
                let _ = self.bench.send(Out, &piece(&whole, id, last));
                drop(self.bench.port.take_released());
            }
        }
    }

    fn ask(&mut self, from: u16, to: u16) {
        let sent = self
            .bench
            .send(Out, &udp_frame((GUEST, from), (FAR, to), b"ask"));
        if let Verdict::Forward { .. } = sent.verdict {
            net::sums_are_right(&sent.frame);
            assert!(
                !self.denied.iter().any(|(_, port)| *port == to),
                "a denied port was reached"
            );
            let far_end = self.bench.far_end.load(Ordering::Relaxed);
            assert_eq!(
                sent.frame[14 + 24..14 + 40],
                net::host(far_end).octets(),
                "sent where nobody is any more"
            );
            let key = parse_geneve(&sent.frame).unwrap().key;
            // A port that has rested may have gone to another endpoint: what comes to it is that one's now.
            self.heard
                .retain(|(other, _), external| *other == from || *external != key.source_port);
            self.heard.insert((from, to), key.source_port);
        }
    }

    fn answer(&mut self, from: u16, to: u16) {
        let Some(external) = self.heard.get(&(from, to)) else {
            return;
        };
        let sent = self.bench.send(
            In,
            &tunnelled(&udp_frame((FAR, to), (PUBLIC, *external), b"tell")),
        );
        if let Verdict::Forward { .. } = sent.verdict {
            net::sums_are_right(&sent.frame);
            let key = parse_guest(&sent.frame).unwrap().key;
            assert_eq!(
                (key.destination_ip(), key.source_port),
                (IpAddr::V4(GUEST), to)
            );
            assert_eq!(
                key.destination_port, from,
                "the answer reached another than who asked"
            );
            assert!(
                !self.denied.iter().any(|(_, port)| *port == to),
                "a revoked flow had its answer"
            );
        }
    }

    fn gauges_agree(&self) {
        let counters = self.bench.port.counters();
        let dump = self.bench.port.dump_tcp_flows(opte::api::Page::FIRST);
        assert!(dump.flows.len() <= counters.tcp_connections as usize);
        let table = counters.table;
        let gone = table.expired + table.displaced;
        assert!(table.created >= gone + u64::from(counters.flows));
        let drops = |dir: Direction| counters.traffic.get(dir).drops.total();
        assert!(counters.flows <= counters.flow_limit && drops(In) + drops(Out) < 10_000);
    }

    /// Long after the last packet nothing is held.
    fn nothing_is_left(&mut self) {
        self.bench.wait(Duration::from_secs(100_000));
        while self.bench.port.expire(self.bench.now, 100).more {}
        let counters = self.bench.port.counters();
        assert_eq!(
            (counters.flows, counters.tcp_connections, counters.programs),
            (0, 0, 0)
        );
        for dir in Direction::BOTH {
            let fragments = counters.fragments.get(dir);
            assert_eq!((fragments.packets, fragments.bytes), (0, 0));
        }
        assert!(
            self.bench
                .port
                .list_layers()
                .layers
                .iter()
                .all(|layer| layer.flows == 0)
        );
        assert_eq!(
            self.bench
                .share
                .pools()
                .map(|(_, pool)| pool.usage().leased),
            [0, 0, 0]
        );
        assert!(
            self.bench
                .port
                .dump_uft(opte::api::Page::FIRST)
                .flows
                .is_empty()
        );
    }
}

/// The first 40 bytes behind the IP header, or the others.
fn piece(whole: &[u8], id: u8, last: bool) -> Vec<u8> {
    const HEADERS: usize = 14 + 20;
    let (first, others) = whole[HEADERS..].split_at(40);
    let (data, field) = if last {
        (others, 40_u16 / 8)
    } else {
        (first, 0x2000)
    };
    let mut frame = [&whole[..HEADERS], data].concat();
    let len = (20 + data.len()) as u16;
    frame[16..18].copy_from_slice(&len.to_be_bytes());
    frame[18..20].copy_from_slice(&[0, id]);
    frame[20..22].copy_from_slice(&field.to_be_bytes());
    frame[24..26].fill(0);
    let sum = Sum::of(&frame[14..HEADERS]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shortfall_1_7_nothing_is_left_behind(
        events in prop::collection::vec(event(), 1..150),
        flows in 2u32..40,
    ) {
        let bench = Bench::of(Shape { flows, ports: 4096..=4103, ..Shape::default() });
        let mut world = World { bench, denied: Vec::new(), heard: BTreeMap::new() };
        for event in &events {
            world.happen(event);
            world.gauges_agree();
        }
        world.nothing_is_left();
    }
}
