//! What follows is the composer's own.

use opte_headers::{Ethernet, IpProtocol, Ipv4, Set, Tcp, Transform, ipv4, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<ipv4::Protocol>(IpProtocol::UDP);
}
