//! Packets in pieces: cut by the book, and put together again.

use opte_headers::checksum::Sum;
use opte_headers::{
    Ethernet, Header, IpProtocol, Ipv4, Ipv4Get, Ipv6, Ipv6Fragment, Ipv6FragmentGet, Ipv6Get,
};

const L3: usize = Ethernet::MIN_LEN;

/// The frame in fragments that are cut at these bytes of its IP payload, which are multiples of eight.
pub fn cut(frame: &[u8], at: &[usize], id: u32) -> Vec<Vec<u8>> {
    let (head, payload) = frame.split_at(L3 + header_len(frame));
    let mut cuts = vec![0];
    cuts.extend(at);
    cuts.push(payload.len());
    cuts.windows(2)
        .map(|cut| piece(head, payload, cut[0], cut[1], id))
        .collect()
}

/// One fragment of a frame: these bytes of its payload.
pub fn piece(head: &[u8], payload: &[u8], from: usize, to: usize, id: u32) -> Vec<u8> {
    let more = to < payload.len();
    raw(head, &payload[from..to], from, more, id)
}

/// A fragment with these bytes, which says that they stand at `from`.
pub fn raw(head: &[u8], data: &[u8], from: usize, more: bool, id: u32) -> Vec<u8> {
    let offset = u16::try_from(from / 8).unwrap();
    let mut frame = head.to_vec();
    if is_v4(head) {
        let ip = &mut frame[L3..];
        let total_len = (ip.len() + data.len()) as u16;
        ip[2..4].copy_from_slice(&total_len.to_be_bytes());
        ip[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        ip[6..8].copy_from_slice(&(offset | if more { 0x2000 } else { 0 }).to_be_bytes());
        seal(ip);
    } else {
        let next = frame[L3 + 6];
        frame[L3 + 6] = IpProtocol::FRAGMENT.0;
        frame[L3 + 4..L3 + 6].copy_from_slice(&((8 + data.len()) as u16).to_be_bytes());
        frame.extend([next, 0]);
        frame.extend((offset << 3 | u16::from(more)).to_be_bytes());
        frame.extend(id.to_be_bytes());
    }
    frame.extend(data);
    frame
}

/// The frame that these are the fragments of, in any order.
#[track_caller]
pub fn whole(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut pieces: Vec<_> = fragments.iter().map(|frame| read(frame)).collect();
    pieces.sort_by_key(|piece| piece.offset);
    let mut frame = pieces[0].head.clone();
    let mut next = 0;
    for (at, piece) in pieces.iter().enumerate() {
        assert_eq!(piece.offset, next, "a hole or an overlap");
        assert_eq!(piece.head, pieces[0].head, "other headers than the first");
        assert_eq!(piece.id, pieces[0].id);
        assert_eq!(piece.more, at + 1 < pieces.len());
        next += piece.data.len();
        frame.extend(&piece.data);
    }
    let len = frame.len() - L3;
    if is_v4(&frame) {
        let ip = &mut frame[L3..L3 + 20];
        ip[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        ip[4..8].fill(0);
        seal(ip);
    } else {
        frame[L3 + 4..L3 + 6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
    }
    frame
}

struct Piece {
    /// Ethernet and IP headers without what differs from fragment to fragment.
    head: Vec<u8>,
    id: u32,
    offset: usize,
    more: bool,
    data: Vec<u8>,
}

#[track_caller]
fn read(frame: &[u8]) -> Piece {
    let mut head = frame[..L3 + header_len(frame)].to_vec();
    if is_v4(frame) {
        let (ip, data) = Ipv4::parse(&frame[L3..]).unwrap();
        assert_eq!(Sum::of(ip.fixed()).checksum(), 0, "header checksum");
        assert_eq!(usize::from(ip.total_len()), frame.len() - L3);
        head[L3 + 2..L3 + 8].fill(0);
        head[L3 + 10..L3 + 12].fill(0);
        return Piece {
            head,
            id: ip.identification().into(),
            offset: usize::from(ip.fragment_offset().value()) * 8,
            more: ip.more_fragments(),
            data: data.to_vec(),
        };
    }
    let (ip, rest) = Ipv6::parse(&frame[L3..]).unwrap();
    assert_eq!(usize::from(ip.payload_len()), rest.len());
    assert_eq!(ip.next_header(), IpProtocol::FRAGMENT);
    let (fragment, data) = Ipv6Fragment::parse(rest).unwrap();
    head[L3 + 4..L3 + 6].fill(0);
    head[L3 + 6] = fragment.next_header().0;
    Piece {
        head,
        id: fragment.identification(),
        offset: usize::from(fragment.fragment_offset().value()) * 8,
        more: fragment.more_fragments(),
        data: data.to_vec(),
    }
}

fn header_len(frame: &[u8]) -> usize {
    if is_v4(frame) { 20 } else { 40 }
}

fn is_v4(frame: &[u8]) -> bool {
    frame[L3] >> 4 == 4
}

fn seal(ip: &mut [u8]) {
    ip[10..12].fill(0);
    let sum = Sum::of(ip).checksum();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
}
