//! The command that sets meters.

use alloc::string::String;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::OpteError;
use crate::Direction;
use crate::meter::MeterLimits;

/// Sets how much may go one way through a port; limits it had and that are not given are taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetMeterReq {
    /// The port.
    pub port_name: String,
    /// Which way.
    pub dir: Direction,
    /// The limits.
    pub limits: MeterLimits,
}

impl SetMeterReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        self.limits.validate()
    }
}
