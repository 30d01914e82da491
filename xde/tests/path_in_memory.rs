//! Two hosts' drivers, joined in memory: fragments in any order, packets that do not fit the underlay, and rejections.

#[allow(unreachable_pub, reason = "shared with the tests of the VPC")]
#[path = "../../oxide-vpc/tests/sim/fragments.rs"]
mod fragments;
mod memory;

use fragments::{cut, whole};
use memory::frames::{Body, Frame, tcp, udp};
use memory::{Got, Guest, MTU, World};
use opte::DropReason;
use opte::packet::Offload;
use opte_headers::TcpFlags;
use opte_headers::checksum::Sum;
use oxide_vpc::network::GATEWAY_MAC;
use xde::command::Control as _;

const VPC: u32 = 10;
const L3: usize = 14;

/// Two guests on one host, and two on two.
fn pairs() -> [(World, Guest, Guest); 2] {
    [0, 1].map(|host| {
        let world = World::new();
        let (a, b) = (world.guest(0, VPC, 5), world.guest(host, VPC, 6));
        (world, a, b)
    })
}

fn from_to(a: &Guest, b: &Guest, v6: bool, body: Body) -> Frame {
    let ip = |guest: &Guest| if v6 { guest.v6 } else { guest.v4 };
    Frame::new((a.mac, ip(a)), (GATEWAY_MAC, ip(b)), body)
}

fn of(got: &[Got], guest: &Guest) -> Vec<Vec<u8>> {
    let mine = |got: &&Got| got.host == guest.host && got.port == guest.port;
    got.iter()
        .filter(mine)
        .map(|got| got.bytes.clone())
        .collect()
}

#[test]
fn fragments_arrive_in_whatever_order_they_are_sent() {
    for v6 in [false, true] {
        for (mut world, a, b) in pairs() {
            let sent = from_to(&a, &b, v6, udp(5000, 9, &vec![0x77; 3000]));
            let pieces = cut(&sent.bytes(), &[1440, 2880], 11);
            for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
                let mut got = Vec::new();
                for at in order {
                    got.extend(world.send_bytes(&a, &pieces[at], Offload::default()));
                }
                let got = of(&got, &b);
                assert_eq!(got.len(), 3, "{order:?}");
                assert_eq!(Frame::read(&whole(&got)).body, sent.body);
            }
            assert_eq!(world.count(0, "_fragment_bytes"), 0);
        }
    }
}

#[test]
fn what_does_not_fit_the_underlay_is_reported_or_cut() {
    let fits = MTU as usize - 78;
    for (mut world, a, b) in pairs() {
        for (v6, headers) in [(false, 28), (true, 48)] {
            for (len, told) in [(fits, false), (fits + 1, true)] {
                let body = udp(5000, 9, &vec![0; len - headers]);
                let mut bytes = from_to(&a, &b, v6, body).bytes();
                if !v6 {
                    bytes[L3 + 6] |= 0x40;
                    bytes[L3 + 10..L3 + 12].fill(0);
                    let sum = Sum::of(&bytes[L3..L3 + 20]).checksum();
                    bytes[L3 + 10..L3 + 12].copy_from_slice(&sum.to_be_bytes());
                }
                let got = world.send_bytes(&a, &bytes, Offload::default());
                let got = of(&got, &a);
                assert_eq!(got.len(), usize::from(told), "{len} bytes");
                if let [error] = &got[..] {
                    let at = L3 + if v6 { 40 } else { 20 };
                    let mtu = u32::from_be_bytes(error[at + 4..at + 8].try_into().unwrap());
                    let kind = (error[at], error[at + 1], mtu);
                    let (ty, code) = if v6 { (2, 0) } else { (3, 4) };
                    assert_eq!(kind, (ty, code, fits as u32));
                }
            }
        }
        let body = udp(5000, 9, &vec![0; fits + 1 - 28]);
        let before = world.wire.len();
        let got = world.send(&a, &from_to(&a, &b, false, body));
        assert_eq!(of(&got, &a).len(), 0);
        assert_eq!(
            world.drops(0, DropReason::TooBig) > 0,
            b.host == 0,
            "the guest's own link"
        );
        assert_eq!(world.wire.len() - before, 2 * b.host);
    }
}

/// The news of a rejection go the way back, through the tunnel or on one host, and through the sender's own firewall.
#[test]
fn a_rejected_packet_is_answered() {
    for v6 in [false, true] {
        for (mut world, a, b) in pairs() {
            let port_name = b.port.clone();
            let rule = "dir=in action=reject priority=1".parse().unwrap();
            world.hosts[b.host]
                .add_fw_rule(oxide_vpc::api::AddFwRuleReq { port_name, rule })
                .unwrap();
            let got = world.send(&a, &from_to(&a, &b, v6, udp(5000, 9, b"hello")));
            let got = of(&got, &a);
            let at = L3 + if v6 { 40 } else { 20 };
            assert_eq!(got.len(), 1);
            let kind = (got[0][at], got[0][at + 1]);
            assert_eq!(kind, if v6 { (1, 1) } else { (3, 13) });

            let syn = tcp(5000, 22, TcpFlags::SYN, 7, 0, b"");
            let got = world.send(&a, &from_to(&a, &b, v6, syn));
            let got = of(&got, &a);
            assert_eq!(got.len(), 1);
            assert_eq!(got[0][at + 13], (TcpFlags::RST | TcpFlags::ACK).bits());
            assert_eq!(got[0][at + 8..at + 12], 8_u32.to_be_bytes());
        }
    }
}
