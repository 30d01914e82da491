//! DHCP for IPv4 (RFC 2131).

use crate::options::{CodeLength, Each, Options, RawOption};
use crate::protocol::Udp;
use crate::{Header, OptionSet, field_value};
use core::fmt;
use core::net::Ipv4Addr;

/// Dynamic Host Configuration Protocol message (RFC 2131, section 2), with the cookie that says that its options are those
/// of RFC 2132.
#[derive(Clone, Debug, PartialEq, Eq, Header)]
#[cfg_attr(feature = "proptest", header(arbitrary))]
#[cfg_attr(feature = "serde", header(serde))]
#[header(follows(Udp = 67), len = 240)]
pub struct Dhcp4 {
    /// Who speaks: client or server.
    #[header(default = Dhcp4Op::REQUEST, bits = 8)]
    pub op: Dhcp4Op,
    /// Type of the client's hardware address, 1 for Ethernet.
    #[header(default = 1)]
    pub hardware_type: u8,
    /// Octets of the client's hardware address.
    #[header(default = 6)]
    pub hardware_len: u8,
    /// Relay agents on the way.
    pub hops: u8,
    /// Number by which the client knows the answer to its message.
    #[header(hex)]
    pub transaction_id: u32,
    /// Seconds since the client began.
    pub seconds: u16,
    /// Flags.
    #[header(bits = 16)]
    pub flags: Dhcp4Flags,
    /// `ciaddr`: the client's address, where it has one that it can answer ARP requests for.
    pub client_ip: Ipv4Addr,
    /// `yiaddr`: the address for the client.
    pub your_ip: Ipv4Addr,
    /// `siaddr`: the server of the next step of booting.
    pub next_server: Ipv4Addr,
    /// `giaddr`: the relay agent.
    pub relay_ip: Ipv4Addr,
    /// `chaddr`: the client's hardware address, zeros behind it.
    pub client_hardware: [u8; 16],
    /// `sname`: a server's name that ends in a zero, or options.
    pub server_name: [u8; 64],
    /// `file`: a boot file's name that ends in a zero, or options.
    pub boot_file: [u8; 128],
    /// What options follow.
    #[header(const = 0x6382_5363)]
    pub cookie: u32,
    /// The options.
    #[header(options(rest))]
    pub options: Dhcp4Options,
}

/// The options of a message that a client must be able to receive (RFC 2131, section 2).
pub type Dhcp4Options = Options<Dhcp4Option<'static>, 312>;

/// Who speaks in a [`Dhcp4`] message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dhcp4Op(pub u8);

impl Dhcp4Op {
    /// A client.
    pub const REQUEST: Self = Self(1);
    /// A server.
    pub const REPLY: Self = Self(2);
}
field_value!(Dhcp4Op as u8: Dhcp4Op, |op: &Dhcp4Op| op.0);

bitflags::bitflags! {
    /// Flags of a [`Dhcp4`] message.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Dhcp4Flags: u16 {
        /// The client cannot receive unicast datagrams before it is configured.
        const BROADCAST = 0x8000;
        const _ = !0;
    }
}
field_value!(Dhcp4Flags as u16: Dhcp4Flags::from_bits_retain, Dhcp4Flags::bits);

/// The type of a DHCP message (RFC 2132, section 9.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dhcp4MessageType(pub u8);

impl Dhcp4MessageType {
    /// Client: who has an address for me?
    pub const DISCOVER: Self = Self(1);
    /// Server: this one could be yours.
    pub const OFFER: Self = Self(2);
    /// Client: this one, please; or: may I keep it?
    pub const REQUEST: Self = Self(3);
    /// Client: somebody else has it.
    pub const DECLINE: Self = Self(4);
    /// Server: it is yours.
    pub const ACK: Self = Self(5);
    /// Server: it is not yours.
    pub const NAK: Self = Self(6);
    /// Client: I need it no longer.
    pub const RELEASE: Self = Self(7);
    /// Client: I have an address, tell me the rest.
    pub const INFORM: Self = Self(8);
}
field_value!(Dhcp4MessageType as u8: Dhcp4MessageType, |ty: &Dhcp4MessageType| ty.0);

impl fmt::Display for Dhcp4MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::DISCOVER => "DISCOVER",
            Self::OFFER => "OFFER",
            Self::REQUEST => "REQUEST",
            Self::DECLINE => "DECLINE",
            Self::ACK => "ACK",
            Self::NAK => "NAK",
            Self::RELEASE => "RELEASE",
            Self::INFORM => "INFORM",
            Self(other) => return write!(f, "type {other}"),
        })
    }
}

