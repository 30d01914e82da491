//! The flags of TCP differ from packet to packet.

use opte_headers::{FlowKey, TcpFlags, tcp};

pub fn decide(key: &FlowKey) -> Option<TcpFlags> {
    key.get::<tcp::Flags>()
}

fn main() {}
