//! The services of a port: what the engine answers to a guest in place of its gateway and of servers that do not exist.
//!
//! A service is made once from its configuration, renders then what is the same in every reply, and after that is a pure
//! function: a frame in, a reply into the buffer it is given, nothing allocated, nothing remembered. A reply is a whole frame, from the
//! Ethernet header on, complete with lengths and checksums.
//!
//! | service | what it answers | its rule should match, outbound |
//! |---|---|---|
//! | [`arp::Responder`] | requests for the gateway's address | Ethertype ARP |
//! | [`icmp4::EchoResponder`] | echo requests to the gateway | ICMP echo request to the gateway's address |
//! | [`icmp6::EchoResponder`] | echo requests to the gateway | ICMPv6 echo request to an address of the gateway |
//! | [`ndp::RouterResponder`] | router solicitations | ICMPv6 type 133 |
//! | [`ndp::NeighbourResponder`] | neighbour solicitations for the gateway | ICMPv6 type 135 |
//! | [`dhcp4::Server`] | every message of a DHCPv4 client | UDP port 68 to 67, to 255.255.255.255 or to the gateway |
//! | [`dhcp6::Server`] | every message of a DHCPv6 client | UDP port 546 to 547, to ff02::1:2, ff05::1:3 or the gateway |
//!
//! What is not for a service passes on to the following rules; what is, but gets no answer, is dropped. A service checks
//! addresses itself as far as its standard asks; a rule that matches too much does no harm.
//!
//! ```
//! use opte::services::{Hairpinned, arp};
//!
//! let responder = Hairpinned::new(arp::Responder::new(arp::Config {
//!     guest_mac: "a8:40:25:f0:00:01".parse()?,
//!     gateway_mac: "a8:40:25:ff:77:77".parse()?,
//!     gateway_ip: "172.30.0.1".parse()?,
//! }));
//! assert_eq!(responder.to_string(), "ARP 172.30.0.1 is-at A8:40:25:FF:77:77");
//! // Action::Hairpin(Arc::new(responder)) is what a rule takes.
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

pub mod arp;
pub mod dhcp4;
pub mod dhcp6;
pub mod icmp4;
pub mod icmp6;
pub mod ndp;

mod counters;
mod datagram;
mod domain_search;
mod reply;
mod request;

use core::fmt;
use core::net::Ipv6Addr;

use opte_headers::frame::Parsed;
use opte_headers::{EmitError, MacAddr, ParseError};

pub use counters::{Counters, Counts};

use crate::Direction;
use crate::action::{Hairpin, HairpinAction};

/// A service of a port. `Display` is its text in a dump of the rules.
pub trait Service: fmt::Display + Send + Sync {
    /// Answers `request`, a frame of the guest from its Ethernet header on; the reply is written to the start of `reply`.
    ///
    /// # Errors
    /// [`ServiceError::Request`] where the frame is for this service but not as its standard wants it: it gets no answer.
    /// [`ServiceError::NoRoom`] where `reply` is too short; no reply is longer than [`MAX_REPLY`] or the request.
    fn answer(&self, request: &[u8], reply: &mut [u8]) -> Result<Answer, ServiceError>;
}

/// What a service does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The first so many bytes of the buffer are the reply.
    Reply(usize),
    /// The frame was for the service, which has nothing to say to it (a DHCP release, an ARP announcement).
    Accepted,
    /// The frame is not for the service.
    NotForUs,
}

/// Why a frame that is for a service gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceError {
    /// The request is malformed, or says what its standard forbids.
    Request(ParseError),
    /// The reply does not fit the buffer.
    NoRoom {
        /// Bytes the reply needs.
        needed: usize,
        /// Bytes there are.
        available: usize,
    },
}

/// The gateway as it is known to IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway6 {
    /// Its link-layer address.
    pub mac: MacAddr,
    /// Its link-local address, from which it advertises itself.
    pub link_local: Ipv6Addr,
    /// An address of it beside that.
    pub address: Option<Ipv6Addr>,
}

impl Gateway6 {
    /// The gateway with this link-layer address and the link-local one made from it (RFC 4862, section 5.3).
    pub const fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            link_local: mac.to_link_local(),
            address: None,
        }
    }

    /// The same gateway, which has this address too.
    #[must_use]
    pub const fn with_address(self, address: Ipv6Addr) -> Self {
        Self {
            address: Some(address),
            ..self
        }
    }

    /// Whether the address is one of the gateway's.
    pub fn has(&self, address: Ipv6Addr) -> bool {
        address == self.link_local || Some(address) == self.address
    }
}

impl fmt::Display for Gateway6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.link_local)?;
        self.address
            .iter()
            .try_for_each(|address| write!(f, ",{address}"))
    }
}

/// Bytes that hold every reply but the echo of a request that is itself longer.
pub const MAX_REPLY: usize = 1514;

/// A service as the action of a rule, with counters of what it did.
#[derive(Debug)]
pub struct Hairpinned<S> {
    service: S,
    counters: Counters,
}

impl<S: Service> Hairpinned<S> {
    /// The service with its counters at zero.
    pub const fn new(service: S) -> Self {
        Self {
            service,
            counters: Counters::new(),
        }
    }

    /// The service.
    pub const fn service(&self) -> &S {
        &self.service
    }

    /// What the service has done so far.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }
}

impl<S: Service> HairpinAction for Hairpinned<S> {
    fn reply(&self, dir: Direction, _parsed: &Parsed, frame: &[u8], reply: &mut [u8]) -> Hairpin {
        // Only the guest is served.
        if dir == Direction::In {
            return Hairpin::Pass;
        }
        let outcome = self.service.answer(frame, reply);
        self.counters.count(&outcome);
        match outcome {
            Ok(Answer::Reply(len)) => Hairpin::Reply(len),
            Ok(Answer::NotForUs) => Hairpin::Pass,
            Ok(Answer::Accepted) | Err(ServiceError::Request(_)) => Hairpin::Deny,
            Err(ServiceError::NoRoom { .. }) => Hairpin::TooLong,
        }
    }
}

impl<S: fmt::Display> fmt::Display for Hairpinned<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::NoRoom { needed, available } => {
                write!(f, "the reply needs {needed} bytes, there are {available}")
            }
        }
    }
}

impl core::error::Error for ServiceError {}

impl From<ParseError> for ServiceError {
    fn from(error: ParseError) -> Self {
        Self::Request(error)
    }
}

impl From<EmitError> for ServiceError {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::NoRoom { needed, available } => Self::NoRoom { needed, available },
            // No header of a reply has a tail that its own length field cannot tell.
            EmitError::Unrepresentable { length, .. } => Self::NoRoom {
                needed: length,
                available: 0,
            },
        }
    }
}

/// Hops an echo reply may make.
const ECHO_HOP_LIMIT: u8 = 128;
