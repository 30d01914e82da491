//! DHCPv4 server (RFC 2131, RFC 2132, RFC 3396, RFC 3397, RFC 3442, RFC 6842) with one client and one address.
//!
//! | client sends | server answers |
//! |---|---|
//! | DISCOVER | OFFER |
//! | REQUEST for the client's address: selecting, init-reboot, renewing, rebinding | ACK |
//! | REQUEST for another address | NAK |
//! | REQUEST that selects another server | nothing |
//! | INFORM | ACK without address and lease |
//! | DECLINE, RELEASE | nothing |
//!
//! The lease is the port's configuration, so nothing is remembered between messages: an address declined is offered again,
//! as there is no other. Relayed messages and BOOTP without a message type are refused.
//!
//! A client that lists the parameters it wants gets those, in its order, beside what every lease has: message type, server
//! identifier, lease time and subnet mask. A client without a list gets all there are. What does not fit the client's maximum message size
//! is left out, from the end.

mod parameters;
mod request;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;

use opte_headers::{
    Dhcp4, Dhcp4Flags, Dhcp4Get, Dhcp4MessageType as MessageType, Dhcp4Op, Dhcp4Option, Ethernet,
    EthernetGet, EthernetSet, Ethertype, Field, Header, IpProtocol, Ipv4, Ipv4Get, MacAddr,
    ParseError, Udp, dhcp4,
};

use parameters::Parameters;
use request::{Pieces, Request};

use super::datagram::{Datagram, Head, Piece};
use super::reply::Reply;
use super::request::Ipv4Request;
use super::{Answer, Service, ServiceError};
use crate::api::DomainName;

/// What the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The client's link-layer address.
    pub guest_mac: MacAddr,
    /// The client's address.
    pub guest_ip: Ipv4Addr,
    /// Bits of the subnet mask; more than 32 count as 32. With 32 all traffic goes by the gateway.
    pub prefix_len: u8,
    /// The link-layer address replies come from.
    pub gateway_mac: MacAddr,
    /// The router, and the server's own address and identifier.
    pub gateway_ip: Ipv4Addr,
    /// The lease in seconds.
    pub lease_time: u32,
    /// MTU of the client's link in bytes.
    pub mtu: u16,
    /// Name servers in order of preference, any number.
    pub dns_servers: Vec<Ipv4Addr>,
    /// The client's host name.
    pub hostname: Option<DomainName>,
    /// The domain the host name is in.
    pub domain: Option<DomainName>,
    /// Domains to look a short name up in, in this order.
    pub domain_search: Vec<DomainName>,
}

impl Config {
    /// The least a client needs: a /32, a lease of a day, an MTU of 1,500 bytes, no names.
    pub const fn new(
        guest_mac: MacAddr,
        guest_ip: Ipv4Addr,
        gateway_mac: MacAddr,
        gateway_ip: Ipv4Addr,
    ) -> Self {
        Self {
            guest_mac,
            guest_ip,
            prefix_len: 32,
            gateway_mac,
            gateway_ip,
            lease_time: 86_400,
            mtu: 1_500,
            dns_servers: Vec::new(),
            hostname: None,
            domain: None,
            domain_search: Vec::new(),
        }
    }
}

/// The server. What it tells is rendered when it is made.
#[derive(Clone, Debug)]
pub struct Server {
    guest_mac: MacAddr,
    guest_ip: Ipv4Addr,
    gateway_mac: MacAddr,
    gateway_ip: Ipv4Addr,
    mtu: u16,
    /// The headers of every answer.
    head: Head,
    offer: Piece,
    ack: Piece,
    ack_to_inform: Piece,
    nak: Piece,
    parameters: Parameters,
}

