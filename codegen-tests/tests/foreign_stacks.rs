//! Stack parsers over headers that no protocol file has, written from the public documentation alone.

#![allow(missing_docs)]

use arbitrary_int::prelude::*;
use core::net::Ipv4Addr;
use opte_headers::checksum::Sum;
use opte_headers::frame::{
    Control, EditError, Editor, Entered, HeadError, ParsedStack, SegmentError, Stacked, Step, Walk,
    parse_segments,
};
use opte_headers::program::Sums;
use opte_headers::{
    Cause, Ethernet, EthernetGet, Ethertype, Follows, Header, HeaderKind, IpProtocol, Ipv4,
    Ipv4Get, Ipv6, NoSelector, ParseError, Parsed, Tcp, TcpGet, Udp, UdpGet, Vlan, ipv4,
    stack_parser, udp,
};

/// MPLS label stack entry (RFC 3032, section 2.1): another one follows, unless this is the bottom.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(
    follows(Ethernet = Ethertype(0x8847), Vlan = Ethertype(0x8847), Mpls = false),
    carries(Ipv4 = true)
)]
pub struct Mpls {
    pub label: u20,
    pub traffic_class: u3,
    #[header(next)]
    pub bottom: bool,
    pub ttl: u8,
}

impl Stacked for Mpls {}

/// Under the same value as IPv4: which of the two it is, a condition in the stack decides.
impl Follows<Mpls> for Ipv6 {
    const SELECTOR: Option<bool> = Some(true);
}

/// A tunnel of the laboratory, on any UDP port, with a checksum of its header and all behind it.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(len = 8)]
pub struct Lab {
    #[header(const = 0xab)]
    pub magic: u8,
    #[header(next)]
    pub kind: u8,
    #[header(checksum(payload))]
    pub checksum: u16,
    pub room: u16,
    pub seat: u16,
}

impl Stacked for Lab {}

/// On any port.
impl Follows<Udp> for Lab {
    const SELECTOR: Option<u16> = None;
}

/// A greeting, in the laboratory's tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Lab = 1), carries(Ethernet))]
pub struct Greeting {
    pub who: u32,
}

impl Stacked for Greeting {}

stack_parser! {
    /// IP over MPLS, with up to three labels.
    #[header(head = parse_mpls_head)]
    pub fn parse_mpls -> Labelled = Ethernet [Vlan] Mpls [second: Mpls [third: Mpls]] (Ipv4 if is_ipv4 (Tcp | Udp)? | Ipv6 if is_ipv6 (Tcp)?);
}

/// What MPLS carries tells no one: the first nibble does (RFC 4928, section 2).
fn is_ipv4(bytes: &[u8], _: &Parsed) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 4)
}

fn is_ipv6(bytes: &[u8], _: &Parsed) -> bool {
    bytes.first().is_some_and(|first| first >> 4 == 6)
}

/// PPPoE session (RFC 2516, section 4): a header that goes its way through a frame by itself.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(follows(Ethernet = Ethertype(0x8864)), carries(Ppp))]
pub struct Pppoe {
    #[header(const = 1)]
    pub version: u4,
    #[header(const = 1)]
    pub kind: u4,
    pub code: u8,
    pub session: u16,
    #[header(length(of = payload))]
    pub length: u16,
}

impl Stacked for Pppoe {
    /// Bounds what follows by the length, refuses discovery, and lets session 0xffff be.
    fn enter<'a, const QUICK: bool>(bytes: &'a [u8], walk: &mut Walk<QUICK>) -> Entered<'a, Self> {
        let (view, rest) = Self::parse(bytes)?;
        let len = usize::from(view.length());
        if view.code() != 0 {
            return Err(ParseError::illegal("Pppoe", "code", view.code().into()));
        }
        let Some(body) = walk.body(rest, len) else {
            return Err(ParseError::bad_length("Pppoe", "length", len, rest.len()));
        };
        walk.push(Self::NAME, Self::KIND, Self::MIN_LEN)?;
        walk.end_in(len);
        match view.session() {
            0xffff => Ok(Step::accept(NoSelector)),
            _ => Ok(Step::then(NoSelector, body)),
        }
    }
}

/// PPP in a session, its protocol alone.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(carries(Ipv4 = 0x21, Ipv6 = 0x57))]
pub struct Ppp {
    #[header(next, hex)]
    pub protocol: u16,
}

impl Stacked for Ppp {}

