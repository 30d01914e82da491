//! The driver: ports, underlay and the command entry around the opte engine.
//!
//! The core knows no operating system: [`Driver`] takes bursts of frames from guests and underlay and answers with bursts
//! ([`Outbox`]); links, next hops and time are a [`Platform`]'s. [`linux`] is one.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
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

pub mod command;
pub mod counters;
mod driver;
pub mod frame;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod linux;
mod management;
mod outbox;
pub mod platform;
pub mod segment;
pub mod switch;
mod tunnel;

pub use driver::Driver;
pub use outbox::{GuestFrame, LanFrame, Outbox, UnderlayFrame, WireFrame};
pub use platform::Platform;
