//! What a client's message asks.

use core::net::Ipv6Addr;

use opte_headers::options::{Each, OptionList, OptionSet};
use opte_headers::{
    Dhcp6, Dhcp6Get, Dhcp6MessageType as MessageType, Dhcp6Option, Header, ParseError,
};

type Options<'a> = OptionList<'a, Dhcp6Option<'static>>;

/// A client's message, checked as RFC 8415, section 16, wants it.
pub(super) struct Request<'a> {
    pub(super) fixed: <Dhcp6 as Header>::View<'a>,
    pub(super) client_id: Option<&'a [u8]>,
    pub(super) server_id: Option<&'a [u8]>,
    pub(super) rapid_commit: bool,
    /// The codes of the options the client wants, in its order; none if it does not say.
    pub(super) option_list: Option<Each<'a, u16>>,
    /// The identity association, of most clients the only one.
    first: Option<Association<'a>>,
    associations: usize,
    options: Options<'a>,
}

/// An identity association.
#[derive(Clone, Copy)]
pub(super) struct Association<'a> {
    pub(super) kind: Kind,
    /// By what the client knows it.
    pub(super) id: u32,
    options: Options<'a>,
}

/// What an identity association is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Addresses.
    NonTemporary,
    /// Temporary addresses.
    Temporary,
    /// Prefixes.
    Prefix,
}

impl<'a> Request<'a> {
    /// The message in `data`. Every option is well-formed, also within others.
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, _) = Dhcp6::parse(data)?;
        let (_, options) = data.split_at_checked(Dhcp6::MIN_LEN).unwrap_or_default();
        let options = OptionList::new(options);
        let mut request = Self {
            fixed,
            client_id: None,
            server_id: None,
            rapid_commit: false,
            option_list: None,
            first: None,
            associations: 0,
            options,
        };
        for option in options.iter() {
            request.read(option?)?;
        }
        request.check_identifiers()?;
        Ok(request)
    }

    /// The identity associations, in the client's order.
    pub(super) fn associations(&self) -> impl Iterator<Item = Association<'a>> + use<'a> {
        // Only these are decoded.
        let raw = self.options.raw().flatten();
        let raw = raw.filter(|raw| matches!(raw.kind, code::IA_NA | code::IA_TA | code::IA_PD));
        raw.filter_map(|raw| Association::of(Dhcp6Option::decode(raw)))
    }

    /// The identity association, if there is just one.
    pub(super) fn only(&self) -> Option<&Association<'a>> {
        self.first.as_ref().filter(|_| self.associations == 1)
    }

    #[inline]
    fn read(&mut self, option: Dhcp6Option<'a>) -> Result<(), ParseError> {
        match option {
            Dhcp6Option::IaNa { .. } | Dhcp6Option::IaTa { .. } | Dhcp6Option::IaPd { .. } => {
                let Some(association) = Association::of(option) else {
                    return Ok(());
                };
                self.associations += 1;
                self.first = self.first.or(Some(association));
                association.check()
            }
            Dhcp6Option::ClientIdentifier(duid) => {
                identifier(&mut self.client_id, duid, "client_identifier")
            }
            Dhcp6Option::ServerIdentifier(duid) => {
                identifier(&mut self.server_id, duid, "server_identifier")
            }
            Dhcp6Option::RapidCommit => {
                self.rapid_commit = true;
                Ok(())
            }
            Dhcp6Option::OptionRequest(codes) => match self.option_list.replace(codes) {
                None => Ok(()),
                Some(_) => Err(ParseError::illegal(
                    "Dhcp6Option",
                    "option_request",
                    code::LIST.into(),
                )),
            },
            Dhcp6Option::Unknown(raw) if is_known(raw.kind) => Err(ParseError::bad_length(
                "Dhcp6Option",
                "length",
                raw.body.len(),
                raw.body.len(),
            )),
            _ => Ok(()),
        }
    }

    /// Which identifiers a message has, and which it must not have.
    fn check_identifiers(&self) -> Result<(), ParseError> {
        let (client, server) = match self.fixed.message_type() {
            MessageType::SOLICIT | MessageType::CONFIRM | MessageType::REBIND => {
                (true, Some(false))
            }
            MessageType::REQUEST
            | MessageType::RENEW
            | MessageType::RELEASE
            | MessageType::DECLINE => (true, Some(true)),
            MessageType::INFORMATION_REQUEST => (false, None),
            other => return Err(ParseError::illegal("Dhcp6", "message_type", other.0.into())),
        };
        if client && self.client_id.is_none() {
            return Err(ParseError::illegal("Dhcp6Option", "client_identifier", 0));
        }
        if server.is_some_and(|server| server != self.server_id.is_some()) {
            let length = self.server_id.map_or(0, <[u8]>::len) as u64;
            return Err(ParseError::illegal(
                "Dhcp6Option",
                "server_identifier",
                length,
            ));
        }
        if self.fixed.message_type() == MessageType::INFORMATION_REQUEST
            && let Some(association) = self.first
        {
            return Err(ParseError::illegal(
                "Dhcp6Option",
                "identity_association",
                association.id.into(),
            ));
        }
        Ok(())
    }
}

impl<'a> Association<'a> {
    /// The addresses in it.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        let raw = self.options.raw().flatten();
        let raw = raw.filter(|raw| raw.kind == code::IA_ADDRESS);
        raw.filter_map(|raw| match Dhcp6Option::decode(raw) {
            Dhcp6Option::IaAddress { address, .. } => Some(address),
            _ => None,
        })
    }

    fn of(option: Dhcp6Option<'a>) -> Option<Self> {
        let (kind, id, options) = match option {
            Dhcp6Option::IaNa { id, options, .. } => (Kind::NonTemporary, id, options),
            Dhcp6Option::IaTa { id, options } => (Kind::Temporary, id, options),
            Dhcp6Option::IaPd { id, options, .. } => (Kind::Prefix, id, options),
            _ => return None,
        };
        Some(Self {
            kind,
            id,
            options: OptionList::new(options),
        })
    }

    /// Nothing stands within the options of an address that the server would have to look into.
    fn check(&self) -> Result<(), ParseError> {
        if self.options.bytes().is_empty() {
            return Ok(());
        }
        self.options.iter().try_for_each(|option| match option? {
            Dhcp6Option::IaAddress { options, .. } => Options::new(options).check(),
            Dhcp6Option::Unknown(raw) if is_known(raw.kind) => Err(ParseError::bad_length(
                "Dhcp6Option",
                "length",
                raw.body.len(),
                raw.body.len(),
            )),
            _ => Ok(()),
        })
    }
}

/// An identifier stands once and has a type and 1 to 128 octets (RFC 8415, section 11.1).
fn identifier<'a>(
    place: &mut Option<&'a [u8]>,
    duid: &'a [u8],
    field: &'static str,
) -> Result<(), ParseError> {
    if !(3..=130).contains(&duid.len()) || place.is_some() {
        return Err(ParseError::bad_length(
            "Dhcp6Option",
            field,
            duid.len(),
            130,
        ));
    }
    *place = Some(duid);
    Ok(())
}

/// Whether the server has to understand the option, so that one of another length is malformed: identifiers, associations, addresses,
/// list, time, status, commitment.
fn is_known(code: u16) -> bool {
    matches!(code, 1..=6 | 8 | 13 | 14 | 25)
}

mod code {
    pub(super) const IA_NA: u16 = 3;
    pub(super) const IA_TA: u16 = 4;
    pub(super) const IA_ADDRESS: u16 = 5;
    pub(super) const LIST: u16 = 6;
    pub(super) const IA_PD: u16 = 25;
}
