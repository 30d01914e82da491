//! What a server tells its client, rendered as options once.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::Range;

use opte_headers::options::OptionSet;
use opte_headers::{Dhcp4Option, RawOption};

use super::{Config, code};
use crate::services::domain_search;

/// The configuration parameters of a lease, each as the bytes of its options, in the order in which a client gets them that
/// does not say what it wants.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
    /// For each code one more than its place in `places`; zero for what there is not.
    by_code: [u8; 256],
}

impl Parameters {
    /// Renders what `config` has.
    pub(super) fn new(config: &Config) -> Self {
        let mut parameters = Self {
            bytes: Vec::new(),
            places: Vec::new(),
            by_code: [0; 256],
        };
        let mask = u32::MAX
            .checked_shl(32 - u32::from(config.prefix_len.min(32)))
            .unwrap_or(0);
        parameters.add(code::SUBNET_MASK, &mask.to_be_bytes());
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

    /// The place of the options under `code` in the order of preference, below [`MAX_PARAMETERS`].
    pub(super) fn place(&self, code: u8) -> Option<usize> {
        let place = self.by_code.get(usize::from(code))?;
        place.checked_sub(1).map(usize::from)
    }

    /// The options at `place`, ready to be sent.
    pub(super) fn at(&self, place: usize) -> &[u8] {
        let range = self.places.get(place).cloned().unwrap_or_default();
        self.bytes.get(range).unwrap_or_default()
    }

    /// How many places there are.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Adds a parameter, if it has a value; one longer than an option can be is split (RFC 3396, section 5).
    fn add(&mut self, code: u8, value: &[u8]) {
        if value.is_empty() || self.places.len() == MAX_PARAMETERS {
            return;
        }
        let start = self.bytes.len();
        let mut option = [0; 2 + MAX_BODY];
        for body in value.chunks(MAX_BODY) {
            let raw = Dhcp4Option::Unknown(RawOption { kind: code, body });
            let len = Dhcp4Option::encode(&raw, &mut option).unwrap_or_default();
            self.bytes
                .extend_from_slice(option.get(..len).unwrap_or_default());
        }
        self.places.push(start..self.bytes.len());
        if let Some(place) = self.by_code.get_mut(usize::from(code)) {
            *place = self.places.len() as u8;
        }
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

/// More parameters than there are.
pub(super) const MAX_PARAMETERS: usize = 16;

/// The least MTU the option may tell (RFC 2132, section 5.1).
const MIN_MTU: u16 = 68;

/// Bytes an option can hold.
const MAX_BODY: usize = 255;
