//! What a client's message asks.

use core::net::Ipv4Addr;

use opte_headers::options::{OptionList, OptionSet};
use opte_headers::{
    Dhcp4, Dhcp4Flags, Dhcp4Get, Dhcp4MessageType, Dhcp4Op, Dhcp4Option, Field, Header, MacAddr,
    ParseError, RawOption, Wire, dhcp4,
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
#[derive(Clone, Copy, Default)]
pub(super) struct Pieces<'a> {
    /// None if the option is not there.
    pub(super) first: Option<&'a [u8]>,
    /// Empty where it was not split.
    pub(super) second: &'a [u8],
}

impl<'a> Pieces<'a> {
    fn add(&mut self, piece: &'a [u8]) -> Result<(), ParseError> {
        if self.first.is_none() {
            self.first = Some(piece);
        } else if self.second.is_empty() {
            self.second = piece;
        } else {
            return Err(ParseError::bad_length(
                "Dhcp4Option",
                "length",
                piece.len(),
                0,
            ));
        }
        Ok(())
    }
}

impl<'a> Request<'a> {
    /// The message in `data`, which a client with this hardware address sent, as far as its options, which are to be read.
    #[inline]
    pub(super) fn new(data: &'a [u8], client: MacAddr) -> Result<Self, ParseError> {
        let (fixed, _) = Dhcp4::parse(data)?;
        check_fixed(&fixed, client)?;
        Ok(Self {
            fixed,
            message_type: Dhcp4MessageType(0),
            requested: None,
            server: None,
            max_message_size: MIN_MESSAGE_SIZE,
            parameter_list: Pieces::default(),
            client_identifier: Pieces::default(),
        })
    }

    /// Reads the options in `data`, the same message.
    pub(super) fn read_all(&mut self, data: &'a [u8]) -> Result<(), ParseError> {
        let (_, options) = data.split_at_checked(Dhcp4::MIN_LEN).unwrap_or_default();
        let overload = self.read(options)?;
        if overload != 0 {
            self.read_fields(data, overload)?;
        }
        match self.message_type {
            // BOOTP (RFC 1534) has no leases.
            Dhcp4MessageType(0) => Err(ParseError::illegal("Dhcp4Option", "message_type", 0)),
            _ => Ok(()),
        }
    }

    /// Reads the fields that hold options beside the field for them.
    #[cold]
    fn read_fields(&mut self, data: &'a [u8], overload: u8) -> Result<(), ParseError> {
        // RFC 2131, section 4.1: "the 'file' field MUST be interpreted first", then 'sname'.
        let fields = [
            (1, field::<dhcp4::BootFile>(data)),
            (2, field::<dhcp4::ServerName>(data)),
        ];
        for (_, area) in fields.into_iter().filter(|(bit, _)| overload & bit != 0) {
            if self.read(area)? != 0 {
                return Err(ParseError::illegal(
                    "Dhcp4Option",
                    "overload",
                    overload.into(),
                ));
            }
        }
        Ok(())
    }

    /// Whether the answer must be broadcast.
    pub(super) fn wants_broadcast(&self) -> bool {
        self.fixed.flags().contains(Dhcp4Flags::BROADCAST)
    }

    /// Reads what decides over the answer; says which other fields hold options too.
    #[inline]
    fn read(&mut self, area: &'a [u8]) -> Result<u8, ParseError> {
        let mut overload = 0;
        for raw in OptionList::<Dhcp4Option<'static>>::new(area).raw() {
            let raw = raw?;
            match (raw.kind, raw.body) {
                (code::PARAMETER_LIST, list) => self.parameter_list.add(list)?,
                (code::MESSAGE_TYPE, &[ty]) if self.message_type.0 == 0 => {
                    self.message_type = Dhcp4MessageType(ty);
                }
                (code::REQUESTED_ADDRESS, &[a, b, c, d]) if self.requested.is_none() => {
                    self.requested = Some(Ipv4Addr::new(a, b, c, d));
                }
                (code::SERVER_IDENTIFIER, &[a, b, c, d]) if self.server.is_none() => {
                    self.server = Some(Ipv4Addr::new(a, b, c, d));
                }
                (code::MAXIMUM_MESSAGE_SIZE, &[a, b]) => {
                    let size = u16::from_be_bytes([a, b]);
                    self.max_message_size = usize::from(size).max(MIN_MESSAGE_SIZE);
                }
                (code::OVERLOAD, &[fields @ 1..=3]) if overload == 0 => overload = fields,
                // "The minimum length is 2" (RFC 2132, section 9.14).
                (code::CLIENT_IDENTIFIER, piece @ [_, _, ..]) => {
                    self.client_identifier.add(piece)?;
                }
                (
                    code::MESSAGE_TYPE
                    | code::REQUESTED_ADDRESS
                    | code::SERVER_IDENTIFIER
                    | code::MAXIMUM_MESSAGE_SIZE
                    | code::OVERLOAD
                    | code::CLIENT_IDENTIFIER,
                    _,
                ) => return Err(refused(raw)),
                _ => {}
            }
        }
        Ok(overload)
    }
}

/// What is wrong with an option that the server has to understand: it stands there twice, or has a value or a length that it must
/// not have.
#[cold]
fn refused(raw: RawOption<'_, u8>) -> ParseError {
    let (field, value) = match Dhcp4Option::decode(raw) {
        Dhcp4Option::MessageType(ty) => ("message_type", ty.0.into()),
        Dhcp4Option::RequestedAddress(address) => ("requested_address", address.to_bits().into()),
        Dhcp4Option::ServerIdentifier(server) => ("server_identifier", server.to_bits().into()),
        Dhcp4Option::Overload(fields) => ("overload", fields.into()),
        Dhcp4Option::ClientIdentifier(_) => {
            return ParseError::bad_length("Dhcp4Option", "client_identifier", 2, 1);
        }
        _ => {
            let len = raw.body.len();
            return ParseError::bad_length("Dhcp4Option", "length", len, len);
        }
    };
    ParseError::illegal("Dhcp4Option", field, value)
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
