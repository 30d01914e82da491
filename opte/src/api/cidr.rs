//! Address prefixes (RFC 4632, RFC 4291 section 2.3).

use alloc::string::{String, ToString};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::text_or_wire;

/// An IPv4 or IPv6 prefix, written `address/length`. Host bits are cleared when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpCidr {
    /// An IPv4 prefix.
    Ip4(Ipv4Cidr),
    /// An IPv6 prefix.
    Ip6(Ipv6Cidr),
}

impl IpCidr {
    /// The prefix of `length` bits that `address` lies in.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, CidrError> {
        Ok(match address {
            IpAddr::V4(ip) => Self::Ip4(Ipv4Cidr::new(ip, length)?),
            IpAddr::V6(ip) => Self::Ip6(Ipv6Cidr::new(ip, length)?),
        })
    }

    /// The prefix that holds `address` alone.
    pub fn host(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(ip) => Self::Ip4(Ipv4Cidr::host(ip)),
            IpAddr::V6(ip) => Self::Ip6(Ipv6Cidr::host(ip)),
        }
    }

    /// The lowest address of the prefix.
    pub fn network(&self) -> IpAddr {
        match self {
            Self::Ip4(cidr) => IpAddr::V4(cidr.network()),
            Self::Ip6(cidr) => IpAddr::V6(cidr.network()),
        }
    }

    /// The number of leading bits that are fixed.
    pub fn length(&self) -> u8 {
        match self {
            Self::Ip4(cidr) => cidr.length(),
            Self::Ip6(cidr) => cidr.length(),
        }
    }

    /// The length of a prefix that holds one address: 32 or 128.
    pub fn max_length(&self) -> u8 {
        match self {
            Self::Ip4(_) => Ipv4Cidr::MAX_LENGTH,
            Self::Ip6(_) => Ipv6Cidr::MAX_LENGTH,
        }
    }

    /// Whether `address` is of this family and in the prefix.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Ip4(cidr), IpAddr::V4(ip)) => cidr.contains(ip),
            (Self::Ip6(cidr), IpAddr::V6(ip)) => cidr.contains(ip),
            _ => false,
        }
    }

    /// Whether every address of the prefix is a multicast address.
    pub fn is_multicast(&self) -> bool {
        match self {
            Self::Ip4(cidr) => cidr.length() >= 4 && cidr.network().is_multicast(),
            Self::Ip6(cidr) => cidr.length() >= 8 && cidr.network().is_multicast(),
        }
    }

    /// Whether this is an IPv4 prefix.
    pub fn is_ipv4(&self) -> bool {
        matches!(self, Self::Ip4(_))
    }
}

macro_rules! cidr {
    ($name:ident, $text:literal, $address:ty, $bits:ty, $max:literal, $family:literal) => {
        #[doc = concat!("An ", $family, " prefix, written `address/length`. Host bits are cleared when it is made.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            network: $address,
            length: u8,
        }

        impl $name {
            /// The length of a prefix that holds one address.
            pub const MAX_LENGTH: u8 = $max;

            /// Every address.
            pub const ALL: Self = Self {
                network: <$address>::UNSPECIFIED,
                length: 0,
            };

            /// The prefix of `length` bits that `address` lies in.
            pub fn new(address: $address, length: u8) -> Result<Self, CidrError> {
                if length > Self::MAX_LENGTH {
                    return Err(CidrError::Length { length, max: Self::MAX_LENGTH });
                }
                Ok(Self { network: <$address>::from_bits(address.to_bits() & Self::mask(length)), length })
            }

            /// The prefix that holds `address` alone.
            pub const fn host(address: $address) -> Self {
                Self { network: address, length: Self::MAX_LENGTH }
            }

            /// The lowest address of the prefix.
            pub const fn network(&self) -> $address {
                self.network
            }

            /// The number of leading bits that are fixed.
            pub const fn length(&self) -> u8 {
                self.length
            }

            /// The mask of the fixed bits.
            pub fn netmask(&self) -> $address {
                <$address>::from_bits(Self::mask(self.length))
            }

            /// The highest address of the prefix.
            pub fn last(&self) -> $address {
                <$address>::from_bits(self.network.to_bits() | !Self::mask(self.length))
            }

            /// Whether `address` is in the prefix.
            pub fn contains(&self, address: $address) -> bool {
                address.to_bits() & Self::mask(self.length) == self.network.to_bits()
            }

            /// The mask of the `length` highest bits. A shift by the whole width, which a /0 is, gives no bits rather than an
            /// overflow.
            fn mask(length: u8) -> $bits {
                <$bits>::MAX.checked_shl(u32::from(Self::MAX_LENGTH.saturating_sub(length))).unwrap_or(0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", self.network, self.length)
            }
        }

        impl FromStr for $name {
            type Err = CidrError;

            fn from_str(text: &str) -> Result<Self, CidrError> {
                let (address, length) = split(text)?;
                let address = address.parse().map_err(|_| CidrError::Address { family: $family, address: address.to_string() })?;
                Self::new(address, length)
            }
        }

        impl From<&$name> for ($address, u8) {
            fn from(cidr: &$name) -> Self {
                (cidr.network, cidr.length)
            }
        }

        impl TryFrom<($address, u8)> for $name {
            type Error = CidrError;

            fn try_from((address, length): ($address, u8)) -> Result<Self, CidrError> {
                Self::new(address, length)
            }
        }

        text_or_wire!($name, $text, ($address, u8));
    };
}

