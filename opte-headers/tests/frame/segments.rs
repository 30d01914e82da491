//! Frames in several segments: as the frame in one piece, or a typed refusal where the headers reach too far.

use crate::build::*;
use crate::properties::{damaged, frames};
use opte_headers::checksum::Sum;
use opte_headers::frame::*;
use opte_headers::program::{HeaderSpec, Sums};
use opte_headers::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A frame cut at these places.
fn cut<'a>(frame: &'a [u8], at: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = at
        .iter()
        .map(|index| index.index(frame.len() + 1))
        .collect();
    places.sort_unstable();
    let mut segments = vec![];
    let mut rest = frame;
    let mut from = 0;
    for place in places {
        let (segment, behind) = rest.split_at(place - from);
        segments.push(segment);
        (rest, from) = (behind, place);
    }
    segments.push(rest);
    segments
}

/// With a payload, so that there is something behind the headers.
fn loaded() -> Vec<Vec<u8>> {
    let mut all = frames();
    for protocol in [IpProtocol::TCP, IpProtocol::UDP] {
        let body = match protocol {
            IpProtocol::TCP => [tcp(), vec![3; 600]].concat(),
            _ => udp(53, &[3; 600]),
        };
        let header = Ipv4 {
            protocol,
            ..Ipv4::default()
        };
        all.push(ethernet(Ethertype::IPV4, &ipv4(header, &body)));
        all.push(ethernet(Ethertype::IPV6, &ipv6(protocol, &body)));
    }
    all
}

fn tunnelled() -> Vec<Vec<u8>> {
    let options: &[u8] = &[1, 0x29, 0, 0];
    loaded()
        .iter()
        .map(|inner| geneve(options, true, inner))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 16 } else { 4096 }))]

    #[test]
    fn as_in_one_piece(
        (guest, frame) in prop_oneof![
            damaged(loaded()).prop_map(|frame| (true, frame)),
            damaged(tunnelled()).prop_map(|frame| (false, frame)),
        ],
        places in vec(any::<Index>(), 0..6), room in prop_oneof![Just(256), 0..700usize],
    ) {
        let segments = cut(&frame, &places);
        let mut buffer = vec![0xaa; room];
        let (whole, found) = if guest {
            (parse_guest(&frame), parse_segments(&segments[..], &mut buffer, parse_guest_head))
        } else {
            (parse_geneve(&frame), parse_segments(&segments[..], &mut buffer, parse_geneve_head))
        };
        match found {
            Ok(found) => {
                prop_assert_eq!(Ok(found.parsed), whole);
                prop_assert_eq!(found.head, &frame[..found.head.len()]);
                prop_assert_eq!(found.frame_len, frame.len());
            }
            Err(SegmentError::Parse(error)) => prop_assert_eq!(Err(error), whole),
            Err(SegmentError::TooFar { needed, room: taken }) => {
                // The first piece did not do either; what is asked for is neither there nor beyond the frame.
                prop_assert_eq!(taken, room.min(frame.len()));
                prop_assert!(taken < needed && needed <= frame.len());
                // All headers of these are within 256 bytes.
                prop_assert!(room < 256);
            }
        }
    }

    #[test]
    fn the_first_segment_is_enough(frame in select(loaded()), end in any::<Index>()) {
        let whole = parse_guest(&frame).unwrap();
        // Of SCTP the ports are looked at, though its header is not among those of the stack.
        let sctp = if whole.protocol() == Some(IpProtocol::SCTP) { Sctp::MIN_LEN } else { 0 };
        let headers = (whole.payload as usize + sctp).min(frame.len());
        let (head, rest) = frame.split_at(headers + end.index(frame.len() - headers + 1));
        let segments = [head, rest];
        let found = parse_segments(&segments[..], &mut [], parse_guest_head).unwrap();
        prop_assert_eq!((found.parsed, found.head.as_ptr()), (whole, head.as_ptr()));
    }

    /// A program needs the head only: what it makes of head and rest is what it makes of the frame.
    #[test]
    fn programs_apply_to_the_head(
        frame in select(loaded().into_iter().filter(|frame| parse_guest(frame).unwrap().l4_kind() == HeaderKind::Tcp).collect::<Vec<_>>()),
        places in vec(any::<Index>(), 1..6), port: u16,
    ) {
        let mut buffer = [0; 256];
        let segments = cut(&frame, &places);
        let found = parse_segments(&segments[..], &mut buffer, parse_guest_head).unwrap();
        let parsed = found.parsed;
        let stack: Vec<HeaderSpec> = parsed.shape.iter().map(|kind| *Parsed::spec(kind).unwrap()).collect();
        let tcp = parsed.l4_index().unwrap();
        let set = Program::set(&stack, usize::from(tcp), 0, 16, &port.to_be_bytes()).unwrap();
        let around = bytes(&Ethernet { ethertype: Ethertype(0x6558), ..Ethernet::default() });
        let push = Program::push(&stack, &HeaderSpec::of::<Ethernet>(), &around).unwrap();
        let program = set.fuse(&push).unwrap();

        let room = 128;
        let mut whole = [vec![0; room], frame.clone()].concat();
        let applied = program.apply(&mut whole, room, frame.len(), &parsed.offsets, Sums::Complete, 0).unwrap();
        let mut head = [vec![0; room], found.head.to_vec()].concat();
        let of_head = program.apply(&mut head, room, found.frame_len, &parsed.offsets, Sums::Complete, 0).unwrap();
        prop_assert_eq!(of_head, applied);
        let joined = [&head[of_head.start..], &frame[found.head.len()..]].concat();
        prop_assert_eq!(&joined, &whole[applied.start..]);
    }
}

