//! The parser of the underlay's frames: inside the tunnel as outside of it.

use crate::guest_frame::lies_in;
use crate::oracle;
use opte_headers::FlowKey;
use opte_headers::frame::parse_geneve;

/// Parses the bytes behind the first, as they are or, by the first one's parity, inside a tunnel.
pub fn check(bytes: &[u8]) {
    let Some((&mode, bytes)) = bytes.split_first() else {
        return;
    };
    if mode % 2 == 0 {
        let frame = tunnelled(bytes, [0, 0, mode], mode & 2 != 0);
        let parsed = parse_geneve(&frame).ok();
        let expected = oracle::guest(bytes).filter(|_| !two_tags(bytes));
        // A second tag inside is a frame of that Ethertype.
        if !two_tags(bytes) {
            assert_eq!(
                parsed.map(|p| p.key),
                expected.map(|(key, ..)| FlowKey {
                    vni: [0, 0, mode],
                    ..key
                })
            );
        }
        holds(&frame);
    } else {
        holds(bytes);
    }
}

/// Whatever is accepted is a tunnel by the book, and its inner frame is what the oracle says.
fn holds(frame: &[u8]) {
    let Ok(parsed) = parse_geneve(frame) else {
        return;
    };
    lies_in(&parsed, frame);
    assert!(parsed.is_tunnelled());
    let inner = parsed.l2();
    let geneve = parsed
        .offsets
        .iter()
        .map(usize::from)
        .take_while(|at| *at < inner)
        .last()
        .unwrap();
    let udp = geneve - 8;
    assert_eq!(frame[udp + 2..udp + 4], 6081_u16.to_be_bytes());
    assert_eq!(
        inner,
        geneve + 8 + 4 * usize::from(frame[geneve] & 63),
        "options"
    );
    assert_eq!(parsed.key.vni, frame[geneve + 4..geneve + 7]);
    let (ip, udp_len) = (14, usize::from(be16(frame, udp + 4)));
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    assert!(udp_len >= inner - udp);
    let end = ip + 40 + usize::from(be16(frame, ip + 4));
    assert!(end <= frame.len() && udp + udp_len <= end);
    let inside = &frame[inner..udp + udp_len];
    if two_tags(inside) {
        return;
    }
    let (key, l3, l4) = oracle::guest(inside).expect("the inner frame is refused alone");
    assert_eq!(
        FlowKey {
            vni: [0; 3],
            ..parsed.key
        },
        key
    );
    assert_eq!(
        (parsed.l3(), parsed.l4()),
        (l3.map(|at| at + inner), l4.map(|at| at + inner))
    );
}

/// `inner` behind Ethernet, IPv6, UDP and Geneve.
pub(crate) fn tunnelled(inner: &[u8], vni: [u8; 3], external: bool) -> Vec<u8> {
    let options: &[u8] = if external { &[1, 0x29, 0, 0] } else { &[] };
    let len = (16 + options.len() + inner.len()) as u16;
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(len.to_be_bytes());
    frame.extend([17, 64]);
    for host in [2, 1] {
        frame.extend([0xfd, 0, 0xaa, 0xaa, 0, 0, 0, host, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
    frame.extend([0xc0, 1]);
    frame.extend(6081_u16.to_be_bytes());
    frame.extend(len.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend([options.len() as u8 / 4, 0, 0x65, 0x58]);
    frame.extend(vni);
    frame.push(0);
    frame.extend(options);
    frame.extend(inner);
    frame
}

fn two_tags(frame: &[u8]) -> bool {
    let is_tag = |at: usize| {
        let ethertype = frame.get(at..at + 2);
        ethertype.is_some_and(|e| [[0x81, 0], [0x88, 0xa8], [0x91, 0]].contains(&[e[0], e[1]]))
    };
    is_tag(12) && is_tag(16)
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
