//! A stack of headers that no protocol file has, in one piece and in segments.

use crate::input::Input;
use opte_headers::frame::{
    Control, ParsedStack, SegmentError, Stacked, parse_geneve, parse_geneve_head, parse_guest,
    parse_guest_head, parse_segments,
};
use opte_headers::{
    Ethernet, Ethertype, Follows, Header, Ipv4, Ipv6, ParseError, Parsed, Tcp, Udp, Vlan,
    stack_parser,
};
use std::fmt::Debug;

/// A label: another one follows, unless this is the bottom.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(
    follows(Ethernet = Ethertype(0x8847), Vlan = Ethertype(0x8847), Label = false),
    carries(Ipv4 = true)
)]
pub struct Label {
    pub label: u16,
    #[header(bits = 7)]
    pub rest: arbitrary_int::u7,
    #[header(next)]
    pub bottom: bool,
    pub ttl: u8,
}

impl Stacked for Label {}

/// Under the same value as IPv4.
impl Follows<Label> for Ipv6 {
    const SELECTOR: Option<bool> = Some(true);
}

/// With a tail.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Udp = 7000), carries(Ethernet = 1))]
pub struct Lab {
    #[header(const = 0xab)]
    pub magic: u8,
    #[header(next)]
    pub kind: u8,
    pub units: u8,
    pub room: u8,
    #[header(bytes(len = units * 2))]
    pub notes: opte_headers::TailBytes<510>,
}

impl Stacked for Lab {}

stack_parser! {
    /// Labels, then IP, a tunnel in it.
    #[header(head = parse_own_head)]
    pub fn parse_own -> Own = Ethernet [Vlan] [Label [second: Label]] (
        Ipv4 if is_ipv4 (Udp Lab => in_rooms (inner: Ethernet (inner_ip: Ipv4 (inner_tcp: Tcp)?)?)? | Tcp)?
        | Ipv6 if is_ipv6 (Tcp | Udp)?
    )?;
}

fn is_ipv4(bytes: &[u8], _: &Parsed) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 4)
}

fn is_ipv6(bytes: &[u8], _: &Parsed) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 6)
}

fn in_rooms(lab: &LabView<&[u8]>, _: &Parsed) -> Result<Control, ParseError> {
    match lab.room() {
        0 => Ok(Control::Accept),
        255 => Err(ParseError::illegal("Lab", "room", 255)),
        _ => Ok(Control::Continue),
    }
}

/// The first byte says which parser, the next three how the frame is cut and how long the buffer is.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (mode, places, room) = (input.byte(), [input.byte(), input.byte()], input.byte());
    let frame = input.0;
    match mode % 3 {
        0 => pieces(frame, places, room, parse_guest, parse_guest_head),
        1 => pieces(frame, places, room, parse_geneve, parse_geneve_head),
        _ => {
            pieces(frame, places, room, parse_own, parse_own_head);
            own(frame);
        }
    }
}

/// Headers are where they are said to be; the quick and the thorough way agree.
fn own(frame: &[u8]) {
    let Ok(parsed) = parse_own(frame) else { return };
    let headers = parsed.headers(frame).expect("those always there are");
    let known = [
        Some(headers.ethernet.to_string()),
        headers.vlan.map(|view| view.to_string()),
        headers.label.map(|view| view.to_string()),
        headers.second.map(|view| view.to_string()),
        headers.ipv4.map(|view| view.to_string()),
        headers.ipv6.map(|view| view.to_string()),
        headers.udp.map(|view| view.to_string()),
        headers.tcp.map(|view| view.to_string()),
        headers.lab.map(|view| view.to_string()),
        headers.inner.map(|view| view.to_string()),
        headers.inner_ip.map(|view| view.to_string()),
        headers.inner_tcp.map(|view| view.to_string()),
    ];
    let named = parsed.shape.iter().filter(|kind| kind.is_known()).count();
    assert_eq!(known.iter().flatten().count(), named, "{:?}", parsed.shape);
    assert_eq!(
        parsed.narrow::<Lab>(frame).is_some(),
        parsed.lab(frame).is_some()
    );
    let mut long = frame.to_vec();
    long.resize(70_000, 0);
    let thorough = parse_own(&long).unwrap();
    assert_eq!(
        (thorough.shape, thorough.offsets, thorough.key),
        (parsed.shape, parsed.offsets, parsed.key)
    );
}

/// In segments as in one piece.
fn pieces<P: PartialEq + Debug>(
    frame: &[u8],
    places: [u8; 2],
    room: u8,
    whole: impl Fn(&[u8]) -> Result<P, ParseError>,
    head: impl Fn(&[u8], usize) -> Result<P, opte_headers::frame::HeadError>,
) {
    let mut places = places.map(|place| usize::from(place).min(frame.len()));
    places.sort_unstable();
    let segments = [
        &frame[..places[0]],
        &frame[places[0]..places[1]],
        &frame[places[1]..],
    ];
    let mut buffer = vec![0; room.into()];
    match parse_segments(&segments[..], &mut buffer, head) {
        Ok(found) => {
            assert_eq!(Ok(found.parsed), whole(frame));
            assert_eq!(found.head, &frame[..found.head.len()]);
        }
        Err(SegmentError::Parse(error)) => assert_eq!(Err(error), whole(frame)),
        Err(SegmentError::TooFar { needed, room }) => {
            assert!(room < needed && needed <= frame.len());
        }
    }
}
