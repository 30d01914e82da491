//! What a client's message asks.

use core::net::Ipv4Addr;

use opte_headers::options::OptionList;
use opte_headers::{
    Dhcp4, Dhcp4Flags, Dhcp4Get, Dhcp4MessageType, Dhcp4Op, Dhcp4Option, Field, Header, MacAddr,
    ParseError, Wire, dhcp4,
};

use super::code;

/// A client's message, checked.
pub(super) struct Request<'a> {
    pub(super) fixed: <Dhcp4 as Header>::View<'a>,
    pub(super) message_type: Dhcp4MessageType,
    /// The address asked for by option.
    pub(super) requested: Option<Ipv4Addr>,
    /// The server that is meant.
    pub(super) server: Option<Ipv4Addr>,
    /// Bytes of the longest message the client takes, IP and UDP headers included.
    pub(super) max_message_size: usize,
    /// The codes of the parameters the client wants, in its order; none if it does not say.
    pub(super) parameter_list: Pieces<'a>,
    /// By what the client wants to be known.
    pub(super) client_identifier: Pieces<'a>,
}

/// An option that a client may have split (RFC 3396), into two at most: one holds 255 bytes.
#[derive(Clone, Copy)]
pub(super) enum Pieces<'a> {
    None,
    One(&'a [u8]),
    Two(&'a [u8], &'a [u8]),
}

impl<'a> Pieces<'a> {
    /// The pieces, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let (first, second) = match self {
            Self::None => (None, None),
            Self::One(first) => (Some(first), None),
            Self::Two(first, second) => (Some(first), Some(second)),
        };
        first.into_iter().chain(second)
    }

    fn add(&mut self, piece: &'a [u8]) -> Result<(), ParseError> {
        *self = match *self {
            Self::None => Self::One(piece),
            Self::One(first) => Self::Two(first, piece),
            Self::Two(..) => {
                return Err(ParseError::bad_length(
                    "Dhcp4Option",
                    "length",
                    piece.len(),
                    0,
                ));
            }
        };
        Ok(())
    }
}

impl<'a> Request<'a> {
    /// The message in `data`, which a client with this hardware address sent.
    pub(super) fn parse(data: &'a [u8], client: MacAddr) -> Result<Self, ParseError> {
        let (fixed, _) = Dhcp4::parse(data)?;
        check_fixed(&fixed, client)?;
        let (_, options) = data.split_at_checked(Dhcp4::MIN_LEN).unwrap_or_default();
        let mut request = Self {
            fixed,
            message_type: Dhcp4MessageType(0),
            requested: None,
            server: None,
            max_message_size: MIN_MESSAGE_SIZE,
            parameter_list: Pieces::None,
            client_identifier: Pieces::None,
        };
        let overload = request.read(options)?;
        // RFC 2131, section 4.1: "the 'file' field MUST be interpreted first", then 'sname'.
        let file = if overload & 1 != 0 {
            field::<dhcp4::BootFile>(data)
        } else {
            &[]
        };
        let name = if overload & 2 != 0 {
            field::<dhcp4::ServerName>(data)
        } else {
            &[]
        };
        for area in [file, name] {
            if request.read(area)? != 0 {
                return Err(ParseError::illegal(
                    "Dhcp4Option",
                    "overload",
                    overload.into(),
                ));
            }
        }
        match request.message_type {
            // BOOTP (RFC 1534) has no leases.
            Dhcp4MessageType(0) => Err(ParseError::illegal("Dhcp4Option", "message_type", 0)),
            _ => Ok(request),
        }
    }

    /// Whether the answer must be broadcast.
    pub(super) fn wants_broadcast(&self) -> bool {
        self.fixed.flags().contains(Dhcp4Flags::BROADCAST)
    }

