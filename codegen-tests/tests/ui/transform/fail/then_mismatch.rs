//! What the first gives is not what the second takes.

use opte_headers::{Ethernet, Ipv4, Set, Tcp, Transform, Udp, stack, udp};

type Guest = stack![Ethernet, Ipv4, Tcp];

fn main() {
    let first = Transform::on::<Guest>().pop::<Ethernet>();
    let second = Transform::on::<stack![Ipv4, Udp]>().set::<udp::Source>(53);
    let _ = first.then(second);
}
