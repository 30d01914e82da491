//! IPv6 extension chains: their order (RFC 8200, section 4.1), first fragments with the whole chain (RFC 7112), atomic
//! fragments (RFC 6946).

use crate::build::*;
use opte_headers::frame::{Fragment, parse_guest};
use opte_headers::*;

/// An extension header, to be put in a chain.
#[derive(Clone, Copy)]
enum Extension {
    Hop,
    Routing,
    Destination,
    /// Offset in units of eight bytes, more to come.
    Fragment(u16, bool),
    /// Mobility (RFC 6275), laid out as RFC 6564 has it.
    Mobility,
}

use Extension::*;

impl Extension {
    const fn protocol(self) -> IpProtocol {
        match self {
            Hop => IpProtocol::HOP_BY_HOP,
            Routing => IpProtocol::ROUTING,
            Destination => IpProtocol::DESTINATION_OPTIONS,
            Fragment(..) => IpProtocol::FRAGMENT,
            Mobility => IpProtocol(135),
        }
    }

    fn bytes(self, next_header: IpProtocol) -> Vec<u8> {
        match self {
            Hop => bytes(&Ipv6HopByHop {
                next_header,
                ..Ipv6HopByHop::default()
            }),
            Routing => bytes(&Ipv6Routing {
                next_header,
                ..Ipv6Routing::default()
            }),
            Destination => bytes(&Ipv6Destination {
                next_header,
                ..Ipv6Destination::default()
            }),
            Fragment(offset, more_fragments) => bytes(&Ipv6Fragment {
                next_header,
                fragment_offset: arbitrary_int::u13::new(offset),
                more_fragments,
                identification: 7,
                ..Ipv6Fragment::default()
            }),
            Mobility => vec![next_header.0, 0, 0, 0, 0, 0, 0, 0],
        }
    }
}

fn frame(chain: &[Extension], body: &[u8]) -> Vec<u8> {
    let mut next = IpProtocol::TCP;
    let mut packet = body.to_vec();
    for extension in chain.iter().rev() {
        packet = [extension.bytes(next), packet].concat();
        next = extension.protocol();
    }
    ethernet(Ethertype::IPV6, &ipv6(next, &packet))
}

/// What comes of a chain before TCP: where TCP is, or what is refused.
#[test]
fn chains() {
    let whole = |at| Ok((Some(at), Fragment::No, 80));
    let refused = |field| Err(("Ipv6", field));
    let cases: &[(&[Extension], _)] = &[
        (&[], whole(54)),
        // In the order that RFC 8200 recommends, destination options twice.
        (&[Hop, Destination, Routing, Destination], whole(86)),
        (&[Hop], whole(62)),
        // Any other order has to be taken too, but for hop-by-hop options: right behind the IPv6 header or nowhere.
        (&[Destination, Routing], whole(70)),
        (&[Routing, Hop], refused("next_header")),
        (&[Destination, Hop], refused("next_header")),
        (&[Hop, Hop], refused("next_header")),
        (&[Fragment(0, false), Hop], refused("next_header")),
        (&[Mobility, Destination], whole(70)),
        // Atomic fragments are whole packets, wherever the header is.
        (&[Fragment(0, false)], whole(62)),
        (&[Hop, Fragment(0, false), Destination], whole(78)),
        // First fragments show TCP.
        (&[Fragment(0, true)], Ok((Some(62), Fragment::First, 80))),
        (
            &[Hop, Routing, Fragment(0, true), Destination],
            Ok((Some(86), Fragment::First, 80)),
        ),
        // Later ones do not: what stands there is no header.
        (&[Fragment(9, true)], Ok((None, Fragment::Later, 0))),
        (&[Hop, Fragment(9, false)], Ok((None, Fragment::Later, 0))),
        (
            &[Fragment(9, false), Hop, Hop],
            Ok((None, Fragment::Later, 0)),
        ),
        // Eight, and one more.
        (&[Destination; 8], whole(118)),
        (&[Destination; 9], refused("extension")),
    ];
    for (n, (chain, expected)) in cases.iter().enumerate() {
        let frame = frame(chain, &tcp());
        let found = parse_guest(&frame).map(|parsed| {
            let port = parsed.key.destination_port;
            (parsed.l4(), parsed.fragment, port)
        });
        let found = found.map_err(|error| (error.header, error.field));
        assert_eq!(found, *expected, "case {n}");
    }
}

/// RFC 7112, section 5: a first fragment has all headers, up to that of the transport; else it is refused.
#[test]
fn first_fragments_have_the_whole_chain() {
    let chain = [Fragment(0, true), Destination];
    let whole = frame(&chain, &tcp());
    let end = whole.len();
    for len in 54..end {
        let mut cut = whole[..len].to_vec();
        cut[18..20].copy_from_slice(&((len - 54) as u16).to_be_bytes());
        let error = parse_guest(&cut).unwrap_err();
        assert!(
            matches!(error.cause, Cause::Truncated { .. }),
            "{len}: {error}"
        );
    }
    assert!(parse_guest(&whole).is_ok());
}

/// The protocol of the flow is that behind the chain; a fragment's data is known by that of its fragment header.
#[test]
fn what_protocol_a_fragment_is_of() {
    for chain in [
        &[Fragment(9, true)][..],
        &[Routing, Fragment(1, false)],
        &[Fragment(0, true)],
    ] {
        let parsed = parse_guest(&frame(chain, &tcp())).unwrap();
        assert_eq!(parsed.protocol(), Some(IpProtocol::TCP));
        assert_eq!(parsed.fragment_id, 7);
    }
    // Options of which only the first fragment has the start: the fragments' protocol is that of the options.
    let parsed = parse_guest(&frame(&[Fragment(9, true), Destination], &tcp())).unwrap();
    assert_eq!(parsed.protocol(), Some(IpProtocol::DESTINATION_OPTIONS));
}
