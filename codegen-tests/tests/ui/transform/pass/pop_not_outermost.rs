// Popped in order.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let _ = Transform::on::<Guest>().pop::<Ethernet>().pop::<Ipv4>();
}
