//! What must hold whatever the bytes: one module for each fuzz target, with a function `check` that panics where it does not
//! hold. The targets call nothing else, so a stable compiler can run the same checks.
#![forbid(unsafe_code)]

pub mod apply_file;
pub mod command_dispatch;
pub mod driver_frames;
pub mod frame_edits;
pub mod geneve_frame;
pub mod guest_frame;
pub mod header_views;
pub mod icmp_error;
mod input;
pub mod own_stack;
pub mod port_process;
pub mod program_apply;
pub mod rule_table;
pub mod rule_text;
pub mod seeds;
pub mod services;

// What the tests of the crates have and measure by, had and measured by here as well.
#[allow(dead_code, unused_imports)]
#[path = "../../opte-headers/tests/frame/captures.rs"]
mod captures;
#[path = "../../opte/tests/services/captures.rs"]
mod clients;
#[path = "../../opte-headers/tests/frame/edits.rs"]
mod edits;
#[path = "../../xde/tests/memory/mod.rs"]
mod memory;
#[allow(dead_code)]
#[path = "../../opte-headers/tests/program/model.rs"]
mod model;
#[path = "../../opte-headers/tests/frame/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../../opte/tests/services/frames.rs"]
mod replies;
