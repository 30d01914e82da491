//! Bursts: what becomes of many frames at once is what becomes of them one by one, also where the ports look ahead.

mod memory;

use memory::frames::{Frame, udp};
use memory::{Guest, MemoryLink, World};
use opte::packet::Offload;
use opte_headers::MacAddr;
use oxide_vpc::network::GATEWAY_MAC;
use xde::platform::PortId;
use xde::segment::MAX_HEADERS;
use xde::{Outbox, WireFrame as _};

const VPC: u32 = 10;

/// Flows from which on a port looks ahead, and some more.
const FLOWS: u16 = 16_500;

/// One guest on the first host, and two on the second.
fn world() -> (World, [Guest; 3]) {
    let world = World::new();
    let guests = [(0, 5), (1, 6), (1, 7)].map(|(host, n)| world.guest(host, VPC, n));
    (world, guests)
}

fn frame(from: &Guest, to: &Guest, port: u16) -> Vec<u8> {
    let ends = ((from.mac, from.v4), (GATEWAY_MAC, to.v4));
    Frame::new(ends.0, ends.1, udp(port, 9, b"data")).bytes()
}

/// A frame that came out, with the link or the port it is for.
type Out = (String, Vec<u8>);

/// Gives a host these frames in bursts of so many, from a guest of it or over a link; what comes out for guests and for links.
fn bursts(
    world: &World,
    from: Result<&Guest, usize>,
    frames: &[Vec<u8>],
    len: usize,
) -> (Vec<Out>, Vec<Out>) {
    let (mut to_guests, mut to_links) = (Vec::new(), Vec::new());
    for frames in frames.chunks(len) {
        let mut outbox: Outbox<MemoryLink> = Outbox::new(0);
        let frames: Vec<_> = frames
            .iter()
            .map(|bytes| {
                let mut frame = outbox.pool.take();
                frame.fill(bytes);
                frame
            })
            .collect();
        match from {
            Ok(guest) => {
                let host = &world.hosts[guest.host];
                host.from_guest(id_of(world, guest), frames, &mut outbox);
            }
            Err(link) => world.hosts[1].from_underlay(link, frames, &mut outbox),
        }
        let delivered = outbox.deliveries();
        to_guests.extend(delivered.map(|(port, frame)| {
            assert_eq!(frame.offload, Offload::default());
            (port.name.clone(), frame.bytes().to_vec())
        }));
        for sent in &outbox.to_underlay {
            sent.for_each_wire_frame(&mut [0; MAX_HEADERS], |head, payload| {
                to_links.push((sent.link.to_string(), [head, payload].concat()));
            });
        }
    }
    (to_guests, to_links)
}

fn id_of(world: &World, guest: &Guest) -> PortId {
    let switch = world.hosts[guest.host].switch();
    let port = switch.ports().find(|port| port.name == guest.port);
    port.unwrap().id
}

fn wire(out: Vec<Out>) -> Vec<Vec<u8>> {
    out.into_iter().map(|(_, bytes)| bytes).collect()
}

#[test]
fn frames_of_large_and_small_ports_between_one_another() {
    let [(together, guests), (alone, _)] = [world(), world()];
    let [a, b, c] = &guests;
    // Guest `b` comes to have many flows, and so does `a`; `c` has few.
    let known: Vec<_> = (1..=FLOWS).map(|port| frame(a, b, port)).collect();
    for world in [&together, &alone] {
        let (_, out) = bursts(world, Ok(a), &known, 64);
        let (got, _) = bursts(world, Err(0), &wire(out), 64);
        assert_eq!(got.len(), usize::from(FLOWS));
        let switch = world.hosts[1].switch();
        let looks_ahead = |guest: &Guest| {
            let port = switch.ports().find(|port| port.name == guest.port);
            port.unwrap().engine.as_ref().unwrap().looks_ahead()
        };
        assert!(looks_ahead(b) && !looks_ahead(c));
    }
    // To both, known flows and new ones, some twice; frames that are none, and one of a guest that there is not.
    let port = |n: u16| 1 + n.wrapping_mul(7_919) % (FLOWS + 50);
    let mut frames: Vec<_> = (0..150)
        .map(|n| frame(a, if n % 3 == 0 { c } else { b }, port(n - n % 4)))
        .collect();
    frames.insert(20, Vec::new());
    frames.insert(21, vec![1; 9]);
    let (_, wanted) = bursts(&alone, Ok(a), &frames, 1);
    let (_, sent) = bursts(&together, Ok(a), &frames, 64);
    assert_eq!((&sent, sent.len()), (&wanted, 150));
    let mut arriving = wire(sent);
    let mut lost = arriving[1].clone();
    // The inner destination, behind the headers of the tunnel, is told by the end of the guest's address.
    let end = lost.windows(6).rposition(|six| six == b.mac.octets());
    let end = end.unwrap();
    lost[end..end + 6].copy_from_slice(&MacAddr::new([2; 6]).octets());
    arriving.insert(30, lost);
    arriving.insert(31, vec![1; 9]);
    let (wanted, _) = bursts(&alone, Err(1), &arriving, 1);
    let (got, _) = bursts(&together, Err(1), &arriving, 64);
    // What is for one guest comes in order; so does, here, what is for several.
    assert_eq!((&got, got.len()), (&wanted, 150));
    for (host, name) in [
        (0, "from_guest_frames"),
        (0, "out_uft_hit"),
        (1, "to_guest_frames"),
        (1, "in_uft_hit"),
        (1, "in_uft_miss"),
    ] {
        let counted = together.count(host, name);
        assert_ne!(counted, 0, "{name}");
        assert_eq!(counted, alone.count(host, name), "{name}");
    }
    for host in 0..2 {
        let drops = |world: &World| world.all_drops(host, |_| true);
        assert_eq!(drops(&together), drops(&alone));
        assert_eq!(drops(&together), 2, "host {host}");
    }
}
