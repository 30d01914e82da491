//! The short way of a packet beside whoever takes its flow out and gives the record, and the connection, to another flow: the table
//! itself and its store.

use alloc::sync::Arc;
use core::net::Ipv4Addr;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};
use std::vec;
use std::vec::Vec;

use loom::thread;
use opte_headers::frame::{Parsed, parse_guest};
use opte_headers::{
    Ethernet, Ethertype, FlowKey, Header, IpProtocol, Ipv4, ParseError, Program, Tcp, TcpFlags, Udp,
};

use crate::Direction::{self, In, Out};
use crate::flow::{
    Decisions, FlowStore, FlowTable, HashSeed, Made, NewFlow, NewSide, Proto, Timeouts,
};
use crate::nat::{End, Transport, set_destination, set_source};
use crate::network::{Handled, Network};
use crate::packet::Packet;
use crate::port::Limits;
use crate::provider::SeededRandom;
use crate::tcp::{Connection, Outcome, Segment};
use crate::time::Moment;

struct Plain;

impl Network for Plain {
    type Key = FlowKey;
    type Meta = ();

    fn parse(&self, _: Direction, frame: &[u8]) -> Result<Parsed, ParseError> {
        parse_guest(frame)
    }

    fn key(&self, _: Direction, parsed: &Parsed, _: &[u8]) -> FlowKey {
        parsed.key
    }

    fn return_key(&self, _: Direction, after: &FlowKey, (): &()) -> FlowKey {
        after.mirror()
    }

    fn handle_packet(&self, _: Direction, _: &Parsed, _: &[u8], _: &mut [u8]) -> Handled {
        Handled::Deny
    }
}

const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const NOW: Moment = Moment::from_secs(1000);

/// A frame of a flow: from the port of its number to port 80, of TCP an acknowledgement with a byte of data.
fn frame(proto: Proto, number: u16) -> Vec<u8> {
    let mut transport = vec![0; 64];
    let (protocol, len) = match proto {
        Proto::Tcp => {
            let tcp = Tcp {
                source: number,
                destination: 80,
                sequence: 2,
                acknowledgement: 2,
                flags: TcpFlags::ACK,
                window: 100,
                ..Tcp::default()
            };
            (IpProtocol::TCP, tcp.emit(&mut transport).unwrap() + 1)
        }
        _ => {
            let udp = Udp {
                source: number,
                destination: 80,
                length: 8,
                ..Udp::default()
            };
            (IpProtocol::UDP, udp.emit(&mut transport).unwrap())
        }
    };
    let ip = Ipv4 {
        source: GUEST,
        destination: FAR,
        protocol,
        total_len: 20 + len as u16,
        ..Ipv4::default()
    };
    let ethernet = Ethernet {
        ethertype: Ethertype::IPV4,
        ..Ethernet::default()
    };
    let mut frame = vec![0; 14 + 20];
    ethernet.emit(&mut frame).unwrap();
    ip.emit(&mut frame[14..]).unwrap();
    frame.extend_from_slice(&transport[..len]);
    frame
}

/// With which ports frames of a flow go on: what flows do differs, and what is added for each of them too.
fn ports(number: u16) -> (u16, u16) {
    match number % 2 {
        1 => (number + 1000, 80),
        _ => (number, 80 + number),
    }
}

fn program(key: &FlowKey) -> Program {
    let (source, destination) = ports(key.source_port);
    let transport = Transport::of(key);
    match key.source_port % 2 {
        1 => set_source(End::port(GUEST.into(), source), transport).unwrap(),
        _ => set_destination(End::port(FAR.into(), destination), transport).unwrap(),
    }
}

/// A connection whose handshake is complete, if it is `established`; else one of which a SYN has come.
fn connection(established: bool) -> Connection {
    let segment = |flags, seq, ack| Segment {
        seq,
        ack,
        flags,
        window: 100,
        payload: 0,
        scale: None,
    };
    let mut connection = Connection::open(Out, &segment(Segment::SYN, 1, 0));
    if established {
        for (dir, flags, seq, ack) in [
            (In, Segment::SYN | Segment::ACK, 1, 2),
            (Out, Segment::ACK, 2, 2),
        ] {
            let outcome = connection.segment(dir, &segment(flags, seq, ack));
            assert_eq!(outcome, Outcome::Pass);
        }
    }
    connection
}

fn table() -> FlowTable<Plain> {
    let limits = Limits {
        flows: NonZeroU32::MIN,
        ..Limits::default()
    };
    FlowTable::new(
        HashSeed::draw(&SeededRandom::new(7)),
        limits,
        &Timeouts::default(),
    )
}

