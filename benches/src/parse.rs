//! Parsing a frame to its flow key and offsets.

use crate::Row;

/// Rows of this module.
pub const ROWS: &[Row] = &[];
