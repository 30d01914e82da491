//! Two drivers joined in memory: whatever guests and the underlay send, the guests still reach each other afterwards.

use std::time::Duration;

use crate::input::Input;
use crate::memory::frames::{Frame, tcp, udp};
use crate::memory::{Guest, World};
use opte::packet::{Gso, GsoKind, Offload};
use opte_headers::TcpFlags;
use opte_headers::program::Sums;
use oxide_vpc::network::GATEWAY_MAC;

/// What happens, one thing after another.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut world = World::new();
    let guests = [(0, 5), (0, 6), (1, 7)].map(|(host, n)| world.guest(host, 10, n));
    for _ in 0..24 {
        if input.is_empty() {
            break;
        }
        event(&mut world, &guests, &mut input);
    }
    for host in 0..2 {
        *world.hosts[host].platform().silent.lock().unwrap() = false;
        world.retry(host);
    }
    world.pass(Duration::from_secs(1));
    for (from, to) in [(0, 1), (0, 2), (2, 1)] {
        let (from, to) = (&guests[from], &guests[to]);
        for (source, destination) in [(from.v4, to.v4), (from.v6, to.v6)] {
            let ping = Frame::ping((from.mac, source), (GATEWAY_MAC, destination), 0xfeed, 1);
            let got = world.send(from, &ping);
            assert_eq!(
                to.got(&got).len(),
                1,
                "{source} does not reach {destination}"
            );
        }
    }
}

fn event(world: &mut World, guests: &[Guest; 3], input: &mut Input<'_>) {
    match input.below(8) {
        0 => {
            let from = &guests[input.below(3)];
            let (offload, len) = (offload(input), input.word());
            world.send_bytes(from, input.up_to(len.into()), offload);
        }
        1..=3 => {
            let (from, to) = (&guests[input.below(3)], &guests[input.below(3)]);
            let ends = if input.below(2) == 0 {
                ((from.mac, from.v4), (GATEWAY_MAC, to.v4))
            } else {
                ((from.mac, from.v6), (GATEWAY_MAC, to.v6))
            };
            let offload = offload(input);
            let data = vec![b'x'; usize::from(input.word()) % 20_000];
            let body = if input.below(2) == 0 {
                udp(1000, 53, &data)
            } else {
                let flags = TcpFlags::from_bits_retain(input.byte());
                tcp(1000, 80, flags, 1, 1, &data)
            };
            let frame = edited(Frame::new(ends.0, ends.1, body).bytes(), input);
            world.send_bytes(from, &frame, offload);
        }
        4 => {
            let (host, link, len) = (input.below(2), input.below(2), input.word());
            world.underlay(host, link, input.up_to(len.into()));
        }
        5 => {
            let back = usize::from(input.byte());
            let Some(at) = world.wire.len().checked_sub(1 + back) else {
                return;
            };
            let frame = edited(world.wire[at].clone(), input);
            world.underlay(input.below(2), input.below(2), &frame);
        }
        6 => {
            let host = input.below(2);
            *world.hosts[host].platform().silent.lock().unwrap() = input.below(2) == 0;
        }
        _ => {
            world.pass(Duration::from_millis(input.word().into()));
            let host = input.below(2);
            world.retry(host);
            world.hosts[host].expire();
        }
    }
}

/// The frame with up to three bytes changed.
fn edited(mut frame: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    for _ in 0..input.below(4) {
        let at = input.below(frame.len().min(256));
        frame[at] = input.byte();
    }
    frame
}

fn offload(input: &mut Input<'_>) -> Offload {
    let choice = input.byte();
    let kinds = [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::Udp];
    let gso = kinds.get(usize::from(choice / 2 % 8)).map(|kind| Gso {
        kind: *kind,
        size: input.word(),
    });
    let sums = if choice & 1 == 0 {
        Sums::Complete
    } else {
        Sums::Partial
    };
    Offload { sums, gso }
}
