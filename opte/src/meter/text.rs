//! Meters as text.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use super::MeterLimits;

/// A rate as it is shown: with the greatest prefix that leaves a whole number.
pub(super) struct Rate(pub(super) u64, pub(super) &'static str);

const PREFIXES: [(&str, u64); 4] = [
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rate, unit) = *self;
        let whole = |(_, of): &&(&str, u64)| rate != 0 && rate.is_multiple_of(*of);
        match PREFIXES.iter().find(whole) {
            Some((prefix, of)) => write!(f, "{}{prefix}{unit}/s", rate / of),
            None => write!(f, "{rate}{unit}/s"),
        }
    }
}

/// A number a second, as in `10000/s`, `10k/s`, `1Gbit/s`: prefixes are k, M, G and T; `bit` and `/s` may be left out.
pub fn parse_rate(text: &str) -> Result<u64, MeterTextError> {
    let bad = || MeterTextError::Rate { text: text.into() };
    let rest = text.strip_suffix("/s").unwrap_or(text);
    let rest = rest.strip_suffix("bit").unwrap_or(rest);
    let of = |(prefix, of): &(&str, u64)| rest.strip_suffix(prefix).map(|rest| (rest, *of));
    let (digits, of) = PREFIXES.iter().find_map(of).unwrap_or((rest, 1));
    let number = number(digits).ok_or_else(bad)?;
    number.checked_mul(of).ok_or_else(bad)
}

/// A time in milliseconds, as in `100ms` or `2s`.
pub fn parse_burst(text: &str) -> Result<u32, MeterTextError> {
    let bad = || MeterTextError::Burst { text: text.into() };
    let (digits, of) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').ok_or_else(bad)?, 1_000),
    };
    let number = number(digits).and_then(|number| u32::try_from(number).ok());
    number
        .and_then(|number| number.checked_mul(of))
        .ok_or_else(bad)
}

/// A decimal number without a sign.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl fmt::Display for MeterLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        let mut space = "";
        let mut part = |f: &mut fmt::Formatter<'_>, part: fmt::Arguments<'_>| {
            let before = core::mem::replace(&mut space, " ");
            write!(f, "{before}{part}")
        };
        if let Some(packets) = self.packets {
            part(f, format_args!("packets={}", Rate(packets, "")))?;
        }
        if let Some(bits) = self.bits {
            part(f, format_args!("bits={}", Rate(bits, "bit")))?;
        }
        if let Some(new_flows) = self.new_flows {
            part(f, format_args!("new-flows={}", Rate(new_flows, "")))?;
        }
        if let Some(flows) = self.flows {
            part(f, format_args!("flows={flows}"))?;
        }
        part(f, format_args!("burst={}ms", self.burst_ms))
    }
}

impl FromStr for MeterLimits {
    type Err = MeterTextError;

    fn from_str(text: &str) -> Result<Self, MeterTextError> {
        if text == "none" {
            return Ok(Self::NONE);
        }
        let mut limits = Self::NONE;
        let mut burst = None;
        for token in text.split_whitespace() {
            let (key, value) = token.split_once('=').ok_or(MeterTextError::Token {
                token: token.to_string(),
            })?;
            let before = match key {
                "packets" => limits.packets.replace(parse_rate(value)?).is_some(),
                "bits" => limits.bits.replace(parse_rate(value)?).is_some(),
                "new-flows" => limits.new_flows.replace(parse_rate(value)?).is_some(),
                "flows" => {
                    let flows = number(value).and_then(|number| u32::try_from(number).ok());
                    let flows = flows.ok_or(MeterTextError::Flows {
                        text: value.to_string(),
                    })?;
                    limits.flows.replace(flows).is_some()
                }
                "burst" => burst.replace(parse_burst(value)?).is_some(),
                _ => {
                    return Err(MeterTextError::Token {
                        token: token.to_string(),
                    });
                }
            };
            if before {
                return Err(MeterTextError::Twice { key: key.into() });
            }
        }
        if limits.is_none() {
            return Err(MeterTextError::Empty);
        }
        limits.burst_ms = burst.unwrap_or(Self::DEFAULT_BURST_MS);
        Ok(limits)
    }
}

/// Why a text is no meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeterTextError {
    /// It limits nothing and does not say `none`.
    Empty,
    /// A word that is no part of a meter.
    Token {
        /// The word.
        token: String,
    },
    /// A part that is there twice.
    Twice {
        /// Its name.
        key: String,
    },
    /// No rate.
    Rate {
        /// The text.
        text: String,
    },
    /// No number of flows.
    Flows {
        /// The text.
        text: String,
    },
    /// No time.
    Burst {
        /// The text.
        text: String,
    },
}

