//! The length of the payload differs from packet to packet.

use opte_headers::{FlowKey, udp};

pub fn decide(key: &FlowKey) -> Option<u16> {
    key.get::<udp::Length>()
}

fn main() {}