impl Server {
    /// A server for one client.
    pub fn new(config: &Config) -> Self {
        Self {
            guest_mac: config.guest_mac,
            guest_ip: config.guest_ip,
            gateway_mac: config.gateway_mac,
            gateway_ip: config.gateway_ip,
            mtu: config.mtu,
            head: head(config),
            offer: lease(MessageType::OFFER, config),
            ack: lease(MessageType::ACK, config),
            ack_to_inform: Piece::of::<Dhcp4Option<'static>>(&[
                Dhcp4Option::MessageType(MessageType::ACK),
                Dhcp4Option::ServerIdentifier(config.gateway_ip),
                Dhcp4Option::SubnetMask(mask(config.prefix_len)),
            ]),
            nak: Piece::of::<Dhcp4Option<'static>>(&[
                Dhcp4Option::MessageType(MessageType::NAK),
                Dhcp4Option::ServerIdentifier(config.gateway_ip),
            ]),
            parameters: Parameters::new(config),
        }
    }

    /// What is said to `request`, if anything (RFC 2131, section 4.3).
    fn decide(&self, request: &Request<'_>) -> Result<Option<MessageType>, ParseError> {
        match request.message_type {
            MessageType::DISCOVER => Ok(Some(MessageType::OFFER)),
            MessageType::INFORM => Ok(Some(MessageType::ACK)),
            MessageType::REQUEST => self.decide_request(request),
            MessageType::DECLINE | MessageType::RELEASE => Ok(None),
            other => Err(ParseError::illegal(
                "Dhcp4Option",
                "message_type",
                other.0.into(),
            )),
        }
    }

    /// Section 4.3.2: the state a client is in shows in which of the three addresses it fills in.
    fn decide_request(&self, request: &Request<'_>) -> Result<Option<MessageType>, ParseError> {
        if request
            .server
            .is_some_and(|server| server != self.gateway_ip)
        {
            return Ok(None);
        }
        let wanted = match request.requested {
            Some(address) => address,
            // Renewing and rebinding: "'requested IP address' option MUST NOT be filled in, 'ciaddr' MUST be filled in".
            None => request.fixed.client_ip(),
        };
        if wanted.is_unspecified() {
            return Err(ParseError::illegal("Dhcp4", "client_ip", 0));
        }
        Ok(Some(if wanted == self.guest_ip {
            MessageType::ACK
        } else {
            MessageType::NAK
        }))
    }

    /// Where the answer goes (section 4.1).
    fn destination(&self, ty: MessageType, request: &Request<'_>, source: Ipv4Addr) -> Ipv4Addr {
        let client_ip = request.fixed.client_ip();
        match request.message_type {
            // "the server broadcasts any DHCPNAK messages to 0xffffffff"
            _ if ty == MessageType::NAK => Ipv4Addr::BROADCAST,
            _ if !client_ip.is_unspecified() => client_ip,
            // A client that informs has an address, also where it forgets to say so.
            MessageType::INFORM if !source.is_unspecified() => source,
            MessageType::INFORM => Ipv4Addr::BROADCAST,
            _ if request.wants_broadcast() => Ipv4Addr::BROADCAST,
            _ => self.guest_ip,
        }
    }

    /// The headers of the answer, as far as the options: what changes is put over what was rendered.
    fn write_head(
        &self,
        frame: &mut Datagram<'_>,
        ty: MessageType,
        request: &Request<'_>,
        to: Ipv4Addr,
    ) -> Result<(), ServiceError> {
        frame.piece(&self.head.piece)?;
        if to.is_broadcast() {
            Ethernet::parse_mut(frame.written())?
                .0
                .set_destination(MacAddr::BROADCAST);
        }
        frame.fill(
            place_of::<dhcp4::TransactionId>(),
            request.fixed.transaction_id(),
        );
        if request.wants_broadcast() {
            // Seconds, which stay zero, stand before the flags.
            let flags = Dhcp4Flags::BROADCAST.bits();
            frame.fill(place_of::<dhcp4::Seconds>(), flags.into());
        }
        // Table 3 of section 4.3.1.
        if ty == MessageType::ACK {
            let client_ip = request.fixed.client_ip().to_bits();
            frame.fill(place_of::<dhcp4::ClientIp>(), client_ip);
        }
        if ty != MessageType::NAK && request.message_type != MessageType::INFORM {
            frame.fill(place_of::<dhcp4::YourIp>(), self.guest_ip.to_bits());
        }
        Ok(())
    }

    /// The options of the answer.
    fn write_options(
        &self,
        frame: &mut Datagram<'_>,
        ty: MessageType,
        request: &Request<'_>,
    ) -> Result<(), ServiceError> {
        frame.piece(match (ty, request.message_type) {
            (MessageType::OFFER, _) => &self.offer,
            (MessageType::NAK, _) => &self.nak,
            (_, MessageType::INFORM) => &self.ack_to_inform,
            _ => &self.ack,
        })?;
        let Pieces { first, second } = request.client_identifier;
        if let Some(first) = first {
            write(frame, &Dhcp4Option::ClientIdentifier(first))?;
            if !second.is_empty() {
                write(frame, &Dhcp4Option::ClientIdentifier(second))?;
            }
        }
        if ty != MessageType::NAK {
            self.write_parameters(frame, request);
        }
        frame.byte(code::END)
    }

    /// The parameters that the client wants, as far as they fit.
    fn write_parameters(&self, frame: &mut Datagram<'_>, request: &Request<'_>) {
        // One byte is for the end.
        const END: usize = 1;
        let Pieces { first, second } = request.parameter_list;
        let Some(first) = first else {
            return frame.pieces(self.parameters.all(), END);
        };
        // "the server SHOULD NOT include the Router" where it includes classless routes (RFC 3442).
        // Clients ask for them late.
        let routes = |codes: &[u8]| {
            codes
                .iter()
                .rev()
                .any(|code| *code == code::CLASSLESS_ROUTES)
        };
        let mut done = match routes(first) || routes(second) {
            true => self.parameters.bit(code::ROUTER),
            false => 0,
        };
        frame.pieces(self.parameters.of(first, &mut done), END);
        if !second.is_empty() {
            frame.pieces(self.parameters.of(second, &mut done), END);
        }
    }
}

