//! Tables of frames and of what must become of them.

use crate::build::*;
use opte_headers::frame::{Fragment, KeyKind, TunnelOptions, parse_geneve, parse_guest};
use opte_headers::options::GeneveKind;
use opte_headers::*;

fn kinds(parsed: &Parsed) -> Vec<HeaderKind> {
    parsed.shape.iter().collect()
}

#[test]
fn tcp_of_a_guest() {
    let frame = [guest_tcp(), vec![0; 6]].concat();
    let parsed = parse_guest(&frame).unwrap();
    assert_eq!(
        kinds(&parsed),
        [HeaderKind::Ethernet, HeaderKind::Ipv4, HeaderKind::Tcp]
    );
    assert_eq!(
        (parsed.l2(), parsed.l3(), parsed.l4(), parsed.payload),
        (0, Some(14), Some(34), 54)
    );
    assert_eq!(
        (parsed.frame_len as usize, parsed.protocol()),
        (frame.len() - 6, Some(IpProtocol::TCP))
    );
    assert_eq!(parsed.key.to_string(), "TCP 172.30.0.5:1000 -> 1.1.1.1:80");
    assert!(parsed.key.is_v4() && !parsed.is_tunnelled());
    assert_eq!(parsed.trim(&frame).len(), frame.len() - 6);
}

#[test]
fn options_move_what_follows() {
    let options = Options::of(&[Ipv4Option::RouterAlert(0)]).unwrap();
    let header = Ipv4 {
        protocol: IpProtocol::UDP,
        options,
        ..Ipv4::default()
    };
    let parsed = parse_guest(&ethernet(Ethertype::IPV4, &ipv4(header, &udp(53, b"x")))).unwrap();
    assert_eq!((parsed.l4(), parsed.payload), (Some(38), 46));
    assert_eq!(parsed.key.to_string(), "UDP 172.30.0.5:1000 -> 1.1.1.1:53");
}

#[test]
fn vlan_tags() {
    let inner = ipv4(
        Ipv4 {
            protocol: IpProtocol::TCP,
            ..Ipv4::default()
        },
        &tcp(),
    );
    let tag = |ethertype, body: &[u8]| {
        [
            &bytes(&Vlan {
                ethertype,
                ..Vlan::default()
            }),
            body,
        ]
        .concat()
    };
    let one = ethernet(Ethertype::VLAN, &tag(Ethertype::IPV4, &inner));
    let two = ethernet(
        Ethertype::QINQ,
        &tag(Ethertype::VLAN, &tag(Ethertype::IPV4, &inner)),
    );
    let three = ethernet(
        Ethertype::QINQ,
        &tag(
            Ethertype::VLAN,
            &tag(Ethertype::VLAN, &tag(Ethertype::IPV4, &inner)),
        ),
    );
    let plain = parse_guest(&guest_tcp()).unwrap();
    for (frame, l3) in [(one, 18), (two, 22)] {
        let parsed = parse_guest(&frame).unwrap();
        assert_eq!(
            (parsed.l3(), parsed.key, parsed.ethertype()),
            (Some(l3), plain.key, Ethertype::IPV4)
        );
    }
    let parsed = parse_guest(&three).unwrap();
    assert_eq!(
        (parsed.key.kind, parsed.key.destination_port, parsed.l3()),
        (KeyKind::NOT_IP, 0x8100, None)
    );
}

#[test]
fn arp_and_frames_that_are_not_ip() {
    let arp = Arp {
        sender_ip: A,
        target_ip: B,
        ..Arp::default()
    };
    let frame = [ethernet(Ethertype::ARP, &bytes(&arp)), vec![0; 18]].concat();
    let parsed = parse_guest(&frame).unwrap();
    assert_eq!(
        (parsed.l3_kind(), parsed.l4(), parsed.key.kind),
        (HeaderKind::Arp, None, KeyKind::NOT_IP)
    );
    assert_eq!((parsed.key.source_ip(), parsed.frame_len), (A.into(), 42));
    let parsed = parse_guest(&ethernet(Ethertype::LLDP, &[1, 2])).unwrap();
    assert_eq!(
        (parsed.l3(), parsed.ethertype(), parsed.key.to_string()),
        (None, Ethertype::LLDP, "ethertype 0x88cc".into())
    );
}

