// All packets of a flow have the same ports.

use opte_headers::{FlowKey, tcp};

pub fn decide(key: &FlowKey) -> Option<u16> {
    key.get::<tcp::Destination>()
}

fn main() {}
