//! What a client and a driver say to each other: commands, errors and configuration types.
//!
//! A command is a value of a type that implements [`Request`]: it names its [`OpteCmd`] and the type of its answer. Requests
//! and answers travel as postcard behind a fixed header, see [`frame`]. This module has what every network definition
//! shares; the commands of one network live in its own crate.
//!
//! Types with a customary notation (`10.0.0.0/24`, `8000-8100`) are text in human-readable formats such as JSON and compact
//! bytes on the wire; both are checked when they are read.

mod cidr;
mod command;
mod domain;
mod error;
mod ports;
mod text;

pub use cidr::{CidrError, IpCidr, Ipv4Cidr, Ipv6Cidr};
pub use command::{NoResp, OpteCmd, Request, UnknownCommand};
pub use domain::{DomainName, DomainNameError};
pub use error::{BadName, OpteError, check_port_name};
pub use ports::{PortRange, PortRangeError};

#[doc(hidden)]
pub use {postcard_schema, serde};
