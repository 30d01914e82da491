//! DHCP for IPv6 (RFC 8415).

use crate::options::{CodeLength16, Each, Options, RawOption};
use crate::protocol::Udp;
use crate::{Header, MacAddr, OptionSet, field_value};
use arbitrary_int::u24;
use core::fmt;
use core::net::Ipv6Addr;

/// Message between a client and a server (RFC 8415, section 8).
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Udp = 547), len = 4)]
pub struct Dhcp6 {
    /// What the message is.
    #[header(bits = 8)]
    pub message_type: Dhcp6MessageType,
    /// Number by which the client knows the answer to its message.
    #[header(hex)]
    pub transaction_id: u24,
    /// The options.
    #[header(options(rest))]
    pub options: Dhcp6Options,
}

/// The options of a message.
pub type Dhcp6Options = Options<Dhcp6Option<'static>, 512>;

/// DHCP unique identifier made of a link-layer address (RFC 8415, section 11.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(len = 10)]
pub struct DuidLinkLayer {
    /// Always 3.
    #[header(const = 3)]
    pub ty: u16,
    /// Ethernet.
    #[header(const = 1)]
    pub hardware_type: u16,
    /// The address.
    pub mac: MacAddr,
}

/// The type of a message (RFC 8415, section 7.3).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Dhcp6MessageType(pub u8);

impl Dhcp6MessageType {
    /// Client: which servers are there?
    pub const SOLICIT: Self = Self(1);
    /// Server: here I am.
    pub const ADVERTISE: Self = Self(2);
    /// Client: addresses, please.
    pub const REQUEST: Self = Self(3);
    /// Client: are my addresses right for this link?
    pub const CONFIRM: Self = Self(4);
    /// Client, to its server: may I keep my addresses?
    pub const RENEW: Self = Self(5);
    /// Client, to any server: may I keep my addresses?
    pub const REBIND: Self = Self(6);
    /// Server: that is how it is.
    pub const REPLY: Self = Self(7);
    /// Client: I need the addresses no longer.
    pub const RELEASE: Self = Self(8);
    /// Client: somebody else has the addresses.
    pub const DECLINE: Self = Self(9);
    /// Server: ask me again.
    pub const RECONFIGURE: Self = Self(10);
    /// Client: tell me all but addresses.
    pub const INFORMATION_REQUEST: Self = Self(11);
}
field_value!(Dhcp6MessageType as u8: Dhcp6MessageType, |ty: &Dhcp6MessageType| ty.0);

impl fmt::Display for Dhcp6MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::SOLICIT => "SOLICIT",
            Self::ADVERTISE => "ADVERTISE",
            Self::REQUEST => "REQUEST",
            Self::CONFIRM => "CONFIRM",
            Self::RENEW => "RENEW",
            Self::REBIND => "REBIND",
            Self::REPLY => "REPLY",
            Self::RELEASE => "RELEASE",
            Self::DECLINE => "DECLINE",
            Self::RECONFIGURE => "RECONFIGURE",
            Self::INFORMATION_REQUEST => "INFORMATION-REQUEST",
            Self(other) => return write!(f, "type {other}"),
        })
    }
}

