//! A pop of a header that the stack does not have.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, Udp, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().pop::<Udp>();
}
