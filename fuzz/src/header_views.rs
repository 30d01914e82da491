//! Every header: refused by its own name, or read whole and written again byte for byte.

use opte_headers::options::OptionList;
use opte_headers::*;

macro_rules! one {
    ($bytes:ident, $header:ty $(, $tail:ident)?) => {
        match <$header>::parse($bytes) {
            Err(error) => {
                assert_eq!(error.header, <$header>::NAME);
                let _ = error.to_string();
                assert!(<$header>::parse_mut(&mut $bytes.to_vec()).is_err());
            }
            Ok((view, rest)) => {
                let len = $bytes.len() - rest.len();
                assert_eq!(view.len(), len);
                assert!(len >= <$header>::MIN_LEN);
                let _ = <$header>::view_selector(&view);
                // Both read every field.
                let (shown, _) = (view.to_string(), format!("{view:?}"));
                let mut copy = $bytes.to_vec();
                let (edited, behind) = <$header>::parse_mut(&mut copy).unwrap();
                assert_eq!(edited.to_string(), shown);
                assert_eq!(behind, rest);
                let owned = one!(@owned $header, view, len $(, $tail)?);
                assert_eq!((owned.to_string(), owned.len()), (shown, len));
                let mut out = vec![0xa5; len + 1];
                assert_eq!(owned.emit(&mut out), Ok(len));
                assert_eq!((&out[..len], out[len]), (&$bytes[..len], 0xa5));
                assert!(owned.emit(&mut out[..len - 1]).is_err());
            }
        }
    };
    (@owned $header:ty, $view:ident, $len:ident) => { $view.to_owned() };
    (@owned $header:ty, $view:ident, $len:ident, options) => {{
        walk($view.options());
        one!(@owned $header, $view, $len, tail)
    }};
    // A struct has room for so much of a tail and no more.
    (@owned $header:ty, $view:ident, $len:ident, tail) => {
        match $view.to_owned() {
            Ok(owned) => owned,
            Err(error) => {
                assert_eq!(error.header, <$header>::NAME);
                let too_long = matches!(error.cause, Cause::BadLength { claimed, available } if claimed > available);
                assert!(too_long && $len > 40, "{error}");
                return;
            }
        }
    };
}

/// The first byte says which header the others are to be.
pub fn check(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else {
        return;
    };
    match which % 56 {
        0 => one!(bytes, Ethernet),
        1 => one!(bytes, Vlan),
        2 => one!(bytes, Arp),
        3 => one!(bytes, Ipv4, options),
        4 => one!(bytes, Ipv6),
        5 => one!(bytes, Ipv6HopByHop, options),
        6 => one!(bytes, Ipv6Destination, options),
        7 => one!(bytes, Ipv6Fragment),
        8 => one!(bytes, Icmpv4),
        9 => one!(bytes, Icmpv6),
        10 => one!(bytes, Tcp, options),
        11 => one!(bytes, Udp),
        12 => one!(bytes, Geneve, options),
        13 => options_of::<TcpOption<'static>>(bytes),
        14 => options_of::<GeneveOption<'static>>(bytes),
        15 => options_of::<Dhcp4Option<'static>>(bytes),
        16 => options_of::<Dhcp6Option<'static>>(bytes),
        17 => options_of::<NdpOption<'static>>(bytes),
        18 => options_of::<Ipv4Option<'static>>(bytes),
        19 => options_of::<Ipv6Option<'static>>(bytes),
        20 => one!(bytes, Ipv6Routing, tail),
        21 => one!(bytes, Gre, tail),
        22 => one!(bytes, Vxlan),
        23 => one!(bytes, Sctp),
        24 => one!(bytes, Esp),
        25 => one!(bytes, Ah, tail),
        26 => one!(bytes, Dns),
        27 => one!(bytes, Dhcp4, options),
        28 => one!(bytes, Dhcp6, options),
        29 => one!(bytes, DuidLinkLayer),
        other => message(other, bytes),
    }
}

/// The messages of ICMP and ICMPv6, of IGMP and MLD, of neighbour discovery.
fn message(which: u8, bytes: &[u8]) {
    match which {
        30 => one!(bytes, Icmpv4Unreachable, tail),
        31 => one!(bytes, Icmpv4TimeExceeded, tail),
        32 => one!(bytes, Icmpv4ParameterProblem, tail),
        33 => one!(bytes, Icmpv4Redirect, tail),
        34 => one!(bytes, Icmpv4EchoRequest),
        35 => one!(bytes, Icmpv4EchoReply),
        36 => one!(bytes, Icmpv6Unreachable, tail),
        37 => one!(bytes, Icmpv6PacketTooBig, tail),
        38 => one!(bytes, Icmpv6TimeExceeded, tail),
        39 => one!(bytes, Icmpv6ParameterProblem, tail),
        40 => one!(bytes, Icmpv6EchoRequest),
        41 => one!(bytes, Icmpv6EchoReply),
        42 => one!(bytes, Igmp),
        43 => one!(bytes, IgmpQuery, tail),
        44 => one!(bytes, IgmpReport, tail),
        45 => one!(bytes, IgmpRecord, tail),
        46 => one!(bytes, Mld),
        47 => one!(bytes, MldQuery, tail),
        48 => one!(bytes, MldReport, tail),
        49 => one!(bytes, MldRecord, tail),
        50 => one!(bytes, RouterSolicitation, options),
        51 => one!(bytes, RouterAdvertisement, options),
        52 => one!(bytes, NeighbourSolicitation, options),
        53 => one!(bytes, NeighbourAdvertisement, options),
        _ => one!(bytes, Icmpv6Redirect, options),
    }
}

/// Every option is given or the list ends with an error; what is given can be written again.
fn options_of<O: options::OptionSet>(bytes: &[u8]) {
    let list = OptionList::<O>::new(bytes);
    assert_eq!(list.check().is_ok(), walk(list));
    for option in list.iter().flatten() {
        let mut out = vec![0; 300 + bytes.len()];
        let written = O::encode(&option, &mut out).expect("there is room");
        let again = OptionList::<O>::new(&out[..written]);
        let again = again.iter().next().unwrap().unwrap();
        assert_eq!(format!("{again:?}"), format!("{option:?}"));
    }
}

/// Whether the list is whole.
fn walk<O: options::OptionSet>(list: OptionList<'_, O>) -> bool {
    let mut items = list.iter().peekable();
    let (mut count, mut whole) = (0, true);
    while let Some(item) = items.next() {
        count += 1;
        let _ = format!("{item:?}");
        whole = item.is_ok();
        assert!(whole || items.peek().is_none(), "goes on behind an error");
    }
    assert!(count <= list.bytes().len());
    whole
}
