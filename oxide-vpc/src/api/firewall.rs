//! Firewall rules.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use opte::Direction;
use opte::api::{OpteError, PortRange};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::Hosts;

/// A firewall rule. Its text form is that of [`FromStr`]: `dir=in action=allow priority=10 protocol=tcp port=22,8000-8100`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct FirewallRule {
    /// Which packets the rule looks at.
    pub direction: Direction,
    /// What a packet must be for the rule to decide.
    pub filters: RuleFilters,
    /// What the rule decides.
    pub action: FirewallAction,
    /// The lower number decides first.
    pub priority: u16,
}

/// What a packet must be; all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct RuleFilters {
    /// Who is at the other end: the source inbound, the destination outbound.
    pub hosts: Hosts,
    /// The protocol.
    pub protocol: ProtoFilter,
    /// The source port, in both directions.
    pub source_ports: Ports,
    /// The destination port, in both directions.
    pub ports: Ports,
}

/// What a rule does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum FirewallAction {
    /// Lets the packet pass, and with it the rest of its flow in both directions.
    Allow,
    /// Drops the packet.
    Deny,
    /// Drops the packet and tells its sender: by a TCP reset, or an ICMP error.
    Reject,
}

/// The protocol of a packet. Written `any`, `arp`, `icmp[:type[,code[-code]]]`, `icmp6[:type[,code[-code]]]`, `tcp`, `udp` or the
/// number of another IP protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum ProtoFilter {
    /// Any.
    #[default]
    Any,
    /// ARP.
    Arp,
    /// ICMP for IPv4: all messages, or those of a filter.
    Icmp(Option<IcmpFilter>),
    /// ICMP for IPv6: all messages, or those of a filter.
    Icmp6(Option<IcmpFilter>),
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another IP protocol, by its number.
    Other(u8),
}

/// ICMP messages of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct IcmpFilter {
    /// The type.
    pub ty: u8,
    /// The codes; all of them if `None`.
    pub codes: Option<IcmpCodes>,
}

/// A range of ICMP codes, both ends included, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IcmpCodes {
    start: u8,
    end: u8,
}

/// The source or destination ports of a packet. Written `any` or `22,80,8000-8100`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub enum Ports {
    /// Any, and packets without ports.
    #[default]
    Any,
    /// These ranges: ascending, apart from each other, at least one.
    List(Vec<PortRange>),
}

impl IcmpCodes {
    /// The codes `start..=end`, if that is not empty.
    pub const fn new(start: u8, end: u8) -> Option<Self> {
        if start <= end {
            Some(Self { start, end })
        } else {
            None
        }
    }

    /// The lowest code.
    pub const fn start(&self) -> u8 {
        self.start
    }

    /// The highest code.
    pub const fn end(&self) -> u8 {
        self.end
    }
}

opte::text_or_wire!(IcmpCodes, "IcmpCodes", (u8, u8));

impl Ports {
    /// The ports of all `ranges`, in order, with ranges that overlap or touch made one.
    pub fn list(ranges: impl IntoIterator<Item = PortRange>) -> Self {
        let mut ranges: Vec<PortRange> = ranges.into_iter().collect();
        ranges.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start() <= last.end().saturating_add(1) => {
                    let end = last.end().max(range.end());
                    if let Ok(both) = PortRange::new(last.start(), end) {
                        *last = both;
                    }
                }
                _ => merged.push(range),
            }
        }
        Self::List(merged)
    }

    fn validate(&self, name: &str) -> Result<(), OpteError> {
        let Self::List(ranges) = self else {
            return Ok(());
        };
        check_count(name, ranges.len())?;
        if *self != Self::list(ranges.iter().copied()) {
            return Err(invalid(name, format!("{self} is not in order")));
        }
        Ok(())
    }
}

impl FirewallRule {
    /// Checks what the types cannot say: lists are as [`Ports::list`] and [`Hosts::list`] make them, and not too long.
    pub fn validate(&self) -> Result<(), OpteError> {
        let filters = &self.filters;
        if let Hosts::List(hosts) = &filters.hosts {
            check_count("hosts", hosts.len())?;
            if filters.hosts != Hosts::list(hosts.iter().copied()) {
                let reason = format!("{} are not in order", filters.hosts);
                return Err(invalid("hosts", reason));
            }
        }
        filters.source_ports.validate("source ports")?;
        filters.ports.validate("ports")
    }
}