/// An extension header of which nothing is here, and of which all that there is does not tell enough.
#[test]
fn extension_headers_cut_off() {
    let cut = ipv6(IpProtocol::DESTINATION_OPTIONS, &[58, 1]);
    let frame = ethernet(Ethertype::IPV6, &cut);
    let error = parse_guest(&frame).unwrap_err();
    assert_eq!(error, ParseError::truncated("Ipv6", "extension", 16, 2));
    for len in 14..56 {
        let segments = [&frame[..len], &frame[len..]];
        let mut buffer = [0; 256];
        let found = parse_segments(&segments[..], &mut buffer, parse_guest_head);
        assert_eq!(found, Err(SegmentError::Parse(error)), "{len}");
    }
}

/// A length that cannot be, found in a head that ends behind it: as told of the whole frame.
#[test]
fn errors_count_the_whole_frame() {
    let mut frame = guest_tcp();
    frame[46] = 0;
    let error = parse_guest(&frame).unwrap_err();
    assert_eq!(error, ParseError::bad_length("Tcp", "options", 0, 9));
    let head = parse_guest_head(&frame[..55], frame.len());
    assert_eq!(head, Err(HeadError::Parse(error)));
}

#[test]
fn as_much_as_the_buffer_takes() {
    let segments: [&[u8]; 4] = [&[], &[1, 2], &[], &[3, 4, 5]];
    let mut buffer = [0; 4];
    assert_eq!(
        (pull_up(&segments[..], &mut buffer), buffer),
        (4, [1, 2, 3, 4])
    );
    let mut buffer = [0; 8];
    assert_eq!(pull_up(&segments[..], &mut buffer), 5);
    assert_eq!(Sum::of(&buffer).fold(), 0x0102 + 0x0304 + 0x0500);
    assert_eq!(segments[..].frame_len(), 5);
}

#[test]
fn headers_that_reach_too_far() {
    // Options, so that TCP has 60 bytes, of a frame in pieces of one byte.
    let options = Options::of(&[TcpOption::MaximumSegmentSize(1400); 10]).unwrap();
    let header = bytes(&Tcp {
        options,
        ..Tcp::default()
    });
    let ip = Ipv4 {
        protocol: IpProtocol::TCP,
        ..Ipv4::default()
    };
    let frame = ethernet(Ethertype::IPV4, &ipv4(ip, &[header, vec![0; 9]].concat()));
    let segments: Vec<&[u8]> = frame.chunks(1).collect();
    for (room, needed) in [(0, 14), (13, 14), (20, 34), (40, 54), (60, 94), (93, 94)] {
        let mut buffer = vec![0; room];
        let error = parse_segments(&segments[..], &mut buffer, parse_guest_head);
        assert_eq!(error, Err(SegmentError::TooFar { needed, room }));
    }
    assert!(parse_segments(&segments[..], &mut [0; 94], parse_guest_head).is_ok());
    assert_eq!(
        SegmentError::TooFar {
            needed: 94,
            room: 60
        }
        .to_string(),
        "the headers reach to byte 94, the buffer takes 60"
    );
    assert_eq!(
        parse_guest_head(&frame[..20], frame.len())
            .unwrap_err()
            .to_string(),
        "the headers go on: 34 bytes of the frame are needed"
    );
    // A head that is longer than the frame is cut to it.
    let padded = [frame.clone(), vec![9; 30]].concat();
    assert_eq!(
        parse_guest_head(&padded, frame.len()).unwrap(),
        parse_guest(&frame).unwrap()
    );
    let cut_off = parse_guest(&frame[..60]).unwrap_err();
    let [a, b] = [&frame[..1], &frame[1..60]];
    let error = parse_segments(&[a, b][..], &mut [0; 256], parse_guest_head).unwrap_err();
    assert_eq!(error, SegmentError::Parse(cut_off));
}
