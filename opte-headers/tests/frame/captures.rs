//! Frames that Linux sent over a veth pair, captured by tcpdump; what they are is as tshark tells.

use opte_headers::frame::{Fragment, parse_guest};
use opte_headers::*;

/// A frame in hexadecimal and the `x`s behind it; its key, offset of the transport header, and whether it is a fragment.
pub(crate) type Capture = (&'static str, usize, &'static str, Option<usize>, Fragment);

pub(crate) const CAPTURES: &[Capture] = &[
    // :: → ff02::16 ICMPv6 110 Multicast Listener Report Message v2
    (
        "3333000000162a1b91d43d9786dd600000000038000100000000000000000000000000000000ff0200000000000000000000000000163a000502000001008f002f040000000204000000ff0200000000000000000001ff00000104000000ff0200000000000000000001ffd43d97",
        0,
        "ICMPv6 143/0 :: -> ff02::16",
        Some(62),
        Fragment::No,
    ),
    // fe80::281b:91ff:fed4:3d97 → ff02::2 ICMPv6 70 Router Solicitation from 2a:1b:91:d4:3d:97
    (
        "3333000000022a1b91d43d9786dd6000000000103afffe80000000000000281b91fffed43d97ff02000000000000000000000000000285008c200000000001012a1b91d43d97",
        0,
        "ICMPv6 133/0 fe80::281b:91ff:fed4:3d97 -> ff02::2",
        Some(54),
        Fragment::No,
    ),
    // 2a:1b:91:d4:3d:97 → Broadcast ARP 42 Who has 10.9.0.2? Tell 10.9.0.1
    (
        "ffffffffffff2a1b91d43d97080600010800060400012a1b91d43d970a0900010000000000000a090002",
        0,
        "ethertype 0x0806",
        None,
        Fragment::No,
    ),
    // 10.9.0.1 → 10.9.0.2 ICMP 98 Echo (ping) request id=0x03cc, seq=1/256, ttl=64
    (
        "4eeca008f7cd2a1b91d43d970800450000545a7b40004001cc190a0900010a090002080081c903cc000182ee006b00000000213d0f0000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        0,
        "ICMP 8/0 id 972 10.9.0.1 -> 10.9.0.2",
        Some(34),
        Fragment::No,
    ),
    // 10.9.0.2 → 10.9.0.1 ICMP 98 Echo (ping) reply id=0x03cc, seq=1/256, ttl=64 (request in 17)
    (
        "2a1b91d43d974eeca008f7cd080045000054dd4800004001894c0a0900020a090001000089c903cc000182ee006b00000000213d0f0000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        0,
        "ICMP 0/0 id 972 10.9.0.2 -> 10.9.0.1",
        Some(34),
        Fragment::No,
    ),
    // 10.9.0.1 → 10.9.0.2 TCP 74 58838 → 8080 [SYN] Seq=0 Win=64240 Len=0 MSS=1460 SACK_PERM TSv
    (
        "4eeca008f7cd2a1b91d43d9708004500003c02c74000400623e10a0900010a090002e5d61f90710d57d500000000a002faf014430000020405b40402080afc6f75c4000000000103030a",
        0,
        "TCP 10.9.0.1:58838 -> 10.9.0.2:8080",
        Some(34),
        Fragment::No,
    ),
    // 10.9.0.2 → 10.9.0.1 TCP 74 8080 → 58838 [SYN, ACK] Seq=0 Ack=1 Win=65160 Len=0 MSS=1460 SA
    (
        "2a1b91d43d974eeca008f7cd08004500003c00004000400626a80a0900020a0900011f90e5d63a7b9228710d57d6a012fe8814430000020405b40402080a4d59bd3dfc6f75c40103030a",
        0,
        "TCP 10.9.0.2:8080 -> 10.9.0.1:58838",
        Some(34),
        Fragment::No,
    ),
    // 10.9.0.2 → 10.9.0.1 TCP 71 8080 → 58838 [PSH, ACK] Seq=1 Ack=3 Win=65536 Len=5 TSval=12977
    (
        "2a1b91d43d974eeca008f7cd080045000039b4e34000400671c70a0900020a0900011f90e5d63a7b9229710d57d880180040144000000101080a4d59bd46fc6f75cd68656c6c6f",
        0,
        "TCP 10.9.0.2:8080 -> 10.9.0.1:58838",
        Some(34),
        Fragment::No,
    ),
    // 10.9.0.1 → 10.9.0.2 UDP 562 41751 → 9 Len=2000
    (
        "4eeca008f7cd2a1b91d43d97080045000224d3a600b9401190550a0900010a090002",
        528,
        "UDP fragment 10.9.0.1 -> 10.9.0.2",
        None,
        Fragment::Later,
    ),
    // 10.9.0.2 → 10.9.0.1 ICMP 590 Destination unreachable (Port unreachable)
    (
        "2a1b91d43d974eeca008f7cd080045c00240de850000400185630a0900020a0900010303553700000000450007ecd3a6000040118b460a0900010a090002a317000907d8a272",
        520,
        "ICMP 3/3 10.9.0.2 -> 10.9.0.1",
        Some(34),
        Fragment::No,
    ),
    // fd00:1::2 → fd00:1::1 ICMPv6 86 Neighbor Advertisement fd00:1::2 (sol, ovr) is at 4e:ec:a0
    (
        "2a1b91d43d974eeca008f7cd86dd6000000000203afffd000001000000000000000000000002fd000001000000000000000000000001880037d660000000fd00000100000000000000000000000202014eeca008f7cd",
        0,
        "ICMPv6 136/0 fd00:1::2 -> fd00:1::1",
        Some(54),
        Fragment::No,
    ),
    // fd00:1::1 → fd00:1::2 UDP 622 46619 → 9 Len=2000
    (
        "4eeca008f7cd2a1b91d43d9786dd6005e82e02382c40fd000001000000000000000000000001fd000001000000000000000000000002110005a8b8f6ccc3",
        560,
        "UDP fragment fd00:1::1 -> fd00:1::2",
        None,
        Fragment::Later,
    ),
    // fd00:1::1 → fd00:1::2 DNS 65 [Malformed Packet]
    (
        "4eeca008f7cd2a1b91d43d9786dd60051fe4000b1140fd000001000000000000000000000001fd000001000000000000000000000002b61b0035000bfa2278797a",
        0,
        "UDP fd00:1::1:46619 -> fd00:1::2:53",
        Some(54),
        Fragment::No,
    ),
];

