//! What happens on the way: congestion marks, packets that do not fit or that have come too far.

mod sim;

use opte::Direction::{In, Out};
use opte::DropReason;
use opte_headers::TcpFlags;
use opte_headers::checksum::Sum;
use oxide_vpc::network::{BOUNDARY_VNI, GATEWAY_MAC, TUNNEL_ENDPOINT_MAC};
use sim::outside::{ENDPOINT, from_outside, share6};
use sim::way::{
    L3, answered, class, error, forbid_fragments, gateway, own, seal, set_class, set_hops, shared,
    to_outside, transport_sum,
};
use sim::{Body, Frame, Outer, Sent, World, guest, ip, snat, tcp, udp};

/// Ethernet, IPv6, UDP and Geneve of the tunnel to the boundary.
const TUNNEL: usize = L3 + 40 + 8 + 8;

const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// Shortfalls 1.9 and 1.20: the outer traffic class was always zero, CE on the way was lost, and the names of ECT(0) and ECT(1) were
/// exchanged. RFC 6040, section 4.1, normal mode; RFC 2983, pipe model.
#[test]
fn shortfalls_1_9_and_1_20_ecn_goes_into_the_tunnel() {
    for v6 in [false, true] {
        let (world, a) = shared();
        for ecn in [NOT_ECT, ECT_1, ECT_0, CE] {
            let mut frame = to_outside(&world, a, v6, udp(5000, 53, b"data")).bytes();
            set_class(&mut frame, L3, 46 << 2 | ecn);
            // The first packet of the flow and the next ones.
            for _ in 0..2 {
                let got = world.process(a, Out, &frame).unwrap();
                assert_eq!(class(&got, L3), ecn, "outer");
                let inner = &got[TUNNEL..];
                assert_eq!(class(inner, L3), 46 << 2 | ecn, "inner");
                if !v6 {
                    assert_eq!(Sum::of(&inner[L3..L3 + 20]).checksum(), 0);
                }
            }
        }
    }
}

