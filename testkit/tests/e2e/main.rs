//! Guests on two hosts through two real drivers: what must hold of the whole.
//!
//! The cases run one after the other in one lab, built before the first; the last ones are those that break things. Where the
//! kernel allows no namespaces, all are counted as ignored, and the reason is said.

#![forbid(unsafe_code)]

mod bulk;
mod crash;
mod dhcp;
mod firewall;
mod guide;
mod hostile;
mod isolation;
mod lan;
mod live;
mod moved;
mod multicast;
mod neighbours;
mod outside;
mod path;
mod reach;
mod runner;
mod wire;

use runner::Case;

/// In the order in which they run.
const CASES: &[Case] = &[
    Case::new(
        "reach::every_guest_gets_its_address_by_dhcp",
        reach::every_guest_gets_its_address_by_dhcp,
    ),
    Case::new("dhcp::dhclient_v4", dhcp::dhclient_v4).needs(&["dhclient"]),
    Case::new("dhcp::dhclient_v6", dhcp::dhclient_v6).needs(&["dhclient"]),
    Case::new("dhcp::udhcpc_v4", dhcp::udhcpc_v4).needs(&["udhcpc"]),
    Case::new(
        "dhcp::dhcpcd_of_both_families",
        dhcp::dhcpcd_of_both_families,
    )
    .needs(&["dhcpcd"]),
    Case::new(
        "neighbours::rdisc6_finds_the_router",
        neighbours::rdisc6_finds_the_router,
    )
    .needs(&["rdisc6"]),
    Case::new(
        "neighbours::ndisc6_finds_the_gateway_and_nobody_else",
        neighbours::ndisc6_finds_the_gateway_and_nobody_else,
    )
    .needs(&["ndisc6"]),
    Case::new(
        "neighbours::arping_finds_the_gateway_and_nobody_else",
        neighbours::arping_finds_the_gateway_and_nobody_else,
    )
    .needs(&["arping"]),
    Case::new("reach::ping_v4", reach::ping_v4),
    Case::new("reach::ping_v6", reach::ping_v6),
    Case::new("reach::tcp_both_ways", reach::tcp_both_ways),
    Case::new("reach::udp_both_ways", reach::udp_both_ways),
    Case::new(
        "firewall::a_rule_opens_and_its_removal_closes",
        firewall::a_rule_opens_and_its_removal_closes,
    ),
    Case::new(
        "bulk::ten_thousand_udp_flows_at_once",
        bulk::ten_thousand_udp_flows_at_once,
    ),
    Case::new(
        "bulk::a_gibibyte_arrives_as_it_was_sent",
        bulk::a_gibibyte_arrives_as_it_was_sent,
    ),
    Case::new(
        "outside::snat_carries_connections_out_and_back",
        outside::snat_carries_connections_out_and_back,
    ),
    Case::new(
        "outside::nothing_comes_in_unasked",
        outside::nothing_comes_in_unasked,
    ),
    Case::new(
        "outside::an_exhausted_share_refuses_and_counts",
        outside::an_exhausted_share_refuses_and_counts,
    ),
    Case::new(
        "path::traceroute_shows_every_hop_outside",
        path::traceroute_shows_every_hop_outside,
    )
    .needs(&["traceroute"]),
    Case::new(
        "path::traceroute_shows_no_hop_within_a_subnet",
        path::traceroute_shows_no_hop_within_a_subnet,
    )
    .needs(&["traceroute"]),
    Case::new(
        "path::path_mtu_is_found_through_snat",
        path::path_mtu_is_found_through_snat,
    )
    .needs(&["traceroute"]),
    Case::new(
        "path::fragments_go_both_ways_through_snat",
        path::fragments_go_both_ways_through_snat,
    ),
    Case::new(
        "live::a_removed_rule_ends_its_connections_and_no_others",
        live::a_removed_rule_ends_its_connections_and_no_others,
    ),
    Case::new(
        "live::an_unrelated_rule_is_not_noticed",
        live::an_unrelated_rule_is_not_noticed,
    ),
    Case::new(
        "live::a_floating_address_changes_under_connections",
        live::a_floating_address_changes_under_connections,
    ),
    Case::new(
        "moved::a_guest_moves_to_another_host_and_back",
        moved::a_guest_moves_to_another_host_and_back,
    ),
    Case::new(
        "moved::connections_outlive_a_restarted_driver",
        moved::connections_outlive_a_restarted_driver,
    ),
    Case::new(
        "multicast::members_get_each_datagram_once",
        multicast::members_get_each_datagram_once,
    ),
    Case::new(
        "multicast::a_group_of_all_vpcs_is_heard_by_all",
        multicast::a_group_of_all_vpcs_is_heard_by_all,
    ),
    Case::new(
        "multicast::sources_that_are_filtered_and_members_that_have_left",
        multicast::sources_that_are_filtered_and_members_that_have_left,
    ),
    Case::new(
        "isolation::another_vpc_is_out_of_reach",
        isolation::another_vpc_is_out_of_reach,
    ),
    Case::new(
        "isolation::two_vpcs_with_equal_addresses_do_not_meet",
        isolation::two_vpcs_with_equal_addresses_do_not_meet,
    ),
    Case::new(
        "isolation::a_spoofed_source_is_dropped",
        isolation::a_spoofed_source_is_dropped,
    ),
    Case::new(
        "isolation::an_unknown_peer_is_dropped_and_counted",
        isolation::an_unknown_peer_is_dropped_and_counted,
    ),
    Case::new(
        "isolation::a_peer_without_next_hop_is_dropped_and_counted",
        isolation::a_peer_without_next_hop_is_dropped_and_counted,
    ),
    Case::new(
        "lan::machines_find_the_public_address",
        lan::machines_find_the_public_address,
    )
    .needs(&["arping"]),
    Case::new(
        "lan::the_guest_is_seen_as_the_public_address",
        lan::the_guest_is_seen_as_the_public_address,
    ),
    Case::new(
        "lan::nothing_comes_in_unasked",
        lan::nothing_comes_in_unasked,
    ),
    Case::new(
        "lan::the_configuration_changes_under_a_connection",
        lan::the_configuration_changes_under_a_connection,
    )
    .needs(&["arping"]),
    Case::new(
        "wire::the_underlay_carries_well_formed_geneve",
        wire::the_underlay_carries_well_formed_geneve,
    )
    .needs(&["tcpdump", "dumpcap", "tshark"]),
    Case::new(
        "hostile::noise_on_the_control_socket",
        hostile::noise_on_the_control_socket,
    ),
    Case::new("hostile::noise_from_a_guest", hostile::noise_from_a_guest),
    Case::new(
        "hostile::noise_from_the_underlay",
        hostile::noise_from_the_underlay,
    ),
    Case::new(
        "guide::what_the_guide_says_can_be_typed_in",
        guide::what_the_guide_says_can_be_typed_in,
    ),
    Case::new(
        "guide::what_is_said_of_lans_can_be_typed_in",
        guide::what_is_said_of_lans_can_be_typed_in,
    ),
    Case::new(
        "crash::a_killed_driver_is_reported_and_replaced",
        crash::a_killed_driver_is_reported_and_replaced,
    ),
];

fn main() -> std::process::ExitCode {
    runner::run(CASES)
}
