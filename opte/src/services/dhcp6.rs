//! DHCPv6 server (RFC 8415, RFC 3646, RFC 4075, RFC 4704) with one client and one address.
//!
//! | client sends | server answers |
//! |---|---|
//! | SOLICIT | ADVERTISE, or REPLY where both commit rapidly |
//! | REQUEST, RENEW, REBIND | REPLY with the address |
//! | CONFIRM | REPLY: success, or not on link; nothing if no address is named |
//! | RELEASE, DECLINE | REPLY: success |
//! | INFORMATION-REQUEST | REPLY without addresses |
//! | one of these to another server | nothing |
//!
//! The address is the port's configuration, so nothing is remembered between messages: it belongs to the first identity association that
//! names it, or else to the first. Others, temporary addresses and prefixes are not to be had.
//!
//! A client that lists the options it wants gets those, in its order; one without a list gets all there are. What does not
//! fit the least MTU of IPv6 is left out, from the end.

mod request;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv6Addr;

use opte_headers::options::OptionSet;
use opte_headers::{
    Dhcp6, Dhcp6Get, Dhcp6MessageType as MessageType, Dhcp6Option, Dhcp6Status as Status,
    DuidLinkLayer, EmitError, Ethernet, EthernetGet, Ethertype, Header, IpProtocol, Ipv6, Ipv6Get,
    MacAddr, Options, ParseError, RawOption, Udp, Wire,
};

use request::{Association, Kind, Request};

use super::datagram::{Datagram, Head, Piece};
use super::reply::Reply;
use super::request::{Ipv6Request, is_host_v6};
use super::{Answer, Gateway6, Service, ServiceError, domain_search};
use crate::api::DomainName;

/// What the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The client's link-layer address.
    pub guest_mac: MacAddr,
    /// The client's address.
    pub guest_ip: Ipv6Addr,
    /// The server.
    pub gateway: Gateway6,
    /// Seconds for which the address may be used; [`FOREVER`] for good.
    pub lifetime: u32,
    /// Name servers in order of preference, any number.
    pub dns_servers: Vec<Ipv6Addr>,
    /// Domains to look a short name up in, in this order.
    pub domain_search: Vec<DomainName>,
    /// Time servers in order of preference, any number.
    pub sntp_servers: Vec<Ipv6Addr>,
    /// The client's host name.
    pub hostname: Option<DomainName>,
    /// The domain the host name is in.
    pub domain: Option<DomainName>,
}

/// A lifetime without an end.
pub const FOREVER: u32 = u32::MAX;

impl Config {
    /// The least a client needs: an address for good, no names.
    pub const fn new(guest_mac: MacAddr, guest_ip: Ipv6Addr, gateway: Gateway6) -> Self {
        Self {
            guest_mac,
            guest_ip,
            gateway,
            lifetime: FOREVER,
            dns_servers: Vec::new(),
            domain_search: Vec::new(),
            sntp_servers: Vec::new(),
            hostname: None,
            domain: None,
        }
    }
}

/// The server. What it tells is rendered when it is made.
#[derive(Clone, Debug)]
pub struct Server {
    guest_mac: MacAddr,
    guest_ip: Ipv6Addr,
    gateway: Gateway6,
    lifetime: u32,
    duid: [u8; DuidLinkLayer::MIN_LEN],
    /// The headers of every answer.
    head: Head,
    /// The server's identifier.
    identifier: Piece,
    /// An identity association with the client's address; its identifier is zero.
    bound: Piece,
    preferred: Piece,
    committed: Piece,
    /// Each option beside addresses, by its code.
    parameters: Vec<(u16, Piece)>,
}

impl Server {
    /// A server for one client.
    pub fn new(config: &Config) -> Self {
        let mut duid = [0; DuidLinkLayer::MIN_LEN];
        // There is room for just this.
        let _ = DuidLinkLayer {
            mac: config.gateway.mac,
            ..DuidLinkLayer::default()
        }
        .emit(&mut duid);
        let mut server = Self {
            guest_mac: config.guest_mac,
            guest_ip: config.guest_ip,
            gateway: config.gateway,
            lifetime: config.lifetime,
            duid,
            head: head(config),
            identifier: Piece::of::<Dhcp6Option<'static>>(&[Dhcp6Option::ServerIdentifier(&duid)]),
            bound: bound(config),
            // There is no other server to wait for.
            preferred: Piece::of::<Dhcp6Option<'static>>(&[Dhcp6Option::Preference(255)]),
            committed: Piece::of::<Dhcp6Option<'static>>(&[Dhcp6Option::RapidCommit]),
            parameters: Vec::new(),
        };
        server.add(code::DNS_SERVERS, octets(&config.dns_servers));
        server.add(
            code::DOMAIN_LIST,
            domain_search::uncompressed(&config.domain_search),
        );
        server.add(code::SNTP_SERVERS, octets(&config.sntp_servers));
        server.add(code::CLIENT_FQDN, fqdn(config));
        server
    }

