//! The TTL differs from packet to packet.

use opte_headers::{FlowKey, ipv4};

pub fn decide(key: &FlowKey) -> Option<u8> {
    key.get::<ipv4::Ttl>()
}

fn main() {}