/// Hosts, and ranges of ports, that one rule may list.
pub const MAX_RULE_LIST: usize = 256;

fn check_count(name: &str, count: usize) -> Result<(), OpteError> {
    match count {
        0 => Err(invalid(name, "none are given".into())),
        1..=MAX_RULE_LIST => Ok(()),
        _ => {
            let reason = format!("{count} are given, at most {MAX_RULE_LIST} fit a rule");
            Err(invalid(name, reason))
        }
    }
}

fn invalid(name: &str, reason: String) -> OpteError {
    OpteError::InvalidArgument {
        name: name.to_string(),
        reason,
    }
}

impl fmt::Display for FirewallRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = match self.direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        write!(
            f,
            "dir={dir} action={} priority={} {}",
            self.action, self.priority, self.filters
        )
    }
}

impl fmt::Display for RuleFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hosts={} protocol={}", self.hosts, self.protocol)?;
        if self.source_ports != Ports::Any {
            write!(f, " source-port={}", self.source_ports)?;
        }
        write!(f, " port={}", self.ports)
    }
}

impl fmt::Display for FirewallAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
        })
    }
}

impl fmt::Display for ProtoFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with_filter =
            |f: &mut fmt::Formatter<'_>, name: &str, filter: &Option<IcmpFilter>| match filter {
                None => f.write_str(name),
                Some(filter) => write!(f, "{name}:{filter}"),
            };
        match self {
            Self::Any => f.write_str("any"),
            Self::Arp => f.write_str("arp"),
            Self::Icmp(filter) => with_filter(f, "icmp", filter),
            Self::Icmp6(filter) => with_filter(f, "icmp6", filter),
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for IcmpFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.codes {
            None => write!(f, "{}", self.ty),
            Some(codes) => write!(f, "{},{codes}", self.ty),
        }
    }
}

impl fmt::Display for IcmpCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.start == self.end {
            write!(f, "{}", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.end)
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::List(ranges) => {
                for (i, range) in ranges.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    range.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for FirewallAction {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        match text.to_ascii_lowercase().as_str() {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            "reject" => Ok(Self::Reject),
            _ => Err(RuleFilterError::Action {
                text: text.to_string(),
            }),
        }
    }
}

impl FromStr for ProtoFilter {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        let lower = text.to_ascii_lowercase();
        let (name, filter) = match lower.split_once(':') {
            Some((name, filter)) => (name, Some(filter)),
            None => (lower.as_str(), None),
        };
        let protocol = match name {
            "icmp" => return filter.map(str::parse).transpose().map(Self::Icmp),
            "icmp6" => return filter.map(str::parse).transpose().map(Self::Icmp6),
            "any" => Self::Any,
            "arp" => Self::Arp,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            other => match number(other) {
                Some(number) => Self::from_number(number),
                None => {
                    return Err(RuleFilterError::Protocol {
                        text: text.to_string(),
                    });
                }
            },
        };
        match filter {
            None => Ok(protocol),
            Some(_) => Err(RuleFilterError::NoFilterFor {
                protocol: name.to_string(),
            }),
        }
    }
}

impl ProtoFilter {
    /// The filter of an IP protocol by its number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Icmp(None),
            6 => Self::Tcp,
            17 => Self::Udp,
            58 => Self::Icmp6(None),
            other => Self::Other(other),
        }
    }
}

impl FromStr for IcmpFilter {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        let bad = || RuleFilterError::Icmp {
            text: text.to_string(),
        };
        let (ty, codes) = match text.split_once(',') {
            Some((ty, codes)) => (ty, Some(codes.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            ty: number(ty).ok_or_else(bad)?,
            codes,
        })
    }
}

impl FromStr for IcmpCodes {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        let bad = || RuleFilterError::Icmp {
            text: text.to_string(),
        };
        let (start, end) = text.split_once('-').unwrap_or((text, text));
        let start = number(start).ok_or_else(bad)?;
        let end = number(end).ok_or_else(bad)?;
        Self::new(start, end).ok_or_else(bad)
    }
}

impl From<&IcmpCodes> for (u8, u8) {
    fn from(codes: &IcmpCodes) -> Self {
        (codes.start, codes.end)
    }
}

impl TryFrom<(u8, u8)> for IcmpCodes {
    type Error = RuleFilterError;

