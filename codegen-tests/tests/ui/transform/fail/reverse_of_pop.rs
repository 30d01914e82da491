//! What was popped is not known to the way back.

use opte_headers::{Ethernet, Ipv4, Tcp, Transform, stack};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let decapsulation = Transform::on::<Guest>().pop::<Ethernet>();
    let _ = decapsulation.reverse();
}