stack_parser! {
    /// IP in a session.
    #[header(head = parse_session_head)]
    pub fn parse_session -> InSession = Ethernet Pppoe (Ppp (Ipv4 (Tcp | Udp)? | Ipv6)?)?;
}

/// What the laboratory has been told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    port: u16,
    rooms: u16,
}

stack_parser! {
    /// A frame in the laboratory's tunnel, on the port that is set.
    #[header(head = parse_lab_head)]
    pub fn parse_lab(settings: &Settings) -> InLab =
        Ethernet Ipv4 Udp => on_our_port Lab => in_our_rooms (Greeting inner: Ethernet (inner_ip: Ipv4 (Tcp | inner_udp: Udp)?)?)?;
}

fn on_our_port(
    udp: &opte_headers::UdpView<&[u8]>,
    _: &Parsed,
    settings: &Settings,
) -> Result<Control, ParseError> {
    match udp.destination() {
        port if port == settings.port => Ok(Control::Continue),
        port => Err(ParseError::unsupported("Udp", "destination", port.into())),
    }
}

/// Rooms beyond are refused; what goes to room 0 is for the laboratory itself, and no one looks into it.
fn in_our_rooms(
    lab: &LabView<&[u8]>,
    so_far: &Parsed,
    settings: &Settings,
) -> Result<Control, ParseError> {
    assert_eq!(so_far.offsets.count(), 4);
    match lab.room() {
        0 => Ok(Control::Accept),
        room if room <= settings.rooms => Ok(Control::Continue),
        room => Err(ParseError::illegal("Lab", "room", room.into())),
    }
}

const SETTINGS: Settings = Settings {
    port: 7000,
    rooms: 9,
};

fn bytes(header: &impl Header) -> Vec<u8> {
    let mut out = vec![0; header.len()];
    header.emit(&mut out).unwrap();
    out
}

fn ethernet(ethertype: u16) -> Vec<u8> {
    bytes(&Ethernet {
        ethertype: Ethertype(ethertype),
        ..Ethernet::default()
    })
}

fn ipv4(protocol: IpProtocol, body: &[u8]) -> Vec<u8> {
    let header = Ipv4 {
        protocol,
        total_len: 20 + body.len() as u16,
        source: Ipv4Addr::new(10, 0, 0, 1),
        destination: Ipv4Addr::new(10, 0, 0, 2),
        ..Ipv4::default()
    };
    [bytes(&header), body.to_vec()].concat()
}

fn udp(destination: u16, body: &[u8]) -> Vec<u8> {
    let header = Udp {
        source: 999,
        destination,
        length: 8 + body.len() as u16,
        checksum: 0,
    };
    [bytes(&header), body.to_vec()].concat()
}

fn label(label: u32, bottom: bool) -> Vec<u8> {
    bytes(&Mpls {
        label: u20::new(label),
        bottom,
        ttl: 64,
        ..Mpls::default()
    })
}

fn tcp() -> Vec<u8> {
    bytes(&Tcp {
        source: 1000,
        destination: 80,
        ..Tcp::default()
    })
}

/// A greeting with a segment of TCP, checksums not yet right.
fn in_lab(room: u16) -> Vec<u8> {
    let inner = [ethernet(0x0800), ipv4(IpProtocol::TCP, &tcp())].concat();
    let lab = [
        bytes(&Lab {
            kind: 1,
            room,
            ..Lab::default()
        }),
        bytes(&Greeting { who: 7 }),
        inner,
    ]
    .concat();
    [ethernet(0x0800), ipv4(IpProtocol::UDP, &udp(7000, &lab))].concat()
}

#[test]
fn labels_one_two_three() {
    let packet = ipv4(IpProtocol::TCP, &tcp());
    for labels in 1..=4_u32 {
        let stack: Vec<u8> = (1..=labels).flat_map(|n| label(n, n == labels)).collect();
        let frame = [ethernet(0x8847), stack, packet.clone()].concat();
        let parsed = parse_mpls(&frame);
        if labels == 4 {
            let error = ParseError::unsupported("Mpls", "bottom", 0);
            assert_eq!(parsed.unwrap_err(), error);
            continue;
        }
        let parsed = parsed.unwrap();
        let headers = parsed.headers(&frame).unwrap();
        assert_eq!(headers.ethernet.ethertype(), Ethertype(0x8847));
        assert_eq!(headers.mpls.label().value(), 1);
        assert_eq!(
            headers.second.map(|mpls| mpls.label().value()),
            (labels > 1).then_some(2)
        );
        assert_eq!(
            headers.third.map(|mpls| mpls.label().value()),
            (labels > 2).then_some(3)
        );
        assert!(headers.vlan.is_none() && headers.ipv6.is_none() && headers.udp.is_none());
        assert_eq!(headers.tcp.unwrap().destination(), 80);
        // A small form: the key of the flow, where the headers start and which they are.
        assert_eq!(parsed.key.to_string(), "TCP 10.0.0.1:1000 -> 10.0.0.2:80");
        assert_eq!(
            parsed.offsets.iter().last(),
            Some(14 + 4 * labels as u16 + 20)
        );
        assert_eq!(
            parsed.ipv4(&frame).unwrap().source(),
            Ipv4Addr::new(10, 0, 0, 1)
        );
        assert!(parsed.headers(&frame[..16]).is_none());
    }
}