/// RFC 6040, section 4.2, figure 4: every codepoint in every other.
#[test]
fn ecn_comes_out_of_the_tunnel() {
    let table = [
        (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
        (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
        (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
        (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
    ];
    for v6 in [false, true] {
        let (world, a) = shared();
        let sent = to_outside(&world, a, v6, udp(5000, 53, b"data"));
        let answer = world.send(a, &sent).left().1.echoed();
        let answer = Frame {
            destination_mac: world.mac(a),
            source_mac: TUNNEL_ENDPOINT_MAC,
            ..answer
        };
        let outer = Outer {
            source: ENDPOINT,
            destination: world.hosts[0].underlay,
            vni: BOUNDARY_VNI,
            external: true,
        };
        for (inner, row) in table {
            for (around, expected) in [NOT_ECT, ECT_0, ECT_1, CE].into_iter().zip(row) {
                let mut bytes = answer.bytes();
                set_class(&mut bytes, L3, 10 << 2 | inner);
                let mut tunnelled = outer.around(&bytes);
                set_class(&mut tunnelled, L3, 34 << 2 | around);
                let got = world.process(a, In, &tunnelled);
                match expected {
                    Some(ecn) => {
                        let mut got = got.unwrap();
                        assert_eq!(
                            class(&got, L3),
                            10 << 2 | ecn,
                            "{inner:02b} in {around:02b}"
                        );
                        set_class(&mut got, L3, 0);
                        assert_eq!(Frame::read(&got).body, sent.echoed().body);
                    }
                    None => assert_eq!(*got.unwrap_err(), Sent::Refused(DropReason::EcnNotCapable)),
                }
            }
        }
    }
}

/// Shortfall 1.9: packets that did not fit the tunnel vanished. RFC 1191, section 4; RFC 8201; RFC 4443, section 3.2.
#[test]
fn shortfall_1_9_a_packet_that_does_not_fit_is_reported() {
    for v6 in [false, true] {
        for (world, a) in [shared(), own()] {
            let headers = if v6 { 48 } else { 28 };
            world.vpc(a).port().set_path_mtu(Some(1422));
            let of = |len: usize| {
                let body = udp(5000, 53, &vec![0x55; len - headers]);
                let mut frame = to_outside(&world, a, v6, body).bytes();
                forbid_fragments(&mut frame);
                frame
            };
            assert!(world.process(a, Out, &of(1422)).is_ok(), "what fits goes");
            for len in [1423, 1500] {
                let frame = of(len);
                let before = world.vpc(a).port().counters().flows;
                let (from, kind, mtu, embedded) = error(&world, a, &answered(&world, a, &frame));
                assert_eq!(from, gateway(v6));
                assert_eq!((kind, mtu), (if v6 { (2, 0) } else { (3, 4) }, 1422));
                assert_eq!(embedded, frame[L3..][..if v6 { 1232 } else { 548 }]);
                assert_eq!(world.vpc(a).port().counters().flows, before);
            }
            world.vpc(a).port().set_path_mtu(None);
            assert!(world.process(a, Out, &of(1500)).is_ok());
        }
    }
}

/// RFC 791, section 3.2; RFC 1812, section 4.2.2.7: what may be cut is cut, and arrives whole.
#[test]
fn what_may_be_cut_is_cut() {
    use sim::fragments::whole;
    for (world, a) in [shared(), own()] {
        for (mtu, len, count) in [
            (1422, 1500, 2),
            (1422, 1423, 2),
            (600, 1500, 3),
            (68, 600, 13),
        ] {
            world.vpc(a).port().set_path_mtu(Some(mtu));
            let body = udp(
                5000,
                53,
                &(0..len - 28).map(|n| n as u8).collect::<Vec<_>>(),
            );
            let frame = to_outside(&world, a, false, body);
            let mut bytes = frame.bytes();
            set_class(&mut bytes, L3, ECT_0);
            let (got, dropped) = world.burst(a, Out, &[bytes]);
            assert_eq!(
                (got.len(), dropped),
                (count, vec![]),
                "{len} bytes over {mtu}"
            );
            let inner: Vec<_> = got
                .iter()
                .map(|frame| {
                    assert_eq!(class(frame, L3), ECT_0);
                    let inner = Outer::off(frame).1;
                    assert!(inner.len() - L3 <= usize::from(mtu));
                    inner.to_vec()
                })
                .collect();
            let mut put_together = whole(&inner);
            set_class(&mut put_together, L3, 0);
            world.vpc(a).port().set_path_mtu(None);
            let expected = world.send(a, &frame).left().1;
            assert_eq!(Frame::read(&put_together), expected);
            let fragments = world.vpc(a).port().counters().fragments.outbound;
            assert_eq!((fragments.packets, fragments.bytes), (0, 0));
        }
    }
}

/// A fragment that does not fit is cut again.
#[test]
fn a_fragment_is_cut_again() {
    use sim::fragments::{cut, whole};
    let (world, a) = shared();
    let frame = to_outside(&world, a, false, udp(5000, 53, &[0x33; 4000]));
    let expected = world.send(a, &frame).left().1;
    world.vpc(a).port().set_path_mtu(Some(1006));
    let pieces = cut(&frame.bytes(), &[1480, 2960], 5);
    for order in [[0, 1, 2], [2, 1, 0]] {
        let sent = order.map(|at: usize| pieces[at].clone());
        let (got, dropped) = world.burst(a, Out, &sent);
        assert_eq!(dropped, []);
        let inner: Vec<_> = got
            .iter()
            .map(|frame| Outer::off(frame).1.to_vec())
            .collect();
        assert!(inner.iter().all(|inner| inner.len() <= L3 + 1006));
        assert_eq!(Frame::read(&whole(&inner)), expected);
    }
}

/// RFC 792; RFC 4443, section 3.3: where the router sends packets on, they may not have come too far.
#[test]
fn a_packet_at_its_last_hop_is_reported_where_it_leaves_the_link() {
    let mut world = World::new(2);
    let (a, b) = (world.port(0, guest(10, 5)), world.port(1, guest(10, 6)));
    let v4 = snat("203.0.113.9", 1025, 4096);
    let v6 = share6("2001:db8:1::9", 1025, 4096);
    world
        .vpc(a)
        .set_external_ips(Some(v4), Some(v6), None)
        .unwrap();
    for (dest, target) in [
        ("0.0.0.0/0", "ig"),
        ("::/0", "ig"),
        ("172.30.0.0/22", "sub4=172.30.0.0/22"),
        ("fd00:1::/64", "sub6=fd00:1::/64"),
    ] {
        world.route(a, dest, target);
    }
    world.boundary(ENDPOINT);
    for v6 in [false, true] {
        for hops in [0, 1] {
            let probe = to_outside(&world, a, v6, udp(40_000, 33_434, b"traceroute"));
            let mut frame = probe.bytes();
            set_hops(&mut frame, hops);
            let (from, kind, _, embedded) = error(&world, a, &answered(&world, a, &frame));
            assert_eq!(
                (from, kind),
                (gateway(v6), if v6 { (3, 0) } else { (11, 0) })
            );
            assert_eq!(embedded, frame[L3..]);
            assert_eq!(
                world.vpc(a).port().counters().flows,
                0,
                "a probe makes no flow"
            );
        }
        let mut frame = to_outside(&world, a, v6, udp(40_000, 33_434, b"2")).bytes();
        set_hops(&mut frame, 2);
        assert!(world.process(a, Out, &frame).is_ok());
        world.vpc(a).port().reset();
        world.vpc(a).port().start();
        // On the guest's own link nobody counts.
        let (from, to) = if v6 {
            (world.v6(a), world.v6(b))
        } else {
            (world.v4(a), world.v4(b))
        };
        let near = Frame::new(from, (GATEWAY_MAC, to.1), udp(5000, 9, b"near"));
        let mut frame = near.bytes();
        set_hops(&mut frame, 1);
        assert!(world.process(a, Out, &frame).is_ok());
        world.vpc(a).port().reset();
        world.vpc(a).port().start();
    }
}

/// RFC 1812, section 4.3.2.7; RFC 4443, section 2.4 (e): about what nothing is reported.
#[test]
fn no_error_about_errors_groups_and_later_fragments() {
    for v6 in [false, true] {
        let (world, a) = shared();
        let sent = to_outside(&world, a, v6, udp(5000, 53, b"?"));
        let answer = world.send(a, &sent).left().1.echoed();
        let got = from_outside(&world, a, &answer, BOUNDARY_VNI).at(a);
        let complaint = Frame {
            destination_mac: GATEWAY_MAC,
            source_mac: world.mac(a),
            ..got.answered(Body::Icmp {
                ty: if v6 { 1 } else { 3 },
                code: if v6 { 4 } else { 3 },
                identifier: 0,
                sequence: 0,
                data: got.bytes()[L3..].to_vec(),
            })
        };
        let mut about_error = complaint.bytes();
        set_hops(&mut about_error, 1);
        assert_eq!(
            *world.process(a, Out, &about_error).unwrap_err(),
            Sent::Refused(DropReason::HopLimitExceeded)
        );
        let mut pieces = sim::fragments::cut(
            &to_outside(&world, a, v6, udp(5000, 53, &[0; 2000])).bytes(),
            &[1024],
            7,
        );
        assert!(world.process(a, Out, &pieces[0]).is_ok());
        set_hops(&mut pieces[1], 1);
        assert_eq!(
            *world.process(a, Out, &pieces[1]).unwrap_err(),
            Sent::Refused(DropReason::HopLimitExceeded)
        );
        let spoofed = Frame {
            source: ip(if v6 { "fd00:1::77" } else { "172.30.0.77" }),
            ..sent
        };
        let mut spoofed = spoofed.bytes();
        set_hops(&mut spoofed, 1);
        assert_eq!(
            *world.process(a, Out, &spoofed).unwrap_err(),
            Sent::Refused(DropReason::SpoofedSource),
            "whoever may not send is not told about the way"
        );
    }
}

/// RFC 4443, section 2.4 (f); RFC 1812, section 4.3.2.8.
#[test]
fn errors_are_few() {
    let (world, a) = shared();
    let mut frame = to_outside(&world, a, false, udp(40_000, 33_434, b"x")).bytes();
    set_hops(&mut frame, 1);
    let told = || {
        let told = |_: &u32| match world.process(a, Out, &frame) {
            Err(sent) => matches!(*sent, Sent::Answered(_)),
            Ok(_) => panic!("sent"),
        };
        (0..1000).filter(told).count()
    };
    assert_eq!(told(), 50, "at once");
    world.pass(1);
    assert_eq!(told(), 50, "and again after a while");
    let drops = world.vpc(a).port().counters().traffic.outbound.drops;
    assert_eq!(drops.get(DropReason::HopLimitExceeded), 1900);
    // A clock that jumped back is gone by from then on.
    world.pass(4000);
    assert_eq!(told(), 50);
    world.turn_back(3600);
    world.pass(1);
    assert_eq!(told(), 0);
    world.pass(1);
    assert_eq!(told(), 50);
}

/// The segment sizes of both ends are made to fit, in the SYN and in its answer (shortfall 1.19: it was taken for granted where the
/// option stands).
#[test]
fn shortfall_1_19_segment_sizes_are_clamped_both_ways() {
    for v6 in [false, true] {
        let (world, a) = own();
        let headers = if v6 { 60 } else { 40 };
        world.rule(a, "dir=in action=allow priority=9");
        let with_mss = |mut frame: Vec<u8>, mss: u16| {
            let [high, low] = mss.to_be_bytes();
            let (l4, option) = (L3 + headers - 20, [1, 1, 2, 4, high, low, 1, 1]);
            frame.extend(option);
            frame[l4 + 12] = 7 << 4;
            let len = (frame.len() - L3) as u16;
            if v6 {
                frame[L3 + 4..L3 + 6].copy_from_slice(&(len - 40).to_be_bytes());
            } else {
                frame[L3 + 2..L3 + 4].copy_from_slice(&len.to_be_bytes());
                seal(&mut frame[L3..L3 + 20]);
            }
            frame[l4 + 16..l4 + 18].fill(0);
            let sum = transport_sum(&frame[L3..]);
            frame[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
            frame
        };
        let mss_of = |frame: &[u8]| {
            let l4 = L3 + headers - 20;
            assert_eq!(transport_sum(&frame[L3..]), 0);
            u16::from_be_bytes([frame[l4 + 24], frame[l4 + 25]])
        };
        let flags = TcpFlags::SYN;
        let syn = to_outside(&world, a, v6, tcp(5000, 80, flags, 1, 0, b""));
        let outer = Outer {
            source: ENDPOINT,
            destination: world.hosts[0].underlay,
            vni: BOUNDARY_VNI,
            external: true,
        };
        for (mtu, offered, expected) in [
            (None, 1460, 1460),
            (Some(1400), 1460, 1400 - headers as u16),
            (Some(1400), 536, 536),
        ] {
            world.vpc(a).port().reset();
            world.vpc(a).port().start();
            world.vpc(a).port().set_path_mtu(mtu);
            let sent = world
                .process(a, Out, &with_mss(syn.bytes(), offered))
                .unwrap();
            assert_eq!(mss_of(&sent[TUNNEL..]), expected, "of the SYN");
            let out = sent[TUNNEL..].to_vec();
            // Read without the option, to be answered.
            let source = ip(if v6 { "2001:db8:1::20" } else { "203.0.113.20" });
            let flags = TcpFlags::SYN | TcpFlags::ACK;
            let answer = Frame {
                destination: source,
                destination_mac: world.mac(a),
                source_mac: TUNNEL_ENDPOINT_MAC,
                ..syn.answered(tcp(80, 5000, flags, 9, 2, b""))
            };
            assert!(!out.is_empty());
            let tunnelled = outer.around(&with_mss(answer.bytes(), offered));
            let got = world.process(a, In, &tunnelled).unwrap();
            assert_eq!(mss_of(&got), expected, "of its answer");
        }
    }
}

/// Shortfall 1.18: headers of the greatest length, with 40 bytes of options, keep their checksums.
#[test]
fn shortfall_1_18_options_of_every_length_keep_the_checksums() {
    for (world, a) in [shared(), own()] {
        for (ip_words, tcp_words) in [(0, 10), (10, 0), (10, 10), (3, 7), (1, 1)] {
            let port = 5000 + ip_words * 16 + tcp_words;
            let syn = tcp(port, 80, TcpFlags::SYN, 1, 0, b"odd");
            let plain = to_outside(&world, a, false, syn).bytes();
            let (head, segment) = plain.split_at(L3 + 20);
            let (ip, tcp) = (usize::from(ip_words), usize::from(tcp_words));
            let mut frame = head.to_vec();
            frame.extend(vec![1; ip * 4]);
            frame.extend(&segment[..20]);
            frame.extend(vec![1; tcp * 4]);
            frame.extend(&segment[20..]);
            let (header, l4) = (20 + ip * 4, L3 + 20 + ip * 4);
            frame[L3] = 0x40 | (header / 4) as u8;
            let len = (frame.len() - L3) as u16;
            frame[L3 + 2..L3 + 4].copy_from_slice(&len.to_be_bytes());
            seal(&mut frame[L3..l4]);
            frame[l4 + 12] = ((5 + tcp) << 4) as u8;
            frame[l4 + 16..l4 + 18].fill(0);
            let sum = segment_sum(&frame[L3..], header);
            frame[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
            for _ in 0..2 {
                let got = world.process(a, Out, &frame).unwrap();
                let inner = Outer::off(&got).1;
                assert_eq!(Sum::of(&inner[L3..l4]).checksum(), 0, "{ip} {tcp}");
                assert_eq!(segment_sum(&inner[L3..], header), 0, "{ip} {tcp}");
                assert_ne!(inner[L3 + 12..L3 + 16], frame[L3 + 12..L3 + 16]);
            }
        }
    }
}

fn segment_sum(ip: &[u8], header: usize) -> u16 {
    let address = |at: usize| <[u8; 4]>::try_from(&ip[at..at + 4]).unwrap().into();
    let len = (ip.len() - header) as u16;
    opte_headers::checksum::pseudo_v4(address(12), address(16), 6, len)
        .with(&ip[header..])
        .checksum()
}

/// Shortfall 1.19: a segment size less than the headers before it was taken from a length that had become negative.
#[test]
fn shortfall_1_19_no_way_is_too_narrow() {
    for v6 in [false, true] {
        let (world, a) = shared();
        for mtu in [0, 1, 20, 39, 40, 59, 60, 67, 68, 1279] {
            world.vpc(a).port().set_path_mtu(Some(mtu));
            for len in [0, 1, 1400] {
                let flags = TcpFlags::SYN;
                let body = tcp(5000 + mtu, 80, flags, 1, 0, &vec![0; len]);
                let frame = to_outside(&world, a, v6, body).bytes();
                let (got, dropped) = match world.process(a, Out, &frame) {
                    Ok(_) => (1, 0),
                    Err(sent) => match *sent {
                        Sent::Refused(DropReason::TooBig | DropReason::ParseTruncated) => (0, 1),
                        Sent::Answered(_) if v6 => (0, 1),
                        other => panic!("{other:?}"),
                    },
                };
                assert_eq!(got + dropped, 1);
            }
        }
    }
}
