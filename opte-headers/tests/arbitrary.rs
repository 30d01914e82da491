//! Headers that proptest makes: what is emitted of any of them is parsed as the same, of the protocol files and of one's own.

use arbitrary_int::prelude::*;
use opte_headers::*;
use proptest::prelude::*;

/// A header of one's own.
#[derive(Clone, Debug, PartialEq, Header)]
#[header(arbitrary)]
struct Own {
    #[header(const = 2)]
    version: u4,
    #[header(length(of = header, unit = 4))]
    words: u4,
    signed: i16,
    #[header(bytes(len = words * 4 - 3))]
    body: TailBytes<57>,
}

macro_rules! emitted_and_parsed {
    ($($name:ident: $header:ty,)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            $(
                #[test]
                fn $name(header: $header) {
                    let mut out = vec![0xa5; header.len()];
                    prop_assert_eq!(header.emit(&mut out), Ok(header.len()));
                    let (view, rest) = <$header>::parse(&out).unwrap();
                    prop_assert!(rest.is_empty());
                    prop_assert_eq!(view.to_string(), header.to_string());
                    let mut again = vec![0; header.len()];
                    prop_assert_eq!(header.clone().emit(&mut again), Ok(out.len()));
                    prop_assert_eq!(again, out);
                }
            )*
        }
    };
}

emitted_and_parsed! {
    a_own: Own,
    a_arp: Arp,
    a_dhcp4: Dhcp4,
    a_dhcp6: Dhcp6,
    a_duid_link_layer: DuidLinkLayer,
    a_dns: Dns,
    a_ethernet: Ethernet,
    a_geneve: Geneve,
    a_gre: Gre,
    a_icmpv4: Icmpv4,
    a_icmpv4_unreachable: Icmpv4Unreachable,
    a_icmpv4_time_exceeded: Icmpv4TimeExceeded,
    a_icmpv4_parameter_problem: Icmpv4ParameterProblem,
    a_icmpv4_redirect: Icmpv4Redirect,
    a_icmpv4_echo_request: Icmpv4EchoRequest,
    a_icmpv4_echo_reply: Icmpv4EchoReply,
    a_icmpv6: Icmpv6,
    a_icmpv6_unreachable: Icmpv6Unreachable,
    a_icmpv6_packet_too_big: Icmpv6PacketTooBig,
    a_icmpv6_time_exceeded: Icmpv6TimeExceeded,
    a_icmpv6_parameter_problem: Icmpv6ParameterProblem,
    a_icmpv6_echo_request: Icmpv6EchoRequest,
    a_icmpv6_echo_reply: Icmpv6EchoReply,
    a_igmp: Igmp,
    a_igmp_query: IgmpQuery,
    a_igmp_record: IgmpRecord,
    a_igmp_report: IgmpReport,
    a_esp: Esp,
    a_ah: Ah,
    a_ipv4: Ipv4,
    a_ipv6: Ipv6,
    a_ipv6_hop_by_hop: Ipv6HopByHop,
    a_ipv6_destination: Ipv6Destination,
    a_ipv6_routing: Ipv6Routing,
    a_ipv6_fragment: Ipv6Fragment,
    a_mld: Mld,
    a_mld_query: MldQuery,
    a_mld_record: MldRecord,
    a_mld_report: MldReport,
    a_router_solicitation: RouterSolicitation,
    a_router_advertisement: RouterAdvertisement,
    a_neighbour_solicitation: NeighbourSolicitation,
    a_neighbour_advertisement: NeighbourAdvertisement,
    a_icmpv6_redirect: Icmpv6Redirect,
    a_sctp: Sctp,
    a_tcp: Tcp,
    a_udp: Udp,
    a_vlan: Vlan,
    a_vxlan: Vxlan,
}

proptest! {
    #[test]
    fn constants_and_lengths_are_right(own: Own) {
        prop_assert_eq!(own.version, u4::new(2));
        prop_assert_eq!(usize::from(own.words.value()) * 4, own.len());
    }
}
