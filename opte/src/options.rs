//! What an operator may say of a port while it runs: timeouts, limits, and what is left to choice in NAT, tunnels and errors.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::api::OpteError;
use crate::nat::Filtering;
use crate::port::MssClamp;
use crate::traffic_class::DscpModel;

/// The options of a port. What is not said is as the port was built. Written as words `key=value`, each at most once, or
/// `none`; the keys are the names of the fields with hyphens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct PortOptions {
    /// How long a TCP connection lives without packets before its handshake is complete, and after a reset.
    pub timeout_tcp_half_open: Option<Timeout>,
    /// The same from its first FIN on.
    pub timeout_tcp_closing: Option<Timeout>,
    /// The same with its handshake complete.
    pub timeout_tcp_established: Option<Timeout>,
    /// The same of a UDP flow with packets in one direction only.
    pub timeout_udp: Option<Timeout>,
    /// The same of one with packets in both.
    pub timeout_udp_both_ways: Option<Timeout>,
    /// The same of ICMP and ICMPv6.
    pub timeout_icmp: Option<Timeout>,
    /// The same of every other protocol.
    pub timeout_other: Option<Timeout>,
    /// Flows there may be, at most those that the port was built for.
    pub max_flows: Option<u32>,
    /// Flows that one address outside may have begun; of IPv6 addresses the first 64 bits count.
    pub flows_per_remote: Option<u32>,
    /// Flows that one address of the guest may have begun.
    pub flows_per_address: Option<u32>,
    /// ICMP errors and resets that the port sends in a second, on average; zero: none.
    pub errors_per_second: Option<u32>,
    /// ICMP errors and resets at once.
    pub errors_at_once: Option<u32>,
    /// What the tunnel does with the DSCP.
    pub dscp: Option<DscpModel>,
    /// What is done to the segment sizes that TCP connections begin with.
    pub mss_clamp: Option<MssClamp>,
    /// Whom a mapping of source NAT lets in beside the far ends of its flows.
    pub snat_filtering: Option<Filtering>,
    /// Whether source NAT keeps a port's number where that is free; otherwise ports are random.
    pub snat_preserve_ports: Option<bool>,
    /// How long a port of source NAT rests after use; zero: not at all.
    pub snat_hold_down: Option<Timeout>,
}

macro_rules! text_of_options {
    ($($field:ident = $key:literal,)*) => {
        impl fmt::Display for PortOptions {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut space = "";
                $(if let Some(value) = &self.$field {
                    write!(f, "{space}{}={value}", $key)?;
                    space = " ";
                })*
                if space.is_empty() { f.write_str("none") } else { Ok(()) }
            }
        }

        impl FromStr for PortOptions {
            type Err = PortOptionsError;

            fn from_str(text: &str) -> Result<Self, PortOptionsError> {
                let mut options = Self::default();
                if text == "none" {
                    return Ok(options);
                }
                for word in text.split_whitespace() {
                    let bad = || PortOptionsError::Word { word: word.to_string() };
                    let (key, value) = word.split_once('=').ok_or_else(bad)?;
                    let twice = match key {
                        $($key => options.$field.replace(value.parse().map_err(|_| bad())?).is_some(),)*
                        _ => return Err(bad()),
                    };
                    if twice {
                        return Err(PortOptionsError::Twice { key: key.to_string() });
                    }
                }
                if options.is_none() { Err(PortOptionsError::Empty) } else { Ok(options) }
            }
        }
    };
}

text_of_options! {
    timeout_tcp_half_open = "timeout-tcp-half-open",
    timeout_tcp_closing = "timeout-tcp-closing",
    timeout_tcp_established = "timeout-tcp-established",
    timeout_udp = "timeout-udp",
    timeout_udp_both_ways = "timeout-udp-both-ways",
    timeout_icmp = "timeout-icmp",
    timeout_other = "timeout-other",
    max_flows = "max-flows",
    flows_per_remote = "flows-per-remote",
    flows_per_address = "flows-per-address",
    errors_per_second = "errors-per-second",
    errors_at_once = "errors-at-once",
    dscp = "dscp",
    mss_clamp = "mss-clamp",
    snat_filtering = "snat-filtering",
    snat_preserve_ports = "snat-preserve-ports",
    snat_hold_down = "snat-hold-down",
}

impl PortOptions {
    /// Whether nothing is said.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the options can be kept.
    ///
    /// # Errors
    /// `InvalidArgument` says which cannot.
    pub fn validate(&self) -> Result<(), OpteError> {
        let timeouts = [
            self.timeout_tcp_half_open,
            self.timeout_tcp_closing,
            self.timeout_tcp_established,
            self.timeout_udp,
            self.timeout_udp_both_ways,
            self.timeout_icmp,
            self.timeout_other,
        ];
        let zero = Some(Timeout { milliseconds: 0 });
        if timeouts.contains(&zero) {
            return Err(invalid("timeout", "nothing lives for no time"));
        }
        let counts = [
            ("max flows", self.max_flows),
            ("flows per remote", self.flows_per_remote),
            ("flows per address", self.flows_per_address),
            ("errors at once", self.errors_at_once),
        ];
        for (name, count) in counts {
            if count == Some(0) {
                return Err(invalid(name, "0 would be none at all"));
            }
        }
        match self.mss_clamp {
            Some(MssClamp::To(size)) if size < MssClamp::LEAST => Err(invalid(
                "mss clamp",
                "packets of less than 68 bytes are none of IPv4 (RFC 791)",
            )),
            _ => Ok(()),
        }
    }
}