impl fmt::Display for MeterTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "a meter limits nothing (expected packets=, bits=, new-flows=, flows= or none)",
            ),
            Self::Token { token } => write!(
                f,
                "bad part of a meter: {token} (expected packets=, bits=, new-flows=, flows= or burst=)"
            ),
            Self::Twice { key } => write!(f, "duplicate part of a meter: {key}"),
            Self::Rate { text } => write!(
                f,
                "invalid rate: '{text}' (expected a number, with k, M, G or T behind it, a second, as in 10k/s or 1Gbit/s)"
            ),
            Self::Flows { text } => {
                write!(f, "invalid number of flows: '{text}'")
            }
            Self::Burst { text } => {
                write!(
                    f,
                    "invalid burst: '{text}' (expected a time, as in 100ms or 2s)"
                )
            }
        }
    }
}

impl core::error::Error for MeterTextError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_have_prefixes() {
        for (text, rate) in [
            ("10000/s", 10_000),
            ("10000", 10_000),
            ("10k/s", 10_000),
            ("1Gbit/s", 1_000_000_000),
            ("1G", 1_000_000_000),
            ("1500kbit", 1_500_000),
            ("1T", 1_000_000_000_000),
            ("7bit/s", 7),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for text in [
            "",
            "/s",
            "k/s",
            "-1",
            "+1",
            "1.5G",
            "1K",
            "1 k",
            "1g",
            "1/m",
            "18446744073709551616",
            "18446745T",
        ] {
            assert_eq!(
                parse_rate(text),
                Err(MeterTextError::Rate { text: text.into() })
            );
        }
        assert_eq!(parse_burst("100ms"), Ok(100));
        assert_eq!(parse_burst("2s"), Ok(2_000));
        for text in ["", "ms", "100", "1m", "-1ms", "5000000000ms", "5000000s"] {
            assert_eq!(
                parse_burst(text),
                Err(MeterTextError::Burst { text: text.into() })
            );
        }
    }

    #[test]
    fn meters_are_shown_as_they_are_read() {
        for (text, shown) in [
            ("none", "none"),
            ("bits=1000000000", "bits=1Gbit/s burst=100ms"),
            (
                " burst=1s flows=10 new-flows=1000/s  packets=1500",
                "packets=1500/s new-flows=1k/s flows=10 burst=1000ms",
            ),
        ] {
            let limits: MeterLimits = text.parse().unwrap();
            assert_eq!(limits.to_string(), shown);
            assert_eq!(shown.parse(), Ok(limits));
        }
        for (text, error) in [
            (
                "",
                "a meter limits nothing (expected packets=, bits=, new-flows=, flows= or none)",
            ),
            (
                "burst=1s",
                "a meter limits nothing (expected packets=, bits=, new-flows=, flows= or none)",
            ),
            (
                "rate=1",
                "bad part of a meter: rate=1 (expected packets=, bits=, new-flows=, flows= or burst=)",
            ),
            (
                "packets",
                "bad part of a meter: packets (expected packets=, bits=, new-flows=, flows= or burst=)",
            ),
            ("packets=1 packets=2", "duplicate part of a meter: packets"),
            ("flows=many", "invalid number of flows: 'many'"),
            ("flows=4294967296", "invalid number of flows: '4294967296'"),
        ] {
            assert_eq!(text.parse::<MeterLimits>().unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn limits_that_cannot_be_kept_are_refused() {
        for (text, error) in [
            ("packets=1/s", None),
            ("packets=1G/s bits=1T new-flows=1G flows=1 burst=10s", None),
            (
                "packets=0",
                Some("invalid packets: 0/s is not from 1/s to 1000000000/s"),
            ),
            (
                "bits=7999",
                Some("invalid bits: 7999/s is not from 8000/s to 1000000000000/s"),
            ),
            (
                "bits=2T",
                Some("invalid bits: 2000000000000/s is not from 8000/s to 1000000000000/s"),
            ),
            (
                "new-flows=2G",
                Some("invalid new flows: 2000000000/s is not from 1/s to 1000000000/s"),
            ),
            ("flows=0", Some("invalid flows: 0 would be none at all")),
            (
                "flows=1 burst=0ms",
                Some("invalid burst: 0 ms is not from 1 ms to 10000 ms"),
            ),
            (
                "flows=1 burst=11s",
                Some("invalid burst: 11000 ms is not from 1 ms to 10000 ms"),
            ),
        ] {
            let limits: MeterLimits = text.parse().unwrap();
            let said = limits.validate().err().map(|error| error.to_string());
            assert_eq!(said.as_deref(), error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_meter_is_read_as_it_is_shown(
            packets: Option<u64>, bits: Option<u64>, new_flows: Option<u64>, flows: Option<u32>, burst_ms: u32,
        ) {
            let limits = MeterLimits { packets, bits, new_flows, flows, burst_ms };
            if !limits.is_none() {
                prop_assert_eq!(limits.to_string().parse(), Ok(limits));
            }
        }
    }
}
