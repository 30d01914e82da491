//! A pop of a header that has another one in front.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().pop::<Ipv4>();
}
