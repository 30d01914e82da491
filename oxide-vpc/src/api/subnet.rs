//! Prefixes that are a guest's beside its own addresses: those it forwards for, and subnets that are attached to it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use opte::Direction;
use opte::api::{CidrError, IpCidr, OpteError};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// A prefix whose packets a guest may forward; written `PREFIX`, `PREFIX in` or `PREFIX out`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct TransitCidr {
    /// The prefix.
    pub cidr: IpCidr,
    /// Whether the guest may get what is for the prefix or may send as if from it; `None` for both.
    pub dir: Option<Direction>,
}

/// A subnet attached to a guest; written `PREFIX` or `PREFIX external`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Schema,
)]
pub struct AttachedSubnet {
    /// The prefix.
    pub cidr: IpCidr,
    /// Whether its addresses are known outside the VPC, and so leave it as they are.
    pub is_external: bool,
}

impl TransitCidr {
    /// The prefix in each of the directions.
    pub fn each(self) -> impl Iterator<Item = (IpCidr, Direction)> {
        let dirs = Direction::BOTH.into_iter();
        let wanted = move |dir: &Direction| self.dir.is_none_or(|only| only == *dir);
        dirs.filter(wanted).map(move |dir| (self.cidr, dir))
    }

    /// The opposite of [`TransitCidr::each`]: one for each prefix.
    pub fn grouped(each: &BTreeSet<(IpCidr, Direction)>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for &(cidr, dir) in each {
            match all.last_mut() {
                Some(last) if last.cidr == cidr => last.dir = None,
                _ => all.push(Self {
                    cidr,
                    dir: Some(dir),
                }),
            }
        }
        all
    }

    /// Checks that the prefix is one of hosts.
    pub fn validate(&self) -> Result<(), OpteError> {
        of_hosts(&self.cidr)
    }
}

impl AttachedSubnet {
    /// Checks that the prefix is one of hosts.
    pub fn validate(&self) -> Result<(), OpteError> {
        of_hosts(&self.cidr)
    }
}

fn of_hosts(cidr: &IpCidr) -> Result<(), OpteError> {
    if cidr.is_multicast() {
        return Err(OpteError::InvalidArgument {
            name: "prefix".to_string(),
            reason: format!("{cidr} is multicast"),
        });
    }
    Ok(())
}

impl fmt::Display for TransitCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dir {
            None => self.cidr.fmt(f),
            Some(Direction::In) => write!(f, "{} in", self.cidr),
            Some(Direction::Out) => write!(f, "{} out", self.cidr),
        }
    }
}

impl fmt::Display for AttachedSubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let external = if self.is_external { " external" } else { "" };
        write!(f, "{}{external}", self.cidr)
    }
}

impl FromStr for TransitCidr {
    type Err = SubnetTextError;

    fn from_str(text: &str) -> Result<Self, SubnetTextError> {
        let (cidr, word) = split(text)?;
        let dir = match word {
            None => None,
            Some("in") => Some(Direction::In),
            Some("out") => Some(Direction::Out),
            Some(word) => return Err(SubnetTextError::word(word, "in, out or nothing")),
        };
        Ok(Self { cidr, dir })
    }
}

impl FromStr for AttachedSubnet {
    type Err = SubnetTextError;

    fn from_str(text: &str) -> Result<Self, SubnetTextError> {
        let (cidr, word) = split(text)?;
        let is_external = match word {
            None => false,
            Some("external") => true,
            Some(word) => return Err(SubnetTextError::word(word, "external or nothing")),
        };
        Ok(Self { cidr, is_external })
    }
}

/// Why a text is no prefix with what may follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubnetTextError {
    /// The first word is no prefix.
    Prefix(CidrError),
    /// What follows the prefix is something else.
    Word {
        /// What follows.
        word: String,
        /// What may.
        expected: &'static str,
    },
}

impl SubnetTextError {
    fn word(word: &str, expected: &'static str) -> Self {
        Self::Word {
            word: word.to_string(),
            expected,
        }
    }
}

impl fmt::Display for SubnetTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(error) => error.fmt(f),
            Self::Word { word, expected } => {
                write!(f, "'{word}' behind the prefix (expected {expected})")
            }
        }
    }
}

impl core::error::Error for SubnetTextError {}

/// The prefix and what follows it.
fn split(text: &str) -> Result<(IpCidr, Option<&str>), SubnetTextError> {
    let text = text.trim();
    let (cidr, word) = match text.split_once(char::is_whitespace) {
        Some((cidr, word)) => (cidr, Some(word.trim_start())),
        None => (text, None),
    };
    let cidr = cidr.parse().map_err(SubnetTextError::Prefix)?;
    Ok((cidr, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        for text in ["10.5.0.0/16", "10.5.0.0/16 in", "fd05::/48 out"] {
            let transit: TransitCidr = text.parse().unwrap();
            assert_eq!(transit.to_string(), text);
        }
        for text in ["10.5.0.0/16", "fd05::/48 external"] {
            let subnet: AttachedSubnet = text.parse().unwrap();
            assert_eq!(subnet.to_string(), text);
        }
        let wrong = |text: &str| text.parse::<TransitCidr>().unwrap_err().to_string();
        assert_eq!(wrong("10.0.0.0"), "'10.0.0.0' is no prefix: it has no '/'");
        assert_eq!(
            wrong("10.0.0.0/8 in out"),
            "'in out' behind the prefix (expected in, out or nothing)"
        );
        assert_eq!(
            "10.0.0.0/8 in"
                .parse::<AttachedSubnet>()
                .unwrap_err()
                .to_string(),
            "'in' behind the prefix (expected external or nothing)"
        );
    }

    #[test]
    fn directions_of_one_prefix_are_one_entry() {
        let all = ["10.5.0.0/16", "10.6.0.0/16 in", "10.7.0.0/16 out"];
        let all: Vec<TransitCidr> = all.map(|text| text.parse().unwrap()).into();
        let each: BTreeSet<_> = all.iter().flat_map(|transit| transit.each()).collect();
        assert_eq!(each.len(), 4);
        assert_eq!(TransitCidr::grouped(&each), all);
    }
}