    /// Adds an option that is the same in every reply, if it has a value.
    fn add(&mut self, code: u16, value: Vec<u8>) {
        let mut bytes = vec![0; value.len().saturating_add(4)];
        let option = Dhcp6Option::Unknown(RawOption {
            kind: code,
            body: &value,
        });
        if !value.is_empty() && Dhcp6Option::encode(&option, &mut bytes).is_some() {
            self.parameters.push((code, Piece::new(bytes)));
        }
    }

    /// The type of the answer, if there is one.
    fn decide(&self, request: &Request<'_>) -> Option<MessageType> {
        if request.server_id.is_some_and(|server| server != self.duid) {
            return None;
        }
        match request.fixed.message_type() {
            MessageType::SOLICIT if !request.rapid_commit => Some(MessageType::ADVERTISE),
            // "If no addresses were included in any of the IAs ..., the server MUST NOT send a Reply" (section 18.3.3).
            MessageType::CONFIRM
                if request
                    .associations()
                    .all(|ia| ia.addresses().next().is_none()) =>
            {
                None
            }
            _ => Some(MessageType::REPLY),
        }
    }

    /// The headers of the answer, as far as the options.
    fn write_head(
        &self,
        frame: &mut Datagram<'_>,
        ty: MessageType,
        request: &Request<'_>,
    ) -> Result<(), ServiceError> {
        frame.piece(&self.head.piece)?;
        let transaction_id = request.fixed.transaction_id().value();
        frame.fill(HEAD, u32::from(ty.0) << 24 | transaction_id);
        Ok(())
    }

    /// The options of the answer to a message that came the right way.
    fn write_options(
        &self,
        frame: &mut Datagram<'_>,
        request: &Request<'_>,
    ) -> Result<(), ServiceError> {
        match request.fixed.message_type() {
            MessageType::CONFIRM => {
                let mut addresses = request.associations().flat_map(|ia| ia.addresses());
                let on_link = addresses.all(|address| address == self.guest_ip);
                write_status(
                    frame,
                    if on_link {
                        Status::SUCCESS
                    } else {
                        Status::NOT_ON_LINK
                    },
                )
            }
            MessageType::RELEASE | MessageType::DECLINE => {
                write_status(frame, Status::SUCCESS)?;
                let mut unknown = request.associations().filter(|ia| !self.is_ours(ia));
                unknown.try_for_each(|ia| {
                    write_association(frame, &ia, 0, &refused(Status::NO_BINDING)?)
                })
            }
            ty => {
                if ty == MessageType::SOLICIT && request.rapid_commit {
                    frame.piece(&self.committed)?;
                } else if ty == MessageType::SOLICIT {
                    frame.piece(&self.preferred)?;
                }
                self.write_associations(frame, request)?;
                self.write_parameters(frame, request);
                Ok(())
            }
        }
    }

    /// The address in the association it belongs to, and what is wrong with the others.
    fn write_associations(
        &self,
        frame: &mut Datagram<'_>,
        request: &Request<'_>,
    ) -> Result<(), ServiceError> {
        let renews = matches!(
            request.fixed.message_type(),
            MessageType::RENEW | MessageType::REBIND
        );
        if let Some(only) = request.only().filter(|ia| ia.kind == Kind::NonTemporary)
            && !renews
        {
            return self.write_bound(frame, only);
        }
        let ours = request.associations().position(|ia| self.is_ours(&ia));
        let first = || {
            request
                .associations()
                .position(|ia| ia.kind == Kind::NonTemporary)
        };
        let ours = ours.or_else(first);
        for (place, ia) in request.associations().enumerate() {
            if Some(place) == ours && !renews {
                self.write_bound(frame, &ia)?;
                continue;
            }
            let mut options = match (renews, ia.kind) {
                _ if Some(place) == ours => Inner::of(&[leased(self.guest_ip, self.lifetime)])?,
                (true, _) => refused(Status::NO_BINDING)?,
                (false, Kind::Prefix) => refused(Status::NO_PREFIX_AVAIL)?,
                (false, _) => refused(Status::NO_ADDRS_AVAIL)?,
            };
            if renews && ia.kind != Kind::Prefix {
                // What the client may not use any longer it is told so, as far as there is room.
                let stale = ia
                    .addresses()
                    .filter(|address| Some(place) != ours || *address != self.guest_ip);
                stale
                    .take_while(|address| options.push(&leased(*address, 0)).is_ok())
                    .for_each(drop);
            }
            write_association(frame, &ia, self.lifetime, &options)?;
        }
        Ok(())
    }

