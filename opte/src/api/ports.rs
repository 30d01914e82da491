//! Ranges of transport ports.

use alloc::string::{String, ToString};
use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

use crate::text_or_wire;

/// A range of ports, both ends included, never empty and never with port 0; written `22` or `8000-8100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    start: u16,
    end: u16,
}

impl PortRange {
    /// The ports `start..=end`.
    pub const fn new(start: u16, end: u16) -> Result<Self, PortRangeError> {
        if start == 0 {
            Err(PortRangeError::Zero)
        } else if start > end {
            Err(PortRangeError::Reversed { start, end })
        } else {
            Ok(Self { start, end })
        }
    }

    /// The lowest port.
    pub const fn start(&self) -> u16 {
        self.start
    }

    /// The highest port.
    pub const fn end(&self) -> u16 {
        self.end
    }

    /// How many ports there are, 1 to 65,535.
    pub const fn count(&self) -> u16 {
        // No overflow: `start` is at least 1 and at most `end`.
        self.end - self.start + 1
    }

    /// Whether `port` is in the range.
    pub const fn contains(&self, port: u16) -> bool {
        self.start <= port && port <= self.end
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start == self.end {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.end)
        }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse()
                .ok()
                .filter(|_| digits)
                .ok_or_else(|| PortRangeError::NotAPort {
                    text: part.to_string(),
                })
        };
        match text.split_once('-') {
            None => port(text).and_then(|p| Self::new(p, p)),
            Some((start, end)) => Self::new(port(start)?, port(end)?),
        }
    }
}

impl From<PortRange> for RangeInclusive<u16> {
    fn from(range: PortRange) -> Self {
        range.start..=range.end
    }
}

impl From<&PortRange> for (u16, u16) {
    fn from(range: &PortRange) -> Self {
        (range.start, range.end)
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = PortRangeError;

    fn try_from((start, end): (u16, u16)) -> Result<Self, PortRangeError> {
        Self::new(start, end)
    }
}

text_or_wire!(PortRange, "PortRange", (u16, u16));

/// Why a text or a pair is no range of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRangeError {
    /// Port 0 stands for no port.
    Zero,
    /// The range ends before it starts.
    Reversed {
        /// First port.
        start: u16,
        /// Last port.
        end: u16,
    },
    /// Not a number from 1 to 65,535.
    NotAPort {
        /// The text.
        text: String,
    },
}

impl fmt::Display for PortRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => write!(f, "invalid port: 0 ({EXPECTED})"),
            Self::Reversed { start, end } => {
                write!(f, "invalid port range: {start}-{end} ends before it starts")
            }
            Self::NotAPort { text } => write!(f, "invalid port: '{text}' ({EXPECTED})"),
        }
    }
}

impl core::error::Error for PortRangeError {}

const EXPECTED: &str = "expected N or N-N, from 1 to 65535";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_range_and_back() {
        for text in ["1", "22", "65535", "1-65535", "8000-8100"] {
            assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
        }
        assert_eq!("7-7".parse::<PortRange>().unwrap().to_string(), "7");
        assert_eq!("1-65535".parse::<PortRange>().unwrap().count(), 65_535);
    }

    #[test]
    fn errors_name_the_port() {
        for (text, error) in [
            ("0", "invalid port: 0 (expected N or N-N, from 1 to 65535)"),
            (
                "0-5",
                "invalid port: 0 (expected N or N-N, from 1 to 65535)",
            ),
            ("9-8", "invalid port range: 9-8 ends before it starts"),
            (
                "ssh",
                "invalid port: 'ssh' (expected N or N-N, from 1 to 65535)",
            ),
            (
                "65536",
                "invalid port: '65536' (expected N or N-N, from 1 to 65535)",
            ),
            (
                "+22",
                "invalid port: '+22' (expected N or N-N, from 1 to 65535)",
            ),
            (
                "22-",
                "invalid port: '' (expected N or N-N, from 1 to 65535)",
            ),
        ] {
            assert_eq!(text.parse::<PortRange>().unwrap_err().to_string(), error);
        }
    }
}
