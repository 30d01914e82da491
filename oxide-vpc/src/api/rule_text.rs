//! Firewall rules as text, one a line.
//!
//! `dir=in|out action=allow|deny|reject priority=<number> [hosts=any|<host>[,..]]
//! [protocol=any|arp|icmp[:..]|icmp6[:..]|tcp|udp|<number>] [source-port=any|<port>[-<port>][,..]] [port=any|<port>[-<port>][,..]]`,
//! where a host is `ip=<ip>`, `subnet=<cidr>` or `vni=<number>`; tokens in any order, with any white space between them, in capitals or
//! not. In a file, blank lines and what follows a `#` are passed over.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use opte::Direction;
use opte::api::OpteError;

use super::firewall::{FirewallAction, FirewallRule, RuleFilterError, RuleFilters};

/// The rules of a file, in its order.
pub fn parse_rules(text: &str) -> Result<Vec<FirewallRule>, RuleFileError> {
    let mut rules = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let rule = content
            .split_once('#')
            .map_or(content, |(rule, _comment)| rule)
            .trim();
        if !rule.is_empty() {
            rules.push(
                rule.parse()
                    .map_err(|error| RuleFileError { line, error })?,
            );
        }
    }
    Ok(rules)
}

impl FromStr for FirewallRule {
    type Err = RuleTextError;

    fn from_str(text: &str) -> Result<Self, RuleTextError> {
        let mut direction = None;
        let mut action = None;
        let mut priority = None;
        let mut hosts = None;
        let mut protocol = None;
        let mut source_ports = None;
        let mut ports = None;
        for token in text.split_whitespace() {
            let (key, value) = token
                .split_once('=')
                .ok_or_else(|| RuleTextError::BadToken {
                    token: token.to_string(),
                })?;
            match key.to_ascii_lowercase().as_str() {
                "dir" => once(&mut direction, key, parse_direction(value)?)?,
                "action" => once(&mut action, key, value.parse::<FirewallAction>()?)?,
                "priority" => once(&mut priority, key, parse_priority(value)?)?,
                "hosts" => once(&mut hosts, key, value.parse()?)?,
                "protocol" => once(&mut protocol, key, value.parse()?)?,
                "source-port" | "source-ports" => once(&mut source_ports, key, value.parse()?)?,
                "port" | "ports" => once(&mut ports, key, value.parse()?)?,
                _ => {
                    return Err(RuleTextError::InvalidKey {
                        key: key.to_string(),
                    });
                }
            }
        }
        let rule = Self {
            direction: direction.ok_or(RuleTextError::MissingDirection)?,
            filters: RuleFilters {
                hosts: hosts.unwrap_or_default(),
                protocol: protocol.unwrap_or_default(),
                source_ports: source_ports.unwrap_or_default(),
                ports: ports.unwrap_or_default(),
            },
            action: action.ok_or(RuleTextError::MissingAction)?,
            priority: priority.ok_or(RuleTextError::MissingPriority)?,
        };
        rule.validate().map_err(RuleTextError::Invalid)?;
        Ok(rule)
    }
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleTextError {
    /// A token without `=`.
    BadToken {
        /// The token.
        token: String,
    },
    /// A token with a key there is not.
    InvalidKey {
        /// The key.
        key: String,
    },
    /// A key that stands twice.
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// No `action`.
    MissingAction,
    /// No `dir`.
    MissingDirection,
    /// No `priority`.
    MissingPriority,
    /// A direction that is neither `in` nor `out`.
    BadDirection {
        /// The text.
        text: String,
    },
    /// A priority that is no number from 0 to 65,535.
    BadPriority {
        /// The text.
        text: String,
    },
    /// A value that is none of its key's.
    Filter(RuleFilterError),
    /// A rule that cannot be.
    Invalid(OpteError),
}

impl fmt::Display for RuleTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadToken { token } => write!(f, "bad token: {token}"),
            Self::InvalidKey { key } => write!(f, "invalid key: {key}"),
            Self::DuplicateKey { key } => write!(f, "duplicate key: {key}"),
            Self::MissingAction => f.write_str("missing 'action' key"),
            Self::MissingDirection => f.write_str("missing direction ('dir') key"),
            Self::MissingPriority => f.write_str("missing 'priority' key"),
            Self::BadDirection { text } => {
                write!(f, "bad direction: '{text}' (expected in or out)")
            }
            Self::BadPriority { text } => write!(f, "bad priority: '{text}' (expected 0 to 65535)"),
            Self::Filter(error) => error.fmt(f),
            Self::Invalid(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RuleTextError {}

impl From<RuleFilterError> for RuleTextError {
    fn from(error: RuleFilterError) -> Self {
        Self::Filter(error)
    }
}

/// Why a file of rules could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong in it.
    pub error: RuleTextError,
}

impl fmt::Display for RuleFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.error)
    }
}

