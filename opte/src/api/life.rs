//! The commands on the life of a port: it is paused, saved, restored and started.

use alloc::string::String;
use alloc::vec::Vec;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// Stops the packets of a port and keeps its flows. The port is running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct PausePortReq {
    /// The port.
    pub port_name: String,
}

/// Lets the packets of a port through that is not running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct StartPortReq {
    /// The port.
    pub port_name: String,
}

/// Reads the flows of a paused port, page by page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SavePortReq {
    /// The port.
    pub port_name: String,
    /// 0, then where the page before says that the next one begins.
    pub cursor: u64,
    /// Octets that the page may have; a driver may give fewer, and gives those that a flow takes.
    pub limit: u32,
}

/// A page of the saved state of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SavePortResp {
    /// The page, as [`Port::save`](crate::port::Port::save) makes it.
    pub page: Vec<u8>,
    /// Where the next one begins; `None` behind the last.
    pub next: Option<u64>,
}

/// Gives a paused port without flows, or one that is being restored, the next page of saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RestorePortReq {
    /// The port.
    pub port_name: String,
    /// The page, all pages in their order.
    pub page: Vec<u8>,
}

/// How far a restoration has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RestorePortResp {
    /// Flows that are back.
    pub flows: u32,
    /// Flows that the rules of now do not let pass, or whose NAT port is not to be had.
    pub refused: u32,
    /// Whether that was the last page; the port can be started.
    pub complete: bool,
}
