//! The driver: ports, underlay and the command entry around the opte engine.

extern crate alloc;

pub mod command;