impl core::error::Error for RuleFileError {}

fn once<T>(place: &mut Option<T>, key: &str, value: T) -> Result<(), RuleTextError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(RuleTextError::DuplicateKey {
            key: key.to_string(),
        }),
    }
}

fn parse_direction(text: &str) -> Result<Direction, RuleTextError> {
    text.parse().map_err(|_| RuleTextError::BadDirection {
        text: text.to_string(),
    })
}

fn parse_priority(text: &str) -> Result<u16, RuleTextError> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| RuleTextError::BadPriority {
            text: text.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;
    use core::net::IpAddr;

    use opte::api::{IpCidr, PortRange};
    use opte_headers::Vni;
    use proptest::prelude::*;

    use super::super::firewall::{IcmpCodes, IcmpFilter, Ports, ProtoFilter};
    use super::super::hosts::{Host, Hosts};
    use super::*;

    #[test]
    fn rules_from_text_and_back() {
        for (text, shown) in [
            (
                "dir=in action=allow priority=10",
                "dir=in action=allow priority=10 hosts=any protocol=any port=any",
            ),
            (
                "action=deny priority=65534 dir=out hosts=subnet=10.0.0.7/24 protocol=tcp port=443,22",
                "dir=out action=deny priority=65534 hosts=subnet=10.0.0.0/24 protocol=tcp port=22,443",
            ),
            (
                "DIR=IN  ACTION=Allow\tpriority=0 HOSTS=VNI=99 protocol=ICMP6:128,0-3",
                "dir=in action=allow priority=0 hosts=vni=99 protocol=icmp6:128,0-3 port=any",
            ),
            (
                "dir=in action=allow priority=1 protocol=udp source-ports=53,54 hosts=subnet=fd00::1/8,ip=10.0.0.1",
                "dir=in action=allow priority=1 hosts=ip=10.0.0.1,subnet=fd00::/8 protocol=udp source-port=53-54 port=any",
            ),
            (
                "dir=in action=allow priority=1 hosts=ip=fd00::1 protocol=udp ports=53,5000-5100,5101",
                "dir=in action=allow priority=1 hosts=ip=fd00::1 protocol=udp port=53,5000-5101",
            ),
        ] {
            let rule: FirewallRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse(), Ok(rule));
        }
    }

    #[test]
    fn lists_have_an_end() {
        use core::fmt::Write;
        let rule = |key: &str, count: u16| {
            let mut text = format!("dir=in action=allow priority=1 {key}");
            for number in 1..=count {
                let comma = if number == 1 { "=" } else { "," };
                match key {
                    "hosts" => write!(text, "{comma}vni={number}").unwrap(),
                    _ => write!(text, "{comma}{}", 2 * number).unwrap(),
                }
            }
            text.parse::<FirewallRule>()
        };
        for (key, name) in [
            ("hosts", "hosts"),
            ("port", "ports"),
            ("source-port", "source ports"),
        ] {
            assert!(rule(key, 256).is_ok());
            assert_eq!(
                rule(key, 257).unwrap_err().to_string(),
                format!("invalid {name}: 257 are given, at most 256 fit a rule")
            );
        }
        let mut rule = rule("port", 1).unwrap();
        rule.filters.ports = Ports::List(Vec::new());
        assert_eq!(
            rule.validate().unwrap_err().to_string(),
            "invalid ports: none are given"
        );
        rule.filters.ports = Ports::Any;
        let seven = Host::Vni(Vni::new(7).unwrap());
        rule.filters.hosts = Hosts::List(vec![seven; 2]);
        assert_eq!(
            rule.validate().unwrap_err().to_string(),
            "invalid hosts: vni=7,vni=7 are not in order"
        );
    }

    #[test]
    fn errors_name_the_token() {
        for (text, error) in [
            ("", "missing direction ('dir') key"),
            ("dir=in priority=1", "missing 'action' key"),
            ("action=allow priority=1", "missing direction ('dir') key"),
            ("dir=in action=allow", "missing 'priority' key"),
            ("dir=in action=allow priority=1 ssh", "bad token: ssh"),
            ("dir=in action=allow priority=1 port", "bad token: port"),
            (
                "dir=in action=allow priority=1 host=any",
                "invalid key: host",
            ),
            (
                "dir=in dir=out action=allow priority=1",
                "duplicate key: dir",
            ),
            (
                "dir=up action=allow priority=1",
                "bad direction: 'up' (expected in or out)",
            ),
            (
                "dir=in action=pass priority=1",
                "unknown action: pass (expected allow, deny or reject)",
            ),
            (
                "dir=in action=allow priority=65536",
                "bad priority: '65536' (expected 0 to 65535)",
            ),
            (
                "dir=in action=allow priority=-1",
                "bad priority: '-1' (expected 0 to 65535)",
            ),
            (
                "dir=in action=allow priority=1 port=0",
                "invalid port: 0 (expected N or N-N, from 1 to 65535)",
            ),
            (
                "dir=in action=allow priority=1 port=22-21",
                "invalid port range: 22-21 ends before it starts",
            ),
            (
                "dir=in action=allow priority=1 protocol=quic",
                "unknown protocol: quic (expected any, arp, tcp, udp, icmp[:type[,code[-code]]], icmp6[:..] or a number up to 255)",
            ),
            (
                "dir=in action=allow priority=1 protocol=udp:1",
                "cannot specify filter for protocol: udp",
            ),
            (
                "dir=in action=allow priority=1 hosts=10.0.0.1",
                "invalid hosts: 10.0.0.1 (expected any, or ip=<ip>, subnet=<cidr>, vni=<number>, several with commas between them)",
            ),
            (
                "dir=in action=allow priority=1 source-port=0",
                "invalid port: 0 (expected N or N-N, from 1 to 65535)",
            ),
            (
                "dir=in action=allow priority=1 source-port=1 SOURCE-PORTS=2",
                "duplicate key: SOURCE-PORTS",
            ),
        ] {
            assert_eq!(
                text.parse::<FirewallRule>().unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
    }

    fn any_rule() -> impl Strategy<Value = FirewallRule> {
        let host = prop_oneof![
            any::<IpAddr>().prop_map(Host::Ip),
            (any::<IpAddr>(), 0_u8..=32)
                .prop_map(|(ip, length)| Host::Subnet(IpCidr::new(ip, length).unwrap())),
            (0_u32..1 << 24).prop_map(|vni| Host::Vni(Vni::new(vni).unwrap())),
        ];
        let hosts = prop_oneof![
            Just(Hosts::Any),
            prop::collection::vec(host, 1..4).prop_map(Hosts::list),
        ];
        let icmp = prop::option::of((any::<u8>(), prop::option::of((any::<u8>(), any::<u8>()))))
            .prop_map(|filter| {
                filter.map(|(ty, codes)| IcmpFilter {
                    ty,
                    codes: codes.and_then(|(a, b)| IcmpCodes::new(a.min(b), a.max(b))),
                })
            });
        let protocol = prop_oneof![
            Just(ProtoFilter::Any),
            Just(ProtoFilter::Arp),
            icmp.clone().prop_map(ProtoFilter::Icmp),
            icmp.prop_map(ProtoFilter::Icmp6),
            any::<u8>().prop_map(ProtoFilter::from_number),
        ];
        let range =
            (1_u16.., 1_u16..).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap());
        let ports = prop_oneof![
            Just(Ports::Any),
            prop::collection::vec(range, 1..6).prop_map(Ports::list)
        ];
        (
            any::<bool>(),
            hosts,
            protocol,
            ports.clone(),
            ports,
            prop::sample::select(&ACTIONS[..]),
            any::<u16>(),
        )
            .prop_map(
                |(is_in, hosts, protocol, source_ports, ports, action, priority)| FirewallRule {
                    direction: if is_in { Direction::In } else { Direction::Out },
                    filters: RuleFilters {
                        hosts,
                        protocol,
                        source_ports,
                        ports,
                    },
                    action,
                    priority,
                },
            )
    }

    const ACTIONS: [FirewallAction; 3] = [
        FirewallAction::Allow,
        FirewallAction::Deny,
        FirewallAction::Reject,
    ];

    proptest! {
        #[test]
        fn any_rule_is_read_as_it_is_shown(rule in any_rule()) {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
            prop_assert_eq!(rule.validate(), Ok(()));
            let bytes = postcard::to_allocvec(&rule).unwrap();
            prop_assert_eq!(postcard::from_bytes::<FirewallRule>(&bytes), Ok(rule));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(dir|action|priority|hosts|protocol|port|source-port|[a-z0-9:,=./ -]{0,8}|=in|=allow|=1| ){0,12}") {
            if let Ok(rule) = text.parse::<FirewallRule>() {
                prop_assert_eq!(rule.to_string().parse(), Ok(rule));
            }
        }
    }

    #[test]
    fn files_have_comments_and_blank_lines() {
        let rules = parse_rules(
            "# what comes in\n\ndir=in action=allow priority=1 # all of it\n   \n  dir=out action=deny priority=2  \r\n",
        )
        .unwrap();
        assert_eq!(rules.len(), 2);
        assert_eq!(parse_rules("").unwrap(), []);
        assert_eq!(
            parse_rules("\n# x\ndir=in action=allow priority=x\n")
                .unwrap_err()
                .to_string(),
            "line 3: bad priority: 'x' (expected 0 to 65535)"
        );
    }
}
