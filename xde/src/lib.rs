//! The driver: ports, underlay and the command entry around the opte engine.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod command;
pub mod frame;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod linux;
pub mod platform;