#[test]
fn what_is_carried_is_told_by_its_first_nibble() {
    let v6 = Ipv6 {
        payload_len: 20,
        next_header: IpProtocol::TCP,
        ..Ipv6::default()
    };
    let frame = [ethernet(0x8847), label(5, true), bytes(&v6), tcp()].concat();
    let parsed = parse_mpls(&frame).unwrap();
    assert!(
        parsed.ipv4(&frame).is_none()
            && parsed.ipv6(&frame).is_some()
            && parsed.tcp(&frame).is_some()
    );
    // Ethernet over MPLS has a control word that starts with zero.
    let frame = [ethernet(0x8847), label(5, true), vec![0; 60]].concat();
    assert_eq!(
        parse_mpls(&frame).unwrap_err(),
        ParseError::unsupported("Mpls", "bottom", 1)
    );
    let tag = bytes(&Vlan {
        ethertype: Ethertype(0x8847),
        ..Vlan::default()
    });
    let packet = ipv4(IpProtocol::UDP, &udp(53, b"?"));
    let frame = [ethernet(0x8100), tag, label(5, true), packet].concat();
    let parsed = parse_mpls(&frame).unwrap();
    assert!(parsed.vlan(&frame).is_some() && parsed.udp(&frame).is_some());
    assert_eq!(parsed.key.destination_port, 53);
}

/// What a condition looks at is pulled up before it is asked.
#[test]
fn conditions_in_segments() {
    let packet = ipv4(IpProtocol::TCP, &tcp());
    let frame = [ethernet(0x8847), label(5, true), packet].concat();
    let whole = parse_mpls(&frame).unwrap();
    for at in 0..frame.len() {
        let segments = [&frame[..at], &frame[at..]];
        let mut buffer = [0; 80];
        let found = parse_segments(&segments[..], &mut buffer, parse_mpls_head).unwrap();
        assert_eq!(found.parsed, whole);
    }
    let error = parse_mpls_head(&frame[..18], frame.len());
    assert_eq!(error, Err(HeadError::Short { needed: 38 }));
}

#[test]
fn what_functions_say() {
    let frame = in_lab(3);
    let parsed = parse_lab(&frame, &SETTINGS).unwrap();
    let headers = parsed.headers(&frame).unwrap();
    assert_eq!(
        (headers.lab.room(), headers.greeting.unwrap().who()),
        (3, 7)
    );
    assert_eq!(headers.inner_ip.unwrap().protocol(), IpProtocol::TCP);
    assert!(headers.tcp.is_some() && headers.inner_udp.is_none());
    // By type, the last one of it.
    assert_eq!(parsed.narrow::<Udp>(&frame).unwrap().destination(), 7000);
    let ip = parsed.narrow::<Ipv4>(&frame).unwrap();
    assert_eq!(ip.protocol(), IpProtocol::TCP);
    assert!(parsed.is_tunnelled());

    // Refused, by the port that is set at run time and by the room.
    let other = Settings {
        port: 7001,
        ..SETTINGS
    };
    let error = ParseError::unsupported("Udp", "destination", 7000);
    assert_eq!(parse_lab(&frame, &other), Err(error));
    let error = ParseError::illegal("Lab", "room", 10);
    assert_eq!(parse_lab(&in_lab(10), &SETTINGS), Err(error));

    // Accepted before its end.
    let frame = in_lab(0);
    let parsed = parse_lab(&frame, &SETTINGS).unwrap();
    assert_eq!(parsed.offsets.count(), 4);
    assert_eq!(parsed.lab(&frame).unwrap().room(), 0);
    assert!(parsed.greeting(&frame).is_none() && parsed.inner(&frame).is_none());
}