#[test]
fn echo_and_its_reply() {
    let echo = |ty| {
        bytes(&Icmpv4 {
            ty,
            identifier: 77,
            sequence: 1,
            ..Icmpv4::default()
        })
    };
    let frame = |ty| {
        ethernet(
            Ethertype::IPV4,
            &ipv4(
                Ipv4 {
                    protocol: IpProtocol::ICMP,
                    ..Ipv4::default()
                },
                &echo(ty),
            ),
        )
    };
    let request = parse_guest(&frame(Icmpv4Type::ECHO_REQUEST)).unwrap().key;
    let reply = parse_guest(&frame(Icmpv4Type::ECHO_REPLY)).unwrap().key;
    let turned = FlowKey {
        source: reply.destination,
        destination: reply.source,
        ..reply
    };
    assert_eq!(
        (request.mirror(), request.icmp(), request.source_port),
        (turned, Some((8, 0)), 77)
    );
    let exceeded = parse_guest(&frame(Icmpv4Type::TIME_EXCEEDED)).unwrap().key;
    assert_eq!(
        (exceeded.icmp(), exceeded.destination_port),
        (Some((11, 0)), 0)
    );
}

#[test]
fn protocols_without_ports() {
    let parsed = parse_guest(&ethernet(Ethertype::IPV6, &ipv6(IpProtocol::ESP, &[1; 12]))).unwrap();
    assert_eq!(
        kinds(&parsed),
        [HeaderKind::Ethernet, HeaderKind::Ipv6, HeaderKind::Other]
    );
    assert_eq!(
        (parsed.key.source_port, parsed.key.protocol, parsed.l4()),
        (0, 50, Some(54))
    );
    // SCTP has ports where TCP and UDP have them.
    let sctp = parse_guest(&ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::SCTP, &[1; 12]),
    ))
    .unwrap();
    assert_eq!(
        (sctp.key.source_port, sctp.key.destination_port, sctp.l4()),
        (0x0101, 0x0101, Some(54))
    );
    // ICMPv6 does not follow IPv4.
    let header = Ipv4 {
        protocol: IpProtocol::ICMPV6,
        ..Ipv4::default()
    };
    let parsed = parse_guest(&ethernet(Ethertype::IPV4, &ipv4(header, &[128, 0, 0, 0]))).unwrap();
    assert_eq!(parsed.l4_kind(), HeaderKind::Other);
}

#[test]
fn ipv4_fragments() {
    let header = Ipv4 {
        protocol: IpProtocol::UDP,
        identification: 9,
        ..Ipv4::default()
    };
    let first = Ipv4 {
        more_fragments: true,
        ..header
    };
    let mut datagram = udp(53, &[1; 8]);
    datagram[4..6].copy_from_slice(&3000u16.to_be_bytes());
    let parsed = parse_guest(&ethernet(Ethertype::IPV4, &ipv4(first, &datagram))).unwrap();
    assert_eq!(
        (
            parsed.fragment,
            parsed.fragment_id,
            parsed.key.destination_port
        ),
        (Fragment::First, 9, 53)
    );
    let later = Ipv4 {
        fragment_offset: arbitrary_int::u13::new(185),
        ..header
    };
    let parsed = parse_guest(&ethernet(Ethertype::IPV4, &ipv4(later, &[0xff; 3]))).unwrap();
    assert_eq!(
        (parsed.fragment, parsed.l4(), parsed.key.kind),
        (Fragment::Later, None, KeyKind::FRAGMENT)
    );
    assert_eq!(
        (
            parsed.key.source_port,
            parsed.key.protocol,
            parsed.fragment_id
        ),
        (0, 17, 9)
    );
}

#[test]
fn ipv6_extension_headers() {
    let hop = Ipv6HopByHop {
        next_header: IpProtocol::ROUTING,
        ..Ipv6HopByHop::default()
    };
    let routing = Ipv6Routing {
        next_header: IpProtocol::DESTINATION_OPTIONS,
        ..Ipv6Routing::default()
    };
    let destination = |next_header| Ipv6Destination {
        next_header,
        ..Ipv6Destination::default()
    };
    let chain = [
        bytes(&hop),
        bytes(&routing),
        bytes(&destination(IpProtocol::TCP)),
        tcp(),
    ]
    .concat();
    let parsed = parse_guest(&ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::HOP_BY_HOP, &chain),
    ))
    .unwrap();
    assert_eq!(
        kinds(&parsed),
        [HeaderKind::Ethernet, HeaderKind::Ipv6, HeaderKind::Tcp]
    );
    assert_eq!(
        (
            parsed.l4(),
            parsed.key.protocol,
            parsed.key.destination_port
        ),
        (Some(78), 6, 80)
    );

    let late = [bytes(&destination(IpProtocol::HOP_BY_HOP)), bytes(&hop)].concat();
    let error = parse_guest(&ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::DESTINATION_OPTIONS, &late),
    ))
    .unwrap_err();
    assert_eq!(error, ParseError::illegal("Ipv6", "next_header", 0));

    let endless = bytes(&destination(IpProtocol::DESTINATION_OPTIONS)).repeat(20);
    let error = parse_guest(&ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::DESTINATION_OPTIONS, &endless),
    ))
    .unwrap_err();
    assert_eq!(error, ParseError::unsupported("Ipv6", "extension", 60));

    let none = parse_guest(&ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::NO_NEXT_HEADER, &[]),
    ))
    .unwrap();
    assert_eq!((none.key.protocol, none.l4_kind()), (59, HeaderKind::Other));
}

