// All packets of a flow have the same ports.

use opte_headers::{FlowKey, udp};

pub fn decide(key: &FlowKey) -> Option<u16> {
    key.get::<udp::Destination>()
}

fn main() {}