#[test]
fn checks_of_each_header() {
    let mut frame = in_lab(3);
    frame[42] = 0;
    assert_eq!(
        parse_lab(&frame, &SETTINGS),
        Err(ParseError::illegal("Lab", "magic", 0))
    );
    for end in 0..frame.len() {
        let error = parse_lab(&frame[..end], &SETTINGS).unwrap_err();
        let cause = matches!(
            error.cause,
            Cause::Truncated { .. } | Cause::BadLength { .. }
        );
        assert!(cause, "{end}: {error}");
    }
}

#[test]
fn in_segments() {
    let frame = in_lab(3);
    let whole = parse_lab(&frame, &SETTINGS).unwrap();
    for at in 0..frame.len() {
        let segments = [&frame[..at], &frame[at..]];
        let mut buffer = [0; 128];
        let found = parse_segments(&segments[..], &mut buffer, |head, len| {
            parse_lab_head(head, len, &SETTINGS)
        });
        assert_eq!(found.unwrap().parsed, whole);
    }
    let error = parse_lab_head(&frame[..50], frame.len(), &SETTINGS);
    assert_eq!(error, Err(HeadError::Short { needed: 54 }));
    let segments = [&frame[..1], &frame[1..]];
    let mut buffer = [0; 50];
    let error = parse_segments(&segments[..], &mut buffer, |head, len| {
        parse_lab_head(head, len, &SETTINGS)
    });
    assert_eq!(
        error.unwrap_err(),
        SegmentError::TooFar {
            needed: 54,
            room: 50
        }
    );
}

#[test]
fn a_header_that_goes_its_own_way() {
    let session = |code, session, protocol: u16, length: Option<u16>, body: &[u8]| {
        let header = Pppoe {
            code,
            session,
            length: length.unwrap_or(2 + body.len() as u16),
            ..Pppoe::default()
        };
        let ppp = bytes(&Ppp { protocol });
        [ethernet(0x8864), bytes(&header), ppp, body.to_vec()].concat()
    };
    let packet = ipv4(IpProtocol::TCP, &tcp());
    let frame = [session(0, 7, 0x21, None, &packet), vec![0; 9]].concat();
    let parsed = parse_session(&frame).unwrap();
    assert_eq!(parsed.key.destination_port, 80);
    assert_eq!(parsed.frame_len as usize, frame.len() - 9);
    let headers = parsed.headers(&frame).unwrap();
    assert!(headers.pppoe.session() == 7 && headers.tcp.is_some());
    for at in 0..frame.len() {
        let segments = [&frame[..at], &frame[at..]];
        let mut buffer = [0; 80];
        let found = parse_segments(&segments[..], &mut buffer, parse_session_head).unwrap();
        assert_eq!(found.parsed, parsed);
    }

    // The packet is longer than the session has it.
    let short = session(0, 7, 0x21, Some(30), &packet);
    let error = ParseError::bad_length("Ipv4", "total_len", 40, 28);
    assert_eq!(parse_session(&short), Err(error));
    let long = session(0, 7, 0x21, Some(43), &packet);
    let error = ParseError::bad_length("Pppoe", "length", 43, 42);
    assert_eq!(parse_session(&long), Err(error));
    let discovery = session(9, 0, 0x21, None, &packet);
    let error = ParseError::illegal("Pppoe", "code", 9);
    assert_eq!(parse_session(&discovery), Err(error));
    // Control protocols of PPP, and a session that no one looks into.
    for frame in [
        session(0, 7, 0xc021, None, &packet),
        session(0, 0xffff, 0x21, None, &packet),
    ] {
        let parsed = parse_session(&frame).unwrap();
        assert!(parsed.pppoe(&frame).is_some() && parsed.ipv4(&frame).is_none());
    }
}

/// All checksums computed anew.
fn completed(mut frame: Vec<u8>, with_udp: bool) -> Vec<u8> {
    fn fill(frame: &mut [u8], at: usize, to: usize, offset: usize, before: Sum) {
        frame[at + offset..at + offset + 2].fill(0);
        let sum = match before.with(&frame[at..to]).checksum() {
            0 if offset != 10 && offset != 16 => 0xffff,
            sum => sum,
        };
        frame[at + offset..at + offset + 2].copy_from_slice(&sum.to_be_bytes());
    }
    let end = frame.len();
    let pseudo = |frame: &[u8], ip: usize, protocol, len: usize| {
        Sum::of(&frame[ip + 12..ip + 20])
            .with_word(protocol)
            .with_word(len as u16)
    };
    let before = pseudo(&frame, 68, 6, end - 88);
    fill(&mut frame, 88, end, 16, before);
    fill(&mut frame, 68, 88, 10, Sum::ZERO);
    fill(&mut frame, 42, end, 2, Sum::ZERO);
    if with_udp {
        let before = pseudo(&frame, 14, 17, end - 34);
        fill(&mut frame, 34, end, 6, before);
    }
    fill(&mut frame, 14, 34, 10, Sum::ZERO);
    frame
}

