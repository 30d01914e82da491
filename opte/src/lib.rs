//! The packet transformation engine: layers of rules, compiled once per flow.
//!
//! A port holds the layers of one guest interface. The first packet of a flow walks the layers; what they
//! did is fused into one program a direction and kept in the port's flow table, so
//! that every further packet costs one lookup and one application.
//!
//! The engine does no input or output and has no clock, no randomness and no log of its own: time is an argument
//! ([`time::Moment`]), the rest is passed in ([`provider`]). It is `no_std + alloc`; feature `std` exchanges the spin locks
//! for those of the standard library ([`sync`]).
#![no_std]
#![deny(unsafe_code)]
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
#[cfg(any(feature = "std", test, loom))]
extern crate std;

pub mod action;
pub mod api;
pub mod direction;
pub mod drops;
pub mod epoch;
pub mod flow;
pub mod fragment;
pub mod layer;
pub mod lpm;
pub mod memory;
pub mod meter;
pub mod nat;
pub mod network;
pub mod options;
pub mod packet;
pub mod port;
pub mod predicate;
mod prefetch;
pub mod probe;
pub mod provider;
pub mod rule;
pub mod saved;
pub mod services;
pub mod switch;
pub mod sync;
pub mod tcp;
pub mod time;
pub mod traffic_class;

pub use direction::Direction;
pub use drops::DropReason;
pub use epoch::Epoch;
pub use layer::Layer;
pub use network::Network;
pub use packet::Packet;
