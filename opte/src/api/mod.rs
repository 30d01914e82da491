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
mod dump;
mod error;
mod filter;
mod life;
mod link;
mod meter;
mod observe;
mod options;
mod ports;
mod schema;
mod text;

pub mod frame;

pub use crate::meter::{MeterLimits, MeterTextError, parse_burst, parse_rate};
pub use cidr::{CidrError, IpCidr, Ipv4Cidr, Ipv6Cidr};
pub use command::{NoResp, OpteCmd, Request, UnknownCommand};
pub use domain::{DomainName, DomainNameError};
pub use dump::{
    ClearLftReq, ClearUftReq, DefaultRule, DumpLayerReq, DumpLayerResp, DumpStatsReq,
    DumpStatsResp, DumpTcpFlowsReq, DumpTcpFlowsResp, DumpUftReq, DumpUftResp, FlowDetail, FlowId,
    GENERIC_COMMANDS, GENERIC_VERSION, LayerDesc, LayerFlow, LayerRule, ListLayersReq,
    ListLayersResp, Page, PortStats, Stats, TcpFlow, UftFlow,
};
pub use error::{BadName, OpteError, check_port_name};
pub use filter::FlowFilter;
pub use life::{
    PausePortReq, RestorePortReq, RestorePortResp, SavePortReq, SavePortResp, StartPortReq,
};
pub use link::{DEFAULT_MTU, GuestLink, MIN_MTU};
pub use meter::SetMeterReq;
pub use observe::{
    HeavyHittersReq, HeavyHittersResp, TraceFate, TracePacketReq, TracePacketResp, TraceStep,
};
pub use options::SetPortOptionsReq;
pub use ports::{PortRange, PortRangeError};
pub use schema::{BASE_VERSION, with_command};

#[doc(hidden)]
pub use {postcard_schema, serde};