#[test]
fn edits_keep_the_checksums_of_ones_own_headers() {
    for with_udp in [false, true] {
        let mut frame = completed(in_lab(3), with_udp);
        let parsed = parse_lab(&frame, &SETTINGS).unwrap();
        let mut editor = Editor::new(&mut frame, &parsed);
        editor.set::<lab::Seat>(0x1234).unwrap();
        editor.set::<greeting::Who>(0xfeed_beef).unwrap();
        editor
            .set::<ipv4::Source>(Ipv4Addr::new(192, 0, 2, 1))
            .unwrap();
        editor
            .set_at::<ipv4::Destination>(1, Ipv4Addr::new(192, 0, 2, 9))
            .unwrap();
        editor.set::<udp::Source>(4).unwrap();
        assert_eq!(editor.get::<greeting::Who>(), Some(0xfeed_beef));
        assert_eq!(editor.view::<Lab>().unwrap().seat(), 0x1234);
        assert_eq!(
            editor.set::<mpls::Ttl>(1),
            Err(EditError::NotThere { header: "Mpls" })
        );
        assert_eq!(frame, completed(frame.clone(), with_udp));
    }
}

#[test]
fn edits_where_the_link_completes_the_sum() {
    let complete = completed(in_lab(3), true);
    // As the host hands it down: the innermost checksum holds the sum of its pseudo-header, those around are right already.
    let mut partial = complete.clone();
    let sum = Sum::of(&partial[80..88]).with_word(6).with_word(20);
    partial[104..106].copy_from_slice(&sum.fold().to_be_bytes());
    let parsed = parse_lab(&partial, &SETTINGS).unwrap();
    let mut editor = Editor::new(&mut partial, &parsed).with_sums(Sums::Partial);
    editor
        .set::<ipv4::Destination>(Ipv4Addr::new(198, 51, 100, 200))
        .unwrap();
    editor.set::<opte_headers::tcp::Source>(0xf00d).unwrap();
    editor.set::<greeting::Who>(1).unwrap();
    // What the link does.
    let sum = Sum::of(&partial[88..]).checksum();
    partial[104..106].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(partial, completed(partial.clone(), true));
}

/// Under another name of the crate, with nothing imported but it.
mod renamed {
    use opte_headers as packets;

    packets::stack_parser! {
        #[header(crate = packets, head = parse_ip_head)]
        /// Ethernet and IP.
        pub(super) fn parse_ip -> Ip = packets::Ethernet (packets::Ipv4 | packets::Ipv6);
    }

    pub(super) fn heads(frame: &[u8]) -> usize {
        (0..frame.len())
            .filter(|len| parse_ip_head(&frame[..*len], frame.len()).is_ok())
            .count()
    }
}

/// Inside a function too.
#[test]
fn names_of_ones_own() {
    stack_parser! {
        fn parse = Ethernet Ipv4 Udp;
    }
    // What the expansion calls its own is no one's else.
    #[allow(dead_code)]
    struct Result;
    #[allow(dead_code)]
    struct Parsed;
    let frame = [
        ethernet(0x0800),
        ipv4(IpProtocol::UDP, &udp(53, b"question")),
    ]
    .concat();
    let parsed = renamed::parse_ip(&frame).unwrap();
    assert!(parsed.ipv4(&frame).is_some() && parsed.ipv6(&frame).is_none());
    assert_eq!(parse(&frame).unwrap().key.destination_port, 53);
    // Behind Ethernet and IPv4, whatever else is elsewhere.
    assert_eq!(renamed::heads(&frame), frame.len() - 34);
}

#[test]
fn kinds() {
    assert_ne!(<Lab as Stacked>::KIND, <Greeting as Stacked>::KIND);
    assert!(
        InLab::spec(<Lab as Stacked>::KIND)
            .unwrap()
            .checksum
            .is_some()
    );
    assert!(InLab::spec(HeaderKind::Geneve).is_none());
    // The form is as small as what it wraps.
    assert_eq!(size_of::<InLab>(), size_of::<Parsed>());
}