    fn try_from((start, end): (u8, u8)) -> Result<Self, RuleFilterError> {
        Self::new(start, end).ok_or_else(|| RuleFilterError::Icmp {
            text: alloc::format!("{start}-{end}"),
        })
    }
}

impl FromStr for Ports {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        if text.eq_ignore_ascii_case("any") {
            return Ok(Self::Any);
        }
        let ranges: Result<Vec<PortRange>, _> = text.split(',').map(str::parse).collect();
        match ranges {
            Ok(ranges) => Ok(Self::list(ranges)),
            Err(reason) => Err(RuleFilterError::Ports(reason)),
        }
    }
}

/// Why a text is no part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleFilterError {
    /// Neither `allow` nor `deny`.
    Action {
        /// The text.
        text: String,
    },
    /// No hosts.
    Hosts {
        /// The text.
        text: String,
    },
    /// No protocol.
    Protocol {
        /// The text.
        text: String,
    },
    /// The protocol has no messages to choose from.
    NoFilterFor {
        /// The protocol.
        protocol: String,
    },
    /// No ICMP type and codes.
    Icmp {
        /// The text.
        text: String,
    },
    /// No ports.
    Ports(opte::api::PortRangeError),
}

impl fmt::Display for RuleFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action { text } => {
                write!(f, "unknown action: {text} (expected allow, deny or reject)")
            }
            Self::Hosts { text } => {
                write!(
                    f,
                    "invalid hosts: {text} (expected any, or ip=<ip>, subnet=<cidr>, vni=<number>, several with commas between them)"
                )
            }
            Self::Protocol { text } => write!(
                f,
                "unknown protocol: {text} (expected any, arp, tcp, udp, icmp[:type[,code[-code]]], icmp6[:..] or a number up to 255)"
            ),
            Self::NoFilterFor { protocol } => {
                write!(f, "cannot specify filter for protocol: {protocol}")
            }
            Self::Icmp { text } => write!(
                f,
                "invalid ICMP filter: {text} (expected type[,code[-code]])"
            ),
            Self::Ports(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RuleFilterError {}

/// A decimal number without a sign.
fn number(text: &str) -> Option<u8> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_sorted_and_merged() {
        for (text, shown) in [
            ("any", "any"),
            ("443,22,80", "22,80,443"),
            ("22,22", "22"),
            ("80,81,82", "80-82"),
            ("8000-8100,8050-8200,8201", "8000-8201"),
            ("1-65535,7", "1-65535"),
            ("65535,65534", "65534-65535"),
        ] {
            assert_eq!(text.parse::<Ports>().unwrap().to_string(), shown, "{text}");
        }
        for (text, error) in [
            ("0", "invalid port: 0 (expected N or N-N, from 1 to 65535)"),
            ("", "invalid port: '' (expected N or N-N, from 1 to 65535)"),
            (
                "22,,23",
                "invalid port: '' (expected N or N-N, from 1 to 65535)",
            ),
            ("9-8", "invalid port range: 9-8 ends before it starts"),
        ] {
            assert_eq!(text.parse::<Ports>().unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn protocols_from_text_and_back() {
        for text in [
            "any",
            "arp",
            "icmp",
            "icmp:8",
            "icmp:3,4",
            "icmp6:1,0-6",
            "icmp6",
            "tcp",
            "udp",
            "47",
        ] {
            assert_eq!(text.parse::<ProtoFilter>().unwrap().to_string(), text);
        }
        assert_eq!("6".parse(), Ok(ProtoFilter::Tcp));
        for (text, error) in [
            (
                "gopher",
                "unknown protocol: gopher (expected any, arp, tcp, udp, icmp[:type[,code[-code]]], icmp6[:..] or a number up to 255)",
            ),
            (
                "256",
                "unknown protocol: 256 (expected any, arp, tcp, udp, icmp[:type[,code[-code]]], icmp6[:..] or a number up to 255)",
            ),
            ("tcp:80", "cannot specify filter for protocol: tcp"),
            (
                "icmp:300",
                "invalid ICMP filter: 300 (expected type[,code[-code]])",
            ),
            (
                "icmp:3,6-1",
                "invalid ICMP filter: 6-1 (expected type[,code[-code]])",
            ),
        ] {
            assert_eq!(text.parse::<ProtoFilter>().unwrap_err().to_string(), error);
        }
    }
}
