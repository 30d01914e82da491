//! The protocols, one file each, every file in the same order: the header as a struct, the types of its fields, its options,
//! tests with bytes from the wire.

// The plain names belong to the modules of field tokens that the derive makes: `ipv4::Source`.
#[path = "arp.rs"]
mod arp_header;
#[path = "dhcp4.rs"]
mod dhcp4_header;
#[path = "dhcp6.rs"]
mod dhcp6_header;
#[path = "ethernet.rs"]
mod ethernet_header;
#[path = "geneve.rs"]
mod geneve_header;
#[path = "icmpv4.rs"]
mod icmpv4_header;
#[path = "icmpv6.rs"]
mod icmpv6_header;
#[path = "ipv4.rs"]
mod ipv4_header;
mod ipv6_extension;
#[path = "ipv6.rs"]
mod ipv6_header;
mod ndp;
#[path = "tcp.rs"]
mod tcp_header;
#[path = "udp.rs"]
mod udp_header;
#[path = "vlan.rs"]
mod vlan_header;

pub use arp_header::*;
pub use dhcp4_header::*;
pub use dhcp6_header::*;
pub use ethernet_header::*;
pub use geneve_header::*;
pub use icmpv4_header::*;
pub use icmpv6_header::*;
pub use ipv4_header::*;
pub use ipv6_extension::*;
pub use ipv6_header::*;
pub use ndp::*;
pub use tcp_header::*;
pub use udp_header::*;
pub use vlan_header::*;
