//! Every header: what is parsed is emitted again, byte for byte; any bytes are parsed or refused with the header's name; what
//! is written to a field is read from it, and nothing beside it changes. Views are `Send` and `Sync`.

#![allow(missing_docs)]

use opte_headers::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes become the struct, which becomes the same bytes.
macro_rules! owned {
    ($view:ident tail) => {
        $view.to_owned().unwrap()
    };
    ($view:ident rest) => {
        $view.to_owned().unwrap()
    };
    ($view:ident fixed) => {
        $view.to_owned()
    };
}

/// How many bytes there are: more than any header has, or where the header takes all, no more than it can hold.
macro_rules! extent {
    (rest) => {
        44..72
    };
    ($kind:ident) => {
        2200..2300
    };
}

/// So many arbitrary bytes. An interpreter is to spend its time with headers, not with drawing them one by one.
fn bytes(len: core::ops::Range<usize>) -> BoxedStrategy<Vec<u8>> {
    if !cfg!(miri) {
        return vec(any::<u8>(), len).boxed();
    }
    let drawn = (any::<u64>(), len).prop_map(|(seed, len)| {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_ne_bytes()
        };
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next()).collect();
        bytes.truncate(len);
        bytes
    });
    drawn.boxed()
}

/// Gives bytes the bits they must have.
fn fix(bytes: &mut [u8], fixed: &[(usize, u8, u8)]) {
    for &(at, mask, value) in fixed {
        bytes[at] = bytes[at] & mask | value;
    }
}

macro_rules! headers {
    ($($name:ident: $header:ty, $kind:ident, [$($at:literal & $mask:literal | $value:literal),*];)*) => {$(
        mod $name {
            use super::*;

            // Views go from thread to thread: they are slices, without raw pointers and without `unsafe impl`.
            const _: () = {
                const fn thread_safe<T: Send + Sync + Unpin + std::panic::RefUnwindSafe>() {}
                const fn copied<T: Copy>() {}
                thread_safe::<$header>();
                thread_safe::<<$header as Header>::View<'static>>();
                thread_safe::<<$header as Header>::ViewMut<'static>>();
                copied::<<$header as Header>::View<'static>>();
            };

            fn plausible() -> impl Strategy<Value = Vec<u8>> {
                bytes(extent!($kind)).prop_map(|mut bytes| {
                    // What must have one value has it; what remains is arbitrary.
fix(&mut bytes, &[$(($at, $mask, $value)),*]);
                    bytes
                })
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 96 }))]

                #[test]
                fn parse_and_emit(bytes in plausible()) {
                    let (view, rest) = <$header>::parse(&bytes).unwrap();
                    let len = bytes.len() - rest.len();
                    prop_assert_eq!(view.len(), len);
                    let owned = owned!(view $kind);
                    let mut out = vec![0xa5; len + 1];
                    prop_assert_eq!(owned.emit(&mut out), Ok(len));
                    prop_assert_eq!(&out[..len], &bytes[..len]);
                    prop_assert_eq!(out[len], 0xa5);
                    prop_assert_eq!(view.to_string(), owned.to_string());
                    prop_assert!(owned.emit(&mut out[..len - 1]).is_err());
                }

                #[test]
                fn any_bytes(bytes in bytes(0..120)) {
                    match <$header>::parse(&bytes) {
                        Ok((view, rest)) => prop_assert_eq!(view.len() + rest.len(), bytes.len()),
                        Err(error) => prop_assert_eq!(error.header, <$header>::NAME),
                    }
                }
            }
        }
    )*};
}

headers! {
    ethernet_header: Ethernet, fixed, [];
    vlan_header: Vlan, fixed, [];
    arp_header: Arp, fixed, [0 & 0 | 0, 1 & 0 | 1, 2 & 0 | 8, 3 & 0 | 0, 4 & 0 | 6, 5 & 0 | 4];
    ipv4_header: Ipv4, tail, [0 & 0x0a | 0x45];
    ipv6_header: Ipv6, fixed, [0 & 0x0f | 0x60];
    hop_by_hop: Ipv6HopByHop, tail, [];
    destination: Ipv6Destination, tail, [];
    routing: Ipv6Routing, tail, [];
    fragment: Ipv6Fragment, fixed, [];
    icmpv4_header: Icmpv4, fixed, [];
    icmpv6_header: Icmpv6, fixed, [];
    tcp_header: Tcp, tail, [12 & 0xaf | 0x50];
    udp_header: Udp, fixed, [];
    geneve_header: Geneve, tail, [0 & 0x3f | 0];
    gre_header: Gre, tail, [0 & 0xb3 | 0, 1 & 0xf8 | 0];
    vxlan_header: Vxlan, fixed, [];
    sctp_header: Sctp, fixed, [];
    esp_header: Esp, fixed, [];
    ah_header: Ah, tail, [1 & 0xff | 1];
    dns_header: Dns, fixed, [];
    igmp_message: Igmp, fixed, [];
    igmp_query: IgmpQuery, tail, [0 & 0 | 0x11, 10 & 0 | 0];
    igmp_report: IgmpReport, rest, [0 & 0 | 0x22];
    igmp_record: IgmpRecord, tail, [1 & 0x3f | 0, 2 & 0 | 0];
    mld_message: Mld, fixed, [1 & 0 | 0];
    mld_query: MldQuery, tail, [0 & 0 | 130, 1 & 0 | 0, 26 & 0 | 0, 27 & 0x3f | 0];
    mld_report: MldReport, rest, [0 & 0 | 143];
    mld_record: MldRecord, tail, [1 & 0x3f | 0, 2 & 0 | 0, 3 & 0x3f | 0];
    icmpv4_unreachable: Icmpv4Unreachable, rest, [0 & 0 | 3];
    icmpv4_time_exceeded: Icmpv4TimeExceeded, rest, [0 & 0 | 11];
    icmpv4_parameter_problem: Icmpv4ParameterProblem, rest, [0 & 0 | 12];
    icmpv4_redirect: Icmpv4Redirect, rest, [0 & 0 | 5];
    icmpv4_echo_request: Icmpv4EchoRequest, fixed, [0 & 0 | 8, 1 & 0 | 0];
    icmpv4_echo_reply: Icmpv4EchoReply, fixed, [0 & 0 | 0, 1 & 0 | 0];
    icmpv6_unreachable: Icmpv6Unreachable, rest, [0 & 0 | 1];
    icmpv6_packet_too_big: Icmpv6PacketTooBig, rest, [0 & 0 | 2];
    icmpv6_time_exceeded: Icmpv6TimeExceeded, rest, [0 & 0 | 3];
    icmpv6_parameter_problem: Icmpv6ParameterProblem, rest, [0 & 0 | 4];
    icmpv6_echo_request: Icmpv6EchoRequest, fixed, [0 & 0 | 128, 1 & 0 | 0];
    icmpv6_echo_reply: Icmpv6EchoReply, fixed, [0 & 0 | 129, 1 & 0 | 0];
    icmpv6_redirect: Icmpv6Redirect, rest, [0 & 0 | 137, 1 & 0 | 0];
    router_solicitation: RouterSolicitation, rest, [0 & 0 | 133, 1 & 0 | 0];
    router_advertisement: RouterAdvertisement, rest, [0 & 0 | 134, 1 & 0 | 0];
    neighbour_solicitation: NeighbourSolicitation, rest, [0 & 0 | 135, 1 & 0 | 0];
    neighbour_advertisement: NeighbourAdvertisement, rest, [0 & 0 | 136, 1 & 0 | 0];
}

