//! Domain Name System (RFC 1035): the header of its messages.

use crate::protocol::Udp;
use crate::{Header, field_value};
use arbitrary_int::prelude::*;

/// DNS header (RFC 1035, section 4.1.1; AD and CD: RFC 4035, section 3). Questions and records follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Udp = Dns::PORT | 5353), len = 12)]
pub struct Dns {
    /// By which the asker knows the answer.
    #[header(hex)]
    pub id: u16,
    /// An answer, not a question.
    pub response: bool,
    /// What is asked for.
    #[header(bits = 4)]
    pub opcode: DnsOpcode,
    /// The answer comes from who is responsible for the name.
    pub authoritative: bool,
    /// The message was cut off.
    pub truncated: bool,
    /// The server is asked to ask others.
    pub recursion_desired: bool,
    /// The server asks others.
    pub recursion_available: bool,
    /// Zero.
    #[header(reserved)]
    pub reserved: u1,
    /// The answer was validated (RFC 4035, section 3.2.3).
    pub authentic_data: bool,
    /// The asker validates itself (RFC 4035, section 3.2.2).
    pub checking_disabled: bool,
    /// What the answer is.
    #[header(bits = 4)]
    pub response_code: DnsResponseCode,
    /// Questions.
    pub question_count: u16,
    /// Records that answer.
    pub answer_count: u16,
    /// Records that name who is responsible.
    pub authority_count: u16,
    /// Records beside.
    pub additional_count: u16,
}

impl Dns {
    /// UDP port (RFC 1035, section 4.2.1); multicast DNS has 5353 (RFC 6762).
    pub const PORT: u16 = 53;
}

/// DNS operation (IANA "DNS OpCodes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsOpcode(pub u4);

impl DnsOpcode {
    /// A question.
    pub const QUERY: Self = Self(u4::new(0));
    /// Server status.
    pub const STATUS: Self = Self(u4::new(2));
    /// A zone has changed (RFC 1996).
    pub const NOTIFY: Self = Self(u4::new(4));
    /// A zone is to be changed (RFC 2136).
    pub const UPDATE: Self = Self(u4::new(5));
}

field_value!(DnsOpcode as u4: DnsOpcode, |opcode: &DnsOpcode| opcode.0);

/// DNS response code (IANA "DNS RCODEs").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsResponseCode(pub u4);

impl DnsResponseCode {
    /// No error.
    pub const NO_ERROR: Self = Self(u4::new(0));
    /// The question was not understood.
    pub const FORMAT_ERROR: Self = Self(u4::new(1));
    /// The server failed.
    pub const SERVER_FAILURE: Self = Self(u4::new(2));
    /// There is no such name.
    pub const NO_SUCH_NAME: Self = Self(u4::new(3));
    /// The server does not do this.
    pub const NOT_IMPLEMENTED: Self = Self(u4::new(4));
    /// The server will not do this.
    pub const REFUSED: Self = Self(u4::new(5));
}

field_value!(DnsResponseCode as u4: DnsResponseCode, |code: &DnsResponseCode| code.0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Follows;

    #[test]
    fn query() {
        let bytes = [0xdb, 0x42, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 3, b'w'];
        let (view, rest) = Dns::parse(&bytes).unwrap();
        let query = Dns {
            id: 0xdb42,
            recursion_desired: true,
            question_count: 1,
            ..Dns::default()
        };
        assert_eq!((view.to_owned(), rest), (query, &[3, b'w'][..]));
        assert!(Dns::follows(53) && Dns::follows(5353) && !Dns::follows(54));
    }

    #[test]
    fn no_such_name() {
        let bytes = [0x1a, 0x2b, 0x81, 0xa3, 0, 1, 0, 0, 0, 1, 0, 0];
        let (view, _) = Dns::parse(&bytes).unwrap();
        assert_eq!(view.response_code(), DnsResponseCode::NO_SUCH_NAME);
        assert_eq!(view.opcode(), DnsOpcode::QUERY);
        assert!(view.response() && view.recursion_available() && view.authentic_data());
        let mut out = [0; 12];
        view.to_owned().emit(&mut out).unwrap();
        assert_eq!(out, bytes);
    }
}
