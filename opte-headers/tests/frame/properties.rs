//! Any bytes, and frames with faults in them.

use crate::build::*;
use crate::oracle;
use opte_headers::frame::{
    Parsed, Then, parse_any_geneve, parse_any_guest, parse_geneve, parse_geneve_then, parse_guest,
    parse_guest_then,
};
use opte_headers::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A frame of which what it was parsed to is kept.
struct Kept<'a>(&'a [u8]);

impl Then for Kept<'_> {
    type Output = Result<Parsed, ParseError>;

    fn frame(&self) -> &[u8] {
        self.0
    }

    fn parsed(self, parsed: Parsed) -> Self::Output {
        Ok(parsed)
    }

    fn malformed(self, error: ParseError) -> Self::Output {
        Err(error)
    }
}

/// Frames of every kind, as they should be.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let v4 = |protocol, body: &[u8]| {
        ethernet(
            Ethertype::IPV4,
            &ipv4(
                Ipv4 {
                    protocol,
                    ..Ipv4::default()
                },
                body,
            ),
        )
    };
    let v6 = |next, body: &[u8]| ethernet(Ethertype::IPV6, &ipv6(next, body));
    let options = Options::of(&[Ipv4Option::RouterAlert(0)]).unwrap();
    let with_options = Ipv4 {
        protocol: IpProtocol::UDP,
        options,
        ..Ipv4::default()
    };
    let extension = Ipv6Destination {
        next_header: IpProtocol::FRAGMENT,
        ..Ipv6Destination::default()
    };
    let fragment = Ipv6Fragment {
        next_header: IpProtocol::UDP,
        identification: 7,
        ..Ipv6Fragment::default()
    };
    let chain = [bytes(&extension), bytes(&fragment), udp(53, b"abcd")].concat();
    let tag = bytes(&Vlan {
        ethertype: Ethertype::IPV4,
        ..Vlan::default()
    });
    let tagged = [
        tag,
        ipv4(
            Ipv4 {
                protocol: IpProtocol::TCP,
                ..Ipv4::default()
            },
            &tcp(),
        ),
    ]
    .concat();
    vec![
        guest_tcp(),
        v4(IpProtocol::UDP, &udp(53, b"abcd")),
        v4(
            IpProtocol::ICMP,
            &bytes(&Icmpv4 {
                ty: Icmpv4Type::ECHO_REQUEST,
                identifier: 3,
                ..Icmpv4::default()
            }),
        ),
        v4(IpProtocol::SCTP, &[1; 20]),
        v6(IpProtocol::TCP, &tcp()),
        v6(
            IpProtocol::ICMPV6,
            &bytes(&Icmpv6 {
                ty: Icmpv6Type::ECHO_REPLY,
                identifier: 3,
                ..Icmpv6::default()
            }),
        ),
        v6(IpProtocol::DESTINATION_OPTIONS, &chain),
        ethernet(Ethertype::IPV4, &ipv4(with_options, &udp(53, b"abcd"))),
        ethernet(Ethertype::VLAN, &tagged),
        ethernet(
            Ethertype::ARP,
            &bytes(&Arp {
                sender_ip: A,
                target_ip: B,
                ..Arp::default()
            }),
        ),
        ethernet(Ethertype::LLDP, &[9; 30]),
    ]
}

/// A frame, some of whose bytes in the headers are changed, cut off or padded.
pub(crate) fn damaged(frames: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..4);
    (select(frames), changes, any::<Index>(), 0..4u8, 0..20usize).prop_map(
        |(mut frame, changes, end, cut, padding)| {
            for (at, value) in changes {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            if cut == 0 {
                frame.truncate(end.index(frame.len()));
            }
            frame.resize(frame.len() + padding, 0);
            frame
        },
    )
}

/// Frames for the short way.
fn plain() -> Vec<Vec<u8>> {
    let (tcp, udp) = ([tcp(), vec![7; 9]].concat(), udp(53, &[5; 30]));
    let v4 = |protocol, body: &[u8]| {
        let header = Ipv4 {
            protocol,
            ..Ipv4::default()
        };
        ethernet(Ethertype::IPV4, &ipv4(header, body))
    };
    let v6 = ethernet(Ethertype::IPV6, &ipv6(IpProtocol::TCP, &tcp));
    let mut frames = vec![
        v4(IpProtocol::TCP, &tcp),
        v4(IpProtocol::UDP, &udp),
        v6.clone(),
        ethernet(Ethertype::IPV6, &ipv6(IpProtocol::UDP, &udp)),
    ];
    frames.extend(like_v4(&v6));
    frames
}

/// The same frame of IPv6 with an address that stands for one of IPv4, and with one that nearly does.
fn like_v4(frame: &[u8]) -> [Vec<u8>; 4] {
    [(22, 0), (22, 9), (38, 0), (38, 9)].map(|(address, first)| {
        let mut frame = frame.to_vec();
        frame[address..address + 10].fill(0);
        frame[address] = first;
        frame[address + 10..address + 12].fill(0xff);
        frame
    })
}