    /// Reads what decides over the answer; says which other fields hold options too.
    fn read(&mut self, area: &'a [u8]) -> Result<u8, ParseError> {
        let mut overload = 0;
        for option in OptionList::<Dhcp4Option<'static>>::new(area).iter() {
            match option? {
                Dhcp4Option::MessageType(ty) if self.message_type == Dhcp4MessageType(0) => {
                    self.message_type = ty
                }
                Dhcp4Option::RequestedAddress(address) if self.requested.is_none() => {
                    self.requested = Some(address)
                }
                Dhcp4Option::ServerIdentifier(server) if self.server.is_none() => {
                    self.server = Some(server)
                }
                Dhcp4Option::MaximumMessageSize(size) => {
                    self.max_message_size = usize::from(size).max(MIN_MESSAGE_SIZE);
                }
                Dhcp4Option::Overload(fields @ 1..=3) if overload == 0 => overload = fields,
                Dhcp4Option::ParameterRequestList(list) => self.parameter_list.add(list)?,
                // "The minimum length is 2" (RFC 2132, section 9.14).
                Dhcp4Option::ClientIdentifier([] | [_]) => {
                    return Err(ParseError::bad_length(
                        "Dhcp4Option",
                        "client_identifier",
                        2,
                        1,
                    ));
                }
                Dhcp4Option::ClientIdentifier(piece) => self.client_identifier.add(piece)?,
                // Given twice, or with a value that there is not.
                Dhcp4Option::MessageType(ty) => {
                    return Err(ParseError::illegal(
                        "Dhcp4Option",
                        "message_type",
                        ty.0.into(),
                    ));
                }
                Dhcp4Option::RequestedAddress(address) => {
                    return Err(ParseError::illegal(
                        "Dhcp4Option",
                        "requested_address",
                        address.to_bits().into(),
                    ));
                }
                Dhcp4Option::ServerIdentifier(server) => {
                    return Err(ParseError::illegal(
                        "Dhcp4Option",
                        "server_identifier",
                        server.to_bits().into(),
                    ));
                }
                Dhcp4Option::Overload(fields) => {
                    return Err(ParseError::illegal(
                        "Dhcp4Option",
                        "overload",
                        fields.into(),
                    ));
                }
                // What the server has to understand does not have the length it should have.
                Dhcp4Option::Unknown(raw) if code::OF_SERVER.contains(&raw.kind) => {
                    return Err(ParseError::bad_length(
                        "Dhcp4Option",
                        "length",
                        raw.body.len(),
                        raw.body.len(),
                    ));
                }
                _ => {}
            }
        }
        Ok(overload)
    }
}

/// Holds for a message that a client on this link sent itself.
fn check_fixed(fixed: &<Dhcp4 as Header>::View<'_>, client: MacAddr) -> Result<(), ParseError> {
    if fixed.op() != Dhcp4Op::REQUEST {
        return Err(ParseError::illegal("Dhcp4", "op", fixed.op().0.into()));
    }
    if (fixed.hardware_type(), fixed.hardware_len()) != (1, 6) {
        return Err(ParseError::illegal(
            "Dhcp4",
            "hardware_type",
            fixed.hardware_type().into(),
        ));
    }
    if fixed.client_hardware().first_chunk() != Some(&client.0) {
        return Err(ParseError::illegal(
            "Dhcp4",
            "client_hardware",
            fixed.client_hardware().number(),
        ));
    }
    if !fixed.relay_ip().is_unspecified() {
        return Err(ParseError::illegal(
            "Dhcp4",
            "relay_ip",
            fixed.relay_ip().to_bits().into(),
        ));
    }
    Ok(())
}

/// The bytes of a field.
fn field<F: Field<Header = Dhcp4>>(message: &[u8]) -> &[u8] {
    let start = F::BIT_OFFSET / 8;
    message.get(start..start + F::BITS / 8).unwrap_or_default()
}

/// Bytes of a message that every client takes (RFC 2131, section 2).
const MIN_MESSAGE_SIZE: usize = 576;