fn invalid(name: &str, reason: &str) -> OpteError {
    OpteError::InvalidArgument {
        name: name.into(),
        reason: reason.into(),
    }
}

/// How long something lives: milliseconds, written `100ms` or `2s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Timeout {
    /// The milliseconds.
    pub milliseconds: u32,
}

impl From<Timeout> for Duration {
    fn from(timeout: Timeout) -> Self {
        Self::from_millis(timeout.milliseconds.into())
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.milliseconds {
            whole if whole.is_multiple_of(1000) => write!(f, "{}s", whole / 1000),
            part => write!(f, "{part}ms"),
        }
    }
}

impl FromStr for Timeout {
    type Err = PortOptionsError;

    fn from_str(text: &str) -> Result<Self, PortOptionsError> {
        let milliseconds = crate::meter::parse_burst(text);
        let milliseconds =
            milliseconds.map_err(|_| PortOptionsError::Word { word: text.into() })?;
        Ok(Self { milliseconds })
    }
}

impl fmt::Display for DscpModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pipe => "pipe",
            Self::Uniform => "uniform",
        })
    }
}

impl FromStr for DscpModel {
    type Err = PortOptionsError;

    fn from_str(text: &str) -> Result<Self, PortOptionsError> {
        match text {
            "pipe" => Ok(Self::Pipe),
            "uniform" => Ok(Self::Uniform),
            _ => Err(PortOptionsError::Word { word: text.into() }),
        }
    }
}

impl fmt::Display for MssClamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::PathMtu => f.pad("path-mtu"),
            Self::To(size) => write!(f, "{size}"),
        }
    }
}

impl FromStr for MssClamp {
    type Err = PortOptionsError;

    fn from_str(text: &str) -> Result<Self, PortOptionsError> {
        match text {
            "off" => Ok(Self::Off),
            "path-mtu" => Ok(Self::PathMtu),
            size => {
                let size = size
                    .parse()
                    .map_err(|_| PortOptionsError::Word { word: text.into() })?;
                Ok(Self::To(size))
            }
        }
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address",
            Self::AddressAndPortDependent => "address-and-port",
        })
    }
}

impl FromStr for Filtering {
    type Err = PortOptionsError;

    fn from_str(text: &str) -> Result<Self, PortOptionsError> {
        match text {
            "endpoint-independent" => Ok(Self::EndpointIndependent),
            "address" => Ok(Self::AddressDependent),
            "address-and-port" => Ok(Self::AddressAndPortDependent),
            _ => Err(PortOptionsError::Word { word: text.into() }),
        }
    }
}

/// Why a text is no options of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortOptionsError {
    /// It says nothing, and not `none`.
    Empty,
    /// A word that is no option, or a value that is none of it.
    Word {
        /// The word.
        word: String,
    },
    /// An option that is there twice.
    Twice {
        /// Its key.
        key: String,
    },
}

impl fmt::Display for PortOptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("options are words such as timeout-udp=120s, or none"),
            Self::Word { word } => write!(f, "\"{word}\" is no option of a port"),
            Self::Twice { key } => write!(f, "{key} is there twice"),
        }
    }
}

impl core::error::Error for PortOptionsError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_shown() {
        for text in [
            "none",
            "timeout-tcp-half-open=1500ms timeout-udp=7s max-flows=100 flows-per-remote=10",
            "errors-per-second=0 dscp=uniform mss-clamp=1400 snat-filtering=address-and-port",
            "mss-clamp=off snat-filtering=endpoint-independent snat-preserve-ports=true snat-hold-down=0s",
            "dscp=pipe mss-clamp=path-mtu snat-filtering=address snat-preserve-ports=false",
        ] {
            let options: PortOptions = text.parse().unwrap();
            assert_eq!(options.to_string(), text);
            assert_eq!(options.validate(), Ok(()));
        }
        for (text, complaint) in [
            ("", "options are words such as timeout-udp=120s, or none"),
            ("timeout-udp", "\"timeout-udp\" is no option of a port"),
            ("timeout-udp=7", "\"timeout-udp=7\" is no option of a port"),
            ("max-flows=1 max-flows=2", "max-flows is there twice"),
        ] {
            let error = text.parse::<PortOptions>().unwrap_err();
            assert_eq!(error.to_string(), complaint);
        }
        for text in [
            "timeout-icmp=0s",
            "max-flows=0",
            "errors-at-once=0",
            "mss-clamp=67",
        ] {
            let options: PortOptions = text.parse().unwrap();
            assert!(options.validate().is_err(), "{text}");
        }
    }
}
