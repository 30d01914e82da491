//! Which way a packet goes through a port.

use core::fmt;
use core::str::FromStr;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// The way of a packet, seen from the guest.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Schema,
)]
pub enum Direction {
    /// From the network to the guest.
    In,
    /// From the guest to the network.
    Out,
}

impl Direction {
    /// Both directions, for tables that have a row for each.
    pub const BOTH: [Direction; 2] = [Direction::In, Direction::Out];

    /// The other direction.
    #[inline]
    pub const fn opposite(self) -> Self {
        match self {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Direction::In => "IN",
            Direction::Out => "OUT",
        })
    }
}

/// The text was neither `in` nor `out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDirection;

impl fmt::Display for UnknownDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a direction is `in` or `out`")
    }
}

impl core::error::Error for UnknownDirection {}

impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("in") {
            Ok(Direction::In)
        } else if text.eq_ignore_ascii_case("out") {
            Ok(Direction::Out)
        } else {
            Err(UnknownDirection)
        }
    }
}

/// One value for each direction, reached by [`Direction`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PerDirection<T> {
    /// The value for packets to the guest.
    pub inbound: T,
    /// The value for packets from the guest.
    pub outbound: T,
}

impl<T> PerDirection<T> {
    /// The value of `dir`.
    #[inline]
    pub fn get(&self, dir: Direction) -> &T {
        match dir {
            Direction::In => &self.inbound,
            Direction::Out => &self.outbound,
        }
    }

    /// The value of `dir`, to be changed.
    #[inline]
    pub fn get_mut(&mut self, dir: Direction) -> &mut T {
        match dir {
            Direction::In => &mut self.inbound,
            Direction::Out => &mut self.outbound,
        }
    }
}