fn write(frame: &mut Datagram<'_>, option: &Dhcp4Option<'_>) -> Result<(), ServiceError> {
    frame.option::<Dhcp4Option<'static>>(option)
}

/// What every answer with a lease says.
fn lease(ty: MessageType, config: &Config) -> Piece {
    Piece::of::<Dhcp4Option<'static>>(&[
        Dhcp4Option::MessageType(ty),
        Dhcp4Option::ServerIdentifier(config.gateway_ip),
        Dhcp4Option::LeaseTime(config.lease_time),
        // An address is of no use without its mask.
        Dhcp4Option::SubnetMask(mask(config.prefix_len)),
    ])
}

fn mask(prefix_len: u8) -> Ipv4Addr {
    let zeros = 32 - u32::from(prefix_len.min(32));
    Ipv4Addr::from_bits(u32::MAX.checked_shl(zeros).unwrap_or(0))
}

/// The headers of every answer.
fn head(config: &Config) -> Head {
    let mut head = vec![0; HEAD];
    let mut frame = Reply::new(&mut head);
    let mut client_hardware = [0; 16];
    client_hardware
        .iter_mut()
        .zip(config.guest_mac.0)
        .for_each(|(to, from)| *to = from);
    let written = frame
        .header(&Ethernet {
            destination: config.guest_mac,
            source: config.gateway_mac,
            ethertype: Ethertype::IPV4,
        })
        .and_then(|()| {
            frame.header(&Ipv4 {
                protocol: IpProtocol::UDP,
                source: config.gateway_ip,
                ..Ipv4::default()
            })
        })
        .and_then(|()| {
            frame.header(&Udp {
                source: SERVER_PORT,
                destination: CLIENT_PORT,
                length: 0,
                checksum: 0,
            })
        })
        .and_then(|()| {
            frame.header(&Dhcp4 {
                op: Dhcp4Op::REPLY,
                client_hardware,
                ..Dhcp4::default()
            })
        });
    // The headers have just this length.
    debug_assert!(written.is_ok());
    Head::over_ipv4(head, config.gateway_ip)
}

impl Service for Server {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Some(packet) = Ipv4Request::parse(request, IpProtocol::UDP)? else {
            return Ok(Answer::NotForUs);
        };
        let (destination, mac) = (packet.ip.destination(), packet.ethernet.destination());
        if !(destination.is_broadcast() || destination == self.gateway_ip)
            || !(mac.is_broadcast() || mac == self.gateway_mac)
        {
            return Ok(Answer::NotForUs);
        }
        let Some(data) = packet.udp(CLIENT_PORT, SERVER_PORT)? else {
            return Ok(Answer::NotForUs);
        };
        let mut request = Request::new(data, self.guest_mac)?;
        request.read_all(data)?;
        let Some(ty) = self.decide(&request)? else {
            return Ok(Answer::Accepted);
        };
        let longest = Ethernet::MIN_LEN + request.max_message_size.min(self.mtu.into());
        let available = reply.len();
        let room = reply.get_mut(..longest.min(available)).unwrap_or_default();
        let mut frame = Datagram::new(room);
        let to = self.destination(ty, &request, packet.ip.source());
        self.write_head(&mut frame, ty, &request, to)?;
        self.write_options(&mut frame, ty, &request)?;
        frame.pad_to(MIN_FRAME)?;
        frame.complete4(&self.head, to)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DHCPv4 Server {}: {} for {}",
            self.gateway_ip, self.guest_ip, self.guest_mac
        )
    }
}

/// Codes of options (RFC 2132).
mod code {
    pub(super) const ROUTER: u8 = 3;
    pub(super) const DNS_SERVERS: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const DOMAIN_NAME: u8 = 15;
    pub(super) const INTERFACE_MTU: u8 = 26;
    pub(super) const DOMAIN_SEARCH: u8 = 119;
    pub(super) const CLASSLESS_ROUTES: u8 = 121;
    pub(super) const END: u8 = 255;
    // What the server has to understand.
    pub(super) const REQUESTED_ADDRESS: u8 = 50;
    pub(super) const OVERLOAD: u8 = 52;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER_IDENTIFIER: u8 = 54;
    pub(super) const PARAMETER_LIST: u8 = 55;
    pub(super) const MAXIMUM_MESSAGE_SIZE: u8 = 57;
    pub(super) const CLIENT_IDENTIFIER: u8 = 61;
}

/// Where a field of the message stands in a frame.
const fn place_of<F: Field<Header = Dhcp4>>() -> usize {
    HEAD - Dhcp4::MIN_LEN + F::BIT_OFFSET / 8
}

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// Bytes of a frame before its options.
const HEAD: usize = Ethernet::MIN_LEN + Ipv4::MIN_LEN + Udp::MIN_LEN + Dhcp4::MIN_LEN;

/// The frame of the least BOOTP message (RFC 951, section 3): clients older than DHCP take no shorter one.
const MIN_FRAME: usize = Ethernet::MIN_LEN + Ipv4::MIN_LEN + Udp::MIN_LEN + 300;
