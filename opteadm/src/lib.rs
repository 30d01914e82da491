//! Programs `xde`: a client of its control socket. The command line `opteadm` is made of it.
//!
//! ```no_run
//! use opteadm::{Client, DEFAULT_SOCKET};
//! use oxide_vpc::api::{AddFwRuleReq, FirewallRule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::connect(DEFAULT_SOCKET)?;
//! for port in client.list_ports()? {
//!     println!("{} has {}", port.name, port.mac_addr);
//! }
//! let rule: FirewallRule = "dir=in action=allow priority=100 protocol=tcp port=22".parse()?;
//! client.call(&AddFwRuleReq { port_name: "opte0".into(), rule })?;
//! # Ok(())
//! # }
//! ```
//!
//! A request that fails has changed nothing, unless the driver ended or fell silent before it answered ([`Error::Gone`],
//! [`Error::TimedOut`]): then nobody knows. A connection that breaks while the driver lives is made anew, and the request sent again under
//! its number, so that the driver does it once.
//!
//! With the feature `tokio`, `AsyncClient` is the same for programs on Tokio. The project's `opteadm/examples/sync.rs` and `async.rs`
//! are whole programs.
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

pub mod config;
pub mod saved;

#[cfg(feature = "tokio")]
mod async_client;
mod client;
mod error;
mod pages;
mod session;

#[cfg(feature = "tokio")]
pub use async_client::{AsyncClient, AsyncPages};
pub use client::{Client, DEFAULT_SOCKET};
pub use error::Error;
pub use pages::{Paged, Pages};
