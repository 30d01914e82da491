//! A cloud VPC for opte: firewall, routing, NAT and a Geneve overlay
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