/// Enters a flow, with a packet that it was made for.
fn enter(table: &mut FlowTable<Plain>, number: u16, connection: Option<Connection>) -> u32 {
    let proto = match connection {
        Some(_) => Proto::Tcp,
        None => Proto::Udp,
    };
    let frame = frame(proto, number);
    let parsed = parse_guest(&frame).unwrap();
    let key = &parsed.key;
    *table.trails.alone_mut(Out) = program(key);
    let mut new = NewFlow {
        first: Out,
        proto,
        connection: connection.as_ref(),
        epoch: 0,
        decisions: &mut Decisions::new(),
        forward: NewSide {
            key,
            hash: table.store().hash(key.words()),
            l3: parsed.l3_index().unwrap(),
            made: Made::Alone(Out),
        },
        back: None,
    };
    let id = table.insert(NOW, &mut new).unwrap();
    table.count_first(id, Out, frame.len());
    id
}

/// The ports with which a packet of a flow goes on by the short way; none if it does not.
fn send(store: &FlowStore, proto: Proto, number: u16) -> Option<(u16, u16)> {
    let frame = frame(proto, number);
    let parsed = parse_guest(&frame).unwrap();
    let words = parsed.key.words();
    let anchor = Some(parsed.offsets.anchor());
    let candidate = store.candidate(store.hash(words))?;
    let found = store.is_of(candidate, Out, &words, anchor)?;
    let packet = (Out, NOW, frame.len());
    let (program, translation, _) = store.go_on(found, packet, 0, &frame, parsed.segment())?;
    let mut buf = frame;
    let end = buf.len();
    let mut packet = Packet::new(&mut buf, 0, end).unwrap();
    let applied = packet.apply_bound(program, &translation, &parsed, 0);
    assert!(applied.is_ok(), "a program of another shape for {number}");
    let key = parse_guest(packet.frame()).unwrap().key;
    Some((key.source_port, key.destination_port))
}

/// Runs the model in every order with up to two changes of thread where none had to be. Where its packet goes on, it does so as flow 1 says; in
/// some orders it does, and in some it does not.
fn orders(proto: Proto, model: impl Fn() -> Option<(u16, u16)> + Sync + Send + 'static) {
    let counts = Arc::new([const { AtomicU32::new(0) }; 2]);
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(2);
    bounded.max_branches = 100_000;
    let (counted, model) = (Arc::clone(&counts), Arc::new(model));
    bounded.check(move || {
        let model = Arc::clone(&model);
        let went = spawn(move || model()).join().unwrap();
        if let Some(went) = went {
            assert_eq!(went, ports(1), "{proto:?}");
        }
        counted[usize::from(went.is_some())].fetch_add(1, Ordering::Relaxed);
    });
    let [left, passed] = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert!(left > 10 && passed > 10, "{left} left, {passed} passed");
}

/// A thread with a stack that tables have room on.
fn spawn<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    const WORDS: usize = 1 << 16;
    let threads = thread::Builder::new().stack_size(WORDS);
    threads.spawn(what).unwrap()
}

/// A datagram goes on as its own flow says, or is left to the port's lock, whatever becomes of the record meanwhile.
#[test]
fn a_datagram_is_translated_as_its_own_flow_says() {
    orders(Proto::Udp, || {
        let mut table = table();
        let id = enter(&mut table, 1, None);
        let store = Arc::clone(table.store());
        let writer = spawn(move || {
            table.remove(id);
            assert_eq!(enter(&mut table, 2, None), id);
            table
        });
        let went = send(&store, Proto::Udp, 1);
        let table = writer.join().unwrap();
        assert_eq!(send(&store, Proto::Udp, 1), None);
        assert_eq!(send(table.store(), Proto::Udp, 2), Some(ports(2)));
        went
    });
}

/// A segment moves its own connection on, and no other that has its place meanwhile.
#[test]
fn a_segment_moves_its_own_connection_on() {
    orders(Proto::Tcp, || {
        let mut table = table();
        let id = enter(&mut table, 1, Some(connection(true)));
        let store = Arc::clone(table.store());
        let writer = spawn(move || {
            table.remove(id);
            assert_eq!(enter(&mut table, 2, Some(connection(true))), id);
            table
        });
        let went = send(&store, Proto::Tcp, 1);
        let table = writer.join().unwrap();
        let other = table.get(id).unwrap().connection().unwrap();
        assert_eq!(other, connection(true));
        assert_eq!(send(&store, Proto::Tcp, 1), None);
        assert_eq!(send(table.store(), Proto::Tcp, 2), Some(ports(2)));
        went
    });
}