impl fmt::Debug for Dhcp4MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Options of DHCP (RFC 2132 where no other is named).
#[derive(Clone, Copy, Debug, PartialEq, Eq, OptionSet)]
#[options(framing = CodeLength)]
pub enum Dhcp4Option<'a> {
    /// Mask of the client's subnet.
    #[option(1)]
    SubnetMask(Ipv4Addr),
    /// Routers in order of preference.
    #[option(3)]
    Routers(Each<'a, Ipv4Addr>),
    /// Name servers in order of preference.
    #[option(6)]
    DnsServers(Each<'a, Ipv4Addr>),
    /// The client's name, in ASCII.
    #[option(12)]
    HostName(&'a [u8]),
    /// The domain of the client's name, in ASCII.
    #[option(15)]
    DomainName(&'a [u8]),
    /// MTU of the link in bytes.
    #[option(26)]
    InterfaceMtu(u16),
    /// The address a client asks for.
    #[option(50)]
    RequestedAddress(Ipv4Addr),
    /// Seconds the lease lasts.
    #[option(51)]
    LeaseTime(u32),
    /// Which of `boot_file` (1) and `server_name` (2) hold options too; 3: both.
    #[option(52)]
    Overload(u8),
    /// What the message is.
    #[option(53)]
    MessageType(Dhcp4MessageType),
    /// The server that is meant or that speaks.
    #[option(54)]
    ServerIdentifier(Ipv4Addr),
    /// Codes of the options the client asks for, in its order.
    #[option(55)]
    ParameterRequestList(&'a [u8]),
    /// Why, in ASCII.
    #[option(56)]
    Message(&'a [u8]),
    /// Bytes of the longest message the client takes, IP and UDP headers included.
    #[option(57)]
    MaximumMessageSize(u16),
    /// Seconds until the client asks its server to go on.
    #[option(58)]
    RenewalTime(u32),
    /// Seconds until the client asks any server to go on.
    #[option(59)]
    RebindingTime(u32),
    /// By what the client wants to be known (RFC 4361, RFC 6842).
    #[option(61)]
    ClientIdentifier(&'a [u8]),
    /// Domains to look short names up in, as RFC 1035 encodes them (RFC 3397).
    #[option(119)]
    DomainSearch(&'a [u8]),
    /// Routes: for each the bits of the prefix, its significant octets, and the router (RFC 3442).
    #[option(121)]
    ClasslessRoutes(&'a [u8]),
    /// Any other, and those whose length does not fit.
    #[option(unknown)]
    Unknown(RawOption<'a, u8>),
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::{Cause, MacAddr, ParseError, dhcp4};
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn a_discover() {
        let options = [
            Dhcp4Option::MessageType(Dhcp4MessageType::DISCOVER),
            Dhcp4Option::ParameterRequestList(&[1, 121]),
        ];
        let mut message = Dhcp4 {
            transaction_id: 0xb5ca_8803,
            flags: Dhcp4Flags::BROADCAST,
            options: Dhcp4Options::of(&options).unwrap(),
            ..Dhcp4::default()
        };
        let mac = MacAddr([0xa8, 0x40, 0x25, 0xf0, 0x00, 0x01]);
        message.client_hardware[..6].copy_from_slice(&mac.0);
        let mut bytes = vec![0; 260];
        assert_eq!(message.emit(&mut bytes), Ok(247));
        assert_eq!(
            bytes[..12],
            [1, 1, 6, 0, 0xb5, 0xca, 0x88, 3, 0, 0, 0x80, 0]
        );
        assert_eq!(bytes[236..247], [99, 130, 83, 99, 53, 1, 1, 55, 2, 1, 121]);
        // The zeros behind are padding.
        let (view, _) = Dhcp4::parse(&bytes).unwrap();
        assert_eq!(
            view.options().iter().collect::<Result<Vec<_>, _>>(),
            Ok(options.to_vec())
        );
        assert_eq!(view.client_hardware()[..6], mac.0);
        bytes[236] = 0;
        let cookie = Cause::Illegal { value: 0x0082_5363 };
        assert_eq!(
            Dhcp4::parse(&bytes).unwrap_err(),
            ParseError::new("Dhcp4", "cookie", cookie)
        );
    }

    #[test]
    fn names_stand_where_rfc_2131_has_them() {
        use crate::Field;
        let offsets = [dhcp4::ServerName::BIT_OFFSET, dhcp4::BootFile::BIT_OFFSET];
        assert_eq!(offsets.map(|bits| bits / 8), [44, 108]);
    }

    #[test]
    fn options_of_another_length_are_kept_as_they_are() {
        let list = crate::options::OptionList::<Dhcp4Option<'static>>::new(&[53, 2, 1, 1, 255, 9]);
        let raw = RawOption {
            kind: 53,
            body: &[1, 1],
        };
        assert_eq!(
            list.iter().collect::<Vec<_>>(),
            [Ok(Dhcp4Option::Unknown(raw))]
        );
    }
}