    /// The client's address, in the association it belongs to.
    fn write_bound(
        &self,
        frame: &mut Datagram<'_>,
        ia: &Association<'_>,
    ) -> Result<(), ServiceError> {
        let start = frame.len();
        frame.piece(&self.bound)?;
        // Behind its code and length.
        frame.fill(start + 4, ia.id);
        Ok(())
    }

    /// The options that the client wants, as far as they fit.
    fn write_parameters(&self, frame: &mut Datagram<'_>, request: &Request<'_>) {
        let Some(list) = request.option_list else {
            return frame.pieces(self.parameters.iter().map(|(_, option)| option), 0);
        };
        let mut done = 0u64;
        let wanted = list.iter().filter_map(|code| {
            let mut known = self.parameters.iter().enumerate();
            let (place, (_, option)) = known.find(|(_, known)| known.0 == code)?;
            let bit = 1 << place;
            if done & bit != 0 {
                return None;
            }
            done |= bit;
            Some(option)
        });
        frame.pieces(wanted, 0);
    }

    /// Whether the client's address is in the association.
    fn is_ours(&self, ia: &Association<'_>) -> bool {
        ia.kind == Kind::NonTemporary && ia.addresses().any(|address| address == self.guest_ip)
    }
}

impl Service for Server {
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError> {
        let Some(packet) = Ipv6Request::parse(request, IpProtocol::UDP)? else {
            return Ok(Answer::NotForUs);
        };
        let (source, destination) = (packet.ip.source(), packet.ip.destination());
        let multicast = destination == ALL_AGENTS_AND_SERVERS || destination == ALL_SERVERS;
        if !multicast && !self.gateway.has(destination) {
            return Ok(Answer::NotForUs);
        }
        let Some(data) = packet.udp(CLIENT_PORT, SERVER_PORT)? else {
            return Ok(Answer::NotForUs);
        };
        if packet.ethernet.source() != self.guest_mac {
            return Err(ParseError::illegal(
                "Ethernet",
                "source",
                packet.ethernet.source().0.number(),
            )
            .into());
        }
        if !is_host_v6(source) {
            return Err(ParseError::illegal("Ipv6", "source", source.octets().number()).into());
        }
        let request = Request::parse(data)?;
        if !multicast && request.server_id.is_none() {
            // What is not for one server in particular must go to the group (section 16).
            return Err(
                ParseError::illegal("Ipv6", "destination", destination.octets().number()).into(),
            );
        }
        let Some(ty) = self.decide(&request) else {
            return Ok(Answer::Accepted);
        };
        let available = reply.len();
        let room = reply.get_mut(..MAX_FRAME.min(available));
        let mut frame = Datagram::new(room.unwrap_or_default());
        self.write_head(&mut frame, ty, &request)?;
        if let Some(client) = request.client_id {
            write(&mut frame, &Dhcp6Option::ClientIdentifier(client))?;
        }
        frame.piece(&self.identifier)?;
        if multicast || request.fixed.message_type() == MessageType::INFORMATION_REQUEST {
            self.write_options(&mut frame, &request)?;
        } else {
            // No client has been told that it may speak to the server alone (section 18.4).
            write_status(&mut frame, Status::USE_MULTICAST)?;
        }
        frame.complete6(source)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DHCPv6 Server {}: {} for {}",
            self.gateway.link_local, self.guest_ip, self.guest_mac
        )
    }
}

/// The headers of every answer, destination, type and transaction left zero.
fn head(config: &Config) -> Head {
    let mut head = vec![0; HEAD + Dhcp6::MIN_LEN];
    let mut frame = Reply::new(&mut head);
    let written = frame
        .header(&Ethernet {
            destination: config.guest_mac,
            source: config.gateway.mac,
            ethertype: Ethertype::IPV6,
        })
        .and_then(|()| {
            frame.header(&Ipv6 {
                next_header: IpProtocol::UDP,
                source: config.gateway.link_local,
                ..Ipv6::default()
            })
        })
        .and_then(|()| {
            frame.header(&Udp {
                source: SERVER_PORT,
                destination: CLIENT_PORT,
                length: 0,
                checksum: 0,
            })
        });
    // The headers have just this length.
    debug_assert!(written.is_ok());
    Head::over_ipv6(head, config.gateway.link_local)
}