#[test]
fn ipv6_fragments() {
    let fragment = |offset, more_fragments| Ipv6Fragment {
        next_header: IpProtocol::TCP,
        fragment_offset: arbitrary_int::u13::new(offset),
        more_fragments,
        identification: 0x1234_5678,
        ..Ipv6Fragment::default()
    };
    let frame = |header: &Ipv6Fragment| {
        ethernet(
            Ethertype::IPV6,
            &ipv6(IpProtocol::FRAGMENT, &[bytes(header), tcp()].concat()),
        )
    };
    for (offset, more, kind, port) in [
        (0, false, Fragment::No, 80),
        (0, true, Fragment::First, 80),
        (8, true, Fragment::Later, 0),
        (8, false, Fragment::Later, 0),
    ] {
        let parsed = parse_guest(&frame(&fragment(offset, more))).unwrap();
        assert_eq!(
            (
                parsed.fragment,
                parsed.key.destination_port,
                parsed.key.protocol
            ),
            (kind, port, 6)
        );
        assert_eq!(parsed.fragment_id != 0, kind != Fragment::No);
    }
}

#[test]
fn through_the_tunnel() {
    let frame = [geneve(&[], false, &guest_tcp()), vec![0; 3]].concat();
    let parsed = parse_geneve(&frame).unwrap();
    use HeaderKind as K;
    assert_eq!(
        kinds(&parsed),
        [
            K::Ethernet,
            K::Ipv6,
            K::Udp,
            K::Geneve,
            K::Ethernet,
            K::Ipv4,
            K::Tcp
        ]
    );
    assert!(parsed.offsets.iter().eq([0, 14, 54, 62, 70, 84, 104]));
    assert_eq!(
        (
            parsed.inner,
            parsed.l2(),
            parsed.l3_index(),
            parsed.l4_index()
        ),
        (4, 70, Some(5), Some(6))
    );
    assert_eq!(
        parsed.key,
        parse_guest(&guest_tcp())
            .unwrap()
            .key
            .with_vni(Vni::new(0xabcdef).unwrap())
    );
    assert_eq!(
        (parsed.frame_len as usize, parsed.tunnel),
        (frame.len() - 3, TunnelOptions(0))
    );
}

#[test]
fn arp_in_the_tunnel_leaves_nothing_of_the_outside_in_the_key() {
    let arp = ethernet(
        Ethertype::ARP,
        &bytes(&Arp {
            sender_ip: A,
            target_ip: B,
            ..Arp::default()
        }),
    );
    let inside = parse_geneve(&geneve(&[], false, &arp)).unwrap();
    let alone = parse_guest(&arp).unwrap();
    assert_eq!(inside.key, alone.key.with_vni(Vni::new(0xabcdef).unwrap()));
    assert_eq!((inside.l3_index(), inside.l4_index()), (Some(5), None));
}

/// It has no header of the tunnel, so it is not of a tunnel.
#[test]
fn a_later_fragment_of_the_underlay_is_refused() {
    let fragment = Ipv6Fragment {
        next_header: IpProtocol::UDP,
        fragment_offset: arbitrary_int::u13::new(8),
        ..Ipv6Fragment::default()
    };
    let body = [bytes(&fragment), guest_tcp()].concat();
    let frame = ethernet(Ethertype::IPV6, &ipv6(IpProtocol::FRAGMENT, &body));
    assert_eq!(parse_guest(&frame).unwrap().fragment, Fragment::Later);
    let error = parse_geneve(&frame).unwrap_err();
    assert_eq!((error.header, error.field), ("Ipv6", "next_header"));
}

#[test]
fn a_ninth_extension_header_is_refused_a_fragment_too() {
    let option = |next_header| Ipv6Destination {
        next_header,
        ..Ipv6Destination::default()
    };
    let mut body = bytes(&option(IpProtocol::DESTINATION_OPTIONS)).repeat(7);
    body.extend(bytes(&option(IpProtocol::FRAGMENT)));
    body.extend(bytes(&Ipv6Fragment {
        next_header: IpProtocol::UDP,
        fragment_offset: arbitrary_int::u13::new(8),
        ..Ipv6Fragment::default()
    }));
    let frame = ethernet(
        Ethertype::IPV6,
        &ipv6(IpProtocol::DESTINATION_OPTIONS, &body),
    );
    let error = parse_guest(&frame).unwrap_err();
    assert_eq!((error.header, error.field), ("Ipv6", "extension"));
}