/// A field written through a view is read back, and the header differs in its bits alone.
fn alone<F: Field>(before: &[u8], after: &[u8]) {
    for bit in 0..8 * before.len() {
        let inside = (F::BIT_OFFSET..F::BIT_OFFSET + F::BITS).contains(&bit);
        let mask = 0x80 >> (bit % 8);
        if !inside {
            assert_eq!(
                before[bit / 8] & mask,
                after[bit / 8] & mask,
                "bit {bit} beside {}",
                F::NAME
            );
        }
    }
}

macro_rules! fields {
    ($($header:ident, $bytes:ident [$($token:path, $get:ident, $set:ident;)*])*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 256 }))]

            #[test]
            fn fields_are_written_alone(source in bytes(60..61), other in bytes(60..61)) {
                $(
                    let (mut $bytes, mut donor) = (source.clone(), other.clone());
                    for bytes in [&mut $bytes, &mut donor] {
                        bytes[0] = if <$header>::NAME == "Ipv4" { 0x45 } else if <$header>::NAME == "Ipv6" { bytes[0] & 0xf | 0x60 } else { bytes[0] };
                        bytes[12] = if <$header>::NAME == "Tcp" { bytes[12] & 0xf | 0x50 } else { bytes[12] };
                    }
                    $(
                        let value = <$header>::parse(&donor).unwrap().0.$get();
                        let before = $bytes.clone();
                        <$header>::parse_mut(&mut $bytes).unwrap().0.$set(value);
                        prop_assert_eq!(<$header>::parse(&$bytes).unwrap().0.$get(), value);
                        alone::<$token>(&before, &$bytes);
                    )*
                )*
            }
        }
    };
}

fields! {
    Ipv4, v4 [ipv4::Dscp, dscp, set_dscp; ipv4::Ecn, ecn, set_ecn; ipv4::DontFragment, dont_fragment, set_dont_fragment;
        ipv4::FragmentOffset, fragment_offset, set_fragment_offset; ipv4::Source, source, set_source;]
    Ipv6, v6 [ipv6::Dscp, dscp, set_dscp; ipv6::Ecn, ecn, set_ecn; ipv6::FlowLabel, flow_label, set_flow_label;
        ipv6::Destination, destination, set_destination;]
    Tcp, segment [tcp::Sequence, sequence, set_sequence; tcp::Flags, flags, set_flags; tcp::Window, window, set_window;]
    Vlan, tag [vlan::Priority, priority, set_priority; vlan::DropEligible, drop_eligible, set_drop_eligible; vlan::Vid, vid, set_vid;]
}

/// Options of any bytes: every one is given or the list ends with an error, and what is given can be written again.
macro_rules! options {
    ($($name:ident: $set:ty;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 2048 }))]
            $(
                #[test]
                fn $name(bytes in vec(prop_oneof![any::<u8>(), 0..10u8], 0..80)) {
                    let list = options::OptionList::<$set>::new(&bytes);
                    let all: Vec<_> = list.iter().collect();
                    let errors = all.iter().filter(|option| option.is_err()).count();
                    prop_assert!(errors == 0 || errors == 1 && all.last().unwrap().is_err());
                    let good: Vec<_> = all.into_iter().flatten().collect();
                    let again = Options::<$set, 400>::of(&good).unwrap();
                    let texts = |options: &[_]| format!("{options:?}");
                    prop_assert_eq!(
                        texts(&again.list().iter().collect::<Result<Vec<_>, _>>().unwrap()),
                        texts(&good)
                    );
                }
            )*
        }
    };
}

options! {
    tcp_options: TcpOption<'static>;
    ipv4_options: Ipv4Option<'static>;
    ipv6_options: Ipv6Option<'static>;
    geneve_options: GeneveOption<'static>;
    ndp_options: NdpOption<'static>;
}
