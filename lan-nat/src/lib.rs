//! A guest behind NAT on a plain LAN, for opte.
//!
//! The LAN sees one station more, which has the public address and answers ARP for it; behind it is the guest with its
//! private address. What the guest sends leaves with the public address and a port of its share, to the LAN's gateway; what
//! answers it comes back. Nothing else gets in.
//!
//! Outbound a packet goes through four layers, inbound the other way around:
//!
//! | layer | what it does |
//! |---|---|
//! | `gateway` | the guest's own address and no other; ARP for the gateway and DHCP |
//! | `firewall` | what the guest began may be answered |
//! | `nat` | the public address and a port of the share |
//! | `lan` | link-layer addresses; ARP for the public address |
//!
//! There is no tunnel, no virtual network and no metadata: the second network on the engine, and a small one.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;

pub mod api;
mod config;
mod layer;
mod network;
mod port;

pub use config::IpConfig;
pub use layer::{FIREWALL, GATEWAY, LAN, NAT};
pub use network::LanNat;
pub use port::{ANNOUNCEMENT, Host, LanPort};
