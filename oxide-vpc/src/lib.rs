//! A cloud VPC for opte: firewall, routing, NAT and a Geneve overlay.
//!
//! A [`port::VpcPort`] is one guest's interface. Outbound a packet goes through five layers, inbound the other way around:
//!
//! | layer | what it does | default in | default out |
//! |---|---|---|---|
//! | `gateway` | the guest's own addresses and no others; ARP, NDP, DHCP and echo in the router's place | deny | deny |
//! | `firewall` | who may begin to talk to the guest, and to whom the guest | deny | stateful allow |
//! | `router` | whether a packet stays in the VPC, leaves it, or goes nowhere | allow | deny |
//! | `nat` | the addresses by which the guest is known outside | allow | allow |
//! | `overlay` | Geneve tunnels to other hosts and to the boundary | deny | deny |
//!
//! Where addresses are is told by tables that all ports of a host share ([`mapping`]); a change of one is seen by the flows
//! it concerns before their next packet. What a client says to a driver is in [`api`].
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
pub mod layer;
pub mod mapping;
pub mod network;
pub mod port;

mod spread;

/// Bytes that a driver keeps free in front of each frame, for the tunnel's headers with the one option that they may have.
pub const HEAD_ROOM: usize = 78;