/// The client's address, in an association yet without an identifier.
fn bound(config: &Config) -> Piece {
    let (renewal, rebinding) = renewal_times(config.lifetime);
    // There is room for one address.
    let inner = Inner::of(&[leased(config.guest_ip, config.lifetime)]).unwrap_or(Inner::EMPTY);
    Piece::of::<Dhcp6Option<'static>>(&[Dhcp6Option::IaNa {
        id: 0,
        renewal,
        rebinding,
        options: inner.list().bytes(),
    }])
}

/// What is leased for so many seconds is renewed in good time before they are over (RFC 8415, section 21.4).
const fn renewal_times(lifetime: u32) -> (u32, u32) {
    match lifetime {
        FOREVER => (FOREVER, FOREVER),
        _ => (lifetime / 2, lifetime / 5 * 4),
    }
}

/// Options within an identity association.
type Inner = Options<Dhcp6Option<'static>, 256>;

fn write(frame: &mut Datagram<'_>, option: &Dhcp6Option<'_>) -> Result<(), ServiceError> {
    frame.option::<Dhcp6Option<'static>>(option)
}

fn write_status(frame: &mut Datagram<'_>, code: Status) -> Result<(), ServiceError> {
    write(frame, &Dhcp6Option::Status { code, message: &[] })
}

/// An identity association as the client named it, with these options; what it holds is leased for so many seconds.
fn write_association(
    frame: &mut Datagram<'_>,
    ia: &Association<'_>,
    lifetime: u32,
    options: &Inner,
) -> Result<(), ServiceError> {
    let (id, options) = (ia.id, options.list().bytes());
    let (renewal, rebinding) = renewal_times(lifetime);
    let option = match ia.kind {
        Kind::NonTemporary => Dhcp6Option::IaNa {
            id,
            renewal,
            rebinding,
            options,
        },
        Kind::Temporary => Dhcp6Option::IaTa { id, options },
        Kind::Prefix => Dhcp6Option::IaPd {
            id,
            renewal,
            rebinding,
            options,
        },
    };
    write(frame, &option)
}

fn refused(code: Status) -> Result<Inner, EmitError> {
    Inner::of(&[Dhcp6Option::Status { code, message: &[] }])
}

const fn leased(address: Ipv6Addr, lifetime: u32) -> Dhcp6Option<'static> {
    Dhcp6Option::IaAddress {
        address,
        preferred: lifetime,
        valid: lifetime,
        options: &[],
    }
}

/// The client's full name, which the server, at the client's or its own wish, sees to (RFC 4704, section 4.1).
fn fqdn(config: &Config) -> Vec<u8> {
    let Some(hostname) = &config.hostname else {
        return Vec::new();
    };
    let mut value = Vec::new();
    value.push(FQDN_SERVER_UPDATES | FQDN_OVERRIDE);
    value.extend(hostname.encoded());
    if let Some(domain) = &config.domain {
        // In the place of the root.
        value.pop();
        value.extend(domain.encoded());
    }
    value
}

fn octets(addresses: &[Ipv6Addr]) -> Vec<u8> {
    addresses.iter().flat_map(Ipv6Addr::octets).collect()
}

/// Codes of options.
mod code {
    pub(super) const DNS_SERVERS: u16 = 23;
    pub(super) const DOMAIN_LIST: u16 = 24;
    pub(super) const SNTP_SERVERS: u16 = 31;
    pub(super) const CLIENT_FQDN: u16 = 39;
}

/// All_DHCP_Relay_Agents_and_Servers and All_DHCP_Servers (RFC 8415, section 7.1).
const ALL_AGENTS_AND_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);

const SERVER_PORT: u16 = 547;
const CLIENT_PORT: u16 = 546;

const FQDN_SERVER_UPDATES: u8 = 0x01;
const FQDN_OVERRIDE: u8 = 0x02;

/// A frame that every link of IPv6 takes (RFC 8200, section 5).
const MAX_FRAME: usize = Ethernet::MIN_LEN + 1_280;

/// Bytes of a frame before its message.
const HEAD: usize = Ethernet::MIN_LEN + Ipv6::MIN_LEN + Udp::MIN_LEN;
