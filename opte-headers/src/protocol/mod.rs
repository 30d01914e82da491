//! The protocols, one file each, every file in the same order: the header as a struct, the types of its fields, its options,
//! tests with bytes from the wire.

// The plain names belong to the modules of field tokens that the derive makes: `ipv4::Source`.
#[path = "arp.rs"]
mod arp_header;
#[path = "dhcp4.rs"]
mod dhcp4_header;
#[path = "dhcp6.rs"]
mod dhcp6_header;
#[path = "dns.rs"]
mod dns_header;
#[path = "ethernet.rs"]
mod ethernet_header;
#[path = "geneve.rs"]
mod geneve_header;
#[path = "gre.rs"]
mod gre_header;
#[path = "icmpv4.rs"]
mod icmpv4_header;
mod icmpv4_message;
#[path = "icmpv6.rs"]
mod icmpv6_header;
mod icmpv6_message;
#[path = "igmp.rs"]
mod igmp_header;
mod ipsec;
#[path = "ipv4.rs"]
mod ipv4_header;
mod ipv6_extension;
#[path = "ipv6.rs"]
mod ipv6_header;
#[path = "mld.rs"]
mod mld_header;
mod ndp;
#[path = "sctp.rs"]
mod sctp_header;
#[path = "tcp.rs"]
mod tcp_header;
#[path = "udp.rs"]
mod udp_header;
#[path = "vlan.rs"]
mod vlan_header;
#[path = "vxlan.rs"]
mod vxlan_header;

pub use arp_header::*;
pub use dhcp4_header::*;
pub use dhcp6_header::*;
pub use dns_header::*;
pub use ethernet_header::*;
pub use geneve_header::*;
pub use gre_header::*;
pub use icmpv4_header::*;
pub use icmpv4_message::*;
pub use icmpv6_header::*;
pub use icmpv6_message::*;
pub use igmp_header::*;
pub use ipsec::*;
pub use ipv4_header::*;
pub use ipv6_extension::*;
pub use ipv6_header::*;
pub use mld_header::*;
pub use ndp::*;
pub use sctp_header::*;
pub use tcp_header::*;
pub use udp_header::*;
pub use vlan_header::*;
pub use vxlan_header::*;