/// Plain frames in a tunnel.
fn plain_tunnels() -> Vec<Vec<u8>> {
    let all = plain();
    let mut frames: Vec<_> = all.iter().map(|inner| geneve(&[], false, inner)).collect();
    frames.extend(like_v4(&frames[0]));
    // From outside the overlay, and with options that are not quite that.
    let options: [&[u8]; 4] = [
        &[1, 0x29, 0, 0],
        &[1, 0x29, 0, 0xe0],
        &[1, 0x29, 0x80, 0],
        &[1, 0x29, 0, 0, 1, 0x29, 0, 0],
    ];
    for options in options {
        frames.extend(all.iter().map(|inner| geneve(options, true, inner)));
    }
    frames
}

/// Frames of which a byte or two differ a little, where they say something, and of any length: most are still what they were.
fn scratched(frames: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec(
        (
            any::<Index>(),
            select(&[1, 2, 4, 8, 16, 32, 64, 128, 255][..]),
        ),
        0..3,
    );
    (select(frames), changes, 0..4usize, 0..12usize).prop_map(|(mut frame, changes, cut, more)| {
        for (at, bits) in changes {
            let at = at.index(frame.len());
            frame[at] ^= bits;
        }
        frame.truncate(frame.len() - cut.saturating_sub(2) * 5);
        frame.resize(frame.len() + more.saturating_sub(6), 0);
        frame
    })
}

/// The same frame, so long that it is not for the quick parser.
fn long(frame: &[u8]) -> Vec<u8> {
    let mut long = vec![0; 70_000];
    long[..frame.len()].copy_from_slice(frame);
    long
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 4096 }))]

    #[test]
    fn a_guests_frame_is_what_the_oracle_says(frame in damaged(frames())) {
        let expected = oracle::guest(&frame);
        let found = parse_guest(&frame).ok().map(|parsed| (parsed.key, parsed.l3(), parsed.l4()));
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn quick_and_thorough_agree(frame in damaged(frames())) {
        if let Ok(parsed) = parse_any_guest(&frame) {
            let mut thorough = parse_any_guest(&long(&frame)).unwrap();
            if parsed.l3().is_none() {
                // What is not IP has no length of its own.
                thorough.frame_len = parsed.frame_len;
            }
            prop_assert_eq!(thorough, parsed);
        }
    }

    #[test]
    fn plain_frames_are_parsed_as_any(frame in scratched(plain())) {
        prop_assert_eq!(parse_guest(&frame), parse_any_guest(&frame));
        prop_assert_eq!(parse_guest_then(Kept(&frame)), parse_any_guest(&frame));
    }

    #[test]
    fn plain_frames_in_a_tunnel_are_parsed_as_any(frame in scratched(plain_tunnels())) {
        prop_assert_eq!(parse_geneve(&frame), parse_any_geneve(&frame));
        prop_assert_eq!(parse_geneve_then(Kept(&frame)), parse_any_geneve(&frame));
    }

    #[test]
    fn any_frame_is_parsed_as_any(frame in damaged(frames())) {
        prop_assert_eq!(parse_guest(&frame), parse_any_guest(&frame));
        prop_assert_eq!(parse_guest_then(Kept(&frame)), parse_any_guest(&frame));
        let within = geneve(&[], true, &frame);
        prop_assert_eq!(parse_geneve(&within), parse_any_geneve(&within));
        prop_assert_eq!(parse_geneve_then(Kept(&within)), parse_any_geneve(&within));
    }

    #[test]
    fn inside_the_tunnel_as_outside(inner in damaged(frames()), options in select(vec![vec![], vec![1, 0x29, 0, 0]])) {
        let frame = geneve(&options, true, &inner);
        // One tag less is taken inside.
        let expected = oracle::guest(&inner).filter(|_| inner.get(12) != Some(&0x88) && inner.get(12) != Some(&0x91));
        let two_tags = inner.get(16..18).is_some_and(|next| [[0x81, 0], [0x88, 0xa8], [0x91, 0]].contains(&[next[0], next[1]]));
        if let (Some((key, l3, l4)), false) = (expected, two_tags) {
            let parsed = parse_geneve(&frame).unwrap();
            prop_assert_eq!(parsed.key.with_vni(Vni::default()), key);
            let base = parsed.l2();
            prop_assert_eq!((parsed.l3(), parsed.l4()), (l3.map(|at| base + at), l4.map(|at| base + at)));
        }
    }

    #[test]
    fn damaged_tunnels_are_parsed_or_refused(
        frame in damaged(frames().iter().map(|inner| geneve(&[1, 0x29, 2, 1, 0, 0, 0, 0], true, inner)).collect()),
    ) {
        if let Ok(parsed) = parse_geneve(&frame) {
            prop_assert!(parsed.frame_len as usize <= frame.len());
            prop_assert!(parsed.payload <= parsed.frame_len);
            prop_assert!(parsed.offsets.iter().is_sorted());
            prop_assert_eq!(parsed.shape.iter().count(), usize::from(parsed.offsets.count()));
        }
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(frame in vec(any::<u8>(), 0..200)) {
        for parsed in [parse_guest(&frame), parse_geneve(&frame)].into_iter().flatten() {
            prop_assert!(parsed.frame_len as usize <= frame.len());
        }
    }
}
