// All packets of a flow have the same protocol.

use opte_headers::{FlowKey, IpProtocol, ipv4};

pub fn decide(key: &FlowKey) -> Option<IpProtocol> {
    key.get::<ipv4::Protocol>()
}

fn main() {}
