//! Headers in the formats of serde: what is written, to humans and to machines, is read as the same; what could not be sent is
//! refused.

use arbitrary_int::prelude::*;
use opte_headers::serialized::serde;
use opte_headers::tail::Items;
use opte_headers::*;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, Ipv6Addr};

fn both_ways<H: serde::Serialize + DeserializeOwned + Clone>(header: &H) -> [H; 2] {
    let text = serde_json::to_string(header).unwrap();
    let bytes = postcard::to_allocvec(header).unwrap();
    [
        serde_json::from_str(&text).unwrap(),
        postcard::from_bytes(&bytes).unwrap(),
    ]
}

macro_rules! round_trips {
    ($($name:ident: $header:ty,)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(24))]
            $(
                #[test]
                fn $name(header: $header) {
                    for again in both_ways(&header) {
                        prop_assert_eq!(&again, &header);
                    }
                }
            )*
        }
    };
}

round_trips! {
    s_own: Own,
    s_arp: Arp,
    s_dhcp4: Dhcp4,
    s_dhcp6: Dhcp6,
    s_duid_link_layer: DuidLinkLayer,
    s_dns: Dns,
    s_ethernet: Ethernet,
    s_geneve: Geneve,
    s_gre: Gre,
    s_icmpv4: Icmpv4,
    s_icmpv4_unreachable: Icmpv4Unreachable,
    s_icmpv4_time_exceeded: Icmpv4TimeExceeded,
    s_icmpv4_parameter_problem: Icmpv4ParameterProblem,
    s_icmpv4_redirect: Icmpv4Redirect,
    s_icmpv4_echo_request: Icmpv4EchoRequest,
    s_icmpv4_echo_reply: Icmpv4EchoReply,
    s_icmpv6: Icmpv6,
    s_icmpv6_unreachable: Icmpv6Unreachable,
    s_icmpv6_packet_too_big: Icmpv6PacketTooBig,
    s_icmpv6_time_exceeded: Icmpv6TimeExceeded,
    s_icmpv6_parameter_problem: Icmpv6ParameterProblem,
    s_icmpv6_echo_request: Icmpv6EchoRequest,
    s_icmpv6_echo_reply: Icmpv6EchoReply,
    s_igmp: Igmp,
    s_igmp_query: IgmpQuery,
    s_igmp_record: IgmpRecord,
    s_igmp_report: IgmpReport,
    s_esp: Esp,
    s_ah: Ah,
    s_ipv4: Ipv4,
    s_ipv6: Ipv6,
    s_ipv6_hop_by_hop: Ipv6HopByHop,
    s_ipv6_destination: Ipv6Destination,
    s_ipv6_routing: Ipv6Routing,
    s_ipv6_fragment: Ipv6Fragment,
    s_mld: Mld,
    s_mld_query: MldQuery,
    s_mld_record: MldRecord,
    s_mld_report: MldReport,
    s_router_solicitation: RouterSolicitation,
    s_router_advertisement: RouterAdvertisement,
    s_neighbour_solicitation: NeighbourSolicitation,
    s_neighbour_advertisement: NeighbourAdvertisement,
    s_icmpv6_redirect: Icmpv6Redirect,
    s_sctp: Sctp,
    s_tcp: Tcp,
    s_udp: Udp,
    s_vlan: Vlan,
    s_vxlan: Vxlan,
}

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u8 {
        const URGENT = 1;
        const _ = !0;
    }
}
field_value!(Flags as u8: Flags::from_bits_retain, Flags::bits);

/// An enum with a catch-all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Other(u4),
}
field_value!(Kind as u4: |bits: u4| match bits.value() {
    1 => Kind::Data,
    _ => Kind::Other(bits),
}, |kind: &Kind| match kind {
    Kind::Data => u4::new(1),
    Kind::Other(bits) => *bits,
});

/// A newtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Channel(u12);
field_value!(Channel as u12: Channel, |channel: &Channel| channel.0);

/// A header in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[header(field, serde)]
struct Place {
    x: i12,
    y: i12,
}

/// One of each.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(serde, arbitrary)]
struct Own {
    #[header(const = 2)]
    version: u4,
    #[header(length(of = header, unit = 4))]
    words: u8,
    kind: Kind,
    channel: Channel,
    last: bool,
    #[header(reserved)]
    _reserved: u3,
    flags: Flags,
    #[header(le)]
    temperature: i24,
    place: Place,
    r#type: u8,
    source: Ipv4Addr,
    destination: Ipv6Addr,
    station: MacAddr,
    vni: Vni,
    name: [u8; 39],
    #[header(bytes(len = words * 4 - 80))]
    readings: Items<i16, 200>,
}

fn own() -> Own {
    let mut own = Own {
        words: 21,
        kind: Kind::Data,
        channel: Channel(u12::new(9)),
        last: true,
        flags: Flags::URGENT,
        temperature: i24::new(-4),
        place: Place {
            x: i12::new(-1),
            y: i12::new(1),
        },
        r#type: 7,
        source: Ipv4Addr::new(192, 0, 2, 1),
        destination: Ipv6Addr::LOCALHOST,
        station: MacAddr([2, 0, 0, 0, 0, 1]),
        vni: Vni::new(99).unwrap(),
        readings: Items::of(&[20, -2]).unwrap(),
        ..Own::default()
    };
    own.name[0] = 0xab;
    own
}