cidr!(Ipv4Cidr, "Ipv4Cidr", Ipv4Addr, u32, 32, "IPv4");
cidr!(Ipv6Cidr, "Ipv6Cidr", Ipv6Addr, u128, 128, "IPv6");
text_or_wire!(IpCidr, "IpCidr", (IpAddr, u8));

/// Why a text or a pair is no prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// There is no `/`.
    MissingSlash {
        /// The whole text.
        text: String,
    },
    /// What stands before the `/` is no address of the family.
    Address {
        /// `IP`, `IPv4` or `IPv6`.
        family: &'static str,
        /// The text before the `/`.
        address: String,
    },
    /// What stands behind the `/` is no number.
    NotANumber {
        /// The text behind the `/`.
        length: String,
    },
    /// The prefix would be longer than an address.
    Length {
        /// Bits asked for.
        length: u8,
        /// Bits of an address.
        max: u8,
    },
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingSlash { text } => write!(f, "'{text}' is no prefix: it has no '/'"),
            Self::Address { family, address } => write!(f, "'{address}' is no {family} address"),
            Self::NotANumber { length } => write!(f, "'{length}' is no prefix length"),
            Self::Length { length, max } => {
                write!(f, "prefix length {length} is longer than {max}")
            }
        }
    }
}

impl core::error::Error for CidrError {}

impl fmt::Display for IpCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip4(cidr) => cidr.fmt(f),
            Self::Ip6(cidr) => cidr.fmt(f),
        }
    }
}

impl FromStr for IpCidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, length) = split(text)?;
        let address = address.parse().map_err(|_| CidrError::Address {
            family: "IP",
            address: address.to_string(),
        })?;
        Self::new(address, length)
    }
}

impl From<Ipv4Cidr> for IpCidr {
    fn from(cidr: Ipv4Cidr) -> Self {
        Self::Ip4(cidr)
    }
}

impl From<Ipv6Cidr> for IpCidr {
    fn from(cidr: Ipv6Cidr) -> Self {
        Self::Ip6(cidr)
    }
}

impl From<&IpCidr> for (IpAddr, u8) {
    fn from(cidr: &IpCidr) -> Self {
        (cidr.network(), cidr.length())
    }
}

impl TryFrom<(IpAddr, u8)> for IpCidr {
    type Error = CidrError;

    fn try_from((address, length): (IpAddr, u8)) -> Result<Self, CidrError> {
        Self::new(address, length)
    }
}

fn split(text: &str) -> Result<(&str, u8), CidrError> {
    let (address, length) = text
        .split_once('/')
        .ok_or_else(|| CidrError::MissingSlash {
            text: text.to_string(),
        })?;
    // `u8::from_str` takes a sign; a prefix length has none.
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CidrError::NotANumber {
            length: length.to_string(),
        });
    }
    let length = length.parse().map_err(|_| CidrError::NotANumber {
        length: length.to_string(),
    })?;
    Ok((address, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn text_to_prefix_and_back() {
        for (text, shown) in [
            ("10.0.0.0/24", "10.0.0.0/24"),
            ("10.0.0.77/24", "10.0.0.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("255.255.255.255/0", "0.0.0.0/0"),
            ("192.168.1.1/32", "192.168.1.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("fd00:1:2:3::9/64", "fd00:1:2:3::/64"),
            ("::/0", "::/0"),
            ("::1/128", "::1/128"),
        ] {
            assert_eq!(text.parse::<IpCidr>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn errors_name_the_part() {
        for (text, error) in [
            ("10.0.0.1", "'10.0.0.1' is no prefix: it has no '/'"),
            ("10.0.0/8", "'10.0.0' is no IP address"),
            ("10.0.0.0/33", "prefix length 33 is longer than 32"),
            ("::/129", "prefix length 129 is longer than 128"),
            ("10.0.0.0/", "'' is no prefix length"),
            ("10.0.0.0/+8", "'+8' is no prefix length"),
            ("10.0.0.0/300", "'300' is no prefix length"),
        ] {
            assert_eq!(
                text.parse::<IpCidr>().unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
        assert_eq!(
            format!("{}", "::/8".parse::<Ipv4Cidr>().unwrap_err()),
            "'::' is no IPv4 address"
        );
    }

    #[test]
    fn masks_at_the_edges() {
        let all: Ipv4Cidr = "0.0.0.0/0".parse().unwrap();
        assert_eq!(all.netmask(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(all.last(), Ipv4Addr::BROADCAST);
        assert!(all.contains(Ipv4Addr::BROADCAST));
        let one: Ipv6Cidr = "::1/128".parse().unwrap();
        assert_eq!(one.last(), Ipv6Addr::LOCALHOST);
        assert!(!one.contains(Ipv6Addr::UNSPECIFIED));
        assert!("224.0.0.0/4".parse::<IpCidr>().unwrap().is_multicast());
        assert!(!"224.0.0.0/3".parse::<IpCidr>().unwrap().is_multicast());
    }

    #[test]
    fn a_family_never_contains_the_other() {
        let all: IpCidr = "::/0".parse().unwrap();
        assert!(!all.contains(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[test]
    fn wire_forms_are_checked() {
        let cidr: IpCidr = "10.1.2.0/24".parse().unwrap();
        let bytes = postcard::to_allocvec(&cidr).unwrap();
        assert_eq!(postcard::from_bytes::<IpCidr>(&bytes).unwrap(), cidr);
        let bad = postcard::to_allocvec(&(IpAddr::V4(Ipv4Addr::LOCALHOST), 33_u8)).unwrap();
        assert!(postcard::from_bytes::<IpCidr>(&bad).is_err());
    }
}
