//! What a server tells its client, rendered as options once.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use opte_headers::options::OptionSet;
use opte_headers::{Dhcp4Option, RawOption};

use super::{Config, code};
use crate::services::datagram::Piece;
use crate::services::domain_search;

/// The configuration parameters beside those that every lease has, each rendered as its options, in the order in which a client gets
/// them that does not say what it wants.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    /// The first one, which is empty, stands for what there is not.
    pieces: Vec<Piece>,
    /// The place in `pieces` of each code.
    by_code: [u8; 256],
}

impl Parameters {
    /// Renders what `config` has.
    pub(super) fn new(config: &Config) -> Self {
        let mut parameters = Self {
            pieces: vec![Piece::new(Vec::new())],
            by_code: [0; 256],
        };
        parameters.add(code::CLASSLESS_ROUTES, &classless_routes(config.gateway_ip));
        parameters.add(code::ROUTER, &config.gateway_ip.octets());
        parameters.add(code::DNS_SERVERS, &octets(&config.dns_servers));
        if let Some(name) = &config.hostname {
            parameters.add(code::HOST_NAME, name.as_str().as_bytes());
        }
        if let Some(name) = &config.domain {
            parameters.add(code::DOMAIN_NAME, name.as_str().as_bytes());
        }
        parameters.add(code::INTERFACE_MTU, &config.mtu.max(MIN_MTU).to_be_bytes());
        parameters.add(
            code::DOMAIN_SEARCH,
            &domain_search::compressed(&config.domain_search),
        );
        parameters
    }

    /// The options under these codes, those left out whose bits are in `done`; their bits go there.
    #[inline]
    pub(super) fn of<'a>(
        &'a self,
        codes: &'a [u8],
        done: &'a mut u32,
    ) -> impl Iterator<Item = &'a Piece> {
        // What there is not is done with, too.
        *done |= 1;
        codes.iter().filter_map(|code| {
            let place = self.by_code.get(usize::from(*code))?;
            let bit = 1 << (place % MAX_PLACES);
            if *done & bit != 0 {
                return None;
            }
            *done |= bit;
            self.pieces.get(usize::from(*place))
        })
    }

    /// The bit of the options under `code`; of none if there are none.
    pub(super) fn bit(&self, code: u8) -> u32 {
        let place = self.by_code.get(usize::from(code));
        place.map_or(0, |place| 1 << (place % MAX_PLACES))
    }

    /// All options.
    pub(super) fn all(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().skip(1)
    }

    /// Adds a parameter, if it has a value; one longer than an option can be is split (RFC 3396, section 5).
    fn add(&mut self, code: u8, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        let mut bytes = Vec::new();
        let mut option = [0; 2 + MAX_BODY];
        for body in value.chunks(MAX_BODY) {
            let raw = Dhcp4Option::Unknown(RawOption { kind: code, body });
            let len = Dhcp4Option::encode(&raw, &mut option).unwrap_or_default();
            bytes.extend_from_slice(option.get(..len).unwrap_or_default());
        }
        if let Some(place) = self.by_code.get_mut(usize::from(code)) {
            *place = self.pieces.len() as u8;
        }
        self.pieces.push(Piece::new(bytes));
    }
}

/// The gateway on the link itself, and everything else behind the gateway (RFC 3442): with a prefix of 32 bits the client
/// would otherwise have no way to the gateway.
fn classless_routes(gateway: Ipv4Addr) -> [u8; 14] {
    let [a, b, c, d] = gateway.octets();
    [32, a, b, c, d, 0, 0, 0, 0, 0, a, b, c, d]
}

fn octets(addresses: &[Ipv4Addr]) -> Vec<u8> {
    addresses.iter().flat_map(Ipv4Addr::octets).collect()
}

/// More than there are parameters: each has a bit.
const MAX_PLACES: u8 = 32;

/// The least MTU the option may tell (RFC 2132, section 5.1).
const MIN_MTU: u16 = 68;

/// Bytes an option can hold.
const MAX_BODY: usize = 255;
