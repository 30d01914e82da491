//! Domain names (RFC 1035 section 2.3, RFC 1123 section 2.1).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::text_or_wire;

/// A host or domain name: labels of 1 to 63 letters, digits and hyphens, at most 255 octets encoded. Kept in lower case, as names
/// compare without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

impl DomainName {
    /// The name as text, without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, outermost last.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The name as DNS and DHCP carry it: each label behind its length, then a zero octet (RFC 1035 section 3.1).
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len().saturating_add(2));
        for label in self.labels() {
            // A label has at most 63 octets.
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
        out
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        // Encoded, a name has one octet for the first length and one for the root beyond its text.
        if name.len() > MAX_TEXT {
            return Err(DomainNameError::TooLong { length: name.len() });
        }
        for label in name.split('.') {
            if !is_label(label) {
                return Err(DomainNameError::Label {
                    label: label.to_string(),
                });
            }
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl From<&DomainName> for String {
    fn from(name: &DomainName) -> Self {
        name.0.clone()
    }
}

impl TryFrom<String> for DomainName {
    type Error = DomainNameError;

    fn try_from(text: String) -> Result<Self, DomainNameError> {
        text.parse()
    }
}

text_or_wire!(DomainName, "DomainName", String);

/// Why a text is no domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainNameError {
    /// More than 255 octets when encoded.
    TooLong {
        /// Octets of the text.
        length: usize,
    },
    /// A label that is empty, longer than 63 octets, or has other characters than letters, digits and inner hyphens.
    Label {
        /// The label.
        label: String,
    },
}

impl fmt::Display for DomainNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => write!(
                f,
                "domain name of {length} octets is longer than {MAX_TEXT}"
            ),
            Self::Label { label } => write!(
                f,
                "'{label}' is no label of a domain name (expected 1 to 63 letters, digits, '_' and inner '-')"
            ),
        }
    }
}

impl core::error::Error for DomainNameError {}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

const MAX_TEXT: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn names_are_kept_in_lower_case_without_the_root() {
        for (text, shown) in [
            ("Example.COM.", "example.com"),
            ("a", "a"),
            ("x-1.y", "x-1.y"),
            ("_dns.b", "_dns.b"),
        ] {
            assert_eq!(text.parse::<DomainName>().unwrap().as_str(), shown);
        }
    }

    #[test]
    fn errors_name_the_label() {
        let long = "a".repeat(64);
        for text in ["", ".", "a..b", "-a", "a-", "a b", long.as_str()] {
            assert!(
                matches!(
                    text.parse::<DomainName>(),
                    Err(DomainNameError::Label { .. })
                ),
                "{text}"
            );
        }
        let name = format!(
            "{}.{}.{}.{}",
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61)
        );
        assert_eq!(name.len(), 253);
        assert_eq!(name.parse::<DomainName>().unwrap().encoded().len(), 255);
        assert!(matches!(
            format!("{name}d").parse::<DomainName>(),
            Err(DomainNameError::TooLong { length: 254 })
        ));
    }

    #[test]
    fn encoded_with_lengths() {
        assert_eq!(
            "ab.c".parse::<DomainName>().unwrap().encoded(),
            b"\x02ab\x01c\x00"
        );
    }
}
