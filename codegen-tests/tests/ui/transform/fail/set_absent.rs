//! A set of a field whose header the stack does not have.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, stack, udp};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().set::<udp::Source>(53);
}
