//! The command that sets the options of a port.

use alloc::string::String;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::OpteError;
use crate::options::PortOptions;

/// Sets all options of a port; those it had and that are not given are as the port was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct SetPortOptionsReq {
    /// The port.
    pub port_name: String,
    /// The options.
    pub options: PortOptions,
}

impl SetPortOptionsReq {
    pub(super) fn check(&self) -> Result<(), OpteError> {
        self.options.validate()
    }
}
