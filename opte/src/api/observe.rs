//! The commands that look closer at a port.

use alloc::string::String;
use alloc::vec::Vec;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::port::{By, HeavyFlow};

/// Lists the flows of a port that have carried most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct HeavyHittersReq {
    /// The port.
    pub port_name: String,
    /// What flows are compared by.
    pub by: By,
    /// How many flows to list; a driver lists at most 1,024.
    pub count: u32,
}

/// The flows of a port that have carried most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct HeavyHittersResp {
    /// The heaviest first.
    pub flows: Vec<HeavyFlow>,
}