#[test]
fn what_humans_read() {
    let mut expected =
        String::from(r#"{"kind":1,"channel":9,"last":true,"_reserved":0,"flags":1,"#);
    expected += r#""temperature":-4,"place":{"x":-1,"y":1},"type":7,"source":"192.0.2.1","destination":"::1","#;
    expected += r#""station":"02:00:00:00:00:01","vni":99,"name":"ab"#;
    expected += &"00".repeat(38);
    expected += r#"","readings":"0014fffe"}"#;
    assert_eq!(serde_json::to_string(&own()).unwrap(), expected);
    assert_eq!(both_ways(&own()), [own(), own()]);
}

#[test]
fn machines_read_few_bytes() {
    let bytes = postcard::to_allocvec(&Ipv4::default()).unwrap();
    // Eleven numbers that are small, two addresses, and the count of the options.
    assert_eq!(bytes.len(), 11 + 8 + 1);
}

#[test]
fn lengths_follow() {
    let mut ipv4 = Ipv4 {
        options: Options::of(&[Ipv4Option::RouterAlert(0)]).unwrap(),
        ..Ipv4::default()
    };
    assert_eq!(ipv4.ihl, u4::new(5));
    let again = both_ways(&ipv4);
    ipv4.ihl = u4::new(6);
    assert_eq!(again, [ipv4, ipv4]);
}

/// What a text becomes when one piece is replaced.
fn refused<H: serde::Serialize + DeserializeOwned>(header: &H, from: &str, to: &str) -> String {
    let text = serde_json::to_string(header).unwrap();
    assert!(text.contains(from), "{text}");
    match serde_json::from_str::<H>(&text.replacen(from, to, 1)) {
        Ok(_) => panic!("{to} was taken"),
        Err(error) => error
            .to_string()
            .split(" at line")
            .next()
            .unwrap()
            .to_owned(),
    }
}

#[test]
fn what_could_not_be_sent_is_refused() {
    for (from, to, error) in [
        (
            r#""channel":9"#,
            r#""channel":4096"#,
            "invalid value: integer `4096`, expected a number of 12 bits",
        ),
        (
            r#""kind":1"#,
            r#""kind":16"#,
            "invalid value: integer `16`, expected a number of 4 bits",
        ),
        (
            r#""x":-1"#,
            r#""x":-2049"#,
            "invalid value: integer `-2049`, expected a number of 12 bits",
        ),
        (
            r#""temperature":-4"#,
            r#""temperature":8388608"#,
            "invalid value: integer `8388608`, expected a number of 24 bits",
        ),
        (
            r#""name":"ab"#,
            r#""name":"abcd"#,
            "invalid length 40, expected 39 bytes at most",
        ),
        (
            r#""readings":"0014"#,
            r#""readings":"001"#,
            "not pairs of hexadecimal digits",
        ),
        (
            r#""readings":"0014"#,
            r#""readings":"0014+f"#,
            "not pairs of hexadecimal digits",
        ),
        (
            r#""last":true"#,
            r#""version":2,"last":true"#,
            "unknown field `version`, expected one of `kind`, `channel`, `last`, `_reserved`, `flags`, `temperature`, `place`, \
             `type`, `source`, `destination`, `station`, `vni`, `name`, `readings`",
        ),
        (
            r#""last":true"#,
            r#""last":true,"last":true"#,
            "duplicate field `last`",
        ),
        (r#""last":true,"#, "", "missing field `last`"),
    ] {
        assert_eq!(refused(&own(), from, to), error);
    }
}

/// Fields that tell a length without being one by role.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[header(serde)]
struct Counted {
    count: u8,
    #[header(bytes(len = count * 2))]
    body: TailBytes<8>,
}

#[test]
fn fields_and_lengths_that_contradict_are_refused() {
    let counted = Counted {
        count: 2,
        body: TailBytes::new(&[1, 2, 3, 4]).unwrap(),
    };
    assert_eq!(both_ways(&counted), [counted.clone(), counted.clone()]);
    assert_eq!(
        refused(&counted, r#""count":2"#, r#""count":1"#),
        "Counted: the variable part is not as long as the fields tell"
    );
    assert_eq!(
        refused(&counted, r#""count":2"#, r#""count":3"#),
        "Counted.body: truncated: needs 7 bytes, there are 5"
    );
    assert_eq!(
        refused(&counted, r#""01020304"#, r#""010203040506070809"#),
        "invalid length 9, expected 8 bytes at most"
    );
}

#[test]
fn bytes_of_machines_are_checked_too() {
    let bytes = postcard::to_allocvec(&own()).unwrap();
    for end in 0..bytes.len() {
        assert!(postcard::from_bytes::<Own>(&bytes[..end]).is_err());
    }
    // The kind, first of the bytes, has four bits.
    let mut wide = bytes.clone();
    wide[0] = 0x10;
    assert!(postcard::from_bytes::<Own>(&wide).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_header_that_can_be_sent_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        if let Ok(ipv4) = postcard::from_bytes::<Ipv4>(&bytes) {
            let mut out = vec![0; ipv4.len()];
            prop_assert_eq!(ipv4.emit(&mut out), Ok(out.len()));
            let (view, rest) = Ipv4::parse(&out).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(view.ihl(), ipv4.ihl);
        }
    }
}

extern crate opte_headers as renamed;

/// Where opte-headers has another name, and serde none.
mod elsewhere {
    #[derive(Clone, Debug, PartialEq, renamed::Header)]
    #[header(crate = ::renamed, serde, arbitrary)]
    pub(super) struct Own {
        #[header(const = 1)]
        version: u8,
        pub(super) port: u16,
        #[header(bytes(rest))]
        pub(super) body: renamed::TailBytes<9>,
    }
}

proptest! {
    #[test]
    fn under_another_name(own: elsewhere::Own) {
        for again in both_ways(&own) {
            prop_assert_eq!(&again.port, &own.port);
            prop_assert_eq!(&again.body, &own.body);
        }
    }
}