#[test]
fn tunnel_options() {
    let oxide = [
        0x01, 0x29, 0x00, 0x00, 0x01, 0x29, 0x02, 0x01, 0, 0, 0x21, 0,
    ];
    let parsed = parse_geneve(&geneve(&oxide, false, &guest_tcp())).unwrap();
    assert_eq!(
        parsed.tunnel,
        TunnelOptions::EXTERNAL.with(TunnelOptions::MSS)
    );
    assert_eq!(parsed.l2(), 82);

    let unknown = [0x01, 0x08, 0x83, 0x00];
    assert!(parse_geneve(&geneve(&unknown, false, &guest_tcp())).is_ok());
    let cause = Cause::CriticalOption {
        class: 0x0108,
        ty: 0x83,
    };
    assert_eq!(
        parse_geneve(&geneve(&unknown, true, &guest_tcp())).unwrap_err(),
        ParseError::new("GeneveOption", "ty", cause)
    );
    assert!(parse_geneve(&geneve(&[0x01, 0x08, 0x03, 0x00], true, &guest_tcp())).is_ok());
    assert!(GeneveKind::new(0x0108, 0x83).is_critical());
    let too_long = [0x01, 0x08, 0x03, 0x02, 0, 0, 0, 0];
    let error = parse_geneve(&geneve(&too_long, false, &guest_tcp())).unwrap_err();
    assert_eq!((error.header, error.field), ("GeneveOption", "length"));
}

#[test]
fn refused() {
    let set = |mut frame: Vec<u8>, at: usize, value: u8| {
        frame[at] = value;
        frame
    };
    let v4 = guest_tcp();
    let v6 = ethernet(Ethertype::IPV6, &ipv6(IpProtocol::UDP, &udp(53, b"abc")));
    let tunnel = geneve(&[], false, &guest_tcp());
    type Case = (
        fn(&[u8]) -> Result<Parsed, ParseError>,
        Vec<u8>,
        &'static str,
        &'static str,
    );
    let cases: Vec<Case> = vec![
        (parse_guest, vec![0; 13], "Ethernet", ""),
        (parse_guest, v4[..30].to_vec(), "Ipv4", ""),
        (parse_guest, set(v4.clone(), 14, 0x55), "Ipv4", "version"),
        (parse_guest, set(v4.clone(), 14, 0x44), "Ipv4", "options"),
        (parse_guest, set(v4.clone(), 17, 19), "Ipv4", "total_len"),
        (parse_guest, set(v4.clone(), 16, 1), "Ipv4", "total_len"),
        (parse_guest, set(v4.clone(), 17, 30), "Tcp", ""),
        (parse_guest, set(v4.clone(), 46, 0x40), "Tcp", "options"),
        (parse_guest, set(v4.clone(), 46, 0xf0), "Tcp", "options"),
        (parse_guest, set(v6.clone(), 14, 0x40), "Ipv6", "version"),
        (parse_guest, set(v6.clone(), 18, 1), "Ipv6", "payload_len"),
        (parse_guest, set(v6.clone(), 59, 7), "Udp", "length"),
        (parse_guest, set(v6.clone(), 59, 12), "Udp", "length"),
        (parse_geneve, v4.clone(), "Ethernet", "ethertype"),
        (parse_geneve, v6.clone(), "Udp", "destination"),
        (
            parse_geneve,
            set(tunnel.clone(), 62, 0x40),
            "Geneve",
            "version",
        ),
        (
            parse_geneve,
            set(tunnel.clone(), 62, 0x3f),
            "Geneve",
            "options",
        ),
        (
            parse_geneve,
            set(tunnel.clone(), 64, 0x08),
            "Geneve",
            "protocol",
        ),
    ];
    for (n, (parse, frame, header, field)) in cases.into_iter().enumerate() {
        let error = parse(&frame).unwrap_err();
        assert_eq!(
            (error.header, error.field),
            (header, field),
            "case {n}: {error}"
        );
    }
}

#[test]
fn ipv6_with_an_address_of_ipv4_is_refused() {
    for (at, field) in [(22, "source"), (38, "destination")] {
        let mut frame = ethernet(Ethertype::IPV6, &ipv6(IpProtocol::UDP, &udp(53, b"")));
        frame[at..at + 16].copy_from_slice(&A.to_ipv6_mapped().octets());
        assert_eq!(
            parse_guest(&frame).unwrap_err(),
            ParseError::illegal("Ipv6", field, 0xffff)
        );
    }
}