pub(crate) fn frame(capture: &Capture) -> Vec<u8> {
    let digits = capture
        .0
        .as_bytes()
        .chunks(2)
        .map(|pair| core::str::from_utf8(pair).unwrap());
    let mut frame: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect();
    frame.resize(frame.len() + capture.1, b'x');
    frame
}

#[test]
fn captured_frames() {
    for capture in CAPTURES {
        let frame = frame(capture);
        let parsed = parse_guest(&frame).unwrap();
        let found = (parsed.key.to_string(), parsed.l4(), parsed.fragment);
        assert_eq!(
            found,
            (capture.2.to_string(), capture.3, capture.4),
            "{}",
            capture.2
        );
        assert_eq!(parsed.frame_len as usize, frame.len(), "{}", capture.2);
    }
}

#[test]
fn captured_answers_are_mirrors() {
    let key = |n: usize| parse_guest(&frame(&CAPTURES[n])).unwrap().key;
    assert_eq!((key(3).mirror(), key(5).mirror()), (key(4), key(6)));
}

#[test]
fn captured_options() {
    let syn = frame(&CAPTURES[5]);
    let (tcp, rest) = Tcp::parse(&syn[34..]).unwrap();
    let options: Vec<_> = tcp.options().iter().collect::<Result<_, _>>().unwrap();
    assert!(rest.is_empty());
    assert_eq!(
        options[..2],
        [
            TcpOption::MaximumSegmentSize(1460),
            TcpOption::SackPermitted
        ]
    );
    let report = frame(&CAPTURES[0]);
    let (hop, _) = Ipv6HopByHop::parse(&report[54..]).unwrap();
    assert_eq!(
        hop.options().iter().next(),
        Some(Ok(Ipv6Option::RouterAlert(0)))
    );
}