impl fmt::Debug for Dhcp6MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How it went (RFC 8415, section 21.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dhcp6Status(pub u16);

impl Dhcp6Status {
    /// Well.
    pub const SUCCESS: Self = Self(0);
    /// The server has no addresses for the association.
    pub const NO_ADDRS_AVAIL: Self = Self(2);
    /// The server knows no binding of the association.
    pub const NO_BINDING: Self = Self(3);
    /// The addresses are not right for the link.
    pub const NOT_ON_LINK: Self = Self(4);
    /// The message should have gone to the multicast address.
    pub const USE_MULTICAST: Self = Self(5);
    /// The server has no prefixes for the association.
    pub const NO_PREFIX_AVAIL: Self = Self(6);
}
field_value!(Dhcp6Status as u16: Dhcp6Status, |status: &Dhcp6Status| status.0);

/// Options of DHCPv6 (RFC 8415, section 21, where no other is named). Options within an option stand as bytes: make an
/// [`OptionList`](crate::options::OptionList) of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = CodeLength16)]
pub enum Dhcp6Option<'a> {
    /// The client's DUID.
    #[option(1)]
    ClientIdentifier(&'a [u8]),
    /// The server's DUID.
    #[option(2)]
    ServerIdentifier(&'a [u8]),
    /// An identity association for addresses that are not temporary.
    #[option(3)]
    IaNa {
        /// By what the client knows the association.
        id: u32,
        /// T1: seconds until the client asks its server to go on.
        renewal: u32,
        /// T2: seconds until the client asks any server to go on.
        rebinding: u32,
        /// Addresses and status.
        options: &'a [u8],
    },
    /// An identity association for temporary addresses.
    #[option(4)]
    IaTa {
        /// By what the client knows the association.
        id: u32,
        /// Addresses and status.
        options: &'a [u8],
    },
    /// An address of an identity association.
    #[option(5)]
    IaAddress {
        /// The address.
        address: Ipv6Addr,
        /// Seconds for which it is preferred.
        preferred: u32,
        /// Seconds for which it is valid.
        valid: u32,
        /// Status.
        options: &'a [u8],
    },
    /// Codes of the options the client asks for.
    #[option(6)]
    OptionRequest(Each<'a, u16>),
    /// How much the server wants to be chosen, 255 the most.
    #[option(7)]
    Preference(u8),
    /// Hundredths of a second since the client began.
    #[option(8)]
    ElapsedTime(u16),
    /// How it went.
    #[option(13)]
    Status {
        /// In a word.
        code: Dhcp6Status,
        /// In many, in UTF-8.
        message: &'a [u8],
    },
    /// Client and server commit to addresses at once.
    #[option(14)]
    RapidCommit,
    /// Name servers in order of preference (RFC 3646).
    #[option(23)]
    DnsServers(Each<'a, Ipv6Addr>),
    /// Domains to look short names up in, as RFC 1035 encodes them, without compression (RFC 3646).
    #[option(24)]
    DomainList(&'a [u8]),
    /// An identity association for prefixes.
    #[option(25)]
    IaPd {
        /// By what the client knows the association.
        id: u32,
        /// T1: seconds until the client asks its server to go on.
        renewal: u32,
        /// T2: seconds until the client asks any server to go on.
        rebinding: u32,
        /// Prefixes and status.
        options: &'a [u8],
    },
    /// Time servers in order of preference (RFC 4075).
    #[option(31)]
    SntpServers(Each<'a, Ipv6Addr>),
    /// The client's name (RFC 4704).
    #[option(39)]
    ClientFqdn {
        /// Who updates the name server: S 0x01, O 0x02, N 0x04.
        flags: u8,
        /// The name as RFC 1035 encodes it.
        name: &'a [u8],
    },
    /// Any other, and those whose length does not fit.
    #[option(unknown)]
    Unknown(RawOption<'a, u16>),
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ParseError;
    use crate::options::OptionList;
    use std::vec::Vec;

    /// What dhclient solicits with.
    const SOLICIT: [u8; 54] = [
        0x01, 0x37, 0x35, 0xcf, 0x00, 0x01, 0x00, 0x0e, 0x00, 0x01, 0x00, 0x01, 0x32, 0x93, 0x9d,
        0xff, 0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01, 0x00, 0x06, 0x00, 0x06, 0x00, 0x17, 0x00, 0x18,
        0x00, 0x27, 0x00, 0x08, 0x00, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x0c, 0x25, 0xf0, 0x00,
        0x01, 0x00, 0x00, 0x0e, 0x10, 0x00, 0x00, 0x15, 0x18,
    ];

    #[test]
    fn a_solicit() {
        let (view, _) = Dhcp6::parse(&SOLICIT).unwrap();
        assert_eq!(view.message_type(), Dhcp6MessageType::SOLICIT);
        assert_eq!(view.transaction_id(), u24::new(0x37_35cf));
        let codes = [0, 23, 0, 24, 0, 39];
        let expected = [
            Dhcp6Option::ClientIdentifier(&SOLICIT[8..22]),
            Dhcp6Option::OptionRequest(Each::new(&codes).unwrap()),
            Dhcp6Option::ElapsedTime(0),
            Dhcp6Option::IaNa {
                id: 0x25f0_0001,
                renewal: 3600,
                rebinding: 5400,
                options: &[],
            },
        ];
        let options: Result<Vec<_>, _> = view.options().iter().collect();
        assert_eq!(options, Ok(expected.to_vec()));
        let mut out = [0; 54];
        assert_eq!(view.to_owned().unwrap().emit(&mut out), Ok(54));
        assert_eq!(out, SOLICIT);
    }

    #[test]
    fn options_cut_off() {
        let list = OptionList::<Dhcp6Option<'static>>::new(&SOLICIT[4..20]);
        let error = ParseError::bad_length("Dhcp6Option", "length", 14, 12);
        assert_eq!(list.check(), Err(error));
        let list = OptionList::<Dhcp6Option<'static>>::new(&[0, 8, 0]);
        let error = ParseError::truncated("Dhcp6Option", "length", 4, 3);
        assert_eq!(list.check(), Err(error));
    }

    #[test]
    fn an_identifier_of_a_link_layer_address() {
        let mac = MacAddr([0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]);
        let mut out = [0; 10];
        let duid = DuidLinkLayer {
            mac,
            ..DuidLinkLayer::default()
        };
        assert_eq!(duid.emit(&mut out), Ok(10));
        assert_eq!(out, [0, 3, 0, 1, 0xa8, 0x40, 0x25, 0xff, 0x77, 0x77]);
    }
}
