//! Internet Control Message Protocol (RFC 792).

use crate::protocol::Ipv4;
use crate::{Header, IpProtocol, field_value};

/// ICMP header (RFC 792).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Ipv4 = IpProtocol::ICMP), len = 8)]
pub struct Icmpv4 {
    /// What the message is.
    #[header(bits = 8, key = icmp_type)]
    pub ty: Icmpv4Type,
    /// More of what it is.
    #[header(key = icmp_code)]
    pub code: u8,
    /// Of header and body.
    #[header(checksum(payload))]
    pub checksum: u16,
    /// Echo and its kind: who asks. Other messages: the first half of what the type defines.
    #[header(key = identifier)]
    pub identifier: u16,
    /// Echo and its kind: how many times. Other messages: the second half of what the type defines (next-hop MTU of
    /// "fragmentation needed", RFC 1191).
    pub sequence: u16,
}

/// ICMP type (IANA "ICMP Parameters").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Icmpv4Type(pub u8);

impl Icmpv4Type {
    /// Echo reply.
    pub const ECHO_REPLY: Self = Self(0);
    /// Destination unreachable; code 4 is "fragmentation needed".
    pub const DESTINATION_UNREACHABLE: Self = Self(3);
    /// Redirect.
    pub const REDIRECT: Self = Self(5);
    /// Echo request.
    pub const ECHO_REQUEST: Self = Self(8);
    /// Time exceeded.
    pub const TIME_EXCEEDED: Self = Self(11);
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: Self = Self(12);

    /// Whether the message reports an error and embeds the packet at fault.
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::DESTINATION_UNREACHABLE
                | Self::REDIRECT
                | Self::TIME_EXCEEDED
                | Self::PARAMETER_PROBLEM
                | Self(4)
        )
    }
}

field_value!(Icmpv4Type as u8: Icmpv4Type, |ty: &Icmpv4Type| ty.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_request() {
        let (view, rest) =
            Icmpv4::parse(&[0x08, 0x00, 0x4d, 0x56, 0x00, 0x01, 0x00, 0x05, b'a']).unwrap();
        assert_eq!(
            (view.ty(), view.checksum(), rest),
            (Icmpv4Type::ECHO_REQUEST, 0x4d56, &b"a"[..])
        );
        assert_eq!((view.identifier(), view.sequence()), (1, 5));
    }
}
